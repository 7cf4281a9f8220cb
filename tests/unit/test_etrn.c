/*
 * policy/etrn.c against scripted servers on 127.0.0.1, in this process and on the same loop; and
 * etrn_queue.c over it.
 */
#include "cache/clock.h"
#include "policy/conf.h"
#include "policy/etrn.h"
#include "policy/etrn_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HI  "220 mx2 ESMTP\r\n", "250-mx2\r\n250 ETRN\r\n"
#define BYE "221 bye\r\n"
/* What the client says to it. */
#define ASKED(domains) "EHLO mx2.example.com|" domains "QUIT|"
#define A              "ETRN a.example.com|"
#define B              "ETRN b.example.com|"

/* say[0] at connect, say[k] after the k-th line; NULL: closes, or says `forever`, where it is set. */
static const struct script {
    const char *label;
    const char *say[6];
    const char *heard;
    const char *answers; /* of a and b: "result reply|..." */
} scripts[] = {
    {"both",
     {HI, "250 Queuing started\r\n", "250 Queuing started\r\n", BYE},
     ASKED(A B),
     "done 250 Queuing started|done 250 Queuing started|"},
    {"251, 252 and 253 are good",
     {HI, "251 none\r\n", "253 3 messages\r\n", BYE},
     ASKED(A B),
     "done 251 none|done 253 3 messages|"},
    {"of two lines",
     {HI, "250-a\r\n250 b\r\n", "252 c\r\n", BYE},
     ASKED(A B),
     "done 250 b|done 252 c|"},
    {"one is not allowed",
     {HI, "459 <a>: service unavailable\r\n", "250 ok\r\n", BYE},
     ASKED(A B),
     "refused 459 <a>: service unavailable|done 250 ok|"},
    {"one cannot be queued",
     {HI, "458 unable\r\n", "250 ok\r\n", BYE},
     ASKED(A B),
     "later 458 unable|done 250 ok|"},
    {"forbidden",
     {HI, "554 5.7.1 no\r\n", "502 what\r\n", BYE},
     ASKED(A B),
     "refused 554 5.7.1 no|refused 502 what|"},
    {"254 is no answer to ETRN",
     {HI, "254 x\r\n", "250 ok\r\n", BYE},
     ASKED(A B),
     "refused 254 x|done 250 ok|"},
    {"nonsense",
     {HI, "hello\x01\r\n", "250 ok\r\n", BYE},
     ASKED(A B),
     "refused hello?|done 250 ok|"},
    {"EHLO refused", {"220 a\r\n", "502 no\r\n", BYE}, ASKED(""), "refused 502 no|refused 502 no|"},
    {"421 greets", {"421 busy\r\n", BYE}, "QUIT|", "later 421 busy|later 421 busy|"},
    {"554 greets", {"554 no\r\n", BYE}, "QUIT|", "refused 554 no|refused 554 no|"},
    {"421 in between",
     {HI, "250 ok\r\n", "421 gone\r\n", BYE},
     ASKED(A B),
     "done 250 ok|later 421 gone|"},
    {"closed in between",
     {HI, "250 ok\r\n", NULL},
     "EHLO mx2.example.com|" A B,
     "done 250 ok|failed closes the connection|"},
    {"closed at once", {NULL}, "", "failed closes the connection|failed closes the connection|"},
    {"closed at QUIT",
     {HI, "250 ok\r\n", "250 ok\r\n", NULL},
     ASKED(A B),
     "done 250 ok|done 250 ok|"},
};

static struct event_base *base;
static struct evconnlistener *listener;
static struct net_addr addr;
static uint16_t port;
static const struct script *script;
static struct bufferevent *server; /* one connection at a time */
static const char *forever;
static size_t lines, sessions;
static char heard[8192], answers[8192];
static bool ended;

static void server_close(void)
{
    if (server)
        bufferevent_free(server);
    server = NULL;
}

static void say_next(void)
{
    const char *text = script->say[lines];

    if (text)
        lines++;
    else
        text = forever;

    if (text)
        evbuffer_add(bufferevent_get_output(server), text, strlen(text));
    else
        server_close();
}

static void on_line(struct bufferevent *bev, void *arg)
{
    char *line;
    (void)arg;
    while (bev == server &&
           (line = evbuffer_readln(bufferevent_get_input(bev), NULL, EVBUFFER_EOL_CRLF_STRICT))) {
        snprintf(heard + strlen(heard), sizeof heard - strlen(heard), "%s|", line);
        free(line);
        say_next();
    }
}

static void on_gone(struct bufferevent *bev, short what, void *arg)
{
    (void)bev, (void)what, (void)arg;
    server_close();
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *peer,
                      int length, void *arg)
{
    (void)l, (void)peer, (void)length, (void)arg;
    server_close();
    sessions++;
    lines = 0;
    server = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(server, on_line, NULL, on_gone, NULL);
    bufferevent_enable(server, EV_READ | EV_WRITE);
    say_next();
}

static int setup(void **state)
{
    struct sockaddr_storage local;
    socklen_t length = sizeof local;
    (void)state;
    net_addr_parse("127.0.0.1", &addr);
    int size = (int)net_addr_sockaddr(&addr, 0, &local);
    base = event_base_new();
    listener =
        evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE,
                                -1, (struct sockaddr *)&local, size);
    if (!listener ||
        getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&local, &length))
        return -1;
    port = ntohs(((struct sockaddr_in *)&local)->sin_port);
    heard[0] = answers[0] = '\0';
    forever = NULL;
    sessions = 0;
    ended = false;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    server_close();
    evconnlistener_free(listener);
    event_base_free(base);
    return 0;
}

static void on_done(void *arg, const struct etrn_answer *answer, size_t count)
{
    (void)arg;
    assert_false(ended);
    ended = true;
    for (size_t i = 0; i < count; i++)
        snprintf(answers + strlen(answers), sizeof answers - strlen(answers), "%s %s|",
                 etrn_result_name(answer[i].result), answer[i].reply);
}

static void script_table(void **state)
{
    static const char *const domain[] = {"a.example.com", "b.example.com"};
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        script = &scripts[i];
        heard[0] = answers[0] = '\0';
        ended = false;
        assert_non_null(
            etrn_start(base, &addr, port, "mx2.example.com", domain, 2, 5000, on_done, NULL));
        assert_false(ended);
        while (!ended)
            event_base_loop(base, EVLOOP_ONCE);
        if (strcmp(heard, script->heard) != 0 || strcmp(answers, script->answers) != 0)
            fail_msg("%s: heard \"%s\", answers \"%s\"", script->label, heard, answers);
    }
}

static void nobody_listens(void **state)
{
    static const char *const domain[] = {"a.example.com"};
    (void)state;
    assert_non_null(etrn_start(base, &addr, 1, "mx2.example.com", domain, 1, 5000, on_done, NULL));
    while (!ended)
        event_base_loop(base, EVLOOP_ONCE);
    assert_string_equal(answers, "failed Connection refused|");
}

static void stopped(void **state)
{
    static const char *const domain[] = {"a.example.com"};
    (void)state;
    script = &scripts[0];
    struct etrn *etrn =
        etrn_start(base, &addr, port, "mx2.example.com", domain, 1, 5000, on_done, NULL);
    while (!strstr(heard, A))
        event_base_loop(base, EVLOOP_ONCE);
    etrn_stop(etrn);
    etrn_stop(NULL);
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_false(ended);
}

static const struct {
    const char *label;
    struct etrn_answer answer;
    const char *hint; /* a part of it */
} hints[] = {
    {"done", {ETRN_DONE, "250 ok"}, ""},
    {"459", {ETRN_REFUSED, "459 <x>: service unavailable"}, "fast_flush_domains"},
    {"458", {ETRN_LATER, "458 unable"}, "flush service"},
    {"554", {ETRN_REFUSED, "554 5.7.1 no"}, "smtpd_etrn_restrictions"},
    {"502", {ETRN_REFUSED, "502 what"}, "knows no ETRN"},
    {"no answer", {ETRN_FAILED, "Connection refused"}, "its address"},
};

static void hint_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++)
        if (!strstr(etrn_hint(&hints[i].answer), hints[i].hint) ||
            (!*hints[i].hint && *etrn_hint(&hints[i].answer)))
            fail_msg("%s: %s", hints[i].label, etrn_hint(&hints[i].answer));
}

/* --- the queue ---------------------------------------------------------------------------------- */

static size_t settled;

static void on_settled(void *arg, const char *domain, const char *name,
                       const struct etrn_answer *answer)
{
    (void)arg, (void)name;
    settled++;
    if (settled <= 3)
        snprintf(answers + strlen(answers), sizeof answers - strlen(answers), "%s %s|", domain,
                 answer->reply);
}

static struct conf_socket socket_of(uint16_t number)
{
    return (struct conf_socket){.text = (char *)"127.0.0.1:25", .addr = addr, .port = number};
}

/* Domains of one server share sessions of at most ETRN_MAX; one put in twice is asked for once. */
static void sessions_are_shared(void **state)
{
    static const struct script generous = {.say = {"220 a\r\n", "250 a\r\n"}};
    struct etrn_queue *queue = etrn_queue_new(base, "mx2.example.com", on_settled, NULL);
    struct conf_socket where = socket_of(port);
    char domain[32];
    (void)state;
    settled = 0;
    script = &generous;
    forever = "250 ok\r\n";
    for (int i = 0; i < 2 * (ETRN_MAX + 10); i++) {
        snprintf(domain, sizeof domain, "d%d.example.com", i % (ETRN_MAX + 10));
        etrn_queue_put(queue, &where, domain);
    }
    while (settled < ETRN_MAX + 10)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(sessions, 2);
    etrn_queue_free(queue);
    etrn_queue_free(NULL);
}

/* What is put in while its ETRN is under way is asked for once more. */
static void again(void **state)
{
    struct etrn_queue *queue = etrn_queue_new(base, "mx2.example.com", on_settled, NULL);
    struct conf_socket where = socket_of(port);
    (void)state;
    settled = 0;
    script = &(const struct script){.say = {HI, "250 ok\r\n", BYE}};
    etrn_queue_put(queue, &where, "a.example.com");
    while (!strstr(heard, A))
        event_base_loop(base, EVLOOP_ONCE);
    etrn_queue_put(queue, &where, "a.example.com");
    while (settled < 2)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(sessions, 2);
    assert_string_equal(answers, "a.example.com 250 ok|a.example.com 250 ok|");
    etrn_queue_free(queue);
}

/* What is put in while a session is under way that comes to nothing has the next one, as the first
 * has: not one more. */
static void again_after_a_failure(void **state)
{
    struct etrn_queue *queue = etrn_queue_new(base, "mx2.example.com", on_settled, NULL);
    struct conf_socket where = socket_of(port);
    int64_t end;
    (void)state;
    settled = 0;
    script = &(const struct script){.say = {HI, "458 busy\r\n", BYE}};
    etrn_queue_put(queue, &where, "a.example.com");
    while (!strstr(heard, A))
        event_base_loop(base, EVLOOP_ONCE);
    etrn_queue_put(queue, &where, "a.example.com");
    while (!strstr(heard, "QUIT|"))
        event_base_loop(base, EVLOOP_ONCE);
    script = &(const struct script){.say = {HI, "250 ok\r\n", BYE}};
    while (!settled)
        event_base_loop(base, EVLOOP_ONCE);
    for (end = clock_mono() + 50; clock_mono() < end;)
        event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(sessions, 2);
    assert_string_equal(answers, "a.example.com 250 ok|");
    etrn_queue_free(queue);
}

/* "later" is tried again, after a second. */
static void later(void **state)
{
    struct etrn_queue *queue = etrn_queue_new(base, "mx2.example.com", on_settled, NULL);
    struct conf_socket where = socket_of(port);
    (void)state;
    settled = 0;
    script = &(const struct script){.say = {"421 busy\r\n", BYE}};
    etrn_queue_put(queue, &where, "a.example.com");
    while (!strstr(heard, "QUIT|"))
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(settled, 0);
    heard[0] = '\0';
    script = &(const struct script){.say = {HI, "250 ok\r\n", BYE}};
    while (!settled)
        event_base_loop(base, EVLOOP_ONCE);
    assert_string_equal(answers, "a.example.com 250 ok|");
    etrn_queue_free(queue);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(again_after_a_failure),
        TEST(script_table),
        TEST(nobody_listens),
        TEST(stopped),
        TEST(hint_table),
        TEST(again),
        TEST(sessions_are_shared),
        TEST(later),
    };

    return cmocka_run_group_tests_name("etrn", tests, NULL, NULL);
}
