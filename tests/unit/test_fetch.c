/*
 * Fetching, with a scripted DNS and a clock that can be put forward; the half that meets Redis
 * with a real one, store.c and track.c in place.
 */
#define BOX_OWN_DNS
#include "cache/fetch.h"

#include "cache/keys.h"
#include "cache/track.h"
#include "tests/unit/fake_clock.h"
#include "tests/unit/redisbox.h"
#include "tests/unit/world_facts.h"

enum { SOON = 3000, STALE = 1000 * 1000 };

/* The DNS. A later rule overrides an earlier one. */

struct rule {
    enum answer_type type;
    const char *name;
    enum facts_state state;
    const char *list; /* "10 mx1.example.com,20 mx2.example.com", "192.0.2.1" */
    uint32_t ttl;
    int64_t delay; /* milliseconds; negative: never */
};

struct dns {
    struct event_base *base;
    struct rule rule[16];
    size_t rules;
    unsigned asked, open;
};

struct dns_query {
    struct dns *dns;
    struct event *event;
    const struct rule *rule;
    dns_done *done;
    void *arg;
};

static struct facts *rule_facts(const struct rule *rule)
{
    struct facts *facts;
    char text[512], *rest = text, *item;
    struct net_addr addr;

    if (rule->type == ANSWER_SRV) {
        facts = srv_of(rule->list);
        facts->ttl = rule->ttl;
        return facts;
    }
    facts = facts_new(rule->type == ANSWER_MX ? FACTS_MX : FACTS_ADDR, rule->state);
    snprintf(text, sizeof(text), "%s", rule->list);
    while ((item = strsep(&rest, ",")) && *item) {
        if (rule->type == ANSWER_MX)
            facts_add_host(facts, (uint16_t)atoi(item), strchr(item, ' ') + 1);
        else if (net_addr_parse(item, &addr))
            facts_add_addr(facts, &addr);
    }
    facts->ttl = rule->ttl;
    if (facts->kind == FACTS_ADDR && rule->state == FACTS_FAIL) {
        facts->addr.a_failed = rule->type == ANSWER_A;
        facts->addr.aaaa_failed = rule->type == ANSWER_AAAA;
    }
    facts_seal(facts);
    return facts;
}

static void dns_answer(evutil_socket_t fd, short what, void *arg)
{
    struct dns_query *query = arg;

    (void)fd, (void)what;
    query->dns->open--;
    query->done(query->arg, rule_facts(query->rule));
    event_free(query->event);
    free(query);
}

struct dns_query *dns_ask(struct dns *dns, enum answer_type type, const char *name, dns_done *done,
                          void *arg)
{
    static const struct rule silent = {.delay = -1};
    struct dns_query *query = calloc(1, sizeof(*query));
    struct timeval tv = {0};

    *query = (struct dns_query){.dns = dns, .rule = &silent, .done = done, .arg = arg};
    for (size_t i = 0; i < dns->rules; i++) {
        if (dns->rule[i].type == type && !strcmp(dns->rule[i].name, name))
            query->rule = &dns->rule[i];
    }
    dns->asked++;
    dns->open++;
    query->event = event_new(dns->base, -1, 0, dns_answer, query);
    tv.tv_usec = (suseconds_t)query->rule->delay * 1000;
    if (query->rule->delay >= 0)
        event_add(query->event, &tv);
    return query;
}

struct dns_query *dns_ask_host(struct dns *dns, const char *host, dns_host_done *done, void *arg)
{
    (void)dns, (void)host, (void)done, (void)arg;
    return NULL;
}

void dns_cancel(struct dns_query *query)
{
    query->dns->open--;
    event_free(query->event);
    free(query);
}

/* A test's world, and one asker's answer. */

struct world {
    struct event_base *base;
    struct dns dns;
    struct clock clock;
    struct box_notices notices;
    struct notice notice;
    struct fetch *fetch;
    struct store *store;
    struct track *track;
    struct redisbox box;
    const char *secret, *node;
    int64_t dns_timeout;
};

struct answer {
    unsigned count;
    const struct facts *facts; /* the last */
};

static void rule_add(struct world *world, struct rule rule)
{
    assert_true(world->dns.rules < 16);
    world->dns.rule[world->dns.rules++] = rule;
}

static struct fetch_options options_of(const struct world *world, size_t entries)
{
    return (struct fetch_options){.entries = entries,
                                  .stale = STALE,
                                  .max_ttl = 86400000,
                                  .prefix = "mxw1",
                                  .node = world->node,
                                  .dns_timeout = world->dns_timeout,
                                  .secret = world->secret,
                                  .secret_size = world->secret ? strlen(world->secret) : 0};
}

static void world_open_with(struct world *world, size_t entries)
{
    struct fetch_options options = options_of(world, entries);

    world->fetch =
        fetch_new(world->base, &options, &world->clock, &world->dns, world->store, &world->notice);
    assert_non_null(world->fetch);
}

static void world_init(struct world *world)
{
    memset(world, 0, sizeof(*world));
    fake_ms = 0;
    world->base = event_base_new();
    world->dns.base = world->base;
    world->notice = (struct notice){.hook = box_note, .arg = &world->notices};
    clock_init(&world->clock);
    rule_add(world, (struct rule){ANSWER_MX, "example.com", FACTS_OK,
                                  "10 mx1.example.com,20 mx2.example.com", 300, 1});
    rule_add(world, (struct rule){ANSWER_A, "mx1.example.com", FACTS_OK, "192.0.2.1", 300, 1});
    rule_add(world, (struct rule){ANSWER_AAAA, "mx1.example.com", FACTS_OK, "2001:db8::1", 200, 2});
}

static void world_open(struct world *world)
{
    world_init(world);
    world_open_with(world, 100);
}

static void world_close(struct world *world)
{
    fetch_free(world->fetch);
    track_free(world->track);
    store_free(world->store);
    assert_int_equal(world->dns.open, 0);
    event_base_free(world->base);
}

static void on_done(void *arg, const struct facts *facts)
{
    struct answer *answer = arg;

    answer->count++;
    facts_unref(answer->facts);
    answer->facts = facts;
}

static bool is_answered(void *arg)
{
    return ((struct answer *)arg)->count > 0;
}

static void answer_clear(struct answer *answer)
{
    facts_unref(answer->facts);
    *answer = (struct answer){0};
}

/* Asks and waits; the facts live until the next call. */
static const struct facts *ask_for(struct world *world, enum facts_kind kind, const char *name,
                                   enum fetch_trust trust, int64_t budget)
{
    static struct answer answer;

    answer_clear(&answer);
    if (!name)
        return NULL;
    assert_non_null(fetch_ask(world->fetch, kind, name, trust, budget, on_done, &answer));
    assert_int_equal(answer.count, 0);
    assert_true(box_wait(world->base, is_answered, &answer, SOON));
    assert_int_equal(answer.count, 1);
    return answer.facts;
}

static const struct facts *ask_mx(struct world *world)
{
    return ask_for(world, FACTS_MX, "example.com", FETCH_OWN, 1000);
}

static const struct facts *ask_addr(struct world *world)
{
    return ask_for(world, FACTS_ADDR, "mx1.example.com", FETCH_OWN, 1000);
}

static bool has_fresh(struct world *world, enum facts_kind kind, const char *name,
                      enum fetch_trust trust)
{
    const struct facts *facts = fetch_peek(world->fetch, kind, name, trust);

    facts_unref(facts);
    return facts != NULL;
}

static bool has_own_mx(void *arg)
{
    return has_fresh(arg, FACTS_MX, "example.com", FETCH_OWN);
}

static bool has_no_own_mx(void *arg)
{
    return !has_own_mx(arg);
}

static void done(struct world *world)
{
    ask_for(world, FACTS_MX, NULL, FETCH_ANY, 0);
    world_close(world);
}

static void test_cold_then_warm(void **state)
{
    struct world world;
    const struct facts *facts;

    (void)state;
    world_open(&world);
    assert_false(has_own_mx(&world));
    facts = ask_mx(&world);
    assert_non_null(facts);
    assert_true(facts->own);
    assert_int_equal(facts->mx.count, 2);
    assert_int_equal(facts->expires - facts->fetched, 300);
    assert_int_equal(facts->changed, 0);
    assert_true(has_own_mx(&world));
    ask_mx(&world);
    assert_int_equal(world.dns.asked, 1);
    assert_int_equal(world.notices.count[NOTICE_MX_MISS], 1);
    assert_int_equal(world.notices.count[NOTICE_MX_HIT], 2);
    fake_ms += 301 * 1000;
    assert_false(has_own_mx(&world));
    facts = fetch_peek_stale(world.fetch, FACTS_MX, "example.com", FETCH_OWN);
    assert_non_null(facts);
    facts_unref(facts);
    ask_mx(&world);
    assert_int_equal(world.dns.asked, 2);
    done(&world);
}

static void test_families_are_joined(void **state)
{
    struct world world;
    const struct facts *facts;

    (void)state;
    world_open(&world);
    facts = ask_addr(&world);
    assert_int_equal(facts->state, FACTS_OK);
    assert_int_equal(facts->addr.a_count, 1);
    assert_int_equal(facts->addr.aaaa_count, 1);
    assert_int_equal(facts->ttl, 200);
    assert_int_equal(world.dns.asked, 2);
    done(&world);
}

static void add_services(struct world *world)
{
    rule_add(world, (struct rule){ANSWER_SRV, FACTS_SRV_LABELS "example.com", FACTS_OK,
                                  "10 60 2525 mx1.example.com,10 40 25 mx2.example.com", 300, 1});
}

static bool has_own_srv(void *arg)
{
    return has_fresh(arg, FACTS_SRV, "example.com", FETCH_OWN);
}

static bool has_no_own_srv(void *arg)
{
    return !has_own_srv(arg);
}

/* Under the domain's name, beside its MX ordering. */
static void test_services(void **state)
{
    struct world world;
    const struct facts *facts;

    (void)state;
    world_open(&world);
    add_services(&world);
    ask_mx(&world);
    assert_false(has_own_srv(&world));
    facts = ask_for(&world, FACTS_SRV, "example.com", FETCH_OWN, 1000);
    assert_int_equal(facts->kind, FACTS_SRV);
    assert_int_equal(facts->mx.count, 2);
    assert_int_equal(facts->mx.host[0].port, 2525);
    assert_int_equal(facts->mx.host[0].weight, 60);
    assert_true(has_own_srv(&world) && has_own_mx(&world));
    fetch_purge(world.fetch, "example.com");
    assert_false(has_own_srv(&world) || has_own_mx(&world));
    done(&world);
}

/* Asked for in the last tenth of its life: fetched anew, and nobody waits. */
static void test_in_use_is_renewed(void **state)
{
    struct world world;

    (void)state;
    world_open(&world);
    ask_mx(&world);
    fake_ms += 269 * 1000;
    assert_true(has_own_mx(&world));
    assert_int_equal(world.dns.asked, 1);
    fake_ms += 2 * 1000;
    for (int i = 0; i < 3; i++)
        assert_true(has_own_mx(&world));
    assert_int_equal(world.dns.asked, 2); /* one for all */
    box_wait(world.base, box_never, NULL, 20);
    fake_ms += 200 * 1000;
    assert_true(has_own_mx(&world));
    assert_int_equal(world.dns.asked, 2);
    done(&world);
}

/* Nodes of different names let the same facts expire at different times, within a tenth. */
static void test_nodes_expire_apart(void **state)
{
    int64_t least = INT64_MAX, most = 0;
    char node[32];

    (void)state;
    for (int i = 0; i < 32; i++) {
        struct world world;
        int64_t life = 0;
        world_init(&world);
        snprintf(node, sizeof(node), "mx%d.example.com", i);
        world.node = node;
        world_open_with(&world, 100);
        ask_mx(&world);
        const struct facts *facts;
        /* Without a look that would renew it. */
        for (life = 0; life < 400; life++, fake_ms += 1000) {
            facts = fetch_peek_stale(world.fetch, FACTS_MX, "example.com", FETCH_OWN);
            facts_unref(facts);
            if (world.notices.count[NOTICE_MX_STALE])
                break;
        }
        least = life < least ? life : least;
        most = life > most ? life : most;
        done(&world);
    }
    assert_in_range(least, 270, 285);
    assert_in_range(most, 315, 331);
}

/* The askers' time is over before the DNS answers; who asks later has what came. */
static void test_late_answers_serve_later(void **state)
{
    struct world world;
    const struct facts *facts;

    (void)state;
    world_init(&world);
    world.dns_timeout = 20;
    world_open_with(&world, 100);
    rule_add(&world,
             (struct rule){ANSWER_MX, "example.com", FACTS_OK, "5 mx3.example.com", 300, 90});
    rule_add(&world, (struct rule){ANSWER_AAAA, "mx1.example.com", FACTS_NONE, "", 300, 90});
    facts = ask_mx(&world);
    assert_int_equal(facts->state, FACTS_FAIL);
    facts = ask_addr(&world); /* the half that is there */
    assert_int_equal(facts->state, FACTS_OK);
    assert_true(facts->addr.aaaa_failed);
    assert_int_equal(facts->ttl, 30);
    assert_true(box_wait(world.base, has_own_mx, &world, SOON));
    box_wait(world.base, box_never, NULL, 100);
    facts = ask_addr(&world);
    assert_false(facts->addr.aaaa_failed);
    assert_int_equal(facts->ttl, 300);
    assert_int_equal(world.dns.asked, 3);
    done(&world);
}

struct herd {
    unsigned count, wrong;
};

static void on_herd(void *arg, const struct facts *facts)
{
    struct herd *herd = arg;

    herd->count++;
    herd->wrong += !facts || facts->mx.count != 2;
    facts_unref(facts);
}

static bool is_herd_served(void *arg)
{
    return ((struct herd *)arg)->count >= 2000;
}

static void test_herd(void **state)
{
    struct world world;
    struct herd herd = {0};

    (void)state;
    world_open(&world);
    for (int i = 0; i < 2000; i++)
        fetch_ask(world.fetch, FACTS_MX, "example.com", i % 2 ? FETCH_OWN : FETCH_ANY, 1000,
                  on_herd, &herd);
    assert_true(box_wait(world.base, is_herd_served, &herd, SOON));
    assert_int_equal(herd.wrong, 0);
    assert_int_equal(world.dns.asked, 1);
    assert_int_equal(world.notices.count[NOTICE_HERD_JOINED], 1999);
    done(&world);
}

static void test_budget_of_a_waiter(void **state)
{
    struct world world;

    (void)state;
    world_open(&world);
    rule_add(&world,
             (struct rule){ANSWER_MX, "example.com", FACTS_OK, "5 mx3.example.com", 300, 150});
    assert_null(ask_for(&world, FACTS_MX, "example.com", FETCH_OWN, 20));
    assert_int_equal(world.dns.open, 1); /* goes on behind */
    assert_true(box_wait(world.base, has_own_mx, &world, SOON));
    fake_ms += 301 * 1000;
    assert_int_equal(ask_for(&world, FACTS_MX, "example.com", FETCH_OWN, 20)->mx.count, 1);
    assert_int_equal(world.notices.count[NOTICE_MX_STALE], 1);
    done(&world);
}

/* A DNS that never answers is given up; here by the end of the world. */
static void test_freed_under_way(void **state)
{
    struct world world;
    struct answer answer = {0};
    struct fetch_wait *wait;

    (void)state;
    world_open(&world);
    ask_mx(&world);
    wait = fetch_ask(world.fetch, FACTS_ADDR, "silent.example.com", FETCH_ANY, 9, on_done, &answer);
    fetch_ask(world.fetch, FACTS_ADDR, "silent.example.com", FETCH_ANY, 9, on_done, &answer);
    fetch_ask(world.fetch, FACTS_MX, "example.com", FETCH_ANY, 9, on_done, &answer);
    fetch_cancel(wait);
    assert_int_equal(world.dns.open, 2);
    done(&world);
    assert_int_equal(answer.count, 0);
}

static void test_silent_dns_is_given_up(void **state)
{
    struct world world;
    struct answer answer = {0};

    (void)state;
    world_open(&world);
    fetch_ask(world.fetch, FACTS_ADDR, "silent.example.com", FETCH_ANY, 9000, on_done, &answer);
    assert_true(box_wait(world.base, is_answered, &answer, 6000));
    assert_int_equal(answer.facts->state, FACTS_FAIL);
    assert_int_equal(world.dns.open, 0);
    answer_clear(&answer);
    done(&world);
}

static void test_failure_serves_stale_and_rests(void **state)
{
    struct world world;
    const struct facts *facts;

    (void)state;
    world_open(&world);
    ask_mx(&world);
    rule_add(&world, (struct rule){ANSWER_MX, "example.com", FACTS_FAIL, "", 0, 1});
    fake_ms += 301 * 1000;
    facts = ask_mx(&world);
    assert_int_equal(facts->state, FACTS_OK); /* expired, kept */
    assert_int_equal(world.notices.count[NOTICE_MX_STALE], 1);
    assert_int_equal(world.dns.asked, 2);
    assert_int_equal(ask_mx(&world)->mx.count, 2); /* resting: not asked */
    assert_int_equal(world.dns.asked, 2);
    assert_false(has_own_mx(&world));
    fake_ms += 1000; /* the first rest */
    ask_mx(&world);
    assert_int_equal(world.dns.asked, 3);
    fake_ms += 1500;
    ask_mx(&world);
    assert_int_equal(world.dns.asked, 3); /* the second is longer */
    fake_ms += 600;
    ask_mx(&world);
    assert_int_equal(world.dns.asked, 4);
    fake_ms += STALE + 1000;
    assert_int_equal(ask_mx(&world)->state, FACTS_FAIL);
    assert_true(has_own_mx(&world)); /* the failure itself is known now */
    world.dns.rules--;
    fake_ms += 30000;
    assert_int_equal(ask_mx(&world)->state, FACTS_OK);
    done(&world);
}

static void test_one_family_fails(void **state)
{
    struct world world;
    const struct facts *facts;

    (void)state;
    world_open(&world);
    ask_addr(&world);
    rule_add(&world, (struct rule){ANSWER_AAAA, "mx1.example.com", FACTS_FAIL, "", 60, 1});
    rule_add(&world, (struct rule){ANSWER_A, "mx1.example.com", FACTS_OK, "192.0.2.9", 300, 1});
    fake_ms += 201 * 1000;
    facts = ask_addr(&world);
    assert_int_equal(facts->addr.a_count, 1);
    assert_int_equal(facts->addr.a[0].bytes[3], 9);
    assert_int_equal(facts->addr.aaaa_count, 1); /* the last good one */
    assert_true(facts->addr.aaaa_failed);
    assert_int_equal(facts->ttl, 30);
    fake_ms += STALE;
    assert_int_equal(ask_addr(&world)->addr.aaaa_count, 0); /* not for ever */
    world.dns.rules -= 2;
    fake_ms += 31 * 1000;
    assert_int_equal(ask_addr(&world)->addr.aaaa_count, 1);
    done(&world);
}

static void test_changed_is_carried(void **state)
{
    struct world world;
    const struct facts *facts;
    int64_t changed;

    (void)state;
    world_open(&world);
    ask_mx(&world);
    rule_add(&world,
             (struct rule){ANSWER_MX, "example.com", FACTS_OK, "5 mx3.example.com", 300, 1});
    fake_ms += 301 * 1000;
    facts = ask_mx(&world);
    assert_int_equal(facts->changed, facts->fetched);
    changed = facts->changed;
    fake_ms += 301 * 1000;
    facts = ask_mx(&world);
    assert_int_equal(facts->changed, changed);
    assert_true(facts->fetched > changed);
    done(&world);
}

struct meddler {
    struct world *world;
    struct fetch_wait *victim;
    struct answer answer;
};

static void on_meddle(void *arg, const struct facts *facts)
{
    struct meddler *meddler = arg;

    facts_unref(facts);
    fetch_cancel(meddler->victim);
    fetch_purge(meddler->world->fetch, "example.com");
    fetch_ask(meddler->world->fetch, FACTS_MX, "example.com", FETCH_ANY, 1000, on_done,
              &meddler->answer);
}

static bool is_meddler_answered(void *arg)
{
    return ((struct meddler *)arg)->answer.count > 0;
}

static void test_callback_cancels_and_asks(void **state)
{
    struct world world;
    struct meddler meddler = {.world = &world};
    struct answer victim = {0}, last = {0};

    (void)state;
    world_open(&world);
    fetch_ask(world.fetch, FACTS_MX, "example.com", FETCH_ANY, 1000, on_meddle, &meddler);
    meddler.victim =
        fetch_ask(world.fetch, FACTS_MX, "example.com", FETCH_ANY, 1000, on_done, &victim);
    fetch_ask(world.fetch, FACTS_MX, "example.com", FETCH_ANY, 1000, on_done, &last);
    assert_true(box_wait(world.base, is_meddler_answered, &meddler, SOON));
    assert_int_equal(victim.count, 0);
    assert_int_equal(last.count, 1);
    assert_int_equal(world.dns.asked, 2);
    answer_clear(&meddler.answer);
    answer_clear(&last);
    done(&world);
}

static void test_refresh(void **state)
{
    struct world world;

    (void)state;
    world_open(&world);
    fetch_refresh(world.fetch, FACTS_MX, "example.com", 60000);
    fetch_refresh(world.fetch, FACTS_MX, "example.com", 60000);
    assert_true(box_wait(world.base, has_own_mx, &world, SOON));
    fetch_refresh(world.fetch, FACTS_MX, "example.com", 60000);
    assert_int_equal(world.dns.asked, 1);
    fake_ms += 241 * 1000;
    fetch_refresh(world.fetch, FACTS_MX, "example.com", 60000);
    assert_int_equal(world.dns.asked, 2);
    ask_mx(&world); /* not waited for: still fresh */
    rule_add(&world,
             (struct rule){ANSWER_MX, "short.example.com", FACTS_OK, "1 mx1.example.com", 30, 1});
    ask_for(&world, FACTS_MX, "short.example.com", FETCH_OWN, 1000);
    fetch_refresh(world.fetch, FACTS_MX, "short.example.com", 60000);
    assert_int_equal(world.dns.asked, 3);
    fake_ms += 16 * 1000;
    fetch_refresh(world.fetch, FACTS_MX, "short.example.com", 60000);
    assert_int_equal(world.dns.asked, 4);
    done(&world);
}

static bool is_dns_idle(void *arg)
{
    return ((struct world *)arg)->dns.open == 0;
}

/* A look-up ahead of time that fails takes nothing away, and rests. */
static void test_refresh_fails(void **state)
{
    struct world world;

    (void)state;
    world_open(&world);
    ask_mx(&world);
    rule_add(&world, (struct rule){ANSWER_MX, "example.com", FACTS_FAIL, "", 60, 1});
    fake_ms += 290 * 1000;
    fetch_refresh(world.fetch, FACTS_MX, "example.com", 20000);
    assert_true(box_wait(world.base, is_dns_idle, &world, SOON));
    assert_true(has_own_mx(&world));
    fetch_refresh(world.fetch, FACTS_MX, "example.com", 20000);
    assert_int_equal(world.dns.asked, 2);
    fake_ms += 1000;
    fetch_refresh(world.fetch, FACTS_MX, "example.com", 20000);
    assert_int_equal(world.dns.asked, 3);
    done(&world);
}

static void test_bounded(void **state)
{
    struct world world;

    (void)state;
    world_init(&world);
    world_open_with(&world, 1);
    ask_mx(&world);
    ask_addr(&world);
    assert_false(has_own_mx(&world));
    assert_int_equal(world.notices.count[NOTICE_EVICTED], 1);
    done(&world);
}

static void test_forget_without_redis(void **state)
{
    struct world world;

    (void)state;
    world_open(&world);
    for (int i = 0; i < 3; i++) {
        ask_mx(&world);
        assert_true(has_own_mx(&world));
        if (i == 0)
            fetch_forget(world.fetch, FACTS_MX, "example.com");
        else if (i == 1)
            fetch_forget_all(world.fetch);
        else
            fetch_purge(world.fetch, "example.com");
        assert_false(has_own_mx(&world));
    }
    assert_int_equal(world.dns.asked, 3);
    assert_null(fetch_peek_stale(world.fetch, FACTS_MX, "example.com", FETCH_OWN));
    done(&world);
}

/* From here on with a real Redis. */

static bool is_store_up(void *arg)
{
    return store_is_up(((struct world *)arg)->store);
}

static bool is_all_up(void *arg)
{
    return is_store_up(arg) && track_is_up(((struct world *)arg)->track);
}

static void on_changed(void *arg, const char *key)
{
    struct world *world = arg;
    const char *rest;

    if (!key) {
        fetch_forget_all(world->fetch);
        return;
    }
    switch (keys_parse("mxw1", key, &rest)) {
    case KEYS_MX: fetch_forget(world->fetch, FACTS_MX, rest); break;
    case KEYS_SRV: fetch_forget(world->fetch, FACTS_SRV, rest); break;
    case KEYS_ADDR: fetch_forget(world->fetch, FACTS_ADDR, rest); break;
    default: break;
    }
}

static void real_open(struct world *world)
{
    static const char *const prefix[] = {"mxw1:mx:", "mxw1:addr:"};
    struct store_options server = {.user = "", .password = "", .timeout = 500};
    struct track_hooks hooks = {.changed = on_changed, .arg = world};
    struct track_options track = {
        .prefix = prefix, .prefix_count = 2, .heartbeat = "none", .quiet = 60000};

    world_init(world);
    box_open(&world->box);
    server.path = world->box.path;
    track.server = server;
    world->store = store_new(world->base, &server, &world->clock, &world->dns, &world->notice);
    world->track = track_new(world->base, &track, &world->dns, &hooks, &world->notice);
    world_open_with(world, 100);
    assert_true(box_wait(world->base, is_all_up, world, SOON));
}

static void real_close(struct world *world)
{
    done(world);
    box_close(&world->box);
}

static bool is_mx_written(void *arg)
{
    return !strcmp(box_say(&((struct world *)arg)->box, "EXISTS mxw1:mx:example.com"), "1");
}

static bool is_addr_written(void *arg)
{
    return !strcmp(box_say(&((struct world *)arg)->box, "EXISTS mxw1:addr:mx1.example.com"), "1");
}

static bool is_invalidated(void *arg)
{
    return ((struct world *)arg)->notices.count[NOTICE_INVALIDATED] > 0;
}

static void test_real_written_as_the_contract_says(void **state)
{
    struct world world;
    int ttl;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world);
    box_say(&world.box, "SET mxw1:mx:example.com another-type");
    ask_mx(&world);
    ask_addr(&world);
    assert_true(box_wait(world.base, is_addr_written, &world, SOON));
    assert_string_equal(box_say(&world.box, "HGET mxw1:mx:example.com order"),
                        "10 mx1.example.com,20 mx2.example.com");
    assert_string_equal(box_say(&world.box, "HGET mxw1:mx:example.com ttl"), "300");
    assert_string_equal(box_say(&world.box, "HGET mxw1:mx:example.com state"), "ok");
    assert_string_equal(box_say(&world.box, "HGET mxw1:addr:mx1.example.com a"), "[192.0.2.1]");
    assert_string_equal(box_say(&world.box, "HGET mxw1:addr:mx1.example.com aaaa"),
                        "[2001:db8::1]");
    ttl = atoi(box_say(&world.box, "TTL mxw1:mx:example.com"));
    assert_true(ttl > 1290 && ttl <= 1300);
    real_close(&world);
}

/* Its key is one of mx, its name the domain's; and nobody can set it by a domain so called. */
static void test_real_services(void **state)
{
    struct world world;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world);
    add_services(&world);
    rule_add(&world, (struct rule){ANSWER_MX, FACTS_SRV_LABELS "example.com", FACTS_OK,
                                   "10 mx9.example.com", 300, 1});
    ask_for(&world, FACTS_SRV, "example.com", FETCH_ANY, 1000);
    ask_for(&world, FACTS_MX, FACTS_SRV_LABELS "example.com", FETCH_ANY, 1000);
    ask_mx(&world);
    ask_addr(&world);
    assert_true(box_wait(world.base, is_addr_written, &world, SOON));
    assert_string_equal(box_say(&world.box, "HGET mxw1:mx:_smtp._tcp.example.com order"),
                        "10 60 2525 mx1.example.com,10 40 25 mx2.example.com");
    assert_true(has_own_srv(&world));
    box_say(&world.box, "DEL mxw1:mx:_smtp._tcp.example.com");
    assert_true(box_wait(world.base, has_no_own_srv, &world, 1000));
    assert_true(has_own_mx(&world));
    fetch_purge(world.fetch, "example.com");
    while (atoi(box_say(&world.box, "EXISTS mxw1:mx:example.com mxw1:addr:mx1.example.com")))
        box_wait(world.base, box_never, NULL, 10);
    real_close(&world);
}

/* Two nodes on one server, the second's name cold while the first is asking. */
static void test_real_lease(void **state)
{
    struct fetch_options options;
    struct answer first = {0}, second = {0}, own = {0};
    struct world world;
    struct fetch *other;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world);
    world.dns_timeout = 2000;
    options = options_of(&world, 100);
    fetch_set_options(world.fetch, &options);
    other = fetch_new(world.base, &options, &world.clock, &world.dns, world.store, &world.notice);
    rule_add(&world,
             (struct rule){ANSWER_MX, "example.com", FACTS_OK, "10 mx1.example.com", 300, 100});
    fetch_ask(other, FACTS_MX, "example.com", FETCH_ANY, 3000, on_done, &first);
    box_wait(world.base, box_never, NULL, 20);
    assert_string_equal(box_say(&world.box, "EXISTS mxw1:lease:mx:example.com"), "1");
    assert_true(atoi(box_say(&world.box, "PTTL mxw1:lease:mx:example.com")) <= 1000);
    fetch_ask(world.fetch, FACTS_MX, "example.com", FETCH_ANY, 3000, on_done, &second);
    assert_true(box_wait(world.base, is_answered, &second, 500)); /* told by tracking */
    assert_true(first.facts->own && !second.facts->own);
    assert_int_equal(world.dns.asked, 1);
    assert_string_equal(box_say(&world.box, "EXISTS mxw1:lease:mx:example.com"), "0");

    /* Taken by nobody who is there; and never for those who must resolve it themselves. */
    box_say(&world.box, "SET mxw1:lease:addr:mx1.example.com 1");
    fetch_ask(world.fetch, FACTS_ADDR, "mx1.example.com", FETCH_OWN, 3000, on_done, &own);
    assert_true(box_wait(world.base, is_answered, &own, 500));
    assert_true(box_wait(world.base, is_addr_written, &world, SOON));
    answer_clear(&second);
    box_say(&world.box, "SET mxw1:lease:addr:mx1.example.com 1");
    fetch_purge(other, "mx1.example.com");
    box_wait(world.base, box_never, NULL, 20);
    fetch_ask(other, FACTS_ADDR, "mx1.example.com", FETCH_ANY, 3000, on_done, &second);
    box_wait(world.base, box_never, NULL, 500);
    assert_int_equal(second.count, 0);
    assert_true(box_wait(world.base, is_answered, &second, 1000));
    assert_true(second.facts->own);
    answer_clear(&first);
    answer_clear(&second);
    answer_clear(&own);
    fetch_free(other);
    real_close(&world);
}

/* However long the DNS may take: a job that waited for another node to its end would tell that it
 * cannot be told, and had asked nobody. */
static void test_real_lease_is_short(void **state)
{
    struct answer answer = {0};
    struct fetch_options options;
    struct world world;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world);
    world.dns_timeout = 30000;
    options = options_of(&world, 100);
    fetch_set_options(world.fetch, &options);
    rule_add(&world,
             (struct rule){ANSWER_MX, "example.com", FACTS_OK, "10 mx1.example.com", 300, 100});
    fetch_ask(world.fetch, FACTS_MX, "example.com", FETCH_ANY, 3000, on_done, &answer);
    box_wait(world.base, box_never, NULL, 20);
    assert_in_range(atoi(box_say(&world.box, "PTTL mxw1:lease:mx:example.com")), 1, 2500);
    assert_true(box_wait(world.base, is_answered, &answer, SOON));
    assert_true(answer.facts->own);
    answer_clear(&answer);
    real_close(&world);
}

#define SECRET "0123456789abcdef"

/* A server that holds the ordering and mx1's addresses, written by a node under its secret; and a new
 * node, with a secret or without. */
static void real_second(struct world *world, const char *secret)
{
    real_open(world);
    fetch_free(world->fetch);
    world->secret = SECRET;
    world_open_with(world, 100);
    rule_add(world,
             (struct rule){ANSWER_MX, "other.example.com", FACTS_OK, "10 mx9.example.com", 300, 1});
    ask_for(world, FACTS_MX, "other.example.com", FETCH_OWN, 1000);
    ask_mx(world);
    ask_addr(world);
    assert_true(box_wait(world->base, is_addr_written, world, SOON));
    fetch_free(world->fetch);
    world->secret = secret;
    world_open_with(world, 100);
    world->dns.asked = 0;
}

/* A command, and time for every echo of it. */
static void by_hand(struct world *world, const char *command)
{
    world->notices.count[NOTICE_INVALIDATED] = 0;
    box_say(&world->box, command);
    assert_true(box_wait(world->base, is_invalidated, world, SOON));
    box_wait(world->base, box_never, NULL, 20);
}

static void test_real_proven_serves_routes(void **state)
{
    struct world world;
    const struct facts *facts;

    (void)state;
    BOX_NEEDS_SERVER();
    real_second(&world, SECRET);
    facts = ask_mx(&world);
    assert_true(facts->proven && !facts->own);
    assert_int_equal(facts->mx.count, 2);
    assert_true(ask_addr(&world)->proven);
    assert_true(has_own_mx(&world));
    fetch_refresh(world.fetch, FACTS_MX, "example.com", 60000);
    fetch_refresh(world.fetch, FACTS_ADDR, "mx1.example.com", 60000);
    box_wait(world.base, box_never, NULL, 20);
    assert_int_equal(world.dns.asked, 0);
    by_hand(&world, "DEL mxw1:mx:example.com");
    assert_false(has_own_mx(&world));
    assert_true(ask_mx(&world)->own);
    assert_int_equal(world.dns.asked, 1);
    real_close(&world);
}

/* Done to what a node wrote under the secret. */
static const char *const forgeries[] = {
    "COPY mxw1:mx:other.example.com mxw1:mx:example.com REPLACE", /* signed, for another key */
    "HSET mxw1:addr:mx1.example.com a [203.0.113.66]",
    "HSET mxw1:mx:example.com expires 1",
    "HSET mxw1:mx:example.com fetched 99999999999",
    "HSET mxw1:mx:example.com more 1",
    "HSET mxw1:mx:example.com mac 0",
    "HDEL mxw1:mx:example.com mac",
    "HDEL mxw1:mx:example.com changed",
};

/* Before the new node has read the value, and after. */
static void test_real_forged_never_routes(void **state)
{
    (void)state;
    BOX_NEEDS_SERVER();
    for (size_t i = 0; i < 2 * sizeof forgeries / sizeof *forgeries; i++) {
        struct world world;
        const struct facts *facts;
        struct net_addr addr;
        real_second(&world, SECRET);
        if (i % 2)
            assert_true(ask_mx(&world)->proven && ask_addr(&world)->proven);
        by_hand(&world, forgeries[i / 2]);
        facts = ask_mx(&world);
        if (!facts || !facts_are_trusted(facts) || facts->mx.count != 2)
            fail_msg("%s: taken", forgeries[i / 2]);
        facts = ask_addr(&world);
        assert_true(net_addr_parse("192.0.2.1", &addr));
        if (!facts || !facts_are_trusted(facts) || !facts_have_addr(facts, &addr))
            fail_msg("%s: taken", forgeries[i / 2]);
        assert_true(i % 2 || world.dns.asked > 0);
        real_close(&world);
    }
}

/* Of another site, and of one that has none. */
static void test_real_other_secrets(void **state)
{
    static const char *const secret[] = {"another secret 16", NULL};

    (void)state;
    BOX_NEEDS_SERVER();
    for (size_t i = 0; i < 2; i++) {
        struct world world;
        real_second(&world, secret[i]);
        assert_false(facts_are_trusted(ask_for(&world, FACTS_MX, "example.com", FETCH_ANY, 1000)));
        assert_true(ask_mx(&world)->own);
        real_close(&world);
    }
}

static void change_secret(struct world *world)
{
    struct fetch_options options;

    world->secret = "another secret 16";
    options = options_of(world, 100);
    fetch_set_options(world->fetch, &options);
}

static void test_real_secret_changes(void **state)
{
    struct world world;

    (void)state;
    BOX_NEEDS_SERVER();
    real_second(&world, SECRET);
    assert_true(ask_mx(&world)->proven);
    change_secret(&world);
    assert_false(has_own_mx(&world));
    assert_true(ask_mx(&world)->own);
    real_close(&world);
}

/* The same while what the old one proves is on its way. */
static void test_real_secret_changes_meanwhile(void **state)
{
    struct answer answer = {0};
    struct world world;

    (void)state;
    BOX_NEEDS_SERVER();
    real_second(&world, SECRET);
    fetch_ask(world.fetch, FACTS_MX, "example.com", FETCH_OWN, 1000, on_done, &answer);
    change_secret(&world);
    assert_true(box_wait(world.base, is_answered, &answer, SOON));
    assert_true(answer.facts && answer.facts->own);
    answer_clear(&answer);
    real_close(&world);
}

static void write_shared_mx(struct world *world, const char *order, int64_t life)
{
    char line[256], now[32];

    snprintf(now, sizeof(now), "%ld", (long)clock_unix(&world->clock));
    snprintf(
        line, sizeof(line),
        "HSET mxw1:mx:example.com ttl 300 fetched %s changed %s expires %ld state ok order %%s",
        now, now, (long)(clock_unix(&world->clock) + life));
    redisContext *context = box_connect(&world->box);
    redisReply *reply = redisCommand(context, line, order);
    freeReplyObject(reply);
    redisFree(context);
    world->notices.count[NOTICE_INVALIDATED] = 0;
    assert_true(box_wait(world->base, is_invalidated, world, SOON));
}

static void test_real_shared_guides_the_guard_only(void **state)
{
    struct world world;
    const struct facts *facts;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world);
    write_shared_mx(&world, "10 shared.example.com", 100);
    facts = ask_for(&world, FACTS_MX, "example.com", FETCH_ANY, 1000);
    assert_false(facts->own);
    assert_string_equal(facts->mx.host[0].name, "shared.example.com");
    assert_int_equal(world.dns.asked, 0);
    assert_int_equal(world.notices.count[NOTICE_MX_SHARED], 1);
    assert_true(has_fresh(&world, FACTS_MX, "example.com", FETCH_ANY));
    assert_false(has_own_mx(&world));
    facts = ask_mx(&world);
    assert_true(facts->own);
    assert_string_equal(facts->mx.host[0].name, "mx1.example.com");
    assert_int_equal(facts->changed, facts->fetched); /* another set than the one known before */
    real_close(&world);
}

/* One asker takes Redis' word, the other does not: each gets his own. */
static void test_real_two_trusts_one_job(void **state)
{
    struct world world;
    struct answer any = {0}, own = {0};

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world);
    write_shared_mx(&world, "10 shared.example.com", 100);
    rule_add(&world,
             (struct rule){ANSWER_MX, "example.com", FACTS_OK, "10 mx1.example.com", 300, 200});
    fetch_ask(world.fetch, FACTS_MX, "example.com", FETCH_ANY, 1000, on_done, &any);
    fetch_ask(world.fetch, FACTS_MX, "example.com", FETCH_OWN, 1000, on_done, &own);
    assert_true(box_wait(world.base, is_answered, &any, SOON));
    assert_int_equal(own.count, 0);
    assert_false(any.facts->own);
    assert_true(box_wait(world.base, is_answered, &own, SOON));
    assert_true(own.facts->own);
    assert_int_equal(world.dns.asked, 1);
    answer_clear(&any);
    answer_clear(&own);
    real_close(&world);
}

static void test_real_expired_or_poisoned(void **state)
{
    struct world world;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world);
    write_shared_mx(&world, "10 shared.example.com", -10);
    assert_true(ask_for(&world, FACTS_MX, "example.com", FETCH_ANY, 1000)->own);
    assert_int_equal(world.dns.asked, 1);
    fetch_purge(world.fetch, "example.com");
    write_shared_mx(&world, "10 not a name", 100);
    assert_true(ask_for(&world, FACTS_MX, "example.com", FETCH_ANY, 1000)->own);
    box_say(&world.box, "SET mxw1:addr:mx1.example.com text");
    assert_true(ask_for(&world, FACTS_ADDR, "mx1.example.com", FETCH_ANY, 1000)->own);
    real_close(&world);
}

static void test_real_stale_of_another_node(void **state)
{
    struct world world;
    const struct facts *facts;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world);
    write_shared_mx(&world, "10 shared.example.com", -10);
    rule_add(&world, (struct rule){ANSWER_MX, "example.com", FACTS_FAIL, "", 0, 1});
    facts = ask_for(&world, FACTS_MX, "example.com", FETCH_ANY, 1000);
    assert_int_equal(facts->state, FACTS_OK);
    assert_false(facts->own);
    assert_int_equal(ask_mx(&world)->state, FACTS_FAIL); /* but not for a route */
    real_close(&world);
}

static void test_real_echo_and_delete(void **state)
{
    struct world world;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world);
    ask_mx(&world);
    assert_true(box_wait(world.base, is_invalidated, &world, SOON));
    box_wait(world.base, box_never, NULL, 50); /* for the look at the key to have its answer */
    assert_true(has_own_mx(&world));           /* the echo took nothing away */

    write_shared_mx(&world, "10 mx1.example.com,20 mx2.example.com", 600);
    box_wait(world.base, box_never, NULL, 50);
    assert_true(has_own_mx(&world)); /* another node resolved the same */
    write_shared_mx(&world, "10 other.example.com", 310);
    box_wait(world.base, box_never, NULL, 50);
    assert_true(has_own_mx(&world)); /* nor does a turn-about of nodes that differ */

    box_say(&world.box, "DEL mxw1:mx:example.com");
    assert_true(box_wait(world.base, has_no_own_mx, &world, 1000));
    ask_mx(&world);
    assert_int_equal(world.dns.asked, 2);
    assert_true(box_wait(world.base, is_mx_written, &world, SOON));

    write_shared_mx(&world, "10 other.example.com", 600);
    assert_true(box_wait(world.base, has_no_own_mx, &world, 1000)); /* clearly newer */
    real_close(&world);
}

static void test_real_purge_and_flush(void **state)
{
    struct world world;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world);
    ask_mx(&world);
    ask_addr(&world);
    assert_true(box_wait(world.base, is_addr_written, &world, SOON));
    fetch_purge(world.fetch, "example.com");
    assert_false(has_own_mx(&world));
    assert_false(has_fresh(&world, FACTS_ADDR, "mx1.example.com", FETCH_ANY));
    for (int i = 0; i < 100 && (is_mx_written(&world) || is_addr_written(&world)); i++)
        box_wait(world.base, box_never, NULL, 10);
    assert_false(is_mx_written(&world));
    assert_false(is_addr_written(&world));
    ask_mx(&world);
    assert_true(box_wait(world.base, is_mx_written, &world, SOON));
    box_say(&world.box, "FLUSHALL");
    assert_true(box_wait(world.base, has_no_own_mx, &world, 1000));
    real_close(&world);
}

/* Redis hangs with a read under way: the DNS is asked when the store's budget is over. */
static void test_real_redis_hangs(void **state)
{
    struct world world;

    (void)state;
    BOX_NEEDS_SERVER();
    real_open(&world);
    kill(world.box.pid, SIGSTOP);
    assert_true(ask_for(&world, FACTS_MX, "example.com", FETCH_ANY, 1500)->own);
    assert_int_equal(world.notices.count[NOTICE_REDIS_TIMEOUT], 1);
    assert_true(ask_for(&world, FACTS_ADDR, "mx1.example.com", FETCH_ANY, 100)->own); /* at once */
    real_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cold_then_warm),
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_in_use_is_renewed),
        cmocka_unit_test(test_nodes_expire_apart),
        cmocka_unit_test(test_late_answers_serve_later),
        cmocka_unit_test(test_families_are_joined),
        cmocka_unit_test(test_herd),
        cmocka_unit_test(test_budget_of_a_waiter),
        cmocka_unit_test(test_freed_under_way),
        cmocka_unit_test(test_silent_dns_is_given_up),
        cmocka_unit_test(test_failure_serves_stale_and_rests),
        cmocka_unit_test(test_one_family_fails),
        cmocka_unit_test(test_changed_is_carried),
        cmocka_unit_test(test_callback_cancels_and_asks),
        cmocka_unit_test(test_refresh),
        cmocka_unit_test(test_refresh_fails),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_forget_without_redis),
        cmocka_unit_test(test_real_written_as_the_contract_says),
        cmocka_unit_test(test_real_services),
        cmocka_unit_test(test_real_lease),
        cmocka_unit_test(test_real_lease_is_short),
        cmocka_unit_test(test_real_proven_serves_routes),
        cmocka_unit_test(test_real_forged_never_routes),
        cmocka_unit_test(test_real_other_secrets),
        cmocka_unit_test(test_real_secret_changes),
        cmocka_unit_test(test_real_secret_changes_meanwhile),
        cmocka_unit_test(test_real_shared_guides_the_guard_only),
        cmocka_unit_test(test_real_two_trusts_one_job),
        cmocka_unit_test(test_real_expired_or_poisoned),
        cmocka_unit_test(test_real_stale_of_another_node),
        cmocka_unit_test(test_real_echo_and_delete),
        cmocka_unit_test(test_real_purge_and_flush),
        cmocka_unit_test(test_real_redis_hangs),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
