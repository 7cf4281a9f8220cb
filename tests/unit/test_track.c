/*
 * The tracking connection: against a scripted server for shapes, and a real one for the changes
 * that other clients make.
 */
#include "cache/track.h"

#include "tests/unit/redisbox.h"

enum { SOON = 3000 };

struct world {
    struct event_base *base;
    struct dns dns;
    struct box_notices notices;
    struct notice notice;
    struct track *track;
    struct fake *fake;
    unsigned ups, losts, changes, flushes;
    char key[128]; /* the last */
    struct track_options options;
};

static void on_changed(void *arg, const char *key)
{
    struct world *world = arg;

    world->changes++;
    world->flushes += !key;
    snprintf(world->key, sizeof(world->key), "%s", key ? key : "*");
}

static void on_lost(void *arg)
{
    ((struct world *)arg)->losts++;
}

static void on_up(void *arg)
{
    ((struct world *)arg)->ups++;
}

static void world_open(struct world *world)
{
    static const char *const prefix[] = {"mxw1:mx:", "mxw1:override:", "mxw1:node:"};

    memset(world, 0, sizeof(*world));
    world->base = event_base_new();
    world->dns.base = world->base;
    world->notice = (struct notice){.hook = box_note, .arg = &world->notices};
    world->options = (struct track_options){.server = {.user = "", .password = "", .timeout = 100},
                                            .prefix = prefix,
                                            .prefix_count = 3,
                                            .heartbeat = "mxw1:node:mx1.example.com",
                                            .quiet = 60000};
}

static void world_start(struct world *world, const char *path)
{
    struct track_hooks hooks = {.changed = on_changed, .lost = on_lost, .up = on_up, .arg = world};

    world->options.server.path = path;
    world->track = track_new(world->base, &world->options, &world->dns, &hooks, &world->notice);
    assert_non_null(world->track);
}

static void world_close(struct world *world)
{
    track_free(world->track);
    if (world->fake)
        fake_close(world->fake);
    event_base_free(world->base);
}

static bool is_up(void *arg)
{
    return track_is_up(((struct world *)arg)->track);
}

static bool is_told_down(void *arg)
{
    return ((struct world *)arg)->notices.count[NOTICE_TRACK_DOWN] > 0;
}

static bool is_changed(void *arg)
{
    return ((struct world *)arg)->changes > 0;
}

static bool is_lost(void *arg)
{
    return ((struct world *)arg)->losts > 0;
}

/* Answers to the set-up that are refused, and the reason told. */

static const struct {
    const char *label;
    struct fake_rule rule;
    const char *password, *why;
} setups[] = {
    {"wrong password", {"AUTH", "-WRONGPASS invalid\r\n", 0}, "x", "WRONGPASS"},
    {"password wanted", {"CLIENT ID", "-NOAUTH wanted\r\n", 0}, "", "NOAUTH"},
    {"AUTH a number", {"AUTH", ":1\r\n", 0}, "x", "unexpected"},
    {"a replica",
     {"ROLE", "*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:1\r\n", 0},
     "",
     "not a master"},
    {"ROLE a number", {"ROLE", ":1\r\n", 0}, "", "not a master"},
    {"ROLE empty", {"ROLE", "*0\r\n", 0}, "", "not a master"},
    {"id no number", {"CLIENT ID", "+7\r\n", 0}, "", "unexpected"},
    {"id negative", {"CLIENT ID", ":-7\r\n", 0}, "", "unexpected"},
    {"tracking unknown", {"CLIENT TRACKING", "-ERR unknown\r\n", 0}, "", "ERR unknown"},
    {"tracking not OK", {"CLIENT TRACKING", "+QUEUED\r\n", 0}, "", "unexpected"},
    {"subscribed elsewhere",
     {"SUBSCRIBE", "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n", 0},
     "",
     "unexpected"},
    {"subscribe a text", {"SUBSCRIBE", "+OK\r\n", 0}, "", "unexpected"},
    {"subscribe an empty list", {"SUBSCRIBE", "*0\r\n", 0}, "", "unexpected"},
    {"not Redis", {"CLIENT ID", "HTTP/1.1 400\r\n", 0}, "", "Protocol error"},
    {"silent", {"SUBSCRIBE", NULL, 0}, "", "no answer"},
};

static void test_setups(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(setups) / sizeof(setups[0]); i++) {
        struct world world;
        struct fake fake;

        print_message("  %s\n", setups[i].label);
        world_open(&world);
        fake_open(&fake, world.base);
        world.fake = &fake;
        fake.rule = &setups[i].rule;
        fake.rules = 1;
        world.options.server.password = setups[i].password;
        world_start(&world, fake.path);
        assert_true(box_wait(world.base, is_told_down, &world, SOON));
        assert_non_null(strstr(world.notices.last[NOTICE_TRACK_DOWN], setups[i].why));
        assert_int_equal(world.ups + world.losts, 0);
        world_close(&world);
    }
}

/* What comes once it listens. */

#define MESSAGE(keys) "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n" keys
#define TEN(x)        x x x x x x x x x x

static const struct {
    const char *label, *said;
    bool stays_up;
    unsigned changes, flushes;
    const char *key;
} messages[] = {
    {"one key", MESSAGE("*1\r\n$9\r\nmxw1:mx:a\r\n"), true, 1, 0, "mxw1:mx:a"},
    {"two keys", MESSAGE("*2\r\n$9\r\nmxw1:mx:a\r\n$9\r\nmxw1:mx:b\r\n"), true, 2, 0, "mxw1:mx:b"},
    {"no key", MESSAGE("*0\r\n"), true, 0, 0, ""},
    {"flush", MESSAGE("*-1\r\n"), true, 1, 1, "*"},
    {"flush, a nil text", MESSAGE("$-1\r\n"), true, 1, 1, "*"},
    {"two messages", MESSAGE("*1\r\n$1\r\na\r\n") MESSAGE("*1\r\n$1\r\nb\r\n"), true, 2, 0, "b"},
    {"an empty key", MESSAGE("*1\r\n$0\r\n\r\n"), true, 1, 0, ""},
    {"key a number", MESSAGE("*1\r\n:1\r\n"), false, 0, 0, ""},
    {"second key nil: none is believed", MESSAGE("*2\r\n$1\r\na\r\n$-1\r\n"), false, 0, 0, ""},
    {"key a list", MESSAGE("*1\r\n*0\r\n"), false, 0, 0, ""},
    {"keys a text", MESSAGE("$1\r\na\r\n"), false, 0, 0, ""},
    {"another channel", "*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n*0\r\n", false, 0, 0, ""},
    {"two elements", "*2\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n", false, 0, 0, ""},
    {"elements nil", "*3\r\n$-1\r\n$-1\r\n*-1\r\n", false, 0, 0, ""},
    {"nil", "*-1\r\n", false, 0, 0, ""},
    {"an error", "-ERR gone\r\n", false, 0, 0, ""},
    {"a text", "+OK\r\n", false, 0, 0, ""},
    {"4 billion elements", "*4294967295\r\n", false, 0, 0, ""},
    {"2 billion elements", "*2147483647\r\n", false, 0, 0, ""},
    {"more keys than we take", MESSAGE("*65534\r\n"), false, 0, 0, ""},
    {"a thousand lists deep", TEN(TEN(TEN("*1\r\n"))), false, 0, 0, ""},
    {"negative length", "$-2\r\n", false, 0, 0, ""},
    {"a RESP3 push", ">2\r\n$10\r\ninvalidate\r\n*0\r\n", false, 0, 0, ""},
    {"good, then bad", MESSAGE("*1\r\n$1\r\na\r\n") "?", false, 1, 0, "a"},
};

static bool is_settled(void *arg)
{
    struct world *world = arg;

    return world->losts > 0 || world->changes > 0;
}

static void test_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct world world;
        struct fake fake;

        print_message("  %s\n", messages[i].label);
        world_open(&world);
        fake_open(&fake, world.base);
        world.fake = &fake;
        world_start(&world, fake.path);
        assert_true(box_wait(world.base, is_up, &world, SOON));
        bufferevent_write(fake.last, messages[i].said, strlen(messages[i].said));
        box_wait(world.base, is_settled, &world, 50);
        assert_int_equal(world.losts, !messages[i].stays_up);
        assert_int_equal(world.changes, messages[i].changes);
        assert_int_equal(world.flushes, messages[i].flushes);
        assert_string_equal(world.key, messages[i].key);
        if (!messages[i].stays_up) {
            assert_true(box_wait(world.base, is_up, &world, SOON));
            assert_int_equal(world.ups, 2);
            assert_int_equal(fake.connections, 2);
        }
        world_close(&world);
    }
}

static void test_key_with_nul(void **state)
{
    static const char said[] = MESSAGE("*2\r\n$3\r\na\0b\r\n$1\r\nc\r\n");
    struct world world;
    struct fake fake;

    (void)state;
    world_open(&world);
    fake_open(&fake, world.base);
    world.fake = &fake;
    world_start(&world, fake.path);
    assert_true(box_wait(world.base, is_up, &world, SOON));
    bufferevent_write(fake.last, said, sizeof(said) - 1);
    assert_true(box_wait(world.base, is_changed, &world, SOON));
    assert_int_equal(world.changes, 1);
    assert_string_equal(world.key, "c");
    world_close(&world);
}

static void test_byte_by_byte(void **state)
{
    static const char said[] = MESSAGE("*1\r\n$9\r\nmxw1:mx:a\r\n");
    struct world world;
    struct fake fake;

    (void)state;
    world_open(&world);
    fake_open(&fake, world.base);
    world.fake = &fake;
    fake.by_bytes = true;
    world_start(&world, fake.path);
    assert_true(box_wait(world.base, is_up, &world, SOON));
    bufferevent_write(fake.last, said, sizeof(said) - 1);
    assert_true(box_wait(world.base, is_changed, &world, SOON));
    assert_string_equal(world.key, "mxw1:mx:a");
    world_close(&world);
}

static void test_endless_message(void **state)
{
    size_t size = 2 << 20;
    char *said = malloc(size);
    struct world world;
    struct fake fake;

    (void)state;
    memset(said, 'x', size);
    memcpy(said, "$99999999\r\n", 11);
    world_open(&world);
    fake_open(&fake, world.base);
    world.fake = &fake;
    world_start(&world, fake.path);
    assert_true(box_wait(world.base, is_up, &world, SOON));
    bufferevent_write(fake.last, said, size);
    assert_true(box_wait(world.base, is_lost, &world, SOON));
    assert_string_equal(world.notices.last[NOTICE_TRACK_DOWN], "reply too long");
    world_close(&world);
    free(said);
}

/* A server that lets us listen and throws us out at once is not besieged. */
static void test_no_storm(void **state)
{
    static const struct fake_rule brief = {
        "SUBSCRIBE", "*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n-ERR gone\r\n",
        0};
    struct world world;
    struct fake fake;

    (void)state;
    world_open(&world);
    fake_open(&fake, world.base);
    fake.rule = &brief;
    fake.rules = 1;
    world.fake = &fake;
    world_start(&world, fake.path);
    box_wait(world.base, box_never, NULL, 1000);
    assert_in_range(world.ups, 2, 10);
    assert_in_range(fake.connections, 2, 10);
    world_close(&world);
}

/* Silence about the own heartbeat ends it; the heartbeat, and nothing else, keeps it. */
static void test_heartbeat(void **state)
{
    static const char beat[] = MESSAGE("*1\r\n$25\r\nmxw1:node:mx1.example.com\r\n");
    static const char other[] = MESSAGE("*1\r\n$9\r\nmxw1:mx:a\r\n");
    struct world world;
    struct fake fake;

    (void)state;
    world_open(&world);
    world.options.quiet = 200;
    fake_open(&fake, world.base);
    world.fake = &fake;
    world_start(&world, fake.path);
    assert_true(box_wait(world.base, is_up, &world, SOON));
    for (int i = 0; i < 8; i++) {
        bufferevent_write(fake.last, beat, sizeof(beat) - 1);
        assert_false(box_wait(world.base, is_lost, &world, 50));
    }
    for (int i = 0; i < 8 && !world.losts; i++) {
        bufferevent_write(fake.last, other, sizeof(other) - 1);
        box_wait(world.base, is_lost, &world, 50);
    }
    assert_int_equal(world.losts, 1);
    assert_non_null(strstr(world.notices.last[NOTICE_TRACK_DOWN], "heartbeat"));
    world_close(&world);
}

static void test_nobody_there(void **state)
{
    struct world world;
    char path[200];

    (void)state;
    world_open(&world);
    world_start(&world, "/nonexistent/redis.sock");
    assert_true(box_wait(world.base, is_told_down, &world, SOON));
    box_wait(world.base, box_never, NULL, 300);
    assert_int_equal(world.notices.count[NOTICE_TRACK_DOWN], 1); /* told once */
    track_free(world.track);
    memset(&world.notices, 0, sizeof(world.notices));
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    world_start(&world, path);
    assert_true(box_wait(world.base, is_told_down, &world, SOON));
    world_close(&world);
}

static void test_host_by_name(void **state)
{
    struct world world;
    struct fake fake;

    (void)state;
    world_open(&world);
    fake_open_tcp(&fake, world.base);
    world.fake = &fake;
    world.options.server.host = "redis.example.net";
    world.options.server.port = fake.port;
    world.options.server.user = "mxw";
    world.options.server.password = "x";
    world_start(&world, NULL);
    assert_true(box_wait(world.base, is_up, &world, SOON));
    world_close(&world);
}

/* From here on a real server. */

static void real_open(struct world *world, struct redisbox *box)
{
    box_open(box);
    world_open(world);
    world_start(world, box->path);
    assert_true(box_wait(world->base, is_up, world, SOON));
}

static void real_close(struct world *world, struct redisbox *box)
{
    world_close(world);
    box_close(box);
}

/* What another client does, and the key that must be heard of within a second. */
static const struct {
    const char *command, *key;
} changes[] = {
    {"HSET mxw1:override:gw1.example.net:25 state drain", "mxw1:override:gw1.example.net:25"},
    {"EXPIRE mxw1:override:gw1.example.net:25 100", "mxw1:override:gw1.example.net:25"},
    {"DEL mxw1:override:gw1.example.net:25", "mxw1:override:gw1.example.net:25"},
    {"SET mxw1:mx:example.com 1 PX 300", "mxw1:mx:example.com"},
    {"PING", "mxw1:mx:example.com"}, /* nothing but waiting: it expires */
    {"FLUSHALL", "*"},
};

static void test_real_changes(void **state)
{
    struct world world;
    struct redisbox box;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world, &box);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        print_message("  %s\n", changes[i].command);
        world.changes = 0;
        box_say(&box, changes[i].command);
        assert_true(box_wait(world.base, is_changed, &world, 1000));
        assert_string_equal(world.key, changes[i].key);
    }
    world.changes = 0;
    box_say(&box, "SET mxw1:seen:x 1"); /* not one of the prefixes */
    assert_false(box_wait(world.base, is_changed, &world, 50));
    real_close(&world, &box);
}

static void test_real_killed_connection(void **state)
{
    struct world world;
    struct redisbox box;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world, &box);
    box_say(&box, "CLIENT KILL TYPE pubsub");
    assert_true(box_wait(world.base, is_lost, &world, SOON));
    assert_true(box_wait(world.base, is_up, &world, SOON));
    box_say(&box, "SET mxw1:mx:example.com 1");
    assert_true(box_wait(world.base, is_changed, &world, 1000));
    assert_int_equal(world.ups, 2);
    assert_int_equal(world.losts, 1);
    real_close(&world, &box);
}

static void test_real_kill_and_restart(void **state)
{
    struct world world;
    struct redisbox box;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world, &box);
    box_kill(&box);
    assert_true(box_wait(world.base, is_lost, &world, SOON));
    box_wait(world.base, box_never, NULL, 1000);
    box_run(&box);
    assert_true(box_wait(world.base, is_up, &world, 2000));
    assert_int_equal(world.losts, 1);
    real_close(&world, &box);
}

/* A flood beyond the reader's bounds is as good as "everything". */
static void test_real_flood(void **state)
{
    struct world world;
    struct redisbox box;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world, &box);
    redisContext *context = box_connect(&box);
    redisReply *reply = redisCommand(context, "EVAL %s 0",
                                     "for i=1,100000 do redis.call('SET','mxw1:mx:'..i,1) end");
    freeReplyObject(reply);
    redisFree(context);
    assert_true(box_wait(world.base, is_settled, &world, SOON));
    assert_true(world.losts == 1 || world.changes > 0);
    assert_true(box_wait(world.base, is_up, &world, SOON));
    real_close(&world, &box);
}

static void test_real_acl(void **state)
{
    struct world world;
    struct redisbox box;

    (void)state;
    BOX_NEEDS_SERVER();
    box_open(&box);
    box_say(&box, "ACL SETUSER mxw on >good ~mxw1:* &__redis__:invalidate "
                  "+role +client|id +client|tracking +subscribe");
    world_open(&world);
    world.options.server.user = "mxw";
    world.options.server.password = "good";
    world_start(&world, box.path);
    assert_true(box_wait(world.base, is_up, &world, SOON));
    box_say(&box, "SET mxw1:mx:example.com 1");
    assert_true(box_wait(world.base, is_changed, &world, 1000));
    real_close(&world, &box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_setups),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_key_with_nul),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_endless_message),
        cmocka_unit_test(test_no_storm),
        cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_host_by_name),
        cmocka_unit_test(test_real_changes),
        cmocka_unit_test(test_real_killed_connection),
        cmocka_unit_test(test_real_kill_and_restart),
        cmocka_unit_test(test_real_flood),
        cmocka_unit_test(test_real_acl),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("track", tests, NULL, NULL);
}
