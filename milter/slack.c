/*
 * Room behind every block of memory, for libmilter's sake.
 *
 * libmilter (8.17.1) keeps the macros of a stage as names and values in turn, and looks them up two
 * by two. A list that ends with a name, which no mail server in its senses sends, leads it one
 * pointer past the end of its array, and what happens to lie there is taken for the next name. With
 * zeroes behind every block the list ends there. Allocation is glibc's otherwise, so that what is
 * allocated here is freed as ever. Not in builds with a sanitiser, which has its own allocator.
 */
#include <stddef.h>
#include <string.h>

enum { SLACK = 2 * sizeof(char *) };

void *__libc_malloc(size_t size); /* NOLINT(bugprone-reserved-identifier) */
void *malloc(size_t size);

void *malloc(size_t size)
{
    char *block = size <= (size_t)-1 - SLACK ? __libc_malloc(size + SLACK) : NULL;

    if (block)
        memset(block + size, 0, SLACK);
    return block;
}
