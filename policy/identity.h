/*
 * Who a client is, in as many words as may be shared by one sender's many hosts. Pure.
 *
 * Large senders retry one message from many addresses, so evidence and retries are matched on
 * several identities (SPEC 5): the address, its network, the registrable domain of its verified
 * name (never of a name that embeds the address), and a hash of the envelope.
 */
#ifndef POLICY_IDENTITY_H
#define POLICY_IDENTITY_H

#include "cache/hash.h"
#include "policy/question.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    IDENTITY_SIZE = NAME_SIZE + 8,
    IDENTITY_MAX = 4,
};

struct identity_set {
    size_t count;
    char text[IDENTITY_MAX][IDENTITY_SIZE];
};

/* For evidence: "[addr]", "[net/bits]", "example.net" where verified, and "#<hash>" of (HELO
 * domain, sender domain, recipient) where all are known. */
void identity_of_visit(const struct question *question, unsigned bits4, unsigned bits6,
                       struct identity_set *out);
/* For `ok` keys: address, network, verified domain. */
void identity_of_learned(const struct question *question, unsigned bits4, unsigned bits6,
                         struct identity_set *out);
/* Whether the client shows itself as a mail server: the name that the MTA verified is the one it
 * says in HELO, and is not a provider's generic one. Lines of customers mostly lack that. */
bool identity_is_server(const struct question *question);
/* For `defer` keys: a digest of each of address, network, verified domain, HELO domain with sender
 * and recipient. "#<hash>" texts. */
void identity_of_retry(const struct question *question, unsigned bits4, unsigned bits6,
                       struct identity_set *out);

#endif
