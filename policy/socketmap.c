/*
 * The socketmap conversation: Postfix or Sendmail asks "NAME KEY" in a netstring, and is told where
 * the mail for KEY goes. The engine finds the answer; here frames become keys and answers become
 * frames. The maps are transport (Postfix) and mailertable (Sendmail), for routes, and dnsfilter,
 * by which Postfix asks what of a DNS answer to ignore.
 *
 * What a reply does to mail decides what is said when something is wrong. In transport_maps and in
 * a mailertable NOTFOUND lets mail go by the MX, which on a backup host may be this very host, and
 * bounces it then; TEMP and PERM defer it. So trouble of ours is TEMP, and a name of a map that
 * does not exist is PERM: nothing is lost, and Postfix logs the text at the first look-up. "*" is
 * asked by itself, and an error on it fails every other address: it never gets one. Nor does
 * dnsfilter, whose NOTFOUND shows a record, which can do no harm.
 */
#include "policy/conversation.h"

#include "policy/engine.h"
#include "policy/netstring.h"
#include "policy/stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FRAME_MAX = NETSTRING_MAX + 16, /* digits, ':' and ',' */
    FRAME_TIMEOUT_MS = 10 * 1000,
    PEERS_MAX = 2000,
    REPLY_MAX = 1000,
};

#define MAPS "transport, mailertable, dnsfilter"

enum map { MAP_TRANSPORT, MAP_MAILERTABLE, MAP_DNSFILTER };

static const char not_found[] = "NOTFOUND ";

/* What is kept of a peer: its question, and whether that may be answered by an error. */
struct map_peer {
    struct engine_question *question;
    bool may_err;
};

static void map_reply(struct peer *peer, const char *reply)
{
    char frame[REPLY_MAX + 16];
    size_t length = netstring_format(reply, strlen(reply), frame, sizeof frame);

    peer_reply(peer, frame, length, false);
}

/* A reply that is no reply must not reach Postfix: it reads an empty "OK " as an error, and takes
 * what follows a line end for the next hop's name. */
static bool reply_is_fit(const char *reply)
{
    size_t length = strlen(reply);

    return length > 0 && length <= REPLY_MAX && !strpbrk(reply, "\r\n") &&
           strcmp(reply, "OK ") != 0 && strcmp(reply, "OK") != 0;
}

static void map_err(struct peer *peer, const struct map_peer *map, const char *error)
{
    map_reply(peer, map->may_err ? error : not_found);
}

static void on_routed(void *arg, const char *reply)
{
    struct peer *peer = arg;
    struct map_peer *map = peer_data(peer);

    map->question = NULL;
    if (reply_is_fit(reply))
        map_reply(peer, reply);
    else
        map_err(peer, map, "TEMP mxwardend made no usable answer");
}

static struct engine_question *begin(struct peer *peer, enum map name, const char *key)
{
    struct engine *engine = ((const struct conversation *)peer_arg(peer))->engine;

    switch (name) {
    case MAP_TRANSPORT: return engine_route(engine, ROUTE_TRANSPORT, key, on_routed, peer);
    case MAP_MAILERTABLE: return engine_route(engine, ROUTE_MAILERTABLE, key, on_routed, peer);
    case MAP_DNSFILTER: return engine_filter(engine, key, on_routed, peer);
    }
    return NULL;
}

static void map_ask(struct peer *peer, struct map_peer *map, enum map name, const char *key)
{
    map->may_err = name != MAP_DNSFILTER && strcmp(key, "*") != 0;
    map->question = begin(peer, name, key);
    if (!map->question)
        map_err(peer, map, "TEMP mxwardend has no room for this question");
}

/* Whether the key can be anything that is looked up here. What else is odd in it is the engine's to
 * judge: of an address it may be the local part, which a stranger chose, and the domain has a route
 * all the same. */
static bool key_copy(const char *key, size_t length, char out[NETSTRING_MAX + 1])
{
    if (length == 0 || memchr(key, '\0', length))
        return false;
    memcpy(out, key, length);
    out[length] = '\0';
    return true;
}

static bool find_map(const char *name, size_t length, enum map *out)
{
    static const char *const names[] = {
        [MAP_TRANSPORT] = "transport",
        [MAP_MAILERTABLE] = "mailertable",
        [MAP_DNSFILTER] = "dnsfilter",
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (length == strlen(names[i]) && memcmp(name, names[i], length) == 0) {
            *out = (enum map)i;
            return true;
        }
    return false;
}

static void refuse_map(struct peer *peer, const char *name, size_t length)
{
    const struct conversation *conversation = peer_arg(peer);
    char text[64];

    snprintf(text, sizeof text, "%.*s", (int)length, name);
    peer_complain(peer, "no such map (there are " MAPS ")", text);
    stats_add(conversation->stats, "socketmap_unknown_map", 1);
    map_reply(peer, "PERM mxwarden has no map of this name (there are " MAPS ")");
}

static void map_answer(struct peer *peer, struct map_peer *map, const char *payload, size_t length,
                       size_t name_length)
{
    char key[NETSTRING_MAX + 1];
    enum map name;

    if (!find_map(payload, name_length, &name))
        refuse_map(peer, payload, name_length);
    else if (key_copy(payload + name_length + 1, length - name_length - 1, key))
        map_ask(peer, map, name, key);
    else
        map_reply(peer, not_found);
}

static struct map_peer *map_peer_of(struct peer *peer)
{
    struct map_peer *map = peer_data(peer);

    if (!map) {
        map = calloc(1, sizeof *map);
        peer_set_data(peer, map);
    }
    return map;
}

static enum listen_input on_input(struct peer *peer, const char *data, size_t length, size_t *used)
{
    const struct conversation *conversation = peer_arg(peer);
    struct map_peer *map = map_peer_of(peer);
    const char *payload, *space;
    size_t size;

    if (!map)
        return LISTEN_BAD;
    switch (netstring_scan(data, length, &payload, &size, used)) {
    case NETSTRING_MORE: return LISTEN_MORE;
    case NETSTRING_BAD: break;
    case NETSTRING_DONE:
        /* Only the first space parts the name from the key, which may hold others. */
        space = memchr(payload, ' ', size);
        if (!space)
            break;
        map_answer(peer, map, payload, size, (size_t)(space - payload));
        return LISTEN_TAKEN;
    }
    stats_add(conversation->stats, "socketmap_bad", 1);
    return LISTEN_BAD;
}

static void on_closed(struct peer *peer)
{
    struct map_peer *map = peer_data(peer);

    if (map && map->question)
        engine_cancel(map->question);
    free(map);
}

void socketmap_handler(struct listen_handler *out, struct conversation *conversation)
{
    *out = (struct listen_handler){
        .name = "socketmap",
        .max_frame = FRAME_MAX,
        .frame_timeout = FRAME_TIMEOUT_MS,
        .max_peers = PEERS_MAX,
        .input = on_input,
        .closed = on_closed,
        .arg = conversation,
    };
}
