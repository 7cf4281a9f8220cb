/*
 * Counting returns, and forgetting them.
 */
#include "policy/flap.h"

unsigned flap_count(const struct flap *flap, int64_t now)
{
    int64_t forgiven = flap->up ? (now - flap->returned) / FLAP_WINDOW_MS : 0;

    return forgiven < flap->count ? flap->count - (unsigned)forgiven : 0;
}

void flap_note(struct flap *flap, bool up, int64_t now)
{
    bool soon = flap->returned && now - flap->returned <= FLAP_WINDOW_MS;

    flap->count = flap_count(flap, now);
    flap->up = up;
    if (!up)
        return;
    flap->flapped = soon;
    if (soon && flap->count < FLAP_MOST)
        flap->count++;
    flap->returned = now;
}

int64_t flap_left(const struct flap *flap, int64_t now)
{
    int64_t hold = FLAP_FIRST_MS, left;

    if (!flap->up || !flap->flapped)
        return 0;
    for (unsigned i = 1; i < flap->count; i++)
        hold *= 2;
    left = flap->returned + (hold < FLAP_MOST_MS ? hold : FLAP_MOST_MS) - now;
    return left > 0 ? left : 0;
}
