/*
 * policy/report.c: counters of several nodes and days as one sum.
 */
#include "policy/report.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static struct report report;

static int setup(void **state)
{
    (void)state;
    report_init(&report);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    report_clear(&report);
    return 0;
}

static const struct report_domain *domain_of(const char *name)
{
    for (size_t i = 0; i < report.domains.count; i++) {
        const struct report_domain *domain = report.domains.item[i];
        if (strcmp(domain->name, name) == 0)
            return domain;
    }
    return NULL;
}

/* Fields that count, each given 3 and then 4; domain NULL: those that do not. */
static const struct {
    const char *field, *domain;
    enum report_kind kind;
} fields[] = {
    {"judged:example.com", "example.com", REPORT_JUDGED},
    {"bypass:example.com", "example.com", REPORT_BYPASS},
    {"bypass:*", "*", REPORT_BYPASS},
    {"yielded:xn--bcher-kva.example", "xn--bcher-kva.example", REPORT_YIELDED},
    {"better:example.com", "example.com", REPORT_BETTER},
    {"silent:example.com", "example.com", REPORT_SILENT},
    {"unknown:example.com", "example.com", REPORT_UNKNOWN},
    {"delay:example.com", "example.com", REPORT_DELAY},
    {"delay_lt_300:example.com", "example.com", REPORT_DELAY_FIRST},
    {"delay_lt_90000:example.com", "example.com", REPORT_DELAY_LAST},
    {"delay_lt_:example.com", NULL, 0},
    {"bypas:example.com", NULL, 0},
    {":example.com", NULL, 0},
    {"bypass:", NULL, 0},
    {"bypass:Example.com", NULL, 0},
    {"bypass:a b", NULL, 0},
    {"bypass:\x1b[31m", NULL, 0},
    {"bypass:**", NULL, 0},
    {"", NULL, 0},
};

static void field_table(void **state)
{
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const struct report_domain *domain;
        setup(state);
        report_add(&report, fields[i].field, 3, true);
        report_add(&report, fields[i].field, 4, true);
        domain = fields[i].domain ? domain_of(fields[i].domain) : NULL;
        if (report.domains.count != (fields[i].domain ? 1 : 0) ||
            (fields[i].domain && (!domain || domain->count[fields[i].kind] != 7)))
            fail_msg("'%s'", fields[i].field);
        if (domain && strncmp(report_kind_name(fields[i].kind), fields[i].field,
                              strcspn(fields[i].field, ":")) != 0)
            fail_msg("%s is named %s", fields[i].field, report_kind_name(fields[i].kind));
        teardown(state);
    }
}

static void reasons(void **state)
{
    (void)state;
    report_add(&report, "guard_bypass", 3, true);
    report_add(&report, "guard_exempt_sasl", 4, true);
    report_add(&report, "guard_exempt_sasl", 5, true);
    report_add(&report, "guard_exempt", 6, true);
    report_add(&report, "guard_exempt_sasl_x", 7, true);
    report_add(&report, "mx_hits", 8, true);
    for (int reason = 0; reason < GUARD_REASON_COUNT; reason++)
        assert_int_equal(report.reason[reason], reason == GUARD_BYPASS        ? 3
                                                : reason == GUARD_EXEMPT_SASL ? 9
                                                                              : 0);
    assert_int_equal(report.domains.count, 0);
}

static const struct {
    int64_t seconds;
    const char *name;
} delays[] = {
    {0, "delay_lt_300"},       {299, "delay_lt_300"},     {300, "delay_lt_900"},
    {899, "delay_lt_900"},     {3599, "delay_lt_3600"},   {3600, "delay_lt_14400"},
    {43199, "delay_lt_43200"}, {43200, "delay_lt_90000"}, {1000000, "delay_lt_90000"},
};

static void delay_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof delays / sizeof delays[0]; i++)
        assert_string_equal(report_kind_name(report_delay_kind(delays[i].seconds)), delays[i].name);
}

static void mean_and_bound(void **state)
{
    const struct report_domain *domain;
    struct report_delay delay;

    (void)state;
    report_add(&report, "bypass:example.com", 10, true);
    domain = domain_of("example.com");
    delay = report_delay(domain);
    assert_int_equal(delay.count, 0);
    assert_int_equal(delay.below, 0);
    report_add(&report, "delay:example.com", 2000, true);
    report_add(&report, "delay_lt_300:example.com", 3, true);
    report_add(&report, "delay_lt_3600:example.com", 1, true);
    delay = report_delay(domain);
    assert_int_equal(delay.count, 4);
    assert_int_equal(delay.mean, 500);
    assert_int_equal(delay.below, 3600);
}

static void what_is_open(void **state)
{
    const struct report_domain *domain;

    (void)state;
    report_add(&report, "bypass:example.com", 10, true);
    domain = domain_of("example.com");
    assert_int_equal(report_open(domain), 10);
    report_add(&report, "yielded:example.com", 1, true);
    report_add(&report, "better:example.com", 2, true);
    report_add(&report, "silent:example.com", 3, true);
    report_add(&report, "unknown:example.com", 3, true);
    assert_int_equal(report_open(domain), 1);
    report_add(&report, "silent:example.com", 3, true); /* of the day before the first */
    assert_int_equal(report_open(domain), 0);
}

/* Ten of long ago, of which the daemon told nine before it was killed, and four of today. */
static void what_cannot_be_known(void **state)
{
    const struct report_domain *domain;

    (void)state;
    report_add(&report, "bypass:example.com", 10, false);
    report_add(&report, "silent:example.com", 8, false);
    report_add(&report, "unknown:example.com", 1, false);
    domain = domain_of("example.com");
    assert_int_equal(report_open(domain), 0);
    assert_int_equal(report_unknown(domain), 2);
    report_add(&report, "bypass:example.com", 4, true);
    assert_int_equal(report_open(domain), 4);
    assert_int_equal(report_unknown(domain), 2);
    report_add(&report, "better:example.com", 3, true);
    assert_int_equal(report_open(domain), 2); /* whose they are is not told */
    assert_int_equal(report_unknown(domain), 1);
}

static void sorted_by_name(void **state)
{
    (void)state;
    report_add(&report, "judged:b.example", 1, true);
    report_add(&report, "judged:*", 1, true);
    report_add(&report, "judged:a.example", 1, true);
    assert_string_equal(((struct report_domain *)report.domains.item[0])->name, "*");
    assert_string_equal(((struct report_domain *)report.domains.item[1])->name, "a.example");
    assert_string_equal(((struct report_domain *)report.domains.item[2])->name, "b.example");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(field_table),
        cmocka_unit_test_setup_teardown(reasons, setup, teardown),
        cmocka_unit_test(delay_table),
        cmocka_unit_test_setup_teardown(mean_and_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_open, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_known, setup, teardown),
        cmocka_unit_test_setup_teardown(sorted_by_name, setup, teardown),
    };

    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
