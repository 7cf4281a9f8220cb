/*
 * Netstrings, the frame of Postfix's and Sendmail's socket maps ("LEN:bytes,"). Pure.
 */
#ifndef POLICY_NETSTRING_H
#define POLICY_NETSTRING_H

#include <stddef.h>

enum { NETSTRING_MAX = 10000 }; /* a payload's bytes, at most: what Postfix may send */

enum netstring_status {
    NETSTRING_MORE,
    NETSTRING_DONE,
    NETSTRING_BAD, /* no digit, a leading zero, too long, another terminator than ',' */
};

/* Scans one netstring at the start of data. On NETSTRING_DONE payload and its length are a slice
 * of data, and *used is what the frame took. NETSTRING_BAD as soon as no more input could mend
 * it. */
enum netstring_status netstring_scan(const char *data, size_t length, const char **payload,
                                     size_t *payload_length, size_t *used);

/* Writes "LEN:payload," into out. Returns its length, 0 where it does not fit. */
size_t netstring_format(const char *payload, size_t payload_length, char *out, size_t size);

#endif
