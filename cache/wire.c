/*
 * The guarded reader on a bufferevent. What came is taken apart reply by reply; anything that the
 * guard or the reader refuses ends the connection.
 */
#include "cache/wire.h"

#include "cache/tls.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <stdio.h>
#include <string.h>
#include <sys/un.h>

enum { READ_SIZE = 16384, MAX_WORDS = 64, WHY_SIZE = 160 };

void wire_close(struct wire *wire)
{
    if (wire->socket)
        bufferevent_free(wire->socket);
    if (wire->reader)
        redisReaderFree(wire->reader);
    wire->socket = NULL;
    wire->reader = NULL;
}

static void lose(struct wire *wire, const char *why)
{
    char words[WHY_SIZE]; /* why may lie in the reader */

    snprintf(words, sizeof(words), "%s", why);
    wire_close(wire);
    wire->hooks->gone(wire->arg, words);
}

/* Replies are freed here, and a reply may end the connection, reader and all. */
static void take_replies(struct wire *wire)
{
    const redisReader *reader = wire->reader;
    void *reply = NULL;

    while (wire->reader == reader) {
        if (redisReaderGetReply(wire->reader, &reply) != REDIS_OK) {
            lose(wire, wire->guard.refused ? "oversized reply" : reader->errstr);
            return;
        }
        if (!reply)
            break;
        wire->hooks->reply(wire->arg, reply);
        freeReplyObject(reply);
    }
    if (wire->reader == reader && reply_is_overlong(reader))
        lose(wire, "reply too long");
}

/* All that libevent has is fed to the reader and forgotten: what waits for more lies in the reader
 * only, where its size is bounded. */
static void on_readable(struct bufferevent *socket, void *arg)
{
    struct wire *wire = arg;
    struct evbuffer *input = bufferevent_get_input(socket);
    size_t length = evbuffer_get_length(input);
    const char *data = (const char *)evbuffer_pullup(input, -1);

    if (!data)
        return;
    if (redisReaderFeed(wire->reader, data, length) != REDIS_OK) {
        lose(wire, "out of memory");
        return;
    }
    evbuffer_drain(input, length);
    take_replies(wire);
}

static void on_event(struct bufferevent *socket, short what, void *arg)
{
    struct wire *wire = arg;
    int error = EVUTIL_SOCKET_ERROR(); /* before anything else changes it */
    const char *why = wire->tls ? tls_error(socket) : NULL;

    if (what & BEV_EVENT_CONNECTED)
        wire->hooks->connected(wire->arg);
    else if (what & BEV_EVENT_EOF)
        lose(wire, "closed by the server");
    else
        lose(wire, why ? why : evutil_socket_error_to_string(error));
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

static bool make(struct wire *wire, struct event_base *base, const struct dial_target *target)
{
    wire->tls = target->tls != NULL;
    wire->reader = redisReaderCreate();
    wire->socket =
        wire->tls
            ? tls_socket(target->tls, target->host, base)
            : bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (!wire->reader || !wire->socket)
        return false;
    reply_guard_install(&wire->guard, wire->reader, NULL, NULL);
    bufferevent_set_max_single_read(wire->socket, READ_SIZE);
    bufferevent_setcb(wire->socket, on_readable, NULL, on_event, wire);
    return !bufferevent_enable(wire->socket, EV_READ | EV_WRITE);
}

/* Callbacks are deferred: a connect that fails at once is told from the loop like any other. */
bool wire_open(struct wire *wire, struct event_base *base, const struct dial_target *target,
               const struct wire_hooks *hooks, void *arg, const char **why)
{
    struct sockaddr_storage sa;
    socklen_t length = target_sockaddr(target, &sa);

    wire->hooks = hooks;
    wire->arg = arg;
    *why = "path too long";
    if (!length)
        return false;
    *why = "out of memory";
    if (!make(wire, base, target)) {
        wire_close(wire);
        return false;
    }
    if (!bufferevent_socket_connect(wire->socket, (struct sockaddr *)&sa, (int)length))
        return true;
    *why = evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR());
    wire_close(wire);
    return false;
}

bool wire_say(struct wire *wire, const char *const *word, size_t count)
{
    size_t length[MAX_WORDS];
    char *text = NULL;
    long long size;
    int failed = -1;

    if (count > MAX_WORDS)
        return false;
    for (size_t i = 0; i < count; i++)
        length[i] = strlen(word[i]);
    size = redisFormatCommandArgv(&text, (int)count, (const char **)word, length);
    if (size >= 0)
        failed = bufferevent_write(wire->socket, text, (size_t)size);
    redisFreeCommand(text);
    return !failed;
}
