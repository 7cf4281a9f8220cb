/*
 * The command feed: a mail log on its way to the daemon, as visits (feedline.h) in requests of the
 * control conversation (control.h).
 *
 * Visits are sent at once, those of a tenth of a second together; with none to send, an empty
 * request every five seconds says that somebody still reads the log. While the daemon is away,
 * visits wait, a bounded number of them; what is dropped then are the oldest, whose clients have
 * been to the next host already.
 */
#include "policy/cli_feed.h"

#include "cache/clock.h"
#include "policy/cli.h"
#include "policy/cli_table.h"
#include "policy/control.h"
#include "policy/feedline.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LINE_SIZE = 4096, /* Postfix writes lines of up to 2000 bytes */
    CHUNK = 16 * 1024,
    SMTP_PORT = 25,
};

const struct cli_feed_times cli_feed_usual = {.batch = 100, .beat = 5000, .retry = 250};

enum sent { SENT, AWAY, ENDED };

struct feed {
    const struct cli *cli;
    const char *path;
    const struct cli_feed_options *options;
    int64_t due;                  /* monotonic milliseconds of the next request */
    bool reached, away, dropping; /* dropping: it has been said */
    int code;                     /* with ENDED */
    size_t first, count;          /* a ring */
    struct feedline_visit *waiting;
    size_t length; /* of the line so far; LINE_SIZE: too long, left out up to its end */
    char line[LINE_SIZE];
};

/* --- waiting visits --------------------------------------------------------------------------- */

static struct feedline_visit *waiting_at(const struct feed *feed, size_t i)
{
    return &feed->waiting[(feed->first + i) % CLI_FEED_MAX];
}

static bool is_same(const struct feedline_visit *a, const struct feedline_visit *b)
{
    return net_addr_equal(&a->client, &b->client) && net_addr_equal(&a->listener, &b->listener) &&
           a->port == b->port;
}

/* Somebody who comes a hundred times a second has come. */
static bool is_waiting(const struct feed *feed, const struct feedline_visit *visit)
{
    size_t last = feed->count < CONTROL_MAX_VISITS ? feed->count : CONTROL_MAX_VISITS;

    for (size_t i = feed->count - last; i < feed->count; i++)
        if (is_same(waiting_at(feed, i), visit))
            return true;
    return false;
}

static void drop(struct feed *feed, size_t count)
{
    feed->first = (feed->first + count) % CLI_FEED_MAX;
    feed->count -= count;
}

static void add(struct feed *feed, const struct feedline_visit *visit)
{
    int64_t soon = clock_mono() + feed->options->times.batch;

    if (is_waiting(feed, visit))
        return;
    if (feed->count == CLI_FEED_MAX) {
        drop(feed, 1);
        if (!feed->dropping)
            fprintf(feed->cli->err, "mxwarden: %d visits wait for mxwardend; the oldest are lost\n",
                    CLI_FEED_MAX);
        feed->dropping = true;
    }
    *waiting_at(feed, feed->count++) = *visit;
    if (!feed->away && soon < feed->due)
        feed->due = soon;
}

/* --- requests --------------------------------------------------------------------------------- */

static json_t *visit_format(const struct feedline_visit *visit)
{
    char client[NET_TEXT], listener[NET_TEXT];

    net_addr_format(&visit->client, client);
    if (visit->listener.family == NET_NONE)
        return json_pack("{s:s}", "client", client);
    return json_pack("{s:s, s:s, s:i}", "client", client, "listener",
                     net_addr_format(&visit->listener, listener), "port", visit->port);
}

static json_t *make_request(const struct feed *feed, size_t count)
{
    json_t *visits = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(visits, visit_format(waiting_at(feed, i)));
    return json_pack("{s:s, s:o}", "command", "feed", "visits", visits);
}

/* Not reached, or not now. Said once, until it is. */
static enum sent note_away(struct feed *feed, const char *why)
{
    if (!feed->away) {
        fprintf(feed->cli->err, "mxwarden: mxwardend at %s: ", feed->path);
        cli_put(feed->cli->err, why);
        fputs("; trying on\n", feed->cli->err);
    }
    feed->away = true;
    feed->due = clock_mono() + feed->options->times.retry;
    return AWAY;
}

/* The daemon has answered otherwise than "ok": it will the next time, too, unless it says so. */
static enum sent note_refused(struct feed *feed, const json_t *reply)
{
    const char *message = json_string_value(json_object_get(reply, "message"));
    const char *status = json_string_value(json_object_get(reply, "status"));

    message = message ? message : "refused";
    if (json_is_true(json_object_get(reply, "again")))
        return note_away(feed, message);
    fputs("mxwarden: ", feed->cli->err);
    cli_put(feed->cli->err, message);
    fputc('\n', feed->cli->err);
    feed->code = strcmp(status, "usage") == 0 ? CLI_USAGE : CLI_REFUSED;
    return ENDED;
}

static enum sent note_reached(struct feed *feed, size_t count)
{
    drop(feed, count);
    if (feed->away)
        fprintf(feed->cli->err, "mxwarden: mxwardend at %s is told again\n", feed->path);
    feed->away = feed->dropping = false;
    feed->reached = true;
    feed->due = clock_mono() + (feed->count > 0 ? 0 : feed->options->times.beat);
    return SENT;
}

static enum sent send_some(struct feed *feed)
{
    size_t count = feed->count < CONTROL_MAX_VISITS ? feed->count : CONTROL_MAX_VISITS;
    json_t *request = make_request(feed, count), *reply = NULL;
    const char *why = "out of memory";
    enum sent sent;

    if (request)
        reply = cli_ask_quietly(feed->path, request, &why);
    if (!reply)
        sent = note_away(feed, why);
    else if (strcmp(json_string_value(json_object_get(reply, "status")), "ok") != 0)
        sent = note_refused(feed, reply);
    else
        sent = note_reached(feed, count);
    json_decref(reply);
    json_decref(request);
    return sent;
}

/* --- the log ---------------------------------------------------------------------------------- */

static void take_line(struct feed *feed)
{
    struct feedline_visit visit;
    size_t length = feed->length;

    feed->length = 0;
    if (length == LINE_SIZE || memchr(feed->line, '\0', length))
        return;
    feed->line[length] = '\0';
    if (!feedline_parse(feed->line, &visit))
        return;
    if (visit.listener.family == NET_NONE && feed->options->listener.family != NET_NONE) {
        visit.listener = feed->options->listener;
        visit.port = SMTP_PORT;
    }
    add(feed, &visit);
}

static void take_bytes(struct feed *feed, const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (data[i] == '\n')
            take_line(feed);
        else if (feed->length < LINE_SIZE - 1)
            feed->line[feed->length++] = data[i];
        else
            feed->length = LINE_SIZE;
    }
}

/* False at the end of the log. */
static bool read_some(struct feed *feed)
{
    char data[CHUNK];
    ssize_t length = read(feed->options->fd, data, sizeof data);

    if (length < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (length > 0)
        take_bytes(feed, data, (size_t)length);
    return length > 0;
}

/* --- life ------------------------------------------------------------------------------------- */

/* Until the next request is due, or enough visits wait for a whole one. False at the end. */
static bool follow(struct feed *feed)
{
    for (;;) {
        struct pollfd input = {.fd = feed->options->fd, .events = POLLIN};
        int64_t left = feed->due - clock_mono();

        if (left <= 0 || (!feed->away && feed->count >= CONTROL_MAX_VISITS))
            return true;
        if (poll(&input, 1, (int)left) > 0 && !read_some(feed))
            return false;
    }
}

/* The log has ended: what is left goes out now, or not at all. */
static int finish(struct feed *feed)
{
    enum sent sent = SENT;

    if (feed->length > 0)
        take_line(feed);
    while (sent == SENT && (feed->count > 0 || !feed->reached))
        sent = send_some(feed);
    if (sent == ENDED)
        return feed->code;
    if (sent == AWAY && feed->count > 0)
        fprintf(feed->cli->err, "mxwarden: %zu visits are lost\n", feed->count);
    return sent == AWAY ? CLI_UNREACHABLE : CLI_DONE;
}

int cli_feed(const struct cli *cli, const char *path, const struct cli_feed_options *options)
{
    struct feed feed = {.cli = cli, .path = path, .options = options};
    int code;

    feed.waiting = calloc(CLI_FEED_MAX, sizeof *feed.waiting);
    if (!feed.waiting) {
        fputs("mxwarden: out of memory\n", cli->err);
        return CLI_REFUSED;
    }
    feed.due = clock_mono();
    while (follow(&feed))
        if (send_some(&feed) == ENDED)
            break;
    code = feed.code ? feed.code : finish(&feed);
    free(feed.waiting);
    return code;
}
