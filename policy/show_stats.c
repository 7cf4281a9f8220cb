/*
 * The counters, how fast they grow, and how Redis is.
 */
#include "policy/show.h"

#include "cache/store.h"
#include "policy/stats.h"

#include <jansson.h>
#include <string.h>

/* Those of domains are the report's. */
static void show_rate(void *arg, const char *name, double rate)
{
    if (!strchr(name, ':'))
        json_object_set_new(arg, name, json_real(rate));
}

json_t *show_rates(const struct stats *stats)
{
    json_t *rates = json_object();

    stats_each_rate(stats, show_rate, rates);
    return rates;
}

json_t *show_redis(const struct store *store)
{
    if (!store)
        return json_pack("{s:s}", "state", "none");
    return json_pack("{s:s, s:s, s:s, s:s, s:I}", "state", store_is_up(store) ? "up" : "down",
                     "trouble", store_trouble(store), "run_id", store_run_id(store), "policy",
                     store_policy(store), "evicted", (json_int_t)store_evicted(store));
}

json_t *show_stats(const struct show_numbers *numbers)
{
    return json_pack("{s:s, s:s, s:I, s:s, s:b, s:o, s:o, s:o, s:o}", "status", "ok", "node",
                     numbers->node, "since", (json_int_t)numbers->since, "day", numbers->day,
                     "shared", numbers->shared, "counters", numbers->counters, "today",
                     numbers->today, "rates", show_rates(numbers->stats), "redis",
                     show_redis(numbers->store));
}
