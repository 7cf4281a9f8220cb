/*
 * Following refusals. They are looked at in turn, some each second, so that many cost the loop no
 * more at a time than few.
 */
#include "policy/tally.h"

#include "cache/hash.h"
#include "policy/memory.h"
#include "policy/report.h"
#include "policy/sorted.h"
#include "policy/stats.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RECENT = 512,          /* messages that are known to have been counted */
    FIRST_LOOK = 300,      /* seconds; each next one at twice the age */
    LAST_LOOK = 24 * 3600, /* as long as evidence and refusals are kept */
    LOOKS_A_TICK = 200,
    VISITED_A_TICK = 2000,
};

struct followed {
    struct tally *tally;
    size_t index;
    const char *name; /* what it is counted under; the tally's */
    int64_t at;       /* Unix seconds of the refusal */
    int64_t began;    /* the same, monotonic ms */
    int64_t age;      /* seconds, of the next look */
    bool dry;
    struct memory_wait *wait;
    char *domain;
    char *who; /* identities, parted by spaces */
    size_t listener_count;
    struct net_addr listener[];
};

struct tally {
    const struct clock *clock;
    struct memory *memory;
    struct stats *stats;
    struct event *tick;
    struct sorted names; /* domains counted by name */
    uint8_t key[HASH_KEY_SIZE];
    uint64_t recent[RECENT];
    size_t recent_next;
    size_t count, next;
    struct followed **followed;
};

static void count(struct tally *tally, enum report_kind kind, const char *name, uint64_t by)
{
    stats_add_of(tally->stats, report_kind_name(kind), name, by);
}

static int name_compare(const void *key, const void *item)
{
    return strcmp(key, item);
}

/* The name that a domain is counted under; it lives as long as the tally. */
static const char *name_of(struct tally *tally, const struct tally_message *message)
{
    char *name;
    size_t at;

    if (!message->has_section)
        return "*";
    if (sorted_find(&tally->names, message->domain, name_compare, &at))
        return tally->names.item[at];
    if (tally->names.count >= TALLY_DOMAINS || !(name = strdup(message->domain)))
        return "*";
    if (sorted_insert(&tally->names, at, name))
        return name;
    free(name);
    return "*";
}

/* Whether another recipient of the same message was counted as this a moment ago. */
static bool is_counted(struct tally *tally, enum report_kind kind,
                       const struct tally_message *message)
{
    char text[512];
    uint64_t hash;
    int length;

    if (message->instance[0] == '\0')
        return false;
    length = snprintf(text, sizeof text, "%d %s %s", (int)kind, message->instance, message->domain);
    hash = hash_keyed(tally->key, text, (size_t)length);
    for (size_t i = 0; i < RECENT; i++)
        if (tally->recent[i] == hash)
            return true;
    tally->recent[tally->recent_next++ % RECENT] = hash;
    return false;
}

void tally_judged(struct tally *tally, const struct tally_message *message)
{
    if (!is_counted(tally, REPORT_JUDGED, message))
        count(tally, REPORT_JUDGED, name_of(tally, message), 1);
}

/* --- following -------------------------------------------------------------------------------- */

static void followed_free(struct followed *followed)
{
    if (!followed)
        return;
    free(followed->domain);
    free(followed->who);
    free(followed);
}

/* Its place is taken by the last one. */
static void drop(struct followed *followed)
{
    struct tally *tally = followed->tally;
    struct followed *last = tally->followed[--tally->count];

    tally->followed[followed->index] = last;
    last->index = followed->index;
    followed_free(followed);
}

static void settle(struct followed *followed, enum report_kind kind)
{
    count(followed->tally, kind, followed->name, 1);
    drop(followed);
}

static void came_back(struct followed *followed, enum report_kind kind, int64_t at)
{
    /* Who was not refused and comes to a better host later brings another message. */
    if (kind == REPORT_YIELDED || !followed->dry) {
        count(followed->tally, REPORT_DELAY, followed->name, (uint64_t)(at - followed->at));
        count(followed->tally, report_delay_kind(at - followed->at), followed->name, 1);
    }
    settle(followed, kind);
}

static void on_known(void *arg, const struct memory_known *known)
{
    struct followed *followed = arg;

    followed->wait = NULL;
    if (known->learned_at > followed->at)
        came_back(followed, REPORT_YIELDED, known->learned_at);
    else if (known->seen_at > followed->at)
        came_back(followed, REPORT_BETTER, known->seen_at);
    else if (followed->age >= LAST_LOOK)
        settle(followed, known->complete ? REPORT_SILENT : REPORT_UNKNOWN);
    else
        followed->age = 2 * followed->age < LAST_LOOK ? 2 * followed->age : LAST_LOOK;
}

static void unpack(const char *text, struct identity_set *who)
{
    memset(who, 0, sizeof *who);
    while (*text && who->count < IDENTITY_MAX) {
        size_t length = strcspn(text, " ");
        snprintf(who->text[who->count++], IDENTITY_SIZE, "%.*s", (int)length, text);
        text += length + (text[length] == ' ');
    }
}

static void look(struct followed *followed)
{
    struct tally *tally = followed->tally;
    struct identity_set who;
    const struct memory_look look = {.listener = followed->listener,
                                     .listener_count = followed->listener_count,
                                     .who = &who,
                                     .domain = followed->domain,
                                     .dry = followed->dry,
                                     .max_age = clock_unix(tally->clock) - followed->at};

    unpack(followed->who, &who);
    followed->wait = memory_ask(tally->memory, &look, on_known, followed);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct tally *tally = arg;
    size_t visits = tally->count < VISITED_A_TICK ? tally->count : VISITED_A_TICK;
    int64_t now = clock_mono();
    unsigned looks = 0;

    (void)fd;
    (void)what;
    for (size_t i = 0; i < visits && looks < LOOKS_A_TICK; i++) {
        struct followed *followed;
        tally->next = tally->next + 1 < tally->count ? tally->next + 1 : 0;
        followed = tally->followed[tally->next];
        if (followed->wait || now - followed->began < followed->age * 1000)
            continue;
        look(followed);
        looks++;
    }
}

static char *pack(const struct identity_set *who)
{
    char text[IDENTITY_MAX * IDENTITY_SIZE];
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < who->count; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", i ? " " : "",
                                   who->text[i]);
    return strdup(text);
}

static struct followed *followed_new(struct tally *tally, const struct tally_message *message,
                                     const struct tally_refusal *refusal)
{
    size_t listeners = refusal->better_count * sizeof *refusal->better;
    struct followed *followed = calloc(1, sizeof *followed + listeners);

    if (!followed)
        return NULL;
    followed->tally = tally;
    followed->name = name_of(tally, message);
    followed->at = clock_unix(tally->clock);
    followed->began = clock_mono();
    followed->age = FIRST_LOOK;
    followed->dry = refusal->dry;
    followed->domain = strdup(message->domain);
    followed->who = pack(refusal->who);
    followed->listener_count = refusal->better_count;
    if (listeners)
        memcpy(followed->listener, refusal->better, listeners);
    if (followed->domain && followed->who)
        return followed;
    followed_free(followed);
    return NULL;
}

void tally_refused(struct tally *tally, const struct tally_message *message,
                   const struct tally_refusal *refusal)
{
    struct followed *followed;

    if (is_counted(tally, REPORT_BYPASS, message))
        return;
    count(tally, REPORT_BYPASS, name_of(tally, message), 1);
    followed = tally->count < TALLY_FOLLOWED ? followed_new(tally, message, refusal) : NULL;
    if (!followed) {
        count(tally, REPORT_UNKNOWN, name_of(tally, message), 1);
        return;
    }
    followed->index = tally->count;
    tally->followed[tally->count++] = followed;
}

void tally_stop(struct tally *tally)
{
    while (tally->followed && tally->count > 0) {
        struct followed *last = tally->followed[tally->count - 1];
        memory_cancel(last->wait);
        settle(last, REPORT_UNKNOWN);
    }
}

/* --- life ------------------------------------------------------------------------------------- */

struct tally *tally_new(struct event_base *base, const struct clock *clock, struct memory *memory,
                        struct stats *stats)
{
    const struct timeval second = {.tv_sec = 1};
    struct tally *tally = calloc(1, sizeof *tally);

    if (!tally)
        return NULL;
    tally->clock = clock;
    tally->memory = memory;
    tally->stats = stats;
    hash_random(tally->key, sizeof tally->key);
    tally->followed = calloc(TALLY_FOLLOWED, sizeof(struct followed *));
    tally->tick = event_new(base, -1, EV_PERSIST, on_tick, tally);
    if (tally->followed && tally->tick && event_add(tally->tick, &second) == 0)
        return tally;
    tally_free(tally);
    return NULL;
}

void tally_free(struct tally *tally)
{
    if (!tally)
        return;
    tally_stop(tally);
    if (tally->tick)
        event_free(tally->tick);
    for (size_t i = 0; i < tally->names.count; i++)
        free(tally->names.item[i]);
    sorted_clear(&tally->names);
    free(tally->followed);
    free(tally);
}
