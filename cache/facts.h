/*
 * What is known about a name: an ordering, by MX or SRV records, or a host's addresses. Shared
 * data, pure.
 *
 * A facts object is made once (answer.c from DNS, codec.c from Redis), then never changed, and
 * counted: whoever keeps one holds a reference. "Not there" (NONE, NXDOMAIN) and "could not tell"
 * (FAIL) are different states; a FAIL is never written to Redis over something better.
 */
#ifndef CACHE_FACTS_H
#define CACHE_FACTS_H

#include "cache/name.h"
#include "cache/net.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The name of SRV facts is the domain whose mail they are about, as for MX; their records are at
 * "_smtp._tcp." and that name (RFC 2782). */
enum facts_kind { FACTS_MX, FACTS_ADDR, FACTS_SRV };

#define FACTS_SRV_LABELS "_smtp._tcp."
/* Room for FACTS_SRV_LABELS and a name. */
enum { FACTS_OWNER_SIZE = NAME_SIZE + sizeof FACTS_SRV_LABELS - 1 };

enum facts_state {
    FACTS_OK,
    FACTS_NONE,     /* the name exists and has no such record (RFC 2308 NODATA) */
    FACTS_NULL,     /* no mail: the single "MX 0 ." of RFC 7505, or an SRV target "." alone */
    FACTS_NXDOMAIN, /* the name does not exist */
    FACTS_FAIL,     /* SERVFAIL, timeout, refused, malformed: cannot tell */
};

enum {
    FACTS_MAX_HOSTS = 20, /* MX or SRV records used of one set; the best preferences are kept */
    FACTS_SMTP_PORT = 25, /* of a host that an MX record names */
    FACTS_MAX_ADDRS = 8,  /* addresses used of one host and family */
    FACTS_MAX_CNAMES = 8, /* hops */
};

/* What is odd about an answer though it can be used; bits. */
enum facts_warning {
    FACTS_WARN_CNAME = 1,     /* the name is an alias (RFC 2181 10.3 for MX targets) */
    FACTS_WARN_NULL = 2,      /* "." among real MX or SRV records */
    FACTS_WARN_CUT = 4,       /* more records than are used */
    FACTS_WARN_BAD_NAME = 8,  /* a record left out because its target is no host name */
    FACTS_WARN_BAD_ADDR = 16, /* one left out because its address is no host's (loopback, ...) */
    FACTS_WARN_BAD_PORT = 32, /* an SRV record left out because its port is 0 */
};

struct facts_host {
    uint16_t preference; /* an SRV record's priority */
    uint16_t port;       /* of an MX record FACTS_SMTP_PORT */
    uint16_t weight;     /* of an MX record 0 */
    char *name;          /* canonical */
};

struct facts {
    enum facts_kind kind;
    enum facts_state state;
    bool own;    /* resolved by this process; false: read from Redis */
    bool proven; /* then: written under the site's secret (cache/mac.h), and its times can be */
    unsigned refs;
    unsigned warnings;        /* enum facts_warning */
    uint32_t ttl;             /* seconds, clamped to min_ttl..max_ttl, or negative_ttl */
    int64_t fetched, expires; /* Unix seconds, by the shared clock (clock.h) */
    int64_t changed;          /* when the set of hosts last became another one; 0 unknown */
    union {
        struct {
            /* MX and SRV: sorted by preference, then name, then port; no name and port twice */
            size_t count;
            struct facts_host *host;
        } mx;
        struct {
            size_t a_count, aaaa_count; /* sorted by bytes; no address twice */
            struct net_addr a[FACTS_MAX_ADDRS], aaaa[FACTS_MAX_ADDRS];
            bool a_failed, aaaa_failed; /* that family's look-up could not tell */
        } addr;
    };
};

/* An empty one with one reference; NULL when out of memory. */
struct facts *facts_new(enum facts_kind kind, enum facts_state state);
struct facts *facts_ref(const struct facts *facts);
void facts_unref(const struct facts *facts); /* NULL is fine */

/* Adds to facts under construction. Duplicates are dropped (of two hosts equal in name and port the
 * better preference stays, then the greater weight), limits kept (with FACTS_WARN_CUT): the best
 * hosts, the lowest addresses, in whatever order they come. False when out of memory. */
bool facts_add_host(struct facts *facts, uint16_t preference, const char *name); /* of an MX */
bool facts_add_service(struct facts *facts, const struct facts_host *service);   /* copied */
void facts_add_addr(struct facts *facts, const struct net_addr *addr);
/* Sorts. Call once, last. */
void facts_seal(struct facts *facts);

/* Whether addr is among a host's addresses, of either family; facts may be NULL. */
bool facts_have_addr(const struct facts *facts, const struct net_addr *addr);
/* The same set of hosts with all that their records say, or of addresses, whatever the times. */
bool facts_equal(const struct facts *a, const struct facts *b);
/* Where in the DNS the records are: name itself, or the labels of SRV and it, which may be a name
 * too long to be asked for. */
char *facts_owner(enum facts_kind kind, const char *name, char out[FACTS_OWNER_SIZE]);
/* Whether a route may use them: what came from Redis without proof guides the guard only. */
bool facts_are_trusted(const struct facts *facts);
const char *facts_state_name(enum facts_state state); /* "ok" "none" "null" "nxdomain" "fail" */
bool facts_state_parse(const char *text, enum facts_state *out);

#endif
