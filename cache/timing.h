/*
 * How long something takes: a histogram in classes that grow by a fifth, so that a quantile is told
 * within a fifth, whatever the load. Pure.
 */
#ifndef CACHE_TIMING_H
#define CACHE_TIMING_H

#include <stdint.h>

enum { TIMING_CLASSES = 92 }; /* the last begins at 2^22.5 us, some 6 s */

/* All zero is an empty one. */
struct timing {
    uint64_t count, sum, longest;   /* microseconds */
    uint64_t class[TIMING_CLASSES]; /* class i ends at 2^((i + 1) / 4) us */
};

void timing_note(struct timing *timing, int64_t us);
/* What the fraction, 0 to 1, of all did not exceed, in microseconds; 0 of an empty one. */
uint64_t timing_quantile(const struct timing *timing, double fraction);

#endif
