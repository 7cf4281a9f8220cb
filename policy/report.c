/*
 * Adding up counters. A maximum cannot be summed over nodes and days, so delays are counted in a few
 * classes, and the highest one that is not empty bounds them all.
 */
#include "policy/report.h"

#include <stdlib.h>
#include <string.h>

enum { DOMAINS_MAX = 20000 }; /* more than any configuration has; keys can be written by others */

static const struct {
    const char *name;
    int64_t below; /* of delays: seconds */
} kinds[REPORT_KINDS] = {
    [REPORT_JUDGED] = {"judged", 0},
    [REPORT_BYPASS] = {"bypass", 0},
    [REPORT_YIELDED] = {"yielded", 0},
    [REPORT_BETTER] = {"better", 0},
    [REPORT_SILENT] = {"silent", 0},
    [REPORT_UNKNOWN] = {"unknown", 0},
    [REPORT_DELAY] = {"delay", 0},
    [REPORT_DELAY_FIRST] = {"delay_lt_300", 300},
    [REPORT_DELAY_FIRST + 1] = {"delay_lt_900", 900},
    [REPORT_DELAY_FIRST + 2] = {"delay_lt_3600", 3600},
    [REPORT_DELAY_FIRST + 3] = {"delay_lt_14400", 14400},
    [REPORT_DELAY_FIRST + 4] = {"delay_lt_43200", 43200},
    [REPORT_DELAY_LAST] = {"delay_lt_90000", 90000}, /* the last look is a day after */
};

const char *report_kind_name(enum report_kind kind)
{
    return kinds[kind].name;
}

enum report_kind report_delay_kind(int64_t seconds)
{
    int kind = REPORT_DELAY_FIRST;

    while (kind < REPORT_DELAY_LAST && seconds >= kinds[kind].below)
        kind++;
    return (enum report_kind)kind;
}

void report_init(struct report *report)
{
    memset(report, 0, sizeof *report);
}

void report_clear(struct report *report)
{
    for (size_t i = 0; i < report->domains.count; i++)
        free(report->domains.item[i]);
    sorted_clear(&report->domains);
}

static int domain_compare(const void *key, const void *item)
{
    return strcmp(key, ((const struct report_domain *)item)->name);
}

static struct report_domain *domain_find(struct report *report, const char *name)
{
    struct report_domain *domain;
    char canonical[NAME_SIZE];
    size_t at;

    if (sorted_find(&report->domains, name, domain_compare, &at))
        return report->domains.item[at];
    if (report->domains.count >= DOMAINS_MAX ||
        (strcmp(name, "*") != 0 &&
         (!name_normalize(name, strlen(name), canonical) || strcmp(name, canonical) != 0)))
        return NULL;
    domain = calloc(1, sizeof *domain);
    if (!domain)
        return NULL;
    strcpy(domain->name, name);
    if (sorted_insert(&report->domains, at, domain))
        return domain;
    free(domain);
    return NULL;
}

static void add_of_domain(struct report *report, const char *field, const char *domain,
                          uint64_t value, bool recent)
{
    size_t length = (size_t)(domain - field) - 1;
    struct report_domain *found;

    for (int kind = 0; kind < REPORT_KINDS; kind++)
        if (strlen(kinds[kind].name) == length && memcmp(kinds[kind].name, field, length) == 0 &&
            (found = domain_find(report, domain))) {
            found->count[kind] += value;
            if (recent && kind == REPORT_BYPASS)
                found->recent += value;
        }
}

/* Whether counter is "guard_" and the reason's name, '_' in it for '-' (stats.h). */
static bool is_reason(const char *counter, const char *reason)
{
    if (strncmp(counter, "guard_", 6) != 0)
        return false;
    for (counter += 6; *counter && *reason; counter++, reason++)
        if (*counter != (*reason == '-' ? '_' : *reason))
            return false;
    return *counter == *reason;
}

void report_add(struct report *report, const char *field, uint64_t value, bool recent)
{
    const char *colon = strchr(field, ':');

    if (colon) {
        add_of_domain(report, field, colon + 1, value, recent);
        return;
    }
    for (int reason = 0; reason < GUARD_REASON_COUNT; reason++)
        if (is_reason(field, guard_reason_name((enum guard_reason)reason)))
            report->reason[reason] += value;
}

static uint64_t untold(const struct report_domain *domain)
{
    uint64_t told = domain->count[REPORT_YIELDED] + domain->count[REPORT_BETTER] +
                    domain->count[REPORT_SILENT] + domain->count[REPORT_UNKNOWN];

    /* What was refused before the first day of the report may be told of within it. */
    return told < domain->count[REPORT_BYPASS] ? domain->count[REPORT_BYPASS] - told : 0;
}

uint64_t report_open(const struct report_domain *domain)
{
    uint64_t left = untold(domain);

    return left < domain->recent ? left : domain->recent;
}

uint64_t report_unknown(const struct report_domain *domain)
{
    return domain->count[REPORT_UNKNOWN] + untold(domain) - report_open(domain);
}

struct report_delay report_delay(const struct report_domain *domain)
{
    struct report_delay delay = {0};

    for (int kind = REPORT_DELAY_FIRST; kind <= REPORT_DELAY_LAST; kind++)
        if (domain->count[kind] > 0) {
            delay.count += domain->count[kind];
            delay.below = (uint64_t)kinds[kind].below;
        }
    if (delay.count > 0)
        delay.mean = domain->count[REPORT_DELAY] / delay.count;
    return delay;
}
