/*
 * Three kinds of line count: "X<name>, S=<socket>, F=..., T=...", "O InputMailFilters=<names>" and
 * "K<name> socket ... <socket>".
 */
#include "policy/sendmailcheck.h"

#include <stdio.h>
#include <string.h>

enum { LINE_SIZE = 1024, SMTP_PORT = 25 };

struct checking {
    const struct sendmailcheck_world *world;
    struct mtacheck *findings;
    char filter[64]; /* the name of ours, "" where there is none */
    bool map;        /* found */
};

/* The next logical line at *at into out, cut to fit; false at the end. Those that begin with white
 * space go on with the one before. */
static bool next_line(const char **at, char out[LINE_SIZE])
{
    size_t used = 0;

    if (!**at)
        return false;
    do {
        size_t length = strcspn(*at, "\n");
        int fits = snprintf(out + used, LINE_SIZE - used, "%.*s", (int)length, *at);
        used += (size_t)fits < LINE_SIZE - used ? (size_t)fits : LINE_SIZE - used - 1;
        *at += length;
        *at += **at == '\n';
    } while (**at == ' ' || **at == '\t');
    return true;
}

/* The value of "S=" and the like among an X line's parts, up to the next comma; "" for none. */
static void part_get(const char *line, char name, char out[LINE_SIZE])
{
    out[0] = '\0';
    for (const char *at = strchr(line, ','); at; at = strchr(at, ',')) {
        at += 1 + strspn(at + 1, " \t");
        if (at[0] == name && at[1] == '=') {
            snprintf(out, LINE_SIZE, "%.*s", (int)strcspn(at + 2, ", \t"), at + 2);
            return;
        }
    }
}

/* The path of "local:/path" or "unix:/path", NULL for another. */
static const char *path_of(const char *socket)
{
    if (strncmp(socket, "local:", 6) == 0)
        return socket + 6;
    return strncmp(socket, "unix:", 5) == 0 ? socket + 5 : NULL;
}

static bool is_map_socket(const struct conf *conf, const char *path)
{
    for (size_t i = 0; i < conf->listen.socketmap.count; i++)
        if (conf->listen.socketmap.item[i].path &&
            strcmp(conf->listen.socketmap.item[i].path, path) == 0)
            return true;
    return false;
}

static void check_socket(const struct checking *checking, const char *what, const char *path)
{
    const struct sendmailcheck_world *world = checking->world;
    enum mtacheck_reach reach = world->reach(world->arg, path);

    if (reach == MTACHECK_UNKNOWN)
        mtacheck_add(checking->findings, MTACHECK_WARNING, "run mxwarden check as root",
                     "sendmail.cf: %s: %s cannot be looked at by this user", what, path);
    else if (reach != MTACHECK_REACHED)
        mtacheck_add(checking->findings, MTACHECK_ERROR,
                     "start mxwardend and mxwarden-milter, or correct the path",
                     "sendmail.cf: %s: nobody answers at %s", what, path);
    else
        mtacheck_add(checking->findings, MTACHECK_OK, "", "sendmail.cf: %s: %s answers", what,
                     path);
    if (world->is_open(world->arg, path))
        mtacheck_add(checking->findings, MTACHECK_ERROR,
                     "take the right to write away from others (chmod o-w)",
                     "sendmail.cf: %s: a folder above %s is writable by everybody: Sendmail calls "
                     "it unsafe",
                     what, path);
}

/* F=R and F=T turn mail away while the milter is; without T= Sendmail waits for minutes. */
static void check_filter(struct checking *checking, const char *line)
{
    char socket[LINE_SIZE], flags[LINE_SIZE], times[LINE_SIZE], name[sizeof checking->filter];
    const char *path;

    part_get(line, 'S', socket);
    path = path_of(socket);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(line + 1, ", \t"), line + 1);
    if (strcmp(name, "mxwarden") != 0 &&
        (!path || !checking->world->conf->listen.milter.path ||
         strcmp(path, checking->world->conf->listen.milter.path) != 0))
        return;
    strcpy(checking->filter, name);
    part_get(line, 'F', flags);
    part_get(line, 'T', times);
    if (path)
        check_socket(checking, name, path);
    if (*flags)
        mtacheck_add(checking->findings, MTACHECK_WARNING, "leave F= out",
                     "sendmail.cf: %s: with F=%s mail is turned away while mxwarden is away", name,
                     flags);
    if (!*times)
        mtacheck_add(checking->findings, MTACHECK_WARNING, "add T=C:3s;S:3s;R:6s;E:10s",
                     "sendmail.cf: %s: Sendmail waits long for a milter that hangs", name);
}

/* The socket is the line's last word. */
static void check_map(struct checking *checking, const char *line)
{
    char name[64], kind[16] = "";
    const char *last = strrchr(line, ' '), *tab = strrchr(line, '\t'), *path;

    snprintf(name, sizeof name, "%.*s", (int)strcspn(line + 1, " \t"), line + 1);
    sscanf(line + 1 + strcspn(line + 1, " \t"), "%15s", kind);
    last = tab > last ? tab : last;
    path = last ? path_of(last + 1) : NULL;
    if (strcmp(kind, "socket") != 0 || !path ||
        (!is_map_socket(checking->world->conf, path) && !strstr(path, "mxwarden")))
        return;
    checking->map = true;
    if (strcmp(name, "mailertable") != 0)
        mtacheck_add(checking->findings, MTACHECK_ERROR, "call it mailertable",
                     "sendmail.cf: mxwarden has no map '%s' for Sendmail", name);
    check_socket(checking, name, path);
}

/* Whether a name is in a list, whose separators are Sendmail's. */
static bool has_name(const char *list, const char *name)
{
    size_t length;

    for (; *list; list += length) {
        list += strspn(list, ",; \t");
        length = strcspn(list, ",; \t");
        if (length == strlen(name) && strncmp(list, name, length) == 0)
            return true;
    }
    return false;
}

/* A filter that is defined, but not in the list, is never asked. */
static void check_list(const struct checking *checking, const char *names)
{
    if (*checking->filter && !has_name(names, checking->filter))
        mtacheck_add(checking->findings, MTACHECK_ERROR,
                     "use INPUT_MAIL_FILTER, or name it in confINPUT_MAIL_FILTERS",
                     "sendmail.cf: %s is a filter that InputMailFilters does not name: it is "
                     "never asked",
                     checking->filter);
}

static bool is_routed_to(const struct conf *conf, const struct conf_pool *pool)
{
    for (size_t i = 0; i < conf->domain_count; i++)
        if (conf->domain[i].routing.pool == pool)
            return true;
    for (size_t i = 0; i < conf->match_count; i++)
        if (conf->match[i].routing.pool == pool)
            return true;
    return false;
}

/* Hosts whose ports a mailertable has no room for; the first one found stands for them all. */
static void check_ports(const struct checking *checking, const struct conf_pool *pool)
{
    const struct conf_pool_host *left_out = NULL;
    bool named = false;

    for (size_t t = 0; t < pool->tier_count; t++)
        for (size_t h = 0; h < pool->tier[t].host_count; h++) {
            const struct conf_pool_host *host = &pool->tier[t].host[h];
            named = named || host->port == SMTP_PORT;
            if (!left_out && host->port != SMTP_PORT)
                left_out = host;
        }
    if (left_out && named)
        mtacheck_add(
            checking->findings, MTACHECK_WARNING,
            "see mxwarden route DOMAIN for what is left, or give it port 25",
            "sendmail.cf: mailertable: pool %s: %s:%u is left out: Sendmail cannot be told "
            "ports",
            pool->name, left_out->name, left_out->port);
    else if (left_out)
        mtacheck_add(
            checking->findings, MTACHECK_ERROR, "give the pool a host on port 25",
            "sendmail.cf: mailertable: pool %s: no host is on port 25, and Sendmail cannot "
            "be told ports: its mail would wait",
            pool->name);
}

static void check_whole(const struct checking *checking)
{
    const struct conf *conf = checking->world->conf;
    bool guarded = false, routed = conf->match_count > 0;

    for (size_t i = 0; i < conf->domain_count; i++) {
        guarded = guarded || conf->domain[i].guard.mode != CONF_MODE_OFF;
        routed = routed || conf->domain[i].routing.route != CONF_ROUTE_OFF;
    }
    for (size_t i = 0; checking->map && i < conf->pool_count; i++)
        if (is_routed_to(conf, &conf->pool[i]))
            check_ports(checking, &conf->pool[i]);
    if (guarded && !*checking->filter)
        mtacheck_add(checking->findings, MTACHECK_WARNING,
                     "add INPUT_MAIL_FILTER(`mxwarden', ...) to sendmail.mc",
                     "domains are guarded, but this Sendmail has no filter mxwarden");
    if (routed && !checking->map)
        mtacheck_add(checking->findings, MTACHECK_WARNING,
                     "add FEATURE(`mailertable', `socket local:PATH') to sendmail.mc",
                     "domains have routes, but this Sendmail does not ask for them");
}

void sendmailcheck_run(const struct sendmailcheck_world *world, struct mtacheck *findings)
{
    static const char option[] = "O InputMailFilters=";
    struct checking checking = {.world = world, .findings = findings};
    char line[LINE_SIZE], list[LINE_SIZE] = "";
    const char *at = world->cf;

    while (next_line(&at, line)) {
        if (line[0] == 'X')
            check_filter(&checking, line);
        else if (line[0] == 'K')
            check_map(&checking, line);
        else if (strncmp(line, option, strlen(option)) == 0)
            snprintf(list, sizeof list, "%s", line + strlen(option));
    }
    check_list(&checking, list);
    check_whole(&checking);
}
