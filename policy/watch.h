/*
 * The hosts under watch: probes on a schedule, their health, and whether they are observed.
 *
 * Life of a target (host name, port, address): somebody wants it (watch_want: a configured pool or
 * domain, or a guard question that found it better than its listener); it is probed every
 * health.interval, one probe in flight at a time an address, spread over the interval; when nobody
 * has wanted it for ten minutes it is dropped. The first probe starts at once. A target that is
 * down and wanted for a flush is probed every second, with 2 s for the connection, so that its
 * return is known `rise` seconds after its first banner at the latest, and a second more; no more
 * than half of all probes under way are such ones.
 *
 * Observed. Each probe says EHLO mxwp-<nonce>.<node>. The node that listens there is told by its
 * own milter or policy service and records proof:<nonce> = its public address in the shared memory;
 * this side looks for it after the probe for up to 2 s. Found and equal to the address dialled, by
 * a node whose heartbeat is known (site.h) and which has the feed that it needs: observed. One
 * miss: not observed, and `missing` says which link of the chain lacks. A failed probe changes
 * nothing here (the host is not healthy then), but for a host that goes down: a proof from before
 * an outage proves nothing after it.
 *
 * State is shared under health:<host>:<port>, field = this node: "state,streak,since,at,ms" of the
 * host's best address. A target that begins reads this node's own field first, so that a restart
 * does not begin anew (since). Without one, and whenever this node's own probes cannot be made for
 * longer than two intervals, the freshest of other nodes' stands in, as they write it, until the
 * next result of its own. Results older than two intervals count for nothing.
 *
 * Two names on one address share its probe and its health.
 *
 * Slow start begins when this process sees a host come back, but not within the first
 * health.slow_start of its own life: then all hosts may come up at once, because this one did.
 */
#ifndef POLICY_WATCH_H
#define POLICY_WATCH_H

#include "cache/clock.h"
#include "cache/net.h"
#include "policy/conf.h"
#include "policy/health.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct memory;
struct site;
struct store;
struct watch;

enum watch_missing {
    WATCH_MISSING_NOTHING,
    WATCH_MISSING_YET,       /* no probe has ended yet */
    WATCH_MISSING_BANNER,    /* the host does not answer: no chain to prove */
    WATCH_MISSING_REDIS,     /* this node's own shared memory is away */
    WATCH_MISSING_NODE,      /* no live node claims the address: no mxwardend there, or its Redis
                                is away or another one */
    WATCH_MISSING_MILTER,    /* a live node claims it, and was not told of the probe: no milter or
                                policy service attached to that listener */
    WATCH_MISSING_LISTENERS, /* the proof names another address: `listeners` there is wrong */
    WATCH_MISSING_FEED,      /* that node needs_feed and has none */
};
const char *watch_missing_name(enum watch_missing missing); /* "", "yet", "banner", "redis", ... */

/* Bits. WATCH_FLUSH: mail waits for this host's return (flush.h). */
enum watch_purpose { WATCH_GUARD = 1, WATCH_ROUTE = 2, WATCH_FLUSH = 4 };

struct watch_view {       /* of one target; a copy */
    char host[NAME_SIZE]; /* canonical name, or "[address]" */
    uint16_t port;
    struct net_addr addr;
    unsigned purposes;
    struct health health;
    int64_t age; /* milliseconds since the last result; that of another process or node in whole
                    seconds */
    bool observed;
    enum watch_missing missing;
    char detail[128]; /* of the last probe or proof, for people; printable */
};

/* The host as a whole, for routes: UP if any address is, DOWN if all are, else UNKNOWN; where some
 * are wanted for routes, only those (the guard looks at addresses that others resolved, too). Slow
 * start and damping are the host's too, not an address's: one that keeps an address up never went. */
struct watch_host_view {
    enum health_state state;
    int64_t since; /* Unix seconds; of UP: since when any address has been */
    unsigned targets;
    uint32_t ramp;      /* slow start, in thousandths of its weight (tier.h) */
    unsigned held;      /* how often it flapped, while that holds it out (flap.h); 0: it does not */
    int64_t held_until; /* Unix seconds; 0 where it is not held */
};

struct watch_hooks {
    /* A target's state changed, or became (un)observed. */
    void (*changed)(void *arg, const struct watch_view *before, const struct watch_view *after);
    void *arg;
};

/* store may be NULL. All outlive the watch. */
struct watch *watch_new(struct event_base *base, struct conf *conf, const struct clock *clock,
                        struct memory *memory, struct store *store, const struct site *site,
                        const struct watch_hooks *hooks);
void watch_free(struct watch *watch);
void watch_set_conf(struct watch *watch, struct conf *conf); /* keeps targets and their state */

/* rcpt_domain: the domain for depth rcpt, or NULL. Bounded: at most 4096 targets, beyond which
 * nothing new is watched. */
void watch_want(struct watch *watch, const char *host, uint16_t port, const struct net_addr *addr,
                enum watch_purpose purpose, const char *rcpt_domain);
/* The host's addresses are these and no others, at least one: a target at another is not wanted for
 * those purposes any more, and goes where nothing else wants it. */
void watch_only(struct watch *watch, const char *host, uint16_t port, const struct net_addr *addr,
                size_t count, unsigned purposes);
/* Some node has written what is shared about "host:port". */
void watch_changed(struct watch *watch, const char *host);
/* False where it is not watched. */
bool watch_get(const struct watch *watch, const char *host, uint16_t port,
               const struct net_addr *addr, struct watch_view *out);
/* Of whatever host name: guard questions know the address. The best of those of that address. */
bool watch_get_address(const struct watch *watch, const struct net_addr *addr, uint16_t port,
                       struct watch_view *out);
struct watch_host_view watch_get_host(const struct watch *watch, const char *host, uint16_t port);
typedef void watch_visit(void *arg, const struct watch_view *view);
void watch_each(const struct watch *watch, watch_visit *visit, void *arg); /* sorted by host */

#endif
