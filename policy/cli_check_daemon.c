/*
 * The daemon's side of `mxwarden check`: is it there, is it this one, how are Redis and the feed, and
 * what does it think of the configured domains' mail servers.
 */
#include "policy/cli_check.h"

#include "policy/conf.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static void check_redis(const char *path, struct mtacheck *findings)
{
    json_t *request = json_pack("{s:s}", "command", "stats");
    const char *why, *state, *trouble, *policy;
    json_t *reply = cli_ask_quietly(path, request, &why), *redis = json_object_get(reply, "redis");

    state = json_string_value(json_object_get(redis, "state"));
    trouble = json_string_value(json_object_get(redis, "trouble"));
    policy = json_string_value(json_object_get(redis, "policy"));
    if (state && strcmp(state, "none") != 0 && trouble && *trouble)
        mtacheck_add(
            findings, MTACHECK_ERROR, "see its log, cache.redis and cache.password_file",
            "mxwardend cannot use Redis (%s): nothing is shared, and everybody is accepted",
            trouble);
    else if (state && strcmp(state, "up") == 0)
        mtacheck_add(findings, MTACHECK_OK, "", "mxwardend uses Redis");
    if (policy && *policy && strcmp(policy, "noeviction") != 0)
        mtacheck_add(findings, MTACHECK_WARNING, "set maxmemory-policy noeviction",
                     "Redis may evict keys (maxmemory-policy %s): then nobody is refused for a "
                     "while",
                     policy);
    json_decref(reply);
    json_decref(request);
}

static enum mtacheck_standing standing_of(const json_t *order)
{
    json_int_t best = json_integer_value(json_object_get(json_array_get(order, 0), "preference"));
    const json_t *host;
    size_t i;

    if (json_array_size(order) == 0)
        return MTACHECK_STANDING_UNKNOWN;
    json_array_foreach(order, i, host)
    {
        const char *self = json_string_value(json_object_get(host, "self"));
        if (self && *self)
            return json_integer_value(json_object_get(host, "preference")) == best
                       ? MTACHECK_BEST
                       : MTACHECK_BACKUP;
    }
    return MTACHECK_STRANGER;
}

/* What loses mail; the rest is for `mxwarden mx`. */
static void take_findings(const char *domain, const json_t *reply, struct mtacheck *findings)
{
    const json_t *items = json_object_get(reply, "findings"), *item;
    size_t i;

    json_array_foreach(items, i, item)
    {
        const char *level = json_string_value(json_object_get(item, "level"));
        const char *what = json_string_value(json_object_get(item, "what"));
        if (!level || !what)
            continue;
        if (strcmp(level, "error") == 0)
            mtacheck_add(findings, MTACHECK_WARNING, "see mxwarden mx", "domain %s: %s", domain,
                         what);
        else if (strstr(what, "by its address only"))
            mtacheck_add(findings, MTACHECK_WARNING, "name it in `own`", "domain %s: %s", domain,
                         what);
    }
}

static bool is_of_interest(const struct conf_domain *domain)
{
    return domain->kind == CONF_TITLE_DOMAIN &&
           (domain->guard.mode != CONF_MODE_OFF || domain->flush ||
            domain->routing.route != CONF_ROUTE_OFF);
}

/* Of those that could not be had: one line for all, which is what a resolver that is away makes. */
static void tell_unknown(size_t unknown, const char *first, struct mtacheck *findings)
{
    if (unknown > 0)
        mtacheck_add(findings, MTACHECK_WARNING,
                     "see whether the resolvers answer (dns.servers, or /etc/resolv.conf, which is "
                     "read at the start and at a reload)",
                     "the DNS does not tell the mail servers of %zu domain%s, such as %s: the "
                     "guard accepts everybody there",
                     unknown, unknown == 1 ? "" : "s", first);
}

/* A daemon that stops answering is not asked on. */
static void check_domains(const char *path, const struct conf *conf,
                          struct cli_check_standings *standings, struct mtacheck *findings)
{
    const char *why, *state, *first = "";
    size_t unknown = 0;

    for (size_t i = 0; i < conf->domain_count && standings->count < CLI_CHECK_DOMAINS; i++) {
        const char *domain = conf->domain[i].domain;
        if (!is_of_interest(&conf->domain[i]))
            continue;
        json_t *request = json_pack("{s:s, s:s}", "command", "mx", "domain", domain);
        json_t *reply = cli_ask_quietly(path, request, &why);
        json_decref(request);
        if (!reply)
            break;
        state = json_string_value(json_object_get(reply, "state"));
        if (state && strcmp(state, "fail") == 0 && unknown++ == 0)
            first = domain;
        snprintf(standings->item[standings->count].domain, NAME_SIZE, "%s", domain);
        standings->item[standings->count++].standing = standing_of(json_object_get(reply, "order"));
        take_findings(domain, reply, findings);
        json_decref(reply);
    }
    tell_unknown(unknown, first, findings);
}

void cli_check_daemon(const struct cli *cli, const struct conf *conf,
                      struct cli_check_standings *standings, struct mtacheck *findings)
{
    const char *path = cli_control_path(conf), *why, *file, *version;
    json_t *request = json_pack("{s:s}", "command", "ping");
    json_t *reply = cli_ask_quietly(path, request, &why);

    if (!reply) {
        mtacheck_add(findings, MTACHECK_WARNING,
                     strcmp(why, strerror(EACCES)) == 0 ? "run this as root" : "start it",
                     "mxwardend does not answer at %s: %s", path, why);
    } else {
        file = json_string_value(json_object_get(reply, "config"));
        version = json_string_value(json_object_get(reply, "version"));
        mtacheck_add(findings, MTACHECK_OK, "", "mxwardend %s answers at %s",
                     version ? version : "", path);
        if (version && strcmp(version, MXW_VERSION) != 0)
            mtacheck_add(findings, MTACHECK_WARNING, "restart mxwardend",
                         "mxwardend is of version %s, this program of %s", version, MXW_VERSION);
        if (file && *file && strcmp(file, cli->file) != 0)
            mtacheck_add(findings, MTACHECK_WARNING, "check that file, with -c",
                         "mxwardend runs with %s, not %s", file, cli->file);
        if (json_is_false(json_object_get(reply, "feed")))
            mtacheck_add(findings, MTACHECK_ERROR, "run mxwarden feed on the mail log",
                         "needs_feed is set, and no feed is alive: this host is not observed");
        check_redis(path, findings);
        check_domains(path, conf, standings, findings);
    }
    json_decref(reply);
    json_decref(request);
}
