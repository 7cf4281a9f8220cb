/*
 * What an administrator would like to see as it happens, on the whole site: the stream `events` of
 * SPEC 8. Verdicts other than accept, health changes, reloads, recoveries.
 *
 * An event is a line of the log: its first word becomes the field `event`, its "key=value" words
 * fields of the same names, all of them escaped as they are in the log; `at` (Unix seconds) and `node`
 * come with each. Sent behind, in pipelines; while Redis is away the last 200 wait. An answer that
 * was lost has them sent again, so one may stand there twice.
 *
 * A flood must neither fill the stream nor cost anything: verdicts are let through at two a second
 * beyond a burst of a hundred, others at one beyond fifty, and the counter events_dropped tells of the
 * rest, which are in the log all the same.
 */
#ifndef POLICY_EVENTS_H
#define POLICY_EVENTS_H

#include "cache/clock.h"
#include "cache/store.h"

struct event_base;
struct events;
struct stats;

enum events_kind { EVENTS_VERDICT, EVENTS_SITE, EVENTS_KINDS };

/* store may be NULL: then nothing is kept. stats outlives the events. */
struct events *events_new(struct event_base *base, const struct clock *clock, struct store *store,
                          struct stats *stats, const char *prefix, const char *node);
void events_free(struct events *events); /* NULL is fine */

/* line is constant text and escaped values, as it goes to the log. Calls nobody back: for hooks of
 * cache/, too. */
void events_put(struct events *events, enum events_kind kind, const char *line);
/* Sends the oldest of what waits, unless some are under way. */
void events_push(struct events *events);
/* Sends all that waits and calls back when that is done, or Redis has failed to take some: at exit.
 * Where there is nothing to wait for, inside the call. */
typedef void events_flushed(void *arg);
void events_flush(struct events *events, events_flushed *done, void *arg);

/* The words of XADD for a line: "event", its first word, then keys and values. line is cut up, the
 * words point into it; a word without '=' belongs to the value before it. How many words. Pure. */
size_t events_parse(char *line, const char **word, size_t size);

#endif
