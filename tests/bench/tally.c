/*
 * Keeps durations and answers for their percentiles. Out of memory ends the program: a benchmark
 * that lost a measurement has nothing true to say.
 */
#include "tests/bench/tally.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t tally_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void tally_put(struct tally *tally, uint64_t duration)
{
    if (tally->count == tally->room) {
        size_t room = tally->room ? tally->room * 2 : 4096;
        uint64_t *grown = realloc(tally->duration, room * sizeof *grown);
        if (!grown) {
            fputs("tally: out of memory\n", stderr);
            exit(1);
        }
        tally->duration = grown;
        tally->room = room;
    }
    tally->duration[tally->count++] = duration;
}

void tally_clear(struct tally *tally)
{
    free(tally->duration);
    *tally = (struct tally){0};
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

void tally_sort(struct tally *tally)
{
    if (tally->count)
        qsort(tally->duration, tally->count, sizeof *tally->duration, compare);
}

double tally_get(const struct tally *tally, double share)
{
    if (!tally->count)
        return 0;
    /* Nearest rank: the smallest value that at least this share of all does not exceed. */
    size_t rank = (size_t)ceil(share * (double)tally->count);
    return (double)tally->duration[rank ? rank - 1 : 0] / 1000.0;
}
