/*
 * Fetching: one job a name, however many wait for it.
 *
 * A job begins with a Redis read where that will do for its first asker, and comes to the DNS when
 * Redis has nothing, or as soon as somebody joins who needs facts resolved here. For a host it asks
 * A and AAAA at once. It ends when the DNS has answered, when Redis served everyone, or after
 * JOB_LIMIT. Waiters are called from the loop only: out of a job's end, out of their own timer, or,
 * where the answer is known already, out of that timer set to now.
 *
 * Facts read from the table are never copied: fetch_peek hands out references (facts.h).
 *
 * Echoes. Redis tells of every changed key, those that this process wrote included, and does not
 * tell how. So fetch_forget looks at the key: gone, and everything known is aged; there, and it is
 * taken into the shared slot, while what was resolved here stays, unless another node has a
 * clearly newer and different answer. So one's own echo changes nothing, two nodes do not make each
 * other resolve in turns, and a DEL by hand reaches everyone.
 */
#include "cache/fetch.h"

#include "cache/known.h"
#include "cache/local.h"
#include "cache/share.h"

#include <event2/event.h>
#include <utlist.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JOB_LIMIT = 5000, KEY_SIZE = NAME_SIZE + 2, NEWER = 30 };

struct fetch {
    struct event_base *base;
    struct clock *clock;
    struct dns *dns;
    const struct notice *notice;
    int64_t stale;
    char *prefix;
    struct share_place place;
    struct local *table;      /* "m:name", "a:name", "s:name" to struct known */
    struct local *jobs;       /* the same to struct job, without bound or expiry */
    struct fetch_wait *ready; /* waiters whose answer is known */
    struct check *checks;
};

struct part {
    struct job *job;
    struct dns_query *query;
    struct facts *facts;
};

struct job {
    struct fetch *fetch;
    enum facts_kind kind;
    char key[KEY_SIZE];
    struct fetch_wait *waiters[2]; /* by enum fetch_trust */
    struct share_read *read;
    bool is_outdated; /* the key changed while it was read */
    bool asked_dns;
    unsigned open; /* parts not answered */
    struct part part[2];
    struct event *limit;
};

struct fetch_wait {
    struct fetch_wait *prev, *next;
    struct fetch *fetch;
    struct job *job;           /* NULL: in fetch->ready */
    const struct facts *facts; /* then; may be NULL */
    enum facts_kind kind;
    char key[KEY_SIZE];
    enum fetch_trust trust;
    struct event *timer;
    fetch_done *done;
    void *arg;
};

/* A look at a key that changed. */
struct check {
    struct check *prev, *next;
    struct fetch *fetch;
    struct share_read *read;
    enum facts_kind kind;
    char key[KEY_SIZE];
};

enum what { WHAT_HIT, WHAT_MISS, WHAT_STALE, WHAT_SHARED };

static void tell(const struct fetch *fetch, enum facts_kind kind, enum what what)
{
    static const enum notice_kind notices[][4] = {
        [FACTS_MX] = {NOTICE_MX_HIT, NOTICE_MX_MISS, NOTICE_MX_STALE, NOTICE_MX_SHARED},
        [FACTS_ADDR] = {NOTICE_ADDR_HIT, NOTICE_ADDR_MISS, NOTICE_ADDR_STALE, NOTICE_ADDR_SHARED},
        [FACTS_SRV] = {NOTICE_MX_HIT, NOTICE_MX_MISS, NOTICE_MX_STALE, NOTICE_MX_SHARED},
    };

    notice_give(fetch->notice, notices[kind][what], NULL);
}

static char *key_of(enum facts_kind kind, const char *name, char out[KEY_SIZE])
{
    static const char letter[] = {[FACTS_MX] = 'm', [FACTS_ADDR] = 'a', [FACTS_SRV] = 's'};

    snprintf(out, KEY_SIZE, "%c:%s", letter[kind], name);
    return out;
}

static const char *name_of(const char *key)
{
    return key + 2;
}

/* The table. */

/* Expired entries are gone by this look, so what comes back holds something, or did. */
static struct known *find(struct fetch *fetch, const char *key)
{
    return local_get(fetch->table, key, clock_mono());
}

/* A new entry lasts until settle has seen what was put into it. */
static struct known *find_or_make(struct fetch *fetch, const char *key)
{
    struct known *known = find(fetch, key);

    if (known)
        return known;
    known = known_new();
    if (!known || !local_put(fetch->table, key, known, 0, INT64_MAX))
        return NULL;
    return known;
}

static void settle(struct fetch *fetch, const char *key, const struct known *known)
{
    local_set_expiry(fetch->table, key, known_end(known));
}

/* Out of memory: not remembered, which costs a look-up later and nothing else. */
static void put(struct fetch *fetch, const char *key, const struct facts *facts)
{
    struct known *known = find_or_make(fetch, key);

    if (!known)
        return;
    known_put(known, facts, fetch->stale, clock_mono(), clock_unix(fetch->clock));
    settle(fetch, key, known);
}

/* What to answer without asking: fresh facts, or a recent failure where nothing better is kept. */
static const struct facts *answer_now(const struct known *known, enum fetch_trust trust,
                                      int64_t now)
{
    const struct facts *facts = known_fresh(known, trust == FETCH_OWN, now);

    if (facts)
        return facts;
    if (known_is_resting(known, now) && !known_kept(known, trust == FETCH_OWN, now))
        return known->failed;
    return NULL;
}

static const struct facts *peek(struct fetch *fetch, enum facts_kind kind, const char *name,
                                enum fetch_trust trust)
{
    char key[KEY_SIZE];
    const struct known *known = find(fetch, key_of(kind, name, key));
    const struct facts *facts = known ? answer_now(known, trust, clock_mono()) : NULL;

    return facts ? facts_ref(facts) : NULL;
}

const struct facts *fetch_peek(struct fetch *fetch, enum facts_kind kind, const char *name,
                               enum fetch_trust trust)
{
    const struct facts *facts = peek(fetch, kind, name, trust);

    if (facts)
        tell(fetch, kind, WHAT_HIT);
    return facts;
}

const struct facts *fetch_peek_stale(struct fetch *fetch, enum facts_kind kind, const char *name,
                                     enum fetch_trust trust)
{
    const struct facts *facts = peek(fetch, kind, name, trust);
    char key[KEY_SIZE];
    const struct known *known;

    if (facts)
        return facts;
    known = find(fetch, key_of(kind, name, key));
    facts = known ? known_kept(known, trust == FETCH_OWN, clock_mono()) : NULL;
    if (!facts)
        return NULL;
    tell(fetch, kind, WHAT_STALE);
    return facts_ref(facts);
}

/* Waiters. */

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
    const struct known *known = find(wait->fetch, wait->key);
    const struct facts *facts = NULL;

    if (known)
        facts = known_kept(known, wait->trust == FETCH_OWN, clock_mono());
    if (facts)
        tell(wait->fetch, wait->kind, WHAT_STALE);
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

/* Jobs. */

/* Whatever is still under way for it is called off: no callback finds a job that is gone. */
static void free_job(struct job *job)
{
    if (job->read)
        share_cancel(job->read);
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

/* The parts' answers as one: new, or NULL where there is none. */
static struct facts *join_parts(struct job *job, const struct known *known)
{
    struct facts *facts = NULL;

    if (job->kind != FACTS_ADDR) {
        facts = job->part[0].facts;
        job->part[0].facts = NULL;
    } else if (job->part[0].facts && job->part[1].facts) {
        facts = answer_join(job->part[0].facts, job->part[1].facts);
        if (facts && known && facts->state == FACTS_OK) {
            known_complete(known, facts, clock_mono());
            facts_seal(facts);
        }
    }
    return facts;
}

/* Good facts that are kept stay in their slot: a failure is put beside them, never over them. */
static void remember_failure(struct fetch *fetch, const struct job *job)
{
    struct known *known = find_or_make(fetch, job->key);

    if (!known)
        return;
    known_fail(known, job->kind, clock_mono());
    settle(fetch, job->key, known);
}

/* Callbacks may cancel other waiters and add new ones: each round begins at the head. */
static void serve(struct fetch_wait **list, const struct facts *facts)
{
    for (struct fetch_wait *wait; (wait = *list);) {
        DL_DELETE(*list, wait);
        if (facts)
            answer_wait(wait, facts);
        else
            answer_wait_stale(wait);
    }
}

/* What the DNS said, or did not say in time, ends a job. */
static void finish_job(struct job *job)
{
    struct fetch *fetch = job->fetch;
    const struct known *known = find(fetch, job->key);
    struct facts *facts = join_parts(job, known);
    bool good = facts && facts->state != FACTS_FAIL;

    local_remove(fetch->jobs, job->key);
    if (good) {
        stamp(fetch, known, facts);
        put(fetch, job->key, facts);
        share_write(&fetch->place, facts, name_of(job->key), fetch->stale);
    } else {
        remember_failure(fetch, job);
    }
    serve(&job->waiters[FETCH_ANY], good ? facts : NULL);
    serve(&job->waiters[FETCH_OWN], good ? facts : NULL);
    facts_unref(facts);
    free_job(job);
}

/* The DNS has budgets of its own, well below this; here ends what slipped through them. */
static void on_job_limit(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    finish_job(arg);
}

static void on_dns(void *arg, struct facts *facts)
{
    struct part *part = arg;
    struct job *job = part->job;

    part->query = NULL;
    part->facts = facts;
    if (!--job->open)
        finish_job(job);
}

/* Once a job. Of a host both families at the same time: neither may wait for the other. */
static void ask_dns(struct job *job)
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
    job->open = job->kind == FACTS_ADDR ? 2 : 1;
    facts_owner(job->kind, name_of(job->key), owner);
    for (size_t i = 0; i < job->open; i++) {
        struct part *part = &job->part[i];

        part->job = job;
        part->query = dns_ask(job->fetch->dns, types[job->kind][i], owner, on_dns, part);
        if (!part->query) /* out of memory: the job's end comes from the loop */
            event_active(job->limit, EV_TIMEOUT, 0);
    }
}

/* A key that changed while it was read serves those who wait, but is not kept: the message that
 * told of the change has found nothing to forget. */
static void on_redis(void *arg, struct facts *facts)
{
    struct job *job = arg;
    struct fetch *fetch = job->fetch;

    job->read = NULL;
    if (facts && !job->is_outdated)
        put(fetch, job->key, facts);
    if (facts && facts->expires > clock_unix(fetch->clock)) {
        tell(fetch, job->kind, WHAT_SHARED);
        serve(&job->waiters[FETCH_ANY], facts);
    } else {
        ask_dns(job);
    }
    facts_unref(facts);
    if (job->waiters[FETCH_OWN])
        ask_dns(job);
    if (job->asked_dns)
        return;
    local_remove(fetch->jobs, job->key);
    free_job(job);
}

static struct job *start_job(struct fetch *fetch, enum facts_kind kind, const char *key,
                             enum fetch_trust trust)
{
    struct timeval tv = {.tv_sec = JOB_LIMIT / 1000};
    struct job *job = calloc(1, sizeof(*job));

    if (!job)
        return NULL;
    job->fetch = fetch;
    job->kind = kind;
    snprintf(job->key, sizeof(job->key), "%s", key);
    job->limit = evtimer_new(fetch->base, on_job_limit, job);
    if (!job->limit || event_add(job->limit, &tv) ||
        !local_put(fetch->jobs, key, job, 0, INT64_MAX)) {
        free_job(job);
        return NULL;
    }
    if (trust == FETCH_ANY)
        job->read = share_read(&fetch->place, kind, name_of(key), on_redis, job);
    if (!job->read)
        ask_dns(job);
    return job;
}

/* Asking. */

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
    key_of(kind, name, wait->key);
    wait->timer = evtimer_new(fetch->base, on_wait_timer, wait);
    if (wait->timer)
        return wait;
    free(wait);
    return NULL;
}

/* The job to wait on, joined or begun; NULL when out of memory. */
static struct job *job_for(struct fetch *fetch, const struct fetch_wait *wait)
{
    struct job *job = local_get(fetch->jobs, wait->key, 0);

    if (!job) {
        tell(fetch, wait->kind, WHAT_MISS);
        return start_job(fetch, wait->kind, wait->key, wait->trust);
    }
    notice_give(fetch->notice, NOTICE_HERD_JOINED, NULL);
    if (wait->trust == FETCH_OWN)
        ask_dns(job);
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
    known = find(fetch, wait->key);
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

/* Short-lived facts are due at half their life: an ahead beyond their ttl is no reason to ask
 * without end. */
static bool is_due(const struct known *known, int64_t ahead, int64_t now)
{
    const struct facts *facts = known_fresh(known, true, now);
    int64_t half;

    if (known_is_resting(known, now))
        return false;
    if (!facts)
        return true;
    half = (int64_t)facts->ttl * 1000 / 2;
    return !known_fresh(known, true, now + (ahead < half ? ahead : half));
}

void fetch_refresh(struct fetch *fetch, enum facts_kind kind, const char *name, int64_t ahead)
{
    char key[KEY_SIZE];
    const struct known *known = find(fetch, key_of(kind, name, key));
    struct job *job = local_get(fetch->jobs, key, 0);

    if (known && !is_due(known, ahead, clock_mono()))
        return;
    if (job)
        ask_dns(job);
    else
        start_job(fetch, kind, key, FETCH_OWN);
}

/* Forgetting. */

/* Of two nodes with different answers (a resolver each, a zone that answers by place) both would
 * look newer to the other in turns; NEWER seconds between them bound that to a rare exchange. */
static bool is_clearly_newer(const struct facts *theirs, const struct facts *ours)
{
    return !facts_equal(theirs, ours) && theirs->expires > ours->expires + NEWER;
}

/* No facts: gone, not believable, or not reached, and the answer to doubt is to ask the DNS. */
static void on_checked(void *arg, struct facts *facts)
{
    struct check *check = arg;
    struct fetch *fetch = check->fetch;
    struct known *known = find(fetch, check->key);
    int64_t now = clock_mono();

    if (known && facts) {
        if (known->own.facts && is_clearly_newer(facts, known->own.facts))
            known_age_own(known, now);
        known->retry = 0;
        put(fetch, check->key, facts);
    } else if (known) {
        known_age(known, now);
    }
    facts_unref(facts);
    DL_DELETE(fetch->checks, check);
    free(check);
}

/* One look a message, not coalesced: an earlier one under way may have missed this change. */
static bool start_check(struct fetch *fetch, enum facts_kind kind, const char *key)
{
    struct check *check = calloc(1, sizeof(*check));

    if (!check)
        return false;
    check->fetch = fetch;
    check->kind = kind;
    snprintf(check->key, sizeof(check->key), "%s", key);
    check->read = share_read(&fetch->place, kind, name_of(key), on_checked, check);
    if (!check->read) {
        free(check);
        return false;
    }
    DL_APPEND(fetch->checks, check);
    return true;
}

/* What a job is reading from Redis just now may be what was there before. */
static void outdate_job(struct fetch *fetch, const char *key)
{
    struct job *job = local_get(fetch->jobs, key, 0);

    if (job)
        job->is_outdated = true;
}

void fetch_forget(struct fetch *fetch, enum facts_kind kind, const char *name)
{
    char key[KEY_SIZE];
    struct known *known;

    if (strlen(name) >= NAME_SIZE)
        return;
    outdate_job(fetch, key_of(kind, name, key));
    known = find(fetch, key);
    if (known && !start_check(fetch, kind, key))
        known_age(known, clock_mono());
}

static void age_one(void *arg, const char *key, void *value, int64_t expires)
{
    (void)arg, (void)key, (void)expires;
    known_age(value, clock_mono());
}

static void outdate_one(void *arg, const char *key, void *value, int64_t expires)
{
    struct job *job = value;

    (void)arg, (void)key, (void)expires;
    job->is_outdated = true;
}

void fetch_forget_all(struct fetch *fetch)
{
    local_each(fetch->table, clock_mono(), age_one, NULL);
    local_each(fetch->jobs, 0, outdate_one, NULL);
}

/* Unlike forgetting, by hand: nothing is left to serve as stale. */
static void purge_one(struct fetch *fetch, enum facts_kind kind, const char *name)
{
    char key[KEY_SIZE];

    outdate_job(fetch, key_of(kind, name, key));
    local_remove(fetch->table, key);
}

/* What is kept, with a new reference, or NULL. */
static const struct facts *kept(struct fetch *fetch, enum facts_kind kind, const char *name)
{
    char key[KEY_SIZE];
    const struct known *known = find(fetch, key_of(kind, name, key));
    const struct facts *facts = known ? known_kept(known, false, clock_mono()) : NULL;

    return facts ? facts_ref(facts) : NULL;
}

static void purge_hosts(struct fetch *fetch, const struct facts *order)
{
    for (size_t i = 0; order && i < order->mx.count; i++)
        purge_one(fetch, FACTS_ADDR, order->mx.host[i].name);
}

void fetch_purge(struct fetch *fetch, const char *domain)
{
    const struct facts *mx = kept(fetch, FACTS_MX, domain), *srv = kept(fetch, FACTS_SRV, domain);

    share_delete(&fetch->place, domain, mx, srv);
    purge_one(fetch, FACTS_MX, domain);
    purge_one(fetch, FACTS_SRV, domain);
    purge_one(fetch, FACTS_ADDR, domain);
    purge_hosts(fetch, mx);
    purge_hosts(fetch, srv);
    facts_unref(mx);
    facts_unref(srv);
}

/* Life. */

static void on_evicted(void *arg)
{
    const struct fetch *fetch = arg;

    notice_give(fetch->notice, NOTICE_EVICTED, NULL);
}

struct fetch *fetch_new(struct event_base *base, const struct fetch_options *options,
                        struct clock *clock, struct dns *dns, struct store *store,
                        const struct notice *notice)
{
    struct fetch *fetch = calloc(1, sizeof(*fetch));

    if (!fetch)
        return NULL;
    fetch->base = base;
    fetch->clock = clock;
    fetch->dns = dns;
    fetch->notice = notice;
    fetch->place = (struct share_place){.store = store, .clock = clock};
    fetch->table = local_new(options->entries, known_free);
    fetch->jobs = local_new(SIZE_MAX, NULL);
    if (fetch->table && fetch->jobs)
        fetch_set_options(fetch, options);
    if (!fetch->prefix) {
        fetch_free(fetch);
        return NULL;
    }
    local_set_evicted(fetch->table, on_evicted, fetch);
    return fetch;
}

void fetch_set_options(struct fetch *fetch, const struct fetch_options *options)
{
    char *prefix = strdup(options->prefix);

    if (prefix) {
        free(fetch->prefix);
        fetch->prefix = prefix;
        fetch->place.prefix = prefix;
    }
    fetch->stale = options->stale;
    fetch->place.max_ttl = options->max_ttl;
    local_set_limit(fetch->table, options->entries);
}

static void drop_waiters(struct fetch_wait **list)
{
    for (struct fetch_wait *wait; (wait = *list);) {
        DL_DELETE(*list, wait);
        free_wait(wait);
    }
}

static void drop_job(void *arg, const char *key, void *value, int64_t expires)
{
    struct job *job = value;

    (void)arg, (void)key, (void)expires;
    drop_waiters(&job->waiters[FETCH_ANY]);
    drop_waiters(&job->waiters[FETCH_OWN]);
    free_job(job);
}

void fetch_free(struct fetch *fetch)
{
    if (!fetch)
        return;
    drop_waiters(&fetch->ready);
    if (fetch->jobs)
        local_each(fetch->jobs, 0, drop_job, NULL);
    for (struct check *check; (check = fetch->checks);) {
        DL_DELETE(fetch->checks, check);
        share_cancel(check->read);
        free(check);
    }
    local_free(fetch->jobs);
    local_free(fetch->table);
    free(fetch->prefix);
    free(fetch);
}
