/*
 * libFuzzer on DNS answers (cache/answer.c):
 * clang -fsanitize=fuzzer,address,undefined with the objects of cache/ built the same way.
 */
#include "tests/fuzz/targets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    target_answer(data, size);
    return 0;
}
