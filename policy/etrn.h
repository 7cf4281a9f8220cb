/*
 * One SMTP session that asks a server to send what it holds for some domains: connect, banner,
 * EHLO, an ETRN for each, QUIT (RFC 1985).
 *
 * Every domain gets an answer, whatever becomes of the session: the server's own words, or why
 * there are none. Bounded: ETRN_MAX domains (Postfix takes more than a hundred ETRN for junk),
 * time, and what may be read.
 */
#ifndef POLICY_ETRN_H
#define POLICY_ETRN_H

#include "cache/net.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct etrn;
struct event_base;

enum { ETRN_MAX = 50, ETRN_REPLY = 200 };

enum etrn_result {
    ETRN_DONE,    /* 250 to 253: the queue is under way, or empty */
    ETRN_LATER,   /* another 4xx: worth another try */
    ETRN_REFUSED, /* 459, 5xx, and what is no answer to an ETRN: the server's settings forbid it */
    ETRN_FAILED,  /* no answer: the session did not get so far */
};

struct etrn_answer {
    enum etrn_result result;
    char reply[ETRN_REPLY]; /* printable */
};

/* Once, from the loop, never inside etrn_start; the session is freed after the call. */
typedef void etrn_done(void *arg, const struct etrn_answer *answer, size_t count);

/* domain and name (what EHLO says) are copied; 1 to ETRN_MAX domains. timeout: milliseconds, the
 * whole. NULL when out of memory. */
struct etrn *etrn_start(struct event_base *base, const struct net_addr *addr, uint16_t port,
                        const char *name, const char *const *domain, size_t count, int64_t timeout,
                        etrn_done *done, void *arg);
void etrn_stop(struct etrn *etrn); /* no callback then; NULL is fine */

/* Whether another try could be told nothing else. */
bool etrn_is_final(const struct etrn_answer *answer);
const char *etrn_result_name(enum etrn_result result); /* "done" "later" "refused" "failed" */
/* What an administrator should look at after this answer; "" for nothing. */
const char *etrn_hint(const struct etrn_answer *answer);

#endif
