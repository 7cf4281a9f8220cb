/*
 * Identities: the words under which a client's visits and refusals are kept.
 */
#include "policy/identity.h"

#include <stdio.h>
#include <string.h>

static void add(struct identity_set *set, const char *text)
{
    if (set->count < IDENTITY_MAX)
        snprintf(set->text[set->count++], IDENTITY_SIZE, "%s", text);
}

/* The registrable domain of the verified name, unless the name is a provider's generic one. */
static bool verified_domain(const struct question *question, char out[NAME_SIZE])
{
    return question->client_name[0] != '\0' &&
           !name_embeds_address(question->client_name, &question->client) &&
           name_registrable(question->client_name, out);
}

static bool helo_domain(const struct question *question, char out[NAME_SIZE])
{
    return question->helo_name[0] != '\0' && name_registrable(question->helo_name, out);
}

bool identity_is_server(const struct question *question)
{
    char domain[NAME_SIZE];

    return verified_domain(question, domain) &&
           strcmp(question->client_name, question->helo_name) == 0;
}

static void add_client(const struct question *question, unsigned bits4, unsigned bits6,
                       struct identity_set *out)
{
    char text[NET_TEXT], domain[NAME_SIZE];
    struct net_cidr net = net_cidr_of(&question->client, bits4, bits6);

    if (question->client.family != NET_NONE) {
        add(out, net_addr_format(&question->client, text));
        add(out, net_cidr_format(&net, text));
    }
    if (verified_domain(question, domain))
        add(out, domain);
}

void identity_of_learned(const struct question *question, unsigned bits4, unsigned bits6,
                         struct identity_set *out)
{
    out->count = 0;
    add_client(question, bits4, bits6, out);
}

static void add_digest(struct identity_set *out, const char *const *part, size_t count)
{
    char digest[HASH_DIGEST_TEXT], text[HASH_DIGEST_TEXT + 1];

    snprintf(text, sizeof text, "#%s", hash_digest(part, count, digest));
    add(out, text);
}

void identity_of_visit(const struct question *question, unsigned bits4, unsigned bits6,
                       struct identity_set *out)
{
    char helo[NAME_SIZE], recipient[ADDRESS_SIZE];

    out->count = 0;
    add_client(question, bits4, bits6, out);
    if (question->has_sender && question->has_recipient && helo_domain(question, helo)) {
        const char *part[] = {"visit", helo, question->sender.domain,
                              address_format(&question->recipient, true, recipient)};
        add_digest(out, part, sizeof part / sizeof *part);
    }
}

void identity_of_retry(const struct question *question, unsigned bits4, unsigned bits6,
                       struct identity_set *out)
{
    struct identity_set who = {0};
    char helo[NAME_SIZE], labelled[IDENTITY_SIZE];
    char sender[ADDRESS_SIZE], recipient[ADDRESS_SIZE];

    add_client(question, bits4, bits6, &who);
    if (helo_domain(question, helo)) {
        /* A HELO name is a claim: it must not pass for the verified domain of the same text. */
        snprintf(labelled, sizeof labelled, "helo:%s", helo);
        add(&who, labelled);
    }
    address_format(&question->sender, true, sender);
    address_format(&question->recipient, true, recipient);
    out->count = 0;
    for (size_t i = 0; i < who.count; i++) {
        const char *part[] = {who.text[i], sender, recipient};
        add_digest(out, part, sizeof part / sizeof *part);
    }
}
