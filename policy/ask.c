/*
 * A policy request's attributes as a question (delegate_parse). Pure. Every value is checked here,
 * once: what is not understood is left out, and the guard accepts where it knows too little.
 *
 * Attributes differ by Postfix version, come in any order, and may be missing or empty; those of
 * the milter begin with "mxwarden_". Source: SMTPD_POLICY_README, src/smtpd/smtpd_check.c.
 */
#include "policy/attrs.h"
#include "policy/conversation.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NONCE_DIGITS = 32 };

static bool value_is(const struct attrs *attrs, const char *name, const char *wanted)
{
    char value[64];

    return attrs_get(attrs, name, value, sizeof value) && strcmp(value, wanted) == 0;
}

/* Finds an attribute whatever its length: attrs_get tells a long value from a missing one as little
 * as from an empty one. */
static const struct attrs_pair *find(const struct attrs *attrs, const char *name)
{
    size_t length = strlen(name);

    for (size_t i = 0; i < attrs->count; i++)
        if (attrs->pair[i].name_length == length && memcmp(attrs->pair[i].name, name, length) == 0)
            return &attrs->pair[i];
    return NULL;
}

static bool value_is_set(const struct attrs *attrs, const char *name)
{
    const struct attrs_pair *pair = find(attrs, name);

    return pair && pair->value_length > 0;
}

static enum question_stage parse_stage(const struct attrs *attrs)
{
    if (value_is(attrs, "protocol_state", "RCPT"))
        return QUESTION_RCPT;
    if (value_is(attrs, "protocol_state", "DATA"))
        return QUESTION_DATA;
    if (value_is(attrs, "protocol_state", "CONNECT"))
        return QUESTION_CONNECT;
    if (value_is(attrs, "protocol_state", "EHLO") || value_is(attrs, "protocol_state", "HELO"))
        return QUESTION_HELO;
    return QUESTION_OTHER;
}

/* "unknown", and what is no address, is NET_NONE. */
static void parse_addr(const struct attrs *attrs, const char *name, struct net_addr *out)
{
    char text[NET_TEXT];

    memset(out, 0, sizeof *out);
    if (attrs_get(attrs, name, text, sizeof text))
        net_addr_parse(text, out);
}

/* A listener bound to every address does not say which one was reached. */
static void parse_listener(const struct attrs *attrs, struct question *out)
{
    static const uint8_t zero[sizeof out->listener.bytes];
    char text[8], *end;
    unsigned long port;

    parse_addr(attrs, "server_address", &out->listener);
    if (memcmp(out->listener.bytes, zero, sizeof zero) == 0)
        memset(&out->listener, 0, sizeof out->listener);
    if (!attrs_get(attrs, "server_port", text, sizeof text) || text[0] < '0' || text[0] > '9')
        return;
    port = strtoul(text, &end, 10);
    if (*end == '\0' && port <= UINT16_MAX)
        out->listener_port = (uint16_t)port;
}

/* The name that the MTA found to lead back to the address; it says "unknown" or "[address]" where
 * there is none. */
static void parse_client_name(const struct attrs *attrs, struct question *out)
{
    char name[NAME_SIZE + 1];

    if (attrs_get(attrs, "client_name", name, sizeof name) && strcasecmp(name, "unknown") != 0)
        name_normalize(name, strlen(name), out->client_name);
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e)
            return false;
    return true;
}

static void parse_word(const struct attrs *attrs, const char *name, char *out, size_t size)
{
    if (attrs_get(attrs, name, out, size) && !is_printable(out))
        out[0] = '\0';
}

/* mxwp-<nonce>.<node>: what a probe of this site says (policy/watch.h). */
static void parse_probe(struct question *out)
{
    static const char prefix[] = "mxwp-";
    const char *nonce = out->helo_name + strlen(prefix);

    if (strncmp(out->helo_name, prefix, strlen(prefix)) != 0 ||
        strspn(nonce, "0123456789abcdef") != NONCE_DIGITS || nonce[NONCE_DIGITS] != '.')
        return;
    out->is_probe = true;
    memcpy(out->nonce, nonce, NONCE_DIGITS);
    out->nonce[NONCE_DIGITS] = '\0';
    strcpy(out->probe_node, nonce + NONCE_DIGITS + 1);
}

static void parse_helo(const struct attrs *attrs, struct question *out)
{
    parse_word(attrs, "helo_name", out->helo, sizeof out->helo);
    name_normalize(out->helo, strlen(out->helo), out->helo_name);
    parse_probe(out);
}

/* Before RCPT Postfix sends both empty: then they are not known yet, which is not the null
 * sender. At DATA the recipient is there if it is the only one. */
static void parse_envelope(const struct attrs *attrs, struct question *out)
{
    char text[ADDRESS_SIZE + 2];
    const struct attrs_pair *sender = find(attrs, "sender");

    if (out->stage != QUESTION_RCPT && out->stage != QUESTION_DATA)
        return;
    if (attrs_get(attrs, "sender", text, sizeof text))
        out->has_sender = address_parse(text, &out->sender);
    else
        out->has_sender = sender && sender->value_length == 0;
    if (attrs_get(attrs, "recipient", text, sizeof text))
        out->has_recipient =
            address_parse(text, &out->recipient) && out->recipient.domain[0] != '\0';
}

bool delegate_parse(const struct attrs *attrs, struct question *out)
{
    memset(out, 0, sizeof *out);
    if (!value_is(attrs, "request", "smtpd_access_policy"))
        return false;
    out->stage = parse_stage(attrs);
    out->asker = value_is(attrs, "mxwarden_asker", "milter") ? QUESTION_MILTER : QUESTION_POLICY;
    out->evidence_only =
        value_is(attrs, "policy_context", "evidence") || value_is(attrs, "mxwarden_refused", "1");
    parse_addr(attrs, "client_address", &out->client);
    parse_listener(attrs, out);
    parse_client_name(attrs, out);
    parse_helo(attrs, out);
    parse_envelope(attrs, out);
    parse_word(attrs, "instance", out->instance, sizeof out->instance);
    parse_word(attrs, "queue_id", out->queue_id, sizeof out->queue_id);
    out->has_sasl = value_is_set(attrs, "sasl_username");
    /* The fingerprint comes for certificates that nobody verified, too. */
    out->has_cert = value_is_set(attrs, "ccert_subject");
    return true;
}
