/*
 * Verdicts in words: the reply of each mode on each attachment, and the line for the log.
 */
#include "policy/verdict.h"

#include "policy/log.h"

#include <inttypes.h>
#include <stdio.h>

enum conf_mode verdict_mode(const struct conf_guard *guard)
{
    switch (guard->mode) {
    case CONF_MODE_OFF:
    case CONF_MODE_DETECT:
    case CONF_MODE_TAG:
    case CONF_MODE_DEFER: return guard->mode;
    case CONF_MODE_HOLD:
    case CONF_MODE_REJECT:
    case CONF_MODE_FILTER: return CONF_MODE_DETECT;
    }
    return CONF_MODE_DETECT;
}

bool verdict_refuses(enum conf_mode mode)
{
    return mode == CONF_MODE_DEFER;
}

/* What the mode does about this verdict: accepts (detect), tags or defers. */
static enum conf_mode action_of(const struct conf_guard *guard, const struct guard_verdict *verdict)
{
    return guard && verdict->reason == GUARD_BYPASS ? verdict_mode(guard) : CONF_MODE_DETECT;
}

char *verdict_action(const struct conf_guard *guard, const struct guard_verdict *verdict,
                     const struct question *question, char out[VERDICT_ACTION_SIZE])
{
    const char *better = verdict->better ? verdict->better->name : "";

    switch (action_of(guard, verdict)) {
    case CONF_MODE_DEFER:
        snprintf(out, VERDICT_ACTION_SIZE, "%s 4.7.1 %s (%s)",
                 question->asker == QUESTION_MILTER ? "451" : "DEFER_IF_PERMIT", guard->text,
                 better);
        break;
    case CONF_MODE_TAG:
        snprintf(out, VERDICT_ACTION_SIZE, "PREPEND X-MX-Warden: bypass; domain=%s; mx=%s",
                 question->recipient.domain, verdict->mx ? verdict->mx->name : "");
        break;
    case CONF_MODE_OFF:
    case CONF_MODE_DETECT:
    case CONF_MODE_HOLD:
    case CONF_MODE_REJECT:
    case CONF_MODE_FILTER: snprintf(out, VERDICT_ACTION_SIZE, "DUNNO"); break;
    }
    return out;
}

const char *verdict_name(const struct conf_guard *guard, const struct guard_verdict *verdict)
{
    switch (action_of(guard, verdict)) {
    case CONF_MODE_DEFER: return "defer";
    case CONF_MODE_TAG: return "tag";
    case CONF_MODE_OFF:
    case CONF_MODE_DETECT:
    case CONF_MODE_HOLD:
    case CONF_MODE_REJECT:
    case CONF_MODE_FILTER: return "accept";
    }
    return "accept";
}

static void put_place(const struct guard_verdict *verdict, char *out, size_t size)
{
    int length = 0;

    out[0] = '\0';
    if (verdict->mx)
        length = snprintf(out, size, " mx=%s tier=%u", verdict->mx->name, verdict->mx->preference);
    if (verdict->better)
        snprintf(out + length, size - (size_t)length, " better=%s", verdict->better->name);
}

char *verdict_line(const struct guard_facts *facts, const struct guard_verdict *verdict, int64_t us,
                   char out[VERDICT_LINE_SIZE])
{
    const struct question *q = facts->question;
    char client[NET_TEXT], listener[NET_TEXT], place[2 * NAME_SIZE + 32];
    char address[ADDRESS_SIZE], sender[ADDRESS_SIZE], recipient[ADDRESS_SIZE];
    char queue_id[QUESTION_ID_SIZE];

    log_escape(address_format(&q->sender, false, address), sender, sizeof sender);
    log_escape(address_format(&q->recipient, false, address), recipient, sizeof recipient);
    put_place(verdict, place, sizeof place);
    snprintf(out, VERDICT_LINE_SIZE,
             "guard verdict=%s reason=%s domain=%s client=%s listener=%s%s sender=<%s> rcpt=<%s>"
             "%s%s ms=%" PRId64 ".%" PRId64,
             verdict_name(facts->guard, verdict), guard_reason_name(verdict->reason),
             q->recipient.domain, net_addr_format(&q->client, client),
             net_addr_format(&facts->listener, listener), place, sender, recipient,
             q->queue_id[0] ? " qid=" : "", log_escape(q->queue_id, queue_id, sizeof queue_id),
             us / 1000, us % 1000 / 100);
    return out;
}
