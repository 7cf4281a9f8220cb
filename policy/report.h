/*
 * The report: what the guard's daily counters of all nodes add up to, domain by domain. Pure.
 *
 * The counters of a domain are fields "<kind>:<domain>" of stat:<node>:<day>, where domain is one
 * that has a section of its own, or "*"; tally.c counts them, and says what each is. The reasons'
 * fields are "guard_<reason>". Whatever else stands in such a key is passed over.
 */
#ifndef POLICY_REPORT_H
#define POLICY_REPORT_H

#include "cache/name.h"
#include "policy/guard.h"
#include "policy/sorted.h"

#include <stdbool.h>
#include <stdint.h>

enum report_kind {
    REPORT_JUDGED,  /* messages */
    REPORT_BYPASS,  /* of these: refused, or would have been */
    REPORT_YIELDED, /* of these: came back here and was let in */
    REPORT_BETTER,  /* of these: came to a better host */
    REPORT_SILENT,  /* of these: did neither for a day */
    REPORT_UNKNOWN, /* of these: could not be followed so long */
    REPORT_DELAY,   /* seconds, the sum of those below */
    REPORT_DELAY_FIRST,
    REPORT_DELAY_LAST = REPORT_DELAY_FIRST + 5,
    REPORT_KINDS,
};

const char *report_kind_name(enum report_kind kind); /* "bypass", "delay_lt_300", ... */
/* The kind under which a delay counts. */
enum report_kind report_delay_kind(int64_t seconds);

struct report_domain {
    char name[NAME_SIZE];
    uint64_t count[REPORT_KINDS];
    uint64_t recent; /* of those refused, how many no more than a day and a bit ago */
};

struct report {
    struct sorted domains; /* of struct report_domain, by name */
    uint64_t reason[GUARD_REASON_COUNT];
};

void report_init(struct report *report);
void report_clear(struct report *report);
/* One more counter; recent where it is of today or yesterday. Dropped when out of memory. */
void report_add(struct report *report, const char *field, uint64_t value, bool recent);

/* Those of which nothing is known yet: refused less than a day ago. Of the others, some that nobody
 * told of were followed by a daemon that was killed: they can no more be known. */
uint64_t report_open(const struct report_domain *domain);
uint64_t report_unknown(const struct report_domain *domain);
/* Of the delays: how many, their mean in seconds, and a bound that none of them exceeds. */
struct report_delay {
    uint64_t count;
    uint64_t mean, below;
};
struct report_delay report_delay(const struct report_domain *domain);

#endif
