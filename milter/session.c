/*
 * The client's facts live as long as the session, the message's until the next MAIL, abort or end
 * of message. Everything is copied out of the mail server's hands at the callback that brings it.
 */
#include "milter/session.h"

#include "cache/net.h"
#include "milter/macros.h"
#include "milter/request.h"
#include "milter/action.h"
#include "policy/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum {
    SESSION_ACTION_SIZE = 4096,
    SESSION_TAGS_MAX = 16, /* different headers a message may get */
    SESSION_ID_SIZE = 64,  /* what the service keeps of an instance or a queue id */
    SESSION_VERDICTS_SIZE = 96,
};

/* What begins the name that a probe says (SPEC 5, "Observed"). */
static const char PROBE_PREFIX[] = "mxwp-";

struct session_tag {
    char *name, *value;
};

/* One message. Texts are NULL where not known. */
struct session_message {
    char *sender, *sasl_method, *sasl_username, *ccert_subject;
    char *recipient; /* the first one that got a verdict other than accept */
    char instance[SESSION_ID_SIZE], queue_id[SESSION_ID_SIZE];
    unsigned verdicts[ACTION_REJECT + 1]; /* how many of each kind */
    struct session_tag tags[SESSION_TAGS_MAX];
    size_t tag_count;
    char *hold;
    int headers; /* of ours that came with it */
};

struct session {
    const struct session_policy *policy;
    struct net_addr client, server;
    uint16_t client_port, server_port;
    char *client_name, *helo;
    struct session_message message;
};

static char *text_copy(const char *text)
{
    return text && text[0] ? strdup(text) : NULL;
}

static void text_set(char **slot, const char *text)
{
    free(*slot);
    *slot = text_copy(text);
}

static void message_clear(struct session_message *message)
{
    free(message->sender);
    free(message->sasl_method);
    free(message->sasl_username);
    free(message->ccert_subject);
    free(message->recipient);
    free(message->hold);
    for (size_t i = 0; i < message->tag_count; i++) {
        free(message->tags[i].name);
        free(message->tags[i].value);
    }
    memset(message, 0, sizeof *message);
}

struct session *session_new(const struct session_policy *policy)
{
    struct session *session = calloc(1, sizeof *session);

    if (session)
        session->policy = policy;
    return session;
}

void session_free(struct session *session)
{
    if (!session)
        return;
    message_clear(&session->message);
    free(session->client_name);
    free(session->helo);
    free(session);
}

/* One a message and never again, also not by another process: the service takes the recipients of
 * one instance for those of one message, as it does with Postfix's. */
static void instance_make(char out[SESSION_ID_SIZE])
{
    static atomic_ulong counter;
    struct timespec now = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(out, SESSION_ID_SIZE, "%lx.%llx.%lx.%lx", (unsigned long)getpid(),
             (unsigned long long)now.tv_sec, (unsigned long)now.tv_nsec,
             atomic_fetch_add_explicit(&counter, 1, memory_order_relaxed));
}

static void queue_id_note(struct session_message *message, const struct session_mta *mta)
{
    const char *id = mta->macro(mta->context, "i");

    if (id && strlen(id) < sizeof message->queue_id)
        snprintf(message->queue_id, sizeof message->queue_id, "%s", id);
}

/* ---- Questions ---- */

static struct request request_start(const struct session *session, enum request_stage stage)
{
    const struct session_message *message = &session->message;

    return (struct request){
        .stage = stage,
        .client = session->client,
        .server = session->server,
        .client_port = session->client_port,
        .server_port = session->server_port,
        .client_name = session->client_name,
        .helo = session->helo,
        .sasl_method = message->sasl_method,
        .sasl_username = message->sasl_username,
        .ccert_subject = message->ccert_subject,
        .instance = message->instance[0] ? message->instance : NULL,
        .queue_id = message->queue_id[0] ? message->queue_id : NULL,
    };
}

static void session_tell(const struct session *session, const struct request *request)
{
    char text[REQUEST_SIZE];
    size_t length = request_format(request, text, sizeof text);

    if (length > 0)
        (void)session->policy->tell(session->policy->context, text, length);
}

/* No answer is an answer: accept. */
static void session_ask(const struct session *session, const struct request *request,
                        struct action *out)
{
    char text[REQUEST_SIZE], action[SESSION_ACTION_SIZE] = "";
    size_t length = request_format(request, text, sizeof text);

    if (length == 0 ||
        !session->policy->ask(session->policy->context, text, length, action, sizeof action))
        action[0] = '\0';
    action_parse(action, out);
}

/* ---- Callbacks ---- */

static struct macros macros_get(const struct session_mta *mta)
{
    void *context = mta->context;

    return (struct macros){
        .underscore = mta->macro(context, "_"),
        .client_resolve = mta->macro(context, "{client_resolve}"),
        .if_addr = mta->macro(context, "{if_addr}"),
        .daemon_addr = mta->macro(context, "{daemon_addr}"),
        .daemon_port = mta->macro(context, "{daemon_port}"),
        .version = mta->macro(context, "v"),
        .cert_subject = mta->macro(context, "{cert_subject}"),
        .verify = mta->macro(context, "{verify}"),
    };
}

void session_connect(struct session *session, const struct session_mta *mta, const char *hostname,
                     const struct sockaddr *client)
{
    if (!session)
        return;
    message_clear(&session->message);
    text_set(&session->helo, NULL);
    text_set(&session->client_name, NULL);
    memset(&session->client, 0, sizeof session->client);
    if (!client || !net_addr_from_sockaddr(client, &session->client, &session->client_port))
        return;
    struct macros macros = macros_get(mta);
    text_set(&session->client_name, macros_name(hostname, &macros));
    macros_server(&macros, &session->server, &session->server_port);
    struct request request = request_start(session, REQUEST_CONNECT);
    session_tell(session, &request);
}

void session_helo(struct session *session, const char *name)
{
    if (!session || session->client.family == NET_NONE || !name)
        return;
    text_set(&session->helo, name);
    if (!strncasecmp(name, PROBE_PREFIX, sizeof PROBE_PREFIX - 1)) {
        struct request request = request_start(session, REQUEST_HELO);
        session_tell(session, &request);
    }
}

/* An address as the envelope has it, without its brackets. */
static char *address_copy(const char *text)
{
    size_t length = strlen(text);

    if (length >= 2 && text[0] == '<' && text[length - 1] == '>')
        return strndup(text + 1, length - 2);
    return strdup(text);
}

static void session_log(struct session *session);

void session_mail(struct session *session, const struct session_mta *mta, const char *sender)
{
    if (!session || session->client.family == NET_NONE)
        return;
    struct session_message *message = &session->message;
    session_log(session);
    message_clear(message);
    instance_make(message->instance);
    message->sender = sender ? address_copy(sender) : NULL;
    message->sasl_method = text_copy(mta->macro(mta->context, "{auth_type}"));
    message->sasl_username = text_copy(mta->macro(mta->context, "{auth_authen}"));
    struct macros macros = macros_get(mta);
    message->ccert_subject = text_copy(macros_certificate(&macros));
    queue_id_note(message, mta);
}

/* Remembers a header for the end of the message, unless the same one is there already. */
static void tag_add(struct session_message *message, const struct action *verdict)
{
    for (size_t i = 0; i < message->tag_count; i++)
        if (!strcasecmp(message->tags[i].name, verdict->name) &&
            !strcmp(message->tags[i].value, verdict->text))
            return;
    if (message->tag_count == SESSION_TAGS_MAX)
        return;
    struct session_tag tag = {strdup(verdict->name), strdup(verdict->text)};
    if (!tag.name || !tag.value) {
        free(tag.name);
        free(tag.value);
        return;
    }
    message->tags[message->tag_count++] = tag;
}

static enum session_result verdict_apply(struct session_message *message,
                                         const struct session_mta *mta,
                                         const struct action *verdict)
{
    char text[ACTION_LINE + 1];

    switch (verdict->kind) {
    case ACTION_ACCEPT: return SESSION_CONTINUE;
    case ACTION_TAG: tag_add(message, verdict); return SESSION_CONTINUE;
    case ACTION_HOLD:
        if (!message->hold)
            message->hold = strdup(verdict->text);
        return SESSION_CONTINUE;
    case ACTION_DEFER:
    case ACTION_REJECT: break;
    }
    action_escape(verdict->text, text);
    (void)mta->set_reply(mta->context, verdict->code, verdict->status, text);
    return verdict->kind == ACTION_DEFER ? SESSION_TEMPFAIL : SESSION_REJECT;
}

enum session_result session_rcpt(struct session *session, const struct session_mta *mta,
                                 const char *recipient)
{
    struct action verdict;

    if (!session || session->client.family == NET_NONE || !recipient)
        return SESSION_CONTINUE;
    struct session_message *message = &session->message;
    char *address = address_copy(recipient);
    if (!address)
        return SESSION_CONTINUE;
    queue_id_note(message, mta);
    struct request request = request_start(session, REQUEST_RCPT);
    request.recipient = address;
    request.sender = message->sender;
    const char *mailer = mta->macro(mta->context, "{rcpt_mailer}");
    enum session_result result = SESSION_CONTINUE;
    if (mailer && !strcmp(mailer, "error")) {
        request.refused = true;
        session_tell(session, &request);
        goto out;
    }
    session_ask(session, &request, &verdict);
    message->verdicts[verdict.kind]++;
    if (verdict.kind != ACTION_ACCEPT && !message->recipient) {
        message->recipient = address;
        address = NULL;
    }
    result = verdict_apply(message, mta, &verdict);
out:
    free(address);
    return result;
}

void session_data(struct session *session, const struct session_mta *mta)
{
    if (session)
        queue_id_note(&session->message, mta);
}

void session_header(struct session *session, const char *name)
{
    size_t length = sizeof SESSION_HEADER - 1;

    /* Some servers pass the white space that may stand before the colon. */
    if (session && name && !strncasecmp(name, SESSION_HEADER, length) &&
        name[length + strspn(name + length, " \t")] == '\0')
        session->message.headers++;
}

void session_finish(struct session *session, const struct session_mta *mta)
{
    if (!session)
        return;
    struct session_message *message = &session->message;
    bool done = true;
    queue_id_note(message, mta);
    /* What a host of ours has put there stays. The last one goes first: the places of those before
     * it do not move then. */
    bool inside = session->client.family == NET_NONE ||
                  session->policy->is_inside(session->policy->context, &session->client);
    for (int i = inside ? 0 : message->headers; i > 0; i--)
        done &= mta->delete_header(mta->context, SESSION_HEADER, i);
    for (size_t i = 0; i < message->tag_count; i++)
        done &= mta->add_header(mta->context, message->tags[i].name, message->tags[i].value);
    if (message->hold)
        done &=
            mta->quarantine(mta->context, message->hold[0] ? message->hold : "held by mxwarden");
    if (!done)
        log_warning("milter: the mail server does not let a message's headers be changed, or the "
                    "message be held");
    session_log(session);
    message_clear(message);
}

void session_abort(struct session *session)
{
    if (!session)
        return;
    session_log(session);
    message_clear(&session->message);
}

/* ---- The line that joins verdicts with the mail server's log ---- */

/* "defer:2,tag:1", the gravest first; "" where everybody was accepted. */
static void verdicts_format(const struct session_message *message, char out[SESSION_VERDICTS_SIZE])
{
    size_t length = 0;

    out[0] = '\0';
    for (int kind = ACTION_REJECT; kind > ACTION_ACCEPT; kind--)
        if (message->verdicts[kind] > 0)
            length += (size_t)snprintf(out + length, SESSION_VERDICTS_SIZE - length, "%s%s:%u",
                                       length ? "," : "", action_name((enum action_kind)kind),
                                       message->verdicts[kind]);
}

static void session_log(struct session *session)
{
    const struct session_message *message = &session->message;
    char verdicts[SESSION_VERDICTS_SIZE], client[NET_TEXT], id[256], sender[512], recipient[512];

    verdicts_format(message, verdicts);
    if (verdicts[0] == '\0')
        return;
    log_info("milter qid=%s verdict=%s client=%s sender=<%s> rcpt=<%s> instance=%s",
             message->queue_id[0] ? log_escape(message->queue_id, id, sizeof id) : "NOQUEUE",
             verdicts, net_addr_format(&session->client, client),
             log_escape(message->sender ? message->sender : "", sender, sizeof sender),
             log_escape(message->recipient ? message->recipient : "", recipient, sizeof recipient),
             message->instance);
}
