/*
 * A route as Sendmail's mailertable wants it (SPEC 6.9). Pure.
 *
 * Sendmail asks for the domain, in lower case, then for ".parent" and "."; there is no local part,
 * and a value has no room for ports.
 */
#ifndef POLICY_MAILERTABLE_H
#define POLICY_MAILERTABLE_H

#include "policy/route.h"

#include <stdbool.h>

/* Whether the host can be named: its port is 25, and its name fits. */
bool mailertable_can_name(const struct tier_host *host, const char *transport);

/* The whole reply: "OK esmtp:[winner]:[next]", at most 256 bytes after "OK ". Never empty. */
char *mailertable_format(const struct route_facts *facts, const struct route_choice *choice,
                         char out[ROUTE_REPLY_SIZE]);

#endif
