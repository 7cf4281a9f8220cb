/*
 * Routes: from a plan and its facts to the choice of hosts.
 */
#include "policy/route.h"

#include "policy/mailertable.h"

#include <stdio.h>
#include <string.h>

enum { SRV_SPREAD = 100 };

static const struct conf_pool *plan_pool(const struct route_plan *plan)
{
    return plan->route == CONF_ROUTE_POOL ? plan->routing->pool : NULL;
}

static enum tier_spill spill_of(const struct conf_pool *pool)
{
    return pool && pool->spill == CONF_SPILL_PROPORTIONAL ? TIER_PROPORTIONAL : TIER_STRICT;
}

static struct tier_host *add_host(struct route_facts *facts, const char *name, uint16_t port,
                                  uint32_t tier, uint32_t weight)
{
    struct tier_host *host;

    if (facts->host_count == TIER_MAX_HOSTS)
        return NULL;
    host = &facts->host[facts->host_count++];
    memset(host, 0, sizeof *host);
    host->name = name;
    host->port = port;
    host->tier = tier;
    host->weight = weight;
    host->ramp = TIER_FULL_WEIGHT;
    return host;
}

bool route_is_self(const struct route_self *self, const char *name, const struct facts *addr)
{
    struct net_addr all[2 * FACTS_MAX_ADDRS];
    size_t count = order_addresses(addr, true, all, sizeof all / sizeof *all);

    if (self->has_name(self->arg, name))
        return true;
    for (size_t i = 0; i < count; i++)
        if (self->has_addr(self->arg, &all[i]))
            return true;
    return false;
}

static enum tier_resolve pool_resolve(const struct facts *addr)
{
    struct net_addr one;

    if (!addr || addr->state == FACTS_FAIL)
        return TIER_MAY_RESOLVE;
    return order_addresses(addr, true, &one, 1) ? TIER_RESOLVES : TIER_ABSENT;
}

static void fill_pool(struct route_facts *facts, const struct conf_pool *pool,
                      const struct facts *const *pool_addr, const struct route_self *self)
{
    size_t at = 0;

    for (size_t t = 0; t < pool->tier_count; t++) {
        const struct conf_tier *tier = &pool->tier[t];
        for (size_t i = 0; i < tier->host_count; i++, at++) {
            const struct conf_pool_host *from = &tier->host[i];
            struct tier_host *host =
                add_host(facts, from->name, from->port, tier->order, from->weight);
            if (!host)
                return;
            if (from->addr.family != NET_NONE) {
                host->resolve = TIER_RESOLVES;
                host->self = self->has_addr(self->arg, &from->addr);
            } else {
                host->resolve = pool_resolve(pool_addr[at]);
                host->self = route_is_self(self, from->name, pool_addr[at]);
            }
        }
    }
}

static enum tier_resolve mx_resolve(enum order_resolve resolve)
{
    switch (resolve) {
    case ORDER_RESOLVED: return TIER_RESOLVES;
    case ORDER_UNKNOWN: return TIER_MAY_RESOLVE;
    case ORDER_ABSENT:
    case ORDER_UNUSABLE: return TIER_ABSENT;
    }
    return TIER_MAY_RESOLVE;
}

/* Weights of SRV records are spread so far that there is room below 1 (order_weight). */
uint32_t route_weight(const struct route_plan *plan, uint32_t weight)
{
    return plan->route == CONF_ROUTE_SRV ? SRV_SPREAD * weight : weight;
}

/* An MX record has no weight, so the configuration may. An SRV record's 0 gets next to nothing
 * beside any other, and an equal share among its like (RFC 2782). */
static uint32_t order_weight(const struct route_plan *plan, const struct facts_host *host)
{
    if (plan->route == CONF_ROUTE_SRV)
        return host->weight ? route_weight(plan, host->weight) : 1;
    return conf_find_weight(plan->routing, host->name);
}

static void fill_order(struct route_facts *facts, const struct route_self *self)
{
    for (size_t i = 0; facts->order && i < facts->order->count; i++) {
        const struct order_host *from = &facts->order->host[i];
        struct tier_host *host =
            add_host(facts, from->host.name, from->host.port, from->host.preference,
                     order_weight(&facts->plan, &from->host));
        if (!host)
            return;
        host->resolve = mx_resolve(from->resolve);
        host->self = route_is_self(self, from->host.name, from->addr);
        facts->self_in_set = facts->self_in_set || host->self;
    }
}

/* Who is on loopback and nowhere else is this host for whoever asks: "localhost" has no other MX.
 * Facts made of an answer leave such addresses out, and say so. */
static bool is_on_loopback(const struct facts *addr)
{
    struct net_addr one;

    return addr && order_addresses(addr, true, &one, 1) == 0 &&
           (addr->state == FACTS_OK || (addr->warnings & FACTS_WARN_BAD_ADDR));
}

/* Whether mail by this MX set comes to this host. */
static bool has_self(const struct order *order, const struct route_self *self)
{
    for (size_t i = 0; order && i < order->count; i++)
        if (is_on_loopback(order->host[i].addr) ||
            route_is_self(self, order->host[i].host.name, order->host[i].addr))
            return true;
    return false;
}

static bool may_be_self(const struct tier_host *host, const struct route_self *self)
{
    return host->resolve == TIER_MAY_RESOLVE || (self->is_unsure && host->resolve == TIER_RESOLVES);
}

/* Where this host is in none of the places that are known, it may be in one that is not (or, not
 * sure of its own addresses, in any): then only what is better than any of these is named, and the
 * best tier in any case, since mail sent to a worse one could come back here (SPEC 6.2). */
static void keep_better_than_unknown(struct route_facts *facts, const struct route_self *self)
{
    uint32_t unknown = UINT32_MAX;
    size_t kept = 0;

    for (size_t i = 0; i < facts->host_count; i++)
        if (may_be_self(&facts->host[i], self) && facts->host[i].tier < unknown)
            unknown = facts->host[i].tier;
    if (facts->self_in_set)
        return;
    while (kept < facts->host_count &&
           (facts->host[kept].tier < unknown || facts->host[kept].tier == facts->host[0].tier))
        kept++;
    facts->withheld = facts->host_count - kept;
    facts->host_count = kept;
}

static const char *plan_transport(const struct route_plan *plan)
{
    const struct conf_pool *pool = plan_pool(plan);

    return pool ? pool->transport : "smtp";
}

/* Leaves out what the map has no words for, before anything is drawn: the others take its share.
 * This host stays, since it bounds what may be named. */
static void keep_what_can_be_named(struct route_facts *facts)
{
    const char *transport = plan_transport(&facts->plan);
    size_t kept = 0;

    if (facts->map != ROUTE_MAILERTABLE)
        return;
    for (size_t i = 0; i < facts->host_count; i++)
        if (facts->host[i].self || mailertable_can_name(&facts->host[i], transport))
            facts->host[kept++] = facts->host[i];
    facts->unnamed = facts->host_count - kept;
    facts->host_count = kept;
}

void route_fill(struct route_facts *facts, const struct facts *const *pool_addr,
                const struct route_self *self)
{
    const struct conf_pool *pool = plan_pool(&facts->plan);

    facts->host_count = 0;
    facts->self_in_set = false;
    facts->withheld = 0;
    facts->self_in_mx = has_self(facts->mx, self);
    if (pool)
        fill_pool(facts, pool, pool_addr, self);
    else {
        fill_order(facts, self);
        keep_better_than_unknown(facts, self);
    }
    keep_what_can_be_named(facts);
}

/* Sendmail names no recipient: in its map a pool sticks to the domain instead, and the shares of a
 * domain's own ordering are drawn anew each time, since the domain is all that asks for them. */
static enum conf_stick find_stick(const struct route_facts *facts)
{
    const struct conf_pool *pool = plan_pool(&facts->plan);
    enum conf_stick stick = pool ? pool->stick : CONF_STICK_RECIPIENT;

    if (facts->map == ROUTE_MAILERTABLE && stick == CONF_STICK_RECIPIENT)
        return pool ? CONF_STICK_DOMAIN : CONF_STICK_NONE;
    return stick;
}

/* What is hashed: the pool or the domain, and what sticks (SPEC 6.3). */
static void make_key(const struct route_facts *facts, uint64_t random, char *out, size_t size)
{
    const struct conf_pool *pool = plan_pool(&facts->plan);
    const char *scope = pool ? pool->name : facts->address->domain;
    char recipient[ADDRESS_SIZE];

    switch (find_stick(facts)) {
    case CONF_STICK_RECIPIENT:
        snprintf(out, size, "%s %s", scope, address_format(facts->address, true, recipient));
        break;
    case CONF_STICK_DOMAIN: snprintf(out, size, "%s %s", scope, facts->address->domain); break;
    case CONF_STICK_NONE:
        snprintf(out, size, "%s %016llx", scope, (unsigned long long)random);
        break;
    }
}

static void decide(struct route_choice *out, enum route_outcome outcome, const char *why)
{
    out->outcome = outcome;
    out->why = why;
}

/* Nothing known of the ordering: route mx leaves it to the MTA; route primary must not, since by MX
 * the mail could come straight back here and bounce (SPEC 6.8). */
static void decide_unknown(const struct route_facts *facts, struct route_choice *out,
                           const char *why)
{
    decide(out, facts->plan.route == CONF_ROUTE_PRIMARY ? ROUTE_NOTHING : ROUTE_NOTFOUND, why);
}

/* Why an answer to the SRV question, which is no failure, leaves mail to the MX; NULL: it does not. */
static const char *explain_no_srv(const struct facts *srv)
{
    switch (srv->state) {
    case FACTS_NXDOMAIN:
    case FACTS_NONE: return "no SRV records";
    case FACTS_NULL: return "SRV target \".\": no such service (RFC 2782)";
    case FACTS_OK:
        return srv->warnings & FACTS_WARN_NULL ? "a target \".\" among other SRV records" : NULL;
    case FACTS_FAIL: break;
    }
    return NULL;
}

bool route_goes_by_mx(const struct facts *srv)
{
    return srv && explain_no_srv(srv) != NULL;
}

/* What SRV records alone settle: without any, mail goes by the MX. True when they do. */
static bool settle_srv(const struct route_facts *facts, struct route_choice *out)
{
    const struct facts *srv = facts->order ? facts->order->mx : NULL;
    const char *why = "the SRV records could not be had";

    if (srv && srv->state != FACTS_FAIL)
        why = explain_no_srv(srv);
    if (why)
        decide(out, ROUTE_NOTFOUND, why);
    return why;
}

/* For mx and primary: what the ordering alone settles. True when it does. */
static bool settle_order(const struct route_facts *facts, struct route_choice *out)
{
    const struct order *order = facts->order;

    switch (order ? order->state : FACTS_FAIL) {
    case FACTS_FAIL: decide_unknown(facts, out, "the ordering could not be had"); return true;
    case FACTS_NXDOMAIN: decide_unknown(facts, out, "the domain does not exist"); return true;
    case FACTS_NULL:
        decide(out, ROUTE_NULL_MX, "Null MX: the domain accepts no mail (RFC 7505)");
        return true;
    case FACTS_OK:
    case FACTS_NONE: break;
    }
    if (facts->plan.route == CONF_ROUTE_MX && order->mx &&
        (order->mx->warnings & FACTS_WARN_NULL)) {
        decide(out, ROUTE_NOTFOUND, "a Null MX among other MX records");
        return true;
    }
    return false;
}

/* Whether the ordering's best host is this one. A better one counts though it does not exist: by
 * the MX the MTA would find nobody better than itself, and bounce. */
static bool is_self_best(const struct route_facts *facts)
{
    uint32_t best = UINT32_MAX, own = UINT32_MAX;

    for (size_t i = 0; i < facts->host_count; i++) {
        const struct tier_host *host = &facts->host[i];
        if (host->tier < best)
            best = host->tier;
        if (host->self && host->tier < own)
            own = host->tier;
    }
    return facts->self_in_set && own == best;
}

/* No host was picked from an ordering: is that because this host is best? */
static void settle_empty(const struct route_facts *facts, struct route_choice *out)
{
    if (is_self_best(facts))
        decide(out, ROUTE_NOTFOUND, "this host is the best of the ordering");
    else
        decide_unknown(facts, out, "no host of the ordering has an address");
}

/* What could be named is of no use now, and others were withheld: by the MX the MTA, which finds out
 * by itself where it is, would get on with these. */
static bool is_better_by_mx(const struct route_facts *facts, const struct tier_pick *pick)
{
    return facts->plan.route == CONF_ROUTE_MX && facts->withheld > 0 && pick->health_ignored;
}

/* Why nothing was planned. */
static const char *explain_off(const struct route_plan *plan)
{
    if (plan->match || (plan->section && !plan->by_match))
        return "route is off here";
    if (plan->is_unknown)
        return "no section for this domain, and its MX set is not known, and so no match";
    return plan->by_match ? "no section for this domain, and no match for its best MX hosts"
                          : "no section for this domain";
}

void route_choose(const struct route_facts *facts, uint64_t random, struct route_choice *out)
{
    const struct conf_pool *pool = plan_pool(&facts->plan);

    memset(out, 0, sizeof *out);
    /* The mail may be for this very host, or the hosts of a match, which know the domain by its MX
     * set, send it back here. Routes mx and primary name what is better and nothing else. */
    if (facts->self_in_mx) {
        decide(out, ROUTE_NOTFOUND, "a match, and this host is in the domain's MX set");
        return;
    }
    switch (facts->plan.route) {
    case CONF_ROUTE_OFF: decide(out, ROUTE_NOTFOUND, explain_off(&facts->plan)); return;
    case CONF_ROUTE_SRV:
        if (settle_srv(facts, out))
            return;
        break;
    case CONF_ROUTE_MX:
    case CONF_ROUTE_PRIMARY:
        if (settle_order(facts, out))
            return;
        break;
    case CONF_ROUTE_POOL: break;
    }
    out->transport = plan_transport(&facts->plan);
    make_key(facts, random, out->key, sizeof out->key);
    tier_choose(facts->host, facts->host_count, out->key, spill_of(pool), &out->pick);
    if (is_better_by_mx(facts, &out->pick))
        decide(out, ROUTE_NOTFOUND, "the best cannot be used, and this host may be the next best");
    else if (out->pick.count > 0)
        decide(out, ROUTE_HOSTS,
               out->pick.health_ignored        ? "no host is usable, so health is ignored"
               : spill_of(pool) == TIER_STRICT ? "first usable tier, drawn by weight"
                                               : "tier drawn by its load, host by weight");
    else if (pool)
        decide(out, ROUTE_NOTHING, "no host of the pool can be named");
    else
        settle_empty(facts, out);
}

const char *route_outcome_name(enum route_outcome outcome)
{
    switch (outcome) {
    case ROUTE_HOSTS: return "hosts";
    case ROUTE_NOTFOUND: return "notfound";
    case ROUTE_NULL_MX: return "null-mx";
    case ROUTE_NOTHING: return "nothing";
    }
    return "";
}
