/*
 * The nodes of the site: who is alive, and which addresses are theirs (SPEC 8, key node).
 *
 * Every node writes node:<its name> every 5 s with a TTL of 15 s, and learns of the others through
 * the tracking connection: each heartbeat comes back as an invalidated key, upon which that key is
 * read (policy/peers.h). A node that appears is greeted by a heartbeat at once, so that it need not
 * wait to know the others. Without Redis the site is this node alone.
 *
 * A heartbeat claims as listeners: the public sides of `listeners`, the node's addresses in DNS,
 * single addresses of `own`, and those that its milter or policy service asked about within the
 * last hour; 64 at most.
 *
 * Self (SPEC 6.2) is the node's name, its addresses in DNS, both sides of `listeners`, and `own`;
 * never bare interface addresses.
 */
#ifndef POLICY_SITE_H
#define POLICY_SITE_H

#include "cache/clock.h"
#include "cache/fetch.h"
#include "policy/conf.h"
#include "policy/question.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct site;

/* fetch and store may be NULL (then nothing is resolved, nothing shared). */
struct site *site_new(struct event_base *base, struct conf *conf, const struct clock *clock,
                      struct fetch *fetch, struct store *store);
void site_free(struct site *site);
void site_set_conf(struct site *site, struct conf *conf);

/* Whether a host of that name, or that address, is this host. */
bool site_is_self_name(const struct site *site, const char *name);
bool site_is_self_addr(const struct site *site, const struct net_addr *addr);

/* Whether that is all: false until the DNS has said what the addresses of the node's name are. */
bool site_knows_self(const struct site *site);

/* Whether mail that reaches addr reaches a listener of this host: its own, or one that it was asked
 * about in the last hour. */
bool site_is_listener(const struct site *site, const struct net_addr *addr);

/* Whether a live node (this one included) claims the address as a listener or a probe source. */
bool site_is_claimed(const struct site *site, const struct net_addr *addr);
/* The live node that claims addr as listener, or NULL; lives until the loop runs on. */
struct site_node {
    char name[NAME_SIZE];
    bool needs_feed, feed; /* feed: its `mxwarden feed` is alive */
    char asker[16];        /* "milter", "policy": who asked it last; "" nobody yet */
    int64_t asked;         /* Unix seconds; 0 never */
};
const struct site_node *site_find(const struct site *site, const struct net_addr *addr);

/* Notes that a listener of this host was asked about, by whom: it joins what this node claims, and
 * the heartbeat says so. public is the mapped address. */
void site_note_asked(struct site *site, const struct net_addr *public, enum question_asker asker);

/* A client visited a listener of this host; the heartbeats tell how many have. */
void site_note_visit(struct site *site);
/* Whether the visits at the live node that claims addr have fallen (policy/tide.h); window in
 * milliseconds. */
bool site_has_fallen(const struct site *site, const struct net_addr *addr, int64_t window,
                     unsigned factor);

/* `mxwarden feed` was heard of: it is alive for the next 15 s, and the heartbeats say so. */
void site_note_feed(struct site *site);
bool site_has_feed(const struct site *site); /* now */
/* How many listeners of that family this node claims; *only is set where it is one. */
size_t site_find_listener(const struct site *site, enum net_family family, struct net_addr *only);

/* The listeners of all live nodes, this one's first, no address twice, into out[at most size]. */
size_t site_listeners(const struct site *site, struct net_addr *out, size_t size);

/* The names of all other live nodes, into out[at most size]. */
size_t site_nodes(const struct site *site, char (*out)[NAME_SIZE], size_t size);

/* node:<name> changed in Redis, or everything did (NULL): from the tracking connection. */
void site_changed(struct site *site, const char *name);
/* Writes the heartbeat now (after a reconnect, say). */
void site_beat(struct site *site);

#endif
