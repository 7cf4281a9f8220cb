/*
 * One answer of the map, and why: every host that was thought of, in its tier, with what counted.
 */
#include "policy/show.h"

#include "policy/engine.h"
#include "policy/health.h"
#include "policy/route.h"
#include "policy/tier.h"
#include "policy/watch.h"

#include "cache/name.h"

#include <jansson.h>
#include <stdio.h>

static const char *route_name(const struct route_plan *plan, char *out, size_t size)
{
    switch (plan->route) {
    case CONF_ROUTE_OFF: return "off";
    case CONF_ROUTE_MX: return "mx";
    case CONF_ROUTE_SRV: return "srv";
    case CONF_ROUTE_PRIMARY: return "primary";
    case CONF_ROUTE_POOL: break;
    }
    snprintf(out, size, "pool %s", plan->routing->pool->name);
    return out;
}

static const char *section_name(const struct route_plan *plan, char *out, size_t size)
{
    if (!plan->match)
        return plan->section ? plan->section->name : "";
    snprintf(out, size, "match %s", plan->match->pattern);
    return out;
}

/* One of the best MX hosts, that the pattern fits; the domain's own name, where there is no MX. */
static const char *matched_host(const struct route_facts *facts)
{
    const struct order *mx = facts->mx ? facts->mx : facts->order;
    const char *pattern = facts->plan.match->pattern;

    for (size_t i = 0; mx && i < mx->count; i++)
        if (mx->host[i].host.preference == mx->host[0].host.preference &&
            name_matches(pattern, mx->host[i].host.name))
            return mx->host[i].host.name;
    return facts->address->domain;
}

/* Why that section counts. */
static void because(const struct route_facts *facts, char *out, size_t size)
{
    const struct route_plan *plan = &facts->plan;

    if (plan->match) {
        snprintf(out, size, "there is no section of its own, and %s fits %s", matched_host(facts),
                 plan->match->pattern);
        return;
    }
    snprintf(out, size, "%s", plan->section ? "" : "nothing in the configuration is about it");
    if (!plan->section)
        return;
    switch (plan->section->kind) {
    case CONF_TITLE_DOMAIN: snprintf(out, size, "the domain's own section"); break;
    case CONF_TITLE_BELOW:
        snprintf(out, size, "the nearest section above it, the domain has none of its own");
        break;
    case CONF_TITLE_ADDRESS: snprintf(out, size, "the address has a section of its own"); break;
    case CONF_TITLE_REST:
        snprintf(out, size,
                 plan->is_unknown ? "the rest: its MX hosts, that a match might fit, are not known"
                                  : "the rest: no other section is about it");
        break;
    }
}

static const char *resolve_name(enum tier_resolve resolve)
{
    switch (resolve) {
    case TIER_RESOLVES: return "yes";
    case TIER_MAY_RESOLVE: return "unknown";
    case TIER_ABSENT: break;
    }
    return "no";
}

static const char *override_name(enum tier_override override)
{
    switch (override) {
    case TIER_NORMAL: break;
    case TIER_DRAINED: return "drain";
    case TIER_DOWN: return "down";
    case TIER_READY: return "ready";
    }
    return "";
}

/* Its place in the answer, from 1; 0 where it is not named. */
static int place_of(const struct tier_pick *pick, size_t host)
{
    for (size_t i = 0; i < pick->count; i++)
        if (pick->index[i] == host)
            return (int)i + 1;
    return 0;
}

static json_t *show_host(const struct engine_routed_view *view, size_t i, const struct watch *watch)
{
    const struct tier_host *host = &view->facts->host[i];
    const struct tier_pick *pick = &view->choice->pick;
    uint64_t score = pick->score[i];
    int place = place_of(pick, i);

    return json_pack(
        "{s:i, s:s, s:i, s:i, s:i, s:f, s:s, s:s, s:s, s:o, s:o, s:s, s:b, s:i}", "tier",
        (int)host->tier, "host", host->name, "port", (int)host->port, "weight", (int)host->weight,
        "slow_start", (int)(host->ramp * 100 / TIER_FULL_WEIGHT), "effective",
        (double)host->weight * host->ramp / TIER_FULL_WEIGHT, "health",
        health_state_name(watch_get_host(watch, host->name, host->port).state), "override",
        override_name(host->override), "resolves", resolve_name(host->resolve), "score",
        score > INT64_MAX ? json_null() : json_integer((json_int_t)score), "place",
        place ? json_integer(place) : json_null(), "note", tier_note_name(pick->note[i]), "held",
        (int)pick->held[i], "load", (int)pick->load[i]);
}

json_t *show_route(const struct engine_routed_view *view, const struct watch *watch)
{
    const struct route_plan *plan = &view->facts->plan;
    json_t *hosts = json_array(), *left_out = json_array();
    char name[300], section[NAME_SIZE + 16], why[3 * NAME_SIZE];

    for (size_t i = 0; i < view->facts->host_count; i++) {
        json_array_append_new(hosts, show_host(view, i, watch));
        if (!place_of(&view->choice->pick, i))
            json_array_append_new(left_out,
                                  json_pack("{s:s, s:s}", "host", view->facts->host[i].name, "why",
                                            tier_note_name(view->choice->pick.note[i])));
    }
    because(view->facts, why, sizeof why);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:i}", "status", "ok",
                     "answer", view->reply, "route", route_name(plan, name, sizeof name), "section",
                     section_name(plan, section, sizeof section), "because", why, "key",
                     view->choice->key, "why", view->choice->why ? view->choice->why : "",
                     "health_ignored", (int)view->choice->pick.health_ignored, "override_ignored",
                     (int)view->choice->pick.override_ignored, "hosts", hosts, "left_out", left_out,
                     "unnamed", (int)view->facts->unnamed);
}
