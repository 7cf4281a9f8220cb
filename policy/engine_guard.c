/*
 * Guard questions: evidence at once, then the judge's loop (engine.h, 3 to 5).
 */
#include "policy/engine_question.h"

#include "policy/events.h"
#include "policy/log.h"
#include "policy/message.h"
#include "policy/pause.h"
#include "policy/site.h"
#include "policy/stats.h"
#include "policy/tally.h"
#include "policy/top.h"
#include "policy/verdict.h"
#include "policy/watch.h"

#include "cache/hash.h"

#include <stdio.h>
#include <string.h>

enum {
    /* Of the question's budget, what the memory may still need after the ordering: two looks and
     * the pause between, and the note of the refusal. */
    MEMORY_SHARE_MS = 600,
    GATHER_BUDGET_MS = ENGINE_POLICY_BUDGET_MS - MEMORY_SHARE_MS,
    /* The answer is on its way by then, however long each look at the memory may take. */
    ANSWER_BY_MS = ENGINE_POLICY_BUDGET_MS - 50,
    SMTP_PORT = 25,
    RENEW_AFTER = 86400, /* seconds: what is learned for long slides by at most a write a day */
    NETWORK_MESSAGES = 3,
};

static void step_judge(struct engine_question *q);

static const struct conf_guard *find_guard(const struct conf *conf, const char *domain)
{
    const struct conf_domain *section = conf_find_domain(conf, domain, false);

    return section ? &section->guard : NULL;
}

/* --- gathering -------------------------------------------------------------------------------- */

/* Where the better hosts stand now. Those of a configured domain are put under watch; under "*" an
 * address is only probed if a live node claims it, so that nobody can aim our probes. */
static void look_at_better(struct engine_question *q)
{
    const struct engine_parts *parts = &q->engine->parts;
    const struct conf_domain *section =
        conf_find_domain(q->conf, q->question.recipient.domain, true);

    guard_find_better(&q->facts);
    for (size_t i = 0; i < q->facts.better_count; i++) {
        struct guard_better *better = &q->facts.better[i];
        const char *name = q->order.host[better->host].host.name;
        struct watch_view view;

        if ((section && q->order.own) || site_is_claimed(parts->site, &better->addr))
            watch_want(parts->watch, name, SMTP_PORT, &better->addr, WATCH_GUARD,
                       q->question.recipient.domain);
        if (!watch_get_address(parts->watch, &better->addr, SMTP_PORT, &view))
            continue;
        better->good = view.health.last_good && view.age < 2 * q->conf->health.interval;
        better->good_since = view.health.good_since;
        better->probed_at = view.health.at;
        better->observed = view.observed;
    }
}

static void take_order(struct engine_question *q)
{
    q->has_order = true;
    q->facts.has_order = true;
    q->facts.order = &q->order;
    q->facts.better_changed = q->order.mx ? q->order.mx->changed : 0;
    look_at_better(q);
}

static void got_order(void *arg, struct order *order)
{
    struct engine_question *q = arg;

    q->gather = NULL;
    q->order = *order;
    take_order(q);
    step_judge(q);
}

/* What Redis says and nobody proves may delay a client. What cannot be taken back, and what sends a
 * message another way, is decided by an ordering that was resolved here or is proven. */
static enum fetch_trust trust_of(const struct engine_question *q)
{
    return verdict_may_be_final(q->facts.guard) ? FETCH_OWN : FETCH_ANY;
}

/* A domain that has no section of its own is charged to the client, unless the table has it. */
static struct gather *gather_stranger(struct engine_question *q)
{
    const char *domain = q->question.recipient.domain;
    struct quota *quota = q->engine->quota;
    struct net_cidr net = net_cidr_of(&q->question.client, q->conf->guard.evidence_net4,
                                      q->conf->guard.evidence_net6);
    struct gather *gather;
    char text[NET_TEXT];

    net_cidr_format(&net, text);
    if (!fetch_has(q->engine->parts.fetch, FACTS_MX, domain) &&
        !quota_take(quota, text, clock_mono()))
        return NULL;
    gather = gather_order(q->engine->parts.fetch, FACTS_MX, domain, trust_of(q), GATHER_BUDGET_MS,
                          got_order, q);
    if (gather)
        gather_charge(gather, quota, text);
    return gather;
}

/* True when it is there already, or cannot be had. */
static bool gather_ordering(struct engine_question *q)
{
    struct fetch *fetch = q->engine->parts.fetch;
    const char *domain = q->question.recipient.domain;

    if (gather_peek_order(fetch, FACTS_MX, domain, trust_of(q), false, &q->order)) {
        take_order(q);
        return true;
    }
    if (conf_find_domain(q->conf, domain, true))
        q->gather =
            gather_order(fetch, FACTS_MX, domain, trust_of(q), GATHER_BUDGET_MS, got_order, q);
    else
        q->gather = gather_stranger(q);
    if (q->gather)
        return false;
    order_init(&q->order, NULL, domain,
               NULL); /* not to be had: no memory, or too many such names */
    take_order(q);
    return true;
}

/* The question's time is over: it is judged without what has not come. */
static void step_late(struct engine_question *q)
{
    memory_cancel(q->wait);
    q->wait = NULL;
    q->step = step_judge;
    if (q->facts.has_memory) {
        q->facts.has_refusal = true;
        q->facts.refusal_kept = false;
    } else {
        q->facts.has_memory = true;
        q->facts.memory_complete = false;
    }
    step_judge(q);
}

static int64_t time_left(const struct engine_question *q)
{
    int64_t left = q->deadline - clock_mono();

    return left > 1 ? left : 1;
}

static void begin_wait(struct engine_question *q)
{
    q->step = step_late;
    engine_step_later(q, time_left(q));
}

static void end_wait(struct engine_question *q)
{
    q->wait = NULL;
    q->step = step_judge;
    event_del(q->timer);
}

/* Row 11: how many networks bypass, and whether fewer clients than usual reach a better host. */
static void look_at_tides(struct engine_question *q)
{
    const struct conf_guard *guard = q->facts.guard;

    q->facts.bypass_nets =
        tide_count_nets(&q->engine->bypassing, clock_mono(), guard->breaker_window);
    for (size_t i = 0; i < q->facts.better_count && !q->facts.visits_fell; i++)
        q->facts.visits_fell = site_has_fallen(q->engine->parts.site, &q->facts.better[i].addr,
                                               guard->breaker_window, guard->breaker_factor);
}

/* A refusal by this question itself is none of them: once it has noted that, nothing is taken. */
static void take_earlier(struct engine_question *q, const struct memory_refused *before)
{
    if (q->facts.has_refusal || !before->complete)
        return;
    q->facts.has_earlier = true;
    q->facts.first_refused = before->first_at;
    q->facts.later_message = before->later;
}

static void got_known(void *arg, const struct memory_known *known)
{
    struct engine_question *q = arg;

    end_wait(q);
    q->facts.has_memory = true;
    q->facts.memory_complete = known->complete;
    q->facts.memory_good = memory_get_state(q->engine->parts.memory, q->facts.guard->grace,
                                            &q->facts.memory_since) == MEMORY_GOOD;
    q->facts.seen = known->seen_at > 0;
    q->facts.visit = (struct guard_trace){
        .at = known->seen_at, .where = known->seen_where, .shared = known->shared};
    memcpy(q->facts.visit.as, known->seen_as, sizeof q->facts.visit.as);
    q->facts.lesson = (struct guard_trace){.at = known->learned_at, .shared = known->shared};
    memcpy(q->facts.lesson.as, known->learned_as, sizeof q->facts.lesson.as);
    look_at_tides(q);
    q->facts.learned = known->learned_at > 0;
    q->facts.trapped = known->trapped_at > 0;
    q->learned_at = known->learned_at;
    q->learned_any = known->learned_any;
    memcpy(q->learned_as, known->learned_as, sizeof q->learned_as);
    take_earlier(q, &known->before);
    step_judge(q);
}

static bool is_dry(const struct engine_question *q)
{
    return !verdict_refuses(q->facts.guard->mode);
}

/* What explain asks for is some other message. */
static uint64_t message_asked(const struct engine_question *q)
{
    return q->kind == ENGINE_EXPLAIN ? MESSAGE_ANOTHER : message_of(&q->question);
}

static void ask_memory(struct engine_question *q)
{
    const struct conf_guard *guard = &q->conf->guard;
    struct net_addr listener[GUARD_MAX_BETTER];
    struct identity_set who, digests;
    char net[NET_TEXT];
    struct memory_look look = {.listener = listener,
                               .listener_count = q->facts.better_count,
                               .who = &who,
                               .domain = q->question.recipient.domain,
                               .dry = is_dry(q),
                               .rcpt_only = q->facts.guard->min_stage == CONF_STAGE_RCPT,
                               .max_age = q->facts.guard->evidence_ttl / 1000,
                               .message = message_asked(q)};
    static const struct memory_known nothing;

    for (size_t i = 0; i < q->facts.better_count; i++)
        listener[i] = q->facts.better[i].addr;
    if (guard_is_decoy(&q->facts))
        look.listener_count =
            engine_add_listeners(q, listener, look.listener_count, GUARD_MAX_BETTER);
    if (q->facts.guard->trap[0])
        look.net = engine_net(q, net);
    identity_of_visit(&q->question, guard->evidence_net4, guard->evidence_net6, &who);
    if (!q->facts.has_refusal) {
        identity_of_retry(&q->question, guard->evidence_net4, guard->evidence_net6, &digests);
        look.retry = &digests;
    }
    q->wait = memory_ask(q->engine->parts.memory, &look, got_known, q);
    if (q->wait)
        begin_wait(q);
    else
        got_known(q, &nothing);
}

static void got_refusal(void *arg, const struct memory_refused *refused)
{
    struct engine_question *q = arg;

    end_wait(q);
    q->facts.has_refusal = true;
    q->facts.refusal_kept = refused->complete;
    q->facts.refused_anew = refused->fresh;
    q->facts.first_refused = refused->first_at;
    q->facts.later_message = refused->later;
    if (q->kind == ENGINE_EXPLAIN && refused->first_at == 0)
        q->facts.refusal_kept = true; /* nothing was to be kept */
    step_judge(q);
}

static void ask_refusal(struct engine_question *q)
{
    const struct conf_guard *guard = &q->conf->guard;
    struct memory *memory = q->engine->parts.memory;
    struct identity_set digests;
    static const struct memory_refused nothing;

    identity_of_retry(&q->question, guard->evidence_net4, guard->evidence_net6, &digests);
    q->wait = q->kind == ENGINE_EXPLAIN ? memory_recall(memory, &digests, is_dry(q), got_refusal, q)
                                        : memory_refuse(memory, &digests, message_of(&q->question),
                                                        is_dry(q), got_refusal, q);
    if (q->wait)
        begin_wait(q);
    else
        got_refusal(q, &nothing);
}

/* --- acting ----------------------------------------------------------------------------------- */

static void reply(struct engine_question *q, const struct guard_verdict *verdict)
{
    char action[VERDICT_ACTION_SIZE];

    if (q->answered)
        return;
    q->answered = true;
    verdict_action(q->facts.guard, verdict, &q->question, action);
    q->done.judged(q->arg, action);
}

static void put_learned(struct engine_question *q, const struct identity_set *who)
{
    memory_put_learned(q->engine->parts.memory, q->question.recipient.domain, who, is_dry(q),
                       q->facts.guard->learn / 1000);
}

/* The address and the verified domain at once, the network after three messages (SPEC 8, ok). */
static void learn(struct engine_question *q, bool yielded)
{
    const struct conf_guard *guard = &q->conf->guard;
    struct identity_set all, who = {0};

    identity_of_learned(&q->question, guard->evidence_net4, guard->evidence_net6, &all);
    for (size_t i = 0; i < all.count; i++) {
        bool is_net = strchr(all.text[i], '/') != NULL;
        if (is_net ? memory_count_message(q->engine->parts.memory, q->question.recipient.domain,
                                          all.text[i], q->question.instance, is_dry(q),
                                          NETWORK_MESSAGES, q->facts.guard->learn / 1000)
                   : yielded)
            memcpy(who.text[who.count++], all.text[i], sizeof all.text[i]);
    }
    if (who.count > 0)
        put_learned(q, &who);
}

/* Who goes on writing stays known: the identity that was known, and no other that came with it. */
static void renew(struct engine_question *q)
{
    const int64_t half = q->facts.guard->learn / 1000 / 2;
    const int64_t after = half < RENEW_AFTER ? half : RENEW_AFTER;
    struct identity_set who = {.count = 1};

    if (q->learned_any || q->facts.now - q->learned_at < after)
        return;
    memcpy(who.text[0], q->learned_as, sizeof q->learned_as);
    put_learned(q, &who);
}

/* The network counts while the breaker is open, too: else it would close by itself. */
static void note_bypass(struct engine_question *q)
{
    struct engine *engine = q->engine;
    int64_t now = clock_mono();
    char text[NET_TEXT];

    tide_note_net(&engine->bypassing, hash_choice("bypass", engine_net(q, text)), now);
    if (tide_count_nets(&engine->bypassing, now, q->facts.guard->breaker_window) <
            q->facts.guard->breaker_nets ||
        now - engine->alerted < q->facts.guard->breaker_window)
        return;
    engine->alerted = now;
    stats_add(engine->parts.stats, "breaker_alerts", 1);
    events_put(engine->parts.events, EVENTS_SITE,
               q->facts.visits_fell ? "breaker state=open" : "breaker state=closed");
    log_warning("guard: %u networks or more bypass the preferred hosts; the breaker is %s",
                q->facts.guard->breaker_nets,
                q->facts.visits_fell ? "open, since visits there fell" : "closed");
}

/* For the report: what was judged, and whom to follow (tally.h). */
static void tally(struct engine_question *q, const struct guard_verdict *verdict)
{
    const struct conf_guard *guard = &q->conf->guard;
    struct tally *tally = q->engine->parts.tally;
    const char *domain = q->question.recipient.domain;
    const struct tally_message message = {.domain = domain,
                                          .has_section = conf_find_domain(q->conf, domain, true),
                                          .instance = q->question.instance};
    struct net_addr better[GUARD_MAX_BETTER];
    struct identity_set who;

    if (q->question.stage == QUESTION_DATA || verdict->reason == GUARD_UNGUARDED)
        return;
    tally_judged(tally, &message);
    if (verdict->reason != GUARD_BYPASS || !q->facts.refused_anew)
        return;
    for (size_t i = 0; i < q->facts.better_count; i++)
        better[i] = q->facts.better[i].addr;
    identity_of_visit(&q->question, guard->evidence_net4, guard->evidence_net6, &who);
    tally_refused(tally, &message,
                  &(struct tally_refusal){.better = better,
                                          .better_count = q->facts.better_count,
                                          .who = &who,
                                          .dry = is_dry(q)});
}

/* At DATA the recipient is judged again, not anew: only what is done to it then is news. */
static void tell(struct engine_question *q, const struct guard_verdict *verdict)
{
    const struct engine_parts *parts = &q->engine->parts;
    char line[VERDICT_LINE_SIZE], net[NET_TEXT];
    bool again = q->question.stage == QUESTION_DATA;
    bool accepts = strcmp(verdict_name(q->facts.guard, verdict, &q->question), "accept") == 0;

    if (again && accepts)
        return;
    verdict_line(&q->facts, verdict, engine_now_us() - q->began_us, line);
    log_info("%s", line);
    if (!accepts)
        events_put(parts->events, EVENTS_VERDICT, line);
    if (again)
        return;
    stats_add_kind(parts->stats, "guard", guard_reason_name(verdict->reason));
    if (verdict->reason != GUARD_UNGUARDED)
        top_add(parts->top, TOP_DOMAINS, q->question.recipient.domain);
    if (verdict->reason == GUARD_BYPASS)
        top_add(parts->top, TOP_BYPASS, engine_net(q, net));
}

static void act(struct engine_question *q, const struct guard_verdict *verdict)
{
    if (verdict->reason == GUARD_OFF_MX)
        engine_warn_listener(q->engine, &q->facts.listener, &q->order,
                             q->question.recipient.domain);
    if (verdict->beneath == GUARD_BYPASS || verdict->beneath == GUARD_BREAKER)
        note_bypass(q);
    if (verdict->beneath == GUARD_YIELDED || (verdict->beneath == GUARD_LEARNED && !q->learned_any))
        learn(q, verdict->beneath == GUARD_YIELDED);
    if (verdict->beneath == GUARD_LEARNED)
        renew(q);
    if (verdict->reason == GUARD_TRAP && verdict->beneath == GUARD_BYPASS)
        engine_note_decoy(q);
    tally(q, verdict);
    tell(q, verdict);
}

static void explain(struct engine_question *q, const struct guard_verdict *verdict)
{
    char action[VERDICT_ACTION_SIZE];
    struct engine_explained explained = {
        .facts = &q->facts,
        .verdict = *verdict,
        .action = verdict_action(q->facts.guard, verdict, &q->question, action),
        .domain = q->question.recipient.domain,
    };

    q->done.explained(q->arg, &explained);
}

static void finish(struct engine_question *q, const struct guard_verdict *verdict)
{
    if (q->kind == ENGINE_EXPLAIN) {
        explain(q, verdict);
    } else {
        act(q, verdict);
        reply(q, verdict);
    }
    engine_end(q);
}

/* Before a refusal the memory is asked once more: the visit at the better host and this one may be
 * a round trip apart. Who is not refused need not wait for that. */
static void begin_second_look(struct engine_question *q)
{
    int64_t left = time_left(q);

    if (q->facts.guard->mode == CONF_MODE_DETECT && !q->answered) {
        q->answered = true;
        q->done.judged(q->arg, "DUNNO");
    }
    q->facts.has_second_look = true;
    q->facts.has_memory = false;
    engine_step_later(q, left < GUARD_SECOND_LOOK_MS ? left : GUARD_SECOND_LOOK_MS);
}

/* Asks the judge until it decides or something has to be waited for. */
static void step_judge(struct engine_question *q)
{
    struct guard_verdict verdict;

    for (;;) {
        q->facts.now = clock_unix(q->engine->parts.clock);
        switch (guard_judge(&q->facts, &verdict)) {
        case GUARD_NEED_NOTHING: finish(q, &verdict); return;
        case GUARD_NEED_ORDER:
            if (!gather_ordering(q))
                return;
            break;
        case GUARD_NEED_MEMORY: ask_memory(q); return;
        case GUARD_NEED_REFUSAL: ask_refusal(q); return;
        case GUARD_NEED_SECOND_LOOK:
            if (q->kind == ENGINE_EXPLAIN) {
                q->facts.has_second_look = true; /* what is known now is what is explained */
                break;
            }
            begin_second_look(q);
            return;
        }
    }
}

static void step_accept(struct engine_question *q)
{
    q->answered = true;
    q->done.judged(q->arg, "DUNNO");
    engine_end(q);
}

/* --- the door --------------------------------------------------------------------------------- */

/* What is judged: a recipient, of a client that is none of the site's own probes. At DATA again,
 * where the mode is filter. */
static bool is_judged(const struct engine *engine, const struct question *question)
{
    const struct conf_guard *guard = find_guard(engine->conf, question->recipient.domain);
    bool filters = guard && guard->mode == CONF_MODE_FILTER;

    if (question->evidence_only || !question->has_recipient ||
        (question->stage != QUESTION_RCPT && !(question->stage == QUESTION_DATA && filters)))
        return false;
    return !(question->is_probe && site_is_claimed(engine->parts.site, &question->client));
}

static void prepare(struct engine_question *q, const struct question *question)
{
    uint16_t port;

    q->question = *question;
    q->facts.question = &q->question;
    q->facts.conf = q->conf;
    q->facts.guard = find_guard(q->conf, question->recipient.domain);
    q->facts.listener = engine_map_listener(q->conf, question, &port);
    q->facts.paused = pause_until(q->engine->parts.pause, question->recipient.domain) > 0;
    q->deadline = clock_mono() + ANSWER_BY_MS;
}

struct engine_question *engine_judge(struct engine *engine, const struct question *question,
                                     engine_judged *done, void *arg)
{
    struct engine_question *q;

    engine_note_evidence(engine, question);
    q = engine_begin(engine, ENGINE_JUDGE, is_judged(engine, question) ? step_judge : step_accept,
                     arg);
    if (!q)
        return NULL;
    q->done.judged = done;
    prepare(q, question);
    return q;
}

struct engine_question *engine_explain(struct engine *engine, const struct question *question,
                                       engine_explained_done *done, void *arg)
{
    struct engine_question *q = engine_begin(engine, ENGINE_EXPLAIN, step_judge, arg);

    if (!q)
        return NULL;
    q->done.explained = done;
    prepare(q, question);
    return q;
}
