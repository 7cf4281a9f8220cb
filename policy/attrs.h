/*
 * Postfix's policy delegation protocol, the codec: "name=value\n" lines and an empty line
 * (SMTPD_POLICY_README; src/util/attr_scan_plain.c). Pure: bytes in, a request or a reply out.
 */
#ifndef POLICY_ATTRS_H
#define POLICY_ATTRS_H

#include <stdbool.h>
#include <stddef.h>

enum {
    ATTRS_MAX_SIZE = 64 * 1024, /* a request's bytes, at most */
    ATTRS_MAX_COUNT = 256,      /* and attributes */
};

enum attrs_status {
    ATTRS_MORE, /* no empty line yet */
    ATTRS_DONE,
    ATTRS_BAD, /* too long, too many, a line without '=', a NUL, a repeated name */
};

/* A request's attributes, as slices of the buffer they were scanned from: nothing is copied, and
 * they live as long as that buffer stays as it is. */
struct attrs {
    size_t count;
    struct attrs_pair {
        const char *name, *value;
        size_t name_length, value_length;
    } pair[ATTRS_MAX_COUNT];
};

/* Scans one request at the start of data. Both "\n" and "\r\n" end a line. On ATTRS_DONE *used is
 * what the request took, its empty line included; the next one may begin there. */
enum attrs_status attrs_scan(const char *data, size_t length, struct attrs *out, size_t *used);

/* Copies the value of name into out, cut off never: false, and "" in out, where it is missing, does
 * not fit, or is empty. */
bool attrs_get(const struct attrs *attrs, const char *name, char *out, size_t size);

/* Appends "name=value\n" to a request being built in buffer[*length..size). A CR, LF or NUL in
 * value, and an overflow, are false, and leave *length as it was. attrs_end appends the empty
 * line. */
bool attrs_put(char *buffer, size_t size, size_t *length, const char *name, const char *value);
bool attrs_end(char *buffer, size_t size, size_t *length);

#endif
