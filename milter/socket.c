/*
 * libmilter binds and listens; it follows the umask, knows no groups, and unlinks whatever socket
 * is in its way, also a busy one. This is the rest.
 */
#include "milter/socket.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool socket_format(const struct conf_socket *socket, char *out, size_t size)
{
    char bare[NET_TEXT];
    int length;

    if (socket->path)
        length = snprintf(out, size, "unix:%s", socket->path);
    else
        length = snprintf(out, size, "%s:%u@%s", socket->addr.family == NET_IPV6 ? "inet6" : "inet",
                          (unsigned)socket->port, net_addr_bare(&socket->addr, bare));
    return length > 0 && (size_t)length < size;
}

bool socket_is_free(const char *path, const char **why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat found;
    bool is_free = false;

    if (strlen(path) >= sizeof address.sun_path) {
        *why = "the path is too long for a socket";
        return false;
    }
    if (lstat(path, &found) != 0) {
        *why = strerror(errno);
        return errno == ENOENT;
    }
    if (!S_ISSOCK(found.st_mode)) {
        *why = "something that is no socket is there";
        return false;
    }
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *why = strerror(errno);
        return false;
    }
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 || errno == EAGAIN)
        *why = "another program answers on it";
    else if (errno == ECONNREFUSED || errno == ENOENT)
        is_free = true;
    else
        *why = strerror(errno);
    close(fd);
    return is_free;
}

/* The group that lets the mail server in; -1, which chown takes for "as it is", where there is
 * none. */
static bool group_find(const char *name, gid_t *out)
{
    static const char *const usual[] = {"postfix", "smmsp"};
    const struct group *group = NULL;

    *out = (gid_t)-1;
    if (name[0] != '\0') {
        group = getgrnam(name);
        if (!group)
            return false;
    }
    for (size_t i = 0; !group && i < sizeof usual / sizeof usual[0]; i++)
        group = getgrnam(usual[i]);
    if (group)
        *out = group->gr_gid;
    return true;
}

bool socket_share(const char *path, mode_t mode, const char *group, const char **why)
{
    gid_t gid;

    if (!group_find(group, &gid)) {
        *why = "the group does not exist";
        return false;
    }
    if (gid != (gid_t)-1 && lchown(path, (uid_t)-1, gid) != 0) {
        *why = "its group cannot be set: run as root, or as a member of the group";
        return false;
    }
    if (chmod(path, mode) != 0) {
        *why = "its mode cannot be set";
        return false;
    }
    return true;
}

void socket_remove(const char *path, const struct stat *made)
{
    struct stat found;

    if (lstat(path, &found) == 0 && found.st_dev == made->st_dev && found.st_ino == made->st_ino)
        unlink(path);
}
