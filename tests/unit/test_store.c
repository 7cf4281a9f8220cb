/*
 * The command connection: against a scripted server for what a real one would never say, and
 * against a real one for life and death.
 */
#include "cache/store.h"

#include "cache/timing.h"
#include "tests/unit/redisbox.h"

enum { SOON = 3000 };

/* What a test holds: a loop, a store, and what came of its batches. */
struct world {
    struct event_base *base;
    struct dns dns;
    struct clock clock;
    struct box_notices notices;
    struct notice notice;
    struct store *store;
    struct fake *fake;
    unsigned ups, downs;
    unsigned answers; /* callbacks so far */
    enum store_status status;
    size_t count;
    enum store_kind kind[4];
    char text[4][64];
    int64_t number[4];
    size_t elements;
};

static void on_change(void *arg, bool up)
{
    struct world *world = arg;

    up ? world->ups++ : world->downs++;
}

static void world_open(struct world *world)
{
    memset(world, 0, sizeof(*world));
    world->base = event_base_new();
    world->dns.base = world->base;
    world->notice = (struct notice){.hook = box_note, .arg = &world->notices};
    clock_init(&world->clock);
}

static struct store_options options_at(const char *path)
{
    return (struct store_options){.path = path, .user = "", .password = "", .timeout = 100};
}

static void world_start(struct world *world, const struct store_options *options)
{
    world->store = store_new(world->base, options, &world->clock, &world->dns, &world->notice);
    assert_non_null(world->store);
    store_on_change(world->store, on_change, world);
}

/* With a scripted server, which speaks by these rules. */
static void scripted_open(struct world *world, struct fake *fake, const struct fake_rule *rule,
                          size_t rules)
{
    world_open(world);
    fake_open(fake, world->base);
    fake->rule = rule;
    fake->rules = rules;
    world->fake = fake;
}

static void world_close(struct world *world)
{
    store_free(world->store);
    if (world->fake)
        fake_close(world->fake);
    event_base_free(world->base);
}

static bool is_up(void *arg)
{
    return store_is_up(((struct world *)arg)->store);
}

static bool is_down(void *arg)
{
    return !is_up(arg);
}

static bool is_answered(void *arg)
{
    return ((struct world *)arg)->answers > 0;
}

/* timeout: generous where it is not what is tested. */
static void scripted_up(struct world *world, int64_t timeout)
{
    struct store_options options = options_at(world->fake->path);

    options.timeout = timeout;
    world_start(world, &options);
    assert_true(box_wait(world->base, is_up, world, SOON));
}

static void on_done(void *arg, enum store_status status, const struct store_reply *const *reply,
                    size_t count)
{
    struct world *world = arg;

    world->answers++;
    world->status = status;
    world->count = count;
    for (size_t i = 0; i < count && i < 4; i++) {
        const char *text = store_reply_text(reply[i], NULL);

        world->kind[i] = store_reply_kind(reply[i]);
        snprintf(world->text[i], sizeof(world->text[i]), "%s", text ? text : "");
        world->number[i] = store_reply_integer(reply[i], -1);
        world->elements = store_reply_count(reply[i]);
    }
}

static bool ask(struct world *world, bool transaction, const char *const *line, size_t count)
{
    struct store_batch *batch = store_batch_new(transaction);

    world->answers = 0;
    for (size_t i = 0; i < count; i++) {
        char words[256], *rest = words;
        const char *word[16];
        size_t n = 0;

        snprintf(words, sizeof(words), "%s", line[i]);
        while (n < 16 && (word[n] = strsep(&rest, " ")))
            n++;
        store_batch_add_words(batch, word, n);
    }
    assert_int_equal(store_batch_count(batch), count);
    return store_send(world->store, batch, on_done, world);
}

/* One command, waited for; -1 where the store would not send it. */
static int ask_one(struct world *world, const char *line)
{
    if (!ask(world, false, &line, 1))
        return -1;
    assert_int_equal(world->answers, 0);
    assert_true(box_wait(world->base, is_answered, world, SOON));
    assert_int_equal(world->answers, 1);
    return (int)world->status;
}

/* Greetings of scripted servers. */

static const struct {
    const char *label;
    struct fake_rule rule;
    bool up;
    enum notice_kind kind;
    const char *detail;
    const char *password;
} greetings[] = {
    {"plain", {"-", "", 0}, true, NOTICE_REDIS_UP, "unix:", ""},
    {"with a password", {"-", "", 0}, true, NOTICE_REDIS_UP, "unix:", "secret"},
    {"wrong password",
     {"AUTH", "-WRONGPASS invalid username-password pair\r\n", 0},
     false,
     NOTICE_REDIS_REFUSED,
     "WRONGPASS",
     "secret"},
    {"password wanted",
     {"INFO", "-NOAUTH Authentication required.\r\n", 0},
     false,
     NOTICE_REDIS_REFUSED,
     "NOAUTH",
     ""},
    {"no right to ask",
     {"ROLE", "-NOPERM no rights\r\n", 0},
     false,
     NOTICE_REDIS_REFUSED,
     "NOPERM",
     ""},
    {"a cluster",
     {"INFO", "$35\r\nrun_id:abc\r\nredis_mode:cluster\r\n123\r\n", 0},
     false,
     NOTICE_REDIS_REFUSED,
     "Cluster",
     ""},
    {"a cluster, said otherwise",
     {"INFO", "$34\r\nrun_id:abc\r\ncluster_enabled:1\r\n123\r\n", 0},
     false,
     NOTICE_REDIS_REFUSED,
     "Cluster",
     ""},
    {"a cluster, by its errors",
     {"INFO", "-MOVED 1 192.0.2.1:6379\r\n", 0},
     false,
     NOTICE_REDIS_REFUSED,
     "Cluster",
     ""},
    {"loading",
     {"INFO", "$24\r\nrun_id:abc\r\nloading:1\r\n\n\r\n", 0},
     false,
     NOTICE_REDIS_FAILING,
     "LOADING",
     ""},
    {"loading, said by errors",
     {"INFO", "-LOADING wait\r\n", 0},
     false,
     NOTICE_REDIS_FAILING,
     "LOADING",
     ""},
    {"its master is down",
     {"INFO", "-MASTERDOWN Link with MASTER is down\r\n", 0},
     false,
     NOTICE_REDIS_FAILING,
     "MASTERDOWN",
     ""},
    {"a replica",
     {"ROLE", "*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:1\r\n", 0},
     false,
     NOTICE_REDIS_REFUSED,
     "it is a read-only replica",
     ""},
    {"a sentinel",
     {"ROLE", "*2\r\n$8\r\nsentinel\r\n*0\r\n", 0},
     false,
     NOTICE_REDIS_REFUSED,
     "its role is sentinel",
     ""},
    {"no run_id", {"INFO", "$5\r\nhello\r\n", 0}, false, NOTICE_REDIS_DOWN, "not understood", ""},
    {"INFO nil", {"INFO", "$-1\r\n", 0}, false, NOTICE_REDIS_DOWN, "not understood", ""},
    {"ROLE empty", {"ROLE", "*0\r\n", 0}, false, NOTICE_REDIS_DOWN, "not understood", ""},
    {"ROLE a list of lists",
     {"ROLE", "*1\r\n*1\r\n:1\r\n", 0},
     false,
     NOTICE_REDIS_DOWN,
     "not understood",
     ""},
    {"TIME of another shape",
     {"TIME", "*2\r\n:1\r\n$-1\r\n", 0},
     true,
     NOTICE_REDIS_UP,
     "unix:",
     ""},
    {"not Redis",
     {"INFO", "HTTP/1.1 400 Bad Request\r\n", 0},
     false,
     NOTICE_REDIS_DOWN,
     "Protocol error",
     ""},
    {"silent", {"INFO", NULL, 0}, false, NOTICE_REDIS_DOWN, "no answer", ""},
};

static bool is_told(void *arg)
{
    struct box_notices *notices = arg;

    return notices->count[NOTICE_REDIS_UP] + notices->count[NOTICE_REDIS_DOWN] > 0;
}

static void test_greetings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(greetings) / sizeof(greetings[0]); i++) {
        struct world world;
        struct fake fake;
        struct store_options options;

        print_message("  %s\n", greetings[i].label);
        scripted_open(&world, &fake, &greetings[i].rule, 1);
        options = options_at(fake.path);
        options.password = greetings[i].password;
        world_start(&world, &options);
        assert_true(box_wait(world.base, is_told, &world.notices, SOON));
        assert_int_equal(is_up(&world), greetings[i].up);
        assert_int_equal(world.notices.count[greetings[i].kind], 1);
        assert_non_null(strstr(world.notices.last[greetings[i].kind], greetings[i].detail));
        if (greetings[i].up)
            assert_string_equal(store_trouble(world.store), "");
        else
            assert_non_null(strstr(store_trouble(world.store), greetings[i].detail));
        world_close(&world);
    }
}

static void test_what_a_greeting_tells(void **state)
{
    struct world world;
    struct fake fake;

    (void)state;
    scripted_open(&world, &fake, NULL, 0);
    scripted_up(&world, 100);
    assert_string_equal(store_run_id(world.store), "abc");
    assert_int_equal(store_evicted(world.store), 3);
    assert_true(clock_unix(&world.clock) - 1700000000 <= 2);
    assert_int_equal(world.ups, 1);
    world_close(&world);
}

/* A refusal is told once while its words are the same. */
static bool has_tried_thrice(void *arg)
{
    return ((struct fake *)arg)->connections >= 3;
}

static void test_refusal_told_once(void **state)
{
    static const struct fake_rule rule = {"INFO", "-NOAUTH Authentication required.\r\n", 0};
    struct world world;
    struct fake fake;
    struct store_options options;

    (void)state;
    scripted_open(&world, &fake, &rule, 1);
    options = options_at(fake.path);
    world_start(&world, &options);
    assert_true(box_wait(world.base, has_tried_thrice, &fake, SOON));
    assert_int_equal(world.notices.count[NOTICE_REDIS_REFUSED], 1);
    assert_int_equal(world.notices.count[NOTICE_REDIS_DOWN], 1);
    world_close(&world);
}

static void test_full_server(void **state)
{
    struct world world;
    struct fake fake;
    struct store_options options;

    (void)state;
    scripted_open(&world, &fake, NULL, 0);
    fake.greeting = "-ERR max number of clients reached\r\n";
    options = options_at(fake.path);
    world_start(&world, &options);
    assert_true(box_wait(world.base, is_told, &world.notices, SOON));
    assert_non_null(strstr(world.notices.last[NOTICE_REDIS_DOWN], "max number"));
    world_close(&world);
}

/* A server that turns us away after a word (protected mode): the word is told, not the end. */
static void test_turned_away(void **state)
{
    static const struct fake_rule rule[] = {{"INFO", "-DENIED protected mode\r\n", 0},
                                            {"ROLE", NULL, 0}};
    struct world world;
    struct fake fake;
    struct store_options options;

    (void)state;
    scripted_open(&world, &fake, rule, 2);
    options = options_at(fake.path);
    world_start(&world, &options);
    box_wait(world.base, is_told, &world.notices, 100); /* it waits for ROLE */
    assert_int_equal(fake.connections, 1);
    fake_forget(&fake, 0);
    assert_true(box_wait(world.base, is_told, &world.notices, SOON));
    assert_non_null(strstr(world.notices.last[NOTICE_REDIS_DOWN], "DENIED"));
    assert_non_null(strstr(store_trouble(world.store), "DENIED"));
    world_close(&world);
}

/* Answers to one GET, and what the asker hears. */

#define TEN(x)     x x x x x x x x x x
#define HUNDRED(x) TEN(TEN(x))

static const struct {
    const char *label;
    const char *answer;
    enum store_status status;
    bool stays_up;
    enum store_kind kind;
    const char *text;
} answers[] = {
    {"text", "$3\r\nabc\r\n", STORE_OK, true, STORE_KIND_TEXT, "abc"},
    {"status", "+OK\r\n", STORE_OK, true, STORE_KIND_TEXT, "OK"},
    {"nil", "$-1\r\n", STORE_OK, true, STORE_KIND_NIL, ""},
    {"nil list", "*-1\r\n", STORE_OK, true, STORE_KIND_NIL, ""},
    {"number", ":12\r\n", STORE_OK, true, STORE_KIND_INTEGER, ""},
    {"list", "*2\r\n:1\r\n*1\r\n$1\r\na\r\n", STORE_OK, true, STORE_KIND_LIST, ""},
    {"seven deep", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*0\r\n", STORE_OK, true, STORE_KIND_LIST,
     ""},
    {"wrong type", "-WRONGTYPE Operation\r\n", STORE_ERROR, true, STORE_KIND_ERROR,
     "WRONGTYPE Operation"},
    {"out of memory", "-OOM command not allowed\r\n", STORE_ERROR, true, STORE_KIND_ERROR,
     "OOM command not allowed"},
    {"read-only", "-READONLY You can't\r\n", STORE_ERROR, false, STORE_KIND_ERROR,
     "READONLY You can't"},
    {"a cluster's", "-MOVED 866 192.0.2.1:6379\r\n", STORE_ERROR, false, STORE_KIND_ERROR,
     "MOVED 866 192.0.2.1:6379"},
    {"silence", NULL, STORE_TIMEOUT, false, 0, ""},
    {"a length that lies", "$100\r\nabc\r\n", STORE_TIMEOUT, false, 0, ""},
    {"a huge length", "$9223372036854775807\r\nabc\r\n", STORE_TIMEOUT, false, 0, ""},
    {"negative length", "$-2\r\n", STORE_LOST, false, 0, ""},
    {"length beyond numbers", "$99999999999999999999\r\n", STORE_LOST, false, 0, ""},
    {"4 billion elements", "*4294967295\r\n", STORE_LOST, false, 0, ""},
    {"2 billion elements", "*2147483647\r\n", STORE_LOST, false, 0, ""},
    {"more elements than we take", "*65537\r\n", STORE_LOST, false, 0, ""},
    {"more in sum", "*2\r\n*1\r\n*65000\r\n*600\r\n", STORE_LOST, false, 0, ""},
    {"negative elements", "*-2\r\n", STORE_LOST, false, 0, ""},
    {"a thousand lists deep", HUNDRED(TEN("*1\r\n")), STORE_LOST, false, 0, ""},
    {"no number", ":abc\r\n", STORE_LOST, false, 0, ""},
    {"no type", "abc\r\n", STORE_LOST, false, 0, ""},
    {"a RESP3 map", "%1\r\n+a\r\n+b\r\n", STORE_LOST, false, 0, ""},
    {"a RESP3 push", ">1\r\n+a\r\n", STORE_LOST, false, 0, ""},
    {"two answers", "+OK\r\n+OK\r\n", STORE_OK, false, STORE_KIND_TEXT, "OK"},
    {"two answers, the second a list", "+OK\r\n*1\r\n:1\r\n", STORE_OK, false, STORE_KIND_TEXT,
     "OK"},
    {"two answers, the second an error", "+OK\r\n-ERR\r\n", STORE_OK, false, STORE_KIND_TEXT, "OK"},
};

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct fake_rule rule = {"GET", answers[i].answer, 0};
        struct world world;
        struct fake fake;

        print_message("  %s\n", answers[i].label);
        scripted_open(&world, &fake, &rule, 1);
        scripted_up(&world, 100);
        assert_int_equal(ask_one(&world, "GET k"), answers[i].status);
        if (answers[i].status == STORE_OK || answers[i].status == STORE_ERROR) {
            assert_int_equal(world.count, 1);
            assert_int_equal(world.kind[0], answers[i].kind);
            assert_string_equal(world.text[0], answers[i].text);
        } else {
            assert_int_equal(world.count, 0);
        }
        if (answers[i].stays_up) {
            assert_int_equal(ask_one(&world, "SET k v"), STORE_OK);
            assert_int_equal(fake.connections, 1);
            assert_int_equal(world.downs, 0);
        } else {
            assert_int_equal(world.downs, 1);
            assert_true(box_wait(world.base, is_up, &world, SOON));
            assert_int_equal(fake.connections, 2);
        }
        world_close(&world);
    }
}

/* The same through a server that writes a byte at a time. */
static void test_answers_byte_by_byte(void **state)
{
    static const struct fake_rule rule = {"GET", "*2\r\n:1\r\n*1\r\n$1\r\na\r\n", 0};
    struct world world;
    struct fake fake;

    (void)state;
    scripted_open(&world, &fake, &rule, 1);
    fake.by_bytes = true;
    scripted_up(&world, 1000);
    assert_int_equal(ask_one(&world, "GET k"), STORE_OK);
    assert_int_equal(world.elements, 2);
    world_close(&world);
}

/* A reply without end is not collected without end. */
static void test_endless_answer(void **state)
{
    struct fake_rule rule = {"GET", NULL, 0};
    size_t size = 2 << 20;
    char *endless = malloc(size);
    struct world world;
    struct fake fake;

    (void)state;
    memset(endless, 'x', size);
    memcpy(endless, "$99999999\r\n", 11);
    rule.answer = endless;
    rule.length = size;
    scripted_open(&world, &fake, &rule, 1);
    scripted_up(&world, 5000);
    assert_int_equal(ask_one(&world, "GET k"), STORE_LOST);
    assert_string_equal(world.notices.last[NOTICE_REDIS_DOWN], "reply too long");
    world_close(&world);
    free(endless);
}

struct order {
    enum store_status status[3];
    size_t count;
};

static void note_order(void *arg, enum store_status status, const struct store_reply *const *reply,
                       size_t count)
{
    struct order *order = arg;

    (void)reply, (void)count;
    order->status[order->count++] = status;
}

static bool has_three(void *arg)
{
    return ((struct order *)arg)->count == 3;
}

/* The one that missed its budget hears so; the others, sent later, that they are lost. */
static void test_timeout_and_those_behind_it(void **state)
{
    static const struct fake_rule rule = {"GET", NULL, 0};
    struct order order = {.count = 0};
    struct world world;
    struct fake fake;

    (void)state;
    scripted_open(&world, &fake, &rule, 1);
    scripted_up(&world, 100);
    for (int i = 0; i < 3; i++) {
        struct store_batch *batch = store_batch_new(false);

        store_batch_add(batch, "GET", "k", NULL);
        assert_true(store_send(world.store, batch, note_order, &order));
        if (i == 0)
            box_wait(world.base, box_never, NULL, 30);
    }
    assert_true(box_wait(world.base, has_three, &order, SOON));
    assert_int_equal(order.status[0], STORE_TIMEOUT);
    assert_int_equal(order.status[1], STORE_LOST);
    assert_int_equal(order.status[2], STORE_LOST);
    assert_int_equal(world.notices.count[NOTICE_REDIS_TIMEOUT], 1);
    assert_true(box_wait(world.base, is_up, &world, 500)); /* at once, that is */
    world_close(&world);
}

static void test_free_with_batches_under_way(void **state)
{
    static const struct fake_rule rule = {"GET", NULL, 0};
    struct order order = {.count = 0};
    struct world world;
    struct fake fake;

    (void)state;
    scripted_open(&world, &fake, &rule, 1);
    scripted_up(&world, 100);
    for (int i = 0; i < 3; i++) {
        struct store_batch *batch = store_batch_new(i == 1);

        store_batch_add(batch, "GET", "k", NULL);
        assert_true(store_send(world.store, batch, note_order, &order));
    }
    world_close(&world);
    assert_int_equal(order.count, 3);
    assert_int_equal(order.status[2], STORE_LOST);
}

static void test_batches_never_sent(void **state)
{
    struct world world;
    struct store_options options = options_at("/nonexistent/redis.sock");
    struct store_batch *batch;

    (void)state;
    world_open(&world);
    world_start(&world, &options);
    assert_int_equal(ask_one(&world, "GET k"), -1);
    assert_false(store_send(world.store, store_batch_new(false), on_done, &world));
    assert_false(store_send(NULL, store_batch_new(true), on_done, &world));
    assert_false(store_send(world.store, NULL, on_done, &world));
    batch = store_batch_new(true);
    for (int i = 0; i < 65; i++)
        store_batch_add(batch, "GET", "k", NULL);
    store_batch_free(batch);
    assert_int_equal(world.answers, 0);
    world_close(&world);
}

static void test_host_by_name(void **state)
{
    struct world world;
    struct fake fake;
    struct store_options options = {
        .host = "redis.example.net", .database = 3, .user = "mxw", .password = "x", .timeout = 100};

    (void)state;
    world_open(&world);
    fake_open_tcp(&fake, world.base);
    world.fake = &fake;
    options.port = fake.port;
    world_start(&world, &options);
    assert_true(box_wait(world.base, is_up, &world, SOON));
    assert_non_null(strstr(world.notices.last[NOTICE_REDIS_UP], "redis.example.net:"));
    store_free(world.store);
    memset(&world.notices, 0, sizeof(world.notices));
    options.host = "nowhere.example.net";
    world_start(&world, &options);
    assert_true(box_wait(world.base, is_told, &world.notices, SOON));
    assert_non_null(strstr(world.notices.last[NOTICE_REDIS_DOWN], "no address"));
    world_close(&world);
}

/* From here on a real server. */

static void real_open(struct world *world, struct redisbox *box, int64_t timeout)
{
    struct store_options options;

    box_open(box);
    world_open(world);
    options = options_at(box->path);
    options.timeout = timeout;
    world_start(world, &options);
    assert_true(box_wait(world->base, is_up, world, SOON));
}

static void real_close(struct world *world, struct redisbox *box)
{
    world_close(world);
    box_close(box);
}

static void test_real_commands(void **state)
{
    static const char *const batch[] = {"SET a 1", "GET a", "INCR a", "HSET a f v"};
    static const char *const bad[] = {"SET b 1", "NOSUCHCOMMAND", "INCR b"};
    static const char *const wrong[] = {"SET c 1", "HSET c f v", "INCR c"};
    struct timing timing = {0};
    struct world world;
    struct redisbox box;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world, &box, 1000);
    assert_int_equal(strlen(store_run_id(world.store)), 40);

    store_set_timing(world.store, &timing);
    assert_true(ask(&world, false, batch, 4));
    assert_true(box_wait(world.base, is_answered, &world, SOON));
    assert_int_equal(timing.count, 1); /* a batch, not its commands */
    assert_in_range(timing.longest, 1, 1000000);
    assert_int_equal(world.status, STORE_ERROR);
    assert_int_equal(world.count, 4);
    assert_string_equal(world.text[1], "1");
    assert_int_equal(world.number[2], 2);
    assert_int_equal(world.kind[3], STORE_KIND_ERROR);

    assert_true(ask(&world, true, batch, 3));
    assert_true(box_wait(world.base, is_answered, &world, SOON));
    assert_int_equal(world.status, STORE_OK);
    assert_int_equal(world.count, 3);
    assert_string_equal(world.text[1], "1");
    assert_int_equal(world.number[2], 2);

    assert_true(ask(&world, true, bad, 3)); /* refused as a whole */
    assert_true(box_wait(world.base, is_answered, &world, SOON));
    assert_int_equal(world.status, STORE_ERROR);
    assert_int_equal(world.count, 3);
    assert_non_null(strstr(world.text[0], "EXECABORT"));
    assert_non_null(strstr(world.text[1], "unknown command"));
    assert_string_equal(box_say(&box, "EXISTS b"), "0");

    struct store_batch *silent = store_batch_new(true); /* whose answer nobody wants */
    store_batch_add(silent, "SET", "d", "1", NULL);
    assert_true(store_send(world.store, silent, NULL, NULL));

    assert_true(ask(&world, true, wrong, 3)); /* Redis does the others */
    assert_true(box_wait(world.base, is_answered, &world, SOON));
    assert_int_equal(world.status, STORE_ERROR);
    assert_int_equal(world.kind[1], STORE_KIND_ERROR);
    assert_int_equal(world.number[2], 2);
    assert_string_equal(box_say(&box, "GET d"), "1");
    assert_true(store_is_up(world.store));
    real_close(&world, &box);
}

static void test_real_kill_and_restart(void **state)
{
    struct world world;
    struct redisbox box;
    int64_t start;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world, &box, 1000);
    box_kill(&box);
    assert_int_equal(ask_one(&world, "GET a"), STORE_LOST);
    assert_false(store_is_up(world.store));
    box_wait(world.base, box_never, NULL, 1500); /* long enough for the breaker */
    assert_int_equal(ask_one(&world, "GET a"), -1);
    assert_int_equal(world.notices.count[NOTICE_REDIS_DOWN], 1);
    box_run(&box);
    start = clock_mono();
    assert_true(box_wait(world.base, is_up, &world, SOON));
    assert_true(clock_mono() - start < 2000);
    assert_int_equal(ask_one(&world, "SET a 1"), STORE_OK);
    assert_int_equal(world.ups, 2);
    assert_int_equal(world.downs, 1);
    real_close(&world, &box);
}

static void test_real_hung(void **state)
{
    struct world world;
    struct redisbox box;
    int64_t start = 0, took;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world, &box, 100);
    kill(box.pid, SIGSTOP);
    start = clock_mono();
    assert_int_equal(ask_one(&world, "GET a"), STORE_TIMEOUT);
    took = clock_mono() - start;
    assert_true(took >= 95 && took < 1000);
    assert_int_equal(ask_one(&world, "GET a"), -1);
    box_wait(world.base, box_never, NULL, 2500); /* until the breaker has opened */
    kill(box.pid, SIGCONT);
    start = clock_mono();
    assert_true(box_wait(world.base, is_up, &world, SOON));
    assert_true(clock_mono() - start < 2000);
    assert_int_equal(ask_one(&world, "SET a 1"), STORE_OK);
    real_close(&world, &box);
}

static void test_real_password(void **state)
{
    struct world world;
    struct redisbox box;
    struct store_options options;

    (void)state;
    BOX_NEEDS_SERVER();
    box_open(&box);
    box_say(&box, "ACL SETUSER mxw on >good ~mxw1:* +@all");
    world_open(&world);
    options = options_at(box.path);
    options.timeout = 1000;
    options.user = "mxw";
    options.password = "bad";
    world_start(&world, &options);
    assert_true(box_wait(world.base, is_told, &world.notices, SOON));
    assert_non_null(strstr(world.notices.last[NOTICE_REDIS_REFUSED], "WRONGPASS"));
    box_say(&box, "ACL SETUSER mxw >bad"); /* put right at the server's side */
    assert_true(box_wait(world.base, is_up, &world, SOON));
    assert_int_equal(ask_one(&world, "SET mxw1:a 1"), STORE_OK);
    assert_int_equal(world.notices.count[NOTICE_REDIS_REFUSED], 1);
    assert_int_equal(ask_one(&world, "SET other 1"), STORE_ERROR);
    assert_int_equal(ask_one(&world, "SET other 1"), STORE_ERROR);
    assert_int_equal(world.notices.count[NOTICE_REDIS_REFUSED], 2);
    assert_non_null(strstr(world.notices.last[NOTICE_REDIS_REFUSED], "NOPERM"));
    assert_true(store_is_up(world.store));
    real_close(&world, &box);
}

static void test_real_becomes_replica(void **state)
{
    struct world world;
    struct redisbox box;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world, &box, 1000);
    box_say(&box, "REPLICAOF 127.0.0.1 1");
    assert_int_equal(ask_one(&world, "SET a 1"), STORE_ERROR);
    assert_int_equal(world.kind[0], STORE_KIND_ERROR);
    assert_true(box_wait(world.base, is_down, &world, 0));
    assert_non_null(strstr(world.notices.last[NOTICE_REDIS_DOWN], "READONLY"));
    box_wait(world.base, box_never, NULL, 300);
    assert_false(store_is_up(world.store)); /* it is not taken for a master meanwhile */
    box_say(&box, "REPLICAOF NO ONE");
    assert_true(box_wait(world.base, is_up, &world, SOON));
    assert_int_equal(ask_one(&world, "SET a 1"), STORE_OK);
    real_close(&world, &box);
}

static bool is_writable(void *arg)
{
    return ask_one(arg, "SET a 1") == STORE_OK;
}

static void test_real_full(void **state)
{
    struct world world;
    struct redisbox box;
    int64_t start;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world, &box, 1000);
    box_say(&box, "CONFIG SET maxmemory 1");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask_one(&world, "SET a 1"), STORE_ERROR);
        assert_non_null(strstr(world.text[0], "OOM"));
    }
    assert_int_equal(ask_one(&world, "SET a 1"), -1); /* the breaker */
    assert_true(store_is_up(world.store));
    assert_non_null(strstr(store_trouble(world.store), "OOM"));
    assert_int_equal(world.notices.count[NOTICE_REDIS_FAILING], 1);
    assert_non_null(strstr(world.notices.last[NOTICE_REDIS_FAILING], "OOM"));
    start = clock_mono();
    while (ask_one(&world, "SET a 1") == -1 && clock_mono() - start < SOON)
        box_wait(world.base, box_never, NULL, 10);
    assert_true(clock_mono() - start >= 700);
    assert_int_equal(world.status, STORE_ERROR);      /* the trial */
    assert_int_equal(ask_one(&world, "SET a 1"), -1); /* failed */
    box_say(&box, "CONFIG SET maxmemory 0");
    start = clock_mono();
    assert_true(box_wait(world.base, is_writable, &world, SOON));
    assert_true(clock_mono() - start < 2000);
    assert_string_equal(store_trouble(world.store), "");
    real_close(&world, &box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greetings),
        cmocka_unit_test(test_what_a_greeting_tells),
        cmocka_unit_test(test_refusal_told_once),
        cmocka_unit_test(test_full_server),
        cmocka_unit_test(test_turned_away),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_answers_byte_by_byte),
        cmocka_unit_test(test_endless_answer),
        cmocka_unit_test(test_timeout_and_those_behind_it),
        cmocka_unit_test(test_free_with_batches_under_way),
        cmocka_unit_test(test_batches_never_sent),
        cmocka_unit_test(test_host_by_name),
        cmocka_unit_test(test_real_commands),
        cmocka_unit_test(test_real_kill_and_restart),
        cmocka_unit_test(test_real_hung),
        cmocka_unit_test(test_real_password),
        cmocka_unit_test(test_real_becomes_replica),
        cmocka_unit_test(test_real_full),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
