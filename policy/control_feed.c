/*
 * The command feed: visits that no mail server asks about, told by `mxwarden feed` from a log.
 *
 * Each request is a sign of life as well (site.h), with visits or without. A visit that cannot be
 * placed ends in a refusal, since a feed that leaves visits out must not count as one; those that
 * can be placed are noted all the same.
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

/* False where nobody can tell which listener it was. */
static bool note(const struct conversation *conversation, const struct visit *visit)
{
    const struct net_addr *listener = &visit->listener;

    if (listener->family == NET_NONE)
        listener = site_find_listener(conversation->site, visit->client.family);
    if (!listener)
        return false;
    engine_note_visit(conversation->engine, &visit->client, listener, visit->port);
    return true;
}

void control_feed(struct control_ask *ask, const json_t *request)
{
    const struct conversation *conversation = ask->conversation;
    const json_t *visits = json_object_get(request, "visits");
    size_t count = json_array_size(visits), placed = 0;
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
    site_note_feed(conversation->site);
    for (size_t i = 0; i < count; i++)
        if (read_visit(json_array_get(visits, i), &visit))
            placed += note(conversation, &visit);
    stats_add(conversation->stats, "feed_visits", placed);
    if (placed < count)
        control_fail(ask, "refused",
                     "the log does not say at which address the client was, and this node does not "
                     "have just one: name it with --listener");
    else
        control_end(ask, json_pack("{s:s, s:I}", "status", "ok", "visits", (json_int_t)placed));
}
