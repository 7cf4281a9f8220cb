/*
 * The engine: questions under way, from their first step to their one reply.
 */
#include "policy/engine_question.h"

#include "policy/log.h"
#include "policy/trap.h"

#include "cache/local.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_QUESTIONS = 20000 };

/* A visit is written down before anybody knows for which domain. */
static int64_t find_evidence_ttl(const struct conf *conf)
{
    int64_t longest = conf->guard.evidence_ttl;

    for (size_t i = 0; i < conf->domain_count; i++)
        if (conf->domain[i].guard.evidence_ttl > longest)
            longest = conf->domain[i].guard.evidence_ttl;
    return longest / 1000;
}

/* As long as Redis keeps what is found: so it holds as many strangers' names as the table may. */
static int64_t quota_window(const struct conf *conf)
{
    return conf->dns.max_ttl + conf->dns.stale;
}

struct engine *engine_new(const struct engine_parts *parts, struct conf *conf)
{
    struct engine *engine = calloc(1, sizeof *engine);

    if (!engine)
        return NULL;
    engine->trap = trap_new();
    engine->pins = engine_new_pins();
    engine->quota = quota_new(conf->cache.entries, quota_window(conf));
    if (!engine->trap || !engine->pins || !engine->quota) {
        engine_free(engine);
        return NULL;
    }
    engine->parts = *parts;
    engine->alerted = INT64_MIN / 2;
    engine->conf = conf_ref(conf);
    engine->evidence_ttl = find_evidence_ttl(conf);
    return engine;
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    while (engine->first)
        engine_end(engine->first);
    if (engine->trap)
        trap_free(engine->trap);
    if (engine->pins)
        local_free(engine->pins);
    quota_free(engine->quota);
    conf_unref(engine->conf);
    free(engine);
}

void engine_set_conf(struct engine *engine, struct conf *conf)
{
    struct conf *old = engine->conf;

    engine->conf = conf_ref(conf);
    engine->evidence_ttl = find_evidence_ttl(conf);
    quota_set(engine->quota, conf->cache.entries, quota_window(conf));
    conf_unref(old);
}

size_t engine_count(const struct engine *engine)
{
    return engine->count;
}

int64_t engine_now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct engine_question *question = arg;

    (void)fd;
    (void)what;
    question->step(question);
}

void engine_step_later(struct engine_question *question, int64_t ms)
{
    struct timeval delay = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    if (ms > 0)
        event_add(question->timer, &delay);
    else
        event_active(question->timer, EV_TIMEOUT, 0);
}

static void join(struct engine_question *question)
{
    struct engine *engine = question->engine;

    question->next = engine->first;
    if (engine->first)
        engine->first->previous = question;
    engine->first = question;
    engine->count++;
}

static void leave(struct engine_question *question)
{
    struct engine *engine = question->engine;

    if (question->previous)
        question->previous->next = question->next;
    else
        engine->first = question->next;
    if (question->next)
        question->next->previous = question->previous;
    engine->count--;
}

struct engine_question *engine_begin(struct engine *engine, enum engine_kind kind,
                                     void (*step)(struct engine_question *question), void *arg)
{
    struct engine_question *question;

    if (engine->count >= MAX_QUESTIONS)
        return NULL;
    question = calloc(1, sizeof *question);
    if (!question)
        return NULL;
    question->engine = engine;
    question->kind = kind;
    question->step = step;
    question->arg = arg;
    question->began_us = engine_now_us();
    question->timer = evtimer_new(engine->parts.base, on_timer, question);
    if (!question->timer) {
        free(question);
        return NULL;
    }
    question->conf = conf_ref(engine->conf);
    join(question);
    engine_step_later(question, 0);
    return question;
}

void engine_end(struct engine_question *question)
{
    leave(question);
    gather_stop(question->gather);
    if (question->mx_wait)
        fetch_cancel(question->mx_wait);
    memory_cancel(question->wait);
    event_free(question->timer);
    if (question->has_order)
        order_clear(&question->order);
    if (question->has_mx)
        order_clear(&question->mx);
    for (size_t i = 0; i < question->pool_count; i++)
        facts_unref(question->pool_addr[i]);
    conf_unref(question->conf);
    free(question);
}

void engine_cancel(struct engine_question *question)
{
    engine_end(question);
}
