/*
 * Domain names: one canonical form, made once at the door. Pure.
 *
 * Canonical is lower-case, A-labels (RFC 5891, libidn2 non-transitional), without the final dot,
 * at most 253 octets, labels of at most 63 (RFC 1035 2.3.4). Nothing else may become part of a
 * DNS question, a Redis key or a log line.
 */
#ifndef CACHE_NAME_H
#define CACHE_NAME_H

#include "cache/net.h"

#include <stdbool.h>
#include <stddef.h>

enum { NAME_SIZE = 254 }; /* 253 octets and a NUL */

/* Makes the canonical form of a domain as an envelope, a configuration or DNS may hold it: UTF-8,
 * any case, perhaps a final dot. Letters, digits, '-' and '_' in labels, no '-' at a label's ends
 * (Postfix refuses such a next hop). False, and "" in out, where there is none: empty, too long,
 * control or other bytes, an address literal, a label of zero length, a last label that is a number
 * (inet_aton would read an address). */
bool name_normalize(const char *text, size_t length, char out[NAME_SIZE]);

/* The registrable domain (public suffix plus one label, private suffixes too: libpsl's built-in
 * list). False where there is none: a public suffix itself, a dotless name. */
bool name_registrable(const char *name, char out[NAME_SIZE]);

/* Whether name (canonical) holds addr's octets or hex groups, forwards or backwards, in decimal,
 * zero-padded or hex, joined by '-', '.', 'x', '_' or nothing; or the whole IPv4 address as one
 * number; or one half of an IPv6 address: then it is the provider's generic name of a customer's
 * line, and says nothing about who is there. */
bool name_embeds_address(const char *name, const struct net_addr *addr);

/* Glob: '*' is any run of characters, the rest is compared without case. */
bool name_matches(const char *pattern, const char *name);

/* Whether name is domain or below it (both canonical). */
bool name_is_below(const char *name, const char *domain);

#endif
