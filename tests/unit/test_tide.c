/*
 * The breaker's tides: networks in a window, and visits that fall away.
 */
#include "policy/tide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { SECOND = 1000, WINDOW = 300 * SECOND };

static void counts_networks_once(void **state)
{
    static struct tide_nets nets;

    (void)state;
    memset(&nets, 0, sizeof nets);
    for (int i = 0; i < 5; i++)
        tide_note_net(&nets, 7, i * SECOND);
    tide_note_net(&nets, 8, 0);
    assert_int_equal(tide_count_nets(&nets, 4 * SECOND, WINDOW), 2);
    assert_int_equal(tide_count_nets(&nets, WINDOW + 2 * SECOND, WINDOW), 1);
    assert_int_equal(tide_count_nets(&nets, WINDOW + 4 * SECOND, WINDOW), 0);
}

static void oldest_network_makes_room(void **state)
{
    static struct tide_nets nets;

    (void)state;
    memset(&nets, 0, sizeof nets);
    for (unsigned i = 0; i < 2 * TIDE_NETS; i++)
        tide_note_net(&nets, i, i);
    assert_int_equal(nets.count, TIDE_NETS);
    assert_int_equal(tide_count_nets(&nets, 2 * TIDE_NETS, WINDOW), TIDE_NETS);
}

/* before: visits a window for so many windows, then after in the last one. */
static const struct {
    const char *label;
    unsigned windows, before, after;
    bool fallen;
} cases[] = {
    {"nothing changed", 12, 300, 300, false}, {"half", 12, 300, 150, false},
    {"just a third", 12, 300, 102, false},    {"below a third", 12, 300, 90, true},
    {"none at all", 12, 300, 0, true},        {"too short a history", 2, 300, 0, false},
    {"just long enough", 4, 300, 0, true},    {"too few to say", 12, 5, 0, false},
};

static void finds_falls(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static struct tide_visits visits;
        int64_t now = 0, length = (int64_t)cases[i].windows * WINDOW;
        double total = 0;

        memset(&visits, 0, sizeof visits);
        for (; now <= length + WINDOW; now += 5 * SECOND) {
            total += (now <= length ? cases[i].before : cases[i].after) / 60.0;
            tide_note_visits(&visits, (uint64_t)total, now, WINDOW / 8);
        }
        if (tide_has_fallen(&visits, length + WINDOW, WINDOW, 3) != cases[i].fallen)
            fail_msg("%s", cases[i].label);
    }
}

/* The node at the better host began anew: no fall. */
static void restart_is_no_fall(void **state)
{
    static struct tide_visits visits;
    int64_t now;

    (void)state;
    memset(&visits, 0, sizeof visits);
    for (now = 0; now < 12 * WINDOW; now += 5 * SECOND)
        tide_note_visits(&visits, (uint64_t)now / SECOND, now, WINDOW / 8);
    for (; now < 13 * WINDOW; now += 5 * SECOND)
        tide_note_visits(&visits, 0, now, WINDOW / 8);
    assert_false(tide_has_fallen(&visits, now, WINDOW, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_networks_once),
        cmocka_unit_test(oldest_network_makes_room),
        cmocka_unit_test(finds_falls),
        cmocka_unit_test(restart_is_no_fall),
    };

    return cmocka_run_group_tests_name("tide", tests, NULL, NULL);
}
