/*
 * The two tides of the breaker (SPEC 5 row 11): networks that bypass, and visits at a host. Pure:
 * times go in.
 *
 * When many networks at once skip a better host and that host's visits have fallen away, it is the
 * way there that is broken, and not the senders: then nobody is refused. Many bypassing networks
 * alone are a wave of spam.
 */
#ifndef POLICY_TIDE_H
#define POLICY_TIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TIDE_NETS = 1024,   /* networks remembered; the oldest makes room */
    TIDE_SAMPLES = 128, /* of a visits counter */
    TIDE_HISTORY = 12,  /* windows that the average is taken over, at most */
    TIDE_ENOUGH = 3,    /* windows of history before anything is concluded */
    TIDE_LEAST = 10,    /* visits a window on average, below which a fall says nothing */
};

/* Networks that bypassed, each with its last time. */
struct tide_nets {
    size_t count;
    struct {
        uint64_t net; /* a hash of its text */
        int64_t at;   /* monotonic ms */
    } item[TIDE_NETS];
};

void tide_note_net(struct tide_nets *nets, uint64_t net, int64_t now);
/* How many different networks bypassed in the last window ms. */
unsigned tide_count_nets(const struct tide_nets *nets, int64_t now, int64_t window);

/* A counter of visits that only grows, sampled now and then; at least spacing ms apart are kept. */
struct tide_visits {
    size_t count; /* oldest first */
    struct {
        int64_t at;
        uint64_t total;
    } item[TIDE_SAMPLES];
};

/* A total smaller than the last one is a counter that began anew: what was known is dropped. */
void tide_note_visits(struct tide_visits *visits, uint64_t total, int64_t now, int64_t spacing);
/* Whether the visits of the last window are fewer than 1/factor of those of an average window
 * before it. False where too little is known. */
bool tide_has_fallen(const struct tide_visits *visits, int64_t now, int64_t window,
                     unsigned factor);

#endif
