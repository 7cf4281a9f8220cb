/*
 * What is wrong with an ordering, as an administrator would want to be told: what loses mail, what
 * one fault takes away as a whole, what leaves the guard or a route nothing to work with. Pure.
 */
#ifndef POLICY_ORDER_JUDGE_H
#define POLICY_ORDER_JUDGE_H

#include "policy/order.h"
#include "policy/route.h"

enum order_level {
    ORDER_NOTE,    /* good to know */
    ORDER_WARNING, /* works, until it does not */
    ORDER_ERROR,   /* mail is lost or delayed by it */
};

/* text lives as long as the call; printable. */
typedef void order_found(void *arg, enum order_level level, const char *text);

/* Of an ordering by MX. self answers for this host. */
void order_judge(const struct order *order, const struct route_self *self, order_found *found,
                 void *arg);
/* Whether the ordering could be had at all: the domain is there, and the DNS said so. */
bool order_is_known(const struct order *order);
/* How the i-th host is known to be this one: "name", "address", or "" where it is not. */
const char *order_self(const struct order *order, const struct route_self *self, size_t i);
const char *order_level_name(enum order_level level); /* "note" "warning" "error" */

#endif
