/*
 * Loads in whole per cent. What is rounded away is given to the tiers below, except in scaling,
 * where the ends of the shares are rounded and not the shares, so that they always make 100.
 */
#include "policy/spill.h"

enum { SPILL_FULL = 100, SPILL_SPARE = 140 };

/* Whatever is usable takes something: a tier of one small host among large ones that fail is still
 * the best there is where all others are empty. */
static unsigned find_capacity(const struct spill_tier *tier)
{
    uint64_t capacity;

    if (tier->usable == 0)
        return 0;
    capacity = SPILL_SPARE * tier->usable / tier->whole;
    if (capacity == 0)
        return 1;
    return capacity < SPILL_FULL ? (unsigned)capacity : SPILL_FULL;
}

void spill_share(const struct spill_tier *tier, size_t count, unsigned *load)
{
    unsigned total = 0, below = 0, end = 0;

    for (size_t i = 0; i < count; i++)
        total += find_capacity(&tier[i]);
    for (size_t i = 0; i < count; i++) {
        unsigned begin = end;
        below += find_capacity(&tier[i]);
        if (total >= SPILL_FULL)
            end = below < SPILL_FULL ? below : SPILL_FULL;
        else
            end = total ? SPILL_FULL * below / total : SPILL_FULL;
        load[i] = end - begin;
    }
}
