/*
 * Events on their way to Redis: a ring of lines, sent from its old end. What is under way stays in the
 * ring until it is answered for; then it goes, but for what Redis refused.
 */
#include "policy/events.h"

#include "cache/keys.h"
#include "policy/stats.h"

#include <event2/event.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EVENTS_WAITING = 200,
    EVENTS_BATCH = 32,
    EVENTS_WORDS = 60,
    EVENTS_SOON_MS = 250,   /* between an event and its sending, so that several go together */
    EVENTS_AGAIN_MS = 2000, /* after a failure */
};

/* About so many stay in the stream: some megabytes. */
#define EVENTS_LENGTH "10000"

static const struct {
    int64_t every_ms, burst;
} rate[EVENTS_KINDS] = {[EVENTS_VERDICT] = {500, 100}, [EVENTS_SITE] = {1000, 50}};

struct waiting {
    int64_t at; /* Unix seconds */
    char *line;
};

struct events {
    const struct clock *clock;
    struct store *store;
    struct stats *stats;
    char key[KEYS_SIZE], node[NAME_SIZE];
    struct event *timer;
    int64_t full_at[EVENTS_KINDS]; /* monotonic ms when the bucket will be full again */
    size_t first, count;
    struct waiting waiting[EVENTS_WAITING];
    size_t under_way;        /* of the oldest */
    events_flushed *flushed; /* NULL: no flush */
    void *flushed_arg;
    bool closed; /* the owner has let go, a batch under way has not */
};

static bool is_key(const char *word)
{
    size_t length = strspn(word, "abcdefghijklmnopqrstuvwxyz_");

    return length > 0 && word[length] == '=';
}

size_t events_parse(char *line, const char **word, size_t size)
{
    char *next = strchr(line, ' ');
    size_t count = 0;

    word[count++] = "event";
    word[count++] = line;
    if (next)
        *next = '\0';
    while (next && count + 2 <= size) {
        char *key = next + 1, *value;
        if (!is_key(key)) {
            next = strchr(key, ' ');
            continue;
        }
        *next = '\0';
        value = strchr(key, '=');
        *value++ = '\0';
        word[count++] = key;
        word[count++] = value;
        next = strchr(value, ' ');
    }
    return count;
}

static struct waiting *waiting_at(struct events *events, size_t i)
{
    return &events->waiting[(events->first + i) % EVENTS_WAITING];
}

static void drop_first(struct events *events)
{
    free(waiting_at(events, 0)->line);
    events->first = (events->first + 1) % EVENTS_WAITING;
    events->count--;
}

static void clear(struct events *events)
{
    while (events->count > 0)
        drop_first(events);
    free(events);
}

static void arm(struct events *events, int64_t ms)
{
    const struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    if (!evtimer_pending(events->timer, NULL))
        evtimer_add(events->timer, &wait);
}

/* --- sending ---------------------------------------------------------------------------------- */

/* The flush goes on with what is left, and ends with it or with a refusal. */
static void flush_on(struct events *events, bool refused)
{
    events_flushed *flushed = events->flushed;

    if (!refused)
        events_push(events);
    if (events->under_way > 0)
        return;
    events->flushed = NULL;
    flushed(events->flushed_arg);
}

/* Those that have been added, or never will be, go. */
static void on_sent(void *arg, enum store_status status, const struct store_reply *const *reply,
                    size_t count)
{
    struct events *events = arg;
    bool refused = status != STORE_OK;

    if (events->closed) {
        clear(events);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (store_reply_kind(reply[i]) == STORE_KIND_ERROR)
            break;
        drop_first(events);
    }
    events->under_way = 0;
    if (events->flushed)
        flush_on(events, refused);
    else if (events->count > 0)
        arm(events, refused ? EVENTS_AGAIN_MS : EVENTS_SOON_MS);
}

/* The words point into a copy of the line. */
static void add_to_batch(const struct events *events, const struct waiting *waiting,
                         struct store_batch *batch)
{
    const char *word[EVENTS_WORDS] = {"XADD", events->key, "MAXLEN", "~", EVENTS_LENGTH, "*"};
    char *line = strdup(waiting->line), at[24];
    size_t count = 6;

    if (!line) {
        store_batch_add_words(batch, word, 0); /* out of memory: a batch that is not sent */
        return;
    }
    snprintf(at, sizeof at, "%" PRId64, waiting->at);
    word[count++] = "at";
    word[count++] = at;
    word[count++] = "node";
    word[count++] = events->node;
    count += events_parse(line, word + count, EVENTS_WORDS - count);
    store_batch_add_words(batch, word, count);
    free(line);
}

void events_push(struct events *events)
{
    struct store_batch *batch;
    size_t count = events->count < EVENTS_BATCH ? events->count : EVENTS_BATCH;

    if (count == 0 || events->under_way > 0)
        return;
    batch = store_batch_new(false);
    for (size_t i = 0; i < count; i++)
        add_to_batch(events, waiting_at(events, i), batch);
    events->under_way = count;
    if (store_send(events->store, batch, on_sent, events))
        return;
    events->under_way = 0;
    arm(events, EVENTS_AGAIN_MS);
}

void events_flush(struct events *events, events_flushed *done, void *arg)
{
    events_push(events);
    if (events->under_way == 0) {
        done(arg);
        return;
    }
    events->flushed = done;
    events->flushed_arg = arg;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    events_push(arg);
}

/* --- coming in -------------------------------------------------------------------------------- */

/* A bucket as the time at which it is full: it may be at most a burst away. */
static bool is_within_rate(struct events *events, enum events_kind kind)
{
    int64_t now = clock_mono(), full = events->full_at[kind];

    if (full < now)
        full = now;
    if (full + rate[kind].every_ms > now + rate[kind].burst * rate[kind].every_ms)
        return false;
    events->full_at[kind] = full + rate[kind].every_ms;
    return true;
}

/* The oldest makes room, unless it is under way: the answer will be about it. */
static bool has_room(struct events *events)
{
    if (events->count < EVENTS_WAITING)
        return true;
    if (events->under_way > 0)
        return false;
    stats_add(events->stats, "events_dropped", 1);
    drop_first(events);
    return true;
}

void events_put(struct events *events, enum events_kind kind, const char *line)
{
    char *copy;

    if (!events->store)
        return;
    if (!is_within_rate(events, kind) || !has_room(events) || !(copy = strdup(line))) {
        stats_add(events->stats, "events_dropped", 1);
        return;
    }
    *waiting_at(events, events->count++) =
        (struct waiting){.at = clock_unix(events->clock), .line = copy};
    arm(events, EVENTS_SOON_MS);
}

/* --- life ------------------------------------------------------------------------------------- */

struct events *events_new(struct event_base *base, const struct clock *clock, struct store *store,
                          struct stats *stats, const char *prefix, const char *node)
{
    struct events *events = calloc(1, sizeof *events);

    if (!events)
        return NULL;
    events->clock = clock;
    events->store = store;
    events->stats = stats;
    keys_events(prefix, events->key);
    snprintf(events->node, sizeof events->node, "%s", node);
    events->timer = evtimer_new(base, on_timer, events);
    if (events->timer)
        return events;
    free(events);
    return NULL;
}

void events_free(struct events *events)
{
    if (!events)
        return;
    event_free(events->timer);
    events->closed = true;
    if (events->under_way == 0)
        clear(events);
}
