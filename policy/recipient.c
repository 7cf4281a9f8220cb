/*
 * Mail addresses: parsed once at the door, so that nothing behind it meets a quote, a control
 * character or a domain in two spellings. What cannot be parsed is not repaired: the caller then
 * has no address, accepts (guard) or says NOTFOUND (route).
 */
#include "policy/recipient.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The last '@' outside quotes, or NULL. A quoted part ends at its closing quote; a backslash takes
 * the next byte with it (RFC 5321 quoted-pair). */
static const char *find_at(const char *text, size_t length)
{
    const char *at = NULL;
    bool quoted = false;

    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\\' && i + 1 < length)
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (text[i] == '@' && !quoted)
            at = text + i;
    }
    return quoted ? NULL : at;
}

static bool has_control(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return true;
    return false;
}

bool address_parse(const char *text, struct address *out)
{
    size_t length = strlen(text);
    const char *at;

    memset(out, 0, sizeof *out);
    if (length >= 2 && text[0] == '<' && text[length - 1] == '>') {
        text++;
        length -= 2;
    }
    if (length == 0)
        return true;
    at = find_at(text, length);
    if (!at || at == text || (size_t)(at - text) >= sizeof out->local ||
        has_control(text, (size_t)(at - text)))
        return false;
    if (!name_normalize(at + 1, length - (size_t)(at + 1 - text), out->domain)) {
        out->domain[0] = '\0';
        return false;
    }
    memcpy(out->local, text, (size_t)(at - text));
    return true;
}

char *address_format(const struct address *address, bool fold, char out[ADDRESS_SIZE])
{
    if (address->domain[0] == '\0') {
        out[0] = '\0';
        return out;
    }
    snprintf(out, ADDRESS_SIZE, "%s@%s", address->local, address->domain);
    if (fold)
        for (char *p = out; *p; p++)
            if (*p >= 'A' && *p <= 'Z')
                *p = (char)(*p - 'A' + 'a');
    return out;
}

/* What the quotes of RFC 5321 enclose, and backslashes take along, is the local part itself: "u"@d
 * and u@d are one mailbox. Returns its length. */
static size_t unquote(const char *local, size_t size, char out[ADDRESS_LOCAL_SIZE])
{
    const char *end = local + (size < ADDRESS_LOCAL_SIZE ? size : ADDRESS_LOCAL_SIZE - 1);
    size_t length = 0;

    for (const char *at = local; at < end; at++) {
        if (*at == '"')
            continue;
        if (*at == '\\' && at + 1 < end)
            at++;
        out[length++] = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
    }
    out[length] = '\0';
    return length;
}

bool address_mailbox(const struct address *address, const char *delimiter, char out[ADDRESS_SIZE])
{
    char local[ADDRESS_LOCAL_SIZE];
    size_t whole = unquote(address->local, strlen(address->local), local);
    size_t length = *delimiter ? strcspn(local, delimiter) : whole;

    out[0] = '\0';
    if (length == 0 || (*delimiter && length == whole) || address->domain[0] == '\0')
        return false;
    snprintf(out, ADDRESS_SIZE, "%.*s@%s", (int)length, local, address->domain);
    return true;
}

/* Whether the first length bytes of local, which is without its quotes, and domain, are what the
 * entry says. */
static bool matches(const char *entry, const char *local, size_t length, const char *domain)
{
    const char *at = strrchr(entry, '@');
    size_t entry_length = at ? (size_t)(at - entry) : strlen(entry);
    char wanted[ADDRESS_LOCAL_SIZE];

    if (at && strcasecmp(at + 1, domain) != 0)
        return false;
    if (entry_length == 0)
        return at != NULL; /* "@domain": whoever is there */
    return entry_length < sizeof wanted && unquote(entry, entry_length, wanted) == length &&
           memcmp(wanted, local, length) == 0;
}

bool address_is_listed(const struct address *address, const struct conf_texts *list,
                       const char *delimiter)
{
    char local[ADDRESS_LOCAL_SIZE];
    size_t whole = unquote(address->local, strlen(address->local), local);
    size_t base = *delimiter ? strcspn(local, delimiter) : whole;

    if (address->domain[0] == '\0')
        return false;
    for (size_t i = 0; i < list->count; i++) {
        if (matches(list->item[i], local, whole, address->domain))
            return true;
        /* A delimiter at the very start separates nothing, as in Postfix. */
        if (base > 0 && base < whole && matches(list->item[i], local, base, address->domain))
            return true;
    }
    return false;
}
