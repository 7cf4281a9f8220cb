/*
 * policy/flap.c: returns and losses in seconds, and how long the host is held out after them.
 */
#include "policy/flap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* events: "-100 +130": lost at second 100, back at 130. At second now so much is left, and so many
 * flaps count. */
static const struct {
    const char *label, *events;
    int64_t now, left;
    unsigned count;
} cases[] = {
    {"nothing yet", "", 100, 0, 0},
    {"lost", "-100", 101, 0, 0},
    {"one restart is no flap", "-100 +130", 130, 0, 0},
    {"the second within ten minutes", "-100 +130 -160 +190", 190, 30, 1},
    {"half of its hold", "-100 +130 -160 +190", 205, 15, 1},
    {"the end of its hold", "-100 +130 -160 +190", 220, 0, 1},
    {"ten minutes from return to return", "-100 +130 -160 +730", 730, 30, 1},
    {"ten minutes and a second", "-100 +130 -160 +731", 731, 0, 0},
    {"twice as long", "-1 +2 -3 +4 -5 +6", 6, 60, 2},
    {"four times", "-1 +2 -3 +4 -5 +6 -7 +8", 8, 120, 3},
    {"eight times", "-1 +2 -3 +4 -5 +6 -7 +8 -9 +10", 10, 240, 4},
    {"five minutes at most", "-1 +2 -3 +4 -5 +6 -7 +8 -9 +10 -11 +12", 12, 300, 5},
    {"and no more", "-1 +2 -3 +4 -5 +6 -7 +8 -9 +10 -11 +12 -13 +14", 14, 300, 5},
    {"who is down is not held", "-1 +2 -3 +4 -5", 5, 0, 1},
    {"one is forgiven", "-1 +2 -3 +4 -5 +6", 606, 0, 1},
    {"and the other", "-1 +2 -3 +4 -5 +6", 1206, 0, 0},
    {"and all that there ever were", "-1 +2 -3 +4 -5 +6", 9006, 0, 0},
    {"a lapse ten minutes later", "-1 +2 -3 +4 -5 +6 -606 +700", 700, 0, 1},
    {"and a flap after that", "-1 +2 -3 +4 -5 +6 -606 +700 -710 +720", 720, 60, 2},
    {"being down forgives nothing", "-1 +2 -3 +4 -5 +6 -7 +9000", 9000, 0, 2},
};

static void holds_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct flap flap = {.up = true};
        const char *at = cases[i].events;

        while (*at) {
            char *end, sign = *at;
            int64_t second = strtoll(at + 1, &end, 10);
            flap_note(&flap, sign == '+', second * 1000);
            at = *end ? end + 1 : end;
        }
        if (flap_left(&flap, cases[i].now * 1000) != cases[i].left * 1000 ||
            flap_count(&flap, cases[i].now * 1000) != cases[i].count)
            fail_msg("%s: %lld ms, %u flaps", cases[i].label,
                     (long long)flap_left(&flap, cases[i].now * 1000),
                     flap_count(&flap, cases[i].now * 1000));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_as_the_table_says),
    };

    return cmocka_run_group_tests_name("flap", tests, NULL, NULL);
}
