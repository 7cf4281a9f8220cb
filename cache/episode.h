/*
 * Troubles that go on: each kind is told once, when it begins. Pure: the time is an argument.
 */
#ifndef CACHE_EPISODE_H
#define CACHE_EPISODE_H

#include <stdbool.h>
#include <stdint.h>

/* A kind of trouble not met for so long is over, milliseconds. */
enum { EPISODE_QUIET = 60000, EPISODE_KINDS = 16, EPISODE_NAME = 48 };

struct episode {
    struct {
        char name[EPISODE_NAME]; /* "" free */
        int64_t last;            /* met, monotonic milliseconds */
    } kind[EPISODE_KINDS];
};

/* Meets a trouble; true when it is news. Its kind is the error's code ("OOM", "NOPERM"), or all the
 * words where they do not begin with one. */
bool episode_meet(struct episode *episode, const char *words, int64_t now);
/* All is well: whatever comes next is news. */
void episode_end(struct episode *episode);

#endif
