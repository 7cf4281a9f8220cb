/*
 * The hosts under watch, one entry an address, and those of pools that have none yet.
 */
#include "policy/show.h"

#include "policy/conf.h"
#include "policy/health.h"
#include "policy/override.h"
#include "policy/tier.h"
#include "policy/watch.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct showing {
    const struct conf *conf;
    const struct watch *watch;
    struct override *override;
    json_t *hosts;
};

/* Names the pools that hold it into used_by, and gives the weight it has in the first; -1 none. */
static int find_in_pools(const struct conf *conf, const char *name, uint16_t port, json_t *used_by)
{
    int weight = -1;

    for (size_t p = 0; p < conf->pool_count; p++)
        for (size_t t = 0; t < conf->pool[p].tier_count; t++) {
            const struct conf_tier *tier = &conf->pool[p].tier[t];
            for (size_t h = 0; h < tier->host_count; h++) {
                const struct conf_pool_host *host = &tier->host[h];
                if (host->port != port || strcmp(host->name, name) != 0)
                    continue;
                json_array_append_new(used_by, json_sprintf("pool %s", conf->pool[p].name));
                if (weight < 0)
                    weight = (int)host->weight;
            }
        }
    return weight;
}

/* An override of an operator counts above what probes say. */
static bool is_usable(const struct override_value *override, enum health_state state)
{
    switch (override->state) {
    case OVERRIDE_DRAIN:
    case OVERRIDE_DOWN: return false;
    case OVERRIDE_READY: return true;
    case OVERRIDE_NONE: break;
    }
    return state != HEALTH_DOWN;
}

static void show_view(void *arg, const struct watch_view *view)
{
    struct showing *showing = arg;
    struct override_value override = override_get(showing->override, view->host, view->port);
    json_t *used_by = json_array();
    struct watch_host_view host = watch_get_host(showing->watch, view->host, view->port);
    int weight = find_in_pools(showing->conf, view->host, view->port, used_by);
    char addr[NET_TEXT] = "";

    if (view->purposes & WATCH_GUARD)
        json_array_append_new(used_by, json_string("guard"));
    if (view->purposes & WATCH_ROUTE)
        json_array_append_new(used_by, json_string("route"));
    if (view->purposes & WATCH_FLUSH)
        json_array_append_new(used_by, json_string("flush"));
    if (override.has_weight)
        weight = (int) override.weight;
    if (view->addr.family != NET_NONE)
        net_addr_format(&view->addr, addr);
    json_array_append_new(
        showing->hosts,
        json_pack(
            "{s:s, s:i, s:s, s:s, s:i, s:I, s:I, s:I, s:i, s:b, s:b, s:s, s:s, s:s, s:o, s:o, s:i, "
            "s:I}",
            "host", view->host, "port", (int)view->port, "address", addr, "state",
            health_state_name(view->health.state), "streak", (int)view->health.streak, "since",
            (json_int_t)view->health.since, "good_since", (json_int_t)view->health.good_since, "at",
            (json_int_t)view->health.at, "ms", (int)view->health.ms, "usable",
            (int)is_usable(&override, view->health.state), "observed", (int)view->observed,
            "missing", watch_missing_name(view->missing), "detail", view->detail, "override",
            override_state_name(override.state), "weight",
            weight < 0 ? json_null() : json_integer(weight), "used_by", used_by, "slow_start",
            (int)(host.ramp * 100 / TIER_FULL_WEIGHT), "held_until", (json_int_t)host.held_until));
}

/* A pool host without an address is watched by nobody, and all the more to be shown. */
static void show_unwatched(struct showing *showing)
{
    for (size_t p = 0; p < showing->conf->pool_count; p++)
        for (size_t t = 0; t < showing->conf->pool[p].tier_count; t++) {
            const struct conf_tier *tier = &showing->conf->pool[p].tier[t];
            for (size_t h = 0; h < tier->host_count; h++) {
                struct watch_view view = {.port = tier->host[h].port,
                                          .missing = WATCH_MISSING_YET,
                                          .detail = "no address known, or no probe yet"};
                snprintf(view.host, sizeof view.host, "%s", tier->host[h].name);
                if (watch_get_host(showing->watch, view.host, view.port).targets == 0)
                    show_view(showing, &view);
            }
        }
}

json_t *show_hosts(const struct conf *conf, const struct watch *watch, struct override *override)
{
    struct showing showing = {
        .conf = conf, .watch = watch, .override = override, .hosts = json_array()};

    watch_each(watch, show_view, &showing);
    show_unwatched(&showing);
    return json_pack("{s:s, s:o}", "status", "ok", "hosts", showing.hosts);
}
