/*
 * milter/action.c: what the service says, and what the mail server is told.
 */
#include "milter/action.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *label, *input;
    enum action_kind kind;
    const char *code, *status, *name, *text;
} actions[] = {
    {"dunno", "DUNNO", ACTION_ACCEPT, "", "", "", ""},
    {"ok", "OK", ACTION_ACCEPT, "", "", "", ""},
    {"empty", "", ACTION_ACCEPT, "", "", "", ""},
    {"spaces only", "   ", ACTION_ACCEPT, "", "", "", ""},
    {"unknown", "MAYBE later", ACTION_ACCEPT, "", "", "", ""},
    {"whole messages are not ours", "FILTER smtp:[mx1.example.com]:25", ACTION_ACCEPT, "", "", "",
     ""},
    {"accepting by number", "250 2.0.0 Ok", ACTION_ACCEPT, "", "", "", ""},
    {"would-be refusal", "DEFER_IF_REJECT 4.7.1 later", ACTION_ACCEPT, "", "", "", ""},
    {"a word that begins alike", "REJECTED", ACTION_ACCEPT, "", "", "", ""},
    {"451", "451 4.7.1 Go to mx1 (mx1.example.com)", ACTION_DEFER, "451", "4.7.1", "",
     "Go to mx1 (mx1.example.com)"},
    {"450 with another status", "450 4.2.0 Greylisted", ACTION_DEFER, "450", "4.2.0", "",
     "Greylisted"},
    {"no status", "451 Later", ACTION_DEFER, "451", "4.7.1", "", "Later"},
    {"status of the wrong class", "451 5.7.1 Later", ACTION_DEFER, "451", "4.7.1", "",
     "5.7.1 Later"},
    {"half a status", "451 4.7 Later", ACTION_DEFER, "451", "4.7.1", "", "4.7 Later"},
    {"a long status", "451 4.7.1000 x", ACTION_DEFER, "451", "4.7.1", "", "4.7.1000 x"},
    {"a status of three digits", "451 4.123.456 x", ACTION_DEFER, "451", "4.123.456", "", "x"},
    {"no text", "451", ACTION_DEFER, "451", "4.7.1", "", "Please try again"},
    {"status, no text", "550 5.7.1", ACTION_REJECT, "550", "5.7.1", "", "Please try again"},
    {"550", "550 5.7.1 No", ACTION_REJECT, "550", "5.7.1", "", "No"},
    {"defer_if_permit", "DEFER_IF_PERMIT Go to mx1", ACTION_DEFER, "451", "4.7.1", "", "Go to mx1"},
    {"defer_if_permit with status", "DEFER_IF_PERMIT 4.7.5 Go", ACTION_DEFER, "451", "4.7.5", "",
     "Go"},
    {"defer, any case", "defer later", ACTION_DEFER, "451", "4.7.1", "", "later"},
    {"reject", "REJECT no", ACTION_REJECT, "550", "5.7.1", "", "no"},
    {"four digits", "4510 x", ACTION_ACCEPT, "", "", "", ""},
    {"a letter in the code", "45x x", ACTION_ACCEPT, "", "", "", ""},
    {"format characters", "451 4.7.1 100%n%s", ACTION_DEFER, "451", "4.7.1", "", "100%n%s"},
    {"line ends and bytes", "451 4.7.1 a\r\nb\tc\x80", ACTION_DEFER, "451", "4.7.1", "", "a??b?c?"},
    {"a header", "PREPEND X-MX-Warden: bypass; domain=example.com", ACTION_TAG, "", "",
     "X-MX-Warden", "bypass; domain=example.com"},
    {"a header without a space", "prepend X-A:b", ACTION_TAG, "", "", "X-A", "b"},
    {"a header without a value", "PREPEND X-A:", ACTION_ACCEPT, "", "", "", ""},
    {"a header without a name", "PREPEND : b", ACTION_ACCEPT, "", "", "", ""},
    {"a space in the name", "PREPEND X A: b", ACTION_ACCEPT, "", "", "", ""},
    {"no header", "PREPEND", ACTION_ACCEPT, "", "", "", ""},
    {"hold", "HOLD bypassed mx1", ACTION_HOLD, "", "", "", "bypassed mx1"},
    {"hold without a reason", "HOLD", ACTION_HOLD, "", "", "", ""},
};

static void parse_table(void **state)
{
    (void)state;
    struct action got;
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        memset(&got, 0xff, sizeof got);
        action_parse(actions[i].input, &got);
        if (got.kind != actions[i].kind || strcmp(got.code, actions[i].code) ||
            strcmp(got.status, actions[i].status) || strcmp(got.name, actions[i].name) ||
            strcmp(got.text, actions[i].text))
            fail_msg("%s: %s '%s' '%s' '%s' '%s'", actions[i].label, action_name(got.kind),
                     got.code, got.status, got.name, got.text);
    }
}

/* Of 2000 bytes of either kind as many are kept as make a line of 980 once escaped. */
static void long_texts(void **state)
{
    (void)state;
    static const struct {
        char fill;
        size_t kept, escaped;
    } rows[] = {{'x', 970, 970}, {'%', 485, 970}};
    char input[2048] = "451 4.7.1 ", escaped[ACTION_LINE + 1];
    struct action got;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        memset(input + 10, rows[i].fill, 2000);
        input[2010] = '\0';
        action_parse(input, &got);
        assert_int_equal(strlen(got.text), rows[i].kept);
        action_escape(got.text, escaped);
        assert_int_equal(strlen(escaped), rows[i].escaped);
    }
}

static void long_header_names(void **state)
{
    (void)state;
    char input[256] = "PREPEND ";
    struct action got;
    memset(input + 8, 'X', ACTION_NAME_SIZE - 1);
    strcpy(input + 8 + ACTION_NAME_SIZE - 1, ": v");
    action_parse(input, &got);
    assert_int_equal(got.kind, ACTION_TAG);
    strcpy(input + 8 + ACTION_NAME_SIZE - 1, "X: v");
    action_parse(input, &got);
    assert_int_equal(got.kind, ACTION_ACCEPT);
}

static void escape_doubles(void **state)
{
    (void)state;
    char out[ACTION_LINE + 1];
    action_escape("", out);
    assert_string_equal(out, "");
    action_escape("50% off %n", out);
    assert_string_equal(out, "50%% off %%n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_table),
        cmocka_unit_test(long_texts),
        cmocka_unit_test(long_header_names),
        cmocka_unit_test(escape_doubles),
    };
    return cmocka_run_group_tests_name("action", tests, NULL, NULL);
}
