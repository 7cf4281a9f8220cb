/*
 * A server of constants: one listener, a bufferevent a client, a frame in, a reply out. It has no
 * deadlines, caps or counters, which is what makes it a floor.
 */
#include "tests/bench/floor.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static void on_read(struct bufferevent *peer, void *context)
{
    floor_answer *const *answer = context;
    struct evbuffer *in = bufferevent_get_input(peer);
    enum floor_frame frame = FLOOR_DONE;
    while (evbuffer_get_length(in) > 0 && frame == FLOOR_DONE) {
        size_t used = 0;
        frame = (*answer)((const char *)evbuffer_pullup(in, -1), evbuffer_get_length(in), &used,
                          bufferevent_get_output(peer));
        evbuffer_drain(in, used);
    }
    if (frame == FLOOR_BAD)
        bufferevent_free(peer);
}

static void on_event(struct bufferevent *peer, short what, void *context)
{
    (void)what;
    (void)context;
    bufferevent_free(peer);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                      int length, void *context)
{
    (void)from;
    (void)length;
    struct event_base *base = evconnlistener_get_base(listener);
    struct bufferevent *peer = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!peer) {
        close(fd);
        return;
    }
    bufferevent_setcb(peer, on_read, NULL, on_event, context);
    bufferevent_enable(peer, EV_READ | EV_WRITE);
}

static void on_signal(evutil_socket_t number, short what, void *context)
{
    (void)number;
    (void)what;
    event_base_loopbreak(context);
}

int floor_serve(const char *path, floor_answer *answer)
{
    int code = 1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct event_base *base = event_base_new();
    struct evconnlistener *listener = NULL;
    struct event *term = NULL, *interrupt = NULL;
    if (!base || (size_t)snprintf(address.sun_path, sizeof address.sun_path, "%s", path) >=
                     sizeof address.sun_path)
        goto out;
    listener = evconnlistener_new_bind(base, on_accept, &answer, LEV_OPT_CLOSE_ON_FREE, 128,
                                       (const struct sockaddr *)&address, sizeof address);
    term = evsignal_new(base, SIGTERM, on_signal, base);
    interrupt = evsignal_new(base, SIGINT, on_signal, base);
    if (!listener || !term || !interrupt || evsignal_add(term, NULL) ||
        evsignal_add(interrupt, NULL)) {
        perror(path);
        goto out;
    }
    code = event_base_dispatch(base) < 0;
    unlink(path);
out:
    if (interrupt)
        event_free(interrupt);
    if (term)
        event_free(term);
    if (listener)
        evconnlistener_free(listener);
    if (base)
        event_base_free(base);
    return code;
}
