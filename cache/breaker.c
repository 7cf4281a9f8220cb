/*
 * The circuit breaker: a ring of the last failures, and a pause. Its users are one server each.
 */
#include "cache/breaker.h"

void breaker_init(struct breaker *breaker)
{
    *breaker = (struct breaker){.state = BREAKER_CLOSED};
    for (unsigned i = 0; i < BREAKER_FAILURES; i++)
        breaker->failed[i] = INT64_MIN / 2;
}

bool breaker_allows(struct breaker *breaker, int64_t now)
{
    switch (breaker->state) {
    case BREAKER_CLOSED: return true;
    case BREAKER_TRIAL: return false;
    case BREAKER_OPEN: break;
    }
    if (now < breaker->until)
        return false;
    breaker->state = BREAKER_TRIAL;
    return true;
}

static void open_for(struct breaker *breaker, int64_t pause, int64_t now, uint8_t random)
{
    breaker->state = BREAKER_OPEN;
    breaker->pause = pause < BREAKER_CAP ? pause : BREAKER_CAP;
    breaker->until = now + breaker->pause - breaker->pause * random / (255 * 5);
}

void breaker_fail(struct breaker *breaker, int64_t now, uint8_t random)
{
    switch (breaker->state) {
    case BREAKER_OPEN: return; /* sent before it opened */
    case BREAKER_TRIAL: open_for(breaker, breaker->pause * 2, now, random); return;
    case BREAKER_CLOSED: break;
    }
    breaker->failed[breaker->next] = now;
    breaker->next = (breaker->next + 1) % BREAKER_FAILURES;
    if (now - breaker->failed[breaker->next] <= BREAKER_WINDOW) /* the oldest of the ring */
        open_for(breaker, BREAKER_PAUSE, now, random);
}

void breaker_succeed(struct breaker *breaker)
{
    if (breaker->state == BREAKER_TRIAL)
        breaker_init(breaker);
}

int64_t breaker_wait(const struct breaker *breaker, int64_t now)
{
    if (breaker->state != BREAKER_OPEN || breaker->until <= now)
        return 0;
    return breaker->until - now;
}
