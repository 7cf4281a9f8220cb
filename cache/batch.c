/*
 * Batches: commands in, replies out. No connection here, no time.
 *
 * Commands are formatted word by word as they are added (redisFormatCommandArgv), so user data
 * never meets a format.
 */
#include "cache/batch.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void batch_sent(struct store_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        redisFreeCommand(batch->item[i].text);
        batch->item[i].text = NULL;
    }
}

void store_batch_free(struct store_batch *batch)
{
    if (!batch)
        return;
    batch_sent(batch);
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->item[i].reply)
            freeReplyObject(batch->item[i].reply);
    }
    free(batch);
}

static void add(struct store_batch *batch, const char *const *word, size_t count, size_t limit)
{
    size_t length[BATCH_MAX_WORDS];
    struct batch_item *item = &batch->item[batch->count];
    long long formatted;

    if (batch->failed || !count || count > BATCH_MAX_WORDS || batch->count >= limit) {
        batch->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++)
        length[i] = strlen(word[i]);
    formatted = redisFormatCommandArgv(&item->text, (int)count, (const char **)word, length);
    if (formatted < 0) {
        item->text = NULL;
        batch->failed = true;
        return;
    }
    item->length = (size_t)formatted;
    batch->count++;
}

struct store_batch *store_batch_new(bool transaction)
{
    static const char *const multi = "MULTI";
    struct store_batch *batch = calloc(1, sizeof(*batch));

    if (!batch)
        return NULL;
    batch->transaction = transaction;
    if (transaction)
        add(batch, &multi, 1, 1);
    return batch;
}

/* EXEC has a place of its own beyond both. */
static size_t command_limit(const struct store_batch *batch)
{
    return BATCH_MAX_COMMANDS + (batch->transaction ? 1 : 0); /* MULTI is there already */
}

void store_batch_add_words(struct store_batch *batch, const char *const *word, size_t count)
{
    if (batch)
        add(batch, word, count, command_limit(batch));
}

void store_batch_add(struct store_batch *batch, ...)
{
    const char *word[BATCH_MAX_WORDS + 1];
    size_t count = 0;
    va_list list;

    va_start(list, batch);
    while (count <= BATCH_MAX_WORDS && (word[count] = va_arg(list, const char *)))
        count++;
    va_end(list);
    store_batch_add_words(batch, word, count);
}

size_t store_batch_count(const struct store_batch *batch)
{
    if (!batch)
        return 0;
    return batch->count - (batch->transaction ? 1 : 0);
}

bool batch_seal(struct store_batch *batch)
{
    static const char *const exec = "EXEC";

    if (!batch || batch->failed || !store_batch_count(batch))
        return false;
    if (batch->transaction)
        add(batch, &exec, 1, BATCH_MAX_COMMANDS + 2);
    return !batch->failed;
}

/* A reply that could not be taken for want of memory counts as refused. */
bool batch_answer(struct store_batch *batch, redisReply *reply)
{
    batch->item[batch->answered++].reply = reply_take(reply);
    return batch->answered == batch->count;
}

enum reply_trouble batch_trouble(const struct store_batch *batch, const char **why)
{
    enum reply_trouble worst = REPLY_FINE;

    *why = NULL;
    for (size_t i = 0; i < batch->answered; i++) {
        const redisReply *reply = batch->item[i].reply;
        enum reply_trouble trouble = reply ? reply_trouble(reply) : REPLY_FAILING;

        if (trouble <= worst)
            continue;
        worst = trouble;
        *why = reply && reply->type == REDIS_REPLY_ERROR ? reply->str : "command refused";
    }
    return worst;
}

static redisReply not_done = {
    .type = REDIS_REPLY_ERROR, .str = (char *)"EXEC did nothing", .len = 16};

/* The reply that the batch's user sees for command i of a transaction. Before EXEC each command is
 * QUEUED or refused; one refused makes EXEC an error, and nothing is done. */
static const redisReply *spread(const struct store_batch *batch, size_t i)
{
    const redisReply *exec = batch->item[batch->count - 1].reply;
    const redisReply *queued = batch->item[i + 1].reply;

    if (exec && exec->type == REDIS_REPLY_ARRAY && exec->elements == batch->count - 2)
        return exec->element[i];
    if (queued && queued->type == REDIS_REPLY_ERROR)
        return queued;
    return exec && exec->type == REDIS_REPLY_ERROR ? exec : &not_done;
}

static const redisReply *answer(const struct store_batch *batch, size_t i)
{
    if (batch->transaction)
        return spread(batch, i);
    return batch->item[i].reply ? batch->item[i].reply : &not_done;
}

void batch_finish(struct store_batch *batch, enum store_status status)
{
    const struct store_reply *reply[BATCH_MAX_COMMANDS];
    size_t count = batch->count - (batch->transaction ? 2 : 0);

    if (!batch->done || status != STORE_OK) {
        if (batch->done)
            batch->done(batch->arg, status, NULL, 0);
        store_batch_free(batch);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const redisReply *one = answer(batch, i);

        if (one->type == REDIS_REPLY_ERROR)
            status = STORE_ERROR;
        reply[i] = (const struct store_reply *)one;
    }
    batch->done(batch->arg, status, reply, count);
    store_batch_free(batch);
}

enum store_kind store_reply_kind(const struct store_reply *reply)
{
    switch (((const redisReply *)reply)->type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS: return STORE_KIND_TEXT;
    case REDIS_REPLY_INTEGER: return STORE_KIND_INTEGER;
    case REDIS_REPLY_ARRAY: return STORE_KIND_LIST;
    case REDIS_REPLY_ERROR: return STORE_KIND_ERROR;
    default: return STORE_KIND_NIL; /* hiredis' numbers, not an enum of ours */
    }
}

const char *store_reply_text(const struct store_reply *reply, size_t *length)
{
    const redisReply *one = (const redisReply *)reply;
    bool has_text = reply_is_text(one) || one->type == REDIS_REPLY_ERROR;

    if (length)
        *length = has_text ? (size_t)one->len : 0;
    return has_text ? one->str : NULL;
}

int64_t store_reply_integer(const struct store_reply *reply, int64_t otherwise)
{
    const redisReply *one = (const redisReply *)reply;

    return one->type == REDIS_REPLY_INTEGER ? one->integer : otherwise;
}

size_t store_reply_count(const struct store_reply *reply)
{
    const redisReply *one = (const redisReply *)reply;

    return one->type == REDIS_REPLY_ARRAY ? one->elements : 0;
}

const struct store_reply *store_reply_at(const struct store_reply *reply, size_t index)
{
    const redisReply *one = (const redisReply *)reply;

    return index < store_reply_count(reply) ? (const struct store_reply *)one->element[index]
                                            : NULL;
}
