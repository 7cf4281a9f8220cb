/*
 * Queues that are emptied when a better tier is back (SPEC 4, `flush`; RFC 1985).
 *
 * A backup host queues what it cannot pass on, and tries again in its own time, minutes or an hour
 * later. For each domain with `flush` this file knows the hosts that its mail may go to: better
 * than this one in the ordering, or the pool's. When the best tier in use becomes a better one
 * (recovery.h), the server that `flush` names gets an ETRN at once, once a recovery; etrn_queue.h
 * sends it. In use: up by its probes, and neither drained nor overridden down. A server that is
 * away itself, or says "later" to all tries, gets it 5, 10, 20 and 40 minutes later again.
 *
 * Every node flushes its own server. A process that begins flushes nothing, unless an earlier one
 * left word in Redis that better tiers were away (owed.h).
 */
#ifndef POLICY_FLUSH_H
#define POLICY_FLUSH_H

#include "cache/fetch.h"
#include "policy/conf.h"
#include "policy/etrn.h"

struct event_base;
struct events;
struct flush;
struct override;
struct site;
struct stats;
struct store;
struct survey;
struct watch;

struct flush_parts { /* all outlive the flush; store may be NULL */
    struct event_base *base;
    struct fetch *fetch;
    struct watch *watch;
    struct site *site;
    struct override *override;
    struct survey *survey;
    struct stats *stats;
    struct events *events;
    struct store *store;
};

struct flush *flush_new(const struct flush_parts *parts, struct conf *conf);
void flush_free(struct flush *flush); /* NULL is fine */
void flush_set_conf(struct flush *flush, struct conf *conf);

/* A host's health changed: every domain is looked at once, from the loop. */
void flush_changed(struct flush *flush);
/* Redis is there again. */
void flush_store_up(struct flush *flush);

/* By hand: one session for one domain with `flush`, now, not repeated. NULL when out of memory;
 * etrn_stop ends it. */
struct etrn *flush_now(struct flush *flush, const struct conf_domain *section, etrn_done *done,
                       void *arg);
/* Logs and counts an answer: of those by hand it is the caller's to do. */
void flush_note(struct flush *flush, const char *domain, const char *server,
                const struct etrn_answer *answer);

#endif
