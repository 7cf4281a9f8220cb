/*
 * What this process knows about one name: the value of an entry of fetch.c's table. Pure.
 *
 * Two slots, because they are trusted differently: what was resolved here, and what was read from
 * Redis. Neither displaces the other; nor, in the second, what is without proof what has one. Beside them, since when and for how long the DNS has failed
 * to tell. All times are monotonic milliseconds but where "unix" is said.
 */
#ifndef CACHE_KNOWN_H
#define CACHE_KNOWN_H

#include "cache/facts.h"

#include <stdbool.h>
#include <stdint.h>

enum { KNOWN_LAST_PART = 10 }; /* a tenth of a life is its last part */
enum { KNOWN_RETRY_FIRST = 1000, KNOWN_RETRY_CAP = 30000, KNOWN_PARTIAL_TTL = 30 };

struct known_slot {
    const struct facts *facts; /* NULL: nothing */
    int64_t fresh, kept;       /* until when; fresh <= kept */
    int64_t ending;            /* from when on the last part of its fresh life runs */
};

struct known {
    struct known_slot own, shared;
    int64_t family_kept[2];     /* IPv4, IPv6: until when addresses of a good answer still serve */
    const struct facts *failed; /* state FAIL, once there was one */
    unsigned failures;          /* in a row */
    int64_t retry;              /* not asked again before */
};

struct known *known_new(void);
void known_free(void *known);

/* The facts to use, without a new reference, or NULL. for_route: none that is not to be trusted. Kept
 * are those that expired, too, but for a Null MX. */
const struct facts *known_fresh(const struct known *known, bool for_route, int64_t now);
const struct facts *known_kept(const struct known *known, bool for_route, int64_t now);
/* Whether all that is fresh is in its last part: time to look again before somebody must wait. */
bool known_is_ending(const struct known *known, bool for_route, int64_t now);
/* Whether the DNS failed lately and is left alone. */
bool known_is_resting(const struct known *known, int64_t now);
/* From when on there is nothing left in it. */
int64_t known_end(const struct known *known);

/* Facts with their times (expires, by unix) into their slot, with a reference of its own. Their life
 * is longer or shorter by jitter thousandths, and they serve stale milliseconds beyond it. Own facts
 * end a row of failures. */
struct known_span {
    int64_t stale;
    int jitter;
};
void known_put(struct known *known, const struct facts *facts, struct known_span span, int64_t now,
               int64_t unix_now);
/* The DNS could not tell: rest for 1 s, doubling to 30 s. */
void known_fail(struct known *known, enum facts_kind kind, int64_t now);
/* Something changed elsewhere: nothing is fresh now, what was shared is gone, the DNS may be asked
 * at once. What was resolved here still serves those who cannot wait. */
void known_age(struct known *known, int64_t now);
/* Only what was resolved here is no more fresh. */
void known_age_own(struct known *known, int64_t now);

/* Host addresses under construction, of which one family's look-up failed: takes over that
 * family's last good addresses while they are kept, and lives for a short time only. */
void known_complete(const struct known *known, struct facts *facts, int64_t now);

#endif
