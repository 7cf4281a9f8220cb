/*
 * The rules for routes: who answers before mxwarden's map, which transports a pool names, what TLS
 * policies are keyed by, which domains Postfix flushes, and whether it takes mail for them at all.
 */
#include "policy/mtacheck.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { VALUE_SIZE = 16 * 1024, WORD_SIZE = 1024, DOMAINS = 100 /* that are looked at */ };

struct routing {
    const struct mtacheck_world *world;
    struct mtacheck *findings;
};

enum membership { MEMBER_NO, MEMBER_YES, MEMBER_UNKNOWN /* a table that cannot be asked */ };

static void get(const struct routing *routing, const char *parameter, char out[VALUE_SIZE])
{
    postconf_get(&routing->world->postconf, NULL, parameter, out, VALUE_SIZE);
}

/* Whether a table has the key. */
static void add_unasked(const struct routing *routing, const char *list, const char *remedy)
{
    mtacheck_add(routing->findings, MTACHECK_WARNING, remedy, "%s: it cannot be told what is in it",
                 list);
}

static enum membership ask(const struct routing *routing, const char *table, const char *key)
{
    const struct mtacheck_world *world = routing->world;

    /* What is asked over the network, or is mxwarden itself, is nobody's list. */
    if (!world->lookup || strstr(table, "socketmap:") || strncmp(table, "tcp:", 4) == 0)
        return MEMBER_UNKNOWN;
    switch (world->lookup(world->arg, table, key)) {
    case MTACHECK_MISSING: return MEMBER_NO;
    case MTACHECK_MEMBER: return MEMBER_YES;
    case MTACHECK_UNASKED: break;
    }
    add_unasked(routing, table,
                "run mxwarden check as root, and see what postmap -q says of the table");
    return MEMBER_UNKNOWN;
}

/* The domain, then its parents: what Postfix looks a domain up by. parents: as "parent", else as
 * ".parent". */
static enum membership ask_upwards(const struct routing *routing, const char *table,
                                   const char *domain, bool parents)
{
    enum membership member = ask(routing, table, domain);

    for (const char *dot = strchr(domain, '.'); dot && member == MEMBER_NO;
         dot = strchr(dot + 1, '.'))
        member = ask(routing, table, dot + parents);
    return member;
}

/* --- lists of domains ----------------------------------------------------------------------------- */

static bool is_below(const char *domain, const char *parent)
{
    size_t length = strlen(domain), tail = strlen(parent);

    return length > tail && strcasecmp(domain + length - tail, parent) == 0 &&
           (*parent == '.' || domain[length - tail - 1] == '.');
}

/* A file as a list: its lines but for its comments. A new text, NULL where it cannot be read. */
static char *read_list(const struct routing *routing, const char *path)
{
    const struct mtacheck_world *world = routing->world;
    char *text = world->read ? world->read(world->arg, path) : NULL;

    if (world->read && !text)
        add_unasked(routing, path, "run mxwarden check as root");
    for (char *line = text; line && *line; line += *line == ' ') {
        size_t length = strcspn(line, "\n");
        if (*line == '#')
            memset(line, ' ', length);
        line += length;
        if (*line)
            *line = ' ';
    }
    return text;
}

/* One element of such a list; parents: whether a plain parent covers what is below it. */
static enum membership matches(const struct routing *routing, const char *element,
                               const char *domain, bool parents)
{
    if (*element == '/')
        return MEMBER_UNKNOWN;
    if (strchr(element, ':'))
        return ask_upwards(routing, element, domain, parents);
    if (strcasecmp(element, domain) == 0)
        return MEMBER_YES;
    return is_below(domain, element) && (*element == '.' || parents) ? MEMBER_YES : MEMBER_NO;
}

/* Whether an element of the list decides, as the first that fits does, and how. Its files have their
 * elements in its place; one that is negated, or named in a file, cannot be told. */
static bool list_decides(const struct routing *routing, const char *list, bool is_file,
                         const char *domain, bool parents, enum membership *member)
{
    char element[WORD_SIZE];
    struct postconf_word word;
    bool decided = false;

    while (!decided && postconf_next_word(&list, &word)) {
        postconf_word_copy(&word, element, sizeof element);
        if (*element == '/' && !is_file) {
            char *text = read_list(routing, element);
            *member = MEMBER_UNKNOWN;
            decided = !text || list_decides(routing, text, true, domain, parents, member);
            free(text);
            continue;
        }
        bool negated = *element == '!';
        *member = matches(routing, element + negated, domain, parents);
        decided = *member != MEMBER_NO;
        if (negated && *member == MEMBER_YES)
            *member = MEMBER_NO;
    }
    return decided;
}

/* Whether a parameter's list has the domain. */
static enum membership is_in(const struct routing *routing, const char *parameter,
                             const char *domain)
{
    char value[VALUE_SIZE], parents[VALUE_SIZE];
    enum membership member = MEMBER_NO;

    get(routing, parameter, value);
    get(routing, "parent_domain_matches_subdomains", parents);
    if (!list_decides(routing, value, false, domain, strstr(parents, parameter) != NULL, &member))
        return MEMBER_NO;
    return member;
}

/* --- who answers first ---------------------------------------------------------------------------- */

/* Postfix asks all maps for the whole address before any for the domain, so a list of domains that
 * stands first takes nothing away: only what answers for addresses does. */
static void check_before(const struct routing *routing, const struct conf_domain *domain)
{
    char value[VALUE_SIZE], table[WORD_SIZE], key[NAME_SIZE + 32];
    const char *at = value;
    struct postconf_word word;

    get(routing, "transport_maps", value);
    if (!strstr(value, "socketmap:"))
        return; /* nobody asks mxwarden, which is said elsewhere */
    snprintf(key, sizeof key, "mxwarden-check@%s", domain->domain);
    while (postconf_next_word(&at, &word)) {
        postconf_word_copy(&word, table, sizeof table);
        if (strstr(table, "socketmap:"))
            return;
        if (ask(routing, table, key) == MEMBER_YES)
            mtacheck_add(routing->findings, MTACHECK_ERROR,
                         "put it behind mxwarden's map, or take the domain out of it",
                         "transport_maps: %s answers for the addresses of %s before mxwarden is "
                         "asked",
                         table, domain->domain);
    }
}

/* Whether some smtp(8) asks mxwarden which MX records count. */
static bool has_filter(const struct routing *routing)
{
    static const char name[] = ":dnsfilter";
    const char *at = routing->world->postconf.services;
    struct postconf_service service;
    char value[VALUE_SIZE];

    while (postconf_next_service(&at, &service)) {
        if (!postconf_word_is(&service.command, "smtp"))
            continue;
        postconf_get(&routing->world->postconf, &service, "smtp_dns_reply_filter", value,
                     sizeof value);
        if (strstr(value, "socketmap:") && strstr(value, name))
            return true;
    }
    return false;
}

/* It hides nothing of a set that this host is in: with the better hosts hidden Postfix would find
 * itself the best, and bounce. */
static void check_filter(const struct routing *routing, const struct conf_domain *domain)
{
    const struct mtacheck_world *world = routing->world;
    char value[VALUE_SIZE];

    get(routing, "transport_maps", value);
    if (strstr(value, "socketmap:") || !has_filter(routing) || !world->standing ||
        world->standing(world->arg, domain->domain) != MTACHECK_BACKUP)
        return;
    mtacheck_add(
        routing->findings, MTACHECK_WARNING,
        "use the map transport, in transport_maps, on this host",
        "smtp_dns_reply_filter: the map dnsfilter leaves %s alone: this host is one of its "
        "MX hosts",
        domain->domain);
}

/* --- transports ----------------------------------------------------------------------------------- */

static bool has_service(const struct routing *routing, const char *name)
{
    const char *at = routing->world->postconf.services;
    struct postconf_service service;

    while (postconf_next_service(&at, &service))
        if (postconf_word_is(&service.name, name) && postconf_word_is(&service.type, "unix"))
            return true;
    return false;
}

static void check_transports(const struct routing *routing)
{
    const struct conf *conf = routing->world->conf;

    for (size_t i = 0; i < conf->pool_count; i++)
        if (!has_service(routing, conf->pool[i].transport))
            mtacheck_add(routing->findings, MTACHECK_ERROR,
                         "add the service, or correct the pool's `transport`",
                         "pool %s: master.cf has no service \"%s\": its mail would wait",
                         conf->pool[i].name, conf->pool[i].transport);
}

/* --- TLS ------------------------------------------------------------------------------------------ */

/* A route replaces the next hop, and with it the key of the policy. */
static void check_tls(const struct routing *routing, const struct conf_domain *domain)
{
    char value[VALUE_SIZE], table[WORD_SIZE];
    const char *at = value;
    struct postconf_word word;

    get(routing, "smtp_tls_policy_maps", value);
    while (postconf_next_word(&at, &word)) {
        postconf_word_copy(&word, table, sizeof table);
        if (ask_upwards(routing, table, domain->domain, false) == MEMBER_YES)
            mtacheck_add(routing->findings, MTACHECK_WARNING,
                         "add entries for the route's hosts, as \"[host]:port\", or use the map "
                         "dnsfilter in place of the route",
                         "smtp_tls_policy_maps: the entry of %s for %s does not count: its route "
                         "names hosts in brackets",
                         table, domain->domain);
    }
}

/* --- flushing ------------------------------------------------------------------------------------- */

static void check_flush(const struct routing *routing, const struct conf_domain *domain)
{
    char value[VALUE_SIZE];

    if (!has_service(routing, "flush"))
        mtacheck_add(routing->findings, MTACHECK_ERROR, "add the service flush(8) to master.cf",
                     "domains have `flush`, and master.cf has no service for it");
    if (is_in(routing, "fast_flush_domains", domain->domain) == MEMBER_NO)
        mtacheck_add(routing->findings, MTACHECK_ERROR,
                     "add it, or to relay_domains where fast_flush_domains is that",
                     "fast_flush_domains: %s is not in it: an ETRN is answered with 459",
                     domain->domain);
    get(routing, "smtpd_etrn_restrictions", value);
    /* A table, or a service, may permit as well: what it says is not known here. */
    if (*value && !strstr(value, "permit") && !strstr(value, "check_"))
        mtacheck_add(routing->findings, MTACHECK_WARNING,
                     "permit this host: smtpd_etrn_restrictions = permit_mynetworks, reject",
                     "smtpd_etrn_restrictions: nobody is permitted, perhaps not even this host");
}

/* --- who takes the mail --------------------------------------------------------------------------- */

/* A backup relays: it must take the domain's mail, and must not take it for its own. */
static void check_class(const struct routing *routing, const struct conf_domain *domain)
{
    static const char *const own[] = {"mydestination", "virtual_alias_domains",
                                      "virtual_mailbox_domains"};
    const struct mtacheck_world *world = routing->world;
    bool unsure = false;

    if (!world->standing || world->standing(world->arg, domain->domain) != MTACHECK_BACKUP)
        return;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        switch (is_in(routing, own[i], domain->domain)) {
        case MEMBER_YES:
            mtacheck_add(routing->findings, MTACHECK_WARNING,
                         "a backup MX has its domains in relay_domains, and nowhere else",
                         "%s: %s is in it, and this host is only a backup MX of it", own[i],
                         domain->domain);
            return;
        case MEMBER_UNKNOWN: unsure = true; break;
        case MEMBER_NO: break;
        }
    if (!unsure && is_in(routing, "relay_domains", domain->domain) == MEMBER_NO)
        mtacheck_add(routing->findings, MTACHECK_ERROR, "add it to relay_domains",
                     "relay_domains: %s is not in it: this backup MX refuses its mail",
                     domain->domain);
}

void mtacheck_routes(const struct mtacheck_world *world, struct mtacheck *findings)
{
    const struct routing routing = {.world = world, .findings = findings};
    size_t looked = 0;

    check_transports(&routing);
    for (size_t i = 0; i < world->conf->domain_count && looked < DOMAINS; i++) {
        const struct conf_domain *domain = &world->conf->domain[i];
        bool routed = domain->routing.route != CONF_ROUTE_OFF;
        if (domain->kind != CONF_TITLE_DOMAIN || (!routed && !domain->flush))
            continue;
        looked++;
        if (routed) {
            check_before(&routing, domain);
            check_filter(&routing, domain);
            check_tls(&routing, domain);
        }
        if (domain->flush)
            check_flush(&routing, domain);
        if (domain->flush || domain->routing.route == CONF_ROUTE_PRIMARY)
            check_class(&routing, domain);
    }
}
