/*
 * The findings, host by host and then of the whole set.
 */
#include "policy/order_judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    ADDRESSES = 2 * FACTS_MAX_ADDRS,
    NETWORK4_BITS = 24, /* what one line, one rack or one provider's fault takes away */
    NETWORK6_BITS = 48,
    TEXT = 2 * NAME_SIZE + 200,
};

struct judging {
    const struct order *order;
    const struct route_self *self;
    order_found *found;
    void *arg;
};

static void find(const struct judging *judging, enum order_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void find(const struct judging *judging, enum order_level level, const char *format, ...)
{
    char text[TEXT];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    judging->found(judging->arg, level, text);
}

static size_t addresses(const struct order *order, size_t i, struct net_addr out[ADDRESSES])
{
    return order_addresses(order->host[i].addr, true, out, ADDRESSES);
}

bool order_is_known(const struct order *order)
{
    return order->state != FACTS_FAIL && order->state != FACTS_NXDOMAIN;
}

const char *order_self(const struct order *order, const struct route_self *self, size_t i)
{
    struct net_addr addr[ADDRESSES];
    size_t count = addresses(order, i, addr);

    if (self->has_name(self->arg, order->host[i].host.name))
        return "name";
    for (size_t a = 0; a < count; a++)
        if (self->has_addr(self->arg, &addr[a]))
            return "address";
    return "";
}

/* --- one host ----------------------------------------------------------------------------------- */

static void judge_resolution(const struct judging *judging, size_t i)
{
    const struct order_host *host = &judging->order->host[i];
    const char *name = host->host.name;
    unsigned bits = host->addr ? host->addr->warnings : 0;
    struct net_addr addr[ADDRESSES];

    switch (host->resolve) {
    case ORDER_RESOLVED: break;
    case ORDER_UNKNOWN: find(judging, ORDER_WARNING, "%s could not be looked up", name); break;
    case ORDER_ABSENT: find(judging, ORDER_ERROR, "%s has no address", name); break;
    case ORDER_UNUSABLE:
        find(judging, ORDER_ERROR, "%s has only addresses that %s", name,
             addresses(judging->order, i, addr) ? "are private" : "no mail host can have");
        break;
    }
    if (bits & FACTS_WARN_CNAME)
        find(judging, ORDER_WARNING, "%s is an alias, which an MX must not name (RFC 2181 10.3)",
             name);
    if ((bits & FACTS_WARN_BAD_ADDR) && host->resolve != ORDER_UNUSABLE)
        find(judging, ORDER_ERROR,
             "%s has an address that no mail host can have (loopback or the like), which is left "
             "out here, and tried elsewhere",
             name);
}

static void judge_addresses(const struct judging *judging, size_t i)
{
    const struct order *order = judging->order;
    struct net_addr addr[ADDRESSES], other[ADDRESSES];
    size_t count = addresses(order, i, addr);

    for (size_t a = 0; a < count; a++) {
        char text[NET_TEXT];
        net_addr_format(&addr[a], text);
        if (net_addr_scope(&addr[a]) == NET_PRIVATE)
            find(judging, ORDER_WARNING, "%s has the private address %s", order->host[i].host.name,
                 text);
        for (size_t j = 0; j < i; j++) {
            size_t others = addresses(order, j, other);
            for (size_t b = 0; b < others; b++)
                if (net_addr_equal(&addr[a], &other[b]))
                    find(judging, ORDER_WARNING,
                         "%s and %s are one address, %s: one host under two names",
                         order->host[j].host.name, order->host[i].host.name, text);
        }
    }
}

/* --- the set ------------------------------------------------------------------------------------ */

/* Whether every address of every host is in one network of so many bits. */
static bool is_within(const struct order *order, uint8_t bits4, uint8_t bits6)
{
    struct net_addr addr[ADDRESSES];
    struct net_cidr first = {0};
    size_t total = 0;

    for (size_t i = 0; i < order->count; i++) {
        size_t count = addresses(order, i, addr);
        for (size_t a = 0; a < count; a++, total++) {
            if (total == 0)
                first = net_cidr_of(&addr[a], bits4, bits6);
            else if (!net_cidr_has(&first, &addr[a]))
                return false;
        }
    }
    return total > 1;
}

/* Who can fail, and take all the others along. */
static void judge_redundancy(const struct judging *judging)
{
    const struct order *order = judging->order;
    size_t last = order->count - 1;

    if (order->count == 1) {
        find(judging, ORDER_WARNING,
             "there is only one host: nothing to guard, nothing to fail over to");
        return;
    }
    if (order->host[0].host.preference == order->host[last].host.preference)
        find(judging, ORDER_NOTE,
             "all hosts have one preference: none is better, nothing is guarded");
    if (is_within(order, 32, 128))
        find(judging, ORDER_WARNING, "all hosts are one address: one fault takes them all");
    else if (is_within(order, NETWORK4_BITS, NETWORK6_BITS))
        find(judging, ORDER_WARNING, "all hosts are in one network: one fault takes them all");
}

static void judge_records(const struct judging *judging)
{
    const struct order *order = judging->order;
    unsigned bits = order->mx ? order->mx->warnings : 0;

    if (bits & FACTS_WARN_NULL)
        find(judging, ORDER_ERROR,
             "a Null MX (\".\") stands beside real ones (RFC 7505 3): some senders give up");
    if (bits & FACTS_WARN_CUT)
        find(judging, ORDER_WARNING, "there are more MX records than are used");
    if (bits & FACTS_WARN_BAD_NAME)
        find(judging, ORDER_ERROR, "an MX names something that is no host name; it is left out");
    if (order->implicit)
        find(judging, ORDER_NOTE, "no MX record: the domain's own address serves (RFC 5321 5.1)");
}

/* Where this host stands. */
static void judge_self(const struct judging *judging)
{
    const struct order *order = judging->order;
    unsigned best = order->host[0].host.preference;

    for (size_t i = 0; i < order->count; i++) {
        unsigned preference = order->host[i].host.preference;
        const char *how = order_self(order, judging->self, i);
        if (!*how)
            continue;
        if (strcmp(how, "address") == 0)
            find(judging, ORDER_WARNING,
                 "this host is %s by its address only, and not known to be while that cannot be "
                 "looked up: name it in `own`",
                 order->host[i].host.name);
        find(judging, ORDER_NOTE, "this host is %s, %s", order->host[i].host.name,
             preference == best ? "of the best preference: it guards nothing, and routes primary "
                                  "and mx leave it to the mail server"
                                : "a backup: the better ones are guarded, and routes go to them");
        return;
    }
    find(judging, ORDER_NOTE,
         order_has_unknown(order)
             ? "this host is none of those that could be looked up"
             : "this host is none of them: if it should be, name it in `own` or `listeners`");
}

void order_judge(const struct order *order, const struct route_self *self, order_found *found,
                 void *arg)
{
    const struct judging judging = {.order = order, .self = self, .found = found, .arg = arg};

    if (order->state == FACTS_NULL)
        find(&judging, ORDER_NOTE, "Null MX: the domain accepts no mail (RFC 7505)");
    for (size_t i = 0; i < order->count; i++) {
        judge_resolution(&judging, i);
        judge_addresses(&judging, i);
    }
    if (order->count == 0)
        return;
    judge_records(&judging);
    judge_redundancy(&judging);
    judge_self(&judging);
}

const char *order_level_name(enum order_level level)
{
    switch (level) {
    case ORDER_NOTE: return "note";
    case ORDER_WARNING: return "warning";
    case ORDER_ERROR: break;
    }
    return "error";
}
