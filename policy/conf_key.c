/*
 * The table of the configuration (conf_key.h).
 */
#include "policy/conf_key.h"

#include "policy/conf_set.h"

#include <string.h>

#define MS     INT64_C(1)
#define SECOND (1000 * MS)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

#define IN(field)        offsetof(struct conf, field)
#define IN_DRAFT(field)  offsetof(struct conf_guard_draft, field)
#define IN_GUARD(field)  offsetof(struct conf_guard_draft, guard.field)
#define IN_DOMAIN(field) offsetof(struct conf_domain, field)
#define IN_POOL(field)   offsetof(struct conf_pool, field)
#define IN_HOST(field)   offsetof(struct conf_pool_host, field)
#define IN_MATCH(field)  offsetof(struct conf_match, field)
#define ONE(low, high)   false, low, high, NULL
#define PLAIN            false, 0, 0, NULL
#define LIST             true, 0, 0, NULL
#define WORDS(words)     false, 0, 0, words

/* clang-format off */
const struct conf_key conf_keys[] = {
    {CONF_TOP, "node", conf_set_name, IN(node), "", PLAIN},
    {CONF_TOP, "own", conf_set_own, 0, "", LIST},
    {CONF_TOP, "listeners", conf_set_listeners, 0, "", LIST},
    {CONF_TOP, "needs_feed", conf_set_bool, IN(needs_feed), "false", PLAIN},
    {CONF_TOP, "networks", conf_set_nets, IN(networks), "127.0.0.0/8,[::1]/128", LIST},
    {CONF_TOP, "recipient_delimiter", conf_set_delimiter, IN(recipient_delimiter), "", PLAIN},
    {CONF_TOP, "domains_file", conf_set_domains_file, 0, "", PLAIN},

    {CONF_LISTEN, "policy", conf_set_sockets, IN(listen.policy),
     "unix:/run/mxwarden/policy.sock", LIST},
    {CONF_LISTEN, "socketmap", conf_set_sockets, IN(listen.socketmap),
     "unix:/run/mxwarden/socketmap.sock", LIST},
    {CONF_LISTEN, "milter", conf_set_socket, IN(listen.milter),
     "unix:/run/mxwarden/milter.sock", PLAIN},
    {CONF_LISTEN, "control", conf_set_control, IN(listen.control),
     "unix:/run/mxwarden/control.sock", PLAIN},
    {CONF_LISTEN, "http", conf_set_http, IN(listen.http), "", PLAIN},
    {CONF_LISTEN, "mode", conf_set_mode, IN(listen.mode), "0660", PLAIN},
    {CONF_LISTEN, "group", conf_set_token, IN(listen.group), "", ONE(0, 32)},

    {CONF_LOG, "target", conf_set_word, IN(log.target), "stderr", WORDS("stderr,syslog")},
    {CONF_LOG, "level", conf_set_word, IN(log.level), "info", WORDS("error,warning,info,debug")},

    {CONF_DNS, "servers", conf_set_servers, IN(dns.servers), "", LIST},
    {CONF_DNS, "timeout", conf_set_time, IN(dns.timeout), "1s", ONE(10 * MS, 30 * SECOND)},
    {CONF_DNS, "min_ttl", conf_set_time, IN(dns.min_ttl), "30s", ONE(0, DAY)},
    {CONF_DNS, "max_ttl", conf_set_time, IN(dns.max_ttl), "1d", ONE(SECOND, 30 * DAY)},
    {CONF_DNS, "negative_ttl", conf_set_time, IN(dns.negative_ttl), "5m", ONE(SECOND, DAY)},
    {CONF_DNS, "stale", conf_set_time, IN(dns.stale), "1d", ONE(0, 30 * DAY)},

    {CONF_CACHE, "redis", conf_set_redis, 0, "", PLAIN},
    {CONF_CACHE, "password_file", conf_set_password_file, 0, "", PLAIN},
    {CONF_CACHE, "prefix", conf_set_token, IN(cache.prefix), "mxw1", ONE(1, 32)},
    {CONF_CACHE, "timeout", conf_set_time, IN(cache.timeout), "100ms", ONE(MS, SECOND)},
    {CONF_CACHE, "entries", conf_set_size, IN(cache.entries), "100000", ONE(1000, 100000000)},
    {CONF_CACHE, "secret_file", conf_set_secret_file, 0, "", PLAIN},

    {CONF_HEALTH, "interval", conf_set_time, IN(health.interval), "5s", ONE(100 * MS, HOUR)},
    {CONF_HEALTH, "timeout", conf_set_time, IN(health.timeout), "12s", ONE(100 * MS, 5 * MINUTE)},
    {CONF_HEALTH, "fall", conf_set_number, IN(health.fall), "3", ONE(1, 100)},
    {CONF_HEALTH, "rise", conf_set_number, IN(health.rise), "2", ONE(1, 100)},
    {CONF_HEALTH, "slow_start", conf_set_time, IN(health.slow_start), "60s", ONE(0, HOUR)},
    {CONF_HEALTH, "depth", conf_set_word, IN(health.depth), "banner", WORDS("banner,rcpt")},
    {CONF_HEALTH, "source", conf_set_source, IN(health.source), "", PLAIN},

    {CONF_GUARD, "mode", conf_set_word, IN_GUARD(mode), "detect",
     WORDS("off,detect,tag,hold,defer,reject,filter")},
    {CONF_GUARD, "text", conf_set_line, IN_GUARD(text),
     "Please deliver to the preferred MX first", ONE(1, 400)},
    {CONF_GUARD, "require_observed", conf_set_bool, IN_GUARD(require_observed), "true", PLAIN},
    {CONF_GUARD, "evidence_ttl", conf_set_time, IN_GUARD(evidence_ttl), "24h",
     ONE(SECOND, 365 * DAY)},
    {CONF_GUARD, "evidence_net", conf_set_evidence_net, IN_DRAFT(guard), "24,64", PLAIN},
    {CONF_GUARD, "min_stage", conf_set_word, IN_GUARD(min_stage), "connect",
     WORDS("connect,rcpt")},
    {CONF_GUARD, "yield_after", conf_set_time, IN_GUARD(yield_after), "4m", ONE(0, 12 * HOUR)},
    {CONF_GUARD, "learn", conf_set_time, IN_GUARD(learn), "35d", ONE(SECOND, 365 * DAY)},
    {CONF_GUARD, "hold_down", conf_set_time, IN_GUARD(hold_down), "5m", ONE(0, DAY)},
    {CONF_GUARD, "grace", conf_set_time, IN_GUARD(grace), "15m", ONE(0, DAY)},
    {CONF_GUARD, "breaker_nets", conf_set_number, IN_GUARD(breaker_nets), "20", ONE(1, 1000000)},
    {CONF_GUARD, "breaker_window", conf_set_time, IN_GUARD(breaker_window), "5m",
     ONE(SECOND, DAY)},
    {CONF_GUARD, "breaker_factor", conf_set_number, IN_GUARD(breaker_factor), "3", ONE(1, 1000)},
    {CONF_GUARD, "allow", conf_set_allow, IN_DRAFT(listed), "", LIST},
    {CONF_GUARD, "allow_file", conf_set_allow_file, IN_DRAFT(filed), "", PLAIN},
    {CONF_GUARD, "allow_senders", conf_set_mailboxes, IN_GUARD(allow_senders), "", LIST},
    {CONF_GUARD, "allow_recipients", conf_set_mailboxes, IN_GUARD(allow_recipients),
     "postmaster,abuse", LIST},
    {CONF_GUARD, "off_mx", conf_set_word, IN_GUARD(off_mx), "log", WORDS("off,log,defer,reject")},
    {CONF_GUARD, "trap", conf_set_name, IN_GUARD(trap), "", PLAIN},

    {CONF_DOMAIN, "route", conf_set_route, IN_DOMAIN(routing), "off", PLAIN},
    {CONF_DOMAIN, "weights", conf_set_weights, IN_DOMAIN(routing), "", LIST},
    {CONF_DOMAIN, "flush", conf_set_flush, IN_DOMAIN(flush), "", PLAIN},

    {CONF_POOL, "transport", conf_set_transport, IN_POOL(transport), "smtp", PLAIN},
    {CONF_POOL, "stick", conf_set_word, IN_POOL(stick), "recipient",
     WORDS("recipient,domain,none")},
    {CONF_POOL, "spill", conf_set_word, IN_POOL(spill), "strict", WORDS("strict,proportional")},

    {CONF_HOST, "weight", conf_set_number, IN_HOST(weight), "100", ONE(0, 65535)},

    {CONF_MATCH, "route", conf_set_route, IN_MATCH(routing), "off", PLAIN},
    {CONF_MATCH, "weights", conf_set_weights, IN_MATCH(routing), "", LIST},
    {.name = NULL},
};
/* clang-format on */

const struct conf_nesting conf_nestings[] = {
    {CONF_TOP, CONF_LISTEN, "listen", false},
    {CONF_TOP, CONF_LOG, "log", false},
    {CONF_TOP, CONF_DNS, "dns", false},
    {CONF_TOP, CONF_CACHE, "cache", false},
    {CONF_TOP, CONF_HEALTH, "health", false},
    {CONF_TOP, CONF_GUARD, "guard", false},
    {CONF_TOP, CONF_DOMAIN, "domain", true},
    {CONF_TOP, CONF_POOL, "pool", true},
    {CONF_TOP, CONF_MATCH, "match", true},
    {CONF_DOMAIN, CONF_GUARD, "guard", false},
    {CONF_POOL, CONF_TIER, "tier", true},
    {CONF_TIER, CONF_HOST, "host", true},
    {.name = NULL},
};

const struct conf_key *conf_key_find(enum conf_scope scope, const char *name)
{
    for (const struct conf_key *key = conf_keys; key->name; key++)
        if (key->scope == scope && strcmp(key->name, name) == 0)
            return key;
    return NULL;
}

const struct conf_nesting *conf_key_find_section(enum conf_scope parent, const char *name)
{
    for (const struct conf_nesting *nesting = conf_nestings; nesting->name; nesting++)
        if (nesting->parent == parent && strcmp(nesting->name, name) == 0)
            return nesting;
    return NULL;
}
