/*
 * The daemon's parts, built from a configuration and wired to each other: who tells whom.
 */
#ifndef POLICY_DAEMON_H
#define POLICY_DAEMON_H

#include "policy/conf.h"

#include <stdbool.h>

struct daemon;
struct event_base;

/* Builds everything; the sockets open when the pools have been resolved, at the latest a second
 * later. failed is called from the loop when they cannot be opened (logged already). */
typedef void daemon_failed(void *arg);
struct daemon *daemon_new(struct event_base *base, struct conf *conf, daemon_failed *failed,
                          void *arg);

/* Takes over a new configuration: at once for questions that begin from now on. What only a
 * restart can change is logged and stays as it was. */
void daemon_set_conf(struct daemon *daemon, struct conf *conf);
/* Counts and logs a reload that was refused. */
void daemon_note_refused(struct daemon *daemon, const struct conf_problems *problems);

/* Stops listening, lets the questions under way end, sends the last counters, then calls back. */
typedef void daemon_stopped(void *arg);
void daemon_stop(struct daemon *daemon, daemon_stopped *stopped, void *arg);
void daemon_free(struct daemon *daemon); /* after the loop has ended */

#endif
