/*
 * Making a socket to listen on so that nobody reaches it with the wrong rights, not even for a
 * moment: bound under a closed umask, given its group and mode, and only then listening. A
 * left-over path is replaced only when it is a socket on which nobody answers.
 */
#include "policy/listen_socket.h"

#include "policy/log.h"

#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 511 };

static bool path_address(const char *path, struct sockaddr_un *out)
{
    size_t length = strlen(path);

    memset(out, 0, sizeof *out);
    out->sun_family = AF_UNIX;
    if (length >= sizeof out->sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(out->sun_path, path, length + 1);
    return true;
}

static bool somebody_answers(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool answers;

    if (fd < 0)
        return true; /* could not tell: do not take what may be another's */
    /* EAGAIN: somebody listens there whose queue is full. */
    answers = connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 ||
              errno == EAGAIN || errno == EACCES;
    close(fd);
    return answers;
}

static bool clear_path(const char *path, const struct sockaddr_un *address, const char **why)
{
    struct stat status;

    if (lstat(path, &status) != 0)
        return errno == ENOENT || errno == ENOTDIR; /* bind says which */
    if (!S_ISSOCK(status.st_mode)) {
        *why = "there is something else at its path";
        errno = EEXIST;
        return false;
    }
    if (somebody_answers(address)) {
        *why = "another process answers there";
        errno = EADDRINUSE;
        return false;
    }
    return unlink(path) == 0 || errno == ENOENT;
}

static const struct group *find_group(const char *name)
{
    const struct group *group;

    if (*name)
        return getgrnam(name);
    group = getgrnam("postfix");
    return group ? group : getgrnam("smmsp");
}

/* A group that the administrator named must hold; the default one is tried for convenience. */
static bool give_rights(const char *path, mode_t mode, const char *group, const char **why)
{
    const struct group *found = find_group(group);

    if (*group && !found) {
        *why = "no such group";
        errno = EINVAL;
        return false;
    }
    if (found && (mode & S_IRWXG) && lchown(path, (uid_t)-1, found->gr_gid) != 0) {
        if (*group) {
            *why = "cannot give it to its group";
            return false;
        }
        log_warning("listen: cannot give %s to group %s: %s; the mail server may not reach it",
                    path, found->gr_name, strerror(errno));
    }
    if (chmod(path, mode) != 0) {
        *why = "cannot set its mode";
        return false;
    }
    return true;
}

static bool bind_path(struct listen_socket *out, const char *path, mode_t mode, const char *group,
                      const char **why)
{
    struct sockaddr_un address;
    struct stat status;
    mode_t before;
    int bound;

    *why = "its path cannot be used";
    if (!path_address(path, &address) || !clear_path(path, &address, why))
        return false;
    before = umask(0177);
    bound = bind(out->fd, (struct sockaddr *)&address, sizeof address);
    umask(before);
    if (bound != 0) {
        *why = "cannot be made (does its folder exist, and may this user write there?)";
        return false;
    }
    out->path = strdup(path);
    if (!out->path || lstat(path, &status) != 0 || !give_rights(path, mode, group, why)) {
        unlink(path);
        return false;
    }
    out->device = status.st_dev;
    out->inode = status.st_ino;
    return true;
}

static bool bind_network(struct listen_socket *out, const struct conf_socket *from,
                         const char **why)
{
    struct sockaddr_storage address;
    socklen_t length = net_addr_sockaddr(&from->addr, from->port, &address);
    int on = 1;

    /* IPv6 alone: an IPv4 client would else come as a mapped address to a socket that nobody
     * configured for it. */
    if (setsockopt(out->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (from->addr.family == NET_IPV6 &&
         setsockopt(out->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(out->fd, (struct sockaddr *)&address, length) != 0) {
        *why = "its address cannot be used";
        return false;
    }
    return true;
}

bool listen_socket_open(struct listen_socket *out, const struct conf_socket *from, mode_t mode,
                        const char *group, const char **why)
{
    int family = from->path ? AF_UNIX : from->addr.family == NET_IPV6 ? AF_INET6 : AF_INET;
    int saved;

    memset(out, 0, sizeof *out);
    *why = "no socket";
    out->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (out->fd < 0)
        return false;
    if (!(from->path ? bind_path(out, from->path, mode, group, why) : bind_network(out, from, why)))
        goto fail;
    if (listen(out->fd, BACKLOG) != 0) {
        *why = "cannot listen";
        goto fail;
    }
    return true;
fail:
    saved = errno;
    close(out->fd);
    listen_socket_remove(out);
    errno = saved;
    return false;
}

void listen_socket_remove(struct listen_socket *from)
{
    struct stat status;

    if (from->path && lstat(from->path, &status) == 0 && status.st_dev == from->device &&
        status.st_ino == from->inode)
        unlink(from->path);
    free(from->path);
    from->path = NULL;
}
