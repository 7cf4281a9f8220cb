/*
 * Tiers: from candidates to an order of at most four hosts.
 *
 * Each host gets a grade, how good it is to name at all; the best grade present is the one to draw
 * from, and of that one tier. Everything after the winner is a function of the winner.
 */
#include "policy/tier.h"

#include "cache/hash.h"
#include "policy/spill.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Best first. Weight 0 is for when all else is unusable, so it has classes of its own. */
enum grade {
    GRADE_USABLE,
    GRADE_USABLE_ZERO,
    GRADE_HELD,    /* never the best: as much is usable in its tier */
    GRADE_FAILING, /* health is ignored when nothing is usable */
    GRADE_FAILING_ZERO,
    GRADE_UNKNOWN,    /* may not exist: as the last of a list it could bounce mail */
    GRADE_OVERRIDDEN, /* an override holds unless it leaves no host */
    GRADE_NEVER,      /* self, worse than self, or does not exist */
};

struct draw {
    const struct tier_host *host;
    size_t count;
    enum grade grade[TIER_MAX_HOSTS];
    size_t sorted[TIER_MAX_HOSTS]; /* indices by tier, name, port: the fixed order */
    struct tier_pick *pick;
    bool taken[TIER_MAX_HOSTS];
};

static bool is_overridden(const struct tier_host *host)
{
    return host->override == TIER_DRAINED || host->override == TIER_DOWN;
}

/* An operator who says "ready" knows better than the probes. */
static bool is_failing(const struct tier_host *host)
{
    return host->failing && host->override != TIER_READY;
}

bool tier_is_usable(const struct tier_host *host)
{
    return host->resolve == TIER_RESOLVES && !is_failing(host) && !is_overridden(host);
}

uint64_t tier_weight(const struct tier_host *host)
{
    return (uint64_t)host->weight * host->ramp;
}

uint32_t tier_ramp(int64_t age, int64_t window)
{
    uint32_t ramp;

    if (age < 0 || age >= window)
        return TIER_FULL_WEIGHT;
    ramp = (uint32_t)(age * TIER_FULL_WEIGHT / window);
    return ramp > TIER_FULL_WEIGHT / 10 ? ramp : TIER_FULL_WEIGHT / 10;
}

uint64_t tier_minus_log2(uint64_t hash)
{
    unsigned shift;
    uint64_t m, fraction = 0;

    if (hash == UINT64_MAX)
        return 0; /* u is 1 */
    shift = (unsigned)__builtin_clzll(hash + 1);
    m = (hash + 1) << shift; /* 1 <= m / 2^63 < 2 */
    for (int bit = 31; bit >= 0; bit--) {
        unsigned __int128 square = (unsigned __int128)m * m; /* scaled by 2^126 */
        if (square >> 127) {
            fraction |= UINT64_C(1) << bit;
            m = (uint64_t)(square >> 64);
        } else {
            m = (uint64_t)(square >> 63);
        }
    }
    return (UINT64_C(64) << 32) - (((uint64_t)(63 - shift) << 32) | fraction);
}

/* -log2(u) is below 2^39, so the dividend fits; a weight is below 2^33 (that of an SRV record, see
 * route.c; others below 2^26), so of the logarithm's 32 bits behind the point 23 count at least. */
static uint64_t score(const struct tier_host *host, const char *key)
{
    char name[NAME_SIZE + 8];
    uint64_t weight = tier_weight(host);

    snprintf(name, sizeof name, "%s:%u", host->name, host->port);
    return (tier_minus_log2(hash_choice(key, name)) << 24) / (weight ? weight : 1);
}

static enum grade classify(const struct tier_host *host, uint32_t self_tier)
{
    bool zero = tier_weight(host) == 0;

    if (host->self || host->tier >= self_tier || host->resolve == TIER_ABSENT)
        return GRADE_NEVER;
    if (is_overridden(host))
        return GRADE_OVERRIDDEN;
    if (host->resolve == TIER_MAY_RESOLVE)
        return GRADE_UNKNOWN;
    if (is_failing(host))
        return zero ? GRADE_FAILING_ZERO : GRADE_FAILING;
    return zero ? GRADE_USABLE_ZERO : GRADE_USABLE;
}

/* The best tier that holds this host; UINT32_MAX where none does. */
static uint32_t find_self_tier(const struct tier_host *host, size_t count)
{
    uint32_t tier = UINT32_MAX;

    for (size_t i = 0; i < count; i++)
        if (host[i].self && host[i].tier < tier)
            tier = host[i].tier;
    return tier;
}

static bool comes_before(const struct tier_host *a, const struct tier_host *b)
{
    int names;

    if (a->tier != b->tier)
        return a->tier < b->tier;
    names = strcmp(a->name, b->name);
    return names ? names < 0 : a->port < b->port;
}

static void sort(struct draw *draw)
{
    for (size_t i = 0; i < draw->count; i++) {
        size_t at = i;
        while (at > 0 && comes_before(&draw->host[i], &draw->host[draw->sorted[at - 1]])) {
            draw->sorted[at] = draw->sorted[at - 1];
            at--;
        }
        draw->sorted[at] = i;
    }
}

static enum tier_note explain(const struct tier_host *host, enum grade grade, uint32_t self_tier)
{
    switch (grade) {
    case GRADE_NEVER:
        if (host->self)
            return TIER_LEFT_SELF;
        return host->tier >= self_tier ? TIER_LEFT_WORSE_THAN_SELF : TIER_LEFT_ABSENT;
    case GRADE_OVERRIDDEN:
        return host->override == TIER_DRAINED ? TIER_LEFT_DRAINED : TIER_LEFT_DOWN;
    case GRADE_UNKNOWN: return TIER_LEFT_UNKNOWN;
    case GRADE_FAILING:
    case GRADE_FAILING_ZERO: return TIER_LEFT_FAILING;
    case GRADE_HELD: return TIER_LEFT_HELD;
    case GRADE_USABLE_ZERO: return TIER_LEFT_WEIGHT;
    case GRADE_USABLE: return TIER_LEFT_ROOM;
    }
    return TIER_LEFT_ROOM;
}

/* --- holding out -------------------------------------------------------------------------------- */

static uint64_t sum_weight(const struct draw *draw, uint32_t tier, enum grade grade)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < draw->count; i++)
        if (draw->host[i].tier == tier && draw->grade[i] == grade)
            sum += draw->host[i].weight;
    return sum;
}

/* The next host to be held out: of those not tried yet the one that flapped most, the first in
 * fixed order where several did. */
static size_t find_flapping(const struct draw *draw, const bool *tried)
{
    size_t found = SIZE_MAX;

    for (size_t i = 0; i < draw->count; i++) {
        size_t at = draw->sorted[i];
        const struct tier_host *host = &draw->host[at];
        if (tried[at] || !host->held || draw->grade[at] != GRADE_USABLE ||
            host->override == TIER_READY)
            continue;
        if (found == SIZE_MAX || host->held > draw->host[found].held)
            found = at;
    }
    return found;
}

/* Nominal weights: who is held out must not change with every step of a slow start. */
static void hold_out(struct draw *draw)
{
    bool tried[TIER_MAX_HOSTS] = {false};
    size_t at;

    while ((at = find_flapping(draw, tried)) != SIZE_MAX) {
        uint32_t tier = draw->host[at].tier;
        uint64_t held = sum_weight(draw, tier, GRADE_HELD);
        uint64_t all = held + sum_weight(draw, tier, GRADE_USABLE);

        tried[at] = true;
        if (2 * (held + draw->host[at].weight) > all)
            continue;
        draw->grade[at] = GRADE_HELD;
        draw->pick->note[at] = TIER_LEFT_HELD;
        draw->pick->held[at] = true;
    }
}

/* --- drawing ------------------------------------------------------------------------------------ */

static void take(struct draw *draw, size_t index)
{
    if (draw->pick->count < TIER_MAX_PICK && !draw->taken[index]) {
        draw->pick->index[draw->pick->count++] = index;
        draw->pick->note[index] = TIER_CHOSEN;
        draw->taken[index] = true;
    }
}

/* The winner among the grade's hosts of one tier; equal scores go to the first in fixed order. */
static size_t find_winner(struct draw *draw, enum grade grade, uint32_t tier, const char *key)
{
    size_t winner = SIZE_MAX;

    for (size_t i = 0; i < draw->count; i++) {
        size_t at = draw->sorted[i];
        if (draw->grade[at] != grade || draw->host[at].tier != tier)
            continue;
        draw->pick->score[at] = score(&draw->host[at], key);
        if (winner == SIZE_MAX || draw->pick->score[at] < draw->pick->score[winner])
            winner = at;
    }
    return winner;
}

/* Takes one tier's hosts of the grade, beginning with the start-th in fixed order and going round.
 */
static void take_round(struct draw *draw, enum grade grade, uint32_t tier, size_t start)
{
    size_t member[TIER_MAX_HOSTS], count = 0;

    for (size_t i = 0; i < draw->count; i++)
        if (draw->grade[draw->sorted[i]] == grade && draw->host[draw->sorted[i]].tier == tier)
            member[count++] = draw->sorted[i];
    for (size_t i = 0; i < count; i++)
        take(draw, member[(start + i) % count]);
}

/* The winner's place among its grade and tier in fixed order. */
static size_t find_rank(const struct draw *draw, size_t winner)
{
    size_t rank = 0;

    for (size_t i = 0; i < draw->count && draw->sorted[i] != winner; i++)
        if (draw->grade[draw->sorted[i]] == draw->grade[winner] &&
            draw->host[draw->sorted[i]].tier == draw->host[winner].tier)
            rank++;
    return rank;
}

/* Every tier of the grade in turn, each begun at rank. */
static void take_grade(struct draw *draw, enum grade grade, size_t rank)
{
    for (size_t i = 0; i < draw->count; i++) {
        size_t at = draw->sorted[i];
        if (draw->grade[at] == grade && !draw->taken[at])
            take_round(draw, grade, draw->host[at].tier, rank);
    }
}

/* The tiers that have a host of the grade, in order; what each can carry. */
static size_t list_tiers(const struct draw *draw, enum grade grade, uint32_t *tier,
                         struct spill_tier *weight)
{
    size_t count = 0;

    for (size_t i = 0; i < draw->count; i++) {
        const struct tier_host *host = &draw->host[draw->sorted[i]];
        if (draw->grade[draw->sorted[i]] == grade && (!count || tier[count - 1] != host->tier))
            tier[count++] = host->tier;
    }
    memset(weight, 0, count * sizeof *weight);
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < draw->count; i++) {
            const struct tier_host *host = &draw->host[i];
            if (host->tier != tier[t])
                continue;
            weight[t].whole += (uint64_t)host->weight * TIER_FULL_WEIGHT;
            if (draw->grade[i] == grade)
                weight[t].usable += tier_weight(host);
        }
    return count;
}

/* The tier that the key goes to. No host is called "tier" without a port, so that this hash is none
 * of those that draw the host. */
static uint32_t draw_tier(struct draw *draw, enum grade grade, const char *key,
                          enum tier_spill spill)
{
    uint32_t tier[TIER_MAX_HOSTS];
    struct spill_tier weight[TIER_MAX_HOSTS];
    unsigned load[TIER_MAX_HOSTS] = {100}, sum = 0, place;
    size_t count = list_tiers(draw, grade, tier, weight), drawn = 0;

    assert(count > 0); /* the grade is that of some host */
    if (spill == TIER_PROPORTIONAL)
        spill_share(weight, count, load);
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < draw->count; i++)
            if (draw->host[i].tier == tier[t])
                draw->pick->load[i] = load[t];
    place = (unsigned)((hash_choice(key, "tier") >> 32) * 100 >> 32); /* 0..99 */
    while (drawn + 1 < count && place >= (sum += load[drawn]))
        drawn++;
    return tier[drawn];
}

static enum grade prepare(struct draw *draw)
{
    enum grade best = GRADE_NEVER;
    uint32_t self_tier = find_self_tier(draw->host, draw->count);

    for (size_t i = 0; i < draw->count; i++) {
        draw->grade[i] = classify(&draw->host[i], self_tier);
        draw->pick->note[i] = explain(&draw->host[i], draw->grade[i], self_tier);
        draw->pick->score[i] = UINT64_MAX;
        if (draw->grade[i] < best)
            best = draw->grade[i];
    }
    sort(draw);
    hold_out(draw);
    return best;
}

void tier_choose(const struct tier_host *host, size_t count, const char *key, enum tier_spill spill,
                 struct tier_pick *out)
{
    struct draw draw = {
        .host = host, .count = count < TIER_MAX_HOSTS ? count : TIER_MAX_HOSTS, .pick = out};
    enum grade best;
    uint32_t tier;
    size_t winner, rank;

    memset(out, 0, sizeof *out);
    best = prepare(&draw);
    if (best == GRADE_NEVER)
        return;
    out->health_ignored = best > GRADE_USABLE_ZERO;
    out->override_ignored = best == GRADE_OVERRIDDEN;
    tier = draw_tier(&draw, best, key, spill);
    winner = find_winner(&draw, best, tier, key);
    rank = find_rank(&draw, winner);
    take(&draw, winner);
    take_round(&draw, best, tier, rank);
    take_grade(&draw, best, rank);
    /* Hosts held out, and those whose probes fail, may still take mail that everybody else refuses;
     * last. */
    if (best < GRADE_FAILING) {
        take_grade(&draw, GRADE_HELD, rank);
        take_grade(&draw, GRADE_FAILING, rank);
    }
}

const char *tier_note_name(enum tier_note note)
{
    switch (note) {
    case TIER_CHOSEN: return "chosen";
    case TIER_LEFT_SELF: return "this host itself";
    case TIER_LEFT_WORSE_THAN_SELF: return "not better than this host";
    case TIER_LEFT_ABSENT: return "has no usable address";
    case TIER_LEFT_UNKNOWN: return "look-up failed for now";
    case TIER_LEFT_DRAINED: return "drained";
    case TIER_LEFT_DOWN: return "overridden down";
    case TIER_LEFT_FAILING: return "probes fail";
    case TIER_LEFT_HELD: return "held out: it flapped";
    case TIER_LEFT_WEIGHT: return "weight 0";
    case TIER_LEFT_ROOM: return "no room in the answer";
    }
    return "";
}
