/*
 * Facts on request: the process's table, then Redis, then the DNS.
 *
 * The life of a fetch. fetch_peek answers from the table and never waits. Where it returns NULL the
 * asker calls fetch_ask with a budget: the first asker of a name starts one fetch (Redis within the
 * store's budget, unless nothing there will do; then DNS), everybody else joins it as a waiter.
 * Each waiter is called back once: with the facts when they come, or when its own budget is over
 * with the stale facts if there are any, else NULL ("cannot tell"). After dns_timeout all of them
 * hear that it cannot be told; the fetch goes on behind, up to 5 s, and fills the table and Redis.
 * Facts asked for in the last tenth of their life are fetched anew while they still serve, and lives
 * differ by node and name by up to a tenth either way: so what is in use is never cold, and the nodes
 * of a site do not ask all at once. Where several do (a name cold everywhere), a short lease in Redis
 * lets one ask the DNS while the others wait for what it writes, half of dns_timeout at most; but
 * never those who must resolve it themselves. A DNS answer FAIL leaves expired facts in place (not older
 * than `stale`), and is itself remembered for 1 s doubling to 30 s, so that a dead zone is not
 * asked at every message: meanwhile fetch_peek answers FAIL where nothing is kept, and fetch_ask
 * answers at the next turn of the loop with what is kept. Of a host one of whose families could not
 * be told the last good addresses of that family stay (within `stale`), for 30 s at a time; such
 * halves are not written to Redis. `changed` is carried over while the set stays the same, and 0
 * where this process knew no set before.
 *
 * Trust. What is read from Redis may guide the guard where it only delays (FETCH_ANY), and a route, a
 * FILTER or a refusal for good (FETCH_OWN) only if it is proven under the site's secret
 * (cache/mac.h); without one these use what this process resolved itself. So under a secret every
 * fetch begins with Redis, and without it one for a route does not.
 */
#ifndef CACHE_FETCH_H
#define CACHE_FETCH_H

#include "cache/clock.h"
#include "cache/dns.h"
#include "cache/facts.h"
#include "cache/notice.h"
#include "cache/store.h"

struct event_base;
struct fetch;
struct fetch_wait;

enum fetch_trust { FETCH_ANY, FETCH_OWN };

struct fetch_options {
    size_t entries;      /* of the table */
    int64_t stale;       /* milliseconds that expired facts may still serve */
    int64_t max_ttl;     /* milliseconds, bounds what Redis may claim */
    const char *prefix;  /* of Redis keys; copied */
    const char *node;    /* nodes of different names let facts expire at different times; copied */
    int64_t dns_timeout; /* milliseconds that askers wait for the DNS; 0: as long as it takes */
    const void *secret;  /* the site's, copied; of size 0 for none */
    size_t secret_size;
};

/* dns and clock outlive the fetch; store is NULL where there is no Redis. */
struct fetch *fetch_new(struct event_base *base, const struct fetch_options *options,
                        struct clock *clock, struct dns *dns, struct store *store,
                        const struct notice *notice);
/* Waiters are dropped without a callback. To be freed before its store, and that before its dns. */
void fetch_free(struct fetch *fetch);
void fetch_set_options(struct fetch *fetch, const struct fetch_options *options);

/* Fresh facts from the table with a new reference, or NULL. name is canonical. */
const struct facts *fetch_peek(struct fetch *fetch, enum facts_kind kind, const char *name,
                               enum fetch_trust trust);
/* The same, expired ones included (within stale): for those who must not wait at all, and for
 * upkeep. Not counted as a hit. */
const struct facts *fetch_peek_stale(struct fetch *fetch, enum facts_kind kind, const char *name,
                                     enum fetch_trust trust);

/* Whether the name is in the table, whatever is known of it, or under way: asking costs nothing that
 * has not been spent. */
bool fetch_has(struct fetch *fetch, enum facts_kind kind, const char *name);

/* facts is the callback's, with its own reference; NULL: cannot tell within the budget. Never
 * called inside fetch_ask, which returns NULL, without a callback to come, when out of memory. A
 * callback may ask and cancel, but not free the fetch. */
typedef void fetch_done(void *arg, const struct facts *facts);
struct fetch_wait *fetch_ask(struct fetch *fetch, enum facts_kind kind, const char *name,
                             enum fetch_trust trust, int64_t budget, fetch_done *done, void *arg);
void fetch_cancel(struct fetch_wait *wait);

/* How many names are being looked up: those for whom nobody waits are in no hurry, and can wait for
 * it to fall. */
size_t fetch_count(const struct fetch *fetch);

/* Starts a fetch if facts for a route are missing, or expire within ahead milliseconds or half their
 * ttl, whichever is less; nobody waits. */
void fetch_refresh(struct fetch *fetch, enum facts_kind kind, const char *name, int64_t ahead);

/* One key changed in Redis (name is the rest of it): looks there. Gone: what was shared is dropped,
 * what was resolved here is no longer fresh, so that the next asker has it resolved anew (and it
 * still serves as stale). Still there, as after one's own write: shared facts are renewed, own ones
 * stay, unless those in Redis are another set and expire over 30 s later. */
void fetch_forget(struct fetch *fetch, enum facts_kind kind, const char *name);
/* All of it may have changed (FLUSHALL, tracking lost): as above where the key is gone. */
void fetch_forget_all(struct fetch *fetch);
/* By hand: a domain, its orderings and their hosts, out of the table and out of Redis. */
void fetch_purge(struct fetch *fetch, const char *domain);
/* None of the three hurts a waiter under way. */

#endif
