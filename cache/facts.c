/*
 * Facts: making them, comparing them, counting who holds them.
 *
 * While one is made it never holds more than the limits, whatever the source sends: the best
 * FACTS_MAX_HOSTS names, or the lowest FACTS_MAX_ADDRS addresses. Which those are does not depend
 * on the order in which they came, so every node keeps the same of an overlong answer.
 */
#include "cache/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct facts *facts_new(enum facts_kind kind, enum facts_state state)
{
    struct facts *facts = calloc(1, sizeof *facts);

    if (!facts)
        return NULL;
    facts->kind = kind;
    facts->state = state;
    facts->refs = 1;
    /* Room for the most there can be, so that adding never moves what is there. */
    if (kind != FACTS_ADDR) {
        facts->mx.host = calloc(FACTS_MAX_HOSTS, sizeof *facts->mx.host);
        if (!facts->mx.host) {
            free(facts);
            return NULL;
        }
    }
    return facts;
}

/* The count is the holders' business and no part of what is known: hence through const. */
struct facts *facts_ref(const struct facts *facts)
{
    struct facts *own = (struct facts *)facts;

    own->refs++;
    return own;
}

void facts_unref(const struct facts *facts)
{
    struct facts *own = (struct facts *)facts;

    if (!own || --own->refs > 0)
        return;
    if (own->kind != FACTS_ADDR) {
        for (size_t i = 0; i < own->mx.count; i++)
            free(own->mx.host[i].name);
        free(own->mx.host);
    }
    free(own);
}

/* Best first; names and ports make it a total order, so that equal sets are equal lists. */
static int host_compare(const void *left, const void *right)
{
    const struct facts_host *a = left, *b = right;
    int names;

    if (a->preference != b->preference)
        return a->preference < b->preference ? -1 : 1;
    names = strcmp(a->name, b->name);
    return names ? names : (int)a->port - (int)b->port;
}

static bool host_is_same(const struct facts_host *a, const struct facts_host *b)
{
    return a->port == b->port && strcmp(a->name, b->name) == 0;
}

/* Of two records for the same host and port. */
static bool host_is_better(const struct facts_host *a, const struct facts_host *b)
{
    return a->preference < b->preference ||
           (a->preference == b->preference && a->weight > b->weight);
}

static int addr_compare(const void *left, const void *right)
{
    return net_addr_compare(left, right);
}

/* Where such a host goes: its present place, a new one, or that of the worst host, which
 * is then let go. NULL where all present ones are better. */
static struct facts_host *host_place(struct facts *facts, const struct facts_host *newcomer)
{
    struct facts_host *worst = NULL;

    for (size_t i = 0; i < facts->mx.count; i++) {
        struct facts_host *host = &facts->mx.host[i];
        if (host_is_same(host, newcomer))
            return host_is_better(newcomer, host) ? host : NULL;
        if (!worst || host_compare(host, worst) > 0)
            worst = host;
    }
    if (facts->mx.count < FACTS_MAX_HOSTS)
        return &facts->mx.host[facts->mx.count];
    /* A host let go here and coming back with a better preference is judged anew: in the end the
     * best distinct ones are there, whatever the order. */
    facts->warnings |= FACTS_WARN_CUT;
    return host_compare(newcomer, worst) < 0 ? worst : NULL;
}

bool facts_add_service(struct facts *facts, const struct facts_host *service)
{
    struct facts_host newcomer = *service;

    newcomer.name = strdup(service->name);
    if (!newcomer.name)
        return false;
    struct facts_host *place = host_place(facts, &newcomer);
    if (!place) {
        free(newcomer.name);
        return true;
    }
    if (place == &facts->mx.host[facts->mx.count])
        facts->mx.count++;
    free(place->name); /* NULL in a place not used before */
    *place = newcomer;
    return true;
}

bool facts_add_host(struct facts *facts, uint16_t preference, const char *name)
{
    struct facts_host host = {
        .preference = preference, .port = FACTS_SMTP_PORT, .name = (char *)name};

    return facts_add_service(facts, &host);
}

void facts_add_addr(struct facts *facts, const struct net_addr *addr)
{
    bool ipv4 = addr->family == NET_IPV4;
    struct net_addr *list = ipv4 ? facts->addr.a : facts->addr.aaaa, *worst = list;
    size_t *count = ipv4 ? &facts->addr.a_count : &facts->addr.aaaa_count;

    for (size_t i = 0; i < *count; i++) {
        if (net_addr_equal(&list[i], addr))
            return;
        if (net_addr_compare(&list[i], worst) > 0)
            worst = &list[i];
    }
    if (*count < FACTS_MAX_ADDRS) {
        list[(*count)++] = *addr;
        return;
    }
    facts->warnings |= FACTS_WARN_CUT;
    if (net_addr_compare(addr, worst) < 0)
        *worst = *addr;
}

void facts_seal(struct facts *facts)
{
    if (facts->kind == FACTS_ADDR) {
        qsort(facts->addr.a, facts->addr.a_count, sizeof *facts->addr.a, addr_compare);
        qsort(facts->addr.aaaa, facts->addr.aaaa_count, sizeof *facts->addr.aaaa, addr_compare);
    } else if (facts->mx.count > 0) {
        qsort(facts->mx.host, facts->mx.count, sizeof *facts->mx.host, host_compare);
    }
}

static bool addrs_equal(const struct net_addr *a, size_t a_count, const struct net_addr *b,
                        size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (!net_addr_equal(&a[i], &b[i]))
            return false;
    return true;
}

bool facts_have_addr(const struct facts *facts, const struct net_addr *addr)
{
    if (!facts || facts->state != FACTS_OK)
        return false;
    for (size_t i = 0; i < facts->addr.a_count; i++)
        if (net_addr_equal(&facts->addr.a[i], addr))
            return true;
    for (size_t i = 0; i < facts->addr.aaaa_count; i++)
        if (net_addr_equal(&facts->addr.aaaa[i], addr))
            return true;
    return false;
}

/* Both are sealed, so equal sets are in the same order. */
bool facts_equal(const struct facts *a, const struct facts *b)
{
    if (a->kind != b->kind || a->state != b->state)
        return false;
    if (a->kind == FACTS_ADDR)
        return addrs_equal(a->addr.a, a->addr.a_count, b->addr.a, b->addr.a_count) &&
               addrs_equal(a->addr.aaaa, a->addr.aaaa_count, b->addr.aaaa, b->addr.aaaa_count);
    if (a->mx.count != b->mx.count)
        return false;
    for (size_t i = 0; i < a->mx.count; i++)
        if (host_compare(&a->mx.host[i], &b->mx.host[i]) != 0 ||
            a->mx.host[i].weight != b->mx.host[i].weight)
            return false;
    return true;
}

char *facts_owner(enum facts_kind kind, const char *name, char out[FACTS_OWNER_SIZE])
{
    snprintf(out, FACTS_OWNER_SIZE, "%s%s", kind == FACTS_SRV ? FACTS_SRV_LABELS : "", name);
    return out;
}

bool facts_are_trusted(const struct facts *facts)
{
    return facts->own || facts->proven;
}

/* SPEC 8's words for the field `state`. */
static const char *const state_names[] = {
    [FACTS_OK] = "ok",     [FACTS_NONE] = "none",
    [FACTS_NULL] = "null", [FACTS_NXDOMAIN] = "nxdomain",
    [FACTS_FAIL] = "fail",
};

const char *facts_state_name(enum facts_state state)
{
    return state_names[state];
}

bool facts_state_parse(const char *text, enum facts_state *out)
{
    for (size_t i = 0; i < sizeof state_names / sizeof *state_names; i++)
        if (strcmp(text, state_names[i]) == 0) {
            *out = (enum facts_state)i;
            return true;
        }
    return false;
}
