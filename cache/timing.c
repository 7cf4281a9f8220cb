/*
 * Times in classes: four to each doubling, found by the highest bit and a table of the fourth roots.
 */
#include "cache/timing.h"

/* 2^(1/4), 2^(2/4), 2^(3/4), in parts of 1024. */
static const uint64_t root[3] = {1218, 1448, 1722};

static unsigned class_of(uint64_t us)
{
    unsigned octave = 0, quarter = 0;

    while (us >> (octave + 1))
        octave++;
    while (quarter < 3 && us << 10 > root[quarter] << octave)
        quarter++;
    return 4 * octave + quarter < TIMING_CLASSES ? 4 * octave + quarter : TIMING_CLASSES - 1;
}

static uint64_t end_of(unsigned class)
{
    unsigned quarter = class % 4;

    return quarter == 3 ? UINT64_C(2) << class / 4 : (root[quarter] << class / 4) >> 10;
}

void timing_note(struct timing *timing, int64_t us)
{
    uint64_t time = us > 0 ? (uint64_t)us : 0;

    timing->count++;
    timing->sum += time;
    timing->class[class_of(time)]++;
    if (time > timing->longest)
        timing->longest = time;
}

uint64_t timing_quantile(const struct timing *timing, double fraction)
{
    uint64_t seen = 0;

    for (unsigned i = 0; i < TIMING_CLASSES; i++) {
        seen += timing->class[i];
        if (seen > 0 && (double)seen >= fraction * (double)timing->count)
            return end_of(i) < timing->longest ? end_of(i) : timing->longest;
    }
    return timing->longest;
}
