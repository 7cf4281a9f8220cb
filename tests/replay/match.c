/*
 * Match sections: routes for domains that nobody configured, by the names of their MX hosts.
 */
#include "tests/replay/replay.h"
#include "tests/replay/site.h"

#define MATCH                                                                                      \
    "domain \"own.example.net\" { route = \"mx\" }\n"                                              \
    "match \"*.mail.example.net\" { route = \"pool gateways\" }\n"                                 \
    "pool \"gateways\" { tier \"10\" { host \"gw1.example.net\" { } } }\n"                         \
    "dns { stale = 1h }\n"

static const char pool[] = "OK smtp:[gw1.example.net]:25";
static const char nothing[] = "NOTFOUND ";

static void zone(void)
{
    world_set_addr("gw1.example.net", "203.0.113.1");
    world_set_host("203.0.113.1", WORLD_SMTP_UP, NULL);
    world_set_mx("own.example.net", "10 mx.own.example.net");
    world_set_mx("hosted*.example.org", "10 gw.mail.example.net");
    world_set_mx("other*.example.org", "10 mx.example.org,20 gw.mail.example.net");
    world_set_addr("*.example.org", "203.0.113.80");
    world_set_addr("*.mail.example.net", "203.0.113.81");
    world_set_addr("mx.own.example.net", "203.0.113.82");
}

/* more: further lines. Two minutes: everything of the configuration is known. */
static struct site open_match(const char *more)
{
    char conf[2048];
    struct site site = {0};

    world_open();
    site_zone();
    zone();
    snprintf(conf, sizeof conf, SITE_CONF("mx2.example.com", "") "%s%s", MATCH, more);
    site.mx2 = world_start(conf, MX2);
    world_run(2 * MINUTE);
    return site;
}

static void by_the_best_host(void **state)
{
    struct site site = open_match("");
    unsigned queries;

    (void)state;
    expect_map(site.mx2, "u@hosted.example.org", pool);
    expect_map(site.mx2, "U@HOSTED.example.org", pool);
    expect_map(site.mx2, "u@other.example.org", nothing);
    expect_map(site.mx2, "u@gone.example.com", nothing);
    expect_map(site.mx2, "u@own.example.net", "OK smtp:[mx.own.example.net]:25");
    expect_map(site.mx2, "*", nothing);
    queries = world_dns_queries();
    expect_map(site.mx2, "v@hosted.example.org", pool);
    expect_map(site.mx2, "v@other.example.org", nothing);
    expect_map(site.mx2, "v@gone.example.com", nothing);
    assert_int_equal(world_dns_queries(), queries); /* warm */
    site_close(&site);
}

/* Not even the hosts of a domain that was matched: nobody can aim our probes. */
static void strangers_are_not_probed(void **state)
{
    struct site site = open_match("match \"*\" { route = \"mx\" }\n");
    const char *hosts;

    (void)state;
    expect_map(site.mx2, "u@hosted.example.org", pool);
    expect_map(site.mx2, "u@other.example.org",
               "OK smtp:[mx.example.org]:25, [gw.mail.example.net]:25");
    world_run(2 * MINUTE);
    hosts = world_control(site.mx2, "{\"command\": \"hosts\"}");
    assert_non_null(strstr(hosts, "gw1.example.net"));
    assert_null(strstr(hosts, "example.org"));
    assert_null(strstr(hosts, "gw.mail.example.net"));
    site_close(&site);
}

/* But the site's own are, under the domains of strangers too. */
static void live_nodes_are_probed(void **state)
{
    struct site site = site_start(
        SITE_CONF("mx1.example.com", ""),
        SITE_CONF("mx4.example.com", "domain \"*\" { route = \"mx\" guard { mode = \"off\" } }\n"));

    (void)state;
    world_set_mx("x.example.org", "10 in1.example.com,20 b.example.org");
    world_set_addr("in1.example.com", MX1);
    world_set_addr("b.example.org", "203.0.113.90");
    expect_map(site.mx2, "u@x.example.org", "OK smtp:[in1.example.com]:25, [b.example.org]:25");
    world_set_host(MX1, WORLD_SMTP_REFUSED, site.mx1);
    world_run(MINUTE); /* b refuses connections all the time, and nobody knows */
    expect_map(site.mx2, "u@x.example.org", "OK smtp:[b.example.org]:25, [in1.example.com]:25");
    world_redis("HSET mxw1:override:b.example.org:25 state drain");
    world_redis("HSET mxw1:override:in1.example.com:25 state drain");
    world_run(1000);
    expect_map(site.mx2, "u@x.example.org", "OK smtp:[b.example.org]:25");
    site_close(&site);
}

/* The look-up goes on behind an answer that could not wait for it. */
static void slow_answer_is_for_the_next_time(void **state)
{
    struct site site = open_match("");

    (void)state;
    world_set_dns_latency(400);
    expect_map(site.mx2, "u@hosted.example.org", nothing);
    assert_in_range(world_took(), 150, 250);
    world_run(1000);
    expect_map(site.mx2, "u@hosted.example.org", pool); /* its addresses are still on their way */
    assert_in_range(world_took(), 150, 250);
    world_run(1000);
    expect_map(site.mx2, "u@hosted.example.org", pool);
    assert_in_range(world_took(), 0, 10);
    site_close(&site);
}

static void unknown_is_for_the_rest(void **state)
{
    struct site site = open_match("domain \"*\" { route = \"pool rest\" }\n"
                                  "pool \"rest\" { tier \"10\" { host \"192.0.2.99\" { } } }\n");

    (void)state;
    expect_map(site.mx2, "u@other.example.org", "OK smtp:[192.0.2.99]:25");
    world_set_dns(WORLD_DNS_SILENT);
    expect_map(site.mx2, "u@hosted.example.org", "OK smtp:[192.0.2.99]:25");
    assert_in_range(world_took(), 150, 250);
    site_close(&site);
}

/* What was known of a domain serves while the DNS is away. */
static void dns_is_away(void **state)
{
    struct site site = open_match("");

    (void)state;
    expect_map(site.mx2, "u@hosted.example.org", pool);
    world_set_dns(WORLD_DNS_SERVFAIL);
    world_run(30 * MINUTE);
    expect_map(site.mx2, "u@hosted.example.org", pool);
    expect_map(site.mx2, "u@hosted2.example.org", nothing);
    world_run(60 * MINUTE);
    expect_map(site.mx2, "u@hosted.example.org", nothing); /* longer than dns.stale */
    expect_map(site.mx2, "u@own.example.net", "OK smtp:[mx.own.example.net]:25");
    site_close(&site);
}

/* Mail that is for this host, or comes back to it from wherever a pool sends it. */
static void own_mail_is_left_alone(void **state)
{
    struct site site = open_match("match \"*\" { route = \"pool gateways\" }\n");

    (void)state;
    world_set_mx("here.example.org", "10 mx2.example.com");
    world_set_mx("backup.example.org", "10 gw.mail.example.net,20 mx2.example.com");
    world_set_mx("alias.example.org", "10 gw.mail.example.net,20 in.example.org");
    world_set_addr("in.example.org", "203.0.113.99");
    expect_map(site.mx2, "u@here.example.org", nothing);
    expect_map(site.mx2, "u@backup.example.org", nothing);
    expect_map(site.mx2, "u@other.example.org", pool);
    expect_map(site.mx2, "u@alias.example.org", pool);
    site_close(&site);
    site = open_match("own = {\"203.0.113.99\"}\nmatch \"*\" { route = \"pool gateways\" }\n");
    world_set_mx("alias.example.org", "10 gw.mail.example.net,20 in.example.net");
    world_set_addr("in.example.net", "203.0.113.99");
    expect_map(site.mx2, "u@alias.example.org", nothing);
    site_close(&site);
}

/* What is in Redis is no proof. */
static void poisoned_ordering_matches_nothing(void **state)
{
    struct site site = open_match("");
    char command[512];

    (void)state;
    snprintf(
        command, sizeof command,
        "HSET mxw1:mx:other9.example.org order 10\tgw.mail.example.net state ok ttl 3600 changed 0 "
        "fetched %d expires %d",
        WORLD_START_UNIX, WORLD_START_UNIX + 9000);
    world_redis(command);
    world_run(1000);
    expect_map(site.mx2, "u@other9.example.org", nothing);
    site_close(&site);
}

enum { FLOOD = 700 };

/* One question on each of many connections, for a domain that nobody asked for before. */
static void flood(struct node *node, struct peer *peer[FLOOD])
{
    char payload[128], frame[160];

    for (int i = 0; i < FLOOD; i++) {
        snprintf(payload, sizeof payload, "transport u@flood%d.example.org", i);
        snprintf(frame, sizeof frame, "%zu:%s,", strlen(payload), payload);
        peer[i] = world_connect(node, "socketmap");
        world_ask(peer[i], frame, strlen(frame), false);
    }
}

/* However many names are invented, while the DNS says nothing: their look-ups are bounded, the
 * configured domain answers at once, and is kept known. */
static void flood_of_domains(void **state)
{
    static struct peer *peer[FLOOD];
    struct site site = open_match("");

    (void)state;
    world_set_dns(WORLD_DNS_SILENT);
    world_run(1000);
    flood(site.mx2, peer);
    world_run(20);
    assert_in_range(world_dns_peak(), 450, 550);
    expect_map(site.mx2, "u@own.example.net", "OK smtp:[mx.own.example.net]:25");
    assert_in_range(world_took(), 0, 10);
    world_run(400);
    expect_map(site.mx2, "u@hosted.example.org", nothing); /* no room for one more */
    assert_in_range(world_took(), 0, 10);
    for (int i = 0; i < FLOOD; i++)
        world_disconnect(peer[i]);
    world_set_dns(WORLD_DNS_ANSWERS);
    world_run(2000);
    expect_map(site.mx2, "u@hosted.example.org", pool);
    site_close(&site);
}

int replay_match(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_the_best_host),
        cmocka_unit_test(strangers_are_not_probed),
        cmocka_unit_test(live_nodes_are_probed),
        cmocka_unit_test(slow_answer_is_for_the_next_time),
        cmocka_unit_test(unknown_is_for_the_rest),
        cmocka_unit_test(dns_is_away),
        cmocka_unit_test(own_mail_is_left_alone),
        cmocka_unit_test(poisoned_ordering_matches_nothing),
        cmocka_unit_test(flood_of_domains),
    };

    return cmocka_run_group_tests_name("replay-match", tests, NULL, NULL);
}
