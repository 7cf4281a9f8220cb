/*
 * Generated inputs for the properties: a stream of numbers for each case, which the seed, the
 * property's name and the case's number make, so that a case that failed can be had again.
 *
 * PROPERTY_SEED and PROPERTY_CASES in the environment; without them a fixed seed and a small share
 * of the cases, so that `make check` always says the same. `make properties` runs all.
 */
#ifndef TESTS_UNIT_GENERATE_H
#define TESTS_UNIT_GENERATE_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { GENERATE_SEED = 20260711, GENERATE_CASES = 2000 };

struct generate {
    uint64_t state;
    const char *property;
    unsigned long number;
};

static inline uint64_t generate_seed(void)
{
    const char *text = getenv("PROPERTY_SEED");

    return text && *text ? strtoull(text, NULL, 10) : GENERATE_SEED;
}

static inline unsigned long generate_cases(void)
{
    const char *text = getenv("PROPERTY_CASES");

    return text && *text ? strtoul(text, NULL, 10) : GENERATE_CASES;
}

/* splitmix64: every state is as good as any other. */
static inline uint64_t generate_next(struct generate *generate)
{
    uint64_t z = generate->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline struct generate generate_case(const char *property, unsigned long number)
{
    struct generate generate = {.state = generate_seed(), .property = property, .number = number};

    for (const char *at = property; *at; at++) {
        generate.state ^= (unsigned char)*at;
        generate.state = generate_next(&generate);
    }
    generate.state ^= number;
    generate.state = generate_next(&generate);
    return generate;
}

/* 0 to n - 1. */
static inline unsigned generate_below(struct generate *generate, unsigned n)
{
    return (unsigned)((generate_next(generate) >> 32) * n >> 32);
}

/* One in n. */
static inline bool generate_one_in(struct generate *generate, unsigned n)
{
    return generate_below(generate, n) == 0;
}

/* Says which case it is, before the test fails. */
#define generate_assert(generate, holds)                                                           \
    do {                                                                                           \
        if (!(holds))                                                                              \
            fail_msg("%s, case %lu, PROPERTY_SEED=%llu: %s", (generate)->property,                 \
                     (generate)->number, (unsigned long long)generate_seed(), #holds);             \
    } while (0)

/* What chi-squared of so many degrees of freedom exceeds with probability 10^-4 (Wilson and
 * Hilferty's approximation, which errs by less than a hundredth here). */
static inline double generate_chi_limit(unsigned freedom)
{
    double part = 2.0 / (9.0 * freedom), root = 1 - part + 3.719 * sqrt(part);

    return freedom * root * root * root;
}

/* Adds what count of total, of which share was to be expected, adds to chi-squared. */
static inline double generate_chi(unsigned long count, unsigned long total, double share)
{
    double wanted = (double)total * share;

    return ((double)count - wanted) * ((double)count - wanted) / wanted;
}

static inline void generate_print(void)
{
    printf("# PROPERTY_SEED=%llu PROPERTY_CASES=%lu\n", (unsigned long long)generate_seed(),
           generate_cases());
}

#endif
