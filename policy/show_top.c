/*
 * What is busiest: the reasons of this node's verdicts, the networks and domains of the site.
 */
#include "policy/show.h"

#include "policy/guard.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct reason {
    const char *name;
    json_int_t count;
    double rate;
};

static int busier_first(const void *a, const void *b)
{
    const struct reason *one = a, *other = b;

    if (one->rate > other->rate || one->rate < other->rate)
        return one->rate > other->rate ? -1 : 1;
    return one->count > other->count ? -1 : one->count < other->count;
}

static char *field_of(const char *reason, char out[64])
{
    snprintf(out, 64, "guard_%s", reason);
    for (char *c = out; *c; c++)
        if (*c == '-')
            *c = '_';
    return out;
}

/* Of the day; where Redis does not tell, of this process. */
static json_t *show_reasons(const struct show_numbers *numbers, const json_t *rates)
{
    const json_t *counts = numbers->shared ? numbers->today : numbers->counters;
    struct reason reason[GUARD_REASON_COUNT];
    json_t *array = json_array();
    char field[64];

    for (int i = 0; i < GUARD_REASON_COUNT; i++) {
        reason[i].name = guard_reason_name((enum guard_reason)i);
        field_of(reason[i].name, field);
        reason[i].count = json_integer_value(json_object_get(counts, field));
        reason[i].rate = json_real_value(json_object_get(rates, field));
    }
    qsort(reason, GUARD_REASON_COUNT, sizeof *reason, busier_first);
    for (int i = 0; i < GUARD_REASON_COUNT; i++)
        if (reason[i].count > 0)
            json_array_append_new(array,
                                  json_pack("{s:s, s:I, s:f}", "reason", reason[i].name, "today",
                                            reason[i].count, "rate", reason[i].rate));
    return array;
}

json_t *show_top(const struct show_numbers *numbers)
{
    json_t *rates = show_rates(numbers->stats);
    json_t *reasons = show_reasons(numbers, rates);

    return json_pack("{s:s, s:s, s:I, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "status", "ok",
                     "node", numbers->node, "since", (json_int_t)numbers->since, "day",
                     numbers->day, "shared", numbers->shared, "reasons", reasons, "bypass",
                     numbers->bypass ? numbers->bypass : json_array(), "domains",
                     numbers->domains ? numbers->domains : json_array(), "counters",
                     numbers->counters, "today", numbers->today, "rates", rates, "redis",
                     show_redis(numbers->store));
}
