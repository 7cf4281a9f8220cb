/*
 * milter/asker.c and milter/wire.c against a service that misbehaves on demand, in a thread of its
 * own. Deadlines are short here; what is measured is that they hold, not how long they are.
 */
#include "milter/asker.h"

#include "cache/clock.h"
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    ASK_MS = 300,
    SLACK_MS = 2000, /* what a busy machine may add */
    PEERS_MAX = 128,
};

/* What the service does with a whole request. */
enum service_mode {
    SERVICE_ECHO,  /* action=<the request's first line> */
    SERVICE_MUTE,  /* reads, and answers nothing until it is in another mode */
    SERVICE_CLOSE, /* closes */
    SERVICE_BYTES, /* sends service->bytes as they are */
    SERVICE_SPLIT, /* echoes, a byte a write */
};

struct service {
    char path[80];
    pthread_t thread;
    int listener, wake[2];
    atomic_int mode, requests, connections;
    _Atomic(const char *) bytes;
    struct {
        int fd;
        size_t used;
        char data[65536];
    } peer[PEERS_MAX];
};

static void say(int fd, const char *bytes, size_t length)
{
    (void)!write(fd, bytes, length);
}

static void service_echo(int fd, const char *request, bool split)
{
    char reply[256];
    int length =
        snprintf(reply, sizeof reply, "action=%.*s\n\n", (int)strcspn(request, "\n"), request);
    for (int i = 0; split && i < length; i++)
        say(fd, reply + i, 1);
    if (!split)
        say(fd, reply, (size_t)length);
}

/* Serves what peer i has sent; false: it is closed now. */
static bool service_serve(struct service *service, int i)
{
    char *end;
    for (;;) {
        int mode = atomic_load(&service->mode);
        service->peer[i].data[service->peer[i].used] = '\0';
        if (mode == SERVICE_MUTE || !(end = strstr(service->peer[i].data, "\n\n")))
            return true;
        atomic_fetch_add(&service->requests, 1);
        if (mode == SERVICE_CLOSE)
            return false;
        const char *bytes = atomic_load(&service->bytes);
        if (mode == SERVICE_BYTES)
            say(service->peer[i].fd, bytes, strlen(bytes));
        else
            service_echo(service->peer[i].fd, service->peer[i].data, mode == SERVICE_SPLIT);
        size_t used = (size_t)(end + 2 - service->peer[i].data);
        service->peer[i].used -= used;
        memmove(service->peer[i].data, end + 2, service->peer[i].used);
    }
}

static void service_accept(struct service *service)
{
    int fd = accept(service->listener, NULL, NULL);
    for (int i = 0; i < PEERS_MAX && fd >= 0; i++) {
        if (service->peer[i].fd < 0) {
            service->peer[i].fd = fd;
            service->peer[i].used = 0;
            atomic_fetch_add(&service->connections, 1);
            return;
        }
    }
    abort();
}

static void service_read(struct service *service, int i, bool readable)
{
    if (readable) {
        ssize_t got = read(service->peer[i].fd, service->peer[i].data + service->peer[i].used,
                           sizeof service->peer[i].data - 1 - service->peer[i].used);
        service->peer[i].used += got > 0 ? (size_t)got : 0;
        if (got > 0 && service_serve(service, i))
            return;
    } else if (service_serve(service, i)) {
        return;
    }
    close(service->peer[i].fd);
    service->peer[i].fd = -1;
}

/* A byte on wake makes it look at its mode again; its end stops it. */
static void *service_run(void *arg)
{
    struct service *service = arg;
    for (;;) {
        struct pollfd slot[PEERS_MAX + 2] = {{service->wake[0], POLLIN, 0},
                                             {service->listener, POLLIN, 0}};
        for (int i = 0; i < PEERS_MAX; i++)
            slot[i + 2] = (struct pollfd){service->peer[i].fd, POLLIN, 0};
        if (poll(slot, PEERS_MAX + 2, -1) < 0)
            continue;
        char byte;
        bool woken = slot[0].revents != 0;
        if (woken && read(service->wake[0], &byte, 1) <= 0)
            return NULL;
        for (int i = 0; i < PEERS_MAX; i++)
            if (slot[i + 2].fd >= 0 && (woken || slot[i + 2].revents))
                service_read(service, i, slot[i + 2].revents != 0);
        if (slot[1].revents)
            service_accept(service);
    }
}

static struct sockaddr_un service_address(const struct service *service)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, service->path, sizeof service->path);
    return address;
}

static void service_start(struct service *service, int mode)
{
    struct sockaddr_un address = service_address(service);
    for (int i = 0; i < PEERS_MAX; i++)
        service->peer[i].fd = -1;
    atomic_store(&service->mode, mode);
    service->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(service->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(service->listener, 128), 0);
    assert_int_equal(pipe(service->wake), 0);
    assert_int_equal(pthread_create(&service->thread, NULL, service_run, service), 0);
}

static void service_set(struct service *service, int mode)
{
    atomic_store(&service->mode, mode);
    say(service->wake[1], "", 1);
}

/* As a kill does: everything it held is closed, and the path stays. */
static void service_kill(struct service *service)
{
    close(service->wake[1]);
    pthread_join(service->thread, NULL);
    close(service->wake[0]);
    close(service->listener);
    for (int i = 0; i < PEERS_MAX; i++)
        if (service->peer[i].fd >= 0)
            close(service->peer[i].fd);
}

/* ---- The world of one test ---- */

struct world {
    char folder[64];
    struct service service;
    struct asker *asker;
};

static atomic_int notices[ASKER_BACK + 1];

static void notice(enum asker_notice which)
{
    atomic_fetch_add(&notices[which], 1);
}

static struct asker_config world_config(const struct world *world)
{
    struct asker_config config;
    struct sockaddr_un address = service_address(&world->service);
    asker_defaults(&config);
    memcpy(&config.to, &address, sizeof address);
    config.to_length = sizeof address;
    config.ask_ms = ASK_MS;
    config.tell_ms = 100;
    config.refused_ms = 20;
    config.silent_ms = 200;
    config.silent_max_ms = 400;
    config.notice = notice;
    return config;
}

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    assert_true(scratch_folder(world->folder, sizeof world->folder));
    snprintf(world->service.path, sizeof world->service.path, "%s/s", world->folder);
    struct asker_config config = world_config(world);
    world->asker = asker_new(&config);
    assert_non_null(world->asker);
    memset(notices, 0, sizeof notices);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    asker_free(world->asker);
    unlink(world->service.path);
    rmdir(world->folder);
    free(world);
    return 0;
}

/* Asks for text, and says whether the answer is that. */
static bool echoes(struct world *world, const char *text)
{
    char request[128], action[128];
    int length = snprintf(request, sizeof request, "%s\n\n", text);
    bool answered = asker_ask(world->asker, request, (size_t)length, action, sizeof action);
    assert_true(answered || action[0] == '\0');
    if (answered)
        assert_string_equal(action, text);
    return answered;
}

static bool tells(struct world *world, const char *text)
{
    char request[128];
    int length = snprintf(request, sizeof request, "%s\n\n", text);
    return asker_tell(world->asker, request, (size_t)length);
}

/* ---- Tests ---- */

static void one_connection_for_many(void **state)
{
    struct world *world = *state;
    service_start(&world->service, SERVICE_ECHO);
    for (int i = 0; i < 50; i++) {
        char text[16];
        snprintf(text, sizeof text, "q=%d", i);
        assert_true(echoes(world, text));
    }
    assert_int_equal(world->service.connections, 1);
    service_kill(&world->service);
}

static void split_replies(void **state)
{
    struct world *world = *state;
    service_start(&world->service, SERVICE_SPLIT);
    for (int i = 0; i < 5; i++)
        assert_true(echoes(world, "a=b"));
    service_kill(&world->service);
}

/* The replies of what was told are taken off, and never given to who asks next. */
static void told_replies_are_skipped(void **state)
{
    struct world *world = *state;
    service_start(&world->service, SERVICE_ECHO);
    for (int i = 0; i < 200; i++) {
        assert_true(tells(world, "told=1"));
        if (i % 3 == 0)
            assert_true(echoes(world, "asked=1"));
    }
    assert_true(echoes(world, "asked=2"));
    assert_in_range(world->service.connections, 1, 70);
    service_kill(&world->service);
}

static void broken_replies(void **state)
{
    static const char *const bytes[] = {
        "action\n\n",
        "verdict=DUNNO\n\n",
        "action=DUNNO\nmore=1\n\n",
        "action=DUNNO\naction=DUNNO\n\n",
        "\n",
        "action=DUNNO\n\naction=REJECT\n\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    };
    struct world *world = *state;
    service_start(&world->service, SERVICE_BYTES);
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++) {
        char action[64] = "left over";
        atomic_store(&world->service.bytes, bytes[i]);
        service_set(&world->service, SERVICE_BYTES);
        if (asker_ask(world->asker, "a=b\n\n", 5, action, sizeof action))
            fail_msg("%s: believed", bytes[i]);
        assert_string_equal(action, "");
    }
    service_set(&world->service, SERVICE_ECHO);
    assert_true(echoes(world, "a=b"));
    assert_int_equal(notices[ASKER_AWAY_REFUSED] + notices[ASKER_AWAY_SILENT], 0);
    service_kill(&world->service);
}

static void a_reply_without_end(void **state)
{
    struct world *world = *state;
    char *endless = malloc(9000), action[64];
    assert_non_null(endless);
    memset(endless, 'x', 8999);
    memcpy(endless, "action=", 7);
    endless[8999] = '\0';
    atomic_store(&world->service.bytes, endless);
    service_start(&world->service, SERVICE_BYTES);
    assert_false(asker_ask(world->asker, "a=b\n\n", 5, action, sizeof action));
    service_kill(&world->service);
    free(endless);
}

/* A pooled connection that died is found out, and costs no question its answer. */
static void restart_between_questions(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < 10; i++) {
        service_start(&world->service, SERVICE_ECHO);
        assert_true(echoes(world, "a=b"));
        assert_true(tells(world, "c=d"));
        service_kill(&world->service);
        unlink(world->service.path);
    }
    assert_int_equal(notices[ASKER_AWAY_REFUSED], 0);
}

static void closed_under_the_question(void **state)
{
    struct world *world = *state;
    service_start(&world->service, SERVICE_ECHO);
    assert_true(echoes(world, "a=b"));
    service_set(&world->service, SERVICE_CLOSE);
    assert_false(echoes(world, "a=b"));
    /* The pooled connection, and one more try. */
    assert_int_equal(world->service.connections, 2);
    assert_int_equal(world->service.requests, 3);
    service_set(&world->service, SERVICE_ECHO);
    assert_true(echoes(world, "a=b"));
    service_kill(&world->service);
}

static void nobody_there(void **state)
{
    struct world *world = *state;
    int64_t began = clock_mono();
    for (int i = 0; i < 1000; i++) {
        assert_false(echoes(world, "a=b"));
        assert_false(tells(world, "a=b"));
    }
    assert_in_range(clock_mono() - began, 0, SLACK_MS);
    assert_int_equal(notices[ASKER_AWAY_REFUSED], 1);
    service_start(&world->service, SERVICE_ECHO);
    for (began = clock_mono(); !echoes(world, "a=b");)
        assert_in_range(clock_mono() - began, 0, SLACK_MS);
    assert_int_equal(notices[ASKER_BACK], 1);
    service_kill(&world->service);
    assert_false(echoes(world, "a=b"));
    assert_int_equal(notices[ASKER_AWAY_REFUSED], 2);
}

/* The first question waits, the next ones do not; and a late answer brings it back at once, far
 * sooner than the next try is due. */
static void silent_service(void **state)
{
    struct world *world = *state;
    struct asker_config config = world_config(world);
    config.silent_ms = config.silent_max_ms = 3600 * 1000;
    asker_free(world->asker);
    world->asker = asker_new(&config);
    service_start(&world->service, SERVICE_MUTE);
    int64_t began = clock_mono();
    assert_false(echoes(world, "a=1"));
    assert_in_range(clock_mono() - began, ASK_MS, ASK_MS + SLACK_MS);
    began = clock_mono();
    for (int i = 0; i < 100; i++)
        assert_false(echoes(world, "a=2"));
    assert_in_range(clock_mono() - began, 0, SLACK_MS);
    assert_int_equal(notices[ASKER_AWAY_SILENT], 1);
    service_set(&world->service, SERVICE_ECHO);
    for (began = clock_mono(); !echoes(world, "a=3");)
        assert_in_range(clock_mono() - began, 0, SLACK_MS);
    assert_int_equal(notices[ASKER_BACK], 1);
    service_kill(&world->service);
}

/* Silent, then killed and started anew: the dead connection says so. */
static void silent_then_restarted(void **state)
{
    struct world *world = *state;
    struct asker_config config = world_config(world);
    config.silent_ms = config.silent_max_ms = 3600 * 1000;
    asker_free(world->asker);
    world->asker = asker_new(&config);
    service_start(&world->service, SERVICE_MUTE);
    assert_false(echoes(world, "a=1"));
    service_kill(&world->service);
    unlink(world->service.path);
    service_start(&world->service, SERVICE_ECHO);
    for (int64_t began = clock_mono(); !echoes(world, "a=3");)
        assert_in_range(clock_mono() - began, 0, SLACK_MS);
    service_kill(&world->service);
}

/* A reply that lay unread on another wire before the silence began does not end it. */
static void old_answers_are_no_sign_of_life(void **state)
{
    struct world *world = *state;
    struct asker_config config = world_config(world);
    config.silent_ms = config.silent_max_ms = 3600 * 1000;
    asker_free(world->asker);
    world->asker = asker_new(&config);
    service_start(&world->service, SERVICE_MUTE);
    assert_true(tells(world, "a=1"));
    assert_true(tells(world, "a=2"));
    service_set(&world->service, SERVICE_ECHO);
    while (atomic_load(&world->service.requests) < 2)
        sched_yield();
    service_set(&world->service, SERVICE_MUTE);
    assert_false(echoes(world, "a=3"));
    int64_t began = clock_mono();
    for (int i = 0; i < 100; i++)
        assert_false(echoes(world, "a=4"));
    assert_in_range(clock_mono() - began, 0, ASK_MS - 1);
    assert_int_equal(notices[ASKER_BACK], 0);
    service_kill(&world->service);
}

/* Tries go on, and none is answered with another's late reply. */
static void silent_tries(void **state)
{
    struct world *world = *state;
    service_start(&world->service, SERVICE_MUTE);
    int64_t began = clock_mono();
    while (clock_mono() - began < 1500)
        assert_false(echoes(world, "late=1"));
    service_set(&world->service, SERVICE_ECHO);
    for (began = clock_mono(); !echoes(world, "new=1");)
        assert_in_range(clock_mono() - began, 0, SLACK_MS);
    service_kill(&world->service);
}

struct worker {
    struct world *world;
    pthread_t thread;
    int id, answered;
};

static void *worker_run(void *arg)
{
    struct worker *worker = arg;
    for (int i = 0; i < 200; i++) {
        char request[64], wanted[32], action[64];
        snprintf(wanted, sizeof wanted, "q=%d.%d", worker->id, i);
        int length = snprintf(request, sizeof request, "%s\n\n", wanted);
        if (i % 4 == 0)
            asker_tell(worker->world->asker, "told=1\n\n", 8);
        if (asker_ask(worker->world->asker, request, (size_t)length, action, sizeof action))
            worker->answered += strcmp(action, wanted) ? -1000000 : 1;
    }
    return NULL;
}

static int workers_run(struct world *world, int count, bool restart)
{
    struct worker workers[32];
    int answered = 0;
    for (int i = 0; i < count; i++) {
        workers[i] = (struct worker){.world = world, .id = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]), 0);
    }
    if (restart) {
        while (atomic_load(&world->service.requests) < count * 10)
            sched_yield();
        service_kill(&world->service);
        unlink(world->service.path);
        service_start(&world->service, SERVICE_ECHO);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        answered += workers[i].answered;
    }
    return answered;
}

/* Everyone gets his own answer, also when there are fewer wires than threads. */
static void many_threads(void **state)
{
    struct world *world = *state;
    struct asker_config config = world_config(world);
    config.ask_ms = 20000;
    config.tell_ms = 20000;
    config.wires_max = 8;
    config.idle_max = 4;
    asker_free(world->asker);
    world->asker = asker_new(&config);
    service_start(&world->service, SERVICE_ECHO);
    assert_int_equal(workers_run(world, 32, false), 32 * 200);
    assert_int_equal(notices[ASKER_AWAY_SILENT] + notices[ASKER_AWAY_REFUSED], 0);
    service_kill(&world->service);
}

/* A restart under load costs answers, but gives nobody a wrong one. */
static void restart_under_load(void **state)
{
    struct world *world = *state;
    service_start(&world->service, SERVICE_ECHO);
    assert_in_range(workers_run(world, 16, true), 1, 16 * 200);
    for (int64_t began = clock_mono(); !echoes(world, "a=b");)
        assert_in_range(clock_mono() - began, 0, SLACK_MS);
    service_kill(&world->service);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* the service writes to who may have gone */
    const struct CMUnitTest tests[] = {
        TEST(one_connection_for_many),
        TEST(split_replies),
        TEST(told_replies_are_skipped),
        TEST(broken_replies),
        TEST(a_reply_without_end),
        TEST(restart_between_questions),
        TEST(closed_under_the_question),
        TEST(nobody_there),
        TEST(silent_service),
        TEST(silent_then_restarted),
        TEST(old_answers_are_no_sign_of_life),
        TEST(silent_tries),
        TEST(many_threads),
        TEST(restart_under_load),
    };
    return cmocka_run_group_tests_name("asker", tests, NULL, NULL);
}
