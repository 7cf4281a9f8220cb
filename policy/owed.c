/*
 * The HASH, read once and then only written.
 */
#include "policy/owed.h"

#include "cache/keys.h"
#include "policy/recovery.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWED_TTL "2678400" /* seconds: 31 days */

struct owed {
    char key[KEYS_SIZE];
    struct store *store;
    struct owed_hooks hooks;
    bool reading, recalled;
};

struct owed *owed_new(const char *prefix, const char *node, struct store *store,
                      const struct owed_hooks *hooks)
{
    struct owed *owed = calloc(1, sizeof *owed);

    if (!owed)
        return NULL;
    snprintf(owed->key, sizeof owed->key, "%s:flush:%s", prefix, node);
    owed->store = store;
    owed->hooks = *hooks;
    return owed;
}

void owed_free(struct owed *owed)
{
    free(owed);
}

static void recall(const struct owed *owed, const char *domain, const char *value)
{
    char *end;
    unsigned long tier;

    if (!domain || !value)
        return;
    tier = strtoul(value, &end, 10);
    if (strcmp(value, "none") == 0)
        owed->hooks.recall(owed->hooks.arg, domain, RECOVERY_NO_TIER);
    else if (*value >= '0' && *value <= '9' && *end == '\0' && tier < RECOVERY_NO_TIER)
        owed->hooks.recall(owed->hooks.arg, domain, (uint32_t)tier);
}

static void on_read(void *arg, enum store_status status, const struct store_reply *const *reply,
                    size_t count)
{
    struct owed *owed = arg;

    owed->reading = false;
    if (status == STORE_TIMEOUT || status == STORE_LOST)
        return;
    for (size_t i = 0; status == STORE_OK && count == 1 && i + 1 < store_reply_count(reply[0]);
         i += 2)
        recall(owed, store_reply_text(store_reply_at(reply[0], i), NULL),
               store_reply_text(store_reply_at(reply[0], i + 1), NULL));
    owed->recalled = true;
    owed->hooks.recalled(owed->hooks.arg);
}

void owed_up(struct owed *owed)
{
    struct store_batch *batch;

    if (!owed->store || owed->reading)
        return;
    if (owed->recalled) {
        owed->hooks.recalled(owed->hooks.arg);
        return;
    }
    batch = store_batch_new(false);
    store_batch_add(batch, "HGETALL", owed->key, NULL);
    owed->reading = store_send(owed->store, batch, on_read, owed);
}

void owed_put(struct owed *owed, const char *domain, uint32_t tier)
{
    struct store_batch *batch;
    char value[16] = "none";

    if (!owed->recalled)
        return;
    if (tier != RECOVERY_NO_TIER)
        snprintf(value, sizeof value, "%" PRIu32, tier);
    batch = store_batch_new(true);
    store_batch_add(batch, "HSET", owed->key, domain, value, NULL);
    store_batch_add(batch, "EXPIRE", owed->key, OWED_TTL, NULL);
    store_send(owed->store, batch, NULL, NULL);
}

void owed_drop(struct owed *owed, const char *domain)
{
    struct store_batch *batch;

    if (!owed->recalled)
        return;
    batch = store_batch_new(false);
    store_batch_add(batch, "HDEL", owed->key, domain, NULL);
    store_send(owed->store, batch, NULL, NULL);
}
