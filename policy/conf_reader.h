/*
 * One reading of a configuration, and how its parts pass it on:
 *
 *   conf_file.c     the file's bytes
 *   conf_scan.c     which sections and keys stand at which line; a clean copy
 *   conf_grammar.c  libconfuse: the copy's values
 *   conf_key.c      the table that says what each key is
 *   conf_set.c      one value checked and stored, conf_net.c, conf_list.c for the larger kinds
 *   conf_build.c    defaults and inheritance; conf_pool.c, conf_domain.c the larger sections
 *   conf_check.c    what contradicts what
 *
 * All of them report into one list and go on, so that an administrator sees every mistake at once.
 */
#ifndef POLICY_CONF_READER_H
#define POLICY_CONF_READER_H

#include "policy/conf.h"
#include "policy/conf_memory.h"
#include "policy/conf_scan.h"

struct conf_reader {
    const char *file;
    bool secrets;      /* read what password_file and secret_file name */
    bool whole;        /* no syntax error: what is missing is missing */
    struct conf *conf; /* being built */
    struct conf_problems *problems;
    struct conf_memory *scratch; /* until the reading ends */
    const char *domains_file;    /* "" for none */
    unsigned domains_file_line;
};

/* A guard section on its way: allow and allow_file are set one by one, and become one list. */
struct conf_guard_draft {
    struct conf_guard guard;
    struct conf_allow listed, filed;
};

/* A key's value: as set, or its default (section NULL, line 0). */
struct conf_value {
    const struct conf_key *key;
    const struct conf_section *section;
    unsigned line;
    size_t count; /* 1 unless the key is a list */
    const char *const *item;
    const unsigned *item_line; /* NULL without a list; count of them */
};

/* Complaints (conf_problem.c). Texts are made printable. */
void conf_report(struct conf_reader *reader, const struct conf_section *section, const char *key,
                 unsigned line, bool fatal, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/* An error in an item of a value. */
void conf_report_value(struct conf_reader *reader, const struct conf_value *value, size_t item,
                       const char *format, ...) __attribute__((format(printf, 4, 5)));
/* An error in a line of another file that value names. */
void conf_report_file(struct conf_reader *reader, const char *file, unsigned line, const char *key,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));
/* By line; those of other files last. */
void conf_problems_sort(struct conf_problems *problems, const char *file);

/* Zeroed memory and copies that live as long as the conf. */
void *conf_keep(struct conf_reader *reader, size_t size);
char *conf_keep_text(struct conf_reader *reader, const char *text);

/* Builds reader->conf out of the sections (conf_build.c). */
void conf_build(struct conf_reader *reader, const struct conf_section *root);

/* libconfuse (conf_grammar.c): fills in the places' values. False after reporting. */
bool conf_grammar_parse(struct conf_reader *reader, struct conf_scan *scan);

/* Contradictions (conf_check.c). */
void conf_check_guard(struct conf_reader *reader, const struct conf_section *section,
                      const struct conf_guard *guard);
void conf_check_routing(struct conf_reader *reader, const struct conf_section *section,
                        const struct conf_routing *routing);
void conf_check_title(struct conf_reader *reader, const struct conf_section *section,
                      enum conf_title kind);
void conf_check_pool(struct conf_reader *reader, const struct conf_section *section);
void conf_check_whole(struct conf_reader *reader, const struct conf_section *root);

#endif
