/*
 * One SMTP probe of one address: connect, banner, EHLO, QUIT (RFC 5321 3.1, 4.3.2).
 *
 * EHLO says "mxwp-<nonce>.<node>", by which the other side's node proves whom the probe reached
 * (policy/watch.h). A 220 banner, also the first line of a "220-" greeting, counts as alive; any
 * other code, silence, or a closed connection does not. The EHLO waits for the end of the greeting:
 * who speaks earlier is taken for a spammer (postscreen). With depth rcpt the probe goes on with
 * MAIL FROM:<> and RCPT TO:<postmaster@domain>, where any reply but 421 is good. One overall
 * timeout; nothing a peer sends can hold a probe longer, or more than 4 KiB of it.
 *
 * After a good banner a host that fails further on is alive all the same, but has not answered the
 * EHLO. Not so with depth rcpt, where it must answer to the end, nor after a 421 (RFC 5321 3.8: the
 * service is closing), nor where the greeting's last line takes the first one back.
 */
#ifndef POLICY_PROBE_H
#define POLICY_PROBE_H

#include "cache/name.h"
#include "cache/net.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct probe;

enum { PROBE_NONCE_SIZE = 33 }; /* 32 hex digits and a NUL */

struct probe_options {
    struct net_addr addr, source; /* source NET_NONE: the kernel's choice */
    uint16_t port;
    int64_t timeout;   /* milliseconds, the whole */
    int64_t connect;   /* of it, for the connection; 0: all of it */
    const char *nonce; /* at most 32 characters */
    const char *node;
    const char *rcpt_domain; /* NULL: banner only */
};

enum probe_result {
    PROBE_GOOD,
    PROBE_REFUSED,   /* connection refused or unreachable */
    PROBE_SILENT,    /* timeout */
    PROBE_BAD_REPLY, /* banner or reply of another code; text in detail */
    PROBE_CLOSED,    /* closed before the banner, or with depth rcpt before the last reply */
    PROBE_LOCAL,     /* our own trouble (no descriptor, source not ours): says nothing */
};

/* "good" "refused" "silent" "reply" "closed" "local" */
const char *probe_result_name(enum probe_result result);

/* detail: printable, lives as long as the call. said_ehlo: the EHLO was sent and answered with
 * 250, so that a milter there must have heard it. ms: to the banner. The probe is freed after the
 * call; never called inside probe_start. */
typedef void probe_done(void *arg, enum probe_result result, bool said_ehlo, int32_t ms,
                        const char *detail);

/* Options are copied. NULL when out of memory. */
struct probe *probe_start(struct event_base *base, const struct probe_options *options,
                          probe_done *done, void *arg);
void probe_stop(struct probe *probe); /* no callback then */

#endif
