/*
 * The fetch's own: what its files share. fetch.c keeps the table and the whole's life, fetch_wait.c
 * the askers, fetch_job.c what is under way for them, fetch_forget.c what changed elsewhere.
 */
#ifndef CACHE_FETCH_INSIDE_H
#define CACHE_FETCH_INSIDE_H

#include "cache/fetch.h"
#include "cache/known.h"
#include "cache/local.h"
#include "cache/share.h"

enum { FETCH_KEY_SIZE = NAME_SIZE + 2 };

struct fetch {
    struct event_base *base;
    struct clock *clock;
    struct dns *dns;
    const struct notice *notice;
    int64_t stale, dns_timeout;
    char node[NAME_SIZE];
    char *prefix;
    struct share_place place;
    struct mac_key mac;
    struct local *table;      /* "m:name", "a:name", "s:name" to struct known */
    struct local *jobs;       /* the same to struct fetch_job, without bound or expiry */
    struct fetch_wait *ready; /* waiters whose answer is known */
    struct fetch_check *checks;
};

struct fetch_job {
    struct fetch *fetch;
    enum facts_kind kind;
    char key[FETCH_KEY_SIZE];
    struct fetch_wait *waiters[2]; /* by enum fetch_trust */
    struct share_read *read;
    struct share_lease *lease; /* asked for */
    struct event *turn;        /* another node has it: look again when it is over */
    bool is_outdated;          /* the key changed while it was read */
    bool wants_own;  /* somebody needs what can be trusted, though nobody may be waiting */
    int64_t ahead;   /* milliseconds that what Redis has must still last */
    bool has_waited; /* for another node, once */
    bool asked_dns;
    bool is_late;  /* its waiters have heard that it cannot be told */
    unsigned open; /* parts not answered */
    struct fetch_part {
        struct fetch_job *job;
        struct dns_query *query;
        struct facts *facts;
    } part[2];
    struct event *limit;
};

struct fetch_wait {
    struct fetch_wait *prev, *next;
    struct fetch *fetch;
    struct fetch_job *job;     /* NULL: in fetch->ready */
    const struct facts *facts; /* then; may be NULL */
    enum facts_kind kind;
    char key[FETCH_KEY_SIZE];
    enum fetch_trust trust;
    struct event *timer;
    fetch_done *done;
    void *arg;
};

/* Counts; the kinds of an ordering count as one. */
enum fetch_what { FETCH_WHAT_HIT, FETCH_WHAT_MISS, FETCH_WHAT_STALE, FETCH_WHAT_SHARED };
void fetch_tell(const struct fetch *fetch, enum facts_kind kind, enum fetch_what what);

/* The table's key of a name, and back. */
char *fetch_key(enum facts_kind kind, const char *name, char out[FETCH_KEY_SIZE]);
const char *fetch_name(const char *key);
/* Expired entries are gone by this look, so what comes back holds something, or did. */
struct known *fetch_find(struct fetch *fetch, const char *key);
/* A new entry lasts until fetch_settle has seen what was put into it. NULL when out of memory. */
struct known *fetch_find_or_make(struct fetch *fetch, const char *key);
void fetch_settle(struct fetch *fetch, const char *key, const struct known *known);
void fetch_put(struct fetch *fetch, const char *key, const struct facts *facts);

/* Calls every waiter of a list: with facts, or, NULL, with the best that is kept. */
void fetch_wait_serve(struct fetch_wait **list, const struct facts *facts);
/* Frees them without a call. */
void fetch_wait_drop(struct fetch_wait **list);

/* Begins what is not under way for that key. What Redis has will do if it lasts for ahead
 * milliseconds, or half its ttl. NULL when out of memory. */
struct fetch_job *fetch_job_start(struct fetch *fetch, enum facts_kind kind, const char *key,
                                  enum fetch_trust trust, int64_t ahead);
/* One that is under way is to end with facts that can be trusted. */
void fetch_job_want_own(struct fetch_job *job);
/* What a job is reading from Redis just now may be what was there before. */
void fetch_job_outdate(struct fetch *fetch, const char *key);
void fetch_job_outdate_all(struct fetch *fetch);
void fetch_job_drop_all(struct fetch *fetch);

void fetch_check_drop_all(struct fetch *fetch);

#endif
