/*
 * Questions to the DNS, by c-ares on the event loop.
 *
 * One dns_ask is one question of one type with one overall budget, whatever c-ares' own tries and
 * servers add up to: when the budget is over the asker hears FACTS_FAIL at once. Where askers wait
 * less long than answers are worth waiting for, pace is their part of the budget. The callback comes
 * exactly once, always from the loop and never inside dns_ask; after dns_cancel not at all. UDP
 * first, TCP when truncated, EDNS 1232. Queries are bounded in number; over that: FACTS_FAIL.
 */
#ifndef CACHE_DNS_H
#define CACHE_DNS_H

#include "cache/answer.h"
#include "cache/facts.h"
#include "cache/notice.h"

#include <stdint.h>

struct event_base;
struct dns;
struct dns_query;

struct dns_options {
    const char *servers; /* "addr:port,addr:port", "" for the system's */
    int64_t budget;      /* milliseconds, one question, all tries and servers */
    int64_t pace;        /* milliseconds in which a server is tried, and a host's addresses are to
                            be known; 0: the budget */
    struct answer_limits limits;
};

/* facts is the callback's to unref; never NULL but when out of memory. */
typedef void dns_done(void *arg, struct facts *facts);

/* base and notice outlive the dns. NULL where servers cannot be used, or when out of memory. */
struct dns *dns_new(struct event_base *base, const struct dns_options *options,
                    const struct notice *notice);
/* Pending questions are dropped without a callback, their pointers dead. NULL is fine. */
void dns_free(struct dns *dns);
/* New options for questions asked from now on. False, nothing changed, where servers cannot be
 * used. */
bool dns_set_options(struct dns *dns, const struct dns_options *options);

/* name is as facts_owner makes it. The query is dead once its callback begins. NULL when out of memory: no
 * callback then. */
struct dns_query *dns_ask(struct dns *dns, enum answer_type type, const char *name, dns_done *done,
                          void *arg);
void dns_cancel(struct dns_query *query);

/* A host name's addresses as the system resolves them (hosts file too), for connecting to a
 * server; an address, with or without brackets, is itself. Same rules; count is 0 on failure, and
 * addr lives as long as the call. */
typedef void dns_host_done(void *arg, const struct net_addr *addr, size_t count);
struct dns_query *dns_ask_host(struct dns *dns, const char *host, dns_host_done *done, void *arg);

#endif
