/*
 * Mail addresses as envelopes hold them: parsing, and matching against the lists of the
 * configuration. Pure. Source: RFC 5321 4.1.2; Postfix's quoting of local parts.
 */
#ifndef POLICY_RECIPIENT_H
#define POLICY_RECIPIENT_H

#include "cache/name.h"
#include "policy/conf.h"

#include <stdbool.h>

enum { ADDRESS_LOCAL_SIZE = 256, ADDRESS_SIZE = ADDRESS_LOCAL_SIZE + NAME_SIZE + 1 };

/* local keeps its case and its quotes; domain is canonical. Both "" for the null address. */
struct address {
    char local[ADDRESS_LOCAL_SIZE];
    char domain[NAME_SIZE];
};

/* Splits at the last '@' that is not quoted; takes off one pair of angle brackets. False, and
 * *out empty, where there is no '@', no valid domain (an address literal has none), or the local
 * part is empty, too long, or holds control characters. "" and "<>" are the null address: true. */
bool address_parse(const char *text, struct address *out);

/* "local@domain", "" for the null address. local's case folded when fold is true. Returns out. */
char *address_format(const struct address *address, bool fold, char out[ADDRESS_SIZE]);

/* The mailbox that the address names, in the form in which a configuration's sections are titled:
 * "local@domain", local without quotes and in lower case. Where delimiter is not "", local without
 * its extension, and false where it has none (a delimiter at its very start separates nothing, as
 * in Postfix). False for an address without local part or domain. */
bool address_mailbox(const struct address *address, const char *delimiter, char out[ADDRESS_SIZE]);

/* Whether list holds the address as "local" (any domain), "user@domain" or "@domain". Neither
 * case nor needless quotes count; where delimiter is not "", what follows the first of its characters in the local part
 * is left off for a second try. */
bool address_is_listed(const struct address *address, const struct conf_texts *list,
                       const char *delimiter);

#endif
