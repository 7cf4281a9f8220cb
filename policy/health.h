/*
 * One address of one host: up or down, by fall and rise. Pure: results and times go in.
 *
 * Shared between nodes as "state,streak,since,at,ms" (SPEC 8), the streak of bad results written
 * as a negative number, so that a process that begins anew can go on where the last one ended.
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
    /* Unix seconds of the first of the good results in a row; 0: the last was bad */
    int64_t good_since;
    int64_t at; /* Unix seconds of the last result; 0 never */
    int32_t ms; /* how long the last good one took, to the banner */
};

/* Takes in one result. The first result of all decides at once (a host is not UNKNOWN for `rise`
 * probes). True when the state changed. */
bool health_note(struct health *health, const struct health_rule *rule, bool good, int32_t ms,
                 int64_t now);

enum { HEALTH_TEXT = 96 };
char *health_format(const struct health *health, char out[HEALTH_TEXT]);
/* False, and *out cleared, for anything that health_format does not write. Stamps from the future
 * are clamped to now. good_since is not in the text: it is taken from streak, at and interval
 * (seconds), rather too late than too early. */
bool health_parse(const char *text, int64_t now, int64_t interval, struct health *out);
/* Goes on from what an earlier process of this node saw, if its last result is at most gap seconds
 * older than this one's first (or than now, where there is none yet), and both say the same. True
 * when the state changed. */
bool health_restore(struct health *health, const struct health *saved, int64_t gap, int64_t now);

const char *health_state_name(enum health_state state); /* "unknown" "up" "down" */

#endif
