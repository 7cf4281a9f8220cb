/*
 * The frames of the socket maps. A scanner that is asked again from the start of the frame as bytes
 * arrive: the length comes first, so that costs a few digits each time and keeps no state.
 */
#include "policy/netstring.h"

#include <stdio.h>
#include <string.h>

enum netstring_status netstring_scan(const char *data, size_t length, const char **payload,
                                     size_t *payload_length, size_t *used)
{
    size_t at = 0, size = 0;

    *payload = NULL;
    *payload_length = *used = 0;
    for (; at < length && data[at] >= '0' && data[at] <= '9'; at++) {
        /* A digit after a leading zero is refused, as Postfix does not write it. */
        if (at > 0 && size == 0)
            return NETSTRING_BAD;
        size = size * 10 + (size_t)(data[at] - '0');
        if (size > NETSTRING_MAX)
            return NETSTRING_BAD;
    }
    if (at == length)
        return NETSTRING_MORE;
    if (at == 0 || data[at] != ':')
        return NETSTRING_BAD;
    at++;
    if (length - at <= size)
        return NETSTRING_MORE;
    if (data[at + size] != ',')
        return NETSTRING_BAD;
    *payload = data + at;
    *payload_length = size;
    *used = at + size + 1;
    return NETSTRING_DONE;
}

size_t netstring_format(const char *payload, size_t payload_length, char *out, size_t size)
{
    char head[32];
    int head_length = snprintf(head, sizeof head, "%zu:", payload_length);
    size_t prefix = (size_t)head_length;

    if (size < prefix + 1 || payload_length > size - prefix - 1)
        return 0;
    memcpy(out, head, prefix);
    memcpy(out + prefix, payload, payload_length);
    out[prefix + payload_length] = ',';
    return prefix + payload_length + 1;
}
