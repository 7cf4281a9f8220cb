/*
 * Health over time, as routes show it: slow start, damping, spill, and what nodes tell each other.
 * Tier 10 is gw1 and gw2 in equal shares, tier 20 backup.
 */
#include "tests/replay/replay.h"
#include "tests/replay/site.h"

#define POOL(keys)                                                                                 \
    "domain \"pool.example.com\" { route = \"pool gateways\" }\n"                                  \
    "pool \"gateways\" {" keys "\n"                                                                \
    "    tier \"10\" { host \"gw1.example.net\" { } host \"gw2.example.net\" { } }\n"              \
    "    tier \"20\" { host \"backup.example.net\" { } }\n"                                        \
    "}\n"

#define GW1 "203.0.113.1"
#define GW2 "203.0.113.2"

enum { RECIPIENTS = 500 };

static struct site open_pool(const char *conf1, const char *conf2)
{
    struct site site;

    world_open();
    site_zone();
    world_set_addr("gw1.example.net", GW1);
    world_set_addr("gw2.example.net", GW2);
    world_set_addr("backup.example.net", "203.0.113.3");
    world_set_host(GW1, WORLD_SMTP_UP, NULL);
    world_set_host(GW2, WORLD_SMTP_UP, NULL);
    world_set_host("203.0.113.3", WORLD_SMTP_UP, NULL);
    site.mx1 = world_start(conf1, MX1);
    site.mx2 = world_start(conf2, MX2);
    return site;
}

static struct site open_plain(void)
{
    return open_pool(SITE_CONF("mx1.example.com", POOL("")),
                     SITE_CONF("mx2.example.com", POOL("")));
}

/* How many of the recipients a host is named first for. */
static unsigned count_first(struct node *node, const char *host)
{
    char request[80], wanted[80];
    unsigned count = 0;

    snprintf(wanted, sizeof wanted, "OK smtp:[%s]", host);
    for (unsigned i = 0; i < RECIPIENTS; i++) {
        snprintf(request, sizeof request, "transport u%u@pool.example.com", i);
        if (strncmp(world_map(node, request), wanted, strlen(wanted)) == 0)
            count++;
    }
    return count;
}

/* Of 500 drawn with probability p, one in 10,000 lies further away than this. */
static void expect_share(struct node *node, const char *host, unsigned percent)
{
    unsigned got = count_first(node, host), wanted = RECIPIENTS * percent / 100;

    if (got + 45 < wanted || got > wanted + 45 || (!percent && got))
        fail_msg("%s: %u of %d, wanted %u", host, got, RECIPIENTS, wanted);
}

static void lose(const char *addr)
{
    world_set_host(addr, WORLD_SMTP_REFUSED, NULL);
    world_run(20000);
}

static void give_back(const char *addr)
{
    world_set_host(addr, WORLD_SMTP_UP, NULL);
    world_run(10000); /* two good probes, five seconds apart */
}

static void starts_with_whole_shares(void **state)
{
    struct site site = open_plain();

    (void)state;
    world_run(2000);
    expect_share(site.mx1, "gw1.example.net", 50);
    expect_share(site.mx2, "gw2.example.net", 50);
    site_close(&site);
}

/* A host that was away for a moment when this daemon began: no slow start for it. */
static void no_slow_start_at_our_own(void **state)
{
    struct site site = open_plain();

    (void)state;
    lose(GW1);
    expect_share(site.mx1, "gw1.example.net", 0);
    give_back(GW1);
    expect_share(site.mx1, "gw1.example.net", 50);
    site_close(&site);
}

static void comes_back_slowly(void **state)
{
    struct site site = open_plain();
    unsigned last = 0;

    (void)state;
    world_run(15 * MINUTE);
    lose(GW1);
    expect_share(site.mx1, "gw1.example.net", 0);
    expect_share(site.mx1, "gw2.example.net", 100);
    give_back(GW1);
    for (unsigned i = 0; i < 14; i++) {
        unsigned now = count_first(site.mx1, "gw1.example.net");
        assert_true(now >= last);
        if (i == 0)
            assert_in_range(now, 1, RECIPIENTS / 5);
        last = now;
        world_run(5000);
    }
    expect_share(site.mx1, "gw1.example.net", 50);
    site_close(&site);
}

static void no_slow_start_where_none_is_wanted(void **state)
{
    struct site site =
        open_pool(SITE_CONF("mx1.example.com", POOL("") "health { slow_start = 0 }\n"),
                  SITE_CONF("mx2.example.com", POOL("")));

    (void)state;
    world_run(15 * MINUTE);
    lose(GW1);
    give_back(GW1);
    expect_share(site.mx1, "gw1.example.net", 50);
    expect_share(site.mx2, "gw1.example.net", 9);
    site_close(&site);
}

static void flapping_host_is_held_out(void **state)
{
    struct site site = open_plain();

    (void)state;
    world_run(15 * MINUTE);
    lose(GW1);
    give_back(GW1);
    world_run(MINUTE); /* one restart is no flap */
    expect_share(site.mx1, "gw1.example.net", 50);
    lose(GW1);
    give_back(GW1);
    assert_non_null(strstr(world_log(site.mx1), "flapping host=gw1.example.net:25 flaps=1"));
    expect_share(site.mx1, "gw1.example.net", 0); /* it is up, and not trusted */
    expect_share(site.mx1, "gw2.example.net", 100);
    assert_non_null(strstr(world_control(site.mx1, "{\"command\": \"hosts\"}"), "held_until\":18"));
    assert_non_null(strstr(
        world_control(site.mx1, "{\"command\": \"route\", \"address\": \"u@pool.example.com\"}"),
        "\"held\":true,\"load\":100}"));
    world_run(30000);
    assert_true(count_first(site.mx1, "gw1.example.net") > 0);
    world_run(MINUTE);
    expect_share(site.mx1, "gw1.example.net", 50);
    lose(GW1);
    give_back(GW1);
    world_run(50000); /* its second flap costs a minute */
    expect_share(site.mx1, "gw1.example.net", 0);
    world_run(20000);
    assert_true(count_first(site.mx1, "gw1.example.net") > 0);
    site_close(&site);
}

/* Nothing else is usable, or an operator knows better: then nobody is held out. */
static void hold_ends_when_needed(void **state)
{
    struct site site = open_plain();

    (void)state;
    world_run(15 * MINUTE);
    for (int i = 0; i < 3; i++) {
        lose(GW1);
        give_back(GW1);
    }
    expect_share(site.mx1, "gw1.example.net", 0);
    world_redis("HSET mxw1:override:gw1.example.net:25 state ready");
    world_run(1000);
    assert_true(count_first(site.mx1, "gw1.example.net") > 0);
    world_redis("DEL mxw1:override:gw1.example.net:25");
    world_run(1000);
    expect_share(site.mx1, "gw1.example.net", 0);
    lose(GW2);
    expect_share(site.mx1, "gw1.example.net", 100);
    expect_share(site.mx1, "backup.example.net", 0);
    site_close(&site);
}

static void half_a_tier_spills(void **state)
{
    struct site site = open_pool(SITE_CONF("mx1.example.com", POOL("spill = \"proportional\"")),
                                 SITE_CONF("mx2.example.com", POOL("spill = \"proportional\"")));

    (void)state;
    world_run(15 * MINUTE);
    expect_share(site.mx1, "backup.example.net", 0);
    lose(GW1);
    expect_share(site.mx1, "gw1.example.net", 0);
    expect_share(site.mx1, "gw2.example.net", 70);
    expect_share(site.mx1, "backup.example.net", 30);
    assert_int_equal(count_first(site.mx1, "backup.example.net"),
                     count_first(site.mx2, "backup.example.net"));
    lose(GW2);
    expect_share(site.mx1, "backup.example.net", 100);
    give_back(GW1);
    give_back(GW2);
    world_run(2 * MINUTE);
    expect_share(site.mx1, "gw1.example.net", 50);
    expect_share(site.mx1, "backup.example.net", 0);
    world_redis("HSET mxw1:override:gw1.example.net:25 state drain");
    world_run(1000);
    expect_share(site.mx1, "gw2.example.net", 70);
    expect_share(site.mx1, "backup.example.net", 30);
    site_close(&site);
}

/* Before its own first probe has ended, and when it cannot probe at all. */
static void others_results_stand_in(void **state)
{
    struct site site = open_plain();

    (void)state;
    world_run(15 * MINUTE);
    world_set_host(GW1, WORLD_SMTP_SILENT, NULL);
    world_run(MINUTE);
    world_kill(site.mx2);
    site.mx2 = world_start(SITE_CONF("mx9.example.com", POOL("")), "192.0.2.90");
    world_run(1000); /* its first probe takes twelve seconds */
    expect_share(site.mx2, "gw1.example.net", 0);
    world_set_probing(site.mx2, false);
    give_back(GW1);
    world_run(2 * MINUTE);
    expect_share(site.mx1, "gw1.example.net", 50);
    expect_share(site.mx2, "gw1.example.net", 50);
    lose(GW1);
    expect_share(site.mx2, "gw1.example.net", 0);
    give_back(GW1);
    world_run(30000);
    assert_true(count_first(site.mx2, "gw1.example.net") > 0);
    site_close(&site);
}

/* gw1 moves: that its old address still answers says nothing. */
static void old_address_counts_no_more(void **state)
{
    struct site site = open_plain();

    (void)state;
    world_run(15 * MINUTE);
    world_set_host("203.0.113.77", WORLD_SMTP_REFUSED, NULL);
    world_set_addr("gw1.example.net", "203.0.113.77");
    world_run(6 * MINUTE); /* the old record's TTL is five minutes */
    expect_share(site.mx1, "gw1.example.net", 0);
    assert_null(strstr(world_control(site.mx1, "{\"command\": \"hosts\"}"), "[" GW1 "]"));
    site_close(&site);
}

int replay_health(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_with_whole_shares),
        cmocka_unit_test(no_slow_start_at_our_own),
        cmocka_unit_test(comes_back_slowly),
        cmocka_unit_test(no_slow_start_where_none_is_wanted),
        cmocka_unit_test(flapping_host_is_held_out),
        cmocka_unit_test(hold_ends_when_needed),
        cmocka_unit_test(half_a_tier_spills),
        cmocka_unit_test(others_results_stand_in),
        cmocka_unit_test(old_address_counts_no_more),
    };

    return cmocka_run_group_tests_name("replay-health", tests, NULL, NULL);
}
