/*
 * A sorted array of pointers, grown by doubling.
 */
#include "policy/sorted.h"

#include <stdlib.h>
#include <string.h>

bool sorted_find(const struct sorted *sorted, const void *key, sorted_compare *compare, size_t *at)
{
    size_t low = 0, high = sorted->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(key, sorted->item[middle]);
        if (order == 0) {
            *at = middle;
            return true;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    *at = low;
    return false;
}

void *sorted_get(const struct sorted *sorted, const void *key, sorted_compare *compare)
{
    size_t at;

    return sorted_find(sorted, key, compare, &at) ? sorted->item[at] : NULL;
}

bool sorted_insert(struct sorted *sorted, size_t at, void *item)
{
    if (sorted->count == sorted->room) {
        size_t room = sorted->room ? 2 * sorted->room : 16;
        void **grown = reallocarray(sorted->item, room, sizeof *grown);
        if (!grown)
            return false;
        sorted->item = grown;
        sorted->room = room;
    }
    memmove(sorted->item + at + 1, sorted->item + at, (sorted->count - at) * sizeof *sorted->item);
    sorted->item[at] = item;
    sorted->count++;
    return true;
}

void sorted_remove(struct sorted *sorted, size_t at)
{
    sorted->count--;
    memmove(sorted->item + at, sorted->item + at + 1, (sorted->count - at) * sizeof *sorted->item);
}

void sorted_drop(struct sorted *sorted, const void *key, sorted_compare *compare)
{
    size_t at;

    if (sorted_find(sorted, key, compare, &at))
        sorted_remove(sorted, at);
}

void sorted_clear(struct sorted *sorted)
{
    free(sorted->item);
    *sorted = (struct sorted){.item = NULL};
}
