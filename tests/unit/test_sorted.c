/*
 * policy/sorted.c: places found, kept in order, whatever the order of insertion.
 */
#include "policy/sorted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static int text_compare(const void *key, const void *item)
{
    return strcmp(key, item);
}

static const struct {
    const char *label;
    const char *insert[6], *remove[3], *wanted;
} rows[] = {
    {"none", {NULL}, {NULL}, ""},
    {"one", {"b"}, {NULL}, "b"},
    {"ascending", {"a", "b", "c"}, {NULL}, "abc"},
    {"descending", {"c", "b", "a"}, {NULL}, "abc"},
    {"twice the same", {"b", "a", "b"}, {NULL}, "ab"},
    {"first removed", {"a", "b", "c"}, {"a"}, "bc"},
    {"middle and last removed", {"a", "b", "c"}, {"c", "b"}, "a"},
    {"one that is not there removed", {"a", "c"}, {"b"}, "ac"},
};

static void order_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sorted sorted = {.count = 0};
        char got[8] = "";
        size_t at;
        for (size_t k = 0; rows[i].insert[k]; k++)
            if (!sorted_find(&sorted, rows[i].insert[k], text_compare, &at))
                assert_true(sorted_insert(&sorted, at, (void *)rows[i].insert[k]));
        for (size_t k = 0; rows[i].remove[k]; k++)
            sorted_drop(&sorted, rows[i].remove[k], text_compare);
        for (size_t k = 0; k < sorted.count; k++)
            strcat(got, sorted.item[k]);
        if (strcmp(got, rows[i].wanted))
            fail_msg("%s: \"%s\"", rows[i].label, got);
        sorted_clear(&sorted);
    }
}

static int number_compare(const void *key, const void *item)
{
    uintptr_t a = (uintptr_t)key, b = (uintptr_t)item;

    return a < b ? -1 : a > b;
}

/* 7919 is prime to 4096: every number once, in no order. */
static void many(void **state)
{
    (void)state;
    struct sorted sorted = {.count = 0};
    size_t at;
    for (uintptr_t n = 0; n < 4096; n++) {
        void *number = (void *)(n * 7919 % 4096 + 1);
        assert_false(sorted_find(&sorted, number, number_compare, &at));
        assert_true(sorted_insert(&sorted, at, number));
    }
    assert_int_equal(sorted.count, 4096);
    for (uintptr_t n = 1; n <= 4096; n++) {
        assert_true(sorted_find(&sorted, (void *)n, number_compare, &at));
        assert_int_equal(at, n - 1);
        assert_ptr_equal(sorted_get(&sorted, (void *)n, number_compare), (void *)n);
    }
    assert_null(sorted_get(&sorted, (void *)5000, number_compare));
    sorted_clear(&sorted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_table),
        cmocka_unit_test(many),
    };

    return cmocka_run_group_tests_name("sorted", tests, NULL, NULL);
}
