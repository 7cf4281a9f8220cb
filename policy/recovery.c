/*
 * Recoveries: the best tier in use, then and now.
 */
#include "policy/recovery.h"

static uint32_t best_tier(const struct recovery_host *host, size_t count, enum recovery_use use)
{
    uint32_t best = RECOVERY_NO_TIER;

    for (size_t i = 0; i < count; i++)
        if (host[i].use == use && host[i].tier < best)
            best = host[i].tier;
    return best;
}

bool recovery_note(struct recovery *recovery, const struct recovery_host *host, size_t count)
{
    uint32_t used = best_tier(host, count, RECOVERY_IN_USE);
    uint32_t unknown = best_tier(host, count, RECOVERY_UNKNOWN);
    bool better = recovery->known && used < recovery->tier;

    /* One that may be better than all in use hides a fall, and what was before the first look. */
    if (count == 0 || (unknown < used && !better))
        return false;
    recovery->known = true;
    recovery->tier = used;
    return better;
}

bool recovery_recall(struct recovery *recovery, uint32_t tier)
{
    if (recovery->known)
        return recovery->tier < tier;
    recovery->known = true;
    recovery->tier = tier;
    return false;
}

bool recovery_is_whole(const struct recovery *recovery, const struct recovery_host *host,
                       size_t count)
{
    uint32_t best = RECOVERY_NO_TIER;

    for (size_t i = 0; i < count; i++)
        if (host[i].tier < best)
            best = host[i].tier;
    return recovery->known && recovery->tier <= best;
}
