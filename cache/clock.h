/*
 * Time. Deadlines and ages within the process: the monotonic clock, in milliseconds. Stamps that
 * several nodes share: Unix time by Redis' clock, kept as an offset to the monotonic one, so that
 * a jump of this host's own clock changes nothing.
 */
#ifndef CACHE_CLOCK_H
#define CACHE_CLOCK_H

#include <stdint.h>

struct clock {
    int64_t offset; /* Unix milliseconds minus monotonic milliseconds */
};

int64_t clock_mono(void);                                  /* milliseconds */
void clock_init(struct clock *clock);                      /* from this host's clock, for a start */
void clock_set_unix(struct clock *clock, int64_t unix_ms); /* what Redis TIME said just now */
int64_t clock_unix_ms(const struct clock *clock);
int64_t clock_unix(const struct clock *clock); /* seconds */

#endif
