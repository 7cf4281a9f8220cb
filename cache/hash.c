/*
 * The three hashes, all from libsodium: keyed SipHash for tables, SipHash under a public key for
 * the choice among hosts, BLAKE2b for identities in Redis keys. The last two are part of the
 * contract between nodes and versions: their bytes never change, and the tests hold them fast.
 */
#include "cache/hash.h"

#include <sodium.h>
#include <string.h>

_Static_assert(HASH_KEY_SIZE == crypto_shorthash_KEYBYTES, "SipHash-2-4 takes 16 octets of key");

enum { DIGEST_SIZE = (HASH_DIGEST_TEXT - 1) / 2, LENGTH_SIZE = 8 };

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

char *hash_digest(const char *const *part, size_t count, char out[HASH_DIGEST_TEXT])
{
    crypto_generichash_state state;
    uint8_t digest[DIGEST_SIZE];

    crypto_generichash_init(&state, NULL, 0, sizeof digest);
    for (size_t i = 0; i < count; i++) {
        uint64_t length = strlen(part[i]);
        uint8_t prefix[LENGTH_SIZE];
        for (int k = 0; k < LENGTH_SIZE; k++)
            prefix[k] = (uint8_t)(length >> 8 * k);
        crypto_generichash_update(&state, prefix, sizeof prefix);
        crypto_generichash_update(&state, (const uint8_t *)part[i], length);
    }
    crypto_generichash_final(&state, digest, sizeof digest);
    return sodium_bin2hex(out, HASH_DIGEST_TEXT, digest, sizeof digest);
}

void hash_random(void *out, size_t length)
{
    randombytes_buf(out, length);
}
