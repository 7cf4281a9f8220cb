/*
 * The askers. Waiters are called from the loop only: out of a job's end, out of their own timer, or,
 * where the answer is known already, out of that timer set to now.
 */
#include "cache/fetch_inside.h"

#include <event2/event.h>
#include <utlist.h>

#include <stdlib.h>

/* A waiter is always in one list: its job's, or that of those whose answer is known. */
static void unlink_wait(struct fetch_wait *wait)
{
    if (wait->job)
        DL_DELETE(wait->job->waiters[wait->trust], wait);
    else
        DL_DELETE(wait->fetch->ready, wait);
}

static void free_wait(struct fetch_wait *wait)
{
    facts_unref(wait->facts);
    if (wait->timer)
        event_free(wait->timer);
    free(wait);
}

void fetch_cancel(struct fetch_wait *wait)
{
    unlink_wait(wait);
    free_wait(wait);
}

/* Of a waiter that is in no list any more, as below. */
static void answer_wait(struct fetch_wait *wait, const struct facts *facts)
{
    fetch_done *done = wait->done;
    void *arg = wait->arg;

    if (facts)
        facts_ref(facts);
    free_wait(wait);
    done(arg, facts);
}

/* The best there is where nothing fresh was to be had. */
static void answer_wait_stale(struct fetch_wait *wait)
{
    const struct known *known = fetch_find(wait->fetch, wait->key);
    const struct facts *facts = NULL;

    if (known)
        facts = known_kept(known, wait->trust == FETCH_OWN, clock_mono());
    if (facts)
        fetch_tell(wait->fetch, wait->kind, FETCH_WHAT_STALE);
    else if (known && known_is_resting(known, clock_mono()))
        facts = known->failed;
    answer_wait(wait, facts);
}

/* The budget is over; or, for a waiter in fetch->ready, its turn has come. */
static void on_wait_timer(evutil_socket_t fd, short what, void *arg)
{
    struct fetch_wait *wait = arg;

    (void)fd, (void)what;
    unlink_wait(wait);
    if (wait->facts)
        answer_wait(wait, wait->facts);
    else
        answer_wait_stale(wait);
}

/* Callbacks may cancel other waiters and add new ones: each round begins at the head. */
void fetch_wait_serve(struct fetch_wait **list, const struct facts *facts)
{
    for (struct fetch_wait *wait; (wait = *list);) {
        DL_DELETE(*list, wait);
        if (facts)
            answer_wait(wait, facts);
        else
            answer_wait_stale(wait);
    }
}

void fetch_wait_drop(struct fetch_wait **list)
{
    for (struct fetch_wait *wait; (wait = *list);) {
        DL_DELETE(*list, wait);
        free_wait(wait);
    }
}

static void arm(struct event *event, int64_t delay)
{
    struct timeval tv = {.tv_sec = delay / 1000, .tv_usec = (delay % 1000) * 1000};

    event_add(event, &tv);
}

/* In no list yet. */
static struct fetch_wait *new_wait(struct fetch *fetch, enum facts_kind kind, const char *name,
                                   enum fetch_trust trust)
{
    struct fetch_wait *wait = calloc(1, sizeof(*wait));

    if (!wait)
        return NULL;
    wait->fetch = fetch;
    wait->kind = kind;
    wait->trust = trust;
    fetch_key(kind, name, wait->key);
    wait->timer = evtimer_new(fetch->base, on_wait_timer, wait);
    if (wait->timer)
        return wait;
    free(wait);
    return NULL;
}

/* The job to wait on, joined or begun; NULL when out of memory. */
static struct fetch_job *job_for(struct fetch *fetch, const struct fetch_wait *wait)
{
    struct fetch_job *job = local_get(fetch->jobs, wait->key, 0);

    if (!job) {
        fetch_tell(fetch, wait->kind, FETCH_WHAT_MISS);
        return fetch_job_start(fetch, wait->kind, wait->key, wait->trust, 0);
    }
    notice_give(fetch->notice, NOTICE_HERD_JOINED, NULL);
    if (wait->trust == FETCH_OWN)
        fetch_job_want_own(job);
    return job;
}

struct fetch_wait *fetch_ask(struct fetch *fetch, enum facts_kind kind, const char *name,
                             enum fetch_trust trust, int64_t budget, fetch_done *done, void *arg)
{
    struct fetch_wait *wait = new_wait(fetch, kind, name, trust);
    const struct known *known;

    if (!wait)
        return NULL;
    wait->done = done;
    wait->arg = arg;
    known = fetch_find(fetch, wait->key);
    if (known && (known_fresh(known, trust == FETCH_OWN, clock_mono()) ||
                  known_is_resting(known, clock_mono()))) {
        wait->facts = fetch_peek(fetch, kind, name, trust);
        DL_APPEND(fetch->ready, wait);
        event_active(wait->timer, EV_TIMEOUT, 0);
        return wait;
    }
    wait->job = job_for(fetch, wait);
    if (!wait->job) {
        free_wait(wait);
        return NULL;
    }
    DL_APPEND(wait->job->waiters[trust], wait);
    arm(wait->timer, budget > 0 ? budget : 0);
    return wait;
}
