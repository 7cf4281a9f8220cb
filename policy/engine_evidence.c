/*
 * Evidence: who came, and which probe reached whom, written down at once whatever then happens to
 * the visit (SPEC 5, Evidence and Observed).
 */
#include "policy/engine_question.h"

#include "policy/log.h"
#include "policy/site.h"

enum { SMTP_PORT = 25 };

struct net_addr engine_map_listener(const struct conf *conf, const struct question *question,
                                    uint16_t *port)
{
    *port = question->listener_port;
    for (size_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *map = &conf->listener[i];
        if (!net_addr_equal(&map->local, &question->listener) ||
            (map->local_port && question->listener_port &&
             map->local_port != question->listener_port))
            continue;
        if (map->public_port)
            *port = map->public_port;
        return map->public;
    }
    return question->listener;
}

static const char *stage_name(enum question_stage stage)
{
    return stage == QUESTION_RCPT ? "rcpt" : "connect";
}

/* Writes down that the client was here (SPEC 5, Evidence). Nobody waits for it. Our own probes, the
 * site's own hosts and `networks` (a balancer's checks, relays) are no clients. */
static void put_visit(struct engine *engine, const struct question *question,
                      const struct net_addr *listener, uint16_t port)
{
    const struct conf_guard *guard = &engine->conf->guard;
    struct identity_set who;

    if ((port != 0 && port != SMTP_PORT) || question->is_probe ||
        conf_nets_have(&engine->conf->networks, &question->client) ||
        site_is_claimed(engine->parts.site, &question->client))
        return;
    identity_of_visit(question, guard->evidence_net4, guard->evidence_net6, &who);
    memory_put_visit(engine->parts.memory, listener, &who, stage_name(question->stage),
                     engine->evidence_ttl);
    if (question->stage == QUESTION_CONNECT ||
        (question->asker == QUESTION_POLICY && question->earlier == 0))
        site_note_visit(engine->parts.site);
}

static void note_visit(struct engine *engine, const struct question *question)
{
    uint16_t port;
    struct net_addr listener = engine_map_listener(engine->conf, question, &port);

    if (listener.family == NET_NONE || question->client.family == NET_NONE)
        return;
    site_note_asked(engine->parts.site, &listener, question->asker);
    if (question->stage == QUESTION_CONNECT || question->stage == QUESTION_RCPT)
        put_visit(engine, question, &listener, port);
}

/* Nobody asked here, so this is no claim: a log may tell of other hosts' listeners, too. */
void engine_note_visit(struct engine *engine, const struct net_addr *client,
                       const struct net_addr *listener, uint16_t port)
{
    const struct question question = {
        .stage = QUESTION_CONNECT, .client = *client, .listener = *listener, .listener_port = port};
    struct net_addr public = engine_map_listener(engine->conf, &question, &port);

    if (public.family != NET_NONE && client->family != NET_NONE)
        put_visit(engine, &question, &public, port);
}

/* A probe of some node came this far: its prober looks for this note. */
static void note_proof(struct engine *engine, const struct question *question)
{
    uint16_t port;
    struct net_addr listener = engine_map_listener(engine->conf, question, &port);

    if (!question->is_probe || listener.family == NET_NONE)
        return;
    site_note_asked(engine->parts.site, &listener, question->asker);
    memory_put_proof(engine->parts.memory, question->nonce, &listener, engine->conf->guard.grace);
}

void engine_note_evidence(struct engine *engine, const struct question *question)
{
    note_proof(engine, question);
    note_visit(engine, question);
}

/* Whether this is said for the first time about that address; a few are remembered. */
static bool is_news(struct engine *engine, const struct net_addr *listener)
{
    for (size_t i = 0; i < engine->warned_count; i++)
        if (net_addr_equal(&engine->warned[i], listener))
            return false;
    if (engine->warned_count == ENGINE_WARNED)
        return false;
    engine->warned[engine->warned_count++] = *listener;
    return true;
}

/* An address of the ordering that is this host's own: what the local one probably stands for. */
static bool find_own(const struct engine *engine, const struct order *order, struct net_addr *out)
{
    struct net_addr all[2 * FACTS_MAX_ADDRS];

    for (size_t i = 0; i < order->count; i++) {
        size_t count = order_addresses(order->host[i].addr, false, all, 2 * FACTS_MAX_ADDRS);
        for (size_t a = 0; a < count; a++)
            if (site_is_self_name(engine->parts.site, order->host[i].host.name) ||
                site_is_self_addr(engine->parts.site, &all[a])) {
                *out = all[a];
                return true;
            }
    }
    return false;
}

void engine_warn_listener(struct engine *engine, const struct net_addr *listener,
                          const struct order *order, const char *domain)
{
    char local[NET_TEXT], public[NET_TEXT] = "PUBLIC";
    struct net_addr own;

    if (net_addr_scope(listener) == NET_PUBLIC || !is_news(engine, listener))
        return;
    if (find_own(engine, order, &own))
        net_addr_bare(&own, public);
    log_warning(
        "guard: mail for %s reaches this host at %s, which no MX record names, so nobody is "
        "judged there; if that stands for a public address, say so: listeners = {\"%s=%s\"}",
        domain, net_addr_bare(listener, local), local, public);
}
