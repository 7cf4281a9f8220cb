/*
 * The digest over a HASH. Redis gives fields back in an order of its own, hence the sorting; what a
 * later version may add to the HASH is among what is proven, since nothing known by name is left out
 * but the mac itself.
 */
#include "cache/mac.h"

#include "cache/hash.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)MAC_KEY_SIZE == (int)HASH_SECRET_SIZE, "the key is one of hash_mac");
_Static_assert((int)MAC_TEXT == (int)HASH_MAC_TEXT, "the text is one of hash_mac");

void mac_key_init(struct mac_key *key, const void *secret, size_t size)
{
    memset(key, 0, sizeof *key);
    key->is_set = size > 0;
    if (key->is_set)
        hash_secret(secret, size, key->octets);
}

static bool is_mac(const struct codec_pair *pair)
{
    return pair->name_length == strlen(MAC_FIELD) &&
           memcmp(pair->name, MAC_FIELD, pair->name_length) == 0;
}

static int name_compare(const void *left, const void *right)
{
    const struct codec_pair *a = left, *b = right;
    size_t common = a->name_length < b->name_length ? a->name_length : b->name_length;
    int order = common ? memcmp(a->name, b->name, common) : 0;

    if (order)
        return order;
    return a->name_length < b->name_length ? -1 : a->name_length > b->name_length;
}

bool mac_format(const struct mac_key *key, const char *name, const struct codec_pair *pair,
                size_t count, char out[MAC_TEXT])
{
    struct hash_part part[1 + 2 * MAC_MAX_FIELDS] = {{name, strlen(name)}};
    struct codec_pair sorted[MAC_MAX_FIELDS];
    size_t kept = 0, parts = 1;

    if (!key->is_set || count > MAC_MAX_FIELDS)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!is_mac(&pair[i]))
            sorted[kept++] = pair[i];
    if (kept > 0)
        qsort(sorted, kept, sizeof *sorted, name_compare);
    for (size_t i = 0; i < kept; i++) {
        /* A HASH has no field twice: whoever sends that is no Redis. */
        if (i > 0 && name_compare(&sorted[i - 1], &sorted[i]) == 0)
            return false;
        part[parts++] = (struct hash_part){sorted[i].name, sorted[i].name_length};
        part[parts++] = (struct hash_part){sorted[i].value, sorted[i].value_length};
    }
    hash_mac(key->octets, part, parts, out);
    return true;
}

bool mac_is_valid(const struct mac_key *key, const char *name, const struct codec_pair *pair,
                  size_t count)
{
    const struct codec_pair *given = NULL;
    char wanted[MAC_TEXT];

    for (size_t i = 0; i < count; i++) {
        if (is_mac(&pair[i]) && given)
            return false;
        if (is_mac(&pair[i]))
            given = &pair[i];
    }
    return given && given->value_length == MAC_TEXT - 1 &&
           mac_format(key, name, pair, count, wanted) &&
           hash_is_same(wanted, given->value, MAC_TEXT - 1);
}
