/*
 * The control conversation: one request a connection, one reply. Here are the frame, the table of
 * commands, who may use them, and those that only look; control_change.c has the others, show_*.c
 * what a result looks like.
 */
#include "policy/control.h"

#include "cache/clock.h"
#include "cache/store.h"
#include "policy/conf.h"
#include "policy/control_ask.h"
#include "policy/engine.h"
#include "policy/etrn.h"
#include "policy/log.h"
#include "policy/order.h"
#include "policy/recipient.h"
#include "policy/show.h"
#include "policy/site.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FRAME_TIMEOUT_MS = 10 * 1000,
    PEERS_MAX = 64,
    SHOW_BUDGET_MS = 3000, /* a person can wait longer than a mail server */
    SMTP_PORT = 25,
};

void control_end(struct control_ask *ask, json_t *result)
{
    static const char failed[] = "{\"status\":\"refused\",\"message\":\"out of memory\"}\n";
    char *text = result ? json_dumps(result, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    struct peer *peer = ask->peer;
    char *line = NULL;
    size_t length = text ? strlen(text) : 0;

    if (peer) {
        peer_set_data(peer, NULL);
        if (text && length < CONTROL_MAX_REPLY)
            line = realloc(text, length + 2);
        if (line) {
            text = line;
            memcpy(line + length, "\n", 2);
            peer_reply(peer, line, length + 1, true);
        } else {
            peer_reply(peer, failed, strlen(failed), true);
        }
    }
    free(text);
    json_decref(result);
    free(ask);
}

void control_fail(struct control_ask *ask, const char *status, const char *format, ...)
{
    va_list args;
    json_t *message;

    va_start(args, format);
    message = json_vsprintf(format, args);
    va_end(args);
    /* What is no UTF-8 cannot be quoted back. */
    if (!message)
        message = json_string("this cannot be understood");
    control_end(ask, json_pack("{s:s, s:o}", "status", status, "message", message));
}

void control_end_written(struct control_ask *ask)
{
    const char *trouble = store_trouble(ask->conversation->store);

    log_info("control: %s", ask->done);
    if (*trouble)
        control_fail(ask, "refused", "%s, but only at this node: Redis: %s", ask->done, trouble);
    else
        control_end(ask, json_pack("{s:s, s:s}", "status", "ok", "message", ask->done));
}

const char *control_text(const json_t *request, const char *name)
{
    return json_string_value(json_object_get(request, name));
}

static void control_ping(struct control_ask *ask, const json_t *request)
{
    const struct conversation *conversation = ask->conversation;
    const struct conf *conf = conversation->conf;

    json_t *reply =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:s}", "status", "ok", "version", MXW_VERSION, "node",
                  conf->node, "config", conf->file, "started", (json_int_t)conversation->started,
                  "mode", conf_mode_name(conf->guard.mode));

    (void)request;
    if (conf->needs_feed)
        json_object_set_new(reply, "feed", json_boolean(site_has_feed(conversation->site)));
    control_end(ask, reply);
}

static void control_hosts(struct control_ask *ask, const json_t *request)
{
    const struct conversation *conversation = ask->conversation;

    (void)request;
    control_end(ask, show_hosts(conversation->conf, conversation->watch, conversation->override));
}

static void on_explained(void *arg, const struct engine_explained *explained)
{
    struct control_ask *ask = arg;

    ask->question = NULL;
    control_end(ask, show_explain(explained));
}

/* The member as an address of a host; says what is wrong otherwise. */
static const char *read_addr(const json_t *request, const char *name, struct net_addr *out)
{
    const char *text = control_text(request, name);

    return text && net_addr_parse(text, out) ? NULL : "is missing, or no IP address";
}

static void control_explain(struct control_ask *ask, const json_t *request)
{
    struct question question = {.stage = QUESTION_RCPT, .listener_port = SMTP_PORT};
    const char *rcpt = control_text(request, "rcpt"), *sender = control_text(request, "sender");
    const char *helo = control_text(request, "helo"), *name = control_text(request, "name");
    const char *wrong;

    if ((wrong = read_addr(request, "client", &question.client)))
        control_fail(ask, "usage", "client %s", wrong);
    else if ((wrong = read_addr(request, "listener", &question.listener)))
        control_fail(ask, "usage", "listener %s", wrong);
    else if (!rcpt || !address_parse(rcpt, &question.recipient) || !question.recipient.domain[0])
        control_fail(ask, "usage", "rcpt is missing, or no mail address");
    else if (sender && !address_parse(sender, &question.sender))
        control_fail(ask, "usage", "sender is no mail address");
    else if (name && !name_normalize(name, strlen(name), question.client_name))
        control_fail(ask, "usage", "name is no host name");
    else if (helo && strlen(helo) >= sizeof question.helo)
        control_fail(ask, "usage", "helo is too long");
    else {
        question.has_recipient = true;
        question.has_sender = sender != NULL;
        if (helo) {
            strcpy(question.helo, helo);
            name_normalize(helo, strlen(helo), question.helo_name);
        }
        ask->question = engine_explain(ask->conversation->engine, &question, on_explained, ask);
        if (!ask->question)
            control_fail(ask, "refused", "mxwardend has no room for this question now");
    }
}

static void on_routed(void *arg, const struct engine_routed_view *view)
{
    struct control_ask *ask = arg;

    ask->question = NULL;
    control_end(ask, show_route(view, ask->conversation->watch));
}

/* Which map is asked about such a key: an address, or "*", is Postfix's, a domain Sendmail's. */
static bool find_map(const char *key, enum route_map *map)
{
    struct address address;
    char domain[NAME_SIZE];

    if (strcmp(key, "*") != 0 && !strchr(key, '@')) {
        *map = ROUTE_MAILERTABLE;
        return name_normalize(key, strlen(key), domain);
    }
    *map = ROUTE_TRANSPORT;
    return strcmp(key, "*") == 0 || (address_parse(key, &address) && address.domain[0] != '\0');
}

static void control_route(struct control_ask *ask, const json_t *request)
{
    const char *text = control_text(request, "address");
    enum route_map map;

    if (!text || !find_map(text, &map)) {
        control_fail(ask, "usage", "address is missing, or neither a mail address nor a domain");
        return;
    }
    ask->question = engine_show_route(ask->conversation->engine, map, text, on_routed, ask);
    if (!ask->question)
        control_fail(ask, "refused", "mxwardend has no room for this question now");
}

static void on_order(void *arg, const struct order *order)
{
    struct control_ask *ask = arg;

    ask->question = NULL;
    control_end(ask, show_mx(ask->domain, order, ask->conversation->site,
                             clock_unix(ask->conversation->clock)));
}

static void control_mx(struct control_ask *ask, const json_t *request)
{
    const char *text = control_text(request, "domain");

    if (!text || !name_normalize(text, strlen(text), ask->domain)) {
        control_fail(ask, "usage", "domain is missing, or no domain name");
        return;
    }
    ask->question =
        engine_show_order(ask->conversation->engine, ask->domain, SHOW_BUDGET_MS, on_order, ask);
    if (!ask->question)
        control_fail(ask, "refused", "mxwardend has no room for this question now");
}

static const struct command {
    const char *name;
    void (*run)(struct control_ask *ask, const json_t *request);
    bool changes;
} commands[] = {
    {"ping", control_ping, false},     {"explain", control_explain, false},
    {"route", control_route, false},   {"mx", control_mx, false},
    {"stats", control_stats, false},   {"hosts", control_hosts, false},
    {"report", control_report, false}, {"drain", control_drain, true},
    {"ready", control_ready, true},    {"weight", control_weight, true},
    {"purge", control_purge, true},    {"seen", control_seen, false},
    {"forget", control_forget, true},  {"allow", control_allow, true},
    {"pause", control_pause, true},    {"resume", control_resume, true},
    {"feed", control_feed, true},      {"top", control_top, false},
    {"flush", control_flush, true},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; name && i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static bool may_change(const struct peer *peer)
{
    uid_t uid;

    return peer_uid(peer, &uid) && (uid == 0 || uid == geteuid());
}

static void run(struct control_ask *ask, const json_t *request)
{
    const char *name = control_text(request, "command");
    const struct command *command = find_command(name);

    if (!json_is_object(request))
        control_fail(ask, "usage", "not one JSON object on one line");
    else if (!command)
        control_fail(ask, "usage", "no such command: %s", name ? name : "(none)");
    else if (command->changes && !may_change(ask->peer))
        control_fail(ask, "refused", "%s is for root, or the user that mxwardend runs as", name);
    else
        command->run(ask, request);
}

static enum listen_input on_input(struct peer *peer, const char *data, size_t length, size_t *used)
{
    const char *end = memchr(data, '\n', length);
    struct control_ask *ask;
    json_t *request;

    if (!end)
        return LISTEN_MORE;
    ask = calloc(1, sizeof *ask);
    if (!ask)
        return LISTEN_BAD;
    ask->peer = peer;
    ask->conversation = peer_arg(peer);
    peer_set_data(peer, ask);
    *used = (size_t)(end - data) + 1;
    request = json_loadb(data, *used, JSON_REJECT_DUPLICATES, NULL);
    run(ask, request);
    json_decref(request);
    return LISTEN_TAKEN;
}

/* A change under way is finished all the same; only nobody hears of it. An ETRN is no change here:
 * who asked for it may have tired of the server. */
static void on_closed(struct peer *peer)
{
    struct control_ask *ask = peer_data(peer);

    if (!ask)
        return;
    if (ask->question || ask->etrn) {
        if (ask->question)
            engine_cancel(ask->question);
        etrn_stop(ask->etrn);
        free(ask);
    } else {
        ask->peer = NULL;
    }
}

void control_handler(struct listen_handler *out, struct conversation *conversation)
{
    *out = (struct listen_handler){
        .name = "control",
        .max_frame = CONTROL_MAX_REQUEST,
        .frame_timeout = FRAME_TIMEOUT_MS,
        .max_peers = PEERS_MAX,
        .input = on_input,
        .closed = on_closed,
        .arg = conversation,
    };
}
