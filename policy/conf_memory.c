/*
 * Blocks of memory in a list, handed out from front to back.
 */
#include "policy/conf_memory.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 32 * 1024 };

struct conf_memory {
    struct block {
        struct block *next;
        size_t size, used;
        max_align_t bytes[];
    } * block;
};

static void *must(void *memory)
{
    if (memory)
        return memory;
    fputs("out of memory\n", stderr);
    abort();
}

struct conf_memory *conf_memory_new(void)
{
    return must(calloc(1, sizeof(struct conf_memory)));
}

void conf_memory_free(struct conf_memory *memory)
{
    struct block *next;

    for (struct block *block = memory ? memory->block : NULL; block; block = next) {
        next = block->next;
        free(block);
    }
    free(memory);
}

void *conf_memory_get(struct conf_memory *memory, size_t size)
{
    struct block *block = memory->block;
    void *bytes;

    if (size > SIZE_MAX / 2)
        must(NULL);
    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (!block || block->size - block->used < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = must(calloc(1, sizeof *block + room));
        block->size = room;
        block->next = memory->block;
        memory->block = block;
    }
    bytes = (char *)block->bytes + block->used;
    block->used += size;
    return bytes;
}

char *conf_memory_copy(struct conf_memory *memory, const char *text, size_t length)
{
    return memcpy(conf_memory_get(memory, length + 1), text, length);
}

char *conf_memory_text(struct conf_memory *memory, const char *text)
{
    return conf_memory_copy(memory, text, strlen(text));
}
