/*
 * Messages: which question is about a later one than another.
 */
#include "policy/message.h"

#include "tests/unit/world_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct {
    const char *label;
    enum question_asker first_asker;
    const char *first;
    enum question_asker asker;
    const char *instance;
    bool later;
} cases[] = {
    {"the same, of Postfix", QUESTION_POLICY, "1a.2b.3c.0", QUESTION_POLICY, "1a.2b.3c.0", false},
    {"the same, of the milter", QUESTION_MILTER, "1a.2b.3c.0", QUESTION_MILTER, "1a.2b.3c.0",
     false},
    {"the next one of a session", QUESTION_POLICY, "1a.2b.3c.0", QUESTION_POLICY, "1a.2b.3c.1",
     true},
    {"another session's", QUESTION_MILTER, "1a.2b.3c.0", QUESTION_MILTER, "1a.2b.3d.1", true},
    {"both at one MTA, Postfix first", QUESTION_POLICY, "1a.2b.3c.0", QUESTION_MILTER, "7.8.9.1",
     false},
    {"both at one MTA, the milter first", QUESTION_MILTER, "7.8.9.1", QUESTION_POLICY, "1a.2b.3c.0",
     false},
    {"none said now", QUESTION_POLICY, "1a.2b.3c.0", QUESTION_POLICY, "", false},
    {"none said then", QUESTION_POLICY, "", QUESTION_POLICY, "1a.2b.3c.0", false},
    {"none said ever", QUESTION_POLICY, "", QUESTION_POLICY, "", false},
};

static uint64_t message(enum question_asker asker, const char *instance)
{
    struct question question = {.asker = asker};

    strcpy(question.instance, instance);
    return message_of(&question);
}

static void tells_later_ones(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t first = message(cases[i].first_asker, cases[i].first);
        uint64_t now = message(cases[i].asker, cases[i].instance);

        if (message_is_later(now, first) != cases[i].later)
            fail_msg("%s", cases[i].label);
    }
}

/* A refusal that only Redis tells of was another message's; but whoever names none is not believed. */
static void another_is_another(void **state)
{
    const uint64_t one = message(QUESTION_POLICY, "1a.2b.3c.0");

    (void)state;
    assert_true(message_is_later(one, MESSAGE_ANOTHER));
    assert_true(message_is_later(MESSAGE_ANOTHER, one));
    assert_false(message_is_later(MESSAGE_UNKNOWN, MESSAGE_ANOTHER));
    assert_false(message_is_later(MESSAGE_ANOTHER, MESSAGE_UNKNOWN));
}

static void no_instance_has_a_number_of_these(void **state)
{
    char instance[16];

    (void)state;
    for (int i = 0; i < 10000; i++) {
        snprintf(instance, sizeof instance, "%d", i);
        assert_true(message(i % 2 ? QUESTION_MILTER : QUESTION_POLICY, instance) > MESSAGE_ANOTHER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_later_ones),
        cmocka_unit_test(another_is_another),
        cmocka_unit_test(no_instance_has_a_number_of_these),
    };

    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
