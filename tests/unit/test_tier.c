/*
 * Choosing among hosts (SPEC 6.3 to 6.5): a table of small cases, and properties over generated
 * pools. The seed is fixed and printed; a failure names the round that it was found in.
 */
#include "policy/tier.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Which of two hosts each of 64 recipients goes to: no version may change it. */
#define FIXED_CHOICE "1212111212121121112211111121121111112122211121121111121222211121"

enum { SEED = 20260711, ROUNDS = 300, KEYS = 200 };

/* --- the table ---------------------------------------------------------------------------------- */

/* One host a word: name/tier/weight, then letters: f failing, d drained, D down, R ready, m may resolve,
 * a absent, s self, h flapped once, H twice, r slow start has just begun. */
static size_t hosts_of(const char *text, struct tier_host *host, char (*name)[64])
{
    char copy[512], *save, *word;
    size_t count = 0;

    snprintf(copy, sizeof copy, "%s", text);
    for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char flags[16] = "";
        unsigned tier, weight;

        assert_true(sscanf(word, "%63[^/]/%u/%u%15s", name[count], &tier, &weight, flags) >= 3);
        host[count] = (struct tier_host){.name = name[count],
                                         .port = 25,
                                         .tier = tier,
                                         .weight = weight,
                                         .ramp = TIER_FULL_WEIGHT,
                                         .failing = strchr(flags, 'f') != NULL,
                                         .held = strchr(flags, 'H')   ? 2
                                                 : strchr(flags, 'h') ? 1
                                                                      : 0,
                                         .self = strchr(flags, 's') != NULL};
        if (strchr(flags, 'm'))
            host[count].resolve = TIER_MAY_RESOLVE;
        if (strchr(flags, 'a'))
            host[count].resolve = TIER_ABSENT;
        if (strchr(flags, 'd'))
            host[count].override = TIER_DRAINED;
        if (strchr(flags, 'D'))
            host[count].override = TIER_DOWN;
        if (strchr(flags, 'R'))
            host[count].override = TIER_READY;
        if (strchr(flags, 'r'))
            host[count].ramp = TIER_FULL_WEIGHT / 10;
        count++;
    }
    return count;
}

static const struct {
    const char *label, *hosts, *wanted; /* the pick, in order */
} cases[] = {
    {"one host", "a/10/100", "a"},
    {"next tier follows", "b/20/100 a/10/100", "a b"},
    {"failing tier: the next, then the failing ones", "a/10/100f b/20/100", "b a"},
    {"drained host is not named", "a/10/100d b/20/100", "b"},
    {"host overridden down is not named", "a/10/100D b/20/100", "b"},
    {"failing host overridden ready is used", "a/10/100fR b/20/100", "a b"},
    {"absent host is never named", "a/10/100a b/20/100a", ""},
    {"host that may not exist is not named after one that does", "a/10/100m b/20/100", "b"},
    {"nothing else: it is named", "a/10/100m b/20/100a", "a"},
    {"weight 0 only when all else is unusable", "a/10/0 b/20/100", "b"},
    {"weight 0 when all else fails", "a/10/0 b/20/100f", "a b"},
    {"all failing: health is ignored", "a/10/100f b/20/100f", "a b"},
    {"all failing: the drained one stays out", "a/10/100d b/20/100f", "b"},
    {"all overridden: overrides are ignored", "a/10/100d b/20/100D", "a b"},
    {"self and worse are left out", "a/10/100 b/20/100s c/20/100 d/30/100", "a"},
    {"self is best: nothing", "a/10/100s b/20/100", ""},
    {"better hosts unknown for now: their names all the same", "a/10/100m b/20/100s", "a"},
    {"held out: after the others of all tiers, before the failing",
     "a/10/50h b/10/50 c/20/100 d/20/100f", "b c a d"},
    {"no more than half of a tier is held out", "a/10/49 b/10/51h", "b a"},
    {"the only host is not held out", "a/10/100h b/20/100", "a b"},
    {"half of what is usable, not of what was", "a/10/50h b/10/50f c/20/100", "a c b"},
    {"who flapped most is held out first", "a/10/50h b/10/50H", "a b"},
    {"who flapped as often: the first of the names", "a/10/50h b/10/50h", "b a"},
    {"too heavy to be held out: the next one is", "a/10/60H b/10/40h", "a b"},
    {"held out, overridden ready", "a/10/50 b/10/50hR", "b a"},
    {"held out and failing is failing", "a/10/50hf b/20/50 c/30/50f", "b a c"},
    {"held out and drained is drained", "a/10/50hd b/20/50", "b"},
    {"at most four", "a/10/1 b/20/1 c/30/1 d/40/1 e/50/1", "a b c d"},
};

static void picks_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tier_host host[TIER_MAX_HOSTS];
        char name[TIER_MAX_HOSTS][64], got[512] = "";
        struct tier_pick pick;
        size_t count = hosts_of(cases[i].hosts, host, name);

        tier_choose(host, count, "pool u@example.com", TIER_STRICT, &pick);
        for (size_t p = 0; p < pick.count; p++) {
            strcat(got, p ? " " : "");
            strcat(got, host[pick.index[p]].name);
        }
        if (strcmp(got, cases[i].wanted) != 0)
            fail_msg("%s: '%s', wanted '%s'", cases[i].label, got, cases[i].wanted);
    }
}

/* How many of 10,000 keys go to each host under proportional spill, within 2 per cent of all. */
static const struct {
    const char *label, *hosts, *load;
    unsigned wanted[4];
} spills[] = {
    {"all well", "a/10/50 b/10/50 c/20/100", "100 100 0", {5000, 5000, 0}},
    {"71 %", "a/10/71 b/10/29f c/20/100", "99 99 1", {9900, 0, 100}},
    {"half fails", "a/10/50 b/10/50f c/20/100", "70 70 30", {7000, 0, 3000}},
    {"half drained", "a/10/50 b/10/50d c/20/100", "70 70 30", {7000, 0, 3000}},
    {"half held out", "a/10/50h b/10/50 c/20/100", "70 70 30", {0, 7000, 3000}},
    {"half at a tenth of its weight", "a/10/50 b/10/50r c/20/100", "77 77 23", {7000, 700, 2300}},
    {"half does not resolve", "a/10/50 b/10/50a c/20/100", "70 70 30", {7000, 0, 3000}},
    {"weight 0 is no part of it", "a/10/50 b/10/0 c/20/100", "100 100 0", {10000, 0, 0}},
    {"half of each of two tiers: scaled",
     "a/10/20 b/10/80f c/20/20 d/20/80f",
     "50 50 50 50",
     {5000, 0, 5000, 0}},
    {"nothing usable: health is ignored, the first tier takes all",
     "a/10/50f b/10/50f c/20/100f",
     "100 100 0",
     {5000, 5000, 0}},
    {"nothing usable, half drained", "a/10/50f b/10/50d c/20/100f", "70 70 30", {7000, 0, 3000}},
    {"self and worse", "a/10/50 b/10/50f c/20/100s", "100 100 0", {10000, 0, 0}},
};

static void spills_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof spills / sizeof *spills; i++) {
        struct tier_host host[TIER_MAX_HOSTS];
        char name[TIER_MAX_HOSTS][64], key[64], load[64] = "";
        unsigned won[4] = {0};
        struct tier_pick pick;
        size_t count = hosts_of(spills[i].hosts, host, name);

        for (unsigned k = 0; k < 10000; k++) {
            snprintf(key, sizeof key, "pool user%u@example.com", k);
            tier_choose(host, count, key, TIER_PROPORTIONAL, &pick);
            won[pick.index[0]]++;
        }
        for (size_t h = 0; h < count; h++) {
            snprintf(load + strlen(load), sizeof load - strlen(load), "%s%u", h ? " " : "",
                     pick.load[h]);
            if (abs((int)won[h] - (int)spills[i].wanted[h]) > 200)
                fail_msg("%s: %s has %u of 10000", spills[i].label, name[h], won[h]);
            if (!spills[i].wanted[h] && won[h])
                fail_msg("%s: %s was drawn", spills[i].label, name[h]);
        }
        if (strcmp(load, spills[i].load) != 0)
            fail_msg("%s: loads %s, wanted %s", spills[i].label, load, spills[i].load);
    }
}

/* After the winner its tier, then the others in order, whichever tier was drawn. */
static void what_follows_a_spill(void **state)
{
    struct tier_host host[TIER_MAX_HOSTS];
    char name[TIER_MAX_HOSTS][64], key[64];
    size_t count = hosts_of("a/10/50 b/10/50f c/20/50 d/30/50", host, name);
    bool first = false, second = false;

    (void)state;
    for (unsigned k = 0; k < 100; k++) {
        struct tier_pick pick;

        snprintf(key, sizeof key, "pool user%u@example.com", k);
        tier_choose(host, count, key, TIER_PROPORTIONAL, &pick);
        assert_int_equal(pick.count, 4);
        if (pick.index[0] == 0) {
            first = pick.index[1] == 2 && pick.index[2] == 3 && pick.index[3] == 1;
            assert_true(first);
        } else {
            second = pick.index[0] == 2 && pick.index[1] == 0 && pick.index[2] == 3 &&
                     pick.index[3] == 1;
            assert_true(second);
        }
    }
    assert_true(first && second);
}

static void ramps(void **state)
{
    static const struct {
        int64_t age, window;
        uint32_t wanted;
    } ramp[] = {
        {-1, 60000, 1000},   {0, 60000, 100},     {5999, 60000, 100},       {6000, 60000, 100},
        {30000, 60000, 500}, {59999, 60000, 999}, {60000, 60000, 1000},     {0, 0, 1000},
        {0, 1, 100},         {5, 9, 555},         {INT64_MAX, 60000, 1000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof ramp / sizeof *ramp; i++)
        assert_int_equal(tier_ramp(ramp[i].age, ramp[i].window), ramp[i].wanted);
}

/* Every node and version must give the same answer: these values are the contract. */
static void logarithm_is_fixed(void **state)
{
    static const struct {
        uint64_t hash, wanted;
    } fixed[] = {
        {UINT64_MAX, 0},
        {UINT64_MAX >> 1, UINT64_C(1) << 32},
        {UINT64_MAX >> 2, UINT64_C(2) << 32},
        {0, UINT64_C(64) << 32},
    };

    (void)state;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        assert_true(tier_minus_log2(fixed[i].hash) == fixed[i].wanted);
    for (unsigned i = 1; i < 2000; i++) {
        uint64_t hash = UINT64_C(9223372036854775) * i;
        double wanted = 64 - log2((double)hash + 1),
               got = ldexp((double)tier_minus_log2(hash), -32);
        assert_true(fabs(got - wanted) < 1e-8);
    }
}

static void choice_is_fixed(void **state)
{
    struct tier_host host[TIER_MAX_HOSTS];
    char name[TIER_MAX_HOSTS][64], got[65] = "";
    size_t count = hosts_of("gw1.example.net/10/60 gw2.example.net/10/40", host, name);

    (void)state;
    for (unsigned i = 0; i < 64; i++) {
        char key[64];
        struct tier_pick pick;

        snprintf(key, sizeof key, "gateways user%u@example.com", i);
        tier_choose(host, count, key, TIER_STRICT, &pick);
        got[i] = (char)('1' + pick.index[0]);
    }
    assert_string_equal(got, FIXED_CHOICE);
}

/* --- properties --------------------------------------------------------------------------------- */

struct world {
    struct tier_host host[TIER_MAX_HOSTS];
    char name[TIER_MAX_HOSTS][64];
    size_t count;
};

static unsigned pick_from(unsigned n)
{
    return (unsigned)rand() % n;
}

static void generate(struct world *world)
{
    world->count = 1 + pick_from(12);
    for (size_t i = 0; i < world->count; i++) {
        struct tier_host *host = &world->host[i];

        snprintf(world->name[i], sizeof world->name[i], "h%zu-%u.example.net", i, pick_from(1000));
        *host = (struct tier_host){.name = world->name[i],
                                   .port = (uint16_t)(pick_from(4) ? 25 : 2525),
                                   .tier = 10 * (1 + pick_from(3)),
                                   .weight = pick_from(8) ? 1 + pick_from(100) : 0,
                                   .ramp = TIER_FULL_WEIGHT,
                                   .failing = pick_from(4) == 0,
                                   .override = pick_from(6) ? TIER_NORMAL : TIER_DRAINED,
                                   .resolve = pick_from(8) ? TIER_RESOLVES : TIER_ABSENT};
    }
    if (pick_from(5) == 0)
        world->host[pick_from((unsigned)world->count)].self = true;
}

static void choose(const struct world *world, unsigned key, struct tier_pick *pick)
{
    char text[64];

    snprintf(text, sizeof text, "pool user%u@example.com", key);
    tier_choose(world->host, world->count, text, TIER_STRICT, pick);
}

static uint32_t self_tier(const struct world *world)
{
    uint32_t tier = UINT32_MAX;

    for (size_t i = 0; i < world->count; i++)
        if (world->host[i].self && world->host[i].tier < tier)
            tier = world->host[i].tier;
    return tier;
}

/* Properties 2, 6, 7 and 11 of one answer. */
static void check_pick(const struct world *world, const struct tier_pick *pick)
{
    bool usable = false, weighty = false;
    uint32_t self = self_tier(world), best = UINT32_MAX;

    for (size_t i = 0; i < world->count; i++)
        if (world->host[i].tier < self && tier_is_usable(&world->host[i])) {
            usable = true;
            if (world->host[i].weight) {
                weighty = true;
                best = world->host[i].tier < best ? world->host[i].tier : best;
            }
        }
    for (size_t p = 0; p < pick->count; p++) {
        const struct tier_host *host = &world->host[pick->index[p]];

        assert_false(host->self);
        assert_true(host->tier < self);
        assert_true(host->resolve != TIER_ABSENT);
        if (usable)
            assert_int_not_equal(host->override, TIER_DRAINED);
        if (weighty)
            assert_true(host->weight > 0);
    }
    if (usable)
        assert_true(tier_is_usable(&world->host[pick->index[0]]));
    if (weighty)
        assert_int_equal(world->host[pick->index[0]].tier, best);
}

static void answers_hold_the_rules(void **state)
{
    (void)state;
    srand(SEED);
    for (int round = 0; round < ROUNDS; round++) {
        struct world world;
        struct tier_pick pick;

        generate(&world);
        for (unsigned key = 0; key < KEYS; key++) {
            choose(&world, key, &pick);
            check_pick(&world, &pick);
        }
    }
}

/* Property 5: in one state of health, at most as many answers as hosts. */
static void few_distinct_answers(void **state)
{
    (void)state;
    srand(SEED + 1);
    for (int round = 0; round < ROUNDS; round++) {
        struct world world;
        struct tier_pick seen[TIER_MAX_HOSTS], pick;
        size_t distinct = 0;

        generate(&world);
        for (unsigned key = 0; key < KEYS; key++) {
            size_t i;

            choose(&world, key, &pick);
            for (i = 0; i < distinct; i++)
                if (seen[i].count == pick.count &&
                    memcmp(seen[i].index, pick.index, pick.count * sizeof *pick.index) == 0)
                    break;
            if (i < distinct)
                continue;
            assert_true(distinct < world.count || world.count == 0);
            seen[distinct++] = pick;
        }
    }
}

/* Property 3. */
static void removing_moves_only_its_own(void **state)
{
    (void)state;
    srand(SEED + 2);
    for (int round = 0; round < ROUNDS; round++) {
        struct world world, less;
        struct tier_pick before, after;
        size_t gone;

        generate(&world);
        gone = pick_from((unsigned)world.count);
        less = world;
        less.host[gone].override = TIER_DRAINED;
        for (unsigned key = 0; key < KEYS; key++) {
            choose(&world, key, &before);
            choose(&less, key, &after);
            if (before.count && after.count && before.index[0] != gone &&
                !before.override_ignored && tier_is_usable(&world.host[before.index[0]]))
                assert_int_equal(before.index[0], after.index[0]);
        }
    }
}

/* Property 3, its other half. */
static void raising_moves_only_to_it(void **state)
{
    (void)state;
    srand(SEED + 3);
    for (int round = 0; round < ROUNDS; round++) {
        struct world world, more;
        struct tier_pick before, after;
        size_t raised;

        generate(&world);
        raised = pick_from((unsigned)world.count);
        if (world.host[raised].weight == 0)
            continue;
        more = world;
        more.host[raised].weight += 1 + pick_from(100);
        for (unsigned key = 0; key < KEYS; key++) {
            choose(&world, key, &before);
            choose(&more, key, &after);
            if (before.count && after.index[0] != before.index[0])
                assert_int_equal(after.index[0], raised);
        }
    }
}

/* Property 13: the order in which hosts are given. */
static void input_order_does_not_matter(void **state)
{
    (void)state;
    srand(SEED + 4);
    for (int round = 0; round < ROUNDS; round++) {
        struct world world, turned;
        struct tier_pick a, b;

        generate(&world);
        turned = world;
        for (size_t i = 0; i < world.count; i++)
            turned.host[i] = world.host[world.count - 1 - i];
        for (unsigned key = 0; key < KEYS; key++) {
            choose(&world, key, &a);
            choose(&turned, key, &b);
            assert_int_equal(a.count, b.count);
            for (size_t p = 0; p < a.count; p++)
                assert_int_equal(a.index[p], world.count - 1 - b.index[p]);
        }
    }
}

/* Property 1: chi-squared with one degree of freedom a host less one; 23.5 is beyond alpha 10^-4
 * for four. */
static void shares_fit_the_weights(void **state)
{
    struct tier_host host[TIER_MAX_HOSTS];
    char name[TIER_MAX_HOSTS][64];
    size_t count = hosts_of("a/10/50 b/10/30 c/10/15 d/10/4 e/10/1", host, name);
    unsigned won[TIER_MAX_HOSTS] = {0}, draws = 100000;
    double chi = 0;

    (void)state;
    for (unsigned key = 0; key < draws; key++) {
        char text[64];
        struct tier_pick pick;

        snprintf(text, sizeof text, "pool user%u@example.com", key);
        tier_choose(host, count, text, TIER_STRICT, &pick);
        won[pick.index[0]]++;
    }
    for (size_t i = 0; i < count; i++) {
        double wanted = draws * host[i].weight / 100.0;
        chi += (won[i] - wanted) * (won[i] - wanted) / wanted;
    }
    if (chi > 23.5)
        fail_msg("chi-squared %f", chi);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spills_as_the_table_says),
        cmocka_unit_test(what_follows_a_spill),
        cmocka_unit_test(ramps),
        cmocka_unit_test(picks_as_the_table_says),
        cmocka_unit_test(logarithm_is_fixed),
        cmocka_unit_test(choice_is_fixed),
        cmocka_unit_test(answers_hold_the_rules),
        cmocka_unit_test(few_distinct_answers),
        cmocka_unit_test(removing_moves_only_its_own),
        cmocka_unit_test(raising_moves_only_to_it),
        cmocka_unit_test(input_order_does_not_matter),
        cmocka_unit_test(shares_fit_the_weights),
    };

    print_message("# seed %d\n", SEED);
    return cmocka_run_group_tests_name("tier", tests, NULL, NULL);
}
