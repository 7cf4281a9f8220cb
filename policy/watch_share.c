/*
 * Health as nodes share it: health:<host>:<port>, a field for each node.
 *
 * The first contact with a host's key is a read: this node's own field says where an earlier
 * process left off (so that a restart costs no hold_down), and where there is none, the freshest
 * of the others' stands in until the first result of our own. Only then is the key written, so
 * that the read finds what it came for. A result that others wrote long ago counts for nothing.
 *
 * As long as there is no result of our own the key is read again whenever somebody writes it, and
 * at each probe that could not be made.
 */
#include "policy/watch_private.h"

#include "cache/keys.h"
#include "cache/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARE_FIELDS = 256, SHARE_MIN_TTL = 60 };

struct share_read {
    struct watch *watch;
    char host[NAME_SIZE];
    uint16_t port;
};

static const char *reply_word(const struct store_reply *reply)
{
    const char *text;
    size_t length;

    if (!reply || store_reply_kind(reply) != STORE_KIND_TEXT)
        return "";
    text = store_reply_text(reply, &length);
    return strlen(text) == length ? text : "";
}

/* Seconds; at least one, for intervals of milliseconds. */
int64_t watch_share_gap(const struct watch *watch)
{
    int64_t gap = 2 * watch->conf->health.interval / 1000;

    return gap > 0 ? gap : 1;
}

/* The shared result is that of the host's best address. So `up` says something about an address
 * only if it is the only one, or when a probe of our own has said the same. */
static void place_restore(struct watch_place *place, const struct health *own, bool alone)
{
    int64_t now = clock_unix(place->watch->clock), gap = watch_share_gap(place->watch);

    if (place->considered || own->state == HEALTH_UNKNOWN)
        return;
    if (place->health.at != 0 || alone || own->state == HEALTH_DOWN)
        health_restore(&place->health, own, gap, now);
    else
        place->saved = *own;
}

static bool has_own(const struct watch_place *place)
{
    return place->health.at != 0 && !place->borrowed && !place->blind;
}

/* What another node says, if it is fresh; what one said before that, if it no longer is, goes. Up
 * at some address is a reason to believe of none that it is down. */
static void place_borrow(struct watch_place *place, const struct health *other, bool alone)
{
    int64_t oldest = clock_unix(place->watch->clock) - watch_share_gap(place->watch);
    bool fresh = other->state != HEALTH_UNKNOWN && other->at >= oldest;

    if (has_own(place) || place->saved.state != HEALTH_UNKNOWN)
        return;
    if (place->borrowed && place->health.at >= oldest && other->at < place->health.at)
        return; /* under another name of this address more was said */
    if (fresh && (alone || other->state == HEALTH_DOWN)) {
        place->health = *other;
        place->borrowed = true;
    } else if (fresh || place->borrowed) {
        place->health = (struct health){.state = HEALTH_UNKNOWN};
        place->borrowed = false;
    }
}

/* The places of the host consider what was read: our own field once, the others' while they must. */
static void host_restore(struct watch_host *host, const struct health *own,
                         const struct health *other)
{
    struct watch_target *target = LIST_FIRST(&host->targets);
    bool alone = target && !LIST_NEXT(target, of_host);

    LIST_FOREACH(target, &host->targets, of_host)
    {
        struct watch_place before = *target->place;
        place_restore(target->place, own, alone);
        place_borrow(target->place, other, alone);
        target->place->considered = true;
        watch_cycle_tell(target->place, &before);
    }
    watch_share_write(host);
}

/* The own field, and the freshest of the others'. */
static void fields_read(const struct watch *watch, const struct store_reply *reply,
                        struct health *own, struct health *other)
{
    int64_t now = clock_unix(watch->clock), interval = watch->conf->health.interval / 1000;

    if (store_reply_kind(reply) != STORE_KIND_LIST)
        return;
    for (size_t i = 0; i + 1 < store_reply_count(reply) && i < 2 * SHARE_FIELDS; i += 2) {
        const char *node = reply_word(store_reply_at(reply, i));
        struct health got;
        if (!health_parse(reply_word(store_reply_at(reply, i + 1)), now, interval, &got))
            continue;
        if (!strcmp(node, watch->conf->node))
            *own = got;
        else if (got.at > other->at)
            *other = got;
    }
}

static void read_done(void *arg, enum store_status status, const struct store_reply *const *reply,
                      size_t count)
{
    struct share_read *read = arg;
    struct health own = {.state = HEALTH_UNKNOWN}, other = {.state = HEALTH_UNKNOWN};
    struct watch *watch = read->watch;
    struct watch_host *host = NULL;

    if (!watch->closed)
        host = watch_find_host(watch, read->host, read->port);
    if (host) {
        host->reading = false;
        /* A key of the wrong type holds nothing; writing will say so again. */
        host->restored = status == STORE_OK || status == STORE_ERROR;
        if (status == STORE_OK && count == 1)
            fields_read(watch, reply[0], &own, &other);
        if (host->restored)
            host_restore(host, &own, &other);
    }
    watch_unref(watch);
    free(read);
}

void watch_share_read(struct watch_host *host)
{
    struct watch *watch = host->watch;
    struct share_read *read;
    struct store_batch *batch;
    char key[KEYS_SIZE];

    if (!watch->store || host->reading || host->restored || !(read = calloc(1, sizeof *read)))
        return;
    read->watch = watch;
    strcpy(read->host, host->name);
    read->port = host->port;
    batch = store_batch_new(false);
    store_batch_add(batch, "HGETALL",
                    keys_health(watch->conf->cache.prefix, host->name, host->port, key), NULL);
    if (!store_send(watch->store, batch, read_done, read)) {
        free(read);
        return;
    }
    host->reading = true;
    watch->refs++;
}

void watch_share_reread(struct watch_host *host)
{
    host->restored = false;
    watch_share_read(host);
}

void watch_changed(struct watch *watch, const char *text)
{
    char name[NAME_SIZE];
    uint16_t port;
    struct watch_host *host = NULL;
    const struct watch_target *target;

    if (keys_parse_host(text, 0, name, &port))
        host = watch_find_host(watch, name, port);
    if (!host)
        return;
    LIST_FOREACH(target, &host->targets, of_host)
    {
        if (!has_own(target->place)) {
            watch_share_reread(host);
            return;
        }
    }
}

static void write_done(void *arg, enum store_status status, const struct store_reply *const *reply,
                       size_t count)
{
    (void)status, (void)reply, (void)count; /* the next result is written anyway */
    watch_unref(arg);
}

/* The result of the host's best address, not counting what others said. */
static const struct health *host_best(const struct watch_host *host)
{
    const struct health *best = NULL;
    const struct watch_target *target;

    LIST_FOREACH(target, &host->targets, of_host)
    {
        const struct watch_place *place = target->place;
        if (has_own(place) && (!best || watch_is_better(&place->health, best)))
            best = &place->health;
    }
    return best;
}

void watch_share_write(struct watch_host *host)
{
    struct watch *watch = host->watch;
    const struct health *best = host_best(host);
    int64_t ttl = 3 * watch->conf->health.interval / 1000;
    struct store_batch *batch;
    char key[KEYS_SIZE], seconds[24], value[HEALTH_TEXT];

    if (!watch->store || !best)
        return;
    if (!host->restored) {
        watch_share_read(host);
        return;
    }
    keys_health(watch->conf->cache.prefix, host->name, host->port, key);
    snprintf(seconds, sizeof seconds, "%" PRId64, ttl > SHARE_MIN_TTL ? ttl : SHARE_MIN_TTL);
    batch = store_batch_new(true);
    store_batch_add(batch, "HSET", key, watch->conf->node, health_format(best, value), NULL);
    store_batch_add(batch, "EXPIRE", key, seconds, NULL);
    if (store_send(watch->store, batch, write_done, watch))
        watch->refs++;
}
