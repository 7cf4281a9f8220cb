/*
 * The survey: what the configuration names is kept resolved, watched, and remembered.
 *
 * Every second a part of the configured pools and domains is gone through: expiring facts are
 * fetched ahead of need, the hosts a route may name and those a guard may hold better are put under
 * watch, overrides are read. Look-ups under way are bounded, so that ten thousand domains are no
 * burst on the resolver when the daemon starts. And the last good facts of configured names are kept
 * without limit, so that a route has an answer when the DNS has none for longer than `stale`
 * (SPEC 6.8).
 */
#ifndef POLICY_SURVEY_H
#define POLICY_SURVEY_H

#include "cache/fetch.h"
#include "policy/conf.h"

struct event_base;
struct override;
struct site;
struct survey;
struct watch;

struct survey_parts { /* all outlive the survey */
    struct event_base *base;
    struct fetch *fetch;
    struct watch *watch;
    struct site *site;
    struct override *override;
};

/* Begins at once. ready comes once, from the loop: when every pool host has been resolved (or has
 * failed to), or a second later. May be NULL. */
typedef void survey_ready(void *arg);
struct survey *survey_new(const struct survey_parts *parts, struct conf *conf, survey_ready *ready,
                          void *arg);
void survey_free(struct survey *survey);
void survey_set_conf(struct survey *survey, struct conf *conf);

/* The last good facts of a configured name, resolved by this process, with a new reference; NULL
 * where there never were any. */
const struct facts *survey_last(struct survey *survey, enum facts_kind kind, const char *name);

#endif
