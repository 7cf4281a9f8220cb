/*
 * Writing to the site's memory: into the process's table and, without waiting, into Redis.
 */
#include "policy/memory_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PROOF_TTL = 60,       /* seconds */
    TRAP_TTL = 3600,      /* seconds */
    LEARNED_REST = 86400, /* seconds; what is learned slides by at most a write a day */
    WORDS = 60,           /* keys of one DEL */
};

static void put_both(struct memory *memory, struct store_batch *batch, const char *key,
                     const char *value, int64_t at, int64_t ttl)
{
    char seconds[24];

    memory_note_put(memory, key, at, value, ttl);
    snprintf(seconds, sizeof seconds, "%" PRId64, ttl);
    if (batch)
        store_batch_add(batch, "SET", key, value, "EX", seconds, NULL);
}

void memory_written(void *arg, enum store_status status, const struct store_reply *const *reply,
                    size_t count)
{
    struct memory *memory = arg;
    int64_t now = clock_mono();

    (void)reply;
    (void)count;
    if (status == STORE_OK)
        return;
    if (memory->missed_at == 0)
        memory->missed_at = now;
    if (memory->dropped_at && memory->dropped_at >= now - MEMORY_EARLIER_MS)
        memory_lose(memory);
}

void memory_send(struct memory *memory, struct store_batch *batch)
{
    if (batch && !store_send(memory->store, batch, memory_written, memory))
        memory_written(memory, STORE_LOST, NULL, 0);
}

/* How far the client has come at this listener, this time or before: a visit that only connects
 * takes nothing back. */
static const char *furthest(struct memory *memory, const char *key, const char *stage)
{
    const struct memory_note *note = memory_note_get(memory, key);
    const char *before = note ? strchr(note->text, ',') : NULL;

    return before && strcmp(before, ",rcpt") == 0 ? "rcpt" : stage;
}

void memory_put_visit(struct memory *memory, const struct net_addr *listener,
                      const struct identity_set *who, const char *stage, int64_t ttl)
{
    struct store_batch *batch = memory_batch(memory);
    int64_t now = memory_now(memory);
    char key[KEYS_SIZE], value[48];

    for (size_t i = 0; i < who->count; i++) {
        keys_seen(memory->prefix, listener, who->text[i], key);
        snprintf(value, sizeof value, "%" PRId64 ",%s", now, furthest(memory, key, stage));
        put_both(memory, batch, key, value, now, ttl);
    }
    memory_send(memory, batch);
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
    memory_send(memory, batch);
}

void memory_put_trap(struct memory *memory, const char *net, bool dry, const char *why)
{
    struct store_batch *batch = memory_batch(memory);
    int64_t now = memory_now(memory);
    char key[KEYS_SIZE], value[128], ttl[16];

    keys_trap(memory->prefix, dry, net, key);
    snprintf(value, sizeof value, "%" PRId64 ",%s", now, why);
    snprintf(ttl, sizeof ttl, "%d", TRAP_TTL);
    if (!batch) {
        memory_note_put(memory, key, now, value, TRAP_TTL);
        return;
    }
    store_batch_add(batch, "SET", key, value, "EX", ttl, NULL);
    memory_send(memory, batch);
}

bool memory_count_message(struct memory *memory, const char *domain, const char *net,
                          const char *instance, bool dry, unsigned enough, int64_t ttl)
{
    const int64_t rest = ttl / 2 < LEARNED_REST ? ttl / 2 : LEARNED_REST;
    const struct memory_note *note;
    char key[KEYS_SIZE];
    int64_t count;

    snprintf(key, sizeof key, "messages:%d:%s:%s", dry, domain, net);
    note = memory_note_get(memory, key);
    /* Resting, or another recipient of the same message. */
    if (note && (note->at >= enough || strcmp(note->text, instance) == 0))
        return false;
    count = note ? note->at + 1 : 1;
    memory_note_put(memory, key, count, instance, count < enough ? ttl : rest);
    return count >= enough;
}

/* Whether Redis lacks some of what this process knows or knew. */
static bool is_behind(const struct memory *memory, int64_t grace)
{
    return memory->missed_at || memory->again || memory_is_within(memory, memory->lost_at, grace);
}

void memory_put_proof(struct memory *memory, const char *nonce, const struct net_addr *public,
                      int64_t grace)
{
    struct store_batch *batch = is_behind(memory, grace) ? NULL : memory_batch(memory);
    char key[KEYS_SIZE], value[NET_TEXT];

    put_both(memory, batch, keys_proof(memory->prefix, nonce, key), net_addr_format(public, value),
             memory_now(memory), PROOF_TTL);
    memory_send(memory, batch);
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

void memory_drop(struct memory *memory, const char (*key)[KEYS_SIZE], size_t count)
{
    const char *word[WORDS + 1] = {"DEL"};

    for (size_t at = 0; at < count; at += WORDS) {
        struct store_batch *batch = memory_batch(memory);
        size_t n = count - at < WORDS ? count - at : WORDS;
        for (size_t i = 0; i < n; i++) {
            local_remove(memory->local, key[at + i]);
            word[1 + i] = key[at + i];
        }
        if (batch)
            store_batch_add_words(batch, word, 1 + n);
        memory_send(memory, batch);
    }
}
