/*
 * libmilter, and nothing else knows it: its callbacks become calls of milter/session.h.
 */
#ifndef MILTER_FRONT_H
#define MILTER_FRONT_H

#include "milter/session.h"

#include <stdbool.h>
#include <sys/socket.h>

/* Registers the callbacks and opens the listening socket by libmilter's name for it. is_local: a
 * unix socket. policy is kept. False, with libmilter's reason in syslog, where that fails. */
bool front_open(const char *name, bool is_local, const struct session_policy *policy);

/* Serves until TERM, INT or HUP, which every thread holds back; to be called from the process's
 * first thread. own is the address it listens on. False where libmilter gave up by itself. */
bool front_run(const struct sockaddr *own, socklen_t own_length);

#endif
