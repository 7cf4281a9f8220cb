/*
 * What the site remembers of clients: who was seen where, who was refused when, who was learned,
 * and which probe reached whom (SPEC 8: seen, defer, ok, proof, epoch).
 *
 * Everything is written to the process's own table and, where there is one, to Redis; reads ask
 * both, and the better knowledge wins (an earlier refusal, any visit). So a retry is known here
 * though Redis forgot it, and known there though this process is new. Writes do not wait.
 *
 * Trust in absence is another matter: memory_get_state says whether "not seen" may be believed.
 */
#ifndef POLICY_MEMORY_H
#define POLICY_MEMORY_H

#include "cache/clock.h"
#include "cache/keys.h"
#include "cache/net.h"
#include "cache/store.h"
#include "policy/identity.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct memory;
struct memory_wait;

enum memory_state {
    MEMORY_GOOD,
    MEMORY_LOST,   /* Redis is configured and cannot be read or written */
    MEMORY_EVICTS, /* keys were thrown away within grace: by Redis, or here before Redis had them */
};

struct memory_options {
    const char *prefix;
    size_t entries; /* of the process's table */
};

struct memory *memory_new(struct event_base *base, const struct memory_options *options,
                          const struct clock *clock, struct store *store);
void memory_free(struct memory *memory);

/* The state now, and in *since the Unix second from which on nothing was forgotten: the epoch's
 * (with Redis) or this process's start. */
enum memory_state memory_get_state(const struct memory *memory, int64_t grace, int64_t *since);

/* A visit of these identities at a listener, kept ttl seconds. */
void memory_put_visit(struct memory *memory, const struct net_addr *listener,
                      const struct identity_set *who, const char *stage, int64_t ttl);

/* Whom an administrator allows is learned for this. */
#define MEMORY_ANY_DOMAIN "*"

/* Refusals of a client, for its sender and recipient. */
struct memory_refused {
    bool complete;    /* false: Redis did not take it, or could not be asked */
    bool fresh;       /* noted now, and none of the digests was known before */
    bool later;       /* one was, and it was another message's than this (message.h) */
    int64_t first_at; /* Unix seconds of the earliest refusal, this one included */
    unsigned which;   /* index of the digest that was earliest */
};

/* What is known of a client: the latest visit at any of the listeners, and whether it was learned
 * for domain; and, where retry is given, whether it was refused before. */
struct memory_look {
    const struct net_addr *listener; /* of the better hosts */
    size_t listener_count;
    const struct identity_set *who;
    const char *domain; /* learned for it, or for MEMORY_ANY_DOMAIN */
    bool dry;
    bool rcpt_only;                   /* a visit counts only if it came as far as RCPT */
    int64_t max_age;                  /* seconds; an older visit does not count */
    const char *net;                  /* "[net/bits]" that may be trapped; NULL: not asked */
    const struct identity_set *retry; /* identity_of_retry; NULL: not asked */
    uint64_t message;                 /* that may be a retry (message.h) */
};
struct memory_known {
    bool complete;      /* false: Redis did not answer; only the process's own was asked */
    int64_t seen_at;    /* Unix seconds, 0: not seen */
    int64_t learned_at; /* 0: not learned */
    int64_t trapped_at; /* 0: not trapped */
    bool learned_any;   /* only as MEMORY_ANY_DOMAIN: by an administrator, who said for how long */
    char seen_as[IDENTITY_SIZE], learned_as[IDENTITY_SIZE];
    bool shared; /* it was Redis that knew; else this process's own table */
    struct net_addr seen_where;
    struct memory_refused before; /* never fresh; first_at 0: not refused, as far as is known */
};
/* Called once, from the loop, never inside memory_ask. */
typedef void memory_known_done(void *arg, const struct memory_known *known);
struct memory_wait *memory_ask(struct memory *memory, const struct memory_look *look,
                               memory_known_done *done, void *arg);

/* Notes a (would-be) refusal under each digest unless one is known, and tells the earliest. Which
 * message met it only this process remembers; a refusal that Redis alone knows of was another's. */
typedef void memory_refused_done(void *arg, const struct memory_refused *refused);
struct memory_wait *memory_refuse(struct memory *memory, const struct identity_set *digests,
                                  uint64_t message, bool dry, memory_refused_done *done, void *arg);
/* The same of some other message, without noting anything: for explain. */
struct memory_wait *memory_recall(struct memory *memory, const struct identity_set *digests,
                                  bool dry, memory_refused_done *done, void *arg);
void memory_cancel(struct memory_wait *wait);

/* The values of keys as they stand, in Redis or else here, "" where there is none; complete as
 * above. For people: nothing is concluded. value lives as long as the call. */
enum { MEMORY_VALUE_SIZE = NET_TEXT, MEMORY_MAX_VALUES = 3600 };
typedef void memory_values_done(void *arg, bool complete, const char (*value)[MEMORY_VALUE_SIZE]);
struct memory_wait *memory_values(struct memory *memory, const char (*key)[KEYS_SIZE], size_t count,
                                  memory_values_done *done, void *arg);
/* Takes keys away, here and in Redis. */
void memory_drop(struct memory *memory, const char (*key)[KEYS_SIZE], size_t count);

/* Remembers a client as honest for domain, ttl seconds. */
void memory_put_learned(struct memory *memory, const char *domain, const struct identity_set *who,
                        bool dry, int64_t ttl);

/* Traps a network ("[net/bits]") for an hour; why is a few words. Only Redis is told, where there is
 * one: a trap that the site does not share is none. */
void memory_put_trap(struct memory *memory, const char *net, bool dry, const char *why);

/* Counts one more message of that network ("[net/bits]") that was let in as an honest sender's; the
 * recipients of one message (instance) are one. True when this process has counted enough for it to
 * be learned for ttl seconds; then it rests for a day, and counts anew. */
bool memory_count_message(struct memory *memory, const char *domain, const char *net,
                          const char *instance, bool dry, unsigned enough, int64_t ttl);

/* A probe of some node reached this address. Redis is told only while it has all that this process
 * knows, and nothing was lost within grace: the proof says that who comes here is known there. */
void memory_put_proof(struct memory *memory, const char *nonce, const struct net_addr *public,
                      int64_t grace);
/* Found or not within the store's budget; addr is NET_NONE where not. known is false when the
 * memory could not be asked. */
typedef void memory_proof_done(void *arg, bool known, const struct net_addr *addr);
struct memory_wait *memory_ask_proof(struct memory *memory, const char *nonce,
                                     memory_proof_done *done, void *arg);

/* epoch was changed in Redis, or everything (FLUSHALL): from the tracking connection. */
void memory_changed(struct memory *memory);
/* ok:<rest> was changed by hand, or everything (NULL): drops the process's copy. */
void memory_forget_learned(struct memory *memory, const char *rest);

#endif
