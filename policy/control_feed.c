/*
 * The command feed: visits that no mail server asks about, told by `mxwarden feed` from a log.
 *
 * Each request is a sign of life as well (site.h), with visits or without. One with a visit that
 * cannot be placed is none and ends in a refusal, since a feed that leaves visits out must not count
 * as one; the visits that can be placed are noted all the same.
 */
#include "policy/control_ask.h"

#include "policy/control.h"
#include "policy/engine.h"
#include "policy/site.h"
#include "policy/stats.h"

#include <jansson.h>

enum { SMTP_PORT = 25 };

struct visit {
    struct net_addr client, listener; /* listener NET_NONE: not named */
    uint16_t port;
};

static bool read_visit(const json_t *item, struct visit *out)
{
    const char *client = control_text(item, "client"), *listener = control_text(item, "listener");
    const json_t *port = json_object_get(item, "port");
    json_int_t number = port ? json_integer_value(port) : SMTP_PORT;

    *out = (struct visit){.port = (uint16_t)number};
    return client && net_addr_parse(client, &out->client) && number >= 1 && number <= 65535 &&
           (listener ? net_addr_parse(listener, &out->listener)
                     : !json_object_get(item, "listener"));
}

/* How many listeners it may have been: 1 when it has been noted. */
static size_t note(const struct conversation *conversation, const struct visit *visit)
{
    struct net_addr listener = visit->listener;
    size_t count = 1;

    if (listener.family == NET_NONE)
        count = site_find_listener(conversation->site, visit->client.family, &listener);
    if (count == 1)
        engine_note_visit(conversation->engine, &visit->client, &listener, visit->port);
    return count;
}

/* None is known, or several are. The former may change: at the daemon's start, say. */
static void refuse(struct control_ask *ask, bool several)
{
    control_end(ask, json_pack("{s:s, s:b, s:s}", "status", "refused", "again", !several, "message",
                               several ? "the log does not say at which address the client was, "
                                         "and this node has several: name one with --listener"
                                       : "the log does not say at which address the client was, "
                                         "and this node knows none of its own: name it with "
                                         "--listener"));
}

void control_feed(struct control_ask *ask, const json_t *request)
{
    const struct conversation *conversation = ask->conversation;
    const json_t *visits = json_object_get(request, "visits");
    size_t count = json_array_size(visits), noted = 0;
    bool several = false;
    struct visit visit;

    if (!json_is_array(visits) || count > CONTROL_MAX_VISITS) {
        control_fail(ask, "usage", "visits must be a list of at most %d", CONTROL_MAX_VISITS);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (!read_visit(json_array_get(visits, i), &visit)) {
            control_fail(ask, "usage",
                         "a visit is {client, listener?, port?}: two addresses and "
                         "the local port");
            return;
        }
    for (size_t i = 0; i < count; i++) {
        size_t listeners;
        read_visit(json_array_get(visits, i), &visit);
        listeners = note(conversation, &visit);
        noted += listeners == 1;
        several = several || listeners > 1;
    }
    stats_add(conversation->stats, "feed_visits", noted);
    if (noted < count) {
        refuse(ask, several);
        return;
    }
    site_note_feed(conversation->site);
    control_end(ask, json_pack("{s:s, s:I}", "status", "ok", "visits", (json_int_t)noted));
}
