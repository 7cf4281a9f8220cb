/*
 * The world's DNS, SMTP hosts, sockets and logs, and the nodes in it.
 */
#include "tests/replay/world_inside.h"

#include "cache/clock.h"
#include "cache/dns.h"
#include "policy/conversation.h"
#include "policy/daemon.h"
#include "policy/listen.h"
#include "policy/log.h"
#include "policy/probe.h"

#include "tests/unit/conf_of.h"
#include "tests/unit/world_facts.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    MAX_NAMES = 64,
    MAX_HOSTS = 16,
    DNS_MS = 3,
    PROBE_MS = 8,
    ANSWER_LIMIT_MS = 4000,
    STOP_LIMIT_MS = 5000
};

struct node {
    struct daemon *daemon;
    struct conf *conf;
    char address[NET_TEXT];
    struct listen *listen[8];
    size_t listen_count;
    char log[4096], warning[4096], reason[64];
    bool stopped, blind;
};

struct node *world_current;

/* --- logs --------------------------------------------------------------------------------------- */

static bool loud;

void world_log_open(void)
{
    loud = getenv("REPLAY_LOG") != NULL;
}

void log_open(const char *program, enum conf_log_target target, enum conf_log_level level)
{
    (void)program;
    (void)target;
    (void)level;
}

bool log_has(enum conf_log_level level)
{
    return level != CONF_LOG_DEBUG;
}

static void __attribute__((format(printf, 2, 0)))
keep(bool warns, const char *format, va_list arguments)
{
    char line[4096];
    const char *reason;

    vsnprintf(line, sizeof line, format, arguments);
    if (loud)
        fprintf(stderr, "%8lld %s %s\n", (long long)world_now(),
                world_current ? world_current->address : "-", line);
    if (!world_current)
        return;
    strcpy(world_current->log, line);
    if (warns)
        strcpy(world_current->warning, line);
    reason = strncmp(line, "guard ", 6) == 0 ? strstr(line, " reason=") : NULL;
    if (reason)
        snprintf(world_current->reason, sizeof world_current->reason, "%.*s",
                 (int)strcspn(reason + 8, " "), reason + 8);
}

#define LOG_AS(verb, warns)                                                                        \
    void verb(const char *format, ...)                                                             \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        keep(warns, format, arguments);                                                            \
        va_end(arguments);                                                                         \
    }
LOG_AS(log_error, false)
LOG_AS(log_warning, true)
LOG_AS(log_info, false)

void log_debug(const char *format, ...)
{
    (void)format;
}

char *log_escape(const char *text, char *out, size_t size)
{
    snprintf(out, size, "%s", text);
    return out;
}

const char *world_log(const struct node *node)
{
    return node->log;
}

const char *world_warning(const struct node *node)
{
    return node->warning;
}

const char *world_reason(struct node *node)
{
    return node->reason;
}

/* --- DNS ---------------------------------------------------------------------------------------- */

struct dns {
    struct dns_options options;
    struct node *node;
    struct dns_query *query;
};

struct dns_query {
    struct dns *dns;
    enum answer_type type;
    char name[NAME_SIZE];
    dns_done *done;
    void *arg;
    struct event *event;
    struct dns_query *next;
};

static struct {
    struct record {
        enum facts_kind kind;
        char name[NAME_SIZE], text[512];
    } record[MAX_NAMES];
    size_t count;
    enum world_dns how;
    int64_t latency;
    unsigned queries, pending, peak;
} zone;

static void set_record(enum facts_kind kind, const char *name, const char *text)
{
    size_t i;

    for (i = 0; i < zone.count; i++)
        if (zone.record[i].kind == kind && strcmp(zone.record[i].name, name) == 0)
            break;
    assert(i < MAX_NAMES);
    zone.record[i].kind = kind;
    snprintf(zone.record[i].name, sizeof zone.record[i].name, "%s", name);
    snprintf(zone.record[i].text, sizeof zone.record[i].text, "%s", text);
    if (i == zone.count)
        zone.count++;
}

void world_set_mx(const char *domain, const char *records)
{
    set_record(FACTS_MX, domain, records);
}

void world_set_srv(const char *domain, const char *records)
{
    char owner[FACTS_OWNER_SIZE];

    set_record(FACTS_SRV, facts_owner(FACTS_SRV, domain, owner), records);
}

void world_set_addr(const char *host, const char *records)
{
    set_record(FACTS_ADDR, host, records);
}

void world_set_dns(enum world_dns how)
{
    zone.how = how;
}

void world_set_dns_latency(int64_t ms)
{
    zone.latency = ms;
}

unsigned world_dns_queries(void)
{
    return zone.queries;
}

unsigned world_dns_peak(void)
{
    return zone.peak;
}

struct dns *dns_new(struct event_base *base, const struct dns_options *options,
                    const struct notice *notice)
{
    struct dns *dns = calloc(1, sizeof *dns);

    (void)base;
    (void)notice;
    dns->options = *options;
    dns->node = world_current;
    return dns;
}

bool dns_set_options(struct dns *dns, const struct dns_options *options)
{
    dns->options = *options;
    return true;
}

void dns_cancel(struct dns_query *query)
{
    struct dns_query **at = &query->dns->query;

    while (*at != query)
        at = &(*at)->next;
    *at = query->next;
    zone.pending--;
    event_free(query->event);
    free(query);
}

void dns_free(struct dns *dns)
{
    while (dns->query)
        dns_cancel(dns->query);
    free(dns);
}

static bool is_state(const char *text)
{
    enum facts_state state;

    return facts_state_parse(text, &state);
}

/* One family of a host's addresses. */
static struct facts *one_family(const char *text, enum answer_type type)
{
    struct facts *all = addrs_of(text), *one = facts_new(FACTS_ADDR, FACTS_OK);

    for (size_t i = 0; type == ANSWER_A && i < all->addr.a_count; i++)
        facts_add_addr(one, &all->addr.a[i]);
    for (size_t i = 0; type == ANSWER_AAAA && i < all->addr.aaaa_count; i++)
        facts_add_addr(one, &all->addr.aaaa[i]);
    facts_seal(one);
    if (one->addr.a_count + one->addr.aaaa_count == 0)
        one->state = FACTS_NONE;
    facts_unref(all);
    return one;
}

static struct facts *facts_of(const struct record *record, enum answer_type type)
{
    switch (record->kind) {
    case FACTS_MX: return mx_of(record->text);
    case FACTS_SRV: return srv_of(record->text);
    case FACTS_ADDR: break;
    }
    return is_state(record->text) ? addrs_of(record->text) : one_family(record->text, type);
}

static struct facts *resolve(const struct dns_query *query)
{
    enum facts_kind kind = query->type == ANSWER_MX    ? FACTS_MX
                           : query->type == ANSWER_SRV ? FACTS_SRV
                                                       : FACTS_ADDR;
    struct facts *facts = NULL;

    if (zone.how != WORLD_DNS_ANSWERS)
        return answer_fail(query->type, &query->dns->options.limits);
    for (size_t i = 0; i < zone.count && !facts; i++)
        if (zone.record[i].kind == kind && name_matches(zone.record[i].name, query->name))
            facts = facts_of(&zone.record[i], query->type);
    if (!facts)
        facts = facts_new(kind, FACTS_NXDOMAIN);
    facts->ttl = 60;
    return facts;
}

static void on_resolved(evutil_socket_t fd, short what, void *arg)
{
    struct dns_query *query = arg;
    struct facts *facts = resolve(query);
    dns_done *done = query->done;
    void *asker = query->arg;

    (void)fd;
    (void)what;
    world_current = query->dns->node;
    dns_cancel(query);
    done(asker, facts);
}

struct dns_query *dns_ask(struct dns *dns, enum answer_type type, const char *name, dns_done *done,
                          void *arg)
{
    struct dns_query *query = calloc(1, sizeof *query);
    struct timeval delay = {.tv_sec = zone.latency / 1000, .tv_usec = zone.latency % 1000 * 1000};

    query->dns = dns;
    query->type = type;
    snprintf(query->name, sizeof query->name, "%s", name);
    query->done = done;
    query->arg = arg;
    query->next = dns->query;
    dns->query = query;
    query->event = event_new(NULL, -1, 0, on_resolved, query);
    if (zone.how == WORLD_DNS_SILENT) {
        /* Three tries, the first a quarter of the pace, each twice as long as the one before. */
        int64_t tries = dns->options.pace * 7 / 4;
        delay = (struct timeval){.tv_sec = tries / 1000, .tv_usec = tries % 1000 * 1000};
    }
    event_add(query->event, &delay);
    zone.queries++;
    if (++zone.pending > zone.peak)
        zone.peak = zone.pending;
    return query;
}

struct dns_query *dns_ask_host(struct dns *dns, const char *host, dns_host_done *done, void *arg)
{
    (void)dns;
    (void)host;
    (void)done;
    (void)arg;
    return NULL;
}

/* --- SMTP hosts --------------------------------------------------------------------------------- */

static struct host {
    struct net_addr addr;
    enum world_smtp how;
    struct node *node;
    bool attached;
    char local[NET_TEXT];
} hosts[MAX_HOSTS];
static size_t host_count;

struct probe {
    struct probe_options options;
    char nonce[PROBE_NONCE_SIZE], name[NAME_SIZE];
    struct node *node;
    probe_done *done;
    void *arg;
    struct event *event;
};

static struct host *find_host(const struct net_addr *addr)
{
    for (size_t i = 0; i < host_count; i++)
        if (net_addr_equal(&hosts[i].addr, addr))
            return &hosts[i];
    return NULL;
}

void world_set_host(const char *text, enum world_smtp how, struct node *node)
{
    struct net_addr addr = addr_of(text);
    struct host *host = find_host(&addr);

    if (!host) {
        assert(host_count < MAX_HOSTS);
        host = &hosts[host_count++];
        *host = (struct host){.addr = addr, .attached = true};
        net_addr_bare(&addr, host->local);
    }
    host->how = how;
    host->node = node;
}

void world_set_milter(const char *text, bool attached, const char *local)
{
    struct net_addr addr = addr_of(text);
    struct host *host = find_host(&addr);

    host->attached = attached;
    snprintf(host->local, sizeof host->local, "%s", local ? local : text);
}

void world_set_probing(struct node *node, bool works)
{
    node->blind = !works;
}

/* What the milter on that host does at our EHLO. */
static void hear_probe(const struct host *host, const struct probe *probe)
{
    char helo[NAME_SIZE + 64], request[4096];
    struct world_mail mail = {
        .client = probe->node->address, .helo = helo, .listener = host->local};
    size_t length;

    if (!host->node || !host->attached)
        return;
    snprintf(helo, sizeof helo, "mxwp-%s.%s", probe->nonce, probe->name);
    length = world_request(request, sizeof request, "HELO", &mail);
    world_talk(host->node, "policy", request, length, false);
}

static void on_probed(evutil_socket_t fd, short what, void *arg)
{
    static const enum probe_result result[] = {[WORLD_SMTP_UP] = PROBE_GOOD,
                                               [WORLD_SMTP_REFUSED] = PROBE_REFUSED,
                                               [WORLD_SMTP_SILENT] = PROBE_SILENT,
                                               [WORLD_SMTP_421] = PROBE_BAD_REPLY};
    struct probe *probe = arg;
    const struct host *host = find_host(&probe->options.addr);
    bool up = host && host->how == WORLD_SMTP_UP;

    (void)fd;
    (void)what;
    if (probe->node->blind) {
        world_current = probe->node;
        probe->done(probe->arg, PROBE_LOCAL, false, 0, "");
    } else {
        if (up)
            hear_probe(host, probe);
        world_current = probe->node;
        probe->done(probe->arg, host ? result[host->how] : PROBE_REFUSED, up, PROBE_MS, "");
    }
    event_free(probe->event);
    free(probe);
}

struct probe *probe_start(struct event_base *base, const struct probe_options *options,
                          probe_done *done, void *arg)
{
    struct probe *probe = calloc(1, sizeof *probe);
    const struct host *host = find_host(&options->addr);
    int64_t limit = options->connect ? options->connect : options->timeout;
    int64_t ms = host && host->how == WORLD_SMTP_SILENT ? limit : PROBE_MS;
    struct timeval delay = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    probe->options = *options;
    snprintf(probe->nonce, sizeof probe->nonce, "%s", options->nonce);
    snprintf(probe->name, sizeof probe->name, "%s", options->node);
    probe->node = world_current;
    probe->done = done;
    probe->arg = arg;
    probe->event = event_new(base, -1, 0, on_probed, probe);
    event_add(probe->event, &delay);
    return probe;
}

void probe_stop(struct probe *probe)
{
    event_free(probe->event);
    free(probe);
}

const char *probe_result_name(enum probe_result result)
{
    (void)result;
    return "scripted";
}

/* --- sockets ------------------------------------------------------------------------------------ */

struct listen {
    struct node *node;
    const struct listen_handler *handler;
    bool open;
    struct peer *peers;
};

struct peer {
    struct listen *listen; /* NULL once that is gone */
    struct peer *prev, *next;
    void *data;
    char reply[65536];
    size_t length;
    bool replied, closed, dropped;
};

struct listen *listen_start(struct event_base *base, const struct conf_socket *socket, mode_t mode,
                            const char *group, const struct listen_handler *handler,
                            const char **why)
{
    struct listen *listen = calloc(1, sizeof *listen);

    (void)base;
    (void)socket;
    (void)mode;
    (void)group;
    (void)why;
    listen->node = world_current;
    listen->handler = handler;
    listen->open = true;
    world_current->listen[world_current->listen_count++] = listen;
    return listen;
}

void listen_stop(struct listen *listen)
{
    listen->open = false;
}

void listen_free(struct listen *listen)
{
    struct peer *peer, *next;

    DL_FOREACH_SAFE(listen->peers, peer, next)
    {
        listen->handler->closed(peer);
        peer->listen = NULL;
    }
    free(listen);
}

size_t listen_peers(const struct listen *listen)
{
    (void)listen;
    return 0;
}

void peer_reply(struct peer *peer, const void *data, size_t length, bool close_after)
{
    (void)close_after;
    peer->length = length < sizeof peer->reply ? length : sizeof peer->reply - 1;
    memcpy(peer->reply, data, peer->length);
    peer->reply[peer->length] = '\0';
    peer->replied = true;
}

void peer_close(struct peer *peer)
{
    peer->closed = true;
}

void *peer_arg(const struct peer *peer)
{
    return peer->listen->handler->arg;
}

void peer_set_data(struct peer *peer, void *data)
{
    peer->data = data;
}

void *peer_data(const struct peer *peer)
{
    return peer->data;
}

bool peer_uid(const struct peer *peer, uid_t *uid)
{
    (void)peer;
    *uid = 0;
    return true;
}

void peer_complain(struct peer *peer, const char *what, const char *detail)
{
    (void)peer;
    (void)what;
    (void)detail;
}

static struct listen *find_listen(struct node *node, const char *conversation)
{
    for (size_t i = 0; i < node->listen_count; i++)
        if (node->listen[i]->open && strcmp(node->listen[i]->handler->name, conversation) == 0)
            return node->listen[i];
    return NULL;
}

static int64_t took;

int64_t world_took(void)
{
    return took;
}

struct peer *world_connect(struct node *node, const char *conversation)
{
    struct listen *listen = find_listen(node, conversation);
    struct peer *peer = listen ? calloc(1, sizeof *peer) : NULL;

    if (peer) {
        peer->listen = listen;
        DL_APPEND(listen->peers, peer);
    }
    return peer;
}

const char *world_ask(struct peer *peer, const char *data, size_t length, bool wait)
{
    static char out[65536];
    struct node *before = world_current;
    int64_t began = clock_mono();
    size_t used;

    world_current = peer->listen->node;
    peer->replied = false;
    peer->length = 0;
    if (peer->listen->handler->input(peer, data, length, &used) == LISTEN_BAD)
        peer->closed = true;
    /* Without waiting the reply still comes first, at this very moment or not at all. */
    while (!peer->replied && !peer->closed &&
           world_loop_step(wait ? began + ANSWER_LIMIT_MS : clock_mono()))
        ;
    took = clock_mono() - began;
    memcpy(out, peer->reply, peer->length);
    out[peer->length] = '\0';
    world_current = before;
    return out;
}

void world_disconnect(struct peer *peer)
{
    struct node *before = world_current;

    if (peer->listen) {
        world_current = peer->listen->node;
        DL_DELETE(peer->listen->peers, peer);
        peer->listen->handler->closed(peer);
        world_current = before;
    }
    free(peer);
}

const char *world_talk(struct node *node, const char *conversation, const char *data, size_t length,
                       bool wait)
{
    struct peer *peer = world_connect(node, conversation);
    const char *reply;

    if (!peer)
        return "";
    reply = world_ask(peer, data, length, wait);
    world_disconnect(peer);
    return reply;
}

/* --- nodes -------------------------------------------------------------------------------------- */

static void on_failed(void *arg)
{
    (void)arg;
    assert(!"sockets");
}

struct node *world_start(const char *text, const char *address)
{
    struct node *node = calloc(1, sizeof *node);

    snprintf(node->address, sizeof node->address, "%s", address);
    node->conf = conf_of(text);
    world_current = node;
    node->daemon = daemon_new(NULL, node->conf, on_failed, node);
    assert(node->daemon);
    world_run(1500); /* pools resolved, sockets open, first probes back */
    return node;
}

void world_reload(struct node *node, const char *text)
{
    struct conf *conf = conf_of(text);

    world_current = node;
    daemon_set_conf(node->daemon, conf);
    conf_unref(node->conf);
    node->conf = conf;
}

static void on_stopped(void *arg)
{
    struct node *node = arg;

    node->stopped = true;
}

void world_kill(struct node *node)
{
    for (size_t i = 0; i < host_count; i++)
        if (hosts[i].node == node)
            hosts[i].node = NULL;
    world_current = node;
    daemon_free(node->daemon);
    conf_unref(node->conf);
    world_current = NULL;
    free(node);
}

void world_stop(struct node *node)
{
    int64_t limit = clock_mono() + STOP_LIMIT_MS;

    world_current = node;
    daemon_stop(node->daemon, on_stopped, node);
    /* Not a moment longer than it says: what is on its way to Redis then is lost. */
    while (!node->stopped && world_loop_step(limit))
        ;
    assert(node->stopped);
    world_kill(node);
}

void world_net_open(void)
{
    memset(&zone, 0, sizeof zone);
    zone.latency = DNS_MS;
    memset(hosts, 0, sizeof hosts);
    host_count = 0;
    world_current = NULL;
}

void world_net_close(void)
{
}
