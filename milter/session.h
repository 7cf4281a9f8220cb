/*
 * One SMTP session as a milter sees it: what is remembered of the client and of the message in
 * progress, what is asked when, and what becomes of the answers. Knows nothing of libmilter: the
 * mail server is a handful of functions, and so is the policy service.
 *
 * A session goes
 *
 *   connect -> helo (again after STARTTLS) -> mail -> rcpt ... -> data -> header ... -> finish
 *
 * and abort may come anywhere after mail. Any other order is somebody's mistake and does no harm:
 * every call accepts whatever it does not understand.
 */
#ifndef MILTER_SESSION_H
#define MILTER_SESSION_H

#include "cache/net.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#define SESSION_HEADER "X-MX-Warden" /* ours; deleted where it comes from outside */

/* The mail server. The texts live as long as the call they are passed to; macro returns NULL for
 * what it does not know, and its result lives to the end of the session's call. */
struct session_mta {
    void *context;
    const char *(*macro)(void *context, const char *name);
    bool (*set_reply)(void *context, const char *code, const char *status, const char *text);
    bool (*add_header)(void *context, const char *name, const char *value);
    bool (*delete_header)(void *context, const char *name, int index); /* index from 1 */
    bool (*quarantine)(void *context, const char *reason);
};

/* The policy service, as asker_ask and asker_tell, and whether a client is one of the site's own
 * networks: SESSION_HEADER is taken from those as it comes. */
struct session_policy {
    void *context;
    bool (*ask)(void *context, const char *request, size_t length, char *action, size_t size);
    bool (*tell)(void *context, const char *request, size_t length);
    bool (*is_inside)(void *context, const struct net_addr *client);
};

enum session_result { SESSION_CONTINUE, SESSION_TEMPFAIL, SESSION_REJECT };

struct session;

/* NULL where there is no memory. policy is kept, not copied. Every call below takes a NULL session
 * and then accepts. */
struct session *session_new(const struct session_policy *policy);
void session_free(struct session *session);

/* client is NULL, or no internet address, for mail that comes from no client: nothing is asked. */
void session_connect(struct session *session, const struct session_mta *mta, const char *hostname,
                     const struct sockaddr *client);
void session_helo(struct session *session, const char *name);
void session_mail(struct session *session, const struct session_mta *mta, const char *sender);
/* TEMPFAIL and REJECT come after set_reply. */
enum session_result session_rcpt(struct session *session, const struct session_mta *mta,
                                 const char *recipient);
void session_data(struct session *session, const struct session_mta *mta);
void session_header(struct session *session, const char *name);
void session_finish(struct session *session, const struct session_mta *mta);
void session_abort(struct session *session);

#endif
