/*
 * The site's memory of clients. The process's own table holds the same keys as Redis does, so one
 * list of keys serves both. Here: its life, and the epoch, which says from when on absence from
 * Redis may be believed.
 */
#include "policy/memory_inside.h"

#include "cache/hash.h"
#include "policy/log.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOSS_TOLD_MS = 60000 }; /* told once, until it is over for so long */

int64_t memory_now(const struct memory *memory)
{
    return clock_unix(memory->clock);
}

int64_t memory_parse_stamp(const char *text, int64_t now)
{
    char *end;
    long long at = strtoll(text, &end, 10);

    if (end == text || at <= 0)
        return 0;
    return at > now ? now : at;
}

struct memory_note *memory_note_put(struct memory *memory, const char *key, int64_t at,
                                    const char *text, int64_t ttl)
{
    struct memory_note *note = calloc(1, sizeof *note);
    int64_t now = clock_mono();

    if (!note)
        return NULL;
    note->at = at;
    note->mono = now;
    snprintf(note->text, sizeof note->text, "%s", text);
    return local_put(memory->local, key, note, now, now + ttl * 1000) ? note : NULL;
}

const struct memory_note *memory_note_get(struct memory *memory, const char *key)
{
    return local_get(memory->local, key, clock_mono());
}

struct store_batch *memory_batch(const struct memory *memory)
{
    return memory->store ? store_batch_new(false) : NULL;
}

/* Another epoch than before: memory was lost, and this process gives back what it knows. So it does
 * when Redis is there for the first time. */
static void note_epoch(struct memory *memory, const char *id)
{
    if (strcmp(memory->epoch_id, id) == 0)
        return;
    snprintf(memory->epoch_id, sizeof memory->epoch_id, "%s", id);
    memory_again_start(memory, 0);
}

static void write_epoch(struct memory *memory)
{
    struct store_batch *batch = store_batch_new(false);
    char key[KEYS_SIZE], id[17], since[24];
    uint64_t random;

    hash_random(&random, sizeof random);
    snprintf(id, sizeof id, "%016" PRIx64, random);
    memory->epoch_since = memory_now(memory);
    memory->has_epoch = true;
    snprintf(since, sizeof since, "%" PRId64, memory->epoch_since);
    keys_epoch(memory->prefix, key);
    if (!batch)
        return;
    store_batch_add(batch, "HSET", key, "id", id, "since", since, "run_id",
                    store_run_id(memory->store), NULL);
    store_send(memory->store, batch, NULL, NULL); /* it is noted when it is read back */
}

/* Redis gone and come back with another run_id may have lost writes, whatever it loaded; without
 * the key it has lost everything. Either way memory begins now. */
static void epoch_read(void *arg, enum store_status status, const struct store_reply *const *reply,
                       size_t count)
{
    struct memory *memory = arg;
    const char *since, *run_id, *id;

    if (status == STORE_ERROR)
        memory->has_epoch = false; /* something else is there: no word on what was lost */
    if (status != STORE_OK || count != 1)
        return; /* without an epoch the memory counts as lost; the tick asks again */
    since = store_reply_text(store_reply_at(reply[0], 0), NULL);
    run_id = store_reply_text(store_reply_at(reply[0], 1), NULL);
    id = store_reply_text(store_reply_at(reply[0], 2), NULL);
    if (!since || !run_id || strcmp(run_id, store_run_id(memory->store)) != 0) {
        write_epoch(memory);
        return;
    }
    memory->epoch_since = memory_parse_stamp(since, memory_now(memory));
    memory->has_epoch = true;
    note_epoch(memory, id ? id : "");
}

static void read_epoch(struct memory *memory)
{
    struct store_batch *batch;
    char key[KEYS_SIZE];

    if (!store_is_up(memory->store) || !(batch = store_batch_new(false)))
        return;
    store_batch_add(batch, "HMGET", keys_epoch(memory->prefix, key), "since", "run_id", "id", NULL);
    store_send(memory->store, batch, epoch_read, memory);
}

/* The epoch is read each second, whether or not a change of it was told: a refusal depends on it,
 * and the tracking connection may have been away. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct memory *memory = arg;
    bool up = store_is_up(memory->store);
    int64_t evicted = up ? store_evicted(memory->store) : -1;

    (void)fd;
    (void)what;
    if (!up)
        memory->has_epoch = false;
    read_epoch(memory);
    if (memory->has_epoch)
        memory_again_go_on(memory);
    if (memory->missed_at && memory->has_epoch && !memory->again) {
        memory_again_start(memory, memory->missed_at - MEMORY_EARLIER_MS);
        memory->missed_at = 0;
    }
    if (evicted > memory->evicted && memory->evicted >= 0)
        memory->evicted_at = memory_now(memory);
    if (evicted >= 0)
        memory->evicted = evicted;
}

void memory_changed(struct memory *memory)
{
    if (memory->store)
        read_epoch(memory);
}

bool memory_is_within(const struct memory *memory, int64_t at, int64_t grace)
{
    return at > 0 && (memory_now(memory) - at) * 1000 < grace;
}

void memory_lose(struct memory *memory)
{
    if (!memory_is_within(memory, memory->lost_at, LOSS_TOLD_MS))
        log_warning(
            "visits or refusals were forgotten for want of room (cache.entries)%s: nobody is "
            "refused for a while",
            memory->store ? ", before Redis had them" : "");
    memory->lost_at = memory_now(memory);
}

/* With Redis the table is a copy, but of what has not arrived there. Of what was written a moment ago
 * that is not known yet. */
static void on_evicted(void *arg, const void *value)
{
    struct memory *memory = arg;
    const struct memory_note *note = value;
    int64_t now = clock_mono();

    if (!memory->store ||
        (memory->missed_at && note->mono >= memory->missed_at - MEMORY_EARLIER_MS))
        memory_lose(memory);
    else if (note->mono > now - MEMORY_EARLIER_MS)
        memory->dropped_at = now;
}

struct memory *memory_new(struct event_base *base, const struct memory_options *options,
                          const struct clock *clock, struct store *store)
{
    struct memory *memory = calloc(1, sizeof *memory);
    struct timeval second = {.tv_sec = 1};

    if (!memory)
        return NULL;
    memory->base = base;
    memory->clock = clock;
    memory->store = store;
    memory->started = clock_unix(clock);
    memory->evicted = -1;
    snprintf(memory->prefix, sizeof memory->prefix, "%s", options->prefix);
    memory->local = local_new(options->entries, free);
    if (!memory->local)
        goto fail;
    local_set_evicted(memory->local, on_evicted, memory);
    if (store) {
        memory->tick = event_new(base, -1, EV_PERSIST, on_tick, memory);
        if (!memory->tick || event_add(memory->tick, &second) != 0)
            goto fail;
        read_epoch(memory);
    }
    return memory;
fail:
    memory_free(memory);
    return NULL;
}

void memory_free(struct memory *memory)
{
    if (!memory)
        return;
    if (memory->tick)
        event_free(memory->tick);
    memory_again_stop(memory);
    if (memory->local)
        local_free(memory->local);
    free(memory);
}

enum memory_state memory_get_state(const struct memory *memory, int64_t grace, int64_t *since)
{
    *since = memory->store ? memory->epoch_since : memory->started;
    if (memory->store && (!store_is_up(memory->store) || !memory->has_epoch))
        return MEMORY_LOST;
    if (memory_is_within(memory, memory->evicted_at, grace) ||
        memory_is_within(memory, memory->lost_at, grace))
        return MEMORY_EVICTS;
    return MEMORY_GOOD;
}
