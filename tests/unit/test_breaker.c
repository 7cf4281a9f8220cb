/*
 * The breaker, by scripts with times of their own.
 */
#include "cache/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A script of steps, one a word: "9" the time becomes 9 ms, "f" fail, "s" succeed, "y" allowed,
 * "n" not allowed, "w9" 9 ms to wait. */
static const struct {
    const char *label, *steps;
    uint8_t random;
} scripts[] = {
    {"new", "0 y y w0", 0},
    {"four failures", "0 f f f f y w0", 0},
    {"five failures", "0 f f f f f n w1000", 0},
    {"five in ten seconds", "0 f f f f 10000 f n", 0},
    {"five in more", "0 f f f f 10001 f y", 0},
    {"the first has aged, the rest with a sixth", "0 f 5000 f f f 10001 f y 10002 f n", 0},
    {"successes between do not excuse", "0 f s f s f s f s f n", 0},
    {"pause over: one trial", "0 f f f f f 999 n w1 1000 w0 y n n", 0},
    {"trial succeeds", "0 f f f f f 1000 y s y y f f f f y f n", 0},
    {"trial fails: longer pause", "0 f f f f f 1000 y f n w1500 2499 n 2500 y", 0},
    {"pause capped", "0 f f f f f 1000 y f 2500 y f w1500", 0},
    {"late failures of what went before", "0 f f f f f f f w1000", 0},
    {"late success of what went before", "0 f f f f f s n w1000", 0},
    {"pause after a cure is short again", "0 f f f f f 1000 y f 2500 y s f f f f f w1000", 0},
    {"jitter shortens by a fifth", "0 f f f f f w800 799 n 800 y f w1200", 255},
};

static void test_scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        struct breaker breaker;
        char steps[128], *rest = steps, *word;
        int64_t now = 0;

        print_message("  %s\n", scripts[i].label);
        breaker_init(&breaker);
        snprintf(steps, sizeof(steps), "%s", scripts[i].steps);
        while ((word = strsep(&rest, " "))) {
            switch (word[0]) {
            case 'f': breaker_fail(&breaker, now, scripts[i].random); break;
            case 's': breaker_succeed(&breaker); break;
            case 'y': assert_true(breaker_allows(&breaker, now)); break;
            case 'n': assert_false(breaker_allows(&breaker, now)); break;
            case 'w': assert_int_equal(breaker_wait(&breaker, now), atol(word + 1)); break;
            default: now = atol(word);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scripts)};

    return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
