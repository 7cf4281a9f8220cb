/*
 * From a guard verdict to what is said and logged. Pure.
 */
#ifndef POLICY_VERDICT_H
#define POLICY_VERDICT_H

#include "policy/guard.h"

#include <stdbool.h>
#include <stddef.h>

enum { VERDICT_ACTION_SIZE = 1024, VERDICT_LINE_SIZE = 2048 };

/* Whether the mode refuses mail; those that do not keep refusals under the dry keys. */
bool verdict_refuses(enum conf_mode mode);

/* Whether some verdict is more than a delay: a refusal for good, or another way for the message. */
bool verdict_may_be_final(const struct conf_guard *guard);

/* What follows "action=" for this asker (SPEC 5, modes): "DUNNO"; "451 4.7.1 TEXT (mx1.example.com)"
 * for the milter, "DEFER_IF_PERMIT 4.7.1 TEXT (...)" for Postfix, so that a permanent refusal by a
 * later rule wins; "550 5.7.1 TEXT"; "PREPEND X-MX-Warden: ..."; "HOLD ..."; "FILTER smtp:[mx1]:25"
 * at DATA. guard is NULL where the domain is not guarded. */
char *verdict_action(const struct conf_guard *guard, const struct guard_verdict *verdict,
                     const struct question *question, char out[VERDICT_ACTION_SIZE]);

/* "accept", "tag", "hold", "defer", "reject", "filter": for the log and counters. */
const char *verdict_name(const struct conf_guard *guard, const struct guard_verdict *verdict,
                         const struct question *question);

/* The log line of SPEC 10, everything from outside escaped. us: microseconds taken. */
char *verdict_line(const struct guard_facts *facts, const struct guard_verdict *verdict, int64_t us,
                   char out[VERDICT_LINE_SIZE]);

#endif
