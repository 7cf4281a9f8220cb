/*
 * The guard's path for one question, row by row, and what to do about the row that decided.
 */
#include "policy/show.h"

#include "policy/engine.h"
#include "policy/guard.h"
#include "policy/verdict.h"

#include <jansson.h>

enum { TRAP_AFTER_ROW = 3, OFF_MX_ROW = 4, FACT_SIZE = 512 };

/* Row 4 is decided last but one: where the listener is no MX there is no better host, so rows 5 to
 * 8 are passed over and 9 to 12 come first (SPEC 5). */
static bool is_reached(unsigned row, unsigned decided)
{
    if (row == GUARD_TRAP_ROW)
        return decided > TRAP_AFTER_ROW;
    if (decided == GUARD_TRAP_ROW)
        return row <= TRAP_AFTER_ROW;
    if (decided == OFF_MX_ROW)
        return row <= 4 || (row >= 9 && row <= 12);
    return row <= decided;
}

static const char *hint_of(enum guard_reason reason)
{
    switch (reason) {
    case GUARD_UNGUARDED: return "no domain section covers this recipient's domain";
    case GUARD_EXEMPT_OFF: return "guard.mode is off for this domain";
    case GUARD_EXEMPT_PAUSE: return "the guard is paused: mxwarden resume";
    case GUARD_NO_LISTENER:
        return "the mail server did not say which address was reached (Postfix before 3.2, or a "
               "listener on every address without {if_addr})";
    case GUARD_DNS_FAIL:
        return "see whether the resolvers answer: dns.servers, or /etc/resolv.conf, which is read "
               "at the start and at a reload";
    case GUARD_OFF_MX:
        return "if this address stands for another one (NAT, a balancer), say so in `listeners`";
    case GUARD_BETTER_DOWN:
        return "a better host must have been good for guard.hold_down; mxwarden hosts shows the "
               "probes";
    case GUARD_UNOBSERVED: return "mxwarden hosts says which link of the chain is missing";
    case GUARD_YOUNG: return "the memory is younger than guard.grace";
    case GUARD_MEMORY: return "mxwarden stats shows the state of Redis";
    case GUARD_BREAKER:
        return "many networks bypass, and visits at a better host fell: the way there may be "
               "broken";
    case GUARD_TRAP:
        return "this is the decoy that guard.trap names, which never accepts; or the client's "
               "network was refused there ten times in a day, and mxwarden forget ends its hour";
    case GUARD_BYPASS: /* bypass_hint */
    case GUARD_EXEMPT_SASL:
    case GUARD_EXEMPT_CERT:
    case GUARD_EXEMPT_NETWORK:
    case GUARD_EXEMPT_ALLOW:
    case GUARD_EXEMPT_SENDER:
    case GUARD_EXEMPT_RECIPIENT:
    case GUARD_EXEMPT_MX:
    case GUARD_NO_CLIENT:
    case GUARD_DNS_NXDOMAIN:
    case GUARD_DNS_NONE:
    case GUARD_DNS_NULL:
    case GUARD_BEST:
    case GUARD_SEEN:
    case GUARD_LEARNED:
    case GUARD_MX_CHANGED:
    case GUARD_YIELDED:
    case GUARD_REASON_COUNT: break;
    }
    return "";
}

/* What this very client can do to be let in. */
static json_t *bypass_hint(const struct guard_facts *facts, const struct guard_verdict *verdict)
{
    const char *better = verdict->better ? verdict->better->name : "a better MX";
    json_int_t wait = facts->guard->yield_after / 1000;

    if (guard_may_retry_at_once(facts))
        return json_sprintf("it is let in once it has been to %s, or when it tries the same sender "
                            "and recipient again",
                            better);
    if (facts->first_refused > 0)
        wait -= facts->now - facts->first_refused;
    return json_sprintf("it is let in once it has been to %s, or when it tries the same sender and "
                        "recipient again %lld s after %s",
                        better, (long long)wait,
                        facts->first_refused > 0 ? "now" : "its first refusal");
}

static json_t *show_hint(const struct guard_facts *facts, const struct guard_verdict *verdict)
{
    return facts->guard && verdict->reason == GUARD_BYPASS ? bypass_hint(facts, verdict)
                                                           : json_string(hint_of(verdict->reason));
}

static json_t *show_rows(const struct guard_facts *facts, unsigned decided)
{
    json_t *rows = json_array();

    for (unsigned row = 1; row <= GUARD_ROWS; row++) {
        if (row == GUARD_TRAP_ROW && (!facts->guard || !facts->guard->trap[0]))
            continue;
        char fact[FACT_SIZE] = "";
        json_t *holds = json_null();
        if (is_reached(row, decided)) {
            holds = json_boolean(row == decided);
            guard_row_fact(facts, row, fact, sizeof fact);
        }
        json_array_append_new(rows, json_pack("{s:i, s:s, s:o, s:s}", "row", (int)row, "test",
                                              guard_row_name(row), "holds", holds, "fact", fact));
    }
    return rows;
}

json_t *show_explain(const struct engine_explained *explained)
{
    const struct guard_facts *facts = explained->facts;
    const struct guard_verdict *verdict = &explained->verdict;

    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "status", "ok", "verdict",
                     verdict_name(facts->guard, verdict, facts->question), "reason",
                     guard_reason_name(verdict->reason), "reply", explained->action, "domain",
                     explained->domain, "mode",
                     facts->guard ? conf_mode_name(facts->guard->mode) : "none", "rows",
                     show_rows(facts, verdict->row), "hint", show_hint(facts, verdict));
}
