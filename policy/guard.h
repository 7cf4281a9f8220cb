/*
 * The guard: may this client, at this listener, for this recipient? Pure.
 *
 * The judge walks the rows of SPEC 5 over the facts it has been given; the first that holds
 * decides. Where a row needs facts that have not been gathered it says which (a need), the engine
 * gathers them, and asks again from the first row on. So every order of arrival, every missing
 * answer and every mode meets the same rows, and a test is a table of facts and reasons.
 *
 * The mode is not among the facts, but for `off`: what is seen does not depend on what is done.
 */
#ifndef POLICY_GUARD_H
#define POLICY_GUARD_H

#include "policy/conf.h"
#include "policy/identity.h"
#include "policy/order.h"
#include "policy/question.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum guard_reason {
    GUARD_UNGUARDED,
    GUARD_EXEMPT_SASL,
    GUARD_EXEMPT_CERT,
    GUARD_EXEMPT_NETWORK,
    GUARD_EXEMPT_ALLOW,
    GUARD_EXEMPT_SENDER,
    GUARD_EXEMPT_RECIPIENT,
    GUARD_EXEMPT_MX,
    GUARD_EXEMPT_OFF,
    GUARD_EXEMPT_PAUSE,
    GUARD_NO_CLIENT,
    GUARD_NO_LISTENER,
    GUARD_DNS_FAIL,
    GUARD_DNS_NXDOMAIN,
    GUARD_DNS_NONE,
    GUARD_DNS_NULL,
    GUARD_OFF_MX,
    GUARD_BEST,
    GUARD_BETTER_DOWN,
    GUARD_UNOBSERVED,
    GUARD_SEEN,
    GUARD_LEARNED,
    GUARD_YOUNG,
    GUARD_MEMORY,
    GUARD_MX_CHANGED,
    GUARD_BREAKER,
    GUARD_YIELDED,
    GUARD_TRAP,
    GUARD_BYPASS,
    GUARD_REASON_COUNT,
};

/* What the judge lacks. */
enum guard_need {
    GUARD_NEED_NOTHING,
    GUARD_NEED_ORDER,       /* the domain's ordering, and with it the better hosts' state */
    GUARD_NEED_MEMORY,      /* was the client seen, was it learned, may absence be believed */
    GUARD_NEED_REFUSAL,     /* note the refusal to come, and learn when the first one was */
    GUARD_NEED_SECOND_LOOK, /* ask the memory once more, GUARD_SECOND_LOOK_MS later */
};
enum { GUARD_SECOND_LOOK_MS = 250 };

/* A better host, as seen from one listener: one entry for each address of any family. */
struct guard_better {
    unsigned host; /* index in order */
    struct net_addr addr;
    bool good;          /* last probe good, younger than two intervals */
    int64_t good_since; /* Unix seconds since when it has been good without a break */
    int64_t probed_at;  /* of its last result; 0 never */
    bool observed;
};
enum { GUARD_MAX_BETTER = 64 };

/* Where a piece of knowledge about the client comes from. */
struct guard_trace {
    int64_t at;            /* Unix seconds */
    struct net_addr where; /* of a visit */
    char as[IDENTITY_SIZE];
    bool shared; /* read from Redis; else this process knew it itself */
};

struct guard_facts {
    const struct question *question;
    const struct conf *conf;
    const struct conf_guard *guard; /* NULL: the domain is not guarded */
    struct net_addr listener;       /* public: mapped through listeners */
    int64_t now;                    /* Unix seconds */
    bool paused;

    bool has_order;
    const struct order *order;
    size_t better_count;
    struct guard_better better[GUARD_MAX_BETTER];
    bool better_cut;        /* there were more: cannot tell */
    int64_t better_changed; /* Unix seconds at which a better host was seen to appear; 0 never */

    bool has_memory;
    bool memory_complete; /* what was asked was answered */
    bool memory_good;     /* can be read and written, does not evict */
    int64_t memory_since; /* nothing was forgotten since */
    bool seen, learned;
    bool trapped;                     /* its network is (mxw1:trap) */
    struct guard_trace visit, lesson; /* what they rest on, for people */
    unsigned bypass_nets;             /* networks that bypassed in breaker_window */
    bool visits_fell; /* at a better host, below 1/breaker_factor of their average */

    bool has_earlier; /* earlier refusals were read with the memory: below is what it knew of */
    bool has_refusal;
    bool refusal_kept;     /* it could be noted */
    bool refused_anew;     /* nobody had been refused this before: first_refused is this one */
    int64_t first_refused; /* Unix seconds */
    bool later_message;    /* than one that was refused; false where that is not known */

    bool has_second_look;
};

struct guard_verdict {
    enum guard_reason reason;
    unsigned row;                    /* of SPEC 5; 0 for unguarded */
    const struct facts_host *mx;     /* the listener's place in the ordering; NULL not among it */
    const struct facts_host *better; /* the best healthy better host; NULL none */
    bool better_unknown;             /* a better host may have addresses that could not be had */
    enum guard_reason beneath;       /* of a decoy: the reason if it were none; else reason again */
};

/* Whether the listener is the decoy of guard.trap: the domain's one least preferred host, of that
 * name. It never accepts, whatever the rows say. */
bool guard_is_decoy(const struct guard_facts *facts);

/* Which hosts of the ordering are better than the listener, for the engine to look up: fills
 * better[] and better_count with hosts and addresses only. Needs has_order. */
void guard_find_better(struct guard_facts *facts);

/* Whether row 12 does not wait for yield_after: the client shows itself as a mail server, and if it
 * was refused, then in an earlier message. */
bool guard_may_retry_at_once(const struct guard_facts *facts);

/* Decides, or says what it needs. *verdict is set when the result is GUARD_NEED_NOTHING. */
enum guard_need guard_judge(const struct guard_facts *facts, struct guard_verdict *verdict);

const char *guard_reason_name(enum guard_reason reason); /* "exempt-sasl", ... */

/* The rows, for `explain`: what row tests, and the facts it saw as one line. */
/* Row 14 is SPEC 5's trap, which has no number there: it comes after row 3, and at a decoy last. */
enum { GUARD_ROWS = 14, GUARD_TRAP_ROW = 14 };
const char *guard_row_name(unsigned row);
void guard_row_fact(const struct guard_facts *facts, unsigned row, char *out, size_t size);

#endif
