/*
 * The policy conversation: Postfix's check_policy_service, and mxwarden-milter, which speaks the
 * same protocol. Requests become questions (ask.c), actions become replies.
 *
 * What is no policy request closes its connection without a word, as the protocol has it; whatever
 * the engine cannot take is answered DUNNO, so that no trouble of ours is held against mail.
 */
#include "policy/conversation.h"

#include "policy/attrs.h"
#include "policy/engine.h"
#include "policy/stats.h"

#include <stdlib.h>
#include <string.h>

enum {
    FRAME_TIMEOUT_MS = 10 * 1000,
    PEERS_MAX = 4000,
    REPLY_MAX = 2048,
};

/* What is kept of a peer. One smtpd process has one connection and one message at a time, so one
 * instance is enough to remember. */
struct policy_peer {
    struct engine_question *question;
    enum question_asker asker;
    char instance[QUESTION_ID_SIZE]; /* of the question under way */
    unsigned recipients;             /* asked about in that message so far */
    char tagged[QUESTION_ID_SIZE];   /* the last message that was given a header */
};

static void policy_reply(struct peer *peer, const char *action)
{
    char reply[REPLY_MAX];
    size_t length = 0;

    if (*action == '\0' || !attrs_put(reply, sizeof reply - 1, &length, "action", action))
        attrs_put(reply, sizeof reply - 1, &length, "action", "DUNNO");
    attrs_end(reply, sizeof reply, &length);
    peer_reply(peer, reply, length, false);
}

/* A message gets one header, however many of its recipients ask for it. The milter sees to that by
 * itself: it adds the header at the end of the message. */
static bool is_repeated_tag(struct policy_peer *policy, const char *action)
{
    if (policy->asker != QUESTION_POLICY || strncmp(action, "PREPEND ", 8) != 0 ||
        policy->instance[0] == '\0')
        return false;
    if (strcmp(policy->tagged, policy->instance) == 0)
        return true;
    memcpy(policy->tagged, policy->instance, sizeof policy->tagged);
    return false;
}

static void on_judged(void *arg, const char *action)
{
    struct peer *peer = arg;
    struct policy_peer *policy = peer_data(peer);

    policy->question = NULL;
    policy_reply(peer, is_repeated_tag(policy, action) ? "DUNNO" : action);
}

/* Which message this is about, and how many of its recipients came before. */
static void follow_message(struct policy_peer *policy, struct question *question)
{
    if (strcmp(policy->instance, question->instance) != 0)
        policy->recipients = 0;
    memcpy(policy->instance, question->instance, sizeof policy->instance);
    question->earlier = policy->recipients;
    if (question->stage == QUESTION_RCPT)
        policy->recipients++;
}

static void ask(struct peer *peer, struct policy_peer *policy, struct question *question)
{
    const struct conversation *conversation = peer_arg(peer);

    policy->asker = question->asker;
    follow_message(policy, question);
    if (question->stage != QUESTION_OTHER)
        policy->question = engine_judge(conversation->engine, question, on_judged, peer);
    if (!policy->question)
        policy_reply(peer, "DUNNO");
}

/* Scanning begins at the request's first byte each time, so it waits for what could end one: bytes
 * that come singly would else cost the square of their number. */
static bool may_be_whole(const char *data, size_t length)
{
    return data[0] == '\n' || data[0] == '\r' || length >= ATTRS_MAX_SIZE ||
           memmem(data, length, "\n\n", 2) || memmem(data, length, "\n\r\n", 3);
}

static struct policy_peer *policy_peer_of(struct peer *peer)
{
    struct policy_peer *policy = peer_data(peer);

    if (!policy) {
        policy = calloc(1, sizeof *policy);
        peer_set_data(peer, policy);
    }
    return policy;
}

static enum listen_input on_input(struct peer *peer, const char *data, size_t length, size_t *used)
{
    const struct conversation *conversation = peer_arg(peer);
    struct policy_peer *policy = policy_peer_of(peer);
    struct question question;
    struct attrs attrs;

    if (!policy)
        return LISTEN_BAD;
    if (!may_be_whole(data, length))
        return LISTEN_MORE;
    switch (attrs_scan(data, length, &attrs, used)) {
    case ATTRS_MORE: return LISTEN_MORE;
    case ATTRS_BAD: break;
    case ATTRS_DONE:
        if (!delegate_parse(&attrs, &question))
            break;
        ask(peer, policy, &question);
        return LISTEN_TAKEN;
    }
    stats_add(conversation->stats, "policy_bad", 1);
    return LISTEN_BAD;
}

static void on_closed(struct peer *peer)
{
    struct policy_peer *policy = peer_data(peer);

    if (policy && policy->question)
        engine_cancel(policy->question);
    free(policy);
}

void delegate_handler(struct listen_handler *out, struct conversation *conversation)
{
    *out = (struct listen_handler){
        .name = "policy",
        .max_frame = ATTRS_MAX_SIZE,
        .frame_timeout = FRAME_TIMEOUT_MS,
        .max_peers = PEERS_MAX,
        .input = on_input,
        .closed = on_closed,
        .arg = conversation,
    };
}
