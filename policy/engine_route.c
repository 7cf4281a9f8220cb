/*
 * Route questions: gather the pool's addresses or the domain's ordering, choose, answer. And
 * orderings for people.
 */
#include "policy/engine_question.h"

#include "policy/log.h"
#include "policy/site_self.h"
#include "policy/stats.h"
#include "policy/survey.h"

#include "cache/hash.h"

#include <string.h>

/* Names being looked up at which no more are for the sake of a match: half of what the DNS part
 * takes at a time, and a host's name asks for two families. */
enum { MATCH_LOOKUPS = 500 };

/* --- from facts to the answer ------------------------------------------------------------------ */

static void answer(struct engine_question *q)
{
    struct route_choice choice;
    const struct route_self self = site_self(q->engine->parts.site);
    char reply[ROUTE_REPLY_SIZE];
    uint64_t random = 0;

    route_fill(&q->route, q->pool_addr, &self);
    engine_look(q);
    hash_random(&random, sizeof random);
    route_choose(&q->route, random, &choice);
    route_format(&q->route, &choice, reply);
    if (q->kind == ENGINE_SHOW_ROUTE) {
        struct engine_routed_view view = {.facts = &q->route, .choice = &choice, .reply = reply};
        q->done.route_view(q->arg, &view);
    } else {
        stats_add_kind(q->engine->parts.stats, "route", route_outcome_name(choice.outcome));
        log_debug("route domain=%s outcome=%s us=%lld", q->address.domain,
                  route_outcome_name(choice.outcome), (long long)(engine_now_us() - q->began_us));
        q->done.routed(q->arg, reply);
    }
    engine_end(q);
}

static int64_t remaining(const struct engine_question *q)
{
    int64_t left = q->deadline - clock_mono();

    return left > 0 ? left : 0;
}

/* --- orderings: mx, primary and srv; for a match, the MX set ----------------------------------- */

static enum facts_kind planned_kind(const struct engine_question *q)
{
    return q->route.plan.route == CONF_ROUTE_SRV ? FACTS_SRV : FACTS_MX;
}

/* Whatever the DNS would not say in time is filled from the last good answers: of the ordering, and
 * of each of its hosts. */
static void fill_from_last(struct engine_question *q, struct order *order)
{
    struct survey *survey = q->engine->parts.survey;
    const struct facts *addr[FACTS_MAX_HOSTS] = {0};
    const struct facts *mx = order->mx && order->state != FACTS_FAIL
                                 ? facts_ref(order->mx)
                                 : survey_last(survey, planned_kind(q), q->address.domain);
    size_t count = order_names(mx);

    for (size_t i = 0; i < count; i++) {
        bool same = i < order->count && order->mx == mx;
        if (same && order->host[i].resolve != ORDER_UNKNOWN)
            addr[i] = facts_ref(order->host[i].addr);
        else
            addr[i] = survey_last(survey, FACTS_ADDR, order_name(mx, q->address.domain, i));
    }
    order_init(&q->order, mx, q->address.domain, addr);
    q->has_order = true;
    for (size_t i = 0; i < count; i++)
        facts_unref(addr[i]);
    facts_unref(mx);
}

static void got_order(void *arg, struct order *order)
{
    struct engine_question *q = arg;

    q->gather = NULL;
    fill_from_last(q, order);
    order_clear(order);
    q->route.order = &q->order;
    answer(q);
}

/* done comes now, where nothing has to be fetched, or later. */
static void gather_ordering(struct engine_question *q, enum facts_kind kind,
                            gather_order_done *done)
{
    struct fetch *fetch = q->engine->parts.fetch;
    const char *domain = q->address.domain;
    struct order order;

    if (!gather_peek_order(fetch, kind, domain, FETCH_OWN, false, &order)) {
        q->gather = gather_order(fetch, kind, domain, FETCH_OWN, remaining(q), done, q);
        if (q->gather)
            return;
        order_init(&order, NULL, domain, NULL);
    }
    done(q, &order);
}

/* --- pools -------------------------------------------------------------------------------------- */

static const struct facts *find_pool_addr(struct engine_question *q, const char *name)
{
    struct fetch *fetch = q->engine->parts.fetch;
    const struct facts *facts = fetch_peek(fetch, FACTS_ADDR, name, FETCH_OWN);

    if (!facts)
        facts = fetch_peek_stale(fetch, FACTS_ADDR, name, FETCH_OWN);
    if (facts && facts->state != FACTS_FAIL)
        return facts;
    facts_unref(facts);
    return survey_last(q->engine->parts.survey, FACTS_ADDR, name);
}

/* Fills in what is known; true when some host's addresses never were. */
static bool peek_pool(struct engine_question *q, const struct conf_pool *pool,
                      const char *name[GATHER_MAX])
{
    bool missing = false;

    for (size_t t = 0; t < pool->tier_count; t++)
        for (size_t h = 0; h < pool->tier[t].host_count && q->pool_count < GATHER_MAX; h++) {
            const struct conf_pool_host *host = &pool->tier[t].host[h];
            size_t at = q->pool_count++;

            name[at] = "";
            if (host->addr.family != NET_NONE)
                continue;
            q->pool_addr[at] = find_pool_addr(q, host->name);
            if (!q->pool_addr[at]) {
                name[at] = host->name;
                missing = true;
            }
        }
    return missing;
}

static void got_pool(void *arg, const struct facts **addr, size_t count)
{
    struct engine_question *q = arg;

    q->gather = NULL;
    for (size_t i = 0; i < count; i++)
        if (addr[i] && !q->pool_addr[i])
            q->pool_addr[i] = addr[i];
        else
            facts_unref(addr[i]);
    answer(q);
}

static void gather_pool(struct engine_question *q, const struct conf_pool *pool)
{
    const char *name[GATHER_MAX];

    if (peek_pool(q, pool, name))
        q->gather = gather_hosts(q->engine->parts.fetch, name, q->pool_count, FETCH_OWN,
                                 remaining(q), got_pool, q);
    if (!q->gather)
        answer(q);
}

/* --- the door ----------------------------------------------------------------------------------- */

static void gather_planned(struct engine_question *q)
{
    const struct route_plan *plan = &q->route.plan;

    switch (plan->route) {
    case CONF_ROUTE_OFF: answer(q); return;
    case CONF_ROUTE_MX:
    case CONF_ROUTE_PRIMARY:
    case CONF_ROUTE_SRV: gather_ordering(q, planned_kind(q), got_order); return;
    case CONF_ROUTE_POOL: gather_pool(q, plan->routing->pool); return;
    }
}

static void got_match_order(void *arg, struct order *order)
{
    struct engine_question *q = arg;

    q->gather = NULL;
    q->mx = *order;
    q->has_mx = true;
    q->route.mx = &q->mx;
    gather_planned(q);
}

/* Whether this host is one of the domain's is told by their addresses. */
static void gather_matched(struct engine_question *q)
{
    const struct route_plan *plan = &q->route.plan;

    if (plan->match && (plan->route == CONF_ROUTE_POOL || plan->route == CONF_ROUTE_SRV))
        gather_ordering(q, FACTS_MX, got_match_order);
    else
        gather_planned(q);
}

static void got_mx(void *arg, const struct facts *mx)
{
    struct engine_question *q = arg;

    q->mx_wait = NULL;
    route_plan_match(&q->route.plan, q->conf, mx, q->address.domain);
    facts_unref(mx);
    gather_matched(q);
}

/* Domains that anybody may name: their look-ups leave room for those of the configured ones. */
static void gather_match(struct engine_question *q)
{
    struct fetch *fetch = q->engine->parts.fetch;
    const char *domain = q->address.domain;
    const struct facts *mx = fetch_peek(fetch, FACTS_MX, domain, FETCH_OWN);

    if (!mx && fetch_count(fetch) >= MATCH_LOOKUPS)
        mx = fetch_peek_stale(fetch, FACTS_MX, domain, FETCH_OWN);
    else if (!mx)
        q->mx_wait = fetch_ask(fetch, FACTS_MX, domain, FETCH_OWN, remaining(q), got_mx, q);
    if (!q->mx_wait)
        got_mx(q, mx);
}

static void step_route(struct engine_question *q)
{
    q->deadline = clock_mono() + ENGINE_ROUTE_BUDGET_MS;
    q->route.plan = route_plan(q->conf, &q->address);
    if (q->route.plan.by_match)
        gather_match(q);
    else
        gather_planned(q);
}

/* A local part too long or too odd to be hashed still has a domain: a pool never answers NOTFOUND,
 * least of all because of what a stranger put before the '@'. */
static void parse_address(const char *text, struct address *out)
{
    const char *at = strrchr(text, '@');

    if (!address_parse(text, out) && at)
        name_normalize(at + 1, strlen(at + 1), out->domain);
}

/* The key of a map as an address; of Sendmail's it is a domain without a local part. Its ".parent"
 * and "." are no domains: what holds for parents was found for the whole name. */
static void parse_key(enum route_map map, const char *key, struct address *out)
{
    switch (map) {
    case ROUTE_TRANSPORT: parse_address(key, out); break;
    case ROUTE_MAILERTABLE: name_normalize(key, strlen(key), out->domain); break;
    }
}

static struct engine_question *begin_route(struct engine *engine, enum engine_kind kind,
                                           enum route_map map, const char *key, void *arg)
{
    struct engine_question *q = engine_begin(engine, kind, step_route, arg);

    if (!q)
        return NULL;
    parse_key(map, key, &q->address); /* what has no domain has no route */
    q->route.map = map;
    q->route.address = &q->address;
    return q;
}

struct engine_question *engine_route(struct engine *engine, enum route_map map, const char *key,
                                     engine_routed *done, void *arg)
{
    struct engine_question *q = begin_route(engine, ENGINE_ROUTE, map, key, arg);

    if (q)
        q->done.routed = done;
    return q;
}

struct engine_question *engine_show_route(struct engine *engine, enum route_map map,
                                          const char *key, engine_route_view_done *done, void *arg)
{
    struct engine_question *q = begin_route(engine, ENGINE_SHOW_ROUTE, map, key, arg);

    if (q)
        q->done.route_view = done;
    return q;
}

/* --- orderings for people ------------------------------------------------------------------------ */

static void got_order_shown(void *arg, struct order *order)
{
    struct engine_question *q = arg;

    q->gather = NULL;
    q->done.order_done(q->arg, order);
    order_clear(order);
    engine_end(q);
}

static void step_show_order(struct engine_question *q)
{
    struct order order;

    q->gather = gather_order(q->engine->parts.fetch, FACTS_MX, q->domain, FETCH_ANY, q->budget,
                             got_order_shown, q);
    if (q->gather)
        return;
    order_init(&order, NULL, q->domain, NULL);
    got_order_shown(q, &order);
}

struct engine_question *engine_show_order(struct engine *engine, const char *domain, int64_t budget,
                                          engine_order_done *done, void *arg)
{
    struct engine_question *q = engine_begin(engine, ENGINE_SHOW_ORDER, step_show_order, arg);

    if (!q)
        return NULL;
    q->done.order_done = done;
    q->budget = budget;
    strncpy(q->domain, domain, sizeof q->domain - 1);
    return q;
}
