/*
 * The tracking connection: a checked shape for everything that may come over its wire.
 *
 * Its life. IDLE until the retry timer; DIALING; CONNECTING; then one command after the other, each
 * with its answer checked; LISTENING, when invalidations come as
 * ["message", "__redis__:invalidate", [key, ...] or nil]. Anything else in any state ends the
 * connection, and the owner forgets what it had cached: doubt costs a look-up, never a wrong
 * answer. The same goes for a flood that the reader's bounds refuse.
 */
#include "cache/track.h"

#include "cache/clock.h"
#include "cache/dial.h"
#include "cache/wire.h"

#include <event2/event.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETUP_BUDGET = 600, MAX_PREFIXES = 16, WHY_SIZE = 160 };

#define CHANNEL "__redis__:invalidate"

enum track_state {
    TRACK_IDLE,
    TRACK_DIALING,
    TRACK_CONNECTING,
    TRACK_AUTH, /* from here on: the answer that is awaited */
    TRACK_ROLE,
    TRACK_ID,
    TRACK_TRACKING,
    TRACK_SUBSCRIBE,
    TRACK_LISTENING,
};

struct track {
    struct event_base *base;
    struct dial dial;
    struct track_hooks hooks;
    const struct notice *notice;
    char *prefix[MAX_PREFIXES];
    size_t prefix_count;
    char *heartbeat;
    int64_t quiet;
    enum track_state state;
    struct wire wire;
    struct event *retry, *silence; /* silence: of the set-up's answers, then of the heartbeat */
    unsigned attempt;
    bool told_down;
};

static void arm(struct event *event, int64_t delay)
{
    struct timeval tv = {.tv_sec = delay / 1000, .tv_usec = (delay % 1000) * 1000};

    event_add(event, &tv);
}

static void drop(struct track *track, const char *why)
{
    bool was_up = track->state == TRACK_LISTENING;
    char words[WHY_SIZE]; /* why may lie in a reply */

    snprintf(words, sizeof(words), "%s", why);
    track->state = TRACK_IDLE;
    dial_stop(&track->dial);
    wire_close(&track->wire);
    event_del(track->silence);
    arm(track->retry, dial_backoff(track->attempt++, dial_random()));
    if (!track->told_down)
        notice_give(track->notice, NOTICE_TRACK_DOWN, words);
    track->told_down = true;
    if (was_up && track->hooks.lost)
        track->hooks.lost(track->hooks.arg);
}

/* A connection that is dead without a word (the peer's power, a firewall's table) is found so. */
static void on_silence(evutil_socket_t fd, short what, void *arg)
{
    struct track *track = arg;

    (void)fd, (void)what;
    drop(track, track->state == TRACK_LISTENING ? "own heartbeat not heard" : "no answer in time");
}

static bool say_auth(struct track *track)
{
    const char *word[] = {"AUTH", track->dial.user, track->dial.password};

    track->state = TRACK_AUTH;
    if (*track->dial.user)
        return wire_say(&track->wire, word, 3);
    word[1] = track->dial.password;
    return wire_say(&track->wire, word, 2);
}

static bool say_role(struct track *track)
{
    const char *word[] = {"ROLE"};

    track->state = TRACK_ROLE;
    return wire_say(&track->wire, word, 1);
}

static bool say_id(struct track *track)
{
    const char *word[] = {"CLIENT", "ID"};

    track->state = TRACK_ID;
    return wire_say(&track->wire, word, 2);
}

/* The tracked connection is the one that subscribes: if either half were to die alone, nobody would
 * notice. BCAST, since nothing is read here that the server could remember. */
static bool say_tracking(struct track *track, long long id)
{
    const char *word[MAX_PREFIXES * 2 + 8] = {"CLIENT", "TRACKING", "ON", "REDIRECT"};
    char text[32];
    size_t count = 4;

    snprintf(text, sizeof(text), "%lld", id);
    word[count++] = text;
    word[count++] = "BCAST";
    for (size_t i = 0; i < track->prefix_count; i++) {
        word[count++] = "PREFIX";
        word[count++] = track->prefix[i];
    }
    track->state = TRACK_TRACKING;
    return wire_say(&track->wire, word, count);
}

static bool say_subscribe(struct track *track)
{
    const char *word[] = {"SUBSCRIBE", CHANNEL};

    track->state = TRACK_SUBSCRIBE;
    return wire_say(&track->wire, word, 2);
}

static void go_up(struct track *track)
{
    track->state = TRACK_LISTENING;
    track->told_down = false;
    arm(track->silence, track->quiet);
    notice_give(track->notice, NOTICE_TRACK_UP, NULL);
    if (track->hooks.up)
        track->hooks.up(track->hooks.arg);
}

/* The heartbeat is passed on like any key: others may want it. Pauses begin anew only with the first:
 * a server that lets us listen and throws us out would be asked without one. */
static void hear_key(struct track *track, const char *key)
{
    if (!strcmp(key, track->heartbeat)) {
        arm(track->silence, track->quiet);
        track->attempt = 0;
    }
    notice_give(track->notice, NOTICE_INVALIDATED, key);
    if (track->hooks.changed)
        track->hooks.changed(track->hooks.arg, key);
}

/* FLUSHALL and FLUSHDB come without keys. */
static void hear_flush(struct track *track)
{
    notice_give(track->notice, NOTICE_INVALIDATED, "*");
    if (track->hooks.changed)
        track->hooks.changed(track->hooks.arg, NULL);
}

/* A key with a NUL inside is nobody's key here, and would be cut into one that is. */
static bool is_key(const redisReply *reply)
{
    return reply_is_text(reply) && strlen(reply->str) == (size_t)reply->len;
}

/* All of a message is checked before any of it is believed. False: not an invalidation. */
static bool hear_message(struct track *track, const redisReply *reply)
{
    const redisReply *keys;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3 ||
        !reply_is_word(reply->element[0], "message") || !reply_is_word(reply->element[1], CHANNEL))
        return false;
    keys = reply->element[2];
    if (keys->type == REDIS_REPLY_NIL) {
        hear_flush(track);
        return true;
    }
    if (keys->type != REDIS_REPLY_ARRAY)
        return false;
    for (size_t i = 0; i < keys->elements; i++) {
        if (!reply_is_text(keys->element[i]))
            return false;
    }
    for (size_t i = 0; i < keys->elements; i++) {
        if (is_key(keys->element[i]))
            hear_key(track, keys->element[i]->str);
    }
    return true;
}

static bool is_subscribed(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
           reply_is_word(reply->element[0], "subscribe") &&
           reply_is_word(reply->element[1], CHANNEL) &&
           reply->element[2]->type == REDIS_REPLY_INTEGER;
}

/* A replica hears of changes too, but later, and of the ones after a failover maybe never. */
static bool is_master(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements > 0 &&
           reply_is_word(reply->element[0], "master");
}

/* The answer to the last command, and the next command. False where the answer is another. Each is
 * checked before the next word is said, so a server that is no Redis, or not ours, gets no further.
 */
static bool advance(struct track *track, const redisReply *reply)
{
    switch (track->state) {
    case TRACK_AUTH: return reply_is_word(reply, "OK") && say_role(track);
    case TRACK_ROLE: return is_master(reply) && say_id(track);
    case TRACK_ID:
        return reply->type == REDIS_REPLY_INTEGER && reply->integer > 0 &&
               say_tracking(track, reply->integer);
    case TRACK_TRACKING: return reply_is_word(reply, "OK") && say_subscribe(track);
    case TRACK_SUBSCRIBE:
        if (!is_subscribed(reply))
            return false;
        go_up(track);
        return true;
    case TRACK_LISTENING: return hear_message(track, reply);
    case TRACK_IDLE:
    case TRACK_DIALING:
    case TRACK_CONNECTING: break;
    }
    return false;
}

static void on_reply(void *arg, const redisReply *reply)
{
    struct track *track = arg;
    bool was_role = track->state == TRACK_ROLE;

    if (advance(track, reply))
        return;
    if (reply->type == REDIS_REPLY_ERROR)
        drop(track, reply->str);
    else
        drop(track, was_role ? "not a master" : "unexpected answer");
}

static void on_connected(void *arg)
{
    struct track *track = arg;
    bool said = *track->dial.user || *track->dial.password ? say_auth(track) : say_role(track);

    if (!said)
        drop(track, "out of memory");
}

static void on_gone(void *arg, const char *why)
{
    drop(arg, why);
}

static const struct wire_hooks wire_hooks = {
    .connected = on_connected, .reply = on_reply, .gone = on_gone};

static void on_dialed(void *arg, const struct dial_target *target, const char *why)
{
    struct track *track = arg;

    if (!target || !wire_open(&track->wire, track->base, target, &wire_hooks, track, &why)) {
        drop(track, why);
        return;
    }
    track->state = TRACK_CONNECTING;
    arm(track->silence, SETUP_BUDGET);
}

static void on_moved(void *arg)
{
    struct track *track = arg;

    drop(track, "the Sentinels name another master");
    track->attempt = 0;
    arm(track->retry, 0);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    struct track *track = arg;

    (void)fd, (void)what;
    track->state = TRACK_DIALING;
    dial_start(&track->dial);
}

static bool copy_options(struct track *track, const struct track_options *options)
{
    if (options->prefix_count > MAX_PREFIXES)
        return false;
    for (size_t i = 0; i < options->prefix_count; i++) {
        track->prefix[i] = strdup(options->prefix[i]);
        if (!track->prefix[i])
            return false;
        track->prefix_count++;
    }
    track->quiet = options->quiet;
    track->heartbeat = strdup(options->heartbeat);
    return track->heartbeat != NULL;
}

struct track *track_new(struct event_base *base, const struct track_options *options,
                        struct dns *dns, const struct track_hooks *hooks,
                        const struct notice *notice)
{
    struct track *track = calloc(1, sizeof(*track));

    if (!track)
        return NULL;
    track->base = base;
    track->hooks = *hooks;
    track->notice = notice;
    track->retry = evtimer_new(base, on_retry, track);
    track->silence = evtimer_new(base, on_silence, track);
    if (!dial_init(&track->dial, &options->server, dns, on_moved, on_dialed, track) ||
        !copy_options(track, options) || !track->retry || !track->silence) {
        track_free(track);
        return NULL;
    }
    arm(track->retry, dial_backoff(track->attempt++, dial_random()));
    return track;
}

void track_free(struct track *track)
{
    if (!track)
        return;
    wire_close(&track->wire);
    if (track->retry)
        event_free(track->retry);
    if (track->silence)
        event_free(track->silence);
    for (size_t i = 0; i < track->prefix_count; i++)
        free(track->prefix[i]);
    free(track->heartbeat);
    dial_clear(&track->dial);
    free(track);
}

bool track_is_up(const struct track *track)
{
    return track && track->state == TRACK_LISTENING;
}
