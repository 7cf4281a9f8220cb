/*
 * The in-process table: uthash for finding, a list in order of use for throwing out.
 *
 * uthash's own hash is not seeded and its default answer to want of memory is exit(3): here the
 * hash values come from hash_keyed under a key drawn for each table, and an addition that fails is
 * just not made. Every operation but local_each and local_clear_all takes constant time.
 */
#include "cache/local.h"

#include "cache/hash.h"

#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(elt) ((void)(elt)) /* told by hh.tbl staying NULL */
#include <uthash.h>
#include <utlist.h>

struct local_entry {
    UT_hash_handle hh;
    struct local_entry *prev, *next; /* order of use, oldest first */
    void *value;
    int64_t expires;
    char key[];
};

struct local {
    struct local_entry *table; /* uthash's head */
    struct local_entry *used;
    size_t limit;
    local_release *release;
    local_evicted *evicted;
    void *evicted_arg;
    uint8_t secret[HASH_KEY_SIZE];
};

struct local *local_new(size_t limit, local_release *release)
{
    struct local *local = calloc(1, sizeof(*local));

    if (!local)
        return NULL;
    local->limit = limit ? limit : 1;
    local->release = release;
    hash_random(local->secret, sizeof(local->secret));
    return local;
}

void local_free(struct local *local)
{
    if (!local)
        return;
    local_clear_all(local);
    free(local);
}

void local_set_evicted(struct local *local, local_evicted *hook, void *arg)
{
    local->evicted = hook;
    local->evicted_arg = arg;
}

/* uthash has 32 bits; the low half of SipHash is as good as the other. */
static unsigned hash_of(const struct local *local, const char *key, size_t length)
{
    return (unsigned)hash_keyed(local->secret, key, length);
}

static struct local_entry *find(const struct local *local, const char *key)
{
    size_t length = strlen(key);
    struct local_entry *entry;

    HASH_FIND_BYHASHVALUE(hh, local->table, key, length, hash_of(local, key, length), entry);
    return entry;
}

/* The only way out of the table, so a value is released exactly once. */
static void discard(struct local *local, struct local_entry *entry)
{
    HASH_DELETE(hh, local->table, entry);
    DL_DELETE(local->used, entry);
    if (local->release)
        local->release(entry->value);
    free(entry);
}

static void shrink(struct local *local, size_t limit)
{
    while (HASH_COUNT(local->table) > limit) {
        if (local->evicted)
            local->evicted(local->evicted_arg, local->used->value);
        discard(local, local->used);
    }
}

void local_set_limit(struct local *local, size_t limit)
{
    local->limit = limit ? limit : 1;
    shrink(local, local->limit);
}

static void mark_used(struct local *local, struct local_entry *entry)
{
    DL_DELETE(local->used, entry);
    DL_APPEND(local->used, entry);
}

void *local_get(struct local *local, const char *key, int64_t now)
{
    struct local_entry *entry = find(local, key);

    if (!entry)
        return NULL;
    if (entry->expires <= now) {
        discard(local, entry);
        return NULL;
    }
    mark_used(local, entry);
    return entry->value;
}

static void replace(struct local *local, struct local_entry *entry, void *value, int64_t expires)
{
    if (local->release && entry->value != value)
        local->release(entry->value);
    entry->value = value;
    entry->expires = expires;
    mark_used(local, entry);
}

/* Makes room before it adds, so that the table is never above its limit. */
static bool add(struct local *local, const char *key, void *value, int64_t expires)
{
    size_t length = strlen(key);
    struct local_entry *entry = calloc(1, sizeof(*entry) + length + 1);

    if (!entry)
        return false;
    memcpy(entry->key, key, length + 1);
    entry->value = value;
    entry->expires = expires;
    shrink(local, local->limit - 1);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, local->table, entry->key, length, hash_of(local, key, length),
                                entry);
    if (!entry->hh.tbl) {
        free(entry);
        return false;
    }
    DL_APPEND(local->used, entry);
    return true;
}

bool local_put(struct local *local, const char *key, void *value, int64_t now, int64_t expires)
{
    struct local_entry *entry = find(local, key);

    if (entry && entry->expires <= now) {
        discard(local, entry);
        entry = NULL;
    }
    if (entry) {
        replace(local, entry, value, expires);
        return true;
    }
    if (add(local, key, value, expires))
        return true;
    if (local->release)
        local->release(value);
    return false;
}

void local_set_expiry(struct local *local, const char *key, int64_t expires)
{
    struct local_entry *entry = find(local, key);

    if (entry)
        entry->expires = expires;
}

void local_remove(struct local *local, const char *key)
{
    struct local_entry *entry = find(local, key);

    if (entry)
        discard(local, entry);
}

void local_clear_all(struct local *local)
{
    while (local->used)
        discard(local, local->used);
}

size_t local_count(const struct local *local)
{
    return HASH_COUNT(local->table);
}

void local_each(struct local *local, int64_t now, local_visit *visit, void *arg)
{
    struct local_entry *entry;

    DL_FOREACH(local->used, entry)
    {
        if (entry->expires > now)
            visit(arg, entry->key, entry->value, entry->expires);
    }
}
