/*
 * The command connection to Redis: its life, and the batches under way on it.
 *
 * The life. IDLE until the retry timer; DIALING while a host name is looked up; GREETING from the
 * connect until the server has told who it is; UP. Every way down is one function, drop: it gives
 * up the connection, tells the breaker, sets the retry timer, and only then calls the batches' and
 * the store's hooks, so that whatever they do finds a store that is consistently down.
 *
 * Batches are answered in the order in which they were sent and all have the same budget, so the
 * first of the list is always the next to expire, and one timer is enough. A batch that missed its
 * budget ends the connection: hiredis matches replies by order alone, and a late one would be
 * taken for another's.
 *
 * Reading of replies is reply.c, collecting them batch.c, hiredis' ways link.c, finding the server
 * dial.c, the greeting greet.c, pauses breaker.c, what was told already episode.c.
 */
#include "cache/store.h"

#include "cache/batch.h"
#include "cache/breaker.h"
#include "cache/dial.h"
#include "cache/episode.h"
#include "cache/greet.h"
#include "cache/link.h"
#include "cache/timing.h"

#include <event2/event.h>
#include <utlist.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GREETING_BUDGET = 400, TICK = 5000, MAX_PENDING = 4096, WHY_SIZE = GREET_WHY };

enum phase { PHASE_IDLE, PHASE_DIALING, PHASE_GREETING, PHASE_UP };

/* What the log was told last: a state is told once. */
enum told { TOLD_NOTHING, TOLD_UP, TOLD_DOWN };

struct store {
    struct event_base *base;
    struct dial dial;
    int64_t timeout;
    struct clock *clock;
    const struct notice *notice;
    enum phase phase;
    struct link *link;
    struct link_hooks link_hooks;
    bool broken;              /* part of a batch could not be queued: drop from the loop */
    struct store_batch *sent; /* oldest first */
    size_t pending;
    struct event *deadline, *retry, *tick;
    struct breaker breaker;
    unsigned attempt; /* to connect, since it was last up */
    enum told told;
    struct episode episode;
    char why[WHY_SIZE]; /* the last trouble */
    char run_id[GREET_RUN_ID];
    char policy[GREET_POLICY]; /* maxmemory-policy */
    int64_t evicted;
    struct timing *timing; /* NULL: not noted */
    store_changed *changed;
    void *changed_arg;
};

static void arm(struct event *event, int64_t delay)
{
    struct timeval tv = {.tv_sec = delay / 1000, .tv_usec = (delay % 1000) * 1000};

    event_add(event, &tv);
}

/* The first batch is the first to expire: see the top. */
static void arm_deadline(struct store *store)
{
    int64_t left;

    if (!store->sent) {
        event_del(store->deadline);
        return;
    }
    left = store->sent->deadline - clock_mono();
    arm(store->deadline, left > 0 ? left : 0);
}

/* At once after a connection that was up, then with backoff; never inside the breaker's pause. */
static void schedule_retry(struct store *store)
{
    int64_t delay = dial_backoff(store->attempt++, dial_random());
    int64_t pause = breaker_wait(&store->breaker, clock_mono());

    arm(store->retry, delay > pause ? delay : pause);
}

static void tell_down(struct store *store, const char *why)
{
    if (store->told != TOLD_DOWN)
        notice_give(store->notice, NOTICE_REDIS_DOWN, why);
    store->told = TOLD_DOWN;
}

/* Once for each kind of trouble, until it is over. */
static void tell_trouble(struct store *store, enum notice_kind kind, const char *why)
{
    if (episode_meet(&store->episode, why, clock_mono()))
        notice_give(store->notice, kind, why);
}

/* Those whose budget is over by now hear so, the others that the connection is lost. Their
 * callbacks may send again, which is refused: the list is the store's no more. */
static void finish_all(struct store_batch *list)
{
    int64_t now = clock_mono();
    struct store_batch *batch;

    while ((batch = list)) {
        DL_DELETE(list, batch);
        batch_finish(batch, batch->deadline <= now ? STORE_TIMEOUT : STORE_LOST);
    }
}

static void drop(struct store *store, const char *why)
{
    struct store_batch *list = store->sent;
    bool was_up = store->phase == PHASE_UP;

    dial_stop(&store->dial);
    if (store->link)
        link_close(store->link);
    store->link = NULL;
    store->phase = PHASE_IDLE;
    snprintf(store->why, sizeof(store->why), "%s", why);
    store->broken = false;
    store->sent = NULL;
    store->pending = 0;
    store->run_id[0] = '\0';
    event_del(store->deadline);
    event_del(store->tick);
    breaker_fail(&store->breaker, clock_mono(), dial_random());
    tell_down(store, why);
    schedule_retry(store);
    finish_all(list);
    if (was_up && store->changed)
        store->changed(store->changed_arg, false);
}

/* hiredis frees its context by itself: the link must not be closed once more. A server that turns us
 * away (DENIED: protected mode) says so first, and that tells more. */
static void on_gone(void *arg, const char *why)
{
    struct store *store = arg;
    const char *words = NULL;
    char said[WHY_SIZE];

    if (store->phase == PHASE_GREETING && store->sent)
        batch_trouble(store->sent, &words);
    snprintf(said, sizeof(said), "%s", words ? words : why);
    store->link = NULL;
    drop(store, said);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct store *store = arg;

    (void)fd, (void)what;
    if (store->broken) {
        drop(store, "out of memory");
    } else if (store->sent && store->sent->deadline > clock_mono()) {
        arm_deadline(store);
    } else if (store->sent) {
        notice_give(store->notice, NOTICE_REDIS_TIMEOUT, NULL);
        drop(store, "no answer in time");
    }
}

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* A batch that could be queued in part only would leave a MULTI open: the connection goes, but from
 * the loop, since store_send calls nobody back. */
static void send_batch(struct store *store, struct store_batch *batch, int64_t budget,
                       store_done *done, void *arg)
{
    batch->done = done;
    batch->arg = arg;
    batch->deadline = clock_mono() + budget;
    batch->sent_us = now_us();
    DL_APPEND(store->sent, batch);
    store->pending++;
    for (size_t i = 0; i < batch->count && !store->broken; i++)
        store->broken = !link_send(store->link, batch->item[i].text, batch->item[i].length, batch);
    batch_sent(batch);
    if (store->broken)
        event_active(store->deadline, EV_TIMEOUT, 0);
    else if (store->sent == batch)
        arm_deadline(store);
}

bool store_send(struct store *store, struct store_batch *batch, store_done *done, void *arg)
{
    if (!store || store->phase != PHASE_UP || store->broken || store->pending >= MAX_PENDING ||
        !batch_seal(batch) || !breaker_allows(&store->breaker, clock_mono())) {
        store_batch_free(batch);
        return false;
    }
    send_batch(store, batch, store->timeout, done, arg);
    return true;
}

/* What a batch's replies say about the server. True when the connection is to be given up. */
static bool learn_from(struct store *store, const struct store_batch *batch, char why[WHY_SIZE])
{
    const char *words;
    enum reply_trouble trouble = batch_trouble(batch, &words);

    snprintf(why, WHY_SIZE, "%s", words ? words : "");
    if (words)
        notice_give(store->notice, NOTICE_REDIS_ERROR, why);
    switch (trouble) {
    case REPLY_FINE:
    case REPLY_WRONG: breaker_succeed(&store->breaker); return false;
    case REPLY_FAILING:
        snprintf(store->why, sizeof(store->why), "%s", why);
        tell_trouble(store, NOTICE_REDIS_FAILING, why);
        breaker_fail(&store->breaker, clock_mono(), dial_random());
        return false;
    case REPLY_REFUSED:
        tell_trouble(store, NOTICE_REDIS_REFUSED, why);
        breaker_succeed(&store->breaker);
        return false;
    case REPLY_MOVED:
        snprintf(why, WHY_SIZE, "%s", "it is a Redis Cluster, which cannot be used");
        tell_trouble(store, NOTICE_REDIS_REFUSED, why);
        return true;
    case REPLY_READONLY: tell_trouble(store, NOTICE_REDIS_FAILING, why); return true;
    }
    return false;
}

/* The batch is out of the list before its callback runs, so that a drop out of that cannot meet it
 * again. A read-only server is dropped after the callback: its replies are in the batch. */
static void on_reply(void *arg, void *tag, redisReply *reply)
{
    struct store *store = arg;
    struct store_batch *batch = tag;
    char why[WHY_SIZE];
    bool give_up;

    if (!batch_answer(batch, reply))
        return;
    DL_DELETE(store->sent, batch);
    store->pending--;
    arm_deadline(store);
    if (store->timing)
        timing_note(store->timing, now_us() - batch->sent_us);
    give_up = !batch->own && learn_from(store, batch, why);
    batch_finish(batch, STORE_OK);
    if (give_up)
        drop(store, why);
}

static void learn_time(struct store *store, const struct store_reply *reply)
{
    int64_t unix_ms = greet_parse_time(reply);

    if (unix_ms)
        clock_set_unix(store->clock, unix_ms);
}

static void learn_info(struct store *store, const struct store_reply *reply)
{
    int64_t evicted = greet_parse_evicted(reply);

    if (evicted >= 0)
        store->evicted = evicted;
}

static void on_tick_done(void *arg, enum store_status status,
                         const struct store_reply *const *reply, size_t count)
{
    struct store *store = arg;

    if (status != STORE_OK || count != 2)
        return;
    learn_time(store, reply[0]);
    learn_info(store, reply[1]);
}

/* Now and then, whatever the breaker says: a dead connection is found so, and the clock kept. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct store *store = arg;
    struct store_batch *batch = store_batch_new(false);

    (void)fd, (void)what;
    arm(store->tick, TICK);
    store_batch_add(batch, "TIME", NULL);
    store_batch_add(batch, "INFO", "stats", NULL);
    if (!batch_seal(batch)) {
        store_batch_free(batch);
        return;
    }
    batch->own = true;
    send_batch(store, batch, store->timeout, on_tick_done, store);
}

/* A server that greets is well: the trial that led here, if it was one, has succeeded. */
static void go_up(struct store *store)
{
    char where[WHY_SIZE];

    store->phase = PHASE_UP;
    store->attempt = 0;
    store->why[0] = '\0';
    episode_end(&store->episode);
    breaker_succeed(&store->breaker);
    arm(store->tick, TICK);
    dial_describe(&store->dial, where, sizeof(where));
    notice_give(store->notice, NOTICE_REDIS_UP, where);
    store->told = TOLD_UP;
    if (store->changed)
        store->changed(store->changed_arg, true);
}

static void on_greeted(void *arg, enum store_status status, const struct store_reply *const *reply,
                       size_t count)
{
    struct store *store = arg;
    char why[WHY_SIZE];

    if (status == STORE_TIMEOUT || status == STORE_LOST)
        return; /* out of drop */
    switch (greet_judge(reply, count, store->run_id, why)) {
    case GREET_GOOD:
        learn_info(store, greet_info(reply, count));
        greet_parse_policy(greet_info(reply, count), store->policy);
        learn_time(store, greet_time(reply, count));
        go_up(store);
        return;
    case GREET_NOT_NOW: tell_trouble(store, NOTICE_REDIS_FAILING, why); break;
    case GREET_REPLICA:
        tell_trouble(store,
                     store->dial.asker.sentinel ? NOTICE_REDIS_FAILING : NOTICE_REDIS_REFUSED, why);
        break;
    case GREET_REFUSED: tell_trouble(store, NOTICE_REDIS_REFUSED, why); break;
    }
    drop(store, why);
}

static void on_dialed(void *arg, const struct dial_target *target, const char *why_not)
{
    struct store *store = arg;
    struct store_batch *batch;
    char why[WHY_SIZE];

    if (!target) {
        drop(store, why_not);
        return;
    }
    store->link = link_open(store->base, target, &store->link_hooks, why, sizeof(why));
    if (!store->link) {
        drop(store, why);
        return;
    }
    batch = greet_batch(&store->dial);
    if (!batch_seal(batch)) {
        store_batch_free(batch);
        drop(store, "out of memory");
        return;
    }
    batch->own = true;
    store->phase = PHASE_GREETING;
    send_batch(store, batch, store->timeout > GREETING_BUDGET ? store->timeout : GREETING_BUDGET,
               on_greeted, store);
}

/* It is another server: what the one before did says nothing about it. */
static void on_moved(void *arg)
{
    struct store *store = arg;

    drop(store, "the Sentinels name another master");
    breaker_init(&store->breaker);
    store->attempt = 0;
    arm(store->retry, 0);
}

/* Asking the breaker here makes this attempt its trial, where it is open. */
static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    struct store *store = arg;

    (void)fd, (void)what;
    if (!breaker_allows(&store->breaker, clock_mono())) {
        arm(store->retry, breaker_wait(&store->breaker, clock_mono()));
        return;
    }
    store->phase = PHASE_DIALING;
    dial_start(&store->dial);
}

static bool make_events(struct store *store)
{
    store->deadline = evtimer_new(store->base, on_deadline, store);
    store->retry = evtimer_new(store->base, on_retry, store);
    store->tick = evtimer_new(store->base, on_tick, store);
    return store->deadline && store->retry && store->tick;
}

struct store *store_new(struct event_base *base, const struct store_options *options,
                        struct clock *clock, struct dns *dns, const struct notice *notice)
{
    struct store *store = calloc(1, sizeof(*store));

    if (!store)
        return NULL;
    store->base = base;
    store->timeout = options->timeout;
    store->clock = clock;
    store->notice = notice;
    store->link_hooks = (struct link_hooks){.reply = on_reply, .gone = on_gone, .arg = store};
    breaker_init(&store->breaker);
    if (!dial_init(&store->dial, options, dns, on_moved, on_dialed, store) || !make_events(store)) {
        store_free(store);
        return NULL;
    }
    schedule_retry(store);
    return store;
}

static void free_event(struct event *event)
{
    if (event)
        event_free(event);
}

void store_free(struct store *store)
{
    if (!store)
        return;
    store->phase = PHASE_IDLE;
    if (store->link)
        link_close(store->link);
    for (struct store_batch *batch; (batch = store->sent);) {
        DL_DELETE(store->sent, batch);
        batch_finish(batch, STORE_LOST);
    }
    free_event(store->deadline);
    free_event(store->retry);
    free_event(store->tick);
    dial_clear(&store->dial);
    free(store);
}

bool store_is_up(const struct store *store)
{
    return store && store->phase == PHASE_UP;
}

const char *store_trouble(const struct store *store)
{
    if (!store || (store->phase == PHASE_UP && store->breaker.state == BREAKER_CLOSED))
        return "";
    return *store->why ? store->why : "not connected yet";
}

const char *store_policy(const struct store *store)
{
    return store->policy;
}

const char *store_run_id(const struct store *store)
{
    return store ? store->run_id : "";
}

int64_t store_evicted(const struct store *store)
{
    return store ? store->evicted : 0;
}

void store_set_timing(struct store *store, struct timing *timing)
{
    store->timing = timing;
}

void store_on_change(struct store *store, store_changed *hook, void *arg)
{
    store->changed = hook;
    store->changed_arg = arg;
}
