/*
 * Routes (SPEC 6): configuration and facts in, the socketmap reply out. The label begins with the
 * rule of SPEC 6 that the case holds to account.
 */
#include "policy/route.h"

#include "tests/unit/conf_of.h"
#include "tests/unit/nexthop.h"
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
    "domain \"srv.example.com\" { route = \"srv\" }\n"
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

#define PUBLIC                                                                                     \
    {                                                                                              \
        "203.0.113.1", "203.0.113.2", "203.0.113.3"                                                \
    }
#define SRV(label, srv, wanted, ...)                                                               \
    {                                                                                              \
        label, "u@srv.example.com", srv, __VA_ARGS__, NULL, wanted                                 \
    }

struct row {
    const char *label;
    const char *address;
    const char *mx;      /* for route srv the SRV set; NULL: not to be had */
    const char *addr[4]; /* of the hosts, or of the pool's; NULL: not to be had */
    const char *down;    /* a failing host */
    const char *wanted;
};

static const struct row cases[] = {
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
    {"2: self may be among the unknown, and nothing else is left: the MTA knows itself",
     "u@mx.example.com",
     "10 a.example.net,20 b.example.net",
     {NULL, "203.0.113.2"},
     NULL,
     "NOTFOUND "},
    {"2: nor is what fails enough to hold back the others",
     "u@mx.example.com",
     "10 a.example.net,20 b.example.net,30 c.example.net",
     {"203.0.113.1", NULL, "203.0.113.3"},
     "a.example.net",
     "NOTFOUND "},
    {"2: primary must not be left to the MTA",
     "u@primary.example.com",
     "10 a.example.net,20 b.example.net",
     {NULL, "203.0.113.2"},
     NULL,
     "OK smtp:[a.example.net]:25"},
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
    SRV("1: srv, by priority and port", "10 0 2525 a.example.net,20 0 26 b.example.net",
        "OK smtp:[a.example.net]:2525, [b.example.net]:26", PUBLIC),
    SRV("1: srv, weight 0 beside another", "10 0 25 a.example.net,10 1 25 b.example.net",
        "OK smtp:[b.example.net]:25, [a.example.net]:25", PUBLIC),
    SRV("1: srv, one host on two ports", "10 0 25 a.example.net,20 0 26 a.example.net",
        "OK smtp:[a.example.net]:25, [a.example.net]:26", {"203.0.113.1", "203.0.113.1"}),
    SRV("1: srv, a host on a private address", "10 0 25 a.example.net,20 0 25 b.example.net",
        "OK smtp:[b.example.net]:25", {"10.0.0.1", "203.0.113.2"}),
    SRV("2: srv, self in the set", "10 0 2525 a.example.net,20 0 25 mx2.example.com",
        "OK smtp:[a.example.net]:2525", PUBLIC),
    SRV("2: srv, self by address on another port", "10 0 2525 a.example.net,20 0 26 b.example.net",
        "OK smtp:[a.example.net]:2525", {"203.0.113.1", "192.0.2.20"}),
    SRV("2: srv, self is best", "10 0 2525 mx2.example.com,20 0 25 b.example.net", "NOTFOUND ",
        PUBLIC),
    SRV("2: srv, self may be among the unknown", "10 0 25 a.example.net,20 0 25 b.example.net",
        "OK smtp:[a.example.net]:25", {"203.0.113.1"}),
    SRV("6: srv, a host that does not exist", "10 0 25 a.example.net,20 0 26 b.example.net",
        "OK smtp:[b.example.net]:26", {"nxdomain", "203.0.113.2"}),
    SRV("8: srv, no host exists", "10 0 25 a.example.net", "NOTFOUND ", {"nxdomain"}),
    SRV("8: srv, no records", "none", "NOTFOUND ", {0}),
    SRV("8: srv, no such name", "nxdomain", "NOTFOUND ", {0}),
    SRV("8: srv, null target", "null", "NOTFOUND ", {0}),
    SRV("8: srv, look-up failed", "fail", "NOTFOUND ", {0}),
    SRV("8: srv, nothing known", NULL, "NOTFOUND ", {0}),
    {"8: Null MX",
     "u@mx.example.com",
     "null",
     {0},
     NULL,
     "OK error:5.1.10 Domain does not accept mail"},
};

/* Domains without a section of their own; every pool here is made of addresses. */
static const char match_text[] =
    "domain \"own.example.com\" { }\n"
    "domain \".own.example.com\" { route = \"pool b\" }\n"
    "match \"Off.mail.example.net\" { }\n"
    "match \"*.Mail.example.net\" { route = \"pool a\" }\n"
    "match \"mx*.example.com\" { route = \"pool a\" }\n"
    "match \"*.better.example.net\" { route = \"primary\" }\n"
    "match \"*.weights.example.net\" { route = \"mx\" weights = {\"a.weights.example.net=0\"} }\n"
    "match \"hosted*\" { route = \"pool b\" }\n"
    "pool \"a\" { tier \"10\" { host \"192.0.2.1\" { } } }\n"
    "pool \"b\" { tier \"10\" { host \"192.0.2.2\" { } }\n"
    "    tier \"20\" { host \"192.0.2.20\" { } } }\n";

#define A "OK smtp:[192.0.2.1]:25"
#define B "OK smtp:[192.0.2.2]:25" /* and the other host is this one */
#define ROW(label, mx, wanted, ...)                                                                \
    {                                                                                              \
        label, "u@example.org", mx, __VA_ARGS__, NULL, wanted                                      \
    }

static const struct row matched[] = {
    ROW("7: the best host", "10 gw.mail.example.net", A, PUBLIC),
    ROW("7: in capitals, across dots", "10 a.b.mail.example.net", A, PUBLIC),
    ROW("7: not that name", "10 gw.amail.example.net", "NOTFOUND ", PUBLIC),
    ROW("7: one of several best hosts", "10 a.example.net,10 gw.mail.example.net", A, PUBLIC),
    ROW("7: a host that is not the best", "10 a.example.net,20 gw.mail.example.net", "NOTFOUND ",
        PUBLIC),
    ROW("7: the first match wins, and says off", "10 off.mail.example.net", "NOTFOUND ", PUBLIC),
    ROW("7: the first match, whichever host it fits",
        "10 a.mail.example.net,10 off.mail.example.net", "NOTFOUND ", PUBLIC),
    {"7: the domain's own section counts, though it says off", "u@own.example.com",
     "10 gw.mail.example.net", PUBLIC, NULL, "NOTFOUND "},
    {"7: that of its parent counts", "u@x.own.example.com", "10 gw.mail.example.net", PUBLIC, NULL,
     B},
    ROW("7: hosts that do not resolve match all the same", "10 gw.mail.example.net", A,
        {"nxdomain"}),
    ROW("7: nor need they be known", "10 gw.mail.example.net", A, {NULL}),
    ROW("7: no MX set in time", NULL, "NOTFOUND ", {0}),
    ROW("7: a failed look-up", "fail", "NOTFOUND ", {0}),
    ROW("7: no such domain", "nxdomain", "NOTFOUND ", {0}),
    ROW("7: Null MX", "null", "NOTFOUND ", {0}),
    {"7: no MX: the domain's own name", "u@hosted.example.org", "none", PUBLIC, NULL, B},
    {"7: no MX: another name", "u@example.org", "none", PUBLIC, NULL, "NOTFOUND "},
    {"7: no domain", "root", NULL, {0}, NULL, "NOTFOUND "},
    {"7: '*'", "*", NULL, {0}, NULL, "NOTFOUND "},
    ROW("2: this host is the best: no pool", "10 mx2.example.com", "NOTFOUND ", {"192.0.2.20"}),
    ROW("2: a backup by name: no pool", "10 gw.mail.example.net,20 mx2.example.com", "NOTFOUND ",
        {"203.0.113.1"}),
    ROW("2: a backup by address: no pool", "10 mx1.example.com,20 x.example.com", "NOTFOUND ",
        {"192.0.2.10", "192.0.2.20"}),
    ROW("2: on loopback: this host for everybody", "10 gw.mail.example.net", "NOTFOUND ",
        {"127.0.0.1,::1"}),
    ROW("2: on loopback and elsewhere", "10 gw.mail.example.net", A, {"127.0.0.1,203.0.113.1"}),
    ROW("2: primary: what is better", "10 a.better.example.net,20 mx2.example.com,30 c.example.net",
        "OK smtp:[a.better.example.net]:25", {"203.0.113.1", "192.0.2.20", "203.0.113.3"}),
    ROW("3: mx with the match's weights", "10 a.weights.example.net,10 b.weights.example.net",
        "OK smtp:[b.weights.example.net]:25", PUBLIC),
};

/* The same with a match for all and a section for the rest. */
static const struct row matched_all[] = {
    ROW("7: earlier matches first", "10 gw.mail.example.net", A, PUBLIC),
    ROW("7: '*' fits every host", "10 a.example.net", B, PUBLIC),
    ROW("7: '*' fits the implicit MX", "none", B, PUBLIC),
    ROW("7: no such domain has no host: the rest", "nxdomain", "OK smtp:[192.0.2.3]:25", {0}),
    ROW("7: Null MX has no host: the rest", "null", "OK smtp:[192.0.2.3]:25", {0}),
    ROW("7: no MX set in time: the rest", NULL, "OK smtp:[192.0.2.3]:25", {0}),
    ROW("2: this host in the set: no pool", "10 a.example.net,20 mx2.example.com", "NOTFOUND ",
        PUBLIC),
};

/* Every answer is one that Postfix can parse (property 8 of the hazards). */
static void check_shape(const char *label, const char *reply)
{
    const char *wrong = nexthop_check(reply);

    if (wrong)
        fail_msg("%s: '%s': %s", label, reply, wrong);
}

static void run_row(const struct conf *conf, const struct row *row)
{
    struct route_facts *facts = calloc(1, sizeof *facts);
    struct facts *mx = NULL, *addr[FACTS_MAX_HOSTS] = {0};
    const struct facts *given[FACTS_MAX_HOSTS] = {0};
    struct address address;
    struct order order;
    struct route_choice choice;
    const struct route_self self = {.has_name = self_name, .has_addr = self_addr};
    char reply[ROUTE_REPLY_SIZE];

    address_parse(row->address, &address);
    facts->plan = route_plan(conf, &address);
    if (row->mx)
        mx = facts->plan.route == CONF_ROUTE_SRV ? srv_of(row->mx) : mx_of(row->mx);
    for (size_t h = 0; h < 4; h++)
        given[h] = addr[h] = row->addr[h] ? addrs_of(row->addr[h]) : NULL;
    order_init(&order, mx, address.domain, given);
    facts->address = &address;
    if (facts->plan.by_match)
        route_plan_match(&facts->plan, conf, mx, address.domain);
    /* As the engine gathers them. */
    if (facts->plan.route == CONF_ROUTE_POOL)
        facts->mx = facts->plan.match ? &order : NULL;
    else if (facts->plan.route != CONF_ROUTE_OFF)
        facts->order = &order;
    route_fill(facts, given, &self);
    for (size_t h = 0; h < facts->host_count; h++)
        facts->host[h].failing = row->down && strcmp(facts->host[h].name, row->down) == 0;
    route_choose(facts, 0, &choice);
    route_format(facts, &choice, reply);
    check_shape(row->label, reply);
    if (strcmp(reply, row->wanted) != 0)
        fail_msg("%s: '%s', wanted '%s'", row->label, reply, row->wanted);
    order_clear(&order);
    for (size_t h = 0; h < 4; h++)
        facts_unref(addr[h]);
    facts_unref(mx);
    free(facts);
}

static void run_rows(const char *conf_text, const struct row *row, size_t count)
{
    struct conf *conf = conf_of(conf_text);

    for (size_t i = 0; i < count; i++)
        run_row(conf, &row[i]);
    conf_unref(conf);
}

static void answers_as_the_table_says(void **state)
{
    (void)state;
    run_rows(text, cases, sizeof cases / sizeof *cases);
}

static void matches_by_the_best_hosts(void **state)
{
    char more[2048];

    (void)state;
    run_rows(match_text, matched, sizeof matched / sizeof *matched);
    snprintf(more, sizeof more,
             "%smatch \"*\" { route = \"pool b\" }\ndomain \"*\" { route = \"pool c\" }\n"
             "pool \"c\" { tier \"10\" { host \"192.0.2.3\" { } } }\n",
             match_text);
    run_rows(more, matched_all, sizeof matched_all / sizeof *matched_all);
}

/* The host that some user's mail goes to, in static memory. */
static const char *first_of_srv(const struct conf *conf, const char *srv, unsigned user)
{
    static struct route_facts facts;
    static char name[NAME_SIZE];
    const struct route_self self = {.has_name = self_name, .has_addr = self_addr};
    struct facts *set = srv_of(srv), *addr = addrs_of("203.0.113.1");
    const struct facts *given[FACTS_MAX_HOSTS] = {addr, addr};
    struct address address = {.domain = "srv.example.com"};
    struct route_choice choice;
    struct order order;

    snprintf(address.local, sizeof address.local, "user%u", user);
    order_init(&order, set, address.domain, given);
    facts = (struct route_facts){
        .address = &address, .plan = route_plan(conf, &address), .order = &order};
    route_fill(&facts, NULL, &self);
    route_choose(&facts, 0, &choice);
    assert_int_equal(choice.outcome, ROUTE_HOSTS);
    snprintf(name, sizeof name, "%s", facts.host[choice.pick.index[0]].name);
    order_clear(&order);
    facts_unref(set);
    facts_unref(addr);
    return name;
}

/* The weights of SRV records (RFC 2782): each a hundredfold, 0 as next to nothing, and equal shares
 * where all have 0. */
static void srv_weights_are_shares(void **state)
{
    static const struct {
        const char *srv;
        unsigned low, high; /* wins of a, of 10,000 */
    } rows[] = {
        {"10 60 25 a.example.net,10 40 25 b.example.net", 5800, 6200},
        {"10 0 25 a.example.net,10 0 25 b.example.net", 4800, 5200},
        {"10 0 25 a.example.net,10 1 25 b.example.net", 50, 160},
        {"10 0 25 a.example.net,10 100 25 b.example.net", 0, 5},
        {"10 65535 25 a.example.net,10 65535 25 b.example.net", 4800, 5200},
    };
    struct conf *conf = conf_of(text);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned wins = 0;
        for (unsigned user = 0; user < 10000; user++)
            wins += strcmp(first_of_srv(conf, rows[i].srv, user), "a.example.net") == 0;
        if (wins < rows[i].low || wins > rows[i].high)
            fail_msg("%s: %u", rows[i].srv, wins);
    }
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
        cmocka_unit_test(matches_by_the_best_hosts),
        cmocka_unit_test(srv_weights_are_shares),
        cmocka_unit_test(answer_is_bounded),
    };

    return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
