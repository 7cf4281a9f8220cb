/*
 * When to leave a failing server alone: five failures in ten seconds, a pause of 1 s that grows to
 * 1.5 s, one trial. Pure: the time and the random part are arguments.
 */
#ifndef CACHE_BREAKER_H
#define CACHE_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum { BREAKER_FAILURES = 5, BREAKER_WINDOW = 10000, BREAKER_PAUSE = 1000, BREAKER_CAP = 1500 };

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_TRIAL };

struct breaker {
    enum breaker_state state;
    int64_t failed[BREAKER_FAILURES]; /* monotonic milliseconds; a ring, all before it 0 */
    unsigned next;
    int64_t pause; /* the last one, 0 when none */
    int64_t until; /* end of the pause, when open */
};

void breaker_init(struct breaker *breaker);
/* Whether something may be tried now. After a pause the first true is the trial, and nothing else
 * is let through before its outcome is told. */
bool breaker_allows(struct breaker *breaker, int64_t now);
/* The outcomes. random, 0..255, shortens a pause by up to a fifth, so that nodes that failed
 * together do not come back together. */
void breaker_fail(struct breaker *breaker, int64_t now, uint8_t random);
void breaker_succeed(struct breaker *breaker);
/* How long from now until something may be tried, 0 for at once. */
int64_t breaker_wait(const struct breaker *breaker, int64_t now);

#endif
