/*
 * What changed elsewhere, or is changed by hand.
 *
 * Echoes. Redis tells of every changed key, those that this process wrote included, and does not
 * tell how. So fetch_forget looks at the key: gone, and everything known is aged; there, and it is
 * taken into the shared slot, while what was resolved here stays, unless another node has a
 * clearly newer and different answer. So one's own echo changes nothing, two nodes do not make each
 * other resolve in turns, and a DEL by hand reaches everyone.
 */
#include "cache/fetch_inside.h"

#include <utlist.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NEWER = 30 }; /* seconds */

/* A look at a key that changed. */
struct fetch_check {
    struct fetch_check *prev, *next;
    struct fetch *fetch;
    struct share_read *read;
    enum facts_kind kind;
    char key[FETCH_KEY_SIZE];
};

/* Of two nodes with different answers (a resolver each, a zone that answers by place) both would
 * look newer to the other in turns; NEWER seconds between them bound that to a rare exchange. */
static bool is_clearly_newer(const struct facts *theirs, const struct facts *ours)
{
    return !facts_equal(theirs, ours) && theirs->expires > ours->expires + NEWER;
}

/* No facts: gone, not believable, or not reached, and the answer to doubt is to ask the DNS. */
static void on_checked(void *arg, struct facts *facts)
{
    struct fetch_check *check = arg;
    struct fetch *fetch = check->fetch;
    struct known *known = fetch_find(fetch, check->key);
    int64_t now = clock_mono();

    if (known && facts) {
        if (known->own.facts && (facts->proven || !fetch->mac.is_set) &&
            is_clearly_newer(facts, known->own.facts))
            known_age_own(known, now);
        known->retry = 0;
        fetch_put(fetch, check->key, facts);
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
    struct fetch_check *check = calloc(1, sizeof(*check));

    if (!check)
        return false;
    check->fetch = fetch;
    check->kind = kind;
    snprintf(check->key, sizeof(check->key), "%s", key);
    check->read = share_read(&fetch->place, kind, fetch_name(key), on_checked, check);
    if (!check->read) {
        free(check);
        return false;
    }
    DL_APPEND(fetch->checks, check);
    return true;
}

void fetch_forget(struct fetch *fetch, enum facts_kind kind, const char *name)
{
    char key[FETCH_KEY_SIZE];
    struct known *known;

    if (strlen(name) >= NAME_SIZE)
        return;
    fetch_job_outdate(fetch, fetch_key(kind, name, key));
    known = fetch_find(fetch, key);
    if (known && !start_check(fetch, kind, key))
        known_age(known, clock_mono());
}

static void age_one(void *arg, const char *key, void *value, int64_t expires)
{
    (void)arg, (void)key, (void)expires;
    known_age(value, clock_mono());
}

void fetch_forget_all(struct fetch *fetch)
{
    local_each(fetch->table, clock_mono(), age_one, NULL);
    fetch_job_outdate_all(fetch);
}

/* Unlike forgetting, by hand: nothing is left to serve as stale. */
static void purge_one(struct fetch *fetch, enum facts_kind kind, const char *name)
{
    char key[FETCH_KEY_SIZE];

    fetch_job_outdate(fetch, fetch_key(kind, name, key));
    local_remove(fetch->table, key);
}

/* What is kept, with a new reference, or NULL. */
static const struct facts *kept(struct fetch *fetch, enum facts_kind kind, const char *name)
{
    char key[FETCH_KEY_SIZE];
    const struct known *known = fetch_find(fetch, fetch_key(kind, name, key));
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

void fetch_check_drop_all(struct fetch *fetch)
{
    for (struct fetch_check *check; (check = fetch->checks);) {
        DL_DELETE(fetch->checks, check);
        share_cancel(check->read);
        free(check);
    }
}
