/*
 * Queues that are flushed: when, and how often, and what a restart makes of it.
 */
#include "tests/replay/replay.h"
#include "tests/replay/site.h"

#define FLUSH   "flush = \"127.0.0.1:25\" "
#define PRIMARY "domain \"q.example.com\" { route = \"primary\" " FLUSH "}\n"
#define OFF     "domain \"off.example.com\" { guard { mode = \"off\" } " FLUSH "}\n"
#define SRV     "domain \"srv.example.com\" { guard { mode = \"off\" } route = \"srv\" " FLUSH "}\n"
#define POOL                                                                                       \
    "domain \"pool.example.com\" { route = \"pool g\" " FLUSH "}\n"                                \
    "pool \"g\" { tier \"10\" { host \"192.0.2.81\" { } host \"192.0.2.82\" { } }\n"               \
    "tier \"20\" { host \"192.0.2.83\" { } } }\n"

static void expect_etrns(const char *wanted)
{
    assert_string_equal(world_etrns(), wanted);
}

/* mx2 with the domains q and off, of which it is the backup; no ETRN so far. */
static struct site open_site(const char *conf)
{
    struct site site;

    world_open();
    site_zone();
    world_set_mx("q.example.com", "10 mx1.example.com,20 mx2.example.com");
    world_set_mx("off.example.com", "10 mx1.example.com,20 mx2.example.com");
    world_set_host(MX1, WORLD_SMTP_UP, NULL);
    world_set_host("192.0.2.81", WORLD_SMTP_UP, NULL);
    world_set_host("192.0.2.82", WORLD_SMTP_UP, NULL);
    world_set_host("192.0.2.83", WORLD_SMTP_UP, NULL);
    site = (struct site){.mx2 = world_start(conf, MX2)};
    world_run(2 * MINUTE);
    expect_etrns("");
    return site;
}

static struct site open_backup(void)
{
    return open_site(SITE_CONF("mx2.example.com", PRIMARY));
}

/* Down for a minute, then up: how long until its ETRN, and that there is one. */
static void primary_is_back(void **state)
{
    struct site site = open_backup();

    (void)state;
    world_set_host(MX1, WORLD_SMTP_REFUSED, NULL);
    world_run(MINUTE);
    expect_etrns("");
    world_set_host(MX1, WORLD_SMTP_UP, NULL);
    world_run(2100);
    expect_etrns("q.example.com");
    world_run(10 * MINUTE);
    expect_etrns("");
    assert_non_null(strstr(world_control(site.mx2, "{\"command\":\"stats\"}"), "\"flush_done\":1"));
    site_close(&site);
}

/* A host that does not answer at all costs 2 s a try, and no more. */
static void silent_primary_is_back(void **state)
{
    struct site site = open_backup();

    (void)state;
    world_set_host(MX1, WORLD_SMTP_SILENT, NULL);
    world_run(5 * MINUTE);
    world_set_host(MX1, WORLD_SMTP_UP, NULL);
    world_run(4100);
    expect_etrns("q.example.com");
    site_close(&site);
}

static void guarded_or_not(void **state)
{
    struct site site = open_site(SITE_CONF("mx2.example.com", PRIMARY OFF));

    (void)state;
    world_set_host(MX1, WORLD_SMTP_REFUSED, NULL);
    world_run(MINUTE);
    world_set_host(MX1, WORLD_SMTP_UP, NULL);
    world_run(MINUTE);
    expect_etrns("off.example.com q.example.com");
    site_close(&site);
}

static void primary_flushes_nothing(void **state)
{
    struct site site;

    (void)state;
    world_open();
    site_zone();
    world_set_mx("q.example.com", "10 mx1.example.com,20 mx2.example.com");
    world_set_host(MX2, WORLD_SMTP_UP, NULL);
    site = (struct site){.mx1 = world_start(SITE_CONF("mx1.example.com", PRIMARY), MX1)};
    world_run(MINUTE);
    world_set_host(MX2, WORLD_SMTP_REFUSED, NULL);
    world_run(MINUTE);
    world_set_host(MX2, WORLD_SMTP_UP, NULL);
    world_run(MINUTE);
    expect_etrns("");
    site_close(&site);
}

static void pool_tier_by_tier(void **state)
{
    struct site site = open_site(SITE_CONF("mx2.example.com", POOL));

    (void)state;
    world_set_host("192.0.2.81", WORLD_SMTP_REFUSED, NULL);
    world_run(MINUTE);
    world_set_host("192.0.2.81", WORLD_SMTP_UP, NULL); /* its equal was there all the time */
    world_run(MINUTE);
    expect_etrns("");
    world_set_host("192.0.2.81", WORLD_SMTP_REFUSED, NULL);
    world_set_host("192.0.2.82", WORLD_SMTP_REFUSED, NULL);
    world_run(MINUTE);
    world_set_host("192.0.2.82", WORLD_SMTP_UP, NULL);
    world_run(MINUTE);
    expect_etrns("pool.example.com");
    world_set_host("192.0.2.81", WORLD_SMTP_UP, NULL);
    world_run(MINUTE);
    expect_etrns("");
    site_close(&site);
}

/* Route srv goes by the MX where no SRV record is, and so does the flush; else by the records. */
static void srv_with_and_without_records(void **state)
{
    static const struct {
        const char *records, *host; /* that goes down and comes back */
        const char *etrns;
    } cases[] = {
        {"none", MX1, "srv.example.com"},
        {"nxdomain", MX1, "srv.example.com"},
        {"null", MX1, "srv.example.com"},
        {"10 0 25 a.example.net", MX1, ""},
        {"fail", MX1, ""},
        {"10 0 25 a.example.net", "192.0.2.81", "srv.example.com"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct site site;

        world_open();
        site_zone();
        world_set_mx("srv.example.com", "10 mx1.example.com,20 mx2.example.com");
        world_set_srv("srv.example.com", cases[i].records);
        world_set_addr("a.example.net", "192.0.2.81");
        world_set_host(MX1, WORLD_SMTP_UP, NULL);
        world_set_host("192.0.2.81", WORLD_SMTP_UP, NULL);
        site = (struct site){.mx2 = world_start(SITE_CONF("mx2.example.com", SRV), MX2)};
        world_run(5 * MINUTE);
        expect_etrns("");
        world_set_host(cases[i].host, WORLD_SMTP_REFUSED, NULL);
        world_run(MINUTE);
        world_set_host(cases[i].host, WORLD_SMTP_UP, NULL);
        world_run(MINUTE);
        expect_etrns(cases[i].etrns);
        site_close(&site);
    }
}

static void drained_and_ready(void **state)
{
    struct site site = open_backup();

    (void)state;
    world_control(site.mx2, "{\"command\":\"drain\",\"host\":\"mx1.example.com\"}");
    world_run(MINUTE);
    expect_etrns("");
    world_control(site.mx2, "{\"command\":\"ready\",\"host\":\"mx1.example.com\"}");
    world_run(MINUTE);
    expect_etrns("q.example.com");
    site_close(&site);
}

/* Six tries, and then word of it. */
static void server_is_away(void **state)
{
    struct site site = open_backup();

    (void)state;
    world_set_host(MX1, WORLD_SMTP_REFUSED, NULL);
    world_run(MINUTE);
    world_set_etrn(NULL);
    world_set_host(MX1, WORLD_SMTP_UP, NULL);
    world_run(10000);
    world_set_etrn("250 Queuing started");
    world_run(MINUTE);
    expect_etrns("q.example.com");
    world_set_host(MX1, WORLD_SMTP_REFUSED, NULL);
    world_run(MINUTE);
    world_set_etrn(NULL);
    world_set_host(MX1, WORLD_SMTP_UP, NULL);
    world_run(MINUTE);
    assert_non_null(strstr(world_warning(site.mx2), "flush domain=q.example.com "
                                                    "server=127.0.0.1:25 result=failed"));
    world_set_etrn("250 Queuing started");
    world_run(MINUTE);
    expect_etrns("");
    site_close(&site);
}

/* It is told when it is back, though it was away for longer than the first tries go on; and once. */
static void server_is_away_for_long(void **state)
{
    struct site site = open_backup();

    (void)state;
    world_set_host(MX1, WORLD_SMTP_REFUSED, NULL);
    world_run(MINUTE);
    world_set_etrn(NULL);
    world_set_host(MX1, WORLD_SMTP_UP, NULL);
    world_run(7 * MINUTE); /* two rounds of tries, and word of each */
    assert_non_null(
        strstr(world_control(site.mx2, "{\"command\":\"stats\"}"), "\"flush_failed\":2"));
    world_set_etrn("250 Queuing started");
    world_run(10 * MINUTE);
    expect_etrns("q.example.com");
    assert_false(world_has_key("mxw1:flush:*"));
    world_run(60 * MINUTE);
    expect_etrns("");
    site_close(&site);
}

/* In the end the mail server's own time is as good. */
static void server_never_comes_back(void **state)
{
    struct site site = open_backup();

    (void)state;
    world_set_host(MX1, WORLD_SMTP_REFUSED, NULL);
    world_run(MINUTE);
    world_set_etrn(NULL);
    world_set_host(MX1, WORLD_SMTP_UP, NULL);
    world_run(90 * MINUTE);
    assert_non_null(
        strstr(world_control(site.mx2, "{\"command\":\"stats\"}"), "\"flush_failed\":5"));
    assert_false(world_has_key("mxw1:flush:*"));
    world_set_etrn("250 Queuing started");
    world_run(90 * MINUTE);
    expect_etrns("");
    site_close(&site);
}

/* Neither a restart nor a reload between the rounds loses what is owed. */
static void server_is_away_for_long_and_we_begin_anew(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct site site = open_backup();
        world_set_host(MX1, WORLD_SMTP_REFUSED, NULL);
        world_run(MINUTE);
        world_set_etrn(NULL);
        world_set_host(MX1, WORLD_SMTP_UP, NULL);
        world_run(MINUTE);
        world_set_etrn("250 Queuing started");
        if (i) {
            world_reload(site.mx2,
                         SITE_CONF("mx2.example.com", "domain \"q.example.com\" { route = "
                                                      "\"primary\" flush = \"127.0.0.1:26\" }\n"));
        } else {
            world_kill(site.mx2);
            site.mx2 = world_start(SITE_CONF("mx2.example.com", PRIMARY), MX2);
        }
        world_run(MINUTE);
        expect_etrns("q.example.com");
        world_run(10 * MINUTE);
        expect_etrns("");
        assert_false(world_has_key("mxw1:flush:*"));
        site_close(&site);
    }
}

/* Another server has all of its rounds before it. */
static void another_server_is_away_too(void **state)
{
    struct site site = open_backup();

    (void)state;
    world_set_host(MX1, WORLD_SMTP_REFUSED, NULL);
    world_run(MINUTE);
    world_set_etrn(NULL);
    world_set_host(MX1, WORLD_SMTP_UP, NULL);
    world_run(40 * MINUTE);
    assert_non_null(
        strstr(world_control(site.mx2, "{\"command\":\"stats\"}"), "\"flush_failed\":4"));
    world_reload(site.mx2,
                 SITE_CONF("mx2.example.com", "domain \"q.example.com\" { route = "
                                              "\"primary\" flush = \"127.0.0.1:26\" }\n"));
    world_run(2 * MINUTE);
    world_set_etrn("250 Queuing started");
    world_run(5 * MINUTE);
    expect_etrns("q.example.com");
    site_close(&site);
}

/* What is owed ends with the flush. */
static void no_server_any_more(void **state)
{
    struct site site = open_backup();

    (void)state;
    world_set_host(MX1, WORLD_SMTP_REFUSED, NULL);
    world_run(MINUTE);
    assert_true(world_has_key("mxw1:flush:*"));
    world_reload(site.mx2, SITE_CONF("mx2.example.com", "domain \"q.example.com\" { }\n"));
    world_run(MINUTE);
    assert_false(world_has_key("mxw1:flush:*"));
    site_close(&site);
}

static void server_refuses(void **state)
{
    struct site site = open_backup();

    (void)state;
    world_set_host(MX1, WORLD_SMTP_REFUSED, NULL);
    world_run(MINUTE);
    world_set_etrn("459 <q.example.com>: service unavailable");
    world_set_host(MX1, WORLD_SMTP_UP, NULL);
    world_run(MINUTE);
    expect_etrns("q.example.com");
    assert_non_null(strstr(world_warning(site.mx2), "fast_flush_domains"));
    site_close(&site);
}

/* back: mx1 returned while no daemon ran. */
static void restart(bool back, bool gracefully, const char *wanted)
{
    struct site site = open_backup();

    world_set_host(MX1, WORLD_SMTP_REFUSED, NULL);
    world_run(5 * MINUTE);
    if (gracefully)
        world_stop(site.mx2);
    else
        world_kill(site.mx2);
    if (back)
        world_set_host(MX1, WORLD_SMTP_UP, NULL);
    world_run(60 * MINUTE);
    site.mx2 = world_start(SITE_CONF("mx2.example.com", PRIMARY), MX2);
    world_run(MINUTE);
    expect_etrns(wanted);
    world_set_host(MX1, WORLD_SMTP_UP, NULL);
    world_run(MINUTE);
    expect_etrns(back ? "" : "q.example.com");
    assert_false(world_has_key("mxw1:flush:*")); /* nothing is owed any more */
    site_close(&site);
}

static void back_while_the_daemon_was_away(void **state)
{
    (void)state;
    restart(true, true, "q.example.com");
    restart(true, false, "q.example.com");
}

static void still_down_after_a_restart(void **state)
{
    (void)state;
    restart(false, true, "");
}

static void well_at_the_start_and_after_it(void **state)
{
    struct site site = open_backup();

    (void)state;
    world_stop(site.mx2);
    site.mx2 = world_start(SITE_CONF("mx2.example.com", PRIMARY), MX2);
    world_run(5 * MINUTE);
    expect_etrns("");
    site_close(&site);
}

static void reload_forgets_nothing(void **state)
{
    struct site site = open_backup();

    (void)state;
    world_set_host(MX1, WORLD_SMTP_REFUSED, NULL);
    world_run(MINUTE);
    world_reload(site.mx2, SITE_CONF("mx2.example.com", OFF PRIMARY));
    world_run(MINUTE);
    expect_etrns("");
    world_set_host(MX1, WORLD_SMTP_UP, NULL);
    world_run(MINUTE);
    expect_etrns("off.example.com q.example.com");
    site_close(&site);
}

/* What waits for another try at a server goes where the new configuration says, or nowhere. */
static void reload_takes_the_server_away(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct site site = open_backup();
        world_set_host(MX1, WORLD_SMTP_REFUSED, NULL);
        world_run(MINUTE);
        world_set_etrn(NULL);
        world_set_host(MX1, WORLD_SMTP_UP, NULL);
        world_run(10000);
        world_reload(
            site.mx2,
            i ? SITE_CONF("mx2.example.com", "domain \"q.example.com\" { route = \"primary\" "
                                             "flush = \"127.0.0.1:26\" }\n")
              : SITE_CONF("mx2.example.com", "domain \"q.example.com\" { route = \"primary\" }\n"));
        world_set_etrn("250 Queuing started");
        world_run(MINUTE);
        expect_etrns(i ? "q.example.com" : "");
        site_close(&site);
    }
}

static void by_hand(void **state)
{
    struct site site = open_backup();
    const char *reply;

    (void)state;
    reply = world_control(site.mx2, "{\"command\":\"flush\",\"domain\":\"Q.example.com\"}");
    assert_non_null(strstr(reply, "\"status\":\"ok\""));
    assert_non_null(strstr(reply, "\"reply\":\"250 Queuing started\""));
    expect_etrns("q.example.com");
    world_set_etrn("459 no");
    reply = world_control(site.mx2, "{\"command\":\"flush\",\"domain\":\"q.example.com\"}");
    assert_non_null(strstr(reply, "\"status\":\"refused\""));
    assert_non_null(strstr(reply, "fast_flush_domains"));
    reply = world_control(site.mx2, "{\"command\":\"flush\",\"domain\":\"example.com\"}");
    assert_non_null(strstr(reply, "has no `flush`"));
    site_close(&site);
}

/* The asker would be told by a daemon that is gone. */
static void by_hand_at_the_end(void **state)
{
    static const char request[] = "{\"command\":\"flush\",\"domain\":\"q.example.com\"}\n";
    struct site site = open_backup();
    struct peer *peer = world_connect(site.mx2, "control");

    (void)state;
    world_ask(peer, request, sizeof request - 1, false);
    world_kill(site.mx2);
    site.mx2 = NULL;
    world_run(MINUTE);
    expect_etrns("");
    world_disconnect(peer);
    site_close(&site);
}

int replay_flush(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(primary_is_back),
        cmocka_unit_test(silent_primary_is_back),
        cmocka_unit_test(guarded_or_not),
        cmocka_unit_test(primary_flushes_nothing),
        cmocka_unit_test(pool_tier_by_tier),
        cmocka_unit_test(srv_with_and_without_records),
        cmocka_unit_test(drained_and_ready),
        cmocka_unit_test(server_is_away),
        cmocka_unit_test(server_is_away_for_long),
        cmocka_unit_test(server_never_comes_back),
        cmocka_unit_test(another_server_is_away_too),
        cmocka_unit_test(no_server_any_more),
        cmocka_unit_test(server_is_away_for_long_and_we_begin_anew),
        cmocka_unit_test(server_refuses),
        cmocka_unit_test(back_while_the_daemon_was_away),
        cmocka_unit_test(still_down_after_a_restart),
        cmocka_unit_test(well_at_the_start_and_after_it),
        cmocka_unit_test(reload_forgets_nothing),
        cmocka_unit_test(reload_takes_the_server_away),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(by_hand_at_the_end),
    };

    return cmocka_run_group_tests_name("replay-flush", tests, NULL, NULL);
}
