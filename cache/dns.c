/*
 * c-ares on the event loop: the only file that knows it, whatever its version.
 *
 * A question has two holders, and its memory lives until both have let go: the asker, until the
 * callback or dns_cancel, and c-ares, until it calls back, which may be long after the budget. So a
 * late answer always finds its question, and a question without an asker is just freed by it.
 *
 * Results travel through the question's own event: c-ares may call back inside ares_query, or from
 * the depth of ares_process_fd, where no asker may be called and no channel destroyed. The same
 * event, as a timer, is the budget.
 *
 * A change of options makes a new channel; the old one stays until c-ares has let go of its last
 * question.
 */
#include "cache/dns.h"

/* Versions after 1.28 have newer calls beside those used here, which they still carry. */
#define CARES_NO_DEPRECATED
#include <ares.h>
#include <arpa/nameser.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

enum {
    MAX_QUERIES = 2000,   /* that c-ares holds, those without an asker included */
    MAX_HOST_ADDRS = 16,  /* of one dns_ask_host */
    EDNS_SIZE = 1232,     /* what crosses every path unfragmented */
    TRIES = 3,            /* each twice as long as the one before */
    TRIES_IN_BUDGET = 4,  /* of the pace: a silent server must leave time for the next */
    MIN_TRY_TIMEOUT = 50, /* milliseconds */
};

LIST_HEAD(watch_list, watch);
LIST_HEAD(channel_list, channel);
LIST_HEAD(query_list, dns_query);

struct watch { /* one socket of a channel */
    LIST_ENTRY(watch) link;
    struct channel *channel;
    struct event *event;
    ares_socket_t fd;
};

struct channel {
    LIST_ENTRY(channel) link;
    struct dns *dns;
    ares_channel ares;
    struct event *timer; /* c-ares' next timeout */
    struct watch_list watches;
    size_t held; /* questions that c-ares has not called back */
};

struct dns {
    struct event_base *base;
    const struct notice *notice;
    int64_t budget, pace;
    struct answer_limits limits;
    struct channel *channel;      /* for new questions; always the first in the list */
    struct channel_list channels; /* the others run out */
    struct query_list queries;
    struct event *reaper; /* frees channels that ran out */
    size_t held;
};

struct dns_query {
    LIST_ENTRY(dns_query) link;
    struct dns *dns;
    struct channel *channel;
    struct event *event; /* the budget, or activated: there is a result */
    bool asked;          /* the asker waits */
    bool held;           /* c-ares will call back */
    char name[FACTS_OWNER_SIZE];
    dns_done *done; /* a question for facts ... */
    enum answer_type type;
    struct answer_limits limits;
    struct facts *facts;
    dns_host_done *host_done; /* ... or for a host's addresses */
    size_t addr_count;
    struct net_addr addr[MAX_HOST_ADDRS];
    void *arg;
};

static struct timeval milliseconds(int64_t value)
{
    return (struct timeval){.tv_sec = value / 1000, .tv_usec = value % 1000 * 1000};
}

/* Channels */

/* After every call into c-ares: any of them may have moved its next timeout. */
static void channel_rearm(struct channel *channel)
{
    struct timeval room, *next = ares_timeout(channel->ares, NULL, &room);

    if (next)
        event_add(channel->timer, next);
    else
        event_del(channel->timer);
}

static void channel_on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct channel *channel = arg;

    (void)fd;
    (void)what;
    ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    channel_rearm(channel);
}

static void watch_on_ready(evutil_socket_t fd, short what, void *arg)
{
    /* c-ares may close the socket in here, and the watch goes with it; the channel stays. */
    struct channel *channel = ((struct watch *)arg)->channel;

    ares_process_fd(channel->ares, what & EV_READ ? fd : ARES_SOCKET_BAD,
                    what & EV_WRITE ? fd : ARES_SOCKET_BAD);
    channel_rearm(channel);
}

static void watch_free(struct watch *watch)
{
    LIST_REMOVE(watch, link);
    if (watch->event)
        event_free(watch->event);
    free(watch);
}

/* c-ares says which events of a socket it waits for now; none: it is about to close it. Without
 * memory the socket is not watched, and the question runs into its budget. */
static void channel_on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct channel *channel = arg;
    struct watch *watch = LIST_FIRST(&channel->watches);
    short events = EV_PERSIST;

    while (watch && watch->fd != fd)
        watch = LIST_NEXT(watch, link);
    if (watch)
        watch_free(watch);
    if ((!readable && !writable) || !(watch = calloc(1, sizeof *watch)))
        return;
    events |= (short)((readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
    watch->channel = channel;
    watch->fd = fd;
    LIST_INSERT_HEAD(&channel->watches, watch, link);
    watch->event = event_new(channel->dns->base, fd, events, watch_on_ready, watch);
    if (watch->event)
        event_add(watch->event, NULL);
}

static int64_t pace_of(const struct dns_options *options)
{
    return options->pace ? options->pace : options->budget;
}

static bool channel_open(struct channel *channel, const struct dns_options *options)
{
    int64_t try_timeout = pace_of(options) / TRIES_IN_BUDGET;
    struct ares_options ares = {
        .flags = ARES_FLAG_EDNS,
        .timeout = (int)(try_timeout > MIN_TRY_TIMEOUT ? try_timeout : MIN_TRY_TIMEOUT),
        .tries = TRIES,
        .ednspsz = EDNS_SIZE,
        .sock_state_cb = channel_on_socket,
        .sock_state_cb_data = channel,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
               ARES_OPT_SOCK_STATE_CB;

#ifdef ARES_OPT_QUERY_CACHE
    /* Since 1.31 c-ares has a cache of its own, which knows neither our limits nor a purge. */
    mask |= ARES_OPT_QUERY_CACHE;
#endif
    if (ares_init_options(&channel->ares, &ares, mask) != ARES_SUCCESS) {
        channel->ares = NULL;
        return false;
    }
    return options->servers[0] == '\0' ||
           ares_set_servers_ports_csv(channel->ares, options->servers) == ARES_SUCCESS;
}

static void channel_free(struct channel *channel)
{
    struct watch *watch, *next;

    /* Calls back whatever is pending, and gives up its sockets. */
    if (channel->ares)
        ares_destroy(channel->ares);
    for (watch = LIST_FIRST(&channel->watches); watch; watch = next) {
        next = LIST_NEXT(watch, link);
        watch_free(watch);
    }
    if (channel->timer)
        event_free(channel->timer);
    LIST_REMOVE(channel, link);
    free(channel);
}

/* The new channel is the first in the list, and not yet the one for new questions. */
static struct channel *channel_new(struct dns *dns, const struct dns_options *options)
{
    struct channel *channel = calloc(1, sizeof *channel);

    if (!channel)
        return NULL;
    channel->dns = dns;
    LIST_INIT(&channel->watches);
    LIST_INSERT_HEAD(&dns->channels, channel, link);
    channel->timer = evtimer_new(dns->base, channel_on_timer, channel);
    if (!channel->timer || !channel_open(channel, options)) {
        channel_free(channel);
        return NULL;
    }
    return channel;
}

static void dns_on_reap(evutil_socket_t fd, short what, void *arg)
{
    struct dns *dns = arg;
    struct channel *channel, *next;

    (void)fd;
    (void)what;
    for (channel = LIST_FIRST(&dns->channels); channel; channel = next) {
        next = LIST_NEXT(channel, link);
        if (channel != dns->channel && channel->held == 0)
            channel_free(channel);
    }
}

/* Questions */

static void query_free(struct dns_query *query)
{
    LIST_REMOVE(query, link);
    event_free(query->event);
    facts_unref(query->facts);
    free(query);
}

/* The asker wants nothing more. */
static void query_leave(struct dns_query *query)
{
    query->asked = false;
    event_del(query->event);
    if (!query->held)
        query_free(query);
}

static void query_hold(struct dns_query *query)
{
    query->held = true;
    query->channel->held++;
    query->dns->held++;
}

/* c-ares has called back; a result, if any, is in place. */
static void query_let_go(struct dns_query *query)
{
    struct dns *dns = query->dns;

    query->held = false;
    dns->held--;
    if (--query->channel->held == 0 && query->channel != dns->channel)
        event_active(dns->reaper, EV_TIMEOUT, 0);
    if (query->asked)
        event_active(query->event, EV_TIMEOUT, 0);
    else
        query_free(query);
}

static void query_finish_facts(struct dns_query *query)
{
    const struct notice *notice = query->dns->notice;
    struct facts *facts = query->facts;
    dns_done *done = query->done;
    void *arg = query->arg;

    query->facts = NULL;
    if (!facts)
        facts = answer_fail(query->type, &query->limits);
    if (!facts || facts->state == FACTS_FAIL)
        notice_give(notice, NOTICE_DNS_FAIL, query->name);
    query_leave(query);
    done(arg, facts);
}

static void query_finish_host(struct dns_query *query)
{
    struct net_addr addr[MAX_HOST_ADDRS];
    size_t count = query->addr_count;
    dns_host_done *done = query->host_done;
    void *arg = query->arg;

    memcpy(addr, query->addr, sizeof addr);
    query_leave(query);
    done(arg, addr, count);
}

/* There is a result, or the budget is over. The question is left before its asker is called, who
 * may do as he likes then, dns_free included. */
static void query_on_due(evutil_socket_t fd, short what, void *arg)
{
    struct dns_query *query = arg;

    (void)fd;
    (void)what;
    if (query->done)
        query_finish_facts(query);
    else
        query_finish_host(query);
}

static void query_on_answer(void *arg, int status, int timeouts, unsigned char *data, int length)
{
    struct dns_query *query = arg;
    /* The statuses under which c-ares passes on a whole answer. */
    bool answered = status == ARES_SUCCESS || status == ARES_ENODATA || status == ARES_ENOTFOUND;

    (void)timeouts;
    if (query->asked && answered && data && length > 0)
        query->facts = answer_parse(query->type, query->name, data, (size_t)length, &query->limits);
    query_let_go(query);
}

static void query_on_host(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
    struct dns_query *query = arg;

    (void)timeouts;
    if (status == ARES_SUCCESS && result) {
        for (struct ares_addrinfo_node *node = result->nodes;
             node && query->addr_count < MAX_HOST_ADDRS; node = node->ai_next)
            query->addr_count +=
                net_addr_from_sockaddr(node->ai_addr, &query->addr[query->addr_count], NULL);
    }
    if (result)
        ares_freeaddrinfo(result);
    query_let_go(query);
}

/* A question with its budget running, not sent yet. */
static struct dns_query *query_new(struct dns *dns, int64_t budget_ms, void *arg)
{
    struct dns_query *query = calloc(1, sizeof *query);
    struct timeval budget = milliseconds(budget_ms);

    if (!query)
        return NULL;
    query->event = evtimer_new(dns->base, query_on_due, query);
    if (!query->event || event_add(query->event, &budget) != 0) {
        if (query->event)
            event_free(query->event);
        free(query);
        return NULL;
    }
    query->dns = dns;
    query->channel = dns->channel;
    query->limits = dns->limits;
    query->asked = true;
    query->arg = arg;
    LIST_INSERT_HEAD(&dns->queries, query, link);
    return query;
}

struct dns_query *dns_ask(struct dns *dns, enum answer_type type, const char *name, dns_done *done,
                          void *arg)
{
    static const int wire[] = {[ANSWER_MX] = ns_t_mx,
                               [ANSWER_A] = ns_t_a,
                               [ANSWER_AAAA] = ns_t_aaaa,
                               [ANSWER_SRV] = ns_t_srv};
    struct dns_query *query = query_new(dns, dns->budget, arg);

    if (!query)
        return NULL;
    query->done = done;
    query->type = type;
    strncpy(query->name, name, sizeof query->name - 1);
    notice_give(dns->notice, NOTICE_DNS_QUERY, query->name);
    if (dns->held >= MAX_QUERIES) {
        event_active(query->event, EV_TIMEOUT, 0); /* without a result: FAIL */
        return query;
    }
    query_hold(query); /* first: c-ares may call back before ares_query returns */
    ares_query(dns->channel->ares, query->name, ns_c_in, wire[type], query_on_answer, query);
    channel_rearm(dns->channel);
    return query;
}

struct dns_query *dns_ask_host(struct dns *dns, const char *host, dns_host_done *done, void *arg)
{
    struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct dns_query *query = query_new(dns, dns->pace, arg);

    if (!query)
        return NULL;
    query->host_done = done;
    if (net_addr_parse(host, &query->addr[0]))
        query->addr_count = 1;
    if (query->addr_count > 0 || dns->held >= MAX_QUERIES) {
        event_active(query->event, EV_TIMEOUT, 0);
        return query;
    }
    query_hold(query);
    ares_getaddrinfo(dns->channel->ares, host, NULL, &hints, query_on_host, query);
    channel_rearm(dns->channel);
    return query;
}

void dns_cancel(struct dns_query *query)
{
    query_leave(query);
}

/* The whole */

bool dns_set_options(struct dns *dns, const struct dns_options *options)
{
    struct channel *channel = channel_new(dns, options);

    if (!channel)
        return false;
    dns->channel = channel;
    dns->budget = options->budget;
    dns->pace = pace_of(options);
    dns->limits = options->limits;
    dns_on_reap(-1, 0, dns);
    return true;
}

struct dns *dns_new(struct event_base *base, const struct dns_options *options,
                    const struct notice *notice)
{
    struct dns *dns = calloc(1, sizeof *dns);

    if (!dns)
        return NULL;
    /* Counted by c-ares; dns_free takes it back. */
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
        free(dns);
        return NULL;
    }
    dns->base = base;
    dns->notice = notice;
    LIST_INIT(&dns->channels);
    LIST_INIT(&dns->queries);
    dns->reaper = evtimer_new(base, dns_on_reap, dns);
    if (!dns->reaper || !dns_set_options(dns, options)) {
        dns_free(dns);
        return NULL;
    }
    return dns;
}

void dns_free(struct dns *dns)
{
    struct dns_query *query, *next_query;
    struct channel *channel, *next;

    if (!dns)
        return;
    for (query = LIST_FIRST(&dns->queries); query; query = next_query) {
        next_query = LIST_NEXT(query, link);
        query_leave(query);
    }
    /* What c-ares still holds is freed by its last callbacks in here. */
    for (channel = LIST_FIRST(&dns->channels); channel; channel = next) {
        next = LIST_NEXT(channel, link);
        channel_free(channel);
    }
    if (dns->reaper)
        event_free(dns->reaper);
    ares_library_cleanup();
    free(dns);
}
