/*
 * The life of a question.
 *
 * A mail server asks one of three things: "may this client send to this recipient?" (policy
 * delegation, by Postfix itself or by mxwarden-milter), "where does this address, or domain, go?"
 * and "is this MX record to be ignored?" (socketmap). All live the same life here:
 *
 *   1. A conversation (delegate.c, socketmap.c, control.c) reads a frame, checks every byte of it,
 *      and makes a plain question: canonical names, addresses, nothing that is not understood. It
 *      calls engine_judge, engine_route or engine_filter and keeps the handle. From here on the engine owns the
 *      question; the conversation owns the reply.
 *   2. The engine takes a reference on the configuration of this moment, and starts with no facts.
 *   3. It asks a pure judge (guard.c; route.c; dnsfilter.c). The judge has no clock, no socket and no memory: it
 *      decides from the facts, or names the facts that it lacks.
 *   4. The engine gathers these: an ordering and its hosts' addresses (gather.c over
 *      cache/fetch.h: table, Redis, DNS), the hosts' health and observation (watch.h, no waiting),
 *      what is remembered of the client (memory.h). Each wait has its share of the question's
 *      budget, and when that is over "cannot tell" is the fact. There is no other failure path:
 *      out of time, Redis gone, DNS broken are facts like any, and the judge accepts on them.
 *   5. Back to 3, until the judge decides. Then the engine acts once: it notes evidence, learns the
 *      client, counts, logs one line; and replies once. `detect` answers before the refusal's
 *      second look, which then goes on behind, so that counting costs the client nothing.
 *   6. Late answers find no waiter: every wait is a handle that is cancelled with its question.
 *
 * Evidence is not a question: a visit is written down at once and nobody waits.
 *
 * The callbacks here never run inside the call that began the question.
 */
#ifndef POLICY_ENGINE_H
#define POLICY_ENGINE_H

#include "cache/clock.h"
#include "cache/fetch.h"
#include "policy/conf.h"
#include "policy/guard.h"
#include "policy/question.h"
#include "policy/route.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct engine;
struct engine_question;
struct event_base;
struct events;
struct memory;
struct override;
struct pause;
struct site;
struct stats;
struct survey;
struct tally;
struct top;
struct watch;

/* What the engine works with; all outlive it. */
struct engine_parts {
    struct event_base *base;
    const struct clock *clock;
    struct fetch *fetch;
    struct memory *memory;
    struct watch *watch;
    struct site *site;
    struct override *override;
    struct pause *pause;
    struct stats *stats;
    struct survey *survey;
    struct tally *tally;
    struct top *top;
    struct events *events;
};

enum {
    ENGINE_POLICY_BUDGET_MS = 1500, /* inside the milter's wait of 2 s */
    ENGINE_ROUTE_BUDGET_MS = 200,   /* trivial-rewrite is synchronous */
};

struct engine *engine_new(const struct engine_parts *parts, struct conf *conf);
void engine_free(struct engine *engine); /* questions are dropped without a reply */
void engine_set_conf(struct engine *engine, struct conf *conf);

/* Policy. action is what follows "action=" on the policy socket, never empty, and lives as long as
 * the call. */
typedef void engine_judged(void *arg, const char *action);
/* Every stage: connect and HELO questions are evidence or proof, and answered DUNNO. question is
 * copied. NULL, and no callback, when out of memory or at the limit of questions: say DUNNO. */
struct engine_question *engine_judge(struct engine *engine, const struct question *question,
                                     engine_judged *done, void *arg);

/* A visit that no mail server asked about, from `mxwarden feed`: evidence, as a question at connect
 * would be. listener is the local address; port 0 is not known, and taken for 25. */
void engine_note_visit(struct engine *engine, const struct net_addr *client,
                       const struct net_addr *listener, uint16_t port);

/* Routes: the whole reply of a socketmap ("OK smtp:...", "NOTFOUND "), never empty, no CR LF NUL.
 * key is as it came: an address, a domain of a mailertable, or "*". */
typedef void engine_routed(void *arg, const char *reply);
struct engine_question *engine_route(struct engine *engine, enum route_map map, const char *key,
                                     engine_routed *done, void *arg);

/* A resource record of a DNS answer that Postfix got, as it writes it: "OK IGNORE" or "NOTFOUND ".
 * NULL, and no callback: say "NOTFOUND ". */
struct engine_question *engine_filter(struct engine *engine, const char *record,
                                      engine_routed *done, void *arg);

/* The same for people: nothing is noted, learned or counted. facts and verdict, choice and reply
 * live as long as the call. */
struct engine_explained {
    const struct guard_facts *facts;
    struct guard_verdict verdict;
    const char *action;
    const char *domain;
};
typedef void engine_explained_done(void *arg, const struct engine_explained *explained);
struct engine_question *engine_explain(struct engine *engine, const struct question *question,
                                       engine_explained_done *done, void *arg);

struct engine_routed_view {
    const struct route_facts *facts;
    const struct route_choice *choice;
    const char *reply;
};
typedef void engine_route_view_done(void *arg, const struct engine_routed_view *view);
struct engine_question *engine_show_route(struct engine *engine, enum route_map map,
                                          const char *key, engine_route_view_done *done, void *arg);

/* An ordering with its addresses. order lives as long as the call; waits at most budget ms. */
typedef void engine_order_done(void *arg, const struct order *order);
struct engine_question *engine_show_order(struct engine *engine, const char *domain, int64_t budget,
                                          engine_order_done *done, void *arg);

/* The asker went away: no reply. What must be noted all the same is. */
void engine_cancel(struct engine_question *question);
size_t engine_count(const struct engine *engine); /* questions under way */

#endif
