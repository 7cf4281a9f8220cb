/*
 * What is watched, for whom, and how it looks: hosts, targets, places, and the questions about
 * them. Nothing here waits or probes; watch_cycle.c does, and watch_share.c talks to Redis.
 */
#include "policy/watch.h"

#include "policy/tier.h"
#include "policy/watch_private.h"

#include <event2/event.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WATCH_SWEEP_S = 30 };

struct host_key {
    const char *name;
    uint16_t port;
};

struct place_key {
    const struct net_addr *addr;
    uint16_t port;
};

static int host_compare(const void *key, const void *item)
{
    const struct host_key *a = key;
    const struct watch_host *b = item;
    int order = strcmp(a->name, b->name);

    return order ? order : (int)a->port - (int)b->port;
}

static int place_compare(const void *key, const void *item)
{
    const struct place_key *a = key;
    const struct watch_place *b = item;
    int order = net_addr_compare(a->addr, &b->addr);

    return order ? order : (int)a->port - (int)b->port;
}

struct watch_host *watch_find_host(const struct watch *watch, const char *name, uint16_t port)
{
    const struct host_key key = {.name = name, .port = port};

    return sorted_get(&watch->hosts, &key, host_compare);
}

static struct watch_place *find_place(const struct watch *watch, const struct net_addr *addr,
                                      uint16_t port)
{
    const struct place_key key = {.addr = addr, .port = port};

    return sorted_get(&watch->places, &key, place_compare);
}

static struct watch_target *find_target(const struct watch_host *host, const struct net_addr *addr)
{
    struct watch_target *target;

    LIST_FOREACH(target, &host->targets, of_host)
    {
        if (net_addr_equal(&target->place->addr, addr))
            return target;
    }
    return NULL;
}

/* --- wanting ---------------------------------------------------------------------------------- */

static struct watch_host *host_add(struct watch *watch, const char *name, uint16_t port)
{
    const struct host_key key = {.name = name, .port = port};
    struct watch_host *host = calloc(1, sizeof *host);
    size_t at;

    if (!host)
        return NULL;
    host->watch = watch;
    snprintf(host->name, sizeof host->name, "%s", name);
    host->port = port;
    LIST_INIT(&host->targets);
    sorted_find(&watch->hosts, &key, host_compare, &at);
    if (sorted_insert(&watch->hosts, at, host))
        return host;
    free(host);
    return NULL;
}

static void host_drop_if_empty(struct watch_host *host)
{
    const struct host_key key = {.name = host->name, .port = host->port};

    if (!LIST_EMPTY(&host->targets))
        return;
    sorted_drop(&host->watch->hosts, &key, host_compare);
    free(host);
}

static struct watch_place *place_add(struct watch *watch, const struct net_addr *addr,
                                     uint16_t port)
{
    const struct place_key key = {.addr = addr, .port = port};
    struct watch_place *place = calloc(1, sizeof *place);
    size_t at;

    if (!place)
        return NULL;
    place->watch = watch;
    place->addr = *addr;
    place->port = port;
    LIST_INIT(&place->targets);
    sorted_find(&watch->places, &key, place_compare, &at);
    if (watch_cycle_start(place) && sorted_insert(&watch->places, at, place))
        return place;
    watch_cycle_stop(place);
    free(place);
    return NULL;
}

static void place_drop_if_empty(struct watch_place *place)
{
    const struct place_key key = {.addr = &place->addr, .port = place->port};

    if (!LIST_EMPTY(&place->targets))
        return;
    sorted_drop(&place->watch->places, &key, place_compare);
    watch_cycle_stop(place);
    free(place);
}

static void target_drop(struct watch_target *target)
{
    struct watch_host *host = target->host;
    struct watch_place *place = target->place;

    LIST_REMOVE(target, of_host);
    LIST_REMOVE(target, of_place);
    host->watch->targets--;
    free(target);
    host_drop_if_empty(host);
    place_drop_if_empty(place);
}

/* In the order of addresses, for those who list them. */
static void target_link(struct watch_target *target, struct watch_host *host)
{
    struct watch_target *last = NULL, *other;

    LIST_FOREACH(other, &host->targets, of_host)
    {
        if (net_addr_compare(&other->place->addr, &target->place->addr) > 0)
            break;
        last = other;
    }
    if (last)
        LIST_INSERT_AFTER(last, target, of_host);
    else
        LIST_INSERT_HEAD(&host->targets, target, of_host);
}

static struct watch_target *target_add(struct watch *watch, const char *name, uint16_t port,
                                       const struct net_addr *addr)
{
    struct watch_host *host = watch_find_host(watch, name, port);
    struct watch_place *place = find_place(watch, addr, port);
    struct watch_target *target = calloc(1, sizeof *target);

    if (!host)
        host = host_add(watch, name, port);
    if (!place)
        place = place_add(watch, addr, port);
    if (!target || !host || !place) {
        free(target);
        if (host)
            host_drop_if_empty(host);
        if (place)
            place_drop_if_empty(place);
        return NULL;
    }
    target->host = host;
    target->place = place;
    target_link(target, host);
    LIST_INSERT_HEAD(&place->targets, target, of_place);
    watch->targets++;
    host->restored = false; /* what is shared may say something about this address too */
    watch_share_read(host);
    return target;
}

void watch_want(struct watch *watch, const char *host, uint16_t port, const struct net_addr *addr,
                enum watch_purpose purpose, const char *rcpt_domain)
{
    struct watch_host *known = watch_find_host(watch, host, port);
    struct watch_target *target = known ? find_target(known, addr) : NULL;

    if (!target) {
        if (addr->family == NET_NONE || port == 0 || watch->targets >= WATCH_MAX_TARGETS)
            return;
        target = target_add(watch, host, port, addr);
        if (!target)
            return;
    }
    for (int i = 0; i < WATCH_PURPOSES; i++)
        if (purpose & (1U << i))
            target->wanted[i] = clock_mono();
    if (rcpt_domain && strcmp(target->place->rcpt_domain, rcpt_domain) != 0)
        snprintf(target->place->rcpt_domain, sizeof target->place->rcpt_domain, "%s", rcpt_domain);
}

static bool is_among(const struct net_addr *addr, const struct net_addr *all, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (net_addr_equal(addr, &all[i]))
            return true;
    return false;
}

void watch_only(struct watch *watch, const char *name, uint16_t port, const struct net_addr *addr,
                size_t count, unsigned purposes)
{
    const struct watch_host *host = watch_find_host(watch, name, port);
    struct watch_target *target = host ? LIST_FIRST(&host->targets) : NULL;

    while (target && count > 0) {
        struct watch_target *next = LIST_NEXT(target, of_host);
        if (!is_among(&target->place->addr, addr, count)) {
            for (int i = 0; i < WATCH_PURPOSES; i++)
                if (purposes & (1U << i))
                    target->wanted[i] = 0;
            if (!watch_purposes(target, clock_mono()))
                target_drop(target); /* and the host with its last */
        }
        target = next;
    }
}

/* --- views ------------------------------------------------------------------------------------ */

unsigned watch_purposes(const struct watch_target *target, int64_t now)
{
    unsigned purposes = 0;

    for (int i = 0; i < WATCH_PURPOSES; i++)
        if (target->wanted[i] && now - target->wanted[i] < WATCH_UNWANTED_MS)
            purposes |= 1U << i;
    return purposes;
}

void watch_view_fill(const struct watch_target *target, const struct watch_place *place,
                     struct watch_view *out)
{
    *out = (struct watch_view){
        .port = place->port,
        .addr = place->addr,
        .purposes = watch_purposes(target, clock_mono()),
        .health = place->health,
        .age = place->ended && !place->borrowed
                   ? clock_mono() - place->ended
                   : (clock_unix(place->watch->clock) - place->health.at) * 1000,
        .observed = place->observed,
        .missing = place->missing,
    };
    strcpy(out->host, target->host->name);
    strcpy(out->detail, place->detail);
}

bool watch_get(const struct watch *watch, const char *host, uint16_t port,
               const struct net_addr *addr, struct watch_view *out)
{
    const struct watch_host *known = watch_find_host(watch, host, port);
    const struct watch_target *target = known ? find_target(known, addr) : NULL;

    if (!target)
        return false;
    watch_view_fill(target, target->place, out);
    return true;
}

bool watch_get_address(const struct watch *watch, const struct net_addr *addr, uint16_t port,
                       struct watch_view *out)
{
    const struct watch_place *place = find_place(watch, addr, port);

    if (!place)
        return false;
    watch_view_fill(LIST_FIRST(&place->targets), place, out);
    return true;
}

bool watch_is_better(const struct health *a, const struct health *b)
{
    if ((a->state == HEALTH_UP) != (b->state == HEALTH_UP))
        return a->state == HEALTH_UP;
    if (a->last_good != b->last_good)
        return a->last_good;
    return a->state == HEALTH_UP ? a->since < b->since : a->at > b->at;
}

static bool is_for_routes(const struct watch_target *target)
{
    return (watch_purposes(target, clock_mono()) & (WATCH_ROUTE | WATCH_FLUSH)) != 0;
}

static bool has_for_routes(const struct watch_host *host)
{
    const struct watch_target *target;

    LIST_FOREACH(target, &host->targets, of_host)
    {
        if (is_for_routes(target))
            return true;
    }
    return false;
}

/* State, since and targets. */
static struct watch_host_view host_join(const struct watch_host *host)
{
    bool routes = has_for_routes(host);
    struct watch_host_view view = {.state = HEALTH_UNKNOWN, .ramp = TIER_FULL_WEIGHT};
    const struct health *up = NULL;
    const struct watch_target *target;
    unsigned down = 0;
    int64_t fell = 0;

    LIST_FOREACH(target, &host->targets, of_host)
    {
        const struct health *health = &target->place->health;
        if (routes && !is_for_routes(target))
            continue;
        view.targets++;
        if (health->state == HEALTH_UP && (!up || watch_is_better(health, up)))
            up = health;
        if (health->state == HEALTH_DOWN) {
            down++;
            fell = health->since > fell ? health->since : fell;
        }
    }
    if (up) {
        view.state = HEALTH_UP;
        view.since = up->since;
    } else if (down && down == view.targets) {
        view.state = HEALTH_DOWN;
        view.since = fell;
    }
    return view;
}

void watch_host_note(struct watch_host *host)
{
    enum health_state state = host_join(host).state;
    int64_t now = clock_mono();

    if (state == HEALTH_UNKNOWN || state == host->state)
        return;
    if (host->state != HEALTH_UNKNOWN) {
        flap_note(&host->flap, state == HEALTH_UP, now);
        if (state == HEALTH_UP)
            host->recovered = now;
    }
    host->state = state;
}

/* Milliseconds since the host came back, as far as that makes for a slow start; else negative. */
static int64_t recovered_age(const struct watch_host *host)
{
    const struct watch *watch = host->watch;

    if (!host->recovered || host->recovered - watch->began < watch->conf->health.slow_start)
        return -1;
    return clock_mono() - host->recovered;
}

struct watch_host_view watch_get_host(const struct watch *watch, const char *name, uint16_t port)
{
    const struct watch_host *host = watch_find_host(watch, name, port);
    struct watch_host_view view = {.state = HEALTH_UNKNOWN, .ramp = TIER_FULL_WEIGHT};
    int64_t left;

    if (!host)
        return view;
    view = host_join(host);
    if (view.state != HEALTH_UP)
        return view;
    view.ramp = tier_ramp(recovered_age(host), watch->conf->health.slow_start);
    left = flap_left(&host->flap, clock_mono());
    if (left > 0) {
        view.held = flap_count(&host->flap, clock_mono());
        view.held_until = (clock_unix_ms(watch->clock) + left) / 1000;
    }
    return view;
}

void watch_each(const struct watch *watch, watch_visit *visit, void *arg)
{
    for (size_t i = 0; i < watch->hosts.count; i++) {
        const struct watch_host *host = watch->hosts.item[i];
        const struct watch_target *target;
        LIST_FOREACH(target, &host->targets, of_host)
        {
            struct watch_view view;
            watch_view_fill(target, target->place, &view);
            visit(arg, &view);
        }
    }
}

const char *watch_missing_name(enum watch_missing missing)
{
    switch (missing) {
    case WATCH_MISSING_NOTHING: return "";
    case WATCH_MISSING_YET: return "yet";
    case WATCH_MISSING_BANNER: return "banner";
    case WATCH_MISSING_REDIS: return "redis";
    case WATCH_MISSING_NODE: return "node";
    case WATCH_MISSING_MILTER: return "milter";
    case WATCH_MISSING_LISTENERS: return "listeners";
    case WATCH_MISSING_FEED: return "feed";
    }
    return "";
}

/* --- life ------------------------------------------------------------------------------------- */

/* Drops the targets that nobody wants, or all of them. */
static void targets_drop(struct watch *watch, bool all)
{
    int64_t now = clock_mono();

    for (size_t i = watch->hosts.count; i-- > 0;) {
        const struct watch_host *host = watch->hosts.item[i];
        struct watch_target *target = LIST_FIRST(&host->targets);
        while (target) { /* the host goes with its last target */
            struct watch_target *next = LIST_NEXT(target, of_host);
            if (all || !watch_purposes(target, now))
                target_drop(target);
            target = next;
        }
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    targets_drop(arg, false);
}

struct watch *watch_new(struct event_base *base, struct conf *conf, const struct clock *clock,
                        struct memory *memory, struct store *store, const struct site *site,
                        const struct watch_hooks *hooks)
{
    const struct timeval interval = {.tv_sec = WATCH_SWEEP_S};
    struct watch *watch = calloc(1, sizeof *watch);

    if (!watch)
        return NULL;
    watch->refs = 1;
    watch->began = clock_mono();
    watch->base = base;
    watch->conf = conf_ref(conf);
    watch->clock = clock;
    watch->memory = memory;
    watch->store = store;
    watch->site = site;
    if (hooks)
        watch->hooks = *hooks;
    TAILQ_INIT(&watch->queue);
    watch->sweep = event_new(base, -1, EV_PERSIST, on_sweep, watch);
    if (!watch->sweep || event_add(watch->sweep, &interval)) {
        watch_free(watch);
        return NULL;
    }
    return watch;
}

void watch_unref(struct watch *watch)
{
    if (--watch->refs == 0)
        free(watch);
}

void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    /* No probe that ends here makes room for another. */
    TAILQ_INIT(&watch->queue);
    for (size_t i = 0; i < watch->places.count; i++)
        ((struct watch_place *)watch->places.item[i])->queued = false;
    targets_drop(watch, true);
    sorted_clear(&watch->hosts);
    sorted_clear(&watch->places);
    if (watch->sweep)
        event_free(watch->sweep);
    conf_unref(watch->conf);
    watch->closed = true;
    watch_unref(watch);
}

void watch_set_conf(struct watch *watch, struct conf *conf)
{
    struct conf *old = watch->conf;

    watch->conf = conf_ref(conf);
    conf_unref(old);
}
