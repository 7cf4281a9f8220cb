/*
 * The survey's rounds. Pools are few and matter most: all of them every second. Domains may be
 * thousands: a slice a second, so that a round takes at most half a minute.
 */
#include "policy/survey.h"

#include "cache/local.h"
#include "policy/gather.h"
#include "policy/override.h"
#include "policy/site.h"
#include "policy/watch.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROUND_SECONDS = 30,
    SLICE_MIN = 200,  /* domains a second at least */
    FIRST_TICKS = 20, /* a quick beginning: ticks of FIRST_TICK_MS, one second in all */
    FIRST_TICK_MS = 50,
    AHEAD_MS = 20000,    /* fetch again when this little is left */
    LAST_LIMIT = 400000, /* names whose last good facts are kept */
};

struct survey {
    struct survey_parts parts;
    struct conf *conf;
    struct event *tick;
    struct local *last; /* "m:name", "a:name" to facts */
    size_t next;        /* the domain that the next slice begins with */
    unsigned ticks;
    survey_ready *ready; /* NULL once called */
    void *arg;
};

static void last_release(void *value)
{
    facts_unref(value);
}

static char *last_key(enum facts_kind kind, const char *name, char out[NAME_SIZE + 2])
{
    snprintf(out, NAME_SIZE + 2, "%c:%s", kind == FACTS_MX ? 'm' : 'a', name);
    return out;
}

/* Has the facts fetched ahead, and keeps them if they are good. False: nothing known yet. */
static bool keep(struct survey *survey, enum facts_kind kind, const char *name)
{
    const struct facts *facts;
    char key[NAME_SIZE + 2];
    bool known;

    fetch_refresh(survey->parts.fetch, kind, name, AHEAD_MS);
    facts = fetch_peek_stale(survey->parts.fetch, kind, name, FETCH_OWN);
    known = facts != NULL;
    if (facts && facts->state == FACTS_OK &&
        local_get(survey->last, last_key(kind, name, key), 0) != facts)
        local_put(survey->last, key, (void *)facts, 0, INT64_MAX);
    else
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
 * host at its best, or everything where this host is no MX of the domain. */
static void watch_order(struct survey *survey, const struct conf_domain *domain,
                        const struct order *order, unsigned purposes)
{
    struct standing standing = find_standing(survey, order);

    for (size_t i = 0; i < order->count; i++) {
        const struct order_host *host = &order->host[i];
        unsigned preference = host->host.preference;

        if ((purposes & WATCH_GUARD) && standing.found && preference < standing.worst)
            watch_facts(survey, host->host.name, 25, host->addr, false, WATCH_GUARD,
                        domain->domain);
        if ((purposes & WATCH_ROUTE) && (!standing.found || preference < standing.best)) {
            watch_facts(survey, host->host.name, 25, host->addr, false, WATCH_ROUTE,
                        domain->domain);
            override_want(survey->parts.override, host->host.name, 25);
        }
    }
}

static void survey_domain(struct survey *survey, const struct conf_domain *domain)
{
    unsigned purposes = 0;
    const struct facts *mx;
    struct order order;

    if (domain->guard.mode != CONF_MODE_OFF)
        purposes |= WATCH_GUARD;
    if (domain->routing.route == CONF_ROUTE_MX || domain->routing.route == CONF_ROUTE_PRIMARY)
        purposes |= WATCH_ROUTE;
    if (!purposes || !*domain->domain)
        return;
    keep(survey, FACTS_MX, domain->domain);
    mx = fetch_peek_stale(survey->parts.fetch, FACTS_MX, domain->domain, FETCH_OWN);
    for (size_t i = 0; i < order_names(mx); i++)
        keep(survey, FACTS_ADDR, order_name(mx, domain->domain, i));
    facts_unref(mx);
    if (gather_peek_order(survey->parts.fetch, FACTS_MX, domain->domain, FETCH_OWN, true, &order)) {
        watch_order(survey, domain, &order, purposes);
        order_clear(&order);
    }
}

static void survey_slice(struct survey *survey)
{
    size_t count = survey->conf->domain_count;
    size_t slice = count / ROUND_SECONDS + SLICE_MIN;

    for (size_t i = 0; i < slice && i < count; i++) {
        survey->next = survey->next < count ? survey->next : 0;
        survey_domain(survey, &survey->conf->domain[survey->next++]);
    }
}

static void schedule(struct survey *survey)
{
    struct timeval soon = {.tv_usec = FIRST_TICK_MS * 1000}, second = {.tv_sec = 1};

    event_add(survey->tick, survey->ticks < FIRST_TICKS ? &soon : &second);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct survey *survey = arg;
    bool known = survey_pools(survey);

    (void)fd;
    (void)what;
    survey_slice(survey);
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

void survey_free(struct survey *survey)
{
    if (!survey)
        return;
    if (survey->tick)
        event_free(survey->tick);
    if (survey->last)
        local_free(survey->last);
    conf_unref(survey->conf);
    free(survey);
}

void survey_set_conf(struct survey *survey, struct conf *conf)
{
    struct conf *old = survey->conf;

    survey->conf = conf_ref(conf);
    survey->next = 0;
    survey->ticks = 0;
    conf_unref(old);
    event_active(survey->tick, EV_TIMEOUT, 0);
}
