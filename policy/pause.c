/*
 * Pauses: a short list, read again as a whole when anything about it changes.
 */
#include "policy/pause.h"

#include "cache/keys.h"
#include "cache/name.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ENTRIES = 1000, POLL_SECONDS = 5 };

struct entry {
    char domain[NAME_SIZE];
    int64_t until;
};

struct pause {
    char key[KEYS_SIZE];
    const struct clock *clock;
    struct store *store;
    struct event *poll;
    size_t count;
    struct entry *entry; /* MAX_ENTRIES of them */
};

static void on_poll(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    pause_changed(arg);
}

struct pause *pause_new(struct event_base *base, const char *prefix, const struct clock *clock,
                        struct store *store)
{
    const struct timeval often = {.tv_sec = POLL_SECONDS};
    struct pause *pause = calloc(1, sizeof *pause);

    if (!pause)
        return NULL;
    snprintf(pause->key, sizeof pause->key, "%s:override:pause", prefix);
    pause->clock = clock;
    pause->store = store;
    pause->entry = calloc(MAX_ENTRIES, sizeof *pause->entry);
    pause->poll = event_new(base, -1, EV_PERSIST, on_poll, pause);
    if (pause->entry && pause->poll && event_add(pause->poll, &often) == 0)
        return pause;
    pause_free(pause);
    return NULL;
}

void pause_free(struct pause *pause)
{
    if (!pause)
        return;
    if (pause->poll)
        event_free(pause->poll);
    free(pause->entry);
    free(pause);
}

bool pause_has_key(const char *rest)
{
    return strcmp(rest, "pause") == 0;
}

int64_t pause_until(const struct pause *pause, const char *domain)
{
    int64_t now = clock_unix(pause->clock), until = 0;

    for (size_t i = 0; i < pause->count; i++) {
        const struct entry *entry = &pause->entry[i];
        if (entry->until > now && entry->until > until &&
            (strcmp(entry->domain, domain) == 0 || strcmp(entry->domain, PAUSE_EVERYTHING) == 0))
            until = entry->until;
    }
    return until;
}

static void set_entry(struct pause *pause, const char *domain, int64_t until)
{
    size_t i;

    for (i = 0; i < pause->count; i++)
        if (strcmp(pause->entry[i].domain, domain) == 0)
            break;
    if (i == MAX_ENTRIES)
        return;
    if (i == pause->count)
        pause->count++;
    snprintf(pause->entry[i].domain, sizeof pause->entry[i].domain, "%s", domain);
    pause->entry[i].until = until;
}

static void drop_entry(struct pause *pause, const char *domain)
{
    for (size_t i = 0; i < pause->count; i++)
        if (strcmp(pause->entry[i].domain, domain) == 0) {
            pause->entry[i] = pause->entry[--pause->count];
            return;
        }
}

/* One field of the HASH, from whoever wrote it. */
static void take_field(struct pause *pause, const char *domain, const char *value)
{
    int64_t now = clock_unix(pause->clock), until;
    char canonical[NAME_SIZE], *end;

    if (!domain || !value)
        return;
    until = strtoll(value, &end, 10);
    if (*end != '\0' || until <= now)
        return;
    if (strcmp(domain, PAUSE_EVERYTHING) != 0) {
        if (!name_normalize(domain, strlen(domain), canonical))
            return;
        domain = canonical;
    }
    set_entry(pause, domain, until - now > PAUSE_MAX ? now + PAUSE_MAX : until);
}

static void on_read(void *arg, enum store_status status, const struct store_reply *const *reply,
                    size_t count)
{
    struct pause *pause = arg;

    if (status != STORE_OK || count != 1)
        return; /* what is known stays, and ends by itself */
    pause->count = 0;
    for (size_t i = 0; i + 1 < store_reply_count(reply[0]); i += 2)
        take_field(pause, store_reply_text(store_reply_at(reply[0], i), NULL),
                   store_reply_text(store_reply_at(reply[0], i + 1), NULL));
}

void pause_changed(struct pause *pause)
{
    struct store_batch *batch;

    if (!pause->store || !(batch = store_batch_new(false)))
        return;
    store_batch_add(batch, "HGETALL", pause->key, NULL);
    store_send(pause->store, batch, on_read, pause);
}

/* What is known here, written whole: small, and right whatever stood there. */
static bool write_all(struct pause *pause)
{
    struct store_batch *batch = store_batch_new(true);
    int64_t now = clock_unix(pause->clock), longest = 0;
    char until[24], ttl[24];

    if (!batch)
        return false;
    store_batch_add(batch, "DEL", pause->key, NULL);
    for (size_t i = 0; i < pause->count && i < 60; i++) {
        if (pause->entry[i].until > longest)
            longest = pause->entry[i].until;
        snprintf(until, sizeof until, "%" PRId64, pause->entry[i].until);
        store_batch_add(batch, "HSET", pause->key, pause->entry[i].domain, until, NULL);
    }
    if (longest > now) {
        snprintf(ttl, sizeof ttl, "%" PRId64, longest - now);
        store_batch_add(batch, "EXPIRE", pause->key, ttl, NULL);
    }
    return store_send(pause->store, batch, NULL, NULL);
}

bool pause_put(struct pause *pause, const char *domain, int64_t seconds)
{
    int64_t now = clock_unix(pause->clock);

    for (size_t i = 0; i < pause->count;)
        if (pause->entry[i].until <= now)
            drop_entry(pause, pause->entry[i].domain);
        else
            i++;
    if (seconds > 0)
        set_entry(pause, domain, now + (seconds > PAUSE_MAX ? PAUSE_MAX : seconds));
    else if (strcmp(domain, PAUSE_EVERYTHING) == 0)
        pause->count = 0;
    else
        drop_entry(pause, domain);
    return !pause->store || write_all(pause);
}
