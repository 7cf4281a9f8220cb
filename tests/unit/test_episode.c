/*
 * When a trouble is news: rows of meetings, in order.
 */
#include "cache/episode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

static const struct {
    const char *label, *words;
    int64_t now;
    bool ends; /* all is well before it */
    bool news;
} meetings[] = {
    {"the first", "OOM command not allowed", 1000, false, true},
    {"again", "OOM command not allowed", 2000, false, false},
    {"the same code in other words", "OOM no", 50000, false, false},
    {"another code", "NOPERM no", 50001, false, true},
    {"going on counts from the last", "OOM no", 100000, false, false},
    {"after a minute of quiet", "OOM no", 160000, false, true},
    {"after all was well", "OOM no", 160001, true, true},
    {"a sentence", "it is a replica", 160002, false, true},
    {"another sentence with its first word", "it is a Cluster", 160003, false, true},
    {"a sentence again", "it is a replica", 160004, false, false},
    {"a code with a colon", "LOADING: it reads", 160005, false, true},
    {"the code with a space", "LOADING it reads", 160006, false, false},
    {"one capital is no code", "A sentence", 160007, false, true},
    {"another such", "A word", 160008, false, true},
    {"empty", "", 160009, false, true},
};

static void test_meetings(void **state)
{
    struct episode episode = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(meetings) / sizeof(meetings[0]); i++) {
        print_message("  %s\n", meetings[i].label);
        if (meetings[i].ends)
            episode_end(&episode);
        assert_int_equal(episode_meet(&episode, meetings[i].words, meetings[i].now),
                         meetings[i].news);
    }
}

/* More kinds than there is room for: the one not met for longest is forgotten, no other. */
static void test_room(void **state)
{
    struct episode episode = {0};
    char words[32];

    (void)state;
    for (int i = 0; i < EPISODE_KINDS; i++) {
        snprintf(words, sizeof words, "kind %d", i);
        assert_true(episode_meet(&episode, words, i));
    }
    assert_false(episode_meet(&episode, "kind 0", 100));
    assert_true(episode_meet(&episode, "one more", 101));
    assert_false(episode_meet(&episode, "kind 0", 102));
    assert_false(episode_meet(&episode, "kind 2", 103));
    assert_true(episode_meet(&episode, "kind 1", 104));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meetings),
        cmocka_unit_test(test_room),
    };

    return cmocka_run_group_tests_name("episode", tests, NULL, NULL);
}
