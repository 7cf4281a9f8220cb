/*
 * The commands that change something: hosts by hand (override.h), and facts thrown away.
 *
 * A host must be one that this node knows, since an override of a misspelt name would say "done"
 * and do nothing.
 */
#include "policy/control_ask.h"

#include "cache/fetch.h"
#include "policy/conf.h"
#include "policy/conf_value.h"
#include "policy/log.h"
#include "policy/override.h"
#include "policy/watch.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { SMTP_PORT = 25, WEIGHT_MAX = 65535 };

/* A host as named in a request; name is canonical, or "[address]". */
struct target {
    char name[NAME_SIZE];
    uint16_t port;
};

static bool target_parse(const char *text, struct target *out)
{
    struct net_addr addr;
    char bracketed[NET_TEXT];

    if (!text || !conf_value_host(text, SMTP_PORT, out->name, &addr, &out->port))
        return false;
    if (addr.family != NET_NONE)
        snprintf(out->name, sizeof out->name, "%s", net_addr_format(&addr, bracketed));
    return true;
}

static bool pools_have(const struct conf *conf, const struct target *target)
{
    for (size_t p = 0; p < conf->pool_count; p++)
        for (size_t t = 0; t < conf->pool[p].tier_count; t++) {
            const struct conf_tier *tier = &conf->pool[p].tier[t];
            for (size_t h = 0; h < tier->host_count; h++) {
                const struct conf_pool_host *host = &tier->host[h];
                if (host->port == target->port && strcmp(host->name, target->name) == 0)
                    return true;
            }
        }
    return false;
}

static bool weights_have(const struct conf_domain *domain, const struct target *target)
{
    for (size_t i = 0; i < domain->routing.weight_count; i++)
        if (strcmp(domain->routing.weight[i].name, target->name) == 0)
            return true;
    return false;
}

static bool ordering_has(struct fetch *fetch, const char *domain, const struct target *target)
{
    const struct facts *facts = fetch_peek_stale(fetch, FACTS_MX, domain, FETCH_ANY);
    bool found = false;

    for (size_t i = 0; facts && facts->state == FACTS_OK && i < facts->mx.count && !found; i++)
        found = strcmp(facts->mx.host[i].name, target->name) == 0;
    facts_unref(facts);
    return found;
}

static bool domains_have(const struct conversation *conversation, const struct target *target)
{
    const struct conf *conf = conversation->conf;

    for (size_t i = 0; target->port == SMTP_PORT && i < conf->domain_count; i++)
        if (weights_have(&conf->domain[i], target) ||
            (*conf->domain[i].domain &&
             ordering_has(conversation->fetch, conf->domain[i].domain, target)))
            return true;
    return false;
}

static bool is_known(const struct conversation *conversation, const struct target *target)
{
    return pools_have(conversation->conf, target) || domains_have(conversation, target) ||
           watch_get_host(conversation->watch, target->name, target->port).targets > 0;
}

/* The request's host; ends the request and is false where it cannot be. */
static bool read_target(struct control_ask *ask, const json_t *request, struct target *out)
{
    const char *text = control_text(request, "host");

    if (!target_parse(text, out)) {
        control_fail(ask, "usage", "host is missing, or no host name or address");
        return false;
    }
    if (!is_known(ask->conversation, out)) {
        control_fail(ask, "refused",
                     "%s port %u is not a host of any pool or domain here (another port is another "
                     "host: name it as HOST:PORT); `mxwarden hosts` lists those that are",
                     out->name, out->port);
        return false;
    }
    return true;
}

static void on_put(void *arg, bool ok)
{
    struct control_ask *ask = arg;

    if (!ok)
        control_fail(ask, "refused",
                     "written here, but not in Redis: other nodes do not know, and this one may "
                     "forget");
    else
        control_end(ask, json_pack("{s:s, s:s}", "status", "ok", "message", ask->done));
}

static void put(struct control_ask *ask, const struct target *target, struct override_value value)
{
    log_info("control: %s", ask->done);
    override_put(ask->conversation->override, target->name, target->port, value, on_put, ask);
}

void control_drain(struct control_ask *ask, const json_t *request)
{
    struct target target;
    struct override_value value;

    if (!read_target(ask, request, &target))
        return;
    value = override_get(ask->conversation->override, target.name, target.port);
    value.state = OVERRIDE_DRAIN;
    snprintf(ask->done, sizeof ask->done, "%s port %u is drained: new mail goes elsewhere",
             target.name, target.port);
    put(ask, &target, value);
}

/* Takes drain and down away. A forced "ready", which keeps a failing host in use, is for
 * redis-cli. */
void control_ready(struct control_ask *ask, const json_t *request)
{
    struct target target;
    struct override_value value;
    char weight[32] = "";

    if (!read_target(ask, request, &target))
        return;
    value = override_get(ask->conversation->override, target.name, target.port);
    value.state = OVERRIDE_NONE;
    if (value.has_weight)
        snprintf(weight, sizeof weight, ", its weight stays %u", value.weight);
    snprintf(ask->done, sizeof ask->done, "%s port %u is used as its probes say%s", target.name,
             target.port, weight);
    put(ask, &target, value);
}

void control_weight(struct control_ask *ask, const json_t *request)
{
    const json_t *weight = json_object_get(request, "weight");
    json_int_t number = json_integer_value(weight);
    struct target target;
    struct override_value value;

    if (!json_is_integer(weight) || number < 0 || number > WEIGHT_MAX) {
        control_fail(ask, "usage", "weight must be a number from 0 to %d", WEIGHT_MAX);
        return;
    }
    if (!read_target(ask, request, &target))
        return;
    value = override_get(ask->conversation->override, target.name, target.port);
    value.has_weight = true;
    value.weight = (unsigned)number;
    snprintf(ask->done, sizeof ask->done, "%s port %u has weight %u%s", target.name, target.port,
             value.weight, value.weight ? "" : ": used only when all else is unusable");
    put(ask, &target, value);
}

void control_purge(struct control_ask *ask, const json_t *request)
{
    const char *text = control_text(request, "domain");
    char domain[NAME_SIZE];

    if (!text || !name_normalize(text, strlen(text), domain)) {
        control_fail(ask, "usage", "domain is missing, or no domain name");
        return;
    }
    fetch_purge(ask->conversation->fetch, domain);
    snprintf(ask->done, sizeof ask->done, "%s is forgotten and will be looked up anew", domain);
    control_end_written(ask);
}
