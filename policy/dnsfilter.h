/*
 * Which MX records Postfix need not see (SPEC 6.10): tiers and health, while the next hop stays the
 * domain, and with it DANE, MTA-STS, queues and cached connections. Pure.
 *
 * Postfix asks smtp_dns_reply_filter for each record of each answer, one by one, and can only be
 * told to ignore it. So all records of one answer must be judged by one view of the domain, which
 * is decided as a whole: what is hidden never is all there is. Which host of a tier is tried first
 * stays Postfix's choice.
 *
 * Everything in doubt is shown. A wrong "show" costs the order of the hosts; a wrong "hide" can
 * bounce: a set of which only hosts without address are left does, and one of which this host is
 * the best that is left.
 */
#ifndef POLICY_DNSFILTER_H
#define POLICY_DNSFILTER_H

#include "policy/health.h"
#include "policy/order.h"
#include "policy/route.h"
#include "policy/tier.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dnsfilter_record { /* all canonical */
    char domain[NAME_SIZE];
    uint16_t preference;
    char host[NAME_SIZE];
};

/* "Example.COM. 300 IN MX 10 mx1.Example.COM.", as Postfix's dns_strrecord writes it. False, and
 * *out of no meaning, for every other type, for a Null MX, and for what is no record. */
bool dnsfilter_parse(const char *text, struct dnsfilter_record *out);

/* Whether the ordering is known well enough to hide any of it: found, all of it, every host's
 * addresses told, none of them unusable; and no host this one, by has_name or has_addr. */
bool dnsfilter_can_judge(const struct order *order, const struct route_self *self);

/* One host of the ordering, as it is now. */
struct dnsfilter_host {
    uint16_t preference;
    bool resolves;
    bool held; /* its probes pass, and it flaps (policy/flap.h) */
    enum health_state health;
    enum tier_override override;
};

/* Decides for the whole set. Bit i of the result: host[i] is hidden. Never all of them, and never
 * so that no host is left that resolves. count <= FACTS_MAX_HOSTS. */
uint32_t dnsfilter_decide(const struct dnsfilter_host *host, size_t count);

/* Whether the record is that host of the set which hidden says. A record that is not in the set, or
 * at another preference, is not hidden. mx may be NULL. */
bool dnsfilter_hides(const struct facts *mx, uint32_t hidden,
                     const struct dnsfilter_record *record);

#endif
