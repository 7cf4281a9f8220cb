/*
 * The conversation with the Sentinels.
 *
 * Its life. IDLE until the retry timer or a question; DIALING while a Sentinel's name is looked up;
 * then one state for each answer that is awaited, in order; LISTENING, when events and the answers to
 * PING come. Any trouble in any state goes on with the next Sentinel.
 */
#include "cache/sentinel.h"

#include "cache/clock.h"
#include "cache/keys.h"
#include "cache/wire.h"

#include <event2/event.h>
#include <utlist.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One Sentinel has ASK_BUDGET for everything. Silent while it listens, it is found out within
 * twice PING_EVERY. */
enum {
    ASK_BUDGET = 300,
    PING_EVERY = 600,
    MAX_SENTINELS = 16,
    DEFAULT_PORT = 26379,
    WHY_SIZE = 200
};

/* The Sentinel that leads a failover says +promoted-slave when there is a new master, and
 * +switch-master a second or two later, when the other replicas follow it. From the first on it names
 * the new one when asked; the one before still takes writes then, which will be lost. */
#define SWITCHED "+switch-master"
#define PROMOTED "+promoted-slave"

enum sentinel_state {
    SENTINEL_IDLE,
    SENTINEL_DIALING,
    SENTINEL_AUTH, /* from here on: the answer that is awaited */
    SENTINEL_MASTER,
    SENTINEL_SUBSCRIBE, /* the first of two */
    SENTINEL_SUBSCRIBE_MORE,
    SENTINEL_LISTENING,
};

struct server {
    char host[NAME_SIZE]; /* an address in brackets, or a name */
    uint16_t port;
    bool wants_password;
    unsigned address; /* of a name's the one that comes next */
};

struct sentinel {
    struct event_base *base;
    struct dns *dns;
    struct dns_query *query; /* under way */
    const struct notice *notice;
    struct server server[MAX_SENTINELS];
    size_t count;
    size_t turn;    /* the server that is asked */
    size_t tries;   /* servers that failed in this round */
    bool exhausted; /* the round is over, without an answer */
    char *name, *user, *password;
    enum sentinel_state state;
    struct wire wire;
    struct event *retry, *deadline, *tell;
    unsigned attempt;             /* rounds without an answer */
    bool pinged;                  /* and not answered yet */
    struct sentinel_master heard; /* in this conversation, not confirmed yet */
    struct sentinel_master master;
    unsigned generation; /* of the answer; 0 none yet */
    struct sentinel_asker *askers;
    bool told_down;
};

static void begin(struct sentinel *sentinel);

static void arm(struct event *event, int64_t delay)
{
    struct timeval tv = {.tv_sec = delay / 1000, .tv_usec = (delay % 1000) * 1000};

    event_add(event, &tv);
}

static void hang_up(struct sentinel *sentinel)
{
    if (sentinel->query)
        dns_cancel(sentinel->query);
    sentinel->query = NULL;
    wire_close(&sentinel->wire);
    event_del(sentinel->deadline);
    sentinel->state = SENTINEL_IDLE;
}

/* Those who wait now; a hook may ask again, which is for later. */
static void tell_found(struct sentinel *sentinel, const struct sentinel_master *master)
{
    struct sentinel_asker *asker, *next;

    DL_FOREACH(sentinel->askers, asker)
    asker->due = asker->waiting;
    DL_FOREACH_SAFE(sentinel->askers, asker, next)
    {
        if (!asker->due)
            continue;
        asker->due = asker->waiting = false;
        asker->seen = sentinel->generation;
        asker->found(asker->arg, master);
    }
}

static void tell_moved(struct sentinel *sentinel)
{
    struct sentinel_asker *asker, *next;

    DL_FOREACH_SAFE(sentinel->askers, asker, next)
    {
        if (!asker->waiting)
            asker->moved(asker->arg, &sentinel->master);
    }
}

static void on_tell(evutil_socket_t fd, short what, void *arg)
{
    struct sentinel *sentinel = arg;

    (void)fd, (void)what;
    if (sentinel->state == SENTINEL_LISTENING)
        tell_found(sentinel, &sentinel->master);
    else if (sentinel->exhausted)
        tell_found(sentinel, NULL);
}

static void note(const struct sentinel *sentinel, enum notice_kind kind, const char *words)
{
    const struct server *server = &sentinel->server[sentinel->turn];
    char text[NAME_SIZE + WHY_SIZE];

    snprintf(text, sizeof(text), "%s:%u: %s", server->host, server->port, words);
    notice_give(sentinel->notice, kind, text);
}

/* After the last of a round everybody hears that nothing is known, and there is a pause. */
static void fail(struct sentinel *sentinel, const char *why)
{
    char words[WHY_SIZE];

    snprintf(words, sizeof(words), "%s", why);
    hang_up(sentinel);
    if (!sentinel->told_down && sentinel->tries + 1 >= sentinel->count) {
        note(sentinel, NOTICE_SENTINEL_DOWN, words);
        sentinel->told_down = true;
    }
    sentinel->turn = (sentinel->turn + 1) % sentinel->count;
    if (++sentinel->tries < sentinel->count) {
        arm(sentinel->retry, 0);
        return;
    }
    sentinel->tries = 0;
    sentinel->exhausted = true;
    arm(sentinel->retry, dial_backoff(++sentinel->attempt, dial_random()));
    event_active(sentinel->tell, EV_TIMEOUT, 0);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    begin(arg);
}

/* False where the words name no host and port. */
static bool set_master(struct sentinel_master *master, const char *host, const char *port)
{
    char text[NAME_SIZE + 16];
    struct net_addr addr;
    char bracketed[NET_TEXT];
    const char *end = port + strspn(port, "0123456789");

    *master = (struct sentinel_master){.port = 0};
    if (*end || strlen(port) > 5 || strlen(host) >= NAME_SIZE)
        return false;
    if (net_addr_parse(host, &addr))
        host = net_addr_format(&addr, bracketed);
    snprintf(text, sizeof(text), "%s:%s", host, port);
    if (keys_parse_host(text, 1, master->host, &master->port))
        return true;
    *master = (struct sentinel_master){.port = 0};
    return false;
}

static bool same_master(const struct sentinel_master *a, const struct sentinel_master *b)
{
    return a->port == b->port && !strcmp(a->host, b->host);
}

static void learn(struct sentinel *sentinel, const struct sentinel_master *master)
{
    bool moved = sentinel->generation && !same_master(master, &sentinel->master);
    char words[NAME_SIZE + 32];

    sentinel->master = *master;
    if (!++sentinel->generation)
        sentinel->generation = 1;
    if (moved) {
        snprintf(words, sizeof(words), "%s is at %s:%u now", sentinel->name, master->host,
                 master->port);
        note(sentinel, NOTICE_SENTINEL_SWITCH, words);
        tell_moved(sentinel);
    }
}

static void go_listening(struct sentinel *sentinel)
{
    char words[NAME_SIZE + 32];

    sentinel->state = SENTINEL_LISTENING;
    sentinel->pinged = false;
    arm(sentinel->deadline, PING_EVERY);
    if (sentinel->told_down || !sentinel->generation) {
        snprintf(words, sizeof(words), "%s is at %s:%u", sentinel->name, sentinel->heard.host,
                 sentinel->heard.port);
        note(sentinel, NOTICE_SENTINEL_UP, words);
    }
    sentinel->told_down = false;
    learn(sentinel, &sentinel->heard);
    event_active(sentinel->tell, EV_TIMEOUT, 0);
}

static bool say_all(struct sentinel *sentinel)
{
    const char *const ask[] = {"SENTINEL", "get-master-addr-by-name", sentinel->name};
    const char *const subscribe[] = {"SUBSCRIBE", SWITCHED, PROMOTED};
    const char *auth[] = {"AUTH", sentinel->user, sentinel->password};
    bool said = true;

    sentinel->state = SENTINEL_MASTER;
    if (sentinel->server[sentinel->turn].wants_password) {
        sentinel->state = SENTINEL_AUTH;
        if (!*sentinel->user)
            auth[1] = sentinel->password;
        said = wire_say(&sentinel->wire, auth, *sentinel->user ? 3 : 2);
    }
    return said && wire_say(&sentinel->wire, ask, 3) && wire_say(&sentinel->wire, subscribe, 3);
}

static void on_connected(void *arg)
{
    struct sentinel *sentinel = arg;

    if (!say_all(sentinel))
        fail(sentinel, "out of memory");
}

static void on_gone(void *arg, const char *why)
{
    fail(arg, why);
}

/* True when the same Sentinel is to be asked once more, now with the password. */
static bool try_password(struct sentinel *sentinel, const redisReply *reply)
{
    struct server *server = &sentinel->server[sentinel->turn];

    if (server->wants_password || !*sentinel->password ||
        (!reply_is_error(reply, "NOAUTH") && !reply_is_error(reply, "NOPERM")))
        return false;
    server->wants_password = true;
    hang_up(sentinel);
    arm(sentinel->retry, 0);
    return true;
}

static const char *words_of(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR ? reply->str : "unexpected answer";
}

/* One that refuses the password may have needed none since: in its next turn it is asked without. */
static void hear_auth(struct sentinel *sentinel, const redisReply *reply)
{
    if (reply_is_word(reply, "OK")) {
        sentinel->state = SENTINEL_MASTER;
        return;
    }
    sentinel->server[sentinel->turn].wants_password = false;
    fail(sentinel, words_of(reply));
}

static void hear_master(struct sentinel *sentinel, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_NIL) {
        fail(sentinel, "knows no master of that name");
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
               reply_is_text(reply->element[0]) && reply_is_text(reply->element[1]) &&
               set_master(&sentinel->heard, reply->element[0]->str, reply->element[1]->str)) {
        sentinel->state = SENTINEL_SUBSCRIBE;
    } else if (!try_password(sentinel, reply)) {
        fail(sentinel, words_of(reply));
    }
}

static bool is_subscribed(const redisReply *reply, const char *channel)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
           reply_is_word(reply->element[0], "subscribe") &&
           reply_is_word(reply->element[1], channel) &&
           reply->element[2]->type == REDIS_REPLY_INTEGER;
}

bool sentinel_parse_switch(const char *text, const char *name, struct sentinel_master *master)
{
    char copy[1024], *rest = copy, *word[5] = {NULL};
    size_t count = 0;

    *master = (struct sentinel_master){.port = 0};
    if (strlen(text) >= sizeof(copy))
        return false;
    strcpy(copy, text);
    for (char *one; (one = strsep(&rest, " ")); count++) {
        if (count < 5)
            word[count] = one;
    }
    return count == 5 && !strcmp(word[0], name) && set_master(master, word[3], word[4]);
}

bool sentinel_is_promotion(const char *text, const char *name)
{
    const char *at = strstr(text, " @ ");
    size_t length = strlen(name);

    return at && !strncmp(at + 3, name, length) && at[3 + length] == ' ';
}

/* It is asked once more, on a new connection: a subscriber may ask nothing. */
static void ask_anew(struct sentinel *sentinel)
{
    hang_up(sentinel);
    sentinel->tries = 0;
    arm(sentinel->retry, 0);
}

/* What is said of another master is no business of ours; whatever is neither an event nor the answer
 * to a PING ends the conversation. */
static bool hear_message(struct sentinel *sentinel, const redisReply *reply)
{
    struct sentinel_master master;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2 ||
        !reply_is_text(reply->element[0]) || !reply_is_text(reply->element[1]))
        return false;
    if (reply->elements == 2 && reply_is_word(reply->element[0], "pong")) {
        sentinel->pinged = false;
        /* Only now: one that answers and leaves at once would be asked without a pause. */
        sentinel->tries = 0;
        sentinel->attempt = 0;
        return true;
    }
    if (reply->elements != 3 || !reply_is_word(reply->element[0], "message") ||
        !reply_is_text(reply->element[2]))
        return false;
    if (reply_is_word(reply->element[1], SWITCHED)) {
        if (sentinel_parse_switch(reply->element[2]->str, sentinel->name, &master))
            learn(sentinel, &master);
        return true;
    }
    if (!reply_is_word(reply->element[1], PROMOTED))
        return false;
    if (sentinel_is_promotion(reply->element[2]->str, sentinel->name))
        ask_anew(sentinel);
    return true;
}

static void on_reply(void *arg, const redisReply *reply)
{
    struct sentinel *sentinel = arg;

    switch (sentinel->state) {
    case SENTINEL_AUTH: hear_auth(sentinel, reply); return;
    case SENTINEL_MASTER: hear_master(sentinel, reply); return;
    case SENTINEL_SUBSCRIBE:
        if (is_subscribed(reply, SWITCHED))
            sentinel->state = SENTINEL_SUBSCRIBE_MORE;
        else if (!try_password(sentinel, reply))
            fail(sentinel, words_of(reply));
        return;
    case SENTINEL_SUBSCRIBE_MORE:
        if (is_subscribed(reply, PROMOTED))
            go_listening(sentinel);
        else if (!try_password(sentinel, reply))
            fail(sentinel, words_of(reply));
        return;
    case SENTINEL_LISTENING:
        if (!hear_message(sentinel, reply))
            fail(sentinel, words_of(reply));
        return;
    case SENTINEL_IDLE:
    case SENTINEL_DIALING: return;
    }
}

static const struct wire_hooks hooks = {
    .connected = on_connected, .reply = on_reply, .gone = on_gone};

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    struct sentinel *sentinel = arg;
    const char *const ping[] = {"PING"};

    (void)fd, (void)what;
    if (sentinel->state != SENTINEL_LISTENING || sentinel->pinged) {
        fail(sentinel, "no answer in time");
        return;
    }
    sentinel->pinged = true;
    arm(sentinel->deadline, PING_EVERY);
    if (!wire_say(&sentinel->wire, ping, 1))
        fail(sentinel, "out of memory");
}

static void connect_to(struct sentinel *sentinel, const struct net_addr *addr)
{
    struct dial_target target = {.addr = *addr, .port = sentinel->server[sentinel->turn].port};
    const char *why;

    arm(sentinel->deadline, ASK_BUDGET);
    if (!wire_open(&sentinel->wire, sentinel->base, &target, &hooks, sentinel, &why))
        fail(sentinel, why);
}

static void on_host(void *arg, const struct net_addr *addr, size_t count)
{
    struct sentinel *sentinel = arg;

    sentinel->query = NULL;
    if (count)
        connect_to(sentinel, &addr[sentinel->server[sentinel->turn].address++ % count]);
    else
        fail(sentinel, "host name has no address");
}

static void begin(struct sentinel *sentinel)
{
    const struct server *server = &sentinel->server[sentinel->turn];
    struct net_addr addr;

    hang_up(sentinel);
    event_del(sentinel->retry);
    sentinel->state = SENTINEL_DIALING;
    sentinel->exhausted = false;
    if (net_addr_parse(server->host, &addr)) {
        connect_to(sentinel, &addr);
        return;
    }
    sentinel->query = dns_ask_host(sentinel->dns, server->host, on_host, sentinel);
    if (!sentinel->query)
        fail(sentinel, "out of memory");
}

void sentinel_join(struct sentinel *sentinel, struct sentinel_asker *asker)
{
    asker->sentinel = sentinel;
    asker->waiting = false;
    asker->seen = 0;
    DL_APPEND(sentinel->askers, asker);
}

void sentinel_leave(struct sentinel_asker *asker)
{
    if (asker->sentinel)
        DL_DELETE(asker->sentinel->askers, asker);
    asker->sentinel = NULL;
}

/* An answer that the asker has not tried yet is as good as any. What is under way will tell this one
 * too; else a round begins, after an answer with the next Sentinel. */
void sentinel_ask(struct sentinel_asker *asker)
{
    struct sentinel *sentinel = asker->sentinel;

    asker->waiting = true;
    if (sentinel->state == SENTINEL_LISTENING && asker->seen != sentinel->generation) {
        event_active(sentinel->tell, EV_TIMEOUT, 0);
        return;
    }
    if (sentinel->state == SENTINEL_LISTENING) {
        sentinel->turn = (sentinel->turn + 1) % sentinel->count;
        hang_up(sentinel);
    }
    if (sentinel->state == SENTINEL_IDLE) {
        sentinel->exhausted = false;
        arm(sentinel->retry, 0);
    }
}

void sentinel_cancel(struct sentinel_asker *asker)
{
    asker->waiting = false;
}

static bool parse_list(struct sentinel *sentinel, const char *text)
{
    char *list = strdup(text), *rest = list, *one, *slash = list ? strchr(list, '/') : NULL;
    bool good = slash != NULL;

    if (slash) {
        *slash = '\0';
        sentinel->name = strdup(slash + 1);
    }
    while (good && (one = strsep(&rest, ","))) {
        struct server *server = &sentinel->server[sentinel->count];

        good = sentinel->count++ < MAX_SENTINELS &&
               keys_parse_host(one, DEFAULT_PORT, server->host, &server->port);
    }
    free(list);
    return good && sentinel->name;
}

struct sentinel *sentinel_new(struct event_base *base, const struct sentinel_options *options,
                              struct dns *dns, const struct notice *notice)
{
    struct sentinel *sentinel = calloc(1, sizeof(*sentinel));

    if (!sentinel)
        return NULL;
    sentinel->base = base;
    sentinel->dns = dns;
    sentinel->notice = notice;
    sentinel->user = strdup(options->user);
    sentinel->password = strdup(options->password);
    sentinel->retry = evtimer_new(base, on_retry, sentinel);
    sentinel->deadline = evtimer_new(base, on_deadline, sentinel);
    sentinel->tell = evtimer_new(base, on_tell, sentinel);
    if (!parse_list(sentinel, options->list) || !sentinel->user || !sentinel->password ||
        !sentinel->retry || !sentinel->deadline || !sentinel->tell) {
        sentinel_free(sentinel);
        return NULL;
    }
    arm(sentinel->retry, 0);
    return sentinel;
}

static void free_event(struct event *event)
{
    if (event)
        event_free(event);
}

void sentinel_free(struct sentinel *sentinel)
{
    if (!sentinel)
        return;
    if (sentinel->query)
        dns_cancel(sentinel->query);
    wire_close(&sentinel->wire);
    free_event(sentinel->retry);
    free_event(sentinel->deadline);
    free_event(sentinel->tell);
    if (sentinel->password)
        explicit_bzero(sentinel->password, strlen(sentinel->password));
    free(sentinel->name);
    free(sentinel->user);
    free(sentinel->password);
    free(sentinel);
}
