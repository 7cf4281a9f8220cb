/*
 * The world's beginning and end, and asking in the real protocols.
 */
#include "tests/replay/world_inside.h"

#include "policy/attrs.h"
#include "policy/netstring.h"
#include "tests/unit/nexthop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

void world_open(void)
{
    world_log_open();
    world_loop_open();
    world_redis_open();
    world_net_open();
    world_smtp_open();
}

void world_close(void)
{
    world_net_close();
    world_redis_close();
    world_loop_close();
}

size_t world_request(char *out, size_t size, const char *state, const struct world_mail *mail)
{
    size_t length = 0;
    const char *pair[][2] = {
        {"request", "smtpd_access_policy"},
        {"protocol_state", state},
        {"protocol_name", "ESMTP"},
        {"client_address", mail->client},
        {"client_name", mail->name ? mail->name : "unknown"},
        {"helo_name", mail->helo ? mail->helo : ""},
        {"sender", mail->sender ? mail->sender : ""},
        {"recipient", mail->recipient ? mail->recipient : ""},
        {"instance", mail->instance ? mail->instance : "1"},
        {"server_address", mail->listener ? mail->listener : ""},
        {"server_port", "25"},
        {"sasl_username", mail->sasl ? mail->sasl : ""},
        {"mxwarden_asker", mail->policy ? "" : "milter"},
        {"mxwarden_refused", mail->refused ? "1" : ""},
    };

    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++)
        attrs_put(out, size, &length, pair[i][0], pair[i][1]);
    attrs_end(out, size, &length);
    return length;
}

void world_visit(struct node *node, const struct world_mail *mail)
{
    char request[4096];
    struct world_mail at_connect = {.client = mail->client,
                                    .name = mail->name,
                                    .listener = mail->listener,
                                    .policy = mail->policy};
    size_t length = world_request(request, sizeof request, "CONNECT", &at_connect);

    world_talk(node, "policy", request, length, true);
}

static void copy_action(const char *reply, char *out, size_t size)
{
    out[0] = '\0';
    if (strncmp(reply, "action=", 7) == 0)
        snprintf(out, size, "%.*s", (int)strcspn(reply + 7, "\n"), reply + 7);
}

const char *world_session(struct node *node, const struct world_mail *mail,
                          const char *const (*step)[2], size_t count)
{
    static char actions[4096];
    struct peer *peer = world_connect(node, "policy");
    struct world_mail one = *mail;
    size_t length = 0;

    for (size_t i = 0; i < count; i++) {
        char request[4096], action[2048];

        one.recipient = step[i][1];
        copy_action(world_ask(peer, request,
                              world_request(request, sizeof request, step[i][0], &one), true),
                    action, sizeof action);
        length += (size_t)snprintf(actions + length, sizeof actions - length, "%s%s", i ? "|" : "",
                                   action);
    }
    world_disconnect(peer);
    return actions;
}

const char *world_rcpt(struct node *node, const struct world_mail *mail)
{
    static char action[2048];
    char request[4096];
    size_t length = world_request(request, sizeof request, "RCPT", mail);

    copy_action(world_talk(node, "policy", request, length, true), action, sizeof action);
    return action;
}

/* Whatever a scenario asks the map, Postfix could read the answer. */
static void check_map(const char *request, const char *reply)
{
    const char *wrong = strncmp(request, "transport ", 10) == 0 ? nexthop_check(reply) : NULL;

    if (wrong)
        fail_msg("%s: '%s': %s", request, reply, wrong);
}

const char *world_map(struct node *node, const char *request)
{
    static char out[2048];
    char frame[2048];
    const char *payload, *reply;
    size_t used, size, length = netstring_format(request, strlen(request), frame, sizeof frame);

    reply = world_talk(node, "socketmap", frame, length, true);
    out[0] = '\0';
    if (netstring_scan(reply, strlen(reply), &payload, &size, &used) == NETSTRING_DONE)
        snprintf(out, sizeof out, "%.*s", (int)size, payload);
    check_map(request, out);
    return out;
}

const char *world_control(struct node *node, const char *request)
{
    char line[2048];

    snprintf(line, sizeof line, "%s\n", request);
    return world_talk(node, "control", line, strlen(line), true);
}
