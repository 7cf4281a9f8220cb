/*
 * Where tests write: below $TMPDIR, which whoever runs them clears even where one died, else /tmp.
 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A template for mkdtemp and mkstemp. */
static inline void scratch_template(char *out, size_t size)
{
    const char *folder = getenv("TMPDIR");

    snprintf(out, size, "%s/mxw-test-XXXXXX", folder && *folder ? folder : "/tmp");
}

/* A new folder; its owner removes it. */
static inline bool scratch_folder(char *out, size_t size)
{
    scratch_template(out, size);
    return mkdtemp(out) != NULL;
}

#endif
