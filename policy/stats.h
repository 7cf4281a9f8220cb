/*
 * Counters, in process and in Redis (stat:<node>, stat:<node>:<day>).
 *
 * A counter is a name of SPEC 8 and a number; adding is cheap and cannot fail. Every 2 s, and at
 * exit, what was added since is sent in one pipeline, each some thirty counters a transaction; what
 * could not be sent waits for the next time, however long Redis is away. Each is counted once: where
 * the answer was lost, Redis is asked later whether it was done.
 *
 * Counters of one domain are the day's alone, so that the running total stays short. There are to be
 * few such domains: who counts says "*" for the rest (policy/tally.h).
 *
 * mx_hits and mx_misses are always there, and hit_ratio ("0.987") is that of the key it stands in,
 * whichever processes added to it. The total also has redis_ms_avg, redis_ms_p99 and redis_ms_max: how
 * long Redis took to answer in the last ten seconds.
 */
#ifndef POLICY_STATS_H
#define POLICY_STATS_H

#include "cache/clock.h"
#include "cache/store.h"

#include <stdint.h>

struct event_base;
struct stats;
struct timing;

struct stats *stats_new(struct event_base *base, const struct clock *clock, struct store *store,
                        const char *prefix, const char *node);
void stats_free(struct stats *stats);

/* Where the times of Redis' answers are noted (store_set_timing); the stats read and clear it, and it
 * outlives them. */
void stats_set_timing(struct stats *stats, struct timing *timing);
struct stats_times { /* milliseconds */
    double average, p99, longest;
};

/* name is [a-z0-9_]+, at most 47 characters; others are ignored. */
void stats_add(struct stats *stats, const char *name, uint64_t count);
/* "guard_" and reason, "route_" and kind: '-' becomes '_'. */
void stats_add_kind(struct stats *stats, const char *family, const char *kind);

/* The field "name:domain" of the day; domain is canonical, or "*". */
void stats_add_of(struct stats *stats, const char *name, const char *domain, uint64_t count);

/* Sends what is left and calls back when that is done or has failed: at exit. Where there is
 * nothing to wait for, inside the call. */
typedef void stats_flushed(void *arg);
void stats_flush(struct stats *stats, stats_flushed *done, void *arg);

/* Sends now what is there to send, so that who reads the keys next on the same store finds it. */
void stats_push(struct stats *stats);

typedef void stats_visit(void *arg, const char *name, uint64_t value);
/* Sorted by name; those of domains with it, told by the ':'. */
void stats_each(const struct stats *stats, stats_visit *visit, void *arg);
/* The same, a second, over the last ten to twenty of them. */
typedef void stats_visit_rate(void *arg, const char *name, double rate);
void stats_each_rate(const struct stats *stats, stats_visit_rate *visit, void *arg);

#endif
