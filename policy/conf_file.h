/*
 * Files that a configuration consists of, read whole.
 */
#ifndef POLICY_CONF_FILE_H
#define POLICY_CONF_FILE_H

#include <stddef.h>
#include <sys/types.h>

struct conf_file {
    char *text; /* length bytes and a NUL; malloc */
    size_t length;
    mode_t mode;
};

/* NULL when all went well, else what went wrong (static), with errno; text is NULL then. Only
 * regular files of up to 64 MB, and devices, which are empty. */
const char *conf_file_read(const char *path, struct conf_file *out);
/* The same, and a NUL byte is trouble too. */
const char *conf_file_read_text(const char *path, struct conf_file *out);

/* The next line of *rest that says something: without comment ('#') and white space around it.
 * NULL at the end. *line counts from 1 (start with 0). Writes into the text. */
char *conf_file_line(char **rest, unsigned *line);

#endif
