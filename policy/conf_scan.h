/*
 * What stands where in a configuration file: its sections, and in them the keys that were set.
 *
 * libconfuse reads the values, but it cannot be trusted with raw text: comments shift its line
 * numbers, it stops at the first unknown key, expands ${VARIABLES} even in quotes, drops characters
 * that it does not know, merges or replaces repeated sections, and an unterminated string leaves its
 * lexer broken for every later file. So the scanner goes first. It notes the line of every key and
 * item, complains of all that libconfuse would mistake, and writes a clean copy with the same
 * lines: no comments, no unknown keys, no titles (a title is kept here, and the n-th section of a
 * kind there is the n-th here).
 */
#ifndef POLICY_CONF_SCAN_H
#define POLICY_CONF_SCAN_H

#include "policy/conf_key.h"

/* A key set in a section. */
struct conf_place {
    const struct conf_key *key;
    unsigned line;
    bool ignored; /* complained of already: its values are not looked at */
    size_t line_count;
    unsigned *item_line; /* of each item of a list */
    size_t count;        /* values; filled in by conf_grammar_parse */
    const char **item;
    struct conf_place *next;
};

struct conf_section {
    enum conf_scope scope;
    const char *name, *title; /* "" for the file itself, "" where there is no title */
    unsigned line;
    struct conf_section *parent, *next; /* next in the same parent */
    struct conf_section *child, *last_child;
    struct conf_place *place, *last_place;
};

struct conf_scan {
    struct conf_section *root;
    char *clean;        /* the copy for libconfuse; malloc */
    bool broken;        /* the copy ends early: what libconfuse says of it is of no interest */
    unsigned lost_line; /* where the grammar was left, 0 for nowhere */
    const struct conf_section *lost_section;
    const char *lost_key;
};

/* Reports through reader. What out points to lives in the reader's scratch memory. text has length
 * bytes and a NUL. */
void conf_scan_text(struct conf_reader *reader, const char *text, size_t length,
                    struct conf_scan *out);

/* The sections of one scope in another, one after the other, and how many there are. */
const struct conf_section *conf_scan_first(const struct conf_section *parent,
                                           enum conf_scope scope);
const struct conf_section *conf_scan_next(const struct conf_section *section);
size_t conf_scan_count(const struct conf_section *parent, enum conf_scope scope);

/* The line where key is set in section, else the section's own; NULL, "" is the section. */
unsigned conf_scan_line(const struct conf_section *section, const char *key);
bool conf_scan_is_set(const struct conf_section *section, const char *key);

#endif
