/*
 * A stand-in for cache/clock.c: the real monotonic clock, pushed forward by fake_ms, so that ten
 * minutes pass in a test when it says so. Timers of the event loop are not moved. Unix time begins
 * at FAKE_UNIX.
 */
#ifndef TESTS_UNIT_FAKE_CLOCK_H
#define TESTS_UNIT_FAKE_CLOCK_H

#include "cache/clock.h"

#include <time.h>

#define FAKE_UNIX INT64_C(1795300000)

static int64_t fake_ms;

int64_t clock_mono(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + fake_ms;
}

void clock_set_unix(struct clock *clock, int64_t unix_ms)
{
    clock->offset = unix_ms - clock_mono();
}

void clock_init(struct clock *clock)
{
    clock_set_unix(clock, FAKE_UNIX * 1000);
}

int64_t clock_unix_ms(const struct clock *clock)
{
    return clock_mono() + clock->offset;
}

int64_t clock_unix(const struct clock *clock)
{
    return clock_unix_ms(clock) / 1000;
}

#endif
