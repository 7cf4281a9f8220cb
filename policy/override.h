/*
 * Overrides: what the operator says about a host, by `mxwarden drain` or by hand in Redis
 * (override:<host>:<port>, fields state and weight).
 *
 * In process for every host that somebody asked about; read from Redis when first asked for, when
 * the tracking connection says that the key changed, and every second while that connection is
 * away. Without Redis the same lives in process. Malformed fields count as not set.
 *
 * At most 4096 hosts are known at a time; where there would be more, the one known for longest of
 * which nothing is said makes room.
 */
#ifndef POLICY_OVERRIDE_H
#define POLICY_OVERRIDE_H

#include "cache/store.h"

#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct override;

enum override_state { OVERRIDE_NONE, OVERRIDE_DRAIN, OVERRIDE_DOWN, OVERRIDE_READY };

struct override_value {
    enum override_state state;
    bool has_weight;
    unsigned weight; /* 0..65535 */
};

struct override *override_new(struct event_base *base, const char *prefix, struct store *store);
void override_free(struct override *override);

/* Never waits: what is known now. The first question about a host starts the read. */
struct override_value override_get(struct override *override, const char *host, uint16_t port);
/* Starts the reads without an answer: for hosts that will be asked about. */
void override_want(struct override *override, const char *host, uint16_t port);

/* Writes it here and in Redis. done comes once, from the loop or (no Redis, or none that can be
 * reached now) inside the call: ok says that it holds where it should. A value of NONE without
 * weight deletes the key. Not reached: it holds in this process at once, and goes to Redis when
 * that is back. Refused by Redis: what Redis says holds. */
typedef void override_done(void *arg, bool ok);
void override_put(struct override *override, const char *host, uint16_t port,
                  struct override_value value, override_done *done, void *arg);

/* From the tracking connection: that key ("host:port") changed, NULL: all did; and whether the
 * connection is up. */
void override_changed(struct override *override, const char *rest);
void override_set_tracked(struct override *override, bool tracked);

const char *override_state_name(enum override_state state); /* "" "drain" "down" "ready" */

#endif
