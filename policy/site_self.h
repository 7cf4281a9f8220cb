/*
 * The site's notion of self in the form in which the pure judges of routes and orderings ask for it.
 */
#ifndef POLICY_SITE_SELF_H
#define POLICY_SITE_SELF_H

#include "policy/route.h"

struct site;

/* Holds as long as the loop does not run on; the site is to live as long. */
struct route_self site_self(struct site *site);

#endif
