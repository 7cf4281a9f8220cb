/*
 * The two clocks: the kernel's monotonic one for deadlines, and Unix time as an offset to it. This
 * host's own calendar clock is read once, at the start; from then on only Redis moves the offset,
 * so a calendar that jumps (an administrator, a bad NTP server) shifts no deadline and no stamp.
 */
#include "cache/clock.h"

#include <time.h>

static int64_t clock_read(clockid_t id)
{
    struct timespec now = {0};

    /* Cannot fail for the clocks that Linux always has. */
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_mono(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

void clock_init(struct clock *clock)
{
    clock_set_unix(clock, clock_read(CLOCK_REALTIME));
}

void clock_set_unix(struct clock *clock, int64_t unix_ms)
{
    clock->offset = unix_ms - clock_mono();
}

int64_t clock_unix_ms(const struct clock *clock)
{
    return clock_mono() + clock->offset;
}

int64_t clock_unix(const struct clock *clock)
{
    return clock_unix_ms(clock) / 1000;
}
