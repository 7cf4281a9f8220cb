/*
 * policy/health.c: runs of results against fall 3 and rise 2, and the shared text.
 */
#include "policy/health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static const struct health_rule rule = {.fall = 3, .rise = 2};

/* results: one a second from second 1 on, '+' good, '-' bad. changes: the seconds at which the
 * state changed. */
static const struct {
    const char *label, *results, *changes;
    enum health_state state;
    unsigned streak;
    int64_t since, good_since;
} runs[] = {
    {"nothing yet", "", "", HEALTH_UNKNOWN, 0, 0, 0},
    {"the first good decides", "+", "1", HEALTH_UP, 1, 1, 1},
    {"the first bad decides", "-", "1", HEALTH_DOWN, 1, 1, 0},
    {"a streak", "++++", "1", HEALTH_UP, 4, 1, 1},
    {"two bad are not three", "+--", "1", HEALTH_UP, 2, 1, 0},
    {"three bad: down", "+---", "14", HEALTH_DOWN, 3, 4, 0},
    {"a good one between begins anew", "+--+--", "1", HEALTH_UP, 2, 1, 0},
    {"good after a slip", "+-+", "1", HEALTH_UP, 1, 1, 3},
    {"one good is not two", "-+", "1", HEALTH_DOWN, 1, 1, 2},
    {"two good: up", "-++", "13", HEALTH_UP, 2, 3, 2},
    {"a bad one between begins anew", "-+-+", "1", HEALTH_DOWN, 1, 1, 4},
    {"down and up again", "+---++", "146", HEALTH_UP, 2, 6, 5},
};

static void note_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        struct health health = {.state = HEALTH_UNKNOWN};
        char changes[64] = "";
        for (size_t k = 0; runs[i].results[k]; k++) {
            int64_t now = (int64_t)k + 1;
            if (health_note(&health, &rule, runs[i].results[k] == '+', 7, now))
                snprintf(changes + strlen(changes), sizeof changes - strlen(changes), "%lld",
                         (long long)now);
        }
        if (strcmp(changes, runs[i].changes) || health.state != runs[i].state ||
            health.streak != runs[i].streak || health.since != runs[i].since ||
            health.good_since != runs[i].good_since ||
            health.at != (int64_t)strlen(runs[i].results))
            fail_msg("%s: changes %s state %s streak %u since %lld good_since %lld", runs[i].label,
                     changes, health_state_name(health.state), health.streak,
                     (long long)health.since, (long long)health.good_since);
    }
}

static const struct {
    const char *label, *text;
    int wanted;
    enum health_state state;
    int last_good;
    unsigned streak;
    int64_t since, good_since, at;
    int32_t ms;
} texts[] = {
    {"up", "up,3,900,990,12", true, HEALTH_UP, true, 3, 900, 980, 990, 12},
    {"up for longer than the streak", "up,100,900,990,12", true, HEALTH_UP, true, 100, 900, 900,
     990, 12},
    {"up, the last was bad", "up,-1,900,990,12", true, HEALTH_UP, false, 1, 900, 0, 990, 12},
    {"down", "down,-40,900,990,0", true, HEALTH_DOWN, false, 40, 900, 0, 990, 0},
    {"down, the last was good", "down,1,900,990,5", true, HEALTH_DOWN, true, 1, 900, 990, 990, 5},
    {"stamps from the future", "up,1,5000,6000,1", true, HEALTH_UP, true, 1, 1000, 1000, 1000, 1},
    {"changed after its last result", "up,1,999,990,1", true, HEALTH_UP, true, 1, 990, 990, 990, 1},
    {"empty", "", false, 0, false, 0, 0, 0, 0, 0},
    {"unknown", "unknown,1,1,1,1", false, 0, false, 0, 0, 0, 0, 0},
    {"no streak", "up,0,1,1,1", false, 0, false, 0, 0, 0, 0, 0},
    {"too few", "up,1,1,1", false, 0, false, 0, 0, 0, 0, 0},
    {"too many", "up,1,1,1,1,1", false, 0, false, 0, 0, 0, 0, 0},
    {"no number", "up,x,1,1,1", false, 0, false, 0, 0, 0, 0, 0},
    {"a number too long", "up,1,1,1111111111111111111111,1", false, 0, false, 0, 0, 0, 0, 0},
    {"negative time", "up,1,-1,1,1", false, 0, false, 0, 0, 0, 0, 0},
    {"negative ms", "up,1,1,1,-1", false, 0, false, 0, 0, 0, 0, 0},
    {"trailing words", "up,1,1,1,1 ", false, 0, false, 0, 0, 0, 0, 0},
};

static void parse_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct health got;
        bool read = health_parse(texts[i].text, 1000, 5, &got);
        if (read != texts[i].wanted || got.state != texts[i].state ||
            got.last_good != texts[i].last_good || got.streak != texts[i].streak ||
            got.since != texts[i].since || got.good_since != texts[i].good_since ||
            got.at != texts[i].at || got.ms != texts[i].ms)
            fail_msg("%s: %d, %s streak %u since %lld good_since %lld at %lld", texts[i].label,
                     read, health_state_name(got.state), got.streak, (long long)got.since,
                     (long long)got.good_since, (long long)got.at);
    }
}

static void format_is_parsed(void **state)
{
    (void)state;
    struct health health = {.state = HEALTH_UNKNOWN}, again;
    char text[HEALTH_TEXT];
    for (int64_t now = 100; now < 110; now++)
        health_note(&health, &rule, now < 105, (int32_t)now, now);
    assert_string_equal(health_format(&health, text), "down,-5,107,109,104");
    assert_true(health_parse(text, 110, 1, &again));
    assert_string_equal(health_format(&again, text), "down,-5,107,109,104");
}

/* saved is of second 990 at the latest; now is 1000, the gap 10. */
static const struct {
    const char *label, *saved, *results;
    enum health_state state;
    bool changed;
    unsigned streak;
    int64_t since, good_since;
} restores[] = {
    {"no result yet", "up,9,500,990,1", "", HEALTH_UP, true, 9, 500, 950},
    {"no result yet, too old", "up,9,500,989,1", "", HEALTH_UNKNOWN, false, 0, 0, 0},
    {"results agree", "up,9,500,990,1", "++", HEALTH_UP, false, 11, 500, 950},
    {"results agree, down", "down,-9,500,990,1", "-", HEALTH_DOWN, false, 10, 500, 0},
    {"results disagree", "up,9,500,990,1", "-", HEALTH_DOWN, false, 1, 1000, 0},
    {"the host slipped since", "up,9,500,990,1", "+-+", HEALTH_UP, false, 1, 1000, 1002},
    {"the saved last was bad", "up,-1,500,990,1", "+", HEALTH_UP, false, 1, 1000, 1000},
    {"results agree, too old", "up,9,500,989,1", "+", HEALTH_UP, false, 1, 1000, 1000},
};

static void restore_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof restores / sizeof restores[0]; i++) {
        struct health health = {.state = HEALTH_UNKNOWN}, saved;
        assert_true(health_parse(restores[i].saved, 1000, 5, &saved));
        for (size_t k = 0; restores[i].results[k]; k++)
            health_note(&health, &rule, restores[i].results[k] == '+', 1, 1000 + (int64_t)k);
        bool changed = health_restore(&health, &saved, 10, 1000);
        if (changed != restores[i].changed || health.state != restores[i].state ||
            health.streak != restores[i].streak || health.since != restores[i].since ||
            health.good_since != restores[i].good_since)
            fail_msg("%s: %s streak %u since %lld good_since %lld", restores[i].label,
                     health_state_name(health.state), health.streak, (long long)health.since,
                     (long long)health.good_since);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(note_table),
        cmocka_unit_test(parse_table),
        cmocka_unit_test(format_is_parsed),
        cmocka_unit_test(restore_table),
    };

    return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
