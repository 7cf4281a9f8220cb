/*
 * Redis, through hiredis' asynchronous interface on the event loop: one connection for commands.
 *
 * Batches: a store_batch is a few commands sent in one pipeline, on request as one transaction
 * (MULTI/EXEC). The whole batch has one budget; its callback comes exactly once, from the loop,
 * with one reply a command, and never inside store_send. When store_send returns false the store
 * is down or left alone for now (breaker), nothing was sent, and no callback comes.
 *
 * Reconnects by itself with backoff and jitter, authenticates, selects, checks that it is no
 * Cluster and no read-only replica. Where Sentinels name another master it goes there at once, and
 * the breaker forgets the one before. A connection that missed a budget is given up: a late reply
 * must never be taken for another's. Breaker: 5 failures in 10 s leave Redis alone for 1 s,
 * doubling to 1.5 s with jitter, then one trial. Failures are a lost or refused connection, a
 * missed budget, and answers that the server cannot give now (LOADING, OOM, MISCONF, ...); these
 * leave the connection up.
 *
 * No hook or callback may free the store. The process must ignore SIGPIPE.
 */
#ifndef CACHE_STORE_H
#define CACHE_STORE_H

#include "cache/clock.h"
#include "cache/dns.h"
#include "cache/notice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct sentinel;
struct store;
struct store_batch;
struct store_reply; /* opaque: hiredis' */
struct timing;

struct store_options {
    struct sentinel *sentinel; /* names the server in place of the next three; outlives the store */
    const char *path;          /* unix socket, or NULL */
    const char *host;          /* name or address, when path is NULL */
    uint16_t port;
    bool tls;
    unsigned database;
    const char *user, *password; /* "" for none */
    int64_t timeout;             /* milliseconds, one batch */
};

enum store_status {
    STORE_OK,
    STORE_TIMEOUT,
    STORE_LOST,  /* connection gone before the reply: it may or may not have been done */
    STORE_ERROR, /* the server refused a command of the batch (OOM, NOPERM, READONLY, WRONGTYPE);
                    replies are there, the refused ones of kind STORE_KIND_ERROR */
};

enum store_kind {
    STORE_KIND_NIL,
    STORE_KIND_TEXT,
    STORE_KIND_INTEGER,
    STORE_KIND_LIST,
    STORE_KIND_ERROR
};

/* count replies, in the order of the commands, valid during the call; 0 unless OK or ERROR. */
typedef void store_done(void *arg, enum store_status status, const struct store_reply *const *reply,
                        size_t count);

/* Copies options; connects in the background. clock is set from Redis TIME at each connect and
 * every few seconds. dns resolves options.host; both outlive the store. */
struct store *store_new(struct event_base *base, const struct store_options *options,
                        struct clock *clock, struct dns *dns, const struct notice *notice);
void store_free(struct store *store); /* batches under way hear STORE_LOST first */

bool store_is_up(const struct store *store);
/* Why it is down, or is left alone for now, in a few words; "" when it is well. */
const char *store_trouble(const struct store *store);
/* The server's run_id from INFO at this connection, "" while not up; and its evicted_keys, read
 * again every few seconds. */
const char *store_run_id(const struct store *store);
/* Its maxmemory-policy as it was then; "" where it did not say. */
const char *store_policy(const struct store *store);
int64_t store_evicted(const struct store *store);
/* Called from the loop after each change of store_is_up. */
typedef void store_changed(void *arg, bool up);
void store_on_change(struct store *store, store_changed *hook, void *arg);

/* From now on notes there how long each answered batch took; it outlives the store. */
void store_set_timing(struct store *store, struct timing *timing);

/* A batch under construction. Words are binary safe texts, ended by NULL; at most 64 words a
 * command, 64 commands a batch; beyond that, or without memory, store_send returns false. store_send
 * takes the batch over, whatever it returns. batch, store and done may be NULL. In a transaction of
 * which Redis refuses a command as it comes, none is done and every reply is an error. */
struct store_batch *store_batch_new(bool transaction);
void store_batch_free(struct store_batch *batch); /* only one never sent */
void store_batch_add(struct store_batch *batch, ...) __attribute__((sentinel));
void store_batch_add_words(struct store_batch *batch, const char *const *word, size_t count);
size_t store_batch_count(const struct store_batch *batch);
bool store_send(struct store *store, struct store_batch *batch, store_done *done, void *arg);

/* Replies. Text (an error's too) is terminated, and length, if wanted, its length (it may hold NULs
 * inside); NULL and 0 for another kind. */
enum store_kind store_reply_kind(const struct store_reply *reply);
const char *store_reply_text(const struct store_reply *reply, size_t *length);
int64_t store_reply_integer(const struct store_reply *reply, int64_t otherwise);
size_t store_reply_count(const struct store_reply *reply);
const struct store_reply *store_reply_at(const struct store_reply *reply, size_t index);

#endif
