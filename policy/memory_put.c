/*
 * Writing to the site's memory: into the process's table and, without waiting, into Redis.
 */
#include "policy/memory_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROOF_TTL = 60 }; /* seconds */

static void put_both(struct memory *memory, struct store_batch *batch, const char *key,
                     const char *value, int64_t at, int64_t ttl)
{
    char seconds[24];

    memory_note_put(memory, key, at, value, ttl);
    snprintf(seconds, sizeof seconds, "%" PRId64, ttl);
    if (batch)
        store_batch_add(batch, "SET", key, value, "EX", seconds, NULL);
}

static void send_off(struct memory *memory, struct store_batch *batch)
{
    if (batch)
        store_send(memory->store, batch, NULL, NULL);
}

void memory_put_visit(struct memory *memory, const struct net_addr *listener,
                      const struct identity_set *who, const char *stage, int64_t ttl)
{
    struct store_batch *batch = memory_batch(memory);
    int64_t now = memory_now(memory);
    char key[KEYS_SIZE], value[48];

    snprintf(value, sizeof value, "%" PRId64 ",%s", now, stage);
    for (size_t i = 0; i < who->count; i++)
        put_both(memory, batch, keys_seen(memory->prefix, listener, who->text[i], key), value, now,
                 ttl);
    send_off(memory, batch);
}

void memory_put_learned(struct memory *memory, const char *domain, const struct identity_set *who,
                        bool dry, int64_t ttl)
{
    struct store_batch *batch = memory_batch(memory);
    int64_t now = memory_now(memory);
    char key[KEYS_SIZE], value[24];

    snprintf(value, sizeof value, "%" PRId64, now);
    for (size_t i = 0; i < who->count; i++)
        put_both(memory, batch, keys_ok(memory->prefix, dry, domain, who->text[i], key), value, now,
                 ttl);
    send_off(memory, batch);
}

void memory_put_proof(struct memory *memory, const char *nonce, const struct net_addr *public)
{
    struct store_batch *batch = memory_batch(memory);
    char key[KEYS_SIZE], value[NET_TEXT];

    put_both(memory, batch, keys_proof(memory->prefix, nonce, key), net_addr_format(public, value),
             memory_now(memory), PROOF_TTL);
    send_off(memory, batch);
}

struct doubt { /* a learned key that somebody changed */
    struct memory *memory;
    char key[KEYS_SIZE];
};

static void doubt_replied(void *arg, enum store_status status,
                          const struct store_reply *const *reply, size_t count)
{
    struct doubt *doubt = arg;

    if (status == STORE_OK && count == 1 && store_reply_kind(reply[0]) == STORE_KIND_NIL)
        local_remove(doubt->memory->local, doubt->key);
    free(doubt);
}

/* This node's own writes come back here too, so the key is looked at before it is dropped. After a
 * FLUSHALL the process keeps what it knows: it can only let clients in. */
void memory_forget_learned(struct memory *memory, const char *rest)
{
    struct store_batch *batch;
    struct doubt *doubt;

    if (!rest || !memory->store || !(doubt = calloc(1, sizeof *doubt)))
        return;
    doubt->memory = memory;
    snprintf(doubt->key, sizeof doubt->key, "%s:ok:%s", memory->prefix, rest);
    batch = local_get(memory->local, doubt->key, clock_mono()) ? store_batch_new(false) : NULL;
    if (batch) {
        store_batch_add(batch, "GET", doubt->key, NULL);
        if (store_send(memory->store, batch, doubt_replied, doubt))
            return;
    }
    free(doubt);
}
