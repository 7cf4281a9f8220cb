/*
 * policy/ask.c and policy/delegate.c: requests as every Postfix and the milter send them, and the
 * bad ones of hazards E, first parsed, then on a real socket over a fake engine.
 */
#include "policy/conversation.h"

#include "policy/attrs.h"
#include "policy/engine.h"
#include "policy/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "talk.h"

#define POLICY "request=smtpd_access_policy\n"
#define RCPT   POLICY "protocol_state=RCPT\n"
#define NONCE  "0123456789abcdef0123456789abcdef"

/* As Postfix 3.8 asks at RCPT. */
#define POSTFIX_38                                                                                 \
    RCPT "protocol_name=ESMTP\nclient_address=198.51.100.7\nclient_name=Mail.Example.NET\n"        \
         "client_port=41952\nreverse_client_name=mail.example.net\nserver_address=192.0.2.20\n"    \
         "server_port=25\nhelo_name=mail.example.net\nsender=a@example.net\n"                      \
         "recipient=U+x@Example.COM\nrecipient_count=0\nqueue_id=\ninstance=1f2e.6745.0\nsize=0\n" \
         "etrn_domain=\nstress=\nsasl_method=\nsasl_username=\nsasl_sender=\nccert_subject=\n"     \
         "ccert_issuer=\nccert_fingerprint=\nccert_pubkey_fingerprint=\nencryption_protocol=\n"    \
         "encryption_cipher=\nencryption_keysize=0\npolicy_context=\ncompatibility_level=3.6\n"    \
         "mail_version=3.8.1\n"

/* As Postfix 2.6 did. */
#define POSTFIX_26                                                                                 \
    RCPT "protocol_name=SMTP\nhelo_name=some.domain.example\nqueue_id=8045F2AB23\n"                \
         "sender=foo@bar.example\nrecipient=bar@foo.example\nrecipient_count=0\n"                  \
         "client_address=198.51.100.7\nclient_name=another.domain.example\n"                       \
         "reverse_client_name=another.domain.example\ninstance=123.456.7\nsasl_method=plain\n"     \
         "sasl_username=you\nsasl_sender=\nsize=12345\nccert_subject=solaris9.example\n"           \
         "ccert_issuer=x\nccert_fingerprint=C2:9D:F4:87\n"

enum { DESCRIBED = 4096 };

/* A question in one line, so that a table can want it. */
static char *describe(const struct question *q, char out[DESCRIBED])
{
    static const char *const stages[] = {"connect", "helo", "rcpt", "data", "other"};
    char client[NET_TEXT], listener[NET_TEXT], sender[ADDRESS_SIZE], rcpt[ADDRESS_SIZE];

    snprintf(out, DESCRIBED,
             "%s%s%s client=%s name=%s helo=%s/%s sender=%s rcpt=%s listener=%s:%u%s%s id=%s/%s%s%s"
             "%s%s",
             stages[q->stage], q->asker == QUESTION_MILTER ? " milter" : "",
             q->evidence_only ? " evidence" : "", net_addr_format(&q->client, client),
             q->client_name, q->helo, q->helo_name,
             q->has_sender ? address_format(&q->sender, false, sender) : "-",
             q->has_recipient ? address_format(&q->recipient, false, rcpt) : "-",
             net_addr_format(&q->listener, listener), q->listener_port, q->has_sasl ? " sasl" : "",
             q->has_cert ? " cert" : "", q->instance, q->queue_id, q->is_probe ? " probe=" : "",
             q->nonce, q->is_probe ? "@" : "", q->probe_node);
    return out;
}

#define EMPTY "client=[] name= helo=/ sender=- rcpt=- listener=[]:0 id=/"

static const struct {
    const char *label, *request, *wanted; /* NULL: no policy request */
} parses[] = {
    {"Postfix 3.8", POSTFIX_38,
     "rcpt client=[198.51.100.7] name=mail.example.net helo=mail.example.net/mail.example.net "
     "sender=a@example.net rcpt=U+x@example.com listener=[192.0.2.20]:25 id=1f2e.6745.0/"},
    {"Postfix 2.6", POSTFIX_26,
     "rcpt client=[198.51.100.7] name=another.domain.example "
     "helo=some.domain.example/some.domain.example sender=foo@bar.example rcpt=bar@foo.example "
     "listener=[]:0 sasl cert id=123.456.7/8045F2AB23"},
    {"nothing but the request", POLICY, "other " EMPTY},
    {"only a stage", RCPT, "rcpt " EMPTY},
    {"no request", "protocol_state=RCPT\n", NULL},
    {"another request", "request=junk\nprotocol_state=RCPT\n", NULL},
    {"an empty request", "request=\n", NULL},
    {"connect", POLICY "protocol_state=CONNECT\nsender=\nrecipient=\n", "connect " EMPTY},
    {"EHLO", POLICY "protocol_state=EHLO\n", "helo " EMPTY},
    {"HELO", POLICY "protocol_state=HELO\n", "helo " EMPTY},
    {"MAIL", POLICY "protocol_state=MAIL\nsender=a@example.net\n", "other " EMPTY},
    {"DATA, several recipients", POLICY "protocol_state=DATA\nrecipient=\nrecipient_count=2\n",
     "data " EMPTY},
    {"DATA, one recipient", POLICY "protocol_state=DATA\nrecipient=u@example.com\n",
     "data client=[] name= helo=/ sender=- rcpt=u@example.com listener=[]:0 id=/"},
    {"END-OF-MESSAGE", POLICY "protocol_state=END-OF-MESSAGE\n", "other " EMPTY},
    {"a stage in lower case is none", POLICY "protocol_state=rcpt\n", "other " EMPTY},
    {"evidence", RCPT "policy_context=evidence\n", "rcpt evidence " EMPTY},
    {"another context", RCPT "policy_context=submission\n", "rcpt " EMPTY},
    {"the milter", RCPT "mxwarden_asker=milter\n", "rcpt milter " EMPTY},
    {"another asker", RCPT "mxwarden_asker=me\n", "rcpt " EMPTY},
    {"refused by the MTA", RCPT "mxwarden_asker=milter\nmxwarden_refused=1\n",
     "rcpt milter evidence " EMPTY},
    {"not refused", RCPT "mxwarden_refused=0\n", "rcpt " EMPTY},
    {"null sender", RCPT "sender=\n",
     "rcpt client=[] name= helo=/ sender= rcpt=- listener=[]:0 id=/"},
    {"a sender without domain", RCPT "sender=root\n", "rcpt " EMPTY},
    {"format characters", RCPT "sender=%n%s\n", "rcpt " EMPTY},
    {"format characters in an address", RCPT "sender=%n%s@example.net\n",
     "rcpt client=[] name= helo=/ sender=%n%s@example.net rcpt=- listener=[]:0 id=/"},
    {"an empty recipient is none", RCPT "recipient=\n", "rcpt " EMPTY},
    {"a recipient without domain", RCPT "recipient=postmaster\n", "rcpt " EMPTY},
    {"a quoted recipient", RCPT "recipient=\"a b\"@example.com\n",
     "rcpt client=[] name= helo=/ sender=- rcpt=\"a b\"@example.com listener=[]:0 id=/"},
    {"client unknown", RCPT "client_address=unknown\nclient_name=unknown\n", "rcpt " EMPTY},
    {"client mapped", RCPT "client_address=::ffff:1.2.3.4\n",
     "rcpt client=[1.2.3.4] name= helo=/ sender=- rcpt=- listener=[]:0 id=/"},
    {"client IPv6", RCPT "client_address=2001:DB8:0::1\n",
     "rcpt client=[2001:db8::1] name= helo=/ sender=- rcpt=- listener=[]:0 id=/"},
    {"client out of range", RCPT "client_address=198.51.100.777\n", "rcpt " EMPTY},
    {"client too long",
     RCPT "client_address=198.51.100.7                                        "
          "                                                          \n",
     "rcpt " EMPTY},
    {"a name that is an address", RCPT "client_name=[198.51.100.7]\n", "rcpt " EMPTY},
    {"a name with a slash", RCPT "client_name=a/b.example\n", "rcpt " EMPTY},
    {"listening everywhere", RCPT "server_address=0.0.0.0\nserver_port=25\n",
     "rcpt client=[] name= helo=/ sender=- rcpt=- listener=[]:25 id=/"},
    {"listening everywhere, IPv6", RCPT "server_address=::\nserver_port=587\n",
     "rcpt client=[] name= helo=/ sender=- rcpt=- listener=[]:587 id=/"},
    {"ports that are none", RCPT "server_port=65536\n", "rcpt " EMPTY},
    {"a negative port", RCPT "server_port=-1\n", "rcpt " EMPTY},
    {"a port with more", RCPT "server_port=25x\n", "rcpt " EMPTY},
    {"an address as HELO", RCPT "helo_name=[198.51.100.7]\n",
     "rcpt client=[] name= helo=[198.51.100.7]/ sender=- rcpt=- listener=[]:0 id=/"},
    {"a HELO with control characters", RCPT "helo_name=a\x01.example\n", "rcpt " EMPTY},
    {"a probe", POLICY "protocol_state=EHLO\nhelo_name=mxwp-" NONCE ".mx2.example.com\n",
     "helo client=[] name= helo=mxwp-" NONCE ".mx2.example.com/mxwp-" NONCE
     ".mx2.example.com sender=- rcpt=- listener=[]:0 id=/ probe=" NONCE "@mx2.example.com"},
    {"a short nonce", POLICY "protocol_state=EHLO\nhelo_name=mxwp-0123.mx2.example.com\n",
     "helo client=[] name= helo=mxwp-0123.mx2.example.com/mxwp-0123.mx2.example.com sender=- "
     "rcpt=- listener=[]:0 id=/"},
    {"a nonce without node", POLICY "protocol_state=EHLO\nhelo_name=mxwp-" NONCE "\n",
     "helo client=[] name= helo=mxwp-" NONCE "/mxwp-" NONCE " sender=- rcpt=- listener=[]:0 id=/"},
    {"no hex", POLICY "protocol_state=EHLO\nhelo_name=mxwp-g123456789abcdef0123456789abcdef.a.b\n",
     "helo client=[] name= helo=mxwp-g123456789abcdef0123456789abcdef.a.b"
     "/mxwp-g123456789abcdef0123456789abcdef.a.b sender=- rcpt=- listener=[]:0 id=/"},
    {"a fingerprint proves nothing", RCPT "ccert_fingerprint=C2:9D\n", "rcpt " EMPTY},
    {"a long login",
     RCPT "sasl_username="
          "0123456789012345678901234567890123456789012345678901234567890123456789"
          "0123456789012345678901234567890123456789012345678901234567890123456789"
          "\n",
     "rcpt client=[] name= helo=/ sender=- rcpt=- listener=[]:0 sasl id=/"},
    {"an instance that is no word", RCPT "instance=a\tb\n", "rcpt " EMPTY},
};

static void parse_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parses / sizeof parses[0]; i++) {
        char text[2048], got[DESCRIBED];
        struct attrs attrs;
        struct question question;
        size_t used;

        snprintf(text, sizeof text, "%s\n", parses[i].request);
        assert_int_equal(attrs_scan(text, strlen(text), &attrs, &used), ATTRS_DONE);
        if (!delegate_parse(&attrs, &question)) {
            if (parses[i].wanted)
                fail_msg("%s: refused", parses[i].label);
            continue;
        }
        if (!parses[i].wanted || strcmp(describe(&question, got), parses[i].wanted) != 0)
            fail_msg("%s: %s", parses[i].label, describe(&question, got));
    }
}

struct engine_question {
    engine_judged *done;
    void *arg;
    char local[ADDRESS_LOCAL_SIZE];
};

static struct {
    struct event_base *base;
    unsigned asked, cancelled, bad;
    struct engine_question *held;
} fake;

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    static const struct {
        const char *local, *action;
    } answers[] = {
        {"defer",
         "DEFER_IF_PERMIT 4.7.1 Please deliver to the preferred MX first (mx1.example.com)"},
        {"tag", "PREPEND X-MX-Warden: bypass; domain=example.com; mx=mx2.example.com"},
        {"newline", "DUNNO\naction=OK"},
        {"empty", ""},
    };
    struct engine_question *question = arg;
    const char *action = "DUNNO";

    (void)fd;
    (void)what;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (strcmp(question->local, answers[i].local) == 0)
            action = answers[i].action;
    question->done(question->arg, action);
    free(question);
}

struct engine_question *engine_judge(struct engine *engine, const struct question *asked,
                                     engine_judged *done, void *arg)
{
    struct engine_question *question;
    struct timeval now = {0};

    (void)engine;
    assert_int_not_equal(asked->stage, QUESTION_OTHER);
    fake.asked++;
    if (strcmp(asked->recipient.local, "full") == 0)
        return NULL;
    question = calloc(1, sizeof *question);
    assert_non_null(question);
    question->done = done;
    question->arg = arg;
    strcpy(question->local, asked->recipient.local);
    if (strcmp(question->local, "hold") == 0)
        fake.held = question;
    else
        event_base_once(fake.base, -1, EV_TIMEOUT, on_due, question, &now);
    return question;
}

void engine_cancel(struct engine_question *question)
{
    assert_ptr_equal(question, fake.held);
    fake.cancelled++;
    fake.held = NULL;
    free(question);
}

void stats_add(struct stats *stats, const char *name, uint64_t count)
{
    (void)stats;
    (void)count;
    assert_string_equal(name, "policy_bad");
    fake.bad++;
}

static struct conversation conversation;

static int setup(void **state)
{
    static struct talk talk;
    struct listen_handler handler;

    memset(&fake, 0, sizeof fake);
    delegate_handler(&handler, &conversation);
    talk_open(&talk, &handler);
    fake.base = talk.base;
    *state = &talk;
    return 0;
}

static int teardown(void **state)
{
    talk_close(*state);
    return 0;
}

#define TO(local) RCPT "recipient=" local "@example.com\n"
#define DEFER                                                                                      \
    "action=DEFER_IF_PERMIT 4.7.1 Please deliver to the preferred MX first (mx1.example.com)\n\n"
#define TAG   "action=PREPEND X-MX-Warden: bypass; domain=example.com; mx=mx2.example.com\n\n"
#define DUNNO "action=DUNNO\n\n"

static const struct {
    const char *label, *input, *wanted;
} talks[] = {
    {"accepted", TO("u") "\n", DUNNO},
    {"refused", TO("defer") "\n", DEFER},
    {"two requests in one write", TO("defer") "\n" TO("u") "\n", DEFER DUNNO},
    {"CRLF",
     "request=smtpd_access_policy\r\nprotocol_state=RCPT\r\nrecipient=defer@example.com"
     "\r\n\r\n" TO("u") "\n",
     DEFER DUNNO},
    {"states out of order",
     POLICY "protocol_state=END-OF-MESSAGE\n\n" TO("u") "\n" POLICY "protocol_state=CONNECT\n\n",
     DUNNO DUNNO DUNNO},
    {"no room in the engine", TO("full") "\n", DUNNO},
    {"an action with a line end", TO("newline") "\n", DUNNO},
    {"an empty action", TO("empty") "\n", DUNNO},
    {"one header a message",
     TO("tag") "instance=a.1\n\n" TO("tag") "instance=a.1\n\n" TO("defer") "instance=a.1\n\n" TO(
         "tag") "instance=a.1\n\n" TO("tag") "instance=a.2\n\n",
     TAG DUNNO DEFER DUNNO TAG},
    {"the milter sees to that itself",
     TO("tag") "instance=a.1\nmxwarden_asker=milter\n\n" TO(
         "tag") "instance=a.1\nmxwarden_asker=milter\n\n",
     TAG TAG},
    {"no instance, no memory", TO("tag") "\n" TO("tag") "\n", TAG TAG},
};

static void talk_table(void **state)
{
    struct talk *talk = *state;

    for (size_t i = 0; i < sizeof talks / sizeof talks[0]; i++) {
        size_t length = strlen(talks[i].input);
        for (size_t step = 1; step <= length; step = step < 4 ? step + 1 : step * 5) {
            int fd = talk_connect(talk);
            size_t sent = 0;
            for (; length - sent > step; sent += step)
                talk_send(talk, fd, talks[i].input + sent, step);
            talk_expect(talk, fd, talks[i].label, talks[i].input + sent, length - sent,
                        talks[i].wanted);
            close(fd);
        }
    }
    assert_int_equal(fake.bad, 0);
}

static const struct {
    const char *label, *input;
    size_t length;
} broken[] = {
    {"no request=", "protocol_state=RCPT\n\n", 0},
    {"unknown request", "request=junk\n\n", 0},
    {"recipient twice", TO("u") "recipient=v@example.com\n\n", 0},
    {"a line without =", RCPT "recipient\n\n", 0},
    {"bare CRLF", "\r\n", 0},
    {"an empty line", "\n", 0},
    {"NUL in a value", "request=smtpd_access_policy\nsender=a\0b\n\n", 41},
};

static void expect_broken(struct talk *talk, const char *label, const char *input, size_t length)
{
    char got[64];
    bool ended;
    int fd = talk_connect(talk);
    unsigned before = fake.bad;

    talk_send(talk, fd, TO("u") "\n", strlen(TO("u") "\n"));
    talk_receive(talk, fd, got, strlen(DUNNO), &ended);
    talk_send(talk, fd, input, length);
    if (!talk_is_closed(talk, fd) || fake.bad != before + 1)
        fail_msg("%s: not refused", label);
    close(fd);
}

static void broken_table(void **state)
{
    struct talk *talk = *state;
    char *value = malloc(1 << 20), *many = malloc(100000 * 8);
    size_t length = 0;
    int other = talk_connect(talk);

    assert_true(value && many);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        expect_broken(talk, broken[i].label, broken[i].input,
                      broken[i].length ? broken[i].length : strlen(broken[i].input));
    memset(value, 'x', 1 << 20);
    memcpy(value, "sender=", 7);
    expect_broken(talk, "1 MB value", value, 1 << 20);
    for (int i = 0; i < 100000; i++)
        length += (size_t)sprintf(many + length, "%05d=\n", i);
    expect_broken(talk, "100,000 attributes", many, length);
    talk_expect(talk, other, "others are unharmed", TO("u") "\n", strlen(TO("u") "\n"), DUNNO);
    close(other);
    free(value);
    free(many);
}

/* Not malformed, only broken off. */
static void eof_before_the_end(void **state)
{
    struct talk *talk = *state;
    int fd = talk_connect(talk);

    talk_send(talk, fd, TO("u"), strlen(TO("u")));
    shutdown(fd, SHUT_WR);
    assert_true(talk_is_closed(talk, fd));
    assert_int_equal(fake.asked, 0);
    close(fd);
}

static void asker_goes_away(void **state)
{
    struct talk *talk = *state;
    int fd = talk_connect(talk);

    talk_send(talk, fd, TO("hold") "\n", strlen(TO("hold") "\n"));
    for (int i = 0; i < TALK_WAIT_MS && !fake.held; i++)
        talk_wait(talk, fd, 0);
    assert_non_null(fake.held);
    peer_close(fake.held->arg);
    assert_int_equal(fake.cancelled, 1);
    assert_true(talk_is_closed(talk, fd));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_table),
        cmocka_unit_test_setup_teardown(talk_table, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_table, setup, teardown),
        cmocka_unit_test_setup_teardown(eof_before_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(asker_goes_away, setup, teardown),
    };
    return cmocka_run_group_tests_name("delegate", tests, NULL, NULL);
}
