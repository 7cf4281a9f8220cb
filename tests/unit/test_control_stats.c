/*
 * policy/control_stats.c, show_stats.c and show_top.c: the numbers of a Redis that the process shares
 * with others, with whatever these have written there.
 */
#include "policy/control_ask.h"

#include "policy/conf.h"
#include "policy/stats.h"
#include "policy/top.h"
#include "tests/unit/fake_clock.h"
#include "tests/unit/fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>

#define TOTAL   "mxw1:stat:mx2.example.com"
#define DAY     "mxw1:stat:mx2.example.com:20261121"
#define NETS    "mxw1:top:bypass:20261121"
#define DOMAINS "mxw1:top:domains:20261121"

static struct event_base *base;
static struct clock wall;
static struct conf conf = {.node = "mx2.example.com", .cache = {.prefix = (char *)"mxw1"}};
static struct conversation conversation;
static json_t *result;

void control_end(struct control_ask *ask, json_t *reply)
{
    assert_null(result);
    result = reply;
    free(ask);
}

const char *store_policy(const struct store *store)
{
    (void)store;
    return "noeviction";
}

const char *store_run_id(const struct store *store)
{
    (void)store;
    return "run";
}

int64_t store_evicted(const struct store *store)
{
    (void)store;
    return 0;
}

static int setup(void **state)
{
    struct store *store = (struct store *)&fake;

    (void)state;
    base = event_base_new();
    fake_open(base);
    clock_set_unix(&wall, INT64_C(1795305590000)); /* 2026-11-21 23:59:50 UTC */
    conversation = (struct conversation){
        .conf = &conf,
        .clock = &wall,
        .store = store,
        .stats = stats_new(base, &wall, store, "mxw1", "mx2.example.com"),
        .top = top_new(base, &wall, store, "mxw1"),
    };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    json_decref(result);
    result = NULL;
    stats_free(conversation.stats);
    top_free(conversation.top);
    fake_close();
    event_base_free(base);
    return 0;
}

static struct control_ask *ask_new(void)
{
    static char somebody;
    struct control_ask *ask = calloc(1, sizeof *ask);

    ask->peer = (struct peer *)&somebody; /* only whether there is one counts here */
    ask->conversation = &conversation;
    return ask;
}

/* A member of the result as text; path: "counters.mx_hits", "bypass.0.net". */
static const char *told(const char *path)
{
    static char text[256];
    char copy[128], *rest = copy, *step;
    const json_t *at = result;

    snprintf(copy, sizeof copy, "%s", path);
    while ((step = strsep(&rest, ".")))
        at = json_is_array(at) ? json_array_get(at, (size_t)atoi(step)) : json_object_get(at, step);
    char *dump = json_dumps(at, JSON_ENCODE_ANY | JSON_REAL_PRECISION(9));
    snprintf(text, sizeof text, "%s", dump ? dump : "(none)");
    free(dump);
    return text;
}

static void ask(void (*command)(struct control_ask *ask, const json_t *request))
{
    json_decref(result);
    result = NULL;
    command(ask_new(), NULL);
    while (!result)
        event_base_loop(base, EVLOOP_ONCE);
}

static const struct {
    const char *label, *key, *field, *value, *path, *wanted;
} fields[] = {
    {"a counter", TOTAL, "mx_stale", "12", "counters.mx_stale", "12"},
    {"of the day", DAY, "mx_stale", "3", "today.mx_stale", "3"},
    {"a ratio", TOTAL, "hit_ratio", "0.987", "counters.hit_ratio", "0.987"},
    {"a domain's", DAY, "judged:example.com", "3", "today.judged:example.com", "(none)"},
    {"since when", TOTAL, "since", "1795300000", "counters.since", "(none)"},
    {"a mark", TOTAL, "flushed", "0123456789abcdef.9", "counters.flushed", "(none)"},
    {"a mark of digits", TOTAL, "flushed", "0123456789012345.9", "counters.flushed", "(none)"},
    {"below zero", TOTAL, "mx_stale", "-1", "counters.mx_stale", "(none)"},
    {"no number", TOTAL, "mx_stale", "many", "counters.mx_stale", "(none)"},
    {"two points", TOTAL, "hit_ratio", "0.9.7", "counters.hit_ratio", "(none)"},
    {"a giant", TOTAL, "mx_stale", "99999999999999999999", "counters.mx_stale", "(none)"},
    {"nothing", TOTAL, "mx_stale", "", "counters.mx_stale", "(none)"},
    {"terminal codes", TOTAL, "\x1b[31m", "1", "counters.\x1b[31m", "(none)"},
};

static void field_table(void **state)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        setup(state);
        fake_hset(fields[i].key, fields[i].field, fields[i].value);
        ask(control_stats);
        if (strcmp(told(fields[i].path), fields[i].wanted) != 0)
            fail_msg("%s: %s", fields[i].label, told(fields[i].path));
        assert_string_equal(told("shared"), "true");
        teardown(state);
    }
}

/* What was counted a moment ago is sent before it is read. */
static void as_redis_has_them(void **state)
{
    (void)state;
    fake_hset(TOTAL, "guard_seen", "100");
    stats_add(conversation.stats, "guard_seen", 5);
    ask(control_stats);
    assert_string_equal(told("counters.guard_seen"), "105");
    assert_string_equal(fake_hget(TOTAL, "guard_seen"), "105");
    assert_string_equal(told("today.guard_seen"), "5");
    assert_string_equal(told("day"), "\"20261121\"");
    assert_string_equal(told("redis.state"), "\"up\"");
}

static void top_of_the_site(void **state)
{
    char net[32];

    (void)state;
    for (int i = 1; i <= 60; i++) {
        snprintf(net, sizeof net, "[192.0.2.%d/32]", i);
        fake_hset(NETS, net, i < 10 ? "1" : "9");
    }
    fake_hset(NETS, "[198.51.100.0/24]", "1000");
    fake_hset(NETS, "not utf-8: \xff", "999");
    fake_hset(DOMAINS, "example.com", "7");
    fake_hset(DOMAINS, "example.net", "8.5"); /* nobody counts halves */
    fake_hset(DAY, "guard_exempt_sasl", "4");
    fake_hset(DAY, "guard_seen", "8");
    fake_hset(DAY, "guard_nonsense", "9");
    ask(control_top);
    assert_string_equal(told("bypass.0"), "{\"net\": \"[198.51.100.0/24]\", \"today\": 1000}");
    assert_string_equal(told("bypass.1.today"), "9");
    assert_string_equal(told("bypass.48.today"), "9");
    assert_string_equal(told("bypass.49"), "(none)"); /* fifty were asked for, one is no text */
    assert_string_equal(told("domains.0.domain"), "\"example.net\"");
    assert_string_equal(told("domains.1.today"), "7");
    assert_string_equal(told("reasons.0.reason"), "\"seen\"");
    assert_string_equal(told("reasons.1"),
                        "{\"reason\": \"exempt-sasl\", \"today\": 4, \"rate\": 0.0}");
    assert_string_equal(told("reasons.2"), "(none)");
}

/* Redis is away, or says nothing useful: the process's own, and told so. */
static const struct {
    const char *label;
    bool up;
    enum store_status status;
} troubles[] = {
    {"away", false, STORE_OK}, {"late", true, STORE_TIMEOUT}, {"lost", true, STORE_LOST}};

static void trouble_table(void **state)
{
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++) {
        setup(state);
        fake_hset(TOTAL, "guard_seen", "100");
        fake.up = troubles[i].up;
        fake.status = troubles[i].status;
        stats_add(conversation.stats, "guard_seen", 5);
        stats_add(conversation.stats, "mx_hits", 2);
        stats_add(conversation.stats, "mx_misses", 1);
        top_add(conversation.top, TOP_BYPASS, "[198.51.100.0/24]");
        ask(control_top);
        if (strcmp(told("shared"), "false") || strcmp(told("counters.guard_seen"), "5") ||
            strcmp(told("counters.hit_ratio"), "0.666666667") ||
            strcmp(told("reasons.0.today"), "5") ||
            strcmp(told("bypass.0"), "{\"net\": \"[198.51.100.0/24]\", \"today\": 1}"))
            fail_msg("%s: %s", troubles[i].label, told("counters"));
        ask(control_stats);
        assert_string_equal(told("today"), "{}");
        teardown(state);
    }
}

static void wrong_types(void **state)
{
    (void)state;
    fake_key(TOTAL, true)->is_text = true;
    fake_hset(DAY, "guard_seen", "3");
    ask(control_stats);
    assert_string_equal(told("shared"), "true");
    assert_string_equal(told("counters"), "{}");
    assert_string_equal(told("today.guard_seen"), "3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(field_table),
        cmocka_unit_test_setup_teardown(as_redis_has_them, setup, teardown),
        cmocka_unit_test_setup_teardown(top_of_the_site, setup, teardown),
        cmocka_unit_test(trouble_table),
        cmocka_unit_test_setup_teardown(wrong_types, setup, teardown),
    };

    return cmocka_run_group_tests_name("control_stats", tests, NULL, NULL);
}
