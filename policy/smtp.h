/*
 * One SMTP conversation, from the client's side: a connection, commands out, reply lines in
 * (RFC 5321 4.2). What is said, and what an answer means, is the owner's: probe.c wants to know
 * whether anybody answers, etrn.c has mail sent.
 *
 * The server speaks first. Whatever it says, a conversation ends by its deadline, and at the latest
 * after `limit` bytes.
 */
#ifndef POLICY_SMTP_H
#define POLICY_SMTP_H

#include "cache/net.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct smtp;

struct smtp_options {
    struct net_addr addr, source; /* source NET_NONE: the kernel's choice */
    uint16_t port;
    int64_t timeout; /* milliseconds, the whole */
    int64_t connect; /* of it, for the connection; 0: all of it */
    size_t limit;    /* bytes that may come in all */
};

/* A line of a reply. code is 0 where it begins with none; last: no other follows. */
struct smtp_line {
    int code;
    bool last;
    const char *text; /* without its end; lives as long as the call, and may hold NULs */
    size_t length;
};

enum smtp_end {
    SMTP_REFUSED,  /* connection refused, or unreachable */
    SMTP_SILENT,   /* timeout, of the connection or the whole */
    SMTP_CLOSED,   /* by the other side */
    SMTP_TOO_MUCH, /* more than limit */
    SMTP_LOCAL,    /* our own trouble (no descriptor, source not ours): says nothing */
};

/* Called from the loop, never inside a call of smtp_*. Both may stop the conversation. */
struct smtp_hooks {
    /* False when it did. */
    bool (*line)(void *arg, const struct smtp_line *line);
    /* It ended by itself: at most once, and nothing comes after it. why: for people. */
    void (*ended)(void *arg, enum smtp_end end, const char *why);
    void *arg;
};

/* NULL when out of memory. */
struct smtp *smtp_start(struct event_base *base, const struct smtp_options *options,
                        const struct smtp_hooks *hooks);
void smtp_stop(struct smtp *smtp); /* the owner's to call, always; NULL is fine */

/* Sends a command, without its end. */
void smtp_say(struct smtp *smtp, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* QUIT, for politeness (and so that the other side's logs show no broken connection): its answer is
 * waited for a moment only. What came before it and was not taken is thrown away. */
void smtp_quit(struct smtp *smtp);

/* Copies a line so that it prints: other bytes become '?'. Cut to fit. Returns out. */
char *smtp_line_copy(const char *text, size_t length, char *out, size_t size);

#endif
