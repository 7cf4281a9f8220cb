/*
 * Facts in Redis: one key a name (SPEC 8: mx, addr), read, written and deleted.
 *
 * The SRV ordering of example.com lives at mx:_smtp._tcp.example.com. So the MX ordering of a domain
 * that is itself so called is not shared: each node resolves it.
 *
 * With a secret every value is written with its mac, and one read with a valid mac, whose times can
 * be, is proven (facts.h).
 */
#ifndef CACHE_SHARE_H
#define CACHE_SHARE_H

#include "cache/facts.h"
#include "cache/mac.h"
#include "cache/store.h"

struct share_read;
struct share_lease;

/* facts is the callback's, with own = false; NULL: not there, not believable, or not reached. */
typedef void share_done(void *arg, struct facts *facts);

struct share_place {
    struct store *store; /* NULL where there is none */
    const struct clock *clock;
    const char *prefix;
    int64_t max_ttl;           /* milliseconds, bounds what Redis may claim */
    const struct mac_key *mac; /* the site's secret; it outlives what is under way */
};

/* NULL where nothing was sent: no callback then. The callback comes once, from the loop. */
struct share_read *share_read(const struct share_place *place, enum facts_kind kind,
                              const char *name, share_done *done, void *arg);
/* No callback any more. */
void share_cancel(struct share_read *read);

/* Asks to be the one node that looks the name up for all, for that many milliseconds. taken: another
 * one is. Where Redis was not reached, nobody is. Rules as for share_read. */
typedef void share_lease_done(void *arg, bool taken);
struct share_lease *share_lease(const struct share_place *place, enum facts_kind kind,
                                const char *name, int64_t life, share_lease_done *done, void *arg);
void share_lease_cancel(struct share_lease *lease);

/* Key, value and TTL in one transaction; not waited for. stale: milliseconds beyond the facts'
 * own life, but for a name that does not exist. Facts that are not to be shared (codec.h) are not written. */
void share_write(const struct share_place *place, const struct facts *facts, const char *name,
                 int64_t stale);
/* A domain's orderings, and the addresses of its hosts as far as these (may be NULL) tell them. */
void share_delete(const struct share_place *place, const char *domain, const struct facts *mx,
                  const struct facts *srv);

#endif
