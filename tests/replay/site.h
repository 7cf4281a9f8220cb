/*
 * The site of most scenarios: 10 mx1, 20 mx2, one Redis, each with its daemon and milter, running
 * long enough for every row of the guard but the last to be content.
 */
#ifndef TESTS_REPLAY_SITE_H
#define TESTS_REPLAY_SITE_H

#include "tests/replay/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define MX1 "192.0.2.10"
#define MX2 "192.0.2.20"

#define MINUTE INT64_C(60000)

/* The text of a node's configuration file; more goes in at its end. */
#define SITE_CONF(name, more)                                                                      \
    "node = \"" name "\"\n"                                                                        \
    "cache { redis = \"unix:/nowhere/redis.sock\" }\n"                                             \
    "domain \"example.com\" { guard { mode = \"defer\" } }\n"                                      \
    "domain \"detect.example.com\" { guard { mode = \"detect\" } }\n"                              \
    "domain \"tag.example.com\" { guard { mode = \"tag\" } }\n" more

struct site {
    struct node *mx1, *mx2;
};

static inline void site_zone(void)
{
    static const char *const domain[] = {"example.com", "detect.example.com", "tag.example.com"};

    for (size_t i = 0; i < sizeof domain / sizeof *domain; i++)
        world_set_mx(domain[i], "10 mx1.example.com,20 mx2.example.com");
    world_set_addr("mx1.example.com", MX1);
    world_set_addr("mx2.example.com", MX2);
}

/* more1, more2: further lines for each node. Sixteen minutes: longer than grace and hold_down. */
static inline struct site site_start(const char *conf1, const char *conf2)
{
    struct site site;

    world_open();
    site_zone();
    site.mx1 = world_start(conf1, MX1);
    world_set_host(MX1, WORLD_SMTP_UP, site.mx1);
    site.mx2 = world_start(conf2, MX2);
    world_set_host(MX2, WORLD_SMTP_UP, site.mx2);
    world_run(16 * MINUTE);
    return site;
}

static inline struct site site_open(void)
{
    return site_start(SITE_CONF("mx1.example.com", ""), SITE_CONF("mx2.example.com", ""));
}

static inline void site_close(struct site *site)
{
    if (site->mx1)
        world_stop(site->mx1);
    if (site->mx2)
        world_stop(site->mx2);
    world_close();
}

/* A stranger at mx2. */
static inline struct world_mail stranger(void)
{
    return (struct world_mail){.client = "198.51.100.7",
                               .name = "out1.example.net",
                               .helo = "out1.example.net",
                               .sender = "a@example.net",
                               .recipient = "u@example.com",
                               .listener = MX2};
}

static inline struct world_mail at(struct world_mail mail, const char *listener)
{
    mail.listener = listener;
    return mail;
}

/* What the node says and why. */
static inline void expect_verdict(struct node *node, const struct world_mail *mail,
                                  const char *action, const char *reason)
{
    const char *got = world_rcpt(node, mail);

    if (strncmp(got, action, strlen(action)) != 0 || strcmp(world_reason(node), reason) != 0)
        fail_msg("'%s' for %s; wanted '%s' for %s", got, world_reason(node), action, reason);
}

static inline void expect_accept(struct node *node, const struct world_mail *mail,
                                 const char *reason)
{
    expect_verdict(node, mail, "DUNNO", reason);
}

static inline void expect_defer(struct node *node, const struct world_mail *mail)
{
    expect_verdict(node, mail, "451 4.7.1 ", "bypass");
}

/* request: a map's name and the key. */
static inline void expect_answer(struct node *node, const char *request, const char *reply)
{
    const char *got = world_map(node, request);

    if (strcmp(got, reply) != 0)
        fail_msg("%lld s: %s: '%s', wanted '%s'", (long long)world_now() / 1000, request, got,
                 reply);
}

static inline void expect_map(struct node *node, const char *address, const char *reply)
{
    char request[512];

    snprintf(request, sizeof request, "transport %s", address);
    expect_answer(node, request, reply);
}

#endif
