/*
 * For the tests of the Redis files: a real redis-server on a unix socket in a folder of its own,
 * a scripted one in this process for what a real one cannot be made to say, a DNS that knows one
 * host, and waiting for conditions on a loop.
 */
#ifndef TESTS_UNIT_REDISBOX_H
#define TESTS_UNIT_REDISBOX_H

#include "cache/clock.h"
#include "cache/dns.h"
#include "cache/notice.h"
#include "tests/unit/scratch.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <glob.h>
#include <hiredis/hiredis.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define MAYBE_UNUSED __attribute__((unused))

/* Waiting. */

static MAYBE_UNUSED void box_nothing(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what, (void)arg;
}

/* Runs the loop until is() or the time is over; returns is(). */
static MAYBE_UNUSED bool box_wait(struct event_base *base, bool (*is)(void *), void *arg,
                                  int64_t limit)
{
    struct timeval tv = {.tv_usec = 5000};
    struct event *beat = event_new(base, -1, EV_PERSIST, box_nothing, NULL);
    int64_t end = clock_mono() + limit;
    bool done;

    event_add(beat, &tv);
    while (!(done = is(arg)) && clock_mono() < end)
        event_base_loop(base, EVLOOP_ONCE);
    event_free(beat);
    return done;
}

static MAYBE_UNUSED bool box_never(void *arg)
{
    (void)arg;
    return false;
}

/* What the notices said. */

struct box_notices {
    unsigned count[NOTICE_COUNT];
    char last[NOTICE_COUNT][160];
};

static MAYBE_UNUSED void box_note(void *arg, enum notice_kind kind, const char *detail)
{
    struct box_notices *notices = arg;

    notices->count[kind]++;
    snprintf(notices->last[kind], sizeof(notices->last[kind]), "%s", detail ? detail : "");
}

#ifndef BOX_OWN_DNS
/* In place of cache/dns.c: knows "redis.example.net" as 127.0.0.1, a turn of the loop later. */

struct dns {
    struct event_base *base;
};

struct dns_query {
    struct event *event;
    dns_host_done *done;
    void *arg;
    bool known;
};

static void box_host_found(evutil_socket_t fd, short what, void *arg)
{
    struct dns_query *query = arg;
    struct net_addr addr = {.family = NET_IPV4, .bytes = {127, 0, 0, 1}};

    (void)fd, (void)what;
    query->done(query->arg, &addr, query->known ? 1 : 0);
    event_free(query->event);
    free(query);
}

struct dns_query *dns_ask_host(struct dns *dns, const char *host, dns_host_done *done, void *arg)
{
    struct dns_query *query = calloc(1, sizeof(*query));

    query->done = done;
    query->arg = arg;
    query->known = !strcmp(host, "redis.example.net");
    query->event = event_new(dns->base, -1, 0, box_host_found, query);
    event_active(query->event, EV_TIMEOUT, 0);
    return query;
}

void dns_cancel(struct dns_query *query)
{
    event_free(query->event);
    free(query);
}

#endif /* BOX_OWN_DNS */

/* A real server. */

struct redisbox {
    char folder[64], path[96];
    pid_t pid;
};

static MAYBE_UNUSED const char *box_server(void)
{
    static char found[512];
    const char *given = getenv("REDIS_SERVER");
    char paths[4096], *rest = paths, *folder;

    if (given && *given)
        return access(given, X_OK) ? NULL : given;
    snprintf(paths, sizeof(paths), "%s", getenv("PATH") ? getenv("PATH") : "");
    while ((folder = strsep(&rest, ":"))) {
        snprintf(found, sizeof(found), "%s/redis-server", folder);
        if (!access(found, X_OK))
            return found;
    }
    return NULL;
}

/* To be called first in a test that needs one. */
#define BOX_NEEDS_SERVER()                                                                         \
    do {                                                                                           \
        if (!box_server()) {                                                                       \
            print_message("skipped: no redis-server (REDIS_SERVER, PATH)\n");                      \
            skip();                                                                                \
        }                                                                                          \
    } while (0)

static MAYBE_UNUSED redisContext *box_connect(const struct redisbox *box)
{
    struct timeval tv = {.tv_sec = 5};

    return redisConnectUnixWithTimeout(box->path, tv);
}

/* One command by another client, waited for; its answer as text. */
static MAYBE_UNUSED const char *box_say(const struct redisbox *box, const char *line)
{
    static char answer[256];
    redisContext *context = box_connect(box);
    redisReply *reply = NULL;

    snprintf(answer, sizeof(answer), "(not reached)");
    if (context && !context->err)
        reply = redisCommand(context, line);
    if (reply && reply->str)
        snprintf(answer, sizeof(answer), "%s", reply->str);
    else if (reply)
        snprintf(answer, sizeof(answer), "%lld", reply->integer);
    if (reply)
        freeReplyObject(reply);
    if (context)
        redisFree(context);
    return answer;
}

/* A server unpacked into a folder finds its libraries beside itself. In the child only. */
static MAYBE_UNUSED void box_find_libraries(void)
{
    char pattern[600];
    glob_t found;

    snprintf(pattern, sizeof(pattern), "%s", box_server());
    *strrchr(pattern, '/') = '\0';
    strcat(pattern, "/../lib/*-linux-gnu");
    if (!glob(pattern, 0, NULL, &found) && found.gl_pathc == 1)
        setenv("LD_LIBRARY_PATH", found.gl_pathv[0], 1);
}

static MAYBE_UNUSED void box_run(struct redisbox *box)
{
    struct timespec pause = {.tv_nsec = 5000000};

    box->pid = fork();
    assert_true(box->pid >= 0);
    if (!box->pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        box_find_libraries();
        execl(box_server(), "redis-server", "--port", "0", "--unixsocket", box->path, "--dir",
              box->folder, "--save", "", "--appendonly", "no", "--logfile", "/dev/null",
              (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 2000; i++) {
        if (!strcmp(box_say(box, "PING"), "PONG"))
            return;
        nanosleep(&pause, NULL);
    }
    fail_msg("redis-server does not answer");
}

static MAYBE_UNUSED void box_open(struct redisbox *box)
{
    assert_true(scratch_folder(box->folder, sizeof(box->folder)));
    snprintf(box->path, sizeof(box->path), "%s/s", box->folder);
    box_run(box);
}

static MAYBE_UNUSED void box_kill(struct redisbox *box)
{
    kill(box->pid, SIGKILL);
    waitpid(box->pid, NULL, 0);
    box->pid = 0;
    unlink(box->path);
}

static MAYBE_UNUSED void box_close(struct redisbox *box)
{
    if (box->pid)
        box_kill(box);
    rmdir(box->folder);
}

/* A scripted server: each command is looked up by its first words, its rule's bytes are the
 * answer; NULL answers nothing. Its first rules win, so a test's come before the stock ones. */

struct fake_rule {
    const char *command; /* "GET", "CLIENT ID" */
    const char *answer;
    size_t length; /* 0: strlen */
};

struct fake {
    struct event_base *base;
    struct evconnlistener *listener;
    char folder[64], path[96];
    uint16_t port; /* when on TCP */
    const struct fake_rule *rule;
    size_t rules;
    const char *greeting; /* said at connect */
    bool by_bytes;        /* answers go out byte by byte */
    unsigned connections; /* so far */
    struct bufferevent *last;
    struct {
        struct bufferevent *socket;
        redisReader *reader;
    } peer[64];
};

#define FAKE_INFO "$51\r\nrun_id:abc\r\nredis_mode:standalone\r\nevicted_keys:3\r\n\r\n"

static const struct fake_rule fake_stock[] = {
    {"AUTH", "+OK\r\n", 0},
    {"SELECT", "+OK\r\n", 0},
    {"INFO", FAKE_INFO, 0},
    {"ROLE", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n", 0},
    {"TIME", "*2\r\n$10\r\n1700000000\r\n$6\r\n500000\r\n", 0},
    {"CLIENT ID", ":7\r\n", 0},
    {"CLIENT TRACKING", "+OK\r\n", 0},
    {"SUBSCRIBE", "*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n", 0},
};

static const struct fake_rule *fake_find(const struct fake_rule *rule, size_t count,
                                         const char *command)
{
    for (size_t i = 0; i < count; i++) {
        if (!strncasecmp(command, rule[i].command, strlen(rule[i].command)))
            return &rule[i];
    }
    return NULL;
}

static void fake_answer(struct fake *fake, struct bufferevent *socket, const redisReply *reply)
{
    const struct fake_rule *rule;
    char command[256] = "";

    for (size_t i = 0; i < reply->elements && i < 4; i++)
        snprintf(command + strlen(command), sizeof(command) - strlen(command), "%s%.60s",
                 i ? " " : "", reply->element[i]->str);
    rule = fake_find(fake->rule, fake->rules, command);
    if (!rule)
        rule = fake_find(fake_stock, sizeof(fake_stock) / sizeof(fake_stock[0]), command);
    if (!rule)
        bufferevent_write(socket, "+OK\r\n", 5);
    else if (rule->answer)
        bufferevent_write(socket, rule->answer, rule->length ? rule->length : strlen(rule->answer));
}

static void fake_read(struct bufferevent *socket, void *arg)
{
    struct fake *fake = arg;
    struct evbuffer *input = bufferevent_get_input(socket);
    size_t length = evbuffer_get_length(input), i = 0;
    void *reply;

    while (i < 64 && fake->peer[i].socket != socket)
        i++;
    redisReaderFeed(fake->peer[i].reader, (char *)evbuffer_pullup(input, -1), length);
    evbuffer_drain(input, length);
    while (redisReaderGetReply(fake->peer[i].reader, &reply) == REDIS_OK && reply) {
        fake_answer(fake, socket, reply);
        freeReplyObject(reply);
    }
}

static void fake_forget(struct fake *fake, size_t i)
{
    if (!fake->peer[i].socket)
        return;
    bufferevent_free(fake->peer[i].socket);
    redisReaderFree(fake->peer[i].reader);
    fake->peer[i].socket = NULL;
}

static void fake_event(struct bufferevent *socket, short what, void *arg)
{
    struct fake *fake = arg;

    if (!(what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)))
        return;
    for (size_t i = 0; i < 64; i++) {
        if (fake->peer[i].socket == socket)
            fake_forget(fake, i);
    }
    if (fake->last == socket)
        fake->last = NULL;
}

static void fake_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa,
                        int length, void *arg)
{
    struct fake *fake = arg;
    size_t i = 0;

    (void)listener, (void)sa, (void)length;
    while (i < 64 && fake->peer[i].socket)
        i++;
    assert_true(i < 64);
    fake->connections++;
    fake->peer[i].socket = bufferevent_socket_new(fake->base, fd, BEV_OPT_CLOSE_ON_FREE);
    fake->peer[i].reader = redisReaderCreate();
    fake->last = fake->peer[i].socket;
    bufferevent_setcb(fake->last, fake_read, NULL, fake_event, fake);
    bufferevent_enable(fake->last, EV_READ | EV_WRITE);
    if (fake->by_bytes)
        bufferevent_set_max_single_write(fake->last, 1);
    if (fake->greeting)
        bufferevent_write(fake->last, fake->greeting, strlen(fake->greeting));
}

static MAYBE_UNUSED void fake_open(struct fake *fake, struct event_base *base)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    memset(fake, 0, sizeof(*fake));
    fake->base = base;
    assert_true(scratch_folder(fake->folder, sizeof(fake->folder)));
    snprintf(fake->path, sizeof(fake->path), "%s/s", fake->folder);
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", fake->path);
    fake->listener = evconnlistener_new_bind(base, fake_accept, fake, LEV_OPT_CLOSE_ON_FREE, 16,
                                             (struct sockaddr *)&un, sizeof(un));
    assert_non_null(fake->listener);
}

static MAYBE_UNUSED void fake_open_tcp(struct fake *fake, struct event_base *base)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t length = sizeof(in);

    memset(fake, 0, sizeof(*fake));
    fake->base = base;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fake->listener = evconnlistener_new_bind(base, fake_accept, fake, LEV_OPT_CLOSE_ON_FREE, 16,
                                             (struct sockaddr *)&in, sizeof(in));
    assert_non_null(fake->listener);
    getsockname(evconnlistener_get_fd(fake->listener), (struct sockaddr *)&in, &length);
    fake->port = ntohs(in.sin_port);
}

static MAYBE_UNUSED void fake_close(struct fake *fake)
{
    evconnlistener_free(fake->listener);
    for (size_t i = 0; i < 64; i++)
        fake_forget(fake, i);
    if (fake->folder[0]) {
        unlink(fake->path);
        rmdir(fake->folder);
    }
}

#endif
