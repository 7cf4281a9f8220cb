/*
 * The watch from the inside: what watch.c (hosts, wants, views), watch_cycle.c (one address's
 * cycle of probes and proofs) and watch_share.c (health in Redis) hold together.
 *
 * Three things. A place is an address and port: what is probed, and what has health. A target is a
 * host's name for a place. A host is a name and port with its targets: what routes ask for, and
 * what is shared. So two names on one address cost one probe and have one health.
 */
#ifndef POLICY_WATCH_PRIVATE_H
#define POLICY_WATCH_PRIVATE_H

#include "policy/flap.h"
#include "policy/sorted.h"
#include "policy/watch.h"

#include <sys/queue.h>

enum {
    WATCH_MAX_TARGETS = 4096,
    WATCH_MAX_PROBES = 200,     /* in flight */
    WATCH_UNWANTED_MS = 600000, /* a target that nobody has wanted for so long is dropped */
    WATCH_PURPOSES = 3,
    WATCH_DETAIL = 128,
};

struct event;
struct memory_wait;
struct probe;
struct watch_host;

LIST_HEAD(watch_targets, watch_target);
TAILQ_HEAD(watch_queue, watch_place);

struct watch_target {
    LIST_ENTRY(watch_target) of_host, of_place;
    struct watch_host *host;
    struct watch_place *place;
    int64_t wanted[WATCH_PURPOSES]; /* monotonic milliseconds, 0 never */
};

struct watch_host {
    struct watch *watch;
    char name[NAME_SIZE]; /* or "[address]" */
    uint16_t port;
    struct watch_targets targets;
    bool restored; /* what Redis held when this began has been read */
    bool reading;

    enum health_state state; /* the last that was UP or DOWN, or UNKNOWN */
    int64_t recovered;       /* monotonic ms of the last change from DOWN to UP; 0 none */
    struct flap flap;
};

struct watch_place {
    struct watch *watch;
    struct net_addr addr;
    uint16_t port;
    struct watch_targets targets;

    struct health health;
    bool borrowed;       /* health is another node's: there is no result of our own */
    bool blind;          /* our own probes cannot be made, and have not been for too long */
    bool considered;     /* what Redis held of it when it began has been taken, or left */
    struct health saved; /* of an earlier process, to be joined to our first result; or UNKNOWN */
    bool observed;
    enum watch_missing missing;
    char detail[WATCH_DETAIL];
    char rcpt_domain[NAME_SIZE]; /* "" for none */

    struct event *timer; /* the next probe, or the next look for the proof */
    bool queued;         /* waits for a probe slot */
    TAILQ_ENTRY(watch_place) queue;
    struct probe *probe;      /* under way */
    bool looking;             /* for the proof of the last one */
    struct memory_wait *wait; /* that look, while the memory is asked */
    char nonce[33];
    unsigned looks;     /* that have failed */
    int64_t look_until; /* monotonic milliseconds */
    int64_t started;    /* the last probe; 0 none yet */
    int64_t ended;      /* the last result of our own, monotonic ms; 0 none yet */
    bool spread;        /* has been given its place in the interval */
};

struct watch {
    unsigned refs; /* the owner's, and one for each batch under way */
    bool closed;
    struct event_base *base;
    struct conf *conf;
    const struct clock *clock;
    struct memory *memory;
    struct store *store;
    const struct site *site;
    struct watch_hooks hooks;
    struct sorted hosts;  /* by name and port */
    struct sorted places; /* by address and port */
    size_t targets, probes;
    struct watch_queue queue; /* places whose time has come, no slot being free */
    struct event *sweep;
    int64_t began; /* monotonic ms */
};

struct watch_host *watch_find_host(const struct watch *watch, const char *name, uint16_t port);
/* What it is wanted for now: monotonic milliseconds. */
unsigned watch_purposes(const struct watch_target *target, int64_t now);
/* What a target looks like with its place as given: now, or a moment ago. */
void watch_view_fill(const struct watch_target *target, const struct watch_place *place,
                     struct watch_view *out);
/* Takes in a change of the host as a whole: to be called whenever a place's health may have
 * changed. */
void watch_host_note(struct watch_host *host);
/* Whether a says more for a host than b: up first, and up for longer. */
bool watch_is_better(const struct health *a, const struct health *b);
void watch_unref(struct watch *watch);

/* watch_cycle.c. A place's first probe starts from the loop. */
bool watch_cycle_start(struct watch_place *place);
/* Ends whatever is under way. */
void watch_cycle_stop(struct watch_place *place);
/* Tells the hook of every target of place, given how place was before. */
void watch_cycle_tell(struct watch_place *place, const struct watch_place *before);

/* watch_share.c. Reads what is shared about host into places that have not considered it yet, or
 * have no result of their own; writes this node's field. All do nothing without Redis. */
void watch_share_read(struct watch_host *host);
/* The same anew. */
void watch_share_reread(struct watch_host *host);
void watch_share_write(struct watch_host *host);
/* Seconds, after which a result counts for nothing. */
int64_t watch_share_gap(const struct watch *watch);

#endif
