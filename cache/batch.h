/*
 * A batch of Redis commands and the replies to it as they come in. Private to the Redis files; the
 * public half (store_batch_new, store_batch_add, ...) is in store.h.
 *
 * As a transaction it is wrapped in MULTI and EXEC when it is sealed, and EXEC's array is spread
 * again, so that its user sees one reply a command either way.
 */
#ifndef CACHE_BATCH_H
#define CACHE_BATCH_H

#include "cache/reply.h"
#include "cache/store.h"

enum { BATCH_MAX_COMMANDS = 64, BATCH_MAX_WORDS = 64 };

struct batch_item {
    char *text; /* formatted; freed by batch_sent */
    size_t length;
    redisReply *reply;
};

struct store_batch {
    struct store_batch *prev, *next; /* the store's list of what is under way */
    bool transaction;
    bool failed;  /* out of memory, or too big: never to be sent */
    bool own;     /* the store's own, not its user's */
    size_t count; /* items */
    size_t answered;
    int64_t deadline; /* monotonic milliseconds */
    int64_t sent_us;  /* monotonic microseconds */
    store_done *done;
    void *arg;
    struct batch_item item[BATCH_MAX_COMMANDS + 2];
};

/* No more commands. False when it must not be sent. */
bool batch_seal(struct store_batch *batch);
/* The commands' texts are no more needed. */
void batch_sent(struct store_batch *batch);
/* Takes the next reply. True when it was the last. */
bool batch_answer(struct store_batch *batch, redisReply *reply);
/* The worst of its replies so far, with the server's words for it. */
enum reply_trouble batch_trouble(const struct store_batch *batch, const char **why);
/* Calls done with status (OK becomes ERROR where a reply is one), and frees the batch. */
void batch_finish(struct store_batch *batch, enum store_status status);

#endif
