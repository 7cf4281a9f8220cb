/*
 * cache/facts.c: sets that do not depend on the order in which they came, within their limits.
 */
#include "cache/facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct host {
    uint16_t preference;
    const char *name;
};

static const struct {
    const char *label;
    struct host added[6], wanted[6]; /* up to the first without a name */
} sets[] = {
    {"nothing", {{0}}, {{0}}},
    {"sorted by preference",
     {{20, "mx2.example.com"}, {10, "mx1.example.com"}},
     {{10, "mx1.example.com"}, {20, "mx2.example.com"}}},
    {"then by name",
     {{10, "b.example.com"}, {10, "a.example.com"}},
     {{10, "a.example.com"}, {10, "b.example.com"}}},
    {"a record twice", {{10, "a.example.com"}, {10, "a.example.com"}}, {{10, "a.example.com"}}},
    {"a name twice, the better one last",
     {{20, "a.example.com"}, {15, "b.example.com"}, {10, "a.example.com"}},
     {{10, "a.example.com"}, {15, "b.example.com"}}},
    {"a name twice, the better one first",
     {{10, "a.example.com"}, {15, "b.example.com"}, {20, "a.example.com"}},
     {{10, "a.example.com"}, {15, "b.example.com"}}},
    {"the whole range",
     {{65535, "b.example.com"}, {0, "a.example.com"}},
     {{0, "a.example.com"}, {65535, "b.example.com"}}},
};

static void hosts_are_a_set(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        struct facts *facts = facts_new(FACTS_MX, FACTS_OK);
        size_t count = 0;
        print_message("  %s\n", sets[i].label);
        for (const struct host *host = sets[i].added; host->name; host++)
            assert_true(facts_add_host(facts, host->preference, host->name));
        facts_seal(facts);
        for (; sets[i].wanted[count].name; count++) {
            assert_true(count < facts->mx.count);
            assert_string_equal(facts->mx.host[count].name, sets[i].wanted[count].name);
            assert_int_equal(facts->mx.host[count].preference, sets[i].wanted[count].preference);
        }
        assert_int_equal(facts->mx.count, count);
        assert_int_equal(facts->warnings, 0);
        facts_unref(facts);
    }
}

/* Of SRV sets, as "priority/weight name:port": by priority, name, port; name and port once. */
static const struct {
    const char *label, *added, *wanted;
} services[] = {
    {"nothing", "", ""},
    {"sorted", "20/1 a:25 10/1 b:26 10/1 b:25 10/9 a:99",
     "10/9 a:99 10/1 b:25 10/1 b:26 20/1 a:25"},
    {"two ports of a name", "10/1 a:25 10/1 a:26", "10/1 a:25 10/1 a:26"},
    {"the better priority, last", "20/9 a:25 10/1 a:25", "10/1 a:25"},
    {"the better priority, first", "10/1 a:25 20/9 a:25", "10/1 a:25"},
    {"the greater weight, last", "10/1 a:25 10/9 a:25", "10/9 a:25"},
    {"the greater weight, first", "10/9 a:25 10/1 a:25", "10/9 a:25"},
};

static struct facts *services_of(const char *text)
{
    struct facts *facts = facts_new(FACTS_SRV, FACTS_OK);
    unsigned priority, weight, port;
    char name[32];
    int used;

    for (; sscanf(text, " %u/%u %31[^:]:%u%n", &priority, &weight, name, &port, &used) == 4;
         text += used) {
        struct facts_host host = {(uint16_t)priority, (uint16_t)port, (uint16_t)weight, name};
        assert_true(facts_add_service(facts, &host));
    }
    facts_seal(facts);
    return facts;
}

static void services_are_a_set(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        struct facts *facts = services_of(services[i].added);
        char got[256] = "";
        print_message("  %s\n", services[i].label);
        for (size_t h = 0; h < facts->mx.count; h++) {
            const struct facts_host *host = &facts->mx.host[h];
            size_t used = strlen(got);
            snprintf(got + used, sizeof got - used, "%s%u/%u %s:%u", h ? " " : "", host->preference,
                     host->weight, host->name, host->port);
        }
        assert_string_equal(got, services[i].wanted);
        facts_unref(facts);
    }
}

static void services_differ_in_all_their_numbers(void **state)
{
    static const char *const other[] = {"11/60 a:25", "10/61 a:25", "10/60 a:26", "10/60 b:25"};
    struct facts *one = services_of("10/60 a:25"), *same = services_of("10/60 a:25");

    (void)state;
    assert_true(facts_equal(one, same));
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        struct facts *facts = services_of(other[i]);
        assert_false(facts_equal(one, facts));
        facts_unref(facts);
    }
    facts_unref(one);
    facts_unref(same);
}

static void owners(void **state)
{
    char out[FACTS_OWNER_SIZE], name[NAME_SIZE];

    (void)state;
    assert_string_equal(facts_owner(FACTS_MX, "example.com", out), "example.com");
    assert_string_equal(facts_owner(FACTS_ADDR, "example.com", out), "example.com");
    assert_string_equal(facts_owner(FACTS_SRV, "example.com", out), "_smtp._tcp.example.com");
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(strlen(facts_owner(FACTS_SRV, name, out)), 253 + 11);
}

/* Adds count hosts, host i at preference i, in the order start, start + step, ... */
static struct facts *hosts_in_order(unsigned count, unsigned start, unsigned step)
{
    struct facts *facts = facts_new(FACTS_MX, FACTS_OK);
    char name[32];

    for (unsigned i = 0; i < count; i++) {
        unsigned number = (start + i * step) % count;
        snprintf(name, sizeof name, "mx%u.example.com", number);
        assert_true(facts_add_host(facts, (uint16_t)number, name));
    }
    facts_seal(facts);
    return facts;
}

static void too_many_hosts_leave_the_best(void **state)
{
    (void)state;
    struct facts *up = hosts_in_order(500, 0, 1), *down = hosts_in_order(500, 499, 499),
                 *mixed = hosts_in_order(500, 7, 77);
    assert_int_equal(up->mx.count, FACTS_MAX_HOSTS);
    assert_int_equal(up->warnings, FACTS_WARN_CUT);
    assert_int_equal(up->mx.host[FACTS_MAX_HOSTS - 1].preference, FACTS_MAX_HOSTS - 1);
    assert_true(facts_equal(up, down));
    assert_true(facts_equal(up, mixed));
    assert_int_equal(down->warnings, FACTS_WARN_CUT);
    facts_unref(up);
    facts_unref(down);
    facts_unref(mixed);

    up = hosts_in_order(FACTS_MAX_HOSTS, 0, 1);
    assert_int_equal(up->warnings, 0);
    assert_true(facts_add_host(up, 3, "mx3.example.com"));
    assert_int_equal(up->warnings, 0);
    facts_unref(up);
}

static struct facts *addrs(const char *const *text)
{
    struct facts *facts = facts_new(FACTS_ADDR, FACTS_OK);
    struct net_addr addr;

    for (; *text; text++) {
        assert_true(net_addr_parse(*text, &addr));
        facts_add_addr(facts, &addr);
    }
    facts_seal(facts);
    return facts;
}

static void addrs_are_a_set(void **state)
{
    static const char *const one[] = {"192.0.2.2", "2001:db8::1", "192.0.2.1", "192.0.2.2", NULL};
    static const char *const other[] = {"2001:db8::1", "192.0.2.1", "192.0.2.2", NULL};
    static const char *const less[] = {"192.0.2.1", "192.0.2.2", NULL};

    (void)state;
    struct facts *a = addrs(one), *b = addrs(other), *c = addrs(less);
    char text[NET_TEXT];
    assert_int_equal(a->addr.a_count, 2);
    assert_int_equal(a->addr.aaaa_count, 1);
    assert_string_equal(net_addr_bare(&a->addr.a[0], text), "192.0.2.1");
    b->ttl = 99;
    assert_true(facts_equal(a, b));
    assert_false(facts_equal(a, c));
    facts_unref(a);
    facts_unref(b);
    facts_unref(c);
}

static void too_many_addrs_leave_the_lowest(void **state)
{
    struct facts *up = facts_new(FACTS_ADDR, FACTS_OK), *down = facts_new(FACTS_ADDR, FACTS_OK);

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct net_addr addr = {.family = NET_IPV4, .bytes = {192, 0, 2}};
        addr.bytes[3] = (uint8_t)i;
        facts_add_addr(up, &addr);
        addr.bytes[3] = (uint8_t)(99 - i);
        facts_add_addr(down, &addr);
    }
    facts_seal(up);
    facts_seal(down);
    assert_int_equal(up->addr.a_count, FACTS_MAX_ADDRS);
    assert_int_equal(up->addr.a[FACTS_MAX_ADDRS - 1].bytes[3], FACTS_MAX_ADDRS - 1);
    assert_true(facts_equal(up, down));
    assert_int_equal(up->warnings & down->warnings, FACTS_WARN_CUT);
    facts_unref(up);
    facts_unref(down);
}

static void equal_looks_at_kind_state_and_preference(void **state)
{
    struct facts *mx = facts_new(FACTS_MX, FACTS_NONE), *addr = facts_new(FACTS_ADDR, FACTS_NONE),
                 *gone = facts_new(FACTS_MX, FACTS_NXDOMAIN), *a = facts_new(FACTS_MX, FACTS_OK),
                 *b = facts_new(FACTS_MX, FACTS_OK);

    (void)state;
    assert_false(facts_equal(mx, addr));
    assert_false(facts_equal(mx, gone));
    assert_true(facts_equal(mx, mx));
    assert_true(facts_add_host(a, 10, "mx1.example.com"));
    assert_false(facts_equal(a, b));
    assert_true(facts_add_host(b, 20, "mx1.example.com"));
    assert_false(facts_equal(a, b));
    facts_unref(mx);
    facts_unref(addr);
    facts_unref(gone);
    facts_unref(a);
    facts_unref(b);
}

static void references(void **state)
{
    const struct facts *facts = facts_new(FACTS_MX, FACTS_OK);

    (void)state;
    assert_ptr_equal(facts_ref(facts), facts);
    facts_unref(facts);
    assert_int_equal(facts->refs, 1);
    facts_unref(facts);
    facts_unref(NULL);
}

static void state_names(void **state)
{
    (void)state;
    for (enum facts_state s = FACTS_OK; s <= FACTS_FAIL; s++) {
        enum facts_state back = FACTS_FAIL;
        assert_true(facts_state_parse(facts_state_name(s), &back));
        assert_int_equal(back, s);
    }
    enum facts_state out;
    assert_false(facts_state_parse("OK", &out));
    assert_false(facts_state_parse("", &out));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_are_a_set),
        cmocka_unit_test(services_are_a_set),
        cmocka_unit_test(services_differ_in_all_their_numbers),
        cmocka_unit_test(owners),
        cmocka_unit_test(too_many_hosts_leave_the_best),
        cmocka_unit_test(addrs_are_a_set),
        cmocka_unit_test(too_many_addrs_leave_the_lowest),
        cmocka_unit_test(equal_looks_at_kind_state_and_preference),
        cmocka_unit_test(references),
        cmocka_unit_test(state_names),
    };

    return cmocka_run_group_tests_name("facts", tests, NULL, NULL);
}
