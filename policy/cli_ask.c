/*
 * One question to the daemon: a line of JSON there, a line of JSON back, on a blocking socket with
 * a limit on each wait.
 */
#include "policy/cli.h"

#include "policy/conf.h"
#include "policy/control.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { WAIT_SECONDS = 10, PART = 64 * 1024 };

const char *cli_control_path(const struct conf *conf)
{
    return conf && conf->listen.control.path ? conf->listen.control.path
                                             : "/run/mxwarden/control.sock";
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval wait = {.tv_sec = WAIT_SECONDS};
    int fd, saved;

    if (strlen(path) >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static bool send_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        data += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* All up to the end of the connection, in a new buffer. */
static char *receive_all(int fd, size_t *length)
{
    char *data = NULL, *grown;

    for (*length = 0; *length <= CONTROL_MAX_REPLY;) {
        ssize_t part;
        grown = realloc(data, *length + PART);
        if (!grown)
            break;
        data = grown;
        part = recv(fd, data + *length, PART, 0);
        if (part == 0)
            return data;
        if (part < 0 && errno != EINTR)
            break;
        *length += part > 0 ? (size_t)part : 0;
    }
    free(data);
    return NULL;
}

json_t *cli_ask_quietly(const char *path, const json_t *request, const char **why)
{
    char *text = json_dumps(request, JSON_COMPACT), *data = NULL;
    json_t *reply = NULL;
    size_t length;
    int fd = connect_to(path);

    *why = strerror(errno);
    if (fd < 0 || !text)
        goto out;
    if (send_all(fd, text, strlen(text)) && send_all(fd, "\n", 1))
        data = receive_all(fd, &length);
    if (data)
        reply = json_loadb(data, length, 0, NULL);
    *why = errno == EAGAIN || errno == EWOULDBLOCK ? "no answer in time" : "no answer";
    if (reply && !json_is_string(json_object_get(reply, "status"))) {
        json_decref(reply);
        reply = NULL;
        *why = "an answer that is none";
    }
out:
    if (fd >= 0)
        close(fd);
    free(data);
    free(text);
    return reply;
}

json_t *cli_ask(const struct cli *cli, const struct conf *conf, const json_t *request)
{
    const char *path = cli_control_path(conf), *why;
    json_t *reply = cli_ask_quietly(path, request, &why);

    if (!reply)
        fprintf(cli->err, "mxwarden: cannot reach mxwardend at %s: %s; %s\n", path, why,
                strcmp(why, strerror(EACCES)) == 0 ? "run this as root, or as the user that it "
                                                     "runs as"
                                                   : "is it running?");
    return reply;
}
