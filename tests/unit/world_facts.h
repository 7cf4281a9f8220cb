/*
 * Facts for tests, in one line each.
 */
#ifndef TESTS_UNIT_WORLD_FACTS_H
#define TESTS_UNIT_WORLD_FACTS_H

#include "cache/facts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline struct net_addr addr_of(const char *text)
{
    struct net_addr addr;
    bool ok = net_addr_parse(text, &addr);

    if (!ok)
        fprintf(stderr, "no address: %s\n", text);
    assert(ok);
    return addr;
}

/* "10 mx1.example.com,20 mx2.example.com"; one of the state names but ok for that state. */
static inline struct facts *mx_of(const char *text)
{
    enum facts_state state;
    struct facts *facts;
    char copy[4096], *save, *word;

    if (facts_state_parse(text, &state)) {
        facts = facts_new(FACTS_MX, state);
        facts->own = true;
        return facts;
    }
    facts = facts_new(FACTS_MX, FACTS_OK);
    facts->own = true;
    snprintf(copy, sizeof copy, "%s", text);
    for (word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        char *name;
        unsigned long preference = strtoul(word, &name, 10);
        facts_add_host(facts, (uint16_t)preference, name + strspn(name, " "));
    }
    facts_seal(facts);
    return facts;
}

/* "10 60 25 mx1.example.com,..." (priority, weight, port), or a state name but ok. */
static inline struct facts *srv_of(const char *text)
{
    enum facts_state state = FACTS_OK;
    struct facts *facts;
    char copy[4096], *save, *word;

    facts_state_parse(text, &state);
    facts = facts_new(FACTS_SRV, state);
    facts->own = true;
    snprintf(copy, sizeof copy, "%s", text);
    for (word = strtok_r(copy, ",", &save); word && state == FACTS_OK;
         word = strtok_r(NULL, ",", &save)) {
        char *rest;
        struct facts_host host = {.preference = (uint16_t)strtoul(word, &rest, 10)};
        host.weight = (uint16_t)strtoul(rest, &rest, 10);
        host.port = (uint16_t)strtoul(rest, &rest, 10);
        host.name = rest + strspn(rest, " ");
        facts_add_service(facts, &host);
    }
    facts_seal(facts);
    return facts;
}

/* "192.0.2.10,2001:db8::10"; a state name for that state. */
static inline struct facts *addrs_of(const char *text)
{
    enum facts_state state;
    struct facts *facts;
    char copy[4096], *save, *word;

    if (facts_state_parse(text, &state)) {
        facts = facts_new(FACTS_ADDR, state);
        facts->own = true;
        return facts;
    }
    facts = facts_new(FACTS_ADDR, FACTS_OK);
    facts->own = true;
    snprintf(copy, sizeof copy, "%s", text);
    for (word = strtok_r(copy, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
        struct net_addr addr = addr_of(word);
        facts_add_addr(facts, &addr);
    }
    facts_seal(facts);
    return facts;
}

#endif
