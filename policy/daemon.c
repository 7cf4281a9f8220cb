/*
 * The daemon: every part made once, in the order of what needs what, and ended the other way round.
 * No decision is made here; what happens in one part is told to those whom it concerns.
 */
#include "policy/daemon.h"

#include "cache/clock.h"
#include "cache/dns.h"
#include "cache/fetch.h"
#include "cache/keys.h"
#include "cache/sentinel.h"
#include "cache/store.h"
#include "cache/timing.h"
#include "cache/track.h"
#include "policy/conversation.h"
#include "policy/engine.h"
#include "policy/events.h"
#include "policy/flush.h"
#include "policy/log.h"
#include "policy/memory.h"
#include "policy/notices.h"
#include "policy/override.h"
#include "policy/pause.h"
#include "policy/site.h"
#include "policy/stats.h"
#include "policy/survey.h"
#include "policy/tally.h"
#include "policy/top.h"
#include "policy/watch.h"

#include <event2/event.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DNS_LATE_MS = 5000,     /* an answer later than askers wait still fills the cache */
    TRACK_QUIET_MS = 12000, /* two heartbeats of the node and a little */
    STOP_TICK_MS = 20,
    STOP_LIMIT_MS = 3000, /* longer than any question's budget */
    TRACKED = 7,
};

struct daemon {
    struct event_base *base;
    struct conf *conf;
    struct conf *first; /* as it was at the start: owns names that no reload changes */
    struct clock clock;
    struct timing redis_times;
    struct notice notice;
    struct dns *dns;
    struct sentinel *sentinel; /* NULL without Sentinels */
    struct store *store;       /* NULL without Redis */
    struct track *track;
    struct fetch *fetch;
    struct flush *flush;
    struct memory *memory;
    struct site *site;
    struct watch *watch;
    struct override *override;
    struct pause *pause;
    struct stats *stats;
    struct survey *survey;
    struct tally *tally;
    struct top *top;
    struct events *events;
    struct engine *engine;
    struct conversation conversation;
    struct listen_handler handler[3]; /* socketmap, policy, control */
    size_t listen_count;
    struct listen **listen;
    struct event *stopping;
    int64_t stop_deadline;
    unsigned quiet;    /* looks without a question under way */
    unsigned flushing; /* events and top: how many are still at it */
    daemon_failed *failed;
    daemon_stopped *stopped;
    void *arg;
};

/* --- notices ------------------------------------------------------------------------------------ */

/* One line for the log and for the events. */
static void tell(struct daemon *daemon, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void tell(struct daemon *daemon, const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    log_info("%s", line);
    events_put(daemon->events, EVENTS_SITE, line);
}

/* What Redis could not be told while it was away it is told when it is back. */
static void tell_redis(struct daemon *daemon, enum notice_kind kind, const char *detail)
{
    const char *state = kind == NOTICE_REDIS_UP        ? "up"
                        : kind == NOTICE_REDIS_DOWN    ? "down"
                        : kind == NOTICE_REDIS_REFUSED ? "refused"
                                                       : NULL;
    char words[256], line[320];

    if (!state)
        return;
    snprintf(line, sizeof line, "redis state=%s detail=%s", state,
             log_escape(detail ? detail : "", words, sizeof words));
    events_put(daemon->events, EVENTS_SITE, line);
}

static void on_notice(void *arg, enum notice_kind kind, const char *detail)
{
    struct daemon *daemon = arg;

    if (daemon->stats)
        stats_add(daemon->stats, notices_counter(kind), 1);
    if (daemon->events)
        tell_redis(daemon, kind, detail);
    notices_log(kind, detail);
}

/* A host that came back, and is not trusted for it. */
static void tell_hold(struct daemon *daemon, const struct watch_view *view)
{
    struct watch_host_view host = watch_get_host(daemon->watch, view->host, view->port);

    if (host.held)
        tell(daemon, "flapping host=%s:%u flaps=%u held_until=%lld", view->host, view->port,
             host.held, (long long)host.held_until);
}

static void on_watch_changed(void *arg, const struct watch_view *before,
                             const struct watch_view *after)
{
    struct daemon *daemon = arg;
    char addr[NET_TEXT];

    net_addr_format(&after->addr, addr);
    if (before->health.state != after->health.state) {
        tell(daemon, "health host=%s:%u address=%s state=%s was=%s", after->host, after->port, addr,
             health_state_name(after->health.state), health_state_name(before->health.state));
        tell_hold(daemon, after);
    }
    if (before->health.state != after->health.state && daemon->flush)
        flush_changed(daemon->flush);
    if (before->observed != after->observed)
        tell(daemon, "observed host=%s:%u address=%s observed=%s missing=%s", after->host,
             after->port, addr, after->observed ? "yes" : "no", watch_missing_name(after->missing));
}

static void on_tracked(void *arg, const char *key)
{
    struct daemon *daemon = arg;
    const char *rest = NULL;

    if (!key) {
        fetch_forget_all(daemon->fetch);
        override_changed(daemon->override, NULL);
        pause_changed(daemon->pause);
        site_changed(daemon->site, NULL);
        memory_changed(daemon->memory);
        return;
    }
    switch (keys_parse(daemon->conf->cache.prefix, key, &rest)) {
    case KEYS_MX: fetch_forget(daemon->fetch, FACTS_MX, rest); break;
    case KEYS_SRV: fetch_forget(daemon->fetch, FACTS_SRV, rest); break;
    case KEYS_ADDR: fetch_forget(daemon->fetch, FACTS_ADDR, rest); break;
    case KEYS_OVERRIDE:
        if (pause_has_key(rest))
            pause_changed(daemon->pause);
        else
            override_changed(daemon->override, rest);
        break;
    case KEYS_OK: memory_forget_learned(daemon->memory, rest); break;
    case KEYS_NODE: site_changed(daemon->site, rest); break;
    case KEYS_EPOCH: memory_changed(daemon->memory); break;
    case KEYS_HEALTH: watch_changed(daemon->watch, rest); break;
    case KEYS_OTHER: break;
    }
}

static void on_track_lost(void *arg)
{
    struct daemon *daemon = arg;

    fetch_forget_all(daemon->fetch);
    override_set_tracked(daemon->override, false);
}

static void on_track_up(void *arg)
{
    struct daemon *daemon = arg;

    override_set_tracked(daemon->override, true);
    override_changed(daemon->override, NULL);
    pause_changed(daemon->pause);
    fetch_forget_all(daemon->fetch); /* what changed before was told to nobody */
    site_beat(daemon->site);
}

static void on_store_changed(void *arg, bool up)
{
    struct daemon *daemon = arg;

    if (!up)
        return;
    /* What was resolved while it was away is not there yet: asked for anew, it will be. */
    fetch_forget_all(daemon->fetch);
    site_beat(daemon->site);
    memory_changed(daemon->memory);
    flush_store_up(daemon->flush);
}

/* --- building ----------------------------------------------------------------------------------- */

static struct dns_options dns_options(const struct conf *conf)
{
    return (struct dns_options){
        .servers = conf->dns.servers,
        .budget = conf->dns.timeout > DNS_LATE_MS ? conf->dns.timeout : DNS_LATE_MS,
        .pace = conf->dns.timeout,
        .limits = {.min_ttl = (uint32_t)(conf->dns.min_ttl / 1000),
                   .max_ttl = (uint32_t)(conf->dns.max_ttl / 1000),
                   .negative_ttl = (uint32_t)(conf->dns.negative_ttl / 1000)},
    };
}

static struct fetch_options fetch_options(const struct conf *conf)
{
    return (struct fetch_options){
        .entries = conf->cache.entries,
        .stale = conf->dns.stale,
        .max_ttl = conf->dns.max_ttl,
        .dns_timeout = conf->dns.timeout,
        .node = conf->node,
        .prefix = conf->cache.prefix,
        .secret = conf->cache.secret,
        .secret_size = conf->cache.secret_size,
    };
}

static struct store_options store_options(const struct daemon *daemon)
{
    const struct conf *conf = daemon->conf;

    return (struct store_options){
        .sentinel = daemon->sentinel,
        .path = conf->cache.kind == CONF_REDIS_UNIX ? conf->cache.path : NULL,
        .host = conf->cache.host,
        .port = conf->cache.port,
        .tls = conf->cache.tls,
        .database = conf->cache.database,
        .user = conf->cache.user,
        .password = conf->cache.password,
        .timeout = conf->cache.timeout,
    };
}

static bool build_store(struct daemon *daemon)
{
    const struct conf *conf = daemon->conf;
    const struct sentinel_options sentinel = {
        .list = conf->cache.sentinel, .user = conf->cache.user, .password = conf->cache.password};
    struct store_options store;

    if (conf->cache.kind == CONF_REDIS_NONE)
        return true;
    if (conf->cache.kind == CONF_REDIS_SENTINEL) {
        daemon->sentinel = sentinel_new(daemon->base, &sentinel, daemon->dns, &daemon->notice);
        if (!daemon->sentinel)
            return false;
    }
    store = store_options(daemon);
    daemon->store = store_new(daemon->base, &store, &daemon->clock, daemon->dns, &daemon->notice);
    if (daemon->store)
        store_set_timing(daemon->store, &daemon->redis_times);
    return daemon->store != NULL;
}

static bool build_cache(struct daemon *daemon)
{
    const struct conf *conf = daemon->conf;
    struct dns_options dns = dns_options(conf);
    struct fetch_options fetch = fetch_options(conf);

    daemon->dns = dns_new(daemon->base, &dns, &daemon->notice);
    if (!daemon->dns) {
        log_error("cannot use the DNS servers %s", conf->dns.servers);
        return false;
    }
    if (!build_store(daemon))
        return false;
    daemon->fetch = fetch_new(daemon->base, &fetch, &daemon->clock, daemon->dns, daemon->store,
                              &daemon->notice);
    return daemon->fetch != NULL;
}

static bool build_policy(struct daemon *daemon)
{
    struct conf *conf = daemon->conf;
    const struct memory_options memory = {.prefix = conf->cache.prefix,
                                          .entries = conf->cache.entries};
    const struct watch_hooks hooks = {.changed = on_watch_changed, .arg = daemon};

    daemon->stats =
        stats_new(daemon->base, &daemon->clock, daemon->store, conf->cache.prefix, conf->node);
    daemon->memory = memory_new(daemon->base, &memory, &daemon->clock, daemon->store);
    daemon->site = site_new(daemon->base, conf, &daemon->clock, daemon->fetch, daemon->store);
    daemon->override = override_new(daemon->base, conf->cache.prefix, daemon->store);
    daemon->pause = pause_new(daemon->base, conf->cache.prefix, &daemon->clock, daemon->store);
    daemon->top = top_new(daemon->base, &daemon->clock, daemon->store, conf->cache.prefix);
    if (!daemon->top || !daemon->stats || !daemon->memory || !daemon->site || !daemon->override ||
        !daemon->pause)
        return false;
    stats_set_timing(daemon->stats, &daemon->redis_times);
    daemon->events = events_new(daemon->base, &daemon->clock, daemon->store, daemon->stats,
                                conf->cache.prefix, conf->node);
    daemon->tally = tally_new(daemon->base, &daemon->clock, daemon->memory, daemon->stats);
    daemon->watch = watch_new(daemon->base, conf, &daemon->clock, daemon->memory, daemon->store,
                              daemon->site, &hooks);
    return daemon->events && daemon->tally && daemon->watch;
}

static bool build_track(struct daemon *daemon)
{
    static const char *const kind[TRACKED] = {
        "mx:", "addr:", "override:", "ok:", "health:", "node:", "epoch"};
    char text[TRACKED][KEYS_PREFIX_SIZE + 16], heartbeat[KEYS_SIZE];
    const char *prefix[TRACKED];
    const struct track_hooks hooks = {
        .changed = on_tracked, .lost = on_track_lost, .up = on_track_up, .arg = daemon};
    struct track_options options = {.server = store_options(daemon),
                                    .prefix = prefix,
                                    .prefix_count = TRACKED,
                                    .heartbeat = heartbeat,
                                    .quiet = TRACK_QUIET_MS};

    for (size_t i = 0; i < TRACKED; i++) {
        snprintf(text[i], sizeof text[i], "%s:%s", daemon->conf->cache.prefix, kind[i]);
        prefix[i] = text[i];
    }
    keys_node(daemon->conf->cache.prefix, daemon->conf->node, heartbeat);
    store_on_change(daemon->store, on_store_changed, daemon);
    daemon->track = track_new(daemon->base, &options, daemon->dns, &hooks, &daemon->notice);
    return daemon->track != NULL;
}

/* --- sockets ------------------------------------------------------------------------------------ */

static bool open_socket(struct daemon *daemon, const struct conf_socket *socket, mode_t mode,
                        const char *group, const struct listen_handler *handler)
{
    const char *why = "";
    struct listen *listen = listen_start(daemon->base, socket, mode, group, handler, &why);

    if (!listen) {
        log_error("cannot listen on %s for %s: %s (%s)", socket->text, handler->name, why,
                  strerror(errno));
        return false;
    }
    daemon->listen[daemon->listen_count++] = listen;
    return true;
}

static bool open_sockets(struct daemon *daemon)
{
    const struct conf *conf = daemon->conf;
    size_t count = conf->listen.socketmap.count + conf->listen.policy.count + 1;
    bool ok = true;

    socketmap_handler(&daemon->handler[0], &daemon->conversation);
    delegate_handler(&daemon->handler[1], &daemon->conversation);
    control_handler(&daemon->handler[2], &daemon->conversation);
    daemon->listen = calloc(count, sizeof *daemon->listen);
    if (!daemon->listen)
        return false;
    for (size_t i = 0; i < conf->listen.socketmap.count; i++)
        ok = open_socket(daemon, &conf->listen.socketmap.item[i], conf->listen.mode,
                         conf->listen.group, &daemon->handler[0]) &&
             ok;
    for (size_t i = 0; i < conf->listen.policy.count; i++)
        ok = open_socket(daemon, &conf->listen.policy.item[i], conf->listen.mode,
                         conf->listen.group, &daemon->handler[1]) &&
             ok;
    return open_socket(daemon, &conf->listen.control, 0600, "", &daemon->handler[2]) && ok;
}

static void on_ready(void *arg)
{
    struct daemon *daemon = arg;

    if (daemon->stopped)
        return;
    if (open_sockets(daemon))
        tell(daemon, "ready node=%s domains=%zu pools=%zu redis=%s", daemon->conf->node,
             daemon->conf->domain_count, daemon->conf->pool_count,
             daemon->store ? daemon->conf->cache.redis : "none");
    else
        daemon->failed(daemon->arg);
}

static struct flush *build_flush(struct daemon *daemon)
{
    const struct flush_parts parts = {.base = daemon->base,
                                      .fetch = daemon->fetch,
                                      .watch = daemon->watch,
                                      .site = daemon->site,
                                      .override = daemon->override,
                                      .survey = daemon->survey,
                                      .stats = daemon->stats,
                                      .events = daemon->events,
                                      .store = daemon->store};

    return daemon->survey ? flush_new(&parts, daemon->conf) : NULL;
}

static bool build_engine(struct daemon *daemon)
{
    const struct survey_parts survey = {.base = daemon->base,
                                        .fetch = daemon->fetch,
                                        .watch = daemon->watch,
                                        .site = daemon->site,
                                        .override = daemon->override};
    struct engine_parts parts = {.base = daemon->base,
                                 .clock = &daemon->clock,
                                 .fetch = daemon->fetch,
                                 .memory = daemon->memory,
                                 .watch = daemon->watch,
                                 .site = daemon->site,
                                 .override = daemon->override,
                                 .pause = daemon->pause,
                                 .stats = daemon->stats,
                                 .tally = daemon->tally,
                                 .top = daemon->top,
                                 .events = daemon->events};

    daemon->survey = survey_new(&survey, daemon->conf, on_ready, daemon);
    parts.survey = daemon->survey;
    daemon->engine = daemon->survey ? engine_new(&parts, daemon->conf) : NULL;
    daemon->flush = build_flush(daemon);
    daemon->conversation = (struct conversation){.conf = daemon->conf,
                                                 .engine = daemon->engine,
                                                 .fetch = daemon->fetch,
                                                 .flush = daemon->flush,
                                                 .memory = daemon->memory,
                                                 .override = daemon->override,
                                                 .pause = daemon->pause,
                                                 .site = daemon->site,
                                                 .stats = daemon->stats,
                                                 .store = daemon->store,
                                                 .top = daemon->top,
                                                 .watch = daemon->watch,
                                                 .clock = &daemon->clock,
                                                 .started = clock_unix(&daemon->clock)};
    return daemon->engine && daemon->flush;
}

struct daemon *daemon_new(struct event_base *base, struct conf *conf, daemon_failed *failed,
                          void *arg)
{
    struct daemon *daemon = calloc(1, sizeof *daemon);

    if (!daemon)
        return NULL;
    daemon->base = base;
    daemon->conf = conf_ref(conf);
    daemon->first = conf_ref(conf);
    daemon->failed = failed;
    daemon->arg = arg;
    daemon->notice = (struct notice){.hook = on_notice, .arg = daemon};
    clock_init(&daemon->clock);
    if (build_cache(daemon) && build_policy(daemon) && build_engine(daemon) &&
        (!daemon->store || build_track(daemon)))
        return daemon;
    daemon_free(daemon);
    return NULL;
}

void daemon_free(struct daemon *daemon)
{
    if (!daemon)
        return;
    if (daemon->stopping)
        event_free(daemon->stopping);
    /* Whoever is still asking: a flush by hand may wait for longer than the end does. */
    for (size_t i = 0; i < daemon->listen_count; i++)
        listen_free(daemon->listen[i]);
    engine_free(daemon->engine);
    tally_free(daemon->tally);
    survey_free(daemon->survey);
    if (daemon->track)
        track_free(daemon->track);
    if (daemon->watch)
        watch_free(daemon->watch);
    if (daemon->site)
        site_free(daemon->site);
    if (daemon->override)
        override_free(daemon->override);
    if (daemon->stats)
        stats_free(daemon->stats);
    events_free(daemon->events);
    daemon->stats = NULL; /* what ends after them may still give notice */
    daemon->events = NULL;
    top_free(daemon->top);
    if (daemon->fetch)
        fetch_free(daemon->fetch);
    /* What waits for Redis hears that it is lost, while its owner is still there. */
    if (daemon->store)
        store_free(daemon->store);
    sentinel_free(daemon->sentinel);
    memory_free(daemon->memory);
    pause_free(daemon->pause);
    flush_free(daemon->flush);
    if (daemon->dns)
        dns_free(daemon->dns);
    free(daemon->listen);
    conf_unref(daemon->conf);
    conf_unref(daemon->first);
    free(daemon);
}

/* --- reload ------------------------------------------------------------------------------------- */

static bool same_sockets(const struct conf_sockets *a, const struct conf_sockets *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->item[i].text, b->item[i].text) != 0)
            return false;
    return true;
}

static void warn_restart(bool same, const char *key)
{
    if (!same)
        log_warning("reload: %s changes only at a restart", key);
}

static void compare(const struct conf *old, const struct conf *new)
{
    warn_restart(strcmp(old->node, new->node) == 0, "node");
    warn_restart(same_sockets(&old->listen.policy, &new->listen.policy), "listen.policy");
    warn_restart(same_sockets(&old->listen.socketmap, &new->listen.socketmap), "listen.socketmap");
    warn_restart(strcmp(old->listen.control.text, new->listen.control.text) == 0, "listen.control");
    warn_restart(strcmp(old->cache.redis, new->cache.redis) == 0, "cache.redis");
    warn_restart(strcmp(old->cache.prefix, new->cache.prefix) == 0, "cache.prefix");
    warn_restart(strcmp(old->cache.password, new->cache.password) == 0, "cache.password_file");
    warn_restart(old->cache.timeout == new->cache.timeout, "cache.timeout");
    warn_restart(old->cache.entries == new->cache.entries,
                 "cache.entries, for the table of visits,");
    warn_restart(old->listen.mode == new->listen.mode, "listen.mode");
    warn_restart(strcmp(old->listen.group, new->listen.group) == 0, "listen.group");
}

/* The names of keys: half the parts would follow a change, and half would not. */
static void keep_names(struct conf *conf, const struct conf *first)
{
    memcpy(conf->node, first->node, sizeof conf->node);
    conf->cache.prefix = first->cache.prefix;
}

void daemon_set_conf(struct daemon *daemon, struct conf *conf)
{
    struct conf *old = daemon->conf;
    struct dns_options dns = dns_options(conf);
    struct fetch_options fetch;

    compare(old, conf);
    keep_names(conf, daemon->first);
    fetch = fetch_options(conf);
    daemon->conf = conf_ref(conf);
    daemon->conversation.conf = conf;
    if (!dns_set_options(daemon->dns, &dns))
        log_error("reload: cannot use the DNS servers %s; the old ones stay", conf->dns.servers);
    fetch_set_options(daemon->fetch, &fetch);
    site_set_conf(daemon->site, conf);
    watch_set_conf(daemon->watch, conf);
    survey_set_conf(daemon->survey, conf);
    flush_set_conf(daemon->flush, conf);
    engine_set_conf(daemon->engine, conf);
    conf_unref(old);
    stats_add(daemon->stats, "reloads", 1);
    tell(daemon, "reloaded file=%s domains=%zu pools=%zu", conf->file, conf->domain_count,
         conf->pool_count);
}

void daemon_note_refused(struct daemon *daemon, const struct conf_problems *problems)
{
    char line[64];

    snprintf(line, sizeof line, "reload_refused errors=%zu", problems->errors);
    events_put(daemon->events, EVENTS_SITE, line);
    stats_add(daemon->stats, "reloads_refused", 1);
    log_error("reload refused: %zu errors; the running configuration stays", problems->errors);
}

/* --- the end ------------------------------------------------------------------------------------ */

static void on_flushed(void *arg)
{
    struct daemon *daemon = arg;

    event_del(daemon->stopping);
    daemon->stopped(daemon->arg);
}

/* The counters once more: the others may still have had something counted. */
static void on_part_flushed(void *arg)
{
    struct daemon *daemon = arg;

    if (--daemon->flushing == 0)
        stats_flush(daemon->stats, on_flushed, daemon);
}

static void on_stopping(evutil_socket_t fd, short what, void *arg)
{
    struct daemon *daemon = arg;
    struct timeval again = {.tv_usec = STOP_TICK_MS * 1000};

    (void)fd;
    (void)what;
    /* Two quiet looks: what the last one answered has then been written. */
    daemon->quiet = engine_count(daemon->engine) == 0 ? daemon->quiet + 1 : 0;
    if (daemon->quiet < 2 && clock_mono() < daemon->stop_deadline)
        event_add(daemon->stopping, &again);
    else {
        tally_stop(daemon->tally);
        tell(daemon, "stopping version=%s", MXW_VERSION);
        daemon->flushing = 2;
        stats_push(daemon->stats);
        events_flush(daemon->events, on_part_flushed, daemon);
        top_flush(daemon->top, on_part_flushed, daemon);
    }
}

void daemon_stop(struct daemon *daemon, daemon_stopped *stopped, void *arg)
{
    if (daemon->stopped)
        return;
    daemon->stopped = stopped;
    daemon->arg = arg;
    for (size_t i = 0; i < daemon->listen_count; i++)
        listen_stop(daemon->listen[i]);
    daemon->stop_deadline = clock_mono() + STOP_LIMIT_MS;
    daemon->stopping = evtimer_new(daemon->base, on_stopping, daemon);
    if (daemon->stopping)
        on_stopping(-1, EV_TIMEOUT, daemon);
    else
        stopped(arg);
}
