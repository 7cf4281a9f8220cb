/*
 * How often the decoy refused whom (SPEC 5, Trap): networks and their last refusals, in process.
 *
 * Only the decoy's own node counts, and forgets at its end: what is not remembered traps nobody.
 */
#ifndef POLICY_TRAP_H
#define POLICY_TRAP_H

#include <stdbool.h>
#include <stdint.h>

struct trap;

enum { TRAP_REFUSALS = 10, TRAP_WITHIN = 24 * 3600 /* seconds */ };

struct trap *trap_new(void);
void trap_free(struct trap *trap); /* NULL is fine */

/* One more message of a network was refused; further recipients of one of its last messages are not
 * counted (instance; "" is a message of its own). True when it is the tenth within a day, none of them
 * before since: it begins anew then. now and since are Unix seconds. */
bool trap_note(struct trap *trap, const char *net, const char *instance, int64_t now,
               int64_t since);

#endif
