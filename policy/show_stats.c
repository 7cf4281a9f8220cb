/*
 * The counters of this process, and how its Redis is.
 */
#include "policy/show.h"

#include "cache/store.h"
#include "policy/stats.h"

#include <jansson.h>
#include <string.h>

/* Those of domains are the report's. */
static void show_counter(void *arg, const char *name, uint64_t value)
{
    if (!strchr(name, ':'))
        json_object_set_new(arg, name, json_integer((json_int_t)value));
}

static json_t *show_redis(const struct store *store)
{
    if (!store)
        return json_pack("{s:s}", "state", "none");
    return json_pack("{s:s, s:s, s:s, s:I}", "state", store_is_up(store) ? "up" : "down", "trouble",
                     store_trouble(store), "run_id", store_run_id(store), "evicted",
                     (json_int_t)store_evicted(store));
}

json_t *show_stats(const char *node, int64_t since, const struct stats *stats,
                   const struct store *store)
{
    json_t *counters = json_object();

    stats_each(stats, show_counter, counters);
    return json_pack("{s:s, s:s, s:I, s:o, s:o}", "status", "ok", "node", node, "since",
                     (json_int_t)since, "counters", counters, "redis", show_redis(store));
}
