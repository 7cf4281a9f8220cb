/*
 * A limit on log lines that a peer can cause at will: the first is written, then one an interval,
 * which says how many were kept back. Pure.
 */
#ifndef POLICY_QUIET_H
#define POLICY_QUIET_H

#include <stdbool.h>
#include <stdint.h>

enum { QUIET_INTERVAL_MS = 10 * 1000 };

/* All zero to begin with. */
struct quiet {
    int64_t next; /* monotonic milliseconds from which the next line may be written */
    unsigned held;
};

/* Whether a line may be written at now (monotonic milliseconds); *held is then how many were not
 * since the last one. */
bool quiet_may_speak(struct quiet *quiet, int64_t now, unsigned *held);

#endif
