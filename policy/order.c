/*
 * Orderings: MX or SRV facts and address facts side by side. Nothing is decided here; the guard and the
 * routes read the same ordering and draw their own conclusions.
 */
#include "policy/order.h"

#include <string.h>

size_t order_names(const struct facts *mx)
{
    if (!mx)
        return 0;
    switch (mx->state) {
    case FACTS_OK: return mx->mx.count;
    case FACTS_NONE: return mx->kind == FACTS_MX; /* the domain itself */
    case FACTS_NULL:
    case FACTS_NXDOMAIN:
    case FACTS_FAIL: return 0;
    }
    return 0;
}

const char *order_name(const struct facts *mx, const char *domain, size_t index)
{
    return mx->state == FACTS_OK ? mx->mx.host[index].name : domain;
}

static enum order_resolve judge_addresses(const struct facts *addr)
{
    struct net_addr one;

    if (!addr || addr->state == FACTS_FAIL)
        return ORDER_UNKNOWN;
    if (addr->state != FACTS_OK)
        return ORDER_ABSENT;
    return order_addresses(addr, false, &one, 1) ? ORDER_RESOLVED : ORDER_UNUSABLE;
}

static void put_host(struct order *order, size_t index, const struct facts_host *of,
                     const struct facts *addr)
{
    struct order_host *host = &order->host[index];

    host->host = *of;
    host->addr = addr ? facts_ref(addr) : NULL;
    host->resolve = judge_addresses(addr);
    if (addr && !facts_are_trusted(addr))
        order->own = false;
}

void order_init(struct order *order, const struct facts *mx, const char *domain,
                const struct facts *const *addr)
{
    const struct facts_host domain_itself = {.port = FACTS_SMTP_PORT, .name = (char *)domain};

    memset(order, 0, sizeof *order);
    order->state = mx ? mx->state : FACTS_FAIL;
    order->own = mx && facts_are_trusted(mx);
    order->mx = mx ? facts_ref(mx) : NULL;
    order->count = order_names(mx);
    order->implicit = order->state == FACTS_NONE && mx->kind == FACTS_MX;
    for (size_t i = 0; i < order->count; i++)
        put_host(order, i, order->implicit ? &domain_itself : &mx->mx.host[i], addr[i]);
}

void order_clear(struct order *order)
{
    for (size_t i = 0; i < order->count; i++)
        facts_unref(order->host[i].addr);
    facts_unref(order->mx);
    memset(order, 0, sizeof *order);
}

static size_t add_family(const struct net_addr *addr, size_t count, bool private_too,
                         struct net_addr *out, size_t put, size_t size)
{
    for (size_t i = 0; i < count && put < size; i++) {
        enum net_scope scope = net_addr_scope(&addr[i]);
        if (scope == NET_PUBLIC || (scope == NET_PRIVATE && private_too))
            out[put++] = addr[i];
    }
    return put;
}

size_t order_addresses(const struct facts *addr, bool private_too, struct net_addr *out,
                       size_t size)
{
    size_t put = 0;

    if (!addr || addr->state != FACTS_OK)
        return 0;
    put = add_family(addr->addr.a, addr->addr.a_count, private_too, out, put, size);
    return add_family(addr->addr.aaaa, addr->addr.aaaa_count, private_too, out, put, size);
}

int order_find_addr(const struct order *order, const struct net_addr *addr)
{
    for (size_t i = 0; i < order->count; i++)
        if (facts_have_addr(order->host[i].addr, addr))
            return (int)i;
    return -1;
}

bool order_is_unknown(const struct order_host *host)
{
    return host->resolve == ORDER_UNKNOWN ||
           (host->addr && (host->addr->addr.a_failed || host->addr->addr.aaaa_failed));
}

bool order_has_unknown(const struct order *order)
{
    for (size_t i = 0; i < order->count; i++)
        if (order_is_unknown(&order->host[i]))
            return true;
    return false;
}
