/*
 * policy/trap.c: when ten refusals are ten within a day.
 */
#include "policy/trap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#define NET "[198.51.100.0/24]"

enum { NOW = 1800000000 };

static const struct {
    const char *label;
    unsigned count;  /* messages */
    int64_t step;    /* seconds from one to the next */
    int64_t since;   /* the memory's, from the first message on */
    unsigned wanted; /* which of them traps, from 1; 0: none */
} cases[] = {
    {"nine", 9, 1, -1000, 0},
    {"ten", 10, 1, -1000, 10},
    {"ten at once", 10, 0, -1000, 10},
    {"twenty: once more", 20, 1, -1000, 10},
    {"ten in just less than a day", 10, 9599, -1000, 10},
    {"ten in a day", 10, 9600, -1000, 0},
    {"for ever, but slowly", 200, 9600, -1000, 0},
    {"the memory is younger than the first", 10, 100, 1, 0},
    {"as old", 10, 100, 0, 10},
    {"the eleventh is the tenth since then", 11, 100, 1, 11},
};

static void case_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct trap *trap = trap_new();
        unsigned first = 0;

        assert_non_null(trap);
        for (unsigned n = 1; n <= cases[i].count; n++) {
            char instance[16];
            snprintf(instance, sizeof instance, "m%u", n);
            if (trap_note(trap, NET, instance, NOW + (n - 1) * cases[i].step,
                          NOW + cases[i].since) &&
                !first)
                first = n;
        }
        if (first != cases[i].wanted)
            fail_msg("%s: %u", cases[i].label, first);
        trap_free(trap);
    }
}

static void begins_anew(void **state)
{
    struct trap *trap = trap_new();

    (void)state;
    for (int round = 0; round < 3; round++)
        for (int n = 1; n <= TRAP_REFUSALS; n++)
            assert_int_equal(trap_note(trap, NET, "", NOW, 1), n == TRAP_REFUSALS);
    trap_free(trap);
}

/* Further recipients of one message are none, and networks have nothing to do with each other. */
static void messages_and_networks(void **state)
{
    struct trap *trap = trap_new();

    (void)state;
    for (int n = 0; n < 50; n++)
        assert_false(trap_note(trap, NET, "m1", NOW, 1));
    for (int n = 0; n < 50; n++) {
        char net[32];
        snprintf(net, sizeof net, "[198.51.%d.0/24]", n);
        assert_false(trap_note(trap, net, "m2", NOW, 1));
    }
    trap_free(trap);
}

/* Two messages whose recipients come in turns are two. */
static void messages_side_by_side(void **state)
{
    struct trap *trap = trap_new();

    (void)state;
    for (int n = 0; n < 50; n++)
        assert_false(trap_note(trap, NET, n % 2 ? "m1" : "m2", NOW, 1));
    for (int n = 3; n <= TRAP_REFUSALS; n++) {
        char instance[16];
        snprintf(instance, sizeof instance, "m%d", n);
        assert_int_equal(trap_note(trap, NET, instance, NOW, 1), n == TRAP_REFUSALS);
    }
    trap_free(trap);
}

/* More networks than are remembered: the oldest are forgotten, and nobody is trapped by it. */
static void networks_are_bounded(void **state)
{
    struct trap *trap = trap_new();

    (void)state;
    for (int n = 0; n < 25000; n++) {
        char net[32];
        snprintf(net, sizeof net, "[10.%d.%d.0/24]", n / 256, n % 256);
        assert_false(trap_note(trap, net, "", NOW, 1));
    }
    trap_free(trap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case_table),
        cmocka_unit_test(begins_anew),
        cmocka_unit_test(messages_and_networks),
        cmocka_unit_test(messages_side_by_side),
        cmocka_unit_test(networks_are_bounded),
    };

    return cmocka_run_group_tests_name("trap", tests, NULL, NULL);
}
