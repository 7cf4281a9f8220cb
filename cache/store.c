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
 * dial.c, pauses breaker.c.
 */
#include "cache/store.h"

#include "cache/batch.h"
#include "cache/breaker.h"
#include "cache/dial.h"
#include "cache/link.h"
#include "cache/timing.h"

#include <event2/event.h>
#include <utlist.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GREETING_BUDGET = 400, TICK = 5000, MAX_PENDING = 4096, RUN_ID_SIZE = 64, WHY_SIZE = 160 };

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
    char refused[WHY_SIZE]; /* the last refusal that was told */
    char run_id[RUN_ID_SIZE];
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

/* Once for the same words, until it is up again. */
static void tell_refused(struct store *store, const char *why)
{
    if (!strncmp(store->refused, why, sizeof(store->refused) - 1))
        return;
    snprintf(store->refused, sizeof(store->refused), "%s", why);
    notice_give(store->notice, NOTICE_REDIS_REFUSED, why);
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

    if (store->link)
        link_close(store->link);
    store->link = NULL;
    store->phase = PHASE_IDLE;
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

/* hiredis frees its context by itself: the link must not be closed once more. */
static void on_gone(void *arg, const char *why)
{
    struct store *store = arg;

    store->link = NULL;
    drop(store, why);
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

    if (trouble == REPLY_FAILING)
        breaker_fail(&store->breaker, clock_mono(), dial_random());
    else if (trouble != REPLY_READONLY)
        breaker_succeed(&store->breaker);
    if (trouble == REPLY_FINE)
        return false;
    snprintf(why, WHY_SIZE, "%s", words);
    notice_give(store->notice, NOTICE_REDIS_ERROR, why);
    if (trouble == REPLY_REFUSED)
        tell_refused(store, why);
    return trouble == REPLY_READONLY;
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

/* A field of INFO's "name:value" lines; "" where it is not, or is too long. */
static const char *info_field(const char *info, const char *name, char *out, size_t size)
{
    size_t length = strlen(name), value;

    out[0] = '\0';
    for (const char *line = info; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) || line[length] != ':')
            continue;
        value = strcspn(line + length + 1, "\r\n");
        if (value < size)
            snprintf(out, size, "%.*s", (int)value, line + length + 1);
        break;
    }
    return out;
}

/* Half a round trip late, which nothing here minds. Bounds keep a broken clock from overflowing. */
static void learn_time(struct store *store, const struct store_reply *reply)
{
    int64_t seconds, micros;

    if (store_reply_count(reply) != 2)
        return;
    for (size_t i = 0; i < 2; i++) {
        if (store_reply_kind(store_reply_at(reply, i)) != STORE_KIND_TEXT)
            return;
    }
    seconds = strtoll(store_reply_text(store_reply_at(reply, 0), NULL), NULL, 10);
    micros = strtoll(store_reply_text(store_reply_at(reply, 1), NULL), NULL, 10);
    if (seconds > 0 && seconds < INT32_MAX * INT64_C(128) && micros >= 0 && micros < 1000000)
        clock_set_unix(store->clock, seconds * 1000 + micros / 1000);
}

static void learn_info(struct store *store, const char *info)
{
    char text[32];

    if (*info_field(info, "evicted_keys", text, sizeof(text)))
        store->evicted = strtoll(text, NULL, 10);
}

static void on_tick_done(void *arg, enum store_status status,
                         const struct store_reply *const *reply, size_t count)
{
    struct store *store = arg;

    if (status != STORE_OK || count != 2)
        return;
    learn_time(store, reply[0]);
    if (store_reply_kind(reply[1]) == STORE_KIND_TEXT)
        learn_info(store, store_reply_text(reply[1], NULL));
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

/* Any error, but one that passes, is the administrator's to mend, and told as such. */
static bool greeting_refused(struct store *store, const struct store_reply *const *reply,
                             size_t count, char why[WHY_SIZE])
{
    for (size_t i = 0; i < count; i++) {
        if (store_reply_kind(reply[i]) != STORE_KIND_ERROR)
            continue;
        snprintf(why, WHY_SIZE, "%s", store_reply_text(reply[i], NULL));
        if (reply_trouble((const redisReply *)reply[i]) != REPLY_FAILING)
            tell_refused(store, why);
        return true;
    }
    return false;
}

/* The greeting ends with INFO, ROLE, TIME. False, and why, where the server is not one to use. */
static bool judge_greeting(struct store *store, const struct store_reply *const *reply,
                           size_t count, char why[WHY_SIZE])
{
    const struct store_reply *info = reply[count - 3], *role = reply[count - 2];
    bool has_info = store_reply_kind(info) == STORE_KIND_TEXT;
    const char *text = has_info ? store_reply_text(info, NULL) : "";
    const char *part;
    char field[RUN_ID_SIZE];

    if (!strcmp(info_field(text, "redis_mode", field, sizeof(field)), "cluster")) {
        snprintf(why, WHY_SIZE, "it is a Redis Cluster, which cannot be used");
        tell_refused(store, why);
        return false;
    }
    if (greeting_refused(store, reply, count, why))
        return false;
    snprintf(why, WHY_SIZE, "greeting not understood");
    if (!has_info || !store_reply_count(role))
        return false;
    part = store_reply_text(store_reply_at(role, 0), NULL);
    if (!part || !*info_field(text, "run_id", store->run_id, sizeof(store->run_id)))
        return false;
    if (strcmp(info_field(text, "loading", field, sizeof(field)), "0") && *field) {
        snprintf(why, WHY_SIZE, "loading its data");
        return false;
    }
    snprintf(why, WHY_SIZE, "role is %s, not master", part);
    return !strcmp(part, "master");
}

/* A server that greets is well: the trial that led here, if it was one, has succeeded. */
static void go_up(struct store *store)
{
    char where[WHY_SIZE];

    store->phase = PHASE_UP;
    store->attempt = 0;
    store->refused[0] = '\0';
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
    if (!judge_greeting(store, reply, count, why)) {
        drop(store, why);
        return;
    }
    learn_info(store, store_reply_text(reply[count - 3], NULL));
    learn_time(store, reply[count - 1]);
    go_up(store);
}

/* One pipeline, whatever the answers: an AUTH that fails makes the others fail too. */
static struct store_batch *greeting(const struct dial *dial)
{
    struct store_batch *batch = store_batch_new(false);
    char database[16];

    if (*dial->user)
        store_batch_add(batch, "AUTH", dial->user, dial->password, NULL);
    else if (*dial->password)
        store_batch_add(batch, "AUTH", dial->password, NULL);
    snprintf(database, sizeof(database), "%u", dial->database);
    if (dial->database)
        store_batch_add(batch, "SELECT", database, NULL);
    store_batch_add(batch, "INFO", NULL);
    store_batch_add(batch, "ROLE", NULL);
    store_batch_add(batch, "TIME", NULL);
    return batch;
}

static void on_dialed(void *arg, const struct dial_target *target)
{
    struct store *store = arg;
    struct store_batch *batch;
    char why[WHY_SIZE];

    if (!target) {
        drop(store, "host name has no address");
        return;
    }
    store->link = link_open(store->base, target, &store->link_hooks, why, sizeof(why));
    if (!store->link) {
        drop(store, why);
        return;
    }
    batch = greeting(&store->dial);
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
    dial_start(&store->dial, on_dialed, store);
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
    if (!dial_init(&store->dial, options, dns) || !make_events(store)) {
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
