/*
 * cache/net.c: the canonical forms, what is refused, and the scopes.
 */
#include "cache/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *label, *input, *wanted; /* wanted NULL: refused */
} addrs[] = {
    {"IPv4", "192.0.2.1", "[192.0.2.1]"},
    {"IPv4 in brackets", "[192.0.2.1]", "[192.0.2.1]"},
    {"IPv6", "2001:db8::1", "[2001:db8::1]"},
    {"IPv6 in brackets", "[2001:db8::1]", "[2001:db8::1]"},
    {"IPv6 literal of SMTP", "[IPv6:2001:db8::1]", "[2001:db8::1]"},
    {"the tag's case does not count", "[ipv6:2001:db8::1]", "[2001:db8::1]"},
    {"upper case", "2001:DB8::ABCD", "[2001:db8::abcd]"},
    {"zeros are compressed", "2001:0db8:0000:0000:0000:0000:0000:0001", "[2001:db8::1]"},
    {"the longest run is", "2001:db8:0:0:1:0:0:0", "[2001:db8:0:0:1::]"},
    {"of two equal runs the first", "2001:db8:0:0:1:0:0:1", "[2001:db8::1:0:0:1]"},
    {"one zero group stays", "2001:db8:0:1:1:1:1:1", "[2001:db8:0:1:1:1:1:1]"},
    {"mapped is IPv4", "::ffff:192.0.2.1", "[192.0.2.1]"},
    {"mapped in hex", "::ffff:c000:201", "[192.0.2.1]"},
    {"mapped literal of SMTP", "[IPv6:::ffff:192.0.2.1]", "[192.0.2.1]"},
    {"unspecified", "::", "[::]"},
    {"empty", "", NULL},
    {"empty brackets", "[]", NULL},
    {"one bracket", "[192.0.2.1", NULL},
    {"the other bracket", "192.0.2.1]", NULL},
    {"double brackets", "[[192.0.2.1]]", NULL},
    {"a tag without brackets", "IPv6:2001:db8::1", NULL},
    {"a tag before IPv4", "[IPv6:192.0.2.1]", NULL},
    {"three octets", "192.0.2", NULL},
    {"a leading zero", "192.0.02.1", NULL},
    {"hex octets", "0xc0.0.2.1", NULL},
    {"an octet of 256", "192.0.2.256", NULL},
    {"a space", " 192.0.2.1", NULL},
    {"a scope", "fe80::1%lo", NULL},
    {"a port", "192.0.2.1:25", NULL},
    {"a network", "192.0.2.0/24", NULL},
    {"unknown", "unknown", NULL},
    {"too long", "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]", NULL},
};

static void addr_parse_and_format(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof addrs / sizeof *addrs; i++) {
        struct net_addr addr = {.family = 99};
        char text[NET_TEXT];
        print_message("  %s\n", addrs[i].label);
        assert_int_equal(net_addr_parse(addrs[i].input, &addr), addrs[i].wanted != NULL);
        assert_string_equal(net_addr_format(&addr, text), addrs[i].wanted ? addrs[i].wanted : "[]");
    }
}

static const struct {
    const char *label, *input, *wanted, *inside, *outside;
} cidrs[] = {
    {"a /24", "192.0.2.0/24", "[192.0.2.0/24]", "192.0.2.255", "192.0.3.0"},
    {"a /25", "192.0.2.128/25", "[192.0.2.128/25]", "192.0.2.128", "192.0.2.127"},
    {"everything", "0.0.0.0/0", "[0.0.0.0/0]", "198.51.100.1", "2001:db8::1"},
    {"a bare address", "192.0.2.1", "[192.0.2.1/32]", "192.0.2.1", "192.0.2.2"},
    {"its own form", "[192.0.2.0/24]", "[192.0.2.0/24]", "::ffff:192.0.2.9", "203.0.113.1"},
    {"IPv6", "2001:db8::/32", "[2001:db8::/32]", "2001:db8:ffff::", "2001:db9::"},
    {"Postfix' form", "[2001:db8::]/32", "[2001:db8::/32]", "2001:db8::1", "192.0.2.1"},
    {"its own form, IPv6", "[2001:db8::/32]", "[2001:db8::/32]", "2001:db8::1", "::"},
    {"an odd length", "2001:db8:8000::/33", "[2001:db8:8000::/33]", "2001:db8:8000::1",
     "2001:db8:7fff::1"},
    {"a bare IPv6 address", "[::1]", "[::1/128]", "::1", "::"},
    {"mapped, its bits count from the front", "::ffff:192.0.2.0/120", "[192.0.2.0/24]", "192.0.2.1",
     "192.0.3.1"},
    {"mapped in brackets", "[::ffff:192.0.2.0]/120", "[192.0.2.0/24]", "192.0.2.1", "192.0.3.1"},
    {"host bits", "192.0.2.1/24", NULL, NULL, NULL},
    {"host bits, IPv6", "2001:db8::1/64", NULL, NULL, NULL},
    {"too many bits", "192.0.2.0/33", NULL, NULL, NULL},
    {"too many bits, IPv6", "2001:db8::/129", NULL, NULL, NULL},
    {"mapped, wider than IPv4", "::ffff:0.0.0.0/95", NULL, NULL, NULL},
    {"no bits", "192.0.2.0/", NULL, NULL, NULL},
    {"negative bits", "192.0.2.0/-1", NULL, NULL, NULL},
    {"bits with a leading zero", "192.0.2.0/024", NULL, NULL, NULL},
    {"a mask", "192.0.2.0/255.255.255.0", NULL, NULL, NULL},
    {"no address", "/24", NULL, NULL, NULL},
    {"in brackets no address", "[/24]", NULL, NULL, NULL},
    {"two slashes", "192.0.2.0/24/24", NULL, NULL, NULL},
    {"a bracket in between", "192.0.2.0]/24", NULL, NULL, NULL},
    {"empty", "", NULL, NULL, NULL},
};

static void cidr_parse_has_format(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cidrs / sizeof *cidrs; i++) {
        struct net_cidr net;
        struct net_addr addr;
        char text[NET_TEXT];
        print_message("  %s\n", cidrs[i].label);
        assert_int_equal(net_cidr_parse(cidrs[i].input, &net), cidrs[i].wanted != NULL);
        if (!cidrs[i].wanted)
            continue;
        assert_string_equal(net_cidr_format(&net, text), cidrs[i].wanted);
        assert_true(net_addr_parse(cidrs[i].inside, &addr));
        assert_true(net_cidr_has(&net, &addr));
        assert_true(net_addr_parse(cidrs[i].outside, &addr));
        assert_false(net_cidr_has(&net, &addr));
    }
    struct net_cidr zero = {.bits = 0};
    struct net_addr none = {.family = NET_NONE};
    assert_false(net_cidr_has(&zero, &none));
}

static const struct {
    const char *input;
    unsigned bits4, bits6;
    const char *wanted;
} networks[] = {
    {"198.51.100.7", 24, 64, "[198.51.100.0/24]"},
    {"198.51.100.7", 32, 64, "[198.51.100.7/32]"},
    {"198.51.100.7", 0, 64, "[0.0.0.0/0]"},
    {"198.51.100.7", 64, 64, "[198.51.100.7/32]"},
    {"2001:db8:1:2:3:4:5:6", 24, 64, "[2001:db8:1:2::/64]"},
    {"2001:db8:1:2:3:4:5:6", 24, 47, "[2001:db8::/47]"},
    {"::ffff:198.51.100.7", 24, 64, "[198.51.100.0/24]"},
};

static void cidr_of(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++) {
        struct net_addr addr;
        char text[NET_TEXT];
        assert_true(net_addr_parse(networks[i].input, &addr));
        struct net_cidr net = net_cidr_of(&addr, networks[i].bits4, networks[i].bits6);
        assert_string_equal(net_cidr_format(&net, text), networks[i].wanted);
    }
}

static const struct {
    const char *input;
    enum net_scope wanted;
} scopes[] = {
    {"192.0.2.1", NET_PUBLIC},
    {"2001:db8::1", NET_PUBLIC},
    {"9.255.255.255", NET_PUBLIC},
    {"10.0.0.0", NET_PRIVATE},
    {"172.15.255.255", NET_PUBLIC},
    {"172.16.0.1", NET_PRIVATE},
    {"172.31.255.255", NET_PRIVATE},
    {"172.32.0.0", NET_PUBLIC},
    {"192.168.0.1", NET_PRIVATE},
    {"169.254.1.1", NET_PRIVATE},
    {"100.64.0.1", NET_PRIVATE},
    {"100.128.0.0", NET_PUBLIC},
    {"fd00::1", NET_PRIVATE},
    {"fc00::1", NET_PRIVATE},
    {"fe80::1", NET_PRIVATE},
    {"fec0::1", NET_PRIVATE},
    {"0.0.0.0", NET_UNUSABLE},
    {"0.1.2.3", NET_UNUSABLE},
    {"127.0.0.1", NET_UNUSABLE},
    {"127.255.255.255", NET_UNUSABLE},
    {"223.255.255.255", NET_PUBLIC},
    {"224.0.0.1", NET_UNUSABLE},
    {"255.255.255.255", NET_UNUSABLE},
    {"::", NET_UNUSABLE},
    {"::1", NET_UNUSABLE},
    {"::127.0.0.1", NET_UNUSABLE},
    {"::ffff:127.0.0.1", NET_UNUSABLE},
    {"::ffff:10.0.0.1", NET_PRIVATE},
    {"ff02::1", NET_UNUSABLE},
};

static void scope(void **state)
{
    struct net_addr addr = {.family = NET_NONE};

    (void)state;
    assert_int_equal(net_addr_scope(&addr), NET_UNUSABLE);
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++) {
        print_message("  %s\n", scopes[i].input);
        assert_true(net_addr_parse(scopes[i].input, &addr));
        assert_int_equal(net_addr_scope(&addr), scopes[i].wanted);
    }
}

/* The order: IPv4 before IPv6, each by its octets. */
static void compare(void **state)
{
    static const char *const sorted[] = {"0.0.0.0",    "192.0.2.1",   "192.0.2.2", "198.51.100.1",
                                         "2001:db8::", "2001:db8::1", "ff00::"};
    enum { COUNT = sizeof sorted / sizeof *sorted };

    (void)state;
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < COUNT; k++) {
            struct net_addr a, b;
            assert_true(net_addr_parse(sorted[i], &a) && net_addr_parse(sorted[k], &b));
            int order = net_addr_compare(&a, &b);
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
            assert_int_equal(net_addr_equal(&a, &b), i == k);
        }
}

static void sockaddrs(void **state)
{
    static const char *const texts[] = {"192.0.2.1", "2001:db8::1"};
    static const socklen_t sizes[] = {sizeof(struct sockaddr_in), sizeof(struct sockaddr_in6)};
    struct sockaddr_storage sa;
    struct net_addr addr, back;
    uint16_t port;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_true(net_addr_parse(texts[i], &addr));
        assert_int_equal(net_addr_sockaddr(&addr, 2525, &sa), sizes[i]);
        assert_true(net_addr_from_sockaddr((struct sockaddr *)&sa, &back, &port));
        assert_true(net_addr_equal(&addr, &back));
        assert_int_equal(port, 2525);
        assert_true(net_addr_from_sockaddr((struct sockaddr *)&sa, &back, NULL));
    }
    /* A mapped peer, as a dual-stack listener sees it. */
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6};
    mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
    mapped.sin6_addr.s6_addr[12] = 192;
    assert_true(net_addr_from_sockaddr((struct sockaddr *)&mapped, &back, NULL));
    assert_int_equal(back.family, NET_IPV4);
    struct sockaddr local = {.sa_family = AF_UNIX};
    assert_false(net_addr_from_sockaddr(&local, &back, NULL));
    assert_int_equal(back.family, NET_NONE);
    assert_int_equal(net_addr_sockaddr(&back, 25, &sa), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(addr_parse_and_format),
        cmocka_unit_test(cidr_parse_has_format),
        cmocka_unit_test(cidr_of),
        cmocka_unit_test(scope),
        cmocka_unit_test(compare),
        cmocka_unit_test(sockaddrs),
    };

    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
