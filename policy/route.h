/*
 * Routes: where does this address go? Pure.
 *
 * route_plan (route_plan.c) finds the section that counts and what it needs; route_choose joins the facts into
 * tiers (tier.h) and picks; route_format (route_text.c) writes the answer that the MTA parses. As
 * with the guard, whatever could not be had in time is a fact.
 */
#ifndef POLICY_ROUTE_H
#define POLICY_ROUTE_H

#include "policy/conf.h"
#include "policy/order.h"
#include "policy/recipient.h"
#include "policy/tier.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ROUTE_REPLY_SIZE = 640 }; /* "OK " and at most 512 bytes */

/* Which look-up asks: how its answer is written. */
enum route_map { ROUTE_TRANSPORT, ROUTE_MAILERTABLE };

/* What is to be done for an address. */
struct route_plan {
    enum conf_route route;             /* OFF: NOTFOUND at once */
    const struct conf_domain *section; /* NULL where there is none */
    const struct conf_match *match;    /* which counts in place of section */
    const struct conf_routing *routing;
    bool by_match;   /* the domain has no section of its own: route_plan_match is to be called */
    bool is_unknown; /* it was, without an MX set */
};

/* From the configuration alone. Where by_match is set this is what counts if no match fits. */
struct route_plan route_plan(const struct conf *conf, const struct address *address);

/* The first match that fits one of domain's best MX hosts (its own name, where there is no MX)
 * replaces what was planned. mx is NULL where it could not be had in time. */
void route_plan_match(struct route_plan *plan, const struct conf *conf, const struct facts *mx,
                      const char *domain);

struct route_facts {
    enum route_map map;
    struct route_plan plan;
    const struct address *address;
    const struct order *mx;    /* the MX set, for a match by which pool or srv is planned */
    const struct order *order; /* mx, primary, srv; NULL until gathered */
    bool self_in_mx;           /* a host of mx is this host */
    bool self_in_set;          /* one of order is */
    size_t withheld;   /* hosts left out because this host may be a better one, or as good */
    size_t unnamed;    /* hosts left out because the map has no words for them */
    size_t host_count; /* the pool's, or the order's, with health and overrides filled */
    struct tier_host host[TIER_MAX_HOSTS];
};

enum route_outcome {
    ROUTE_NOTFOUND,
    ROUTE_HOSTS,
    ROUTE_NULL_MX, /* error:5.1.10 */
    ROUTE_NOTHING, /* retry:4.4.4: nothing at all can be named */
};

struct route_choice {
    enum route_outcome outcome;
    const char *why; /* one line for people, constant */
    const char *transport;
    char key[ADDRESS_SIZE + NAME_SIZE]; /* what was hashed */
    struct tier_pick pick;
};

/* Puts the plan's hosts into facts->host: name, port, tier, weight, whether they resolve, self.
 * For a pool pool_addr[i] are the addresses of its i-th host in file order (NULL: unknown yet). The
 * caller then fills health and overrides. is_self answers for names and addresses. */
struct route_self {
    bool (*has_name)(void *arg, const char *name);
    bool (*has_addr)(void *arg, const struct net_addr *addr);
    void *arg;
    bool is_unsure; /* not all of its addresses are known yet */
};
void route_fill(struct route_facts *facts, const struct facts *const *pool_addr,
                const struct route_self *self);
/* Whether the host is this one. Any of its addresses makes it so: mail sent there comes back. */
bool route_is_self(const struct route_self *self, const char *name, const struct facts *addr);
/* A weight said by hand about a host of the plan, in the unit of its hosts' weights. */
uint32_t route_weight(const struct route_plan *plan, uint32_t weight);

/* Whether a domain's SRV records, FACTS_SRV or NULL, are known to leave its mail to the MX: there are
 * none, or one that says so. */
bool route_goes_by_mx(const struct facts *srv);

/* random is used for stick = none only. */
void route_choose(const struct route_facts *facts, uint64_t random, struct route_choice *out);

/* The socketmap reply. Always terminated, never empty. */
char *route_format(const struct route_facts *facts, const struct route_choice *choice,
                   char out[ROUTE_REPLY_SIZE]);
const char *route_outcome_name(enum route_outcome outcome);

#endif
