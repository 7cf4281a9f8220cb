/*
 * The door for domain names, and the pure questions asked of a name afterwards. The only file that
 * knows libidn2 and libpsl.
 */
#include "cache/name.h"

#include <ctype.h>
#include <idn2.h>
#include <libpsl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
    LABEL_MAX = 63,
    UTF8_MAX = 1024, /* octets of a name before it becomes A-labels */
};

static bool label_is_good(const char *label, size_t length)
{
    /* Postfix calls a hyphen at a label's ends malformed, and a malformed host in a next hop ends
     * its smtp(8). */
    return length >= 1 && length <= LABEL_MAX && label[0] != '-' && label[length - 1] != '-';
}

/* Whether inet_aton(), and with it getaddrinfo(), would read the name as an address: its last
 * label is a number, decimal or "0x..". No top-level domain looks so (RFC 3696 2). */
static bool name_is_number(const char *name)
{
    const char *dot = strrchr(name, '.');
    const char *last = dot ? dot + 1 : name;

    if (last[0] == '0' && last[1] == 'x')
        return last[strspn(last + 2, "0123456789abcdef") + 2] == '\0';
    return last[strspn(last, "0123456789")] == '\0';
}

/* The canonical form of an ASCII name. */
static bool name_from_ascii(const char *text, size_t length, char out[NAME_SIZE])
{
    size_t label = 0; /* where the current one starts */

    if (length > 0 && text[length - 1] == '.')
        length--;
    if (length == 0 || length >= NAME_SIZE)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '.') {
            if (!label_is_good(out + label, i - label))
                return false;
            label = i + 1;
        } else if (!(c < 0x80 && isalnum(c)) && c != '-' && c != '_') {
            return false;
        }
        out[i] = (char)tolower(c);
    }
    out[length] = '\0';
    return label_is_good(out + label, length - label) && !name_is_number(out);
}

/* libidn2's mapping turns some characters into several, or into ASCII that no name may hold (a
 * fullwidth '%', a dot that was none): its result goes through the ASCII door like any other. */
static bool name_from_utf8(const char *text, size_t length, char out[NAME_SIZE])
{
    char copy[UTF8_MAX];
    uint8_t *ascii = NULL;
    bool good = false;

    if (length >= sizeof copy || memchr(text, '\0', length))
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (idn2_lookup_u8((const uint8_t *)copy, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) ==
        IDN2_OK)
        good = name_from_ascii((const char *)ascii, strlen((const char *)ascii), out);
    idn2_free(ascii);
    return good;
}

bool name_normalize(const char *text, size_t length, char out[NAME_SIZE])
{
    bool ascii = true, good;

    for (size_t i = 0; i < length && ascii; i++)
        ascii = !((unsigned char)text[i] & 0x80);
    good = ascii ? name_from_ascii(text, length, out) : name_from_utf8(text, length, out);
    if (!good)
        out[0] = '\0';
    return good;
}

bool name_registrable(const char *name, char out[NAME_SIZE])
{
    const psl_ctx_t *psl = psl_builtin();
    const char *found = psl && strchr(name, '.') ? psl_registrable_domain(psl, name) : NULL;

    /* The result points into name. */
    snprintf(out, NAME_SIZE, "%s", found ? found : "");
    return out[0] != '\0';
}

/* An address as numbers to look for: IPv4 octets, IPv6 groups or nibbles. */
struct parts {
    unsigned count, base, width; /* width: digits of a number when padded with zeros */
    unsigned value[32];
};

static int digit_value(char c, unsigned base)
{
    int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

    return value < (int)base ? value : -1;
}

/* Whether the parts stand at text, joined by single separators, each padded or not. */
static bool parts_stand_at(const struct parts *parts, const char *text, bool backwards)
{
    for (unsigned i = 0; i < parts->count; i++) {
        unsigned wanted = parts->value[backwards ? parts->count - 1 - i : i];
        unsigned value = 0, digits = 0;

        if (i > 0 && (*text == '\0' || !strchr("-._x", *text++)))
            return false;
        for (; digit_value(*text, parts->base) >= 0; text++) {
            if (++digits > parts->width)
                return false;
            value = value * parts->base + (unsigned)digit_value(*text, parts->base);
        }
        if (digits == 0 || value != wanted)
            return false;
    }
    return true;
}

static bool parts_joined(const struct parts *parts, const char *name)
{
    for (const char *at = name; *at; at++) {
        if (at > name && digit_value(at[-1], parts->base) >= 0)
            continue; /* inside a number */
        if (parts_stand_at(parts, at, false) || parts_stand_at(parts, at, true))
            return true;
    }
    return false;
}

/* Whether text stands in name with no further decimal digit before or after it. Hex texts are
 * looked for without that: they are long enough not to appear by chance, and often follow a letter
 * that is a hex digit too. */
static bool name_holds(const char *name, const char *text, bool bounded)
{
    size_t length = strlen(text);

    for (const char *at = strstr(name, text); at; at = strstr(at + 1, text)) {
        bool free_before = at == name || digit_value(at[-1], 10) < 0;
        if (!bounded || (free_before && digit_value(at[length], 10) < 0))
            return true;
    }
    return false;
}

/* Writes value with at least width digits; returns how many. */
static size_t number_put(char *out, size_t size, unsigned base, unsigned width, unsigned value)
{
    int length = base == 10 ? snprintf(out, size, "%0*u", (int)width, value)
                            : snprintf(out, size, "%0*x", (int)width, value);
    return (size_t)length;
}

/* The parts written one after the other without separators: padded, and in decimal also not. */
static bool parts_adjacent(const struct parts *parts, const char *name)
{
    bool decimal = parts->base == 10;

    for (int backwards = 0; backwards <= 1; backwards++) {
        char padded[64] = "", plain[64] = "";
        size_t p = 0, q = 0;
        for (unsigned i = 0; i < parts->count; i++) {
            unsigned value = parts->value[backwards ? parts->count - 1 - i : i];
            p += number_put(padded + p, sizeof padded - p, parts->base, parts->width, value);
            q += number_put(plain + q, sizeof plain - q, parts->base, 1, value);
        }
        if (name_holds(name, padded, decimal) || (decimal && name_holds(name, plain, true)))
            return true;
    }
    return false;
}

static bool name_embeds_ipv4(const char *name, const uint8_t bytes[4])
{
    struct parts decimal = {.count = 4, .base = 10, .width = 3};
    struct parts hex = {.count = 4, .base = 16, .width = 2};
    char number[16];

    for (int i = 0; i < 4; i++)
        decimal.value[i] = hex.value[i] = bytes[i];
    uint32_t whole =
        (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    snprintf(number, sizeof number, "%u", whole);
    return parts_joined(&decimal, name) || parts_adjacent(&decimal, name) ||
           parts_joined(&hex, name) || parts_adjacent(&hex, name) || name_holds(name, number, true);
}

/* RFC 5952 text with its colons written as '-', '.' or '_': "2001-db8--1". */
static bool name_embeds_text(const char *name, const struct net_addr *addr)
{
    char text[NET_TEXT];

    for (const char *joiner = "-._"; *joiner; joiner++) {
        net_addr_bare(addr, text);
        for (char *c = text; *c; c++)
            if (*c == ':')
                *c = *joiner;
        if (name_holds(name, text, true))
            return true;
    }
    return false;
}

/* Besides the whole address each half: the /64 is the customer's line, and the interface's part
 * (unless it is a small number, chosen by hand) is as much a machine's own. */
static bool name_embeds_ipv6(const char *name, const struct net_addr *addr)
{
    struct parts nibbles = {.count = 32, .base = 16, .width = 1};
    struct parts groups = {.count = 8, .base = 16, .width = 4};
    struct parts high = {.count = 4, .base = 16, .width = 4}, low = high;

    for (int i = 0; i < 32; i++)
        nibbles.value[i] = i % 2 ? addr->bytes[i / 2] & 15U : addr->bytes[i / 2] >> 4;
    for (int i = 0; i < 8; i++)
        groups.value[i] = (unsigned)addr->bytes[2 * i] << 8 | addr->bytes[2 * i + 1];
    memcpy(high.value, groups.value, 4 * sizeof *groups.value);
    memcpy(low.value, groups.value + 4, 4 * sizeof *groups.value);
    bool low_counts = low.value[0] || low.value[1];
    return parts_joined(&nibbles, name) || parts_adjacent(&nibbles, name) ||
           parts_joined(&groups, name) || name_embeds_text(name, addr) ||
           parts_joined(&high, name) || parts_adjacent(&high, name) ||
           (low_counts && (parts_joined(&low, name) || parts_adjacent(&low, name)));
}

bool name_embeds_address(const char *name, const struct net_addr *addr)
{
    if (addr->family == NET_IPV4)
        return name_embeds_ipv4(name, addr->bytes);
    return addr->family == NET_IPV6 && name_embeds_ipv6(name, addr);
}

/* On a mismatch only the last '*' needs to take one character more: linear stars, no recursion. */
bool name_matches(const char *pattern, const char *name)
{
    const char *star = NULL, *retry = NULL;

    while (*name) {
        if (*pattern == '*') {
            star = ++pattern;
            retry = name;
        } else if (tolower((unsigned char)*pattern) == tolower((unsigned char)*name)) {
            pattern++;
            name++;
        } else if (star) {
            pattern = star;
            name = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool name_is_below(const char *name, const char *domain)
{
    size_t length = strlen(name), tail = strlen(domain);

    if (length < tail || tail == 0 || strcmp(name + length - tail, domain) != 0)
        return false;
    return length == tail || name[length - tail - 1] == '.';
}
