/*
 * What must hold of a host that comes back, or comes and goes: properties 12 and 16 of the list in
 * test_properties.c.
 */
#include "policy/flap.h"
#include "policy/tier.h"

#include "tests/unit/generate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

/* Two hosts of equal weight; the first is the one that things happen to. */
struct pair {
    struct tier_host host[2];
    char key[64];
};

static struct pair make_pair(struct generate *g)
{
    struct pair pair = {0};

    for (size_t i = 0; i < 2; i++)
        pair.host[i] = (struct tier_host){.name = i ? "other.example.net" : "host.example.net",
                                          .port = 25,
                                          .tier = 10,
                                          .weight = 100,
                                          .ramp = TIER_FULL_WEIGHT};
    snprintf(pair.key, sizeof pair.key, "pool u%llx@example.com",
             (unsigned long long)generate_next(g));
    return pair;
}

/* Whether the first host is the winner. */
static bool is_used(const struct pair *pair)
{
    struct tier_pick pick;

    tier_choose(pair->host, 2, pair->key, TIER_STRICT, &pick);
    return pick.index[0] == 0;
}

/* --- 12 ----------------------------------------------------------------------------------------- */

/* From a tenth, never back, to the whole; a recipient moves to the host once and stays. */
static void slow_start(void **state)
{
    (void)state;
    for (unsigned long i = 0; i < generate_cases(); i++) {
        struct generate g = generate_case("12", i);
        struct pair pair = make_pair(&g);
        bool in_the_end = is_used(&pair), used = false;
        int64_t window = 1 + generate_below(&g, 3600000), age = 0;
        uint32_t ramp = tier_ramp(0, window);

        generate_assert(&g, ramp == TIER_FULL_WEIGHT / 10);
        while (age < window) {
            uint32_t before = ramp;
            age += 1 + generate_below(&g, (unsigned)window / 4 + 1);
            ramp = tier_ramp(age, window);
            generate_assert(&g, ramp >= before && ramp <= TIER_FULL_WEIGHT);
            generate_assert(&g, age >= window || ramp <= age * TIER_FULL_WEIGHT / window ||
                                    ramp == TIER_FULL_WEIGHT / 10);
            pair.host[0].ramp = ramp;
            generate_assert(&g, !used || is_used(&pair));
            used = is_used(&pair);
        }
        generate_assert(&g, ramp == TIER_FULL_WEIGHT && used == in_the_end);
    }
}

/* A tenth of the weight is a tenth of it in recipients, too. */
static void slow_start_share(void **state)
{
    unsigned long won = 0;
    double share = 0.1 / 1.1, chi;

    (void)state;
    for (unsigned long i = 0; i < generate_cases(); i++) {
        struct generate g = generate_case("12, share", i);
        struct pair pair = make_pair(&g);
        pair.host[0].ramp = tier_ramp(0, 60000);
        won += is_used(&pair);
    }
    chi = generate_chi(won, generate_cases(), share) +
          generate_chi(generate_cases() - won, generate_cases(), 1 - share);
    if (chi > generate_chi_limit(1))
        fail_msg("12, PROPERTY_SEED=%llu: chi-squared %.1f", (unsigned long long)generate_seed(),
                 chi);
}

/* --- 16 ----------------------------------------------------------------------------------------- */

/* The host as routes see it at a moment. */
static bool is_used_at(struct pair *pair, const struct flap *flap, int64_t now)
{
    pair->host[0].failing = !flap->up;
    pair->host[0].held = flap_left(flap, now) > 0 ? flap_count(flap, now) : 0;
    return is_used(pair);
}

/* A recipient of the host's: the others see nothing of all this. */
static struct pair make_own(struct generate *g)
{
    struct pair pair = make_pair(g);

    while (!is_used(&pair))
        pair = make_pair(g);
    return pair;
}

/* It never lasts as long as it is held out for: after its first flap no answer changes. */
static void faster_than_the_hold(void **state)
{
    (void)state;
    for (unsigned long i = 0; i < generate_cases(); i++) {
        struct generate g = generate_case("16, faster", i);
        struct pair pair = make_own(&g);
        struct flap flap = {.up = true};
        int64_t now = 1 + generate_below(&g, 1000000);

        for (unsigned round = 0; round < 12; round++) {
            int64_t left;
            flap_note(&flap, false, now);
            generate_assert(&g, !is_used_at(&pair, &flap, now));
            now += 1 + generate_below(&g, 200000);
            generate_assert(&g, !is_used_at(&pair, &flap, now));
            flap_note(&flap, true, now);
            left = flap_left(&flap, now);
            generate_assert(&g, round == 0 || left >= FLAP_FIRST_MS);
            generate_assert(&g, is_used_at(&pair, &flap, now) == (round == 0));
            now += round == 0 ? (int64_t)generate_below(&g, 200000)
                              : (int64_t)generate_below(&g, (unsigned)left);
            generate_assert(&g, is_used_at(&pair, &flap, now) == (round == 0));
        }
        generate_assert(&g, flap_count(&flap, now) == FLAP_MOST);
    }
}

/* Whatever it does: it is used again when its hold is over and not a moment before, so that in any
 * time as long as that hold it is taken into use at most once; a hold has its bounds; and it is
 * forgotten. */
static void whatever_it_does(void **state)
{
    (void)state;
    for (unsigned long i = 0; i < generate_cases(); i++) {
        struct generate g = generate_case("16, whatever", i);
        struct pair pair = make_own(&g);
        struct flap flap = {.up = true};
        int64_t now = 1 + generate_below(&g, 1000000);

        for (unsigned round = 0; round < 12; round++) {
            int64_t hold;
            flap_note(&flap, false, now);
            now += 1 + generate_below(&g, generate_one_in(&g, 4) ? 2000000 : 100000);
            generate_assert(&g, !is_used_at(&pair, &flap, now));
            flap_note(&flap, true, now);
            hold = flap_left(&flap, now);
            generate_assert(&g, hold == 0 || (hold >= FLAP_FIRST_MS && hold <= FLAP_MOST_MS));
            generate_assert(&g, hold == 0 || !is_used_at(&pair, &flap, now + hold - 1));
            generate_assert(&g, is_used_at(&pair, &flap, now + hold));
            if (generate_one_in(&g, 2)) /* it lasts, or not */
                now += hold + generate_below(&g, generate_one_in(&g, 4) ? 3000000 : 200000);
            else
                now += generate_below(&g, (unsigned)hold + 1);
        }
        now += FLAP_MOST * (int64_t)FLAP_WINDOW_MS;
        generate_assert(&g, flap_count(&flap, now) == 0 && flap_left(&flap, now) == 0);
        flap_note(&flap, false, now);
        flap_note(&flap, true, now + 1);
        generate_assert(&g, is_used_at(&pair, &flap, now + 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_start),
        cmocka_unit_test(slow_start_share),
        cmocka_unit_test(faster_than_the_hold),
        cmocka_unit_test(whatever_it_does),
    };

    generate_print();
    return cmocka_run_group_tests_name("properties_time", tests, NULL, NULL);
}
