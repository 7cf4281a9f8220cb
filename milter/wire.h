/*
 * One connection to the policy service: bytes out, replies in, never longer than a deadline. The
 * replies come in the order of the questions, so a question whose answer nobody waits for leaves
 * its reply owed; the next reader takes it off the stream before its own.
 *
 * Not locked: a wire belongs to one thread at a time (milter/asker.h sees to that).
 */
#ifndef MILTER_WIRE_H
#define MILTER_WIRE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    WIRE_REPLY_SIZE = 4096, /* one reply's bytes, at most */
    WIRE_OWED_MAX = 16,     /* replies a wire may owe; more, and it is given up */
};

enum wire_status {
    WIRE_OK,
    WIRE_CLOSED,  /* the service is not there, or closed the connection */
    WIRE_TIMEOUT, /* the deadline passed */
    WIRE_BROKEN,  /* it said something that is no reply */
};

struct wire {
    int fd; /* -1: closed */
    unsigned owed;
    size_t used;
    struct wire *next; /* the pool's list */
    char data[WIRE_REPLY_SIZE];
};

/* Deadlines are clock_mono's milliseconds. A wire that was not opened needs no closing. */
enum wire_status wire_open(struct wire *wire, const struct sockaddr *to, socklen_t length,
                           int64_t deadline);
void wire_close(struct wire *wire);

/* Sends one request whole, and so owes one reply more. */
enum wire_status wire_send(struct wire *wire, const char *request, size_t length, int64_t deadline);

/* Waits for the last reply owed, taking the earlier ones off first, and copies its action. After
 * WIRE_TIMEOUT the rest is still owed, and may be taken later. */
enum wire_status wire_receive(struct wire *wire, char *action, size_t size, int64_t deadline);

/* Takes what has arrived, without waiting. *taken counts the replies. WIRE_OK also when none have;
 * else the wire is of no more use. */
enum wire_status wire_settle(struct wire *wire, unsigned *taken);

#endif
