/*
 * TLS by OpenSSL, through hiredis_ssl for hiredis' own connections and through libevent for the others.
 * Each connection's session is made here, for both: hiredis' helpers compare no names before 1.5.
 */
#include "cache/tls.h"

#include "cache/net.h"

#include <event2/bufferevent_ssl.h>
#include <hiredis/async.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <stdlib.h>

struct tls {
    SSL_CTX *context;
};

struct tls *tls_new(void)
{
    struct tls *tls = calloc(1, sizeof(*tls));

    if (!tls)
        return NULL;
    tls->context = SSL_CTX_new(TLS_client_method());
    if (!tls->context || SSL_CTX_set_default_verify_paths(tls->context) != 1 ||
        SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION) != 1) {
        tls_free(tls);
        return NULL;
    }
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    return tls;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

/* An address is compared with the certificate's addresses, and no server name is sent for it. */
static bool expect(SSL *ssl, const char *host)
{
    struct net_addr addr;
    char text[NET_TEXT];

    if (net_addr_parse(host, &addr))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), net_addr_bare(&addr, text)) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

static SSL *session(struct tls *tls, const char *host)
{
    SSL *ssl = SSL_new(tls->context);

    if (ssl && expect(ssl, host))
        return ssl;
    SSL_free(ssl);
    return NULL;
}

/* hiredis frees the session with its context, unless it refuses it here. */
bool tls_start(struct tls *tls, const char *host, struct redisAsyncContext *context)
{
    SSL *ssl = session(tls, host);

    if (!ssl)
        return false;
    if (redisInitiateSSL(&context->c, ssl) == REDIS_OK)
        return true;
    SSL_free(ssl);
    return false;
}

struct bufferevent *tls_socket(struct tls *tls, const char *host, struct event_base *base)
{
    SSL *ssl = session(tls, host);
    struct bufferevent *socket;

    if (!ssl)
        return NULL;
    socket = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING,
                                            BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (socket)
        bufferevent_openssl_set_allow_dirty_shutdown(socket, 1);
    else
        SSL_free(ssl);
    return socket;
}

const char *tls_error(struct bufferevent *socket)
{
    unsigned long error = bufferevent_get_openssl_error(socket);

    return error ? ERR_reason_error_string(error) : NULL;
}
