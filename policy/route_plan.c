/*
 * Which section counts for an address: the walk through the domain sections, then the match
 * sections, for which the domain's MX set must be known. Nothing is looked up here.
 */
#include "policy/route.h"

#include <string.h>

/* The walk up to "*": Postfix asks for the whole address and leaves the rest to us. */
static const struct conf_domain *find_section(const struct conf *conf,
                                              const struct address *address)
{
    const struct conf_domain *section = NULL;
    char mailbox[ADDRESS_SIZE];

    if (address_mailbox(address, "", mailbox))
        section = conf_find_title(conf, mailbox);
    if (!section && *conf->recipient_delimiter &&
        address_mailbox(address, conf->recipient_delimiter, mailbox))
        section = conf_find_title(conf, mailbox);
    return section ? section : conf_find_own(conf, address->domain);
}

struct route_plan route_plan(const struct conf *conf, const struct address *address)
{
    struct route_plan plan = {.route = CONF_ROUTE_OFF};
    const struct conf_domain *section;

    if (address->domain[0] == '\0')
        return plan;
    section = find_section(conf, address);
    if (!section && conf->match_count > 0)
        plan.by_match = true;
    if (!section)
        section = conf_find_title(conf, "*");
    if (!section)
        return plan;
    plan.section = section;
    plan.routing = &section->routing;
    plan.route = section->routing.route;
    return plan;
}

static bool match_fits(const struct conf_match *match, const struct facts *mx, const char *domain)
{
    size_t count = order_names(mx);

    if (mx->state != FACTS_OK)
        return count > 0 && name_matches(match->pattern, domain);
    for (size_t i = 0; i < count && mx->mx.host[i].preference == mx->mx.host[0].preference; i++)
        if (name_matches(match->pattern, mx->mx.host[i].name))
            return true;
    return false;
}

void route_plan_match(struct route_plan *plan, const struct conf *conf, const struct facts *mx,
                      const char *domain)
{
    plan->is_unknown = !mx || mx->state == FACTS_FAIL;
    if (plan->is_unknown)
        return;
    for (size_t i = 0; i < conf->match_count && !plan->match; i++)
        if (match_fits(&conf->match[i], mx, domain))
            plan->match = &conf->match[i];
    if (!plan->match)
        return;
    plan->routing = &plan->match->routing;
    plan->route = plan->routing->route;
}
