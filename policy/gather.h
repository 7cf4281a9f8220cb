/*
 * Gathering: an ordering (kind FACTS_MX or FACTS_SRV) with all its hosts' addresses, or the addresses of a list of hosts,
 * within one budget.
 *
 * What is in the table already costs nothing (gather_peek_*). Else the look-ups run side by side,
 * each bounded by what is left of the budget, and the callback comes once, from the loop, when all
 * have ended: with what could be had, the rest "not known".
 */
#ifndef POLICY_GATHER_H
#define POLICY_GATHER_H

#include "cache/fetch.h"
#include "policy/order.h"
#include "policy/quota.h"

#include <stdbool.h>
#include <stdint.h>

struct gather;

enum { GATHER_MAX = 64 };

/* True, and *order filled (the caller clears it), when nothing has to be fetched. stale says
 * whether expired facts will do. */
bool gather_peek_order(struct fetch *fetch, enum facts_kind kind, const char *domain,
                       enum fetch_trust trust, bool stale, struct order *order);

/* order is the callee's to clear. */
typedef void gather_order_done(void *arg, struct order *order);
struct gather *gather_order(struct fetch *fetch, enum facts_kind kind, const char *domain,
                            enum fetch_trust trust, int64_t budget, gather_order_done *done,
                            void *arg);

/* Of an ordering just begun: the domain and its hosts, where the table does not have them, are on net's
 * account with quota, which outlives it; what it does not cover is not known. */
void gather_charge(struct gather *gather, struct quota *quota, const char *net);

/* addr[i] belongs to name[i], NULL where it could not be had; each is the callee's to unref. Names
 * are copied; at most GATHER_MAX. An empty name is passed over. NULL where nothing had to wait. */
typedef void gather_hosts_done(void *arg, const struct facts **addr, size_t count);
struct gather *gather_hosts(struct fetch *fetch, const char *const *name, size_t count,
                            enum fetch_trust trust, int64_t budget, gather_hosts_done *done,
                            void *arg);

void gather_stop(struct gather *gather); /* no callback then; NULL is fine */

#endif
