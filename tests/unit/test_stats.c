/*
 * policy/stats.c: what is in Redis after runs of adding, sending and failing.
 */
#include "policy/stats.h"
#include "cache/timing.h"
#include "tests/unit/fake_clock.h"
#include "tests/unit/fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define TOTAL "t1:stat:mx1.example.com"
#define DAY   "t1:stat:mx1.example.com:20261121"

static struct event_base *base;
static struct clock wall;
static struct stats *stats;
static unsigned flushed;

static int setup(void **state)
{
    (void)state;
    base = event_base_new();
    fake_open(base);
    clock_set_unix(&wall, INT64_C(1795305599000)); /* 2026-11-21 23:59:59 UTC */
    stats = stats_new(base, &wall, (struct store *)&fake, "t1", "mx1.example.com");
    flushed = 0;
    return stats ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    stats_free(stats);
    fake_close();
    event_base_free(base);
    return 0;
}

static void on_flushed(void *arg)
{
    (void)arg;
    flushed++;
}

static void flush(void)
{
    unsigned before = flushed;
    stats_flush(stats, on_flushed, NULL);
    while (flushed == before)
        event_base_loop(base, EVLOOP_ONCE);
}

static void assert_value(const char *key, const char *field, const char *wanted)
{
    const char *got = fake_hget(key, field);
    if (!got != !wanted || (got && strcmp(got, wanted)))
        fail_msg("%s %s is %s, not %s", key, field, got ? got : "(none)",
                 wanted ? wanted : "(none)");
}

static const struct {
    const char *label, *name, *wanted; /* wanted: the field's name, NULL where it is ignored */
} names[] = {
    {"plain", "mx_stale", "mx_stale"},
    {"digits", "dns_5xx", "dns_5xx"},
    {"empty", "", NULL},
    {"upper case", "Mx", NULL},
    {"a space", "mx hits", NULL},
    {"a dash", "mx-hits", NULL},
    {"47 characters", "a23456789012345678901234567890123456789012345ab",
     "a23456789012345678901234567890123456789012345ab"},
    {"48 characters", "a23456789012345678901234567890123456789012345abc", NULL},
};

static void names_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        stats_add(stats, names[i].name, 3);
        flush();
        const char *got = fake_hget(TOTAL, names[i].name);
        if (!got != !names[i].wanted || (got && strcmp(got, "3")))
            fail_msg("%s: %s", names[i].label, got ? got : "(none)");
    }
}

static void both_keys(void **state)
{
    (void)state;
    stats_add_kind(stats, "guard", "exempt-sasl");
    stats_add_kind(stats, "guard", "exempt-sasl");
    stats_add(stats, "redis_errors", 5);
    flush();
    assert_value(TOTAL, "guard_exempt_sasl", "2");
    assert_value(DAY, "guard_exempt_sasl", "2");
    assert_value(DAY, "redis_errors", "5");
    assert_value(TOTAL, "mx_hits", "0");
    assert_value(TOTAL, "hit_ratio", NULL);
    assert_value(TOTAL, "since", "1795305599");
    assert_int_equal(fake_ttl(TOTAL), 0);
    assert_int_equal(fake_ttl(DAY), 35 * 86400);
    stats_add(stats, "redis_errors", 1);
    flush();
    assert_value(TOTAL, "redis_errors", "6");
}

static const struct {
    const char *label, *name, *domain, *wanted; /* wanted: the field's name, NULL: ignored */
} domains[] = {
    {"a domain", "refused", "example.com", "refused:example.com"},
    {"the rest", "refused", "*", "refused:*"},
    {"no domain", "refused", "", NULL},
    {"no name", "", "example.com", NULL},
    {"a bad name", "re-fused", "example.com", NULL},
    {"a long name", "a23456789012345678901234567890123456789012345abc", "example.com", NULL},
};

static void domains_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof domains / sizeof domains[0]; i++) {
        char field[128];
        stats_add_of(stats, domains[i].name, domains[i].domain, 3);
        flush();
        snprintf(field, sizeof field, "%s:%s", domains[i].name, domains[i].domain);
        assert_value(DAY, field, domains[i].wanted ? "3" : NULL);
        assert_value(TOTAL, field, NULL);
    }
    assert_int_equal(fake_ttl(DAY), 35 * 86400);
}

/* One command each in the midst of those with two: the replies still fall to their counters. */
static void domains_among_others(void **state)
{
    (void)state;
    fake_key(DAY, true)->is_text = true;
    stats_add(stats, "a", 1);
    stats_add_of(stats, "b", "example.com", 2);
    stats_add(stats, "c", 3);
    flush();
    fake_del(DAY);
    fake_del(TOTAL);
    flush();
    assert_value(DAY, "a", NULL); /* the total had taken it */
    assert_value(DAY, "b:example.com", "2");
    assert_value(DAY, "c", NULL);
}

static void ratio(void **state)
{
    (void)state;
    fake_hset(TOTAL, "mx_hits", "980"); /* of an earlier process */
    stats_add(stats, "mx_hits", 7);
    stats_add(stats, "mx_misses", 13);
    flush();
    assert_value(TOTAL, "hit_ratio", "0.987");
    assert_value(DAY, "hit_ratio", "0.350");
    fake_hset(TOTAL, "hit_ratio", "untouched");
    stats_add(stats, "redis_errors", 1);
    flush();
    assert_value(TOTAL, "hit_ratio", "untouched");
}

static void next_day(void **state)
{
    (void)state;
    stats_add(stats, "mx_hits", 1);
    flush();
    clock_set_unix(&wall, INT64_C(1795305601000));
    stats_add(stats, "mx_hits", 1);
    flush();
    assert_value(TOTAL, "mx_hits", "2");
    assert_value(DAY, "mx_hits", "1");
    assert_value("t1:stat:mx1.example.com:20261122", "mx_hits", "1");
}

static void many_counters(void **state)
{
    (void)state;
    char name[16];
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "c%d", i);
        stats_add(stats, name, (uint64_t)i + 1);
    }
    flush();
    for (int i = 0; i < 60; i++) {
        char wanted[16];
        snprintf(name, sizeof name, "c%d", i);
        snprintf(wanted, sizeof wanted, "%d", i + 1);
        assert_value(TOTAL, name, wanted);
        assert_value(DAY, name, wanted);
    }
}

/* What becomes of 5 that were added while Redis was in trouble, and 1 added after. */
static const struct {
    const char *label;
    bool up;
    enum store_status status;
    unsigned late; /* batches that are done all the same */
    const char *wanted;
} troubles[] = {
    {"fine", true, STORE_OK, 0, "6"},
    {"away: kept", false, STORE_OK, 0, "6"},
    {"refused: kept", true, STORE_ERROR, 0, "6"},
    {"lost: found to be not counted", true, STORE_LOST, 0, "6"},
    {"late: found to be not counted", true, STORE_TIMEOUT, 0, "6"},
    {"lost, but done: found to be counted", true, STORE_LOST, 1, "6"},
    {"late, but done: found to be counted", true, STORE_TIMEOUT, 1, "6"},
};

static void trouble_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++) {
        fake_del(TOTAL);
        fake.up = troubles[i].up;
        fake.status = troubles[i].status;
        fake.late = troubles[i].late;
        stats_add(stats, "redis_errors", 5);
        flush();
        fake.up = true;
        fake.late = 0;
        fake.status = STORE_OK;
        stats_add(stats, "redis_errors", 1);
        flush();
        const char *got = fake_hget(TOTAL, "redis_errors");
        if (!got || strcmp(got, troubles[i].wanted))
            fail_msg("%s: %s", troubles[i].label, got ? got : "(none)");
    }
}

/* Of three transactions the first is done, and then the connection is lost. */
static void some_of_several(void **state)
{
    char name[16];

    (void)state;
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "c%02d", i);
        stats_add(stats, name, 7);
    }
    fake.status = STORE_LOST;
    fake.late = 1;
    stats_flush(stats, on_flushed, NULL);
    assert_int_equal(fake.sent, 3);
    while (!flushed)
        event_base_loop(base, EVLOOP_ONCE);
    assert_value(TOTAL, "c00", "7");
    assert_value(TOTAL, "c59", NULL);
    fake.status = STORE_OK;
    flush();
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "c%02d", i);
        assert_value(TOTAL, name, "7");
        assert_value(DAY, name, "7");
    }
}

/* As after a FLUSHALL, or by a process before this one. */
static void mark_of_another(void **state)
{
    (void)state;
    fake.status = STORE_LOST;
    stats_add(stats, "redis_errors", 5);
    flush();
    fake.status = STORE_OK;
    fake_hset(TOTAL, "flushed", "0123456789abcdef.99");
    flush();
    assert_value(TOTAL, "redis_errors", "5");
}

static void wrong_type(void **state)
{
    (void)state;
    fake_key(TOTAL, true)->is_text = true;
    stats_add(stats, "redis_errors", 5);
    flush();
    fake_del(TOTAL);
    flush();
    assert_value(TOTAL, "redis_errors", "5");
}

static void flush_takes_the_latest(void **state)
{
    (void)state;
    fake.hold = true;
    stats_add(stats, "redis_errors", 1);
    stats_flush(stats, on_flushed, NULL);
    assert_int_equal(flushed, 0);
    stats_add(stats, "redis_errors", 1); /* while the first is under way */
    stats_flush(stats, on_flushed, NULL);
    fake_release();
    while (!flushed)
        event_base_loop(base, EVLOOP_ONCE);
    assert_value(TOTAL, "redis_errors", "2");
}

static void freed_under_way(void **state)
{
    (void)state;
    fake.hold = true;
    stats_add(stats, "mx_hits", 1);
    stats_flush(stats, on_flushed, NULL);
    stats_free(stats);
    stats = NULL;
    fake_release();
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(flushed, 0);
}

static void by_itself(void **state)
{
    (void)state;
    stats_add(stats, "mx_hits", 1);
    while (!fake_hget(TOTAL, "hit_ratio"))
        event_base_loop(base, EVLOOP_ONCE);
    assert_value(TOTAL, "hit_ratio", "1.000");
}

static void times(void **state)
{
    struct timing timing = {0};

    (void)state;
    stats_set_timing(stats, &timing);
    timing_note(&timing, 400);
    timing_note(&timing, 600);
    flush();
    assert_value(TOTAL, "redis_batches", NULL); /* nothing else to send */
    stats_add(stats, "redis_errors", 1);
    flush();
    assert_value(TOTAL, "redis_batches", "2");
    assert_value(DAY, "redis_us", "1000");
    assert_value(TOTAL, "redis_ms_avg", NULL);
    timing_note(&timing, 2000);
    fake_ms += 10000;
    stats_push(stats);
    flush();
    assert_value(TOTAL, "redis_batches", "3");
    assert_value(TOTAL, "redis_us", "3000");
    assert_value(TOTAL, "redis_ms_avg", "1.000");
    assert_value(TOTAL, "redis_ms_p99", "2.000");
    assert_value(TOTAL, "redis_ms_max", "2.000");
    assert_value(DAY, "redis_ms_avg", NULL);
    timing_note(&timing, 8000);
    fake_ms += 10000;
    stats_push(stats);
    flush();
    assert_value(TOTAL, "redis_ms_avg", "8.000");
}

static void take_rate(void *arg, const char *name, double rate)
{
    if (strcmp(name, "guard_seen") == 0)
        *(double *)arg = rate;
}

static void rates(void **state)
{
    static const struct {
        const char *label;
        int64_t after; /* ms */
        uint64_t more;
        int least, most; /* a second */
    } steps[] = {
        {"an instant", 100, 20, 20, 20},
        {"from the start", 3900, 20, 9, 10},
        {"the first period ends", 6000, 60, 9, 10},
        {"over both periods", 10000, 300, 19, 20},
        {"the first is over", 10000, 300, 29, 30},
        {"none", 10000, 0, 14, 15},
        {"none any more", 10000, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        double rate = -1;
        fake_ms += steps[i].after;
        stats_add(stats, "guard_seen", steps[i].more);
        stats_each_rate(stats, take_rate, &rate);
        if (rate < steps[i].least || rate > steps[i].most)
            fail_msg("%s: %g", steps[i].label, rate);
        stats_push(stats);
    }
}

static void visit(void *arg, const char *name, uint64_t value)
{
    char *text = arg;
    snprintf(text + strlen(text), 128 - strlen(text), "%s=%" PRIu64 " ", name, value);
}

static void without_redis(void **state)
{
    (void)state;
    char text[128] = "";
    struct stats *lone = stats_new(base, &wall, NULL, "t1", "mx1.example.com");
    stats_add(lone, "b", 2);
    stats_add(lone, "a", 1);
    stats_flush(lone, on_flushed, NULL);
    assert_int_equal(flushed, 1);
    stats_add(lone, "b", 2);
    stats_each(lone, visit, text);
    assert_string_equal(text, "a=1 b=4 mx_hits=0 mx_misses=0 ");
    stats_free(lone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_table, setup, teardown),
        cmocka_unit_test_setup_teardown(both_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(domains_table, setup, teardown),
        cmocka_unit_test_setup_teardown(domains_among_others, setup, teardown),
        cmocka_unit_test_setup_teardown(ratio, setup, teardown),
        cmocka_unit_test_setup_teardown(next_day, setup, teardown),
        cmocka_unit_test_setup_teardown(many_counters, setup, teardown),
        cmocka_unit_test_setup_teardown(trouble_table, setup, teardown),
        cmocka_unit_test_setup_teardown(some_of_several, setup, teardown),
        cmocka_unit_test_setup_teardown(mark_of_another, setup, teardown),
        cmocka_unit_test_setup_teardown(times, setup, teardown),
        cmocka_unit_test_setup_teardown(rates, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_type, setup, teardown),
        cmocka_unit_test_setup_teardown(flush_takes_the_latest, setup, teardown),
        cmocka_unit_test_setup_teardown(freed_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(by_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(without_redis, setup, teardown),
    };

    return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
