/*
 * The busiest of many names, in bounded room (the "space-saving" count of Metwally, Agrawal and El
 * Abbadi, 2005). Pure.
 *
 * So many names as there is room are counted exactly. Then a newcomer takes the place of the least
 * counted one and goes on from its count, which is how much it may be counted too much: so every name
 * with more than 1/HEAVY_ROOM of all is there, whoever floods the rest. What is told is the count
 * that is certain.
 */
#ifndef POLICY_HEAVY_H
#define POLICY_HEAVY_H

#include <stddef.h>
#include <stdint.h>

enum { HEAVY_ROOM = 1000, HEAVY_NAME = 256 };

struct heavy;

struct heavy_item {
    char name[HEAVY_NAME];
    uint64_t count;
};

struct heavy *heavy_new(void);
void heavy_free(struct heavy *heavy);
/* Begins anew; what has not been taken stays to be taken. */
void heavy_restart(struct heavy *heavy);

/* Names too long, or without memory for them, are not counted. */
void heavy_add(struct heavy *heavy, const char *name, uint64_t by);
/* The busiest since the start, the busiest first; how many there are. */
size_t heavy_list(const struct heavy *heavy, struct heavy_item *out, size_t size);
/* Takes what was added since it was taken the last time, of the names with the most of that. */
size_t heavy_take(struct heavy *heavy, struct heavy_item *out, size_t size);
/* What was taken in vain. Counts as not taken, where there is still room for the name. */
void heavy_give_back(struct heavy *heavy, const struct heavy_item *item);

#endif
