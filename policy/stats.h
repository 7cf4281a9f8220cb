/*
 * Counters, in process and in Redis (stat:<node>, stat:<node>:<day>).
 *
 * A counter is a name of SPEC 8 and a number; adding is cheap and cannot fail. Every 2 s, and at
 * exit, what was added since is sent, each thirty counters in one transaction; what could not be
 * sent waits for the next time. What was sent and not answered is not sent again: Redis may have
 * counted it, and a counter here rather misses a moment than claims what never was.
 *
 * Counters of one domain are the day's alone, so that the running total stays short. There are to be
 * few such domains: who counts says "*" for the rest (policy/tally.h).
 *
 * mx_hits and mx_misses are always there, and hit_ratio ("0.987") is that of the key it stands in,
 * whichever processes added to it.
 */
#ifndef POLICY_STATS_H
#define POLICY_STATS_H

#include "cache/clock.h"
#include "cache/store.h"

#include <stdint.h>

struct event_base;
struct stats;

struct stats *stats_new(struct event_base *base, const struct clock *clock, struct store *store,
                        const char *prefix, const char *node);
void stats_free(struct stats *stats);

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

typedef void stats_visit(void *arg, const char *name, uint64_t value);
/* Sorted by name; those of domains with it, told by the ':'. */
void stats_each(const struct stats *stats, stats_visit *visit, void *arg);

#endif
