/*
 * This node among the others: what it is, what it claims, and the heartbeat that says so.
 *
 * Two sets of addresses. Self is for routes: where mail must not be sent, since it is here. Claims
 * are for the guard: whose connections are no client's. Claims hold what was asked about too, which
 * may be a balancer's address that is not this host.
 */
#include "policy/site.h"

#include "cache/keys.h"
#include "policy/log.h"
#include "policy/peers.h"

#include <event2/event.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SITE_BEAT_MS = 5000,
    SITE_BEAT_TTL = 15,      /* seconds */
    SITE_SOON_MS = 1000,     /* between two heartbeats at least, whatever the reason */
    SITE_AHEAD_MS = 20000,   /* own addresses are fetched this long before they expire */
    SITE_DNS_BUDGET = 5000,  /* milliseconds */
    SITE_LISTED = 512,       /* listeners of other nodes that are told of */
    SITE_ASKED_MS = 3600000, /* a listener that nobody asked about for so long is no claim */
    SITE_FEED_MS = 15000,    /* a feed that was not heard of for so long is none */
};

struct asked {
    struct net_addr addr;
    int64_t at; /* monotonic milliseconds */
};

struct site {
    struct conf *conf;
    const struct clock *clock;
    struct fetch *fetch;
    struct store *store;
    struct peers *peers; /* NULL without Redis */
    struct event *beat, *soon, *feed;
    int64_t started, last_beat; /* monotonic milliseconds */
    struct fetch_wait *wait;
    const struct facts *facts; /* the node's addresses; NULL not known */
    struct site_node own;
    uint64_t visits; /* at listeners of this host, since the start */
    struct tide_visits tide;
    size_t asked_count;
    struct asked asked[PEERS_MAX_LISTENERS];
    size_t claim_count;
    struct net_addr claim[PEERS_MAX_LISTENERS]; /* as listeners */
};

/* Room for every claim with its comma. */
enum { SITE_LISTENERS_SIZE = PEERS_MAX_LISTENERS * NET_TEXT };

/* --- self ------------------------------------------------------------------------------------- */

bool site_is_self_name(const struct site *site, const char *name)
{
    const struct conf_texts *names = &site->conf->own.names;

    if (!strcmp(name, site->conf->node))
        return true;
    for (size_t i = 0; i < names->count; i++)
        if (!strcmp(name, names->item[i]))
            return true;
    return false;
}

bool site_is_self_addr(const struct site *site, const struct net_addr *addr)
{
    const struct conf *conf = site->conf;

    if (addr->family == NET_NONE)
        return false;
    for (size_t i = 0; i < conf->listener_count; i++)
        if (net_addr_equal(&conf->listener[i].local, addr) ||
            net_addr_equal(&conf->listener[i].public, addr))
            return true;
    return conf_nets_have(&conf->own.nets, addr) || facts_have_addr(site->facts, addr);
}

/* Where `own` says it, nobody has to wait for a name that cannot be looked up. */
bool site_knows_self(const struct site *site)
{
    return site->conf->own.nets.count > 0 || (site->facts && site->facts->state != FACTS_FAIL);
}

/* --- claims ----------------------------------------------------------------------------------- */

static bool has_claim(const struct site *site, const struct net_addr *addr)
{
    for (size_t i = 0; i < site->claim_count; i++)
        if (net_addr_equal(&site->claim[i], addr))
            return true;
    return false;
}

static void claim_add(struct site *site, const struct net_addr *addr)
{
    if (site->claim_count < PEERS_MAX_LISTENERS && net_addr_scope(addr) != NET_UNUSABLE &&
        !has_claim(site, addr))
        site->claim[site->claim_count++] = *addr;
}

/* What the configuration says first, then what was asked about, the oldest of which goes first. */
static void claims_make(struct site *site)
{
    const struct conf *conf = site->conf;
    const struct facts *facts = site->facts;
    int64_t now = clock_mono();
    size_t kept = 0;

    site->claim_count = 0;
    for (size_t i = 0; i < conf->listener_count; i++)
        claim_add(site, &conf->listener[i].public);
    for (size_t i = 0; i < conf->own.nets.count; i++) {
        const struct net_cidr *net = &conf->own.nets.item[i];
        if (net->bits == (net->addr.family == NET_IPV4 ? 32 : 128))
            claim_add(site, &net->addr);
    }
    for (size_t i = 0; facts && i < facts->addr.a_count; i++)
        claim_add(site, &facts->addr.a[i]);
    for (size_t i = 0; facts && i < facts->addr.aaaa_count; i++)
        claim_add(site, &facts->addr.aaaa[i]);
    for (size_t i = 0; i < site->asked_count; i++)
        if (now - site->asked[i].at < SITE_ASKED_MS)
            site->asked[kept++] = site->asked[i];
    site->asked_count = kept;
    for (size_t i = 0; i < kept; i++)
        claim_add(site, &site->asked[i].addr);
}

bool site_is_listener(const struct site *site, const struct net_addr *addr)
{
    return addr->family != NET_NONE && (has_claim(site, addr) || site_is_self_addr(site, addr));
}

bool site_is_claimed(const struct site *site, const struct net_addr *addr)
{
    if (addr->family == NET_NONE)
        return false;
    return has_claim(site, addr) || site_is_self_addr(site, addr) ||
           net_addr_equal(&site->conf->health.source, addr) ||
           (site->peers && peers_claim(site->peers, addr));
}

const struct site_node *site_find(const struct site *site, const struct net_addr *addr)
{
    if (addr->family == NET_NONE)
        return NULL;
    if (has_claim(site, addr))
        return &site->own;
    return site->peers ? peers_find(site->peers, addr) : NULL;
}

/* --- the heartbeat ---------------------------------------------------------------------------- */

static void beat_done(void *arg, enum store_status status, const struct store_reply *const *reply,
                      size_t count)
{
    (void)arg, (void)status, (void)reply, (void)count; /* the next one comes in any case */
}

static char *listeners_format(const struct site *site, char out[SITE_LISTENERS_SIZE])
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < site->claim_count; i++) {
        char text[NET_TEXT];
        used += (size_t)snprintf(out + used, SITE_LISTENERS_SIZE - used, "%s%s", i ? "," : "",
                                 net_addr_format(&site->claim[i], text));
    }
    return out;
}

static void beat_write(struct site *site)
{
    const struct net_addr *source = &site->conf->health.source;
    struct store_batch *batch;
    char key[KEYS_SIZE], since[24], asked[24], visits[24], ttl[8], from[NET_TEXT] = "";
    char listeners[SITE_LISTENERS_SIZE];

    site->last_beat = clock_mono();
    tide_note_visits(&site->tide, site->visits, site->last_beat, PEERS_SPACING_MS);
    if (!site->store)
        return;
    keys_node(site->conf->cache.prefix, site->conf->node, key);
    /* By the shared clock as it is now: at the start this host's own was all there was. */
    snprintf(since, sizeof since, "%" PRId64,
             clock_unix(site->clock) - (site->last_beat - site->started) / 1000);
    snprintf(asked, sizeof asked, "%" PRId64, site->own.asked);
    snprintf(visits, sizeof visits, "%" PRIu64, site->visits);
    snprintf(ttl, sizeof ttl, "%d", SITE_BEAT_TTL);
    if (source->family != NET_NONE)
        net_addr_format(source, from);
    batch = store_batch_new(true);
    store_batch_add(batch, "HSET", key, "version", MXW_VERSION, "since", since, "listeners",
                    listeners_format(site, listeners), "source", from, "needs_feed",
                    site->own.needs_feed ? "1" : "0", "feed", site->own.feed ? "1" : "0", "asker",
                    site->own.asker, "asked", asked, "visits", visits, NULL);
    store_batch_add(batch, "EXPIRE", key, ttl, NULL);
    store_send(site->store, batch, beat_done, NULL);
}

static void facts_take(struct site *site, const struct facts *facts)
{
    facts_unref(site->facts);
    site->facts = facts;
}

static void beat_soon(struct site *site);

static void facts_came(void *arg, const struct facts *facts)
{
    struct site *site = arg;

    site->wait = NULL;
    if (!facts)
        return;
    facts_take(site, facts);
    claims_make(site);
    beat_soon(site);
}

/* Addresses are better than none, and that there are none is better than nothing. A mistake in the
 * zone must not make this host a stranger to itself, to whom mail is sent. */
static bool is_better(const struct facts *facts, const struct facts *known)
{
    return facts->state == FACTS_OK || !known ||
           (facts->state != FACTS_FAIL && known->state != FACTS_OK);
}

/* The node's addresses: what is known serves until better is, however old it is. */
static void facts_refresh(struct site *site)
{
    const struct facts *facts;

    if (!site->fetch)
        return;
    fetch_refresh(site->fetch, FACTS_ADDR, site->conf->node, SITE_AHEAD_MS);
    facts = fetch_peek_stale(site->fetch, FACTS_ADDR, site->conf->node, FETCH_OWN);
    if (facts && is_better(facts, site->facts))
        facts_take(site, facts);
    else
        facts_unref(facts);
    if (!site->facts && !site->wait)
        site->wait = fetch_ask(site->fetch, FACTS_ADDR, site->conf->node, FETCH_OWN,
                               SITE_DNS_BUDGET, facts_came, site);
}

void site_beat(struct site *site)
{
    facts_refresh(site);
    claims_make(site);
    beat_write(site);
    if (site->peers)
        peers_poll(site->peers);
}

static void on_beat(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    site_beat(arg);
}

static void on_soon(evutil_socket_t fd, short what, void *arg)
{
    struct site *site = arg;

    (void)fd, (void)what;
    claims_make(site);
    beat_write(site);
}

static void beat_soon(struct site *site)
{
    int64_t left = site->last_beat + SITE_SOON_MS - clock_mono();
    const struct timeval wait = {.tv_usec = left > 0 ? left * 1000 % 1000000 : 0,
                                 .tv_sec = left > 0 ? left / 1000 : 0};

    if (!evtimer_pending(site->soon, NULL))
        evtimer_add(site->soon, &wait);
}

static void on_learned(void *arg)
{
    beat_soon(arg);
}

/* --- the feed --------------------------------------------------------------------------------- */

/* Told at once: who is turned away here from now on, nobody hears of. */
static void on_feed_lost(evutil_socket_t fd, short what, void *arg)
{
    struct site *site = arg;

    (void)fd, (void)what;
    site->own.feed = false;
    log_info("feed lost: nothing was heard of it for %d s", SITE_FEED_MS / 1000);
    beat_write(site);
}

bool site_has_feed(const struct site *site)
{
    return site->own.feed;
}

void site_note_feed(struct site *site)
{
    const struct timeval wait = {.tv_sec = SITE_FEED_MS / 1000};

    evtimer_add(site->feed, &wait);
    if (site->own.feed)
        return;
    site->own.feed = true;
    log_info("feed begins");
    beat_soon(site);
}

size_t site_find_listener(const struct site *site, enum net_family family, struct net_addr *only)
{
    size_t found = 0;

    for (size_t i = 0; i < site->claim_count; i++)
        if (site->claim[i].family == family && found++ == 0)
            *only = site->claim[i];
    return found;
}

/* --- what others tell us ---------------------------------------------------------------------- */

/* The place of addr among those asked about; a new one takes the oldest's where all are taken. */
static struct asked *asked_find(struct site *site, const struct net_addr *addr, bool *is_new)
{
    struct asked *oldest = site->asked;

    *is_new = false;
    for (size_t i = 0; i < site->asked_count; i++) {
        if (net_addr_equal(&site->asked[i].addr, addr))
            return &site->asked[i];
        if (site->asked[i].at < oldest->at)
            oldest = &site->asked[i];
    }
    *is_new = true;
    if (site->asked_count < PEERS_MAX_LISTENERS)
        oldest = &site->asked[site->asked_count++];
    oldest->addr = *addr;
    return oldest;
}

void site_note_asked(struct site *site, const struct net_addr *public, enum question_asker asker)
{
    bool is_new, claimed;

    strcpy(site->own.asker, asker == QUESTION_MILTER ? "milter" : "policy");
    site->own.asked = clock_unix(site->clock);
    if (net_addr_scope(public) == NET_UNUSABLE)
        return;
    claimed = has_claim(site, public);
    asked_find(site, public, &is_new)->at = clock_mono();
    if (is_new && !claimed) {
        claims_make(site);
        beat_soon(site);
    }
}

void site_note_visit(struct site *site)
{
    site->visits++;
}

bool site_has_fallen(const struct site *site, const struct net_addr *addr, int64_t window,
                     unsigned factor)
{
    const struct tide_visits *visits = site_is_listener(site, addr) ? &site->tide
                                       : site->peers ? peers_visits(site->peers, addr)
                                                     : NULL;

    return visits && tide_has_fallen(visits, clock_mono(), window, factor);
}

size_t site_nodes(const struct site *site, char (*out)[NAME_SIZE], size_t size)
{
    return site->peers ? peers_names(site->peers, out, size) : 0;
}

size_t site_listeners(const struct site *site, struct net_addr *out, size_t size)
{
    struct net_addr theirs[SITE_LISTED];
    size_t count = 0, more = site->peers ? peers_listeners(site->peers, theirs, SITE_LISTED) : 0;

    for (size_t i = 0; i < site->claim_count && count < size; i++)
        out[count++] = site->claim[i];
    for (size_t i = 0; i < more && count < size; i++)
        if (!has_claim(site, &theirs[i]))
            out[count++] = theirs[i];
    return count;
}

void site_changed(struct site *site, const char *name)
{
    if (!site->peers)
        return;
    if (!name || strcmp(name, site->conf->node) != 0)
        peers_changed(site->peers, name);
    if (!name)
        beat_soon(site);
}

/* --- life ------------------------------------------------------------------------------------- */

static void own_set(struct site *site, struct conf *conf)
{
    bool renamed = site->conf && strcmp(site->conf->node, conf->node) != 0;
    struct conf *old = site->conf;

    site->conf = conf_ref(conf);
    conf_unref(old);
    snprintf(site->own.name, sizeof site->own.name, "%s", conf->node);
    site->own.needs_feed = conf->needs_feed;
    if (renamed) {
        facts_take(site, NULL);
        if (site->wait)
            fetch_cancel(site->wait);
        site->wait = NULL;
    }
}

void site_set_conf(struct site *site, struct conf *conf)
{
    own_set(site, conf);
    facts_refresh(site);
    claims_make(site);
    beat_soon(site);
}

struct site *site_new(struct event_base *base, struct conf *conf, const struct clock *clock,
                      struct fetch *fetch, struct store *store)
{
    const struct timeval interval = {.tv_sec = SITE_BEAT_MS / 1000};
    struct site *site = calloc(1, sizeof *site);

    if (!site)
        return NULL;
    site->clock = clock;
    site->fetch = fetch;
    site->store = store;
    site->started = clock_mono();
    own_set(site, conf);
    site->beat = event_new(base, -1, EV_PERSIST, on_beat, site);
    site->soon = evtimer_new(base, on_soon, site);
    site->feed = evtimer_new(base, on_feed_lost, site);
    if (store)
        site->peers = peers_new(base, conf->cache.prefix, clock, store, on_learned, site);
    if (!site->beat || !site->soon || !site->feed || (store && !site->peers) ||
        event_add(site->beat, &interval)) {
        site_free(site);
        return NULL;
    }
    site_beat(site);
    return site;
}

void site_free(struct site *site)
{
    if (!site)
        return;
    if (site->wait)
        fetch_cancel(site->wait);
    if (site->beat)
        event_free(site->beat);
    if (site->soon)
        event_free(site->soon);
    if (site->feed)
        event_free(site->feed);
    peers_free(site->peers);
    facts_unref(site->facts);
    conf_unref(site->conf);
    free(site);
}
