/*
 * What single values cannot show: keys that contradict each other, and sections without effect.
 */
#include "policy/conf_reader.h"

#include "policy/conf_value.h"
#include "policy/tier.h"

#include <grp.h>
#include <stdio.h>
#include <string.h>

/* Postfix comes back after 300 s by its own clock of whole seconds, so perhaps after 299.x s. */
#define YIELD_SAFE (INT64_C(299) * 1000)

static bool is_same_net(const struct conf_guard *a, const struct conf_guard *b)
{
    return a->evidence_net4 == b->evidence_net4 && a->evidence_net6 == b->evidence_net6;
}

/* Only where the section sets one of the keys itself: what a domain inherits is complained of once,
 * in the section it comes from. */
void conf_check_guard(struct conf_reader *reader, const struct conf_section *section,
                      const struct conf_guard *guard)
{
    bool yield = conf_scan_is_set(section, "yield_after");
    char text[32];

    if (guard->yield_after > guard->learn && (yield || conf_scan_is_set(section, "learn")))
        conf_report(reader, section, yield ? "yield_after" : "learn",
                    conf_scan_line(section, yield ? "yield_after" : "learn"), true,
                    "yield_after is longer than learn (%s)",
                    conf_value_format_duration(guard->learn, text));
    if (section->parent->scope == CONF_DOMAIN && conf_scan_is_set(section, "evidence_net") &&
        !is_same_net(guard, &reader->conf->guard))
        conf_report(reader, section, "evidence_net", conf_scan_line(section, "evidence_net"), false,
                    "has no effect here: evidence is written before the domain is known");
    if (yield && guard->yield_after > YIELD_SAFE)
        conf_report(reader, section, "yield_after", conf_scan_line(section, "yield_after"), false,
                    "more than 299s: a sender that retries after five minutes is refused twice");
}

/* Weights of a pool's hosts stand in the pool, those of SRV records in these. */
void conf_check_routing(struct conf_reader *reader, const struct conf_section *section,
                        const struct conf_routing *routing)
{
    if (routing->weight_count > 0 && routing->route == CONF_ROUTE_SRV)
        conf_report(reader, section, "weights", conf_scan_line(section, "weights"), false,
                    "has no effect with route = srv: the weights of the SRV records count");
    else if (routing->weight_count > 0 && routing->route != CONF_ROUTE_MX)
        conf_report(reader, section, "weights", conf_scan_line(section, "weights"), true,
                    "only route = mx takes weights");
}

/* The guard judges by what a whole domain's clients did: one address has a route of its own, and
 * no more. */
static void check_address(struct conf_reader *reader, const struct conf_section *section)
{
    const struct conf_section *guard;

    for (guard = conf_scan_first(section, CONF_GUARD); guard; guard = conf_scan_next(guard)) {
        for (const struct conf_place *place = guard->place; place; place = place->next)
            conf_report(reader, guard, place->key->name, place->line, true,
                        "a single address has no guard: it can only be set for domains");
        if (!guard->place)
            conf_report(reader, guard, "", guard->line, true,
                        "a single address has no guard: it can only be set for domains");
    }
}

/* Keys that mean nothing for what the section stands for. */
void conf_check_title(struct conf_reader *reader, const struct conf_section *section,
                      enum conf_title kind)
{
    if (kind != CONF_TITLE_DOMAIN && conf_scan_is_set(section, "flush"))
        conf_report(reader, section, "flush", conf_scan_line(section, "flush"), true,
                    "\"%s\" is no domain that ETRN could name", section->title);
    if (kind == CONF_TITLE_ADDRESS)
        check_address(reader, section);
}

/* A host of weight 0 waits until all others fail; where all are such, someone meant another
 * number. Read off the sections, because a refused weight leaves its default behind. */
static void check_tier(struct conf_reader *reader, const struct conf_section *section)
{
    const struct conf_section *host;
    size_t hosts = 0, idle = 0;

    for (host = conf_scan_first(section, CONF_HOST); host; host = conf_scan_next(host)) {
        const struct conf_place *place = host->place;
        int64_t weight;
        hosts++;
        idle +=
            place && place->count == 1 && conf_value_number(place->item[0], &weight) && weight == 0;
    }
    if (hosts == 0)
        conf_report(reader, section, "", section->line, true, "has no host");
    else if (idle == hosts)
        conf_report(reader, section, "", section->line, true, "every host's weight is 0");
}

/* An empty pool could only ever answer with an error, which a pool never does. Of one too large the
 * last tiers would never be used. */
void conf_check_pool(struct conf_reader *reader, const struct conf_section *section)
{
    const struct conf_section *tier = conf_scan_first(section, CONF_TIER);
    size_t hosts = 0;

    if (!reader->whole)
        return;
    if (!tier)
        conf_report(reader, section, "", section->line, true, "has no tier");
    for (; tier; tier = conf_scan_next(tier)) {
        check_tier(reader, tier);
        hosts += conf_scan_count(tier, CONF_HOST);
    }
    if (hosts > TIER_MAX_HOSTS)
        conf_report(reader, section, "", section->line, true, "has %zu hosts, more than %d", hosts,
                    TIER_MAX_HOSTS);
}

/* Lower and upper bounds, and durations that belong together. */
static void check_order(struct conf_reader *reader, const struct conf_section *root)
{
    const struct conf_section *section;

    for (section = root->child; section; section = section->next) {
        const struct conf *conf = reader->conf;
        char text[32];
        if (section->scope == CONF_DNS && conf->dns.min_ttl > conf->dns.max_ttl)
            conf_report(reader, section, "min_ttl", conf_scan_line(section, "min_ttl"), true,
                        "is longer than max_ttl (%s)",
                        conf_value_format_duration(conf->dns.max_ttl, text));
        if (section->scope == CONF_HEALTH && conf->health.timeout > 10 * conf->health.interval)
            conf_report(reader, section, "timeout", conf_scan_line(section, "timeout"), false,
                        "is more than ten times interval (%s): a host that hangs is missed late",
                        conf_value_format_duration(conf->health.interval, text));
    }
}

/* A socket and the key that names it. */
struct use {
    const struct conf_socket *socket;
    const char *key;
};

/* Every socket of listen, to be compared with each other. */
static size_t list_uses(const struct conf *conf, struct use *out)
{
    size_t count = 0;

    for (size_t i = 0; i < conf->listen.policy.count; i++)
        out[count++] = (struct use){&conf->listen.policy.item[i], "policy"};
    for (size_t i = 0; i < conf->listen.socketmap.count; i++)
        out[count++] = (struct use){&conf->listen.socketmap.item[i], "socketmap"};
    out[count++] = (struct use){&conf->listen.milter, "milter"};
    out[count++] = (struct use){&conf->listen.control, "control"};
    if (conf->listen.http)
        out[count++] = (struct use){conf->listen.http, "http"};
    return count;
}

static bool is_same_socket(const struct conf_socket *a, const struct conf_socket *b)
{
    if (a->path || b->path)
        return a->path && b->path && strcmp(a->path, b->path) == 0;
    return a->port == b->port && net_addr_equal(&a->addr, &b->addr);
}

/* One socket cannot speak two protocols, nor be bound twice. Of the two keys the one that was set
 * is to blame: the other may be a default. */
static void check_sockets(struct conf_reader *reader, const struct conf_section *section)
{
    const struct conf *conf = reader->conf;
    size_t most = conf->listen.policy.count + conf->listen.socketmap.count + 3;
    struct use *uses = conf_memory_get(reader->scratch, most * sizeof *uses);
    size_t count = list_uses(conf, uses);

    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (is_same_socket(uses[i].socket, uses[j].socket)) {
                const struct use *set =
                    conf_scan_is_set(section, uses[i].key) ? &uses[i] : &uses[j];
                conf_report(reader, section, set->key, conf_scan_line(section, set->key), true,
                            "\"%s\" is there twice (%s and %s)", set->socket->text, uses[j].key,
                            uses[i].key);
            }
}

/* A warning: the file may be checked on another host than the one it is for. */
static void check_group(struct conf_reader *reader, const struct conf_section *section)
{
    const char *name = reader->conf->listen.group;
    struct group group, *found = NULL;
    char *buffer = conf_memory_get(reader->scratch, 64 * 1024);

    if (*name && getgrnam_r(name, &group, buffer, 64 * 1024, &found) == 0 && !found)
        conf_report(reader, section, "group", conf_scan_line(section, "group"), false,
                    "there is no group \"%s\" on this host", name);
}

/* A password for nobody is more likely a forgotten key than a plan. */
static void check_cache(struct conf_reader *reader, const struct conf_section *section)
{
    if (*reader->conf->cache.password && !*reader->conf->cache.redis)
        conf_report(reader, section, "password_file", conf_scan_line(section, "password_file"),
                    false, "is of no use without redis");
}

/* The first match wins, so nothing after "*" has a chance. */
static void check_matches(struct conf_reader *reader, const struct conf_section *root)
{
    const struct conf_section *section, *all = NULL;

    for (section = conf_scan_first(root, CONF_MATCH); section; section = conf_scan_next(section)) {
        if (all)
            conf_report(reader, section, "", section->line, false,
                        "is never reached: \"*\" in line %u takes everything", all->line);
        else if (strcmp(section->title, "*") == 0)
            all = section;
    }
}

/* What involves sections of which there is one. */
void conf_check_whole(struct conf_reader *reader, const struct conf_section *root)
{
    const struct conf_section *section;

    check_order(reader, root);
    check_matches(reader, root);
    for (section = root->child; section; section = section->next) {
        if (section->scope == CONF_LISTEN) {
            check_sockets(reader, section);
            check_group(reader, section);
        } else if (section->scope == CONF_CACHE) {
            check_cache(reader, section);
        }
    }
}
