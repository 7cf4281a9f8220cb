/*
 * The commands about a client: what the site knows of it (seen), that thrown away (forget), and an
 * administrator's word that it is honest (allow). By address and network: names and envelopes are
 * known only with a question.
 */
#include "policy/control_ask.h"

#include "cache/clock.h"
#include "cache/keys.h"
#include "policy/conf.h"
#include "policy/conf_value.h"
#include "policy/identity.h"
#include "policy/log.h"
#include "policy/memory.h"
#include "policy/site.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LISTENERS = 256, MAX_DOMAINS = 400, STAGE_SIZE = 16 };

/* One key of the client's, and what it is about. */
struct trace {
    bool is_visit, dry;
    struct net_addr listener;
    const char *domain; /* of what was learned: lives in the configuration, held by client */
    const char *as;     /* in client->who */
};

struct client {
    struct control_ask *ask;
    struct conf *conf;
    struct identity_set who;
    size_t count;
    struct trace *trace;
    char (*key)[KEYS_SIZE];
};

static void client_free(struct client *client)
{
    if (!client)
        return;
    conf_unref(client->conf);
    free(client->trace);
    free(client->key);
    free(client);
}

static void add_visit(struct client *client, const struct net_addr *listener, const char *as)
{
    struct trace *trace = &client->trace[client->count];

    *trace = (struct trace){.is_visit = true, .listener = *listener, .as = as};
    keys_seen(client->conf->cache.prefix, listener, as, client->key[client->count++]);
}

static void add_learned(struct client *client, const char *domain, bool dry, const char *as)
{
    struct trace *trace = &client->trace[client->count];

    *trace = (struct trace){.domain = domain, .dry = dry, .as = as};
    keys_ok(client->conf->cache.prefix, dry, domain, as, client->key[client->count++]);
}

/* Every key that may tell of the client: at each listener of the site, for each guarded domain. */
static void add_keys(struct client *client, const struct site *site)
{
    struct net_addr listener[MAX_LISTENERS];
    size_t listeners = site_listeners(site, listener, MAX_LISTENERS), domains = 0;

    for (size_t w = 0; w < client->who.count; w++) {
        const char *as = client->who.text[w];
        for (size_t i = 0; i < listeners; i++)
            add_visit(client, &listener[i], as);
        for (int dry = 0; dry < 2; dry++)
            add_learned(client, MEMORY_ANY_DOMAIN, dry, as);
    }
    for (size_t d = 0; d < client->conf->domain_count && domains < MAX_DOMAINS; d++) {
        const char *domain = client->conf->domain[d].name;
        if (client->conf->domain[d].kind != CONF_TITLE_DOMAIN)
            continue;
        domains++;
        for (size_t w = 0; w < client->who.count; w++)
            for (int dry = 0; dry < 2; dry++)
                add_learned(client, domain, dry, client->who.text[w]);
    }
}

/* The request's client, with all its keys; NULL, and the request has ended, where it is none. */
static struct client *client_new(struct control_ask *ask, const json_t *request)
{
    const size_t room = IDENTITY_MAX * (MAX_LISTENERS + 2 * (size_t)(MAX_DOMAINS + 1));
    const char *text = control_text(request, "client");
    struct conf *conf = ask->conversation->conf;
    struct question question = {0};
    struct client *client;

    if (!text || !net_addr_parse(text, &question.client)) {
        control_fail(ask, "usage", "client is missing, or no IP address");
        return NULL;
    }
    client = calloc(1, sizeof *client);
    if (client) {
        client->ask = ask;
        client->conf = conf_ref(conf);
        client->trace = calloc(room, sizeof *client->trace);
        client->key = calloc(room, sizeof *client->key);
    }
    if (!client || !client->trace || !client->key) {
        client_free(client);
        control_fail(ask, "refused", "out of memory");
        return NULL;
    }
    identity_of_learned(&question, conf->guard.evidence_net4, conf->guard.evidence_net6,
                        &client->who);
    add_keys(client, ask->conversation->site);
    return client;
}

/* "time,stage" apart. */
static json_t *show_visit(const struct trace *trace, const char *value)
{
    const char *stage = strchr(value, ',');
    char addr[NET_TEXT];

    return json_pack("{s:s, s:s, s:I, s:s}", "listener", net_addr_format(&trace->listener, addr),
                     "as", trace->as, "at", (json_int_t)strtoll(value, NULL, 10), "stage",
                     stage ? stage + 1 : "");
}

static json_t *show_learned(const struct trace *trace, const char *value)
{
    return json_pack("{s:s, s:s, s:I, s:b}", "domain", trace->domain, "as", trace->as, "at",
                     (json_int_t)strtoll(value, NULL, 10), "dry", (int)trace->dry);
}

static void on_values(void *arg, bool complete, const char (*value)[MEMORY_VALUE_SIZE])
{
    struct client *client = arg;
    struct control_ask *ask = client->ask;
    json_t *visits = json_array(), *learned = json_array();

    for (size_t i = 0; i < client->count; i++) {
        if (value[i][0] == '\0')
            continue;
        if (client->trace[i].is_visit)
            json_array_append_new(visits, show_visit(&client->trace[i], value[i]));
        else
            json_array_append_new(learned, show_learned(&client->trace[i], value[i]));
    }
    control_end(ask, json_pack("{s:s, s:s, s:b, s:o, s:o}", "status", "ok", "client",
                               client->who.text[0], "complete", (int)complete, "visits", visits,
                               "learned", learned));
    client_free(client);
}

void control_seen(struct control_ask *ask, const json_t *request)
{
    struct client *client = client_new(ask, request);

    if (!client)
        return;
    if (memory_values(ask->conversation->memory, (const char(*)[KEYS_SIZE])client->key,
                      client->count, on_values, client))
        return;
    client_free(client);
    control_fail(ask, "refused", "out of memory");
}

/* Its network is let out. */
static void drop_traps(const struct client *client)
{
    char key[2 * IDENTITY_MAX][KEYS_SIZE];
    size_t count = 0;

    for (size_t w = 0; w < client->who.count; w++)
        for (int dry = 0; strchr(client->who.text[w], '/') && dry < 2; dry++)
            keys_trap(client->conf->cache.prefix, dry, client->who.text[w], key[count++]);
    memory_drop(client->ask->conversation->memory, (const char(*)[KEYS_SIZE])key, count);
}

void control_forget(struct control_ask *ask, const json_t *request)
{
    struct client *client = client_new(ask, request);

    if (!client)
        return;
    drop_traps(client);
    memory_drop(ask->conversation->memory, (const char(*)[KEYS_SIZE])client->key, client->count);
    snprintf(ask->done, sizeof ask->done,
             "%s and its network %s are forgotten: visits, and what was learned",
             client->who.text[0], client->who.count > 1 ? client->who.text[1] : "");
    client_free(client);
    control_end_written(ask);
}

/* Learned for every domain, for the address alone, in either kind of mode. */
void control_allow(struct control_ask *ask, const json_t *request)
{
    const char *text = control_text(request, "client"), *time = control_text(request, "time");
    int64_t ms = ask->conversation->conf->guard.learn;
    struct identity_set who = {.count = 1};
    struct net_addr client;
    char text_of_time[32];

    if (!text || !net_addr_parse(text, &client)) {
        control_fail(ask, "usage", "client is missing, or no IP address");
        return;
    }
    if (time && (!conf_value_duration(time, &ms) || ms < 1000)) {
        control_fail(ask, "usage", "time is no duration of a second or more (90s, 10m, 2h, 1d)");
        return;
    }
    net_addr_format(&client, who.text[0]);
    for (int dry = 0; dry < 2; dry++)
        memory_put_learned(ask->conversation->memory, MEMORY_ANY_DOMAIN, &who, dry, ms / 1000);
    snprintf(ask->done, sizeof ask->done, "%s is let in everywhere for %s", who.text[0],
             conf_value_format_duration(ms - ms % 1000, text_of_time));
    control_end_written(ask);
}
