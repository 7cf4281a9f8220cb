/*
 * The queue: a table of servers, each with its domains, one session and one timer.
 *
 * A server whose last domain has left goes too. Answers are matched by the domain's name, since a
 * domain may have been put in again meanwhile.
 */
#include "policy/etrn_queue.h"

#include "cache/name.h"
#include "policy/conf.h"

#include <event2/event.h>
#include <uthash.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 6, FIRST_WAIT_MS = 1000, SESSION_MS = 30000, SERVER_SIZE = 300 };

struct waiting {
    UT_hash_handle hh;
    bool sent;  /* with the session under way */
    bool again; /* put in since */
    bool last;  /* removed since: whatever this one says */
    char domain[];
};

struct server {
    UT_hash_handle hh;
    struct etrn_queue *queue;
    struct net_addr addr;
    uint16_t port;
    struct waiting *waiting;
    struct etrn *session;
    struct event *timer; /* the next session */
    unsigned tries;      /* that have failed one after the other */
    struct waiting
        *sent[ETRN_MAX]; /* with the session under way; none is dropped before its answer */
    char name[SERVER_SIZE];
};

struct etrn_queue {
    struct event_base *base;
    char name[NAME_SIZE];
    etrn_settled *settled;
    void *arg;
    struct server *server;
};

static void waiting_drop(struct server *server, struct waiting *waiting)
{
    HASH_DEL(server->waiting, waiting);
    free(waiting);
}

static void server_drop(struct server *server)
{
    struct waiting *waiting = server->waiting, *next;

    HASH_DEL(server->queue->server, server);
    HASH_CLEAR(hh, server->waiting);
    for (; waiting; waiting = next) {
        next = waiting->hh.next;
        free(waiting);
    }
    etrn_stop(server->session);
    if (server->timer)
        event_free(server->timer);
    free(server);
}

static void schedule(struct server *server, int64_t ms)
{
    const struct timeval wait = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    event_add(server->timer, &wait);
}

/* What is to be done when no session is under way. */
static void server_settle(struct server *server)
{
    if (!server->waiting)
        server_drop(server);
    else
        schedule(server, server->tries ? FIRST_WAIT_MS << (server->tries - 1) : 0);
}

/* A domain's answer: its last, or not. */
static void take_answer(struct server *server, struct waiting *waiting,
                        const struct etrn_answer *answer)
{
    struct etrn_queue *queue = server->queue;

    waiting->sent = false;
    if (!etrn_is_final(answer) && server->tries < TRIES && !waiting->last)
        return;
    waiting->last = false;
    queue->settled(queue->arg, waiting->domain, server->name, answer);
    if (waiting->again)
        waiting->again = false;
    else
        waiting_drop(server, waiting);
}

static void on_done(void *arg, const struct etrn_answer *answer, size_t count)
{
    struct server *server = arg;
    bool given_up, failed = false;

    server->session = NULL;
    for (size_t i = 0; i < count; i++)
        failed = failed || !etrn_is_final(&answer[i]);
    server->tries = failed ? server->tries + 1 : 0;
    given_up = server->tries >= TRIES;
    for (size_t i = 0; i < count; i++)
        take_answer(server, server->sent[i], &answer[i]);
    if (given_up)
        server->tries = 0; /* the others of this server have their own tries */
    server_settle(server);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;
    struct waiting *waiting;
    const char *domain[ETRN_MAX] = {0};
    size_t count = 0;

    (void)fd, (void)what;
    for (waiting = server->waiting; waiting && count < ETRN_MAX; waiting = waiting->hh.next) {
        domain[count] = waiting->domain;
        server->sent[count++] = waiting;
    }
    server->session = etrn_start(server->queue->base, &server->addr, server->port,
                                 server->queue->name, domain, count, SESSION_MS, on_done, server);
    if (!server->session) {
        schedule(server, FIRST_WAIT_MS);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        server->sent[i]->sent = true;
        server->sent[i]->again = false; /* this one is after all that came before */
    }
}

/* NULL when out of memory. */
static struct server *server_add(struct etrn_queue *queue, const struct conf_socket *socket)
{
    struct server *server = calloc(1, sizeof *server);

    if (!server || !(server->timer = evtimer_new(queue->base, on_timer, server))) {
        free(server);
        return NULL;
    }
    server->queue = queue;
    server->addr = socket->addr;
    server->port = socket->port;
    snprintf(server->name, sizeof server->name, "%s", socket->text);
    HASH_ADD_STR(queue->server, name, server);
    return server;
}

void etrn_queue_put(struct etrn_queue *queue, const struct conf_socket *socket, const char *domain)
{
    struct server *server;
    struct waiting *waiting;
    size_t length = strlen(domain);

    HASH_FIND_STR(queue->server, socket->text, server);
    if (!server && !(server = server_add(queue, socket)))
        return;
    HASH_FIND_STR(server->waiting, domain, waiting);
    if (waiting) {
        waiting->again = waiting->sent;
        waiting->last = false;
    } else if ((waiting = calloc(1, sizeof *waiting + length + 1))) {
        memcpy(waiting->domain, domain, length + 1);
        HASH_ADD_KEYPTR(hh, server->waiting, waiting->domain, length, waiting);
    }
    server->tries = 0;
    if (!server->session)
        server_settle(server);
}

void etrn_queue_remove(struct etrn_queue *queue, const struct conf_socket *socket,
                       const char *domain)
{
    struct server *server;
    struct waiting *waiting = NULL;

    HASH_FIND_STR(queue->server, socket->text, server);
    if (server)
        HASH_FIND_STR(server->waiting, domain, waiting);
    if (!waiting)
        return;
    waiting->again = false;
    waiting->last = waiting->sent;
    if (waiting->sent)
        return;
    waiting_drop(server, waiting);
    if (!server->session && !server->waiting)
        server_drop(server);
}

struct etrn_queue *etrn_queue_new(struct event_base *base, const char *name, etrn_settled *settled,
                                  void *arg)
{
    struct etrn_queue *queue = calloc(1, sizeof *queue);

    if (!queue)
        return NULL;
    queue->base = base;
    snprintf(queue->name, sizeof queue->name, "%s", name);
    queue->settled = settled;
    queue->arg = arg;
    return queue;
}

void etrn_queue_free(struct etrn_queue *queue)
{
    struct server *server, *next;

    if (!queue)
        return;
    HASH_ITER(hh, queue->server, server, next)
    {
        server_drop(server);
    }
    free(queue);
}
