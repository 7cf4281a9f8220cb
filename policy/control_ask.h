/*
 * One request on the control socket while it is being answered. Private to control*.c.
 */
#ifndef POLICY_CONTROL_ASK_H
#define POLICY_CONTROL_ASK_H

#include "cache/name.h"
#include "policy/conversation.h"

struct engine_question;
struct etrn;
struct json_t;

struct control_ask {
    struct peer *peer; /* NULL once it went away */
    struct conversation *conversation;
    struct engine_question *question; /* under way, else NULL */
    struct etrn *etrn;                /* the same */
    char domain[NAME_SIZE];           /* of mx, pause, flush */
    char done[2 * NAME_SIZE + 200];   /* what a change says when it holds */
};

/* Ends the request: replies with result (taken over; NULL: out of memory), frees ask. */
void control_end(struct control_ask *ask, struct json_t *result);
/* The same with "usage" or "refused" and why. */
void control_fail(struct control_ask *ask, const char *status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* With what is done, which was written without waiting: whether Redis heard of it is not known, but
 * that it did not is. */
void control_end_written(struct control_ask *ask);
/* A member of the request as text; NULL where it is missing or none. */
const char *control_text(const struct json_t *request, const char *name);

/* Commands that look, in files of their own. */
void control_report(struct control_ask *ask, const struct json_t *request);
void control_stats(struct control_ask *ask, const struct json_t *request);
void control_top(struct control_ask *ask, const struct json_t *request);

/* The commands that change something. Each ends the request, now or later. */
void control_drain(struct control_ask *ask, const struct json_t *request);
void control_ready(struct control_ask *ask, const struct json_t *request);
void control_weight(struct control_ask *ask, const struct json_t *request);
void control_purge(struct control_ask *ask, const struct json_t *request);
void control_seen(struct control_ask *ask, const struct json_t *request); /* only looks */
void control_forget(struct control_ask *ask, const struct json_t *request);
void control_allow(struct control_ask *ask, const struct json_t *request);
void control_pause(struct control_ask *ask, const struct json_t *request);
void control_resume(struct control_ask *ask, const struct json_t *request);
void control_feed(struct control_ask *ask, const struct json_t *request);
void control_flush(struct control_ask *ask, const struct json_t *request);

#endif
