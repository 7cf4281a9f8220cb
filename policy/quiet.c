/*
 * The limit itself. Whoever speaks owns the struct, so that one noisy peer silences only the
 * complaints about its own kind.
 */
#include "policy/quiet.h"

bool quiet_may_speak(struct quiet *quiet, int64_t now, unsigned *held)
{
    if (quiet->next != 0 && now < quiet->next) {
        quiet->held++;
        return false;
    }
    *held = quiet->held;
    quiet->held = 0;
    quiet->next = now + QUIET_INTERVAL_MS;
    return true;
}
