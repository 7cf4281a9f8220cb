/*
 * Counters on their way to Redis.
 *
 * Two keys hold the same fields, the running total and the day's, but for those of domains, which
 * only the day has; a day begins by the shared clock, in UTC, and what was counted in its first
 * seconds may still go to the day before.
 *
 * Each transaction leaves its mark in the field `flushed`: which process, and its how manieth. When
 * the answer to one is lost, the mark says whether it was done, since all are sent on one connection
 * at a time, and in order: those up to the mark are counted, those after it are sent anew. Until that
 * is known nothing else is sent.
 */
#include "policy/stats_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATS_BATCH = 28, /* counters of one transaction: two commands each, and four more */
    STATS_DAY_TTL = 35 * 86400,
    STATS_ROUNDS = 3, /* of a flush: what is under way, what is in doubt, what was added since */
};

/* One transaction under way. counter[0] and [1] are the hits and misses, perhaps with nothing to
 * add: their replies are the sums that hit_ratio needs. */
struct stats_batch {
    struct stats *stats;
    struct stats_batch *next; /* in doubt */
    uint64_t serial;
    char key[KEY_COUNT][KEYS_SIZE];
    size_t count;
    struct counter *counter[STATS_BATCH];
    uint64_t delta[STATS_BATCH];
    size_t reply[STATS_BATCH]; /* the first that is about it */
};

void stats_unref(struct stats *stats)
{
    struct stats_batch *batch;

    if (--stats->refs > 0)
        return;
    while ((batch = stats->doubtful)) {
        stats->doubtful = batch->next;
        free(batch);
    }
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

static bool begin(struct stats *stats, struct store_batch *batch, store_done *done, void *arg)
{
    if (!store_send(stats->store, batch, done, arg))
        return false;
    stats->refs++;
    stats->under_way++;
    return true;
}

/* One batch less under way; the flush that waits for the last one goes on. */
static void batch_ended(struct stats *stats)
{
    stats_flushed *flushed = stats->flushed;

    stats->under_way--;
    if (flushed && !stats->under_way && stats->rounds > 0) {
        stats->rounds--;
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
    if (!begin(stats, batch, ratio_done, stats))
        memset(stats->ratio, 0, sizeof stats->ratio);
}

/* Not counted: it waits for the next time. */
static void give_back(const struct stats_batch *batch, size_t i)
{
    batch->counter[i]->unsent += batch->delta[i];
}

static void doubt(struct stats_batch *batch)
{
    batch->next = NULL;
    *batch->stats->last_doubtful = batch;
    batch->stats->last_doubtful = &batch->next;
}

/* Those up to the mark are counted. No mark, or another process's, is none of ours. */
static void settle_doubts(struct stats *stats, const char *mark)
{
    size_t length = strlen(stats->id);
    uint64_t done = 0;
    struct stats_batch *batch;

    if (strncmp(mark, stats->id, length) == 0 && mark[length] == '.')
        done = strtoull(mark + length + 1, NULL, 10);
    while ((batch = stats->doubtful)) {
        stats->doubtful = batch->next;
        for (size_t i = 0; batch->serial > done && i < batch->count; i++)
            give_back(batch, i);
        free(batch);
    }
    stats->last_doubtful = &stats->doubtful;
}

static void doubt_done(void *arg, enum store_status status, const struct store_reply *const *reply,
                       size_t count)
{
    struct stats *stats = arg;
    const char *mark;

    if ((status == STORE_OK || status == STORE_ERROR) && count == 1) {
        mark = store_reply_text(reply[0], NULL);
        settle_doubts(stats, mark ? mark : "");
    }
    batch_ended(stats);
}

static void ask_mark(struct stats *stats)
{
    struct store_batch *batch = store_batch_new(false);
    char key[KEYS_SIZE];

    store_batch_add(batch, "HGET", keys_stat(stats->prefix, stats->node, "", key), "flushed", NULL);
    begin(stats, batch, doubt_done, stats);
}

static void batch_done(void *arg, enum store_status status, const struct store_reply *const *reply,
                       size_t count)
{
    struct stats_batch *sent = arg;
    struct stats *stats = sent->stats;

    for (size_t i = 0; status == STORE_ERROR && i < sent->count && sent->reply[i] < count; i++)
        if (store_reply_kind(reply[sent->reply[i]]) == STORE_KIND_ERROR)
            give_back(sent, i);
    if (status == STORE_OK && count >= 2 * KEY_COUNT && !stats->closed)
        ratio_send(stats, sent, reply);
    if (status == STORE_LOST || status == STORE_TIMEOUT)
        doubt(sent);
    else
        free(sent);
    batch_ended(stats);
}

static void key_names(const struct stats *stats, struct stats_batch *sent, char since[24])
{
    int64_t now = clock_unix(stats->clock);
    char day[KEYS_DAY_SIZE];

    snprintf(since, 24, "%" PRId64, now);
    keys_stat(stats->prefix, stats->node, "", sent->key[KEY_TOTAL]);
    keys_stat(stats->prefix, stats->node, keys_day(now, day), sent->key[KEY_DAY]);
}

/* The mark, and once a period the times of Redis' answers. */
static void add_mark(struct stats *stats, const struct stats_batch *sent, struct store_batch *batch)
{
    const struct stats_times *times = &stats->times;
    char mark[STATS_ID + 24], average[24], p99[24], longest[24];

    snprintf(mark, sizeof mark, "%s.%" PRIu64, stats->id, sent->serial);
    if (!stats->times_unsent) {
        store_batch_add(batch, "HSET", sent->key[KEY_TOTAL], "flushed", mark, NULL);
        return;
    }
    snprintf(average, sizeof average, "%.3f", times->average);
    snprintf(p99, sizeof p99, "%.3f", times->p99);
    snprintf(longest, sizeof longest, "%.3f", times->longest);
    store_batch_add(batch, "HSET", sent->key[KEY_TOTAL], "flushed", mark, "redis_ms_avg", average,
                    "redis_ms_p99", p99, "redis_ms_max", longest, NULL);
}

static struct store_batch *batch_make(struct stats *stats, struct stats_batch *sent)
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
    add_mark(stats, sent, batch);
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
    sent->serial = ++stats->serial;
    batch_take(sent, stats->hits);
    batch_take(sent, stats->misses);
    for (; *at < stats->counters.count && sent->count < STATS_BATCH; ++*at) {
        struct counter *counter = stats->counters.item[*at];
        if (counter->unsent)
            batch_take(sent, counter);
    }
    if (begin(stats, batch_make(stats, sent), batch_done, sent)) {
        stats->times_unsent = false;
        return true;
    }
    for (size_t i = 0; i < sent->count; i++)
        give_back(sent, i);
    free(sent);
    return false;
}

void stats_send(struct stats *stats)
{
    size_t at = 0;

    /* While one is under way the next waits, so that a slow Redis is not given more. */
    if (stats->under_way || !stats->store)
        return;
    if (stats->doubtful) {
        ask_mark(stats);
        return;
    }
    if (has_unsent(stats))
        stats_count_times(stats);
    while (has_unsent(stats) && chunk_send(stats, &at))
        ;
}

void stats_flush(struct stats *stats, stats_flushed *done, void *arg)
{
    stats->rounds = STATS_ROUNDS;
    stats_send(stats);
    if (!stats->under_way) {
        done(arg);
        return;
    }
    stats->flushed = done;
    stats->flushed_arg = arg;
}
