/*
 * Routes (SPEC 6): configuration and facts in, the socketmap reply out. The label begins with the
 * rule of SPEC 6 that the case holds to account.
 */
#include "policy/route.h"

#include "tests/unit/conf_of.h"
#include "tests/unit/world_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const char text[] =
    "node = \"mx2.example.com\"\n"
    "recipient_delimiter = \"+-\"\n"
    "domain \"walk.example.com\" { route = \"pool literal\" }\n"
    "domain \".walk.example.com\" { route = \"pool gateways\" }\n"
    "domain \"user@walk.example.com\" { route = \"pool user\" }\n"
    "domain \"user+ext@walk.example.com\" { route = \"pool ext\" }\n"
    "domain \"\\\"a b\\\"@walk.example.com\" { route = \"pool ext\" }\n"
    "domain \"off@walk.example.com\" { }\n"
    "pool \"user\" { tier \"10\" { host \"192.0.2.1\" { } } }\n"
    "pool \"ext\" { tier \"10\" { host \"192.0.2.2\" { } } }\n"
    "domain \"mx.example.com\" { route = \"mx\" }\n"
    "domain \"weights.example.com\" { route = \"mx\" weights = {\"a.example.net=0\"} }\n"
    "domain \"primary.example.com\" { route = \"primary\" }\n"
    "domain \"off.example.com\" { route = \"off\" }\n"
    "domain \"pool.example.com\" { route = \"pool gateways\" }\n"
    "domain \"literal.example.com\" { route = \"pool literal\" }\n"
    "pool \"gateways\" {\n"
    "    transport = \"relay\"\n"
    "    tier \"10\" { host \"gw1.example.net:25\" { } }\n"
    "    tier \"20\" { host \"backup.example.net:2525\" { } }\n"
    "}\n"
    "pool \"literal\" { tier \"10\" { host \"192.0.2.77\" { } }\n"
    "    tier \"20\" { host \"[2001:db8::77]:2525\" { } } }\n";

static bool self_name(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "mx2.example.com") == 0;
}

static bool self_addr(void *arg, const struct net_addr *addr)
{
    struct net_addr self = addr_of("192.0.2.20");

    (void)arg;
    return net_addr_equal(addr, &self);
}

#define LITERAL  "smtp:[192.0.2.77]:25, [IPv6:2001:db8::77]:2525"
#define GATEWAYS "relay:[gw1.example.net]:25, [backup.example.net]:2525"
#define WALK(label, address, wanted)                                                               \
    {                                                                                              \
        label, address, NULL, {0}, NULL, wanted                                                    \
    }

static const struct {
    const char *label;
    const char *address;
    const char *mx;      /* NULL: not to be had */
    const char *addr[4]; /* of the hosts, or of the pool's; NULL: not to be had */
    const char *down;    /* a failing host */
    const char *wanted;
} cases[] = {
    {"8: the address '*'", "*", NULL, {0}, NULL, "NOTFOUND "},
    {"8: no address at all", "root", NULL, {0}, NULL, "NOTFOUND "},
    {"8: a stranger's domain", "u@example.org", NULL, {0}, NULL, "NOTFOUND "},
    {"8: route off", "u@off.example.com", NULL, {0}, NULL, "NOTFOUND "},
    WALK("7: the domain", "other@walk.example.com", "OK " LITERAL),
    WALK("7: below the domain", "user@deep.sub.walk.example.com", "OK " GATEWAYS),
    WALK("7: an address", "User@Walk.example.com", "OK smtp:[192.0.2.1]:25"),
    WALK("7: an address in quotes", "\"user\"@walk.example.com", "OK smtp:[192.0.2.1]:25"),
    WALK("7: an address that needs quotes", "\"A b\"@walk.example.com", "OK smtp:[192.0.2.2]:25"),
    WALK("7: an address with its extension", "user+EXT@walk.example.com", "OK smtp:[192.0.2.2]:25"),
    WALK("7: an address without it", "user+other@walk.example.com", "OK smtp:[192.0.2.1]:25"),
    WALK("7: the other delimiter", "user-ext@walk.example.com", "OK smtp:[192.0.2.1]:25"),
    WALK("7: one address's route off", "off@walk.example.com", "NOTFOUND "),
    WALK("7: not that user", "users@walk.example.com", "OK " LITERAL),
    {"1: by MX preference",
     "u@mx.example.com",
     "10 a.example.net,20 b.example.net",
     {"203.0.113.1", "203.0.113.2"},
     NULL,
     "OK smtp:[a.example.net]:25, [b.example.net]:25"},
    {"1: recipient's domain in capitals",
     "U@MX.Example.COM",
     "10 a.example.net",
     {"203.0.113.1"},
     NULL,
     "OK smtp:[a.example.net]:25"},
    {"1: implicit MX",
     "u@mx.example.com",
     "none",
     {"203.0.113.1"},
     NULL,
     "OK smtp:[mx.example.com]:25"},
    {"1: hosts on loopback never count",
     "u@mx.example.com",
     "10 a.example.net,20 b.example.net",
     {"127.0.0.1", "203.0.113.2"},
     NULL,
     "OK smtp:[b.example.net]:25"},
    {"1: hosts on private addresses count in pools only",
     "u@mx.example.com",
     "10 a.example.net,20 b.example.net",
     {"10.0.0.1", "203.0.113.2"},
     NULL,
     "OK smtp:[b.example.net]:25"},
    {"1: a pool on private addresses",
     "u@pool.example.com",
     NULL,
     {"10.0.0.1", "10.0.0.2"},
     NULL,
     "OK relay:[gw1.example.net]:25, [backup.example.net]:2525"},
    {"2: self by name in the set, better ones only",
     "u@mx.example.com",
     "10 mx1.example.com,20 mx2.example.com,30 mx3.example.com",
     {"192.0.2.10", "192.0.2.99", "192.0.2.30"},
     NULL,
     "OK smtp:[mx1.example.com]:25"},
    {"2: self by address",
     "u@mx.example.com",
     "10 mx1.example.com,20 x.example.com",
     {"192.0.2.10", "192.0.2.20"},
     NULL,
     "OK smtp:[mx1.example.com]:25"},
    {"2: self is best",
     "u@mx.example.com",
     "10 mx2.example.com,20 mx1.example.com",
     {"192.0.2.20", "192.0.2.10"},
     NULL,
     "NOTFOUND "},
    {"2: primary, self is best",
     "u@primary.example.com",
     "10 mx2.example.com,20 mx1.example.com",
     {"192.0.2.20", "192.0.2.10"},
     NULL,
     "NOTFOUND "},
    {"2: primary from outside the set: all tiers",
     "u@primary.example.com",
     "10 a.example.net,20 b.example.net",
     {"203.0.113.1", "203.0.113.2"},
     NULL,
     "OK smtp:[a.example.net]:25, [b.example.net]:25"},
    {"2: better ones unresolvable for now: their names all the same",
     "u@primary.example.com",
     "10 mx1.example.com,20 mx2.example.com",
     {NULL, "192.0.2.20"},
     NULL,
     "OK smtp:[mx1.example.com]:25"},
    {"8: primary, better ones that do not exist: not best for that",
     "u@primary.example.com",
     "10 mx1.example.com,20 mx2.example.com",
     {"nxdomain", "192.0.2.20"},
     NULL,
     "OK retry:4.4.4 no usable host"},
    {"8: primary, better ones without an address, self twice",
     "u@primary.example.com",
     "10 mx1.example.com,20 mx2.example.com,30 x.example.com",
     {"127.0.0.1", "192.0.2.20", "192.0.2.20"},
     NULL,
     "OK retry:4.4.4 no usable host"},
    {"8: mx, better ones that do not exist: the MTA's own way",
     "u@mx.example.com",
     "10 mx1.example.com,20 mx2.example.com",
     {"nxdomain", "192.0.2.20"},
     NULL,
     "NOTFOUND "},
    {"2: self may be among the unknown: the best tier only",
     "u@mx.example.com",
     "10 a.example.net,20 b.example.net,30 c.example.net",
     {"203.0.113.1", NULL, "203.0.113.3"},
     NULL,
     "OK smtp:[a.example.net]:25"},
    {"2: self may be among the unknown: what is better than these, whichever exists",
     "u@primary.example.com",
     "10 a.example.net,20 b.example.net,30 c.example.net,40 d.example.net",
     {"nxdomain", "203.0.113.2", NULL, "203.0.113.4"},
     NULL,
     "OK smtp:[b.example.net]:25"},
    {"3: weight 0 from the configuration",
     "u@weights.example.com",
     "10 a.example.net,10 b.example.net",
     {"203.0.113.1", "203.0.113.2"},
     NULL,
     "OK smtp:[b.example.net]:25"},
    {"4: a failing host comes last",
     "u@mx.example.com",
     "10 a.example.net,20 b.example.net",
     {"203.0.113.1", "203.0.113.2"},
     "a.example.net",
     "OK smtp:[b.example.net]:25, [a.example.net]:25"},
    {"6: a host that does not exist is never named",
     "u@mx.example.com",
     "10 a.example.net,20 b.example.net",
     {"203.0.113.1", "nxdomain"},
     NULL,
     "OK smtp:[a.example.net]:25"},
    {"6: addresses in Postfix's form",
     "u@literal.example.com",
     NULL,
     {0},
     NULL,
     "OK smtp:[192.0.2.77]:25, [IPv6:2001:db8::77]:2525"},
    {"8: mx, nothing known", "u@mx.example.com", NULL, {0}, NULL, "NOTFOUND "},
    {"8: mx, look-up failed", "u@mx.example.com", "fail", {0}, NULL, "NOTFOUND "},
    {"8: primary, nothing known",
     "u@primary.example.com",
     NULL,
     {0},
     NULL,
     "OK retry:4.4.4 no usable host"},
    {"8: primary, no such domain",
     "u@primary.example.com",
     "nxdomain",
     {0},
     NULL,
     "OK retry:4.4.4 no usable host"},
    {"8: pool, nothing known",
     "u@pool.example.com",
     NULL,
     {0},
     NULL,
     "OK relay:[gw1.example.net]:25, [backup.example.net]:2525"},
    {"8: pool, half known",
     "u@pool.example.com",
     NULL,
     {NULL, "203.0.113.9"},
     NULL,
     "OK relay:[backup.example.net]:2525"},
    {"8: pool, no host exists",
     "u@pool.example.com",
     NULL,
     {"nxdomain", "nxdomain"},
     NULL,
     "OK retry:4.4.4 no usable host"},
    {"8: Null MX",
     "u@mx.example.com",
     "null",
     {0},
     NULL,
     "OK error:5.1.10 Domain does not accept mail"},
};

/* Every answer is one line that Postfix can parse (property 8 of the hazards, in short). */
static void check_shape(const char *label, const char *reply)
{
    if (strlen(reply) > 3 + 512 || strpbrk(reply, "\r\n") ||
        (strcmp(reply, "NOTFOUND ") != 0 && (strncmp(reply, "OK ", 3) != 0 || !reply[3])))
        fail_msg("%s: not a reply: '%s'", label, reply);
}

static void run_case(const struct conf *conf, size_t i)
{
    struct route_facts *facts = calloc(1, sizeof *facts);
    struct facts *mx = cases[i].mx ? mx_of(cases[i].mx) : NULL, *addr[FACTS_MAX_HOSTS] = {0};
    const struct facts *given[FACTS_MAX_HOSTS] = {0};
    struct address address;
    struct order order;
    struct route_choice choice;
    const struct route_self self = {.has_name = self_name, .has_addr = self_addr};
    char reply[ROUTE_REPLY_SIZE];

    address_parse(cases[i].address, &address);
    for (size_t h = 0; h < 4; h++)
        given[h] = addr[h] = cases[i].addr[h] ? addrs_of(cases[i].addr[h]) : NULL;
    order_init(&order, mx, address.domain, given);
    facts->address = &address;
    facts->plan = route_plan(conf, &address);
    facts->order = &order;
    route_fill(facts, given, &self);
    for (size_t h = 0; h < facts->host_count; h++)
        facts->host[h].failing = cases[i].down && strcmp(facts->host[h].name, cases[i].down) == 0;
    route_choose(facts, 0, &choice);
    route_format(facts, &choice, reply);
    check_shape(cases[i].label, reply);
    if (strcmp(reply, cases[i].wanted) != 0)
        fail_msg("%s: '%s', wanted '%s'", cases[i].label, reply, cases[i].wanted);
    order_clear(&order);
    for (size_t h = 0; h < 4; h++)
        facts_unref(addr[h]);
    facts_unref(mx);
    free(facts);
}

static void answers_as_the_table_says(void **state)
{
    struct conf *conf = conf_of(text);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        run_case(conf, i);
    conf_unref(conf);
}

/* Long names: the answer is cut between hosts, never inside one. */
static void answer_is_bounded(void **state)
{
    struct route_facts *facts = calloc(1, sizeof *facts);
    struct route_choice choice = {.outcome = ROUTE_HOSTS, .transport = "smtp"};
    char name[NAME_SIZE], reply[ROUTE_REPLY_SIZE];

    (void)state;
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (size_t i = 0; i < 4; i++) {
        facts->host[i] = (struct tier_host){.name = name, .port = 65535};
        choice.pick.index[choice.pick.count++] = i;
    }
    route_format(facts, &choice, reply);
    assert_true(strlen(reply) <= 3 + 512);
    assert_string_equal(reply + strlen(reply) - 7, "]:65535");
    free(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_as_the_table_says),
        cmocka_unit_test(answer_is_bounded),
    };

    return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
