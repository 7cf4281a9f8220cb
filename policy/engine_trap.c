/*
 * The decoy's part of a question's life: who is refused there, and was seen nowhere else, is counted,
 * and in the end trapped.
 */
#include "policy/engine_question.h"

#include "policy/log.h"
#include "policy/site.h"
#include "policy/stats.h"
#include "policy/trap.h"
#include "policy/verdict.h"

#include <stdio.h>
#include <string.h>

/* A look at the memory takes no more keys than for so many listeners. */
enum { LISTENERS_MAX = 48 };

char *engine_net(const struct engine_question *q, char out[NET_TEXT])
{
    const struct conf_guard *guard = &q->conf->guard;
    struct net_cidr net =
        net_cidr_of(&q->question.client, guard->evidence_net4, guard->evidence_net6);

    return net_cidr_format(&net, out);
}

static bool has_addr(const struct net_addr *list, size_t count, const struct net_addr *addr)
{
    for (size_t i = 0; i < count; i++)
        if (net_addr_equal(&list[i], addr))
            return true;
    return false;
}

size_t engine_add_listeners(const struct engine_question *q, struct net_addr *listener,
                            size_t count, size_t size)
{
    struct net_addr all[LISTENERS_MAX];
    size_t listeners = site_listeners(q->engine->parts.site, all, LISTENERS_MAX);
    int decoy = order_find_addr(&q->order, &q->facts.listener);

    for (size_t i = 0; i < listeners && count < size && count < LISTENERS_MAX; i++)
        if (order_find_addr(&q->order, &all[i]) != decoy && !has_addr(listener, count, &all[i]))
            listener[count++] = all[i];
    return count;
}

void engine_note_decoy(struct engine_question *q)
{
    bool dry = !verdict_refuses(q->facts.guard->mode);
    char net[NET_TEXT], counted[NET_TEXT + 8], why[64];

    engine_net(q, net);
    snprintf(counted, sizeof counted, "%s%s", dry ? "dry:" : "", net);
    if (!trap_note(q->engine->trap, counted, q->question.instance, q->facts.now,
                   q->facts.memory_since))
        return;
    snprintf(why, sizeof why, "%d refusals by %.32s", TRAP_REFUSALS, q->facts.guard->trap);
    memory_put_trap(q->engine->parts.memory, net, dry, why);
    stats_add(q->engine->parts.stats, "trapped", 1);
    log_warning("guard: network %s is trapped for an hour%s: %s", net, dry ? ", or would be" : "",
                why);
}
