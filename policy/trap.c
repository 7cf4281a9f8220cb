/*
 * Counting by the times of the last ten refusals, so that the day slides.
 */
#include "policy/trap.h"

#include "cache/clock.h"
#include "cache/hash.h"
#include "cache/local.h"

#include <stdlib.h>
#include <string.h>

enum { NETWORKS = 10000 };

struct refusals {
    int64_t at[TRAP_REFUSALS]; /* a ring; the oldest is at next */
    uint64_t message[TRAP_REFUSALS];
    unsigned next;
};

struct trap {
    struct local *networks;
};

struct trap *trap_new(void)
{
    struct trap *trap = calloc(1, sizeof *trap);

    if (trap)
        trap->networks = local_new(NETWORKS, free);
    if (trap && trap->networks)
        return trap;
    free(trap);
    return NULL;
}

void trap_free(struct trap *trap)
{
    if (!trap)
        return;
    local_free(trap->networks);
    free(trap);
}

static struct refusals *find(struct trap *trap, const char *net)
{
    int64_t now = clock_mono();
    struct refusals *refusals = local_get(trap->networks, net, now);

    if (refusals) {
        local_set_expiry(trap->networks, net, now + TRAP_WITHIN * INT64_C(1000));
        return refusals;
    }
    refusals = calloc(1, sizeof *refusals);
    if (!refusals ||
        !local_put(trap->networks, net, refusals, now, now + TRAP_WITHIN * INT64_C(1000)))
        return NULL;
    return refusals;
}

/* Recipients of several messages may come in turns. */
static bool has_message(const struct refusals *refusals, uint64_t message)
{
    for (size_t i = 0; i < TRAP_REFUSALS; i++)
        if (refusals->message[i] == message)
            return true;
    return false;
}

bool trap_note(struct trap *trap, const char *net, const char *instance, int64_t now, int64_t since)
{
    struct refusals *refusals = find(trap, net);
    uint64_t message = hash_choice("trap", instance);
    int64_t oldest;

    if (!refusals || (instance[0] && has_message(refusals, message)))
        return false;
    refusals->at[refusals->next] = now;
    refusals->message[refusals->next] = message;
    refusals->next = (refusals->next + 1) % TRAP_REFUSALS;
    oldest = refusals->at[refusals->next];
    if (oldest == 0 || oldest < since || now - oldest >= TRAP_WITHIN)
        return false;
    memset(refusals->at, 0, sizeof refusals->at);
    return true;
}
