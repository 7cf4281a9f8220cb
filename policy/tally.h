/*
 * The tally: what became of those that were refused, or would have been in a mode that refuses. It
 * counts what `mxwarden report` adds up (report.h), domain by domain.
 *
 * Messages are counted: further recipients of one in the same domain are not, nor are retries. Each
 * refusal is followed for a day by the process that gave it, which asks the memory 5, 10, 20, ...
 * minutes after whether the client has been learned since (it came back and was let in), or has been
 * seen at a better host. So nobody waits for that, a refusal has one outcome wherever its client
 * comes back, and the cost is some ten looks a refusal. What is not known by the end of the process
 * is counted as unknown.
 *
 * In modes that refuse nothing nobody has to come back: yielded means then that the client wrote to
 * the same recipient again, and better that it wrote anything.
 */
#ifndef POLICY_TALLY_H
#define POLICY_TALLY_H

#include "cache/clock.h"
#include "cache/net.h"
#include "policy/identity.h"

#include <stdbool.h>
#include <stddef.h>

struct event_base;
struct memory;
struct stats;
struct tally;

enum {
    TALLY_DOMAINS = 250,    /* counted by name; further ones under "*" */
    TALLY_FOLLOWED = 20000, /* refusals at a time; further ones are unknown */
};

/* All parts outlive the tally. */
struct tally *tally_new(struct event_base *base, const struct clock *clock, struct memory *memory,
                        struct stats *stats);
void tally_free(struct tally *tally); /* NULL is fine */

/* A recipient that has been judged. */
struct tally_message {
    const char *domain;   /* canonical */
    bool has_section;     /* of its own; else it counts under "*" */
    const char *instance; /* one a message; "" where it is not known */
};
void tally_judged(struct tally *tally, const struct tally_message *message);

/* And refused, or it would have been, for the first time. */
struct tally_refusal {
    const struct net_addr *better; /* addresses of the better hosts */
    size_t better_count;
    const struct identity_set *who; /* as the memory's visits and ok keys have it */
    bool dry;
};
void tally_refused(struct tally *tally, const struct tally_message *message,
                   const struct tally_refusal *refusal);

/* Follows nobody any more: before the last counters are sent. */
void tally_stop(struct tally *tally);

#endif
