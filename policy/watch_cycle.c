/*
 * The cycle of one place: wait, probe, look for the proof, and wait again.
 *
 * A place is in one of four conditions: its timer runs towards the next probe; it is queued for a
 * free slot; its probe is under way; it looks for the proof, with its timer or the memory. All ways
 * lead back to the timer by cycle_next, so a cycle can be late, and can never stop.
 *
 * The first cycle begins at once. The second is put at a fixed phase within the interval, so that
 * places that began together do not stay together; from then on they follow the interval. One that
 * is down and awaited by a queue hurries: it has its turn every second, and looks for no proof, which
 * says nothing of a host that is down.
 */
#include "policy/watch_private.h"

#include "cache/hash.h"
#include "policy/memory.h"
#include "policy/probe.h"
#include "policy/site.h"

#include <event2/event.h>

#include <stdio.h>
#include <string.h>

enum {
    LOOK_FIRST_MS = 50,
    LOOK_MS = 2000,
    HURRY_MS = 1000,
    HURRY_CONNECT_MS = 2000, /* the kernel's second try falls into it, a third would be too late */
};

_Static_assert(sizeof((struct watch_place *)NULL)->nonce == PROBE_NONCE_SIZE, "room for a nonce");

static void timer_set(struct watch_place *place, int64_t wait)
{
    const struct timeval tv = {.tv_sec = wait / 1000, .tv_usec = wait % 1000 * 1000};

    evtimer_add(place->timer, &tv);
}

/* Where in the interval the place has its turn: the same for this node and address always. */
static int64_t phase_of(const struct watch_place *place, int64_t interval)
{
    char text[NET_TEXT + 8];
    size_t length = strlen(net_addr_format(&place->addr, text));

    snprintf(text + length, sizeof text - length, ":%u", place->port);
    return interval / 2 +
           (int64_t)(hash_choice(text, place->watch->conf->node) % (uint64_t)(interval / 2 + 1));
}

static bool is_hurried(const struct watch_place *place)
{
    const struct watch_target *target;
    int64_t now = clock_mono();

    if (place->health.state != HEALTH_DOWN || place->watch->probes >= WATCH_MAX_PROBES / 2)
        return false;
    LIST_FOREACH(target, &place->targets, of_place)
    {
        if (watch_purposes(target, now) & WATCH_FLUSH)
            return true;
    }
    return false;
}

static void cycle_next(struct watch_place *place)
{
    int64_t interval = place->watch->conf->health.interval;
    int64_t wait = place->started - clock_mono();

    if (interval > HURRY_MS && is_hurried(place))
        interval = HURRY_MS;
    wait += place->spread ? interval : phase_of(place, interval);
    place->spread = true;
    /* Never at once: what failed without taking time must not spin. */
    timer_set(place, wait > 1 ? wait : 1);
}

void watch_cycle_tell(struct watch_place *place, const struct watch_place *before)
{
    const struct watch_hooks *hooks = &place->watch->hooks;
    struct watch_target *target;

    LIST_FOREACH(target, &place->targets, of_place)
    {
        watch_host_note(target->host);
    }
    if (!hooks->changed ||
        (place->health.state == before->health.state && place->observed == before->observed))
        return;
    LIST_FOREACH(target, &place->targets, of_place)
    {
        struct watch_view then, now;
        watch_view_fill(target, before, &then);
        watch_view_fill(target, place, &now);
        hooks->changed(hooks->arg, &then, &now);
    }
}

/* --- the proof -------------------------------------------------------------------------------- */

static void look_end(struct watch_place *place, enum watch_missing missing, const char *detail)
{
    struct watch_place before = *place;

    place->looking = false;
    place->missing = missing;
    place->observed = missing == WATCH_MISSING_NOTHING;
    if (detail)
        snprintf(place->detail, sizeof place->detail, "%s", detail);
    watch_cycle_tell(place, &before);
    cycle_next(place);
}

/* The proof names an address. True when that settles the look. */
static bool look_settles(struct watch_place *place, const struct net_addr *named)
{
    const struct site_node *node = site_find(place->watch->site, &place->addr);
    char detail[WATCH_DETAIL], theirs[NET_TEXT], ours[NET_TEXT];

    if (!net_addr_equal(named, &place->addr)) {
        snprintf(detail, sizeof detail, "the probe of %s was heard at %s",
                 net_addr_format(&place->addr, ours), net_addr_format(named, theirs));
        look_end(place, WATCH_MISSING_LISTENERS, detail);
        return true;
    }
    /* Without its heartbeat nobody can tell whether the node needs a feed; it may be on its way. */
    if (!node)
        return false;
    if (node->needs_feed && !node->feed)
        look_end(place, WATCH_MISSING_FEED, "its node needs a feed and has none");
    else
        look_end(place, WATCH_MISSING_NOTHING, NULL);
    return true;
}

/* Nobody recorded the probe: where the chain is broken, going by who claims the address. */
static enum watch_missing link_missing(const struct watch_place *place)
{
    return site_find(place->watch->site, &place->addr) ? WATCH_MISSING_MILTER : WATCH_MISSING_NODE;
}

/* The time is over. */
static void look_miss(struct watch_place *place, bool known)
{
    enum watch_missing missing = known ? link_missing(place) : WATCH_MISSING_REDIS;

    if (missing == WATCH_MISSING_REDIS)
        look_end(place, missing, "the shared memory cannot be asked for the proof");
    else if (missing == WATCH_MISSING_NODE)
        look_end(place, missing, "no live node claims this address");
    else
        look_end(place, missing, "its node was not told of the probe");
}

static void look_done(void *arg, bool known, const struct net_addr *addr)
{
    struct watch_place *place = arg;
    int64_t left = place->look_until - clock_mono(), wait = LOOK_FIRST_MS << place->looks;

    place->wait = NULL;
    if (known && addr->family != NET_NONE && look_settles(place, addr))
        return;
    if (left <= 0) {
        look_miss(place, known);
        return;
    }
    place->looks++;
    timer_set(place, wait < left ? wait : left);
}

static void look(struct watch_place *place)
{
    place->wait = memory_ask_proof(place->watch->memory, place->nonce, look_done, place);
    if (!place->wait)
        look_miss(place, false);
}

/* --- the probe -------------------------------------------------------------------------------- */

static void cycle_begin(struct watch_place *place);

/* A slot has become free: whoever waited for longest takes it. */
static void queue_next(struct watch *watch)
{
    struct watch_place *place = TAILQ_FIRST(&watch->queue);

    if (!place || watch->probes >= WATCH_MAX_PROBES)
        return;
    TAILQ_REMOVE(&watch->queue, place, queue);
    place->queued = false;
    cycle_begin(place);
}

/* What another node saw is not what this one sees: its host has not come back, or gone, for that. */
static void borrowed_drop(struct watch_place *place)
{
    struct watch_target *target;

    place->health = (struct health){.state = HEALTH_UNKNOWN};
    LIST_FOREACH(target, &place->targets, of_place)
    {
        target->host->state = HEALTH_UNKNOWN;
    }
}

/* Takes a result into the place's health, and shares it. */
static void result_note(struct watch_place *place, bool good, int32_t ms)
{
    const struct conf *conf = place->watch->conf;
    const struct health_rule rule = {.fall = conf->health.fall, .rise = conf->health.rise};
    int64_t now = clock_unix(place->watch->clock);
    struct watch_target *target;

    /* Our own first result decides at once, and keeps others' times only where it agrees. */
    if (place->borrowed && place->health.last_good != good)
        borrowed_drop(place);
    place->borrowed = place->blind = false;
    place->ended = clock_mono();
    health_note(&place->health, &rule, good, ms, now);
    if (place->saved.state != HEALTH_UNKNOWN)
        health_restore(&place->health, &place->saved, watch_share_gap(place->watch), now);
    place->saved = (struct health){.state = HEALTH_UNKNOWN};
    LIST_FOREACH(target, &place->targets, of_place)
    {
        watch_share_write(target->host);
    }
}

/* Our own trouble says nothing of the host; the last result counts for a while. */
static void result_miss(struct watch_place *place)
{
    int64_t age = clock_mono() - place->ended;
    struct watch_target *target;

    place->blind = !place->ended || age > watch_share_gap(place->watch) * 1000;
    if (!place->blind)
        return;
    LIST_FOREACH(target, &place->targets, of_place)
    {
        watch_share_reread(target->host);
    }
}

static void result_take(struct watch_place *place, enum probe_result result, bool said_ehlo,
                        int32_t ms, const char *detail)
{
    struct watch_place before = *place;

    if (result == PROBE_LOCAL) {
        snprintf(place->detail, sizeof place->detail, "cannot probe: %s", detail);
        result_miss(place);
        return;
    }
    snprintf(place->detail, sizeof place->detail, "%s", detail);
    result_note(place, result == PROBE_GOOD, ms);
    if (result != PROBE_GOOD) {
        place->missing = WATCH_MISSING_BANNER;
        place->observed = place->observed && place->health.state != HEALTH_DOWN;
    } else if (!said_ehlo) {
        place->missing = link_missing(place);
        place->observed = false;
    } else if (!is_hurried(place)) {
        place->looking = true;
    }
    watch_cycle_tell(place, &before);
}

static void on_probed(void *arg, enum probe_result result, bool said_ehlo, int32_t ms,
                      const char *detail)
{
    struct watch_place *place = arg;

    place->probe = NULL;
    place->watch->probes--;
    result_take(place, result, said_ehlo, ms, detail);
    if (place->looking) {
        place->looks = 0;
        place->look_until = clock_mono() + LOOK_MS;
        look(place);
    } else {
        cycle_next(place);
    }
    queue_next(place->watch);
}

static void nonce_make(char out[PROBE_NONCE_SIZE])
{
    uint8_t random[(PROBE_NONCE_SIZE - 1) / 2];

    hash_random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(out + 2 * i, 3, "%02x", random[i]);
}

static void cycle_begin(struct watch_place *place)
{
    struct watch *watch = place->watch;
    const struct conf *conf = watch->conf;
    const struct probe_options options = {
        .addr = place->addr,
        .source = conf->health.source,
        .port = place->port,
        .timeout = conf->health.timeout,
        .connect = is_hurried(place) ? HURRY_CONNECT_MS : 0,
        .nonce = place->nonce,
        .node = conf->node,
        .rcpt_domain = conf->health.depth == CONF_DEPTH_RCPT && place->rcpt_domain[0]
                           ? place->rcpt_domain
                           : NULL,
    };

    if (watch->probes >= WATCH_MAX_PROBES) {
        place->queued = true;
        TAILQ_INSERT_TAIL(&watch->queue, place, queue);
        return;
    }
    nonce_make(place->nonce);
    place->started = clock_mono();
    place->probe = probe_start(watch->base, &options, on_probed, place);
    if (place->probe)
        watch->probes++;
    else
        cycle_next(place);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct watch_place *place = arg;

    (void)fd, (void)what;
    if (place->looking)
        look(place);
    else
        cycle_begin(place);
}

bool watch_cycle_start(struct watch_place *place)
{
    place->missing = WATCH_MISSING_YET;
    place->timer = evtimer_new(place->watch->base, on_timer, place);
    if (!place->timer)
        return false;
    timer_set(place, 0);
    return true;
}

void watch_cycle_stop(struct watch_place *place)
{
    struct watch *watch = place->watch;

    if (place->timer)
        event_free(place->timer);
    if (place->queued)
        TAILQ_REMOVE(&watch->queue, place, queue);
    if (place->wait)
        memory_cancel(place->wait);
    if (!place->probe)
        return;
    probe_stop(place->probe);
    watch->probes--;
    queue_next(watch);
}
