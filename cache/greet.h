/*
 * The first words on a command connection to Redis, and what the answers say about the server.
 * Private to the Redis files.
 */
#ifndef CACHE_GREET_H
#define CACHE_GREET_H

#include "cache/dial.h"
#include "cache/store.h"

enum { GREET_WHY = 160, GREET_RUN_ID = 64, GREET_POLICY = 32 };

enum greet_verdict {
    GREET_GOOD,
    GREET_NOT_NOW, /* another attempt may succeed by itself */
    GREET_REPLICA, /* the administrator's to mend, unless a failover is under way */
    GREET_REFUSED, /* the administrator's to mend: password, rights, a Cluster */
};

/* AUTH and SELECT as needed, INFO, ROLE, TIME: one pipeline, whatever the answers, since an AUTH that
 * fails makes the others fail too. */
struct store_batch *greet_batch(const struct dial *dial);
/* Of that batch's replies. why is filled unless GOOD, run_id when GOOD. */
enum greet_verdict greet_judge(const struct store_reply *const *reply, size_t count,
                               char run_id[GREET_RUN_ID], char why[GREET_WHY]);
/* The batch's last three replies, for the two below. */
const struct store_reply *greet_info(const struct store_reply *const *reply, size_t count);
const struct store_reply *greet_time(const struct store_reply *const *reply, size_t count);

/* Unix milliseconds of TIME's reply, half a round trip late; 0 for another shape. */
int64_t greet_parse_time(const struct store_reply *reply);
/* evicted_keys of INFO's reply; -1 where it does not say. */
int64_t greet_parse_evicted(const struct store_reply *reply);
/* maxmemory_policy of INFO's reply; "" where it does not say. Returns out. */
const char *greet_parse_policy(const struct store_reply *reply, char out[GREET_POLICY]);

#endif
