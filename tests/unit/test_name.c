/*
 * cache/name.c: the door for names, registrable domains, generic names, globs.
 */
#include "cache/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define LABEL63 "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabc"

static const struct {
    const char *label, *input;
    size_t length;      /* 0: strlen(input) */
    const char *wanted; /* NULL: refused */
} names[] = {
    {"as it is", "mx1.example.com", 0, "mx1.example.com"},
    {"upper case", "MX1.Example.COM", 0, "mx1.example.com"},
    {"a final dot", "example.com.", 0, "example.com"},
    {"dotless", "localhost", 0, "localhost"},
    {"an underscore", "_dmarc.example.com", 0, "_dmarc.example.com"},
    {"hyphens inside", "r3---sn-a1.example.com", 0, "r3---sn-a1.example.com"},
    {"digits", "3com.example.com", 0, "3com.example.com"},
    {"an A-label", "XN--BCHER-KVA.example", 0, "xn--bcher-kva.example"},
    {"a U-label",
     "b\xc3\xbc"
     "cher.example",
     0, "xn--bcher-kva.example"},
    {"a U-label in upper case",
     "B\xc3\x9c"
     "CHER.Example",
     0, "xn--bcher-kva.example"},
    {"decomposed",
     "bu\xcc\x88"
     "cher.example",
     0, "xn--bcher-kva.example"},
    {"sharp s stays itself", "fa\xc3\x9f.example", 0, "xn--fa-hia.example"},
    {"an ideographic full stop",
     "b\xc3\xbc"
     "cher\xe3\x80\x82"
     "example",
     0, "xn--bcher-kva.example"},
    {"a U-label with a final dot",
     "b\xc3\xbc"
     "cher.example.",
     0, "xn--bcher-kva.example"},
    {"a U-label under an underscore",
     "_dmarc.b\xc3\xbc"
     "cher.example",
     0, "_dmarc.xn--bcher-kva.example"},
    {"fullwidth letters", "\xef\xbd\x85xample.com", 0, "example.com"},
    {"only the length counts", "example.com/../x", 11, "example.com"},
    {"a label of 63", LABEL63 ".example", 0, LABEL63 ".example"},
    {"253 octets",
     LABEL63 "." LABEL63 "." LABEL63 "."
             "abcdefghijabcdefghijabcdefghijabcdefghijabcde"
             "fghijabcdefghija",
     0,
     LABEL63 "." LABEL63 "." LABEL63 "."
             "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghija"},
    {"254 octets",
     LABEL63 "." LABEL63 "." LABEL63 "."
             "abcdefghijabcdefghijabcdefghijabcdefghijabcde"
             "fghijabcdefghijab",
     0, NULL},
    {"a label of 64", LABEL63 "d.example", 0, NULL},
    {"empty", "", 0, NULL},
    {"the root", ".", 0, NULL},
    {"two final dots", "example.com..", 0, NULL},
    {"a leading dot", ".example.com", 0, NULL},
    {"an empty label", "mx1..example.com", 0, NULL},
    {"a hyphen at a label's start", "-mx1.example.com", 0, NULL},
    {"a hyphen at a label's end", "mx1-.example.com", 0, NULL},
    {"an address literal", "[192.0.2.1]", 0, NULL},
    {"an address", "192.0.2.1", 0, NULL},
    {"an address with a final dot", "192.0.2.1.", 0, NULL},
    {"an address as inet_aton reads it", "0xc0000201", 0, NULL},
    {"another", "mail.0x1", 0, NULL},
    {"a name that ends in a number", "mail.1", 0, NULL},
    {"hex without the sign is a name", "mail.c0000201", 0, "mail.c0000201"},
    {"an IPv6 address", "2001:db8::1", 0, NULL},
    {"a space", "mx1 .example.com", 0, NULL},
    {"a NUL", "mx1\0.example.com", 16, NULL},
    {"a NUL beside a U-label", "b\xc3\xbc\0.example", 12, NULL},
    {"a newline", "example.com\n", 0, NULL},
    {"a per cent sign", "ex%ample.com", 0, NULL},
    {"an at sign", "u@example.com", 0, NULL},
    {"a colon", "example.com:25", 0, NULL},
    {"a fullwidth per cent sign",
     "ex\xef\xbc\x85"
     "ample.com",
     0, NULL},
    {"a character that becomes a slash",
     "ex\xe2\x84\x80"
     "ample.com",
     0, NULL},
    {"no UTF-8",
     "b\xfc"
     "cher.example",
     0, NULL},
    {"a cut character", "b\xc3", 0, NULL},
    {"an overlong form", "\xc0\xae.example", 0, NULL},
    {"fullwidth digits for an address", "192.0.2.\xef\xbc\x91", 0, NULL},
    {"a lone joiner", "a\xe2\x80\x8d.example", 0, NULL},
};

static void normalize(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char out[NAME_SIZE] = "untouched";
        size_t length = names[i].length ? names[i].length : strlen(names[i].input);
        print_message("  %s\n", names[i].label);
        bool good = name_normalize(names[i].input, length, out);
        assert_string_equal(out, names[i].wanted ? names[i].wanted : "");
        assert_int_equal(good, names[i].wanted != NULL);
    }
}

/* What has been through the door once passes it unchanged. */
static void normalize_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char out[NAME_SIZE];
        if (!names[i].wanted)
            continue;
        assert_true(name_normalize(names[i].wanted, strlen(names[i].wanted), out));
        assert_string_equal(out, names[i].wanted);
    }
}

static void normalize_long_utf8(void **state)
{
    char text[3000], out[NAME_SIZE];

    (void)state;
    for (size_t i = 0; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xbc", 2);
    assert_false(name_normalize(text, sizeof text, out));
    assert_false(name_normalize(text, 1022, out));
}

/* The public suffix list is about real suffixes: one of a country, one private. */
static const struct {
    const char *input, *wanted;
} registrables[] = {
    {"example.com", "example.com"},
    {"mx1.mail.example.com", "example.com"},
    {"mx1.example.co.uk", "example.co.uk"},
    {"co.uk", NULL},
    {"com", NULL},
    {"localhost", NULL},
    {"mx.customer.github.io", "customer.github.io"},
    {"github.io", NULL},
    {"mx.example.unlisted", "example.unlisted"},
    {"xn--bcher-kva.example", "xn--bcher-kva.example"},
};

static void registrable(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof registrables / sizeof *registrables; i++) {
        char out[NAME_SIZE];
        print_message("  %s\n", registrables[i].input);
        assert_int_equal(name_registrable(registrables[i].input, out),
                         registrables[i].wanted != NULL);
        assert_string_equal(out, registrables[i].wanted ? registrables[i].wanted : "");
    }
}

static const struct {
    const char *addr, *name;
    bool wanted;
} embedded[] = {
    /* decimal */
    {"192.0.2.10", "ec2-192-0-2-10.compute-1.example.net", true},
    {"192.0.2.10", "192-0-2-10.example.net", true},
    {"192.0.2.10", "10.2.0.192.dynamic.example.net", true},
    {"192.0.2.10", "192.0.2.10.dynamic.example.net", true},
    {"192.0.2.10", "host192-0.2-10.example.net", true},
    {"192.0.2.10", "10-2-0-192.pool.example.net", true},
    {"192.0.2.10", "ip192x0x2x10.example.net", true},
    {"192.0.2.10", "192_0_2_10.example.net", true},
    {"192.0.2.10", "192-000-002-010.example.net", true},
    {"192.0.2.10", "192000002010.example.net", true},
    {"192.0.2.10", "host010002000192.example.net", true},
    {"192.0.2.10", "1920210.example.net", true},
    {"192.0.2.10", "u1020192.example.net", true},
    {"192.0.2.10", "3221225994.example.net", true},
    {"192.0.2.10", "cust-192-0-2-10-static.example.net", true},
    {"192.0.2.10", "a192-0-2-10.example.net", true},
    {"::ffff:192.0.2.10", "192-0-2-10.example.net", true},
    /* hex */
    {"192.0.2.10", "c0000210.example.net", false}, /* that is 192.0.2.16 */
    {"192.0.2.16", "c0000210.example.net", true},
    {"192.0.2.10", "c000020a.example.net", true},
    {"192.0.2.10", "pc000020a.dip0.example.net", true},
    {"192.0.2.10", "cablec000020a.example.net", true},
    {"192.0.2.10", "0a0200c0.example.net", true},
    {"192.0.2.10", "c0-00-02-0a.example.net", true},
    {"192.0.2.10", "c0-0-2-a.example.net", true},
    {"192.0.2.10", "a.2.0.c0.example.net", true},
    {"203.0.113.66", "pcb007142.dip0.example.net", true},
    /* others' names, other numbers */
    {"192.0.2.10", "mx1.example.com", false},
    {"192.0.2.10", "mail.example.net", false},
    {"192.0.2.10", "192-0-2-11.example.net", false},
    {"192.0.2.10", "192-0-2-100.example.net", false},
    {"192.0.2.10", "1192-0-2-10.example.net", false},
    {"192.0.2.10", "192-0-2.example.net", false},
    {"192.0.2.10", "192--0-2-10.example.net", false},
    {"192.0.2.10", "19202101.example.net", false},
    {"192.0.2.10", "01920210.example.net", false},
    {"192.0.2.10", "32212259940.example.net", false},
    {"192.0.2.10", "0192-0-2-10.example.net", false},
    {"192.0.2.10", "", false},
    /* IPv6 */
    {"2001:db8::1", "2001-db8--1.example.net", true},
    {"2001:db8::1", "ipv6-2001-db8--1.example.net", true},
    {"2001:db8::1", "2001-0db8-0000-0000-0000-0000-0000-0001.example.net", true},
    {"2001:db8::1", "2001-db8-0-0-0-0-0-1.example.net", true},
    {"2001:db8::1", "20010db8000000000000000000000001.example.net", true},
    {"2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.example.net",
     true},
    {"2001:db8::1", "2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.example.net",
     true},
    {"2001:db8::1", "1000000000000000000000008bd01002.example.net", true},
    {"2001:db8:1:2:211:22ff:fe33:4455", "2001-db8-1-2-211-22ff-fe33-4455.example.net", true},
    {"2001:db8:1:2:211:22ff:fe33:4455", "2001-db8-1-2.customer.example.net", true},
    {"2001:db8:1:2:211:22ff:fe33:4455", "p20010db800010002.example.net", true},
    {"2001:db8:1:2:211:22ff:fe33:4455", "021122fffe334455.example.net", true},
    {"2001:db8:1:2:211:22ff:fe33:4455", "211-22ff-fe33-4455.example.net", true},
    {"2001:db8::1", "mx1.example.com", false},
    {"2001:db8::1", "0-0-0-1.example.com", false},
    {"2001:db8::1", "2001-db8--2.example.net", false},
    {"2001:db8::1", "2001-db8--11.example.net", false},
    {"2001:db8::1", "2001-db8-1.example.net", false},
};

static void embeds_address(void **state)
{
    struct net_addr none = {.family = NET_NONE};

    (void)state;
    for (size_t i = 0; i < sizeof embedded / sizeof *embedded; i++) {
        struct net_addr addr;
        print_message("  %s %s\n", embedded[i].addr, embedded[i].name);
        assert_true(net_addr_parse(embedded[i].addr, &addr));
        assert_int_equal(name_embeds_address(embedded[i].name, &addr), embedded[i].wanted);
    }
    assert_false(name_embeds_address("mx1.example.com", &none));
}

static const struct {
    const char *pattern, *name;
    bool wanted;
} globs[] = {
    {"*", "example.com", true},
    {"*", "", true},
    {"", "", true},
    {"", "a", false},
    {"example.com", "Example.COM", true},
    {"EXAMPLE.com", "example.com", true},
    {"*.example.com", "mx1.example.com", true},
    {"*.example.com", "example.com", false},
    {"*.example.com", "mx1.example.com.example.net", false},
    {"*.mail.example.org", "example-com.mail.example.org", true},
    {"mx*.example.*", "mx1.a.example.net", true},
    {"mx*.example.*", "mail.example.net", false},
    {"**a**", "bab", true},
    {"a*b*c", "a1b2b3c", true},
    {"a*b*c", "a1b2b3", false},
    {"?.example.com", "a.example.com", false},
    {"*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
};

static void matches(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof globs / sizeof *globs; i++) {
        print_message("  %s %s\n", globs[i].pattern, globs[i].name);
        assert_int_equal(name_matches(globs[i].pattern, globs[i].name), globs[i].wanted);
    }
}

static const struct {
    const char *name, *domain;
    bool wanted;
} below[] = {
    {"example.com", "example.com", true},      {"mx1.example.com", "example.com", true},
    {"badexample.com", "example.com", false},  {"com", "example.com", false},
    {"example.com", "mx1.example.com", false}, {"example.com", "", false},
    {".example.com", "example.com", true},
};

static void is_below(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof below / sizeof *below; i++)
        assert_int_equal(name_is_below(below[i].name, below[i].domain), below[i].wanted);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(normalize),
        cmocka_unit_test(normalize_twice),
        cmocka_unit_test(normalize_long_utf8),
        cmocka_unit_test(registrable),
        cmocka_unit_test(embeds_address),
        cmocka_unit_test(matches),
        cmocka_unit_test(is_below),
    };

    return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
