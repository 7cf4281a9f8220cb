/*
 * How many names that only strangers brought up are looked up: an account for each client network,
 * and one for all of them together.
 *
 * Whoever can make this host ask about domains of his own invention fills its table, every node's, and
 * Redis. The table is bounded by itself; this bounds the rest: in any window there are at most 1.1
 * times as many new names as allowed, however many networks take part, and from one network
 * QUOTA_NET_BURST and then one a minute. A name for which nothing is left cannot be told, which
 * accepts.
 */
#ifndef POLICY_QUOTA_H
#define POLICY_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUOTA_NET_BURST = 100, QUOTA_NET_MS = 60000, QUOTA_NETS = 10000 };

struct quota;

/* names in each window (milliseconds); a tenth of them at once. NULL when out of memory. */
struct quota *quota_new(size_t names, int64_t window);
void quota_free(struct quota *quota);
void quota_set(struct quota *quota, size_t names, int64_t window);

/* One name on net's account ("[198.51.100.0/24]"), now in monotonic milliseconds. False where nothing
 * is left, and nothing is taken then. */
bool quota_take(struct quota *quota, const char *net, int64_t now);

#endif
