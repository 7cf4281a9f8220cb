/*
 * Where Redis is: a path, an address, a name that is looked up anew for each connection, or
 * whatever the Sentinels name as the master, all without blocking the loop. For store.c and
 * track.c, which connect in ways of their own.
 */
#ifndef CACHE_DIAL_H
#define CACHE_DIAL_H

#include "cache/dns.h"
#include "cache/net.h"
#include "cache/sentinel.h"
#include "cache/store.h"

#include <stdbool.h>
#include <stdint.h>

struct dial_target {
    const char *path;     /* NULL: */
    struct net_addr addr; /* this */
    uint16_t port;
    struct tls *tls;  /* NULL: in the clear */
    const char *host; /* whom the certificate must name */
};

/* target is NULL where there is none, and why says why. */
typedef void dial_done(void *arg, const struct dial_target *target, const char *why);
/* The Sentinels name another master than that of the last target. */
typedef void dial_moved(void *arg);

/* Fields are for reading; strings are never NULL, but for path. Not to be moved in memory. */
struct dial {
    char *path, *host, *user, *password;
    uint16_t port;
    unsigned database;
    struct tls *tls; /* NULL: in the clear */
    struct dns *dns;
    struct dns_query *query; /* under way */
    unsigned turn;           /* which of a name's addresses comes next */
    dial_done *done;
    dial_moved *moved;
    void *arg;
    struct sentinel_asker asker; /* its sentinel is NULL where there are none */
};

/* Copies options; moved and done get arg. False when out of memory; clear it all the same. */
bool dial_init(struct dial *dial, const struct store_options *options, struct dns *dns,
               dial_moved *moved, dial_done *done, void *arg);
void dial_clear(struct dial *dial);
/* Calls done once, for a path or an address at once; of a name's addresses the next at each start.
 * Not to be called while one is under way. */
void dial_start(struct dial *dial);
void dial_stop(struct dial *dial);
/* For notices: "unix:/path", "redis.example.net:6379". */
void dial_describe(const struct dial *dial, char *out, size_t size);

/* Milliseconds to wait before attempt 0, 1, 2, ...: none, then 50 doubling to 1000, less up to a
 * fifth by chance. */
int64_t dial_backoff(unsigned attempt, uint8_t random);
uint8_t dial_random(void);

#endif
