/*
 * A name or a certificate that counts as verified exempts a client from judgement, so every doubt
 * here is "not verified"; an address that is doubtful is "not known", and accepts.
 */
#include "milter/macros.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool has_text(const char *text)
{
    return text && text[0] != '\0';
}

const char *macros_name(const char *hostname, const struct macros *macros)
{
    struct net_addr addr;

    if (!has_text(hostname) || !strcasecmp(hostname, "unknown") || hostname[0] == '[' ||
        net_addr_parse(hostname, &addr))
        return NULL;
    /* Sendmail passes a name that its own address record contradicts, and says so here only. */
    if (has_text(macros->client_resolve))
        return strcmp(macros->client_resolve, "OK") ? NULL : hostname;
    /* Without that macro the mark in _ decides, and without either nobody said it is verified. */
    if (!has_text(macros->underscore) || strstr(macros->underscore, "may be forged"))
        return NULL;
    return hostname;
}

/* "192.0.2.1", "2001:db8::1", "[...]", and Sendmail's "IPv6:2001:db8::1". */
static bool addr_parse(const char *text, struct net_addr *out)
{
    if (!has_text(text))
        return false;
    if (!strncasecmp(text, "IPv6:", 5))
        text += 5;
    return net_addr_parse(text, out);
}

/* 0.0.0.0 and :: are what a daemon listens on, not what a client reached. */
static bool is_wildcard(const struct net_addr *addr)
{
    for (size_t i = 0; i < sizeof addr->bytes; i++)
        if (addr->bytes[i] != 0)
            return false;
    return true;
}

void macros_server(const struct macros *macros, struct net_addr *addr, uint16_t *port)
{
    *port = 0;
    if (has_text(macros->daemon_port)) {
        char *end;
        long value = strtol(macros->daemon_port, &end, 10);
        if (*end == '\0' && value > 0 && value <= UINT16_MAX)
            *port = (uint16_t)value;
    }
    if (addr_parse(macros->if_addr, addr) && !is_wildcard(addr))
        return;
    if (addr_parse(macros->daemon_addr, addr) && !is_wildcard(addr))
        return;
    memset(addr, 0, sizeof *addr);
}

const char *macros_certificate(const struct macros *macros)
{
    if (!has_text(macros->cert_subject))
        return NULL;
    if (has_text(macros->verify))
        return strcmp(macros->verify, "OK") ? NULL : macros->cert_subject;
    /* Sendmail sends the subject of any certificate: without {verify} only Postfix is believed. */
    if (!has_text(macros->version) || strncmp(macros->version, "Postfix", 7))
        return NULL;
    return macros->cert_subject;
}
