/*
 * TLS to Redis (rediss://). One of tls.c and tls_none.c is built, as the Makefile finds hiredis_ssl and
 * libevent's part for OpenSSL, or not; everybody else is the same code either way.
 *
 * The server's certificate must lead to one that the system trusts (OpenSSL's defaults, so the
 * environment's SSL_CERT_FILE counts) and carry the host's name or address.
 */
#ifndef CACHE_TLS_H
#define CACHE_TLS_H

#include <stdbool.h>

struct bufferevent;
struct event_base;
struct redisAsyncContext;
struct tls;

/* NULL where this build has none, or when out of memory. */
struct tls *tls_new(void);
void tls_free(struct tls *tls);

/* For a context that has just begun to connect. False: close it. */
bool tls_start(struct tls *tls, const char *host, struct redisAsyncContext *context);
/* A bufferevent to connect with; its callbacks are deferred. NULL when out of memory. */
struct bufferevent *tls_socket(struct tls *tls, const char *host, struct event_base *base);
/* What went wrong on such a socket, in OpenSSL's words; NULL where it was not TLS. */
const char *tls_error(struct bufferevent *socket);

#endif
