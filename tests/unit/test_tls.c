/*
 * Redis over TLS: a real server with a certificate made for the test, the command connection and the
 * tracking one. Where this build has no TLS, that the configuration is told so is test_conf's.
 */
#include "cache/store.h"
#include "cache/tls.h"
#include "cache/track.h"

#include "tests/unit/redisbox.h"

enum { SOON = 5000 };

/* A certificate of its own authority for redis.example.net and 127.0.0.1, and another authority. */
#define MAKE                                                                                       \
    "cd %s && for ca in ca other; do openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "     \
    "/CN=$ca -keyout $ca.key -out $ca.pem; done 2>/dev/null && openssl req -newkey rsa:2048 "      \
    "-nodes -subj /CN=redis -keyout s.key -out s.csr 2>/dev/null && printf "                       \
    "'subjectAltName=DNS:redis.example.net,IP:127.0.0.1' > ext && openssl x509 -req -days 2 -in "  \
    "s.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile ext -out s.pem 2>/dev/null"

struct world {
    struct event_base *base;
    struct dns dns;
    struct clock clock;
    struct box_notices notices;
    struct notice notice;
    char folder[64];
    uint16_t port, plain;
    pid_t pid;
};

static uint16_t free_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t length = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    getsockname(fd, (struct sockaddr *)&in, &length);
    close(fd);
    return ntohs(in.sin_port);
}

static void run_server(struct world *world)
{
    char port[8], plain[8], file[3][96];
    static const char *const name[] = {"s.pem", "s.key", "ca.pem"};

    snprintf(port, sizeof(port), "%u", world->port);
    snprintf(plain, sizeof(plain), "%u", world->plain);
    for (int i = 0; i < 3; i++)
        snprintf(file[i], sizeof(file[i]), "%s/%s", world->folder, name[i]);
    world->pid = fork();
    assert_true(world->pid >= 0);
    if (world->pid)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    box_find_libraries();
    execl(box_server(), "redis-server", "--port", plain, "--tls-port", port, "--tls-cert-file",
          file[0], "--tls-key-file", file[1], "--tls-ca-cert-file", file[2], "--tls-auth-clients",
          "no", "--save", "", "--dir", world->folder, "--logfile", "/dev/null", (char *)NULL);
    _exit(127);
}

static void world_open(struct world *world)
{
    char command[1024];

    memset(world, 0, sizeof(*world));
    world->base = event_base_new();
    world->dns.base = world->base;
    world->notice = (struct notice){.hook = box_note, .arg = &world->notices};
    clock_init(&world->clock);
    assert_true(scratch_folder(world->folder, sizeof(world->folder)));
    snprintf(command, sizeof(command), MAKE, world->folder);
    assert_int_equal(system(command), 0);
    world->port = free_port();
    world->plain = free_port();
    run_server(world);
}

static void world_close(struct world *world)
{
    char command[128];

    kill(world->pid, SIGKILL);
    waitpid(world->pid, NULL, 0);
    snprintf(command, sizeof(command), "rm -rf %s", world->folder);
    assert_int_equal(system(command), 0);
    event_base_free(world->base);
}

/* host, and whom the client trusts. */
static const struct {
    const char *label, *host, *trusted;
    bool plain; /* the server's port without TLS */
    bool up;
} rows[] = {
    {"by name", "redis.example.net", "ca.pem", false, true},
    {"by address", "127.0.0.1", "ca.pem", false, true},
    {"another authority", "redis.example.net", "other.pem", false, false},
    {"another address", "127.0.0.2", "ca.pem", false, false},
    {"a server without TLS", "127.0.0.1", "ca.pem", true, false},
};

struct pair {
    struct store *store;
    struct track *track;
    struct box_notices *notices;
};

static bool is_settled(void *arg)
{
    struct pair *pair = arg;

    return (store_is_up(pair->store) && track_is_up(pair->track)) ||
           (pair->notices->count[NOTICE_REDIS_DOWN] && pair->notices->count[NOTICE_TRACK_DOWN]);
}

static bool is_both_up(void *arg)
{
    struct pair *pair = arg;

    return store_is_up(pair->store) && track_is_up(pair->track);
}

static void play(struct world *world, size_t i)
{
    static const char *const prefix[] = {"mxw1:mx:"};
    const struct track_hooks hooks = {0};
    struct store_options server = {.host = rows[i].host,
                                   .port = rows[i].plain ? world->plain : world->port,
                                   .tls = true,
                                   .user = "",
                                   .password = "",
                                   .timeout = 1000};
    struct track_options track = {.server = server,
                                  .prefix = prefix,
                                  .prefix_count = 1,
                                  .heartbeat = "mxw1:node:a",
                                  .quiet = 60000};
    struct pair pair = {.notices = &world->notices};
    char trusted[96];

    snprintf(trusted, sizeof(trusted), "%s/%s", world->folder, rows[i].trusted);
    setenv("SSL_CERT_FILE", trusted, 1);
    memset(&world->notices, 0, sizeof(world->notices));
    pair.store = store_new(world->base, &server, &world->clock, &world->dns, &world->notice);
    pair.track = track_new(world->base, &track, &world->dns, &hooks, &world->notice);
    assert_non_null(pair.store);
    assert_non_null(pair.track);
    assert_true(box_wait(world->base, rows[i].up ? is_both_up : is_settled, &pair, SOON));
    if (!rows[i].up)
        box_wait(world->base, is_both_up, &pair, 300);
    assert_int_equal(store_is_up(pair.store), rows[i].up);
    assert_int_equal(track_is_up(pair.track), rows[i].up);
    if (!rows[i].up)
        print_message("    %s; %s\n", world->notices.last[NOTICE_REDIS_DOWN],
                      world->notices.last[NOTICE_TRACK_DOWN]);
    track_free(pair.track);
    store_free(pair.store);
}

static void test_rows(void **state)
{
    struct world world;

    (void)state;
    BOX_NEEDS_SERVER();
    if (!MXW_HAS_TLS) {
        assert_null(tls_new());
        return;
    }
    world_open(&world);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("  %s\n", rows[i].label);
        play(&world, i);
    }
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("tls", tests, NULL, NULL);
}
