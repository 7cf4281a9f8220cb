/*
 * The guard's rows in words, for `mxwarden explain`: what each tests, and the facts it saw.
 */
#include "policy/guard.h"

#include <inttypes.h>
#include <stdio.h>

const char *guard_row_name(unsigned row)
{
    static const char *const name[GUARD_ROWS + 1] = {
        [1] = "exempt",
        [2] = "client and listener known",
        [3] = "MX of the domain known",
        [4] = "listener is an MX of the domain",
        [5] = "a host is better than the listener",
        [6] = "a better host is healthy",
        [7] = "healthy better hosts are observed",
        [8] = "client seen at a better host",
        [9] = "client learned as honest",
        [10] = "memory can be trusted",
        [11] = "breaker",
        [12] = "a retry",
        [13] = "bypass",
        [GUARD_TRAP_ROW] = "trap",
    };
    return row >= 1 && row <= GUARD_ROWS ? name[row] : "";
}

static void order_fact(const struct guard_facts *facts, char *out, size_t size)
{
    const struct facts *mx = facts->has_order ? facts->order->mx : NULL;

    if (!facts->has_order)
        snprintf(out, size, "not asked for");
    else if (!mx)
        snprintf(out, size, "could not be had in time");
    else if (mx->state == FACTS_FAIL)
        snprintf(out, size, "could not be had: no answer of the DNS can be used");
    else
        snprintf(out, size, "%s, %zu hosts, %s %" PRId64 " s ago%s", facts_state_name(mx->state),
                 facts->order->count, mx->own ? "resolved here" : "by Redis, fetched",
                 facts->now - mx->fetched,
                 facts->order->own || !mx->own ? "" : ", addresses by Redis");
}

static void place_fact(const struct guard_facts *facts, char *out, size_t size)
{
    char text[NET_TEXT];
    int place = facts->has_order ? order_find_addr(facts->order, &facts->listener) : -1;

    net_addr_format(&facts->listener, text);
    if (place < 0)
        snprintf(out, size, "%s is none of its hosts", text);
    else
        snprintf(out, size, "%s is %s, preference %u", text, facts->order->host[place].host.name,
                 facts->order->host[place].host.preference);
}

/* One clause for each better address, as many as fit. */
static void better_fact(const struct guard_facts *facts, unsigned row, char *out, size_t size)
{
    size_t length = 0;

    snprintf(out, size, "none");
    for (size_t i = 0; i < facts->better_count && length < size; i++) {
        const struct guard_better *better = &facts->better[i];
        char text[NET_TEXT];
        int more = snprintf(out + length, size - length, "%s%s %s", i ? "; " : "",
                            facts->order->host[better->host].host.name,
                            net_addr_format(&better->addr, text));
        length += more > 0 ? (size_t)more : 0;
        if (row == 5 || length >= size)
            continue;
        if (row == 7)
            more = snprintf(out + length, size - length, " %sobserved",
                            better->observed ? "" : "not ");
        else if (better->good)
            more = snprintf(out + length, size - length,
                            " good for %" PRId64 " s of %" PRId64 " (hold_down), probed %" PRId64
                            " s ago",
                            facts->now - better->good_since, facts->guard->hold_down / 1000,
                            facts->now - better->probed_at);
        else if (better->probed_at > 0)
            more = snprintf(out + length, size - length, " not good, probed %" PRId64 " s ago",
                            facts->now - better->probed_at);
        else
            more = snprintf(out + length, size - length, " never probed");
        length += more > 0 ? (size_t)more : 0;
    }
}

static const char *source_of(const struct guard_trace *trace)
{
    return trace->shared ? "by Redis" : "by this node";
}

static void memory_fact(const struct guard_facts *facts, unsigned row, char *out, size_t size)
{
    const struct guard_trace *visit = &facts->visit, *lesson = &facts->lesson;
    char text[NET_TEXT];

    if (!facts->has_memory)
        snprintf(out, size, "not asked");
    else if (row == 8 && facts->seen)
        snprintf(out, size, "at %s, %" PRId64 " s ago, as %s, %s",
                 net_addr_format(&visit->where, text), facts->now - visit->at, visit->as,
                 source_of(visit));
    else if (row == 9 && facts->learned)
        snprintf(out, size, "%" PRId64 " s ago, as %s, %s", facts->now - lesson->at, lesson->as,
                 source_of(lesson));
    else if (row != 10)
        snprintf(out, size, "no");
    else
        snprintf(out, size, "%s, %s, nothing forgotten for %" PRId64 " s",
                 facts->memory_complete ? "answered" : "did not answer",
                 facts->memory_good ? "can be written" : "lost or evicting",
                 facts->now - facts->memory_since);
}

static void refusal_fact(const struct guard_facts *facts, char *out, size_t size)
{
    char before[96] = "never refused before", then[96] = "at its first retry, by its verified name";

    if (!facts->has_refusal && !facts->has_earlier) {
        snprintf(out, size, "not asked");
        return;
    }
    if (facts->first_refused > 0)
        snprintf(before, sizeof before, "first refused %" PRId64 " s ago%s",
                 facts->now - facts->first_refused,
                 facts->later_message ? ", in an earlier message" : "");
    if (!guard_may_retry_at_once(facts))
        snprintf(then, sizeof then, "%" PRId64 " s after the first refusal",
                 facts->guard->yield_after / 1000);
    snprintf(out, size, "%s; let in %s", before, then);
}

void guard_row_fact(const struct guard_facts *facts, unsigned row, char *out, size_t size)
{
    char text[NET_TEXT];

    out[0] = '\0';
    switch (row) {
    case 1:
        if (facts->guard)
            snprintf(out, size, "mode %s, client name %s", conf_mode_name(facts->guard->mode),
                     facts->question->client_name[0] ? facts->question->client_name : "unknown");
        else
            snprintf(out, size, "no section guards this domain");
        break;
    case 2:
        snprintf(out, size, "client %s",
                 facts->question->client.family != NET_NONE
                     ? net_addr_format(&facts->question->client, text)
                     : "unknown");
        break;
    case 3: order_fact(facts, out, size); break;
    case 4: place_fact(facts, out, size); break;
    case 5:
    case 6:
    case 7: better_fact(facts, row, out, size); break;
    case 8:
    case 9:
    case 10: memory_fact(facts, row, out, size); break;
    case 11:
        if (facts->has_memory)
            snprintf(out, size, "%u networks bypassed lately, visits at better hosts %s",
                     facts->bypass_nets, facts->visits_fell ? "fell" : "have not fallen");
        break;
    case 12: refusal_fact(facts, out, size); break;
    case GUARD_TRAP_ROW:
        if (facts->guard && facts->guard->trap[0])
            snprintf(out, size, "%s the decoy %s; the network is %strapped",
                     guard_is_decoy(facts) ? "is" : "is not", facts->guard->trap,
                     facts->trapped ? "" : "not ");
        break;
    default: break;
    }
}
