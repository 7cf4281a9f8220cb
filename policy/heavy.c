/*
 * Counting in bounded room. The names are few enough for a sorted array, whose search cannot be made
 * slow by who chooses them; the least counted one is searched only when a newcomer needs its place.
 */
#include "policy/heavy.h"

#include "policy/sorted.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t count;
    uint64_t error;  /* of count, how much may be too much */
    uint64_t untold; /* not taken yet */
    char name[];
};

struct heavy {
    struct sorted entries; /* by name */
};

static int entry_compare(const void *key, const void *item)
{
    return strcmp(key, ((const struct entry *)item)->name);
}

static struct entry *entry_at(const struct heavy *heavy, size_t i)
{
    return heavy->entries.item[i];
}

struct heavy *heavy_new(void)
{
    return calloc(1, sizeof(struct heavy));
}

void heavy_free(struct heavy *heavy)
{
    if (!heavy)
        return;
    for (size_t i = 0; i < heavy->entries.count; i++)
        free(heavy->entries.item[i]);
    sorted_clear(&heavy->entries);
    free(heavy);
}

void heavy_restart(struct heavy *heavy)
{
    for (size_t i = heavy->entries.count; i-- > 0;) {
        struct entry *entry = entry_at(heavy, i);
        entry->count = entry->error = 0;
        if (entry->untold == 0) {
            sorted_remove(&heavy->entries, i);
            free(entry);
        }
    }
}

/* Makes room by dropping the least counted; its count. */
static uint64_t drop_least(struct heavy *heavy)
{
    size_t least = 0;
    uint64_t count;

    for (size_t i = 1; i < heavy->entries.count; i++)
        if (entry_at(heavy, i)->count < entry_at(heavy, least)->count)
            least = i;
    count = entry_at(heavy, least)->count;
    free(heavy->entries.item[least]);
    sorted_remove(&heavy->entries, least);
    return count;
}

static struct entry *entry_new(struct heavy *heavy, const char *name)
{
    struct entry *entry;
    size_t at;

    if (strlen(name) >= HEAVY_NAME || !(entry = calloc(1, sizeof *entry + strlen(name) + 1)))
        return NULL;
    strcpy(entry->name, name);
    if (heavy->entries.count == HEAVY_ROOM)
        entry->count = entry->error = drop_least(heavy);
    sorted_find(&heavy->entries, name, entry_compare, &at);
    if (sorted_insert(&heavy->entries, at, entry))
        return entry;
    free(entry);
    return NULL;
}

void heavy_add(struct heavy *heavy, const char *name, uint64_t by)
{
    struct entry *entry = sorted_get(&heavy->entries, name, entry_compare);

    if (!entry && !(entry = entry_new(heavy, name)))
        return;
    entry->count += by;
    entry->untold += by;
}

static uint64_t certain(const struct entry *entry)
{
    return entry->count - entry->error;
}

static uint64_t untold(const struct entry *entry)
{
    return entry->untold;
}

/* The entries with the most of something, in out by falling amount, names breaking ties. */
static size_t most(const struct heavy *heavy, uint64_t (*amount)(const struct entry *entry),
                   struct entry **out, size_t size)
{
    size_t count = 0;

    for (size_t i = 0; i < heavy->entries.count; i++) {
        struct entry *entry = entry_at(heavy, i);
        size_t at = count;
        if (amount(entry) == 0)
            continue;
        while (at > 0 && amount(out[at - 1]) < amount(entry))
            at--;
        if (at == size)
            continue;
        count += count < size;
        memmove(&out[at + 1], &out[at], (count - at - 1) * sizeof *out);
        out[at] = entry;
    }
    return count;
}

static size_t limit(size_t size)
{
    return size < HEAVY_ROOM ? size : HEAVY_ROOM;
}

size_t heavy_list(const struct heavy *heavy, struct heavy_item *out, size_t size)
{
    struct entry *entry[HEAVY_ROOM];
    size_t count = most(heavy, certain, entry, limit(size));

    for (size_t i = 0; i < count; i++) {
        strcpy(out[i].name, entry[i]->name);
        out[i].count = certain(entry[i]);
    }
    return count;
}

size_t heavy_take(struct heavy *heavy, struct heavy_item *out, size_t size)
{
    struct entry *entry[HEAVY_ROOM];
    size_t count = most(heavy, untold, entry, limit(size));

    for (size_t i = 0; i < count; i++) {
        strcpy(out[i].name, entry[i]->name);
        out[i].count = entry[i]->untold;
        entry[i]->untold = 0;
    }
    return count;
}

void heavy_give_back(struct heavy *heavy, const struct heavy_item *item)
{
    struct entry *entry = sorted_get(&heavy->entries, item->name, entry_compare);

    if (entry)
        entry->untold += item->count;
}
