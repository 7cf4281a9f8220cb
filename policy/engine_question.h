/*
 * A question under way: the engine's own, shared by its files. engine.c keeps the life
 * (begin, end, cancel), engine_guard.c, engine_route.c and engine_filter.c the steps in between;
 * engine_evidence.c is what needs no steps.
 */
#ifndef POLICY_ENGINE_QUESTION_H
#define POLICY_ENGINE_QUESTION_H

#include "policy/dnsfilter.h"
#include "policy/engine.h"
#include "policy/gather.h"
#include "policy/memory.h"
#include "policy/override.h"
#include "policy/tide.h"

#include <event2/event.h>

enum { ENGINE_WARNED = 16 };

struct engine {
    struct engine_parts parts;
    struct conf *conf;
    int64_t evidence_ttl; /* seconds: the longest that any domain asks for */
    struct tide_nets bypassing;
    int64_t alerted;     /* monotonic ms of the last word about them */
    struct trap *trap;   /* how often the decoy refused whom */
    struct local *pins;  /* domain to the view that its MX records are judged by */
    struct quota *quota; /* of strangers' domains */
    size_t warned_count;
    struct net_addr warned[ENGINE_WARNED];
    size_t count;
    struct engine_question *first;
};

enum engine_kind {
    ENGINE_JUDGE,
    ENGINE_EXPLAIN,
    ENGINE_ROUTE,
    ENGINE_FILTER,
    ENGINE_SHOW_ROUTE,
    ENGINE_SHOW_ORDER
};

struct engine_question {
    struct engine *engine;
    struct engine_question *previous, *next;
    enum engine_kind kind;
    struct conf *conf; /* of the moment it began */
    int64_t began_us;  /* monotonic */
    void (*step)(struct engine_question *question);

    /* What it waits for; at most one at a time. */
    struct gather *gather;
    struct fetch_wait *mx_wait;
    struct memory_wait *wait;
    struct event *timer;

    /* The asker, cleared once it has been answered or has gone. */
    void *arg;
    union {
        engine_judged *judged;
        engine_explained_done *explained;
        engine_routed *routed;
        engine_route_view_done *route_view;
        engine_order_done *order_done;
    } done;
    bool answered;

    bool has_order;
    struct order order;

    /* Guard questions. */
    struct question question;
    struct guard_facts facts;
    int64_t deadline;   /* monotonic ms: what is not known by then is not known */
    int64_t learned_at; /* Unix seconds */
    bool learned_any;   /* only by an administrator's word: nothing is learned from it */
    char learned_as[IDENTITY_SIZE];

    /* Routes. */
    struct address address;
    char domain[NAME_SIZE];
    int64_t budget; /* ms, for orderings shown */
    struct route_facts route;
    bool has_mx;
    struct order mx; /* of a match */
    size_t pool_count;
    const struct facts *pool_addr[GATHER_MAX];

    /* Filter questions; domain "" where it is no MX record. */
    struct dnsfilter_record record;
};

int64_t engine_now_us(void);
enum tier_override engine_override(enum override_state state);
/* Fills in health, overrides and slow start of the route's hosts, as they are now. */
void engine_look(struct engine_question *question);
/* An empty table of pinned views (engine_filter.c); NULL when out of memory. */
struct local *engine_new_pins(void);
/* The client's network, "[198.51.100.0/24]". */
char *engine_net(const struct engine_question *question, char out[NET_TEXT]);
/* The decoy refused somebody who was seen nowhere else: ten times, and the network is trapped. */
void engine_note_decoy(struct engine_question *question);
/* Other listeners of the site that such a client may have been seen at, after listener[count]; the
 * new count. */
size_t engine_add_listeners(const struct engine_question *question, struct net_addr *listener,
                            size_t count, size_t size);

/* The public side of the listener (SPEC 4, listeners), as the MX record names it, and its port. */
struct net_addr engine_map_listener(const struct conf *conf, const struct question *question,
                                    uint16_t *port);
/* Writes down what the question tells of its client, before anything is judged. */
void engine_note_evidence(struct engine *engine, const struct question *question);
/* Says once for each listener on a private address that is no MX of the domain which entry in
 * `listeners` may be missing (hazards A11). */
void engine_warn_listener(struct engine *engine, const struct net_addr *listener,
                          const struct order *order, const char *domain);

/* A new question whose first step comes from the loop. NULL: out of memory, or too many. */
struct engine_question *engine_begin(struct engine *engine, enum engine_kind kind,
                                     void (*step)(struct engine_question *question), void *arg);
/* The next step comes from the loop, ms later. */
void engine_step_later(struct engine_question *question, int64_t ms);
/* Lets go of everything. The reply has been given. */
void engine_end(struct engine_question *question);

#endif
