/*
 * The in-process table: text keys to values, bounded, expiring, least recently used out first.
 *
 * Buckets are chosen by a keyed hash. A value is a pointer that the table owns from local_put on
 * and gives to the table's release function when the entry goes. Times are monotonic milliseconds,
 * passed in. Out of memory: the put does not happen, the value is released, nothing else.
 */
#ifndef CACHE_LOCAL_H
#define CACHE_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct local;

typedef void local_release(void *value);
/* The table was full, and this goes; value is released next. */
typedef void local_evicted(void *arg, const void *value);

struct local *local_new(size_t limit, local_release *release);
void local_free(struct local *local);
void local_set_evicted(struct local *local, local_evicted *hook, void *arg);
void local_set_limit(struct local *local, size_t limit); /* evicts at once what is above it */

/* The value, now the most recently used, or NULL where there is none or it has expired. Lives
 * until the next call that changes the table. */
void *local_get(struct local *local, const char *key, int64_t now);
/* Puts or replaces. False when out of memory. */
bool local_put(struct local *local, const char *key, void *value, int64_t now, int64_t expires);
/* Another expiry for what is there; nothing where there is nothing. */
void local_set_expiry(struct local *local, const char *key, int64_t expires);
void local_remove(struct local *local, const char *key);
void local_clear_all(struct local *local);
size_t local_count(const struct local *local);

/* Calls visit for each live entry, least recently used first; visit must not change the table. */
typedef void local_visit(void *arg, const char *key, void *value, int64_t expires);
void local_each(struct local *local, int64_t now, local_visit *visit, void *arg);

#endif
