/*
 * Domains that wait for their ETRN, by server: as many as fit in one session (etrn.h), the servers
 * side by side.
 *
 * A domain leaves with its answer. Where there is none, or "later", the server is tried again after
 * 1 s, doubling, six times in all; then its domains are given up here. One that joins meanwhile has
 * the server tried at once, and anew.
 */
#ifndef POLICY_ETRN_QUEUE_H
#define POLICY_ETRN_QUEUE_H

#include "policy/etrn.h"

struct conf_socket;
struct etrn_queue;
struct event_base;

/* The last word about a domain, about all that it was put in before. server: as configured. */
typedef void etrn_settled(void *arg, const char *domain, const char *server,
                          const struct etrn_answer *answer);

/* name: what EHLO says. */
struct etrn_queue *etrn_queue_new(struct event_base *base, const char *name, etrn_settled *settled,
                                  void *arg);
void etrn_queue_free(struct etrn_queue *queue); /* NULL is fine; settles nothing */

/* From the loop on. One that waits already waits once; one whose ETRN is under way has another. */
void etrn_queue_put(struct etrn_queue *queue, const struct conf_socket *server, const char *domain);
/* It is not tried again at this server; an ETRN that is under way is still settled. */
void etrn_queue_remove(struct etrn_queue *queue, const struct conf_socket *server,
                       const char *domain);

#endif
