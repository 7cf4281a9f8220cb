/*
 * Route srv: tiers, shares and ports from SRV records. And the survey, which keeps what the
 * configuration names resolved: that it is no burst, and never stands still.
 */
#include "tests/replay/replay.h"
#include "tests/replay/site.h"

#define SRV "domain \"srv.example.net\" { route = \"srv\" }\ndns { stale = 10m }\n"

static const char both[] = "OK smtp:[a.example.net]:2525, [b.example.net]:26";
static const char nothing[] = "NOTFOUND ";

static struct site open_srv(const char *records)
{
    struct site site = {0};

    world_open();
    site_zone();
    world_set_srv("srv.example.net", records);
    world_set_mx("srv.example.net", "10 mx.example.net");
    world_set_addr("a.example.net", "203.0.113.1");
    world_set_addr("b.example.net", "203.0.113.2");
    world_set_host("203.0.113.1", WORLD_SMTP_UP, NULL);
    world_set_host("203.0.113.2", WORLD_SMTP_UP, NULL);
    site.mx2 = world_start(SITE_CONF("mx2.example.com", SRV), MX2);
    world_run(2 * MINUTE);
    return site;
}

static void srv_by_priority_port_and_health(void **state)
{
    struct site site = open_srv("10 0 2525 a.example.net,20 0 26 b.example.net");
    const char *hosts = world_control(site.mx2, "{\"command\": \"hosts\"}");

    (void)state;
    assert_non_null(strstr(hosts, "2525"));
    assert_non_null(strstr(hosts, "b.example.net"));
    assert_null(strstr(hosts, "mx.example.net"));
    expect_map(site.mx2, "u@srv.example.net", both);
    world_set_host("203.0.113.1", WORLD_SMTP_REFUSED, NULL);
    world_run(20000);
    expect_map(site.mx2, "u@srv.example.net", "OK smtp:[b.example.net]:26, [a.example.net]:2525");
    world_redis("HSET mxw1:override:b.example.net:26 state drain");
    world_run(1000);
    expect_map(site.mx2, "u@srv.example.net", "OK smtp:[a.example.net]:2525");
    site_close(&site);
}

/* For ever, as of any configured domain. */
static void srv_last_good_answer_stays(void **state)
{
    struct site site = open_srv("10 0 2525 a.example.net,20 0 26 b.example.net");

    (void)state;
    world_set_dns(WORLD_DNS_SERVFAIL);
    world_run(60 * MINUTE);
    expect_map(site.mx2, "u@srv.example.net", both);
    world_set_dns(WORLD_DNS_ANSWERS);
    world_set_srv("srv.example.net", "10 0 26 b.example.net");
    world_run(3 * MINUTE);
    expect_map(site.mx2, "u@srv.example.net", "OK smtp:[b.example.net]:26");
    world_set_srv("srv.example.net", "none");
    world_run(3 * MINUTE);
    expect_map(site.mx2, "u@srv.example.net", nothing);
    site_close(&site);
}

static void srv_without_records_is_not_found(void **state)
{
    static const char *const records[] = {"none", "null", "nxdomain", "fail"};

    (void)state;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct site site = open_srv(records[i]);
        expect_map(site.mx2, "u@srv.example.net", nothing);
        site_close(&site);
    }
}

/* And nobody waits longer for it than the map's budget. */
static void srv_nothing_known_is_not_found(void **state)
{
    struct site site = {0};

    (void)state;
    world_open();
    world_set_dns(WORLD_DNS_SILENT);
    site.mx2 = world_start(SITE_CONF("mx2.example.com", SRV), MX2);
    expect_map(site.mx2, "u@srv.example.net", nothing);
    assert_in_range(world_took(), 0, 250);
    site_close(&site);
}

/* By address, whatever the port; only better tiers are named and watched. */
static void srv_never_names_this_host(void **state)
{
    struct site site =
        open_srv("10 0 2525 a.example.net,20 0 587 mx2.example.com,30 0 26 b.example.net");

    (void)state;
    expect_map(site.mx2, "u@srv.example.net", "OK smtp:[a.example.net]:2525");
    assert_null(strstr(world_control(site.mx2, "{\"command\": \"hosts\"}"), "b.example.net"));
    world_set_srv("srv.example.net", "10 0 587 mx2.example.com,20 0 26 b.example.net");
    world_run(3 * MINUTE);
    expect_map(site.mx2, "u@srv.example.net", nothing);
    site_close(&site);
}

/* By hand, in the unit of the records: "60" is what 60 there is. */
static void srv_weight_by_hand(void **state)
{
    struct site site = open_srv("10 60 25 a.example.net,10 40 25 b.example.net");
    char before[20][256], address[64];

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        snprintf(address, sizeof address, "transport user%u@srv.example.net", i);
        snprintf(before[i], sizeof before[i], "%s", world_map(site.mx2, address));
    }
    world_redis("HSET mxw1:override:a.example.net:25 weight 60");
    world_run(1000);
    for (unsigned i = 0; i < 20; i++) {
        snprintf(address, sizeof address, "transport user%u@srv.example.net", i);
        assert_string_equal(world_map(site.mx2, address), before[i]);
    }
    site_close(&site);
}

/* Whoever owns a zone may name our own hosts, and any port. */
static void srv_of_strangers_chooses_no_port(void **state)
{
    static const char conf[] = SITE_CONF("mx4.example.com", "match \"gw*\" { route = \"srv\" }\n");
    struct site site = site_start(SITE_CONF("mx1.example.com", ""), conf);
    const char *hosts;

    (void)state;
    world_set_mx("x.example.org", "10 gw.example.org");
    world_set_srv("x.example.org", "10 0 9999 in1.example.org,20 0 25 in2.example.org");
    world_set_addr("gw.example.org", "203.0.113.80");
    world_set_addr("in1.example.org", MX1);
    world_set_addr("in2.example.org", MX1);
    expect_map(site.mx2, "u@x.example.org", "OK smtp:[in1.example.org]:9999, [in2.example.org]:25");
    world_run(MINUTE);
    hosts = world_control(site.mx2, "{\"command\": \"hosts\"}");
    assert_non_null(strstr(hosts, MX1));
    assert_null(strstr(hosts, "9999"));
    site_close(&site);
}

static void srv_by_match(void **state)
{
    static const char conf[] = SITE_CONF("mx2.example.com", "match \"gw*\" { route = \"srv\" }\n");
    struct site site = {0};

    (void)state;
    world_open();
    site_zone();
    world_set_mx("*.example.org", "10 gw.example.org");
    world_set_srv("*.example.org", "10 0 2525 a.example.net");
    world_set_addr("*.example.org", "203.0.113.80");
    world_set_addr("a.example.net", "203.0.113.1");
    site.mx2 = world_start(conf, MX2);
    world_set_mx("own.example.net", "10 gw.example.net,20 mx2.example.com");
    world_set_srv("own.example.net", "10 0 2525 a.example.net");
    world_set_addr("gw.example.net", "203.0.113.81");
    expect_map(site.mx2, "u@x.example.org", "OK smtp:[a.example.net]:2525");
    expect_map(site.mx2, "u@own.example.net", nothing);
    site_close(&site);
}

/* --- the survey --------------------------------------------------------------------------------- */

enum { MANY = 600 };

/* As many domains with a route, and a pool. */
static void write_many(char *out, size_t size)
{
    size_t length = (size_t)snprintf(
        out, size,
        SITE_CONF("mx2.example.com",
                  "domain \"pool.example.com\" { route = \"pool p\" }\n"
                  "pool \"p\" { tier \"10\" { host \"gw1.example.net\" { } } }\n"));

    for (unsigned i = 0; i < MANY; i++)
        length += (size_t)snprintf(out + length, size - length,
                                   "domain \"d%u.many.example.net\" { route = \"mx\" }\n", i);
    assert_true(length < size);
}

static struct node *start_many(void)
{
    static char conf[MANY * 80];

    world_open();
    site_zone();
    world_set_addr("gw1.example.net", "203.0.113.1");
    world_set_mx("*.many.example.net", "10 mx.many.example.net");
    world_set_addr("mx.many.example.net", "203.0.113.9");
    write_many(conf, sizeof conf);
    return world_start(conf, MX2);
}

/* Names that take long are waited for side by side, and not all at once; the pool's come first. */
static void survey_is_no_burst(void **state)
{
    struct node *node;

    (void)state;
    world_open();
    world_close();
    node = start_many();
    expect_map(node, "u@pool.example.com", "OK smtp:[gw1.example.net]:25");
    world_run(10000);
    assert_in_range(world_dns_queries(), MANY, 2 * MANY);
    assert_in_range(world_dns_peak(), 16, 200);
    world_set_dns(WORLD_DNS_SERVFAIL);
    world_run(30 * MINUTE); /* and every domain's answer is kept */
    expect_map(node, "u@d0.many.example.net", "OK smtp:[mx.many.example.net]:25");
    expect_map(node, "u@d599.many.example.net", "OK smtp:[mx.many.example.net]:25");
    world_stop(node);
    world_close();
}

/* A resolver that says nothing slows it down, and stops nothing: every domain has its turn. */
static void survey_goes_on_in_silence(void **state)
{
    struct node *node;
    unsigned queries;

    (void)state;
    node = start_many();
    world_set_dns(WORLD_DNS_SILENT);
    world_run(10 * MINUTE);
    queries = world_dns_queries();
    world_run(MINUTE);
    assert_in_range(world_dns_queries() - queries, 300, 6000);
    assert_in_range(world_dns_peak(), 16, 500);
    world_set_dns(WORLD_DNS_ANSWERS);
    world_run(MINUTE);
    expect_map(node, "u@d599.many.example.net", "OK smtp:[mx.many.example.net]:25");
    world_stop(node);
    world_close();
}

/* A reload in the middle of it. */
static void survey_begins_anew(void **state)
{
    struct node *node;

    (void)state;
    node = start_many();
    world_set_dns_latency(500);
    world_run(5000);
    world_reload(node, SITE_CONF("mx2.example.com", SRV));
    world_set_dns_latency(5);
    world_set_srv("srv.example.net", "10 0 2525 mx.many.example.net");
    world_run(5000);
    expect_map(node, "u@srv.example.net", "OK smtp:[mx.many.example.net]:2525");
    assert_in_range(world_took(), 0, 1);
    world_stop(node);
    world_close();
}

int replay_srv(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(srv_by_priority_port_and_health),
        cmocka_unit_test(srv_last_good_answer_stays),
        cmocka_unit_test(srv_without_records_is_not_found),
        cmocka_unit_test(srv_nothing_known_is_not_found),
        cmocka_unit_test(srv_never_names_this_host),
        cmocka_unit_test(srv_weight_by_hand),
        cmocka_unit_test(srv_of_strangers_chooses_no_port),
        cmocka_unit_test(srv_by_match),
        cmocka_unit_test(survey_is_no_burst),
        cmocka_unit_test(survey_goes_on_in_silence),
        cmocka_unit_test(survey_begins_anew),
    };

    return cmocka_run_group_tests_name("replay-srv", tests, NULL, NULL);
}
