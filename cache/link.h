/*
 * One hiredis connection on the event loop, its traps fenced off. Private to the Redis files.
 *
 * Of those traps: a context frees itself on any error, so a link does too, after it has told gone;
 * freeing inside a reply callback is put off by hiredis, so a closed link is mute at once; a reply
 * that nobody awaits would abort the process (reply.h); hiredis 0.14 has no timeouts, the owner
 * keeps its own. There is no connect callback: commands queue from the start, and a failed connect
 * is gone like any other. The process must ignore SIGPIPE.
 */
#ifndef CACHE_LINK_H
#define CACHE_LINK_H

#include "cache/dial.h"
#include "cache/reply.h"

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct link;

struct link_hooks {
    /* One for each link_send, in order; tag is that call's. The reply may be taken. */
    void (*reply)(void *arg, void *tag, redisReply *reply);
    /* The link is no more. Not told after link_close. why lives as long as the call. */
    void (*gone)(void *arg, const char *why);
    void *arg;
};

/* NULL where the connection fails at once; why says so. hooks outlive the link. */
struct link *link_open(struct event_base *base, const struct dial_target *target,
                       const struct link_hooks *hooks, char *why, size_t size);
/* May be called from within hooks. */
void link_close(struct link *link);
/* text is a formatted command. False when out of memory: close the link then. */
bool link_send(struct link *link, const char *text, size_t length, void *tag);

#endif
