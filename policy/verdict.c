/*
 * Verdicts in words: the reply of each mode on each attachment, and the line for the log.
 */
#include "policy/verdict.h"

#include "policy/log.h"

#include <inttypes.h>
#include <stdio.h>

bool verdict_refuses(enum conf_mode mode)
{
    switch (mode) {
    case CONF_MODE_OFF:
    case CONF_MODE_DETECT:
    case CONF_MODE_TAG:
    case CONF_MODE_HOLD: return false;
    case CONF_MODE_DEFER:
    case CONF_MODE_REJECT:
    case CONF_MODE_FILTER: return true;
    }
    return false;
}

bool verdict_may_be_final(const struct conf_guard *guard)
{
    return guard->mode == CONF_MODE_REJECT || guard->mode == CONF_MODE_FILTER ||
           guard->off_mx == CONF_OFF_MX_REJECT;
}

/* FILTER acts on the whole message, so only a message's one recipient can ask for it, at DATA, on
 * the policy socket; a later recipient is deferred, and comes back alone (SPEC 5). */
static enum conf_mode filter_mode(const struct question *question)
{
    if (question->asker == QUESTION_MILTER)
        return CONF_MODE_DEFER;
    if (question->stage == QUESTION_DATA)
        return CONF_MODE_FILTER;
    return question->earlier > 0 ? CONF_MODE_DEFER : CONF_MODE_DETECT;
}

/* What the configuration asks for here and now, as the mode that always does so. */
static enum conf_mode asked_of(const struct conf_guard *guard, const struct guard_verdict *verdict,
                               const struct question *question)
{
    if (!guard || guard->mode == CONF_MODE_OFF || guard->mode == CONF_MODE_DETECT)
        return CONF_MODE_DETECT;
    if (verdict->reason == GUARD_OFF_MX) {
        switch (guard->off_mx) {
        case CONF_OFF_MX_OFF:
        case CONF_OFF_MX_LOG: return CONF_MODE_DETECT;
        case CONF_OFF_MX_DEFER: return CONF_MODE_DEFER;
        case CONF_OFF_MX_REJECT: return CONF_MODE_REJECT;
        }
    }
    /* Never more than a delay, and never another way in. */
    if (verdict->reason == GUARD_TRAP)
        return verdict_refuses(guard->mode) ? CONF_MODE_DEFER : CONF_MODE_DETECT;
    if (verdict->reason != GUARD_BYPASS)
        return CONF_MODE_DETECT;
    return guard->mode == CONF_MODE_FILTER ? filter_mode(question) : guard->mode;
}

/* A client that visited a better host at an address that could not be looked up was seen by nobody
 * who was asked. That may cost it a delay, and nothing that cannot be taken back. */
static enum conf_mode action_of(const struct conf_guard *guard, const struct guard_verdict *verdict,
                                const struct question *question)
{
    enum conf_mode asked = asked_of(guard, verdict, question);
    bool is_final = asked == CONF_MODE_REJECT || asked == CONF_MODE_FILTER;

    return is_final && verdict->better_unknown ? CONF_MODE_DETECT : asked;
}

/* A trapped network is not told where to go instead. */
static void put_defer(const struct conf_guard *guard, const struct guard_verdict *verdict,
                      const struct question *question, char out[VERDICT_ACTION_SIZE])
{
    const char *code = question->asker == QUESTION_MILTER ? "451" : "DEFER_IF_PERMIT";

    if (verdict->better)
        snprintf(out, VERDICT_ACTION_SIZE, "%s 4.7.1 %s (%s)", code, guard->text,
                 verdict->better->name);
    else
        snprintf(out, VERDICT_ACTION_SIZE,
                 "%s 4.7.1 Too many attempts at a host that accepts "
                 "none; try again later",
                 code);
}

char *verdict_action(const struct conf_guard *guard, const struct guard_verdict *verdict,
                     const struct question *question, char out[VERDICT_ACTION_SIZE])
{
    const char *better = verdict->better ? verdict->better->name : "";
    const char *mx = verdict->mx ? verdict->mx->name : "";
    const size_t size = VERDICT_ACTION_SIZE;

    switch (action_of(guard, verdict, question)) {
    case CONF_MODE_DEFER: put_defer(guard, verdict, question, out); break;
    case CONF_MODE_REJECT: snprintf(out, size, "550 5.7.1 %s (%s)", guard->text, better); break;
    case CONF_MODE_TAG:
        snprintf(out, size, "PREPEND X-MX-Warden: bypass; domain=%s; mx=%s",
                 question->recipient.domain, mx);
        break;
    case CONF_MODE_HOLD:
        snprintf(out, size, "HOLD mxwarden: bypass; domain=%s; mx=%s", question->recipient.domain,
                 mx);
        break;
    case CONF_MODE_FILTER: snprintf(out, size, "FILTER smtp:[%s]:25", better); break;
    case CONF_MODE_OFF:
    case CONF_MODE_DETECT: snprintf(out, size, "DUNNO"); break;
    }
    return out;
}

const char *verdict_name(const struct conf_guard *guard, const struct guard_verdict *verdict,
                         const struct question *question)
{
    enum conf_mode action = action_of(guard, verdict, question);

    return action == CONF_MODE_DETECT ? "accept" : conf_mode_name(action);
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
             verdict_name(facts->guard, verdict, q), guard_reason_name(verdict->reason),
             q->recipient.domain, net_addr_format(&q->client, client),
             net_addr_format(&facts->listener, listener), place, sender, recipient,
             q->queue_id[0] ? " qid=" : "", log_escape(q->queue_id, queue_id, sizeof queue_id),
             us / 1000, us % 1000 / 100);
    return out;
}
