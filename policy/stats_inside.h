/*
 * Counters on their way: stats.c keeps them, stats_send.c sends them. Private to these two.
 */
#ifndef POLICY_STATS_INSIDE_H
#define POLICY_STATS_INSIDE_H

#include "policy/stats.h"

#include "cache/keys.h"
#include "policy/sorted.h"

enum { STATS_RATIO = 8, STATS_ID = 17 };
enum { KEY_TOTAL, KEY_DAY, KEY_COUNT };

struct counter {
    uint64_t total; /* of this process */
    uint64_t unsent;
    uint64_t mark[2]; /* the total at the end of the last period, and of the one before */
    int first_key;    /* KEY_DAY: of a domain */
    char name[];
};

struct stats_batch; /* one transaction under way */

struct stats {
    unsigned refs; /* the owner's, and one for each batch under way */
    bool closed;
    const struct clock *clock;
    struct store *store;
    char prefix[KEYS_PREFIX_SIZE + 1], node[NAME_SIZE];
    struct event *timer;
    struct sorted counters;
    struct counter *hits, *misses;
    int64_t marked[2]; /* monotonic ms of the counters' marks */
    struct timing *timing;
    uint64_t timed, timed_us; /* of timing, what the counters have */
    struct stats_times times;
    bool times_unsent;
    char id[STATS_ID]; /* of this process */
    uint64_t serial;
    struct stats_batch *doubtful, **last_doubtful; /* oldest first */
    unsigned under_way;
    char ratio[KEY_COUNT][STATS_RATIO]; /* as last written */
    stats_flushed *flushed;
    void *flushed_arg;
    unsigned rounds; /* left of the flush */
};

/* Sends what is there to send, unless something is still under way. */
void stats_send(struct stats *stats);
void stats_count_times(struct stats *stats);
void stats_unref(struct stats *stats);

#endif
