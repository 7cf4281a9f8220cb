/*
 * The Sentinels: scripted ones for every answer that may come, and a store and a tracking connection
 * that follow them from one scripted Redis to another. Real ones are in the lab.
 */
#include "cache/sentinel.h"

#include "cache/store.h"
#include "cache/track.h"
#include "tests/unit/redisbox.h"

enum { SOON = 3000 };

/* "+switch-master" texts about the master "main". */

static const struct {
    const char *label, *text, *host; /* NULL: none of ours */
    uint16_t port;
} switches[] = {
    {"ours", "main 192.0.2.1 6379 192.0.2.2 6380", "[192.0.2.2]", 6380},
    {"IPv6", "main 2001:db8::1 6379 2001:db8::2 6379", "[2001:db8::2]", 6379},
    {"mapped IPv4", "main ::1 1 ::ffff:192.0.2.2 6379", "[192.0.2.2]", 6379},
    {"a name", "main r1.example.net 6379 R2.Example.NET 6379", "r2.example.net", 6379},
    {"another's", "other 192.0.2.1 6379 192.0.2.2 6379", NULL, 0},
    {"ours in other letters", "MAIN 192.0.2.1 6379 192.0.2.2 6379", NULL, 0},
    {"four words", "main 192.0.2.1 6379 192.0.2.2", NULL, 0},
    {"six words", "main 192.0.2.1 6379 192.0.2.2 6379 x", NULL, 0},
    {"two spaces", "main 192.0.2.1 6379  192.0.2.2 6379", NULL, 0},
    {"port 0", "main 192.0.2.1 6379 192.0.2.2 0", NULL, 0},
    {"port too large", "main 192.0.2.1 6379 192.0.2.2 65536", NULL, 0},
    {"port far too large", "main 192.0.2.1 6379 192.0.2.2 4294973675", NULL, 0},
    {"port negative", "main 192.0.2.1 6379 192.0.2.2 -1", NULL, 0},
    {"port of letters", "main 192.0.2.1 6379 192.0.2.2 x", NULL, 0},
    {"no port", "main 192.0.2.1 6379 192.0.2.2 ", NULL, 0},
    {"no host", "main 192.0.2.1 6379  6379", NULL, 0},
    {"a path", "main 192.0.2.1 6379 /run/redis.sock 6379", NULL, 0},
    {"host with a port", "main 192.0.2.1 6379 192.0.2.2:1 6379", NULL, 0},
    {"odd characters", "main 192.0.2.1 6379 a\001b 6379", NULL, 0},
    {"empty", "", NULL, 0},
};

static void test_switches(void **state)
{
    char giant[4096];
    struct sentinel_master master;

    (void)state;
    for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++) {
        bool ours;

        print_message("  %s\n", switches[i].label);
        ours = sentinel_parse_switch(switches[i].text, "main", &master);
        assert_int_equal(ours, switches[i].host != NULL);
        assert_string_equal(master.host, switches[i].host ? switches[i].host : "");
        assert_int_equal(master.port, switches[i].port);
    }
    memset(giant, 'a', sizeof(giant));
    giant[sizeof(giant) - 1] = '\0';
    assert_false(sentinel_parse_switch(giant, "main", &master));
    memcpy(giant, "main a 1 ", 9);
    memcpy(giant + 500, " 6379", 6);
    assert_false(sentinel_parse_switch(giant, "main", &master));
}

/* One asker and up to three scripted Sentinels. */

struct world {
    struct event_base *base;
    struct dns dns;
    struct box_notices notices;
    struct notice notice;
    struct sentinel *sentinel;
    struct sentinel_asker asker;
    struct fake fake[3];
    size_t fakes;
    unsigned founds, nones, moves;
    struct sentinel_master found, moved;
    const char *user, *password;
};

static void on_found(void *arg, const struct sentinel_master *master)
{
    struct world *world = arg;

    master ? world->founds++ : world->nones++;
    if (master)
        world->found = *master;
}

static void on_moved(void *arg, const struct sentinel_master *master)
{
    struct world *world = arg;

    world->moves++;
    world->moved = *master;
}

static void world_open(struct world *world, size_t fakes)
{
    memset(world, 0, sizeof(*world));
    world->base = event_base_new();
    world->dns.base = world->base;
    world->notice = (struct notice){.hook = box_note, .arg = &world->notices};
    world->user = world->password = "";
    for (world->fakes = 0; world->fakes < fakes; world->fakes++)
        fake_open_tcp(&world->fake[world->fakes], world->base);
}

static void world_start(struct world *world)
{
    struct sentinel_options options = {.user = world->user, .password = world->password};
    char list[256] = "";

    for (size_t i = 0; i < world->fakes; i++)
        snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s127.0.0.1:%u", i ? "," : "",
                 world->fake[i].port);
    strcat(list, "/main");
    options.list = list;
    world->sentinel = sentinel_new(world->base, &options, &world->dns, &world->notice);
    assert_non_null(world->sentinel);
    world->asker = (struct sentinel_asker){.found = on_found, .moved = on_moved, .arg = world};
    sentinel_join(world->sentinel, &world->asker);
}

static void world_close(struct world *world)
{
    sentinel_leave(&world->asker);
    sentinel_free(world->sentinel);
    for (size_t i = 0; i < world->fakes; i++)
        fake_close(&world->fake[i]);
    event_base_free(world->base);
}

static bool is_told(void *arg)
{
    struct world *world = arg;

    return world->founds + world->nones > 0;
}

static bool is_moved(void *arg)
{
    return ((struct world *)arg)->moves > 0;
}

/* Asks, and waits for what comes: true where a master was named. */
static bool ask(struct world *world)
{
    world->founds = world->nones = 0;
    sentinel_ask(&world->asker);
    assert_int_equal(world->founds + world->nones, 0); /* never inside */
    assert_true(box_wait(world->base, is_told, world, SOON));
    assert_int_equal(world->founds + world->nones, 1);
    return world->founds == 1;
}

#define GET        "SENTINEL get-master-addr-by-name main"
#define ADDR(a, p) "*2\r\n$9\r\n" a "\r\n$4\r\n" p "\r\n"
#define SWITCHED   "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n"
#define SUBSCRIBED SWITCHED "*3\r\n$9\r\nsubscribe\r\n$15\r\n+promoted-slave\r\n:2\r\n"
#define PONG       "*2\r\n$4\r\npong\r\n$0\r\n\r\n"
#define SWITCH(text, length)                                                                       \
    "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$" length "\r\n" text "\r\n"

#define PROMOTION(name)                                                                            \
    "*3\r\n$7\r\nmessage\r\n$15\r\n+promoted-slave\r\n$60\r\n"                                     \
    "slave 192.0.2.3:6379 192.0.2.3 6379 @ " name " 192.0.2.1 6379   \r\n"

static const struct fake_rule good[] = {
    {GET, ADDR("192.0.2.1", "6379"), 0},
    {"SUBSCRIBE +switch-master", SUBSCRIBED, 0},
    {"PING", PONG, 0},
};

static const struct fake_rule other[] = {
    {GET, ADDR("192.0.2.2", "6379"), 0},
    {"SUBSCRIBE +switch-master", SUBSCRIBED, 0},
    {"PING", PONG, 0},
};

static const struct fake_rule third[] = {
    {GET, ADDR("192.0.2.3", "6379"), 0},
    {"SUBSCRIBE +switch-master", SUBSCRIBED, 0},
    {"PING", PONG, 0},
};

static void be(struct fake *fake, const struct fake_rule rule[3])
{
    fake->rule = rule;
    fake->rules = 3;
}

/* What the first Sentinel says; the second is good and names another master. */
static const struct {
    const char *label, *get, *subscribe;
    const char *host; /* what the asker hears */
} answers[] = {
    {"good", ADDR("192.0.2.1", "6379"), SUBSCRIBED, "[192.0.2.1]"},
    {"unknown master", "*-1\r\n", SUBSCRIBED, "[192.0.2.2]"},
    {"unknown, a nil text", "$-1\r\n", SUBSCRIBED, "[192.0.2.2]"},
    {"an error", "-IDONTKNOW\r\n", SUBSCRIBED, "[192.0.2.2]"},
    {"a text", "+OK\r\n", SUBSCRIBED, "[192.0.2.2]"},
    {"a number", ":1\r\n", SUBSCRIBED, "[192.0.2.2]"},
    {"one element", "*1\r\n$9\r\n192.0.2.1\r\n", SUBSCRIBED, "[192.0.2.2]"},
    {"three elements", "*3\r\n$9\r\n192.0.2.1\r\n$4\r\n6379\r\n$0\r\n\r\n", SUBSCRIBED,
     "[192.0.2.2]"},
    {"port a number", "*2\r\n$9\r\n192.0.2.1\r\n:6379\r\n", SUBSCRIBED, "[192.0.2.2]"},
    {"host nil", "*2\r\n$-1\r\n$4\r\n6379\r\n", SUBSCRIBED, "[192.0.2.2]"},
    {"host a list", "*2\r\n*0\r\n$4\r\n6379\r\n", SUBSCRIBED, "[192.0.2.2]"},
    {"empty list", "*0\r\n", SUBSCRIBED, "[192.0.2.2]"},
    {"port 0", "*2\r\n$9\r\n192.0.2.1\r\n$1\r\n0\r\n", SUBSCRIBED, "[192.0.2.2]"},
    {"a path for a host", "*2\r\n$4\r\n/a/b\r\n$4\r\n6379\r\n", SUBSCRIBED, "[192.0.2.2]"},
    {"4 billion elements", "*4294967295\r\n", SUBSCRIBED, "[192.0.2.2]"},
    {"a RESP3 push", ">1\r\n+a\r\n", SUBSCRIBED, "[192.0.2.2]"},
    {"no Redis at all", "HTTP/1.1 400\r\n", SUBSCRIBED, "[192.0.2.2]"},
    {"silent", NULL, SUBSCRIBED, "[192.0.2.2]"},
    {"subscribed elsewhere", ADDR("192.0.2.1", "6379"),
     "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n", "[192.0.2.2]"},
    {"not subscribed", ADDR("192.0.2.1", "6379"), "-NOPERM no\r\n", "[192.0.2.2]"},
    {"subscribed to half", ADDR("192.0.2.1", "6379"), SWITCHED, "[192.0.2.2]"},
    {"subscribed to one twice", ADDR("192.0.2.1", "6379"), SWITCHED SWITCHED, "[192.0.2.2]"},
    {"subscription silent", ADDR("192.0.2.1", "6379"), NULL, "[192.0.2.2]"},
};

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        const struct fake_rule said[] = {
            {GET, answers[i].get, 0}, {"SUBSCRIBE", answers[i].subscribe, 0}, {"PING", PONG, 0}};
        struct world world;

        print_message("  %s\n", answers[i].label);
        world_open(&world, 2);
        be(&world.fake[0], said);
        be(&world.fake[1], other);
        world_start(&world);
        assert_true(ask(&world));
        assert_string_equal(world.found.host, answers[i].host);
        assert_int_equal(world.found.port, 6379);
        assert_int_equal(world.notices.count[NOTICE_SENTINEL_UP], 1);
        assert_int_equal(world.notices.count[NOTICE_SENTINEL_DOWN], 0);
        world_close(&world);
    }
}

/* Nobody has a good answer: that is one, and it is told once until it is over. */
static void test_nobody(void **state)
{
    static const struct fake_rule none[] = {{GET, "*-1\r\n", 0}, {"PING", PONG, 0}, {"-", "", 0}};
    struct world world;

    (void)state;
    world_open(&world, 3);
    for (size_t i = 0; i < 3; i++)
        be(&world.fake[i], none);
    world_start(&world);
    assert_false(ask(&world));
    assert_false(ask(&world));
    assert_int_equal(world.notices.count[NOTICE_SENTINEL_DOWN], 1);
    assert_non_null(strstr(world.notices.last[NOTICE_SENTINEL_DOWN], "no master of that name"));
    for (size_t i = 0; i < 3; i++)
        assert_true(world.fake[i].connections >= 2);
    be(&world.fake[1], good);
    box_wait(world.base, is_moved, &world, 200);
    assert_true(ask(&world));
    assert_string_equal(world.found.host, "[192.0.2.1]");
    world_close(&world);
}

/* The first answer serves at once; who asks again had no luck with it, and hears the next one's. */
static void test_asked_again(void **state)
{
    struct world world;

    (void)state;
    world_open(&world, 2);
    be(&world.fake[0], good);
    be(&world.fake[1], other);
    world_start(&world);
    assert_true(ask(&world));
    assert_string_equal(world.found.host, "[192.0.2.1]");
    assert_int_equal(world.fake[0].connections, 1);
    assert_true(ask(&world));
    assert_string_equal(world.found.host, "[192.0.2.2]");
    assert_true(ask(&world));
    assert_string_equal(world.found.host, "[192.0.2.1]");
    assert_int_equal(world.fake[0].connections, 2);
    world_close(&world);
}

static void test_cancelled(void **state)
{
    struct world world;

    (void)state;
    world_open(&world, 1);
    be(&world.fake[0], good);
    world_start(&world);
    sentinel_ask(&world.asker);
    sentinel_cancel(&world.asker);
    assert_false(box_wait(world.base, is_told, &world, 100));
    assert_true(ask(&world));
    world_close(&world);
}

/* What comes while it listens. */
static const struct {
    const char *label, *said;
    unsigned moves;
    bool stays;
} messages[] = {
    {"a switch", SWITCH("main 192.0.2.1 6379 192.0.2.3 6379", "34"), 1, true},
    {"to where it is", SWITCH("main 192.0.2.9 6379 192.0.2.1 6379", "34"), 0, true},
    {"another's", SWITCH("side 192.0.2.1 6379 192.0.2.3 6379", "34"), 0, true},
    {"nonsense", SWITCH("main", "4"), 0, true},
    {"a promotion: asked anew, and moved", PROMOTION("main"), 1, false},
    {"a promotion of another's", PROMOTION("side"), 0, true},
    {"another channel", "*3\r\n$7\r\nmessage\r\n$5\r\n+odwn\r\n$1\r\nx\r\n", 0, false},
    {"no text", "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n*0\r\n", 0, false},
    {"two elements", "*2\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n", 0, false},
    {"an error", "-ERR gone\r\n", 0, false},
    {"a number", ":1\r\n", 0, false},
    {"nil", "*-1\r\n", 0, false},
    {"4 billion elements", "*4294967295\r\n", 0, false},
};

/* Sentinels that answer well and leave at once are not besieged; each answer serves all the same. */
static void test_no_storm(void **state)
{
    static const struct fake_rule brief[] = {{GET, ADDR("192.0.2.1", "6379"), 0},
                                             {"SUBSCRIBE", SUBSCRIBED "-ERR gone\r\n", 0},
                                             {"PING", PONG, 0}};
    struct world world;

    (void)state;
    world_open(&world, 2);
    be(&world.fake[0], brief);
    be(&world.fake[1], brief);
    world_start(&world);
    box_wait(world.base, box_never, NULL, 1000);
    assert_in_range(world.fake[0].connections + world.fake[1].connections, 2, 20);
    be(&world.fake[0], good);
    be(&world.fake[1], good);
    assert_true(ask(&world));
    assert_string_equal(world.found.host, "[192.0.2.1]");
    world_close(&world);
}

static bool is_left(void *arg)
{
    struct world *world = arg;

    return world->moves > 0 || world->fake[0].connections > 1;
}

static void test_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct world world;

        print_message("  %s\n", messages[i].label);
        world_open(&world, 1);
        be(&world.fake[0], good);
        world_start(&world);
        assert_true(ask(&world));
        if (messages[i].moves && !messages[i].stays)
            be(&world.fake[0], third);
        bufferevent_write(world.fake[0].last, messages[i].said, strlen(messages[i].said));
        box_wait(world.base, messages[i].moves ? is_moved : is_left, &world,
                 messages[i].stays ? 50 : SOON);
        assert_int_equal(world.moves, messages[i].moves);
        assert_int_equal(world.fake[0].connections, messages[i].stays ? 1 : 2);
        if (messages[i].moves)
            assert_string_equal(world.moved.host, "[192.0.2.3]");
        world_close(&world);
    }
}

/* A Sentinel that hangs is left for the next, unasked; one that answers PING is not. */
static bool is_second_met(void *arg)
{
    return ((struct world *)arg)->fake[1].connections > 0;
}

static void test_silence(void **state)
{
    static const struct fake_rule mute[] = {{GET, ADDR("192.0.2.1", "6379"), 0},
                                            {"SUBSCRIBE +switch-master", SUBSCRIBED, 0},
                                            {"PING", NULL, 0}};
    struct world world;

    (void)state;
    world_open(&world, 2);
    be(&world.fake[0], good);
    be(&world.fake[1], other);
    world_start(&world);
    assert_true(ask(&world));
    assert_false(box_wait(world.base, is_second_met, &world, 1500));
    be(&world.fake[0], mute);
    assert_true(box_wait(world.base, is_second_met, &world, SOON));
    assert_true(box_wait(world.base, is_moved, &world, SOON)); /* it knows another master */
    assert_string_equal(world.moved.host, "[192.0.2.2]");
    assert_int_equal(world.notices.count[NOTICE_SENTINEL_SWITCH], 1);
    world_close(&world);
}

/* The password is for those who ask for it. */
static const struct fake_rule locked[] = {{GET, "-NOAUTH Authentication required.\r\n", 0},
                                          {"SUBSCRIBE", "-NOAUTH Authentication required.\r\n", 0},
                                          {"AUTH", "-ERR unasked\r\n", 0}};

static bool is_second_time(void *arg)
{
    return ((struct fake *)arg)->connections > 1;
}

static void test_password(void **state)
{
    struct world world;

    (void)state;
    world_open(&world, 1);
    be(&world.fake[0], locked);
    world.user = "mxw";
    world.password = "secret";
    world_start(&world);
    /* Refused on the first connection, it says AUTH on the second: from there all is open. */
    sentinel_ask(&world.asker);
    assert_true(box_wait(world.base, is_second_time, &world.fake[0], SOON));
    be(&world.fake[0], good);
    assert_true(box_wait(world.base, is_told, &world, SOON));
    assert_int_equal(world.founds, 1);
    assert_int_equal(world.fake[0].connections, 2);
    world_close(&world);

    world_open(&world, 1);
    be(&world.fake[0], locked);
    world_start(&world); /* none to tell */
    assert_false(ask(&world));
    assert_non_null(strstr(world.notices.last[NOTICE_SENTINEL_DOWN], "NOAUTH"));
    world_close(&world);
}

static bool is_up_again(void *arg)
{
    return ((struct world *)arg)->notices.count[NOTICE_SENTINEL_UP] > 1;
}

/* One that wanted the password, and was changed to take none. */
static void test_password_no_more(void **state)
{
    static const struct fake_rule unlocked[] = {{GET, ADDR("192.0.2.1", "6379"), 0},
                                                {"SUBSCRIBE", SUBSCRIBED, 0},
                                                {"AUTH", "-ERR AUTH without password\r\n", 0}};
    struct world world;

    (void)state;
    world_open(&world, 1);
    be(&world.fake[0], locked);
    world.password = "secret";
    world_start(&world);
    assert_true(box_wait(world.base, is_second_time, &world.fake[0], SOON));
    be(&world.fake[0], good);
    assert_true(ask(&world));
    be(&world.fake[0], unlocked);
    bufferevent_write(world.fake[0].last, "-ERR gone\r\n", 11);
    assert_true(box_wait(world.base, is_up_again, &world, SOON));
    assert_true(ask(&world));
    world_close(&world);
}

static void test_names_and_nobody_there(void **state)
{
    struct sentinel_options options = {.user = "", .password = ""};
    struct world world;
    char list[128];

    (void)state;
    world_open(&world, 1);
    be(&world.fake[0], good);
    snprintf(list, sizeof(list), "nowhere.example.net,127.0.0.1:1,redis.example.net:%u/main",
             world.fake[0].port);
    options.list = list;
    world.sentinel = sentinel_new(world.base, &options, &world.dns, &world.notice);
    assert_non_null(world.sentinel);
    world.asker = (struct sentinel_asker){.found = on_found, .moved = on_moved, .arg = &world};
    sentinel_join(world.sentinel, &world.asker);
    assert_true(ask(&world));
    assert_string_equal(world.found.host, "[192.0.2.1]");
    world_close(&world);
}

/* A store and a tracking connection behind Sentinels, and two servers to follow between. */

struct site {
    struct world world;
    struct fake redis[2];
    char address[2][64];
    struct fake_rule rule[2][3];
    struct clock clock;
    struct store *store;
    struct track *track;
};

static void site_open(struct site *site)
{
    static const char *const prefix[] = {"mxw1:mx:"};
    const struct track_hooks hooks = {0};
    struct store_options server = {.user = "", .password = "", .timeout = 100};
    struct track_options track = {
        .prefix = prefix, .prefix_count = 1, .heartbeat = "mxw1:node:a", .quiet = 60000};

    world_open(&site->world, 1);
    clock_init(&site->clock);
    for (size_t i = 0; i < 2; i++) {
        fake_open_tcp(&site->redis[i], site->world.base);
        snprintf(site->address[i], sizeof(site->address[i]),
                 "*2\r\n$9\r\n127.0.0.1\r\n$%u\r\n%u\r\n", site->redis[i].port > 9999 ? 5 : 4,
                 site->redis[i].port);
        memcpy(site->rule[i], good, sizeof(good));
        site->rule[i][0].answer = site->address[i];
    }
    be(&site->world.fake[0], site->rule[0]);
    world_start(&site->world);
    server.sentinel = site->world.sentinel;
    track.server = server;
    site->store =
        store_new(site->world.base, &server, &site->clock, &site->world.dns, &site->world.notice);
    site->track =
        track_new(site->world.base, &track, &site->world.dns, &hooks, &site->world.notice);
    assert_non_null(site->store);
    assert_non_null(site->track);
}

static void site_close(struct site *site)
{
    track_free(site->track);
    store_free(site->store);
    for (size_t i = 0; i < 2; i++)
        fake_close(&site->redis[i]);
    world_close(&site->world);
}

static bool is_up(void *arg)
{
    struct site *site = arg;

    return store_is_up(site->store) && track_is_up(site->track);
}

static bool is_at_second(void *arg)
{
    struct site *site = arg;

    return site->redis[1].connections >= 2 && is_up(site);
}

static void test_follow_a_switch(void **state)
{
    struct site site;
    char text[160], said[256];
    int64_t start;

    (void)state;
    site_open(&site);
    assert_true(box_wait(site.world.base, is_up, &site, SOON));
    assert_int_equal(site.redis[0].connections, 2);
    snprintf(text, sizeof(text), "main 127.0.0.1 %u 127.0.0.1 %u", site.redis[0].port,
             site.redis[1].port);
    snprintf(said, sizeof(said), "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$%zu\r\n%s\r\n",
             strlen(text), text);
    start = clock_mono();
    bufferevent_write(site.world.fake[0].last, said, strlen(said));
    assert_true(box_wait(site.world.base, is_at_second, &site, SOON));
    assert_true(clock_mono() - start < 500); /* neither backoff nor breaker */
    assert_int_equal(site.world.notices.count[NOTICE_SENTINEL_SWITCH], 1);
    site_close(&site);
}

/* The Sentinel names what is no master any more: both ask again until it names one. */
static bool is_asked_often(void *arg)
{
    struct site *site = arg;

    return site->world.fake[0].connections >= 3;
}

static void test_follow_by_role(void **state)
{
    static const struct fake_rule replica = {
        "ROLE", "*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:1\r\n", 0};
    struct site site;

    (void)state;
    site_open(&site);
    site.redis[0].rule = &replica;
    site.redis[0].rules = 1;
    assert_true(box_wait(site.world.base, is_asked_often, &site, SOON));
    assert_false(is_up(&site));
    assert_int_equal(site.world.notices.count[NOTICE_REDIS_REFUSED], 0);
    be(&site.world.fake[0], site.rule[1]);
    assert_true(box_wait(site.world.base, is_at_second, &site, SOON));
    site_close(&site);
}

/* A server that was well says READONLY: by then the Sentinels name another. */
static void nothing(void *arg, enum store_status status, const struct store_reply *const *reply,
                    size_t count)
{
    (void)reply, (void)count;
    *(enum store_status *)arg = status;
}

static void test_follow_a_refusal(void **state)
{
    static const struct fake_rule readonly = {"SET", "-READONLY You can't write\r\n", 0};
    enum store_status status = STORE_OK;
    struct store_batch *batch = store_batch_new(false);
    struct site site;

    (void)state;
    site_open(&site);
    assert_true(box_wait(site.world.base, is_up, &site, SOON));
    be(&site.world.fake[0], site.rule[1]);
    site.redis[0].rule = &readonly;
    site.redis[0].rules = 1;
    store_batch_add(batch, "SET", "a", "1", NULL);
    assert_true(store_send(site.store, batch, nothing, &status));
    assert_true(box_wait(site.world.base, is_at_second, &site, SOON));
    assert_int_equal(status, STORE_ERROR);
    site_close(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_switches),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_asked_again),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_no_storm),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_password),
        cmocka_unit_test(test_password_no_more),
        cmocka_unit_test(test_names_and_nobody_there),
        cmocka_unit_test(test_follow_a_switch),
        cmocka_unit_test(test_follow_by_role),
        cmocka_unit_test(test_follow_a_refusal),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("sentinel", tests, NULL, NULL);
}
