/*
 * Domains whose better tiers are away, kept in Redis, so that a recovery is seen even where it
 * comes while this daemon is down: flush:<node>, a HASH, field = domain, value = the best tier that
 * was in use, "none" for none, and where a server has not heard yet of what is back; its TTL is a
 * month. What cannot be written is tried again when Redis is back; without Redis nothing is kept.
 */
#ifndef POLICY_OWED_H
#define POLICY_OWED_H

#include "cache/store.h"

#include <stdint.h>

struct owed;

/* One domain of an earlier process. */
typedef void owed_recall(void *arg, const char *domain, uint32_t tier);
/* All of them have been told: what there is now may be written. */
typedef void owed_recalled(void *arg);

struct owed_hooks {
    owed_recall *recall;
    owed_recalled *recalled;
    void *arg;
};

/* store may be NULL. NULL when out of memory. */
struct owed *owed_new(const char *prefix, const char *node, struct store *store,
                      const struct owed_hooks *hooks);
void owed_free(struct owed *owed); /* NULL is fine */

/* Redis is there again: reads what an earlier process left, until that has been done once; from
 * then on `recalled` alone. */
void owed_up(struct owed *owed);
/* Both do nothing before the first recall. */
void owed_put(struct owed *owed, const char *domain, uint32_t tier);
void owed_drop(struct owed *owed, const char *domain);

#endif
