/*
 * How a pool's load goes down its tiers when hosts are missing (SPEC 6.5, "proportional"). Pure.
 *
 * A tier takes min(100, 1.4 x usable share) per cent, and the rest spills to the next: a tier may
 * lose two hosts in seven before it gives anything away, because the others carry that much more.
 * Where all tiers together take less than 100, what they take is scaled to 100: nothing is lost.
 */
#ifndef POLICY_SPILL_H
#define POLICY_SPILL_H

#include <stddef.h>
#include <stdint.h>

/* The weight of a tier, in any unit below 2^56. */
struct spill_tier {
    uint64_t usable; /* of the hosts that can be used now */
    uint64_t whole;  /* of all its hosts; not below usable */
};

/* load[i]: whole per cent, 100 in all. tier is in order, the best first, and is not empty; where
 * none has any usable weight the first takes all. Integer arithmetic: the same on every node. */
void spill_share(const struct spill_tier *tier, size_t count, unsigned *load);

#endif
