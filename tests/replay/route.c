/*
 * Routes through the socketmap: pools with health and overrides, a backup's primary, and nothing
 * that ever answers wrongly.
 */
#include "tests/replay/replay.h"
#include "tests/replay/site.h"

#define POOL                                                                                       \
    "domain \"pool.example.com\" { route = \"pool gateways\" }\n"                                  \
    "pool \"gateways\" {\n"                                                                        \
    "    tier \"10\" { host \"gw1.example.net:25\" { } }\n"                                        \
    "    tier \"20\" { host \"backup.example.net:2525\" { } }\n"                                   \
    "}\n"

#define PRIMARY                                                                                    \
    "domain \"p.example.com\" { route = \"primary\" }\n"                                           \
    "dns { stale = 10m }\n"

static const char first[] = "OK smtp:[gw1.example.net]:25, [backup.example.net]:2525";
static const char second[] = "OK smtp:[backup.example.net]:2525, [gw1.example.net]:25";
static const char only_second[] = "OK smtp:[backup.example.net]:2525";

static void gateways(void)
{
    world_set_addr("gw1.example.net", "203.0.113.1");
    world_set_addr("backup.example.net", "203.0.113.2");
    world_set_host("203.0.113.1", WORLD_SMTP_UP, NULL);
    world_set_host("203.0.113.2", WORLD_SMTP_UP, NULL);
}

static struct site open_pool(void)
{
    struct site site =
        site_start(SITE_CONF("mx1.example.com", POOL), SITE_CONF("mx2.example.com", POOL));

    gateways();
    world_run(2 * MINUTE);
    return site;
}

static void strangers_are_not_found(void **state)
{
    struct site site = open_pool();
    unsigned queries = world_dns_queries();

    (void)state;
    expect_map(site.mx1, "*", "NOTFOUND ");
    expect_map(site.mx1, "u@elsewhere.example", "NOTFOUND ");
    expect_map(site.mx1, "u@example.com", "NOTFOUND ");
    expect_map(site.mx1, "root", "NOTFOUND ");
    assert_int_equal(world_dns_queries(), queries);
    site_close(&site);
}

static void pool_by_tier_and_health(void **state)
{
    struct site site = open_pool();

    (void)state;
    expect_map(site.mx1, "u@pool.example.com", first);
    world_set_host("203.0.113.1", WORLD_SMTP_REFUSED, NULL);
    world_run(8000); /* two failures do not yet count */
    expect_map(site.mx1, "u@pool.example.com", first);
    world_run(12000);
    expect_map(site.mx1, "u@pool.example.com", second);
    world_set_host("203.0.113.1", WORLD_SMTP_UP, NULL);
    world_run(15000);
    expect_map(site.mx1, "u@pool.example.com", first);
    site_close(&site);
}

static void drained_by_hand_everywhere(void **state)
{
    struct site site = open_pool();

    (void)state;
    world_redis("HSET mxw1:override:gw1.example.net:25 state drain");
    world_run(1000);
    expect_map(site.mx1, "u@pool.example.com", only_second);
    expect_map(site.mx2, "u@pool.example.com", only_second);
    world_redis("DEL mxw1:override:gw1.example.net:25");
    world_run(1000);
    expect_map(site.mx1, "u@pool.example.com", first);
    expect_map(site.mx2, "u@pool.example.com", first);
    site_close(&site);
}

static void drained_by_command_everywhere(void **state)
{
    struct site site = open_pool();

    (void)state;
    assert_non_null(
        strstr(world_control(site.mx1, "{\"command\": \"drain\", \"host\": \"gw1.example.net\"}"),
               "\"ok\""));
    world_run(1000);
    expect_map(site.mx1, "u@pool.example.com", only_second);
    expect_map(site.mx2, "u@pool.example.com", only_second);
    assert_non_null(
        strstr(world_control(site.mx2, "{\"command\": \"ready\", \"host\": \"gw1.example.net\"}"),
               "\"ok\""));
    world_run(1000);
    expect_map(site.mx1, "u@pool.example.com", first);
    site_close(&site);
}

static void nonsense_by_hand_changes_nothing(void **state)
{
    struct site site = open_pool();

    (void)state;
    world_redis("SET mxw1:override:gw1.example.net:25 drain");
    world_run(1000);
    expect_map(site.mx1, "u@pool.example.com", first);
    world_redis("DEL mxw1:override:gw1.example.net:25");
    world_redis("HSET mxw1:override:gw1.example.net:25 state nonsense weight 99999999999");
    world_run(1000);
    expect_map(site.mx1, "u@pool.example.com", first);
    site_close(&site);
}

static void everything_down_still_has_an_answer(void **state)
{
    struct site site = open_pool();

    (void)state;
    world_set_host("203.0.113.1", WORLD_SMTP_REFUSED, NULL);
    world_set_host("203.0.113.2", WORLD_SMTP_REFUSED, NULL);
    world_run(MINUTE);
    expect_map(site.mx1, "u@pool.example.com", first);
    world_set_dns(WORLD_DNS_SERVFAIL);
    world_set_redis(WORLD_REDIS_DOWN);
    world_run(30 * MINUTE);
    expect_map(site.mx1, "u@pool.example.com", first);
    expect_map(site.mx1, "*", "NOTFOUND ");
    site_close(&site);
}

/* Cold, with a silent DNS: the configured order, within the budget. */
static void pool_is_never_not_found(void **state)
{
    struct node *node;

    (void)state;
    world_open();
    world_set_dns(WORLD_DNS_SILENT);
    node = world_start("node = \"mx9.example.com\"\n" POOL, "192.0.2.90");
    expect_map(node, "u@pool.example.com", first);
    assert_in_range(world_took(), 0, 250);
    expect_map(node, "*", "NOTFOUND ");
    world_run(MINUTE);
    expect_map(node, "u@pool.example.com", first);
    world_stop(node);
    world_close();
}

/* Whatever stands before the '@'. */
static void odd_recipients_have_a_pool_too(void **state)
{
    struct site site = open_pool();
    char address[400];

    (void)state;
    memset(address, 'x', 300);
    strcpy(address + 300, "@pool.example.com");
    expect_map(site.mx1, address, first);
    expect_map(site.mx1, "\"open@pool.example.com", first);
    expect_map(site.mx1, "\xfc@pool.example.com", first); /* no UTF-8 */
    expect_map(site.mx1, "\"\x01\x7f\r\n\"@pool.example.com", first);
    expect_map(site.mx1, "u@pool.example.com\n", "NOTFOUND ");
    expect_map(site.mx1, "u@\xfcpool.example.com", "NOTFOUND ");
    expect_map(site.mx1, "u@pool.example.com@", "NOTFOUND ");
    site_close(&site);
}

/* What is in Redis is no proof: a route uses what this process resolved itself. */
static void poisoned_ordering_changes_no_route(void **state)
{
    struct site site = site_start(
        SITE_CONF("mx1.example.com", ""),
        SITE_CONF("mx2.example.com", "domain \"bulk.example.com\" { route = \"mx\" }\n"));
    char command[512];

    (void)state;
    world_set_mx("bulk.example.com", "10 a.example.net");
    world_set_addr("a.example.net", "203.0.113.1");
    world_run(MINUTE * 6);
    expect_map(site.mx2, "u@bulk.example.com", "OK smtp:[a.example.net]:25");
    world_set_dns(WORLD_DNS_SERVFAIL); /* or the true ordering would be put back at once */
    snprintf(command, sizeof command,
             "HSET mxw1:mx:bulk.example.com order 10\tevil.example state ok ttl 3600 changed 0 "
             "fetched %d "
             "expires %d",
             WORLD_START_UNIX + 1000, WORLD_START_UNIX + 9000);
    world_redis(command);
    snprintf(command, sizeof command,
             "HSET mxw1:addr:evil.example a [203.0.113.66] aaaa [2001:db8::66] state ok expires %d",
             WORLD_START_UNIX + 9000);
    world_redis(command);
    world_run(1000);
    expect_map(site.mx2, "u@bulk.example.com", "OK smtp:[a.example.net]:25");
    world_run(5 * MINUTE); /* what was resolved here has run out */
    expect_map(site.mx2, "u@bulk.example.com", "OK smtp:[a.example.net]:25");
    site_close(&site);
}

static void backup_sends_to_the_primary(void **state)
{
    struct site site =
        site_start(SITE_CONF("mx1.example.com", PRIMARY), SITE_CONF("mx2.example.com", PRIMARY));

    (void)state;
    world_set_mx("p.example.com", "10 mx1.example.com,20 mx2.example.com,30 mx3.example.com");
    world_set_addr("mx3.example.com", "192.0.2.30");
    world_run(6 * MINUTE);
    expect_map(site.mx2, "u@p.example.com", "OK smtp:[mx1.example.com]:25");
    expect_map(site.mx1, "u@p.example.com", "NOTFOUND ");
    world_set_host(MX1, WORLD_SMTP_REFUSED, site.mx1);
    world_run(MINUTE);
    expect_map(site.mx2, "u@p.example.com", "OK smtp:[mx1.example.com]:25");
    world_set_dns(WORLD_DNS_SERVFAIL);
    world_run(30 * MINUTE);
    expect_map(site.mx2, "u@p.example.com", "OK smtp:[mx1.example.com]:25");
    site_close(&site);
}

/* As long as the DNS does not say where this host is, it may be wherever it is not known by name. */
static void backup_that_does_not_know_itself(void **state)
{
    struct site site = {0};

    (void)state;
    world_open();
    site_zone();
    world_set_mx("p.example.com", "10 mx1.example.com,20 backup.example.com,30 c.example.net");
    world_set_addr("backup.example.com", MX2);
    world_set_addr("c.example.net", "203.0.113.3");
    world_set_addr("mx2.example.com", "fail");
    site.mx2 = world_start(SITE_CONF("mx2.example.com", PRIMARY), MX2);
    world_run(10000);
    expect_map(site.mx2, "u@p.example.com", "OK smtp:[mx1.example.com]:25");
    world_set_addr("mx2.example.com", MX2);
    world_run(MINUTE);
    expect_map(site.mx2, "u@p.example.com", "OK smtp:[mx1.example.com]:25");
    world_set_mx("p.example.com", "10 mx1.example.com,30 c.example.net");
    world_run(6 * MINUTE);
    expect_map(site.mx2, "u@p.example.com", "OK smtp:[mx1.example.com]:25, [c.example.net]:25");
    site_close(&site);
}

/* That there is no MX is a good answer, too. */
static void implicit_mx_is_remembered(void **state)
{
    struct site site = {0};

    (void)state;
    world_open();
    site_zone();
    world_set_mx("p.example.com", "none");
    world_set_addr("p.example.com", "203.0.113.5");
    site.mx2 = world_start(SITE_CONF("mx2.example.com", PRIMARY), MX2);
    world_run(2 * MINUTE);
    expect_map(site.mx2, "u@p.example.com", "OK smtp:[p.example.com]:25");
    world_set_dns(WORLD_DNS_SERVFAIL);
    world_run(60 * MINUTE);
    expect_map(site.mx2, "u@p.example.com", "OK smtp:[p.example.com]:25");
    site_close(&site);
}

static void null_mx_is_an_error_for_good(void **state)
{
    struct site site =
        site_start(SITE_CONF("mx1.example.com", "domain \"n.example.com\" { route = \"mx\" }\n"),
                   SITE_CONF("mx2.example.com", ""));

    (void)state;
    world_set_mx("n.example.com", "null");
    world_run(6 * MINUTE);
    expect_map(site.mx1, "u@n.example.com", "OK error:5.1.10 Domain does not accept mail");
    site_close(&site);
}

/* Nothing bounces for what nobody knows any more: the last that named hosts counts again. */
static void null_mx_that_expired_is_none(void **state)
{
    struct site site = site_start(
        SITE_CONF("mx1.example.com", PRIMARY),
        SITE_CONF("mx2.example.com", PRIMARY "domain \"n.example.com\" { route = \"mx\" }\n"));

    (void)state;
    world_set_mx("p.example.com", "10 mx1.example.com,20 mx2.example.com");
    world_run(6 * MINUTE);
    world_set_mx("p.example.com", "null");
    world_set_mx("n.example.com", "null");
    world_run(6 * MINUTE);
    expect_map(site.mx2, "u@p.example.com", "OK error:5.1.10 Domain does not accept mail");
    expect_map(site.mx2, "u@n.example.com", "OK error:5.1.10 Domain does not accept mail");
    world_set_dns(WORLD_DNS_SERVFAIL);
    world_run(8 * MINUTE); /* within stale, which is of PRIMARY */
    expect_map(site.mx2, "u@p.example.com", "OK smtp:[mx1.example.com]:25");
    expect_map(site.mx2, "u@n.example.com", "NOTFOUND ");
    site_close(&site);
}

/* What a domain's section says of what is below it, and of one address. */
static void sections_for_parents_and_addresses(void **state)
{
    struct site site =
        site_start(SITE_CONF("mx1.example.com", POOL),
                   SITE_CONF("mx2.example.com", POOL
                             "recipient_delimiter = \"+\"\n"
                             "domain \".Example.net\" { guard { mode = \"defer\" } }\n"
                             "domain \"x.example.net\" { guard { mode = \"off\" } }\n"
                             "domain \".deep.example.net\" { route = \"pool gateways\" }\n"
                             "domain \"Boss@sub.example.net\" { route = \"pool gateways\" }\n"));
    struct world_mail mail = stranger();

    (void)state;
    gateways();
    world_set_mx("*example.net", "10 mx1.example.com,20 mx2.example.com");
    world_run(2 * MINUTE);
    mail.recipient = "boss@sub.example.net"; /* its address has a route, and no guard of its own */
    expect_defer(site.mx2, &mail);
    mail.recipient = "u@x.example.net";
    expect_accept(site.mx2, &mail, "exempt-off");
    mail.recipient = "u@example.net";
    expect_accept(site.mx2, &mail, "unguarded");
    expect_map(site.mx2, "u@sub.example.net", "NOTFOUND ");
    expect_map(site.mx2, "\"boss\"@SUB.example.net", first);
    expect_map(site.mx2, "boss+x@sub.example.net", first);
    expect_map(site.mx2, "boss+x@deep.example.net", "NOTFOUND ");
    expect_map(site.mx2, "u@a.b.deep.example.net", first);
    site_close(&site);
}

int replay_route(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_are_not_found),
        cmocka_unit_test(pool_by_tier_and_health),
        cmocka_unit_test(drained_by_hand_everywhere),
        cmocka_unit_test(drained_by_command_everywhere),
        cmocka_unit_test(nonsense_by_hand_changes_nothing),
        cmocka_unit_test(everything_down_still_has_an_answer),
        cmocka_unit_test(pool_is_never_not_found),
        cmocka_unit_test(odd_recipients_have_a_pool_too),
        cmocka_unit_test(poisoned_ordering_changes_no_route),
        cmocka_unit_test(backup_sends_to_the_primary),
        cmocka_unit_test(backup_that_does_not_know_itself),
        cmocka_unit_test(implicit_mx_is_remembered),
        cmocka_unit_test(null_mx_is_an_error_for_good),
        cmocka_unit_test(null_mx_that_expired_is_none),
        cmocka_unit_test(sections_for_parents_and_addresses),
    };

    return cmocka_run_group_tests_name("replay-route", tests, NULL, NULL);
}
