/*
 * Pools: their tiers, and the hosts in them.
 */
#include "policy/conf_build.h"

#include "policy/conf_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMTP_PORT = 25, ORDER_MAX = 65535 };

/* The title names the host. Returns its canonical name with port, "" for none, so that
 * "gw.example.net" and "GW.example.net:25" are found to be one. */
static const char *build_host(struct conf_reader *reader, const struct conf_section *section,
                              struct conf_pool_host *host)
{
    char text[NET_TEXT + NAME_SIZE];

    conf_build_defaults(reader, CONF_HOST, host);
    conf_build_section(reader, section, host);
    if (!conf_value_host(section->title, SMTP_PORT, host->name, &host->addr, &host->port)) {
        conf_report(reader, section, "", section->line, true,
                    "is neither a name nor an address, with or without a port");
        return "";
    }
    if (!*host->name && net_addr_scope(&host->addr) == NET_UNUSABLE)
        conf_report(reader, section, "", section->line, true,
                    "mail cannot go to a loopback, unspecified or multicast address");
    if (!*host->name)
        net_addr_format(&host->addr, host->name);
    snprintf(text, sizeof text, "%s:%u", host->name, host->port);
    return conf_keep_text(reader, text);
}

/* names takes the tier's hosts: one host has one place in a pool, whatever its tier. */
static void build_tier(struct conf_reader *reader, const struct conf_section *parent,
                       struct conf_tier *tier, struct conf_named **names)
{
    const struct conf_section *section;
    int64_t order = 0;

    if (!conf_value_number(parent->title, &order) || order > ORDER_MAX)
        conf_report(reader, parent, "", parent->line, true, "the title is no number from 0 to %d",
                    ORDER_MAX);
    tier->order = (unsigned)order;
    tier->host = conf_keep(reader, conf_scan_count(parent, CONF_HOST) * sizeof *tier->host);
    for (section = conf_scan_first(parent, CONF_HOST); section; section = conf_scan_next(section)) {
        const char *name = build_host(reader, section, &tier->host[tier->host_count++]);
        *(*names)++ = (struct conf_named){.name = name, .section = section};
    }
}

static int compare_tiers(const void *a, const void *b)
{
    const struct conf_tier *left = a, *right = b;

    return (left->order > right->order) - (left->order < right->order);
}

/* "10" and "010" are one tier, and so are "0" and "00". */
static const char *order_name(const char *title)
{
    size_t zeros = strspn(title, "0");

    return title + zeros - (zeros > 0 && title[zeros] == '\0');
}

static void build_pool(struct conf_reader *reader, const struct conf_section *parent,
                       struct conf_pool *pool)
{
    size_t tiers = conf_scan_count(parent, CONF_TIER), hosts = 0;
    const struct conf_section *section;
    struct conf_named *names, *end, *orders;

    for (section = conf_scan_first(parent, CONF_TIER); section; section = conf_scan_next(section))
        hosts += conf_scan_count(section, CONF_HOST);
    conf_build_defaults(reader, CONF_POOL, pool);
    conf_build_section(reader, parent, pool);
    pool->name = conf_keep_text(reader, parent->title);
    if (!conf_value_is_token(pool->name, 64))
        conf_report(reader, parent, "", parent->line, true,
                    "the title is not up to 64 letters, digits, '-', '_' and '.'");
    pool->tier = conf_keep(reader, tiers * sizeof *pool->tier);
    end = names = conf_memory_get(reader->scratch, (hosts + 1) * sizeof *names);
    orders = conf_memory_get(reader->scratch, (tiers + 1) * sizeof *orders);
    for (section = conf_scan_first(parent, CONF_TIER); section; section = conf_scan_next(section)) {
        struct conf_tier *tier = &pool->tier[pool->tier_count];
        build_tier(reader, section, tier, &end);
        orders[pool->tier_count++] =
            (struct conf_named){.name = order_name(section->title), .section = section};
    }
    conf_names_check(reader, orders, tiers);
    conf_names_check(reader, names, hosts);
    qsort(pool->tier, pool->tier_count, sizeof *pool->tier, compare_tiers);
    conf_check_pool(reader, parent);
}

static int compare_pools(const void *a, const void *b)
{
    return strcmp(((const struct conf_pool *)a)->name, ((const struct conf_pool *)b)->name);
}

/* Sorted by name in the end, for conf_find_pool. */
void conf_build_pools(struct conf_reader *reader, const struct conf_section *root)
{
    struct conf *conf = reader->conf;
    size_t count = conf_scan_count(root, CONF_POOL);
    struct conf_named *names = conf_memory_get(reader->scratch, (count + 1) * sizeof *names);
    const struct conf_section *section;

    conf->pool = conf_keep(reader, count * sizeof *conf->pool);
    for (section = conf_scan_first(root, CONF_POOL); section; section = conf_scan_next(section)) {
        struct conf_pool *pool = &conf->pool[conf->pool_count];
        build_pool(reader, section, pool);
        names[conf->pool_count++] = (struct conf_named){.name = pool->name, .section = section};
    }
    conf_names_check(reader, names, count);
    qsort(conf->pool, count, sizeof *conf->pool, compare_pools);
}
