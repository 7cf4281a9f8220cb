/*
 * The guarded reader and the sorting of errors. Everything that differs between hiredis 0.14 and
 * 1.x in reading is here.
 */
#include "cache/reply.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#if HIREDIS_MAJOR >= 1
typedef size_t reply_size;
#else
typedef int reply_size;
#endif

/* hiredis 0.14 takes seven lists inside each other, 1.x any number, freed by recursion. */
static bool is_too_deep(const redisReadTask *task)
{
    unsigned depth = 0;

    while (task && depth <= REPLY_MAX_DEPTH) {
        task = task->parent;
        depth++;
    }
    return task != NULL;
}

static bool is_sound(struct reply_guard *guard, const redisReadTask *task, size_t elements)
{
    if (!task->parent) {
        if (guard->awaited && !guard->awaited(guard->arg))
            return false;
        guard->elements = 0;
    }
    if (task->type < REDIS_REPLY_STRING || task->type > REDIS_REPLY_ERROR)
        return false;
    if (is_too_deep(task) || elements > REPLY_MAX_ELEMENTS - guard->elements)
        return false;
    guard->elements += elements;
    return true;
}

/* Asked for each piece of a reply before it is made. */
static bool admits(const redisReadTask *task, size_t elements)
{
    struct reply_guard *guard = task->privdata;

    guard->refused = !is_sound(guard, task, elements);
    return !guard->refused;
}

static const struct reply_guard *guard_of(const redisReadTask *task)
{
    return task->privdata;
}

static void *create_string(const redisReadTask *task, char *text, size_t length)
{
    return admits(task, 0) ? guard_of(task)->inner->createString(task, text, length) : NULL;
}

static void *create_array(const redisReadTask *task, reply_size elements)
{
    if (!admits(task, (size_t)elements)) /* a negative one is huge then */
        return NULL;
    return guard_of(task)->inner->createArray(task, elements);
}

static void *create_integer(const redisReadTask *task, long long value)
{
    return admits(task, 0) ? guard_of(task)->inner->createInteger(task, value) : NULL;
}

static void *create_nil(const redisReadTask *task)
{
    return admits(task, 0) ? guard_of(task)->inner->createNil(task) : NULL;
}

#if HIREDIS_MAJOR >= 1
static void *create_double(const redisReadTask *task, double value, char *text, size_t length)
{
    (void)task, (void)value, (void)text, (void)length;
    return NULL;
}

static void *create_bool(const redisReadTask *task, int value)
{
    (void)task, (void)value;
    return NULL;
}
#endif

void reply_guard_install(struct reply_guard *guard, redisReader *reader, reply_awaited *awaited,
                         void *arg)
{
    guard->inner = reader->fn;
    guard->own = *reader->fn;
    guard->own.createString = create_string;
    guard->own.createArray = create_array;
    guard->own.createInteger = create_integer;
    guard->own.createNil = create_nil;
#if HIREDIS_MAJOR >= 1
    guard->own.createDouble = create_double;
    guard->own.createBool = create_bool;
#endif
    guard->elements = 0;
    guard->refused = false;
    guard->awaited = awaited;
    guard->arg = arg;
    reader->fn = &guard->own;
    reader->privdata = guard;
}

bool reply_is_overlong(const redisReader *reader)
{
    return reader->len - reader->pos > REPLY_MAX_BYTES;
}

redisReply *reply_take(redisReply *reply)
{
    redisReply *taken = malloc(sizeof(*taken));

    if (!taken)
        return NULL;
    *taken = *reply;
    reply->type = REDIS_REPLY_NIL;
    reply->str = NULL;
    reply->element = NULL;
    reply->elements = 0;
    return taken;
}

bool reply_is_text(const redisReply *reply)
{
    return reply && (reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS);
}

bool reply_is_word(const redisReply *reply, const char *word)
{
    return reply_is_text(reply) && reply->len == strlen(word) && !strcasecmp(reply->str, word);
}

bool reply_is_error(const redisReply *reply, const char *prefix)
{
    return reply && reply->type == REDIS_REPLY_ERROR &&
           !strncmp(reply->str, prefix, strlen(prefix));
}

static const struct {
    const char *prefix;
    enum reply_trouble trouble;
} troubles[] = {
    {"READONLY ", REPLY_READONLY},  {"NOAUTH ", REPLY_REFUSED},    {"NOPERM ", REPLY_REFUSED},
    {"WRONGPASS ", REPLY_REFUSED},  {"LOADING ", REPLY_FAILING},   {"BUSY ", REPLY_FAILING},
    {"MASTERDOWN ", REPLY_FAILING}, {"OOM ", REPLY_FAILING},       {"MISCONF ", REPLY_FAILING},
    {"NOREPLICAS ", REPLY_FAILING}, {"CLUSTERDOWN ", REPLY_MOVED}, {"MOVED ", REPLY_MOVED},
    {"ASK ", REPLY_MOVED},          {"CROSSSLOT ", REPLY_MOVED},
};

static enum reply_trouble error_trouble(const redisReply *reply)
{
    for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
        if (reply_is_error(reply, troubles[i].prefix))
            return troubles[i].trouble;
    }
    return REPLY_WRONG;
}

enum reply_trouble reply_trouble(const redisReply *reply)
{
    enum reply_trouble worst = REPLY_FINE;

    if (reply->type == REDIS_REPLY_ERROR)
        return error_trouble(reply);
    if (reply->type != REDIS_REPLY_ARRAY)
        return REPLY_FINE;
    for (size_t i = 0; i < reply->elements; i++) {
        const redisReply *element = reply->element[i];

        if (element->type == REDIS_REPLY_ERROR && error_trouble(element) > worst)
            worst = error_trouble(element);
    }
    return worst;
}
