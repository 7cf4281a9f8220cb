/*
 * An ordering, by MX or SRV records, with its hosts' addresses: facts joined, judged by nobody yet.
 * Pure.
 */
#ifndef POLICY_ORDER_H
#define POLICY_ORDER_H

#include "cache/facts.h"

#include <stdbool.h>
#include <stddef.h>

enum order_resolve {
    ORDER_RESOLVED, /* has a usable address */
    ORDER_UNKNOWN,  /* the look-up could not tell: may exist */
    ORDER_ABSENT,   /* has no address, or does not exist */
    ORDER_UNUSABLE, /* only addresses that no mail host has (loopback and the like) */
};

struct order_host {
    struct facts_host host; /* name lives as long as the order; of an MX, port 25 and weight 0 */
    enum order_resolve resolve;
    const struct facts *addr; /* NULL where unknown; held by the order */
};

struct order {
    enum facts_state state; /* of the MX or SRV look-up */
    bool implicit;          /* MX: there is none, the domain's own address serves (RFC 5321 5.1) */
    bool own;               /* all of it resolved by this process, or proven (facts.h) */
    const struct facts *mx; /* held by the order; NULL where it could not be had */
    size_t count;           /* sorted by preference, then name, then port */
    struct order_host host[FACTS_MAX_HOSTS];
};

/* How many hosts' addresses are needed for mx, FACTS_MX or FACTS_SRV, and the i-th's name: domain
 * itself for the implicit MX. Of an SRV set one name may be there several times. */
size_t order_names(const struct facts *mx);
const char *order_name(const struct facts *mx, const char *domain, size_t index);

/* Joins. addr[i] belongs to order_name(i), NULL where it could not be had in time. Takes its own
 * references. mx may be NULL (could not be had: state FAIL). */
void order_init(struct order *order, const struct facts *mx, const char *domain,
                const struct facts *const *addr);
void order_clear(struct order *order);

/* Addresses of a host that count as a mail host's, both families, IPv4 first; private says whether
 * RFC 1918 and the like do. Returns how many were put into out[at most size]. */
size_t order_addresses(const struct facts *addr, bool private_too, struct net_addr *out,
                       size_t size);
/* The index of the best preference at which some host holds addr; -1 none. */
int order_find_addr(const struct order *order, const struct net_addr *addr);
/* Whether a host's addresses, or those of one family, could not be had. */
bool order_is_unknown(const struct order_host *host);
/* Whether any host's addresses could not be had, so that "not among them" proves nothing. */
bool order_has_unknown(const struct order *order);

#endif
