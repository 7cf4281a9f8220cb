/*
 * Tables for people: columns as wide as their widest cell on a terminal, parted by tabs elsewhere.
 */
#ifndef POLICY_CLI_TABLE_H
#define POLICY_CLI_TABLE_H

#include "policy/cli.h"

#include <stdbool.h>
#include <stddef.h>

enum { CLI_TABLE_COLUMNS = 13 };

struct cli_table {
    size_t columns, rows;          /* the head is row 0 */
    char **cell;                   /* rows * columns */
    bool right[CLI_TABLE_COLUMNS]; /* numbers */
};

/* head is one text, columns parted by '|', a '>' before those that are numbers: "HOST|>PORT". */
void cli_table_init(struct cli_table *table, const char *head);
/* cells are texts or NULL (shown as "-"), as many as columns. Dropped when out of memory. */
void cli_table_add(struct cli_table *table, const char *const *cells);
void cli_table_print(const struct cli_table *table, const struct cli *cli);
void cli_table_clear(struct cli_table *table);

/* Writes text with what a terminal would obey replaced by '?'. */
void cli_put(FILE *out, const char *text);

#endif
