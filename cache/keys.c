/*
 * SPEC 8's key names, written and read in one place. Nothing here checks names: what goes in was
 * made canonical at the door, and what comes from Redis is only compared, or parsed as a host.
 */
#include "cache/keys.h"

#include "cache/facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Every part is bounded (prefix, two names or addresses, words), so nothing is ever cut. */
#define KEY(...) (snprintf(out, KEYS_SIZE, __VA_ARGS__), out)

char *keys_mx(const char *prefix, const char *domain, char out[KEYS_SIZE])
{
    return KEY("%s:mx:%s", prefix, domain);
}

char *keys_srv(const char *prefix, const char *domain, char out[KEYS_SIZE])
{
    return KEY("%s:mx:" FACTS_SRV_LABELS "%s", prefix, domain);
}

char *keys_addr(const char *prefix, const char *host, char out[KEYS_SIZE])
{
    return KEY("%s:addr:%s", prefix, host);
}

char *keys_lease(const char *prefix, const char *key, char out[KEYS_SIZE])
{
    return KEY("%s:lease:%s", prefix, key + strlen(prefix) + 1);
}

char *keys_seen(const char *prefix, const struct net_addr *listener, const char *identity,
                char out[KEYS_SIZE])
{
    char text[NET_TEXT];

    return KEY("%s:seen:%s:%s", prefix, net_addr_format(listener, text), identity);
}

char *keys_proof(const char *prefix, const char *nonce, char out[KEYS_SIZE])
{
    return KEY("%s:proof:%s", prefix, nonce);
}

char *keys_defer(const char *prefix, bool dry, const char *digest, char out[KEYS_SIZE])
{
    return KEY("%s:%sdefer:#%s", prefix, dry ? "dry:" : "", digest);
}

char *keys_ok(const char *prefix, bool dry, const char *domain, const char *identity,
              char out[KEYS_SIZE])
{
    return KEY("%s:%sok:%s:%s", prefix, dry ? "dry:" : "", domain, identity);
}

char *keys_trap(const char *prefix, bool dry, const char *net, char out[KEYS_SIZE])
{
    return KEY("%s:%strap:%s", prefix, dry ? "dry:" : "", net);
}

char *keys_health(const char *prefix, const char *host, uint16_t port, char out[KEYS_SIZE])
{
    return KEY("%s:health:%s:%u", prefix, host, port);
}

char *keys_override(const char *prefix, const char *host, uint16_t port, char out[KEYS_SIZE])
{
    return KEY("%s:override:%s:%u", prefix, host, port);
}

char *keys_node(const char *prefix, const char *node, char out[KEYS_SIZE])
{
    return KEY("%s:node:%s", prefix, node);
}

char *keys_epoch(const char *prefix, char out[KEYS_SIZE])
{
    return KEY("%s:epoch", prefix);
}

char *keys_stat(const char *prefix, const char *node, const char *day, char out[KEYS_SIZE])
{
    return KEY("%s:stat:%s%s%s", prefix, node, day[0] ? ":" : "", day);
}

char *keys_top(const char *prefix, const char *what, const char *day, char out[KEYS_SIZE])
{
    return KEY("%s:top:%s:%s", prefix, what, day);
}

char *keys_events(const char *prefix, char out[KEYS_SIZE])
{
    return KEY("%s:events", prefix);
}

char *keys_day(int64_t now, char out[KEYS_DAY_SIZE])
{
    time_t seconds = (time_t)now;
    struct tm tm;

    if (!gmtime_r(&seconds, &tm) || strftime(out, KEYS_DAY_SIZE, "%Y%m%d", &tm) == 0)
        strcpy(out, "19700101");
    return out;
}

/* Only the kinds that are tracked (SPEC 8) are told apart; the colon belongs to the word, so that
 * "mxw1:mxfoo" is no ordering. */
enum keys_kind keys_parse(const char *prefix, const char *key, const char **rest)
{
    static const struct {
        const char *word;
        enum keys_kind kind;
    } kinds[] = {
        {"mx:" FACTS_SRV_LABELS, KEYS_SRV}, /* before the word that it begins with */
        {"mx:", KEYS_MX},
        {"addr:", KEYS_ADDR},
        {"override:", KEYS_OVERRIDE},
        {"ok:", KEYS_OK},
        {"node:", KEYS_NODE},
        {"health:", KEYS_HEALTH},
    };
    size_t length = strlen(prefix);

    *rest = "";
    if (strncmp(key, prefix, length) != 0 || key[length] != ':')
        return KEYS_OTHER;
    key += length + 1;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t word = strlen(kinds[i].word);
        if (strncmp(key, kinds[i].word, word) == 0) {
            *rest = key + word;
            return kinds[i].kind;
        }
    }
    return strcmp(key, "epoch") == 0 ? KEYS_EPOCH : KEYS_OTHER;
}

/* A port's digits up to the end of text; 0 where it is none. No leading zero: one port has one
 * text, and so one key. */
static uint16_t port_parse(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 5 || text[digits] != '\0' || text[0] == '0')
        return 0;
    long value = strtol(text, NULL, 10);
    return value <= UINT16_MAX ? (uint16_t)value : 0;
}

bool keys_parse_host(const char *text, uint16_t default_port, char host[NAME_SIZE], uint16_t *port)
{
    const char *colon = strrchr(text, ':'), *bracket = strrchr(text, ']');
    size_t length = strlen(text);
    char bare[NET_TEXT];
    struct net_addr addr;

    /* The last colon divides, unless it stands inside brackets. */
    host[0] = '\0';
    *port = default_port;
    if (colon && (!bracket || bracket < colon)) {
        length = (size_t)(colon - text);
        *port = port_parse(colon + 1);
    }
    if (*port == 0)
        return false;
    if (length < sizeof bare) {
        memcpy(bare, text, length);
        bare[length] = '\0';
        /* Without brackets only IPv4: in "2001:db8::25" nobody could tell the port. */
        if (net_addr_parse(bare, &addr) && (bare[0] == '[' || addr.family == NET_IPV4)) {
            net_addr_format(&addr, host);
            return true;
        }
    }
    return name_normalize(text, length, host);
}
