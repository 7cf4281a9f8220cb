/*
 * The knowledge about one name, and how it ages. The clock and the table are fetch.c's.
 */
#include "cache/known.h"

#include <stdlib.h>

struct known *known_new(void)
{
    return calloc(1, sizeof(struct known));
}

/* Times go too: an empty slot is neither fresh nor kept. */
static void empty(struct known_slot *slot)
{
    facts_unref(slot->facts);
    *slot = (struct known_slot){0};
}

void known_free(void *value)
{
    struct known *known = value;

    if (!known)
        return;
    empty(&known->own);
    empty(&known->shared);
    facts_unref(known->failed);
    free(known);
}

/* Until when what was read from Redis serves, by time; never, where it may not. */
static int64_t shared_until(const struct known *known, bool for_route, int64_t time)
{
    const struct facts *facts = known->shared.facts;

    return facts && (!for_route || facts_are_trusted(facts)) ? time : INT64_MIN;
}

const struct facts *known_fresh(const struct known *known, bool for_route, int64_t now)
{
    if (known->own.facts && now < known->own.fresh)
        return known->own.facts;
    if (now < shared_until(known, for_route, known->shared.fresh))
        return known->shared.facts;
    return NULL;
}

/* For a Null MX mail bounces: not for one that may have been taken back. */
static bool may_be_stale(const struct facts *facts)
{
    return facts->kind != FACTS_MX || facts->state != FACTS_NULL;
}

const struct facts *known_kept(const struct known *known, bool for_route, int64_t now)
{
    const struct facts *fresh = known_fresh(known, for_route, now);
    bool own = known->own.facts && may_be_stale(known->own.facts) && now < known->own.kept;
    bool shared = now < shared_until(known, for_route, known->shared.kept) &&
                  may_be_stale(known->shared.facts);

    if (fresh)
        return fresh;
    if (own && (!shared || known->own.kept >= known->shared.kept))
        return known->own.facts;
    return shared ? known->shared.facts : NULL;
}

bool known_is_ending(const struct known *known, bool for_route, int64_t now)
{
    bool own = known->own.facts && now < known->own.ending;

    return known_fresh(known, for_route, now) && !own &&
           now >= shared_until(known, for_route, known->shared.ending);
}

bool known_is_resting(const struct known *known, int64_t now)
{
    return now < known->retry;
}

int64_t known_end(const struct known *known)
{
    /* A failure is remembered beyond its rest, or the next one would not be longer. */
    int64_t end = known->failures ? known->retry + KNOWN_RETRY_CAP : 0;

    if (known->own.facts && known->own.kept > end)
        end = known->own.kept;
    if (known->shared.facts && known->shared.kept > end)
        end = known->shared.kept;
    return end;
}

/* A half answer says nothing new about the half that it lacks. */
static void learn_families(struct known *known, const struct facts *facts)
{
    if (facts->kind != FACTS_ADDR)
        return;
    if (!facts->addr.a_failed)
        known->family_kept[0] = known->own.kept;
    if (!facts->addr.aaaa_failed)
        known->family_kept[1] = known->own.kept;
}

void known_put(struct known *known, const struct facts *facts, struct known_span span, int64_t now,
               int64_t unix_now)
{
    int64_t life = (facts->expires - unix_now) * 1000;
    struct known_slot *slot = facts->own ? &known->own : &known->shared;

    /* Whoever may write to Redis could push out what is proven by what is not. */
    if (slot->facts && facts_are_trusted(slot->facts) && !facts_are_trusted(facts) &&
        now < slot->kept)
        return;
    struct known_slot filled = {.facts = facts_ref(facts)};
    if (life > 0)
        life += life / 1000 * span.jitter;
    filled.fresh = now + life;
    filled.ending = filled.fresh - life / KNOWN_LAST_PART;
    filled.kept = filled.fresh + span.stale;
    empty(slot);
    *slot = filled;
    if (!facts->own)
        return;
    learn_families(known, facts);
    known->failures = 0;
    known->retry = 0;
}

void known_fail(struct known *known, enum facts_kind kind, int64_t now)
{
    int64_t rest = KNOWN_RETRY_CAP;

    if (!known->failed)
        known->failed = facts_new(kind, FACTS_FAIL);
    if (known->failures < 5)
        rest = (int64_t)KNOWN_RETRY_FIRST << known->failures;
    known->failures++;
    known->retry = now + rest;
}

void known_age_own(struct known *known, int64_t now)
{
    if (known->own.fresh > now)
        known->own.fresh = now;
}

void known_age(struct known *known, int64_t now)
{
    known_age_own(known, now);
    empty(&known->shared);
    known->failures = 0;
    known->retry = 0;
}

void known_complete(const struct known *known, struct facts *facts, int64_t now)
{
    const struct facts *old = known->own.facts;
    bool failed4 = facts->addr.a_failed, failed6 = facts->addr.aaaa_failed;

    if (!failed4 && !failed6)
        return;
    if (facts->ttl > KNOWN_PARTIAL_TTL)
        facts->ttl = KNOWN_PARTIAL_TTL;
    if (old && failed4 && now < known->family_kept[0]) {
        for (size_t i = 0; i < old->addr.a_count; i++)
            facts_add_addr(facts, &old->addr.a[i]);
    }
    if (old && failed6 && now < known->family_kept[1]) {
        for (size_t i = 0; i < old->addr.aaaa_count; i++)
            facts_add_addr(facts, &old->addr.aaaa[i]);
    }
}
