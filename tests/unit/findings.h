/*
 * Findings of mtacheck and sendmailcheck as one text, to be compared with.
 */
#ifndef TESTS_UNIT_FINDINGS_H
#define TESTS_UNIT_FINDINGS_H

#include "policy/mtacheck.h"

#include <stdio.h>
#include <string.h>

enum { FINDINGS_TEXT = 4096 };

/* "level: what" joined by '|', without what is well. All else must say how it is mended. */
static inline const char *findings_format(const char *label, const struct mtacheck *findings,
                                          char out[FINDINGS_TEXT])
{
    size_t length = 0;

    out[0] = '\0';
    for (size_t i = 0; i < findings->count; i++) {
        const struct mtacheck_finding *item = &findings->item[i];
        if (item->level == MTACHECK_OK)
            continue;
        length += (size_t)snprintf(out + length, FINDINGS_TEXT - length, "%s%s: %s",
                                   length ? "|" : "", mtacheck_level_name(item->level), item->what);
        assert_true(length < FINDINGS_TEXT);
        if (!*item->mend)
            fail_msg("%s: %s: no word on how to mend it", label, item->what);
    }
    return out;
}

#endif
