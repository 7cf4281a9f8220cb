/*
 * The three conversations, as handlers of listen.h: socketmap.c, delegate.c, control.c.
 */
#ifndef POLICY_CONVERSATION_H
#define POLICY_CONVERSATION_H

#include "policy/listen.h"
#include "policy/question.h"

struct attrs;
struct conf;
struct engine;
struct fetch;
struct flush;
struct memory;
struct override;
struct pause;
struct site;
struct stats;
struct store;
struct top;
struct watch;

/* What the conversations reach. Owned by main; conf is the current one. */
struct conversation {
    struct conf *conf;
    struct engine *engine;
    struct fetch *fetch;
    struct flush *flush;
    struct memory *memory;
    struct override *override;
    struct pause *pause;
    struct site *site;
    struct stats *stats;
    struct store *store; /* NULL without Redis */
    struct top *top;
    struct watch *watch;
    const struct clock *clock;
    int64_t started; /* Unix seconds */
};

void socketmap_handler(struct listen_handler *out, struct conversation *conversation);
void delegate_handler(struct listen_handler *out, struct conversation *conversation);
void control_handler(struct listen_handler *out, struct conversation *conversation);

/* A policy request's attributes as a question: every value checked, what is not understood left
 * out. False when it is no policy request at all (no request=smtpd_access_policy). Pure. */
bool delegate_parse(const struct attrs *attrs, struct question *out);

#endif
