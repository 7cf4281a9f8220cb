/*
 * policy/top.c: what stands in the sorted sets of the day, and what the process itself can tell.
 */
#include "policy/top.h"

#include "tests/unit/fake_clock.h"
#include "tests/unit/fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define NETS    "t1:top:bypass:20261121"
#define DOMAINS "t1:top:domains:20261121"

static struct event_base *base;
static struct clock wall;
static struct top *top;
static unsigned flushed;

static int setup(void **state)
{
    (void)state;
    base = event_base_new();
    fake_open(base);
    clock_set_unix(&wall, INT64_C(1795305590000)); /* 2026-11-21 23:59:50 UTC */
    top = top_new(base, &wall, (struct store *)&fake, "t1");
    flushed = 0;
    return top ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    top_free(top);
    fake_close();
    event_base_free(base);
    return 0;
}

static void add(enum top_list list, const char *name, unsigned times)
{
    while (times-- > 0)
        top_add(top, list, name);
}

static void on_flushed(void *arg)
{
    (void)arg;
    flushed++;
}

static void push(void)
{
    top_flush(top, on_flushed, NULL);
    event_base_loop(base, EVLOOP_NONBLOCK);
    event_base_loop(base, EVLOOP_NONBLOCK);
}

static void assert_score(const char *key, const char *name, const char *wanted)
{
    const char *got = fake_hget(key, name);

    if (!got != !wanted || (got && strcmp(got, wanted) != 0))
        fail_msg("%s %s is %s", key, name, got ? got : "(none)");
}

static void both_sets(void **state)
{
    (void)state;
    add(TOP_BYPASS, "[198.51.100.0/24]", 3);
    add(TOP_DOMAINS, "example.com", 5);
    push();
    assert_score(NETS, "[198.51.100.0/24]", "3");
    assert_score(DOMAINS, "example.com", "5");
    assert_int_equal(fake_ttl(NETS), 8 * 86400);
    assert_int_equal(fake_ttl(DOMAINS), 8 * 86400);
    assert_string_equal(fake.cut, "0 -1001");
    fake_hset(NETS, "[198.51.100.0/24]", "10"); /* another node added, too */
    add(TOP_BYPASS, "[198.51.100.0/24]", 1);
    push();
    assert_score(NETS, "[198.51.100.0/24]", "11");
    assert_score(DOMAINS, "example.com", "5");
}

static void next_day(void **state)
{
    struct heavy_item item[4];

    (void)state;
    add(TOP_DOMAINS, "example.com", 5);
    push();
    add(TOP_DOMAINS, "example.com", 2);
    clock_set_unix(&wall, INT64_C(1795305601000));
    add(TOP_DOMAINS, "example.com", 1);
    push();
    assert_score(DOMAINS, "example.com", "5");
    assert_score("t1:top:domains:20261122", "example.com", "3");
    assert_int_equal(top_get(top, TOP_DOMAINS, item, 4), 1);
    assert_int_equal(item[0].count, 1);
}

static const struct {
    const char *label;
    bool up;
    enum store_status status;
    const char *wanted; /* of 5 added in trouble and 1 after */
} troubles[] = {
    {"fine", true, STORE_OK, "6"},
    {"away: kept", false, STORE_OK, "6"},
    {"refused: kept", true, STORE_ERROR, "6"},
    {"lost: dropped, for it may be counted", true, STORE_LOST, "1"},
};

static void trouble_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++) {
        fake_del(DOMAINS);
        fake.up = troubles[i].up;
        fake.status = troubles[i].status;
        add(TOP_DOMAINS, "example.com", 5);
        push();
        fake.up = true;
        fake.status = STORE_OK;
        add(TOP_DOMAINS, "example.com", 1);
        push();
        const char *got = fake_hget(DOMAINS, "example.com");
        if (!got || strcmp(got, troubles[i].wanted) != 0)
            fail_msg("%s: %s", troubles[i].label, got ? got : "(none)");
    }
}

/* A flood of networks: each time only the busiest sixty are sent. */
static void flood(void **state)
{
    char name[32];

    (void)state;
    for (int i = 0; i < 5000; i++) {
        snprintf(name, sizeof name, "[192.0.2.%d/32]", i);
        add(TOP_BYPASS, name, 1);
        add(TOP_BYPASS, "[198.51.100.0/24]", i % 2);
    }
    while (fake.sent == 0)
        event_base_loop(base, EVLOOP_ONCE);
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(fake.sent, 1);
    assert_int_equal(fake_key(NETS, false)->fields, 60);
    assert_score(NETS, "[198.51.100.0/24]", "2500");
}

/* Told once: when the last of it has been answered, well or not, or at once. */
static void flush_tells_its_end(void **state)
{
    char name[32];

    (void)state;
    fake.hold = true;
    for (int i = 0; i < 70; i++) { /* more than goes at a time */
        snprintf(name, sizeof name, "[192.0.2.%d/32]", i);
        add(TOP_BYPASS, name, 1);
    }
    add(TOP_DOMAINS, "example.com", 5);
    top_flush(top, on_flushed, NULL);
    assert_int_equal(fake.sent, 3);
    assert_int_equal(flushed, 0);
    fake_release();
    while (!flushed)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(fake_key(NETS, false)->fields, 70);
    assert_score(DOMAINS, "example.com", "5");
    push(); /* nothing */
    assert_int_equal(flushed, 2);
    add(TOP_DOMAINS, "example.com", 1);
    fake.up = false;
    push();
    assert_int_equal(flushed, 3);
    fake.up = true;
    fake.status = STORE_TIMEOUT;
    push();
    assert_int_equal(flushed, 4);
    assert_int_equal(fake.sent, 4);
}

static void freed_under_way(void **state)
{
    (void)state;
    fake.hold = true;
    add(TOP_DOMAINS, "example.com", 1);
    top_flush(top, on_flushed, NULL);
    top_free(top);
    top = NULL;
    fake_release();
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_score(DOMAINS, "example.com", "1");
    assert_int_equal(flushed, 0); /* whom it is to tell may be gone, too */
}

static void without_redis(void **state)
{
    struct top *lone = top_new(base, &wall, NULL, "t1");
    struct heavy_item item[4];

    (void)state;
    top_add(lone, TOP_BYPASS, "[198.51.100.0/24]");
    top_flush(lone, on_flushed, NULL);
    assert_int_equal(flushed, 1);
    assert_int_equal(top_get(lone, TOP_BYPASS, item, 4), 1);
    assert_string_equal(item[0].name, "[198.51.100.0/24]");
    assert_int_equal(top_get(lone, TOP_DOMAINS, item, 4), 0);
    top_free(lone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_sets, setup, teardown),
        cmocka_unit_test_setup_teardown(next_day, setup, teardown),
        cmocka_unit_test_setup_teardown(trouble_table, setup, teardown),
        cmocka_unit_test_setup_teardown(flood, setup, teardown),
        cmocka_unit_test_setup_teardown(flush_tells_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(freed_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(without_redis, setup, teardown),
    };

    return cmocka_run_group_tests_name("top", tests, NULL, NULL);
}
