/*
 * A sorted array of pointers: the tables of a few thousand entries that are also listed in order.
 * Pure.
 *
 * Binary search costs a dozen comparisons whatever the keys, so nobody can choose names that
 * collide; an insertion moves at most some kilobytes. The items are the caller's.
 */
#ifndef POLICY_SORTED_H
#define POLICY_SORTED_H

#include <stdbool.h>
#include <stddef.h>

struct sorted {
    size_t count, room;
    void **item;
};

/* As for bsearch: how key stands to an item. */
typedef int sorted_compare(const void *key, const void *item);

/* True when there is such an item; *at is its place, else where it belongs. */
bool sorted_find(const struct sorted *sorted, const void *key, sorted_compare *compare, size_t *at);
/* The item itself, or NULL. */
void *sorted_get(const struct sorted *sorted, const void *key, sorted_compare *compare);
/* at is what sorted_find said. False when out of memory. */
bool sorted_insert(struct sorted *sorted, size_t at, void *item);
void sorted_remove(struct sorted *sorted, size_t at);
/* Removes such an item, if there is one. */
void sorted_drop(struct sorted *sorted, const void *key, sorted_compare *compare);
void sorted_clear(struct sorted *sorted); /* frees the array, not the items */

#endif
