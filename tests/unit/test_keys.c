/*
 * cache/keys.c: SPEC 8's key names, byte for byte.
 */
#include "cache/keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define DIGEST "00112233445566778899aabbccddeeff"

static void keys_are_as_written_down(void **state)
{
    char out[KEYS_SIZE];
    struct net_addr listener;

    (void)state;
    assert_true(net_addr_parse("192.0.2.10", &listener));
    assert_string_equal(keys_mx("mxw1", "example.com", out), "mxw1:mx:example.com");
    assert_string_equal(keys_srv("mxw1", "example.com", out), "mxw1:mx:_smtp._tcp.example.com");
    assert_string_equal(keys_addr("mxw1", "mx1.example.com", out), "mxw1:addr:mx1.example.com");
    assert_string_equal(keys_seen("mxw1", &listener, "[198.51.100.0/24]", out),
                        "mxw1:seen:[192.0.2.10]:[198.51.100.0/24]");
    assert_string_equal(keys_seen("mxw1", &listener, "#" DIGEST, out),
                        "mxw1:seen:[192.0.2.10]:#" DIGEST);
    assert_string_equal(keys_proof("mxw1", "n0nce", out), "mxw1:proof:n0nce");
    assert_string_equal(keys_defer("mxw1", false, DIGEST, out), "mxw1:defer:#" DIGEST);
    assert_string_equal(keys_defer("mxw1", true, DIGEST, out), "mxw1:dry:defer:#" DIGEST);
    assert_string_equal(keys_ok("mxw1", false, "example.com", "[198.51.100.7]", out),
                        "mxw1:ok:example.com:[198.51.100.7]");
    assert_string_equal(keys_ok("mxw1", true, "example.com", "example.net", out),
                        "mxw1:dry:ok:example.com:example.net");
    assert_string_equal(keys_trap("mxw1", false, "[198.51.100.0/24]", out),
                        "mxw1:trap:[198.51.100.0/24]");
    assert_string_equal(keys_trap("mxw1", true, "[198.51.100.0/24]", out),
                        "mxw1:dry:trap:[198.51.100.0/24]");
    assert_string_equal(keys_health("mxw1", "gw1.example.net", 25, out),
                        "mxw1:health:gw1.example.net:25");
    assert_string_equal(keys_health("mxw1", "[2001:db8::1]", 2525, out),
                        "mxw1:health:[2001:db8::1]:2525");
    assert_string_equal(keys_override("site2", "gw1.example.net", 25, out),
                        "site2:override:gw1.example.net:25");
    assert_string_equal(keys_node("mxw1", "mx1.example.com", out), "mxw1:node:mx1.example.com");
    assert_string_equal(keys_epoch("mxw1", out), "mxw1:epoch");
    assert_string_equal(keys_stat("mxw1", "mx1.example.com", "", out), "mxw1:stat:mx1.example.com");
    assert_string_equal(keys_stat("mxw1", "mx1.example.com", "20261121", out),
                        "mxw1:stat:mx1.example.com:20261121");
    assert_string_equal(keys_top("mxw1", "bypass", "20261121", out), "mxw1:top:bypass:20261121");
    assert_string_equal(keys_events("mxw1", out), "mxw1:events");
    assert_string_equal(keys_day(INT64_C(1795305599), out), "20261121");
    assert_string_equal(keys_day(INT64_C(1795305600), out), "20261122");
    assert_string_equal(keys_day(INT64_MAX, out), "19700101");
}

/* The longest parts that there can be. */
static void keys_have_room(void **state)
{
    char prefix[KEYS_PREFIX_SIZE], domain[NAME_SIZE], identity[NAME_SIZE], out[KEYS_SIZE];

    (void)state;
    memset(prefix, 'p', sizeof prefix - 1);
    memset(domain, 'd', sizeof domain - 1);
    memset(identity, 'i', sizeof identity - 1);
    prefix[sizeof prefix - 1] = domain[sizeof domain - 1] = identity[sizeof identity - 1] = '\0';
    keys_ok(prefix, true, domain, identity, out);
    assert_int_equal(strlen(out), strlen(prefix) + strlen(":dry:ok:") + 253 + 1 + 253);
}

static const struct {
    const char *key;
    enum keys_kind kind;
    const char *rest;
} parsed[] = {
    {"mxw1:mx:example.com", KEYS_MX, "example.com"},
    {"mxw1:mx:_smtp._tcp.example.com", KEYS_SRV, "example.com"},
    {"mxw1:mx:_smtp._tcp.", KEYS_SRV, ""},
    {"mxw1:mx:_smtp._tcp", KEYS_MX, "_smtp._tcp"},
    {"mxw1:mx:_smtp._tcp2.example.com", KEYS_MX, "_smtp._tcp2.example.com"},
    {"mxw1:addr:_smtp._tcp.example.com", KEYS_ADDR, "_smtp._tcp.example.com"},
    {"mxw1:addr:mx1.example.com", KEYS_ADDR, "mx1.example.com"},
    {"mxw1:override:[2001:db8::1]:25", KEYS_OVERRIDE, "[2001:db8::1]:25"},
    {"mxw1:ok:example.com:[192.0.2.1]", KEYS_OK, "example.com:[192.0.2.1]"},
    {"mxw1:health:gw1.example.net:25", KEYS_HEALTH, "gw1.example.net:25"},
    {"mxw1:node:mx1.example.com", KEYS_NODE, "mx1.example.com"},
    {"mxw1:epoch", KEYS_EPOCH, ""},
    {"mxw1:mx:", KEYS_MX, ""},
    {"mxw1:epochs", KEYS_OTHER, ""},
    {"mxw1:seen:[192.0.2.1]:x", KEYS_OTHER, ""},
    {"mxw1:dry:ok:example.com:x", KEYS_OTHER, ""},
    {"mxw1:mx", KEYS_OTHER, ""},
    {"mxw12:mx:example.com", KEYS_OTHER, ""},
    {"mxw:mx:example.com", KEYS_OTHER, ""},
    {"mxw1", KEYS_OTHER, ""},
    {"", KEYS_OTHER, ""},
};

static void parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof parsed / sizeof *parsed; i++) {
        const char *rest = NULL;
        print_message("  %s\n", parsed[i].key);
        assert_int_equal(keys_parse("mxw1", parsed[i].key, &rest), parsed[i].kind);
        assert_string_equal(rest, parsed[i].rest);
    }
}

static const struct {
    const char *text, *host; /* host NULL: refused */
    uint16_t port;
} hosts[] = {
    {"gw1.example.net:2525", "gw1.example.net", 2525},
    {"gw1.example.net", "gw1.example.net", 25},
    {"GW1.Example.Net.:587", "gw1.example.net", 587},
    {"[192.0.2.1]:2525", "[192.0.2.1]", 2525},
    {"[192.0.2.1]", "[192.0.2.1]", 25},
    {"192.0.2.1:2525", "[192.0.2.1]", 2525},
    {"192.0.2.1", "[192.0.2.1]", 25},
    {"[2001:DB8::1]:25", "[2001:db8::1]", 25},
    {"[2001:db8::1]", "[2001:db8::1]", 25},
    {"[::ffff:192.0.2.1]:25", "[192.0.2.1]", 25},
    {"gw1.example.net:65535", "gw1.example.net", 65535},
    {"gw1.example.net:65536", NULL, 0},
    {"gw1.example.net:0", NULL, 0},
    {"gw1.example.net:025", NULL, 0},
    {"gw1.example.net:", NULL, 0},
    {"gw1.example.net:smtp", NULL, 0},
    {"gw1.example.net:25:25", NULL, 0},
    {":25", NULL, 0},
    {"", NULL, 0},
    {"[192.0.2.1", NULL, 0},
    {"[gw1.example.net]:25", NULL, 0},
    {"2001:db8::1", NULL, 0},
    {"gw1 .example.net:25", NULL, 0},
};

static void parse_host(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        char host[NAME_SIZE];
        uint16_t port;
        print_message("  %s\n", hosts[i].text);
        assert_int_equal(keys_parse_host(hosts[i].text, 25, host, &port), hosts[i].host != NULL);
        assert_string_equal(host, hosts[i].host ? hosts[i].host : "");
        if (hosts[i].host)
            assert_int_equal(port, hosts[i].port);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_as_written_down),
        cmocka_unit_test(keys_have_room),
        cmocka_unit_test(parse),
        cmocka_unit_test(parse_host),
    };

    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
