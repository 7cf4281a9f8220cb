/*
 * policy/heavy.c: who is busiest, with room to spare and under a flood of names.
 */
#include "policy/heavy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct heavy *heavy;

static int setup(void **state)
{
    (void)state;
    heavy = heavy_new();
    return heavy ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    heavy_free(heavy);
    return 0;
}

/* "a=3 b=1" of what is listed or taken. */
static const char *told(bool take, size_t size)
{
    static struct heavy_item item[HEAVY_ROOM + 1];
    static char text[4096];
    size_t count = take ? heavy_take(heavy, item, size) : heavy_list(heavy, item, size), used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s=%ju", i ? " " : "",
                                 item[i].name, (uintmax_t)item[i].count);
    return text;
}

static const struct {
    const char *label;
    const char *added; /* names in order, one letter each */
    size_t size;
    const char *wanted;
} rows[] = {
    {"nothing", "", 5, ""},
    {"one", "a", 5, "a=1"},
    {"by count", "abbcccb", 5, "b=3 c=3 a=1"},
    {"the busiest two", "abbccc", 2, "c=3 b=2"},
    {"rising order", "abbcccdddd", 5, "d=4 c=3 b=2 a=1"},
    {"falling order", "ddddcccbba", 3, "d=4 c=3 b=2"},
    {"ties by name", "dcba", 3, "a=1 b=1 c=1"},
    {"no place for any", "abc", 0, ""},
};

static void order(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int take = 0; take < 2; take++) {
            setup(state);
            for (const char *c = rows[i].added; *c; c++)
                heavy_add(heavy, (char[]){*c, '\0'}, 1);
            if (strcmp(told(take, rows[i].size), rows[i].wanted) != 0)
                fail_msg("%s: %s", rows[i].label, told(take, rows[i].size));
            teardown(state);
        }
    }
}

static void taken_once(void **state)
{
    (void)state;
    heavy_add(heavy, "a", 5);
    heavy_add(heavy, "b", 3);
    assert_string_equal(told(true, 1), "a=5");
    heavy_add(heavy, "a", 1);
    assert_string_equal(told(true, 9), "b=3 a=1");
    assert_string_equal(told(true, 9), "");
    assert_string_equal(told(false, 9), "a=6 b=3");
    heavy_give_back(heavy, &(struct heavy_item){.name = "b", .count = 3});
    heavy_give_back(heavy, &(struct heavy_item){.name = "gone", .count = 3});
    assert_string_equal(told(true, 9), "b=3");
}

static void a_new_day(void **state)
{
    (void)state;
    heavy_add(heavy, "a", 5);
    heavy_add(heavy, "b", 3);
    told(true, 1);
    heavy_restart(heavy);
    assert_string_equal(told(false, 9), "");
    heavy_add(heavy, "a", 1);
    assert_string_equal(told(false, 9), "a=1");
    assert_string_equal(told(true, 9), "b=3 a=1"); /* of yesterday, and not told of yet */
}

static void long_names(void **state)
{
    char name[HEAVY_NAME + 1];

    (void)state;
    memset(name, 'x', sizeof name);
    name[HEAVY_NAME] = '\0';
    heavy_add(heavy, name, 1);
    assert_string_equal(told(false, 9), "");
    name[HEAVY_NAME - 1] = '\0';
    heavy_add(heavy, name, 1);
    assert_int_equal(strlen(told(false, 9)), HEAVY_NAME - 1 + 2);
}

/* Three busy names within a hundred thousand others: they are found, in order, and none is told as
 * more than it was. */
static void flood(void **state)
{
    static struct heavy_item item[HEAVY_ROOM];
    static const char *const busy[] = {"one", "two", "three"};
    static const unsigned every[] = {20, 50, 100};
    unsigned added[3] = {0};
    char name[32];
    size_t count;

    (void)state;
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(name, sizeof name, "stranger%u", i);
        heavy_add(heavy, name, 1);
        for (unsigned b = 0; b < 3; b++)
            if (i % every[b] == b) {
                heavy_add(heavy, busy[b], 1);
                added[b]++;
            }
    }
    count = heavy_list(heavy, item, HEAVY_ROOM);
    assert_int_equal(count, HEAVY_ROOM);
    for (unsigned b = 0; b < 3; b++) {
        assert_string_equal(item[b].name, busy[b]);
        assert_in_range(item[b].count, added[b] * 9 / 10, added[b]);
    }
    for (size_t i = 3; i < count; i++)
        assert_int_equal(item[i].count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order),
        cmocka_unit_test_setup_teardown(taken_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_day, setup, teardown),
        cmocka_unit_test_setup_teardown(long_names, setup, teardown),
        cmocka_unit_test_setup_teardown(flood, setup, teardown),
    };

    return cmocka_run_group_tests_name("heavy", tests, NULL, NULL);
}
