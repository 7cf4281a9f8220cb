/*
 * Pauses: the guard off for a time, for the whole site or one domain (`mxwarden pause`).
 *
 * One HASH, override:pause, field = domain or "*", value = Unix second at which it ends; its TTL is
 * PAUSE_MAX. Being under `override`, it is tracked: every node knows within a second, and within a
 * few where tracking is away.
 * Without Redis a pause holds in this process; while Redis is away too, and it is told of it when it
 * is back, or has lost its memory. Whatever cannot be read is no pause; one longer than PAUSE_MAX counts
 * as that long, from when it is first seen.
 */
#ifndef POLICY_PAUSE_H
#define POLICY_PAUSE_H

#include "cache/clock.h"
#include "cache/store.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct pause;

enum { PAUSE_MAX = 30 * 24 * 3600 }; /* seconds */
#define PAUSE_EVERYTHING "*"

struct pause *pause_new(struct event_base *base, const char *prefix, const struct clock *clock,
                        struct store *store);
void pause_free(struct pause *pause); /* NULL is fine */

/* When the pause of domain, or the site's, ends; 0: the guard is on. Never waits. */
int64_t pause_until(const struct pause *pause, const char *domain);

/* domain is canonical or PAUSE_EVERYTHING; seconds 0 ends the pause (of "*": every one). False when
 * it holds only here for now. */
bool pause_put(struct pause *pause, const char *domain, int64_t seconds);

/* The rest of a key under override: that is a pause's. */
bool pause_has_key(const char *rest);
/* It changed in Redis, or everything may have. */
void pause_changed(struct pause *pause);

#endif
