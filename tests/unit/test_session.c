/*
 * milter/session.c with a mail server and a policy service that are a few arrays: what is asked at
 * which callback, and what the mail server is told in the end. The log goes to a stand-in.
 */
#include "milter/session.h"

#include "policy/attrs.h"
#include "policy/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* ---- The world: everything that the session says is written down as lines of text. ---- */

static struct world {
    const char *macros[16]; /* name, value, ..., NULL */
    const char *action;     /* what the service answers; NULL: nothing */
    bool is_inside, mta_refuses;
    char said[8192];
    size_t said_length;
    char request[20000]; /* the last one */
    char log[2048];
    unsigned log_lines;
} world;

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(world.said + world.said_length, sizeof world.said - world.said_length,
                           format, arguments);
    va_end(arguments);
    world.said_length += (size_t)length;
    assert_true(world.said_length < sizeof world.said);
}

static const char *said(void)
{
    static char copy[sizeof world.said];
    strcpy(copy, world.said);
    world.said[world.said_length = 0] = '\0';
    return copy;
}

void log_info(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world.log, sizeof world.log, format, arguments);
    va_end(arguments);
    world.log_lines++;
}

void log_warning(const char *format, ...)
{
    (void)format;
    say("warning\n");
}

char *log_escape(const char *text, char *out, size_t size)
{
    snprintf(out, size, "E(%s)", text);
    return out;
}

static const char *mta_macro(void *context, const char *name)
{
    (void)context;
    for (size_t i = 0; world.macros[i]; i += 2)
        if (!strcmp(world.macros[i], name))
            return world.macros[i + 1];
    return NULL;
}

static bool mta_set_reply(void *context, const char *code, const char *status, const char *text)
{
    (void)context;
    say("reply %s %s %s\n", code, status, text);
    return true;
}

static bool mta_add_header(void *context, const char *name, const char *value)
{
    (void)context;
    say("add %s: %s\n", name, value);
    return !world.mta_refuses;
}

static bool mta_delete_header(void *context, const char *name, int index)
{
    (void)context;
    say("delete %s %d\n", name, index);
    return !world.mta_refuses;
}

static bool mta_quarantine(void *context, const char *reason)
{
    (void)context;
    say("hold %s\n", reason);
    return !world.mta_refuses;
}

static const struct session_mta mta = {NULL,           mta_macro,         mta_set_reply,
                                       mta_add_header, mta_delete_header, mta_quarantine};

/* The value of an attribute of the last request; "-" where it is missing. */
static const char *asked(const char *name)
{
    static char value[512];
    static struct attrs attrs;
    size_t used;
    assert_int_equal(attrs_scan(world.request, strlen(world.request), &attrs, &used), ATTRS_DONE);
    for (size_t i = 0; i < attrs.count; i++) {
        if (attrs.pair[i].name_length != strlen(name) ||
            memcmp(attrs.pair[i].name, name, strlen(name)))
            continue;
        snprintf(value, sizeof value, "%.*s", (int)attrs.pair[i].value_length, attrs.pair[i].value);
        return value;
    }
    return "-";
}

static bool policy_ask(void *context, const char *request, size_t length, char *action, size_t size)
{
    (void)context;
    snprintf(world.request, sizeof world.request, "%.*s", (int)length, request);
    say("ask %s\n", asked("protocol_state"));
    if (!world.action)
        return false;
    snprintf(action, size, "%s", world.action);
    return true;
}

static bool policy_tell(void *context, const char *request, size_t length)
{
    (void)context;
    snprintf(world.request, sizeof world.request, "%.*s", (int)length, request);
    say("tell %s\n", asked("protocol_state"));
    return true;
}

static bool policy_is_inside(void *context, const struct net_addr *client)
{
    (void)context;
    (void)client;
    return world.is_inside;
}

static const struct session_policy policy = {NULL, policy_ask, policy_tell, policy_is_inside};

static const struct sockaddr *client(void)
{
    static struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port = htons(4321);
    inet_pton(AF_INET, "198.51.100.7", &address.sin_addr);
    return (const struct sockaddr *)&address;
}

static int setup(void **state)
{
    static const char *const macros[] = {"_",
                                         "mail.example.net [198.51.100.7]",
                                         "{daemon_addr}",
                                         "192.0.2.20",
                                         "{daemon_port}",
                                         "25",
                                         "v",
                                         "Postfix 3.7.11",
                                         NULL};
    memset(&world, 0, sizeof world);
    memcpy(world.macros, macros, sizeof macros);
    world.action = "DUNNO";
    *state = session_new(&policy);
    assert_non_null(*state);
    return 0;
}

static int teardown(void **state)
{
    session_free(*state);
    return 0;
}

static void macro_set(const char *name, const char *value)
{
    size_t i = 0;
    while (world.macros[i] && strcmp(world.macros[i], name))
        i += 2;
    assert_true(i + 2 < sizeof world.macros / sizeof world.macros[0]);
    world.macros[i] = name;
    world.macros[i + 1] = value;
}

/* To the first recipient, with nothing said yet. */
static struct session *begin(void **state)
{
    struct session *session = *state;
    session_connect(session, &mta, "mail.example.net", client());
    session_helo(session, "mail.example.net");
    session_mail(session, &mta, "<a@example.net>");
    said();
    return session;
}

/* ---- Tests ---- */

static void a_whole_session(void **state)
{
    struct session *session = *state;
    session_connect(session, &mta, "mail.example.net", client());
    assert_string_equal(said(), "tell CONNECT\n");
    assert_string_equal(asked("client_address"), "198.51.100.7");
    assert_string_equal(asked("client_port"), "4321");
    assert_string_equal(asked("client_name"), "mail.example.net");
    assert_string_equal(asked("server_address"), "192.0.2.20");
    assert_string_equal(asked("server_port"), "25");
    session_helo(session, "mail.example.net");
    assert_string_equal(said(), "");
    session_mail(session, &mta, "<a@example.net>");
    assert_string_equal(said(), "");
    assert_int_equal(session_rcpt(session, &mta, "<u@example.com>"), SESSION_CONTINUE);
    assert_string_equal(said(), "ask RCPT\n");
    assert_string_equal(asked("mxwarden_asker"), "milter");
    assert_string_equal(asked("sender"), "a@example.net");
    assert_string_equal(asked("recipient"), "u@example.com");
    assert_string_equal(asked("helo_name"), "mail.example.net");
    assert_string_equal(asked("sasl_username"), "-");
    session_data(session, &mta);
    session_header(session, "Subject");
    session_finish(session, &mta);
    assert_string_equal(said(), "");
    assert_int_equal(world.log_lines, 0);
}

static void probe_names(void **state)
{
    static const struct {
        const char *name;
        const char *wanted;
    } rows[] = {
        {"mxwp-0a1b.mx1.example.com", "tell HELO\n"},
        {"MXWP-0A1B.mx1.example.com", "tell HELO\n"},
        {"mxwp.example.com", ""},
        {"[198.51.100.7]", ""},
        {"", ""},
    };
    struct session *session = *state;
    session_connect(session, &mta, "unknown", client());
    said();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        session_helo(session, rows[i].name);
        assert_string_equal(said(), rows[i].wanted);
    }
}

static const struct {
    const char *label, *action;
    enum session_result result;
    const char *at_rcpt, *at_end;
} verdicts[] = {
    {"accept", "DUNNO", SESSION_CONTINUE, "ask RCPT\n", ""},
    {"no answer", NULL, SESSION_CONTINUE, "ask RCPT\n", ""},
    {"empty", "", SESSION_CONTINUE, "ask RCPT\n", ""},
    {"defer", "451 4.7.1 Go to 100% mx1", SESSION_TEMPFAIL,
     "ask RCPT\nreply 451 4.7.1 Go to 100%% mx1\n", ""},
    {"reject", "550 5.7.1 No", SESSION_REJECT, "ask RCPT\nreply 550 5.7.1 No\n", ""},
    {"tag", "PREPEND X-MX-Warden: bypass; domain=example.com", SESSION_CONTINUE, "ask RCPT\n",
     "add X-MX-Warden: bypass; domain=example.com\n"},
    {"hold", "HOLD bypass", SESSION_CONTINUE, "ask RCPT\n", "hold bypass\n"},
    {"hold without a reason", "HOLD", SESSION_CONTINUE, "ask RCPT\n", "hold held by mxwarden\n"},
};

static void verdict_table(void **state)
{
    struct session *session = *state;
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
        begin(state);
        world.action = verdicts[i].action;
        world.log_lines = 0;
        enum session_result got = session_rcpt(session, &mta, "<u@example.com>");
        if (got != verdicts[i].result || strcmp(world.said, verdicts[i].at_rcpt))
            fail_msg("%s: %d, %s", verdicts[i].label, got, world.said);
        said();
        session_finish(session, &mta);
        if (strcmp(world.said, verdicts[i].at_end))
            fail_msg("%s: %s", verdicts[i].label, world.said);
        said();
    }
}

/* One header however many recipients asked, each different one once, before anything is held. */
static void tags_are_gathered(void **state)
{
    static const char *const actions[] = {
        "PREPEND X-MX-Warden: bypass; domain=example.com",
        "PREPEND X-MX-Warden: bypass; domain=example.org",
        "PREPEND x-mx-warden: bypass; domain=example.com",
        "HOLD first",
        "HOLD second",
        "DUNNO",
    };
    struct session *session = begin(state);
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        world.action = actions[i];
        session_rcpt(session, &mta, "<u@example.com>");
    }
    said();
    session_finish(session, &mta);
    assert_string_equal(said(), "add X-MX-Warden: bypass; domain=example.com\n"
                                "add X-MX-Warden: bypass; domain=example.org\nhold first\n");
    session_mail(session, &mta, "<a@example.net>");
    session_finish(session, &mta);
    assert_string_equal(said(), "");
}

/* A new MAIL, an abort and a new CONNECT each forget what the message before gathered. */
static void nothing_leaks_into_the_next(void **state)
{
    for (int how = 0; how < 3; how++) {
        struct session *session = begin(state);
        world.action = "PREPEND X-MX-Warden: bypass";
        session_rcpt(session, &mta, "<u@example.com>");
        session_header(session, "X-MX-Warden");
        said();
        if (how == 0)
            session_abort(session);
        else if (how == 1)
            session_mail(session, &mta, "<b@example.net>");
        else
            session_connect(session, &mta, "unknown", client());
        said();
        session_finish(session, &mta);
        assert_string_equal(said(), "");
    }
}

static void many_tags_are_bounded(void **state)
{
    struct session *session = begin(state);
    for (int i = 0; i < 100; i++) {
        char action[64];
        snprintf(action, sizeof action, "PREPEND X-MX-Warden: %d", i);
        world.action = action;
        session_rcpt(session, &mta, "<u@example.com>");
    }
    said();
    session_finish(session, &mta);
    const char *all = said();
    size_t lines = 0;
    for (; *all; all++)
        lines += *all == '\n';
    assert_int_equal(lines, 16);
}

static void incoming_headers_go(void **state)
{
    static const char *const names[] = {"X-MX-Warden",  "x-mx-warden", "Subject", "X-MX-Warden ",
                                        "X-MX-Wardens", "X-MX",        ""};
    struct session *session = begin(state);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        session_header(session, names[i]);
    session_finish(session, &mta);
    assert_string_equal(said(), "delete X-MX-Warden 3\ndelete X-MX-Warden 2\n"
                                "delete X-MX-Warden 1\n");
    world.is_inside = true;
    begin(state);
    session_header(session, "X-MX-Warden");
    session_finish(session, &mta);
    assert_string_equal(said(), "");
}

static void refused_by_the_mta(void **state)
{
    struct session *session = begin(state);
    world.action = "550 5.7.1 never seen";
    macro_set("{rcpt_mailer}", "error");
    assert_int_equal(session_rcpt(session, &mta, "<u@example.com>"), SESSION_CONTINUE);
    assert_string_equal(said(), "tell RCPT\n");
    assert_string_equal(asked("mxwarden_refused"), "1");
    macro_set("{rcpt_mailer}", "local");
    assert_int_equal(session_rcpt(session, &mta, "<v@example.com>"), SESSION_REJECT);
    assert_string_equal(asked("mxwarden_refused"), "-");
    session_abort(session);
    assert_non_null(strstr(world.log, "verdict=reject:1 "));
}

static void no_client_no_question(void **state)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    const struct sockaddr *clients[] = {NULL, (const struct sockaddr *)&local};
    struct session *session = *state;
    for (size_t i = 0; i < 2; i++) {
        session_connect(session, &mta, "localhost", clients[i]);
        session_helo(session, "mxwp-x.example.com");
        session_mail(session, &mta, "<a@example.net>");
        assert_int_equal(session_rcpt(session, &mta, "<u@example.com>"), SESSION_CONTINUE);
        session_header(session, "X-MX-Warden");
        session_finish(session, &mta);
        assert_string_equal(said(), "");
    }
}

static void instances(void **state)
{
    char first[64], second[64];
    struct session *session = begin(state);
    session_rcpt(session, &mta, "<u@example.com>");
    strcpy(first, asked("instance"));
    session_rcpt(session, &mta, "<v@example.com>");
    assert_string_equal(asked("instance"), first);
    session_mail(session, &mta, "<a@example.net>");
    session_rcpt(session, &mta, "<u@example.com>");
    strcpy(second, asked("instance"));
    assert_string_not_equal(first, second);
    session_connect(session, &mta, "unknown", client());
    assert_string_equal(asked("instance"), "-");
}

static void logins(void **state)
{
    struct session *session = begin(state);
    macro_set("{auth_type}", "PLAIN");
    macro_set("{auth_authen}", "user");
    macro_set("{cert_subject}", "relay");
    session_mail(session, &mta, "<>");
    session_rcpt(session, &mta, "<\"a b\"@example.com>");
    assert_string_equal(asked("sasl_method"), "PLAIN");
    assert_string_equal(asked("sasl_username"), "user");
    assert_string_equal(asked("ccert_subject"), "relay");
    assert_string_equal(asked("sender"), "");
    assert_string_equal(asked("recipient"), "\"a b\"@example.com");
}

static void log_line(void **state)
{
    struct session *session = begin(state);
    world.action = "451 4.7.1 x";
    session_rcpt(session, &mta, "<u@example.com>");
    session_rcpt(session, &mta, "<v@example.com>");
    world.action = "PREPEND X-MX-Warden: bypass";
    session_rcpt(session, &mta, "<w@example.com>");
    macro_set("i", "4bX");
    session_data(session, &mta);
    session_finish(session, &mta);
    assert_int_equal(world.log_lines, 1);
    world.log[strcspn(world.log, "=")] = ' ';
    assert_non_null(strstr(world.log, "qid E(4bX) verdict=defer:2,tag:1 client=[198.51.100.7] "
                                      "sender=<E(a@example.net)> rcpt=<E(u@example.com)> "));
    world.log_lines = 0;
    session_abort(session);
    assert_int_equal(world.log_lines, 0);
}

static void nothing_harms(void **state)
{
    struct session *session = *state;
    static char huge[20000];
    memset(huge, 'x', sizeof huge - 1);
    session_abort(session);
    session_finish(session, &mta);
    session_data(session, &mta);
    assert_int_equal(session_rcpt(session, &mta, "<u@example.com>"), SESSION_CONTINUE);
    session_connect(session, &mta, NULL, client());
    assert_int_equal(session_rcpt(session, &mta, "<u@example.com>"), SESSION_CONTINUE);
    session_helo(session, huge);
    session_helo(session, "");
    session_mail(session, &mta, huge);
    session_mail(session, &mta, "");
    session_rcpt(session, &mta, "");
    session_rcpt(session, &mta, "<");
    session_rcpt(session, &mta, "%n%s%n");
    session_rcpt(session, &mta, "<u@example.com>\r\nx=y");
    said();
    session_rcpt(session, &mta, huge);
    assert_string_equal(said(), "");
    macro_set("i", huge);
    session_data(session, &mta);
    world.mta_refuses = true;
    session_header(session, "X-MX-Warden");
    session_finish(session, &mta);
    assert_string_equal(said(), "delete X-MX-Warden 1\nwarning\n");
    session_free(NULL);
    session_connect(NULL, &mta, "x", client());
    session_helo(NULL, "x");
    session_mail(NULL, &mta, "x");
    assert_int_equal(session_rcpt(NULL, &mta, "x"), SESSION_CONTINUE);
    session_data(NULL, &mta);
    session_header(NULL, "x");
    session_finish(NULL, &mta);
    session_abort(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_session),
        TEST(probe_names),
        TEST(verdict_table),
        TEST(tags_are_gathered),
        TEST(nothing_leaks_into_the_next),
        TEST(many_tags_are_bounded),
        TEST(incoming_headers_go),
        TEST(refused_by_the_mta),
        TEST(no_client_no_question),
        TEST(instances),
        TEST(logins),
        TEST(log_line),
        TEST(nothing_harms),
    };
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
