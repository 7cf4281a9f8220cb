/*
 * What is known about a name, aged by scripts.
 */
#include "cache/known.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A script of steps, one a word. "9" the time becomes 9 s. "o9" own facts that live 9 s, "s9"
 * shared ones, "p9" proven ones, "z9" own ones of a Null MX, "y9" proven ones, "x9" own ones of no such
 * domain; they serve 100 s more. "f" a failure, "a" age all, "b" age own. Then what is had:
 * "O" own is fresh, "S" shared is, "P" proven is, "k" own is kept only, "K" shared is kept only, "-" nothing; for
 * those who route by them "=O", "=k", "=-", "=P", "=q". "l" in its last part, "n" not; "=l", "=n" for
 * routes. "r" resting, "w" not; "e9" ends at 9 s. */
static const struct {
    const char *label, *steps;
} scripts[] = {
    {"nothing", "0 - =- w e0"},
    {"own", "0 o10 O =O 9 O 10 k =k 109 k 110 - =- e110"},
    {"shared", "0 s10 S =- 10 K =- 110 - e110"},
    {"own before shared", "0 s50 o10 O =O e150"},
    {"own expired, shared fresh", "0 s50 o10 10 S =k"},
    {"both expired: the later one", "0 s50 o10 60 K =k"},
    {"both expired: own where it is the later", "0 s10 o50 60 k =k"},
    {"shared does not displace own", "0 o10 s90 O 5 s90 O =O"},
    {"proven is for routes too", "0 p10 P =P 9 =P 10 q =q 109 =q 110 - =-"},
    {"own before proven", "0 p50 o10 O =O 10 P =P 50 q =q"},
    {"what has no proof does not displace it", "0 p10 s50 P =P 10 q =q 20 s10 q =q"},
    {"but once that is gone", "0 p10 110 s10 S =-"},
    {"proven displaces what has no proof", "0 s50 p10 P =P 10 q =q"},
    {"proven displaces proven", "0 p50 p10 P 10 q"},
    {"age: proven gone", "0 p50 a - =-"},
    {"the last part is a tenth", "0 n o100 n 89 n 90 l =l 99 l 100 n"},
    {"of what is shared", "0 s100 90 l =n 100 n"},
    {"not where the other lasts", "0 o100 50 s100 90 n =l 99 n =l 100 n 139 n 140 l"},
    {"own lasts for both", "0 s100 50 o100 90 n =n 140 l =l"},
    {"proven lasts for both", "0 o100 50 p100 90 n =n 140 l =l"},
    {"age: own stale, shared gone", "0 o10 s50 1 a k =k"},
    {"age own only", "0 o10 s50 1 b S =k"},
    {"age what is expired", "0 o10 20 a k e110"},
    {"failures rest longer and longer",
     "0 f r 1 w f r 2 r 3 w f 6 r 7 w f 14 r 15 w f 30 r 31 w f 60 r 61 w f 90 r 91 w"},
    {"a failure is remembered beyond its rest", "0 f e31"},
    {"a success ends them", "0 f f f o10 w f r 1 w"},
    {"shared facts do not", "0 f f s10 r"},
    {"age ends them", "0 f f a w f 1 w"},
    {"failure beside kept facts", "0 o10 20 f r k =k e110"},
    {"a Null MX is never stale", "0 z10 9 O =O 10 - =- e110"},
    {"nor one proven", "0 y10 9 P =P 10 - =-"},
    {"that there is no domain may be", "0 x10 9 O =O 10 k =k 110 -"},
    {"what is shared serves beside it", "0 s10 z50 O 50 K =- 110 -"},
    {"nor in the way of own", "0 o10 y50 O 10 P =P 50 k =k 110 -"},
};

static void put(struct known *known, char kind, long life, int64_t now)
{
    enum facts_state state = strchr("zy", kind) ? FACTS_NULL
                             : kind == 'x'      ? FACTS_NXDOMAIN
                                                : FACTS_OK;
    struct facts *facts = facts_new(FACTS_MX, state);

    facts->own = strchr("ozx", kind) != NULL;
    facts->proven = strchr("py", kind) != NULL;
    facts->expires = 5000 + now / 1000 + life;
    known_put(known, facts, (struct known_span){.stale = 100000}, now, 5000 + now / 1000);
    facts_unref(facts);
}

static char had(const struct known *known, bool for_route, int64_t now)
{
    const struct facts *fresh = known_fresh(known, for_route, now);
    const struct facts *kept = known_kept(known, for_route, now);

    if (fresh) {
        assert_ptr_equal(fresh, kept);
        return fresh->own ? 'O' : fresh->proven ? 'P' : 'S';
    }
    return !kept ? '-' : kept->own ? 'k' : kept->proven ? 'q' : 'K';
}

static void step(struct known *known, const char *word, int64_t *now)
{
    switch (word[0]) {
    case 'o':
    case 'p':
    case 's':
    case 'x':
    case 'y':
    case 'z': put(known, word[0], atol(word + 1), *now); break;
    case 'f': known_fail(known, FACTS_MX, *now); break;
    case 'a': known_age(known, *now); break;
    case 'b': known_age_own(known, *now); break;
    case 'r': assert_true(known_is_resting(known, *now)); break;
    case 'w': assert_false(known_is_resting(known, *now)); break;
    case 'e': assert_int_equal(known_end(known), atol(word + 1) * 1000); break;
    case 'l':
    case 'n': assert_int_equal(known_is_ending(known, false, *now), word[0] == 'l'); break;
    case '=':
        if (word[1] == 'l' || word[1] == 'n')
            assert_int_equal(known_is_ending(known, true, *now), word[1] == 'l');
        else
            assert_int_equal(had(known, true, *now), word[1]);
        break;
    case 'O':
    case 'S':
    case 'k':
    case 'K':
    case 'P':
    case 'q':
    case '-': assert_int_equal(had(known, false, *now), word[0]); break;
    default: *now = atol(word) * 1000;
    }
}

static void test_scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        struct known *known = known_new();
        char steps[256], *rest = steps, *word;
        int64_t now = 0;

        print_message("  %s\n", scripts[i].label);
        snprintf(steps, sizeof(steps), "%s", scripts[i].steps);
        while ((word = strsep(&rest, " ")))
            step(known, word, &now);
        known_free(known);
    }
}

static void test_jitter(void **state)
{
    static const struct {
        int jitter;
        int64_t end; /* ms, of a life of 100 s */
    } rows[] = {{0, 100000}, {100, 110000}, {-100, 90000}, {1, 100100}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct known_span span = {.stale = 0, .jitter = rows[i].jitter};
        struct facts *facts = facts_new(FACTS_MX, FACTS_OK);
        struct known *known = known_new();
        facts->own = true;
        facts->expires = 5100;
        known_put(known, facts, span, 0, 5000);
        facts_unref(facts);
        assert_non_null(known_fresh(known, true, rows[i].end - 1));
        assert_null(known_fresh(known, true, rows[i].end));
        known_free(known);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scripts),
                                       cmocka_unit_test(test_jitter)};

    return cmocka_run_group_tests_name("known", tests, NULL, NULL);
}
