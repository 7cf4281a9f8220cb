/*
 * policy/site.c and policy/peers.c: who is self, what is claimed, the heartbeat as it stands in
 * Redis, and other nodes' heartbeats as they are believed.
 */
#include "policy/peers.h"
#include "policy/site.h"
#include "tests/unit/fake_clock.h"
#include "tests/unit/fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define OWN   "t1:node:mx2.example.com"
#define OTHER "t1:node:mx1.example.com"

static struct event_base *base;
static struct clock wall;
static struct site *site;
static struct conf conf;
static struct conf_listener listeners[1];
static char *own_names[] = {(char *)"alias.example.com"};
static struct net_cidr own_nets[2];

/* --- in place of cache/fetch.c, and of conf's counting ---------------------------------------- */

static const struct facts *known; /* what the DNS says of the node */
static fetch_done *waiting;
static void *waiting_arg;

void fetch_refresh(struct fetch *fetch, enum facts_kind kind, const char *name, int64_t ahead)
{
    (void)fetch, (void)kind, (void)name, (void)ahead;
}

const struct facts *fetch_peek_stale(struct fetch *fetch, enum facts_kind kind, const char *name,
                                     enum fetch_trust trust)
{
    (void)fetch, (void)kind;
    assert_int_equal(trust, FETCH_OWN);
    return known && !strcmp(name, conf.node) ? facts_ref(known) : NULL;
}

struct fetch_wait *fetch_ask(struct fetch *fetch, enum facts_kind kind, const char *name,
                             enum fetch_trust trust, int64_t budget, fetch_done *done, void *arg)
{
    (void)fetch, (void)kind, (void)name, (void)trust, (void)budget;
    assert_null(waiting);
    waiting = done;
    waiting_arg = arg;
    return (struct fetch_wait *)&waiting;
}

void fetch_cancel(struct fetch_wait *wait)
{
    (void)wait;
    waiting = NULL;
}

struct conf *conf_ref(struct conf *c)
{
    c->refs++;
    return c;
}

void conf_unref(struct conf *c)
{
    if (c)
        c->refs--;
}

bool conf_nets_have(const struct conf_nets *nets, const struct net_addr *addr)
{
    for (size_t i = 0; i < nets->count; i++)
        if (net_cidr_has(&nets->item[i], addr))
            return true;
    return false;
}

/* --- the world -------------------------------------------------------------------------------- */

static struct net_addr addr_of(const char *text)
{
    struct net_addr addr;
    assert_true(net_addr_parse(text, &addr));
    return addr;
}

static void dns_says(const char *a, const char *b)
{
    struct facts *facts = facts_new(FACTS_ADDR, FACTS_OK);
    struct net_addr addr = addr_of(a);
    facts_add_addr(facts, &addr);
    if (b) {
        addr = addr_of(b);
        facts_add_addr(facts, &addr);
    }
    facts_seal(facts);
    facts_unref(known);
    known = facts;
}

static void settle(void)
{
    for (int i = 0; i < 10; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
}

static int setup(void **state)
{
    (void)state;
    base = event_base_new();
    fake_open(base);
    clock_init(&wall);
    waiting = NULL;
    conf = (struct conf){.refs = 1};
    strcpy(conf.node, "mx2.example.com");
    conf.cache.prefix = (char *)"t1";
    listeners[0] =
        (struct conf_listener){.local = addr_of("10.0.0.2"), .public = addr_of("192.0.2.20")};
    conf.listener = listeners;
    conf.listener_count = 1;
    conf.own.names.item = own_names;
    conf.own.names.count = 1;
    net_cidr_parse("198.51.100.8/29", &own_nets[0]);
    net_cidr_parse("203.0.113.9", &own_nets[1]);
    conf.own.nets.item = own_nets;
    conf.own.nets.count = 2;
    conf.health.source = addr_of("192.0.2.99");
    dns_says("192.0.2.2", "2001:db8::2");
    site = site_new(base, &conf, &wall, (struct fetch *)&conf, (struct store *)&fake);
    return site ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    site_free(site);
    facts_unref(known);
    known = NULL;
    fake_close();
    event_base_free(base);
    assert_int_equal(conf.refs, 1);
    return 0;
}

static const struct {
    const char *label, *addr;
    bool self, claimed, listener;
} addresses[] = {
    {"DNS, IPv4", "192.0.2.2", true, true, true},
    {"DNS, IPv6", "2001:db8::2", true, true, true},
    {"public side", "192.0.2.20", true, true, true},
    {"local side", "10.0.0.2", true, true, false},
    {"own address", "203.0.113.9", true, true, true},
    {"own network", "198.51.100.9", true, true, false},
    {"probe source", "192.0.2.99", false, true, false},
    {"another", "192.0.2.1", false, false, false},
    {"loopback", "127.0.0.1", false, false, false},
};

static void self_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct net_addr addr = addr_of(addresses[i].addr);
        if (site_is_self_addr(site, &addr) != addresses[i].self ||
            site_is_claimed(site, &addr) != addresses[i].claimed ||
            (site_find(site, &addr) != NULL) != addresses[i].listener)
            fail_msg("%s", addresses[i].label);
    }
    struct net_addr none = {.family = NET_NONE};
    assert_false(site_is_self_addr(site, &none));
    assert_false(site_is_claimed(site, &none));
    assert_null(site_find(site, &none));
    assert_true(site_is_self_name(site, "mx2.example.com"));
    assert_true(site_is_self_name(site, "alias.example.com"));
    assert_false(site_is_self_name(site, "mx1.example.com"));
}

static void heartbeat(void **state)
{
    (void)state;
    static const char *wanted[][2] = {
        {"version", MXW_VERSION},
        {"since", "1795300000"},
        {"listeners", "[192.0.2.20],[203.0.113.9],[192.0.2.2],[2001:db8::2]"},
        {"source", "[192.0.2.99]"},
        {"needs_feed", "0"},
        {"feed", "0"},
        {"asker", ""},
        {"asked", "0"},
    };
    settle();
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const char *got = fake_hget(OWN, wanted[i][0]);
        if (!got || strcmp(got, wanted[i][1]))
            fail_msg("%s: %s", wanted[i][0], got ? got : "(none)");
    }
    assert_int_equal(fake_ttl(OWN), 15);
}

static void asked(void **state)
{
    (void)state;
    struct net_addr vip = addr_of("192.0.2.77"), loopback = addr_of("127.0.0.1");
    site_note_asked(site, &loopback, QUESTION_POLICY);
    assert_false(site_is_claimed(site, &loopback));
    site_note_asked(site, &vip, QUESTION_MILTER);
    assert_true(site_is_claimed(site, &vip));
    assert_false(site_is_self_addr(site, &vip));
    assert_string_equal(site_find(site, &vip)->asker, "milter");
    while (!fake_hget(OWN, "asker") || strcmp(fake_hget(OWN, "asker"), "milter"))
        event_base_loop(base, EVLOOP_ONCE);
    assert_non_null(strstr(fake_hget(OWN, "listeners"), ",[192.0.2.77]"));
    assert_string_equal(fake_hget(OWN, "asked"), "1795300000");
    fake_ms += 3600 * 1000; /* nobody asks for an hour */
    site_beat(site);
    assert_false(site_is_claimed(site, &vip));
    assert_non_null(site_find(site, &listeners[0].public));
}

static void asked_is_bounded(void **state)
{
    (void)state;
    char text[NET_TEXT];
    struct net_addr addr = {.family = NET_NONE};
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "198.18.%d.%d", i / 200, i % 200 + 1);
        addr = addr_of(text);
        fake_ms++;
        site_note_asked(site, &addr, QUESTION_POLICY);
    }
    site_beat(site);
    settle();
    assert_non_null(site_find(site, &listeners[0].public)); /* never displaced */
    size_t count = 1;
    for (const char *c = fake_hget(OWN, "listeners"); *c; c++)
        count += *c == ',';
    assert_int_equal(count, 64);
}

static const struct {
    const char *label, *field, *value;
    bool alive, claimed, needs_feed, feed;
    const char *asker;
    int64_t asked;
} beats[] = {
    {"plain", NULL, NULL, true, true, false, true, "milter", 1795299999},
    {"no listeners", "listeners", "", false, false, false, false, "", 0},
    {"nonsense listeners", "listeners", ",,x,[192.0.2.999],", false, false, false, false, "", 0},
    {"nonsense among them", "listeners", "x,[192.0.2.1]", true, true, false, true, "milter",
     1795299999},
    {"a loopback listener", "listeners", "[127.0.0.1]", false, false, false, false, "", 0},
    {"asked in the future", "asked", "9999999999", true, true, false, true, "milter", FAKE_UNIX},
    {"asked before time", "asked", "-5", true, true, false, true, "milter", 0},
    {"an unknown asker", "asker", "somebody", true, true, false, true, "", 1795299999},
    {"needs feed", "needs_feed", "1", true, true, true, true, "milter", 1795299999},
    {"needs feed, in doubt", "needs_feed", "", true, true, true, true, "milter", 1795299999},
    {"no feed", "feed", "0", true, true, false, false, "milter", 1795299999},
    {"nonsense source", "source", "x", true, true, false, true, "milter", 1795299999},
    {"an unknown field", "colour", "blue", true, true, false, true, "milter", 1795299999},
};

static void peer_put(void)
{
    static const char *fields[][2] = {
        {"listeners", "[192.0.2.1]"}, {"source", "[192.0.2.11]"},
        {"needs_feed", "0"},          {"feed", "1"},
        {"asker", "milter"},          {"asked", "1795299999"},
    };
    fake_del(OTHER);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        fake_hset(OTHER, fields[i][0], fields[i][1]);
}

static void peer_table(void **state)
{
    (void)state;
    struct net_addr addr = addr_of("192.0.2.1");
    for (size_t i = 0; i < sizeof beats / sizeof beats[0]; i++) {
        peer_put();
        if (beats[i].field)
            fake_hset(OTHER, beats[i].field, beats[i].value);
        fake_ms += 1000; /* a second is over: read at once */
        clock_init(&wall);
        site_changed(site, "mx1.example.com");
        settle();
        const struct site_node *node = site_find(site, &addr);
        if ((node != NULL) != beats[i].alive || site_is_claimed(site, &addr) != beats[i].claimed)
            fail_msg("%s: %s", beats[i].label, node ? "found" : "not found");
        if (node && (strcmp(node->name, "mx1.example.com") || node->feed != beats[i].feed ||
                     node->needs_feed != beats[i].needs_feed ||
                     strcmp(node->asker, beats[i].asker) || node->asked != beats[i].asked))
            fail_msg("%s: %s feed %d needs %d asker %s asked %lld", beats[i].label, node->name,
                     node->feed, node->needs_feed, node->asker, (long long)node->asked);
    }
}

static void peer_life(void **state)
{
    (void)state;
    struct net_addr addr = addr_of("192.0.2.1"), from = addr_of("192.0.2.11");
    peer_put();
    site_changed(site, "mx1.example.com");
    settle();
    assert_true(site_is_claimed(site, &from));
    assert_null(site_find(site, &from));
    /* Nothing is heard of it, but its key is there: read by itself with the own heartbeats. */
    for (int i = 0; i < 5; i++) {
        fake_ms += 8000;
        site_beat(site);
        settle();
        assert_non_null(site_find(site, &addr));
    }
    /* Redis away: it lives for 15 s more. */
    fake.up = false;
    fake_ms += 14000;
    site_beat(site);
    assert_non_null(site_find(site, &addr));
    fake_ms += 1100;
    assert_null(site_find(site, &addr));
    fake.up = true;
    site_changed(site, "mx1.example.com");
    settle();
    assert_non_null(site_find(site, &addr));
    /* Its key goes (expired, deleted): so does it, at once. */
    fake_del(OTHER);
    fake_ms += 1000;
    site_changed(site, NULL);
    settle();
    assert_null(site_find(site, &addr));
    fake_key(OTHER, true)->is_text = true;
    fake_ms += 1000;
    site_changed(site, "mx1.example.com");
    settle();
    assert_null(site_find(site, &addr));
}

/* Many changes of a key within a second: one read at once, one when it is over. */
static void peer_rate(void **state)
{
    (void)state;
    struct net_addr addr = addr_of("192.0.2.1");
    settle();
    for (int i = 0; i < 10; i++) {
        site_changed(site, "mx1.example.com");
        settle();
    }
    assert_int_equal(fake.reads, 1);
    peer_put();
    while (!site_find(site, &addr))
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(fake.reads, 2);
}

static const char *const no_names[] = {"",    "MX1.example.com", "mx1.example.com.", "a b",
                                       "a\n", "mx2.example.com" /* this node itself */};

static void peer_names(void **state)
{
    (void)state;
    settle();
    for (size_t i = 0; i < sizeof no_names / sizeof no_names[0]; i++)
        site_changed(site, no_names[i]);
    settle();
    assert_int_equal(fake.reads, 0);
    for (int i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "n%d.example.com", i);
        fake.hold = true; /* none is known to be gone yet */
        site_changed(site, name);
    }
    fake_release();
    for (int i = 0; i < 200; i++)
        settle();
    assert_int_equal(fake.reads, 1000);
}

static void dns_later(void **state)
{
    (void)state;
    struct net_addr addr = addr_of("192.0.2.3");
    facts_unref(known);
    known = NULL;
    strcpy(conf.node, "mx3.example.com");
    size_t nets = conf.own.nets.count;
    conf.own.nets.count = 0;
    struct site *late = site_new(base, &conf, &wall, (struct fetch *)&conf, (struct store *)&fake);
    assert_false(site_is_self_addr(late, &addr));
    assert_false(site_knows_self(late));
    assert_non_null(waiting);
    fetch_done *done = waiting;
    waiting = NULL;
    dns_says("192.0.2.3", NULL);
    done(waiting_arg, facts_ref(known));
    assert_true(site_is_self_addr(late, &addr));
    assert_true(site_knows_self(late));
    assert_non_null(site_find(late, &addr));
    dns_says("192.0.2.4", NULL); /* it moves */
    site_beat(late);
    assert_false(site_is_self_addr(late, &addr));
    site_free(late);
    conf.own.nets.count = nets;
    settle();
}

/* What is known of this node stays until there are other addresses. */
static void dns_goes_wrong(void **state)
{
    static const enum facts_state states[] = {FACTS_FAIL, FACTS_NXDOMAIN, FACTS_NONE};
    (void)state;
    struct net_addr addr = addr_of("192.0.2.2");
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        facts_unref(known);
        known = facts_new(FACTS_ADDR, states[i]);
        site_beat(site);
        if (!site_is_self_addr(site, &addr) || !site_find(site, &addr))
            fail_msg("%s", facts_state_name(states[i]));
    }
    dns_says("192.0.2.3", NULL);
    site_beat(site);
    assert_false(site_is_self_addr(site, &addr));
}

static void new_conf(void **state)
{
    (void)state;
    struct conf other = conf;
    struct net_addr addr = addr_of("192.0.2.20");
    other.refs = 1;
    other.listener_count = 0;
    other.needs_feed = true;
    site_set_conf(site, &other);
    assert_false(site_is_claimed(site, &addr));
    addr = addr_of("192.0.2.2");
    assert_true(site_find(site, &addr)->needs_feed);
    site_free(site);
    site = NULL;
    assert_int_equal(other.refs, 1);
}

static void alone(void **state)
{
    (void)state;
    struct site *lone = site_new(base, &conf, &wall, NULL, NULL);
    struct net_addr addr = addr_of("192.0.2.20"), vip = addr_of("192.0.2.77");
    site_changed(lone, "mx1.example.com");
    site_changed(lone, NULL);
    site_note_asked(lone, &vip, QUESTION_POLICY);
    assert_string_equal(site_find(lone, &vip)->asker, "policy");
    assert_string_equal(site_find(lone, &addr)->name, "mx2.example.com");
    settle();
    site_free(lone);
}

static void feed(void **state)
{
    (void)state;
    struct net_addr four = addr_of("192.0.2.77"), six = addr_of("2001:db8::77");
    struct conf bare = conf;
    struct net_addr only;
    struct site *lone;
    bare.refs = 1;
    bare.listener_count = bare.own.nets.count = 0;
    lone = site_new(base, &bare, &wall, NULL, NULL);
    assert_int_equal(site_find_listener(lone, NET_IPV4, &only), 0);
    site_note_asked(lone, &four, QUESTION_POLICY);
    site_note_asked(lone, &six, QUESTION_POLICY);
    assert_int_equal(site_find_listener(lone, NET_IPV4, &only), 1);
    assert_true(net_addr_equal(&only, &four));
    assert_int_equal(site_find_listener(lone, NET_IPV6, &only), 1);
    assert_true(net_addr_equal(&only, &six));
    assert_false(site_find(lone, &four)->feed);
    site_note_feed(lone);
    site_note_feed(lone);
    assert_true(site_find(lone, &four)->feed);
    four = addr_of("192.0.2.78");
    site_note_asked(lone, &four, QUESTION_POLICY);
    assert_int_equal(site_find_listener(lone, NET_IPV4, &only), 2);
    settle();
    site_free(lone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(self_table, setup, teardown),
        cmocka_unit_test_setup_teardown(heartbeat, setup, teardown),
        cmocka_unit_test_setup_teardown(asked, setup, teardown),
        cmocka_unit_test_setup_teardown(asked_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(peer_table, setup, teardown),
        cmocka_unit_test_setup_teardown(peer_life, setup, teardown),
        cmocka_unit_test_setup_teardown(peer_rate, setup, teardown),
        cmocka_unit_test_setup_teardown(peer_names, setup, teardown),
        cmocka_unit_test_setup_teardown(dns_later, setup, teardown),
        cmocka_unit_test_setup_teardown(dns_goes_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(new_conf, setup, teardown),
        cmocka_unit_test_setup_teardown(alone, setup, teardown),
        cmocka_unit_test_setup_teardown(feed, setup, teardown),
    };

    return cmocka_run_group_tests_name("site", tests, NULL, NULL);
}
