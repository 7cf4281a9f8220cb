/*
 * The rules. Every service of master.cf is looked at with the parameters that count for it, since
 * a service may override them and may be chrooted; equal findings are said once.
 */
#include "policy/mtacheck.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    VALUE_SIZE = 16 * 1024, /* of a parameter */
    WORD_SIZE = 1024,
    SLOW_SECONDS = 10, /* more than this and a hung daemon is felt by every session */
};

enum kind { KIND_POLICY, KIND_MILTER, KIND_MAP, KINDS };

static const char *const kind_names[KINDS] = {"policy", "milter", "socketmap"};

/* One place where Postfix is told to ask somebody. */
struct reference {
    enum kind kind;
    const char *parameter;
    const struct postconf_service *service;
    char endpoint[WORD_SIZE]; /* "unix:/path", "inet:host:port" */
    char options[WORD_SIZE];  /* "timeout=3s, default_action=DUNNO", "" for none */
    char map[64];             /* the map's name */
};

struct checking {
    const struct mtacheck_world *world;
    struct mtacheck *findings;
    unsigned found[KINDS];
};

static bool is_known(const struct mtacheck *findings, const char *what)
{
    for (size_t i = 0; i < findings->count; i++)
        if (strcmp(findings->item[i].what, what) == 0)
            return true;
    return false;
}

void mtacheck_add(struct mtacheck *findings, enum mtacheck_level level, const char *mend,
                  const char *format, ...)
{
    struct mtacheck_finding *item, finding = {.level = level, .mend = strdup(mend)};
    va_list args;
    int made;

    va_start(args, format);
    made = vasprintf(&finding.what, format, args);
    va_end(args);
    if (made < 0)
        finding.what = NULL;
    if (finding.what && finding.mend && !is_known(findings, finding.what)) {
        item = realloc(findings->item, (findings->count + 1) * sizeof *item);
        if (item) {
            findings->item = item;
            findings->item[findings->count++] = finding;
            return;
        }
    }
    free(finding.what);
    free(finding.mend);
}

void mtacheck_clear(struct mtacheck *findings)
{
    for (size_t i = 0; i < findings->count; i++) {
        free(findings->item[i].what);
        free(findings->item[i].mend);
    }
    free(findings->item);
    memset(findings, 0, sizeof *findings);
}

bool mtacheck_has_errors(const struct mtacheck *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        if (findings->item[i].level == MTACHECK_ERROR)
            return true;
    return false;
}

const char *mtacheck_level_name(enum mtacheck_level level)
{
    switch (level) {
    case MTACHECK_OK: return "ok";
    case MTACHECK_WARNING: return "warning";
    case MTACHECK_ERROR: break;
    }
    return "error";
}

static const struct net_addr loopback[] = {{NET_IPV4, {127, 0, 0, 1}}, {NET_IPV6, {[15] = 1}}};

/* Whether a socket that listens at one address is reached at another; one of all addresses has its
 * family's loopback. What else this host has is not known here. */
static bool address_takes(const struct net_addr *listens, const struct net_addr *addr)
{
    const struct net_addr all = {.family = listens->family};

    if (net_addr_equal(listens, addr))
        return true;
    return net_addr_equal(listens, &all) &&
           (net_addr_equal(addr, &loopback[0]) || net_addr_equal(addr, &loopback[1])) &&
           addr->family == listens->family;
}

/* Whether "host:port" leads to a network socket. "localhost", which Postfix also takes for no host at
 * all, is either loopback. */
static bool socket_takes(const struct conf_socket *socket, const char *network)
{
    const char *colon = strrchr(network, ':'), *port = colon ? colon + 1 : network;
    char host[WORD_SIZE] = "", *end;
    unsigned long number = strtoul(port, &end, 10);
    struct net_addr addr;

    if (end == port || *end || number != socket->port)
        return false;
    if (colon)
        snprintf(host, sizeof host, "%.*s", (int)(colon - network), network);
    if (!*host || strcasecmp(host, "localhost") == 0)
        return address_takes(&socket->addr, &loopback[0]) ||
               address_takes(&socket->addr, &loopback[1]);
    return net_addr_parse(host, &addr) && address_takes(&socket->addr, &addr);
}

/* Where mxwarden listens, by kind. */
static void sockets_of(const struct conf *conf, struct conf_sockets out[KINDS])
{
    out[KIND_POLICY] = conf->listen.policy;
    out[KIND_MILTER] = (struct conf_sockets){1, (struct conf_socket *)&conf->listen.milter};
    out[KIND_MAP] = conf->listen.socketmap;
}

/* The kind whose socket has this path or address; KINDS where none has. */
static enum kind find_socket(const struct conf *conf, const char *path, const char *network)
{
    struct conf_sockets of[KINDS];

    sockets_of(conf, of);
    for (enum kind kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; i < of[kind].count; i++) {
            const struct conf_socket *item = &of[kind].item[i];
            if (item->path ? path && strcmp(path, item->path) == 0
                           : network && socket_takes(item, network))
                return kind;
        }
    return KINDS;
}

/* The path of a unix endpoint as written, else NULL. */
static const char *endpoint_path(const char *endpoint)
{
    if (strncmp(endpoint, "unix:", 5) == 0)
        return endpoint + 5;
    return strncmp(endpoint, "local:", 6) == 0 ? endpoint + 6 : NULL;
}

static void queue_directory(const struct postconf_text *postconf, char *out, size_t size)
{
    if (!postconf_get(postconf, NULL, "queue_directory", out, size))
        snprintf(out, size, "/var/spool/postfix");
}

/* Where that path is for the service: its root is the queue directory when it is chrooted, and a
 * relative path is always below that. */
static void real_path(const struct checking *checking, const struct postconf_service *service,
                      const char *path, char *out, size_t size)
{
    const struct postconf_text *postconf = &checking->world->postconf;
    char queue[WORD_SIZE];

    if (*path == '/' && !postconf_is_chrooted(postconf, service)) {
        snprintf(out, size, "%s", path);
        return;
    }
    queue_directory(postconf, queue, sizeof queue);
    snprintf(out, size, "%s/%s", queue, *path == '/' ? path + 1 : path);
}

/* The listening socket of that kind that a chrooted service could reach, as it would name it; NULL
 * where there is none. */
static const char *path_in_jail(const struct checking *checking, enum kind kind)
{
    const struct conf *conf = checking->world->conf;
    struct conf_sockets of[KINDS];
    char queue[WORD_SIZE];
    size_t length;

    sockets_of(conf, of);
    queue_directory(&checking->world->postconf, queue, sizeof queue);
    length = strlen(queue);
    for (size_t i = 0; i < of[kind].count; i++) {
        const char *path = of[kind].item[i].path;
        if (path && strncmp(path, queue, length) == 0 && path[length] == '/')
            return path + length + 1;
    }
    return NULL;
}

/* What to do about a socket that is not there: real is where the service looks for it. */
static void mend_absent(const struct checking *checking, const struct reference *reference,
                        const char *real, char *out, size_t size)
{
    const char *jailed = path_in_jail(checking, reference->kind);

    if (!postconf_is_chrooted(&checking->world->postconf, reference->service) ||
        find_socket(checking->world->conf, real, NULL) != KINDS)
        snprintf(out, size, "start mxwardend and mxwarden-milter, or correct the path");
    else if (jailed)
        snprintf(out, size, "the service is chrooted: name it unix:%s", jailed);
    else
        snprintf(out, size,
                 "the service is chrooted: let listen.%s have \"unix:%s\", or set its chroot "
                 "column in master.cf to n",
                 kind_names[reference->kind], real);
}

static void say_reach(struct checking *checking, const struct reference *reference,
                      const char *real, enum mtacheck_reach reach)
{
    const char *mend = "", *what = "answers";
    enum mtacheck_level level = MTACHECK_ERROR;
    char add[3 * WORD_SIZE];

    switch (reach) {
    case MTACHECK_REACHED: level = MTACHECK_OK; break;
    case MTACHECK_ABSENT:
        what = "does not exist";
        mend_absent(checking, reference, real, add, sizeof add);
        mend = add;
        break;
    case MTACHECK_NO_SOCKET:
        what = "is no socket";
        mend = "remove what is there and start the daemon again";
        break;
    case MTACHECK_FORBIDDEN:
        what = "cannot be opened by user postfix";
        mend = "set listen.group and listen.mode, and let the group pass every folder above";
        break;
    case MTACHECK_SILENT:
        what = "exists, but nobody answers there";
        mend = reference->kind == KIND_MILTER ? "start mxwarden-milter" : "start mxwardend";
        break;
    case MTACHECK_UNKNOWN:
        level = MTACHECK_WARNING;
        what = "cannot be looked at by this user";
        mend = "run mxwarden check as root";
        break;
    }
    mtacheck_add(checking->findings, level, mend, "%s: %s %s", reference->parameter, real, what);
}

/* Whether the reference is to mxwarden: by one of its sockets, or by its name in the path, which
 * finds those that miss the socket. */
static bool is_ours(struct checking *checking, const struct reference *reference, char *real,
                    size_t size)
{
    const struct conf *conf = checking->world->conf;
    const char *path = endpoint_path(reference->endpoint);
    const char *inet =
        strncmp(reference->endpoint, "inet:", 5) == 0 ? reference->endpoint + 5 : NULL;

    real[0] = '\0';
    if (!path)
        return inet && find_socket(conf, NULL, inet) != KINDS;
    real_path(checking, reference->service, path, real, size);
    return find_socket(conf, real, NULL) != KINDS || find_socket(conf, path, NULL) != KINDS ||
           strstr(path, "mxwarden");
}

/* The value of "name=" among the options in braces, else of the parameter. */
static void option_get(const struct checking *checking, const struct reference *reference,
                       const char *name, const char *parameter, char *out, size_t size)
{
    const char *at = reference->options;
    struct postconf_word word;
    size_t length = strlen(name);

    while (postconf_next_word(&at, &word))
        if (word.length > length && strncmp(word.text, name, length) == 0 &&
            word.text[length] == '=') {
            snprintf(out, size, "%.*s", (int)(word.length - length - 1), word.text + length + 1);
            return;
        }
    postconf_get(&checking->world->postconf, reference->service, parameter, out, size);
}

/* A daemon that is away or hangs must not cost mail. */
static void check_failure(struct checking *checking, const struct reference *reference)
{
    static const struct {
        const char *action, *parameter, *timeout, *timeout_parameter, *mend;
    } wanted[] = {
        [KIND_POLICY] = {"DUNNO", "smtpd_policy_service_default_action", "timeout",
                         "smtpd_policy_service_timeout",
                         "check_policy_service { ENDPOINT, timeout=3s, try_limit=2, "
                         "retry_delay=1s, default_action=DUNNO }"},
        [KIND_MILTER] = {"accept", "milter_default_action", "command_timeout",
                         "milter_command_timeout",
                         "{ ENDPOINT, connect_timeout=3s, command_timeout=6s, "
                         "content_timeout=10s, default_action=accept }"},
    };
    char action[WORD_SIZE], timeout[WORD_SIZE];
    long seconds;

    if (reference->kind == KIND_MAP)
        return;
    option_get(checking, reference, "default_action", wanted[reference->kind].parameter, action,
               sizeof action);
    if (strcasecmp(action, wanted[reference->kind].action) != 0)
        mtacheck_add(checking->findings, MTACHECK_WARNING, wanted[reference->kind].mend,
                     "%s: without an answer from mxwarden mail is treated by \"%s\"",
                     reference->parameter, action);
    option_get(checking, reference, wanted[reference->kind].timeout,
               wanted[reference->kind].timeout_parameter, timeout, sizeof timeout);
    seconds = postconf_seconds(timeout);
    if (seconds < 0 || seconds > SLOW_SECONDS)
        mtacheck_add(checking->findings, MTACHECK_WARNING, wanted[reference->kind].mend,
                     "%s: Postfix waits %s for an answer", reference->parameter, timeout);
}

/* Judges one reference, if it is to mxwarden. */
static bool check_reference(struct checking *checking, const struct reference *reference)
{
    char real[2 * WORD_SIZE];
    enum kind kind;

    if (!is_ours(checking, reference, real, sizeof real))
        return false;
    checking->found[reference->kind]++;
    kind = find_socket(checking->world->conf, real[0] ? real : NULL,
                       real[0] ? NULL : reference->endpoint + 5);
    if (kind != KINDS && kind != reference->kind)
        mtacheck_add(checking->findings, MTACHECK_ERROR, "use the socket of the right kind",
                     "%s: %s is mxwarden's %s socket, not its %s socket", reference->parameter,
                     reference->endpoint, kind_names[kind], kind_names[reference->kind]);
    else if (real[0])
        say_reach(checking, reference, real, checking->world->reach(checking->world->arg, real));
    else
        mtacheck_add(checking->findings, MTACHECK_OK, "", "%s: %s", reference->parameter,
                     reference->endpoint);
    check_failure(checking, reference);
    return true;
}

/* A reference from "ENDPOINT" or "{ ENDPOINT, option, ... }". */
static void reference_set(struct reference *reference, const struct postconf_word *word)
{
    char text[WORD_SIZE];
    const char *at = text;
    struct postconf_word endpoint;

    postconf_word_copy(word, text, sizeof text);
    reference->endpoint[0] = reference->options[0] = '\0';
    if (postconf_next_word(&at, &endpoint))
        postconf_word_copy(&endpoint, reference->endpoint, sizeof reference->endpoint);
    snprintf(reference->options, sizeof reference->options, "%s", at);
}

static void check_milters(struct checking *checking, const struct postconf_service *service,
                          const char *parameter)
{
    struct reference reference = {KIND_MILTER, parameter, service, "", "", ""};
    char value[VALUE_SIZE];
    const char *at = value;
    struct postconf_word word;

    postconf_get(&checking->world->postconf, service, parameter, value, sizeof value);
    while (postconf_next_word(&at, &word)) {
        reference_set(&reference, &word);
        check_reference(checking, &reference);
    }
}

static bool has_relay_rule(const struct checking *checking, const struct postconf_service *service)
{
    char value[VALUE_SIZE];

    postconf_get(&checking->world->postconf, service, "smtpd_relay_restrictions", value,
                 sizeof value);
    return strstr(value, "_unauth_destination") != NULL;
}

/* What may go wrong with the place of a policy service among other restrictions. */
static void check_place(struct checking *checking, const struct reference *reference,
                        bool after_relay_rule)
{
    bool is_early = strcmp(reference->parameter, "smtpd_relay_restrictions") != 0 &&
                    strcmp(reference->parameter, "smtpd_data_restrictions") != 0;
    char delay[16] = "";

    if (strstr(reference->options, "policy_context=evidence"))
        return;
    if (strcmp(reference->parameter, "smtpd_recipient_restrictions") == 0) {
        if (!after_relay_rule && !has_relay_rule(checking, reference->service))
            mtacheck_add(checking->findings, MTACHECK_WARNING,
                         "place check_policy_service after reject_unauth_destination",
                         "%s: mxwarden is asked about recipients that are not yours",
                         reference->parameter);
        return;
    }
    postconf_get(&checking->world->postconf, reference->service, "smtpd_delay_reject", delay,
                 sizeof delay);
    if (is_early && strcmp(delay, "no") == 0)
        mtacheck_add(checking->findings, MTACHECK_WARNING,
                     "place check_policy_service in smtpd_recipient_restrictions",
                     "%s: with smtpd_delay_reject = no mxwarden is asked there before it can know "
                     "the recipient",
                     reference->parameter);
}

static void check_restrictions(struct checking *checking, const struct postconf_service *service,
                               const char *parameter)
{
    struct reference reference = {KIND_POLICY, parameter, service, "", "", ""};
    char value[VALUE_SIZE];
    const char *at = value;
    struct postconf_word word;
    bool after_relay_rule = false;

    postconf_get(&checking->world->postconf, service, parameter, value, sizeof value);
    while (postconf_next_word(&at, &word)) {
        if (postconf_word_is(&word, "reject_unauth_destination") ||
            postconf_word_is(&word, "defer_unauth_destination"))
            after_relay_rule = true;
        if (!postconf_word_is(&word, "check_policy_service") || !postconf_next_word(&at, &word))
            continue;
        reference_set(&reference, &word);
        if (check_reference(checking, &reference))
            check_place(checking, &reference, after_relay_rule);
    }
}

/* Tables that answer for patterns, or for everything: what stands behind them may never be asked. */
static bool is_greedy(const struct postconf_word *word)
{
    static const char *const types[] = {"regexp:", "pcre:", "static:", "tcp:", "socketmap:"};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strncmp(word->text, types[i], strlen(types[i])) == 0)
            return true;
    return false;
}

/* "socketmap:ENDPOINT:NAME", perhaps behind "proxy:". */
static bool reference_set_map(struct reference *reference, const struct postconf_word *word)
{
    char text[WORD_SIZE], *map = text, *colon;

    postconf_word_copy(word, text, sizeof text);
    if (strncmp(map, "proxy:", 6) == 0)
        map += 6;
    if (strncmp(map, "socketmap:", 10) != 0)
        return false;
    map += 10;
    colon = strrchr(map, ':');
    if (!colon)
        return false;
    *colon = '\0';
    snprintf(reference->endpoint, sizeof reference->endpoint, "%s", map);
    snprintf(reference->map, sizeof reference->map, "%s", colon + 1);
    return true;
}

/* The service that opens the socket: behind "proxy:" that is proxymap(8). */
static const struct postconf_service *opener(const struct checking *checking,
                                             const struct postconf_word *word,
                                             const struct postconf_service *service,
                                             struct postconf_service *proxymap)
{
    const char *at = checking->world->postconf.services;

    if (word->length < 6 || strncmp(word->text, "proxy:", 6) != 0)
        return service;
    while (postconf_next_service(&at, proxymap))
        if (postconf_word_is(&proxymap->name, "proxymap"))
            return proxymap;
    return service;
}

static void check_maps(struct checking *checking, const struct postconf_service *service,
                       const char *parameter, const char *map)
{
    struct reference reference = {KIND_MAP, parameter, service, "", "", ""};
    struct postconf_service proxymap;
    char value[VALUE_SIZE], greedy[WORD_SIZE] = "";
    const char *at = value;
    struct postconf_word word;

    postconf_get(&checking->world->postconf, service, parameter, value, sizeof value);
    while (postconf_next_word(&at, &word)) {
        reference.service = opener(checking, &word, service, &proxymap);
        if (!reference_set_map(&reference, &word) || !check_reference(checking, &reference)) {
            if (is_greedy(&word) && !greedy[0])
                postconf_word_copy(&word, greedy, sizeof greedy);
            continue;
        }
        if (strcmp(reference.map, map) != 0)
            mtacheck_add(checking->findings, MTACHECK_ERROR, "correct the name after the last ':'",
                         "%s: mxwarden's map for it is called '%s', not '%s'", parameter, map,
                         reference.map);
        /* Where tables can be asked, mtacheck_route.c knows better. */
        if (greedy[0] && !checking->world->lookup)
            mtacheck_add(checking->findings, MTACHECK_WARNING,
                         "put it behind mxwarden's map, unless it holds exceptions only",
                         "%s: %s stands first and may answer for every address", parameter, greedy);
    }
}

static void check_service(struct checking *checking, const struct postconf_service *service)
{
    static const char *const restrictions[] = {
        "smtpd_client_restrictions", "smtpd_helo_restrictions",      "smtpd_sender_restrictions",
        "smtpd_relay_restrictions",  "smtpd_recipient_restrictions", "smtpd_data_restrictions",
    };

    if (postconf_word_is(&service->command, "smtpd")) {
        check_milters(checking, service, "smtpd_milters");
        for (size_t i = 0; i < sizeof restrictions / sizeof restrictions[0]; i++)
            check_restrictions(checking, service, restrictions[i]);
    } else if (postconf_word_is(&service->command, "cleanup")) {
        check_milters(checking, service, "non_smtpd_milters");
    } else if (postconf_word_is(&service->command, "trivial-rewrite")) {
        check_maps(checking, service, "transport_maps", "transport");
    } else if (postconf_word_is(&service->command, "smtp")) {
        check_maps(checking, service, "smtp_dns_reply_filter", "dnsfilter");
    } else if (postconf_word_is(&service->command, "postscreen") &&
               !checking->world->conf->needs_feed) {
        mtacheck_add(checking->findings, MTACHECK_WARNING,
                     "set needs_feed = true, run mxwarden feed, and permit the other MX hosts in "
                     "postscreen_access_list",
                     "postscreen turns clients away before mxwarden hears of them, and other hosts "
                     "count that as not having come");
    }
}

static bool has_guard(const struct conf *conf)
{
    for (size_t i = 0; i < conf->domain_count; i++)
        if (conf->domain[i].guard.mode != CONF_MODE_OFF)
            return true;
    return false;
}

static bool has_routes(const struct conf *conf)
{
    for (size_t i = 0; i < conf->domain_count; i++)
        if (conf->domain[i].routing.route != CONF_ROUTE_OFF)
            return true;
    return conf->match_count > 0;
}

/* What is configured here and asked for by nobody, and what this Postfix is too old for. */
static void check_whole(struct checking *checking)
{
    const struct conf *conf = checking->world->conf;
    char version[64];
    unsigned number = 0;

    if (postconf_get(&checking->world->postconf, NULL, "mail_version", version, sizeof version))
        number = postconf_version(version);
    if (has_guard(conf) && !checking->found[KIND_MILTER] && !checking->found[KIND_POLICY])
        mtacheck_add(checking->findings, MTACHECK_WARNING,
                     "add mxwarden-milter to smtpd_milters, or check_policy_service to "
                     "smtpd_recipient_restrictions",
                     "domains are guarded, but this Postfix asks nobody about them");
    if (has_routes(conf) && !checking->found[KIND_MAP])
        mtacheck_add(checking->findings, MTACHECK_WARNING,
                     "add socketmap:unix:PATH:transport to transport_maps",
                     "domains have routes, but this Postfix does not ask for them");
    if (!has_guard(conf) && !has_routes(conf) && !checking->found[KIND_MILTER] &&
        !checking->found[KIND_POLICY] && !checking->found[KIND_MAP])
        mtacheck_add(checking->findings, MTACHECK_WARNING,
                     "mxwardend(8), ATTACHING POSTFIX, has the lines for main.cf",
                     "this Postfix asks mxwarden nothing");
    if (number > 0 && number < 3005 && checking->found[KIND_MAP])
        mtacheck_add(checking->findings, MTACHECK_ERROR, "use Postfix 3.5 or newer",
                     "Postfix %s does not know lists of next hops, which routes are made of",
                     version);
    if (number > 0 && number < 3002 && checking->found[KIND_POLICY])
        mtacheck_add(checking->findings, MTACHECK_WARNING,
                     "use Postfix 3.2 or newer, or the milter",
                     "Postfix %s does not tell a policy service which address was reached: nobody "
                     "is judged",
                     version);
}

void mtacheck_run(const struct mtacheck_world *world, struct mtacheck *findings)
{
    struct checking checking = {.world = world, .findings = findings};
    const char *at = world->postconf.services;
    struct postconf_service service;

    while (postconf_next_service(&at, &service))
        check_service(&checking, &service);
    check_whole(&checking);
    mtacheck_routes(world, findings);
}
