/*
 * What is known of a route's hosts at this moment: health, overrides, slow start. Nothing waits.
 *
 * Hosts that the configuration means (a pool's, those of a domain with a section of its own) are
 * watched, and an operator's word about them holds. Those of a stranger's ordering are whatever its
 * owner names: they are neither probed nor looked up in Redis, unless they are watched for another
 * reason, or stand on an address that a live node of the site claims.
 */
#include "policy/engine_question.h"

#include "policy/override.h"
#include "policy/site.h"
#include "policy/watch.h"

#include <string.h>

enum tier_override engine_override(enum override_state state)
{
    switch (state) {
    case OVERRIDE_NONE: return TIER_NORMAL;
    case OVERRIDE_DRAIN: return TIER_DRAINED;
    case OVERRIDE_DOWN: return TIER_DOWN;
    case OVERRIDE_READY: return TIER_READY;
    }
    return TIER_NORMAL;
}

static void take_override(const struct engine_question *q, struct tier_host *host)
{
    struct override_value value = override_get(q->engine->parts.override, host->name, host->port);

    host->override = engine_override(value.state);
    if (value.has_weight)
        host->weight = route_weight(&q->route.plan, value.weight);
}

/* Whether the route is that of a pool, or of a domain that the configuration names. */
static bool is_configured(const struct route_plan *plan)
{
    return plan->route == CONF_ROUTE_POOL ||
           (!plan->match && plan->section && *plan->section->domain);
}

static const struct facts *find_addr(const struct order *order, const char *name)
{
    for (size_t i = 0; order && i < order->count; i++)
        if (strcmp(order->host[i].host.name, name) == 0)
            return order->host[i].addr;
    return NULL;
}

/* By its addresses, under a name and at a port that no stranger chose: there are as many as the site
 * has. */
static void look_at_claimed(const struct engine_question *q, struct tier_host *host)
{
    const struct engine_parts *parts = &q->engine->parts;
    struct net_addr all[2 * FACTS_MAX_ADDRS];
    size_t claimed = 0, down = 0;
    size_t count = order_addresses(find_addr(q->route.order, host->name), false, all,
                                   sizeof all / sizeof *all);

    for (size_t i = 0; i < count; i++) {
        struct watch_view view;
        char name[NET_TEXT];

        if (!site_is_claimed(parts->site, &all[i]))
            continue;
        claimed++;
        if (host->port == FACTS_SMTP_PORT)
            watch_want(parts->watch, net_addr_format(&all[i], name), host->port, &all[i],
                       WATCH_ROUTE, NULL);
        if (watch_get_address(parts->watch, &all[i], host->port, &view))
            down += view.health.state == HEALTH_DOWN;
    }
    if (claimed == 0)
        return;
    host->failing = down == claimed;
    take_override(q, host);
}

static void look_at_host(const struct engine_question *q, struct tier_host *host)
{
    struct watch_host_view view = watch_get_host(q->engine->parts.watch, host->name, host->port);

    if (view.targets == 0 && !is_configured(&q->route.plan)) {
        look_at_claimed(q, host);
        return;
    }
    host->failing = view.state == HEALTH_DOWN;
    host->ramp = view.ramp;
    host->held = view.held;
    take_override(q, host);
}

void engine_look(struct engine_question *q)
{
    for (size_t i = 0; i < q->route.host_count; i++)
        look_at_host(q, &q->route.host[i]);
}
