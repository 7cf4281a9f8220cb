/*
 * The report as JSON.
 */
#include "policy/show.h"

#include "policy/conf.h"
#include "policy/report.h"

#include <jansson.h>

static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *show_delay(const struct report_domain *domain)
{
    struct report_delay delay = report_delay(domain);

    if (delay.count == 0)
        return json_null();
    return json_pack("{s:o, s:o, s:o}", "count", integer(delay.count), "mean", integer(delay.mean),
                     "below", integer(delay.below));
}

/* What mode it has now; the counters may be of another. */
static const char *mode_of(const struct conf *conf, const char *name)
{
    const struct conf_domain *section = conf_find_domain(conf, name, true);

    return section ? conf_mode_name(section->guard.mode) : "";
}

static json_t *show_domain(const struct conf *conf, const struct report_domain *domain)
{
    return json_pack(
        "{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "domain", domain->name, "mode",
        mode_of(conf, domain->name), "judged", integer(domain->count[REPORT_JUDGED]), "bypass",
        integer(domain->count[REPORT_BYPASS]), "yielded", integer(domain->count[REPORT_YIELDED]),
        "better", integer(domain->count[REPORT_BETTER]), "silent",
        integer(domain->count[REPORT_SILENT]), "unknown", integer(report_unknown(domain)), "open",
        integer(report_open(domain)), "delay", show_delay(domain));
}

json_t *show_report(const struct report *report, const struct show_span *span,
                    const struct conf *conf)
{
    json_t *nodes = json_array(), *domains = json_array(), *reasons = json_object();

    for (size_t i = 0; i < span->node_count; i++)
        json_array_append_new(nodes, json_string(span->node[i]));
    for (size_t i = 0; i < report->domains.count; i++)
        json_array_append_new(domains, show_domain(conf, report->domains.item[i]));
    for (int reason = 0; reason < GUARD_REASON_COUNT; reason++)
        if (report->reason[reason] > 0)
            json_object_set_new(reasons, guard_reason_name((enum guard_reason)reason),
                                integer(report->reason[reason]));
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "status", "ok", "from", span->from,
                     "to", span->to, "since",
                     span->since ? integer((uint64_t)span->since) : json_null(), "nodes", nodes,
                     "domains", domains, "reasons", reasons);
}
