/*
 * Counters, and their way to Redis.
 *
 * A counter is never removed, so what is under way may point at it. Two keys hold the same fields,
 * the running total and the day's, but for those of domains, which only the day has; a day begins by the shared clock, in UTC, and what was counted
 * in its first seconds may still go to the day before.
 */
#include "policy/stats.h"

#include "cache/keys.h"
#include "policy/sorted.h"

#include <event2/event.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    STATS_NAME = 48,
    STATS_MAX = 4096, /* names come from this program's own tables; more is a mistake */
    STATS_BATCH = 28, /* counters of one transaction: two commands each, and three more */
    STATS_INTERVAL_MS = 2000,
    STATS_DAY_TTL = 35 * 86400,
    STATS_RATIO = 8,
};

enum { KEY_TOTAL, KEY_DAY, KEY_COUNT };

struct counter {
    uint64_t total; /* of this process */
    uint64_t unsent;
    int first_key; /* KEY_DAY: of a domain */
    char name[];
};

struct stats {
    unsigned refs; /* the owner's, and one for each batch under way */
    bool closed;
    const struct clock *clock;
    struct store *store;
    char prefix[KEYS_PREFIX_SIZE + 1], node[NAME_SIZE];
    struct event *timer;
    struct sorted counters;
    struct counter *hits, *misses;
    unsigned under_way;
    char ratio[KEY_COUNT][STATS_RATIO]; /* as last written */
    stats_flushed *flushed;
    void *flushed_arg;
    bool flush_again; /* a round is left, for what was added while a batch was under way */
};

/* One transaction under way. counter[0] and [1] are the hits and misses, perhaps with nothing to
 * add: their replies are the sums that hit_ratio needs. */
struct stats_batch {
    struct stats *stats;
    char key[KEY_COUNT][KEYS_SIZE];
    size_t count;
    struct counter *counter[STATS_BATCH];
    uint64_t delta[STATS_BATCH];
    size_t reply[STATS_BATCH]; /* the first that is about it */
};

static int counter_compare(const void *key, const void *item)
{
    return strcmp(key, ((const struct counter *)item)->name);
}

static bool name_is_good(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

    return length > 0 && length < STATS_NAME && name[length] == '\0';
}

static bool field_is_good(const char *field, int first_key)
{
    const char *domain = strchr(field, ':');
    char name[STATS_NAME] = "";

    if (first_key == KEY_TOTAL)
        return name_is_good(field);
    if (!domain || (size_t)(domain - field) >= sizeof name)
        return false;
    memcpy(name, field, (size_t)(domain - field));
    return name_is_good(name) && domain[1] != '\0' && strlen(domain + 1) < NAME_SIZE;
}

static struct counter *counter_find(struct stats *stats, const char *name, int first_key)
{
    struct counter *counter;
    size_t at;

    if (sorted_find(&stats->counters, name, counter_compare, &at))
        return stats->counters.item[at];
    if (!field_is_good(name, first_key) || stats->counters.count == STATS_MAX)
        return NULL;
    counter = calloc(1, sizeof *counter + strlen(name) + 1);
    if (!counter)
        return NULL;
    counter->first_key = first_key;
    strcpy(counter->name, name);
    if (!sorted_insert(&stats->counters, at, counter)) {
        free(counter);
        return NULL;
    }
    return counter;
}

static void add(struct stats *stats, const char *name, int first_key, uint64_t count)
{
    struct counter *counter = counter_find(stats, name, first_key);

    if (!counter)
        return;
    counter->total += count;
    counter->unsent += count;
}

void stats_add(struct stats *stats, const char *name, uint64_t count)
{
    add(stats, name, KEY_TOTAL, count);
}

void stats_add_of(struct stats *stats, const char *name, const char *domain, uint64_t count)
{
    char field[STATS_NAME + 1 + NAME_SIZE];

    snprintf(field, sizeof field, "%s:%s", name, domain);
    add(stats, field, KEY_DAY, count);
}

void stats_add_kind(struct stats *stats, const char *family, const char *kind)
{
    char name[STATS_NAME + 1];

    snprintf(name, sizeof name, "%s_%s", family, kind);
    for (char *c = name; *c; c++)
        if (*c == '-')
            *c = '_';
    stats_add(stats, name, 1);
}

static void stats_unref(struct stats *stats)
{
    if (--stats->refs > 0)
        return;
    for (size_t i = 0; i < stats->counters.count; i++)
        free(stats->counters.item[i]);
    sorted_clear(&stats->counters);
    free(stats);
}

static bool has_unsent(const struct stats *stats)
{
    for (size_t i = 0; i < stats->counters.count; i++)
        if (((const struct counter *)stats->counters.item[i])->unsent)
            return true;
    return false;
}

static void stats_send(struct stats *stats);

/* One batch less under way; the flush that waits for the last one goes on. */
static void batch_ended(struct stats *stats)
{
    stats_flushed *flushed = stats->flushed;

    stats->under_way--;
    if (flushed && !stats->under_way && stats->flush_again) {
        stats->flush_again = false;
        stats_send(stats);
    }
    if (flushed && !stats->under_way) {
        stats->flushed = NULL;
        flushed(stats->flushed_arg);
    }
    stats_unref(stats);
}

static void ratio_done(void *arg, enum store_status status, const struct store_reply *const *reply,
                       size_t count)
{
    (void)status, (void)reply, (void)count;
    batch_ended(arg);
}

/* From the sums that this transaction has left in both keys. */
static void ratio_send(struct stats *stats, const struct stats_batch *sent,
                       const struct store_reply *const *reply)
{
    struct store_batch *batch = store_batch_new(true);
    char ttl[16];

    snprintf(ttl, sizeof ttl, "%d", STATS_DAY_TTL);
    for (int key = 0; key < KEY_COUNT; key++) {
        double hits = (double)store_reply_integer(reply[key], 0);
        double misses = (double)store_reply_integer(reply[KEY_COUNT + key], 0);
        char ratio[STATS_RATIO];
        if (hits < 0 || misses < 0 || hits + misses == 0)
            continue;
        snprintf(ratio, sizeof ratio, "%.3f", hits / (hits + misses));
        if (!strcmp(ratio, stats->ratio[key]))
            continue;
        strcpy(stats->ratio[key], ratio);
        store_batch_add(batch, "HSET", sent->key[key], "hit_ratio", ratio, NULL);
        if (key == KEY_DAY)
            store_batch_add(batch, "EXPIRE", sent->key[key], ttl, NULL);
    }
    if (store_batch_count(batch) == 0) {
        store_batch_free(batch);
        return;
    }
    if (store_send(stats->store, batch, ratio_done, stats)) {
        stats->refs++;
        stats->under_way++;
    } else {
        memset(stats->ratio, 0, sizeof stats->ratio);
    }
}

static void batch_done(void *arg, enum store_status status, const struct store_reply *const *reply,
                       size_t count)
{
    struct stats_batch *sent = arg;
    struct stats *stats = sent->stats;

    /* Refused: not counted, so it waits. Lost or late: perhaps counted, so it is dropped. */
    for (size_t i = 0; status == STORE_ERROR && i < sent->count && sent->reply[i] < count; i++)
        if (store_reply_kind(reply[sent->reply[i]]) == STORE_KIND_ERROR)
            sent->counter[i]->unsent += sent->delta[i];
    if (status == STORE_OK && count >= 2 * KEY_COUNT && !stats->closed)
        ratio_send(stats, sent, reply);
    free(sent);
    batch_ended(stats);
}

static void key_names(const struct stats *stats, struct stats_batch *sent, char since[24])
{
    int64_t now = clock_unix(stats->clock);
    time_t seconds = (time_t)now;
    char day[16] = "19700101";
    struct tm tm;

    snprintf(since, 24, "%" PRId64, now);
    if (gmtime_r(&seconds, &tm))
        strftime(day, sizeof day, "%Y%m%d", &tm);
    keys_stat(stats->prefix, stats->node, "", sent->key[KEY_TOTAL]);
    keys_stat(stats->prefix, stats->node, day, sent->key[KEY_DAY]);
}

static struct store_batch *batch_make(const struct stats *stats, struct stats_batch *sent)
{
    struct store_batch *batch = store_batch_new(true);
    char since[24], delta[24], ttl[16];

    key_names(stats, sent, since);
    for (size_t i = 0; i < sent->count; i++) {
        snprintf(delta, sizeof delta, "%" PRIu64, sent->delta[i]);
        sent->reply[i] = store_batch_count(batch);
        for (int key = sent->counter[i]->first_key; key < KEY_COUNT; key++)
            store_batch_add(batch, "HINCRBY", sent->key[key], sent->counter[i]->name, delta, NULL);
    }
    snprintf(ttl, sizeof ttl, "%d", STATS_DAY_TTL);
    store_batch_add(batch, "HSETNX", sent->key[KEY_TOTAL], "since", since, NULL);
    store_batch_add(batch, "HSETNX", sent->key[KEY_DAY], "since", since, NULL);
    store_batch_add(batch, "EXPIRE", sent->key[KEY_DAY], ttl, NULL);
    return batch;
}

static void batch_take(struct stats_batch *sent, struct counter *counter)
{
    sent->counter[sent->count] = counter;
    sent->delta[sent->count++] = counter->unsent;
    counter->unsent = 0;
}

/* Sends up to one transaction's worth of counters, the first of them at *at. */
static bool chunk_send(struct stats *stats, size_t *at)
{
    struct stats_batch *sent = calloc(1, sizeof *sent);

    if (!sent)
        return false;
    sent->stats = stats;
    batch_take(sent, stats->hits);
    batch_take(sent, stats->misses);
    for (; *at < stats->counters.count && sent->count < STATS_BATCH; ++*at) {
        struct counter *counter = stats->counters.item[*at];
        if (counter->unsent)
            batch_take(sent, counter);
    }
    if (store_send(stats->store, batch_make(stats, sent), batch_done, sent)) {
        stats->refs++;
        stats->under_way++;
        return true;
    }
    for (size_t i = 0; i < sent->count; i++)
        sent->counter[i]->unsent += sent->delta[i];
    free(sent);
    return false;
}

static void stats_send(struct stats *stats)
{
    size_t at = 0;

    /* While one is under way the next waits, so that a slow Redis is not given more. */
    if (stats->under_way || !stats->store)
        return;
    while (has_unsent(stats) && chunk_send(stats, &at))
        ;
}

static void stats_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    stats_send(arg);
}

void stats_flush(struct stats *stats, stats_flushed *done, void *arg)
{
    stats->flush_again = stats->under_way > 0;
    stats_send(stats);
    if (!stats->under_way) {
        done(arg);
        return;
    }
    stats->flushed = done;
    stats->flushed_arg = arg;
}

struct stats *stats_new(struct event_base *base, const struct clock *clock, struct store *store,
                        const char *prefix, const char *node)
{
    const struct timeval interval = {.tv_sec = STATS_INTERVAL_MS / 1000};
    struct stats *stats = calloc(1, sizeof *stats);

    if (!stats)
        return NULL;
    stats->refs = 1;
    stats->clock = clock;
    stats->store = store;
    snprintf(stats->prefix, sizeof stats->prefix, "%s", prefix);
    snprintf(stats->node, sizeof stats->node, "%s", node);
    stats->hits = counter_find(stats, "mx_hits", KEY_TOTAL);
    stats->misses = counter_find(stats, "mx_misses", KEY_TOTAL);
    stats->timer = event_new(base, -1, EV_PERSIST, stats_tick, stats);
    if (!stats->hits || !stats->misses || !stats->timer || event_add(stats->timer, &interval)) {
        stats_free(stats);
        return NULL;
    }
    return stats;
}

void stats_free(struct stats *stats)
{
    if (!stats)
        return;
    if (stats->timer)
        event_free(stats->timer);
    stats->closed = true;
    stats->flushed = NULL;
    stats_unref(stats);
}

void stats_each(const struct stats *stats, stats_visit *visit, void *arg)
{
    for (size_t i = 0; i < stats->counters.count; i++) {
        const struct counter *counter = stats->counters.item[i];
        visit(arg, counter->name, counter->total);
    }
}
