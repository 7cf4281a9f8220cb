/*
 * What the cache promises: one question to the DNS for many askers, here and on several nodes; names
 * in use that are never cold; answers that come too late, and serve those who ask later; no more than
 * one round trip to Redis in the way of who is accepted.
 */
#include "tests/replay/replay.h"
#include "tests/replay/site.h"

#define STARS "domain \"*\" { guard { mode = \"defer\" } }\n"

enum { HERD = 2000 };

static struct site open_stars(void)
{
    struct site site =
        site_start(SITE_CONF("mx1.example.com", STARS), SITE_CONF("mx2.example.com", STARS));

    world_set_mx("cold.example.net", "10 mx1.example.com,20 mx2.example.com");
    return site;
}

static struct world_mail to_cold(void)
{
    struct world_mail mail = stranger();

    mail.recipient = "u@cold.example.net";
    return mail;
}

/* The same question on each of many connections, with nothing in between. */
static void ask_all(struct node *node, struct peer **peer, size_t count)
{
    static const char question[] = "request=smtpd_access_policy\nprotocol_state=RCPT\n"
                                   "client_address=198.51.100.7\nclient_name=unknown\n"
                                   "helo_name=h.example.org\nsender=a@example.org\n"
                                   "recipient=u@cold.example.net\nserver_address=" MX2 "\n"
                                   "server_port=25\n\n";

    for (size_t i = 0; i < count; i++) {
        peer[i] = world_connect(node, "policy");
        world_ask(peer[i], question, sizeof question - 1, false);
    }
}

static void hang_up(struct peer **peer, size_t count)
{
    for (size_t i = 0; i < count; i++)
        world_disconnect(peer[i]);
}

static void one_query_for_two_thousand(void **state)
{
    static struct peer *peer[HERD];
    struct site site = open_stars();
    unsigned queries;

    (void)state;
    world_set_dns_latency(100);
    world_run(1000);
    queries = world_dns_queries();
    ask_all(site.mx2, peer, HERD);
    world_run(300);
    assert_in_range(world_dns_queries() - queries, 1, 1);
    hang_up(peer, HERD);
    site_close(&site);
}

/* Both nodes find the name cold; the later one waits for what the other writes. */
static void one_query_for_two_nodes(void **state)
{
    struct peer *peer[2];
    struct site site = open_stars();
    unsigned queries;

    (void)state;
    world_set_dns_latency(100);
    world_run(1000);
    queries = world_dns_queries();
    ask_all(site.mx1, &peer[0], 1);
    world_run(10);
    ask_all(site.mx2, &peer[1], 1);
    world_run(150);
    assert_int_equal(world_dns_queries() - queries, 1);
    assert_string_equal(world_redis("HGET mxw1:mx:cold.example.net state"), "ok");
    assert_false(world_has_key("mxw1:lease:*"));
    queries = world_dns_queries();
    expect_defer(site.mx2, &(struct world_mail){.client = "198.51.100.8",
                                                .helo = "h2.example.org",
                                                .sender = "b@example.org",
                                                .recipient = "u@cold.example.net",
                                                .listener = MX2});
    assert_int_equal(world_dns_queries(), queries);
    hang_up(peer, 2);
    site_close(&site);
}

/* Who has the lease is gone: the other asks when it is over, within its budget. */
static void a_lease_of_a_dead_node(void **state)
{
    struct site site = open_stars();
    struct world_mail mail = to_cold();

    (void)state;
    world_redis("SET mxw1:lease:mx:cold.example.net 1 PX 60000");
    expect_defer(site.mx2, &mail);
    assert_in_range(world_took(), 500, 1000);
    site_close(&site);
}

static void an_answer_after_its_time(void **state)
{
    struct site site = open_stars();
    struct world_mail mail = to_cold();
    unsigned queries;

    (void)state;
    world_set_dns_latency(3000);
    queries = world_dns_queries();
    expect_accept(site.mx2, &mail, "dns-fail");
    assert_in_range(world_took(), 900, 1500);
    world_run(3500);
    assert_in_range(world_dns_queries() - queries, 1, 3); /* survey's own among them */
    world_set_dns(WORLD_DNS_SERVFAIL);
    queries = world_dns_queries();
    expect_defer(site.mx2, &mail);
    assert_int_equal(world_dns_queries(), queries);
    site_close(&site);
}

/* Asked for all the time, it is never waited for, though each look-up takes a while; and at the price
 * of about one look-up a minute, its TTL, beside those that the nodes make anyway. */
static void in_use_is_never_cold(void **state)
{
    struct site site = open_stars();
    struct world_mail mail = to_cold();
    unsigned queries[3];

    (void)state;
    world_rcpt(site.mx2, &mail);
    world_set_dns_latency(700);
    queries[0] = world_dns_queries();
    world_run(10 * MINUTE);
    world_rcpt(site.mx2, &mail);
    queries[1] = world_dns_queries();
    for (int i = 0; i < 300; i++) {
        world_run(2000);
        mail.instance = i % 2 ? "m1" : "m2";
        world_rcpt(site.mx2, &mail);
        assert_in_range(world_took(), 0, 300); /* a refusal looks twice */
    }
    queries[2] = world_dns_queries();
    assert_in_range(queries[2] - queries[1], queries[1] - queries[0], queries[1] - queries[0] + 25);
    site_close(&site);
}

/* Accepted by evidence: one look into Redis, however slow that is. */
static void one_round_trip(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_visit(site.mx1, &(struct world_mail){.client = mail.client, .listener = MX1});
    world_run(1000);
    world_set_redis_latency(60);
    expect_accept(site.mx2, &mail, "seen");
    assert_in_range(world_took(), 0, 65);
    site_close(&site);
}

/* So is a retry, which that look finds refused before: here, and at a node that only Redis told. */
static void one_round_trip_for_a_retry(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    for (int i = 0; i < 2; i++) {
        expect_defer(site.mx2, &mail);
        if (i == 1) {
            world_kill(site.mx2);
            site.mx2 = world_start(SITE_CONF("mx2.example.com", ""), MX2);
            world_set_host(MX2, WORLD_SMTP_UP, site.mx2);
            world_run(8000);
        }
        mail.instance = "2";
        world_set_redis_latency(60);
        expect_accept(site.mx2, &mail, "yielded");
        assert_in_range(world_took(), 55, 65);
        world_set_redis_latency(0);
        mail = (struct world_mail){.client = "203.0.113.9",
                                   .name = "mail.example.org",
                                   .helo = "mail.example.org",
                                   .sender = "b@example.org",
                                   .recipient = mail.recipient,
                                   .listener = MX2};
    }
    site_close(&site);
}

/* A client that invents domains: a hundred, and then one a minute, are looked up; the rest cannot be
 * told. The domains of others are none of that. */
static void invented_domains_are_few(void **state)
{
    struct site site = open_stars();
    struct world_mail mail = stranger();
    unsigned queries = world_dns_queries(), asked;
    char recipient[64];

    (void)state;
    for (int i = 0; i < 300; i++) {
        snprintf(recipient, sizeof recipient, "u@d%d.invented.example", i);
        mail.recipient = recipient;
        assert_string_equal(world_rcpt(site.mx2, &mail), "DUNNO");
        assert_string_equal(world_reason(site.mx2), i < 100 ? "dns-nxdomain" : "dns-fail");
    }
    asked = world_dns_queries() - queries;
    assert_in_range(asked, 100, 130); /* the survey's among them */
    assert_in_range(world_ttl("mxw1:mx:d1.invented.example"), 1, 60);
    mail = to_cold();
    expect_accept(site.mx2, &mail, "dns-fail"); /* on the same account */
    mail.client = "203.0.113.7";
    expect_defer(site.mx2, &mail);
    mail = stranger();
    expect_defer(site.mx2, &mail); /* a domain that is configured */
    site_close(&site);
}

int replay_cache(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_query_for_two_thousand),
        cmocka_unit_test(one_query_for_two_nodes),
        cmocka_unit_test(a_lease_of_a_dead_node),
        cmocka_unit_test(an_answer_after_its_time),
        cmocka_unit_test(in_use_is_never_cold),
        cmocka_unit_test(invented_domains_are_few),
        cmocka_unit_test(one_round_trip),
        cmocka_unit_test(one_round_trip_for_a_retry),
    };

    return cmocka_run_group_tests_name("replay-cache", tests, NULL, NULL);
}
