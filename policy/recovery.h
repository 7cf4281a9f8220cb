/*
 * When a domain's queue can move again: a better tier of its hosts is back. Pure.
 *
 * What is kept of a domain is the best tier with a host in use, as it was when last that was known.
 * A flush is due when that tier becomes a better one; so a host that returns beside an equal one
 * that was up all the time is no recovery, and one recovery is told once. A host without a result
 * yet neither makes nor hides one: a process that begins finds out how things are, and that is no
 * change.
 */
#ifndef POLICY_RECOVERY_H
#define POLICY_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECOVERY_NO_TIER UINT32_MAX /* no host is in use */

enum recovery_use { RECOVERY_UNKNOWN, RECOVERY_IN_USE, RECOVERY_OUT_OF_USE };

struct recovery_host {
    uint32_t tier; /* smaller is better */
    enum recovery_use use;
};

struct recovery { /* all zero to begin with */
    bool known;
    uint32_t tier;
};

/* Takes in the hosts that the domain's mail may go to, in any order. True: a flush is due. */
bool recovery_note(struct recovery *recovery, const struct recovery_host *host, size_t count);
/* The same for what an earlier process had seen last. */
bool recovery_recall(struct recovery *recovery, uint32_t tier);
/* Whether the best tier of all is in use: nothing better can come back. */
bool recovery_is_whole(const struct recovery *recovery, const struct recovery_host *host,
                       size_t count);

#endif
