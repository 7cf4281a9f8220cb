/*
 * Addresses, networks and their texts. Pure.
 *
 * One canonical form everywhere: RFC 5952 text in brackets ("[192.0.2.1]", "[2001:db8::1]"), an
 * IPv4-mapped IPv6 address (RFC 4291 2.5.5.2) always as the IPv4 address that it is.
 */
#ifndef CACHE_NET_H
#define CACHE_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum net_family { NET_NONE = 0, NET_IPV4 = 4, NET_IPV6 = 6 };

/* A value; NET_NONE is "not known". bytes are in network order, 4 or 16 of them count. */
struct net_addr {
    uint8_t family; /* enum net_family */
    uint8_t bytes[16];
};

struct net_cidr {
    struct net_addr addr; /* host bits are zero */
    uint8_t bits;         /* 0..32 or 0..128 */
};

/* Where an address may be used as a mail host. */
enum net_scope {
    NET_PUBLIC,
    NET_PRIVATE,  /* RFC 1918, 4193, 6598, link-local: only in configured pools */
    NET_UNUSABLE, /* loopback, unspecified, multicast, reserved, broadcast, NET_NONE: never */
};

enum { NET_TEXT = 64 }; /* room for any text below, NUL included */

/* Accepts "192.0.2.1", "2001:db8::1", either in brackets, and RFC 5321 "[IPv6:...]".
 * False, and *out cleared, for anything else. */
bool net_addr_parse(const char *text, struct net_addr *out);
/* "[...]"; "[]" for NET_NONE. Both return out. */
char *net_addr_format(const struct net_addr *addr, char out[NET_TEXT]);
/* The same without brackets. */
char *net_addr_bare(const struct net_addr *addr, char out[NET_TEXT]);
bool net_addr_equal(const struct net_addr *a, const struct net_addr *b);
int net_addr_compare(const struct net_addr *a, const struct net_addr *b); /* a total order */
enum net_scope net_addr_scope(const struct net_addr *addr);

/* "192.0.2.0/24", "[2001:db8::]/32", "[2001:db8::/32]"; a bare address is its own /32 or /128.
 * False when host bits are set. */
bool net_cidr_parse(const char *text, struct net_cidr *out);
bool net_cidr_has(const struct net_cidr *net, const struct net_addr *addr);
/* The network of addr with bits4 (IPv4) or bits6 (IPv6) leading bits. */
struct net_cidr net_cidr_of(const struct net_addr *addr, unsigned bits4, unsigned bits6);
/* "[198.51.100.0/24]" */
char *net_cidr_format(const struct net_cidr *net, char out[NET_TEXT]);

/* Length of the sockaddr, 0 for NET_NONE. */
socklen_t net_addr_sockaddr(const struct net_addr *addr, uint16_t port,
                            struct sockaddr_storage *out);
/* False, with NET_NONE, for other families than AF_INET and AF_INET6. port may be NULL. */
bool net_addr_from_sockaddr(const struct sockaddr *sa, struct net_addr *out, uint16_t *port);

#endif
