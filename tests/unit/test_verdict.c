/*
 * Verdicts in words: the action of each mode on each attachment, and the log line.
 */
#include "policy/verdict.h"

#include "tests/unit/world_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static char better_name[] = "mx1.example.com", own_name[] = "mx2.example.com";
static char text[] = "100 % sure: try the preferred MX";
static const struct facts_host better = {.preference = 10, .name = better_name};
static const struct facts_host own = {.preference = 20, .name = own_name};

#define TEXT "4.7.1 100 % sure: try the preferred MX (mx1.example.com)"

static const struct {
    const char *label;
    enum conf_mode mode;
    enum conf_off_mx off_mx;
    enum guard_reason reason;
    enum question_asker asker;
    enum question_stage stage;
    unsigned earlier;
    const char *action, *name;
} cases[] = {
    {"defer, milter", CONF_MODE_DEFER, 0, GUARD_BYPASS, QUESTION_MILTER, QUESTION_RCPT, 0,
     "451 " TEXT, "defer"},
    {"defer, policy client", CONF_MODE_DEFER, 0, GUARD_BYPASS, QUESTION_POLICY, QUESTION_RCPT, 0,
     "DEFER_IF_PERMIT " TEXT, "defer"},
    {"defer, other reason", CONF_MODE_DEFER, 0, GUARD_SEEN, QUESTION_MILTER, QUESTION_RCPT, 0,
     "DUNNO", "accept"},
    {"detect", CONF_MODE_DETECT, 0, GUARD_BYPASS, QUESTION_MILTER, QUESTION_RCPT, 0, "DUNNO",
     "accept"},
    {"tag", CONF_MODE_TAG, 0, GUARD_BYPASS, QUESTION_MILTER, QUESTION_RCPT, 0,
     "PREPEND X-MX-Warden: bypass; domain=example.com; mx=mx2.example.com", "tag"},
    {"tag, other reason", CONF_MODE_TAG, 0, GUARD_YIELDED, QUESTION_POLICY, QUESTION_RCPT, 0,
     "DUNNO", "accept"},
    {"hold", CONF_MODE_HOLD, 0, GUARD_BYPASS, QUESTION_MILTER, QUESTION_RCPT, 0,
     "HOLD mxwarden: bypass; domain=example.com; mx=mx2.example.com", "hold"},
    {"reject", CONF_MODE_REJECT, 0, GUARD_BYPASS, QUESTION_POLICY, QUESTION_RCPT, 0,
     "550 5.7.1 100 % sure: try the preferred MX (mx1.example.com)", "reject"},
    {"filter, milter: as defer", CONF_MODE_FILTER, 0, GUARD_BYPASS, QUESTION_MILTER, QUESTION_RCPT,
     0, "451 " TEXT, "defer"},
    {"filter, first recipient", CONF_MODE_FILTER, 0, GUARD_BYPASS, QUESTION_POLICY, QUESTION_RCPT,
     0, "DUNNO", "accept"},
    {"filter, a later recipient", CONF_MODE_FILTER, 0, GUARD_BYPASS, QUESTION_POLICY, QUESTION_RCPT,
     1, "DEFER_IF_PERMIT " TEXT, "defer"},
    {"filter, at DATA", CONF_MODE_FILTER, 0, GUARD_BYPASS, QUESTION_POLICY, QUESTION_DATA, 1,
     "FILTER smtp:[mx1.example.com]:25", "filter"},
    {"filter, at DATA, other reason", CONF_MODE_FILTER, 0, GUARD_SEEN, QUESTION_POLICY,
     QUESTION_DATA, 1, "DUNNO", "accept"},
    {"trap, detect", CONF_MODE_DETECT, 0, GUARD_TRAP, QUESTION_MILTER, QUESTION_RCPT, 0, "DUNNO",
     "accept"},
    {"trap, tag", CONF_MODE_TAG, 0, GUARD_TRAP, QUESTION_MILTER, QUESTION_RCPT, 0, "DUNNO",
     "accept"},
    {"trap, hold", CONF_MODE_HOLD, 0, GUARD_TRAP, QUESTION_POLICY, QUESTION_RCPT, 0, "DUNNO",
     "accept"},
    {"trap, defer", CONF_MODE_DEFER, 0, GUARD_TRAP, QUESTION_MILTER, QUESTION_RCPT, 0, "451 " TEXT,
     "defer"},
    {"trap, reject: no more than a delay", CONF_MODE_REJECT, 0, GUARD_TRAP, QUESTION_POLICY,
     QUESTION_RCPT, 0, "DEFER_IF_PERMIT " TEXT, "defer"},
    {"trap, filter: not at all", CONF_MODE_FILTER, 0, GUARD_TRAP, QUESTION_POLICY, QUESTION_RCPT, 0,
     "DEFER_IF_PERMIT " TEXT, "defer"},
    {"off-mx, log", CONF_MODE_DEFER, CONF_OFF_MX_LOG, GUARD_OFF_MX, QUESTION_MILTER, QUESTION_RCPT,
     0, "DUNNO", "accept"},
    {"off-mx, defer", CONF_MODE_TAG, CONF_OFF_MX_DEFER, GUARD_OFF_MX, QUESTION_MILTER,
     QUESTION_RCPT, 0, "451 " TEXT, "defer"},
    {"off-mx, reject", CONF_MODE_DEFER, CONF_OFF_MX_REJECT, GUARD_OFF_MX, QUESTION_POLICY,
     QUESTION_RCPT, 0, "550 5.7.1 100 % sure: try the preferred MX (mx1.example.com)", "reject"},
    {"off-mx, defer, but detect", CONF_MODE_DETECT, CONF_OFF_MX_DEFER, GUARD_OFF_MX,
     QUESTION_MILTER, QUESTION_RCPT, 0, "DUNNO", "accept"},
};

static struct question question_of(enum question_asker asker)
{
    struct question question = {.asker = asker, .has_sender = true, .has_recipient = true};

    question.client = addr_of("198.51.100.7");
    assert_true(address_parse("a@example.net", &question.sender));
    assert_true(address_parse("u@example.com", &question.recipient));
    return question;
}

static void acts_by_mode_and_asker(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct conf_guard guard = {
            .mode = cases[i].mode, .off_mx = cases[i].off_mx, .text = text};
        const struct guard_verdict verdict = {
            .reason = cases[i].reason, .row = 13, .mx = &own, .better = &better};
        struct question question = question_of(cases[i].asker);
        char action[VERDICT_ACTION_SIZE];

        question.stage = cases[i].stage;
        question.earlier = cases[i].earlier;
        verdict_action(&guard, &verdict, &question, action);
        if (strcmp(action, cases[i].action) != 0 ||
            strcmp(verdict_name(&guard, &verdict, &question), cases[i].name) != 0)
            fail_msg("%s: '%s', %s", cases[i].label, action,
                     verdict_name(&guard, &verdict, &question));
        if ((action[0] == '5' || strncmp(action, "FILTER", 6) == 0) &&
            !verdict_may_be_final(&guard))
            fail_msg("%s: '%s' by an ordering that nobody proves", cases[i].label, action);
    }
}

/* Refused for now, or let in; the delays are the same, the rest is none. */
static void nothing_final_by_half_an_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct conf_guard guard = {
            .mode = cases[i].mode, .off_mx = cases[i].off_mx, .text = text};
        const struct guard_verdict verdict = {
            .reason = cases[i].reason, .mx = &own, .better = &better, .better_unknown = true};
        struct question question = question_of(cases[i].asker);
        bool is_final =
            strcmp(cases[i].name, "reject") == 0 || strcmp(cases[i].name, "filter") == 0;
        char action[VERDICT_ACTION_SIZE];

        question.stage = cases[i].stage;
        question.earlier = cases[i].earlier;
        verdict_action(&guard, &verdict, &question, action);
        if (strcmp(action, is_final ? "DUNNO" : cases[i].action) != 0 ||
            strcmp(verdict_name(&guard, &verdict, &question),
                   is_final ? "accept" : cases[i].name) != 0)
            fail_msg("%s: '%s'", cases[i].label, action);
    }
}

static void unguarded_is_accepted(void **state)
{
    const struct guard_verdict verdict = {.reason = GUARD_UNGUARDED};
    struct question question = question_of(QUESTION_MILTER);
    char action[VERDICT_ACTION_SIZE];

    (void)state;
    assert_string_equal(verdict_action(NULL, &verdict, &question, action), "DUNNO");
    assert_string_equal(verdict_name(NULL, &verdict, &question), "accept");
}

static void line_is_as_documented(void **state)
{
    const struct conf_guard guard = {.mode = CONF_MODE_DEFER, .text = text};
    const struct guard_verdict verdict = {
        .reason = GUARD_BYPASS, .row = 13, .mx = &own, .better = &better};
    struct question question = question_of(QUESTION_MILTER);
    const struct guard_facts facts = {
        .question = &question, .guard = &guard, .listener = addr_of("192.0.2.20")};
    char line[VERDICT_LINE_SIZE];

    (void)state;
    strcpy(question.queue_id, "4bX1234");
    assert_string_equal(verdict_line(&facts, &verdict, 437, line),
                        "guard verdict=defer reason=bypass domain=example.com "
                        "client=[198.51.100.7] listener=[192.0.2.20] mx=mx2.example.com tier=20 "
                        "better=mx1.example.com sender=<a@example.net> rcpt=<u@example.com> "
                        "qid=4bX1234 ms=0.4");
}

/* What came from outside cannot make a second field, or a second line. */
static void line_cannot_be_forged(void **state)
{
    const struct guard_verdict verdict = {.reason = GUARD_BEST, .row = 5};
    struct question question = question_of(QUESTION_MILTER);
    const struct guard_facts facts = {.question = &question, .listener = addr_of("192.0.2.20")};
    char line[VERDICT_LINE_SIZE];

    (void)state;
    assert_true(address_parse("\"x> verdict=accept reason=%n%s\"@example.net", &question.sender));
    verdict_line(&facts, &verdict, 0, line);
    assert_null(strstr(line, "> verdict=accept"));
    assert_non_null(strstr(line, "sender=<\\x22x>\\x20verdict"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acts_by_mode_and_asker), cmocka_unit_test(nothing_final_by_half_an_answer),
        cmocka_unit_test(unguarded_is_accepted),  cmocka_unit_test(line_is_as_documented),
        cmocka_unit_test(line_cannot_be_forged),
    };

    return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
