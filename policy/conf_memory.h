/*
 * Memory that is freed all at once: what a conf points to, and what reading one needs meanwhile.
 */
#ifndef POLICY_CONF_MEMORY_H
#define POLICY_CONF_MEMORY_H

#include <stddef.h>

struct conf_memory;

struct conf_memory *conf_memory_new(void);
void conf_memory_free(struct conf_memory *memory); /* NULL is fine */

/* Zeroed, aligned for anything; never NULL: without memory the process ends, as it would at start.
 */
void *conf_memory_get(struct conf_memory *memory, size_t size);
/* A copy of length bytes and a NUL. */
char *conf_memory_copy(struct conf_memory *memory, const char *text, size_t length);
char *conf_memory_text(struct conf_memory *memory, const char *text);

#endif
