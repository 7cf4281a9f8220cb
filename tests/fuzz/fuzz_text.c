/*
 * libFuzzer on names, addresses and keys (cache/name.c, cache/net.c, cache/keys.c):
 * clang -fsanitize=fuzzer,address,undefined with the objects of cache/ built the same way.
 */
#include "tests/fuzz/targets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    target_text(data, size);
    return 0;
}
