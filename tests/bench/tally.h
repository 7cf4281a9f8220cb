/*
 * A tally of durations: every one is kept, so that the percentiles are exact and a single slow
 * answer shows as the maximum.
 */
#ifndef TESTS_BENCH_TALLY_H
#define TESTS_BENCH_TALLY_H

#include <stddef.h>
#include <stdint.h>

struct tally { /* all zero is an empty one */
    size_t count, room;
    uint64_t *duration; /* nanoseconds */
};

/* The monotonic clock, in nanoseconds. */
uint64_t tally_now(void);

void tally_put(struct tally *tally, uint64_t duration);
void tally_clear(struct tally *tally);

/* Sorts; then tally_get may be asked. */
void tally_sort(struct tally *tally);
/* The duration in microseconds that a share (0..1) of all does not exceed; 0 for an empty tally. */
double tally_get(const struct tally *tally, double share);

#endif
