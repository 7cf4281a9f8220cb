/*
 * A question of the milter, as a policy request (SPEC 5, "The policy questions of the milter").
 * Pure: facts in, bytes out.
 */
#ifndef MILTER_REQUEST_H
#define MILTER_REQUEST_H

#include "cache/net.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { REQUEST_SIZE = 16 * 1024 }; /* room for any request that a mail server's limits allow */

enum request_stage { REQUEST_CONNECT, REQUEST_HELO, REQUEST_RCPT };

/* NULL, 0 and NET_NONE are "not known", and their attribute is left out. */
struct request {
    enum request_stage stage;
    struct net_addr client, server;
    uint16_t client_port, server_port;
    const char *client_name; /* verified by the MTA */
    const char *helo;
    const char *sender; /* without brackets; "" is the null sender */
    const char *recipient;
    const char *sasl_method, *sasl_username, *ccert_subject;
    const char *instance, *queue_id;
    bool refused; /* the MTA has refused the recipient: evidence, nothing to judge */
};

/* Builds the request in out and returns its length; 0 where it cannot be asked: no client, no room,
 * or a recipient that is missing at RCPT or holds a line end. Another value with a line end counts
 * as not known. */
size_t request_format(const struct request *request, char *out, size_t size);

#endif
