/*
 * policy/watch*.c in a scripted world: probes end as told, the memory holds the proofs that it is
 * given, the site has the nodes that it is given. The loop and its timers are real.
 */
#include "policy/memory.h"
#include "policy/probe.h"
#include "policy/site.h"
#include "policy/tier.h"
#include "policy/watch.h"
#include "policy/watch_private.h"
#include "tests/unit/fake_clock.h"
#include "tests/unit/fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define HOST "mx1.example.com"
#define KEY  "t1:health:mx1.example.com:25"

static struct event_base *base;
static struct clock wall;
static struct conf conf;
static struct watch *watch;

/* --- in place of policy/probe.c --------------------------------------------------------------- */

struct probe {
    LIST_ENTRY(probe) link;
    struct probe_options options;
    char nonce[PROBE_NONCE_SIZE], rcpt_domain[NAME_SIZE];
    probe_done *done;
    void *arg;
};

static LIST_HEAD(probe_list, probe) probes;
static size_t probe_count, probe_total;

struct probe *probe_start(struct event_base *b, const struct probe_options *options,
                          probe_done *done, void *arg)
{
    struct probe *probe = calloc(1, sizeof *probe);
    (void)b;
    probe->options = *options;
    strcpy(probe->nonce, options->nonce);
    strcpy(probe->rcpt_domain, options->rcpt_domain ? options->rcpt_domain : "");
    probe->done = done;
    probe->arg = arg;
    LIST_INSERT_HEAD(&probes, probe, link);
    probe_count++;
    probe_total++;
    return probe;
}

void probe_stop(struct probe *probe)
{
    LIST_REMOVE(probe, link);
    probe_count--;
    free(probe);
}

static struct net_addr addr_of(const char *text)
{
    struct net_addr addr;
    assert_true(net_addr_parse(text, &addr));
    return addr;
}

static struct probe *probe_of(const char *text)
{
    struct net_addr addr = addr_of(text);
    struct probe *probe;
    LIST_FOREACH(probe, &probes, link)
    {
        if (net_addr_equal(&probe->options.addr, &addr))
            return probe;
    }
    return NULL;
}

static struct probe *probe_wait(const char *text)
{
    while (!probe_of(text))
        event_base_loop(base, EVLOOP_ONCE);
    return probe_of(text);
}

static void probe_end(struct probe *probe, enum probe_result result, bool said_ehlo)
{
    LIST_REMOVE(probe, link);
    probe_count--;
    probe->done(probe->arg, result, said_ehlo, 7, probe_result_name(result));
    free(probe);
}

const char *probe_result_name(enum probe_result result)
{
    static const char *const names[] = {"good", "refused", "silent", "reply", "closed", "local"};
    return names[result];
}

/* --- in place of policy/memory.c and policy/site.c -------------------------------------------- */

struct memory_wait {
    struct event *event;
    char nonce[PROBE_NONCE_SIZE];
    memory_proof_done *done;
    void *arg;
};

static struct {
    bool known;        /* the memory can be asked */
    unsigned after;    /* looks of a probe that find nothing, before one finds the proof */
    const char *names; /* the address that the proof names; NULL: there is none */
    unsigned looks;
    const struct site_node *node;
} world;

static void memory_answer(evutil_socket_t fd, short what, void *arg)
{
    struct memory_wait *wait = arg;
    struct net_addr addr = {.family = NET_NONE};
    (void)fd, (void)what;
    if (world.known && world.names && world.looks > world.after)
        addr = addr_of(world.names);
    wait->done(wait->arg, world.known, &addr);
    memory_cancel(wait);
}

struct memory_wait *memory_ask_proof(struct memory *memory, const char *nonce,
                                     memory_proof_done *done, void *arg)
{
    struct memory_wait *wait = calloc(1, sizeof *wait);
    (void)memory;
    strcpy(wait->nonce, nonce);
    wait->done = done;
    wait->arg = arg;
    wait->event = evtimer_new(base, memory_answer, wait);
    event_active(wait->event, EV_TIMEOUT, 0);
    world.looks++;
    return wait;
}

void memory_cancel(struct memory_wait *wait)
{
    event_free(wait->event);
    free(wait);
}

const struct site_node *site_find(const struct site *site, const struct net_addr *addr)
{
    (void)site, (void)addr;
    return world.node;
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

/* --- the world -------------------------------------------------------------------------------- */

static const struct site_node plain_node = {.name = "mx1.example.com"};
static const struct site_node hungry_node = {.name = "mx1.example.com", .needs_feed = true};
static const struct site_node fed_node = {
    .name = "mx1.example.com", .needs_feed = true, .feed = true};

static unsigned changes;
static char last_change[NAME_SIZE + 32];

static void on_changed(void *arg, const struct watch_view *before, const struct watch_view *after)
{
    (void)arg;
    changes++;
    snprintf(last_change, sizeof last_change, "%s %s%s %s%s", after->host,
             health_state_name(before->health.state), before->observed ? "+" : "",
             health_state_name(after->health.state), after->observed ? "+" : "");
}

static void open_watch(bool with_store)
{
    const struct watch_hooks hooks = {.changed = on_changed};
    watch = watch_new(base, &conf, &wall, (struct memory *)&world,
                      with_store ? (struct store *)&fake : NULL, (struct site *)&world, &hooks);
}

static int setup(void **state)
{
    (void)state;
    base = event_base_new();
    fake_open(base);
    clock_init(&wall);
    LIST_INIT(&probes);
    probe_count = probe_total = changes = 0;
    world.known = true;
    world.after = world.looks = 0;
    world.names = "192.0.2.1";
    world.node = &plain_node;
    conf = (struct conf){.refs = 1};
    strcpy(conf.node, "mx2.example.com");
    conf.cache.prefix = (char *)"t1";
    conf.health.interval = 5000;
    conf.health.timeout = 12000;
    conf.health.fall = 3;
    conf.health.rise = 2;
    open_watch(true);
    return watch ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    watch_free(watch);
    fake_close();
    event_base_free(base);
    assert_int_equal(probe_count, 0);
    assert_int_equal(conf.refs, 1);
    return 0;
}

static void settle(void)
{
    for (int i = 0; i < 10; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
}

static void want(const char *host, const char *text)
{
    struct net_addr addr = addr_of(text);
    watch_want(watch, host, 25, &addr, WATCH_GUARD, "example.com");
}

static struct watch_view view_of(const char *host, const char *text)
{
    struct net_addr addr = addr_of(text);
    struct watch_view view;
    if (!watch_get(watch, host, 25, &addr, &view))
        fail_msg("%s %s is not watched", host, text);
    return view;
}

/* Ends the probe of an address, and waits until its look for the proof has ended too. */
static struct watch_view cycle(const char *host, const char *text, enum probe_result result,
                               bool said_ehlo)
{
    probe_end(probe_wait(text), result, said_ehlo);
    while (said_ehlo && view_of(host, text).missing == WATCH_MISSING_YET) {
        event_base_loop(base, EVLOOP_ONCE);
        if (world.looks > world.after + 1) /* it will not come: let the 2 s pass */
            fake_ms += 2000;
    }
    settle();
    return view_of(host, text);
}

/* Milliseconds from the last probe of the only place there is to its next one, however late it is
 * by now. */
static int64_t between_probes(void)
{
    const struct watch_place *place = watch->places.item[0];
    struct timeval due, now;
    assert_int_equal(watch->places.count, 1);
    assert_true(event_pending(place->timer, EV_TIMEOUT, &due));
    gettimeofday(&now, NULL);
    return (due.tv_sec - now.tv_sec) * 1000 + (due.tv_usec - now.tv_usec) / 1000 + clock_mono() -
           place->started;
}

/* --- observed --------------------------------------------------------------------------------- */

static const struct {
    const char *label;
    enum probe_result result;
    int said_ehlo, known;
    unsigned after;
    const char *names;
    const struct site_node *node;
    enum health_state state;
    int observed;
    enum watch_missing missing;
    const char *detail; /* a part of it */
} rows[] = {
    {"proof at once", PROBE_GOOD, true, true, 0, "192.0.2.1", &plain_node, HEALTH_UP, true,
     WATCH_MISSING_NOTHING, "good"},
    {"proof at the third look", PROBE_GOOD, true, true, 2, "192.0.2.1", &plain_node, HEALTH_UP,
     true, WATCH_MISSING_NOTHING, "good"},
    {"another address", PROBE_GOOD, true, true, 0, "10.0.0.1", &plain_node, HEALTH_UP, false,
     WATCH_MISSING_LISTENERS, "[192.0.2.1] was heard at [10.0.0.1]"},
    {"no proof, a node", PROBE_GOOD, true, true, 0, NULL, &plain_node, HEALTH_UP, false,
     WATCH_MISSING_MILTER, "not told"},
    {"no proof, no node", PROBE_GOOD, true, true, 0, NULL, NULL, HEALTH_UP, false,
     WATCH_MISSING_NODE, "no live node"},
    {"a proof, no node", PROBE_GOOD, true, true, 0, "192.0.2.1", NULL, HEALTH_UP, false,
     WATCH_MISSING_NODE, "no live node"},
    {"no memory", PROBE_GOOD, true, false, 0, "192.0.2.1", &plain_node, HEALTH_UP, false,
     WATCH_MISSING_REDIS, "memory"},
    {"a feed is needed", PROBE_GOOD, true, true, 0, "192.0.2.1", &hungry_node, HEALTH_UP, false,
     WATCH_MISSING_FEED, "feed"},
    {"a feed is there", PROBE_GOOD, true, true, 0, "192.0.2.1", &fed_node, HEALTH_UP, true,
     WATCH_MISSING_NOTHING, "good"},
    {"EHLO refused", PROBE_GOOD, false, true, 0, "192.0.2.1", &plain_node, HEALTH_UP, false,
     WATCH_MISSING_MILTER, "good"},
    {"EHLO refused, no node", PROBE_GOOD, false, true, 0, "192.0.2.1", NULL, HEALTH_UP, false,
     WATCH_MISSING_NODE, "good"},
    {"refused", PROBE_REFUSED, false, true, 0, "192.0.2.1", &plain_node, HEALTH_DOWN, false,
     WATCH_MISSING_BANNER, "refused"},
    {"silent", PROBE_SILENT, false, true, 0, "192.0.2.1", &plain_node, HEALTH_DOWN, false,
     WATCH_MISSING_BANNER, "silent"},
    {"421", PROBE_BAD_REPLY, false, true, 0, "192.0.2.1", &plain_node, HEALTH_DOWN, false,
     WATCH_MISSING_BANNER, "reply"},
    {"our own trouble", PROBE_LOCAL, false, true, 0, "192.0.2.1", &plain_node, HEALTH_UNKNOWN,
     false, WATCH_MISSING_YET, "cannot probe: local"},
};

static void observed_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        watch_free(watch);
        fake_del(KEY);
        world.known = rows[i].known;
        world.after = rows[i].after;
        world.names = rows[i].names;
        world.node = rows[i].node;
        world.looks = 0;
        open_watch(true);
        want(HOST, "192.0.2.1");
        struct watch_view view = cycle(HOST, "192.0.2.1", rows[i].result, rows[i].said_ehlo);
        if (view.health.state != rows[i].state || view.observed != rows[i].observed ||
            view.missing != rows[i].missing || !strstr(view.detail, rows[i].detail))
            fail_msg("%s: %s, observed %d, missing %s, detail %s", rows[i].label,
                     health_state_name(view.health.state), view.observed,
                     watch_missing_name(view.missing), view.detail);
        if (rows[i].said_ehlo && rows[i].observed && world.looks != rows[i].after + 1)
            fail_msg("%s: %u looks", rows[i].label, world.looks);
    }
}

/* One miss makes it unobserved, the next find observed again; failures alone change nothing,
 * until the host is down. */
static void observed_life(void **state)
{
    (void)state;
    conf.health.interval = 10;
    want(HOST, "192.0.2.1");
    assert_true(cycle(HOST, "192.0.2.1", PROBE_GOOD, true).observed);
    assert_string_equal(last_change, HOST " up up+");
    assert_true(cycle(HOST, "192.0.2.1", PROBE_SILENT, false).observed);
    assert_true(cycle(HOST, "192.0.2.1", PROBE_SILENT, false).observed);
    assert_int_equal(changes, 2);
    struct watch_view view = cycle(HOST, "192.0.2.1", PROBE_SILENT, false);
    assert_false(view.observed);
    assert_int_equal(view.health.state, HEALTH_DOWN);
    assert_string_equal(last_change, HOST " up+ down");
    probe_end(probe_wait("192.0.2.1"), PROBE_GOOD, true);
    while (!view_of(HOST, "192.0.2.1").observed)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(view_of(HOST, "192.0.2.1").health.state, HEALTH_DOWN);
    world.names = "192.0.2.2"; /* `listeners` is changed for the worse over there */
    probe_end(probe_wait("192.0.2.1"), PROBE_GOOD, true);
    while (view_of(HOST, "192.0.2.1").observed)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(view_of(HOST, "192.0.2.1").health.state, HEALTH_UP);
    assert_string_equal(last_change, HOST " up+ up");
}

/* What a queue waits for is probed every second while it is down, whatever the interval; and, while
 * it is, nobody asks whether it is observed. */
static void awaited(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        enum watch_purpose purpose;
        enum probe_result result;
        int64_t low, high; /* ms between the probes */
    } cases[] = {
        {"down, awaited", WATCH_FLUSH, PROBE_REFUSED, 400, 1050},
        {"up, awaited", WATCH_FLUSH, PROBE_GOOD, 2400, 5050},
        {"down, not awaited", WATCH_ROUTE, PROBE_REFUSED, 2400, 5050},
    };
    struct net_addr addr = addr_of("192.0.2.1");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        watch_free(watch);
        open_watch(false);
        watch_want(watch, HOST, 25, &addr, cases[i].purpose, NULL);
        cycle(HOST, "192.0.2.1", cases[i].result, false);
        int64_t wait = between_probes();
        if (wait < cases[i].low || wait > cases[i].high)
            fail_msg("%s: %lld ms", cases[i].label, (long long)wait);
    }
}

static void awaited_returns(void **state)
{
    (void)state;
    struct net_addr addr = addr_of("192.0.2.1");
    watch_want(watch, HOST, 25, &addr, WATCH_FLUSH, NULL);
    cycle(HOST, "192.0.2.1", PROBE_REFUSED, false);
    assert_int_equal(probe_wait("192.0.2.1")->options.connect, 2000);
    probe_end(probe_of("192.0.2.1"), PROBE_GOOD, true);
    assert_int_equal(world.looks, 0);
    assert_in_range(between_probes(), 400, 1050); /* the second of `rise`: no interval later */
    cycle(HOST, "192.0.2.1", PROBE_GOOD, true);
    assert_string_equal(last_change, HOST " up up+");
    assert_in_range(between_probes(), 2400, 5050);
}

/* --- places, hosts, bounds -------------------------------------------------------------------- */

static void shared_address(void **state)
{
    (void)state;
    struct net_addr addr = addr_of("192.0.2.1");
    struct watch_view view;
    want("a.example.com", "192.0.2.1");
    want("b.example.com", "192.0.2.1");
    probe_wait("192.0.2.1");
    settle();
    assert_int_equal(probe_total, 1);
    cycle("a.example.com", "192.0.2.1", PROBE_GOOD, true);
    assert_true(view_of("b.example.com", "192.0.2.1").observed);
    assert_int_equal(changes, 4); /* up and observed, for each name */
    assert_non_null(fake_key("t1:health:a.example.com:25", false));
    assert_non_null(fake_key("t1:health:b.example.com:25", false));
    assert_true(watch_get_address(watch, &addr, 25, &view));
    assert_true(view.observed);
    assert_false(watch_get_address(watch, &addr, 26, &view));
    watch_want(watch, "a.example.com", 26, &addr, WATCH_ROUTE, NULL);
    while (probe_total < 2)
        event_base_loop(base, EVLOOP_ONCE);
    assert_true(watch_get_address(watch, &addr, 26, &view));
    assert_int_equal(view.purposes, WATCH_ROUTE);
}

/* results: of the addresses .1 and .2, none where there is a dot. */
static const struct {
    const char *label, *results;
    enum health_state state;
    unsigned targets;
} hosts[] = {
    {"not watched", "", HEALTH_UNKNOWN, 0},
    {"no result", ".", HEALTH_UNKNOWN, 1},
    {"up", "+", HEALTH_UP, 1},
    {"down", "-", HEALTH_DOWN, 1},
    {"both up", "++", HEALTH_UP, 2},
    {"one up", "-+", HEALTH_UP, 2},
    {"both down", "--", HEALTH_DOWN, 2},
    {"down and no result", "-.", HEALTH_UNKNOWN, 2},
};

static void host_table(void **state)
{
    (void)state;
    static const char *const addrs[] = {"192.0.2.1", "192.0.2.2"};
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++) {
        watch_free(watch);
        open_watch(false);
        for (size_t k = 0; k < 2 && hosts[i].results[k]; k++)
            want(HOST, addrs[k]);
        for (size_t k = 0; k < 2 && hosts[i].results[k]; k++)
            if (hosts[i].results[k] != '.')
                probe_end(probe_wait(addrs[k]),
                          hosts[i].results[k] == '+' ? PROBE_GOOD : PROBE_REFUSED, false);
        struct watch_host_view view = watch_get_host(watch, HOST, 25);
        if (view.state != hosts[i].state || view.targets != hosts[i].targets ||
            (view.since != 0) != (view.state != HEALTH_UNKNOWN) || view.ramp != TIER_FULL_WEIGHT ||
            view.held)
            fail_msg("%s: %s, %u targets, since %lld", hosts[i].label,
                     health_state_name(view.state), view.targets, (long long)view.since);
    }
}

/* Ends the next probes of an address: '+' good, '-' bad. */
static void ends(const char *text, const char *results)
{
    for (; *results; results++)
        probe_end(probe_wait(text), *results == '+' ? PROBE_GOOD : PROBE_SILENT, false);
}

static void expect_host(const char *label, uint32_t ramp, unsigned held)
{
    struct watch_host_view view = watch_get_host(watch, HOST, 25);
    /* The clock runs on while the test does. */
    if (view.ramp < ramp || view.ramp > ramp + 50 || view.held != held ||
        (view.held_until != 0) != (held != 0))
        fail_msg("%s: ramp %u, held %u until %lld", label, view.ramp, view.held,
                 (long long)view.held_until);
}

static void comes_and_goes(void **state)
{
    (void)state;
    conf.health.interval = 10;
    conf.health.fall = conf.health.rise = 1;
    conf.health.slow_start = 60000;
    want(HOST, "192.0.2.1");
    ends("192.0.2.1", "+");
    expect_host("up from the beginning", 1000, 0);
    ends("192.0.2.1", "-+");
    expect_host("back, right after our own start", 1000, 0);
    fake_ms += 700 * 1000;
    ends("192.0.2.1", "-+");
    expect_host("back: once is no flap", 100, 0);
    fake_ms += 30 * 1000;
    expect_host("half a minute later", 500, 0);
    ends("192.0.2.1", "-");
    expect_host("down: no matter", 1000, 0);
    ends("192.0.2.1", "+");
    expect_host("back again: a flap", 100, 1);
    assert_in_range(watch_get_host(watch, HOST, 25).held_until - clock_unix(&wall), 28, 31);
    fake_ms += 30 * 1000;
    expect_host("its first hold is over", 500, 0);
    ends("192.0.2.1", "-+");
    fake_ms += 59 * 1000;
    expect_host("the second takes twice as long", 983, 2);
    conf.health.slow_start = 0;
    ends("192.0.2.1", "-+");
    expect_host("no slow start", 1000, 3);
}

/* One address stays up: the host has gone nowhere. */
static void comes_and_goes_by_half(void **state)
{
    (void)state;
    conf.health.interval = 10;
    conf.health.fall = conf.health.rise = 1;
    conf.health.slow_start = 60000;
    want(HOST, "192.0.2.1");
    want(HOST, "192.0.2.2");
    fake_ms += 70 * 1000;
    ends("192.0.2.2", "+");
    ends("192.0.2.1", "-+-+-+");
    expect_host("the other is up", 1000, 0);
    ends("192.0.2.1", "-");
    ends("192.0.2.2", "-+");
    expect_host("both were down", 100, 0);
}

/* Another node could not reach it, and this one can: nothing has come back. */
static void others_saw_it_down(void **state)
{
    (void)state;
    conf.health.interval = 1000;
    conf.health.slow_start = 60000;
    fake_ms += 70 * 1000;
    char text[64];
    snprintf(text, sizeof text, "down,-9,1795200000,%lld,3", (long long)clock_unix(&wall));
    fake_hset(KEY, "mx3.example.com", text);
    want(HOST, "192.0.2.1");
    probe_wait("192.0.2.1");
    settle();
    assert_int_equal(watch_get_host(watch, HOST, 25).state, HEALTH_DOWN);
    ends("192.0.2.1", "+");
    assert_int_equal(watch_get_host(watch, HOST, 25).state, HEALTH_UP);
    expect_host("ours alone", 1000, 0);
}

static void in_flight_is_bounded(void **state)
{
    (void)state;
    char text[NET_TEXT];
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "198.18.%d.%d", i / 200, i % 200 + 1);
        want(HOST, text);
    }
    while (probe_count < 200)
        event_base_loop(base, EVLOOP_ONCE);
    settle();
    assert_int_equal(probe_count, 200);
    for (int i = 0; i < 150; i++)
        probe_end(LIST_FIRST(&probes), PROBE_SILENT, false);
    assert_int_equal(probe_total, 300);
    assert_int_equal(probe_count, 150);
}

static void targets_are_bounded(void **state)
{
    (void)state;
    struct net_addr none = {.family = NET_NONE}, addr = addr_of("192.0.2.1");
    struct watch_view view;
    char host[32], text[NET_TEXT];
    watch_want(watch, HOST, 25, &none, WATCH_GUARD, NULL);
    watch_want(watch, HOST, 0, &addr, WATCH_GUARD, NULL);
    assert_int_equal(watch_get_host(watch, HOST, 25).targets, 0);
    fake.up = false;
    for (int i = 0; i < 5000; i++) {
        snprintf(host, sizeof host, "h%d.example.com", i);
        snprintf(text, sizeof text, "198.18.%d.%d", i / 200, i % 200 + 1);
        want(host, text);
    }
    addr = addr_of("198.18.20.95"); /* the 4095th and the 4096th */
    assert_true(watch_get_address(watch, &addr, 25, &view));
    addr = addr_of("198.18.20.97");
    assert_false(watch_get_address(watch, &addr, 25, &view));
}

static void visit(void *arg, const struct watch_view *view)
{
    char *text = arg, addr[NET_TEXT];
    strcat(strcat(strcat(text, view->host), net_addr_format(&view->addr, addr)), " ");
}

static void listed_in_order(void **state)
{
    (void)state;
    char text[256] = "";
    want("b.example.com", "192.0.2.9");
    want("a.example.com", "192.0.2.2");
    want("a.example.com", "2001:db8::1");
    want("a.example.com", "192.0.2.1");
    watch_each(watch, visit, text);
    assert_string_equal(text, "a.example.com[192.0.2.1] a.example.com[192.0.2.2] "
                              "a.example.com[2001:db8::1] b.example.com[192.0.2.9] ");
}

/* Purposes end with the wish for them, and the target with the last purpose. */
static void unwanted(void **state)
{
    (void)state;
    struct net_addr addr = addr_of("192.0.2.1");
    want(HOST, "192.0.2.1");
    fake_ms += 300 * 1000;
    watch_want(watch, HOST, 25, &addr, WATCH_ROUTE, NULL);
    assert_int_equal(view_of(HOST, "192.0.2.1").purposes, WATCH_GUARD | WATCH_ROUTE);
    fake_ms += 301 * 1000;
    assert_int_equal(view_of(HOST, "192.0.2.1").purposes, WATCH_ROUTE);
    fake_ms += 300 * 1000;
    assert_int_equal(view_of(HOST, "192.0.2.1").purposes, 0);
}

/* --- the schedule ----------------------------------------------------------------------------- */

/* The second probe within an interval of the first, the others an interval apart. */
static void schedule(void **state)
{
    (void)state;
    int64_t started[4];
    conf.health.interval = 200;
    want(HOST, "192.0.2.1");
    for (int i = 0; i < 4; i++) {
        struct probe *probe = probe_wait("192.0.2.1");
        started[i] = clock_mono();
        probe_end(probe, PROBE_SILENT, false);
    }
    assert_in_range(started[1] - started[0], 95, 1000);
    assert_in_range(started[2] - started[1], 195, 1000);
    assert_in_range(started[3] - started[2], 195, 1000);
}

/* Places that begin together do not stay together. */
static void spread(void **state)
{
    (void)state;
    struct probe *first[20];
    int64_t began, earliest = 0, latest = 0;
    char text[NET_TEXT];
    conf.health.interval = 400;
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "192.0.2.%d", i + 1);
        want(HOST, text);
    }
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "192.0.2.%d", i + 1);
        first[i] = probe_wait(text);
    }
    began = clock_mono();
    for (int i = 0; i < 20; i++)
        probe_end(first[i], PROBE_SILENT, false);
    for (size_t seen = 20; probe_total < 40;) {
        event_base_loop(base, EVLOOP_ONCE);
        if (seen == 20 && probe_total > 20)
            earliest = clock_mono() - began;
        seen = probe_total;
    }
    latest = clock_mono() - began;
    assert_in_range(latest - earliest, 60, 1000);
}

/* A probe that takes longer than the interval is followed by the next at once, never joined. */
static void slow_probe(void **state)
{
    (void)state;
    const struct timeval wait = {.tv_usec = 60000};
    conf.health.interval = 20;
    want(HOST, "192.0.2.1");
    probe_wait("192.0.2.1");
    event_base_loopexit(base, &wait);
    event_base_dispatch(base);
    assert_int_equal(probe_total, 1);
    probe_end(probe_of("192.0.2.1"), PROBE_SILENT, false);
    assert_null(probe_of("192.0.2.1"));
    probe_wait("192.0.2.1");
}

static void depth(void **state)
{
    (void)state;
    struct net_addr addr = addr_of("192.0.2.9");
    want(HOST, "192.0.2.1");
    assert_string_equal(probe_wait("192.0.2.1")->rcpt_domain, "");
    conf.health.depth = CONF_DEPTH_RCPT;
    conf.health.source = addr_of("192.0.2.50");
    want(HOST, "192.0.2.2");
    assert_string_equal(probe_wait("192.0.2.2")->rcpt_domain, "example.com");
    assert_true(net_addr_equal(&probe_of("192.0.2.2")->options.source, &conf.health.source));
    watch_want(watch, HOST, 25, &addr, WATCH_ROUTE, NULL);
    assert_string_equal(probe_wait("192.0.2.9")->rcpt_domain, "");
    assert_int_equal(strlen(probe_of("192.0.2.9")->nonce), 32);
    assert_string_not_equal(probe_of("192.0.2.9")->nonce, probe_of("192.0.2.2")->nonce);
}

/* --- shared health ---------------------------------------------------------------------------- */

static void shared_written(void **state)
{
    (void)state;
    conf.health.interval = 10;
    want(HOST, "192.0.2.1");
    want(HOST, "192.0.2.2");
    cycle(HOST, "192.0.2.1", PROBE_SILENT, false);
    assert_string_equal(fake_hget(KEY, conf.node), "down,-1,1795300000,1795300000,0");
    cycle(HOST, "192.0.2.2", PROBE_GOOD, true);
    assert_string_equal(fake_hget(KEY, conf.node), "up,1,1795300000,1795300000,7");
    assert_int_equal(fake_ttl(KEY), 60);
    conf.health.interval = 100000;
    cycle(HOST, "192.0.2.1", PROBE_SILENT, false);
    assert_int_equal(fake_ttl(KEY), 300);
}

/* What Redis holds of this node and another when the watch begins, whether the answer is back
 * before the first result, the result of .1 (none: '.'), and what follows. */
static const struct {
    const char *label, *own, *other;
    bool late;
    unsigned addresses;
    char result;
    enum health_state state;
    int64_t since;
} restarts[] = {
    {"nothing", NULL, NULL, false, 1, '.', HEALTH_UNKNOWN, 0},
    {"own, no result", "up,9,1795200000,1795299995,3", NULL, false, 1, '.', HEALTH_UP, 1795200000},
    {"own, good result", "up,9,1795200000,1795299995,3", NULL, false, 1, '+', HEALTH_UP,
     1795200000},
    {"own, good result first", "up,9,1795200000,1795299995,3", NULL, true, 1, '+', HEALTH_UP,
     1795200000},
    {"own, bad result", "up,9,1795200000,1795299995,3", NULL, false, 1, '-', HEALTH_UP, 1795200000},
    {"own, bad result first", "up,9,1795200000,1795299995,3", NULL, true, 1, '-', HEALTH_DOWN,
     FAKE_UNIX},
    {"own, too old", "up,9,1795200000,1795299989,3", NULL, false, 1, '+', HEALTH_UP, FAKE_UNIX},
    {"own, nonsense", "up", NULL, false, 1, '+', HEALTH_UP, FAKE_UNIX},
    {"own up, two addresses", "up,9,1795200000,1795299995,3", NULL, false, 2, '.', HEALTH_UNKNOWN,
     0},
    {"own up, two addresses, good", "up,9,1795200000,1795299995,3", NULL, false, 2, '+', HEALTH_UP,
     1795200000},
    {"own up, two addresses, bad", "up,9,1795200000,1795299995,3", NULL, false, 2, '-', HEALTH_DOWN,
     FAKE_UNIX},
    {"own down, two addresses", "down,-9,1795200000,1795299995,3", NULL, false, 2, '.', HEALTH_DOWN,
     1795200000},
    {"another's, no result", NULL, "up,9,1795200000,1795299995,3", false, 1, '.', HEALTH_UP,
     1795200000},
    {"another's, bad result", NULL, "up,9,1795200000,1795299995,3", false, 1, '-', HEALTH_DOWN,
     FAKE_UNIX},
    {"another's, too old", NULL, "up,9,1795200000,1795299989,3", false, 1, '.', HEALTH_UNKNOWN, 0},
    {"another's, result first", NULL, "up,9,1795200000,1795299995,3", true, 1, '+', HEALTH_UP,
     FAKE_UNIX},
    {"own before another's", "down,-9,1795200000,1795299995,3", "up,9,1795100000,1795299999,3",
     false, 1, '.', HEALTH_DOWN, 1795200000},
};

static void restart_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof restarts / sizeof restarts[0]; i++) {
        watch_free(watch);
        settle();
        fake_del(KEY);
        clock_init(&wall);
        if (restarts[i].own)
            fake_hset(KEY, conf.node, restarts[i].own);
        if (restarts[i].other)
            fake_hset(KEY, "mx3.example.com", restarts[i].other);
        open_watch(true);
        fake.hold = restarts[i].late;
        want(HOST, "192.0.2.1");
        if (restarts[i].addresses > 1)
            want(HOST, "192.0.2.2");
        probe_wait("192.0.2.1");
        settle();
        if (restarts[i].result != '.')
            probe_end(probe_of("192.0.2.1"), restarts[i].result == '+' ? PROBE_GOOD : PROBE_SILENT,
                      false);
        fake_release();
        settle();
        struct watch_view view = view_of(HOST, "192.0.2.1");
        if (view.health.state != restarts[i].state || view.health.since != restarts[i].since)
            fail_msg("%s: %s since %lld", restarts[i].label, health_state_name(view.health.state),
                     (long long)view.health.since);
    }
}

/* Redis comes up after the watch: what it held is found all the same, and not written over. */
static void redis_late(void **state)
{
    (void)state;
    conf.health.interval = 10;
    fake_hset(KEY, conf.node, "up,9,1795200000,1795300000,3");
    fake.up = false;
    want(HOST, "192.0.2.1");
    cycle(HOST, "192.0.2.1", PROBE_GOOD, false);
    cycle(HOST, "192.0.2.1", PROBE_GOOD, false);
    fake.up = true;
    struct watch_view view = cycle(HOST, "192.0.2.1", PROBE_GOOD, false);
    assert_int_equal(view.health.since, 1795200000);
    assert_int_equal(view.health.streak, 12);
    settle();
    assert_memory_equal(fake_hget(KEY, conf.node), "up,12,1795200000,", 17);
}

/* Another node writes, and Redis says so. ago: how old its result is, in seconds. */
static void other_says(const char *state, int ago)
{
    char text[64];
    snprintf(text, sizeof text, "%s,1795200000,%lld,3", state,
             (long long)(clock_unix(&wall) - ago));
    fake_hset(KEY, "mx3.example.com", text);
    watch_changed(watch, HOST ":25");
    settle();
}

static enum health_state host_state(void)
{
    return watch_get_host(watch, HOST, 25).state;
}

/* As long as there is no result of our own, others' are taken as they come, and go as they age. */
static void others_stand_in(void **state)
{
    (void)state;
    want(HOST, "192.0.2.1");
    probe_wait("192.0.2.1");
    settle();
    assert_int_equal(host_state(), HEALTH_UNKNOWN);
    other_says("down,-3", 0);
    assert_int_equal(host_state(), HEALTH_DOWN);
    other_says("up,2", 0);
    assert_int_equal(host_state(), HEALTH_UP);
    other_says("down,-3", 11);
    assert_int_equal(host_state(), HEALTH_UP);
    fake_ms += 11000;
    other_says("up,2", 11);
    assert_int_equal(host_state(), HEALTH_UNKNOWN);
    other_says("up,2", 0);
    ends("192.0.2.1", "-");
    assert_int_equal(host_state(), HEALTH_DOWN);
    other_says("up,3", 0);
    assert_int_equal(host_state(), HEALTH_DOWN);
}

/* Two addresses: down is said of both, up of one of them. */
static void others_stand_in_by_half(void **state)
{
    (void)state;
    want(HOST, "192.0.2.1");
    want(HOST, "192.0.2.2");
    probe_wait("192.0.2.2");
    other_says("down,-3", 0);
    assert_int_equal(host_state(), HEALTH_DOWN);
    assert_int_equal(view_of(HOST, "192.0.2.2").health.state, HEALTH_DOWN);
    other_says("up,3", 0);
    assert_int_equal(host_state(), HEALTH_UNKNOWN);
    watch_changed(watch, "nonsense");
    watch_changed(watch, "mx9.example.com:25");
}

/* Our own probes cannot be made any more: the last result counts for two intervals. */
static void others_stand_in_again(void **state)
{
    (void)state;
    conf.health.interval = 1000;
    want(HOST, "192.0.2.1");
    ends("192.0.2.1", "+");
    fake_hset(KEY, "mx3.example.com", "down,-9,1795200000,1795300003,0");
    probe_end(probe_wait("192.0.2.1"), PROBE_LOCAL, false);
    settle();
    assert_int_equal(host_state(), HEALTH_UP);
    fake_ms += 3000;
    probe_end(probe_wait("192.0.2.1"), PROBE_LOCAL, false);
    settle();
    assert_int_equal(host_state(), HEALTH_DOWN);
    assert_in_range(view_of(HOST, "192.0.2.1").age, 0, 2000);
    ends("192.0.2.1", "+");
    assert_int_equal(host_state(), HEALTH_UP);
    assert_int_equal(watch_get_host(watch, HOST, 25).ramp, TIER_FULL_WEIGHT);
}

/* An address that has left DNS goes with what it was wanted for. */
static void addresses_that_left(void **state)
{
    (void)state;
    struct net_addr one = addr_of("192.0.2.1"), two = addr_of("192.0.2.2"), both[] = {one, two};
    struct watch_view view;
    watch_want(watch, HOST, 25, &one, WATCH_ROUTE, NULL);
    watch_want(watch, HOST, 25, &two, WATCH_ROUTE, NULL);
    ends("192.0.2.1", "+");
    watch_only(watch, HOST, 25, both, 2, WATCH_ROUTE);
    assert_int_equal(watch_get_host(watch, HOST, 25).targets, 2);
    watch_only(watch, HOST, 25, &two, 0, WATCH_ROUTE); /* nothing is known: nothing goes */
    assert_int_equal(watch_get_host(watch, HOST, 25).targets, 2);
    watch_want(watch, HOST, 25, &one, WATCH_GUARD, NULL);
    watch_only(watch, HOST, 25, &two, 1, WATCH_ROUTE);
    assert_true(watch_get(watch, HOST, 25, &one, &view));
    assert_int_equal(view.purposes, WATCH_GUARD);
    assert_int_equal(host_state(), HEALTH_UNKNOWN); /* for routes .1 counts no more */
    watch_only(watch, HOST, 25, &two, 1, WATCH_GUARD);
    assert_false(watch_get(watch, HOST, 25, &one, &view));
    assert_true(watch_get(watch, HOST, 25, &two, &view));
    assert_int_equal(host_state(), HEALTH_UNKNOWN);
    watch_only(watch, HOST, 25, &one, 1, WATCH_ROUTE); /* the last goes, and the host with it */
    assert_int_equal(watch_get_host(watch, HOST, 25).targets, 0);
    watch_only(watch, HOST, 25, &one, 1, WATCH_ROUTE);
}

/* An address that comes later reads what is shared anew: that is no news for the others. */
static void address_later(void **state)
{
    (void)state;
    conf.health.interval = 10;
    want(HOST, "192.0.2.1");
    cycle(HOST, "192.0.2.1", PROBE_GOOD, false);
    assert_int_equal(cycle(HOST, "192.0.2.1", PROBE_GOOD, false).health.streak, 2);
    want(HOST, "192.0.2.2");
    settle();
    assert_int_equal(view_of(HOST, "192.0.2.1").health.streak, 2);
    assert_int_equal(view_of(HOST, "192.0.2.2").health.state, HEALTH_UNKNOWN);
}

static void freed_under_way(void **state)
{
    (void)state;
    fake.hold = true;
    want(HOST, "192.0.2.1");
    want(HOST, "192.0.2.2");
    want(HOST, "192.0.2.3");
    probe_end(probe_wait("192.0.2.1"), PROBE_GOOD, true); /* looks for its proof */
    probe_end(probe_wait("192.0.2.2"), PROBE_SILENT, false);
    watch_free(watch);
    watch = NULL;
    fake_release();
    settle();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(observed_table, setup, teardown),
        cmocka_unit_test_setup_teardown(observed_life, setup, teardown),
        cmocka_unit_test_setup_teardown(awaited, setup, teardown),
        cmocka_unit_test_setup_teardown(awaited_returns, setup, teardown),
        cmocka_unit_test_setup_teardown(shared_address, setup, teardown),
        cmocka_unit_test_setup_teardown(host_table, setup, teardown),
        cmocka_unit_test_setup_teardown(comes_and_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(comes_and_goes_by_half, setup, teardown),
        cmocka_unit_test_setup_teardown(others_saw_it_down, setup, teardown),
        cmocka_unit_test_setup_teardown(in_flight_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(targets_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(listed_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(unwanted, setup, teardown),
        cmocka_unit_test_setup_teardown(schedule, setup, teardown),
        cmocka_unit_test_setup_teardown(spread, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_probe, setup, teardown),
        cmocka_unit_test_setup_teardown(depth, setup, teardown),
        cmocka_unit_test_setup_teardown(shared_written, setup, teardown),
        cmocka_unit_test_setup_teardown(restart_table, setup, teardown),
        cmocka_unit_test_setup_teardown(redis_late, setup, teardown),
        cmocka_unit_test_setup_teardown(others_stand_in, setup, teardown),
        cmocka_unit_test_setup_teardown(others_stand_in_by_half, setup, teardown),
        cmocka_unit_test_setup_teardown(others_stand_in_again, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_that_left, setup, teardown),
        cmocka_unit_test_setup_teardown(address_later, setup, teardown),
        cmocka_unit_test_setup_teardown(freed_under_way, setup, teardown),
    };

    return cmocka_run_group_tests_name("watch", tests, NULL, NULL);
}
