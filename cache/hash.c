/*
 * The hashes, all from libsodium: keyed SipHash for tables, SipHash under a public key for the
 * choice among hosts, BLAKE2b for identities in Redis keys and, keyed, for what stands in Redis.
 * All but the first are part of the contract between nodes and versions: their bytes never change,
 * and the tests hold them fast.
 */
#include "cache/hash.h"

#include <sodium.h>
#include <string.h>

_Static_assert(HASH_KEY_SIZE == crypto_shorthash_KEYBYTES, "SipHash-2-4 takes 16 octets of key");

enum {
    DIGEST_SIZE = (HASH_DIGEST_TEXT - 1) / 2,
    MAC_SIZE = (HASH_MAC_TEXT - 1) / 2,
    LENGTH_SIZE = 8,
};

/* libsodium writes SipHash's result with its least significant octet first; read so on any host. */
static uint64_t little_endian(const uint8_t octet[8])
{
    uint64_t value = 0;

    for (int i = 7; i >= 0; i--)
        value = value << 8 | octet[i];
    return value;
}

uint64_t hash_keyed(const uint8_t key[HASH_KEY_SIZE], const void *data, size_t length)
{
    uint8_t out[crypto_shorthash_BYTES];

    crypto_shorthash(out, data, length, key);
    return little_endian(out);
}

uint64_t hash_choice(const char *a, const char *b)
{
    static const uint8_t key[HASH_KEY_SIZE] = HASH_CHOICE_KEY;
    char text[2 * HASH_CHOICE_PART + 1];
    size_t a_length = strnlen(a, HASH_CHOICE_PART), b_length = strnlen(b, HASH_CHOICE_PART);

    memcpy(text, a, a_length);
    text[a_length] = '\0';
    memcpy(text + a_length + 1, b, b_length);
    return hash_keyed(key, text, a_length + 1 + b_length);
}

/* The length first, so that no two lists of parts make the same octets. */
static void add_part(crypto_generichash_state *state, const void *data, size_t length)
{
    uint8_t prefix[LENGTH_SIZE];

    for (int k = 0; k < LENGTH_SIZE; k++)
        prefix[k] = (uint8_t)((uint64_t)length >> 8 * k);
    crypto_generichash_update(state, prefix, sizeof prefix);
    crypto_generichash_update(state, data, length);
}

char *hash_digest(const char *const *part, size_t count, char out[HASH_DIGEST_TEXT])
{
    crypto_generichash_state state;
    uint8_t digest[DIGEST_SIZE];

    crypto_generichash_init(&state, NULL, 0, sizeof digest);
    for (size_t i = 0; i < count; i++)
        add_part(&state, part[i], strlen(part[i]));
    crypto_generichash_final(&state, digest, sizeof digest);
    return sodium_bin2hex(out, HASH_DIGEST_TEXT, digest, sizeof digest);
}

/* The purpose goes in first, lest the same secret, used elsewhere, make the same key. */
void hash_secret(const void *secret, size_t size, uint8_t out[HASH_SECRET_SIZE])
{
    static const char purpose[] = "mxwarden facts 1";
    crypto_generichash_state state;

    crypto_generichash_init(&state, NULL, 0, HASH_SECRET_SIZE);
    add_part(&state, purpose, sizeof purpose - 1);
    add_part(&state, secret, size);
    crypto_generichash_final(&state, out, HASH_SECRET_SIZE);
    sodium_memzero(&state, sizeof state);
}

char *hash_mac(const uint8_t key[HASH_SECRET_SIZE], const struct hash_part *part, size_t count,
               char out[HASH_MAC_TEXT])
{
    crypto_generichash_state state;
    uint8_t digest[MAC_SIZE];

    crypto_generichash_init(&state, key, HASH_SECRET_SIZE, sizeof digest);
    for (size_t i = 0; i < count; i++)
        add_part(&state, part[i].data, part[i].length);
    crypto_generichash_final(&state, digest, sizeof digest);
    return sodium_bin2hex(out, HASH_MAC_TEXT, digest, sizeof digest);
}

bool hash_is_same(const void *a, const void *b, size_t length)
{
    return sodium_memcmp(a, b, length) == 0;
}

void hash_random(void *out, size_t length)
{
    randombytes_buf(out, length);
}
