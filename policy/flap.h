/*
 * Flap damping: a host that comes and goes is held out of routes for longer each time. Pure.
 *
 * A flap is a return (DOWN to UP) within FLAP_WINDOW_MS of the return before: one restart is none.
 * The first flap holds the host out for FLAP_FIRST_MS, each further one twice as long, up to
 * FLAP_MOST_MS; for each window that it stays up one flap is forgiven. A host that comes and goes
 * faster than its hold is therefore never in use in between.
 *
 * This knows hosts that are up only: one that is down is not held, it fails. Whether a host is then
 * really held out depends on the others of its tier (tier.h). Each node counts what it sees; times
 * are monotonic, so that no jump of a clock holds or frees anybody.
 */
#ifndef POLICY_FLAP_H
#define POLICY_FLAP_H

#include <stdbool.h>
#include <stdint.h>

enum {
    FLAP_WINDOW_MS = 600000,
    FLAP_FIRST_MS = 30000,
    FLAP_MOST_MS = 300000,
    FLAP_MOST = 5, /* flaps beyond which none is counted: the longest hold */
};

/* Of a host that was up from the beginning all is zero but up. Times are monotonic milliseconds. */
struct flap {
    bool up;
    bool flapped;     /* its last return was a flap */
    unsigned count;   /* flaps when it last returned or was lost */
    int64_t returned; /* 0: never */
};

/* The host was down and is up, or was up and is down. */
void flap_note(struct flap *flap, bool up, int64_t now);
/* The flaps that are not forgiven. */
unsigned flap_count(const struct flap *flap, int64_t now);
/* Milliseconds for which it is to be held out yet; 0: it is not. */
int64_t flap_left(const struct flap *flap, int64_t now);

#endif
