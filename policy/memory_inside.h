/*
 * The memory's own: what its three files share. memory.c keeps its life and the epoch, memory_put.c
 * writes, memory_ask.c asks.
 */
#ifndef POLICY_MEMORY_INSIDE_H
#define POLICY_MEMORY_INSIDE_H

#include "cache/keys.h"
#include "cache/local.h"
#include "policy/memory.h"

enum { MEMORY_DEFER_TTL = 24 * 3600 }; /* seconds; SPEC 8 */

struct memory {
    struct event_base *base;
    char prefix[KEYS_PREFIX_SIZE];
    const struct clock *clock;
    struct store *store;
    struct local *local;
    int64_t started; /* Unix seconds */
    bool has_epoch;
    int64_t epoch_since;
    int64_t evicted, evicted_at; /* the server's counter, and when it was seen to grow */
    struct event *tick;
};

/* One value of the table: the time, and for proofs the text. */
struct memory_note {
    int64_t at;   /* Unix seconds */
    int64_t mono; /* the same moment, monotonic milliseconds */
    char text[NET_TEXT];
};

int64_t memory_now(const struct memory *memory); /* Unix seconds */
/* Unix seconds from the start of text, 0 where there are none. A stamp from the future, by a broken
 * clock or by hand, counts as now. */
int64_t memory_parse_stamp(const char *text, int64_t now);
void memory_note_put(struct memory *memory, const char *key, int64_t at, const char *text,
                     int64_t ttl);
const struct memory_note *memory_note_get(struct memory *memory, const char *key);
/* A batch for Redis; NULL without one. */
struct store_batch *memory_batch(const struct memory *memory);

#endif
