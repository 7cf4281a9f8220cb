/*
 * A non-blocking socket and poll: the kernel's own time-outs know nothing of a deadline that spans
 * several calls.
 */
#include "milter/wire.h"

#include "cache/clock.h"
#include "policy/attrs.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The wait between two tries where a unix socket's queue is full: nothing announces a free place. */
enum { WIRE_QUEUE_MS = 10 };

static enum wire_status wire_wait(const struct wire *wire, short events, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline - clock_mono();
        if (left <= 0)
            return WIRE_TIMEOUT;
        struct pollfd slot = {.fd = wire->fd, .events = events};
        int ready = poll(&slot, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (ready > 0)
            return WIRE_OK;
        if (ready < 0 && errno != EINTR)
            return WIRE_CLOSED;
    }
}

static enum wire_status wire_connect(struct wire *wire, const struct sockaddr *to, socklen_t length,
                                     int64_t deadline)
{
    while (connect(wire->fd, to, length) != 0) {
        if (errno == EISCONN)
            return WIRE_OK;
        if (errno == EINPROGRESS) {
            int error = 0;
            socklen_t size = sizeof error;
            enum wire_status status = wire_wait(wire, POLLOUT, deadline);
            if (status != WIRE_OK)
                return status;
            if (getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
                return WIRE_CLOSED;
            return WIRE_OK;
        }
        if (errno != EAGAIN && errno != EINTR)
            return WIRE_CLOSED;
        if (clock_mono() + WIRE_QUEUE_MS >= deadline)
            return WIRE_TIMEOUT;
        nanosleep(&(struct timespec){.tv_nsec = WIRE_QUEUE_MS * 1000000L}, NULL);
    }
    return WIRE_OK;
}

enum wire_status wire_open(struct wire *wire, const struct sockaddr *to, socklen_t length,
                           int64_t deadline)
{
    wire->owed = 0;
    wire->used = 0;
    wire->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (wire->fd < 0)
        return WIRE_CLOSED;
    enum wire_status status = wire_connect(wire, to, length, deadline);
    if (status != WIRE_OK)
        wire_close(wire);
    return status;
}

void wire_close(struct wire *wire)
{
    if (wire->fd >= 0)
        close(wire->fd);
    wire->fd = -1;
}

enum wire_status wire_send(struct wire *wire, const char *request, size_t length, int64_t deadline)
{
    while (length > 0) {
        ssize_t sent = send(wire->fd, request, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            request += sent;
            length -= (size_t)sent;
        } else if (errno == EAGAIN) {
            enum wire_status status = wire_wait(wire, POLLOUT, deadline);
            if (status != WIRE_OK)
                return status;
        } else if (errno != EINTR) {
            return WIRE_CLOSED;
        }
    }
    wire->owed++;
    return WIRE_OK;
}

/* One reply off the buffer: exactly "action=..." and an empty line. WIRE_TIMEOUT: not whole yet. */
static enum wire_status reply_take(struct wire *wire, char *action, size_t size)
{
    struct attrs attrs;
    size_t used;

    switch (attrs_scan(wire->data, wire->used, &attrs, &used)) {
    case ATTRS_MORE: return wire->used < sizeof wire->data ? WIRE_TIMEOUT : WIRE_BROKEN;
    case ATTRS_BAD: return WIRE_BROKEN;
    case ATTRS_DONE: break;
    }
    if (attrs.count != 1 || attrs.pair[0].name_length != 6 ||
        memcmp(attrs.pair[0].name, "action", 6) != 0 || attrs.pair[0].value_length >= size)
        return WIRE_BROKEN;
    memcpy(action, attrs.pair[0].value, attrs.pair[0].value_length);
    action[attrs.pair[0].value_length] = '\0';
    wire->used -= used;
    memmove(wire->data, wire->data + used, wire->used);
    wire->owed--;
    return WIRE_OK;
}

/* Takes all replies owed that are in the buffer; action is the last one's. WIRE_TIMEOUT: some are
 * not there yet. What follows the last one was not asked for. */
static enum wire_status replies_take(struct wire *wire, char *action, size_t size)
{
    while (wire->owed > 0) {
        enum wire_status status = reply_take(wire, action, size);
        if (status != WIRE_OK)
            return status;
    }
    return wire->used > 0 ? WIRE_BROKEN : WIRE_OK;
}

/* WIRE_OK: some bytes came. WIRE_TIMEOUT: none are there. */
static enum wire_status bytes_read(struct wire *wire)
{
    for (;;) {
        ssize_t got =
            recv(wire->fd, wire->data + wire->used, sizeof wire->data - wire->used, MSG_DONTWAIT);
        if (got > 0) {
            wire->used += (size_t)got;
            return WIRE_OK;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            return WIRE_CLOSED;
        if (errno == EAGAIN)
            return WIRE_TIMEOUT;
    }
}

enum wire_status wire_receive(struct wire *wire, char *action, size_t size, int64_t deadline)
{
    for (;;) {
        enum wire_status status = replies_take(wire, action, size);
        if (status != WIRE_TIMEOUT)
            return status;
        status = bytes_read(wire);
        if (status == WIRE_TIMEOUT)
            status = wire_wait(wire, POLLIN, deadline);
        if (status != WIRE_OK)
            return status;
    }
}

enum wire_status wire_settle(struct wire *wire, unsigned *taken)
{
    char action[WIRE_REPLY_SIZE];
    unsigned before = wire->owed;
    enum wire_status status;

    do {
        status = bytes_read(wire);
        if (status == WIRE_OK) {
            status = replies_take(wire, action, sizeof action);
            /* Half a reply, or replies that are still to come: see whether more is there. */
            if (status == WIRE_TIMEOUT)
                status = WIRE_OK;
        }
    } while (status == WIRE_OK);
    *taken = before - wire->owed;
    return status == WIRE_TIMEOUT ? WIRE_OK : status;
}
