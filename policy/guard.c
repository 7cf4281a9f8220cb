/*
 * The guard's rows, in the order of SPEC 5: each row is a function that holds, does not hold, or
 * needs facts first. The table at the end is the whole decision.
 */
#include "policy/guard.h"

#include <stdio.h>
#include <string.h>

enum row_result { ROW_NO, ROW_HOLDS, ROW_NEEDS };

struct walk {
    const struct guard_facts *facts;
    struct guard_verdict *verdict;
    enum guard_need need;
};

static enum row_result hold(struct walk *walk, enum guard_reason reason)
{
    walk->verdict->reason = reason;
    return ROW_HOLDS;
}

static enum row_result need(struct walk *walk, enum guard_need what)
{
    walk->need = what;
    return ROW_NEEDS;
}

/* The best place at which some host of the ordering is the listener; -1 none. */
static int find_listener(const struct guard_facts *facts)
{
    return order_find_addr(facts->order, &facts->listener);
}

static bool shares_address(const struct guard_facts *facts, size_t host)
{
    const struct facts *addr = facts->order->host[host].addr;
    struct net_addr all[2 * FACTS_MAX_ADDRS];
    size_t count = order_addresses(addr, true, all, sizeof all / sizeof *all);

    for (size_t i = 0; i < count; i++)
        if (net_addr_equal(&all[i], &facts->listener))
            return true;
    return false;
}

void guard_find_better(struct guard_facts *facts)
{
    int own = find_listener(facts);

    facts->better_count = 0;
    facts->better_cut = false;
    for (size_t i = 0; own >= 0 && i < facts->order->count; i++) {
        const struct order_host *host = &facts->order->host[i];
        struct net_addr all[2 * FACTS_MAX_ADDRS];
        size_t count;

        if (host->host.preference >= facts->order->host[own].host.preference ||
            shares_address(facts, i))
            continue;
        count = order_addresses(host->addr, false, all, sizeof all / sizeof *all);
        for (size_t a = 0; a < count; a++) {
            if (facts->better_count == GUARD_MAX_BETTER) {
                facts->better_cut = true;
                return;
            }
            facts->better[facts->better_count++] =
                (struct guard_better){.host = (unsigned)i, .addr = all[a]};
        }
    }
}

/* Whether some better host may have had visits that nobody asks the memory for: at addresses whose
 * look-up failed. */
static bool has_unknown_better(const struct guard_facts *facts)
{
    int own = find_listener(facts);

    for (size_t i = 0; own >= 0 && i < facts->order->count; i++)
        if (facts->order->host[i].host.preference < facts->order->host[own].host.preference &&
            order_is_unknown(&facts->order->host[i]))
            return true;
    return false;
}

static bool is_same_family(const struct guard_facts *facts, const struct guard_better *better)
{
    return better->addr.family == facts->question->client.family;
}

/* Good now, and for hold_down (SPEC 4: a duration in ms): senders that met it dead before may
 * remember it as dead. */
static bool is_healthy(const struct guard_facts *facts, const struct guard_better *better)
{
    return better->good && better->good_since > 0 &&
           (facts->now - better->good_since) * 1000 >= facts->guard->hold_down;
}

/* Row 1 without the ordering: what the connection and the envelope say of themselves. */
static enum row_result row_exempt(struct walk *walk)
{
    const struct guard_facts *facts = walk->facts;
    const struct question *q = facts->question;
    const struct conf_guard *guard = facts->guard;

    if (guard->mode == CONF_MODE_OFF)
        return hold(walk, GUARD_EXEMPT_OFF);
    if (facts->paused)
        return hold(walk, GUARD_EXEMPT_PAUSE);
    if (q->has_sasl)
        return hold(walk, GUARD_EXEMPT_SASL);
    if (q->has_cert)
        return hold(walk, GUARD_EXEMPT_CERT);
    if (conf_nets_have(&facts->conf->networks, &q->client))
        return hold(walk, GUARD_EXEMPT_NETWORK);
    if (conf_allow_has(&guard->allow, &q->client, q->client_name))
        return hold(walk, GUARD_EXEMPT_ALLOW);
    if (q->has_sender &&
        address_is_listed(&q->sender, &guard->allow_senders, facts->conf->recipient_delimiter))
        return hold(walk, GUARD_EXEMPT_SENDER);
    if (address_is_listed(&q->recipient, &guard->allow_recipients,
                          facts->conf->recipient_delimiter))
        return hold(walk, GUARD_EXEMPT_RECIPIENT);
    return ROW_NO;
}

static enum row_result row_known(struct walk *walk)
{
    const struct guard_facts *facts = walk->facts;

    if (facts->question->client.family == NET_NONE)
        return hold(walk, GUARD_NO_CLIENT);
    if (facts->listener.family == NET_NONE)
        return hold(walk, GUARD_NO_LISTENER);
    return facts->has_order ? ROW_NO : need(walk, GUARD_NEED_ORDER);
}

static enum row_result row_dns(struct walk *walk)
{
    const struct order *order = walk->facts->order;

    switch (order->state) {
    case FACTS_FAIL: return hold(walk, GUARD_DNS_FAIL);
    case FACTS_NXDOMAIN: return hold(walk, GUARD_DNS_NXDOMAIN);
    case FACTS_NONE: return hold(walk, GUARD_DNS_NONE);
    case FACTS_NULL: return hold(walk, GUARD_DNS_NULL);
    case FACTS_OK: break;
    }
    /* Whether the listener is among them cannot be told while any host's addresses are unknown. */
    if (find_listener(walk->facts) < 0 && order_has_unknown(order))
        return hold(walk, GUARD_DNS_FAIL);
    return ROW_NO;
}

/* Row 1 again, now that the ordering is known: the domain's own hosts relay to each other. */
static enum row_result row_exempt_mx(struct walk *walk)
{
    return order_find_addr(walk->facts->order, &walk->facts->question->client) >= 0
               ? hold(walk, GUARD_EXEMPT_MX)
               : ROW_NO;
}

/* Where guard.trap is set, a trapped network is refused at every listener; not so who was learned
 * there, and nobody on the word of a memory that cannot be trusted. */
static enum row_result row_trapped(struct walk *walk)
{
    const struct guard_facts *facts = walk->facts;

    if (facts->guard->trap[0] == '\0')
        return ROW_NO;
    if (!facts->has_memory)
        return need(walk, GUARD_NEED_MEMORY);
    return facts->trapped && !facts->learned && facts->memory_complete && facts->memory_good
               ? hold(walk, GUARD_TRAP)
               : ROW_NO;
}

static bool is_off_mx(const struct guard_facts *facts)
{
    return find_listener(facts) < 0;
}

/* `off` and `log` accept at once. What refuses passes over the rows about better hosts, of which
 * this listener has none, and goes through rows 9 to 12 first. */
static enum row_result row_off_mx(struct walk *walk)
{
    switch (walk->facts->guard->off_mx) {
    case CONF_OFF_MX_OFF:
    case CONF_OFF_MX_LOG: return is_off_mx(walk->facts) ? hold(walk, GUARD_OFF_MX) : ROW_NO;
    case CONF_OFF_MX_DEFER:
    case CONF_OFF_MX_REJECT: break;
    }
    return ROW_NO;
}

static enum row_result row_best(struct walk *walk)
{
    const struct guard_facts *facts = walk->facts;

    if (is_off_mx(facts))
        return ROW_NO;
    for (size_t i = 0; i < facts->better_count; i++)
        if (is_same_family(facts, &facts->better[i]))
            return ROW_NO;
    return hold(walk, GUARD_BEST);
}

static enum row_result row_better_down(struct walk *walk)
{
    const struct guard_facts *facts = walk->facts;

    if (is_off_mx(facts))
        return ROW_NO;
    for (size_t i = 0; i < facts->better_count; i++)
        if (is_same_family(facts, &facts->better[i]) && is_healthy(facts, &facts->better[i])) {
            walk->verdict->better = &facts->order->host[facts->better[i].host].host;
            return ROW_NO;
        }
    return hold(walk, GUARD_BETTER_DOWN);
}

/* A host with several addresses is observed only if every one that answers is, of either family:
 * the client may have visited any of them. */
static bool is_observed(const struct guard_facts *facts, unsigned host)
{
    for (size_t i = 0; i < facts->better_count; i++)
        if (facts->better[i].host == host && facts->better[i].good && !facts->better[i].observed)
            return false;
    return true;
}

static enum row_result row_unobserved(struct walk *walk)
{
    const struct guard_facts *facts = walk->facts;

    if (is_off_mx(facts) || !facts->guard->require_observed)
        return ROW_NO;
    if (facts->better_cut)
        return hold(walk, GUARD_UNOBSERVED);
    for (size_t i = 0; i < facts->better_count; i++)
        if (is_same_family(facts, &facts->better[i]) && is_healthy(facts, &facts->better[i]) &&
            !is_observed(facts, facts->better[i].host))
            return hold(walk, GUARD_UNOBSERVED);
    return ROW_NO;
}

static enum row_result row_seen(struct walk *walk)
{
    const struct guard_facts *facts = walk->facts;

    if (!facts->has_memory)
        return need(walk, GUARD_NEED_MEMORY);
    return facts->seen && !is_off_mx(facts) ? hold(walk, GUARD_SEEN) : ROW_NO;
}

static enum row_result row_learned(struct walk *walk)
{
    return walk->facts->learned ? hold(walk, GUARD_LEARNED) : ROW_NO;
}

static enum row_result row_memory(struct walk *walk)
{
    const struct guard_facts *facts = walk->facts;

    if (!facts->memory_complete || !facts->memory_good)
        return hold(walk, GUARD_MEMORY);
    if ((facts->now - facts->memory_since) * 1000 < facts->guard->grace)
        return hold(walk, GUARD_YOUNG);
    if (facts->better_changed > 0 &&
        (facts->now - facts->better_changed) * 1000 < facts->guard->grace)
        return hold(walk, GUARD_MX_CHANGED);
    return ROW_NO;
}

static enum row_result row_breaker(struct walk *walk)
{
    const struct guard_facts *facts = walk->facts;

    return facts->visits_fell && facts->bypass_nets >= facts->guard->breaker_nets
               ? hold(walk, GUARD_BREAKER)
               : ROW_NO;
}

/* A mail server may come back within moments (a queue run takes what was tried just now), and is
 * believed at once. Not so in the message that was refused: a recipient given twice is no retry. */
bool guard_may_retry_at_once(const struct guard_facts *facts)
{
    return identity_is_server(facts->question) &&
           (facts->first_refused == 0 || facts->later_message);
}

static bool is_retry(const struct guard_facts *facts)
{
    if (facts->first_refused <= 0 || facts->refused_anew)
        return false;
    return (facts->now - facts->first_refused) * 1000 >= facts->guard->yield_after ||
           guard_may_retry_at_once(facts);
}

static enum row_result row_yielded(struct walk *walk)
{
    const struct guard_facts *facts = walk->facts;

    if (!facts->has_refusal)
        return facts->has_earlier && is_retry(facts) ? hold(walk, GUARD_YIELDED)
                                                     : need(walk, GUARD_NEED_REFUSAL);
    /* A refusal that cannot be remembered could be repeated without end. */
    if (!facts->refusal_kept) {
        walk->verdict->row = 10;
        return hold(walk, GUARD_MEMORY);
    }
    return is_retry(facts) ? hold(walk, GUARD_YIELDED) : ROW_NO;
}

static enum row_result row_bypass(struct walk *walk)
{
    if (is_off_mx(walk->facts)) {
        walk->verdict->better = &walk->facts->order->host[0].host;
        return hold(walk, GUARD_OFF_MX);
    }
    if (!walk->facts->has_second_look)
        return need(walk, GUARD_NEED_SECOND_LOOK);
    return hold(walk, GUARD_BYPASS);
}

static const struct {
    unsigned row;
    enum row_result (*judge)(struct walk *walk);
} rows[] = {
    {1, row_exempt},     {2, row_known},    {3, row_dns},     {1, row_exempt_mx},
    {14, row_trapped},   {4, row_off_mx},   {5, row_best},    {6, row_better_down},
    {7, row_unobserved}, {8, row_seen},     {9, row_learned}, {10, row_memory},
    {11, row_breaker},   {12, row_yielded}, {13, row_bypass},
};

bool guard_is_decoy(const struct guard_facts *facts)
{
    const struct order *order = facts->order;
    int own = facts->guard && facts->guard->trap[0] && facts->has_order ? find_listener(facts) : -1;

    if (own < 0 || order->count < 2 || strcmp(order->host[own].host.name, facts->guard->trap) != 0)
        return false;
    for (size_t i = 0; i < order->count; i++)
        if ((int)i != own && order->host[i].host.preference >= order->host[own].host.preference)
            return false;
    return true;
}

/* The decoy has a reason of its own from where its rows would be about the order of hosts. */
static void judge_decoy(const struct guard_facts *facts, struct guard_verdict *verdict)
{
    verdict->beneath = verdict->reason;
    if (verdict->row < 5 || !guard_is_decoy(facts))
        return;
    verdict->reason = GUARD_TRAP;
    verdict->row = GUARD_TRAP_ROW;
    verdict->better = &facts->order->host[0].host;
}

enum guard_need guard_judge(const struct guard_facts *facts, struct guard_verdict *verdict)
{
    struct walk walk = {.facts = facts, .verdict = verdict};

    memset(verdict, 0, sizeof *verdict);
    verdict->reason = GUARD_UNGUARDED;
    if (!facts->guard)
        return GUARD_NEED_NOTHING;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        switch (rows[i].judge(&walk)) {
        case ROW_NO: continue;
        case ROW_NEEDS: return walk.need;
        case ROW_HOLDS: break;
        }
        if (verdict->row == 0)
            verdict->row = rows[i].row;
        break;
    }
    if (facts->has_order && find_listener(facts) >= 0)
        verdict->mx = &facts->order->host[find_listener(facts)].host;
    verdict->better_unknown = facts->has_order && has_unknown_better(facts);
    judge_decoy(facts, verdict);
    return GUARD_NEED_NOTHING;
}

const char *guard_reason_name(enum guard_reason reason)
{
    static const char *const name[GUARD_REASON_COUNT] = {
        [GUARD_UNGUARDED] = "unguarded",
        [GUARD_EXEMPT_SASL] = "exempt-sasl",
        [GUARD_EXEMPT_CERT] = "exempt-cert",
        [GUARD_EXEMPT_NETWORK] = "exempt-network",
        [GUARD_EXEMPT_ALLOW] = "exempt-allow",
        [GUARD_EXEMPT_SENDER] = "exempt-sender",
        [GUARD_EXEMPT_RECIPIENT] = "exempt-recipient",
        [GUARD_EXEMPT_MX] = "exempt-mx",
        [GUARD_EXEMPT_OFF] = "exempt-off",
        [GUARD_EXEMPT_PAUSE] = "exempt-pause",
        [GUARD_NO_CLIENT] = "no-client",
        [GUARD_NO_LISTENER] = "no-listener",
        [GUARD_DNS_FAIL] = "dns-fail",
        [GUARD_DNS_NXDOMAIN] = "dns-nxdomain",
        [GUARD_DNS_NONE] = "dns-none",
        [GUARD_DNS_NULL] = "dns-null",
        [GUARD_OFF_MX] = "off-mx",
        [GUARD_BEST] = "best",
        [GUARD_BETTER_DOWN] = "better-down",
        [GUARD_UNOBSERVED] = "unobserved",
        [GUARD_SEEN] = "seen",
        [GUARD_LEARNED] = "learned",
        [GUARD_YOUNG] = "young",
        [GUARD_MEMORY] = "memory",
        [GUARD_MX_CHANGED] = "mx-changed",
        [GUARD_BREAKER] = "breaker",
        [GUARD_YIELDED] = "yielded",
        [GUARD_TRAP] = "trap",
        [GUARD_BYPASS] = "bypass",
    };
    return name[reason];
}
