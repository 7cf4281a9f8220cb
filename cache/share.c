/*
 * Facts to and from Redis: keys.c names them, codec.c reads and writes their fields, store.c
 * carries them.
 */
#include "cache/share.h"

#include "cache/codec.h"
#include "cache/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct share_read {
    enum facts_kind kind;
    const struct clock *clock;
    int64_t max_age;           /* seconds */
    const struct mac_key *mac; /* as it is when the answer comes: not the one of old */
    char key[KEYS_SIZE];
    share_done *done; /* NULL once cancelled */
    void *arg;
};

/* NULL for what has no key, since another kind has it. */
static char *key_of(const char *prefix, enum facts_kind kind, const char *name, char out[KEYS_SIZE])
{
    switch (kind) {
    case FACTS_MX:
        if (strncmp(name, FACTS_SRV_LABELS, strlen(FACTS_SRV_LABELS)) == 0)
            break;
        return keys_mx(prefix, name, out);
    case FACTS_SRV: return keys_srv(prefix, name, out);
    case FACTS_ADDR: return keys_addr(prefix, name, out);
    }
    return NULL;
}

/* HGETALL's list of names and values. More of it than a codec ever writes is not ours. */
static struct facts *parse(const struct share_read *read, const struct store_reply *list)
{
    struct codec_pair pair[CODEC_MAX_FIELDS] = {0};
    size_t count = store_reply_count(list);
    int64_t now = clock_unix(read->clock);
    struct facts *facts;

    if (!count || count % 2 || count / 2 > CODEC_MAX_FIELDS)
        return NULL;
    for (size_t i = 0; i < count / 2; i++) {
        pair[i].name = store_reply_text(store_reply_at(list, 2 * i), &pair[i].name_length);
        pair[i].value = store_reply_text(store_reply_at(list, 2 * i + 1), &pair[i].value_length);
        if (!pair[i].name || !pair[i].value)
            return NULL;
    }
    facts = codec_parse(read->kind, pair, count / 2, now, read->max_age);
    if (facts)
        facts->proven = mac_is_valid(read->mac, read->key, pair, count / 2) &&
                        codec_is_timely(pair, count / 2, now, read->max_age);
    return facts;
}

static void on_read(void *arg, enum store_status status, const struct store_reply *const *reply,
                    size_t count)
{
    struct share_read *read = arg;

    if (read->done)
        read->done(read->arg, status == STORE_OK && count == 1 ? parse(read, reply[0]) : NULL);
    free(read);
}

struct share_read *share_read(const struct share_place *place, enum facts_kind kind,
                              const char *name, share_done *done, void *arg)
{
    struct store_batch *batch;
    struct share_read *read;

    if (!place->store || !(read = calloc(1, sizeof(*read))))
        return NULL;
    *read = (struct share_read){.kind = kind,
                                .clock = place->clock,
                                .max_age = place->max_ttl / 1000,
                                .mac = place->mac,
                                .done = done,
                                .arg = arg};
    if (!key_of(place->prefix, kind, name, read->key)) {
        free(read);
        return NULL;
    }
    batch = store_batch_new(false);
    store_batch_add(batch, "HGETALL", read->key, NULL);
    if (!store_send(place->store, batch, on_read, read)) {
        free(read);
        return NULL;
    }
    return read;
}

void share_cancel(struct share_read *read)
{
    read->done = NULL;
}

struct share_lease {
    share_lease_done *done; /* NULL once cancelled */
    void *arg;
};

/* SET NX answers nil where the key is there. */
static void on_lease(void *arg, enum store_status status, const struct store_reply *const *reply,
                     size_t count)
{
    struct share_lease *lease = arg;

    if (lease->done)
        lease->done(lease->arg, status == STORE_OK && count == 1 &&
                                    store_reply_kind(reply[0]) == STORE_KIND_NIL);
    free(lease);
}

struct share_lease *share_lease(const struct share_place *place, enum facts_kind kind,
                                const char *name, int64_t life, share_lease_done *done, void *arg)
{
    char key[KEYS_SIZE], lease_key[KEYS_SIZE], text[32];
    struct store_batch *batch;
    struct share_lease *lease;

    if (!place->store || !key_of(place->prefix, kind, name, key) ||
        !(lease = calloc(1, sizeof(*lease))))
        return NULL;
    *lease = (struct share_lease){done, arg};
    snprintf(text, sizeof(text), "%" PRId64, life > 0 ? life : 1);
    batch = store_batch_new(false);
    store_batch_add(batch, "SET", keys_lease(place->prefix, key, lease_key), "1", "NX", "PX", text,
                    NULL);
    if (!store_send(place->store, batch, on_lease, lease)) {
        free(lease);
        return NULL;
    }
    return lease;
}

void share_lease_cancel(struct share_lease *lease)
{
    lease->done = NULL;
}

/* The field mac among the words of an HSET, which begin with the verb and the key; where there is a
 * secret. */
static size_t add_mac(const struct share_place *place, const char **word, size_t count,
                      char mac[MAC_TEXT])
{
    struct codec_pair pair[CODEC_MAX_FIELDS];
    size_t pairs = 0;

    for (size_t i = 2; i < count; i += 2)
        pair[pairs++] =
            (struct codec_pair){word[i], word[i + 1], strlen(word[i]), strlen(word[i + 1])};
    if (!mac_format(place->mac, word[1], pair, pairs, mac))
        return count;
    word[count++] = MAC_FIELD;
    word[count++] = mac;
    return count;
}

void share_write(const struct share_place *place, const struct facts *facts, const char *name,
                 int64_t stale)
{
    struct codec_fields fields;
    const char *word[4 + 2 * CODEC_MAX_FIELDS] = {"HSET"};
    char key[KEYS_SIZE], lease[KEYS_SIZE], ttl[32], mac[MAC_TEXT];
    struct store_batch *batch;
    size_t count = 2;

    if (!place->store || !key_of(place->prefix, facts->kind, name, key) ||
        !codec_format(facts, &fields))
        return;
    word[1] = key;
    for (size_t i = 0; i < fields.count; i++) {
        word[count++] = fields.name[i];
        word[count++] = fields.value[i];
    }
    count = add_mac(place, word, count, mac);
    /* A name that is not there is of no use to those who cannot ask. */
    if (facts->state == FACTS_NXDOMAIN)
        stale = 0;
    snprintf(ttl, sizeof(ttl), "%" PRId64, facts->ttl + stale / 1000 + (facts->ttl ? 0 : 1));
    batch = store_batch_new(true);
    /* Fields of another version, or another type; and nobody need wait for this any more. */
    store_batch_add(batch, "DEL", key, keys_lease(place->prefix, key, lease), NULL);
    store_batch_add_words(batch, word, count);
    store_batch_add(batch, "EXPIRE", key, ttl, NULL);
    store_send(place->store, batch, NULL, NULL); /* failures are the store's to tell of */
}

void share_delete(const struct share_place *place, const char *domain, const struct facts *mx,
                  const struct facts *srv)
{
    char key[2 * FACTS_MAX_HOSTS + 3][KEYS_SIZE];
    const char *word[2 * FACTS_MAX_HOSTS + 4] = {"DEL"};
    size_t count = 0;
    struct store_batch *batch;

    if (!place->store)
        return;
    keys_mx(place->prefix, domain, key[count++]);
    keys_srv(place->prefix, domain, key[count++]);
    keys_addr(place->prefix, domain, key[count++]); /* the implicit MX */
    for (size_t i = 0; mx && i < mx->mx.count; i++)
        keys_addr(place->prefix, mx->mx.host[i].name, key[count++]);
    for (size_t i = 0; srv && i < srv->mx.count; i++)
        keys_addr(place->prefix, srv->mx.host[i].name, key[count++]);
    for (size_t i = 0; i < count; i++)
        word[i + 1] = key[i];
    batch = store_batch_new(false);
    store_batch_add_words(batch, word, count + 1);
    store_send(place->store, batch, NULL, NULL);
}
