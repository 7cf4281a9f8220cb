/*
 * The tracking connection: a bufferevent, hiredis' reader under guard, and a checked shape for
 * everything that may come.
 *
 * Its life. IDLE until the retry timer; DIALING; CONNECTING; then the commands of `script` one
 * after the other, each with its answer checked; LISTENING, when invalidations come as
 * ["message", "__redis__:invalidate", [key, ...] or nil]. Anything else in any state ends the
 * connection, and the owner forgets what it had cached: doubt costs a look-up, never a wrong
 * answer. The same goes for a flood that the reader's bounds refuse.
 */
#include "cache/track.h"

#include "cache/clock.h"
#include "cache/dial.h"
#include "cache/reply.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { SETUP_BUDGET = 1000, MAX_PREFIXES = 16, READ_SIZE = 16384, WHY_SIZE = 160 };

#define CHANNEL "__redis__:invalidate"

enum track_state {
    TRACK_IDLE,
    TRACK_DIALING,
    TRACK_CONNECTING,
    TRACK_AUTH, /* from here on: the answer that is awaited */
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
    struct bufferevent *socket;
    redisReader *reader;
    struct reply_guard guard;
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
    char words[WHY_SIZE]; /* why may lie in the reader */

    snprintf(words, sizeof(words), "%s", why);
    track->state = TRACK_IDLE;
    if (track->socket)
        bufferevent_free(track->socket);
    track->socket = NULL;
    if (track->reader)
        redisReaderFree(track->reader);
    track->reader = NULL;
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

/* False when out of memory. */
static bool say(struct track *track, const char **word, int count)
{
    size_t length[MAX_PREFIXES * 2 + 8];
    char *text = NULL;
    long long size;
    int failed = -1;

    for (int i = 0; i < count; i++)
        length[i] = strlen(word[i]);
    size = redisFormatCommandArgv(&text, count, word, length);
    if (size >= 0)
        failed = bufferevent_write(track->socket, text, (size_t)size);
    redisFreeCommand(text);
    return !failed;
}

static bool say_auth(struct track *track)
{
    const char *word[] = {"AUTH", track->dial.user, track->dial.password};

    track->state = TRACK_AUTH;
    if (*track->dial.user)
        return say(track, word, 3);
    word[1] = track->dial.password;
    return say(track, word, 2);
}

static bool say_id(struct track *track)
{
    const char *word[] = {"CLIENT", "ID"};

    track->state = TRACK_ID;
    return say(track, word, 2);
}

/* The tracked connection is the one that subscribes: if either half were to die alone, nobody would
 * notice. BCAST, since nothing is read here that the server could remember. */
static bool say_tracking(struct track *track, long long id)
{
    const char *word[MAX_PREFIXES * 2 + 8] = {"CLIENT", "TRACKING", "ON", "REDIRECT"};
    char text[32];
    int count = 4;

    snprintf(text, sizeof(text), "%lld", id);
    word[count++] = text;
    word[count++] = "BCAST";
    for (size_t i = 0; i < track->prefix_count; i++) {
        word[count++] = "PREFIX";
        word[count++] = track->prefix[i];
    }
    track->state = TRACK_TRACKING;
    return say(track, word, count);
}

static bool say_subscribe(struct track *track)
{
    const char *word[] = {"SUBSCRIBE", CHANNEL};

    track->state = TRACK_SUBSCRIBE;
    return say(track, word, 2);
}

static void go_up(struct track *track)
{
    track->state = TRACK_LISTENING;
    track->attempt = 0;
    track->told_down = false;
    arm(track->silence, track->quiet);
    notice_give(track->notice, NOTICE_TRACK_UP, NULL);
    if (track->hooks.up)
        track->hooks.up(track->hooks.arg);
}

/* The heartbeat is passed on like any key: others may want it. */
static void hear_key(struct track *track, const char *key)
{
    if (!strcmp(key, track->heartbeat))
        arm(track->silence, track->quiet);
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

/* The answer to the last command, and the next command. False where the answer is another. */
/* Each answer is checked before the next word is said, so a server that is no Redis, or not ours,
 * gets no further. */
static bool advance(struct track *track, const redisReply *reply)
{
    switch (track->state) {
    case TRACK_AUTH: return reply_is_word(reply, "OK") && say_id(track);
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

static void take_reply(struct track *track, const redisReply *reply)
{
    if (advance(track, reply))
        return;
    drop(track, reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected answer");
}

/* Replies are freed here, and a reply may end the connection, reader and all. */
static void take_replies(struct track *track)
{
    void *reply = NULL;

    while (track->reader) {
        if (redisReaderGetReply(track->reader, &reply) != REDIS_OK) {
            drop(track, track->guard.refused ? "oversized reply" : track->reader->errstr);
            return;
        }
        if (!reply)
            break;
        take_reply(track, reply);
        freeReplyObject(reply);
    }
    if (track->reader && reply_is_overlong(track->reader))
        drop(track, "reply too long");
}

/* All that libevent has is fed to the reader and forgotten: what waits for more lies in the reader
 * only, where its size is bounded. */
static void on_readable(struct bufferevent *socket, void *arg)
{
    struct track *track = arg;
    struct evbuffer *input = bufferevent_get_input(socket);
    size_t length = evbuffer_get_length(input);
    const char *data = (const char *)evbuffer_pullup(input, -1);

    if (!data)
        return;
    if (redisReaderFeed(track->reader, data, length) != REDIS_OK) {
        drop(track, "out of memory");
        return;
    }
    evbuffer_drain(input, length);
    take_replies(track);
}

static void on_connected(struct track *track)
{
    bool said = *track->dial.user || *track->dial.password ? say_auth(track) : say_id(track);

    if (!said)
        drop(track, "out of memory");
}

static void on_event(struct bufferevent *socket, short what, void *arg)
{
    struct track *track = arg;

    (void)socket;
    if (what & BEV_EVENT_CONNECTED)
        on_connected(track);
    else if (what & BEV_EVENT_EOF)
        drop(track, "closed by the server");
    else
        drop(track, evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
}

static socklen_t target_sockaddr(const struct dial_target *target, struct sockaddr_storage *out)
{
    struct sockaddr_un *un = (struct sockaddr_un *)out;

    memset(out, 0, sizeof(*out));
    if (!target->path)
        return net_addr_sockaddr(&target->addr, target->port, out);
    if (strlen(target->path) >= sizeof(un->sun_path))
        return 0;
    un->sun_family = AF_UNIX;
    strcpy(un->sun_path, target->path);
    return sizeof(*un);
}

static bool open_socket(struct track *track)
{
    track->reader = redisReaderCreate();
    track->socket = bufferevent_socket_new(track->base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (!track->reader || !track->socket)
        return false;
    reply_guard_install(&track->guard, track->reader, NULL, NULL);
    bufferevent_set_max_single_read(track->socket, READ_SIZE);
    bufferevent_setcb(track->socket, on_readable, NULL, on_event, track);
    return !bufferevent_enable(track->socket, EV_READ | EV_WRITE);
}

static void on_dialed(void *arg, const struct dial_target *target)
{
    struct track *track = arg;
    struct sockaddr_storage sa;
    socklen_t length;

    if (!target || !(length = target_sockaddr(target, &sa))) {
        drop(track, target ? "path too long" : "host name has no address");
        return;
    }
    if (!open_socket(track)) {
        drop(track, "out of memory");
        return;
    }
    track->state = TRACK_CONNECTING;
    arm(track->silence, SETUP_BUDGET);
    /* A connect that fails at once has told on_event by then, or tells here. */
    if (bufferevent_socket_connect(track->socket, (struct sockaddr *)&sa, (int)length) &&
        track->state == TRACK_CONNECTING)
        drop(track, evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    struct track *track = arg;

    (void)fd, (void)what;
    track->state = TRACK_DIALING;
    dial_start(&track->dial, on_dialed, track);
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
    if (!dial_init(&track->dial, &options->server, dns) || !copy_options(track, options) ||
        !track->retry || !track->silence) {
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
    if (track->socket)
        bufferevent_free(track->socket);
    if (track->reader)
        redisReaderFree(track->reader);
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
