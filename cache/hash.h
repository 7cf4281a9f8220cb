/*
 * Hashes, in the places where they matter. Pure (libsodium does the work).
 */
#ifndef CACHE_HASH_H
#define CACHE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HASH_KEY_SIZE = 16, HASH_DIGEST_TEXT = 33, HASH_CHOICE_PART = 1023 };
enum { HASH_SECRET_SIZE = 32, HASH_MAC_TEXT = 65 };

/* The public key of hash_choice: the ASCII octets "mxwarden choice1". It and the order of the
 * octets below are a contract between nodes and versions: another key is another choice of host
 * for every recipient. */
#define HASH_CHOICE_KEY                                                                            \
    {                                                                                              \
        'm', 'x', 'w', 'a', 'r', 'd', 'e', 'n', ' ', 'c', 'h', 'o', 'i', 'c', 'e', '1'             \
    }

/* SipHash-2-4 for tables: the key is the process's own secret, so that nobody can aim names at one
 * bucket. */
uint64_t hash_keyed(const uint8_t key[HASH_KEY_SIZE], const void *data, size_t length);

/* SipHash-2-4 under a fixed public key, for choosing among hosts: the same on every node and in
 * every version (SPEC 6.3). A NUL separates the fields: hash of a || 0x00 || b, of each no more
 * than its first HASH_CHOICE_PART octets, read as a little-endian number. */
uint64_t hash_choice(const char *a, const char *b);

/* BLAKE2b-128 of the parts, each preceded by its length in eight octets, the least significant
 * first, as 32 lower-case hex digits: for the "#<hash>" identities in Redis keys. Not keyed: every node of a site must agree. */
char *hash_digest(const char *const *part, size_t count, char out[HASH_DIGEST_TEXT]);

/* Keyed BLAKE2b-256 of the parts, each preceded by its length in eight octets, the least significant
 * first, as 64 lower-case hex digits; and its key, made of a secret of any length. Nodes and
 * versions must agree on both. */
struct hash_part {
    const void *data;
    size_t length;
};
void hash_secret(const void *secret, size_t size, uint8_t out[HASH_SECRET_SIZE]);
char *hash_mac(const uint8_t key[HASH_SECRET_SIZE], const struct hash_part *part, size_t count,
               char out[HASH_MAC_TEXT]);
/* In a time that does not tell where they differ. */
bool hash_is_same(const void *a, const void *b, size_t length);

/* Fills bytes from the system's generator. Not pure: only main, probes and the table's key. */
void hash_random(void *out, size_t length);

#endif
