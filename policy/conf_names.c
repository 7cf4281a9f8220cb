/*
 * Things that must not be there twice, compared by their canonical names.
 */
#include "policy/conf_build.h"

#include <stdlib.h>
#include <string.h>

static int compare_named(const void *a, const void *b)
{
    const struct conf_named *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    unsigned left_line = left->section ? left->section->line : left->line;
    unsigned right_line = right->section ? right->section->line : right->line;

    if (order == 0) /* the sections first: they are the ones to name */
        order = !left->section - !right->section;
    return order ? order : (left_line > right_line) - (left_line < right_line);
}

void conf_names_check(struct conf_reader *reader, struct conf_named *list, size_t count)
{
    qsort(list, count, sizeof *list, compare_named);
    for (size_t i = 1; i < count; i++) {
        const struct conf_named *first = &list[i - 1], *second = &list[i];
        if (!*second->name || strcmp(first->name, second->name) != 0)
            continue;
        if (second->section)
            conf_report(reader, second->section, "", second->section->line, true,
                        "is there twice, first in line %u", first->section->line);
        else
            conf_report_file(reader, reader->domains_file, second->line, "domains_file",
                             "\"%s\" is there twice, first in line %u%s%s", second->name,
                             first->section ? first->section->line : first->line,
                             first->section ? " of " : "", first->section ? reader->file : "");
    }
}
