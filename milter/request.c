/*
 * Attributes in Postfix's order and spelling, and two of our own: mxwarden_asker, by which the
 * service knows a milter's question, and mxwarden_refused.
 */
#include "milter/request.h"

#include "policy/attrs.h"

#include <stdio.h>

struct request_text {
    char *at;
    size_t size, length;
};

static bool text_put(struct request_text *text, const char *name, const char *value)
{
    return attrs_put(text->at, text->size, &text->length, name, value);
}

/* What a request can do without. */
static void text_try(struct request_text *text, const char *name, const char *value)
{
    if (value)
        (void)text_put(text, name, value);
}

static void address_put(struct request_text *text, const char *name, const struct net_addr *addr)
{
    char bare[NET_TEXT];

    if (addr->family != NET_NONE)
        text_try(text, name, net_addr_bare(addr, bare));
}

static void port_put(struct request_text *text, const char *name, uint16_t port)
{
    char digits[8];

    if (port > 0) {
        snprintf(digits, sizeof digits, "%u", (unsigned)port);
        text_try(text, name, digits);
    }
}

static const char *stage_name(enum request_stage stage)
{
    switch (stage) {
    case REQUEST_CONNECT: return "CONNECT";
    case REQUEST_HELO: return "HELO";
    case REQUEST_RCPT: return "RCPT";
    }
    return "";
}

size_t request_format(const struct request *request, char *out, size_t size)
{
    struct request_text text = {out, size, 0};

    if (request->client.family == NET_NONE)
        return 0;
    if (!text_put(&text, "request", "smtpd_access_policy") ||
        !text_put(&text, "protocol_state", stage_name(request->stage)) ||
        !text_put(&text, "protocol_name", "ESMTP") || !text_put(&text, "mxwarden_asker", "milter"))
        return 0;
    address_put(&text, "client_address", &request->client);
    port_put(&text, "client_port", request->client_port);
    text_try(&text, "client_name", request->client_name ? request->client_name : "unknown");
    address_put(&text, "server_address", &request->server);
    port_put(&text, "server_port", request->server_port);
    if (request->stage == REQUEST_RCPT) {
        if (!request->recipient || !text_put(&text, "recipient", request->recipient))
            return 0;
        text_try(&text, "sender", request->sender);
    }
    text_try(&text, "helo_name", request->helo);
    text_try(&text, "sasl_method", request->sasl_method);
    text_try(&text, "sasl_username", request->sasl_username);
    text_try(&text, "ccert_subject", request->ccert_subject);
    text_try(&text, "instance", request->instance);
    text_try(&text, "queue_id", request->queue_id);
    text_try(&text, "mxwarden_refused", request->refused ? "1" : NULL);
    return attrs_end(out, size, &text.length) ? text.length : 0;
}
