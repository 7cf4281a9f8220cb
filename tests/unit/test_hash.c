/*
 * cache/hash.c: the published vectors of SipHash-2-4 and BLAKE2b, and the bytes that every node and
 * version must agree on. A change of a vector here is a change of the contract.
 */
#include "cache/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* From the SipHash paper: key 00..0f, input 00..0e. */
static void keyed_is_siphash(void **state)
{
    uint8_t key[HASH_KEY_SIZE], input[15];

    (void)state;
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    memcpy(input, key, sizeof input);
    assert_true(hash_keyed(key, input, sizeof input) == 0xa129ca6149be45e5);
    assert_true(hash_keyed(key, "", 0) == 0x726fdb47dd0e0e31);
}

static const struct {
    const char *a, *b;
    uint64_t wanted;
} choices[] = {
    {"", "", 0xafbc5fce4afb2faf},
    {"u@example.com", "mx1.example.com", 0x883df700fb595379},
    {"u@example.com", "mx2.example.com", 0x4f218cb7f94747ca},
    {"gateways", "[192.0.2.1]:25", 0xcb535801a8759096},
};

static void choice_is_fixed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        assert_true(hash_choice(choices[i].a, choices[i].b) == choices[i].wanted);
}

static void choice_keeps_its_parts_apart(void **state)
{
    (void)state;
    assert_true(hash_choice("ab", "c") != hash_choice("a", "bc"));
    assert_true(hash_choice("ab", "") != hash_choice("", "ab"));
    assert_true(hash_choice("a", "b") != hash_choice("b", "a"));
}

static void choice_cuts_what_is_too_long(void **state)
{
    char text[HASH_CHOICE_PART + 3], cut[HASH_CHOICE_PART + 1];

    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    memcpy(cut, text, HASH_CHOICE_PART);
    cut[HASH_CHOICE_PART] = '\0';
    assert_true(hash_choice(text, "h") == hash_choice(cut, "h"));
    assert_true(hash_choice(text, text) == hash_choice(cut, cut));
    assert_true(hash_choice(cut, "h") != hash_choice(cut + 1, "h"));
}

static const struct {
    const char *label;
    size_t count;
    const char *part[3];
    const char *wanted;
} digests[] = {
    {"nothing", 0, {0}, "cae66941d9efbd404e4d88758ea67670"},
    {"an empty part", 1, {""}, "c804ce198ec337e3dc762bdd1a09aece"},
    {"a tuple",
     3,
     {"example.net", "example.org", "u@example.com"},
     "ef4da5b953fb44664eb4156f994ed93c"},
    {"the same, cut elsewhere",
     3,
     {"example.ne", "texample.org", "u@example.com"},
     "448a24c81ee6bc4c00c08b6210d30ec5"},
};

static void digest_is_fixed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof digests / sizeof *digests; i++) {
        char out[HASH_DIGEST_TEXT];
        print_message("  %s\n", digests[i].label);
        assert_ptr_equal(hash_digest(digests[i].part, digests[i].count, out), out);
        assert_string_equal(out, digests[i].wanted);
    }
}

/* What another implementation makes of them (hashlib.blake2b). */
static void mac_is_fixed(void **state)
{
    static const struct hash_part part[] = {{"mxw1:mx:example.com", 19}, {"", 0}};
    uint8_t key[HASH_SECRET_SIZE], other[HASH_SECRET_SIZE];
    char out[HASH_MAC_TEXT];

    (void)state;
    hash_secret("0123456789abcdef", 16, key);
    hash_secret("0123456789abcde", 15, other);
    assert_memory_not_equal(key, other, sizeof key);
    assert_string_equal(hash_mac(key, part, 2, out),
                        "8017fca05b13422b88704e5a079c06353ba99762134cf6d2b2d513b98586a7d7");
    assert_string_equal(hash_mac(key, part, 1, out),
                        "1d673558427bb2e4b393a0b50b696d8bc25a6ad630c6f8c9d7c771c7e218cf40");
    assert_true(hash_is_same("ab", "ab", 2));
    assert_false(hash_is_same("ab", "aB", 2));
}

static void random_differs(void **state)
{
    uint8_t a[16] = {0}, b[16] = {0};

    (void)state;
    hash_random(a, sizeof a);
    hash_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keyed_is_siphash),
        cmocka_unit_test(choice_is_fixed),
        cmocka_unit_test(choice_keeps_its_parts_apart),
        cmocka_unit_test(choice_cuts_what_is_too_long),
        cmocka_unit_test(digest_is_fixed),
        cmocka_unit_test(mac_is_fixed),
        cmocka_unit_test(random_differs),
    };

    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
