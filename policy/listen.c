/*
 * Connections: accepting them, reading frames, holding a peer still while its question is under
 * way, and letting it go. Knows nothing of what is said: each conversation brings its handler.
 *
 * A peer is freed in one place, peer_settle, and never while its handler's input is running. So a
 * handler may reply or close inside its own input, and a late reply may find the next frame.
 */
#include "policy/listen.h"

#include "cache/clock.h"
#include "policy/listen_socket.h"
#include "policy/log.h"
#include "policy/quiet.h"

#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

enum {
    IDLE_MS = 1000 * 1000,   /* Postfix closes after 10 s; whoever closes first costs the other */
    WRITE_MS = 100 * 1000,   /* what Postfix allows itself for a write */
    REARM_MS = 200,          /* how long a full process leaves the door shut */
    OUTPUT_HIGH = 64 * 1024, /* a peer with more unread replies than this is not read either */
    DETAIL_SIZE = 200,
};

struct peer {
    struct listen *listen;
    struct bufferevent *stream;
    struct event *timer;
    void *data;
    bool running; /* inside peer_run, whose end settles what comes next */
    bool asked;   /* a frame was taken and has no reply yet */
    bool begun;   /* part of a frame is there, and its deadline runs */
    bool active;  /* something came since the idle timer was set */
    bool eof;     /* nothing more will come */
    bool ending;  /* no frame is taken any more; freed when all is written */
    bool gone;    /* freed whatever is unwritten */
    struct peer *prev, *next;
};

struct listen {
    struct event_base *base;
    struct listen_handler handler;
    struct listen_socket socket;
    struct evconnlistener *acceptor; /* NULL once stopped */
    struct event *rearm;
    int spare; /* a descriptor to give up when there are no others */
    size_t peer_count;
    struct peer *peers;
    struct quiet bad, full;
};

static void set_timer(struct event *timer, int64_t ms)
{
    struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    evtimer_add(timer, &wait);
}

/* One line, unless there was one of its kind just now. */
static void say(struct listen *listen, struct quiet *quiet, const char *what, const char *detail)
{
    char escaped[DETAIL_SIZE];
    unsigned held;

    if (!quiet_may_speak(quiet, clock_mono(), &held))
        return;
    log_escape(detail, escaped, sizeof escaped);
    if (held > 0)
        log_warning("%s: %s%s%s (and %u times not logged)", listen->handler.name, what,
                    *detail ? ": " : "", escaped, held);
    else
        log_warning("%s: %s%s%s", listen->handler.name, what, *detail ? ": " : "", escaped);
}

static void peer_free(struct peer *peer)
{
    struct listen *listen = peer->listen;

    if (listen->handler.closed)
        listen->handler.closed(peer);
    DL_DELETE(listen->peers, peer);
    listen->peer_count--;
    event_free(peer->timer);
    bufferevent_free(peer->stream);
    free(peer);
}

static bool output_is_full(const struct peer *peer)
{
    return evbuffer_get_length(bufferevent_get_output(peer->stream)) >= OUTPUT_HIGH;
}

/* Decides what the peer waits for now, or frees it. Nothing may touch the peer after this. */
static void peer_settle(struct peer *peer)
{
    size_t input = evbuffer_get_length(bufferevent_get_input(peer->stream));
    size_t output = evbuffer_get_length(bufferevent_get_output(peer->stream));
    bool held = peer->asked || output_is_full(peer);

    /* What is left over at the end of input can never become a frame. */
    if (peer->eof && !held)
        peer->ending = true;
    if (peer->gone || (peer->ending && !peer->asked && output == 0)) {
        peer_free(peer);
        return;
    }
    if (peer->ending) {
        bufferevent_disable(peer->stream, EV_READ);
        return;
    }
    if (held)
        return; /* read on until there is more than one frame: on_read stops it then */
    if (!peer->eof)
        bufferevent_enable(peer->stream, EV_READ);
    if (input > 0 && !peer->begun) {
        peer->begun = true;
        set_timer(peer->timer, peer->listen->handler.frame_timeout);
    }
}

/* Offers the input to the handler once. True when a frame was taken. */
static bool peer_take(struct peer *peer, struct evbuffer *input)
{
    const struct listen_handler *handler = &peer->listen->handler;
    size_t length = evbuffer_get_length(input), used = 0;
    const char *data = (const char *)evbuffer_pullup(input, -1);
    enum listen_input result;

    if (!data) {
        peer->gone = true;
        return false;
    }
    peer->asked = true; /* before the call, since the reply may come inside it */
    result = handler->input(peer, data, length, &used);
    if (result == LISTEN_TAKEN) {
        assert(used > 0 && used <= length);
        evbuffer_drain(input, used);
        if (peer->begun) {
            peer->begun = false;
            set_timer(peer->timer, IDLE_MS);
        }
        return true;
    }
    peer->asked = false;
    if (result == LISTEN_MORE && length < handler->max_frame)
        return false;
    peer_complain(peer, result == LISTEN_BAD ? "malformed request" : "request too long", NULL);
    /* Replies to the frames before this one still go out. */
    peer->ending = true;
    evbuffer_drain(input, length);
    return false;
}

static void peer_run(struct peer *peer)
{
    struct evbuffer *input = bufferevent_get_input(peer->stream);

    peer->running = true;
    while (!peer->asked && !peer->ending && !peer->gone && !output_is_full(peer) &&
           evbuffer_get_length(input) > 0)
        if (!peer_take(peer, input))
            break;
    peer->running = false;
    peer_settle(peer);
}

static void on_read(struct bufferevent *stream, void *arg)
{
    struct peer *peer = arg;

    peer->active = true;
    if (peer->asked || output_is_full(peer)) {
        /* Pipelined: it waits in the kernel's buffer. */
        bufferevent_disable(stream, EV_READ);
        return;
    }
    peer_run(peer);
}

static void on_write(struct bufferevent *stream, void *arg)
{
    (void)stream;
    peer_run(arg);
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
    struct peer *peer = arg;

    (void)stream;
    if (what & BEV_EVENT_EOF)
        peer->eof = true; /* perhaps only its sending half: the reply is still wanted */
    else if (what & (BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT))
        peer->gone = true;
    peer_run(peer);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct peer *peer = arg;

    (void)fd;
    (void)what;
    if (peer->begun) {
        peer_complain(peer, "request not finished in time", NULL);
        peer->gone = true;
    } else if (peer->asked || peer->active) {
        peer->active = false;
        set_timer(peer->timer, IDLE_MS);
    } else {
        peer->gone = true;
    }
    peer_settle(peer);
}

static struct peer *peer_new(struct listen *listen, evutil_socket_t fd)
{
    struct peer *peer = calloc(1, sizeof *peer);
    struct timeval write_wait = {.tv_sec = WRITE_MS / 1000};

    if (!peer)
        return NULL;
    peer->listen = listen;
    peer->timer = evtimer_new(listen->base, on_timer, peer);
    peer->stream =
        peer->timer ? bufferevent_socket_new(listen->base, fd, BEV_OPT_CLOSE_ON_FREE) : NULL;
    if (!peer->stream) {
        if (peer->timer)
            event_free(peer->timer);
        free(peer);
        return NULL;
    }
    bufferevent_setcb(peer->stream, on_read, on_write, on_event, peer);
    bufferevent_setwatermark(peer->stream, EV_READ, 0, listen->handler.max_frame);
    bufferevent_set_timeouts(peer->stream, NULL, &write_wait);
    set_timer(peer->timer, IDLE_MS);
    DL_APPEND(listen->peers, peer);
    listen->peer_count++;
    bufferevent_enable(peer->stream, EV_READ | EV_WRITE);
    return peer;
}

static void on_accept(struct evconnlistener *acceptor, evutil_socket_t fd, struct sockaddr *addr,
                      int length, void *arg)
{
    struct listen *listen = arg;
    int on = 1;

    (void)acceptor;
    (void)addr;
    (void)length;
    if (!listen->socket.path)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (listen->peer_count < listen->handler.max_peers && peer_new(listen, fd))
        return;
    /* The newcomer is refused, never an idle one: a map client takes that for a lost reply. */
    close(fd);
    say(listen, &listen->full, "too many connections, one was refused", "");
}

static void take_spare(struct listen *listen)
{
    if (listen->spare < 0)
        listen->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* libevent would come back at once and for ever: the connection waits, accept fails. One newcomer
 * is shed with the spare descriptor, so that it hears of it; then the door stays shut a moment. */
static void on_accept_error(struct evconnlistener *acceptor, void *arg)
{
    struct listen *listen = arg;
    int error = EVUTIL_SOCKET_ERROR(), fd;

    evconnlistener_disable(acceptor);
    set_timer(listen->rearm, REARM_MS);
    if (listen->spare >= 0 && (error == EMFILE || error == ENFILE)) {
        close(listen->spare);
        listen->spare = -1;
        fd = accept(listen->socket.fd, NULL, NULL);
        if (fd >= 0)
            close(fd);
        take_spare(listen);
    }
    say(listen, &listen->full, "cannot accept", strerror(error));
}

static void on_rearm(evutil_socket_t fd, short what, void *arg)
{
    struct listen *listen = arg;

    (void)fd;
    (void)what;
    take_spare(listen);
    evconnlistener_enable(listen->acceptor);
}

/* Three conversations share the descriptors with Redis, DNS and probes. */
static size_t bound_peers(size_t wanted)
{
    struct rlimit limit;
    size_t share;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return wanted;
    share = (size_t)limit.rlim_cur / 3;
    return wanted < share ? wanted : share;
}

struct listen *listen_start(struct event_base *base, const struct conf_socket *socket, mode_t mode,
                            const char *group, const struct listen_handler *handler,
                            const char **why)
{
    struct listen *listen = calloc(1, sizeof *listen);

    *why = "no memory";
    if (!listen)
        return NULL;
    if (!listen_socket_open(&listen->socket, socket, mode, group, why)) {
        free(listen);
        return NULL;
    }
    listen->base = base;
    listen->handler = *handler;
    listen->handler.max_peers = bound_peers(handler->max_peers);
    listen->spare = -1;
    take_spare(listen);
    listen->rearm = evtimer_new(base, on_rearm, listen);
    listen->acceptor =
        evconnlistener_new(base, on_accept, listen, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
                           0, listen->socket.fd);
    if (listen->rearm && listen->acceptor) {
        evconnlistener_set_error_cb(listen->acceptor, on_accept_error);
        return listen;
    }
    *why = "no memory";
    if (!listen->acceptor)
        close(listen->socket.fd);
    listen_free(listen);
    errno = ENOMEM;
    return NULL;
}

void listen_stop(struct listen *listen)
{
    struct peer *peer, *next;

    DL_FOREACH_SAFE(listen->peers, peer, next)
    {
        peer->ending = true;
        if (!peer->running)
            peer_settle(peer);
    }
    listen_socket_remove(&listen->socket);
    if (listen->rearm)
        evtimer_del(listen->rearm);
    if (listen->acceptor)
        evconnlistener_free(listen->acceptor);
    listen->acceptor = NULL;
}

void listen_free(struct listen *listen)
{
    struct peer *peer, *next;

    if (!listen)
        return;
    listen_stop(listen);
    DL_FOREACH_SAFE(listen->peers, peer, next)
    {
        peer_free(peer);
    }
    if (listen->rearm)
        event_free(listen->rearm);
    if (listen->spare >= 0)
        close(listen->spare);
    free(listen);
}

size_t listen_peers(const struct listen *listen)
{
    return listen->peer_count;
}

void peer_reply(struct peer *peer, const void *data, size_t length, bool close_after)
{
    assert(peer->asked);
    peer->asked = false;
    if (close_after)
        peer->ending = true;
    if (bufferevent_write(peer->stream, data, length) != 0)
        peer->gone = true;
    if (!peer->running)
        peer_run(peer);
}

void peer_close(struct peer *peer)
{
    peer->gone = true;
    if (!peer->running)
        peer_settle(peer);
}

void *peer_arg(const struct peer *peer)
{
    return peer->listen->handler.arg;
}

void peer_set_data(struct peer *peer, void *data)
{
    peer->data = data;
}

void *peer_data(const struct peer *peer)
{
    return peer->data;
}

void peer_complain(struct peer *peer, const char *what, const char *detail)
{
    say(peer->listen, &peer->listen->bad, what, detail ? detail : "");
}

bool peer_uid(const struct peer *peer, uid_t *uid)
{
    struct ucred credentials;
    socklen_t length = sizeof credentials;

    if (!peer->listen->socket.path || getsockopt(bufferevent_getfd(peer->stream), SOL_SOCKET,
                                                 SO_PEERCRED, &credentials, &length) != 0)
        return false;
    *uid = credentials.uid;
    return true;
}
