/*
 * A domain's ordering as it is known here, and what is wrong with it as an administrator would want
 * to be told: things that lose mail, or that leave the guard or a route nothing to work with.
 */
#include "policy/show.h"

#include "cache/facts.h"
#include "cache/net.h"
#include "policy/order.h"

#include <jansson.h>
#include <string.h>

enum { ADDRESSES = 2 * FACTS_MAX_ADDRS, NETWORK4_BITS = 24, NETWORK6_BITS = 48 };

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

static void warn(json_t *warnings, const char *name, const char *text)
{
    json_array_append_new(warnings, json_sprintf("%s%s%s", name, *name ? " " : "", text));
}

static void warn_of_resolution(json_t *warnings, const struct order_host *host)
{
    switch (host->resolve) {
    case ORDER_RESOLVED: break;
    case ORDER_UNKNOWN: warn(warnings, host->host.name, "could not be looked up"); break;
    case ORDER_ABSENT: warn(warnings, host->host.name, "has no address"); break;
    case ORDER_UNUSABLE:
        warn(warnings, host->host.name, "has only addresses that no mail host can have");
        break;
    }
    if (host->addr && (host->addr->warnings & FACTS_WARN_CNAME))
        warn(warnings, host->host.name, "is an alias, which an MX must not name (RFC 2181 10.3)");
}

static void warn_of_addresses(json_t *warnings, const struct order *order, size_t i)
{
    struct net_addr addr[ADDRESSES], other[ADDRESSES];
    size_t count = order_addresses(order->host[i].addr, true, addr, ADDRESSES);

    for (size_t a = 0; a < count; a++) {
        char text[NET_TEXT];
        net_addr_format(&addr[a], text);
        if (net_addr_scope(&addr[a]) == NET_PRIVATE)
            json_array_append_new(warnings, json_sprintf("%s has the private address %s",
                                                         order->host[i].host.name, text));
        for (size_t j = 0; j < i; j++) {
            size_t others = order_addresses(order->host[j].addr, true, other, ADDRESSES);
            for (size_t b = 0; b < others; b++)
                if (net_addr_equal(&addr[a], &other[b]))
                    json_array_append_new(
                        warnings,
                        json_sprintf("%s and %s are one address, %s: one host under two "
                                     "names",
                                     order->host[j].host.name, order->host[i].host.name, text));
        }
    }
}

/* Whether every address of every host is in one network, so that one fault takes them all. */
static bool is_one_network(const struct order *order)
{
    struct net_addr addr[ADDRESSES];
    struct net_cidr first = {0};
    size_t total = 0;

    for (size_t i = 0; i < order->count; i++) {
        size_t count = order_addresses(order->host[i].addr, true, addr, ADDRESSES);
        for (size_t a = 0; a < count; a++, total++) {
            if (total == 0)
                first = net_cidr_of(&addr[a], NETWORK4_BITS, NETWORK6_BITS);
            else if (!net_cidr_has(&first, &addr[a]))
                return false;
        }
    }
    return total > 1;
}

static void warn_of_set(json_t *warnings, const struct order *order)
{
    unsigned bits = order->mx ? order->mx->warnings : 0;
    size_t last = order->count - 1;

    if (bits & FACTS_WARN_NULL)
        warn(warnings, "", "a Null MX (\".\") stands beside real ones (RFC 7505 3)");
    if (bits & FACTS_WARN_CUT)
        warn(warnings, "", "there are more MX records than are used");
    if (bits & FACTS_WARN_BAD_NAME)
        warn(warnings, "", "an MX names something that is no host name; it is left out");
    if (order->implicit)
        warn(warnings, "", "no MX record: the domain's own address serves (RFC 5321 5.1)");
    if (order->count == 1)
        warn(warnings, "", "there is only one host: nothing to guard, nothing to fail over to");
    else if (order->count > 1 &&
             order->host[0].host.preference == order->host[last].host.preference)
        warn(warnings, "", "all hosts have one preference: none is better, nothing is guarded");
    if (order->count > 1 && is_one_network(order))
        warn(warnings, "", "all hosts are in one network");
}

static json_t *show_order(const struct order *order)
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
        json_array_append_new(hosts, json_pack("{s:i, s:s, s:o, s:s}", "preference",
                                               (int)host->host.preference, "host", host->host.name,
                                               "addresses", addresses, "state",
                                               resolve_name(host->resolve)));
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

json_t *show_mx(const char *domain, const struct order *order, int64_t now)
{
    const struct facts *mx = order->mx;
    json_t *warnings = json_array();

    for (size_t i = 0; i < order->count; i++) {
        warn_of_resolution(warnings, &order->host[i]);
        warn_of_addresses(warnings, order, i);
    }
    if (order->count > 0)
        warn_of_set(warnings, order);
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:o, s:o}", "status", "ok", "domain",
                     domain, "state", facts_state_name(order->state), "ttl",
                     (json_int_t)(mx ? mx->ttl : 0), "fetched", (json_int_t)(mx ? mx->fetched : 0),
                     "expires", (json_int_t)(mx ? mx->expires : 0), "age",
                     (json_int_t)(mx && mx->fetched ? now - mx->fetched : 0), "origin",
                     origin_of(mx), "order", show_order(order), "warnings", warnings);
}
