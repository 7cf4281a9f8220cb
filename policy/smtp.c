/*
 * The conversation on a bufferevent: lines are cut from what comes and handed on one by one, in
 * the middle of which the owner may end it all.
 *
 * A connection that fails before it begins is told from the loop, as all else is: the timer brings
 * it.
 */
#include "policy/smtp.h"

#include "cache/clock.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SMTP_QUIT_MS = 500 };

struct smtp {
    struct bufferevent *bev; /* NULL: there is no connection, and error says why */
    struct event *timer;     /* the deadline that comes next, or word of that error */
    int64_t deadline;        /* monotonic milliseconds */
    bool connected;
    int error;
    size_t input, limit; /* bytes read in all */
    struct smtp_hooks hooks;
};

static void timer_set(struct smtp *smtp, int64_t milliseconds)
{
    const struct timeval wait = {.tv_sec = milliseconds / 1000,
                                 .tv_usec = milliseconds % 1000 * 1000};

    evtimer_add(smtp->timer, &wait);
}

/* At most so long, and not beyond the deadline. */
static void timer_set_within(struct smtp *smtp, int64_t milliseconds)
{
    int64_t left = smtp->deadline - clock_mono();

    timer_set(smtp, left < 0 ? 0 : left < milliseconds ? left : milliseconds);
}

/* The owner hears no more of it. */
static void smtp_end(struct smtp *smtp, enum smtp_end end, const char *why)
{
    evtimer_del(smtp->timer);
    if (smtp->bev)
        bufferevent_disable(smtp->bev, EV_READ | EV_WRITE);
    smtp->hooks.ended(smtp->hooks.arg, end, why);
}

/* Trouble that lies here, and says nothing about the other side. */
static bool error_is_local(int error)
{
    return error == EADDRNOTAVAIL || error == EADDRINUSE || error == EMFILE || error == ENFILE ||
           error == ENOMEM || error == ENOBUFS || error == EACCES || error == EPERM ||
           error == EAGAIN;
}

static void end_unconnected(struct smtp *smtp, int error)
{
    enum smtp_end end = error == ETIMEDOUT ? SMTP_SILENT : SMTP_REFUSED;

    smtp_end(smtp, error_is_local(error) ? SMTP_LOCAL : end, strerror(error));
}

/* --- what comes --------------------------------------------------------------------------------- */

static struct smtp_line line_of(const char *text, size_t length)
{
    struct smtp_line line = {.text = text, .length = length};

    line.last = length < 4 || text[3] != '-';
    if (length >= 3 && strspn(text, "0123456789") == 3 &&
        (length == 3 || text[3] == ' ' || text[3] == '-'))
        line.code = atoi(text);
    return line;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct smtp *smtp = arg;
    struct evbuffer *input = bufferevent_get_input(bev);
    size_t length;
    char *text;
    bool alive = true;

    while (alive && (text = evbuffer_readln(input, &length, EVBUFFER_EOL_CRLF))) {
        struct smtp_line line = line_of(text, length);
        smtp->input += length + 1;
        alive = smtp->hooks.line(smtp->hooks.arg, &line);
        free(text);
    }
    if (alive && smtp->input + evbuffer_get_length(input) > smtp->limit)
        smtp_end(smtp, SMTP_TOO_MUCH, "sends too much");
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct smtp *smtp = arg;
    int error = EVUTIL_SOCKET_ERROR();

    (void)bev;
    if (what & BEV_EVENT_CONNECTED) {
        smtp->connected = true;
        timer_set_within(smtp, INT64_MAX);
    } else if (smtp->connected) {
        smtp_end(smtp, SMTP_CLOSED, "closes the connection");
    } else {
        end_unconnected(smtp, error);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct smtp *smtp = arg;

    (void)fd, (void)what;
    if (!smtp->bev)
        end_unconnected(smtp, smtp->error);
    else
        smtp_end(smtp, SMTP_SILENT, "does not answer in time");
}

/* --- what goes ---------------------------------------------------------------------------------- */

void smtp_say(struct smtp *smtp, const char *format, ...)
{
    struct evbuffer *output = bufferevent_get_output(smtp->bev);
    va_list args;

    va_start(args, format);
    evbuffer_add_vprintf(output, format, args);
    va_end(args);
    evbuffer_add(output, "\r\n", 2);
}

void smtp_quit(struct smtp *smtp)
{
    struct evbuffer *input = bufferevent_get_input(smtp->bev);

    smtp_say(smtp, "QUIT");
    evbuffer_drain(input, evbuffer_get_length(input));
    timer_set_within(smtp, SMTP_QUIT_MS);
}

char *smtp_line_copy(const char *text, size_t length, char *out, size_t size)
{
    size_t used = 0;

    for (; used < length && used + 1 < size; used++)
        out[used] = text[used] >= ' ' && text[used] <= '~' ? text[used] : '?';
    out[used] = '\0';
    return out;
}

/* --- the connection ------------------------------------------------------------------------------ */

/* A socket that is bound to the source, where one is set for the family. -1 with errno. */
static int socket_open(const struct smtp_options *options)
{
    struct sockaddr_storage source;
    int family = options->addr.family == NET_IPV4 ? AF_INET : AF_INET6;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || options->source.family != options->addr.family)
        return fd;
    socklen_t length = net_addr_sockaddr(&options->source, 0, &source);
    if (bind(fd, (struct sockaddr *)&source, length) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* False with errno when there is no connection under way; smtp->bev is NULL then. */
static bool connect_begin(struct event_base *base, struct smtp *smtp,
                          const struct smtp_options *options)
{
    struct sockaddr_storage peer;
    socklen_t length = net_addr_sockaddr(&options->addr, options->port, &peer);
    int fd = socket_open(options);

    if (fd < 0)
        return false;
    smtp->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (!smtp->bev) {
        close(fd);
        errno = ENOMEM;
        return false;
    }
    bufferevent_setcb(smtp->bev, on_read, NULL, on_event, smtp);
    bufferevent_setwatermark(smtp->bev, EV_READ, 0, options->limit + 1);
    errno = 0;
    if (bufferevent_socket_connect(smtp->bev, (struct sockaddr *)&peer, (int)length) == 0 &&
        bufferevent_enable(smtp->bev, EV_READ | EV_WRITE) == 0)
        return true;
    int error = errno ? errno : ECONNREFUSED;
    bufferevent_free(smtp->bev);
    smtp->bev = NULL;
    errno = error;
    return false;
}

struct smtp *smtp_start(struct event_base *base, const struct smtp_options *options,
                        const struct smtp_hooks *hooks)
{
    struct smtp *smtp = calloc(1, sizeof *smtp);

    if (!smtp || !(smtp->timer = evtimer_new(base, on_timer, smtp))) {
        free(smtp);
        return NULL;
    }
    smtp->hooks = *hooks;
    smtp->limit = options->limit;
    smtp->deadline = clock_mono() + options->timeout;
    if (connect_begin(base, smtp, options)) {
        timer_set_within(smtp, options->connect ? options->connect : options->timeout);
    } else {
        smtp->error = errno;
        timer_set(smtp, 0);
    }
    return smtp;
}

void smtp_stop(struct smtp *smtp)
{
    if (!smtp)
        return;
    if (smtp->bev)
        bufferevent_free(smtp->bev);
    event_free(smtp->timer);
    free(smtp);
}
