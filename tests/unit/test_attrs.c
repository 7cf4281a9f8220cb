/*
 * policy/attrs.c: requests as Postfix sends them, and the broken ones of hazards E.
 */
#include "policy/attrs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *label, *input;
    size_t length; /* 0: strlen(input) */
    enum attrs_status wanted;
    size_t count, used;
    const char *name, *value; /* looked up where not NULL; value NULL: not there */
} scans[] = {
    {"one attribute", "a=b\n\n", 0, ATTRS_DONE, 1, 5, "a", "b"},
    {"CRLF", "a=b\r\n\r\n", 0, ATTRS_DONE, 1, 7, "a", "b"},
    {"bare CRLF", "\r\n", 0, ATTRS_DONE, 0, 2, "a", NULL},
    {"an empty line at once", "\na=b\n\n", 0, ATTRS_DONE, 0, 1, NULL, NULL},
    {"two requests in one write", "a=b\n\na=c\n\n", 0, ATTRS_DONE, 1, 5, "a", "b"},
    {"an empty sender", "sender=\n\n", 0, ATTRS_DONE, 1, 9, "sender", NULL},
    {"'=' in the value", "a=b=c\n\n", 0, ATTRS_DONE, 1, 7, "a", "b=c"},
    {"format characters", "sender=%n%s\n\n", 0, ATTRS_DONE, 1, 13, "sender", "%n%s"},
    {"names are compared whole", "ab=1\na=2\n\n", 0, ATTRS_DONE, 2, 10, "a", "2"},
    {"spaces are kept", "a= b \n\n", 0, ATTRS_DONE, 1, 7, "a", " b "},
    {"nothing yet", "", 0, ATTRS_MORE, 0, 0, NULL, NULL},
    {"half a line", "a", 0, ATTRS_MORE, 0, 0, NULL, NULL},
    {"a line without its end", "a=b", 0, ATTRS_MORE, 0, 0, NULL, NULL},
    {"no empty line yet", "a=b\n", 0, ATTRS_MORE, 1, 0, NULL, NULL},
    {"a CR that may end it", "a=b\n\r", 0, ATTRS_MORE, 1, 0, NULL, NULL},
    {"no '='", "ab\n\n", 0, ATTRS_BAD, 0, 0, NULL, NULL},
    {"no name", "=b\n\n", 0, ATTRS_BAD, 0, 0, NULL, NULL},
    {"recipient twice", "recipient=a\nrecipient=b\n\n", 0, ATTRS_BAD, 1, 0, NULL, NULL},
    {"a NUL in a value", "a=b\0c\n\n", 7, ATTRS_BAD, 0, 0, NULL, NULL},
    {"a NUL in an unfinished line", "a=\0", 3, ATTRS_BAD, 0, 0, NULL, NULL},
    {"a NUL after the end is the next one's", "a=b\n\n\0", 6, ATTRS_DONE, 1, 5, "a", "b"},
};

static void scan_table(void **state)
{
    (void)state;
    static struct attrs attrs;
    for (size_t i = 0; i < sizeof scans / sizeof scans[0]; i++) {
        size_t length = scans[i].length ? scans[i].length : strlen(scans[i].input), used;
        enum attrs_status got = attrs_scan(scans[i].input, length, &attrs, &used);
        if (got != scans[i].wanted || attrs.count != scans[i].count || used != scans[i].used)
            fail_msg("%s: %d, count %zu, used %zu", scans[i].label, got, attrs.count, used);
        if (!scans[i].name)
            continue;
        char value[16] = "left over";
        bool there = attrs_get(&attrs, scans[i].name, value, sizeof value);
        const char *wanted = scans[i].value ? scans[i].value : "";
        if (there != (scans[i].value != NULL) || strcmp(value, wanted))
            fail_msg("%s: value '%s'", scans[i].label, value);
    }
}

static void get_never_cuts(void **state)
{
    (void)state;
    static struct attrs attrs;
    size_t used;
    char value[4];
    assert_int_equal(attrs_scan("a=abc\nb=abcd\n\n", 14, &attrs, &used), ATTRS_DONE);
    assert_true(attrs_get(&attrs, "a", value, sizeof value));
    assert_string_equal(value, "abc");
    assert_false(attrs_get(&attrs, "b", value, sizeof value));
    assert_string_equal(value, "");
}

/* One attribute more than the limit, and one byte more than the limit, are refused, although what
 * follows would be fine; at the limit they pass. */
static void scan_limits(void **state)
{
    (void)state;
    static struct attrs attrs;
    size_t size = ATTRS_MAX_SIZE + 2, length = 0, used;
    char *data = malloc(size);
    assert_non_null(data);
    for (unsigned i = 0; i < ATTRS_MAX_COUNT; i++)
        length += (size_t)snprintf(data + length, size - length, "n%u=\n", i);
    memcpy(data + length, "\n", 1);
    assert_int_equal(attrs_scan(data, length + 1, &attrs, &used), ATTRS_DONE);
    assert_int_equal(attrs.count, ATTRS_MAX_COUNT);
    memcpy(data + length, "more=\n\n", 7);
    assert_int_equal(attrs_scan(data, length + 7, &attrs, &used), ATTRS_BAD);

    memset(data, 'x', size);
    memcpy(data, "a=", 2);
    assert_int_equal(attrs_scan(data, ATTRS_MAX_SIZE - 1, &attrs, &used), ATTRS_MORE);
    assert_int_equal(attrs_scan(data, ATTRS_MAX_SIZE, &attrs, &used), ATTRS_BAD);
    memcpy(data + ATTRS_MAX_SIZE - 2, "\n\n", 2);
    assert_int_equal(attrs_scan(data, ATTRS_MAX_SIZE, &attrs, &used), ATTRS_DONE);
    memcpy(data + ATTRS_MAX_SIZE - 2, "x\n\n", 3);
    assert_int_equal(attrs_scan(data, ATTRS_MAX_SIZE + 1, &attrs, &used), ATTRS_BAD);
    free(data);
}

static void scan_by_bytes(void **state)
{
    (void)state;
    static const char request[] = "request=smtpd_access_policy\r\nsender=\nrecipient=u@x\n\n";
    static struct attrs attrs;
    size_t used, whole = sizeof request - 1;
    for (size_t length = 0; length <= whole; length++) {
        char *copy = malloc(length + 1);
        assert_non_null(copy);
        memcpy(copy, request, length);
        enum attrs_status got = attrs_scan(copy, length, &attrs, &used);
        assert_int_equal(got, length < whole ? ATTRS_MORE : ATTRS_DONE);
        free(copy);
    }
}

static void put_and_end(void **state)
{
    (void)state;
    char buffer[16];
    size_t length = 0;
    assert_true(attrs_put(buffer, sizeof buffer, &length, "a", "b"));
    assert_false(attrs_put(buffer, sizeof buffer, &length, "c", "d\nrequest=x"));
    assert_false(attrs_put(buffer, sizeof buffer, &length, "c", "d\r"));
    assert_false(attrs_put(buffer, sizeof buffer, &length, "c", "0123456789a"));
    assert_int_equal(length, 4);
    assert_true(attrs_put(buffer, sizeof buffer, &length, "c", ""));
    assert_false(attrs_put(buffer, sizeof buffer, &length, "d", "0123456"));
    assert_true(attrs_put(buffer, sizeof buffer, &length, "d", "01234"));
    assert_int_equal(length, 16 - 1);
    assert_true(attrs_end(buffer, sizeof buffer, &length));
    assert_false(attrs_end(buffer, sizeof buffer, &length));
    assert_memory_equal(buffer, "a=b\nc=\nd=01234\n\n", sizeof buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan_table),  cmocka_unit_test(get_never_cuts),
        cmocka_unit_test(scan_limits), cmocka_unit_test(scan_by_bytes),
        cmocka_unit_test(put_and_end),
    };
    return cmocka_run_group_tests_name("attrs", tests, NULL, NULL);
}
