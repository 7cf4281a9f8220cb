/*
 * cache/mac.c: one digest for one value at one key, and for nothing else.
 */
#include "cache/mac.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRET "0123456789abcdef"
#define KEY    "mxw1:mx:example.com"
#define GOOD   "order=10 a.example;ttl=300;expires=5;state=ok"

/* Splits "name=value;..." into slices of text; in reverse order where asked for. */
static size_t split(const char *text, struct codec_pair pair[MAC_MAX_FIELDS + 1], bool reverse)
{
    struct codec_pair turned[MAC_MAX_FIELDS + 1];
    size_t count = 0;

    while (*text) {
        size_t length = strcspn(text, ";"), name = strcspn(text, "=");
        assert_true(count <= MAC_MAX_FIELDS);
        pair[count++] = (struct codec_pair){text, text + name + 1, name, length - name - 1};
        text += length + (text[length] == ';');
    }
    memcpy(turned, pair, sizeof turned);
    for (size_t i = 0; reverse && i < count; i++)
        pair[i] = turned[count - 1 - i];
    return count;
}

static struct mac_key key_of(const char *secret)
{
    struct mac_key key;

    mac_key_init(&key, secret, strlen(secret));
    return key;
}

/* The mac of GOOD at KEY under SECRET; part of the contract between nodes and versions. */
#define MAC "0a8755f2f3cebf38c0a9c60577f7097ba04f5b1b5a587c734532c16df31f8564"

static const struct {
    const char *label, *secret, *key, *fields;
    bool valid;
} rows[] = {
    {"as it was written", SECRET, KEY, GOOD ";mac=" MAC, true},
    {"the fields in another order", SECRET, KEY,
     "state=ok;mac=" MAC ";expires=5;order=10 a.example;ttl=300", true},
    {"without a mac", SECRET, KEY, GOOD, false},
    {"an empty mac", SECRET, KEY, GOOD ";mac=", false},
    {"a mac cut short", SECRET, KEY, GOOD ";mac=abcd", false},
    {"a mac of zeros", SECRET, KEY,
     GOOD ";mac=0000000000000000000000000000000000000000000000000000000000000000", false},
    {"a mac and more", SECRET, KEY, GOOD ";mac=" MAC "0", false},
    {"two macs", SECRET, KEY, GOOD ";mac=" MAC ";mac=" MAC, false},
    {"another secret", "0123456789abcdeF", KEY, GOOD ";mac=" MAC, false},
    {"no secret", "", KEY, GOOD ";mac=" MAC, false},
    {"another key", SECRET, "mxw1:mx:example.org", GOOD ";mac=" MAC, false},
    {"another prefix", SECRET, "mxw2:mx:example.com", GOOD ";mac=" MAC, false},
    {"another kind of key", SECRET, "mxw1:addr:example.com", GOOD ";mac=" MAC, false},
    {"another value", SECRET, KEY, "order=10 b.example;ttl=300;expires=5;state=ok;mac=" MAC, false},
    {"another expiry", SECRET, KEY, "order=10 a.example;ttl=300;expires=6;state=ok;mac=" MAC,
     false},
    {"a field less", SECRET, KEY, "order=10 a.example;ttl=300;expires=5;mac=" MAC, false},
    {"a field more", SECRET, KEY, GOOD ";more=;mac=" MAC, false},
    {"values exchanged", SECRET, KEY, "order=10 a.example;ttl=5;expires=300;state=ok;mac=" MAC,
     false},
    {"name and value divided elsewhere", SECRET, KEY,
     "order=10 a.example;ttl3=00;expires=5;state=ok;mac=" MAC, false},
    {"a field twice", SECRET, KEY, GOOD ";state=ok;mac=" MAC, false},
    {"nothing", SECRET, KEY, "", false},
    {"nothing but a mac", SECRET, KEY, "mac=" MAC, false},
};

static void what_is_proven(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct mac_key key = key_of(rows[i].secret);
        struct codec_pair pair[MAC_MAX_FIELDS + 1];
        print_message("  %s\n", rows[i].label);
        for (int reverse = 0; reverse < 2; reverse++) {
            size_t count = split(rows[i].fields, pair, reverse);
            assert_int_equal(mac_is_valid(&key, rows[i].key, pair, count), rows[i].valid);
        }
    }
}

static void digest_is_fixed(void **state)
{
    struct codec_pair pair[MAC_MAX_FIELDS + 1];
    struct mac_key key = key_of(SECRET);
    char out[MAC_TEXT];

    (void)state;
    assert_true(mac_format(&key, KEY, pair, split(GOOD, pair, false), out));
    assert_string_equal(out, MAC);
}

/* Every octet of every value, changed. */
static void no_octet_is_free(void **state)
{
    char text[] = GOOD ";mac=" MAC;
    struct codec_pair pair[MAC_MAX_FIELDS + 1];
    struct mac_key key = key_of(SECRET);

    (void)state;
    for (size_t i = 0; i < sizeof text - 1; i++) {
        if (text[i] == ';' || text[i] == '=')
            continue; /* those only divide, here */
        text[i] ^= 1;
        if (text[i] != ';' && text[i] != '=')
            assert_false(mac_is_valid(&key, KEY, pair, split(text, pair, false)));
        text[i] ^= 1;
    }
    assert_true(mac_is_valid(&key, KEY, pair, split(text, pair, false)));
}

static void too_many_fields(void **state)
{
    struct codec_pair pair[MAC_MAX_FIELDS + 1];
    struct mac_key key = key_of(SECRET);
    char out[MAC_TEXT];

    (void)state;
    size_t count = split("a=;b=;c=;d=;e=;f=;g=;h=;i=;j=;k=;l=;m=;n=;o=;p=;q=", pair, false);
    assert_int_equal(count, MAC_MAX_FIELDS + 1);
    assert_false(mac_format(&key, KEY, pair, count, out));
    assert_true(mac_format(&key, KEY, pair, MAC_MAX_FIELDS, out));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_proven),
        cmocka_unit_test(digest_is_fixed),
        cmocka_unit_test(no_octet_is_free),
        cmocka_unit_test(too_many_fields),
    };

    return cmocka_run_group_tests_name("mac", tests, NULL, NULL);
}
