/*
 * The table of the other nodes. One read is one HGETALL; a key that changes while its read is
 * under way, or within a second of it, is read once more by the timer.
 */
#include "policy/peers.h"

#include "cache/keys.h"
#include "policy/sorted.h"

#include <event2/event.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PEERS_REREAD_MS = 1000,
    PEERS_QUIET_MS = 7000,   /* longer than a heartbeat takes */
    PEERS_FORGET_MS = 60000, /* a node that is gone leaves the table */
    PEERS_FIELDS = 32,       /* looked at of one key */
};

struct peer_node {
    struct site_node node;
    bool alive;
    int64_t learned; /* monotonic milliseconds of the last answer */
    int64_t read_at; /* of the last read that began */
    bool dirty;      /* to be read when its second is over */
    struct net_addr source;
    struct tide_visits visits;
    size_t count;
    struct net_addr listener[PEERS_MAX_LISTENERS];
};

struct peers {
    unsigned refs; /* the owner's, and one for each read under way */
    bool closed;
    const struct clock *clock;
    struct store *store;
    char prefix[KEYS_PREFIX_SIZE + 1];
    struct event *reread;
    struct sorted nodes;
    peers_learned *learned;
    void *arg;
};

struct peer_read {
    struct peers *peers;
    char name[NAME_SIZE];
};

static int node_compare(const void *key, const void *item)
{
    return strcmp(key, ((const struct peer_node *)item)->node.name);
}

static void peers_unref(struct peers *peers)
{
    if (--peers->refs > 0)
        return;
    for (size_t i = 0; i < peers->nodes.count; i++)
        free(peers->nodes.item[i]);
    sorted_clear(&peers->nodes);
    free(peers);
}

static bool is_live(const struct peer_node *node, int64_t now)
{
    return node->alive && now - node->learned < PEERS_TTL_MS;
}

/* --- what a heartbeat says -------------------------------------------------------------------- */

/* A comma-separated list of addresses; what is none, or cannot be a host's, is left out. */
static size_t listeners_parse(const char *text, struct net_addr out[PEERS_MAX_LISTENERS])
{
    size_t count = 0;

    while (*text && count < PEERS_MAX_LISTENERS) {
        size_t length = strcspn(text, ",");
        char one[NET_TEXT] = "";
        if (length < sizeof one)
            memcpy(one, text, length);
        if (net_addr_parse(one, &out[count]) && net_addr_scope(&out[count]) != NET_UNUSABLE)
            count++;
        text += length + (text[length] == ',');
    }
    return count;
}

static void field_take(struct peer_node *node, const char *name, const char *value, int64_t now)
{
    if (!strcmp(name, "listeners"))
        node->count = listeners_parse(value, node->listener);
    else if (!strcmp(name, "source"))
        net_addr_parse(value, &node->source);
    else if (!strcmp(name, "needs_feed"))
        node->node.needs_feed = strcmp(value, "0") != 0; /* in doubt it does */
    else if (!strcmp(name, "feed"))
        node->node.feed = !strcmp(value, "1");
    else if (!strcmp(name, "asker") && (!strcmp(value, "milter") || !strcmp(value, "policy")))
        strcpy(node->node.asker, value);
    else if (!strcmp(name, "visits"))
        tide_note_visits(&node->visits, strtoull(value, NULL, 10), clock_mono(), PEERS_SPACING_MS);
    else if (!strcmp(name, "asked"))
        node->node.asked = strtoll(value, NULL, 10);
    if (node->node.asked > now)
        node->node.asked = now;
    if (node->node.asked < 0)
        node->node.asked = 0;
}

/* Text without a NUL inside, or NULL. */
static const char *reply_word(const struct store_reply *reply)
{
    const char *text;
    size_t length;

    if (!reply || store_reply_kind(reply) != STORE_KIND_TEXT)
        return NULL;
    text = store_reply_text(reply, &length);
    return strlen(text) == length ? text : NULL;
}

/* The heartbeat as it stands replaces what was known. An empty one: the node is gone. */
static void node_take(struct peer_node *node, const struct store_reply *reply, int64_t now)
{
    struct peer_node got = {.alive = store_reply_kind(reply) == STORE_KIND_LIST &&
                                     store_reply_count(reply) >= 2,
                            .learned = clock_mono(),
                            .read_at = node->read_at,
                            .visits = node->visits,
                            .dirty = node->dirty};

    strcpy(got.node.name, node->node.name);
    for (size_t i = 0; got.alive && i + 1 < store_reply_count(reply) && i < 2 * PEERS_FIELDS;
         i += 2) {
        const char *name = reply_word(store_reply_at(reply, i));
        const char *value = reply_word(store_reply_at(reply, i + 1));
        if (name && value)
            field_take(&got, name, value, now);
    }
    *node = got;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void reread_later(struct peers *peers, struct peer_node *node)
{
    const struct timeval wait = {.tv_sec = PEERS_REREAD_MS / 1000};

    node->dirty = true;
    if (!evtimer_pending(peers->reread, NULL))
        evtimer_add(peers->reread, &wait);
}

static void read_done(void *arg, enum store_status status, const struct store_reply *const *reply,
                      size_t count)
{
    struct peer_read *read = arg;
    struct peers *peers = read->peers;
    struct peer_node *node = sorted_get(&peers->nodes, read->name, node_compare);
    int64_t now = clock_mono();

    if (!peers->closed && node && count == 1 && (status == STORE_OK || status == STORE_ERROR)) {
        bool before = is_live(node, now);
        node_take(node, reply[0], clock_unix(peers->clock));
        if (!before && node->alive)
            peers->learned(peers->arg);
    }
    free(read);
    peers_unref(peers);
}

static void node_read(struct peers *peers, struct peer_node *node)
{
    struct peer_read *read = calloc(1, sizeof *read);
    struct store_batch *batch;
    char key[KEYS_SIZE];

    if (!read)
        return;
    read->peers = peers;
    strcpy(read->name, node->node.name);
    node->dirty = false;
    node->read_at = clock_mono();
    batch = store_batch_new(false);
    store_batch_add(batch, "HGETALL", keys_node(peers->prefix, node->node.name, key), NULL);
    if (store_send(peers->store, batch, read_done, read))
        peers->refs++;
    else
        free(read); /* the poll will try again */
}

static void on_reread(evutil_socket_t fd, short what, void *arg)
{
    struct peers *peers = arg;

    (void)fd, (void)what;
    for (size_t i = 0; i < peers->nodes.count; i++) {
        struct peer_node *node = peers->nodes.item[i];
        if (node->dirty)
            node_read(peers, node);
    }
}

/* Makes room by a node that is gone. */
static bool room_make(struct peers *peers)
{
    int64_t now = clock_mono();

    for (size_t i = 0; peers->nodes.count >= PEERS_MAX && i < peers->nodes.count; i++)
        if (!is_live(peers->nodes.item[i], now)) {
            free(peers->nodes.item[i]);
            sorted_remove(&peers->nodes, i);
        }
    return peers->nodes.count < PEERS_MAX;
}

static struct peer_node *node_add(struct peers *peers, const char *name)
{
    char canonical[NAME_SIZE];
    struct peer_node *node;
    size_t at;

    if (!name_normalize(name, strlen(name), canonical) || strcmp(name, canonical) != 0 ||
        !room_make(peers) || !(node = calloc(1, sizeof *node)))
        return NULL;
    strcpy(node->node.name, canonical);
    node->read_at = clock_mono() - PEERS_REREAD_MS;
    sorted_find(&peers->nodes, name, node_compare, &at);
    if (sorted_insert(&peers->nodes, at, node))
        return node;
    free(node);
    return NULL;
}

static void node_changed(struct peers *peers, struct peer_node *node)
{
    if (clock_mono() - node->read_at >= PEERS_REREAD_MS)
        node_read(peers, node);
    else
        reread_later(peers, node);
}

void peers_changed(struct peers *peers, const char *name)
{
    struct peer_node *node;

    if (!name) {
        for (size_t i = 0; i < peers->nodes.count; i++)
            node_changed(peers, peers->nodes.item[i]);
        return;
    }
    node = sorted_get(&peers->nodes, name, node_compare);
    if (!node)
        node = node_add(peers, name);
    if (node)
        node_changed(peers, node);
}

void peers_poll(struct peers *peers)
{
    int64_t now = clock_mono();
    size_t at = 0;

    while (at < peers->nodes.count) {
        struct peer_node *node = peers->nodes.item[at];
        if (!is_live(node, now) && now - node->learned > PEERS_FORGET_MS &&
            now - node->read_at > PEERS_FORGET_MS) {
            free(node);
            sorted_remove(&peers->nodes, at);
            continue;
        }
        if (is_live(node, now) && now - node->read_at > PEERS_QUIET_MS)
            node_read(peers, node);
        at++;
    }
}

/* --- asking ----------------------------------------------------------------------------------- */

static bool has_listener(const struct peer_node *node, const struct net_addr *addr)
{
    for (size_t i = 0; i < node->count; i++)
        if (net_addr_equal(&node->listener[i], addr))
            return true;
    return false;
}

const struct site_node *peers_find(const struct peers *peers, const struct net_addr *addr)
{
    int64_t now = clock_mono();

    for (size_t i = 0; i < peers->nodes.count; i++) {
        const struct peer_node *node = peers->nodes.item[i];
        if (is_live(node, now) && has_listener(node, addr))
            return &node->node;
    }
    return NULL;
}

bool peers_claim(const struct peers *peers, const struct net_addr *addr)
{
    int64_t now = clock_mono();

    for (size_t i = 0; i < peers->nodes.count; i++) {
        const struct peer_node *node = peers->nodes.item[i];
        if (is_live(node, now) && (has_listener(node, addr) || net_addr_equal(&node->source, addr)))
            return true;
    }
    return false;
}

struct peers *peers_new(struct event_base *base, const char *prefix, const struct clock *clock,
                        struct store *store, peers_learned *learned, void *arg)
{
    struct peers *peers = calloc(1, sizeof *peers);

    if (!peers || !(peers->reread = evtimer_new(base, on_reread, peers))) {
        free(peers);
        return NULL;
    }
    peers->refs = 1;
    peers->clock = clock;
    peers->store = store;
    peers->learned = learned;
    peers->arg = arg;
    snprintf(peers->prefix, sizeof peers->prefix, "%s", prefix);
    return peers;
}

void peers_free(struct peers *peers)
{
    if (!peers)
        return;
    event_free(peers->reread);
    peers->closed = true;
    peers_unref(peers);
}

size_t peers_listeners(const struct peers *peers, struct net_addr *out, size_t size)
{
    int64_t now = clock_mono();
    size_t count = 0;

    for (size_t i = 0; i < peers->nodes.count; i++) {
        const struct peer_node *node = peers->nodes.item[i];
        for (size_t l = 0; is_live(node, now) && l < node->count && count < size; l++)
            out[count++] = node->listener[l];
    }
    return count;
}

size_t peers_names(const struct peers *peers, char (*out)[NAME_SIZE], size_t size)
{
    int64_t now = clock_mono();
    size_t count = 0;

    for (size_t i = 0; i < peers->nodes.count && count < size; i++) {
        const struct peer_node *node = peers->nodes.item[i];
        if (is_live(node, now))
            strcpy(out[count++], node->node.name);
    }
    return count;
}

const struct tide_visits *peers_visits(const struct peers *peers, const struct net_addr *addr)
{
    int64_t now = clock_mono();

    for (size_t i = 0; i < peers->nodes.count; i++) {
        const struct peer_node *node = peers->nodes.item[i];
        if (is_live(node, now) && has_listener(node, addr))
            return &node->visits;
    }
    return NULL;
}
