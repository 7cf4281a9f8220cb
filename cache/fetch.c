/*
 * The table of what is known, looks into it, and the life of the whole.
 *
 * Facts read from the table are never copied: fetch_peek hands out references (facts.h).
 */
#include "cache/fetch_inside.h"

#include "cache/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { JITTER = 100 }; /* thousandths of a life */

void fetch_tell(const struct fetch *fetch, enum facts_kind kind, enum fetch_what what)
{
    static const enum notice_kind notices[][4] = {
        [FACTS_MX] = {NOTICE_MX_HIT, NOTICE_MX_MISS, NOTICE_MX_STALE, NOTICE_MX_SHARED},
        [FACTS_ADDR] = {NOTICE_ADDR_HIT, NOTICE_ADDR_MISS, NOTICE_ADDR_STALE, NOTICE_ADDR_SHARED},
        [FACTS_SRV] = {NOTICE_MX_HIT, NOTICE_MX_MISS, NOTICE_MX_STALE, NOTICE_MX_SHARED},
    };

    notice_give(fetch->notice, notices[kind][what], NULL);
}

char *fetch_key(enum facts_kind kind, const char *name, char out[FETCH_KEY_SIZE])
{
    static const char letter[] = {[FACTS_MX] = 'm', [FACTS_ADDR] = 'a', [FACTS_SRV] = 's'};

    snprintf(out, FETCH_KEY_SIZE, "%c:%s", letter[kind], name);
    return out;
}

const char *fetch_name(const char *key)
{
    return key + 2;
}

/* The table. */

struct known *fetch_find(struct fetch *fetch, const char *key)
{
    return local_get(fetch->table, key, clock_mono());
}

struct known *fetch_find_or_make(struct fetch *fetch, const char *key)
{
    struct known *known = fetch_find(fetch, key);

    if (known)
        return known;
    known = known_new();
    if (!known || !local_put(fetch->table, key, known, 0, INT64_MAX))
        return NULL;
    return known;
}

void fetch_settle(struct fetch *fetch, const char *key, const struct known *known)
{
    local_set_expiry(fetch->table, key, known_end(known));
}

/* By node and name, so that it is the same at every fetch: the nodes stay apart. */
static int jitter_of(const struct fetch *fetch, const char *key)
{
    return fetch->node[0] ? (int)(hash_choice(fetch->node, key) % (2 * JITTER + 1)) - JITTER : 0;
}

/* Out of memory: not remembered, which costs a look-up later and nothing else. */
void fetch_put(struct fetch *fetch, const char *key, const struct facts *facts)
{
    struct known *known = fetch_find_or_make(fetch, key);
    struct known_span span = {.stale = fetch->stale};

    if (!known)
        return;
    span.jitter = jitter_of(fetch, key);
    known_put(known, facts, span, clock_mono(), clock_unix(fetch->clock));
    fetch_settle(fetch, key, known);
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
    char key[FETCH_KEY_SIZE];
    const struct known *known = fetch_find(fetch, fetch_key(kind, name, key));
    const struct facts *facts = known ? answer_now(known, trust, clock_mono()) : NULL;

    return facts ? facts_ref(facts) : NULL;
}

/* What is in use is fetched anew before it expires: by whoever asks for it in the last part of its
 * life, for nobody to wait for. */
static void renew(struct fetch *fetch, enum facts_kind kind, const char *name,
                  enum fetch_trust trust)
{
    char key[FETCH_KEY_SIZE];
    const struct known *known = fetch_find(fetch, fetch_key(kind, name, key));
    int64_t now = clock_mono();

    if (known && known_is_ending(known, trust == FETCH_OWN, now) && !known_is_resting(known, now) &&
        !local_get(fetch->jobs, key, 0))
        fetch_job_start(fetch, kind, key, trust, INT64_MAX);
}

const struct facts *fetch_peek(struct fetch *fetch, enum facts_kind kind, const char *name,
                               enum fetch_trust trust)
{
    const struct facts *facts = peek(fetch, kind, name, trust);

    if (!facts)
        return NULL;
    fetch_tell(fetch, kind, FETCH_WHAT_HIT);
    renew(fetch, kind, name, trust);
    return facts;
}

const struct facts *fetch_peek_stale(struct fetch *fetch, enum facts_kind kind, const char *name,
                                     enum fetch_trust trust)
{
    const struct facts *facts = peek(fetch, kind, name, trust);
    char key[FETCH_KEY_SIZE];
    const struct known *known;

    if (facts)
        return facts;
    known = fetch_find(fetch, fetch_key(kind, name, key));
    facts = known ? known_kept(known, trust == FETCH_OWN, clock_mono()) : NULL;
    if (!facts)
        return NULL;
    fetch_tell(fetch, kind, FETCH_WHAT_STALE);
    return facts_ref(facts);
}

bool fetch_has(struct fetch *fetch, enum facts_kind kind, const char *name)
{
    char key[FETCH_KEY_SIZE];

    return fetch_find(fetch, fetch_key(kind, name, key)) || local_get(fetch->jobs, key, 0);
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
    char key[FETCH_KEY_SIZE];
    const struct known *known = fetch_find(fetch, fetch_key(kind, name, key));
    struct fetch_job *job = local_get(fetch->jobs, key, 0);

    if (known && !is_due(known, ahead, clock_mono()))
        return;
    if (job)
        fetch_job_want_own(job);
    else
        fetch_job_start(fetch, kind, key, FETCH_OWN, ahead);
}

static void on_evicted(void *arg, const void *value)
{
    const struct fetch *fetch = arg;

    (void)value;
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
    fetch->place = (struct share_place){.store = store, .clock = clock, .mac = &fetch->mac};
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
    struct mac_key mac;

    if (prefix) {
        free(fetch->prefix);
        fetch->prefix = prefix;
        fetch->place.prefix = prefix;
    }
    mac_key_init(&mac, options->secret, options->secret_size);
    if (memcmp(&mac, &fetch->mac, sizeof mac) != 0) {
        /* What the old secret proved may be forged by now: that is why it was changed. */
        fetch_forget_all(fetch);
        fetch->mac = mac;
    }
    fetch->stale = options->stale;
    fetch->dns_timeout = options->dns_timeout;
    snprintf(fetch->node, sizeof(fetch->node), "%s", options->node ? options->node : "");
    fetch->place.max_ttl = options->max_ttl;
    local_set_limit(fetch->table, options->entries);
}

void fetch_free(struct fetch *fetch)
{
    if (!fetch)
        return;
    fetch_wait_drop(&fetch->ready);
    if (fetch->jobs)
        fetch_job_drop_all(fetch);
    fetch_check_drop_all(fetch);
    local_free(fetch->jobs);
    local_free(fetch->table);
    free(fetch->prefix);
    free(fetch);
}
