/*
 * The day's busiest, on their way to Redis.
 */
#include "policy/top.h"

#include "cache/keys.h"

#include <event2/event.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOP_INTERVAL = 5, /* seconds */
    TOP_BATCH = 60,   /* names of one transaction, with two commands more */
    DAY = 86400,
    TOP_TTL = 8 * DAY,
};

/* The set keeps its busiest members: what lies below these ranks goes. */
#define TOP_CUT "-1001"

struct top {
    const struct clock *clock;
    struct store *store;
    char prefix[KEYS_PREFIX_SIZE + 1];
    struct event *timer;
    int64_t day; /* since 1970 */
    struct heavy *list[TOP_LISTS];
    unsigned refs;        /* the owner's, and one for each batch under way */
    top_flushed *flushed; /* NULL: no flush */
    void *flushed_arg;
};

/* One transaction under way. */
struct top_batch {
    struct top *top;
    enum top_list list;
    size_t count;
    struct heavy_item item[TOP_BATCH];
};

const char *top_name(enum top_list list)
{
    switch (list) {
    case TOP_BYPASS: return "bypass";
    case TOP_DOMAINS: return "domains";
    case TOP_LISTS: break;
    }
    return "";
}

static void top_unref(struct top *top)
{
    top_flushed *flushed = top->flushed;

    if (--top->refs == 1 && flushed) { /* none under way any more */
        top->flushed = NULL;
        flushed(top->flushed_arg);
        return;
    }
    if (top->refs > 0)
        return;
    for (int list = 0; list < TOP_LISTS; list++)
        heavy_free(top->list[list]);
    free(top);
}

static void look_at_day(struct top *top)
{
    int64_t day = clock_unix(top->clock) / DAY;

    if (day == top->day)
        return;
    top->day = day;
    for (int list = 0; list < TOP_LISTS; list++)
        heavy_restart(top->list[list]);
}

void top_add(struct top *top, enum top_list list, const char *name)
{
    look_at_day(top);
    heavy_add(top->list[list], name, 1);
}

size_t top_get(struct top *top, enum top_list list, struct heavy_item *out, size_t size)
{
    look_at_day(top);
    return heavy_list(top->list[list], out, size);
}

static void give_back(struct top_batch *sent)
{
    for (size_t i = 0; i < sent->count; i++)
        heavy_give_back(sent->top->list[sent->list], &sent->item[i]);
}

static void on_sent(void *arg, enum store_status status, const struct store_reply *const *reply,
                    size_t count)
{
    struct top_batch *sent = arg;

    (void)count;
    /* Refused as a whole (OOM), or the key is none of ours and never will take it. */
    if (status == STORE_ERROR && store_reply_kind(reply[0]) == STORE_KIND_ERROR)
        give_back(sent);
    top_unref(sent->top);
    free(sent);
}

static struct store_batch *make_batch(const struct top_batch *sent)
{
    struct store_batch *batch = store_batch_new(true);
    char key[KEYS_SIZE], day[KEYS_DAY_SIZE], by[24], ttl[16];

    keys_top(sent->top->prefix, top_name(sent->list), keys_day(clock_unix(sent->top->clock), day),
             key);
    for (size_t i = 0; i < sent->count; i++) {
        snprintf(by, sizeof by, "%" PRIu64, sent->item[i].count);
        store_batch_add(batch, "ZINCRBY", key, by, sent->item[i].name, NULL);
    }
    snprintf(ttl, sizeof ttl, "%d", TOP_TTL);
    store_batch_add(batch, "ZREMRANGEBYRANK", key, "0", TOP_CUT, NULL);
    store_batch_add(batch, "EXPIRE", key, ttl, NULL);
    return batch;
}

/* One transaction's worth; false when there was nothing, or it could not be sent. */
static bool send_some(struct top *top, enum top_list list)
{
    struct top_batch *sent = calloc(1, sizeof *sent);

    if (!sent)
        return false;
    sent->top = top;
    sent->list = list;
    sent->count = heavy_take(top->list[list], sent->item, TOP_BATCH);
    if (sent->count > 0 && store_send(top->store, make_batch(sent), on_sent, sent)) {
        top->refs++;
        return true;
    }
    give_back(sent);
    free(sent);
    return false;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct top *top = arg;

    (void)fd;
    (void)what;
    look_at_day(top);
    /* Only when the last ones have been answered: a slow Redis is not given more. */
    for (int list = 0; list < TOP_LISTS && top->store && top->refs <= TOP_LISTS; list++)
        send_some(top, (enum top_list)list);
}

void top_flush(struct top *top, top_flushed *done, void *arg)
{
    for (int list = 0; list < TOP_LISTS && top->store; list++)
        while (send_some(top, (enum top_list)list))
            ;
    if (top->refs == 1) {
        done(arg);
        return;
    }
    top->flushed = done;
    top->flushed_arg = arg;
}

struct top *top_new(struct event_base *base, const struct clock *clock, struct store *store,
                    const char *prefix)
{
    const struct timeval interval = {.tv_sec = TOP_INTERVAL};
    struct top *top = calloc(1, sizeof *top);

    if (!top)
        return NULL;
    top->refs = 1;
    top->clock = clock;
    top->store = store;
    snprintf(top->prefix, sizeof top->prefix, "%s", prefix);
    for (int list = 0; list < TOP_LISTS; list++)
        top->list[list] = heavy_new();
    top->timer = event_new(base, -1, EV_PERSIST, on_timer, top);
    if (top->list[TOP_BYPASS] && top->list[TOP_DOMAINS] && top->timer &&
        event_add(top->timer, &interval) == 0)
        return top;
    top_free(top);
    return NULL;
}

void top_free(struct top *top)
{
    if (!top)
        return;
    if (top->timer)
        event_free(top->timer);
    top->timer = NULL;
    top->flushed = NULL;
    top_unref(top);
}
