/*
 * Self, for those who may not know the site.
 */
#include "policy/site_self.h"

#include "policy/site.h"

static bool has_name(void *arg, const char *name)
{
    return site_is_self_name(arg, name);
}

static bool has_addr(void *arg, const struct net_addr *addr)
{
    return site_is_self_addr(arg, addr);
}

struct route_self site_self(struct site *site)
{
    return (struct route_self){.has_name = has_name,
                               .has_addr = has_addr,
                               .arg = site,
                               .is_unsure = !site_knows_self(site)};
}
