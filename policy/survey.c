/*
 * The survey's rounds. Pools are few and matter most: all of them every second, and before any
 * domain. Domains may be thousands: a slice a second, so that a round takes half a minute, or as
 * long as it must with a bounded number of look-ups under way. What is known costs a visit nothing
 * but looking ahead; what is not is gathered, the ordering and then its hosts.
 */
#include "policy/survey.h"

#include "cache/local.h"
#include "policy/gather.h"
#include "policy/override.h"
#include "policy/route.h"
#include "policy/site.h"
#include "policy/watch.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROUND_SECONDS = 30,
    SLICE_MIN = 200,  /* domains a second at least */
    FIRST_TICKS = 20, /* a quick beginning: ticks of SOON_MS, one second in all */
    SOON_MS = 50,
    VISITS = 64,         /* orderings being gathered at a time */
    LOOKUPS = 200,       /* names being looked up, by anybody, at which a tick visits no more */
    LEAST = 10,          /* but so many: strangers' names must not stop the configured ones */
    VISIT_MS = 5000,     /* as long as a look-up can take */
    AHEAD_MS = 20000,    /* fetch again when this little is left */
    LAST_LIMIT = 400000, /* names whose last good facts are kept */
};

/* One ordering of a domain, and what its hosts are wanted for. */
struct visit {
    struct survey *survey;
    const struct conf_domain *domain;
    enum facts_kind kind;
    unsigned purposes;
    struct gather *gather; /* NULL: free */
};

struct survey {
    struct survey_parts parts;
    struct conf *conf;
    struct event *tick;
    struct local *last; /* "m:name", "s:name", "a:name" to facts */
    size_t next;        /* the domain that is visited next */
    size_t due;         /* how many are to be visited by now */
    unsigned ticks;     /* of the quick beginning, then seconds */
    bool is_behind;     /* too much under way: the others soon */
    struct visit visit[VISITS];
    survey_ready *ready; /* NULL once called */
    void *arg;
};

static void last_release(void *value)
{
    facts_unref(value);
}

static char *last_key(enum facts_kind kind, const char *name, char out[NAME_SIZE + 2])
{
    static const char letter[] = {[FACTS_MX] = 'm', [FACTS_SRV] = 's', [FACTS_ADDR] = 'a'};

    snprintf(out, NAME_SIZE + 2, "%c:%s", letter[kind], name);
    return out;
}

/* "No MX" is as good an answer as any: the domain's own address serves. */
static bool is_good(const struct facts *facts)
{
    return facts->state == FACTS_OK || (facts->kind == FACTS_MX && facts->state == FACTS_NONE);
}

static void remember(struct survey *survey, enum facts_kind kind, const char *name,
                     const struct facts *facts)
{
    char key[NAME_SIZE + 2];

    if (facts && is_good(facts) && local_get(survey->last, last_key(kind, name, key), 0) != facts)
        local_put(survey->last, key, facts_ref(facts), 0, INT64_MAX);
}

/* Has the facts fetched ahead, and keeps them if they are good. False: nothing known yet. */
static bool keep(struct survey *survey, enum facts_kind kind, const char *name)
{
    const struct facts *facts;
    bool known;

    fetch_refresh(survey->parts.fetch, kind, name, AHEAD_MS);
    facts = fetch_peek_stale(survey->parts.fetch, kind, name, FETCH_OWN);
    known = facts != NULL;
    remember(survey, kind, name, facts);
    facts_unref(facts);
    return known;
}

const struct facts *survey_last(struct survey *survey, enum facts_kind kind, const char *name)
{
    char key[NAME_SIZE + 2];
    const struct facts *facts = local_get(survey->last, last_key(kind, name, key), 0);

    return facts ? facts_ref(facts) : NULL;
}

static void watch_facts(struct survey *survey, const char *host, uint16_t port,
                        const struct facts *addr, bool private_too, enum watch_purpose purpose,
                        const char *domain)
{
    struct net_addr all[2 * FACTS_MAX_ADDRS];
    size_t count = order_addresses(addr, private_too, all, sizeof all / sizeof *all);

    for (size_t i = 0; i < count; i++)
        watch_want(survey->parts.watch, host, port, &all[i], purpose, domain);
    if (purpose != WATCH_ROUTE || !addr || addr->state != FACTS_OK)
        return;
    count = order_addresses(addr, true, all, sizeof all / sizeof *all); /* a pool's too */
    watch_only(survey->parts.watch, host, port, all, count, WATCH_ROUTE | WATCH_FLUSH);
}

/* False while the host has not been resolved. */
static bool survey_pool_host(struct survey *survey, const struct conf_pool_host *host)
{
    const struct facts *addr;
    bool known;

    override_want(survey->parts.override, host->name, host->port);
    if (host->addr.family != NET_NONE) {
        watch_want(survey->parts.watch, host->name, host->port, &host->addr, WATCH_ROUTE, NULL);
        return true;
    }
    known = keep(survey, FACTS_ADDR, host->name);
    addr = survey_last(survey, FACTS_ADDR, host->name);
    watch_facts(survey, host->name, host->port, addr, true, WATCH_ROUTE, NULL);
    facts_unref(addr);
    return known;
}

static bool survey_pools(struct survey *survey)
{
    bool known = true;

    for (size_t p = 0; p < survey->conf->pool_count; p++) {
        const struct conf_pool *pool = &survey->conf->pool[p];
        for (size_t t = 0; t < pool->tier_count; t++)
            for (size_t h = 0; h < pool->tier[t].host_count; h++)
                known = survey_pool_host(survey, &pool->tier[t].host[h]) && known;
    }
    return known;
}

/* Where this host stands in an ordering: the best and the worst preference at which it is found. */
struct standing {
    bool found;
    unsigned best, worst;
};

static bool is_here(const struct survey *survey, const struct order_host *host)
{
    struct net_addr all[2 * FACTS_MAX_ADDRS];
    size_t count = order_addresses(host->addr, true, all, sizeof all / sizeof *all);

    if (site_is_self_name(survey->parts.site, host->host.name))
        return true;
    for (size_t i = 0; i < count; i++)
        if (site_is_listener(survey->parts.site, &all[i]))
            return true;
    return false;
}

static struct standing find_standing(const struct survey *survey, const struct order *order)
{
    struct standing standing = {.found = false};

    for (size_t i = 0; i < order->count; i++) {
        if (!is_here(survey, &order->host[i]))
            continue;
        if (!standing.found)
            standing.best = order->host[i].host.preference;
        standing.worst = order->host[i].host.preference;
        standing.found = true;
    }
    return standing;
}

/* The guard looks at what is better than any listener here; a route names what is better than this
 * host at its best, or everything where this host is no host of the ordering. */
static void watch_order(struct survey *survey, const struct visit *visit, const struct order *order)
{
    struct standing standing = find_standing(survey, order);
    const char *domain = visit->domain->domain;

    for (size_t i = 0; i < order->count; i++) {
        const struct order_host *from = &order->host[i];
        const struct facts_host *host = &from->host;
        unsigned preference = host->preference;

        if ((visit->purposes & WATCH_GUARD) && standing.found && preference < standing.worst)
            watch_facts(survey, host->name, host->port, from->addr, false, WATCH_GUARD, domain);
        if ((visit->purposes & WATCH_ROUTE) && (!standing.found || preference < standing.best)) {
            watch_facts(survey, host->name, host->port, from->addr, false, WATCH_ROUTE, domain);
            override_want(survey->parts.override, host->name, host->port);
        }
    }
}

static void on_gathered(void *arg, struct order *order)
{
    struct visit *visit = arg;
    struct survey *survey = visit->survey;

    visit->gather = NULL;
    remember(survey, visit->kind, visit->domain->domain, order->mx);
    for (size_t i = 0; i < order->count; i++)
        remember(survey, FACTS_ADDR, order->host[i].host.name, order->host[i].addr);
    watch_order(survey, visit, order);
    order_clear(order);
}

/* False: no room for one more under way. Out of memory is not that: the next round tries again. */
static bool gather_visit(struct survey *survey, const struct visit *visit)
{
    size_t at = 0;

    while (at < VISITS && survey->visit[at].gather)
        at++;
    if (at == VISITS)
        return false;
    survey->visit[at] = *visit;
    survey->visit[at].gather = gather_order(survey->parts.fetch, visit->kind, visit->domain->domain,
                                            FETCH_OWN, VISIT_MS, on_gathered, &survey->visit[at]);
    return true;
}

/* False where it is to be tried again soon. */
static bool see(struct survey *survey, const struct visit *visit)
{
    const char *domain = visit->domain->domain;
    struct order order;

    if (!gather_peek_order(survey->parts.fetch, visit->kind, domain, FETCH_OWN, true, &order))
        return gather_visit(survey, visit);
    keep(survey, visit->kind, domain);
    for (size_t i = 0; i < order.count; i++)
        keep(survey, FACTS_ADDR, order.host[i].host.name);
    watch_order(survey, visit, &order);
    order_clear(&order);
    return true;
}

/* Whether its queue is flushed by what its MX records name (flush.c). */
static bool is_flushed_by_mx(struct survey *survey, const struct conf_domain *domain)
{
    const struct facts *srv;
    bool goes;

    if (!domain->flush || domain->routing.route != CONF_ROUTE_SRV)
        return domain->flush && domain->routing.route == CONF_ROUTE_OFF;
    srv = fetch_peek_stale(survey->parts.fetch, FACTS_SRV, domain->domain, FETCH_OWN);
    goes = route_goes_by_mx(srv);
    facts_unref(srv);
    return goes;
}

static bool visit_domain(struct survey *survey, const struct conf_domain *domain)
{
    struct visit mx = {.survey = survey, .domain = domain, .kind = FACTS_MX};
    struct visit srv = {
        .survey = survey, .domain = domain, .kind = FACTS_SRV, .purposes = WATCH_ROUTE};
    enum conf_route route = domain->routing.route;

    if (!*domain->domain)
        return true;
    if (domain->guard.mode != CONF_MODE_OFF)
        mx.purposes |= WATCH_GUARD;
    if (route == CONF_ROUTE_MX || route == CONF_ROUTE_PRIMARY || is_flushed_by_mx(survey, domain))
        mx.purposes |= WATCH_ROUTE;
    if (mx.purposes && !see(survey, &mx))
        return false;
    return route != CONF_ROUTE_SRV || see(survey, &srv);
}

static void visit_domains(struct survey *survey)
{
    const struct conf *conf = survey->conf;

    survey->is_behind = false;
    for (size_t visited = 0; survey->due > 0; visited++) {
        if (survey->next >= conf->domain_count)
            survey->next = 0;
        survey->is_behind = (visited >= LEAST && fetch_count(survey->parts.fetch) >= LOOKUPS) ||
                            !visit_domain(survey, &conf->domain[survey->next]);
        if (survey->is_behind)
            return;
        survey->next++;
        survey->due--;
    }
}

/* The first round as soon as may be, the others each in its time. */
static void add_due(struct survey *survey)
{
    size_t count = survey->conf->domain_count;

    survey->due += survey->ticks == 0 ? count : count / ROUND_SECONDS + SLICE_MIN;
    if (survey->due > count)
        survey->due = count;
}

static void schedule(struct survey *survey)
{
    struct timeval soon = {.tv_usec = SOON_MS * 1000}, second = {.tv_sec = 1};
    bool is_soon = survey->ticks < FIRST_TICKS || survey->is_behind;

    event_add(survey->tick, is_soon ? &soon : &second);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct survey *survey = arg;
    bool known = survey_pools(survey);

    (void)fd;
    (void)what;
    if (survey->ticks == 0 || (survey->ticks >= FIRST_TICKS && !survey->is_behind))
        add_due(survey);
    if (known || survey->ticks >= FIRST_TICKS)
        visit_domains(survey);
    survey->ticks++;
    if (survey->ready && (known || survey->ticks >= FIRST_TICKS)) {
        survey_ready *ready = survey->ready;
        survey->ready = NULL;
        ready(survey->arg);
    }
    schedule(survey);
}

struct survey *survey_new(const struct survey_parts *parts, struct conf *conf, survey_ready *ready,
                          void *arg)
{
    struct survey *survey = calloc(1, sizeof *survey);

    if (!survey)
        return NULL;
    survey->parts = *parts;
    survey->conf = conf_ref(conf);
    survey->ready = ready;
    survey->arg = arg;
    survey->last = local_new(LAST_LIMIT, last_release);
    survey->tick = evtimer_new(parts->base, on_tick, survey);
    if (!survey->last || !survey->tick) {
        survey_free(survey);
        return NULL;
    }
    event_active(survey->tick, EV_TIMEOUT, 0);
    return survey;
}

static void stop_visits(struct survey *survey)
{
    for (size_t i = 0; i < VISITS; i++) {
        gather_stop(survey->visit[i].gather);
        survey->visit[i].gather = NULL;
    }
}

void survey_free(struct survey *survey)
{
    if (!survey)
        return;
    stop_visits(survey);
    if (survey->tick)
        event_free(survey->tick);
    if (survey->last)
        local_free(survey->last);
    conf_unref(survey->conf);
    free(survey);
}

static bool is_same_secret(const struct conf *a, const struct conf *b)
{
    return a->cache.secret_size == b->cache.secret_size &&
           (a->cache.secret_size == 0 ||
            memcmp(a->cache.secret, b->cache.secret, a->cache.secret_size) == 0);
}

void survey_set_conf(struct survey *survey, struct conf *conf)
{
    struct conf *old = survey->conf;

    stop_visits(survey); /* their domains are the old one's */
    /* What was proven by the old secret may be forged; what was resolved here fetch still has. */
    if (!is_same_secret(old, conf))
        local_clear_all(survey->last);
    survey->conf = conf_ref(conf);
    survey->next = 0;
    survey->due = 0;
    survey->ticks = 0;
    conf_unref(old);
    event_active(survey->tick, EV_TIMEOUT, 0);
}
