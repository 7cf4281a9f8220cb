/*
 * Every field of a configuration as text, a line each, for tests to compare and to search.
 */
#ifndef TESTS_CONF_DUMP_H
#define TESTS_CONF_DUMP_H

#include "policy/conf.h"

#include <inttypes.h>
#include <stdio.h>

static inline void dump_texts(FILE *out, const char *key, const struct conf_texts *texts)
{
    fprintf(out, "%s=", key);
    for (size_t i = 0; i < texts->count; i++)
        fprintf(out, "%s%s", i ? "," : "", texts->item[i]);
    fputc('\n', out);
}

static inline void dump_nets(FILE *out, const char *key, const struct conf_nets *nets)
{
    char text[NET_TEXT];

    fprintf(out, "%s=", key);
    for (size_t i = 0; i < nets->count; i++)
        fprintf(out, "%s%s", i ? "," : "", net_cidr_format(&nets->item[i], text));
    fputc('\n', out);
}

static inline void dump_socket(FILE *out, const char *key, const struct conf_socket *socket)
{
    char text[NET_TEXT];

    if (!socket)
        fprintf(out, "%s=none\n", key);
    else
        fprintf(out, "%s=%s path=%s addr=%s port=%u\n", key, socket->text,
                socket->path ? socket->path : "-", net_addr_format(&socket->addr, text),
                socket->port);
}

static inline void dump_guard(FILE *out, const struct conf_guard *guard)
{
    fprintf(out, "mode=%s\ntext=%s\nrequire_observed=%d\n", conf_mode_name(guard->mode),
            guard->text, guard->require_observed);
    fprintf(out, "evidence_ttl=%" PRId64 "\nevidence_net=%u,%u\nmin_stage=%u\n",
            guard->evidence_ttl, guard->evidence_net4, guard->evidence_net6,
            (unsigned)guard->min_stage);
    fprintf(out, "yield_after=%" PRId64 "\nlearn=%" PRId64 "\nhold_down=%" PRId64 "\n",
            guard->yield_after, guard->learn, guard->hold_down);
    fprintf(out, "grace=%" PRId64 "\nbreaker=%u,%u,%" PRId64 "\n", guard->grace,
            guard->breaker_nets, guard->breaker_factor, guard->breaker_window);
    dump_nets(out, "allow.nets", &guard->allow.nets);
    dump_texts(out, "allow.names", &guard->allow.names);
    dump_texts(out, "allow_senders", &guard->allow_senders);
    dump_texts(out, "allow_recipients", &guard->allow_recipients);
    fprintf(out, "off_mx=%u\ntrap=%s\n", (unsigned)guard->off_mx, guard->trap);
}

static inline void dump_routing(FILE *out, const struct conf_routing *routing)
{
    fprintf(out, "route=%u,%s\n", (unsigned)routing->route,
            routing->pool ? routing->pool->name : "-");
    for (size_t i = 0; i < routing->weight_count; i++)
        fprintf(out, "weight %s=%u\n", routing->weight[i].name, routing->weight[i].weight);
}

static inline void dump_pool(FILE *out, const struct conf_pool *pool)
{

    fprintf(out, "pool %s transport=%s stick=%u spill=%u\n", pool->name, pool->transport,
            (unsigned)pool->stick, (unsigned)pool->spill);
    for (size_t i = 0; i < pool->tier_count; i++) {
        const struct conf_tier *tier = &pool->tier[i];
        for (size_t j = 0; j < tier->host_count; j++)
            fprintf(out, "tier %u host %s%s port=%u weight=%u\n", tier->order, tier->host[j].name,
                    tier->host[j].addr.family == NET_NONE ? "[]" : "", tier->host[j].port,
                    tier->host[j].weight);
    }
}

static inline void dump_top(FILE *out, const struct conf *conf)
{
    char local[NET_TEXT], public[NET_TEXT];

    fprintf(out, "node=%s\nneeds_feed=%d\nrecipient_delimiter=%s\n", conf->node, conf->needs_feed,
            conf->recipient_delimiter);
    dump_texts(out, "own.names", &conf->own.names);
    dump_nets(out, "own.nets", &conf->own.nets);
    dump_nets(out, "networks", &conf->networks);
    for (size_t i = 0; i < conf->listener_count; i++)
        fprintf(out, "listener %s:%u=%s:%u\n", net_addr_format(&conf->listener[i].local, local),
                conf->listener[i].local_port, net_addr_format(&conf->listener[i].public, public),
                conf->listener[i].public_port);
    for (size_t i = 0; i < conf->listen.policy.count; i++)
        dump_socket(out, "listen.policy", &conf->listen.policy.item[i]);
    for (size_t i = 0; i < conf->listen.socketmap.count; i++)
        dump_socket(out, "listen.socketmap", &conf->listen.socketmap.item[i]);
    dump_socket(out, "listen.milter", &conf->listen.milter);
    dump_socket(out, "listen.control", &conf->listen.control);
    dump_socket(out, "listen.http", conf->listen.http);
    fprintf(out, "listen.mode=%04o\nlisten.group=%s\n", conf->listen.mode, conf->listen.group);
    fprintf(out, "log=%u,%u\n", (unsigned)conf->log.target, (unsigned)conf->log.level);
}

static inline void dump_services(FILE *out, const struct conf *conf)
{
    char text[NET_TEXT];

    fprintf(out, "dns.servers=%s\ndns.timeout=%" PRId64 "\n", conf->dns.servers, conf->dns.timeout);
    fprintf(out, "dns.ttl=%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "\n", conf->dns.min_ttl,
            conf->dns.max_ttl, conf->dns.negative_ttl, conf->dns.stale);
    fprintf(out, "cache.redis=%u,%s,%s,%s,%u,%u,%s,%s\n", (unsigned)conf->cache.kind,
            conf->cache.redis, conf->cache.path, conf->cache.host, conf->cache.port,
            conf->cache.database, conf->cache.user, conf->cache.sentinel);
    fprintf(out, "cache.password=%s\ncache.prefix=%s\n", conf->cache.password, conf->cache.prefix);
    fprintf(out, "cache.timeout=%" PRId64 "\ncache.entries=%zu\ncache.secret_size=%zu\n",
            conf->cache.timeout, conf->cache.entries, conf->cache.secret_size);
    fprintf(out, "health=%" PRId64 ",%" PRId64 ",%u,%u,%u\n", conf->health.interval,
            conf->health.timeout, conf->health.fall, conf->health.rise,
            (unsigned)conf->health.depth);
    fprintf(out, "health.slow_start=%" PRId64 "\nhealth.source=%s\n", conf->health.slow_start,
            net_addr_format(&conf->health.source, text));
}

/* Begins with a line end, so that every line can be sought with one before and one after it. The
 * caller frees it. */
static inline char *conf_dump(const struct conf *conf)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    fputc('\n', out);
    dump_top(out, conf);
    dump_services(out, conf);
    dump_guard(out, &conf->guard);
    for (size_t i = 0; i < conf->pool_count; i++)
        dump_pool(out, &conf->pool[i]);
    for (size_t i = 0; i < conf->domain_count; i++) {
        fprintf(out, "domain %s\n", conf->domain[i].name);
        dump_guard(out, &conf->domain[i].guard);
        dump_routing(out, &conf->domain[i].routing);
        dump_socket(out, "flush", conf->domain[i].flush);
    }
    for (size_t i = 0; i < conf->match_count; i++) {
        fprintf(out, "match %s\n", conf->match[i].pattern);
        dump_routing(out, &conf->match[i].routing);
    }
    fclose(out);
    return text;
}

#endif
