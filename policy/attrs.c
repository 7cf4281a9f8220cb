/*
 * The codec of the policy delegation protocol, both ways: mxwardend scans requests with it, the
 * milter builds them. Bounds come first: what is too long or too many is refused before it is
 * looked at, so a peer decides neither the time nor the memory spent on it.
 */
#include "policy/attrs.h"

#include <string.h>

static bool name_is_known(const struct attrs *attrs, const char *name, size_t length)
{
    for (size_t i = 0; i < attrs->count; i++)
        if (attrs->pair[i].name_length == length && !memcmp(attrs->pair[i].name, name, length))
            return true;
    return false;
}

/* Adds one line, its end already taken off. A name given twice is refused and not resolved: two
 * readers could settle on different ones. */
static bool line_add(struct attrs *attrs, const char *line, size_t length)
{
    const char *equals = memchr(line, '=', length);
    if (!equals || equals == line || attrs->count == ATTRS_MAX_COUNT)
        return false;
    size_t name_length = (size_t)(equals - line);
    if (name_is_known(attrs, line, name_length))
        return false;
    attrs->pair[attrs->count++] = (struct attrs_pair){
        .name = line,
        .value = equals + 1,
        .name_length = name_length,
        .value_length = length - name_length - 1,
    };
    return true;
}

enum attrs_status attrs_scan(const char *data, size_t length, struct attrs *out, size_t *used)
{
    size_t limit = length < ATTRS_MAX_SIZE ? length : ATTRS_MAX_SIZE;
    size_t at = 0;

    out->count = 0;
    *used = 0;
    while (at < limit) {
        const char *line = data + at;
        const char *end = memchr(line, '\n', limit - at);
        size_t size = end ? (size_t)(end - line) : limit - at;

        if (memchr(line, '\0', size))
            return ATTRS_BAD;
        if (!end)
            break;
        at += size + 1;
        if (size > 0 && line[size - 1] == '\r')
            size--;
        if (size == 0) {
            *used = at;
            return ATTRS_DONE;
        }
        if (!line_add(out, line, size))
            return ATTRS_BAD;
    }
    return length < ATTRS_MAX_SIZE ? ATTRS_MORE : ATTRS_BAD;
}

bool attrs_get(const struct attrs *attrs, const char *name, char *out, size_t size)
{
    size_t length = strlen(name);

    if (size > 0)
        out[0] = '\0';
    for (size_t i = 0; i < attrs->count; i++) {
        const struct attrs_pair *pair = &attrs->pair[i];
        if (pair->name_length != length || memcmp(pair->name, name, length))
            continue;
        if (pair->value_length == 0 || pair->value_length >= size)
            return false;
        memcpy(out, pair->value, pair->value_length);
        out[pair->value_length] = '\0';
        return true;
    }
    return false;
}

bool attrs_put(char *buffer, size_t size, size_t *length, const char *name, const char *value)
{
    size_t name_length = strlen(name), value_length = strlen(value);
    size_t room = size - *length;

    /* A line end inside a value would let a client write attributes of its own. A NUL cannot be in
     * a C string; the codec's other end refuses it. */
    if (value[strcspn(value, "\r\n")] != '\0')
        return false;
    if (name_length + 2 > room || value_length > room - name_length - 2)
        return false;
    char *at = buffer + *length;
    memcpy(at, name, name_length);
    at[name_length] = '=';
    memcpy(at + name_length + 1, value, value_length);
    at[name_length + 1 + value_length] = '\n';
    *length += name_length + value_length + 2;
    return true;
}

bool attrs_end(char *buffer, size_t size, size_t *length)
{
    if (*length >= size)
        return false;
    buffer[(*length)++] = '\n';
    return true;
}
