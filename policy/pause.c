/*
 * Pauses: a short list, read again as a whole when anything about it changes.
 *
 * What is said here holds here at once and is `unsaved` until Redis has it: field by field, so that
 * nothing said elsewhere at the same time is lost by it, and tried again at each poll. So neither an
 * outage nor a refused write ends a pause. Nor does the loss of Redis' memory, which the epoch read
 * along with the HASH tells from a HASH deleted by hand: what was saved is unsaved then.
 */
#include "policy/pause.h"

#include "cache/keys.h"
#include "cache/name.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ENTRIES = 1000, POLL_SECONDS = 5, AT_ONCE = 60 /* fields a write */, EPOCH_SIZE = 64 };

struct entry {
    char domain[NAME_SIZE];
    int64_t until; /* 0: ended by hand, and not yet in Redis */
    bool unsaved;
    bool sent; /* by the write under way */
};

struct pause {
    char key[KEYS_SIZE], epoch_key[KEYS_SIZE];
    char epoch[EPOCH_SIZE]; /* the id that was there when last the HASH was read; "" unknown */
    const struct clock *clock;
    struct store *store;
    struct event *poll;
    bool writing;
    bool cleared; /* all that Redis has is to go; unsaved */
    bool cleared_sent;
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
    keys_epoch(prefix, pause->epoch_key);
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

static struct entry *find_entry(struct pause *pause, const char *domain)
{
    for (size_t i = 0; i < pause->count; i++)
        if (strcmp(pause->entry[i].domain, domain) == 0)
            return &pause->entry[i];
    return NULL;
}

/* NULL where there is no room. */
static struct entry *set_entry(struct pause *pause, const char *domain, int64_t until)
{
    struct entry *entry = find_entry(pause, domain);

    if (!entry && pause->count < MAX_ENTRIES) {
        entry = &pause->entry[pause->count++];
        *entry = (struct entry){0};
        snprintf(entry->domain, sizeof entry->domain, "%s", domain);
    }
    if (entry)
        entry->until = until;
    return entry;
}

/* A word of an end that Redis has yet to hear stays. */
static void drop_ended(struct pause *pause)
{
    int64_t now = clock_unix(pause->clock);
    size_t kept = 0;

    for (size_t i = 0; i < pause->count; i++) {
        const struct entry *entry = &pause->entry[i];
        if (entry->until > now || (entry->until == 0 && entry->unsaved))
            pause->entry[kept++] = *entry;
    }
    pause->count = kept;
}

/* What Redis is known to have, or to have had. */
static void drop_saved(struct pause *pause)
{
    size_t kept = 0;

    for (size_t i = 0; i < pause->count; i++)
        if (pause->entry[i].unsaved)
            pause->entry[kept++] = pause->entry[i];
    pause->count = kept;
}

/* Another epoch than before, or none any more: Redis lost what it had, perhaps this too. */
static void note_epoch(struct pause *pause, const char *id)
{
    if (pause->epoch[0] && strcmp(pause->epoch, id) != 0)
        for (size_t i = 0; i < pause->count; i++)
            pause->entry[i].unsaved = true;
    if (*id)
        snprintf(pause->epoch, sizeof pause->epoch, "%s", id);
}

/* One field of the HASH, from whoever wrote it. A pause too long is written anew as what it counts
 * for, or it would begin again at each look. */
static void take_field(struct pause *pause, const char *domain, const char *value)
{
    int64_t now = clock_unix(pause->clock), until;
    char canonical[NAME_SIZE], *end;
    struct entry *entry;
    bool too_long;

    if (!domain || !value || pause->cleared)
        return;
    until = strtoll(value, &end, 10);
    if (*end != '\0' || until <= now)
        return;
    if (strcmp(domain, PAUSE_EVERYTHING) != 0) {
        if (!name_normalize(domain, strlen(domain), canonical))
            return;
        domain = canonical;
    }
    entry = find_entry(pause, domain);
    if (entry && entry->unsaved)
        return;
    too_long = until - now > PAUSE_MAX;
    entry = set_entry(pause, domain, too_long ? now + PAUSE_MAX : until);
    if (entry)
        entry->unsaved = too_long;
}

static bool write_unsaved(struct pause *pause);

static void on_written(void *arg, enum store_status status, const struct store_reply *const *reply,
                       size_t count)
{
    struct pause *pause = arg;

    (void)reply;
    (void)count;
    pause->writing = false;
    for (size_t i = 0; i < pause->count; i++) {
        struct entry *entry = &pause->entry[i];
        if (entry->sent && status == STORE_OK)
            entry->unsaved = false;
        entry->sent = false;
    }
    if (pause->cleared_sent && status == STORE_OK)
        pause->cleared = false;
    pause->cleared_sent = false;
    if (status == STORE_OK)
        write_unsaved(pause); /* what was said meanwhile; a failure is for the next poll */
}

/* The key outlives any pause: each field says itself when it ends. */
static bool write_unsaved(struct pause *pause)
{
    struct store_batch *batch;
    char until[24], ttl[24];
    size_t fields = 0;

    if (pause->writing)
        return true; /* goes after that one */
    batch = store_batch_new(true);
    if (pause->cleared)
        store_batch_add(batch, "DEL", pause->key, NULL);
    for (size_t i = 0; i < pause->count && fields < AT_ONCE; i++) {
        struct entry *entry = &pause->entry[i];
        if (!entry->unsaved)
            continue;
        snprintf(until, sizeof until, "%" PRId64, entry->until);
        store_batch_add(batch, "HSET", pause->key, entry->domain, until, NULL);
        entry->sent = true;
        fields++;
    }
    if (!pause->cleared && fields == 0) {
        store_batch_free(batch);
        return true;
    }
    snprintf(ttl, sizeof ttl, "%d", PAUSE_MAX);
    store_batch_add(batch, "EXPIRE", pause->key, ttl, NULL);
    pause->cleared_sent = pause->cleared;
    pause->writing = store_send(pause->store, batch, on_written, pause);
    return pause->writing;
}

static void on_read(void *arg, enum store_status status, const struct store_reply *const *reply,
                    size_t count)
{
    struct pause *pause = arg;
    const char *epoch;

    if (status != STORE_OK || count != 2)
        return; /* what is known stays, and ends by itself */
    epoch = store_reply_text(store_reply_at(reply[1], 0), NULL);
    note_epoch(pause, epoch ? epoch : "");
    drop_saved(pause);
    for (size_t i = 0; i + 1 < store_reply_count(reply[0]); i += 2)
        take_field(pause, store_reply_text(store_reply_at(reply[0], i), NULL),
                   store_reply_text(store_reply_at(reply[0], i + 1), NULL));
    write_unsaved(pause);
}

void pause_changed(struct pause *pause)
{
    struct store_batch *batch;

    if (!pause->store)
        return;
    write_unsaved(pause);
    batch = store_batch_new(false);
    store_batch_add(batch, "HGETALL", pause->key, NULL);
    store_batch_add(batch, "HMGET", pause->epoch_key, "id", NULL);
    store_send(pause->store, batch, on_read, pause);
}

/* False where there is no room. */
static bool say(struct pause *pause, const char *domain, int64_t until)
{
    struct entry *entry = set_entry(pause, domain, until);

    if (!entry)
        return false;
    entry->unsaved = pause->store != NULL;
    entry->sent = false; /* what is under way is not this word */
    return true;
}

bool pause_put(struct pause *pause, const char *domain, int64_t seconds)
{
    int64_t now = clock_unix(pause->clock);

    drop_ended(pause);
    if (seconds > 0) {
        if (!say(pause, domain, now + (seconds > PAUSE_MAX ? PAUSE_MAX : seconds)))
            return false;
    } else if (strcmp(domain, PAUSE_EVERYTHING) == 0) {
        pause->count = 0;
        pause->cleared = pause->store != NULL;
        pause->cleared_sent = false;
    } else if (!say(pause, domain, 0)) {
        return false;
    }
    return !pause->store || write_unsaved(pause);
}
