/*
 * A small SMTP client that wants nothing but answers.
 *
 * One stage after the other; each reads one whole reply, perhaps of several lines, and says what to
 * send next. What the probe found is settled before the QUIT; the wait for its answer is short and
 * only for politeness (and so that the other side's logs show no broken connection).
 */
#include "policy/probe.h"

#include "cache/clock.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/util.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    PROBE_MAX_INPUT = 4096,
    PROBE_QUIT_MS = 500,
    PROBE_DETAIL = 160,
};

enum stage { STAGE_CONNECT, STAGE_BANNER, STAGE_EHLO, STAGE_MAIL, STAGE_RCPT, STAGE_QUIT };

struct probe {
    enum stage stage;
    struct bufferevent *bev;
    struct event *timer; /* the deadline, the QUIT's wait, or a result found inside probe_start */
    int64_t started, deadline; /* monotonic milliseconds */
    size_t input;              /* bytes read in all */
    bool greeted;              /* a first line with 220 */
    bool said_ehlo;
    enum probe_result result;
    int32_t ms;
    char hello[PROBE_NONCE_SIZE + NAME_SIZE + 8];
    char rcpt_domain[NAME_SIZE]; /* "" for banner only */
    char detail[PROBE_DETAIL];
    probe_done *done;
    void *arg;
};

static void probe_free(struct probe *probe)
{
    if (probe->bev)
        bufferevent_free(probe->bev);
    if (probe->timer)
        event_free(probe->timer);
    free(probe);
}

void probe_stop(struct probe *probe)
{
    if (probe)
        probe_free(probe);
}

static void probe_end(struct probe *probe)
{
    probe->done(probe->arg, probe->result, probe->said_ehlo, probe->ms, probe->detail);
    probe_free(probe);
}

static void timer_set(struct probe *probe, int64_t milliseconds)
{
    const struct timeval wait = {.tv_sec = milliseconds / 1000,
                                 .tv_usec = milliseconds % 1000 * 1000};

    evtimer_add(probe->timer, &wait);
}

/* Copies text, what does not print as '?'. */
static void detail_set(struct probe *probe, const char *what, const char *text, size_t length)
{
    int used = snprintf(probe->detail, sizeof probe->detail, "%s%s", what, length ? ": " : "");
    char *out = probe->detail + used;

    for (size_t i = 0; i < length && out + 1 < probe->detail + sizeof probe->detail; i++)
        *out++ = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    *out = '\0';
}

/* What is settled when the conversation breaks off here, for the reason given. */
static void probe_break(struct probe *probe, enum probe_result result, const char *why)
{
    /* What was found stands, once QUIT is said; and a good banner, where no more was asked. */
    if (probe->stage != STAGE_QUIT) {
        bool alive = probe->greeted && !probe->rcpt_domain[0];
        probe->result = alive ? PROBE_GOOD : result;
        detail_set(probe, why, "", 0);
    }
    probe_end(probe);
}

/* The command is before, text and after. */
static void say(struct probe *probe, enum stage next, const char *before, const char *text,
                const char *after)
{
    struct evbuffer *output = bufferevent_get_output(probe->bev);

    evbuffer_add_printf(output, "%s%s%s\r\n", before, text, after);
    probe->stage = next;
}

/* The result is known: QUIT, and wait a moment for the answer. */
static void probe_settle(struct probe *probe, enum probe_result result, const char *line,
                         size_t length)
{
    probe->result = result;
    detail_set(probe, result == PROBE_GOOD ? "answers" : "replies", line, length);
    say(probe, STAGE_QUIT, "QUIT", "", "");
    /* The rest of what was said before is no answer to it. */
    struct evbuffer *input = bufferevent_get_input(probe->bev);
    evbuffer_drain(input, evbuffer_get_length(input));
    int64_t left = probe->deadline - clock_mono();
    timer_set(probe, left < 0 ? 0 : left < PROBE_QUIT_MS ? left : PROBE_QUIT_MS);
}

/* The last line of the greeting. */
static void take_banner(struct probe *probe, int code, const char *line, size_t length)
{
    if (code == 220)
        say(probe, STAGE_EHLO, "EHLO ", probe->hello, "");
    else
        probe_settle(probe, PROBE_BAD_REPLY, line, length);
}

static void take_ehlo(struct probe *probe, int code, const char *line, size_t length)
{
    probe->said_ehlo = code == 250;
    if (code == 421)
        probe_settle(probe, PROBE_BAD_REPLY, line, length);
    else if (probe->said_ehlo && probe->rcpt_domain[0])
        say(probe, STAGE_MAIL, "MAIL FROM:<>", "", "");
    else
        probe_settle(probe, PROBE_GOOD, line, length);
}

static void take_mail(struct probe *probe, int code, const char *line, size_t length)
{
    if (code == 421)
        probe_settle(probe, PROBE_BAD_REPLY, line, length);
    else if (code / 100 == 2)
        say(probe, STAGE_RCPT, "RCPT TO:<postmaster@", probe->rcpt_domain, ">");
    else
        probe_settle(probe, PROBE_GOOD, line, length);
}

/* One line of a reply. False when the probe is gone. */
static bool take_line(struct probe *probe, const char *line, size_t length)
{
    bool last = length < 4 || line[3] != '-';
    int code = 0;

    if (length >= 3 && strspn(line, "0123456789") == 3 && (length == 3 || line[3] == ' ' || !last))
        code = atoi(line);
    if (probe->stage == STAGE_BANNER && !probe->greeted) {
        probe->greeted = code == 220;
        probe->ms = (int32_t)(clock_mono() - probe->started);
        last = last || !probe->greeted;
    }
    /* A greeting that goes on as something else is no longer one. */
    if (probe->stage == STAGE_BANNER && probe->greeted && code != 220)
        last = true;
    if (!last && code != 0)
        return true;
    switch (probe->stage) {
    case STAGE_CONNECT: break;
    case STAGE_BANNER: take_banner(probe, code, line, length); break;
    case STAGE_EHLO: take_ehlo(probe, code, line, length); break;
    case STAGE_MAIL: take_mail(probe, code, line, length); break;
    case STAGE_RCPT:
        probe_settle(probe, code == 421 ? PROBE_BAD_REPLY : PROBE_GOOD, line, length);
        break;
    case STAGE_QUIT: probe_end(probe); return false;
    }
    return true;
}

static void on_read(struct bufferevent *bev, void *arg)
{
    struct probe *probe = arg;
    struct evbuffer *input = bufferevent_get_input(bev);
    size_t length;
    char *line;
    bool alive = true;

    while (alive && (line = evbuffer_readln(input, &length, EVBUFFER_EOL_CRLF))) {
        probe->input += length + 1;
        alive = take_line(probe, line, length);
        free(line);
    }
    if (alive && probe->input + evbuffer_get_length(input) > PROBE_MAX_INPUT)
        probe_break(probe, PROBE_BAD_REPLY, "sends too much");
}

/* Trouble that lies here, and says nothing about the other side. */
static bool error_is_local(int error)
{
    return error == EADDRNOTAVAIL || error == EADDRINUSE || error == EMFILE || error == ENFILE ||
           error == ENOMEM || error == ENOBUFS || error == EACCES || error == EPERM ||
           error == EAGAIN;
}

static enum probe_result connect_result(int error)
{
    if (error_is_local(error))
        return PROBE_LOCAL;
    return error == ETIMEDOUT ? PROBE_SILENT : PROBE_REFUSED;
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    struct probe *probe = arg;
    int error = EVUTIL_SOCKET_ERROR();

    (void)bev;
    if (what & BEV_EVENT_CONNECTED)
        probe->stage = STAGE_BANNER;
    else if (probe->stage == STAGE_CONNECT)
        probe_break(probe, connect_result(error), strerror(error));
    else
        probe_break(probe, PROBE_CLOSED, "closes the connection");
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct probe *probe = arg;

    (void)fd, (void)what;
    if (!probe->bev) /* it never began: result and detail are there */
        probe_end(probe);
    else
        probe_break(probe, PROBE_SILENT, "does not answer in time");
}

/* A socket that is bound to the source, where one is set for the family. -1 with errno. */
static int socket_open(const struct probe_options *options)
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

/* False with errno when there is no connection under way; probe->bev is NULL then. */
static bool connect_begin(struct event_base *base, struct probe *probe,
                          const struct probe_options *options)
{
    struct sockaddr_storage peer;
    socklen_t length = net_addr_sockaddr(&options->addr, options->port, &peer);
    int fd = socket_open(options);

    if (fd < 0)
        return false;
    probe->bev = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (!probe->bev) {
        close(fd);
        errno = ENOMEM;
        return false;
    }
    bufferevent_setcb(probe->bev, on_read, NULL, on_event, probe);
    bufferevent_setwatermark(probe->bev, EV_READ, 0, PROBE_MAX_INPUT + 1);
    errno = 0;
    if (bufferevent_socket_connect(probe->bev, (struct sockaddr *)&peer, (int)length) == 0 &&
        bufferevent_enable(probe->bev, EV_READ | EV_WRITE) == 0)
        return true;
    int error = errno ? errno : ECONNREFUSED;
    bufferevent_free(probe->bev);
    probe->bev = NULL;
    errno = error;
    return false;
}

struct probe *probe_start(struct event_base *base, const struct probe_options *options,
                          probe_done *done, void *arg)
{
    struct probe *probe = calloc(1, sizeof *probe);

    if (!probe || !(probe->timer = evtimer_new(base, on_timer, probe))) {
        free(probe);
        return NULL;
    }
    probe->done = done;
    probe->arg = arg;
    probe->started = clock_mono();
    probe->deadline = probe->started + options->timeout;
    snprintf(probe->hello, sizeof probe->hello, "mxwp-%.32s.%.253s", options->nonce, options->node);
    snprintf(probe->rcpt_domain, sizeof probe->rcpt_domain, "%.253s",
             options->rcpt_domain ? options->rcpt_domain : "");
    if (connect_begin(base, probe, options)) {
        timer_set(probe, options->timeout);
    } else {
        probe->result = connect_result(errno);
        detail_set(probe, strerror(errno), "", 0);
        timer_set(probe, 0);
    }
    return probe;
}

const char *probe_result_name(enum probe_result result)
{
    switch (result) {
    case PROBE_GOOD: return "good";
    case PROBE_REFUSED: return "refused";
    case PROBE_SILENT: return "silent";
    case PROBE_BAD_REPLY: return "reply";
    case PROBE_CLOSED: return "closed";
    case PROBE_LOCAL: return "local";
    }
    return "local";
}
