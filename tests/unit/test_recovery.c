/*
 * policy/recovery.c: hosts as they look one moment after the other, and when a flush is due.
 */
#include "policy/recovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

/* A moment: the hosts of tiers 10, 10 and 20, '+' in use, '-' out of use, '?' unknown, '.' not
 * there. '!' before it: a flush is due. */
static const struct {
    const char *label, *moments;
} rows[] = {
    {"a process that begins finds all well", "??? ???  +?+ +++"},
    {"and one that finds the best away", "??? ?-- --- !--+"},
    {"back", "--- !+--"},
    {"back beside an equal one", "+-+ +++"},
    {"once", "--- !+-- ++- +++ -++"},
    {"from the backup to the best", "--+ !+-+"},
    {"by steps", "--- !--+ !+-+"},
    {"down is no recovery", "+++ --+ ---"},
    {"twice", "--- !+-- --- !-+-"},
    {"unknown before all is known", "?-+ +-+"},
    {"unknown hides a fall", "+-+ ?-+ +-+"},
    {"unknown hides no recovery", "--- !?-+ !+-+"},
    {"all unknown again", "--+ ??? !+-+"},
    {"no hosts", "... +++ ... --- ... !+++"},
    {"a new tier", "..- !..+ !+.+"},
    {"the best tier goes", "+-- .-- .--"},
};

static bool note(struct recovery *recovery, const char *moment)
{
    static const uint32_t tier[] = {10, 10, 20};
    struct recovery_host host[3];
    size_t count = 0;

    for (size_t i = 0; i < 3; i++)
        if (moment[i] != '.')
            host[count++] = (struct recovery_host){tier[i], moment[i] == '+'   ? RECOVERY_IN_USE
                                                            : moment[i] == '-' ? RECOVERY_OUT_OF_USE
                                                                               : RECOVERY_UNKNOWN};
    return recovery_note(recovery, host, count);
}

static void note_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct recovery recovery = {0};
        const char *at = rows[i].moments;
        while (*(at += strspn(at, " "))) {
            bool wanted = *at == '!';
            at += wanted;
            if (note(&recovery, at) != wanted)
                fail_msg("%s: at %s", rows[i].label, at);
            at += 3;
        }
    }
}

static const struct {
    const char *label, *before, *after;
    uint32_t tier; /* what an earlier process left */
    bool recalled, noted, whole;
} recalls[] = {
    {"known too late, and back", "+++", "+++", RECOVERY_NO_TIER, true, false, true},
    {"known in time, and back", NULL, "+++", RECOVERY_NO_TIER, false, true, true},
    {"known in time, not back", NULL, "---", RECOVERY_NO_TIER, false, false, false},
    {"the backup was in use, and is", NULL, "--+", 20, false, false, false},
    {"the backup was in use, the best is", NULL, "+-+", 20, false, true, true},
    {"as it was", "--+", "--+", 20, false, false, false},
    {"worse than it was", "---", "---", 20, false, false, false},
};

static void recall_table(void **state)
{
    static const struct recovery_host all[] = {{10, RECOVERY_UNKNOWN}, {20, RECOVERY_UNKNOWN}};
    (void)state;
    for (size_t i = 0; i < sizeof recalls / sizeof recalls[0]; i++) {
        struct recovery recovery = {0};
        if (recalls[i].before)
            note(&recovery, recalls[i].before);
        if (recovery_recall(&recovery, recalls[i].tier) != recalls[i].recalled ||
            note(&recovery, recalls[i].after) != recalls[i].noted ||
            recovery_is_whole(&recovery, all, 2) != recalls[i].whole)
            fail_msg("%s", recalls[i].label);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(note_table),
        cmocka_unit_test(recall_table),
    };

    return cmocka_run_group_tests_name("recovery", tests, NULL, NULL);
}
