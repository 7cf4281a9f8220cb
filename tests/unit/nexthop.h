/*
 * The oracle: reads an answer of the transport map as Postfix does, by a parser of its own that
 * shares nothing with the writer. Whatever it complains of would be fatal in smtp(8), an error in
 * trivial-rewrite(8), or mail for nobody.
 *
 * The grammar, as Postfix 3.5 and later read it: a socketmap reply (dict_sockmap); transport, ':',
 * next hop (transport(5)); for smtp(8) a list of "host", "host:port", "[host]", "[host]:port",
 * "[IPv6:address]:port", apart by commas or white space (host_port, valid_hostname,
 * valid_hostaddr). What Postfix would take and we never mean is refused as well: names of ports,
 * more than four hosts, more than 512 octets, a list that does not stand in its one form.
 */
#ifndef TESTS_UNIT_NEXTHOP_H
#define TESTS_UNIT_NEXTHOP_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NEXTHOP_MAX = 4, NEXTHOP_BYTES = 512 };

struct nexthop {
    char host[256]; /* without brackets and tag */
    bool brackets;  /* not looked up as an MX */
    unsigned port;
};

/* A reply taken apart. */
struct nexthop_reply {
    bool found; /* else NOTFOUND */
    char transport[64];
    char text[NEXTHOP_BYTES + 1]; /* of error and retry */
    size_t count;
    struct nexthop hop[NEXTHOP_MAX];
};

static inline bool nexthop_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool nexthop_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Labels of 1 to 63 letters, digits, '_' and inner hyphens; not digits alone. */
static inline bool nexthop_is_name(const char *name)
{
    size_t label = 0;
    bool letters = false;

    for (const char *at = name; *at; at++) {
        char next = at[1];
        if (*at == '.') {
            if (label == 0 || next == '\0')
                return false;
            label = 0;
            continue;
        }
        if (*at == '-') {
            if (label == 0 || next == '\0' || next == '.')
                return false;
        } else if (!nexthop_is_letter(*at) && !nexthop_is_digit(*at) && *at != '_') {
            return false;
        }
        letters = letters || nexthop_is_letter(*at) || *at == '_';
        if (++label > 63)
            return false;
    }
    return label > 0 && letters && strlen(name) <= 255;
}

static inline bool nexthop_is_ipv4(const char *text)
{
    struct in_addr addr;

    return inet_pton(AF_INET, text, &addr) == 1 && text[0] != '0';
}

static inline const char *nexthop_port(const char *text, unsigned *out)
{
    size_t length = strspn(text, "0123456789");

    if (length == 0 || length > 5 || text[length])
        return "a port that is no number";
    *out = (unsigned)strtoul(text, NULL, 10);
    return *out == 0 || *out > 65535 ? "a port out of range" : NULL;
}

/* One host; text is destroyed. NULL, or what is wrong with it. */
static inline const char *nexthop_host(char *text, struct nexthop *out)
{
    bool v6 = false;
    char *host = text, *end, *port = NULL;
    struct in6_addr addr;

    out->port = 25;
    out->brackets = *text == '[';
    if (out->brackets) {
        host++;
        v6 = strncasecmp(host, "IPv6:", 5) == 0;
        host += v6 ? 5 : 0;
        end = strchr(host, ']');
        if (!end)
            return "no ]";
        *end++ = '\0';
        if (*end && *end != ':')
            return "garbage behind ]";
        port = *end ? end + 1 : NULL;
    } else if ((end = strrchr(host, ':'))) {
        *end = '\0';
        port = end + 1;
    }
    if (strlen(host) >= sizeof out->host)
        return "a host too long";
    strcpy(out->host, host);
    if (v6 ? inet_pton(AF_INET6, host, &addr) != 1
           : !nexthop_is_name(host) && !nexthop_is_ipv4(host))
        return "neither a name nor an address";
    return port ? nexthop_port(port, &out->port) : NULL;
}

static inline const char *nexthop_list(char *text, struct nexthop_reply *out)
{
    char *save = NULL, *word;

    for (word = strtok_r(text, ", \t", &save); word; word = strtok_r(NULL, ", \t", &save)) {
        const char *wrong;
        if (out->count == NEXTHOP_MAX)
            return "too many hosts";
        if ((wrong = nexthop_host(word, &out->hop[out->count++])))
            return wrong;
    }
    return out->count ? NULL : "no host";
}

/* "5.1.10 Domain does not accept mail": error(8) and retry(8) take it for a status and a text. */
static inline const char *nexthop_status(const char *text, char class)
{
    unsigned subject, detail;
    int used = 0;

    if (text[0] != class || sscanf(text, "%*1[0-9].%3u.%3u %n", &subject, &detail, &used) != 2)
        return "no status";
    return used && text[used] ? NULL : "a status without a text";
}

/* NULL, or what Postfix would not like about a reply of the map `transport`. */
static inline const char *nexthop_parse(const char *reply, size_t length, struct nexthop_reply *out)
{
    char data[NEXTHOP_BYTES + 1], *colon;

    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)reply[i] < ' ' || (unsigned char)reply[i] > '~')
            return "an octet that does not belong there";
    if (length == 9 && strncmp(reply, "NOTFOUND ", 9) == 0)
        return NULL;
    if (length <= 3 || strncmp(reply, "OK ", 3) != 0)
        return "neither NOTFOUND nor OK";
    if (length - 3 > NEXTHOP_BYTES)
        return "too long";
    out->found = true;
    snprintf(data, sizeof data, "%.*s", (int)(length - 3), reply + 3);
    colon = strchr(data, ':');
    if (!colon || colon == data || (size_t)(colon - data) >= sizeof out->transport ||
        strcspn(data, " ,[]") < (size_t)(colon - data))
        return "no transport";
    *colon++ = '\0';
    strcpy(out->transport, data);
    strcpy(out->text, colon);
    if (strcmp(data, "error") == 0)
        return nexthop_status(colon, '5');
    if (strcmp(data, "retry") == 0)
        return nexthop_status(colon, '4');
    return nexthop_list(colon, out);
}

/* The same for those who want no more than the complaint. */
static inline const char *nexthop_check(const char *reply)
{
    struct nexthop_reply parsed;

    return nexthop_parse(reply, strlen(reply), &parsed);
}

#endif
