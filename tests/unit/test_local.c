/*
 * The in-process table: bounded, expiring, least recently used out first, values released once.
 */
#include "cache/local.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int released;
static int evictions;

static void release(void *value)
{
    released++;
    free(value);
}

static void count_eviction(void *arg, const void *value)
{
    (void)arg;
    (void)value;
    evictions++;
}

static struct local *open_table(size_t limit)
{
    struct local *local = local_new(limit, release);

    assert_non_null(local);
    released = evictions = 0;
    local_set_evicted(local, count_eviction, NULL);
    return local;
}

/* A script of steps, one a word: "+k" put until 100, "+k@9" put until 9, "?k" must be there, "!k"
 * must not, "-k" remove, "t9" the time becomes 9, "=2" two entries, "L2" the limit becomes 2. */
struct script {
    const char *label, *steps;
    size_t limit;
    int evictions;
};

static const struct script scripts[] = {
    {"empty", "!a =0", 2, 0},
    {"put, get", "+a ?a !b =1", 2, 0},
    {"replace", "+a +a ?a =1", 2, 0},
    {"remove", "+a -a !a =0 -a", 2, 0},
    {"full: oldest out", "+a +b +c !a ?b ?c =2", 2, 1},
    {"a get makes it young", "+a +b ?a +c ?a !b ?c", 2, 1},
    {"a replacement makes it young", "+a +b +a +c ?a !b", 2, 1},
    {"a replacement in a full table evicts none", "+a +b +b ?a ?b", 2, 0},
    {"expired at its time", "+a@9 t8 ?a t9 !a =0", 2, 0},
    {"expired, put anew", "+a@9 t9 +a@20 ?a t20 !a", 2, 0},
    {"limit one", "+a +b !a ?b +c !b ?c", 1, 2},
    {"limit zero is one", "+a ?a +b !a ?b", 0, 1},
    {"limit lowered", "+a +b +c ?a L1 ?a !b !c", 3, 2},
    {"limit raised", "+a L3 +b +c ?a ?b ?c", 1, 0},
    {"expiry moved", "+a@9 xa t9 ?a t50 !a", 2, 0},
    {"expiry of nothing", "xa !a", 2, 0},
};

static void step(struct local *local, const char *word, int64_t *now)
{
    char key[8];
    long expires = 100;

    snprintf(key, sizeof(key), "%.1s", word + 1);
    if (strchr(word, '@'))
        expires = atol(strchr(word, '@') + 1);
    switch (word[0]) {
    case '+': assert_true(local_put(local, key, strdup(key), *now, expires)); break;
    case '?': assert_string_equal(local_get(local, key, *now), key); break;
    case '!': assert_null(local_get(local, key, *now)); break;
    case '-': local_remove(local, key); break;
    case 'x': local_set_expiry(local, key, 50); break;
    case 't': *now = atol(word + 1); break;
    case '=': assert_int_equal(local_count(local), atol(word + 1)); break;
    case 'L': local_set_limit(local, (size_t)atol(word + 1)); break;
    default: fail();
    }
}

static void test_scripts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        struct local *local = open_table(scripts[i].limit);
        char steps[128], *rest = steps, *word;
        int64_t now = 0;

        print_message("  %s\n", scripts[i].label);
        snprintf(steps, sizeof(steps), "%s", scripts[i].steps);
        while ((word = strsep(&rest, " ")))
            step(local, word, &now);
        assert_int_equal(evictions, scripts[i].evictions);
        local_free(local);
    }
}

static void test_each_value_released_once(void **state)
{
    struct local *local = open_table(10);
    char key[16];

    (void)state;
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "k%d", i % 25);
        assert_true(local_put(local, key, strdup(key), 0, 5));
    }
    local_clear_all(local);
    assert_int_equal(released, 100);
    assert_int_equal(local_count(local), 0);
    local_free(local);
    assert_int_equal(released, 100);
}

static void collect(void *arg, const char *key, void *value, int64_t expires)
{
    char *text = arg;

    assert_string_equal(key, value);
    assert_true(expires > 10);
    strcat(text, key);
}

static void test_each_visits_live_ones_in_order_of_use(void **state)
{
    struct local *local = open_table(10);
    char seen[16] = "";

    (void)state;
    local_put(local, "a", strdup("a"), 0, 100);
    local_put(local, "b", strdup("b"), 0, 10);
    local_put(local, "c", strdup("c"), 0, 100);
    local_get(local, "a", 0);
    local_each(local, 10, collect, seen);
    assert_string_equal(seen, "ca");
    local_free(local);
}

static void test_many(void **state)
{
    struct local *local = open_table(50000);
    char key[32];

    (void)state;
    for (int i = 0; i < 200000; i++) {
        snprintf(key, sizeof(key), "m:%d.example.com", i);
        local_put(local, key, NULL, 0, 1);
    }
    assert_int_equal(local_count(local), 50000);
    assert_int_equal(evictions, 150000);
    local_free(local);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scripts),
        cmocka_unit_test(test_each_value_released_once),
        cmocka_unit_test(test_each_visits_live_ones_in_order_of_use),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests_name("local", tests, NULL, NULL);
}
