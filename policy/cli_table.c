/*
 * Tables. Colour marks only the words that say how a host or a row stands.
 */
#include "policy/cli_table.h"

#include <stdlib.h>
#include <string.h>

void cli_table_init(struct cli_table *table, const char *head)
{
    const char *cells[CLI_TABLE_COLUMNS] = {NULL};
    char *copy = strdup(head), *rest = copy, *cell;

    memset(table, 0, sizeof *table);
    while (rest && table->columns < CLI_TABLE_COLUMNS && (cell = strsep(&rest, "|"))) {
        table->right[table->columns] = *cell == '>';
        cells[table->columns++] = cell + (*cell == '>');
    }
    cli_table_add(table, cells);
    free(copy);
}

void cli_table_add(struct cli_table *table, const char *const *cells)
{
    char **grown = realloc(table->cell, (table->rows + 1) * table->columns * sizeof *grown);

    if (!grown)
        return;
    table->cell = grown;
    for (size_t i = 0; i < table->columns; i++) {
        const char *text = cells[i] && *cells[i] ? cells[i] : "-";
        grown[table->rows * table->columns + i] = strdup(text);
    }
    table->rows++;
}

void cli_put(FILE *out, const char *text)
{
    for (const char *at = text; *at; at++)
        fputc((unsigned char)*at < 0x20 || *at == 0x7f ? '?' : *at, out);
}

static const char *colour_of(const char *word)
{
    static const struct {
        const char *word, *code;
    } colours[] = {
        {"up", "32"},      {"yes", "32"},     {"ok", "32"},    {"down", "31"},
        {"error", "31"},   {"absent", "31"},  {"defer", "31"}, {"drain", "33"},
        {"warning", "33"}, {"unknown", "33"}, {"no", "33"},
    };

    for (size_t i = 0; i < sizeof colours / sizeof colours[0]; i++)
        if (strcmp(colours[i].word, word) == 0)
            return colours[i].code;
    return NULL;
}

static const char *cell_at(const struct cli_table *table, size_t row, size_t column)
{
    const char *text = table->cell[row * table->columns + column];

    return text ? text : "-";
}

static size_t width_of(const struct cli_table *table, size_t column)
{
    size_t width = 0;

    for (size_t row = 0; row < table->rows; row++) {
        size_t length = strlen(cell_at(table, row, column));
        width = length > width ? length : width;
    }
    return width;
}

static void put_cell(const struct cli_table *table, const struct cli *cli, size_t row,
                     size_t column)
{
    const char *text = cell_at(table, row, column);
    size_t room = width_of(table, column) - strlen(text);
    const char *colour = cli->colour ? row == 0 ? "1" : colour_of(text) : NULL;
    bool last = column + 1 == table->columns;

    fprintf(cli->out, "%*s", table->right[column] ? (int)room : 0, "");
    if (colour)
        fprintf(cli->out, "\033[%sm", colour);
    cli_put(cli->out, text);
    if (colour)
        fputs("\033[0m", cli->out);
    if (!last)
        fprintf(cli->out, "%*s", table->right[column] ? 2 : (int)room + 2, "");
}

void cli_table_print(const struct cli_table *table, const struct cli *cli)
{
    for (size_t row = 0; row < table->rows; row++) {
        for (size_t column = 0; column < table->columns; column++)
            if (cli->is_terminal) {
                put_cell(table, cli, row, column);
            } else {
                cli_put(cli->out, cell_at(table, row, column));
                if (column + 1 < table->columns)
                    fputc('\t', cli->out);
            }
        fputc('\n', cli->out);
    }
}

void cli_table_clear(struct cli_table *table)
{
    for (size_t i = 0; i < table->rows * table->columns; i++)
        free(table->cell[i]);
    free(table->cell);
    memset(table, 0, sizeof *table);
}
