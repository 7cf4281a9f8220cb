/*
 * The manual against the tables: in doc/mxwarden.conf.5 every key has its paragraph, in the chapter of
 * its section, with its default; in doc/mxwarden-redis.5 every counter is named.
 */
#include "policy/conf_key.h"
#include "policy/guard.h"
#include "policy/notices.h"
#include "policy/report.h"
#include "policy/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const chapters[CONF_SCOPES] = {
    [CONF_TOP] = "THIS HOST",
    [CONF_LISTEN] = "listen",
    [CONF_LOG] = "log",
    [CONF_DNS] = "dns",
    [CONF_CACHE] = "cache",
    [CONF_HEALTH] = "health",
    [CONF_GUARD] = "guard",
    [CONF_DOMAIN] = "domain \\(dqNAME\\(dq",
    [CONF_POOL] = "pool \\(dqNAME\\(dq",
    [CONF_TIER] = "pool \\(dqNAME\\(dq",
    [CONF_HOST] = "pool \\(dqNAME\\(dq",
    [CONF_MATCH] = "match \\(dqPATTERN\\(dq",
};

static char *read_page(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t size = 0;

    if (!file)
        return NULL;
    if (getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = NULL;
    }
    fclose(file);
    return text;
}

/* Copies the chapter of that title. */
static bool find_chapter(const char *page, const char *title, char *out, size_t size)
{
    char head[80];
    const char *start, *end;

    snprintf(head, sizeof head, "\n.SH %s\n", title);
    start = strstr(page, head);
    if (!start)
        return false;
    end = strstr(start + 1, "\n.SH ");
    return snprintf(out, size, "%.*s\n", (int)(end ? end - start : (long)strlen(start)), start) <
           (int)size;
}

/* A default as the page writes it: roff's doubled quotes taken as one, list braces and all but the
 * items left out. */
static void plain(const char *text, char *out, size_t size)
{
    size_t length = 0;

    for (; *text && *text != '\n' && length + 1 < size; text++)
        if (!strchr("\"{} ", *text))
            out[length++] = *text;
    out[length] = '\0';
}

static void every_key(void **state)
{
    char *page = read_page("doc/mxwarden.conf.5");
    char chapter[16384], wanted[128], initial[256], given[256];

    (void)state;
    if (!page)
        skip(); /* not run in the work tree */
    for (const struct conf_key *key = conf_keys; key->name; key++) {
        const char *entry;
        if (!find_chapter(page, chapters[key->scope], chapter, sizeof chapter))
            fail_msg("no chapter '%s'", chapters[key->scope]);
        snprintf(wanted, sizeof wanted, "\n.BI \"%s = \" ", key->name);
        entry = strstr(chapter, wanted);
        if (!entry)
            fail_msg("%s: no '%s' in the manual", chapters[key->scope], key->name);
        plain(entry + strlen(wanted), given, sizeof given);
        plain(key->initial, initial, sizeof initial);
        if (strcmp(given, initial) != 0)
            fail_msg("%s: the manual says %s, the table %s", key->name, given, initial);
    }
    free(page);
}

/* Names are words of their own there; in Redis '-' is '_'. */
static void expect_word(const char *chapter, const char *name)
{
    char word[64];
    size_t length = strlen(name);

    strcpy(word, name);
    for (char *c = word; *c; c++)
        if (*c == '-')
            *c = '_';
    for (const char *at = chapter; (at = strstr(at, word)); at++)
        if (strchr(" \n\"", at[-1]) && strchr(" \n\"", at[length]))
            return;
    fail_msg("no counter '%s' in the manual", word);
}

/* What no table names. */
static const char *const counters[] = {
    "reloads",    "reloads_refused", "breaker_alerts", "trapped",       "feed_visits",
    "policy_bad", "socketmap_bad",   "events_dropped", "redis_batches", "redis_us",
    "hit_ratio",  "redis_ms_avg",    "redis_ms_p99",   "redis_ms_max",  "socketmap_unknown_map",
    "flush_done", "flush_later",     "flush_refused",  "flush_failed",  "flushed",
    "since"};

static void every_counter(void **state)
{
    char *page = read_page("doc/mxwarden-redis.5");
    char chapter[16384];

    (void)state;
    if (!page)
        skip(); /* not run in the work tree */
    assert_true(find_chapter(page, "COUNTERS", chapter, sizeof chapter));
    for (int kind = 0; kind < NOTICE_COUNT; kind++)
        expect_word(chapter, notices_counter((enum notice_kind)kind));
    for (int reason = 0; reason < GUARD_REASON_COUNT; reason++)
        expect_word(chapter, guard_reason_name((enum guard_reason)reason));
    for (int outcome = ROUTE_HOSTS; outcome <= ROUTE_NOTHING; outcome++)
        expect_word(chapter, route_outcome_name((enum route_outcome)outcome));
    for (int kind = 0; kind < REPORT_DELAY_FIRST; kind++)
        expect_word(chapter, report_kind_name((enum report_kind)kind));
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++)
        expect_word(chapter, counters[i]);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_key),
                                       cmocka_unit_test(every_counter)};
    return cmocka_run_group_tests_name("manual", tests, NULL, NULL);
}
