/*
 * For tests of conversations: a real event loop, a listening socket in a folder of its own, and
 * clients whose sending and receiving turns the loop. Nothing sleeps; everything waits for a
 * condition, five seconds at most.
 */
#ifndef TESTS_UNIT_TALK_H
#define TESTS_UNIT_TALK_H

#include "cache/clock.h"
#include "policy/listen.h"
#include "tests/unit/scratch.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { TALK_WAIT_MS = 5000 };

struct talk {
    struct event_base *base;
    char folder[64], path[80];
    struct conf_socket socket;
    struct listen *listen; /* the test sets it to NULL when it ends it */
};

static inline void talk_open_folder(struct talk *talk)
{
    signal(SIGPIPE, SIG_IGN); /* as main does */
    memset(talk, 0, sizeof *talk);
    talk->base = event_base_new();
    assert_non_null(talk->base);
    assert_true(scratch_folder(talk->folder, sizeof talk->folder));
    snprintf(talk->path, sizeof talk->path, "%s/s", talk->folder);
    talk->socket.path = talk->path;
}

static inline void talk_open(struct talk *talk, const struct listen_handler *handler)
{
    const char *why;

    talk_open_folder(talk);
    talk->listen = listen_start(talk->base, &talk->socket, 0600, "", handler, &why);
    assert_non_null(talk->listen);
}

static inline void talk_turn(struct talk *talk)
{
    event_base_loop(talk->base, EVLOOP_NONBLOCK);
}

/* Peers whose clients are gone end by themselves; then nothing may be left. */
static inline void talk_close(struct talk *talk)
{
    int64_t end = clock_mono() + TALK_WAIT_MS;

    while (talk->listen && listen_peers(talk->listen) > 0 && clock_mono() < end)
        talk_turn(talk);
    if (talk->listen) {
        assert_int_equal(listen_peers(talk->listen), 0);
        listen_free(talk->listen);
    }
    talk_turn(talk);
    event_base_free(talk->base);
    unlink(talk->path);
    assert_int_equal(rmdir(talk->folder), 0);
}

static inline int talk_connect(struct talk *talk)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    strcpy(address.sun_path, talk->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* One turn of the loop, then at most a millisecond until the client's side has news. */
static inline void talk_wait(struct talk *talk, int fd, short events)
{
    struct pollfd wait = {.fd = fd, .events = events};

    talk_turn(talk);
    poll(&wait, 1, 1);
}

static inline void talk_send(struct talk *talk, int fd, const char *data, size_t length)
{
    int64_t end = clock_mono() + TALK_WAIT_MS;

    while (length > 0 && clock_mono() < end) {
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EPIPE)
            return; /* refused already: what comes back tells */
        if (sent > 0) {
            data += sent;
            length -= (size_t)sent;
        }
        talk_wait(talk, fd, POLLOUT);
    }
    assert_int_equal(length, 0);
}

/* Receives up to size bytes; ends when that many came, or at the end of the connection, which
 * *ended tells. Terminated. Returns how many came. */
static inline size_t talk_receive(struct talk *talk, int fd, char *out, size_t size, bool *ended)
{
    int64_t end = clock_mono() + TALK_WAIT_MS;
    size_t got = 0;

    *ended = false;
    while (got < size && !*ended && clock_mono() < end) {
        ssize_t part = recv(fd, out + got, size - got, 0);
        if (part > 0)
            got += (size_t)part;
        else if (part == 0 || (errno != EAGAIN && errno != EINTR))
            *ended = true;
        else
            talk_wait(talk, fd, POLLIN);
    }
    out[got] = '\0';
    return got;
}

/* The other side closes without a byte. */
static inline bool talk_is_closed(struct talk *talk, int fd)
{
    char byte[2];
    bool ended;

    return talk_receive(talk, fd, byte, 1, &ended) == 0 && ended;
}

/* Nothing to be heard now, and the connection is open. */
static inline bool talk_is_quiet(struct talk *talk, int fd)
{
    char byte;

    for (int i = 0; i < 20; i++)
        talk_turn(talk);
    return recv(fd, &byte, 1, 0) < 0 && errno == EAGAIN;
}

/* Sends all, receives exactly wanted, then proves that nothing follows. */
static inline void talk_expect(struct talk *talk, int fd, const char *label, const char *data,
                               size_t length, const char *wanted)
{
    char *got = malloc(strlen(wanted) + 1);
    bool ended;

    assert_non_null(got);
    talk_send(talk, fd, data, length);
    talk_receive(talk, fd, got, strlen(wanted), &ended);
    if (strcmp(got, wanted) != 0)
        fail_msg("%s: got \"%s\", wanted \"%s\"", label, got, wanted);
    if (!talk_is_quiet(talk, fd))
        fail_msg("%s: more than \"%s\"", label, wanted);
    free(got);
}

#endif
