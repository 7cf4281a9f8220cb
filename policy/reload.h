/*
 * Reading the configuration while the loop goes on: a helper thread parses, the loop swaps.
 */
#ifndef POLICY_RELOAD_H
#define POLICY_RELOAD_H

#include "policy/conf.h"

#include <stdbool.h>

struct event_base;
struct reload;

/* conf has one reference, the callee's; NULL where the file was refused. problems live as long as
 * the call. */
typedef void reload_done(void *arg, struct conf *conf, const struct conf_problems *problems);

struct reload *reload_new(struct event_base *base, const char *file, bool required,
                          reload_done *done, void *arg);
/* Begins; one asked for while another is under way begins when that has ended. One that cannot begin
 * is logged, and nothing is called. */
void reload_start(struct reload *reload);
void reload_free(struct reload *reload); /* waits for one under way */

#endif
