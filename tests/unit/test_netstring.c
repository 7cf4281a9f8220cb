/*
 * policy/netstring.c: the frames of the socket maps, the broken ones of hazards E among them.
 */
#include "policy/netstring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *label, *input;
    size_t length; /* 0: strlen(input) */
    enum netstring_status wanted;
    const char *payload;
    size_t payload_length, used;
} scans[] = {
    {"a frame", "5:hello,", 0, NETSTRING_DONE, "hello", 5, 8},
    {"an empty frame", "0:,", 0, NETSTRING_DONE, "", 0, 3},
    {"two frames, the first counts", "1:a,1:b,", 0, NETSTRING_DONE, "a", 1, 4},
    {"a NUL inside", "3:a\0b,", 6, NETSTRING_DONE, "a\0b", 3, 6},
    {"a comma and a line end inside", "3:,\r\n,", 0, NETSTRING_DONE, ",\r\n", 3, 6},
    {"nothing yet", "", 0, NETSTRING_MORE, NULL, 0, 0},
    {"digits only", "12", 0, NETSTRING_MORE, NULL, 0, 0},
    {"a lone zero", "0", 0, NETSTRING_MORE, NULL, 0, 0},
    {"no payload yet", "5:", 0, NETSTRING_MORE, NULL, 0, 0},
    {"a short payload", "5:hell", 0, NETSTRING_MORE, NULL, 0, 0},
    {"no terminator yet", "5:hello", 0, NETSTRING_MORE, NULL, 0, 0},
    {"the longest length", "10000:", 0, NETSTRING_MORE, NULL, 0, 0},
    {"one more than the longest", "10001", 0, NETSTRING_BAD, NULL, 0, 0},
    {"twenty digits", "99999999999999999999:", 0, NETSTRING_BAD, NULL, 0, 0},
    {"negative", "-1:", 0, NETSTRING_BAD, NULL, 0, 0},
    {"a sign", "+1:a,", 0, NETSTRING_BAD, NULL, 0, 0},
    {"a leading zero", "05:hello,", 0, NETSTRING_BAD, NULL, 0, 0},
    {"two zeros", "00:,", 0, NETSTRING_BAD, NULL, 0, 0},
    {"no colon", "5hello,", 0, NETSTRING_BAD, NULL, 0, 0},
    {"no digit", ":,", 0, NETSTRING_BAD, NULL, 0, 0},
    {"a space before", " 1:a,", 0, NETSTRING_BAD, NULL, 0, 0},
    {"a wrong terminator", "5:hello;", 0, NETSTRING_BAD, NULL, 0, 0},
    {"text", "GET / HTTP/1.1", 0, NETSTRING_BAD, NULL, 0, 0},
};

static void scan_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scans / sizeof scans[0]; i++) {
        size_t length = scans[i].length ? scans[i].length : strlen(scans[i].input);
        const char *payload;
        size_t payload_length, used;
        enum netstring_status got =
            netstring_scan(scans[i].input, length, &payload, &payload_length, &used);
        if (got != scans[i].wanted || payload_length != scans[i].payload_length ||
            used != scans[i].used)
            fail_msg("%s: %d, payload %zu, used %zu", scans[i].label, got, payload_length, used);
        if (got == NETSTRING_DONE)
            assert_memory_equal(payload, scans[i].payload, payload_length);
    }
}

/* Every prefix of a good frame is "more", never anything else. The copy is of the exact size, so
 * that the address sanitiser sees a read past it. */
static void scan_by_bytes(void **state)
{
    (void)state;
    static const char frame[] = "28:transport user@example.com\nx,";
    const char *payload;
    size_t payload_length, used, whole = sizeof frame - 1;
    for (size_t length = 0; length <= whole; length++) {
        char *copy = malloc(length + 1);
        assert_non_null(copy);
        memcpy(copy, frame, length);
        enum netstring_status got = netstring_scan(copy, length, &payload, &payload_length, &used);
        assert_int_equal(got, length < whole ? NETSTRING_MORE : NETSTRING_DONE);
        free(copy);
    }
}

static void format_bounds(void **state)
{
    (void)state;
    char out[9];
    assert_int_equal(netstring_format("hello", 5, out, sizeof out), 8);
    assert_memory_equal(out, "5:hello,", 8);
    assert_int_equal(netstring_format("hello", 5, out, 8), 8);
    assert_int_equal(netstring_format("hello", 5, out, 7), 0);
    assert_int_equal(netstring_format("", 0, out, 3), 3);
    assert_int_equal(netstring_format("", 0, out, 2), 0);
    assert_int_equal(netstring_format("", 0, out, 0), 0);
    assert_int_equal(netstring_format("x", SIZE_MAX, out, sizeof out), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scan_table),
        cmocka_unit_test(scan_by_bytes),
        cmocka_unit_test(format_bounds),
    };
    return cmocka_run_group_tests_name("netstring", tests, NULL, NULL);
}
