/*
 * The texts of the configuration's values and what they mean. Pure.
 */
#include "policy/conf_value.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DURATION_MAX (INT64_C(100) * 365 * 24 * 3600 * 1000)

static const struct {
    const char *name;
    int64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

enum { UNITS = sizeof units / sizeof units[0], NUMBER_DIGITS = 15, PORT_MAX = 65535 };

/* The digits at the start of text; their number is limited so that no sum overflows. */
static size_t scan_digits(const char *text, int64_t *out)
{
    size_t length = strspn(text, "0123456789");

    *out = 0;
    if (length > NUMBER_DIGITS)
        return 0;
    for (size_t i = 0; i < length; i++)
        *out = *out * 10 + (text[i] - '0');
    return length;
}

bool conf_value_number(const char *text, int64_t *out)
{
    size_t length = scan_digits(text, out);

    return length > 0 && text[length] == '\0';
}

bool conf_value_duration(const char *text, int64_t *out)
{
    size_t length = scan_digits(text, out);

    if (length == 0)
        return false;
    /* Only nothing is nothing in every unit. */
    if (text[length] == '\0')
        return *out == 0;
    for (size_t i = 0; i < UNITS; i++)
        if (strcmp(text + length, units[i].name) == 0) {
            if (*out > DURATION_MAX / units[i].ms)
                return false;
            *out *= units[i].ms;
            return true;
        }
    return false;
}

char *conf_value_format_duration(int64_t duration, char out[32])
{
    size_t unit = 0;

    while (unit < UNITS - 1 && duration % units[unit].ms != 0)
        unit++;
    if (duration == 0)
        strcpy(out, "0");
    else
        snprintf(out, 32, "%lld%s", (long long)(duration / units[unit].ms), units[unit].name);
    return out;
}

bool conf_value_word(const char *text, const char *words, unsigned *out)
{
    size_t length = strlen(text);
    unsigned place = 0;

    for (const char *word = words; length > 0; place++) {
        size_t size = strcspn(word, ",");
        if (size == length && strncasecmp(word, text, size) == 0) {
            *out = place;
            return true;
        }
        if (word[size] == '\0')
            break;
        word += size + 1;
    }
    return false;
}

bool conf_value_bool(const char *text, bool *out)
{
    unsigned place;

    if (!conf_value_word(text, "false,true,no,yes,off,on", &place))
        return false;
    *out = place % 2;
    return true;
}

static bool parse_port(const char *text, uint16_t *out)
{
    int64_t number;

    if (!conf_value_number(text, &number) || number < 1 || number > PORT_MAX)
        return false;
    *out = (uint16_t)number;
    return true;
}

/* Splits "host:port" where there is a port: a lone colon, or one after a bracket. More colons
 * without brackets are an IPv6 address. */
static bool split_port(const char *text, char host[NAME_SIZE], uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    const char *bracket = strrchr(text, ']');
    size_t length = strlen(text);

    if (colon && (bracket ? bracket + 1 == colon : strchr(text, ':') == colon)) {
        if (!parse_port(colon + 1, port))
            return false;
        length = (size_t)(colon - text);
    }
    if (length == 0 || length >= NAME_SIZE)
        return false;
    memcpy(host, text, length);
    host[length] = '\0';
    return true;
}

bool conf_value_endpoint(const char *text, uint16_t port, struct net_addr *addr, uint16_t *port_out)
{
    char host[NAME_SIZE];

    *port_out = port;
    return split_port(text, host, port_out) && net_addr_parse(host, addr);
}

bool conf_value_host(const char *text, uint16_t port, char name[NAME_SIZE], struct net_addr *addr,
                     uint16_t *port_out)
{
    char host[NAME_SIZE];

    *port_out = port;
    *name = '\0';
    memset(addr, 0, sizeof *addr);
    if (!split_port(text, host, port_out))
        return false;
    if (net_addr_parse(host, addr))
        return true;
    /* 192.0.2.300 and 192.0.2 are slips of the pen, not names. */
    if (strspn(host, "0123456789.") == strlen(host))
        return false;
    return name_normalize(host, strlen(host), name);
}

bool conf_value_mailbox(const char *text, char *out, size_t size)
{
    const char *at = strrchr(text, '@');
    size_t local = at ? (size_t)(at - text) : strlen(text);
    char domain[NAME_SIZE] = "";

    if (at && !name_normalize(at + 1, strlen(at + 1), domain))
        return false;
    if (!conf_value_is_line(text) || (local == 0 && !at) || local > 64)
        return false;
    for (size_t i = 0; i < local; i++)
        if (isspace((unsigned char)text[i]) || text[i] == '<' || text[i] == '>')
            return false;
    if (snprintf(out, size, "%.*s%s%s", (int)local, text, at ? "@" : "", domain) >= (int)size)
        return false;
    for (size_t i = 0; i < local; i++)
        out[i] = (char)tolower((unsigned char)out[i]);
    return true;
}

bool conf_value_is_token(const char *text, size_t max)
{
    size_t length = strlen(text);

    return length > 0 && length <= max &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
               length;
}

bool conf_value_is_line(const char *text)
{
    json_t *string;

    for (const unsigned char *at = (const unsigned char *)text; *at; at++)
        if (*at < 0x20 || *at == 0x7f || (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0))
            return false;
    /* jansson takes nothing but UTF-8. */
    string = json_string(text);
    if (!string)
        return false;
    json_decref(string);
    return true;
}
