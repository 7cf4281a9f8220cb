/*
 * What the daemon knows, as the JSON of control.h. Each function makes a new object that the
 * caller owns, NULL when out of memory; nothing is asked of anybody and nothing changed.
 */
#ifndef POLICY_SHOW_H
#define POLICY_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;
struct engine_explained;
struct engine_routed_view;
struct json_t;
struct order;
struct override;
struct report;
struct site;
struct stats;
struct store;
struct watch;

struct json_t *show_explain(const struct engine_explained *explained);
struct json_t *show_route(const struct engine_routed_view *view, const struct watch *watch);
/* site: who this host is; now: Unix seconds. */
struct json_t *show_mx(const char *domain, const struct order *order, struct site *site,
                       int64_t now);
struct json_t *show_hosts(const struct conf *conf, const struct watch *watch,
                          struct override *override);
/* The numbers of stats and top. shared: as Redis has them, else this process's own, of which there
 * are none of the day. */
struct show_numbers {
    const char *node;
    int64_t since;   /* Unix seconds of the process's start */
    const char *day; /* "20261121" */
    bool shared;
    const struct stats *stats;
    const struct store *store;       /* NULL where there is no Redis */
    struct json_t *counters, *today; /* objects: taken over, as are the next two */
    struct json_t *bypass, *domains; /* arrays, of top alone */
};
struct json_t *show_stats(const struct show_numbers *numbers);
struct json_t *show_top(const struct show_numbers *numbers);
/* Parts of both. */
struct json_t *show_rates(const struct stats *stats);
struct json_t *show_redis(const struct store *store);

/* What a report is of: days ("20261121", the first and the last), and the nodes that had counters.
 * since is the start of the process where they are its own, 0 where they are the days'. */
struct show_span {
    const char *from, *to;
    int64_t since;
    const char *const *node;
    size_t node_count;
};
struct json_t *show_report(const struct report *report, const struct show_span *span,
                           const struct conf *conf);

#endif
