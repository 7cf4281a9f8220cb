/*
 * A raw DNS answer into facts (RFC 1035, 2181, 2308, 2782, 7505), by libresolv's ns_initparse. Pure.
 *
 * c-ares parses MX records without their TTLs, so the bytes are read here. Follows CNAMEs inside
 * the answer, at most FACTS_MAX_CNAMES, refusing loops; leaves out targets that are no host names
 * and addresses that are no host's (loopback, unspecified, multicast; such a host has state NONE
 * when nothing else is left), and services on port 0; clamps TTLs. MX or SRV records of which none
 * can be used are FAIL, and not NONE: they forbid the implicit MX (RFC 5321 5.1).
 */
#ifndef CACHE_ANSWER_H
#define CACHE_ANSWER_H

#include "cache/facts.h"

#include <stddef.h>
#include <stdint.h>

struct answer_limits {
    uint32_t min_ttl, max_ttl, negative_ttl; /* seconds */
};

enum answer_type { ANSWER_MX, ANSWER_A, ANSWER_AAAA, ANSWER_SRV };

/* What one datagram or stream says for name (as it was asked for: facts_owner) and type: never NULL but when out of memory, state
 * FAIL where it is malformed, answers something else, or has an rcode other than NOERROR and
 * NXDOMAIN. kind is FACTS_MX for ANSWER_MX, FACTS_SRV for ANSWER_SRV, else FACTS_ADDR with the one
 * family filled. Negative answers live min(SOA minimum, SOA TTL, negative_ttl), without an SOA min_ttl; FAIL has min_ttl,
 * too. fetched and expires are left 0. */
struct facts *answer_parse(enum answer_type type, const char *name, const uint8_t *data,
                           size_t length, const struct answer_limits *limits);

/* What is said where there is no answer at all (timeout, SERVFAIL): FAIL. NULL when out of
 * memory. */
struct facts *answer_fail(enum answer_type type, const struct answer_limits *limits);

/* One host's two families into one: OK with any address; else FAIL if either could not tell;
 * NXDOMAIN only if both say so; else NONE. ttl is the smaller. New, one reference. */
struct facts *answer_join(const struct facts *a, const struct facts *aaaa);

#endif
