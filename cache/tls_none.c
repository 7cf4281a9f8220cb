/*
 * No TLS in this build. The configuration refuses rediss://, so nothing but tls_new is ever called.
 */
#include "cache/tls.h"

#include <stddef.h>

struct tls *tls_new(void)
{
    return NULL;
}

void tls_free(struct tls *tls)
{
    (void)tls;
}

bool tls_start(struct tls *tls, const char *host, struct redisAsyncContext *context)
{
    (void)tls, (void)host, (void)context;
    return false;
}

struct bufferevent *tls_socket(struct tls *tls, const char *host, struct event_base *base)
{
    (void)tls, (void)host, (void)base;
    return NULL;
}

const char *tls_error(struct bufferevent *socket)
{
    (void)socket;
    return NULL;
}
