/*
 * What must hold for any bytes at the doors of cache/: one function a door, used by the libFuzzer
 * programs beside this file and, with a fixed seed, by tests/unit/test_mangle.c. A target returns
 * when all held and aborts otherwise.
 */
#ifndef TESTS_FUZZ_TARGETS_H
#define TESTS_FUZZ_TARGETS_H

#include "cache/answer.h"
#include "cache/codec.h"
#include "cache/keys.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TARGETS_NOW = 1800000000, TARGETS_MAX_AGE = 172800 };

#define TARGETS_HOLD(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* A copy of its very size, so that a sanitiser sees every step past the end. */
static inline char *targets_copy(const void *data, size_t size)
{
    char *copy = malloc(size ? size : 1);

    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    return copy;
}

static inline void targets_name_holds(const char *name)
{
    char again[NAME_SIZE];

    TARGETS_HOLD(name_normalize(name, strlen(name), again));
    TARGETS_HOLD(strcmp(name, again) == 0);
}

static inline void targets_addrs_hold(const struct net_addr *addr, size_t count, unsigned family)
{
    TARGETS_HOLD(count <= FACTS_MAX_ADDRS);
    for (size_t i = 0; i < count; i++) {
        TARGETS_HOLD(addr[i].family == family && net_addr_scope(&addr[i]) != NET_UNUSABLE);
        TARGETS_HOLD(i == 0 || net_addr_compare(&addr[i - 1], &addr[i]) < 0);
    }
}

static inline void targets_hosts_hold(const struct facts_host *host, size_t count, bool srv)
{
    TARGETS_HOLD(count <= FACTS_MAX_HOSTS);
    for (size_t i = 0; i < count; i++) {
        targets_name_holds(host[i].name);
        TARGETS_HOLD(host[i].port != 0);
        TARGETS_HOLD(srv || (host[i].port == FACTS_SMTP_PORT && host[i].weight == 0));
        TARGETS_HOLD(i == 0 || host[i - 1].preference <= host[i].preference);
        for (size_t k = 0; k < i; k++)
            TARGETS_HOLD(host[k].port != host[i].port || strcmp(host[k].name, host[i].name) != 0);
    }
}

/* Facts as every reader of them may take them to be. */
static inline void targets_facts_hold(const struct facts *facts)
{
    size_t count;

    if (facts->kind != FACTS_ADDR) {
        count = facts->mx.count;
        targets_hosts_hold(facts->mx.host, count, facts->kind == FACTS_SRV);
    } else {
        count = facts->addr.a_count + facts->addr.aaaa_count;
        TARGETS_HOLD(facts->state != FACTS_NULL);
        targets_addrs_hold(facts->addr.a, facts->addr.a_count, NET_IPV4);
        targets_addrs_hold(facts->addr.aaaa, facts->addr.aaaa_count, NET_IPV6);
    }
    TARGETS_HOLD(facts->refs == 1);
    TARGETS_HOLD((facts->state == FACTS_OK) == (count > 0));
}

/* What one node writes, another reads as the same. */
static inline void targets_round_trip(const struct facts *facts)
{
    struct codec_pair pair[CODEC_MAX_FIELDS];
    struct codec_fields fields;

    if (!codec_format(facts, &fields)) {
        TARGETS_HOLD(facts->state == FACTS_FAIL);
        return;
    }
    for (size_t i = 0; i < fields.count; i++)
        pair[i] = (struct codec_pair){.name = fields.name[i],
                                      .value = fields.value[i],
                                      .name_length = strlen(fields.name[i]),
                                      .value_length = strlen(fields.value[i])};
    struct facts *back = codec_parse(facts->kind, pair, fields.count, TARGETS_NOW, TARGETS_MAX_AGE);
    TARGETS_HOLD(back && facts_equal(facts, back));
    facts_unref(back);
}

/* A DNS answer, taken for one to each type of question. */
static inline void target_answer(const uint8_t *data, size_t size)
{
    static const struct answer_limits limits = {30, 86400, 300};
    static const struct {
        enum answer_type type;
        const char *name;
    } questions[] = {{ANSWER_MX, "example.com"},
                     {ANSWER_A, "example.com"},
                     {ANSWER_AAAA, "example.com"},
                     {ANSWER_SRV, "example.com"},
                     {ANSWER_SRV, FACTS_SRV_LABELS "example.com"}};

    char *copy = targets_copy(data, size);
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        struct facts *facts = answer_parse(questions[i].type, questions[i].name,
                                           (const uint8_t *)copy, size, &limits);
        TARGETS_HOLD(facts && facts->own);
        TARGETS_HOLD(facts->ttl >= limits.min_ttl && facts->ttl <= limits.max_ttl);
        targets_facts_hold(facts);
        targets_round_trip(facts);
        facts_unref(facts);
    }
    free(copy);
}

/* HGETALL's names and values: lines "name=value", each kind of facts. */
static inline void target_codec(const uint8_t *data, size_t size)
{
    struct codec_pair pair[2 * CODEC_MAX_FIELDS];
    char *copy = targets_copy(data, size);
    size_t count = 0, at = 0;

    while (at < size && count < sizeof pair / sizeof *pair) {
        const char *line = copy + at, *end = memchr(line, '\n', size - at);
        size_t length = end ? (size_t)(end - line) : size - at;
        const char *equals = memchr(line, '=', length);
        at += length + 1;
        if (!equals)
            continue;
        size_t name = (size_t)(equals - line);
        pair[count++] = (struct codec_pair){line, equals + 1, name, length - name - 1};
    }
    for (int kind = FACTS_MX; kind <= FACTS_SRV; kind++) {
        struct facts *facts =
            codec_parse((enum facts_kind)kind, pair, count, TARGETS_NOW, TARGETS_MAX_AGE);
        if (!facts)
            continue;
        TARGETS_HOLD(!facts->own && facts->state != FACTS_FAIL);
        TARGETS_HOLD(facts->expires <= TARGETS_NOW + TARGETS_MAX_AGE && facts->expires >= 0);
        TARGETS_HOLD(facts->fetched <= TARGETS_NOW && facts->changed <= TARGETS_NOW);
        targets_facts_hold(facts);
        targets_round_trip(facts);
        facts_unref(facts);
    }
    free(copy);
}

static inline void targets_net(const char *text)
{
    char out[NET_TEXT];
    struct net_addr addr, addr_again;
    struct net_cidr cidr, cidr_again;

    if (net_addr_parse(text, &addr)) {
        TARGETS_HOLD(net_addr_parse(net_addr_format(&addr, out), &addr_again));
        TARGETS_HOLD(net_addr_equal(&addr, &addr_again));
        TARGETS_HOLD(net_cidr_parse(text, &cidr) || text[0] == '[');
    }
    if (net_cidr_parse(text, &cidr)) {
        TARGETS_HOLD(net_cidr_parse(net_cidr_format(&cidr, out), &cidr_again));
        TARGETS_HOLD(cidr.bits == cidr_again.bits && net_cidr_has(&cidr, &cidr_again.addr));
    }
}

/* A text at every door that takes one: names, addresses, networks, keys, hosts with ports. */
static inline void target_text(const uint8_t *data, size_t size)
{
    static const struct net_addr addrs[] = {
        {NET_IPV4, {192, 0, 2, 10}},
        {NET_IPV6, {0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1}}};
    char name[NAME_SIZE], registrable[NAME_SIZE], host[NAME_SIZE];
    const char *rest;
    uint16_t port;

    char *bytes = targets_copy(data, size);
    if (name_normalize(bytes, size, name)) {
        targets_name_holds(name);
        if (name_registrable(name, registrable))
            TARGETS_HOLD(name_is_below(name, registrable));
        name_embeds_address(name, &addrs[0]);
        name_embeds_address(name, &addrs[1]);
        TARGETS_HOLD(name_matches(name, name) && name_matches("*", name));
    } else {
        TARGETS_HOLD(name[0] == '\0');
    }
    free(bytes);

    char *text = malloc(size + 1);
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    targets_net(text);
    keys_parse("mxw1", text, &rest);
    TARGETS_HOLD(rest[0] == '\0' || (rest > text && rest <= text + size));
    if (keys_parse_host(text, 25, host, &port)) {
        TARGETS_HOLD(port != 0 && host[0] != '\0');
        if (host[0] != '[')
            targets_name_holds(host);
    }
    free(text);
}

#endif
