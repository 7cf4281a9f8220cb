/*
 * A handful of kinds and when each was met last; the one not met for longest makes room.
 */
#include "cache/episode.h"

#include <stdio.h>
#include <string.h>

static void kind_of(const char *words, char out[EPISODE_NAME])
{
    size_t length = strspn(words, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

    if (length < 2 || !strchr(" :", words[length]))
        length = strlen(words);
    snprintf(out, EPISODE_NAME, "%.*s", (int)length, words);
}

bool episode_meet(struct episode *episode, const char *words, int64_t now)
{
    char name[EPISODE_NAME];
    unsigned oldest = 0;

    kind_of(words, name);
    for (unsigned i = 0; i < EPISODE_KINDS; i++) {
        int64_t last = episode->kind[i].last;

        if (*episode->kind[i].name && !strcmp(episode->kind[i].name, name)) {
            episode->kind[i].last = now;
            return now - last >= EPISODE_QUIET;
        }
        if (!*episode->kind[i].name || last < episode->kind[oldest].last)
            oldest = i;
        if (!*episode->kind[oldest].name)
            break; /* kinds are filled from the first on */
    }
    strcpy(episode->kind[oldest].name, name);
    episode->kind[oldest].last = now;
    return true;
}

void episode_end(struct episode *episode)
{
    *episode = (struct episode){0};
}
