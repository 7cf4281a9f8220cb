/*
 * A Redis connection of our own: a bufferevent that feeds hiredis' reader under guard (reply.h). For
 * conversations in which the server speaks unasked (track.c, sentinel.c): there hiredis' own
 * subscriber would abort the process at a reply that it does not expect.
 */
#ifndef CACHE_WIRE_H
#define CACHE_WIRE_H

#include "cache/dial.h"
#include "cache/reply.h"

#include <stdbool.h>

struct bufferevent;
struct event_base;

/* Any hook may close the wire, and open it anew. */
struct wire_hooks {
    void (*connected)(void *arg);
    void (*reply)(void *arg, const redisReply *reply); /* lives as long as the call */
    void (*gone)(void *arg, const char *why);          /* the wire is closed by then */
};

/* All zero is closed. */
struct wire {
    const struct wire_hooks *hooks;
    void *arg;
    struct bufferevent *socket;
    redisReader *reader;
    bool tls;
    struct reply_guard guard;
};

/* Begins to connect. False, and why, where that fails at once: no hook is called then. hooks
 * outlive the wire, and nothing but the hooks' calls comes of it before it is closed. */
bool wire_open(struct wire *wire, struct event_base *base, const struct dial_target *target,
               const struct wire_hooks *hooks, void *arg, const char **why);
void wire_close(struct wire *wire);
/* One command; what is said before the loop runs again goes out together. False when out of
 * memory. */
bool wire_say(struct wire *wire, const char *const *word, size_t count);

#endif
