/*
 * libFuzzer on what arrives on the daemon's sockets: netstrings, policy requests, and the questions
 * and keys that are made of them.
 */
#include "policy/attrs.h"
#include "policy/conversation.h"
#include "policy/dnsfilter.h"
#include "policy/netstring.h"
#include "policy/recipient.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void target_policy(const char *data, size_t size)
{
    struct question question;
    struct attrs attrs;
    size_t used;

    if (attrs_scan(data, size, &attrs, &used) != ATTRS_DONE)
        return;
    if (used > size)
        abort();
    delegate_parse(&attrs, &question);
}

static void check_canonical(const char *name)
{
    char again[NAME_SIZE];

    if (!name_normalize(name, strlen(name), again) || strcmp(name, again) != 0)
        abort();
}

/* The key of each map: an address, a domain, a resource record. */
static void target_key(const char *key)
{
    struct dnsfilter_record record;
    struct address address;
    char domain[NAME_SIZE];

    address_parse(key, &address);
    if (name_normalize(key, strlen(key), domain))
        check_canonical(domain);
    if (dnsfilter_parse(key, &record)) {
        check_canonical(record.domain);
        check_canonical(record.host);
    }
}

static void target_map(const char *data, size_t size)
{
    const char *payload;
    size_t length, used;
    char text[NETSTRING_MAX + 1], *space;

    if (netstring_scan(data, size, &payload, &length, &used) != NETSTRING_DONE)
        return;
    if (used > size || payload < data || payload + length > data + size)
        abort();
    memcpy(text, payload, length);
    text[length] = '\0';
    space = memchr(text, ' ', length);
    target_key(space ? space + 1 : text);
}

/* Without a frame around it, which is hard to guess. */
static void target_text(const char *data, size_t size)
{
    char *key = strndup(data, size);

    if (key)
        target_key(key);
    free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    target_policy((const char *)data, size);
    target_map((const char *)data, size);
    target_text((const char *)data, size);
    return 0;
}
