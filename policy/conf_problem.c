/*
 * The list of complaints about a configuration: gathering, order, wording.
 */
#include "policy/conf_reader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A configuration that breaks in every line is shown by its first thousand. */
enum { PROBLEMS_MAX = 1000 };

/* Control characters of a broken file stay out of terminals and logs. */
static char *printable(char *text)
{
    for (char *at = text; at && *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
    return text;
}

static void add(struct conf_problems *problems, const char *file, unsigned line, char *key,
                bool fatal, char *text)
{
    struct conf_problem *item;

    problems->errors += fatal;
    if (problems->count >= PROBLEMS_MAX)
        goto drop;
    item = realloc(problems->item, (problems->count + 1) * sizeof *item);
    if (!item)
        goto drop;
    problems->item = item;
    item += problems->count++;
    *item = (struct conf_problem){.file = printable(strdup(file)),
                                  .line = line,
                                  .key = printable(key),
                                  .text = printable(text),
                                  .fatal = fatal};
    return;
drop:
    free(key);
    free(text);
}

static char *format_text(const char *format, va_list arguments)
    __attribute__((format(printf, 1, 0)));
static char *format_text(const char *format, va_list arguments)
{
    char *text;

    return vasprintf(&text, format, arguments) < 0 ? NULL : text;
}

/* "guard.mode", "domain example.com: guard.mode", "pool a: tier 10: host gw: weight". */
static char *format_key(const struct conf_section *section, const char *key)
{
    const struct conf_section *chain[4];
    size_t depth = 0, size;
    char *text = NULL;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    for (; section && section->parent && depth < 4; section = section->parent)
        chain[depth++] = section;
    while (depth-- > 0) {
        bool titled = *chain[depth]->title, more = *key || depth > 0;
        fprintf(out, "%s%s%s%s", chain[depth]->name, titled ? " " : "", chain[depth]->title,
                more ? (titled ? ": " : ".") : "");
    }
    fputs(key, out);
    fclose(out);
    return text;
}

void conf_report(struct conf_reader *reader, const struct conf_section *section, const char *key,
                 unsigned line, bool fatal, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(reader->problems, reader->file, line, format_key(section, key), fatal,
        format_text(format, arguments));
    va_end(arguments);
}

void conf_report_value(struct conf_reader *reader, const struct conf_value *value, size_t item,
                       const char *format, ...)
{
    unsigned line = value->item_line && item < value->count ? value->item_line[item] : value->line;
    va_list arguments;

    va_start(arguments, format);
    add(reader->problems, reader->file, line, format_key(value->section, value->key->name), true,
        format_text(format, arguments));
    va_end(arguments);
}

void conf_report_file(struct conf_reader *reader, const char *file, unsigned line, const char *key,
                      const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add(reader->problems, file, line, strdup(key), true, format_text(format, arguments));
    va_end(arguments);
}

/* The file itself first, then by line. */
static bool is_before(const struct conf_problem *a, const struct conf_problem *b, const char *file)
{
    bool far_a = strcmp(a->file, file) != 0, far_b = strcmp(b->file, file) != 0;

    return far_a != far_b ? far_b : a->line < b->line;
}

/* By insertion: stable, and most are in place. */
void conf_problems_sort(struct conf_problems *problems, const char *file)
{
    for (size_t i = 1; i < problems->count; i++) {
        struct conf_problem moved = problems->item[i];
        size_t to = i;
        for (; to > 0 && is_before(&moved, &problems->item[to - 1], file); to--)
            problems->item[to] = problems->item[to - 1];
        problems->item[to] = moved;
    }
}

void conf_problems_clear(struct conf_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        free(problems->item[i].file);
        free(problems->item[i].key);
        free(problems->item[i].text);
    }
    free(problems->item);
    *problems = (struct conf_problems){0};
}

char *conf_problem_format(const struct conf_problem *problem)
{
    const char *key = problem->key;
    char line[16] = "", *text;

    if (problem->line > 0)
        snprintf(line, sizeof line, ":%u", problem->line);
    if (asprintf(&text, "%s%s: %s%s%s", problem->file, line, key, *key ? ": " : "", problem->text) <
        0)
        return NULL;
    return text;
}
