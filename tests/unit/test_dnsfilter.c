/*
 * policy/dnsfilter.c (SPEC 6.10): records as Postfix writes them, which sets may be judged at all,
 * and what of a set is hidden; what may never be hidden over every set of three hosts.
 */
#include "policy/dnsfilter.h"

#include "tests/unit/world_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* --- records ------------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    const char *wanted; /* "domain preference host"; NULL: none that is judged */
} records[] = {
    {"Example.COM. 300 IN MX 10 mx1.Example.COM.", "example.com 10 mx1.example.com"},
    {"example.com. 0 IN MX 0 mx1.example.com.", "example.com 0 mx1.example.com"},
    {"example.com. 4294967295 IN MX 65535 _mx.example.com.", "example.com 65535 _mx.example.com"},
    {"com. 1 IN MX 1 net.", "com 1 net"},
    {"example.com. 300 IN MX 0 .", NULL},
    {". 300 IN MX 10 mx1.example.com.", NULL},
    {"mx1.example.com. 300 IN A 192.0.2.10", NULL},
    {"mx1.example.com. 300 IN AAAA 2001:db8::10", NULL},
    {"example.com. 300 IN NS ns.example.com.", NULL},
    {"example.com. 300 IN TXT MX 10 mx1.example.com.", NULL},
    {"_25._tcp.mx1.example.com. 300 IN TLSA 3 1 1 00AA", NULL},
    {"example.com. 300 CH MX 10 mx1.example.com.", NULL},
    {"example.com. 300 IN mx 10 mx1.example.com.", NULL},
    {"example.com. 300 IN MX 65536 mx1.example.com.", NULL},
    {"example.com. 4294967296 IN MX 10 mx1.example.com.", NULL},
    {"example.com. -1 IN MX 10 mx1.example.com.", NULL},
    {"example.com. 300 IN MX +10 mx1.example.com.", NULL},
    {"example.com. 300 IN MX  10 mx1.example.com.", NULL},
    {"example.com. 300 IN MX 10 mx1.example.com", NULL},
    {"example.com 300 IN MX 10 mx1.example.com.", NULL},
    {"example.com. 300 IN MX 10 mx1.example.com. ", NULL},
    {"example.com. 300 IN MX 10 mx1.example.com. more", NULL},
    {" example.com. 300 IN MX 10 mx1.example.com.", NULL},
    {"example.com. 300 IN MX 10", NULL},
    {"example.com. 300 IN MX", NULL},
    {"example.com. 300 IN MX 10 mx 1.example.com.", NULL},
    {"example.com. 300 IN MX 10 192.0.2.1.", NULL},
    {"example.com. 300 IN MX 10 mx..example.com.", NULL},
    {"example.com", NULL},
    {"*", NULL},
    {"", NULL},
};

static void records_are_parsed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct dnsfilter_record record;
        char got[600];
        bool parsed = dnsfilter_parse(records[i].text, &record);
        if (parsed)
            snprintf(got, sizeof got, "%s %u %s", record.domain, record.preference, record.host);
        if (parsed != (records[i].wanted != NULL) ||
            (parsed && strcmp(got, records[i].wanted) != 0))
            fail_msg("'%s': %s", records[i].text, parsed ? got : "no");
    }
}

/* --- sets ---------------------------------------------------------------------------------------- */

static bool self_name(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "self.example.com") == 0;
}

static bool self_addr(void *arg, const struct net_addr *addr)
{
    struct net_addr self = addr_of("192.0.2.20"), six = addr_of("2001:db8::20");

    (void)arg;
    return net_addr_equal(addr, &self) || net_addr_equal(addr, &six);
}

static const struct {
    const char *label, *mx;
    const char *addr[3];
    unsigned mx_warnings, addr_warnings; /* of the last host */
    bool half;                           /* its IPv6 look-up failed */
    bool wanted;
} sets[] = {
    {"two hosts", "10 a,20 b", {"192.0.2.10", "192.0.2.30"}, 0, 0, false, true},
    {"private ones", "10 a,20 b", {"10.0.0.1", "192.0.2.30"}, 0, 0, false, false},
    {"one that does not exist", "10 a,20 b", {"192.0.2.10", "nxdomain"}, 0, 0, false, true},
    {"an alias", "10 a", {"192.0.2.10"}, 0, FACTS_WARN_CNAME, false, true},
    {"self by name", "10 a,20 self.example.com", {"192.0.2.10", "192.0.2.30"}, 0, 0, false, false},
    {"self by address", "10 a,20 b", {"192.0.2.10", "192.0.2.20"}, 0, 0, false, false},
    {"self by its second address",
     "10 a,20 b",
     {"192.0.2.10", "192.0.2.30,2001:db8::20"},
     0,
     0,
     false,
     false},
    {"self by name, of which nothing exists",
     "10 a,20 self.example.com",
     {"192.0.2.10", "nxdomain"},
     0,
     0,
     false,
     false},
    {"one never told", "10 a,20 b", {"192.0.2.10", NULL}, 0, 0, false, false},
    {"one that failed", "10 a,20 b", {"192.0.2.10", "fail"}, 0, 0, false, false},
    {"half of one failed", "10 a,20 b", {"192.0.2.10", "192.0.2.30"}, 0, 0, true, false},
    {"loopback", "10 a,20 b", {"192.0.2.10", "127.0.0.1"}, 0, 0, false, false},
    {"loopback left out",
     "10 a,20 b",
     {"192.0.2.10", "192.0.2.30"},
     0,
     FACTS_WARN_BAD_ADDR,
     false,
     false},
    {"addresses cut", "10 a,20 b", {"192.0.2.10", "192.0.2.30"}, 0, FACTS_WARN_CUT, false, false},
    {"records cut", "10 a,20 b", {"192.0.2.10", "192.0.2.30"}, FACTS_WARN_CUT, 0, false, false},
    {"a bad name", "10 a,20 b", {"192.0.2.10", "192.0.2.30"}, FACTS_WARN_BAD_NAME, 0, false, false},
    {"a Null MX among them",
     "10 a,20 b",
     {"192.0.2.10", "192.0.2.30"},
     FACTS_WARN_NULL,
     0,
     false,
     false},
    {"Null MX", "null", {0}, 0, 0, false, false},
    {"implicit MX", "none", {"192.0.2.10"}, 0, 0, false, false},
    {"no such domain", "nxdomain", {0}, 0, 0, false, false},
    {"failed", "fail", {0}, 0, 0, false, false},
    {"not to be had", NULL, {0}, 0, 0, false, false},
};

static void doubtful_sets_are_left_alone(void **state)
{
    const struct route_self self = {.has_name = self_name, .has_addr = self_addr};

    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        struct facts *mx = sets[i].mx ? mx_of(sets[i].mx) : NULL, *last = NULL;
        const struct facts *addr[FACTS_MAX_HOSTS] = {0};
        struct order order;
        for (size_t h = 0; h < 3; h++)
            if (sets[i].addr[h])
                addr[h] = last = addrs_of(sets[i].addr[h]);
        if (mx)
            mx->warnings |= sets[i].mx_warnings;
        if (last) {
            last->warnings |= sets[i].addr_warnings;
            last->addr.aaaa_failed = sets[i].half;
        }
        order_init(&order, mx, "example.com", addr);
        if (dnsfilter_can_judge(&order, &self) != sets[i].wanted)
            fail_msg("%s", sets[i].label);
        order_clear(&order);
        for (size_t h = 0; h < 3; h++)
            facts_unref(addr[h]);
        facts_unref(mx);
    }
}

/* --- decisions ----------------------------------------------------------------------------------- */

#define HOST(p, ...)                                                                               \
    {                                                                                              \
        .preference = (p), .resolves = true, __VA_ARGS__                                           \
    }

static const struct {
    const char *label;
    struct dnsfilter_host host[4];
    size_t count;
    uint32_t wanted;
} decisions[] = {
    {"both up: the worse is hidden",
     {HOST(10, .health = HEALTH_UP), HOST(20, .health = HEALTH_UP)},
     2,
     2},
    {"two in the best tier: both are shown",
     {HOST(10, .health = HEALTH_UP), HOST(10, .health = HEALTH_UP), HOST(20, .health = HEALTH_UP)},
     3,
     4},
    {"the best is down", {HOST(10, .health = HEALTH_DOWN), HOST(20, .health = HEALTH_UP)}, 2, 1},
    {"one of the best tier is down",
     {HOST(10, .health = HEALTH_DOWN), HOST(10, .health = HEALTH_UP),
      HOST(20, .health = HEALTH_UP)},
     3,
     5},
    {"all down", {HOST(10, .health = HEALTH_DOWN), HOST(20, .health = HEALTH_DOWN)}, 2, 0},
    {"nothing known", {HOST(10), HOST(20)}, 2, 0},
    {"the best unknown: it is shown, and hides none",
     {HOST(10), HOST(20, .health = HEALTH_UP)},
     2,
     0},
    {"the best down, the other unknown: no healthy one would be left",
     {HOST(10, .health = HEALTH_DOWN), HOST(20)},
     2,
     0},
    {"the best down, the other does not exist",
     {HOST(10, .health = HEALTH_DOWN), {.preference = 20}},
     2,
     0},
    {"the best held out: in doubt, and hides none",
     {HOST(10, .health = HEALTH_UP, .held = true), HOST(20, .health = HEALTH_UP)},
     2,
     0},
    {"the best drained",
     {HOST(10, .health = HEALTH_UP, .override = TIER_DRAINED), HOST(20, .health = HEALTH_UP)},
     2,
     1},
    {"the best overridden down, the other unknown",
     {HOST(10, .health = HEALTH_UP, .override = TIER_DOWN), HOST(20)},
     2,
     1},
    {"the best drained, the other down",
     {HOST(10, .health = HEALTH_UP, .override = TIER_DRAINED), HOST(20, .health = HEALTH_DOWN)},
     2,
     1},
    {"the best drained, the other does not exist",
     {HOST(10, .health = HEALTH_UP, .override = TIER_DRAINED), {.preference = 20}},
     2,
     0},
    {"all drained",
     {HOST(10, .health = HEALTH_UP, .override = TIER_DRAINED),
      HOST(20, .health = HEALTH_UP, .override = TIER_DRAINED)},
     2,
     0},
    {"ready by hand, and failing: shown, and hides none",
     {HOST(10, .health = HEALTH_DOWN, .override = TIER_READY), HOST(20, .health = HEALTH_UP)},
     2,
     0},
    {"a single host", {HOST(10, .health = HEALTH_DOWN)}, 1, 0},
    {"a single host, drained", {HOST(10, .override = TIER_DRAINED)}, 1, 0},
    {"three tiers, the middle one best",
     {HOST(10, .health = HEALTH_DOWN), HOST(20, .health = HEALTH_UP),
      HOST(30, .health = HEALTH_UP)},
     3,
     5},
    {"no hosts", {{0}}, 0, 0},
};

static void decisions_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof decisions / sizeof *decisions; i++) {
        uint32_t got = dnsfilter_decide(decisions[i].host, decisions[i].count);
        if (got != decisions[i].wanted)
            fail_msg("%s: hides %x, wanted %x", decisions[i].label, got, decisions[i].wanted);
    }
}

enum { KINDS = 2 * 2 * 2 * 3 * 4 };

static struct dnsfilter_host kind(unsigned number)
{
    static const enum health_state healths[] = {HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN};
    static const enum tier_override overrides[] = {TIER_NORMAL, TIER_DRAINED, TIER_DOWN,
                                                   TIER_READY};

    return (struct dnsfilter_host){.preference = number % 2 ? 20 : 10,
                                   .resolves = number / 2 % 2,
                                   .held = number / 4 % 2,
                                   .health = healths[number / 8 % 3],
                                   .override = overrides[number / 24]};
}

static bool is_good(const struct dnsfilter_host *host)
{
    return host->resolves && host->health == HEALTH_UP && host->override != TIER_DRAINED &&
           host->override != TIER_DOWN;
}

/* Whether hiding this one is allowed at all: unhealthy, out of use, or worse than a healthy one. */
static bool is_allowed(const struct dnsfilter_host *host, const struct dnsfilter_host all[3])
{
    bool below = false;

    for (size_t i = 0; i < 3; i++)
        below = below || (is_good(&all[i]) && all[i].preference < host->preference);
    return below || host->health == HEALTH_DOWN || host->override == TIER_DRAINED ||
           host->override == TIER_DOWN;
}

static void check_three(const struct dnsfilter_host host[3])
{
    uint32_t hidden = dnsfilter_decide(host, 3);
    bool left = false, failing_hidden = false, good_left = false;

    for (size_t i = 0; i < 3; i++) {
        if (!(hidden >> i & 1)) {
            left = left || host[i].resolves;
            good_left = good_left || is_good(&host[i]);
            continue;
        }
        assert_true(is_allowed(&host[i], host));
        failing_hidden =
            failing_hidden || (host[i].override != TIER_DRAINED && host[i].override != TIER_DOWN);
    }
    assert_true(hidden == 0 || left);
    assert_true(!failing_hidden || good_left);
    assert_int_equal(hidden >> 3, 0);
}

static void every_set_of_three(void **state)
{
    (void)state;
    for (unsigned a = 0; a < KINDS; a++)
        for (unsigned b = 0; b < KINDS; b++)
            for (unsigned c = 0; c < KINDS; c++) {
                struct dnsfilter_host host[3] = {kind(a), kind(b), kind(c)};
                check_three(host);
            }
}

static void only_records_of_the_view(void **state)
{
    static const struct {
        const char *text;
        bool wanted;
    } rows[] = {
        {"example.com. 300 IN MX 10 mx1.example.com.", false},
        {"example.com. 300 IN MX 20 mx2.example.com.", true},
        {"example.com. 5 IN MX 20 MX2.example.com.", true},
        {"example.com. 300 IN MX 10 mx2.example.com.", false},
        {"example.com. 300 IN MX 20 mx3.example.com.", false},
    };
    struct facts *mx = mx_of("10 mx1.example.com,20 mx2.example.com");

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dnsfilter_record record;
        assert_true(dnsfilter_parse(rows[i].text, &record));
        assert_int_equal(dnsfilter_hides(mx, 2, &record), rows[i].wanted);
        assert_false(dnsfilter_hides(NULL, 2, &record));
    }
    facts_unref(mx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_parsed),
        cmocka_unit_test(doubtful_sets_are_left_alone),
        cmocka_unit_test(decisions_as_the_table_says),
        cmocka_unit_test(every_set_of_three),
        cmocka_unit_test(only_records_of_the_view),
    };
    return cmocka_run_group_tests_name("dnsfilter", tests, NULL, NULL);
}
