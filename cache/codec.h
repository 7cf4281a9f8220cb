/*
 * Facts to the fields of their Redis HASH and back (SPEC 8: mx, addr). Pure.
 *
 * The list `order` is "preference name,..." for MX, "priority weight port name,..." for SRV.
 *
 * Reading believes nothing: lengths, counts, states, numbers and names are checked, a stamp from
 * the future is clamped to now, an expiry is at most max_age (max_ttl, in seconds) away;
 * anything else is NULL ("not there"). Fields that are not known are passed over. The HASH of a
 * host has neither ttl nor fetched: ttl is then what is left of its life, fetched 0.
 */
#ifndef CACHE_CODEC_H
#define CACHE_CODEC_H

#include "cache/facts.h"

enum { CODEC_MAX_FIELDS = 8, CODEC_VALUE_SIZE = 8192, CODEC_SKEW = 2 };

/* Field names are constants; values live in text. */
struct codec_fields {
    size_t count;
    const char *name[CODEC_MAX_FIELDS];
    const char *value[CODEC_MAX_FIELDS];
    char text[CODEC_VALUE_SIZE];
};

/* False when it does not fit, for FACTS_FAIL, and for a host of which one family could not be told:
 * neither is ever shared. */
bool codec_format(const struct facts *facts, struct codec_fields *out);

/* names and values of one HGETALL answer, with their lengths; not terminated. The result has one
 * reference and own = false. */
struct codec_pair {
    const char *name, *value;
    size_t name_length, value_length;
};
struct facts *codec_parse(enum facts_kind kind, const struct codec_pair *pair, size_t count,
                          int64_t now, int64_t max_age);

/* Whether the stamps, as written, can be: none lies in the future, and none has a longer life than
 * max_age before it. codec_parse makes do with others; whoever asks for proof does not. */
bool codec_is_timely(const struct codec_pair *pair, size_t count, int64_t now, int64_t max_age);

#endif
