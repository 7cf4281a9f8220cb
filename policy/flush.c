/*
 * The domains with `flush`, and the look at their hosts: after each change of health all of them,
 * else a part every second, which finds changes of orderings, weights and overrides.
 */
#include "policy/flush.h"

#include "cache/clock.h"
#include "policy/etrn_queue.h"
#include "policy/events.h"
#include "policy/gather.h"
#include "policy/log.h"
#include "policy/override.h"
#include "policy/owed.h"
#include "policy/recovery.h"
#include "policy/route.h"
#include "policy/site_self.h"
#include "policy/stats.h"
#include "policy/survey.h"
#include "policy/watch.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROUND_SECONDS = 30,
    SLICE_MIN = 200, /* domains a second at least */
    AT_ONCE = 500,   /* domains between two turns of the loop */
    BY_HAND_MS = 8000,
    AGAIN_MS = 300000, /* after a round of tries that came to nothing; then twice as long */
    ROUNDS = 5,        /* 75 minutes: by then a mail server has tried again in its own time */
};

struct flushed {
    const struct conf_domain *section; /* of flush->conf */
    struct recovery recovery;
    bool under_way;  /* its ETRN is, so that what is owed stays owed */
    unsigned rounds; /* that came to nothing, one after the other */
    int64_t again;   /* monotonic ms of the next round; 0: none is to come */
};

struct flush {
    struct flush_parts parts;
    struct conf *conf;
    struct event *tick, *look;
    struct etrn_queue *queue;
    struct owed *owed;
    size_t count, next;
    size_t looked;          /* domains of the look under way */
    bool keeps;             /* which writes down what is owed of each */
    struct flushed *domain; /* sorted by name */
};

/* The hosts of one domain at one moment. */
struct candidates {
    size_t count;
    struct recovery_host host[TIER_MAX_HOSTS];
};

/* --- looking at hosts --------------------------------------------------------------------------- */

static enum recovery_use use_of(const struct flush *flush, const struct tier_host *host)
{
    enum override_state state = override_get(flush->parts.override, host->name, host->port).state;
    struct watch_host_view view = watch_get_host(flush->parts.watch, host->name, host->port);

    if (state == OVERRIDE_DRAIN || state == OVERRIDE_DOWN || host->resolve == TIER_ABSENT)
        return RECOVERY_OUT_OF_USE;
    switch (view.state) {
    case HEALTH_UP: return RECOVERY_IN_USE;
    case HEALTH_DOWN: return RECOVERY_OUT_OF_USE;
    case HEALTH_UNKNOWN: break;
    }
    return RECOVERY_UNKNOWN;
}

/* While such a host is down, it is probed more often. */
static void want_host(const struct flush *flush, const struct tier_host *host,
                      const struct facts *addr, bool private_too)
{
    struct net_addr all[2 * FACTS_MAX_ADDRS];
    size_t count = 1;

    if (!net_addr_parse(host->name, &all[0]))
        count = order_addresses(addr, private_too, all, sizeof all / sizeof *all);
    for (size_t i = 0; i < count; i++)
        watch_want(flush->parts.watch, host->name, host->port, &all[i], WATCH_FLUSH, NULL);
}

/* Mail can go only to what is better than this host, where that is one of them. addr[i] belongs to
 * facts->host[i]. */
static void candidates_fill(const struct flush *flush, const struct route_facts *facts,
                            const struct facts *const *addr, struct candidates *out)
{
    uint32_t own = UINT32_MAX;

    for (size_t i = 0; i < facts->host_count; i++)
        if (facts->host[i].self && facts->host[i].tier < own)
            own = facts->host[i].tier;
    for (size_t i = 0; i < facts->host_count; i++) {
        const struct tier_host *host = &facts->host[i];
        if (host->tier >= own || host->weight == 0)
            continue;
        want_host(flush, host, addr[i], facts->plan.route == CONF_ROUTE_POOL);
        out->host[out->count++] =
            (struct recovery_host){.tier = host->tier, .use = use_of(flush, host)};
    }
}

static void look_at_pool(const struct flush *flush, struct route_facts *facts,
                         const struct route_self *self, struct candidates *out)
{
    const struct conf_pool *pool = facts->plan.routing->pool;
    const struct facts *addr[TIER_MAX_HOSTS] = {0};
    size_t count = 0;

    for (size_t t = 0; t < pool->tier_count; t++)
        for (size_t h = 0; h < pool->tier[t].host_count && count < TIER_MAX_HOSTS; h++)
            addr[count++] =
                survey_last(flush->parts.survey, FACTS_ADDR, pool->tier[t].host[h].name);
    route_fill(facts, addr, self);
    candidates_fill(flush, facts, addr, out);
    for (size_t i = 0; i < count; i++)
        facts_unref(addr[i]);
}

/* facts->order is there. */
static void look_at_order(const struct flush *flush, struct route_facts *facts,
                          const struct route_self *self, struct candidates *out)
{
    const struct facts *addr[FACTS_MAX_HOSTS] = {0};

    for (size_t i = 0; i < facts->order->count; i++)
        addr[i] = facts->order->host[i].addr;
    route_fill(facts, NULL, self);
    candidates_fill(flush, facts, addr, out);
}

/* A domain without a route goes by its MX records, as one with route primary does, and so does one
 * with route srv that has no SRV records. */
static enum conf_route find_route(const struct flush *flush, const struct conf_domain *section)
{
    enum conf_route route = section->routing.route;
    const struct facts *srv;

    if (route == CONF_ROUTE_SRV) {
        srv = fetch_peek_stale(flush->parts.fetch, FACTS_SRV, section->domain, FETCH_OWN);
        if (route_goes_by_mx(srv))
            route = CONF_ROUTE_OFF;
        facts_unref(srv);
    }
    return route == CONF_ROUTE_OFF ? CONF_ROUTE_PRIMARY : route;
}

static void look_at(const struct flush *flush, const struct conf_domain *section,
                    struct candidates *out)
{
    struct address address = {0};
    struct order order;
    struct route_facts facts = {.address = &address, .order = &order};
    const struct route_self self = site_self(flush->parts.site);
    enum facts_kind kind;

    out->count = 0;
    snprintf(address.domain, sizeof address.domain, "%s", section->domain);
    facts.plan = (struct route_plan){
        .route = find_route(flush, section), .section = section, .routing = &section->routing};
    kind = facts.plan.route == CONF_ROUTE_SRV ? FACTS_SRV : FACTS_MX;
    if (facts.plan.route == CONF_ROUTE_POOL) {
        facts.order = NULL;
        look_at_pool(flush, &facts, &self, out);
    } else if (gather_peek_order(flush->parts.fetch, kind, address.domain, FETCH_OWN, true,
                                 &order)) {
        look_at_order(flush, &facts, &self, out);
        order_clear(&order);
    }
}

/* --- what follows ------------------------------------------------------------------------------- */

void flush_note(struct flush *flush, const char *domain, const char *server,
                const struct etrn_answer *answer)
{
    char reply[ETRN_REPLY * 4], line[ETRN_REPLY * 4 + 2 * NAME_SIZE + 300];

    log_escape(answer->reply, reply, sizeof reply);
    snprintf(line, sizeof line, "flush domain=%s server=%s result=%s reply=%s", domain, server,
             etrn_result_name(answer->result), reply);
    if (answer->result == ETRN_DONE)
        log_info("%s", line);
    else
        log_warning("%s: the queue is not flushed (%s)", line, etrn_hint(answer));
    events_put(flush->parts.events, EVENTS_SITE, line);
    stats_add_kind(flush->parts.stats, "flush", etrn_result_name(answer->result));
}

struct etrn *flush_now(struct flush *flush, const struct conf_domain *section, etrn_done *done,
                       void *arg)
{
    const struct conf_socket *server = section->flush;

    return etrn_start(flush->parts.base, &server->addr, server->port, flush->conf->node,
                      &section->domain, 1, BY_HAND_MS, done, arg);
}

/* What a later process has to know: that something better is away, or nothing; or that a server has
 * not heard yet of what is back, so that its queue waits whichever tier is in use. */
static void keep_owed(struct flush *flush, const struct flushed *domain,
                      const struct candidates *now)
{
    const char *name = domain->section->domain;

    if (!domain->recovery.known || domain->under_way)
        return;
    if (domain->again)
        owed_put(flush->owed, name, RECOVERY_NO_TIER);
    else if (recovery_is_whole(&domain->recovery, now->host, now->count))
        owed_drop(flush->owed, name);
    else
        owed_put(flush->owed, name, domain->recovery.tier);
}

static void send_etrn(struct flush *flush, struct flushed *domain, const char *why)
{
    log_info("flush domain=%s server=%s: %s", domain->section->domain, domain->section->flush->text,
             why);
    domain->under_way = true;
    domain->again = 0;
    etrn_queue_put(flush->queue, domain->section->flush, domain->section->domain);
}

/* With no host in use there is nothing to send to: the recovery that follows will do. */
static bool is_due(const struct flushed *domain)
{
    return domain->again && domain->recovery.tier != RECOVERY_NO_TIER &&
           clock_mono() >= domain->again;
}

static void recovered(struct flush *flush, struct flushed *domain)
{
    domain->rounds = 0;
    send_etrn(flush, domain, "a better tier is back");
}

static void look_at_domain(struct flush *flush, struct flushed *domain)
{
    struct recovery before = domain->recovery;
    struct candidates now;

    look_at(flush, domain->section, &now);
    if (recovery_note(&domain->recovery, now.host, now.count))
        recovered(flush, domain);
    else if (is_due(domain))
        send_etrn(flush, domain, "it was not told so far");
    else if (flush->keeps || before.known != domain->recovery.known ||
             before.tier != domain->recovery.tier)
        keep_owed(flush, domain, &now);
}

static int compare_name(const void *key, const void *item)
{
    const struct flushed *domain = item;

    return strcmp(key, domain->section->domain);
}

static struct flushed *find_domain(const struct flush *flush, const char *name)
{
    return flush->count
               ? bsearch(name, flush->domain, flush->count, sizeof *flush->domain, compare_name)
               : NULL;
}

static void on_settled(void *arg, const char *name, const char *server,
                       const struct etrn_answer *answer)
{
    struct flush *flush = arg;
    struct flushed *domain = find_domain(flush, name);
    struct candidates now;

    flush_note(flush, name, server, answer);
    /* The word of a server that a reload has replaced settles nothing. */
    if (!domain || strcmp(server, domain->section->flush->text) != 0)
        return;
    domain->under_way = false;
    if (!etrn_is_final(answer) && ++domain->rounds < ROUNDS)
        domain->again = clock_mono() + ((int64_t)AGAIN_MS << (domain->rounds - 1));
    look_at(flush, domain->section, &now);
    keep_owed(flush, domain, &now);
}

/* --- what was owed before ------------------------------------------------------------------------ */

static void on_recall(void *arg, const char *name, uint32_t tier)
{
    struct flush *flush = arg;
    struct flushed *domain = find_domain(flush, name);

    if (domain && recovery_recall(&domain->recovery, tier))
        recovered(flush, domain);
}

static void on_recalled(void *arg)
{
    struct flush *flush = arg;

    flush->keeps = true;
    flush_changed(flush);
}

/* --- life --------------------------------------------------------------------------------------- */

/* A change meanwhile begins the look anew. */
static void on_look(evutil_socket_t fd, short what, void *arg)
{
    const struct timeval soon = {.tv_usec = 1000};
    struct flush *flush = arg;

    (void)fd, (void)what;
    for (size_t i = 0; i < AT_ONCE && flush->looked < flush->count; i++)
        look_at_domain(flush, &flush->domain[flush->looked++]);
    if (flush->looked < flush->count)
        event_add(flush->look, &soon);
    else
        flush->keeps = false;
}

void flush_changed(struct flush *flush)
{
    flush->looked = 0;
    event_active(flush->look, EV_TIMEOUT, 0);
}

void flush_store_up(struct flush *flush)
{
    owed_up(flush->owed);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct flush *flush = arg;
    size_t slice = flush->count / ROUND_SECONDS + SLICE_MIN;

    (void)fd, (void)what;
    for (size_t i = 0; i < slice && i < flush->count; i++) {
        flush->next = flush->next < flush->count ? flush->next : 0;
        look_at_domain(flush, &flush->domain[flush->next++]);
    }
}

/* What is known of domains goes on where they still have `flush`. */
static void take_conf(struct flush *flush, struct conf *conf)
{
    struct flushed *domain = calloc(conf->domain_count + 1, sizeof *domain);
    size_t count = 0;

    for (size_t i = 0; domain && i < conf->domain_count; i++) {
        const struct conf_domain *section = &conf->domain[i];
        const struct flushed *old = find_domain(flush, section->domain);
        if (!section->flush || !*section->domain)
            continue;
        if (old)
            domain[count] = *old;
        domain[count++].section = section;
    }
    free(flush->domain);
    flush->domain = domain;
    flush->count = count;
    flush->next = 0;
}

/* What is not settled goes to the server that is named now, if any is. */
static void move_unsettled(struct flush *flush, const struct conf *conf)
{
    for (size_t i = 0; i < flush->count; i++) {
        struct flushed *domain = &flush->domain[i];
        const struct conf_domain *old = domain->section;
        const struct conf_domain *new = conf_find_domain(conf, old->domain, true);
        const struct conf_socket *server = new ? new->flush : NULL;
        if (!server)
            owed_drop(flush->owed, old->domain);
        if ((!domain->under_way && !domain->again) ||
            (server && strcmp(server->text, old->flush->text) == 0))
            continue;
        etrn_queue_remove(flush->queue, old->flush, old->domain);
        if (!server)
            continue;
        etrn_queue_put(flush->queue, server, old->domain);
        domain->under_way = true;
        domain->again = 0;
        domain->rounds = 0;
    }
}

void flush_set_conf(struct flush *flush, struct conf *conf)
{
    struct conf *old = flush->conf;

    move_unsettled(flush, conf);
    take_conf(flush, conf);
    flush->conf = conf_ref(conf);
    conf_unref(old);
    flush_changed(flush);
}

struct flush *flush_new(const struct flush_parts *parts, struct conf *conf)
{
    const struct timeval second = {.tv_sec = 1};
    struct flush *flush = calloc(1, sizeof *flush);
    const struct owed_hooks hooks = {.recall = on_recall, .recalled = on_recalled, .arg = flush};

    if (!flush)
        return NULL;
    flush->parts = *parts;
    flush->conf = conf_ref(conf);
    take_conf(flush, conf);
    flush->tick = event_new(parts->base, -1, EV_PERSIST, on_tick, flush);
    flush->look = evtimer_new(parts->base, on_look, flush);
    flush->queue = etrn_queue_new(parts->base, flush->conf->node, on_settled, flush);
    flush->owed = owed_new(conf->cache.prefix, conf->node, parts->store, &hooks);
    if (flush->tick && flush->look && flush->queue && flush->owed &&
        event_add(flush->tick, &second) == 0)
        return flush;
    flush_free(flush);
    return NULL;
}

void flush_free(struct flush *flush)
{
    if (!flush)
        return;
    if (flush->tick)
        event_free(flush->tick);
    if (flush->look)
        event_free(flush->look);
    etrn_queue_free(flush->queue);
    owed_free(flush->owed);
    free(flush->domain);
    conf_unref(flush->conf);
    free(flush);
}
