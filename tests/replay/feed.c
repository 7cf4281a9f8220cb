/*
 * Visits that no milter hears of: told by the feed, or else nobody is held to that host; and those
 * that are no visits at all.
 */
#include "tests/replay/replay.h"
#include "tests/replay/site.h"

static void feed(struct node *node, const char *visits)
{
    char request[512];
    const char *reply;

    snprintf(request, sizeof request, "{\"command\":\"feed\",\"visits\":[%s]}", visits);
    reply = world_control(node, request);
    if (!strstr(reply, "\"ok\""))
        fail_msg("%s: %s", request, reply);
}

/* The program's sign of life, every 5 s. */
static void feed_for(struct node *node, int64_t ms)
{
    for (int64_t left = ms; left > 0; left -= 5000) {
        feed(node, "");
        world_run(left < 5000 ? left : 5000);
    }
}

static void expect_missing(struct node *node, const char *link)
{
    const char *reply = world_control(node, "{\"command\": \"hosts\"}");
    char wanted[64];

    snprintf(wanted, sizeof wanted, "\"missing\":\"%s\"", link);
    if (!strstr(reply, wanted))
        fail_msg("no %s in %s", wanted, reply);
}

static struct site open_with_feed(const char *more)
{
    char conf[1024];

    snprintf(conf, sizeof conf, "%sneeds_feed = true\n%s", SITE_CONF("mx1.example.com", ""), more);
    return site_start(conf, SITE_CONF("mx2.example.com", ""));
}

static void feed_is_needed(void **state)
{
    struct site site = open_with_feed("");
    struct world_mail mail = stranger();

    (void)state;
    expect_accept(site.mx2, &mail, "unobserved");
    expect_missing(site.mx2, "feed");
    feed_for(site.mx1, 10000);
    expect_defer(site.mx2, &mail);
    feed_for(site.mx1, 2 * MINUTE);
    expect_missing(site.mx2, "");
    expect_defer(site.mx2, &mail);
    world_run(14000); /* one or two signs of life may be late */
    feed(site.mx1, "");
    world_run(10000);
    expect_defer(site.mx2, &mail);
    world_run(10000); /* 20 s after the last one */
    mail.client = "203.0.113.1";
    mail.name = mail.helo = NULL;
    expect_accept(site.mx2, &mail, "unobserved");
    expect_missing(site.mx2, "feed");
    feed_for(site.mx1, 10000);
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

/* The host that is better and the one that asks are one: its own feed counts, without Redis. */
static void feed_of_a_single_host(void **state)
{
    struct world_mail mail = stranger();
    struct site site = {0};

    (void)state;
    world_open();
    site_zone();
    site.mx1 = world_start("node = \"mx1.example.com\" own = {\"" MX2 "\"} needs_feed = true\n"
                           "domain \"example.com\" { guard { mode = \"defer\" } }\n",
                           MX1);
    world_set_host(MX1, WORLD_SMTP_UP, site.mx1);
    world_set_host(MX2, WORLD_SMTP_UP, site.mx1);
    expect_accept(site.mx1, &mail, "better-down"); /* from now on it is watched */
    world_run(16 * MINUTE);
    expect_accept(site.mx1, &mail, "unobserved");
    feed_for(site.mx1, 10000);
    expect_defer(site.mx1, &mail);
    site_close(&site);
}

static void turned_away_by_postscreen(void **state)
{
    struct site site = open_with_feed("");
    struct world_mail mail = stranger();

    (void)state;
    feed_for(site.mx1, 10000);
    expect_defer(site.mx2, &mail);
    feed(site.mx1, "{\"client\":\"198.51.100.9\",\"listener\":\"" MX1 "\",\"port\":25}");
    expect_accept(site.mx2, &mail, "seen"); /* its neighbour was there */
    assert_in_range(world_ttl("mxw1:seen:[" MX1 "]:[198.51.100.9]"), 86390, 86400);
    site_close(&site);
}

/* smtpd's lines name no local address: it is the only one of the client's family. */
static void listener_is_not_named(void **state)
{
    struct site site = open_with_feed("");

    (void)state;
    feed(site.mx1, "{\"client\":\"198.51.100.9\"}");
    world_run(100);
    assert_in_range(world_ttl("mxw1:seen:[" MX1 "]:[198.51.100.9]"), 86390, 86400);
    assert_non_null(strstr(world_control(site.mx1, "{\"command\":\"feed\",\"visits\":[{\"client\":"
                                                   "\"2001:db8:1::7\"}]}"),
                           "--listener"));
    site_close(&site);
}

static void fed_listener_is_mapped(void **state)
{
    struct site site = open_with_feed("listeners = {\"10.0.0.10=" MX1 "\"}\n");

    (void)state;
    feed(site.mx1, "{\"client\":\"198.51.100.9\",\"listener\":\"10.0.0.10\",\"port\":25}");
    world_run(100);
    assert_in_range(world_ttl("mxw1:seen:[" MX1 "]:[198.51.100.9]"), 86390, 86400);
    assert_false(world_has_key("mxw1:seen:*10.0.0.10*"));
    site_close(&site);
}

/* Nor does a line about another host's address make this node its listener. */
static void no_visits_in_a_log(void **state)
{
    static const char *const visits[] = {
        "{\"client\":\"198.51.100.9\",\"listener\":\"" MX1 "\",\"port\":587}",
        "{\"client\":\"" MX2 "\",\"listener\":\"" MX1 "\",\"port\":25}",
        "{\"client\":\"127.0.0.1\",\"listener\":\"" MX1 "\",\"port\":25}",
        "{\"client\":\"203.0.113.200\",\"listener\":\"" MX1 "\",\"port\":25}",
    };
    struct site site = open_with_feed("networks = {\"127.0.0.0/8\", \"203.0.113.192/26\"}\n");

    (void)state;
    for (size_t i = 0; i < sizeof visits / sizeof *visits; i++)
        feed(site.mx1, visits[i]);
    world_run(100);
    assert_false(world_has_key("mxw1:seen:*"));
    feed(site.mx1, "{\"client\":\"198.51.100.9\",\"listener\":\"192.0.2.99\",\"port\":25}");
    assert_null(strstr(world_redis("HGET mxw1:node:mx1.example.com listeners"), "192.0.2.99"));
    site_close(&site);
}

/* A12. A balancer's checks come from its own address, without a PROXY header or with one that says
 * LOCAL; what it passes on comes with its clients' addresses. Relays are in `networks` as well. */
static void networks_leave_no_evidence(void **state)
{
    static const char networks[] = "networks = {\"127.0.0.0/8\", \"203.0.113.192/26\"}\n";
    struct site site =
        site_start(SITE_CONF("mx1.example.com", ""), SITE_CONF("mx2.example.com", ""));
    struct world_mail check = at(stranger(), MX1), mail = stranger();
    char conf[1024];

    (void)state;
    snprintf(conf, sizeof conf, "%s%s", SITE_CONF("mx1.example.com", ""), networks);
    world_reload(site.mx1, conf);
    check.client = "203.0.113.200";
    check.name = check.helo = NULL;
    world_visit(site.mx1, &check);
    expect_accept(site.mx1, &check, "exempt-network");
    world_run(100);
    assert_false(world_has_key("mxw1:seen:*"));
    mail.client = check.client; /* mx2 knows nothing of that network */
    mail.name = mail.helo = NULL;
    expect_defer(site.mx2, &mail);
    mail = at(stranger(), MX1); /* through the balancer: the address that PROXY names */
    world_visit(site.mx1, &mail);
    mail.listener = MX2;
    expect_accept(site.mx2, &mail, "seen");
    site_close(&site);
}

int replay_feed(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(feed_is_needed),
        cmocka_unit_test(feed_of_a_single_host),
        cmocka_unit_test(turned_away_by_postscreen),
        cmocka_unit_test(listener_is_not_named),
        cmocka_unit_test(fed_listener_is_mapped),
        cmocka_unit_test(no_visits_in_a_log),
        cmocka_unit_test(networks_leave_no_evidence),
    };

    return cmocka_run_group_tests_name("replay-feed", tests, NULL, NULL);
}
