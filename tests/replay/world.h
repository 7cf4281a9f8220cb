/*
 * The replay's world: time, loop, DNS, Redis, SMTP hosts and sockets, all scripted, linked in place
 * of libevent, c-ares, hiredis and the network. What runs in it is the shipped daemon: daemon.c
 * and everything behind it, several nodes side by side on one Redis.
 *
 * Time stands still but in world_run and while an answer is awaited. A test makes a world, sets it
 * up, asks, and frees it; nothing outlives it.
 */
#ifndef TESTS_REPLAY_WORLD_H
#define TESTS_REPLAY_WORLD_H

#include "cache/net.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct node;

enum { WORLD_START_UNIX = 1800000000 };

void world_open(void);
void world_close(void);

/* --- time --------------------------------------------------------------------------------------- */
void world_run(int64_t ms);
int64_t world_now(void); /* ms since world_open */

/* --- DNS ---------------------------------------------------------------------------------------- */
/* records: MX "10 mx1.example.com,20 mx2.example.com", SRV "10 60 25 mx1.example.com" (priority,
 * weight, port), addresses "192.0.2.10,2001:db8::10", or a state ("nxdomain", "none", "null",
 * "fail"). A name never set does not exist; '*' in one is any run of characters. */
void world_set_mx(const char *domain, const char *records);
void world_set_srv(const char *domain, const char *records);
void world_set_addr(const char *host, const char *records);
enum world_dns { WORLD_DNS_ANSWERS, WORLD_DNS_SILENT, WORLD_DNS_SERVFAIL };
void world_set_dns(enum world_dns how);
void world_set_dns_latency(int64_t ms); /* of each answer */
unsigned world_dns_queries(void);
unsigned world_dns_peak(void); /* the most under way at a time */

/* --- Redis -------------------------------------------------------------------------------------- */
enum world_redis {
    WORLD_REDIS_UP,
    WORLD_REDIS_DOWN,     /* refused: known at once */
    WORLD_REDIS_HANGS,    /* accepted, never answered: STORE_TIMEOUT after 100 ms */
    WORLD_REDIS_READONLY, /* reads work, writes are refused */
};
void world_set_redis(enum world_redis how); /* for every node */
void world_set_node_redis(struct node *node, enum world_redis how);
/* A new server process: another run_id; emptied says that it kept nothing. */
void world_restart_redis(bool emptied);
/* A command by hand, words separated by spaces or in double quotes; a tab is a space inside of one.
 * Text of the reply, "" for nil, in static memory. */
const char *world_redis(const char *command);
/* The same for each key that fits the glob, named where '%' stands; commands are divided by ';', and
 * all are run for one key before the next one's. How many keys. */
unsigned world_redis_each(const char *pattern, const char *commands);
/* The same ms from now, by somebody else. */
void world_redis_later(int64_t ms, const char *command);
bool world_has_key(const char *pattern);  /* glob */
long world_ttl(const char *key);          /* seconds, -1 none, -2 no key */
void world_evict(unsigned keys);          /* the server's evicted_keys grows */
void world_set_redis_clock(int64_t ms);   /* the server's clock is so far ahead, or behind */
void world_set_redis_latency(int64_t ms); /* of each answer; as if cache.timeout were longer */
void world_set_tracking(bool works);      /* false: the tracking connections cannot be made */

/* --- SMTP hosts --------------------------------------------------------------------------------- */
enum world_smtp { WORLD_SMTP_UP, WORLD_SMTP_REFUSED, WORLD_SMTP_SILENT, WORLD_SMTP_421 };
/* node: whose mxwardend hears of visits at this address, by the milter; NULL nobody's. */
void world_set_host(const char *addr, enum world_smtp how, struct node *node);
/* Whether the host's milter is attached (default), and what local address it reports. */
void world_set_milter(const char *addr, bool attached, const char *local);

/* false: the node's own probes cannot be made (no descriptors, a source address that is gone). */
void world_set_probing(struct node *node, bool works);
/* What every node's own server says to ETRN ("250 Queuing started"); NULL: nobody listens. */
void world_set_etrn(const char *reply);
/* The domains that were named to it since this was last asked, separated by spaces. */
const char *world_etrns(void);

/* --- nodes -------------------------------------------------------------------------------------- */
/* Starts a daemon; address is the one that its probes come from. conf is the text of its file. */
struct node *world_start(const char *conf, const char *address);
void world_reload(struct node *node, const char *conf);
void world_stop(struct node *node);                 /* as by SIGTERM */
void world_kill(struct node *node);                 /* as by SIGKILL: nothing is sent */
const char *world_log(const struct node *node);     /* the last line at info or above */
const char *world_warning(const struct node *node); /* the last warning */

/* --- asking, in the real protocols -------------------------------------------------------------- */
struct world_mail {
    const char *client, *name, *helo, *sender, *recipient;
    const char *listener; /* local address reached */
    const char *sasl;     /* NULL none */
    const char *instance;
    bool policy;  /* asked by Postfix's policy client, else by the milter */
    bool refused; /* the MTA refused this recipient itself */
};
/* A connection at the listener (milter: CONNECT). */
void world_visit(struct node *node, const struct world_mail *mail);
/* One recipient. The action, in static memory; "" when there was none within 4 s. */
const char *world_rcpt(struct node *node, const struct world_mail *mail);
/* Several on one connection to the policy socket, states and recipients in turn; "RCPT" or "DATA".
 * The actions joined by '|'. */
const char *world_session(struct node *node, const struct world_mail *mail,
                          const char *const (*step)[2], size_t count);
int64_t world_took(void); /* ms that the last answer took */
/* The reason in the line that the last decision logged. */
const char *world_reason(struct node *node);
/* A socketmap look-up: "transport u@example.com". */
const char *world_map(struct node *node, const char *request);
/* The raw bytes of a conversation ("policy", "socketmap", "control"), for several requests on one
 * connection or requests on several. The whole reply in static memory, "" for none within 4 s; with
 * wait false only what is said at once, and what comes later is dropped. */
struct peer;
struct peer *world_connect(struct node *node, const char *conversation);
const char *world_ask(struct peer *peer, const char *data, size_t length, bool wait);
void world_disconnect(struct peer *peer);
/* A control request, one JSON object; the reply's text. */
const char *world_control(struct node *node, const char *request);

#endif
