/*
 * hiredis' asynchronous context and libevent, held together.
 *
 * The context's life ends in its ev.cleanup, whatever the reason; that is where the owner hears of
 * it. By then hiredis has called every pending callback with a NULL reply, which is ignored here:
 * the owner knows what it has sent.
 */
#include "cache/link.h"

#include "cache/tls.h"

#include <event2/event.h>
#include <hiredis/async.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct link {
    redisAsyncContext *context;
    const struct link_hooks *hooks; /* NULL once closed */
    struct event *readable, *writable;
    struct reply_guard guard;
};

/* reply is NULL when the context is on its way out: clean_up tells of that, once for all. */
static void on_reply(redisAsyncContext *context, void *reply, void *tag)
{
    struct link *link = context->data;

    if (reply && link->hooks)
        link->hooks->reply(link->hooks->arg, tag, reply);
}

/* hiredis takes a callback off the list after it has read the reply: while one is read, the list
 * says whether anybody waits for it. */
static bool is_reply_awaited(void *arg)
{
    const struct link *link = arg;

    return link->context->replies.head != NULL;
}

/* The link may be gone when the handlers return. */
static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct link *link = arg;
    const struct link_hooks *hooks = link->hooks;

    (void)fd, (void)what;
    if (reply_is_overlong(link->context->c.reader)) {
        link_close(link);
        if (hooks)
            hooks->gone(hooks->arg, "reply too long");
        return;
    }
    redisAsyncHandleRead(link->context);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct link *link = arg;

    (void)fd, (void)what;
    redisAsyncHandleWrite(link->context);
}

static void add_read(void *arg)
{
    event_add(((struct link *)arg)->readable, NULL);
}

static void del_read(void *arg)
{
    event_del(((struct link *)arg)->readable);
}

static void add_write(void *arg)
{
    event_add(((struct link *)arg)->writable, NULL);
}

static void del_write(void *arg)
{
    event_del(((struct link *)arg)->writable);
}

static const char *reason(const struct link *link)
{
    if (link->guard.refused)
        return "unexpected or oversized reply";
    return link->context->c.err ? link->context->c.errstr : "closed";
}

static void clean_up(void *arg)
{
    struct link *link = arg;
    const struct link_hooks *hooks = link->hooks;

    link->hooks = NULL;
    if (hooks)
        hooks->gone(hooks->arg, reason(link));
    if (link->readable)
        event_free(link->readable);
    if (link->writable)
        event_free(link->writable);
    free(link);
}

/* Addresses only: a name would be looked up blocking. NULL, and why, where it fails at once. */
static redisAsyncContext *connect_to(const struct dial_target *target, char *why, size_t size)
{
    char text[NET_TEXT];
    redisAsyncContext *context;

    if (target->path)
        context = redisAsyncConnectUnix(target->path);
    else
        context = redisAsyncConnect(net_addr_bare(&target->addr, text), target->port);
    if (!context)
        return NULL;
    if (!context->c.err && (!target->tls || tls_start(target->tls, target->host, context)))
        return context;
    snprintf(why, size, "%s", context->c.err ? context->c.errstr : "TLS cannot begin");
    redisAsyncFree(context);
    return NULL;
}

/* The hooks come last in link_open: a link that could not be attached is freed without a word. */
static bool attach(struct link *link, struct event_base *base)
{
    redisAsyncContext *context = link->context;
    int fd = context->c.fd;

    context->data = link;
    context->ev.data = link;
    context->ev.addRead = add_read;
    context->ev.delRead = del_read;
    context->ev.addWrite = add_write;
    context->ev.delWrite = del_write;
    context->ev.cleanup = clean_up;
    reply_guard_install(&link->guard, context->c.reader, is_reply_awaited, link);
    link->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, link);
    link->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, link);
    if (!link->readable || !link->writable)
        return false;
    return !event_add(link->readable, NULL) && !event_add(link->writable, NULL);
}

struct link *link_open(struct event_base *base, const struct dial_target *target,
                       const struct link_hooks *hooks, char *why, size_t size)
{
    struct link *link = calloc(1, sizeof(*link));

    snprintf(why, size, "out of memory");
    if (!link)
        return NULL;
    link->context = connect_to(target, why, size);
    if (!link->context) {
        free(link);
        return NULL;
    }
    if (!attach(link, base)) {
        link_close(link);
        return NULL;
    }
    link->hooks = hooks;
    return link;
}

void link_close(struct link *link)
{
    link->hooks = NULL;
    redisAsyncFree(link->context);
}

bool link_send(struct link *link, const char *text, size_t length, void *tag)
{
    return redisAsyncFormattedCommand(link->context, on_reply, tag, text, length) == REDIS_OK;
}
