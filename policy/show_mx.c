/*
 * A domain's ordering as it is known here, and what order_judge.c finds wrong with it.
 */
#include "policy/show.h"

#include "cache/facts.h"
#include "cache/net.h"
#include "policy/order_judge.h"
#include "policy/site_self.h"

#include <jansson.h>

enum { ADDRESSES = 2 * FACTS_MAX_ADDRS };

static const char *resolve_name(enum order_resolve resolve)
{
    switch (resolve) {
    case ORDER_RESOLVED: return "ok";
    case ORDER_UNKNOWN: return "unknown";
    case ORDER_ABSENT: return "absent";
    case ORDER_UNUSABLE: break;
    }
    return "unusable";
}

static json_t *show_order(const struct order *order, const struct route_self *self)
{
    json_t *hosts = json_array();

    for (size_t i = 0; i < order->count; i++) {
        const struct order_host *host = &order->host[i];
        struct net_addr addr[ADDRESSES];
        size_t count = order_addresses(host->addr, true, addr, ADDRESSES);
        json_t *addresses = json_array();
        for (size_t a = 0; a < count; a++) {
            char text[NET_TEXT];
            json_array_append_new(addresses, json_string(net_addr_format(&addr[a], text)));
        }
        json_array_append_new(
            hosts, json_pack("{s:i, s:s, s:o, s:s, s:s}", "preference", (int)host->host.preference,
                             "host", host->host.name, "addresses", addresses, "state",
                             resolve_name(host->resolve), "self", order_self(order, self, i)));
    }
    return hosts;
}

/* A failure came from nowhere. */
static const char *origin_of(const struct facts *mx)
{
    if (!mx || mx->state == FACTS_FAIL)
        return "none";
    return mx->own ? "dns" : "redis";
}

static void add_finding(void *arg, enum order_level level, const char *text)
{
    json_array_append_new(arg,
                          json_pack("{s:s, s:s}", "level", order_level_name(level), "what", text));
}

/* Nothing can be shown where nothing could be had; the command has failed then. */
static const char *failure_of(const struct order *order)
{
    if (order_is_known(order))
        return NULL;
    return order->state == FACTS_NXDOMAIN ? "the domain does not exist"
                                          : "its mail servers cannot be looked up now";
}

json_t *show_mx(const char *domain, const struct order *order, struct site *site, int64_t now)
{
    const struct route_self self = site_self(site);
    const struct facts *mx = order->mx;
    const char *failure = failure_of(order);
    json_t *findings = json_array(), *shown;

    order_judge(order, &self, add_finding, findings);
    shown =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:o, s:o}", "status",
                  failure ? "refused" : "ok", "domain", domain, "state",
                  facts_state_name(order->state), "ttl", (json_int_t)(mx ? mx->ttl : 0), "fetched",
                  (json_int_t)(mx ? mx->fetched : 0), "expires", (json_int_t)(mx ? mx->expires : 0),
                  "age", (json_int_t)(mx && mx->fetched ? now - mx->fetched : 0), "origin",
                  origin_of(mx), "order", show_order(order, &self), "findings", findings);
    if (failure)
        json_object_set_new(shown, "message", json_sprintf("%s: %s", domain, failure));
    return shown;
}
