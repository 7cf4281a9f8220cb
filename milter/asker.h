/*
 * The client of the policy service: a pool of wires that many threads share, and what is known of
 * the service being there.
 *
 * A question waits at most its deadline, in all: for a free wire, for a connection, for the answer,
 * and for one try more where a wire turns out to be dead. When the service is away, questions are
 * told so at once instead of finding it out one by one:
 *
 *   refused (no socket, nobody listens)   a try costs nothing: one each refused_ms
 *   silent (a deadline passed, and no other answer came meanwhile)
 *                                         a try costs a deadline: one after silent_ms, then after
 *                                         twice that, up to silent_max_ms; but the late answer of
 *                                         an earlier question ends it at once
 *
 * So it is back within refused_ms, or with its first answer. Losing and finding it is noticed once
 * each.
 */
#ifndef MILTER_ASKER_H
#define MILTER_ASKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum asker_notice { ASKER_AWAY_REFUSED, ASKER_AWAY_SILENT, ASKER_BACK };

struct asker_config {
    struct sockaddr_storage to;
    socklen_t to_length;
    int64_t ask_ms;  /* the whole of a question that is waited for */
    int64_t tell_ms; /* the whole of handing over one that is not */
    int64_t refused_ms, silent_ms, silent_max_ms;
    unsigned wires_max, idle_max;             /* wires at a time; and kept when nobody needs them */
    void (*notice)(enum asker_notice notice); /* may be NULL; called under the pool's lock */
};

struct asker;

/* The budgets of SPEC 5; to is left for the caller. */
void asker_defaults(struct asker_config *config);

/* NULL where there is no memory. Opens nothing yet. */
struct asker *asker_new(const struct asker_config *config);
void asker_free(struct asker *asker); /* when no thread is in a call; NULL is fine */

/* Asks and waits: the action, without "action=". False where there is no answer, "" in action. */
bool asker_ask(struct asker *asker, const char *request, size_t length, char *action, size_t size);

/* Hands a request over, and leaves its answer to whoever comes next on that wire. False where it
 * could not be handed over. */
bool asker_tell(struct asker *asker, const char *request, size_t length);

#endif
