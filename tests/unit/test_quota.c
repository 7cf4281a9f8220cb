/*
 * policy/quota.c: how many new names a network, and all of them together, may bring up.
 */
#include "policy/quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

enum { NAMES = 100000, DAY = 86400000, MINUTE = 60000, START = 1000000 };

static size_t take(struct quota *quota, const char *net, size_t count, int64_t now)
{
    size_t taken = 0;

    for (size_t i = 0; i < count; i++)
        taken += quota_take(quota, net, now);
    return taken;
}

/* Each network asks 30 times in every minute. */
static size_t flood(struct quota *quota, unsigned nets, int64_t from, int64_t to)
{
    size_t taken = 0;
    char net[32];

    for (int64_t now = from; now < to; now += MINUTE)
        for (unsigned i = 0; i < nets; i++) {
            snprintf(net, sizeof net, "[2001:db8:%x::/64]", i);
            taken += take(quota, net, 30, now);
        }
    return taken;
}

static void one_network(void **state)
{
    struct quota *quota = quota_new(NAMES, DAY);

    (void)state;
    assert_int_equal(take(quota, "[198.51.100.0/24]", 1000, START), QUOTA_NET_BURST);
    assert_int_equal(take(quota, "[203.0.113.0/24]", 10, START), 10); /* another's is its own */
    assert_int_equal(take(quota, "[198.51.100.0/24]", 10, START + MINUTE - 1), 0);
    assert_int_equal(take(quota, "[198.51.100.0/24]", 10, START + MINUTE), 1);
    assert_int_equal(take(quota, "[198.51.100.0/24]", 10, START + 6 * MINUTE), 5);
    assert_int_equal(take(quota, "[198.51.100.0/24]", 1000, START + DAY), QUOTA_NET_BURST);
    quota_free(quota);
}

/* More than are remembered, too. */
static void all_networks(void **state)
{
    static const unsigned nets[] = {500, 20000};

    (void)state;
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        struct quota *quota = quota_new(NAMES, DAY);
        size_t first = flood(quota, nets[i], START, START + MINUTE);
        assert_in_range(first, NAMES / 10, NAMES / 10);
        size_t later = flood(quota, nets[i], START + MINUTE, START + 61 * MINUTE);
        assert_in_range(later, NAMES / 24 - 100, NAMES / 24 + 100);
        quota_free(quota);
    }
}

static void what_is_refused_costs_nothing(void **state)
{
    struct quota *quota = quota_new(10, 10000);

    (void)state;
    assert_int_equal(take(quota, "[a]", 5, START), 1); /* a tenth of ten */
    assert_int_equal(take(quota, "[a]", 5, START + 999), 0);
    assert_int_equal(take(quota, "[a]", 5, START + 1000), 1);
    quota_set(quota, 1000, 10000);
    assert_int_equal(take(quota, "[a]", 500, START + 20000), QUOTA_NET_BURST - 2);
    quota_free(quota);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_network),
        cmocka_unit_test(all_networks),
        cmocka_unit_test(what_is_refused_costs_nothing),
    };

    return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
