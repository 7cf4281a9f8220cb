/*
 * One listening descriptor, and the path that belongs to it. What listen.c accepts on.
 */
#ifndef POLICY_LISTEN_SOCKET_H
#define POLICY_LISTEN_SOCKET_H

#include "policy/conf.h"

#include <stdbool.h>
#include <sys/types.h>

struct listen_socket {
    int fd;
    char *path; /* owned; NULL for a network socket */
    dev_t device;
    ino_t inode; /* of the path as made: another one there is somebody else's */
};

/* Makes it, listening and non-blocking. False with errno and a constant text in *why. group "" is
 * postfix, else smmsp, else left as it is. */
bool listen_socket_open(struct listen_socket *out, const struct conf_socket *socket, mode_t mode,
                        const char *group, const char **why);
/* Removes the path if it is still this socket's. The descriptor is not closed here: its acceptor
 * does that. */
void listen_socket_remove(struct listen_socket *socket);

#endif
