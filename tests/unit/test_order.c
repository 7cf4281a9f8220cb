/*
 * Orderings: MX facts and address facts joined.
 */
#include "policy/order.h"

#include "tests/unit/world_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct {
    const char *label, *mx; /* NULL: not to be had */
    const char *addr[3];
    const char *wanted; /* state, then each host with its preference and how it resolves */
} cases[] = {
    {"not to be had", NULL, {0}, "fail"},
    {"look-up failed", "fail", {0}, "fail"},
    {"no such domain", "nxdomain", {0}, "nxdomain"},
    {"Null MX", "null", {0}, "null"},
    {"implicit MX", "none", {"203.0.113.1"}, "none 0:example.com=resolved"},
    {"implicit MX without address", "none", {"none"}, "none 0:example.com=absent"},
    {"by preference, then name",
     "20 b.example.net,10 z.example.net,20 a.example.net",
     {"203.0.113.1", "203.0.113.2", "203.0.113.3"},
     "ok 10:z.example.net=resolved 20:a.example.net=resolved 20:b.example.net=resolved"},
    {"one name twice: the better preference",
     "20 a.example.net,10 a.example.net",
     {"203.0.113.1"},
     "ok 10:a.example.net=resolved"},
    {"hosts unknown, absent, unusable",
     "10 a.example.net,20 b.example.net,30 c.example.net",
     {NULL, "nxdomain", "10.0.0.1"},
     "ok 10:a.example.net=unknown 20:b.example.net=absent 30:c.example.net=unusable"},
    {"host's look-up failed", "10 a.example.net", {"fail"}, "ok 10:a.example.net=unknown"},
};

static void make(struct order *order, const char *mx_text, const char *const addr_text[3])
{
    struct facts *mx = mx_text ? mx_of(mx_text) : NULL, *addr[FACTS_MAX_HOSTS] = {0};
    const struct facts *given[FACTS_MAX_HOSTS] = {0};

    for (size_t i = 0; i < 3; i++)
        given[i] = addr[i] = addr_text[i] ? addrs_of(addr_text[i]) : NULL;
    order_init(order, mx, "example.com", given);
    for (size_t i = 0; i < 3; i++)
        facts_unref(addr[i]);
    facts_unref(mx);
}

static void joins(void **state)
{
    static const char *const resolve[] = {"resolved", "unknown", "absent", "unusable"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct order order;
        char got[512];
        int length;

        make(&order, cases[i].mx, cases[i].addr);
        length = snprintf(got, sizeof got, "%s", facts_state_name(order.state));
        for (size_t h = 0; h < order.count; h++)
            length += snprintf(got + length, sizeof got - (size_t)length, " %u:%s=%s",
                               order.host[h].host.preference, order.host[h].host.name,
                               resolve[order.host[h].resolve]);
        if (strcmp(got, cases[i].wanted) != 0)
            fail_msg("%s: '%s', wanted '%s'", cases[i].label, got, cases[i].wanted);
        order_clear(&order);
    }
}

/* Ports and weights go along; nothing is implicit where there is no SRV record. */
static const struct {
    const char *label, *srv, *wanted; /* state, then each host */
} services[] = {
    {"failed", "fail", "fail"},
    {"no such name", "nxdomain", "nxdomain"},
    {"no record", "none", "none"},
    {"no service", "null", "null"},
    {"two ports of a host", "10 60 2525 a.example.net,10 40 25 a.example.net,20 0 25 b.example.net",
     "ok 10/40 a.example.net:25 10/60 a.example.net:2525 20/0 b.example.net:25"},
};

static void joins_services(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        struct facts *srv = srv_of(services[i].srv), *addr = addrs_of("203.0.113.1");
        const struct facts *given[FACTS_MAX_HOSTS] = {addr, addr, addr};
        struct order order;
        char got[512];
        int length;

        assert_int_equal(order_names(srv), srv->mx.count);
        order_init(&order, srv, "example.com", given);
        length = snprintf(got, sizeof got, "%s", facts_state_name(order.state));
        for (size_t h = 0; h < order.count; h++) {
            const struct facts_host *host = &order.host[h].host;
            length += snprintf(got + length, sizeof got - (size_t)length, " %u/%u %s:%u",
                               host->preference, host->weight, host->name, host->port);
            assert_int_equal(order.host[h].resolve, ORDER_RESOLVED);
        }
        if (strcmp(got, services[i].wanted) != 0)
            fail_msg("%s: '%s', wanted '%s'", services[i].label, got, services[i].wanted);
        assert_false(order.implicit);
        order_clear(&order);
        facts_unref(srv);
        facts_unref(addr);
    }
}

static void an_mx_is_on_port_25(void **state)
{
    static const char *const addr[3] = {"203.0.113.1", NULL, NULL};
    struct order order;

    (void)state;
    make(&order, "10 a.example.net", addr);
    assert_int_equal(order.host[0].host.port, 25);
    order_clear(&order);
    make(&order, "none", addr);
    assert_true(order.implicit);
    assert_int_equal(order.host[0].host.port, 25);
    order_clear(&order);
}

static void finds_addresses(void **state)
{
    static const char *const addr[3] = {"203.0.113.1,2001:db8::1", "203.0.113.2", NULL};
    struct net_addr both = addr_of("2001:db8::1"), second = addr_of("203.0.113.2"),
                    other = addr_of("203.0.113.9");
    struct order order;

    (void)state;
    make(&order, "10 a.example.net,20 b.example.net", addr);
    assert_int_equal(order_find_addr(&order, &both), 0);
    assert_int_equal(order_find_addr(&order, &second), 1);
    assert_int_equal(order_find_addr(&order, &other), -1);
    assert_false(order_has_unknown(&order));
    order_clear(&order);
    make(&order, "10 a.example.net,20 b.example.net,30 c.example.net", addr);
    assert_true(order_has_unknown(&order));
    order_clear(&order);
}

static void private_addresses_only_on_request(void **state)
{
    struct facts *facts = addrs_of("10.0.0.1,203.0.113.1,2001:db8::1");
    struct net_addr out[16];

    (void)state;
    assert_int_equal(order_addresses(facts, false, out, 16), 2);
    assert_int_equal(order_addresses(facts, true, out, 16), 3);
    assert_int_equal(order_addresses(facts, true, out, 2), 2);
    assert_int_equal(order_addresses(NULL, true, out, 16), 0);
    facts_unref(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins),
        cmocka_unit_test(joins_services),
        cmocka_unit_test(an_mx_is_on_port_25),
        cmocka_unit_test(finds_addresses),
        cmocka_unit_test(private_addresses_only_on_request),
    };

    return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
