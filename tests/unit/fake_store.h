/*
 * A scripted stand-in for cache/store.c, linked in its place: the few commands that policy/ sends,
 * on a dictionary in memory, answered from the loop like the real one. It also watches the
 * contract: at most 64 words a command and 64 commands a batch, and which keys have a TTL.
 *
 * One test includes it once. What it does is set in `fake`: up, hold (batches wait for
 * fake_release), status (the next batches fail so, without having been done, but for the first `late`).
 */
#ifndef TESTS_UNIT_FAKE_STORE_H
#define TESTS_UNIT_FAKE_STORE_H

#include "cache/store.h"

#include <event2/event.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum { FAKE_KEYS = 512, FAKE_FIELDS = 80, FAKE_WORDS = 64, FAKE_COMMANDS = 64 };

struct fake_key {
    char *name;
    bool is_text;
    long ttl; /* 0: none */
    size_t fields;
    char *field[FAKE_FIELDS], *value[FAKE_FIELDS];
};

struct store_reply {
    enum store_kind kind;
    char *text;
    int64_t integer;
    size_t count;
    struct store_reply *item;
};

struct fake_command {
    size_t count;
    char *word[FAKE_WORDS];
};

struct store_batch {
    STAILQ_ENTRY(store_batch) link;
    bool transaction;
    size_t count;
    struct fake_command *command;
    store_done *done;
    void *arg;
};

STAILQ_HEAD(fake_queue, store_batch);

static struct {
    struct event_base *base;
    struct event *tick;
    bool up, hold;
    enum store_status status;
    unsigned late;               /* so many of them are done all the same */
    size_t sent, refused, reads; /* batches taken and not; HGETALL and HMGET commands */
    char cut[32];                /* the ranks that ZREMRANGEBYRANK was given last */
    struct fake_key key[FAKE_KEYS];
    struct fake_queue queue;
} fake;

static struct fake_key *fake_key(const char *name, bool make)
{
    struct fake_key *empty = NULL;
    for (size_t i = 0; i < FAKE_KEYS; i++) {
        if (fake.key[i].name && !strcmp(fake.key[i].name, name))
            return &fake.key[i];
        if (!fake.key[i].name && !empty)
            empty = &fake.key[i];
    }
    if (!make)
        return NULL;
    if (!empty)
        abort();
    empty->name = strdup(name);
    return empty;
}

static void fake_del(const char *name)
{
    struct fake_key *key = fake_key(name, false);
    if (!key)
        return;
    free(key->name);
    for (size_t i = 0; i < key->fields; i++) {
        free(key->field[i]);
        free(key->value[i]);
    }
    memset(key, 0, sizeof *key);
}

static const char *fake_hget(const char *name, const char *field)
{
    struct fake_key *key = fake_key(name, false);
    for (size_t i = 0; key && i < key->fields; i++)
        if (!strcmp(key->field[i], field))
            return key->value[i];
    return NULL;
}

static void fake_hset(const char *name, const char *field, const char *value)
{
    struct fake_key *key = fake_key(name, true);
    for (size_t i = 0; i < key->fields; i++)
        if (!strcmp(key->field[i], field)) {
            char *copy = strdup(value); /* value may be the one that goes */
            free(key->value[i]);
            key->value[i] = copy;
            return;
        }
    if (key->fields == FAKE_FIELDS)
        abort();
    key->field[key->fields] = strdup(field);
    key->value[key->fields++] = strdup(value);
}

static inline long fake_ttl(const char *name) /* -2: no such key */
{
    struct fake_key *key = fake_key(name, false);
    return key ? key->ttl : -2;
}

static struct store_reply fake_text(const char *text)
{
    if (!text)
        return (struct store_reply){.kind = STORE_KIND_NIL};
    return (struct store_reply){.kind = STORE_KIND_TEXT, .text = strdup(text)};
}

static struct store_reply fake_do_hash(struct fake_command *c, struct fake_key *key)
{
    const char *verb = c->word[0];
    struct store_reply reply = {.kind = STORE_KIND_INTEGER};

    if (key && key->is_text)
        return (struct store_reply){.kind = STORE_KIND_ERROR, .text = strdup("WRONGTYPE")};
    if (!strcmp(verb, "HSET")) {
        for (size_t i = 2; i + 1 < c->count; i += 2)
            fake_hset(c->word[1], c->word[i], c->word[i + 1]);
    } else if (!strcmp(verb, "HSETNX")) {
        if (!fake_hget(c->word[1], c->word[2]))
            fake_hset(c->word[1], c->word[2], c->word[3]);
    } else if (!strcmp(verb, "HGET")) {
        reply = fake_text(fake_hget(c->word[1], c->word[2]));
    } else if (!strcmp(verb, "HINCRBY")) {
        const char *old = fake_hget(c->word[1], c->word[2]);
        char sum[32];
        reply.integer = (old ? atoll(old) : 0) + atoll(c->word[3]);
        snprintf(sum, sizeof sum, "%" PRId64, reply.integer);
        fake_hset(c->word[1], c->word[2], sum);
    } else {
        bool all = !strcmp(verb, "HGETALL");
        fake.reads++;
        reply = (struct store_reply){.kind = STORE_KIND_LIST};
        reply.count = all ? (key ? 2 * key->fields : 0) : c->count - 2;
        reply.item = calloc(reply.count + 1, sizeof *reply.item);
        for (size_t i = 0; i < reply.count; i++)
            reply.item[i] = fake_text(!all    ? fake_hget(c->word[1], c->word[i + 2])
                                      : i % 2 ? key->value[i / 2]
                                              : key->field[i / 2]);
    }
    return reply;
}

/* A stream is a key with one text a entry: its words, from MAXLEN on. */
static struct store_reply fake_do_stream(struct fake_command *c, struct fake_key *key)
{
    char field[16], text[2048];
    size_t used = 0;

    if (key && key->is_text)
        return (struct store_reply){.kind = STORE_KIND_ERROR, .text = strdup("WRONGTYPE")};
    for (size_t i = 2; i < c->count; i++)
        used +=
            (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 2 ? " " : "", c->word[i]);
    snprintf(field, sizeof field, "%zu", key ? key->fields : 0);
    fake_hset(c->word[1], field, text);
    return fake_text(field);
}

/* A sorted set is a hash of scores. */
static struct store_reply fake_do_score(struct fake_command *c, struct fake_key *key)
{
    const char *old = fake_hget(c->word[1], c->word[3]);
    char sum[32];

    if (key && key->is_text)
        return (struct store_reply){.kind = STORE_KIND_ERROR, .text = strdup("WRONGTYPE")};
    snprintf(sum, sizeof sum, "%lld", (old ? atoll(old) : 0) + atoll(c->word[2]));
    fake_hset(c->word[1], c->word[3], sum);
    return fake_text(sum);
}

static int fake_higher_first(const void *a, const void *b)
{
    const struct store_reply *one = a, *other = b;
    return atoll(other[1].text) < atoll(one[1].text) ? -1
                                                     : atoll(other[1].text) > atoll(one[1].text);
}

/* From rank 0 on, with scores. */
static struct store_reply fake_do_ranks(struct fake_command *c, struct fake_key *key)
{
    struct store_reply reply = {.kind = STORE_KIND_LIST};
    size_t fields = key ? key->fields : 0, most = 2 * ((size_t)atol(c->word[3]) + 1);

    reply.item = calloc(2 * fields + 1, sizeof *reply.item);
    for (size_t i = 0; i < fields; i++) {
        reply.item[2 * i] = fake_text(key->field[i]);
        reply.item[2 * i + 1] = fake_text(key->value[i]);
    }
    qsort(reply.item, fields, 2 * sizeof *reply.item, fake_higher_first);
    for (reply.count = 2 * fields; reply.count > most; reply.count--)
        free(reply.item[reply.count - 1].text);
    return reply;
}

static struct store_reply fake_do(struct fake_command *c)
{
    struct fake_key *key = fake_key(c->word[1], false);

    if (!strcmp(c->word[0], "DEL")) {
        fake_del(c->word[1]);
        return (struct store_reply){.kind = STORE_KIND_INTEGER, .integer = key != NULL};
    }
    if (!strcmp(c->word[0], "EXPIRE")) {
        if (key)
            key->ttl = atol(c->word[2]);
        return (struct store_reply){.kind = STORE_KIND_INTEGER, .integer = key != NULL};
    }
    if (!strcmp(c->word[0], "XADD"))
        return fake_do_stream(c, key);
    if (!strcmp(c->word[0], "ZINCRBY"))
        return fake_do_score(c, key);
    if (!strcmp(c->word[0], "ZREVRANGE"))
        return fake_do_ranks(c, key);
    if (!strcmp(c->word[0], "ZREMRANGEBYRANK")) {
        snprintf(fake.cut, sizeof fake.cut, "%s %s", c->word[2], c->word[3]);
        return (struct store_reply){.kind = STORE_KIND_INTEGER};
    }
    if (strcmp(c->word[0], "HSET") && strcmp(c->word[0], "HSETNX") &&
        strcmp(c->word[0], "HINCRBY") && strcmp(c->word[0], "HMGET") &&
        strcmp(c->word[0], "HGET") && strcmp(c->word[0], "HGETALL"))
        abort();
    return fake_do_hash(c, key);
}

static void fake_reply_clear(struct store_reply *reply)
{
    free(reply->text);
    for (size_t i = 0; i < reply->count; i++)
        fake_reply_clear(&reply->item[i]);
    free(reply->item);
}

static void fake_answer(struct store_batch *batch, enum store_status status)
{
    struct store_reply reply[FAKE_COMMANDS];
    const struct store_reply *pointer[FAKE_COMMANDS];
    bool late = status != STORE_OK && fake.late > 0;
    size_t count = 0;

    fake.late -= late;
    if (status == STORE_OK || late)
        for (; count < batch->count; count++) {
            reply[count] = fake_do(&batch->command[count]);
            pointer[count] = &reply[count];
            if (status == STORE_OK && reply[count].kind == STORE_KIND_ERROR)
                status = STORE_ERROR;
        }
    else if (status == STORE_ERROR)
        for (; count < batch->count; count++) {
            reply[count] = (struct store_reply){.kind = STORE_KIND_ERROR, .text = strdup("OOM")};
            pointer[count] = &reply[count];
        }
    if (batch->done)
        batch->done(batch->arg, status, pointer, late ? 0 : count);
    for (size_t i = 0; i < count; i++)
        fake_reply_clear(&reply[i]);
    store_batch_free(batch);
}

static void fake_tick(evutil_socket_t fd, short what, void *arg)
{
    struct store_batch *batch;
    (void)fd, (void)what, (void)arg;
    if (fake.hold || !(batch = STAILQ_FIRST(&fake.queue)))
        return;
    STAILQ_REMOVE_HEAD(&fake.queue, link);
    if (!STAILQ_EMPTY(&fake.queue))
        event_active(fake.tick, EV_TIMEOUT, 0);
    fake_answer(batch, fake.status);
}

static void fake_open(struct event_base *base)
{
    memset(&fake, 0, sizeof fake);
    fake.base = base;
    fake.up = true;
    fake.status = STORE_OK;
    STAILQ_INIT(&fake.queue);
    fake.tick = event_new(base, -1, 0, fake_tick, NULL);
}

static inline void fake_release(void)
{
    fake.hold = false;
    event_active(fake.tick, EV_TIMEOUT, 0);
}

/* Batches under way hear STORE_LOST, as from store_free. */
static void fake_close(void)
{
    struct store_batch *batch;
    while ((batch = STAILQ_FIRST(&fake.queue))) {
        STAILQ_REMOVE_HEAD(&fake.queue, link);
        fake_answer(batch, STORE_LOST);
    }
    for (size_t i = 0; i < FAKE_KEYS; i++)
        if (fake.key[i].name)
            fake_del(fake.key[i].name);
    event_free(fake.tick);
}

bool store_is_up(const struct store *store)
{
    (void)store;
    return fake.up;
}

const char *store_trouble(const struct store *store)
{
    return store_is_up(store) ? "" : "down";
}

struct store_batch *store_batch_new(bool transaction)
{
    struct store_batch *batch = calloc(1, sizeof *batch);
    batch->transaction = transaction;
    batch->command = calloc(FAKE_COMMANDS, sizeof *batch->command);
    return batch;
}

void store_batch_free(struct store_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        for (size_t k = 0; k < batch->command[i].count; k++)
            free(batch->command[i].word[k]);
    free(batch->command);
    free(batch);
}

void store_batch_add_words(struct store_batch *batch, const char *const *word, size_t count)
{
    if (batch->count == FAKE_COMMANDS || count > FAKE_WORDS)
        abort();
    struct fake_command *command = &batch->command[batch->count++];
    for (; command->count < count; command->count++)
        command->word[command->count] = strdup(word[command->count]);
}

void store_batch_add(struct store_batch *batch, ...)
{
    const char *word[FAKE_WORDS], *next;
    size_t count = 0;
    va_list list;
    va_start(list, batch);
    while ((next = va_arg(list, const char *)) && count < FAKE_WORDS)
        word[count++] = next;
    va_end(list);
    store_batch_add_words(batch, word, count);
}

size_t store_batch_count(const struct store_batch *batch)
{
    return batch->count;
}

bool store_send(struct store *store, struct store_batch *batch, store_done *done, void *arg)
{
    (void)store;
    if (!fake.up) {
        fake.refused++;
        store_batch_free(batch);
        return false;
    }
    fake.sent++;
    batch->done = done;
    batch->arg = arg;
    STAILQ_INSERT_TAIL(&fake.queue, batch, link);
    event_active(fake.tick, EV_TIMEOUT, 0);
    return true;
}

enum store_kind store_reply_kind(const struct store_reply *reply)
{
    return reply->kind;
}

const char *store_reply_text(const struct store_reply *reply, size_t *length)
{
    if (length)
        *length = reply->text ? strlen(reply->text) : 0;
    return reply->text;
}

int64_t store_reply_integer(const struct store_reply *reply, int64_t otherwise)
{
    return reply->kind == STORE_KIND_INTEGER ? reply->integer : otherwise;
}

size_t store_reply_count(const struct store_reply *reply)
{
    return reply->count;
}

const struct store_reply *store_reply_at(const struct store_reply *reply, size_t index)
{
    return index < reply->count ? &reply->item[index] : NULL;
}

#endif
