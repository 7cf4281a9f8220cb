/*
 * One address of one host: up or down, by fall and rise. Pure: results and times go in.
 */
#ifndef POLICY_HEALTH_H
#define POLICY_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

enum health_state {
    HEALTH_UNKNOWN, /* no probe has ended yet: usable for routes, not healthy for the guard */
    HEALTH_UP,
    HEALTH_DOWN,
};

struct health_rule {
    unsigned fall, rise;
};

struct health {
    enum health_state state;
    unsigned streak; /* equal results in a row, the last one included */
    bool last_good;  /* the last result */
    int64_t since;   /* Unix seconds of the last change of state; 0 never */
    int64_t
        good_since; /* Unix seconds of the first of the good results in a row; 0: last was bad */
    int64_t at;     /* Unix seconds of the last result; 0 never */
    int32_t ms;     /* how long the last good one took, to the banner */
};

/* Takes in one result. The first result of all decides at once (a host is not UNKNOWN for `rise`
 * probes). True when the state changed. */
bool health_note(struct health *health, const struct health_rule *rule, bool good, int32_t ms,
                 int64_t now);
const char *health_state_name(enum health_state state); /* "unknown" "up" "down" */

#endif
