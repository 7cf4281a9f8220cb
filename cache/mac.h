/*
 * Proof that a HASH in Redis was written by a node of this site (SPEC 8: `mac` of mx and addr). Pure.
 *
 * A keyed digest under the site's secret, over the key's name and all fields but `mac`, each
 * preceded by its length, in the order of their names: so no value can be moved to another key or
 * another field, extended, cut, or joined with its neighbour. What the digest cannot tell is whether
 * the value is the last one that was written there: `expires` is among the fields, and bounds for how
 * long an old one can be played back.
 */
#ifndef CACHE_MAC_H
#define CACHE_MAC_H

#include "cache/codec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAC_FIELD "mac"

enum { MAC_KEY_SIZE = 32, MAC_TEXT = 65, MAC_MAX_FIELDS = 16 };

struct mac_key {
    bool is_set; /* false: nothing is proven, nothing signed */
    uint8_t octets[MAC_KEY_SIZE];
};

/* From the site's secret of any length; 0 for none. */
void mac_key_init(struct mac_key *key, const void *secret, size_t size);

/* name is the key's in Redis. At most MAC_MAX_FIELDS pairs; a pair called MAC_FIELD is passed over.
 * False where there is no secret, and for more pairs. */
bool mac_format(const struct mac_key *key, const char *name, const struct codec_pair *pair,
                size_t count, char out[MAC_TEXT]);
/* Whether the pairs hold their own mac, and nothing twice. */
bool mac_is_valid(const struct mac_key *key, const char *name, const struct codec_pair *pair,
                  size_t count);

#endif
