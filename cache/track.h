/*
 * The tracking connection: what others change in Redis, heard at once (SPEC 8, last paragraph).
 *
 * One RESP2 connection of its own with CLIENT TRACKING ON REDIRECT <itself> BCAST for a few
 * prefixes, subscribed to __redis__:invalidate, to a master only. Proven alive by hearing, now and
 * then, a key that this node itself writes (its node heartbeat); silent for longer than quiet, or
 * lost: everything heard before counts no more, and the hook is told.
 */
#ifndef CACHE_TRACK_H
#define CACHE_TRACK_H

#include "cache/store.h"

struct track;

/* Called from the loop; none may free the track. lost follows each up once. Between up and lost
 * every change is told, this process's own included: forget what was cached at lost, and again
 * take nothing that was read before up for current. */
struct track_hooks {
    void (*changed)(void *arg, const char *key); /* one key; NULL: everything (FLUSHALL) */
    void (*lost)(void *arg);                     /* forget what was cached */
    void (*up)(void *arg);
    void *arg;
};

struct track_options {
    struct store_options server;
    const char *const *prefix; /* "mxw1:mx:", ...; copied; at most 16 */
    size_t prefix_count;
    const char *heartbeat; /* the key whose invalidation proves the connection alive */
    int64_t quiet;         /* milliseconds without it before the connection is given up */
};

struct track *track_new(struct event_base *base, const struct track_options *options,
                        struct dns *dns, const struct track_hooks *hooks,
                        const struct notice *notice);
void track_free(struct track *track);
bool track_is_up(const struct track *track);

#endif
