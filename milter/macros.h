/*
 * What an MTA's macros say of the client and of the address it reached. Pure: Postfix and Sendmail
 * use the same names for different things, and the differences are settled here.
 */
#ifndef MILTER_MACROS_H
#define MILTER_MACROS_H

#include "cache/net.h"

#include <stdbool.h>

/* Values of macros; NULL where the MTA did not send one. */
struct macros {
    const char *underscore;     /* _ : "name [address]", Sendmail adds "(may be forged)" */
    const char *client_resolve; /* {client_resolve}, Sendmail only: OK, FAIL, FORGED, TEMP */
    const char *if_addr;        /* {if_addr}, Sendmail only, not for loopback */
    const char *daemon_addr;    /* {daemon_addr}, perhaps the wildcard */
    const char *daemon_port;    /* {daemon_port} */
    const char *version;        /* v : "Postfix 3.7.11", "8.17.1" */
    const char *cert_subject;   /* {cert_subject}: Postfix sends it for verified ones only */
    const char *verify;         /* {verify}, Sendmail only */
};

/* The client's name where the MTA verified it, forwards and backwards; else NULL. hostname is the
 * connect callback's. */
const char *macros_name(const char *hostname, const struct macros *macros);

/* The local address and port that the client reached; NET_NONE and 0 where not known. */
void macros_server(const struct macros *macros, struct net_addr *addr, uint16_t *port);

/* The subject of a client certificate that the MTA verified; else NULL. */
const char *macros_certificate(const struct macros *macros);

#endif
