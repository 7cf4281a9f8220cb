/*
 * Counters as they stand in the process. A counter is never removed, so what is under way may point
 * at it.
 */
#include "policy/stats_inside.h"

#include "cache/hash.h"
#include "cache/timing.h"

#include <event2/event.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    STATS_NAME = 48,
    STATS_MAX = 4096, /* names come from this program's own tables; more is a mistake */
    STATS_INTERVAL_MS = 2000,
    STATS_PERIOD_MS = 10000, /* rates and times are of the last period */
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

/* What Redis took is counted when something else is sent: else each flush would be cause for the
 * next. */
void stats_count_times(struct stats *stats)
{
    const struct timing *timing = stats->timing;

    if (!timing)
        return;
    stats_add(stats, "redis_batches", timing->count - stats->timed);
    stats_add(stats, "redis_us", timing->sum - stats->timed_us);
    stats->timed = timing->count;
    stats->timed_us = timing->sum;
}

static void roll_times(struct stats *stats)
{
    struct timing *timing = stats->timing;

    if (!timing || timing->count == 0)
        return;
    stats_count_times(stats);
    stats->times = (struct stats_times){
        .average = (double)timing->sum / (double)timing->count / 1000,
        .p99 = (double)timing_quantile(timing, 0.99) / 1000,
        .longest = (double)timing->longest / 1000,
    };
    stats->times_unsent = true;
    memset(timing, 0, sizeof *timing);
    stats->timed = stats->timed_us = 0;
}

/* A period has ended. */
static void roll(struct stats *stats, int64_t now)
{
    for (size_t i = 0; i < stats->counters.count; i++) {
        struct counter *counter = stats->counters.item[i];
        counter->mark[1] = counter->mark[0];
        counter->mark[0] = counter->total;
    }
    stats->marked[1] = stats->marked[0];
    stats->marked[0] = now;
    roll_times(stats);
}

void stats_push(struct stats *stats)
{
    int64_t now = clock_mono();

    if (now - stats->marked[0] >= STATS_PERIOD_MS)
        roll(stats, now);
    stats_send(stats);
}

static void stats_tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    stats_push(arg);
}

static void draw_id(char id[STATS_ID])
{
    uint8_t bytes[(STATS_ID - 1) / 2];

    hash_random(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
}

void stats_set_timing(struct stats *stats, struct timing *timing)
{
    stats->timing = timing;
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
    stats->marked[0] = stats->marked[1] = clock_mono();
    stats->last_doubtful = &stats->doubtful;
    draw_id(stats->id);
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

void stats_each_rate(const struct stats *stats, stats_visit_rate *visit, void *arg)
{
    int64_t since = clock_mono() - stats->marked[1];
    int64_t span = since > 1000 ? since : 1000; /* at the start an instant is no rate */

    for (size_t i = 0; i < stats->counters.count; i++) {
        const struct counter *counter = stats->counters.item[i];
        uint64_t more = counter->total - counter->mark[1];
        visit(arg, counter->name, (double)more * 1000 / (double)span);
    }
}
