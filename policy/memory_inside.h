/*
 * The memory's own: what its files share. memory.c keeps its life and the epoch, memory_put.c writes,
 * memory_ask.c asks, memory_again.c writes again what Redis has lost.
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
    char epoch_id[17];  /* "" none known yet */
    int64_t missed_at;  /* monotonic ms of the first write that did not arrive; 0 none */
    int64_t dropped_at; /* monotonic ms when the table had no room for one just written */
    int64_t lost_at;    /* Unix seconds when one was dropped that Redis does not have; 0 never */
    struct memory_again *again; /* under way; NULL none */
};

/* One value of the table: the time, and for proofs the text. */
struct memory_note {
    int64_t at;       /* Unix seconds */
    int64_t mono;     /* the same moment, monotonic milliseconds */
    uint64_t message; /* of a refusal: whose it was (message.h) */
    char text[NET_TEXT];
};

int64_t memory_now(const struct memory *memory); /* Unix seconds */
/* Unix seconds from the start of text, 0 where there are none. A stamp from the future, by a broken
 * clock or by hand, counts as now. */
int64_t memory_parse_stamp(const char *text, int64_t now);
/* The new note, while it lives; NULL when out of memory. */
struct memory_note *memory_note_put(struct memory *memory, const char *key, int64_t at,
                                    const char *text, int64_t ttl);
const struct memory_note *memory_note_get(struct memory *memory, const char *key);
/* A batch for Redis; NULL without one. */
struct store_batch *memory_batch(const struct memory *memory);

/* A write may have been lost a little before the first that was seen to fail. */
enum { MEMORY_EARLIER_MS = 2000 };

/* store_done of a write that nobody waits for; arg is the memory. */
void memory_written(void *arg, enum store_status status, const struct store_reply *const *reply,
                    size_t count);
/* Something was forgotten that nobody else knows. */
void memory_lose(struct memory *memory);
/* Whether that time (Unix seconds, 0 never) is less than grace (ms) ago. */
bool memory_is_within(const struct memory *memory, int64_t at, int64_t grace);
/* Sends such a write; NULL is fine. */
void memory_send(struct memory *memory, struct store_batch *batch);

/* Writes this process's notes since then (monotonic ms) into Redis once more, a little at a time,
 * never over what stands there. One at a time: begun again, it begins anew. */
void memory_again_start(struct memory *memory, int64_t since);
/* Tries again what could not be written; nothing where nothing waits. */
void memory_again_go_on(struct memory *memory);
void memory_again_stop(struct memory *memory);

#endif
