/*
 * The names of Redis keys, one function a key of SPEC 8. Pure.
 *
 * All return out, always terminated. What goes in is canonical already (cache/name.h,
 * cache/net.h), so a key never holds a space, a control character, or a name over 253 octets.
 */
#ifndef CACHE_KEYS_H
#define CACHE_KEYS_H

#include "cache/name.h"
#include "cache/net.h"

#include <stdbool.h>
#include <stdint.h>

enum { KEYS_SIZE = 768, KEYS_PREFIX_SIZE = 33, KEYS_DAY_SIZE = 16 };

char *keys_mx(const char *prefix, const char *domain, char out[KEYS_SIZE]);
/* "mxw1:mx:_smtp._tcp.example.com" */
char *keys_srv(const char *prefix, const char *domain, char out[KEYS_SIZE]);
char *keys_addr(const char *prefix, const char *host, char out[KEYS_SIZE]);
/* "mxw1:lease:" and the rest of another key */
char *keys_lease(const char *prefix, const char *key, char out[KEYS_SIZE]);
/* identity: "[198.51.100.7]", "[198.51.100.0/24]", "example.net" or "#<digest>" */
char *keys_seen(const char *prefix, const struct net_addr *listener, const char *identity,
                char out[KEYS_SIZE]);
char *keys_proof(const char *prefix, const char *nonce, char out[KEYS_SIZE]);
/* dry: the keys of the modes that do not refuse ("mxw1:dry:defer:...", "mxw1:dry:ok:..."). The
 * digest is hash_digest's, without the '#' that goes before it in the key. */
char *keys_defer(const char *prefix, bool dry, const char *digest, char out[KEYS_SIZE]);
char *keys_ok(const char *prefix, bool dry, const char *domain, const char *identity,
              char out[KEYS_SIZE]);
/* net: "[198.51.100.0/24]" */
char *keys_trap(const char *prefix, bool dry, const char *net, char out[KEYS_SIZE]);
/* host is a name, or an address in brackets */
char *keys_health(const char *prefix, const char *host, uint16_t port, char out[KEYS_SIZE]);
char *keys_override(const char *prefix, const char *host, uint16_t port, char out[KEYS_SIZE]);
char *keys_node(const char *prefix, const char *node, char out[KEYS_SIZE]);
char *keys_epoch(const char *prefix, char out[KEYS_SIZE]);
/* day: "" for the running total, else "20261121" */
char *keys_stat(const char *prefix, const char *node, const char *day, char out[KEYS_SIZE]);

/* what: "bypass", "domains" */
char *keys_top(const char *prefix, const char *what, const char *day, char out[KEYS_SIZE]);
char *keys_events(const char *prefix, char out[KEYS_SIZE]);
/* The UTC day of a Unix second, "20261121". */
char *keys_day(int64_t now, char out[KEYS_DAY_SIZE]);

/* What an invalidated key is about. */
enum keys_kind {
    KEYS_OTHER,
    KEYS_MX,
    KEYS_SRV,
    KEYS_ADDR,
    KEYS_OVERRIDE,
    KEYS_OK,
    KEYS_HEALTH,
    KEYS_NODE,
    KEYS_EPOCH
};
/* Points *rest at what follows "<prefix>:<kind>:" in key, for KEYS_SRV at the domain; "" for
 * KEYS_EPOCH and KEYS_OTHER. */
enum keys_kind keys_parse(const char *prefix, const char *key, const char **rest);
/* "gw1.example.net:25" or "[192.0.2.1]:25" apart, in any case of letters; false where it is
 * neither. host becomes canonical, an address with its brackets (which an administrator may leave
 * out around IPv4); a missing port is default_port. */
bool keys_parse_host(const char *text, uint16_t default_port, char host[NAME_SIZE], uint16_t *port);

#endif
