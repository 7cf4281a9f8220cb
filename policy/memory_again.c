/*
 * Writing again what Redis has lost (hazards A14): after a failover, a FLUSHALL or a connection that
 * broke, each node gives back its own recent notes, so that the site's memory is whole before grace
 * is over. NX: whatever another node has written since is not older by chance, but known better. But
 * of visits the latest counts: one that Redis knows as an older one is written over.
 */
#include "policy/memory_inside.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AT_ONCE = 30
}; /* notes a batch, two commands each; the next one when it has been answered */

struct again_note {
    char *key;
    char value[NET_TEXT];
    int64_t expires; /* monotonic ms */
    bool asked;      /* in the batch under way */
};

struct memory_again {
    struct memory *memory; /* NULL: stopped, the answer under way frees it */
    int64_t since;
    size_t count, room, next;
    size_t first; /* of the batch under way */
    struct again_note *note;
    bool sent;
};

static void again_free(struct memory_again *again)
{
    for (size_t i = 0; i < again->count; i++)
        free(again->note[i].key);
    free(again->note);
    free(again);
}

void memory_again_stop(struct memory *memory)
{
    struct memory_again *again = memory->again;

    memory->again = NULL;
    if (!again)
        return;
    again->memory = NULL;
    if (!again->sent)
        again_free(again);
}

/* Proofs are of the moment, and counts are this process's own. */
static bool is_lasting(const struct memory *memory, const char *key)
{
    size_t length = strlen(memory->prefix);

    if (strncmp(key, memory->prefix, length) != 0 || key[length] != ':')
        return false;
    key += length + 1;
    return strncmp(key, "seen:", 5) == 0 || strncmp(key, "defer:", 6) == 0 ||
           strncmp(key, "ok:", 3) == 0 || strncmp(key, "dry:", 4) == 0;
}

static bool make_room(struct memory_again *again)
{
    size_t room = again->room ? 2 * again->room : 256;
    struct again_note *note;

    if (again->count < again->room)
        return true;
    note = reallocarray(again->note, room, sizeof *note);
    if (!note)
        return false;
    again->note = note;
    again->room = room;
    return true;
}

static void collect(void *arg, const char *key, void *value, int64_t expires)
{
    struct memory_again *again = arg;
    const struct memory_note *from = value;
    struct again_note *note;

    if (from->mono < again->since || !is_lasting(again->memory, key))
        return;
    if (!make_room(again) || !(again->note[again->count].key = strdup(key))) {
        memory_lose(again->memory);
        return;
    }
    note = &again->note[again->count];
    note->asked = false;
    if (from->text[0])
        snprintf(note->value, sizeof note->value, "%s", from->text);
    else
        snprintf(note->value, sizeof note->value, "%" PRId64, from->at);
    note->expires = expires;
    again->count++;
}

static void add_set(struct store_batch *batch, const struct again_note *note, const char *condition)
{
    char ttl[24];

    snprintf(ttl, sizeof ttl, "%" PRId64, (note->expires - clock_mono()) / 1000);
    store_batch_add(batch, "SET", note->key, note->value, "EX", ttl, condition, NULL);
}

/* Whether Redis knows of an earlier visit only, or one that did not come as far. */
static bool is_older(const struct memory *memory, const struct again_note *note, const char *there)
{
    int64_t now = memory_now(memory), ours = memory_parse_stamp(note->value, now),
            theirs = memory_parse_stamp(there, now);
    const char *stage = strchr(note->value, ',');

    if (!stage)
        return false;
    return theirs < ours ||
           (theirs == ours && strcmp(stage, ",rcpt") == 0 && strcmp(there, note->value) != 0);
}

static void send_next(struct memory_again *again);

/* One batch has been answered for. */
static void go_on(struct memory_again *again, enum store_status status)
{
    again->sent = false;
    if (!again->memory)
        again_free(again);
    else if (status != STORE_OK)
        again->next = again->first; /* once more, when memory.c says so */
    else if (again->next < again->count)
        send_next(again);
    else
        memory_again_stop(again->memory);
}

static void on_written_over(void *arg, enum store_status status,
                            const struct store_reply *const *reply, size_t count)
{
    (void)reply;
    (void)count;
    go_on(arg, status);
}

/* reply: of each note that was asked, its SET and its GET. NULL when out of memory. */
static struct store_batch *make_over(struct memory_again *again,
                                     const struct store_reply *const *reply, size_t count)
{
    struct store_batch *batch = store_batch_new(false);
    size_t get = 1;

    for (size_t i = again->first; batch && i < again->next && get < count; i++) {
        const struct again_note *note = &again->note[i];
        const char *there;
        if (!note->asked)
            continue;
        there = store_reply_text(reply[get], NULL);
        get += 2;
        if (there && note->expires - clock_mono() >= 1000 && is_older(again->memory, note, there))
            add_set(batch, note, NULL);
    }
    return batch;
}

static void on_sent(void *arg, enum store_status status, const struct store_reply *const *reply,
                    size_t count)
{
    struct memory_again *again = arg;
    struct store_batch *batch = NULL;

    if (again->memory && status == STORE_OK)
        batch = make_over(again, reply, count);
    if (!batch || store_batch_count(batch) == 0) {
        if (batch)
            store_batch_free(batch);
        go_on(again, status);
    } else if (!store_send(again->memory->store, batch, on_written_over, again)) {
        go_on(again, STORE_LOST);
    }
}

static void send_next(struct memory_again *again)
{
    struct store_batch *batch = store_batch_new(false);
    int64_t now = clock_mono();

    again->first = again->next;
    for (int i = 0; batch && i < AT_ONCE && again->next < again->count; i++, again->next++) {
        struct again_note *note = &again->note[again->next];
        note->asked = note->expires - now >= 1000;
        if (!note->asked)
            continue;
        add_set(batch, note, "NX");
        store_batch_add(batch, "GET", note->key, NULL);
    }
    if (batch && store_batch_count(batch) == 0)
        store_batch_add(batch, "GET", again->note[0].key, NULL); /* all of these had run out */
    again->sent = batch && store_send(again->memory->store, batch, on_sent, again);
    if (!again->sent)
        again->next = again->first;
}

void memory_again_go_on(struct memory *memory)
{
    if (memory->again && !memory->again->sent)
        send_next(memory->again);
}

void memory_again_start(struct memory *memory, int64_t since)
{
    struct memory_again *again = calloc(1, sizeof *again);

    memory_again_stop(memory);
    if (!again)
        return;
    again->memory = memory;
    again->since = since;
    memory->again = again;
    local_each(memory->local, clock_mono(), collect, again);
    if (again->count > 0)
        send_next(again);
    else
        memory_again_stop(memory);
}
