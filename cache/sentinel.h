/*
 * Sentinels: which of several Redis servers is the master, and when another one becomes it.
 *
 * One connection to one Sentinel at a time. It is asked SENTINEL get-master-addr-by-name and, in the
 * same write, SUBSCRIBE +switch-master +promoted-slave: between the two no switch can be missed. While
 * it listens, a PING now and then proves that the Sentinel lives. One that does not answer, or not in shape, is
 * left for the next of the list; after all of them there is a pause.
 *
 * An answer serves everybody once. Who asks again had no luck with it, so the next Sentinel is
 * asked: the one before may be cut off from the others, and know the master of old.
 *
 * Sentinels are trusted as Redis is: they say who gets the password. It is told to a Sentinel only
 * if that one asks for it (NOAUTH, NOPERM).
 */
#ifndef CACHE_SENTINEL_H
#define CACHE_SENTINEL_H

#include "cache/name.h"
#include "cache/notice.h"

#include <stdbool.h>
#include <stdint.h>

struct dns;
struct event_base;
struct sentinel;

struct sentinel_options {
    const char *list; /* "h1:p,h2:p,h3:p/master", checked by the configuration; at most 16 */
    const char *user, *password; /* "" for none */
};

struct sentinel_master {
    char host[NAME_SIZE]; /* an address in brackets, or a name (Sentinel's announce-hostnames) */
    uint16_t port;
};

/* One who wants to know, in its owner's memory. */
struct sentinel_asker {
    /* Once for each sentinel_ask, from the loop and never inside it. NULL: no Sentinel told. */
    void (*found)(void *arg, const struct sentinel_master *master);
    /* Another master than the one told before, to all that are not waiting for found. */
    void (*moved)(void *arg, const struct sentinel_master *master);
    void *arg;
    struct sentinel *sentinel; /* the rest is sentinel.c's */
    struct sentinel_asker *prev, *next;
    bool waiting, due;
    unsigned seen; /* which answer it was told */
};

/* Copies options and connects in the background. dns resolves the Sentinels' names; it and notice
 * outlive the sentinel, as this does its askers. NULL when out of memory. */
struct sentinel *sentinel_new(struct event_base *base, const struct sentinel_options *options,
                              struct dns *dns, const struct notice *notice);
void sentinel_free(struct sentinel *sentinel);

/* found, moved and arg are set before. */
void sentinel_join(struct sentinel *sentinel, struct sentinel_asker *asker);
void sentinel_leave(struct sentinel_asker *asker);
void sentinel_ask(struct sentinel_asker *asker);
void sentinel_cancel(struct sentinel_asker *asker);

/* The text of a "+switch-master" message about that master: "name old-ip old-port new-ip new-port".
 * False for another master's, and for anything else. */
bool sentinel_parse_switch(const char *text, const char *name, struct sentinel_master *master);
/* The text of a "+promoted-slave" message about that master: "slave a:p a p @ name old-ip old-port". */
bool sentinel_is_promotion(const char *text, const char *name);

#endif
