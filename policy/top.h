/*
 * The day's busiest: networks that bypass, and domains (SPEC 8, top:bypass:<day>, top:domains:<day>).
 *
 * Counted in the process, in bounded room (policy/heavy.h), and every 5 s what was added goes to the
 * sorted sets that all nodes share, the busiest names first and no more than some sixty a time: so
 * a flood of names costs neither memory nor Redis more than a quiet day does. A set keeps its 1000
 * busiest members for eight days. What was sent and not answered is not sent again.
 */
#ifndef POLICY_TOP_H
#define POLICY_TOP_H

#include "cache/clock.h"
#include "cache/store.h"
#include "policy/heavy.h"

struct event_base;
struct top;

enum top_list {
    TOP_BYPASS,  /* networks, "[198.51.100.0/24]", by recipients that were or would be refused */
    TOP_DOMAINS, /* guarded domains, by recipients judged */
    TOP_LISTS,
};

const char *top_name(enum top_list list); /* "bypass", "domains" */

/* store may be NULL. */
struct top *top_new(struct event_base *base, const struct clock *clock, struct store *store,
                    const char *prefix);
void top_free(struct top *top); /* NULL is fine */

void top_add(struct top *top, enum top_list list, const char *name);
/* Sends all there is to send and calls back when that is answered, or lost: at exit. Where there is
 * nothing to wait for, inside the call. */
typedef void top_flushed(void *arg);
void top_flush(struct top *top, top_flushed *done, void *arg);
/* This process's busiest of the day, the busiest first; how many there are. */
size_t top_get(struct top *top, enum top_list list, struct heavy_item *out, size_t size);

#endif
