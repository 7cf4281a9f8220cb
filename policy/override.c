/*
 * The operator's word on hosts, kept in process and read behind the back of those who ask.
 *
 * A host is stale when Redis may say something else than what is known here: at first, when its
 * key changed, and each second while nobody would tell of a change. One flush reads all stale
 * hosts in as few pipelines as it takes; what changes while a read is under way is stale again
 * and read once more. A host with a word that Redis has not got yet (unsaved) is written first,
 * never read.
 */
#include "policy/override.h"

#include "cache/keys.h"
#include "policy/sorted.h"

#include <event2/event.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OVERRIDE_MAX = 4096,
    OVERRIDE_BATCH = 60, /* hosts of one pipeline */
    OVERRIDE_POLL_MS = 1000,
    OVERRIDE_KEY = NAME_SIZE + 8, /* "host:port" */
    OVERRIDE_MAX_WEIGHT = 65535,
};

struct known {
    char key[OVERRIDE_KEY];
    char host[NAME_SIZE];
    uint16_t port;
    struct override_value value;
    bool stale, unsaved;
    uint64_t order; /* the older is the smaller */
};

struct override {
    unsigned refs; /* the owner's, and one for each batch under way */
    struct store *store;
    char prefix[KEYS_PREFIX_SIZE + 1];
    struct event *poll, *flush;
    struct sorted hosts;
    uint64_t next_order;
    bool tracked, closed;
    unsigned reads; /* batches under way */
};

struct read_batch {
    struct override *override;
    size_t count;
    char key[OVERRIDE_BATCH][OVERRIDE_KEY];
};

struct write_batch {
    struct override *override;
    char key[OVERRIDE_KEY];
    struct override_value value;
    override_done *done;
    void *arg;
};

static int known_compare(const void *key, const void *item)
{
    return strcmp(key, ((const struct known *)item)->key);
}

static bool value_is_set(const struct override_value *value)
{
    return value->state != OVERRIDE_NONE || value->has_weight;
}

static bool value_equal(const struct override_value *a, const struct override_value *b)
{
    return a->state == b->state && a->has_weight == b->has_weight &&
           (!a->has_weight || a->weight == b->weight);
}

static void override_unref(struct override *override)
{
    if (--override->refs > 0)
        return;
    for (size_t i = 0; i < override->hosts.count; i++)
        free(override->hosts.item[i]);
    sorted_clear(&override->hosts);
    free(override);
}

/* Reads start from the loop, so that hosts asked for together share a pipeline. */
static void flush_soon(struct override *override)
{
    const struct timeval now = {0};

    if (!evtimer_pending(override->flush, NULL))
        evtimer_add(override->flush, &now);
}

/* Whoever asks again for the host that made room has it read again. */
static bool room_make(struct override *override)
{
    size_t oldest = override->hosts.count;
    uint64_t order = UINT64_MAX;

    for (size_t i = 0; i < override->hosts.count; i++) {
        const struct known *known = override->hosts.item[i];
        if (known->order < order && !value_is_set(&known->value) && !known->unsaved) {
            oldest = i;
            order = known->order;
        }
    }
    if (oldest == override->hosts.count)
        return false;
    free(override->hosts.item[oldest]);
    sorted_remove(&override->hosts, oldest);
    return true;
}

static struct known *known_add(struct override *override, const char *key, const char *host,
                               uint16_t port)
{
    struct known *known;
    size_t at;

    if (override->hosts.count >= OVERRIDE_MAX && !room_make(override))
        return NULL;
    known = calloc(1, sizeof *known);
    if (!known)
        return NULL;
    snprintf(known->key, sizeof known->key, "%s", key);
    snprintf(known->host, sizeof known->host, "%s", host);
    known->port = port;
    known->order = override->next_order++;
    sorted_find(&override->hosts, key, known_compare, &at);
    if (sorted_insert(&override->hosts, at, known))
        return known;
    free(known);
    return NULL;
}

/* The host as known, new ones on their way to be read. NULL when there is no room. */
static struct known *known_find(struct override *override, const char *host, uint16_t port)
{
    char key[OVERRIDE_KEY];
    struct known *known;

    snprintf(key, sizeof key, "%.253s:%u", host, port);
    known = sorted_get(&override->hosts, key, known_compare);
    if (known)
        return known;
    known = known_add(override, key, host, port);
    if (known && override->store) {
        known->stale = true;
        flush_soon(override);
    }
    return known;
}

struct override_value override_get(struct override *override, const char *host, uint16_t port)
{
    const struct known *known = known_find(override, host, port);

    return known ? known->value : (struct override_value){.state = OVERRIDE_NONE};
}

void override_want(struct override *override, const char *host, uint16_t port)
{
    known_find(override, host, port);
}

static const char *reply_word(const struct store_reply *reply)
{
    const char *text;
    size_t length;

    if (!reply || store_reply_kind(reply) != STORE_KIND_TEXT)
        return "";
    text = store_reply_text(reply, &length);
    return strlen(text) == length ? text : "";
}

static bool weight_parse(const char *text, unsigned *weight)
{
    size_t length = strspn(text, "0123456789");
    unsigned long number;

    if (length == 0 || length > 5 || text[length] != '\0')
        return false;
    number = strtoul(text, NULL, 10);
    if (number > OVERRIDE_MAX_WEIGHT)
        return false;
    *weight = (unsigned)number;
    return true;
}

/* HMGET state weight. A key of another type is an error, and so is nothing set. */
static struct override_value value_parse(const struct store_reply *reply)
{
    static const enum override_state states[] = {OVERRIDE_DRAIN, OVERRIDE_DOWN, OVERRIDE_READY};
    struct override_value value = {.state = OVERRIDE_NONE};

    if (store_reply_kind(reply) != STORE_KIND_LIST || store_reply_count(reply) != 2)
        return value;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (!strcmp(reply_word(store_reply_at(reply, 0)), override_state_name(states[i])))
            value.state = states[i];
    value.has_weight = weight_parse(reply_word(store_reply_at(reply, 1)), &value.weight);
    return value;
}

static void read_done(void *arg, enum store_status status, const struct store_reply *const *reply,
                      size_t count)
{
    struct read_batch *batch = arg;
    struct override *override = batch->override;
    bool answered = status == STORE_OK || status == STORE_ERROR;

    override->reads--;
    for (size_t i = 0; i < batch->count; i++) {
        struct known *known = sorted_get(&override->hosts, batch->key[i], known_compare);
        if (!known || known->unsaved)
            continue;
        if (answered && i < count)
            known->value = value_parse(reply[i]);
        else
            known->stale = true; /* the next poll reads it */
    }
    free(batch);
    override_unref(override);
}

/* Reads up to one pipeline of stale hosts from *at on. */
static bool read_send(struct override *override, size_t *at)
{
    struct read_batch *read = calloc(1, sizeof *read);
    struct store_batch *batch;
    size_t first = *at;
    char key[KEYS_SIZE];

    if (!read)
        return false;
    read->override = override;
    batch = store_batch_new(false);
    for (; *at < override->hosts.count && read->count < OVERRIDE_BATCH; ++*at) {
        const struct known *known = override->hosts.item[*at];
        if (!known->stale || known->unsaved)
            continue;
        strcpy(read->key[read->count++], known->key);
        keys_override(override->prefix, known->host, known->port, key);
        store_batch_add(batch, "HMGET", key, "state", "weight", NULL);
    }
    if (read->count == 0)
        store_batch_free(batch);
    if (read->count == 0 || !store_send(override->store, batch, read_done, read)) {
        free(read);
        return false;
    }
    override->refs++;
    override->reads++;
    for (size_t i = first; i < *at; i++)
        ((struct known *) override->hosts.item[i])->stale = false;
    return true;
}

static void write_done(void *arg, enum store_status status, const struct store_reply *const *reply,
                       size_t count)
{
    struct write_batch *write = arg;
    struct override *override = write->override;
    struct known *known = sorted_get(&override->hosts, write->key, known_compare);

    (void)reply, (void)count;
    /* Another word may have been given meanwhile: that one's own write settles it. */
    if (known && value_equal(&known->value, &write->value) && !override->closed &&
        (status == STORE_OK || status == STORE_ERROR)) {
        known->unsaved = false;
        known->stale = true;
        flush_soon(override);
    }
    if (write->done && !override->closed)
        write->done(write->arg, status == STORE_OK);
    free(write);
    override_unref(override);
}

static bool write_send(struct override *override, const struct known *known, override_done *done,
                       void *arg)
{
    struct write_batch *write = calloc(1, sizeof *write);
    const struct override_value *value = &known->value;
    struct store_batch *batch;
    char key[KEYS_SIZE], weight[16];

    if (!write)
        return false;
    *write = (struct write_batch){.override = override, .value = *value, .done = done, .arg = arg};
    strcpy(write->key, known->key);
    keys_override(override->prefix, known->host, known->port, key);
    batch = store_batch_new(true);
    store_batch_add(batch, "DEL", key, NULL);
    if (value->state != OVERRIDE_NONE)
        store_batch_add(batch, "HSET", key, "state", override_state_name(value->state), NULL);
    snprintf(weight, sizeof weight, "%u", value->weight);
    if (value->has_weight)
        store_batch_add(batch, "HSET", key, "weight", weight, NULL);
    if (!store_send(override->store, batch, write_done, write)) {
        free(write);
        return false;
    }
    override->refs++;
    return true;
}

void override_put(struct override *override, const char *host, uint16_t port,
                  struct override_value value, override_done *done, void *arg)
{
    struct known *known = known_find(override, host, port);

    if (value.has_weight && value.weight > OVERRIDE_MAX_WEIGHT)
        value.weight = OVERRIDE_MAX_WEIGHT;
    if (!known) {
        done(arg, false);
        return;
    }
    known->value = value;
    if (!override->store) {
        done(arg, true);
        return;
    }
    known->unsaved = true;
    if (!write_send(override, known, done, arg))
        done(arg, false);
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
    struct override *override = arg;
    size_t at = 0;

    (void)fd, (void)what;
    while (at < override->hosts.count && read_send(override, &at))
        ;
}

/* Each second: what is unsaved, and what nobody would tell us of, or could not be read. */
static void on_poll(evutil_socket_t fd, short what, void *arg)
{
    struct override *override = arg;

    (void)fd, (void)what;
    if (override->reads > 0)
        return; /* a slow Redis is not given more */
    for (size_t i = 0; i < override->hosts.count; i++) {
        struct known *known = override->hosts.item[i];
        if (known->unsaved && !write_send(override, known, NULL, NULL))
            return; /* Redis is away: as good as told so for all the others */
        if (!override->tracked)
            known->stale = true;
    }
    on_flush(-1, 0, override);
}

void override_changed(struct override *override, const char *rest)
{
    struct known *known;

    if (rest) {
        known = sorted_get(&override->hosts, rest, known_compare);
        if (!known)
            return;
        known->stale = true;
    } else {
        for (size_t i = 0; i < override->hosts.count; i++)
            ((struct known *) override->hosts.item[i])->stale = true;
    }
    if (override->store)
        flush_soon(override);
}

void override_set_tracked(struct override *override, bool tracked)
{
    /* What changed while the connection was away was told to nobody. */
    if (tracked && !override->tracked)
        override_changed(override, NULL);
    override->tracked = tracked;
}

struct override *override_new(struct event_base *base, const char *prefix, struct store *store)
{
    const struct timeval interval = {.tv_sec = OVERRIDE_POLL_MS / 1000};
    struct override *override = calloc(1, sizeof *override);

    if (!override)
        return NULL;
    override->refs = 1;
    override->store = store;
    snprintf(override->prefix, sizeof override->prefix, "%s", prefix);
    override->poll = event_new(base, -1, EV_PERSIST, on_poll, override);
    override->flush = evtimer_new(base, on_flush, override);
    if (!override->poll || !override->flush || (store && event_add(override->poll, &interval))) {
        override_free(override);
        return NULL;
    }
    return override;
}

void override_free(struct override *override)
{
    if (!override)
        return;
    if (override->poll)
        event_free(override->poll);
    if (override->flush)
        event_free(override->flush);
    override->closed = true;
    override_unref(override);
}

const char *override_state_name(enum override_state state)
{
    switch (state) {
    case OVERRIDE_NONE: return "";
    case OVERRIDE_DRAIN: return "drain";
    case OVERRIDE_DOWN: return "down";
    case OVERRIDE_READY: return "ready";
    }
    return "";
}
