/*
 * What the world's files share with each other, and no scenario needs.
 */
#ifndef TESTS_REPLAY_WORLD_INSIDE_H
#define TESTS_REPLAY_WORLD_INSIDE_H

#include "tests/replay/world.h"

struct store;

void world_loop_open(void);
void world_loop_close(void);
bool world_loop_step(int64_t limit); /* one event due by then (monotonic ms); false: none */

void world_redis_open(void);
void world_redis_close(void);

void world_net_open(void);
void world_net_close(void);

void world_smtp_open(void);

void world_log_open(void);

/* Which node's daemon is being built, or is at work: its store, its log, its sockets are told
 * apart by it. */
extern struct node *world_current;

/* One request on a socket of the node's: "policy", "socketmap", "control". The whole reply in
 * static memory, "" for none within 4 s. wait false: what comes later is dropped. */
const char *world_talk(struct node *node, const char *conversation, const char *data, size_t length,
                       bool wait);
/* A policy request as the milter, or Postfix, writes it. */
size_t world_request(char *out, size_t size, const char *state, const struct world_mail *mail);

#endif
