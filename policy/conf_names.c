/*
 * Things that must not be there twice, compared by their canonical names.
 */
#include "policy/conf_build.h"

#include <stdlib.h>
#include <string.h>

static unsigned line_of(const struct conf_named *named)
{
    return named->section ? named->section->line : named->line;
}

/* By name; of one name the sections come first, since they are the ones to point to, then the
 * earlier line. */
static int compare_named(const void *a, const void *b)
{
    const struct conf_named *left = a, *right = b;
    int order = strcmp(left->name, right->name);

    if (order == 0)
        order = !left->section - !right->section;
    return order ? order : (line_of(left) > line_of(right)) - (line_of(left) < line_of(right));
}

/* second was named before, by first. */
static void report_twice(struct conf_reader *reader, const struct conf_named *first,
                         const struct conf_named *second)
{
    if (second->section)
        conf_report(reader, second->section, "", line_of(second), true,
                    "is there twice, first in line %u", line_of(first));
    else
        conf_report_file(reader, reader->domains_file, second->line, "domains_file",
                         "\"%s\" is there twice, first in line %u%s%s", second->name,
                         line_of(first), first->section ? " of " : "",
                         first->section ? reader->file : "");
}

void conf_names_check(struct conf_reader *reader, struct conf_named *list, size_t count)
{
    qsort(list, count, sizeof *list, compare_named);
    for (size_t i = 1; i < count; i++)
        if (*list[i].name && strcmp(list[i - 1].name, list[i].name) == 0)
            report_twice(reader, &list[i - 1], &list[i]);
}
