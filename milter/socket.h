/*
 * The milter's listening socket, as far as libmilter leaves that to its program: the name by which
 * libmilter knows it, a leftover of an earlier run, who may connect, and its removal at the end.
 */
#ifndef MILTER_SOCKET_H
#define MILTER_SOCKET_H

#include "policy/conf.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* "unix:/path", "inet:PORT@ADDRESS", "inet6:PORT@ADDRESS". False where it does not fit. */
bool socket_format(const struct conf_socket *socket, char *out, size_t size);

/* Whether libmilter may take path: nothing is there, or a socket on which nobody answers. *why is
 * a constant text for the log. */
bool socket_is_free(const char *path, const char **why);

/* Gives the socket its mode and its group; "" is postfix, else smmsp, else as it is. False, and
 * *why, where the group does not exist or either cannot be set. */
bool socket_share(const char *path, mode_t mode, const char *group, const char **why);

/* Removes path if it is still the socket that made describes: a program started since then may
 * have put its own there. */
void socket_remove(const char *path, const struct stat *made);

#endif
