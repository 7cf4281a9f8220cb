/*
 * The other nodes of the site, as their heartbeats tell (SPEC 8, key node).
 *
 * A node is known while its heartbeat was read within PEERS_TTL_MS. Who is there is heard through
 * the tracking connection (each heartbeat is a changed key, upon which it is read, at most once a
 * second a node); those known are read again by themselves when nothing is heard of them, so that a
 * lost tracking connection alone makes nobody vanish.
 *
 * Nothing in Redis is believed beyond its shape: names are canonical, at most 64 addresses a node
 * and 256 nodes count, stamps from the future are clamped.
 */
#ifndef POLICY_PEERS_H
#define POLICY_PEERS_H

#include "cache/clock.h"
#include "cache/net.h"
#include "cache/store.h"
#include "policy/site.h"
#include "policy/tide.h"

#include <stdbool.h>

struct event_base;
struct peers;

enum {
    PEERS_TTL_MS = 15000,
    PEERS_MAX = 256,
    PEERS_MAX_LISTENERS = 64, /* of one node */
    PEERS_SPACING_MS = 30000, /* between samples of a node's visits: an hour of them */
};

/* learned is called when a node appears that was not known a moment ago. */
typedef void peers_learned(void *arg);
struct peers *peers_new(struct event_base *base, const char *prefix, const struct clock *clock,
                        struct store *store, peers_learned *learned, void *arg);
void peers_free(struct peers *peers);

/* node:<name> changed; NULL: all that are known did. */
void peers_changed(struct peers *peers, const char *name);
/* Reads again those of which nothing was heard for a while: with each own heartbeat. */
void peers_poll(struct peers *peers);

/* The live node that has addr among its listeners, NULL for none; lives until the loop runs on. */
const struct site_node *peers_find(const struct peers *peers, const struct net_addr *addr);
/* The same, or as the source of its probes. */
bool peers_claim(const struct peers *peers, const struct net_addr *addr);

/* The visits that the live node with that listener has told of; NULL for none. */
const struct tide_visits *peers_visits(const struct peers *peers, const struct net_addr *addr);
/* The names of all live nodes, into out[at most size]. */
size_t peers_names(const struct peers *peers, char (*out)[NAME_SIZE], size_t size);
/* The listeners of all live nodes, into out[at most size]. */
size_t peers_listeners(const struct peers *peers, struct net_addr *out, size_t size);

#endif
