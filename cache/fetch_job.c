/*
 * What is under way: one job a name, however many wait for it.
 *
 * A job begins with a Redis read where that may do for its first asker: for a route only under a
 * secret, since nothing else proves what is read. It comes to the DNS when Redis has nothing that
 * everyone can use, and no other node is about to write it. For a host it asks A and AAAA at once. It
 * ends when the DNS has answered, when Redis served everyone, or after JOB_LIMIT.
 */
#include "cache/fetch_inside.h"

#include <event2/event.h>

#include <stdio.h>
#include <stdlib.h>

enum { JOB_LIMIT = 5000 };

/* Whatever is still under way for it is called off: no callback finds a job that is gone. */
static void free_job(struct fetch_job *job)
{
    if (job->read)
        share_cancel(job->read);
    if (job->lease)
        share_lease_cancel(job->lease);
    if (job->turn)
        event_free(job->turn);
    for (size_t i = 0; i < 2; i++) {
        if (job->part[i].query)
            dns_cancel(job->part[i].query);
        facts_unref(job->part[i].facts);
    }
    if (job->limit)
        event_free(job->limit);
    free(job);
}

/* Facts from the DNS get their times, and the history of the set. */
static void stamp(struct fetch *fetch, const struct known *known, struct facts *facts)
{
    const struct facts *before = NULL;

    facts->own = true;
    facts->fetched = clock_unix(fetch->clock);
    facts->expires = facts->fetched + facts->ttl;
    if (known)
        before = known->own.facts ? known->own.facts : known->shared.facts;
    if (before)
        facts->changed = facts_equal(before, facts) ? before->changed : facts->fetched;
}

/* The part of a family not answered yet, for as long as that may be. */
static struct facts *part_facts(const struct fetch_part *part)
{
    struct facts *facts;

    if (part->facts)
        return facts_ref(part->facts);
    facts = facts_new(FACTS_ADDR, FACTS_FAIL);
    if (facts) {
        facts->own = true;
        facts->ttl = KNOWN_PARTIAL_TTL;
    }
    return facts;
}

/* The parts' answers so far as one: new, or NULL where there is none. */
static struct facts *join_parts(const struct fetch_job *job, const struct known *known)
{
    struct facts *a, *aaaa, *facts = NULL;

    if (job->kind != FACTS_ADDR)
        return job->part[0].facts ? facts_ref(job->part[0].facts) : NULL;
    a = part_facts(&job->part[0]);
    aaaa = part_facts(&job->part[1]);
    if (a && aaaa)
        facts = answer_join(a, aaaa);
    if (facts && known && facts->state == FACTS_OK) {
        known_complete(known, facts, clock_mono());
        facts_seal(facts);
    }
    facts_unref(a);
    facts_unref(aaaa);
    return facts;
}

/* Good facts that are kept stay in their slot: a failure is put beside them, never over them. */
static void remember_failure(struct fetch *fetch, const struct fetch_job *job)
{
    struct known *known = fetch_find_or_make(fetch, job->key);

    if (!known)
        return;
    known_fail(known, job->kind, clock_mono());
    fetch_settle(fetch, job->key, known);
}

/* Everyone hears what the DNS has said by now. */
static void conclude(struct fetch_job *job)
{
    struct fetch *fetch = job->fetch;
    const struct known *known = fetch_find(fetch, job->key);
    struct facts *facts = join_parts(job, known);
    bool good = facts && facts->state != FACTS_FAIL;

    if (good) {
        stamp(fetch, known, facts);
        fetch_put(fetch, job->key, facts);
        share_write(&fetch->place, facts, fetch_name(job->key), fetch->stale);
    } else if (!job->is_late) {
        remember_failure(fetch, job);
    }
    fetch_wait_serve(&job->waiters[FETCH_ANY], good ? facts : NULL);
    fetch_wait_serve(&job->waiters[FETCH_OWN], good ? facts : NULL);
    facts_unref(facts);
}

/* No callback finds the job in the table any more: what it asks for then is another one. */
static void finish_job(struct fetch_job *job)
{
    local_remove(job->fetch->jobs, job->key);
    conclude(job);
    free_job(job);
}

static void arm(struct event *event, int64_t delay)
{
    struct timeval tv = {.tv_sec = delay / 1000, .tv_usec = (delay % 1000) * 1000};

    event_add(event, &tv);
}

/* First the askers' time is over, and what they hear is what there is. What comes later is for those
 * who ask later, until the time of the job is over, too. */
static void on_job_limit(evutil_socket_t fd, short what, void *arg)
{
    struct fetch_job *job = arg;
    int64_t dns_timeout = job->fetch->dns_timeout;

    (void)fd, (void)what;
    if (job->is_late || !job->asked_dns || !dns_timeout || dns_timeout >= JOB_LIMIT) {
        finish_job(job);
        return;
    }
    arm(job->limit, JOB_LIMIT - dns_timeout);
    conclude(job);
    job->is_late = true;
}

static void on_dns(void *arg, struct facts *facts)
{
    struct fetch_part *part = arg;
    struct fetch_job *job = part->job;

    part->query = NULL;
    part->facts = facts;
    if (!--job->open)
        finish_job(job);
}

/* Once a job. Of a host both families at the same time: neither may wait for the other. */
static void ask_dns(struct fetch_job *job)
{
    static const enum answer_type types[][2] = {
        [FACTS_MX] = {ANSWER_MX, ANSWER_MX},
        [FACTS_ADDR] = {ANSWER_A, ANSWER_AAAA},
        [FACTS_SRV] = {ANSWER_SRV, ANSWER_SRV},
    };
    char owner[FACTS_OWNER_SIZE];

    if (job->asked_dns)
        return;
    job->asked_dns = true;
    if (job->fetch->dns_timeout)
        arm(job->limit, job->fetch->dns_timeout);
    job->open = job->kind == FACTS_ADDR ? 2 : 1;
    facts_owner(job->kind, fetch_name(job->key), owner);
    for (size_t i = 0; i < job->open; i++) {
        struct fetch_part *part = &job->part[i];

        part->job = job;
        part->query = dns_ask(job->fetch->dns, types[job->kind][i], owner, on_dns, part);
        if (!part->query) /* out of memory: the job's end comes from the loop */
            event_active(job->limit, EV_TIMEOUT, 0);
    }
}

/* Short-lived facts last well at half their life. */
static bool lasts(const struct fetch_job *job, const struct facts *facts)
{
    int64_t half = (int64_t)facts->ttl * 1000 / 2, left;

    left = facts->expires * 1000 - clock_unix_ms(job->fetch->clock);
    return left > 0 && left >= (job->ahead < half ? job->ahead : half);
}

/* Half of what askers wait: the other half is for those who must ask after all. A job must outlive it. */
static int64_t lease_life(const struct fetch *fetch)
{
    return (fetch->dns_timeout < JOB_LIMIT ? fetch->dns_timeout : JOB_LIMIT) / 2;
}

static bool may_share(const struct fetch_job *job)
{
    return !job->wants_own || job->fetch->mac.is_set;
}

static void on_redis(void *arg, struct facts *facts);

/* The other node has written, or its time is over. */
static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    struct fetch_job *job = arg;

    (void)fd, (void)what;
    if (job->asked_dns || job->read)
        return;
    job->is_outdated = false;
    job->read = share_read(&job->fetch->place, job->kind, fetch_name(job->key), on_redis, job);
    if (!job->read)
        ask_dns(job);
}

static void on_lease(void *arg, bool taken)
{
    struct fetch_job *job = arg;

    job->lease = NULL;
    if (job->asked_dns)
        return;
    job->turn = taken ? evtimer_new(job->fetch->base, on_turn, job) : NULL;
    if (job->turn)
        arm(job->turn, lease_life(job->fetch));
    else
        ask_dns(job);
}

/* Redis has nothing for those who wait. Of the nodes that find so one asks the DNS, for those to whom
 * it can answer. */
static void ask_elsewhere(struct fetch_job *job)
{
    struct fetch *fetch = job->fetch;

    if (job->asked_dns || job->lease)
        return;
    if (!job->has_waited && fetch->dns_timeout && may_share(job)) {
        job->has_waited = true;
        job->lease = share_lease(&fetch->place, job->kind, fetch_name(job->key), lease_life(fetch),
                                 on_lease, job);
    }
    if (!job->lease)
        ask_dns(job);
}

/* A key that changed while it was read serves those who wait, but is not kept: the message that
 * told of the change has found nothing to forget. */
static void on_redis(void *arg, struct facts *facts)
{
    struct fetch_job *job = arg;
    struct fetch *fetch = job->fetch;

    bool trusted = facts && facts_are_trusted(facts);

    job->read = NULL;
    if (facts && !job->is_outdated)
        fetch_put(fetch, job->key, facts);
    if (facts && lasts(job, facts)) {
        fetch_tell(fetch, job->kind, FETCH_WHAT_SHARED);
        fetch_wait_serve(&job->waiters[FETCH_ANY], facts);
        if (trusted)
            fetch_wait_serve(&job->waiters[FETCH_OWN], facts);
        /* A callback may have asked again, and found this job still there. */
        if (job->waiters[FETCH_ANY] || job->waiters[FETCH_OWN] || (job->wants_own && !trusted))
            ask_elsewhere(job);
    } else {
        ask_elsewhere(job);
    }
    facts_unref(facts);
    if (job->asked_dns || job->lease)
        return;
    local_remove(fetch->jobs, job->key);
    free_job(job);
}

struct fetch_job *fetch_job_start(struct fetch *fetch, enum facts_kind kind, const char *key,
                                  enum fetch_trust trust, int64_t ahead)
{
    struct timeval tv = {.tv_sec = JOB_LIMIT / 1000};
    struct fetch_job *job = calloc(1, sizeof(*job));

    if (!job)
        return NULL;
    job->fetch = fetch;
    job->kind = kind;
    job->wants_own = trust == FETCH_OWN;
    job->ahead = ahead;
    snprintf(job->key, sizeof(job->key), "%s", key);
    job->limit = evtimer_new(fetch->base, on_job_limit, job);
    if (!job->limit || event_add(job->limit, &tv) ||
        !local_put(fetch->jobs, key, job, 0, INT64_MAX)) {
        free_job(job);
        return NULL;
    }
    if (may_share(job))
        job->read = share_read(&fetch->place, kind, fetch_name(key), on_redis, job);
    if (!job->read)
        ask_dns(job);
    return job;
}

void fetch_job_want_own(struct fetch_job *job)
{
    job->wants_own = true;
    if (!may_share(job))
        ask_dns(job);
}

void fetch_job_outdate(struct fetch *fetch, const char *key)
{
    struct fetch_job *job = local_get(fetch->jobs, key, 0);

    if (!job)
        return;
    job->is_outdated = true;
    if (job->turn)
        event_active(job->turn, EV_TIMEOUT, 0);
}

static void outdate_one(void *arg, const char *key, void *value, int64_t expires)
{
    struct fetch_job *job = value;

    (void)arg, (void)key, (void)expires;
    job->is_outdated = true;
}

void fetch_job_outdate_all(struct fetch *fetch)
{
    local_each(fetch->jobs, 0, outdate_one, NULL);
}

static void drop_job(void *arg, const char *key, void *value, int64_t expires)
{
    struct fetch_job *job = value;

    (void)arg, (void)key, (void)expires;
    fetch_wait_drop(&job->waiters[FETCH_ANY]);
    fetch_wait_drop(&job->waiters[FETCH_OWN]);
    free_job(job);
}

void fetch_job_drop_all(struct fetch *fetch)
{
    local_each(fetch->jobs, 0, drop_job, NULL);
}

size_t fetch_count(const struct fetch *fetch)
{
    return local_count(fetch->jobs);
}
