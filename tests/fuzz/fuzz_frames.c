/*
 * libFuzzer on what arrives on the daemon's sockets: netstrings, policy requests, and the questions
 * and addresses that are made of them.
 */
#include "policy/attrs.h"
#include "policy/conversation.h"
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

static void target_map(const char *data, size_t size)
{
    struct address address;
    const char *payload;
    size_t length, used;
    char text[NETSTRING_MAX + 1];

    if (netstring_scan(data, size, &payload, &length, &used) != NETSTRING_DONE)
        return;
    if (used > size || payload < data || payload + length > data + size)
        abort();
    memcpy(text, payload, length);
    text[length] = '\0';
    address_parse(text, &address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    target_policy((const char *)data, size);
    target_map((const char *)data, size);
    return 0;
}
