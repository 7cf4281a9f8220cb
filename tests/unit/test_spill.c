/*
 * policy/spill.c: usable and whole weights of tiers in, per cent out.
 */
#include "policy/spill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* tiers: "usable/whole" each. */
static const struct {
    const char *label, *tiers, *wanted;
} cases[] = {
    {"all well", "100/100 100/100", "100 0"},
    {"71 % usable", "71/100 100/100", "99 1"},
    {"72 % is enough", "72/100 100/100", "100 0"},
    {"half", "50/100 100/100", "70 30"},
    {"half of both: scaled", "25/100 25/100", "50 50"},
    {"a third of each of three", "1/3 1/3 1/3", "46 46 8"},
    {"scaled, a remainder", "10/100 10/100 10/100", "33 33 34"},
    {"none in the first", "0/100 100/100", "0 100"},
    {"none in the first, half in the second", "0/100 50/100 100/100", "0 70 30"},
    {"none at all: the first", "0/100 0/100", "100 0"},
    {"tiers without weight", "0/0 0/0", "100 0"},
    {"a tier without weight takes nothing", "0/0 100/100", "0 100"},
    {"a trace is better than nothing", "1/1000 0/1000", "100 0"},
    {"two traces", "1/1000 1/1000", "50 50"},
    {"one tier", "1/100", "100"},
    {"large weights", "2097120000/4194240000 1/1", "70 30"},
};

static size_t tiers_of(const char *text, struct spill_tier *tier)
{
    size_t count = 0;
    char *end;

    for (; *text; text = *end ? end + 1 : end, count++) {
        tier[count].usable = strtoull(text, &end, 10);
        tier[count].whole = strtoull(end + 1, &end, 10);
    }
    return count;
}

static void shares_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct spill_tier tier[8];
        unsigned load[8];
        char got[64] = "";
        size_t count = tiers_of(cases[i].tiers, tier);

        spill_share(tier, count, load);
        for (size_t t = 0; t < count; t++)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%u", t ? " " : "", load[t]);
        if (strcmp(got, cases[i].wanted) != 0)
            fail_msg("%s: %s, wanted %s", cases[i].label, got, cases[i].wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_as_the_table_says),
    };

    return cmocka_run_group_tests_name("spill", tests, NULL, NULL);
}
