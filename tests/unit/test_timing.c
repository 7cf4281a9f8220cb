/*
 * cache/timing.c: quantiles of known times.
 */
#include "cache/timing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* count times of each of up to three lengths, then what the median and the 99th hundredth are. */
static const struct {
    const char *label;
    struct {
        unsigned count;
        int64_t us;
    } given[3];
    uint64_t least[2], most[2];
} rows[] = {
    {"none", {{0, 0}}, {0, 0}, {0, 0}},
    {"one", {{1, 300}}, {300, 300}, {300, 300}},
    {"no time at all", {{1, 0}}, {0, 0}, {0, 0}},
    {"a clock that went back", {{1, -5}}, {0, 0}, {0, 0}},
    {"all the same", {{1000, 777}}, {777, 777}, {777, 777}},
    {"one in a hundred is slow", {{990, 100}, {10, 50000}}, {100, 100}, {120, 120}},
    {"two in a hundred are", {{980, 100}, {20, 50000}}, {100, 50000}, {120, 50000}},
    {"three lengths", {{500, 10}, {480, 200}, {20, 9000}}, {10, 9000}, {12, 9000}},
    {"longer than all classes", {{10, INT64_C(1) << 40}}, {6000000, 6000000}, {16777216, 16777216}},
};

static void quantiles(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static const double fraction[2] = {0.5, 0.99};
        struct timing timing = {0};
        for (size_t g = 0; g < 3; g++)
            for (unsigned n = 0; n < rows[i].given[g].count; n++)
                timing_note(&timing, rows[i].given[g].us);
        for (size_t f = 0; f < 2; f++) {
            uint64_t got = timing_quantile(&timing, fraction[f]);
            if (got < rows[i].least[f] || got > rows[i].most[f])
                fail_msg("%s: quantile %g is %ju", rows[i].label, fraction[f], (uintmax_t)got);
        }
    }
}

/* Whatever the time, it is told within a fifth, and never as less than it was. */
static void every_class(void **state)
{
    (void)state;
    for (int64_t us = 1; us < 6000000; us += 1 + us / 50) {
        struct timing timing = {0};
        timing_note(&timing, us);
        timing_note(&timing, us);
        timing_note(&timing, 6000000);
        uint64_t got = timing_quantile(&timing, 0.5);
        if (got + 1 < (uint64_t)us || got > (uint64_t)us * 12 / 10 + 1)
            fail_msg("%jd is told as %ju", (intmax_t)us, (uintmax_t)got);
    }
}

static void sums(void **state)
{
    struct timing timing = {0};

    (void)state;
    timing_note(&timing, 100);
    timing_note(&timing, 300);
    assert_int_equal(timing.count, 2);
    assert_int_equal(timing.sum, 400);
    assert_int_equal(timing.longest, 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles),
        cmocka_unit_test(every_class),
        cmocka_unit_test(sums),
    };

    return cmocka_run_group_tests_name("timing", tests, NULL, NULL);
}
