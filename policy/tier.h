/*
 * Choosing among hosts: tiers, then weights, with health. Pure.
 *
 * Weighted rendezvous hashing (Thaler and Ravishankar's highest random weight, with the score
 * -ln(u)/w of Mosharaf et al. for weights): each host draws u from a fixed hash of the key and its
 * own name, and the smallest score wins. Removing a host moves only its own keys; raising a weight
 * moves keys only to it. Logarithm and comparison are integer arithmetic, so that every node and
 * version gives the same answer.
 *
 * After the winner come the tier's others in a fixed rotation, then the other tiers in order: what
 * follows the winner depends on the winner alone, so H hosts make at most H distinct answers in one
 * state of health (each distinct answer is a destination queue of its own in Postfix).
 *
 * Which tier: with strict spill the first that has a usable host. With proportional spill a second
 * hash of the key draws it from the loads of spill.h. There a host counts as usable with its weight
 * as slow start has it by now, so that a tier takes its load back as its hosts can carry it; one
 * that fails, is held out, drained, down, or does not resolve is missing from its tier, and mail
 * spills. A weight of 0 is no part of the tier: it takes nothing, and nothing spills for its sake.
 *
 * Hosts that flapped are held out (flap.h) while at least as much weight of their tier as is held
 * out remains usable, those that flap most first. So a hold never empties a tier, and ends at once
 * when the others fail.
 */
#ifndef POLICY_TIER_H
#define POLICY_TIER_H

#include "cache/name.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TIER_MAX_HOSTS = 64,
    TIER_MAX_PICK = 4,       /* SPEC 6.6 */
    TIER_FULL_WEIGHT = 1000, /* slow start in thousandths */
};

enum tier_resolve { TIER_RESOLVES, TIER_MAY_RESOLVE, TIER_ABSENT };
enum tier_override { TIER_NORMAL, TIER_DRAINED, TIER_DOWN, TIER_READY };

/* One host as a candidate. name lives with the caller. */
struct tier_host {
    const char *name; /* canonical, or "[address]" */
    uint16_t port;
    uint32_t tier;   /* smaller is better */
    uint32_t weight; /* 0: only when all else is unusable */
    uint32_t ramp;   /* slow start, 1..TIER_FULL_WEIGHT */
    enum tier_resolve resolve;
    enum tier_override override;
    bool failing;  /* its probes fail */
    unsigned held; /* flaps that are to hold it out; 0 none */
    bool self;     /* this host: it and every tier not better than its own are left out */
};

enum tier_note {
    TIER_CHOSEN,
    TIER_LEFT_SELF,
    TIER_LEFT_WORSE_THAN_SELF,
    TIER_LEFT_ABSENT,
    TIER_LEFT_UNKNOWN, /* its look-up failed for now, and others resolve */
    TIER_LEFT_DRAINED,
    TIER_LEFT_DOWN,
    TIER_LEFT_FAILING,
    TIER_LEFT_HELD,
    TIER_LEFT_WEIGHT,
    TIER_LEFT_ROOM, /* more than fit */
};

struct tier_pick {
    size_t count;                   /* 0: no host can be named */
    size_t index[TIER_MAX_PICK];    /* into the hosts, in the order to be tried */
    bool health_ignored;            /* no host of any tier was usable */
    bool override_ignored;          /* and the overrides would have left none */
    uint64_t score[TIER_MAX_HOSTS]; /* of hosts that took part in the draw, else UINT64_MAX */
    bool held[TIER_MAX_HOSTS];      /* held out: named after all that are usable, if at all */
    unsigned load[TIER_MAX_HOSTS];  /* per cent of the keys that the host's tier takes */
    enum tier_note note[TIER_MAX_HOSTS];
};

/* Usable (SPEC 6.4): resolves, its probes do not fail (or it is overridden ready), it is neither
 * drained nor overridden down. Whether it is held out depends on the others of its tier. */
bool tier_is_usable(const struct tier_host *host);
/* The weight that counts now, in thousandths. */
uint64_t tier_weight(const struct tier_host *host);

/* Slow start: the ramp of a host that came back age milliseconds ago (negative: it never did, as
 * far as is known), max(10 %, age / window). It only rises, so that each key moves to such a host at
 * most once. window 0: off. */
uint32_t tier_ramp(int64_t age, int64_t window);

/* How a tier's load goes down to the next (SPEC 6.5). */
enum tier_spill { TIER_STRICT, TIER_PROPORTIONAL };

/* Picks for key (SPEC 6.3: pool or domain, and what sticks). Hosts need no order; equal names and
 * ports must not occur twice. */
void tier_choose(const struct tier_host *host, size_t count, const char *key, enum tier_spill spill,
                 struct tier_pick *out);

/* -log2(u) in units of 2^-32, for u = (hash + 1) / 2^64: the fixed logarithm. */
uint64_t tier_minus_log2(uint64_t hash);

const char *tier_note_name(enum tier_note note);

#endif
