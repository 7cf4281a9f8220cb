/*
 * Addresses, networks and their texts: the one canonical form, and the questions that are asked of
 * an address. Everything else holds struct net_addr values and never looks at texts again.
 */
#include "cache/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { IPV4_SIZE = 4, IPV6_SIZE = 16, MAPPED_BITS = 96 };

static unsigned addr_size(const struct net_addr *addr)
{
    return addr->family == NET_IPV4 ? IPV4_SIZE : addr->family == NET_IPV6 ? IPV6_SIZE : 0;
}

static void addr_set4(struct net_addr *out, const uint8_t bytes[IPV4_SIZE])
{
    *out = (struct net_addr){.family = NET_IPV4};
    memcpy(out->bytes, bytes, IPV4_SIZE);
}

/* An IPv4-mapped address becomes the IPv4 address here, so that one host never has two forms. */
static void addr_set6(struct net_addr *out, const uint8_t bytes[IPV6_SIZE])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    if (!memcmp(bytes, mapped, sizeof mapped)) {
        addr_set4(out, bytes + sizeof mapped);
        return;
    }
    *out = (struct net_addr){.family = NET_IPV6};
    memcpy(out->bytes, bytes, IPV6_SIZE);
}

/* A bare address, without brackets or tag. */
static bool addr_parse_bare(const char *text, struct net_addr *out)
{
    uint8_t bytes[IPV6_SIZE];

    *out = (struct net_addr){.family = NET_NONE};
    if (inet_pton(AF_INET, text, bytes) == 1)
        addr_set4(out, bytes);
    else if (inet_pton(AF_INET6, text, bytes) == 1)
        addr_set6(out, bytes);
    return out->family != NET_NONE;
}

/* Takes the brackets off text into out[NET_TEXT]; text without any is copied. False where one
 * bracket lacks the other, or the text is too long to be an address. */
static bool brackets_strip(const char *text, char out[NET_TEXT])
{
    size_t length = strnlen(text, NET_TEXT);
    bool opened = text[0] == '[';

    if (length == 0 || length == NET_TEXT || opened != (text[length - 1] == ']'))
        return false;
    if (opened) {
        text++;
        length -= 2;
    }
    memcpy(out, text, length);
    out[length] = '\0';
    return true;
}

bool net_addr_parse(const char *text, struct net_addr *out)
{
    static const char tag[] = "IPv6:"; /* RFC 5321 4.1.3 */
    char bare[NET_TEXT];

    *out = (struct net_addr){.family = NET_NONE};
    if (!brackets_strip(text, bare))
        return false;
    if (text[0] == '[' && !strncasecmp(bare, tag, sizeof tag - 1)) {
        const char *rest = bare + sizeof tag - 1;
        return strchr(rest, ':') && addr_parse_bare(rest, out);
    }
    return addr_parse_bare(bare, out);
}

char *net_addr_bare(const struct net_addr *addr, char out[NET_TEXT])
{
    out[0] = '\0';
    if (addr->family == NET_IPV4)
        inet_ntop(AF_INET, addr->bytes, out, NET_TEXT);
    else if (addr->family == NET_IPV6)
        inet_ntop(AF_INET6, addr->bytes, out, NET_TEXT);
    return out;
}

char *net_addr_format(const struct net_addr *addr, char out[NET_TEXT])
{
    char bare[NET_TEXT];

    /* An address takes 45 characters at most, so nothing is ever cut. */
    snprintf(out, NET_TEXT, "[%.45s]", net_addr_bare(addr, bare));
    return out;
}

int net_addr_compare(const struct net_addr *a, const struct net_addr *b)
{
    if (a->family != b->family)
        return a->family < b->family ? -1 : 1;
    return memcmp(a->bytes, b->bytes, addr_size(a));
}

bool net_addr_equal(const struct net_addr *a, const struct net_addr *b)
{
    return net_addr_compare(a, b) == 0;
}

/* A bit length: digits only, no leading zero. -1 where it is none. */
static int bits_parse(const char *text)
{
    size_t length = strspn(text, "0123456789");

    if (length == 0 || length > 3 || text[length] != '\0' || (length > 1 && text[0] == '0'))
        return -1;
    return atoi(text);
}

/* The first bits of from, the rest zero. */
static struct net_addr addr_mask(const struct net_addr *from, unsigned bits)
{
    struct net_addr masked = {.family = from->family};

    memcpy(masked.bytes, from->bytes, bits / 8);
    if (bits % 8)
        masked.bytes[bits / 8] = from->bytes[bits / 8] & (uint8_t)(0xff << (8 - bits % 8));
    return masked;
}

/* Where the '/' stands inside the brackets or there are none: address and bits of one text. */
static bool cidr_split(const char *text, char addr[NET_TEXT], const char **bits)
{
    char *slash = strchr(strcpy(addr, text), '/');

    *bits = NULL;
    if (slash) {
        *slash = '\0';
        *bits = text + (slash - addr) + 1;
    }
    return addr[0] != '\0';
}

bool net_cidr_parse(const char *text, struct net_cidr *out)
{
    char inner[NET_TEXT], addr[NET_TEXT];
    const char *bits_text;
    bool split;

    *out = (struct net_cidr){.bits = 0};
    if (strnlen(text, NET_TEXT) == NET_TEXT)
        return false;
    if (brackets_strip(text, inner)) { /* "[2001:db8::/32]", "192.0.2.0/24", "[192.0.2.1]" */
        split = cidr_split(inner, addr, &bits_text);
        if (!split || !addr_parse_bare(addr, &out->addr))
            return false;
    } else { /* "[2001:db8::]/32" */
        split = cidr_split(text, addr, &bits_text);
        if (!split || !net_addr_parse(addr, &out->addr))
            return false;
    }
    int most = (int)addr_size(&out->addr) * 8;
    int bits = bits_text ? bits_parse(bits_text) : most;
    /* The bits of a network written as IPv4-mapped count from the start of the IPv6 address. */
    if (bits_text && most == 32 && strchr(addr, ':'))
        bits -= MAPPED_BITS;
    struct net_addr masked = addr_mask(&out->addr, bits >= 0 && bits <= most ? (unsigned)bits : 0);
    if (bits < 0 || bits > most || !net_addr_equal(&masked, &out->addr)) {
        *out = (struct net_cidr){.bits = 0};
        return false;
    }
    out->bits = (uint8_t)bits;
    return true;
}

bool net_cidr_has(const struct net_cidr *net, const struct net_addr *addr)
{
    struct net_addr masked;

    if (addr->family == NET_NONE || addr->family != net->addr.family)
        return false;
    masked = addr_mask(addr, net->bits);
    return net_addr_equal(&masked, &net->addr);
}

struct net_cidr net_cidr_of(const struct net_addr *addr, unsigned bits4, unsigned bits6)
{
    unsigned most = addr_size(addr) * 8;
    unsigned bits = addr->family == NET_IPV4 ? bits4 : bits6;

    if (bits > most)
        bits = most;
    return (struct net_cidr){.addr = addr_mask(addr, bits), .bits = (uint8_t)bits};
}

char *net_cidr_format(const struct net_cidr *net, char out[NET_TEXT])
{
    char bare[NET_TEXT];

    snprintf(out, NET_TEXT, "[%.45s/%u]", net_addr_bare(&net->addr, bare), net->bits);
    return out;
}

/* Special-purpose blocks (RFC 6890 and what it lists), the first that holds an address decides. */
static const struct {
    uint8_t family, bits;
    enum net_scope scope;
    uint8_t bytes[4];
} blocks[] = {
    {NET_IPV4, 8, NET_UNUSABLE, {0}},          /* "this network", RFC 1122 */
    {NET_IPV4, 8, NET_UNUSABLE, {127}},        /* loopback */
    {NET_IPV4, 3, NET_UNUSABLE, {224}},        /* multicast, reserved, broadcast */
    {NET_IPV4, 8, NET_PRIVATE, {10}},          /* RFC 1918 */
    {NET_IPV4, 12, NET_PRIVATE, {172, 16}},    /* RFC 1918 */
    {NET_IPV4, 16, NET_PRIVATE, {192, 168}},   /* RFC 1918 */
    {NET_IPV4, 16, NET_PRIVATE, {169, 254}},   /* link-local, RFC 3927 */
    {NET_IPV4, 10, NET_PRIVATE, {100, 64}},    /* a carrier's inside, RFC 6598 */
    {NET_IPV6, 8, NET_UNUSABLE, {0xff}},       /* multicast */
    {NET_IPV6, 7, NET_PRIVATE, {0xfc}},        /* RFC 4193 */
    {NET_IPV6, 10, NET_PRIVATE, {0xfe, 0x80}}, /* link-local */
    {NET_IPV6, 10, NET_PRIVATE, {0xfe, 0xc0}}, /* site-local, RFC 3879 */
};

enum net_scope net_addr_scope(const struct net_addr *addr)
{
    static const uint8_t zeros[12];

    if (addr->family == NET_NONE)
        return NET_UNUSABLE;
    /* ::, ::1 and the long deprecated IPv4-compatible form share these 96 zero bits. */
    if (addr->family == NET_IPV6 && !memcmp(addr->bytes, zeros, sizeof zeros))
        return NET_UNUSABLE;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        struct net_cidr block = {.addr.family = blocks[i].family, .bits = blocks[i].bits};
        memcpy(block.addr.bytes, blocks[i].bytes, sizeof blocks[i].bytes);
        if (net_cidr_has(&block, addr))
            return blocks[i].scope;
    }
    return NET_PUBLIC;
}

socklen_t net_addr_sockaddr(const struct net_addr *addr, uint16_t port,
                            struct sockaddr_storage *out)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    memset(out, 0, sizeof *out);
    if (addr->family == NET_IPV4) {
        memcpy(&in4.sin_addr, addr->bytes, IPV4_SIZE);
        memcpy(out, &in4, sizeof in4);
        return sizeof in4;
    }
    if (addr->family == NET_IPV6) {
        memcpy(&in6.sin6_addr, addr->bytes, IPV6_SIZE);
        memcpy(out, &in6, sizeof in6);
        return sizeof in6;
    }
    return 0;
}

bool net_addr_from_sockaddr(const struct sockaddr *sa, struct net_addr *out, uint16_t *port)
{
    struct sockaddr_in in4;
    struct sockaddr_in6 in6;

    *out = (struct net_addr){.family = NET_NONE};
    if (sa->sa_family == AF_INET) {
        memcpy(&in4, sa, sizeof in4);
        addr_set4(out, (const uint8_t *)&in4.sin_addr);
        if (port)
            *port = ntohs(in4.sin_port);
    } else if (sa->sa_family == AF_INET6) {
        memcpy(&in6, sa, sizeof in6);
        addr_set6(out, in6.sin6_addr.s6_addr);
        if (port)
            *port = ntohs(in6.sin6_port);
    }
    return out->family != NET_NONE;
}
