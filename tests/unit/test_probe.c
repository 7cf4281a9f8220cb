/*
 * policy/probe.c against scripted servers on 127.0.0.1, in this process and on the same loop.
 */
#include "policy/probe.h"

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
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* say[0] at connect, say[k] after the k-th line of the client: NULL is silence. How: */
enum {
    WHOLE,
    BYTES,  /* one at a time */
    CLOSE,  /* after the last thing said */
    HANG_UP /* at the first line after that */
};

#define EHLO "EHLO mxwp-0123456789abcdef0123456789abcdef.mx2.example.com|"
#define OVER "MAIL FROM:<>|RCPT TO:<postmaster@example.com>|"
#define OK   "250-mx1\r\n250-PIPELINING\r\n250 8BITMIME\r\n"

static const struct script {
    const char *label;
    int how;
    bool rcpt;
    const char *say[6];
    enum probe_result result;
    bool said_ehlo;
    const char *heard, *detail; /* detail: a part of it */
} scripts[] = {
    {"plain",
     WHOLE,
     false,
     {"220 mx1 ESMTP\r\n", OK, "221 bye\r\n"},
     PROBE_GOOD,
     true,
     EHLO "QUIT|",
     "answers: 250 8BITMIME"},
    {"byte by byte",
     BYTES,
     false,
     {"220 mx1 ESMTP\r\n", OK, "221 bye\r\n"},
     PROBE_GOOD,
     true,
     EHLO "QUIT|",
     "answers"},
    {"bare newlines",
     WHOLE,
     false,
     {"220 a\n", "250-x\n250 y\n", "221 bye\n"},
     PROBE_GOOD,
     true,
     EHLO "QUIT|",
     ""},
    {"a code and no text",
     WHOLE,
     false,
     {"220\r\n", "250\r\n", "221\r\n"},
     PROBE_GOOD,
     true,
     EHLO "QUIT|",
     ""},
    {"greeting of three lines",
     WHOLE,
     false,
     {"220-a\r\n220-b\r\n220 c\r\n", OK, "221 bye\r\n"},
     PROBE_GOOD,
     true,
     EHLO "QUIT|",
     ""},
    {"220- and then silence", WHOLE, false, {"220-a\r\n"}, PROBE_GOOD, false, "", "in time"},
    {"220- and closed", CLOSE, false, {"220-a\r\n"}, PROBE_GOOD, false, "", "closes"},
    {"220- taken back by 421",
     WHOLE,
     false,
     {"220-a\r\n421 busy\r\n", "221 bye\r\n"},
     PROBE_BAD_REPLY,
     false,
     "QUIT|",
     "replies: 421 busy"},
    {"220- taken back by 554-",
     WHOLE,
     false,
     {"220-a\r\n554-no\r\n554 no\r\n", "221 bye\r\n"},
     PROBE_BAD_REPLY,
     false,
     "QUIT|",
     "554-no"},
    {"421",
     WHOLE,
     false,
     {"421 too many\r\n", "221 bye\r\n"},
     PROBE_BAD_REPLY,
     false,
     "QUIT|",
     "421 too many"},
    {"421 and closed",
     CLOSE,
     false,
     {"421 too many\r\n"},
     PROBE_BAD_REPLY,
     false,
     "",
     "421 too many"},
    {"554",
     WHOLE,
     false,
     {"554 go away\r\n", "221 bye\r\n"},
     PROBE_BAD_REPLY,
     false,
     "QUIT|",
     "554"},
    {"554-",
     WHOLE,
     false,
     {"554-go\r\n554 away\r\n", "221 bye\r\n"},
     PROBE_BAD_REPLY,
     false,
     "QUIT|",
     "554-go"},
    {"2200", WHOLE, false, {"2200 hello\r\n", "221 bye\r\n"}, PROBE_BAD_REPLY, false, "QUIT|", ""},
    {"no SMTP at all",
     WHOLE,
     false,
     {"SSH-2.0-x\r\n\x01\xff\r\n"},
     PROBE_BAD_REPLY,
     false,
     "QUIT|",
     "replies: SSH-2.0-x"},
    {"control bytes in the reply",
     WHOLE,
     false,
     {"554 a\x1b[2J\x80\r\n", "221 bye\r\n"},
     PROBE_BAD_REPLY,
     false,
     "QUIT|",
     "554 a?[2J?"},
    {"closed", CLOSE, false, {""}, PROBE_CLOSED, false, "", "closes"},
    {"half a banner and closed", CLOSE, false, {"220 mx"}, PROBE_CLOSED, false, "", "closes"},
    {"silent", WHOLE, false, {NULL}, PROBE_SILENT, false, "", "in time"},
    {"half a banner", WHOLE, false, {"220 mx"}, PROBE_SILENT, false, "", "in time"},
    {"EHLO refused",
     WHOLE,
     false,
     {"220 a\r\n", "502 what\r\n", "221 bye\r\n"},
     PROBE_GOOD,
     false,
     EHLO "QUIT|",
     "502"},
    {"EHLO put off",
     WHOLE,
     false,
     {"220 a\r\n", "451 later\r\n", "221 bye\r\n"},
     PROBE_GOOD,
     false,
     EHLO "QUIT|",
     "451"},
    {"EHLO answered 421",
     WHOLE,
     false,
     {"220 a\r\n", "421 busy\r\n", "221 bye\r\n"},
     PROBE_BAD_REPLY,
     false,
     EHLO "QUIT|",
     "421"},
    {"EHLO not answered", WHOLE, false, {"220 a\r\n"}, PROBE_GOOD, false, EHLO, "in time"},
    {"closed at EHLO", HANG_UP, false, {"220 a\r\n"}, PROBE_GOOD, false, EHLO, "closes"},
    {"EHLO answered with nonsense",
     WHOLE,
     false,
     {"220 a\r\n", "hm\r\n", "221 bye\r\n"},
     PROBE_GOOD,
     false,
     EHLO "QUIT|",
     "hm"},
    {"QUIT not answered",
     WHOLE,
     false,
     {"220 a\r\n", OK},
     PROBE_GOOD,
     true,
     EHLO "QUIT|",
     "answers"},
    {"closed at QUIT",
     HANG_UP,
     false,
     {"220 a\r\n", OK},
     PROBE_GOOD,
     true,
     EHLO "QUIT|",
     "answers"},
    {"rcpt",
     WHOLE,
     true,
     {"220 a\r\n", OK, "250 ok\r\n", "250 ok\r\n", "221 bye\r\n"},
     PROBE_GOOD,
     true,
     EHLO OVER "QUIT|",
     "answers: 250 ok"},
    {"rcpt byte by byte",
     BYTES,
     true,
     {"220 a\r\n", OK, "250 ok\r\n", "250 ok\r\n", "221 bye\r\n"},
     PROBE_GOOD,
     true,
     EHLO OVER "QUIT|",
     ""},
    {"rcpt refused",
     WHOLE,
     true,
     {"220 a\r\n", OK, "250 ok\r\n", "550 no\r\n", "221 bye\r\n"},
     PROBE_GOOD,
     true,
     EHLO OVER "QUIT|",
     "550"},
    {"rcpt answered 421",
     WHOLE,
     true,
     {"220 a\r\n", OK, "250 ok\r\n", "421 no\r\n", "221 bye\r\n"},
     PROBE_BAD_REPLY,
     true,
     EHLO OVER "QUIT|",
     "421"},
    {"MAIL refused",
     WHOLE,
     true,
     {"220 a\r\n", OK, "550 no\r\n", "221 bye\r\n"},
     PROBE_GOOD,
     true,
     EHLO "MAIL FROM:<>|QUIT|",
     "550"},
    {"MAIL answered 421",
     WHOLE,
     true,
     {"220 a\r\n", OK, "421 no\r\n", "221 bye\r\n"},
     PROBE_BAD_REPLY,
     true,
     EHLO "MAIL FROM:<>|QUIT|",
     "421"},
    {"EHLO refused, rcpt",
     WHOLE,
     true,
     {"220 a\r\n", "502 what\r\n", "221 bye\r\n"},
     PROBE_GOOD,
     false,
     EHLO "QUIT|",
     "502"},
    {"EHLO not answered, rcpt", WHOLE, true, {"220 a\r\n"}, PROBE_SILENT, false, EHLO, "in time"},
    {"rcpt not answered",
     WHOLE,
     true,
     {"220 a\r\n", OK, "250 ok\r\n"},
     PROBE_SILENT,
     true,
     EHLO OVER,
     "in time"},
    {"closed at rcpt",
     HANG_UP,
     true,
     {"220 a\r\n", OK, "250 ok\r\n"},
     PROBE_CLOSED,
     true,
     EHLO OVER,
     "closes"},
};

static struct event_base *base;
static struct evconnlistener *listener;
static struct probe_options options;
static const struct script *script;
static struct bufferevent *server; /* one connection at a time */
static struct event *trickle;
static size_t lines;
static char heard[512], unsaid[64 * 1024];
static bool ended, server_gone;
static struct {
    enum probe_result result;
    bool said_ehlo;
    int32_t ms;
    char detail[256];
} got;

static void server_close(void)
{
    if (server)
        bufferevent_free(server);
    server = NULL;
    server_gone = true;
}

static bool says_more(void)
{
    for (size_t i = lines; i < sizeof script->say / sizeof *script->say; i++)
        if (script->say[i])
            return true;
    return false;
}

static void on_written(struct bufferevent *bev, void *arg)
{
    (void)arg;
    if (bev == server && script->how == CLOSE && !says_more())
        server_close();
}

static void say_next(void)
{
    const char *text = lines < 6 ? script->say[lines] : NULL;
    lines++;
    if (!text)
        text = "";
    if (script->how == BYTES) {
        const struct timeval soon = {0};
        strcat(unsaid, text);
        evtimer_add(trickle, &soon);
        return;
    }
    evbuffer_add(bufferevent_get_output(server), text, strlen(text));
    if (!*text && lines == 1)
        on_written(server, NULL);
}

static void on_trickle(evutil_socket_t fd, short what, void *arg)
{
    const struct timeval soon = {.tv_usec = 200};
    (void)fd, (void)what, (void)arg;
    if (!server || !unsaid[0])
        return;
    evbuffer_add(bufferevent_get_output(server), unsaid, 1);
    memmove(unsaid, unsaid + 1, strlen(unsaid));
    evtimer_add(trickle, &soon);
}

static void on_line(struct bufferevent *bev, void *arg)
{
    char *line;
    (void)arg;
    while (bev == server &&
           (line = evbuffer_readln(bufferevent_get_input(bev), NULL, EVBUFFER_EOL_CRLF_STRICT))) {
        snprintf(heard + strlen(heard), sizeof heard - strlen(heard), "%s|", line);
        free(line);
        if (script->how == HANG_UP && !says_more())
            server_close();
        else
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
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    server = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(server, on_line, on_written, on_gone, NULL);
    bufferevent_enable(server, EV_READ | EV_WRITE);
    say_next();
}

static int setup(void **state)
{
    struct sockaddr_storage local;
    socklen_t length = sizeof local;
    (void)state;
    options = (struct probe_options){
        .timeout = 150, .nonce = "0123456789abcdef0123456789abcdef", .node = "mx2.example.com"};
    net_addr_parse("127.0.0.1", &options.addr);
    int size = (int)net_addr_sockaddr(&options.addr, 0, &local);
    base = event_base_new();
    trickle = evtimer_new(base, on_trickle, NULL);
    listener =
        evconnlistener_new_bind(base, on_accept, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE,
                                -1, (struct sockaddr *)&local, size);
    if (!listener ||
        getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&local, &length))
        return -1;
    options.port = ntohs(((struct sockaddr_in *)&local)->sin_port);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    server_close();
    evconnlistener_free(listener);
    event_free(trickle);
    event_base_free(base);
    return 0;
}

static void on_done(void *arg, enum probe_result result, bool said_ehlo, int32_t ms,
                    const char *detail)
{
    (void)arg;
    assert_false(ended);
    ended = true;
    got.result = result;
    got.said_ehlo = said_ehlo;
    got.ms = ms;
    snprintf(got.detail, sizeof got.detail, "%s", detail);
}

static void run(const struct script *chosen)
{
    script = chosen;
    lines = 0;
    heard[0] = unsaid[0] = '\0';
    ended = server_gone = false;
    struct probe *probe = probe_start(base, &options, on_done, NULL);
    assert_non_null(probe);
    assert_false(ended);
    while (!ended || (server && !server_gone))
        event_base_loop(base, EVLOOP_ONCE);
}

static void script_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scripts / sizeof scripts[0]; i++) {
        const struct script *s = &scripts[i];
        options.timeout = strstr(s->detail, "in time") ? 100 : 5000; /* where it is waited for */
        options.rcpt_domain = s->rcpt ? "example.com" : NULL;
        run(s);
        if (got.result != s->result || got.said_ehlo != s->said_ehlo || strcmp(heard, s->heard) ||
            !strstr(got.detail, s->detail))
            fail_msg("%s: %s, EHLO %d, heard \"%s\", detail \"%s\"", s->label,
                     probe_result_name(got.result), got.said_ehlo, heard, got.detail);
        if (got.ms < 0 || got.ms > 1000)
            fail_msg("%s: %d ms", s->label, got.ms);
    }
}

/* What may be sent, and what comes of more: a line without end, and lines without end. */
static void too_much(void **state)
{
    (void)state;
    static char giant[40000], endless[40004] = "220 a\r\n";
    struct script s = {.label = "giant line", .say = {giant}};
    memset(giant, 'a', sizeof giant - 1);
    memcpy(giant, "220 ", 4);
    run(&s);
    assert_int_equal(got.result, PROBE_BAD_REPLY);
    assert_string_equal(heard, "");
    strcpy(giant, "220 a\r\n");
    for (size_t used = 0; used + 8 < sizeof endless; used += 7)
        memcpy(endless + used, "250-x\r\n", 8);
    s.say[1] = endless;
    run(&s);
    assert_int_equal(got.result, PROBE_GOOD); /* alive, and never said that EHLO was done */
    assert_false(got.said_ehlo);
    assert_string_equal(heard, EHLO);
}

static void nobody_listens(void **state)
{
    (void)state;
    evconnlistener_disable(listener);
    close(evconnlistener_get_fd(listener)); /* what the port was is free now */
    struct script s = {.label = "refused"};
    run(&s);
    assert_int_equal(got.result, PROBE_REFUSED);
    assert_string_equal(got.detail, "Connection refused");
}

static void source(void **state)
{
    (void)state;
    net_addr_parse("127.0.0.2", &options.source);
    run(&scripts[0]);
    assert_int_equal(got.result, PROBE_GOOD);
    net_addr_parse("192.0.2.1", &options.source); /* none of this host's */
    run(&scripts[0]);
    assert_int_equal(got.result, PROBE_LOCAL);
    net_addr_parse("2001:db8::1", &options.source); /* of the other family: not used */
    run(&scripts[0]);
    assert_int_equal(got.result, PROBE_GOOD);
}

static void no_descriptors(void **state)
{
    (void)state;
    struct rlimit old, none;
    getrlimit(RLIMIT_NOFILE, &old);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = old.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    script = &scripts[0];
    ended = false;
    struct probe *probe = probe_start(base, &options, on_done, NULL);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_non_null(probe);
    assert_false(ended);
    while (!ended)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(got.result, PROBE_LOCAL);
}

static void stopped(void **state)
{
    (void)state;
    script = &scripts[0];
    lines = 0;
    ended = server_gone = false;
    struct probe *probe = probe_start(base, &options, on_done, NULL);
    while (!server)
        event_base_loop(base, EVLOOP_ONCE);
    probe_stop(probe);
    while (!server_gone)
        event_base_loop(base, EVLOOP_ONCE);
    probe_stop(NULL);
    probe_stop(probe_start(base, &options, on_done, NULL));
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_false(ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(script_table, setup, teardown),
        cmocka_unit_test_setup_teardown(too_much, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_listens, setup, teardown),
        cmocka_unit_test_setup_teardown(source, setup, teardown),
        cmocka_unit_test_setup_teardown(no_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(stopped, setup, teardown),
    };

    return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
