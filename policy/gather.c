/*
 * Gathering facts: the MX or SRV set first, then its hosts side by side. Late answers do not come here:
 * fetch keeps the budgets, and ends every wait.
 */
#include "policy/gather.h"

#include "cache/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gather;

struct slot { /* one host's look-up */
    struct gather *gather;
    size_t index;
    struct fetch_wait *wait;
};

struct gather {
    struct fetch *fetch;
    enum fetch_trust trust;
    int64_t deadline;    /* monotonic ms */
    struct quota *quota; /* NULL: whatever it takes */
    char net[NET_TEXT];
    char domain[NAME_SIZE];
    struct fetch_wait *mx_wait;
    const struct facts *mx;
    size_t count, pending;
    const struct facts *addr[GATHER_MAX];
    struct slot slot[GATHER_MAX];
    gather_order_done *order_done;
    gather_hosts_done *hosts_done;
    void *arg;
};

static const struct facts *peek(struct fetch *fetch, enum facts_kind kind, const char *name,
                                enum fetch_trust trust, bool stale)
{
    return stale ? fetch_peek_stale(fetch, kind, name, trust)
                 : fetch_peek(fetch, kind, name, trust);
}

bool gather_peek_order(struct fetch *fetch, enum facts_kind kind, const char *domain,
                       enum fetch_trust trust, bool stale, struct order *order)
{
    const struct facts *addr[FACTS_MAX_HOSTS] = {0};
    const struct facts *mx = peek(fetch, kind, domain, trust, stale);
    size_t count = order_names(mx);
    bool whole = mx != NULL;

    for (size_t i = 0; i < count && whole; i++) {
        addr[i] = peek(fetch, FACTS_ADDR, order_name(mx, domain, i), trust, stale);
        whole = addr[i] != NULL;
    }
    if (whole)
        order_init(order, mx, domain, addr);
    for (size_t i = 0; i < count; i++)
        facts_unref(addr[i]);
    facts_unref(mx);
    return whole;
}

static struct gather *gather_new(struct fetch *fetch, enum fetch_trust trust, int64_t budget,
                                 void *arg)
{
    struct gather *gather = calloc(1, sizeof *gather);

    if (!gather)
        return NULL;
    gather->fetch = fetch;
    gather->trust = trust;
    gather->deadline = clock_mono() + budget;
    gather->arg = arg;
    return gather;
}

void gather_stop(struct gather *gather)
{
    if (!gather)
        return;
    if (gather->mx_wait)
        fetch_cancel(gather->mx_wait);
    for (size_t i = 0; i < gather->count; i++) {
        if (gather->slot[i].wait)
            fetch_cancel(gather->slot[i].wait);
        facts_unref(gather->addr[i]);
    }
    facts_unref(gather->mx);
    free(gather);
}

static void finish(struct gather *gather)
{
    if (gather->order_done) {
        struct order order;
        order_init(&order, gather->mx, gather->domain, gather->addr);
        gather->order_done(gather->arg, &order);
    } else {
        const struct facts *addr[GATHER_MAX];
        for (size_t i = 0; i < gather->count; i++)
            addr[i] = gather->addr[i] ? facts_ref(gather->addr[i]) : NULL;
        gather->hosts_done(gather->arg, addr, gather->count);
    }
    gather_stop(gather);
}

static void got_addr(void *arg, const struct facts *facts)
{
    struct slot *slot = arg;
    struct gather *gather = slot->gather;

    slot->wait = NULL;
    gather->addr[slot->index] = facts;
    if (--gather->pending == 0)
        finish(gather);
}

static int64_t remaining(const struct gather *gather)
{
    int64_t left = gather->deadline - clock_mono();

    return left > 0 ? left : 0;
}

static bool may_ask(const struct gather *gather, enum facts_kind kind, const char *name)
{
    return !gather->quota || fetch_has(gather->fetch, kind, name) ||
           quota_take(gather->quota, gather->net, clock_mono());
}

/* Begins one host's look-up unless its facts are at hand. */
static void begin(struct gather *gather, size_t index, const char *name)
{
    struct slot *slot = &gather->slot[index];

    slot->gather = gather;
    slot->index = index;
    gather->addr[index] = fetch_peek(gather->fetch, FACTS_ADDR, name, gather->trust);
    if (gather->addr[index] || !may_ask(gather, FACTS_ADDR, name))
        return;
    slot->wait = fetch_ask(gather->fetch, FACTS_ADDR, name, gather->trust, remaining(gather),
                           got_addr, slot);
    if (slot->wait)
        gather->pending++;
}

static void got_mx(void *arg, const struct facts *facts)
{
    struct gather *gather = arg;

    gather->mx_wait = NULL;
    gather->mx = facts;
    gather->count = order_names(facts);
    for (size_t i = 0; i < gather->count; i++)
        begin(gather, i, order_name(facts, gather->domain, i));
    if (gather->pending == 0)
        finish(gather);
}

struct gather *gather_order(struct fetch *fetch, enum facts_kind kind, const char *domain,
                            enum fetch_trust trust, int64_t budget, gather_order_done *done,
                            void *arg)
{
    struct gather *gather = gather_new(fetch, trust, budget, arg);

    if (!gather)
        return NULL;
    strcpy(gather->domain, domain);
    gather->order_done = done;
    /* Always by way of a wait, even where the MX set is at hand: the callback must come from the
     * loop, and fetch_ask promises that. */
    gather->mx_wait = fetch_ask(fetch, kind, domain, trust, remaining(gather), got_mx, gather);
    if (gather->mx_wait)
        return gather;
    gather_stop(gather);
    return NULL;
}

void gather_charge(struct gather *gather, struct quota *quota, const char *net)
{
    gather->quota = quota;
    snprintf(gather->net, sizeof gather->net, "%s", net);
}

struct gather *gather_hosts(struct fetch *fetch, const char *const *name, size_t count,
                            enum fetch_trust trust, int64_t budget, gather_hosts_done *done,
                            void *arg)
{
    struct gather *gather = gather_new(fetch, trust, budget, arg);

    if (!gather)
        return NULL;
    gather->hosts_done = done;
    gather->count = count < GATHER_MAX ? count : GATHER_MAX;
    for (size_t i = 0; i < gather->count; i++)
        if (name[i][0] != '\0')
            begin(gather, i, name[i]);
    if (gather->pending > 0)
        return gather;
    gather_stop(gather);
    return NULL;
}
