/*
 * hiredis' replies: a reader that a hostile or broken server cannot hurt, and a look at what came.
 * Private to the Redis files of cache/ (link, wire, batch, greet, store, track, sentinel).
 *
 * What the guard adds to hiredis' reader: a bound on the depth and on the elements of a whole reply
 * (of old, one line "*2147483647" allocates 16 GB, and 1.x takes any depth), RESP2 types only, and
 * no reply that nobody awaits (hiredis asserts that there is none). A reply that breaks a rule is an
 * error of the reader, which ends the connection.
 */
#ifndef CACHE_REPLY_H
#define CACHE_REPLY_H

#include <hiredis/hiredis.h>

#include <stdbool.h>
#include <stddef.h>

enum { REPLY_MAX_ELEMENTS = 65536, REPLY_MAX_BYTES = 1 << 20, REPLY_MAX_DEPTH = 7 };

/* Whether any reply is due. */
typedef bool reply_awaited(void *arg);

/* Lives where the reader's owner keeps it, as long as the reader. */
struct reply_guard {
    redisReplyObjectFunctions own;
    redisReplyObjectFunctions *inner;
    size_t elements; /* of the reply being read */
    bool refused;    /* the reader's "Out of memory" is the guard's doing */
    reply_awaited *awaited;
    void *arg;
};

/* awaited may be NULL: always. */
void reply_guard_install(struct reply_guard *guard, redisReader *reader, reply_awaited *awaited,
                         void *arg);
/* The reader holds more of an unfinished reply than any honest one has. */
bool reply_is_overlong(const redisReader *reader);

/* Moves a reply out of hiredis' hands, which frees what is left. NULL when out of memory. */
redisReply *reply_take(redisReply *reply);

bool reply_is_text(const redisReply *reply);                      /* bulk or status */
bool reply_is_word(const redisReply *reply, const char *word);    /* that text, no case */
bool reply_is_error(const redisReply *reply, const char *prefix); /* "NOAUTH", ... */

/* How bad an error is, worst last. */
enum reply_trouble {
    REPLY_FINE,
    REPLY_WRONG,    /* that command on that key: WRONGTYPE, ERR, ... */
    REPLY_FAILING,  /* the server cannot now: LOADING, BUSY, MASTERDOWN, OOM, MISCONF, ... */
    REPLY_REFUSED,  /* we may not: NOAUTH, NOPERM, WRONGPASS */
    REPLY_MOVED,    /* it is one of a Cluster */
    REPLY_READONLY, /* it is a replica now: a failover */
};
/* Of a reply, or the worst of an array's own elements. */
enum reply_trouble reply_trouble(const redisReply *reply);

#endif
