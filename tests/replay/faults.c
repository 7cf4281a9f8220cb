/*
 * The guard with something broken: uncertain means accept, soon, and normal again soon after.
 */
#include "tests/replay/replay.h"
#include "tests/replay/site.h"

/* `mxwarden hosts --json` of node names this link for mx1. */
static void expect_missing(struct node *node, const char *link)
{
    const char *reply = world_control(node, "{\"command\": \"hosts\"}");
    char wanted[64];

    snprintf(wanted, sizeof wanted, "\"missing\":\"%s\"", link);
    if (!strstr(reply, wanted))
        fail_msg("no %s in %s", wanted, reply);
}

static void preferred_host_refuses(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_set_host(MX1, WORLD_SMTP_REFUSED, site.mx1);
    world_run(6000);
    expect_accept(site.mx2, &mail, "better-down");
    site_close(&site);
}

static void preferred_host_says_421(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_set_host(MX1, WORLD_SMTP_421, site.mx1);
    world_run(6000);
    expect_accept(site.mx2, &mail, "better-down");
    site_close(&site);
}

/* Its port swallowed: the probe hangs, and the last good one is too old after ten seconds. */
static void preferred_host_falls_silent(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_set_host(MX1, WORLD_SMTP_SILENT, site.mx1);
    world_run(10000);
    expect_accept(site.mx2, &mail, "better-down");
    site_close(&site);
}

static void preferred_host_is_back(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_set_host(MX1, WORLD_SMTP_REFUSED, site.mx1);
    world_run(MINUTE);
    world_set_host(MX1, WORLD_SMTP_UP, site.mx1);
    world_run(MINUTE);
    expect_accept(site.mx2, &mail, "better-down"); /* hold_down */
    world_run(5 * MINUTE);
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

static void milter_detached_there(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_set_milter(MX1, false, NULL);
    world_run(10000);
    expect_accept(site.mx2, &mail, "unobserved");
    expect_missing(site.mx2, "milter");
    world_set_milter(MX1, true, NULL);
    world_run(10000);
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

static void listeners_wrong_there(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_set_milter(MX1, true, "10.0.0.10");
    world_run(10000);
    expect_accept(site.mx2, &mail, "unobserved");
    expect_missing(site.mx2, "listeners");
    site_close(&site);
}

static void redis_lost_there(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_set_node_redis(site.mx1, WORLD_REDIS_DOWN);
    world_run(30000); /* until its heartbeat has run out, too */
    expect_accept(site.mx2, &mail, "unobserved");
    expect_missing(site.mx2, "node");
    site_close(&site);
}

static void daemon_killed_there(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_kill(site.mx1);
    site.mx1 = NULL;
    world_run(8000);
    expect_accept(site.mx2, &mail, "unobserved");
    world_run(22000);
    expect_missing(site.mx2, "node");
    site_close(&site);
}

static void redis_lost_here(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_set_redis(WORLD_REDIS_DOWN);
    expect_accept(site.mx2, &mail, "memory");
    assert_in_range(world_took(), 0, 100);
    world_run(12000);
    expect_accept(site.mx2, &mail, "unobserved");
    expect_missing(site.mx2, "redis");
    site_close(&site);
}

static void redis_hangs(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_set_redis(WORLD_REDIS_HANGS);
    expect_accept(site.mx2, &mail, "memory");
    assert_in_range(world_took(), 0, 1000);
    site_close(&site);
}

/* As slow as cache.timeout may be set: three looks and a pause are more than a question has. */
static void redis_is_slow(void **state)
{
    static const int64_t latency[] = {450, 700, 950};

    (void)state;
    for (size_t i = 0; i < sizeof latency / sizeof *latency; i++) {
        struct site site = site_open();
        struct world_mail mail = stranger();

        world_set_redis_latency(latency[i]);
        expect_accept(site.mx2, &mail, "memory");
        assert_in_range(world_took(), 0, 1500);
        world_run(5000);
        world_set_redis_latency(1);
        site_close(&site);
    }
}

static void redis_back_with_all_its_keys(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_restart_redis(false);
    expect_accept(site.mx2, &mail, "young"); /* another run_id: writes may have been lost */
    world_run(16 * MINUTE);
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

static void redis_emptied(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    expect_defer(site.mx2, &mail);
    world_restart_redis(true);
    world_run(12000);
    expect_accept(site.mx2, &mail, "young");
    world_run(15 * MINUTE);
    mail.client = "203.0.113.1";
    mail.name = mail.helo = NULL;
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

/* Each node gives back what it knows itself: a retry at another backup is let in though Redis was
 * emptied in between, and a visit noted while Redis was away is found. */
static void redis_emptied_is_filled_again(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger(), first = at(mail, MX1);

    (void)state;
    expect_defer(site.mx2, &mail);
    first.client = "203.0.113.9";
    first.name = first.helo = NULL;
    world_visit(site.mx1, &first);
    world_run(100);
    world_restart_redis(true);
    world_run(3000);
    assert_true(world_has_key("mxw1:defer:*"));
    assert_true(world_has_key("mxw1:seen:\\[" MX1 "\\]:\\[203.0.113.9\\]"));
    assert_in_range(world_ttl("mxw1:seen:[" MX1 "]:[203.0.113.9]"), 86300, 86400);
    site_close(&site);
}

static void visit_while_redis_was_away(void **state)
{
    struct site site = site_open();
    struct world_mail first = at(stranger(), MX1);

    (void)state;
    world_set_redis(WORLD_REDIS_DOWN);
    world_visit(site.mx1, &first);
    world_run(5000);
    world_set_redis(WORLD_REDIS_UP);
    world_run(3000);
    assert_true(world_has_key("mxw1:seen:\\[" MX1 "\\]:\\[198.51.100.7\\]"));
    site_close(&site);
}

/* Redis emptied and refusing writes for a while: what is to be given back waits for it. */
static void redis_is_filled_later(void **state)
{
    struct site site = site_open();
    struct world_mail first = at(stranger(), MX1);

    (void)state;
    world_visit(site.mx1, &first);
    world_run(100);
    world_redis("DEL mxw1:seen:[" MX1 "]:[198.51.100.7]");
    world_redis("HSET mxw1:epoch id another");
    world_set_redis(WORLD_REDIS_READONLY);
    world_run(5000);
    world_set_redis(WORLD_REDIS_UP);
    world_run(3000);
    assert_true(world_has_key("mxw1:seen:\\[" MX1 "\\]:\\[198.51.100.7\\]"));
    site_close(&site);
}

/* A visit that Redis did not take, and then others that it did not take either. */
static void visits_while_writes_failed(void **state)
{
    struct site site = site_open();
    struct world_mail first = at(stranger(), MX1);

    (void)state;
    world_set_redis(WORLD_REDIS_READONLY);
    world_visit(site.mx1, &first);
    world_run(10000);
    first.client = "203.0.113.9";
    world_visit(site.mx1, &first);
    world_run(10000);
    world_set_redis(WORLD_REDIS_UP);
    world_run(3000);
    assert_true(world_has_key("mxw1:seen:\\[" MX1 "\\]:\\[198.51.100.7\\]"));
    assert_true(world_has_key("mxw1:seen:\\[" MX1 "\\]:\\[203.0.113.9\\]"));
    site_close(&site);
}

/* So many others at mx1, with two identities each. */
static void others_at_mx1(struct site *site, unsigned count)
{
    char client[40];

    for (unsigned i = 0; i < count; i++) {
        snprintf(client, sizeof client, "2001:db8:%x::1", i + 1);
        world_visit(site->mx1, &(struct world_mail){.client = client, .listener = MX1});
    }
}

/* Redis is well again and the probes arrive, but mx1 is not done with giving back what Redis missed:
 * nobody is held to what is not there yet. */
static void visits_arrive_late(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger(), first = at(mail, MX1);

    (void)state;
    world_set_node_redis(site.mx1, WORLD_REDIS_READONLY);
    others_at_mx1(&site, 1500);
    world_visit(site.mx1, &first);
    world_run(12000);
    world_set_node_redis(site.mx1, WORLD_REDIS_UP);
    world_set_redis_latency(90);
    world_run(7000);
    assert_false(world_has_key("mxw1:seen:\\[" MX1 "\\]:\\[198.51.100.7\\]"));
    expect_accept(site.mx2, &mail, "unobserved");
    world_run(15000);
    expect_accept(site.mx2, &mail, "seen");
    mail.client = "203.0.113.9";
    mail.name = mail.helo = NULL;
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

/* More visits than the table holds while Redis took none: some of them nobody will ever know. */
static void visits_are_lost(void **state)
{
    struct site site = site_start("node = \"mx1.example.com\"\n"
                                  "cache { redis = \"unix:/nowhere/redis.sock\" entries = 1000 }\n"
                                  "domain \"example.com\" { guard { mode = \"defer\" } }\n",
                                  SITE_CONF("mx2.example.com", ""));
    struct world_mail mail = stranger(), first = at(mail, MX1);

    (void)state;
    world_set_node_redis(site.mx1, WORLD_REDIS_READONLY);
    world_visit(site.mx1, &first);
    others_at_mx1(&site, 600);
    world_run(2000);
    world_set_node_redis(site.mx1, WORLD_REDIS_UP);
    world_run(MINUTE);
    assert_false(world_has_key("mxw1:seen:\\[" MX1 "\\]:\\[198.51.100.7\\]"));
    expect_accept(site.mx2, &mail, "unobserved");
    expect_accept(site.mx1, &first, "best");
    world_run(16 * MINUTE);
    mail.client = "203.0.113.9";
    mail.name = mail.helo = NULL;
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

/* A visit that was known already, and a later one that Redis did not take: the later one counts. */
static void visit_renewed_while_writes_failed(void **state)
{
    struct site site = site_open();
    struct world_mail first = at(stranger(), MX1);

    (void)state;
    world_visit(site.mx1, &first);
    world_run(60 * MINUTE);
    world_set_redis(WORLD_REDIS_READONLY);
    world_visit(site.mx1, &first);
    world_run(10000);
    world_set_redis(WORLD_REDIS_UP);
    world_run(3000);
    assert_in_range(world_ttl("mxw1:seen:[" MX1 "]:[198.51.100.7]"), 86300, 86400);
    site_close(&site);
}

/* Writes fail: what cannot be kept is not refused. */
static void redis_readonly(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_set_node_redis(site.mx2, WORLD_REDIS_READONLY);
    expect_accept(site.mx2, &mail, "memory");
    site_close(&site);
}

static void redis_evicts(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_evict(10);
    world_run(2000);
    expect_accept(site.mx2, &mail, "memory");
    world_run(16 * MINUTE);
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

/* The retry is let in though the server that remembered the refusal is gone. */
static void retry_after_redis_was_lost(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    expect_defer(site.mx2, &mail);
    world_set_redis(WORLD_REDIS_DOWN);
    world_run(4 * MINUTE);
    assert_string_equal(world_rcpt(site.mx2, &mail), "DUNNO");
    site_close(&site);
}

/* The clock of Redis is set back; five minutes later is five minutes later all the same. */
static void retry_after_the_clock_went_back(void **state)
{
    static const struct {
        int64_t back;
        const char *reason;
    } step[] = {{3, "yielded"}, {20, "memory"}};

    (void)state;
    for (size_t i = 0; i < sizeof step / sizeof *step; i++) {
        struct site site = site_open();
        struct world_mail mail = stranger();

        world_run(60 * MINUTE);
        expect_defer(site.mx2, &mail);
        world_set_redis_clock(-step[i].back * MINUTE);
        world_run(5 * MINUTE);
        expect_accept(site.mx2, &mail, step[i].reason);
        site_close(&site);
    }
}

/* The same, when the refusing daemon is another one now: what Redis has is from the future. */
static void clock_went_back_and_the_daemon_is_new(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_run(60 * MINUTE);
    expect_defer(site.mx2, &mail);
    world_kill(site.mx2);
    world_set_redis_clock(-20 * MINUTE);
    site.mx2 = world_start(SITE_CONF("mx2.example.com", ""), MX2);
    world_set_host(MX2, WORLD_SMTP_UP, site.mx2);
    world_run(6 * MINUTE);
    expect_accept(site.mx2, &mail, "memory");
    site_close(&site);
}

/* Nobody tells of the loss, since the tracking connection is away: it is found all the same. */
static void epoch_lost_unheard(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_set_tracking(false);
    world_run(1000);
    world_redis("DEL mxw1:epoch");
    world_run(2000);
    expect_accept(site.mx2, &mail, "young");
    site_close(&site);
}

/* A purge by hand in that time takes effect, if late: what comes of it is there again. */
static void purged_unheard(void **state)
{
    struct site site = site_open();

    (void)state;
    world_set_tracking(false);
    world_run(2000);
    world_redis("DEL mxw1:mx:example.com");
    world_set_tracking(true);
    world_run(3000);
    assert_true(world_has_key("mxw1:mx:example.com"));
    site_close(&site);
}

static void epoch_is_no_epoch(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_redis("DEL mxw1:epoch");
    world_redis("HSET mxw1:epoch since nonsense");
    world_run(2000);
    expect_accept(site.mx2, &mail, "young");
    site_close(&site);
}

static void dns_fails_for_a_cold_domain(void **state)
{
    struct site site =
        site_start(SITE_CONF("mx1.example.com", ""),
                   SITE_CONF("mx2.example.com", "domain \"*\" { guard { mode = \"defer\" } }\n"));
    struct world_mail mail = stranger();
    const char *reply;

    (void)state;
    world_set_dns(WORLD_DNS_SILENT);
    mail.recipient = "u@cold.example";
    expect_accept(site.mx2, &mail, "dns-fail");
    assert_in_range(world_took(), 0, 1500);
    reply = world_control(site.mx2, "{\"command\": \"explain\", \"client\": \"198.51.100.7\", "
                                    "\"listener\": \"192.0.2.20\", \"rcpt\": \"u@cold.example\"}");
    assert_non_null(strstr(reply, "could not be had: no answer of the DNS can be used"));
    world_run(MINUTE);
    world_set_dns(WORLD_DNS_SERVFAIL);
    expect_accept(site.mx2, &mail, "dns-fail");
    site_close(&site);
}

/* What was known serves on, for `stale`. */
static void dns_fails_for_a_known_domain(void **state)
{
    struct site site = site_start(SITE_CONF("mx1.example.com", "dns { stale = 1h }\n"),
                                  SITE_CONF("mx2.example.com", "dns { stale = 1h }\n"));
    struct world_mail mail = stranger();

    (void)state;
    world_set_dns(WORLD_DNS_SERVFAIL);
    world_run(30 * MINUTE);
    expect_defer(site.mx2, &mail);
    world_run(40 * MINUTE);
    expect_accept(site.mx2, &mail, "dns-fail");
    site_close(&site);
}

/* A better host that has just appeared is not held against anyone. */
static void mx_set_changes(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_set_mx("example.com", "5 mx0.example.com,10 mx1.example.com,20 mx2.example.com");
    world_set_addr("mx0.example.com", "192.0.2.5");
    world_run(2 * MINUTE);
    expect_accept(site.mx2, &mail, "mx-changed");
    world_run(15 * MINUTE);
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

/* One client of each of so many networks at mx2, straight away; how many were deferred. */
static unsigned wave(struct site *site, unsigned first, unsigned count)
{
    unsigned deferred = 0;

    for (unsigned i = first; i < first + count; i++) {
        struct world_mail mail = stranger();
        char client[32];

        snprintf(client, sizeof client, "198.51.%u.7", i);
        mail.client = client;
        mail.name = mail.helo = NULL;
        deferred += strncmp(world_rcpt(site->mx2, &mail), "451", 3) == 0;
    }
    return deferred;
}

static void clients_of_mx1(struct site *site, int minutes)
{
    for (int i = 0; i < minutes * 12; i++) {
        struct world_mail mail = {.client = "203.0.113.200", .listener = MX1};

        world_visit(site->mx1, &mail);
        world_run(MINUTE / 12);
    }
}

/* The way to mx1 is broken for the world, and not for us: its visits fall, many networks bypass. */
static void way_to_the_preferred_host_is_broken(void **state)
{
    struct site site = site_open();

    (void)state;
    clients_of_mx1(&site, 30);
    world_run(5 * MINUTE + 30000);
    assert_int_equal(wave(&site, 0, 20), 20);
    assert_non_null(strstr(world_log(site.mx2), "guard verdict=defer"));
    assert_int_equal(wave(&site, 20, 20), 0);
    assert_string_equal(world_reason(site.mx2), "breaker");
    site_close(&site);
}

/* The same wave while mx1 is visited as ever is spam. */
static void wave_of_bypass_alone(void **state)
{
    struct site site = site_open();

    (void)state;
    clients_of_mx1(&site, 30);
    assert_int_equal(wave(&site, 0, 40), 40);
    site_close(&site);
}

/* Under "*" strangers' hosts are never probed, so that nobody can be held to them. */
static void strangers_are_never_probed(void **state)
{
    struct site site =
        site_start(SITE_CONF("mx1.example.com", ""),
                   SITE_CONF("mx2.example.com", "domain \"*\" { guard { mode = \"defer\" } }\n"));
    struct world_mail mail = stranger();

    (void)state;
    world_set_mx("evil.example", "10 target.example,20 mx2.example.com");
    world_set_addr("target.example", "203.0.113.66");
    world_set_host("203.0.113.66", WORLD_SMTP_UP, NULL);
    mail.recipient = "u@evil.example";
    expect_accept(site.mx2, &mail, "better-down");
    world_run(10 * MINUTE);
    expect_accept(site.mx2, &mail, "better-down");
    assert_null(strstr(world_control(site.mx2, "{\"command\": \"hosts\"}"), "203.0.113.66"));
    site_close(&site);
}

/* One host, no Redis: the same, from the process's own memory. */
static void single_host_without_redis(void **state)
{
    struct world_mail mail = stranger();
    struct site site = {0};

    (void)state;
    world_open();
    site_zone();
    site.mx1 = world_start("node = \"mx1.example.com\" own = {\"" MX2 "\"}\n"
                           "domain \"example.com\" { guard { mode = \"defer\" } }\n",
                           MX1);
    world_set_host(MX1, WORLD_SMTP_UP, site.mx1);
    world_set_host(MX2, WORLD_SMTP_UP, site.mx1);
    expect_accept(site.mx1, &mail, "better-down"); /* nothing was ever probed */
    world_run(16 * MINUTE);
    expect_defer(site.mx1, &mail);
    world_run(5 * MINUTE);
    expect_accept(site.mx1, &mail, "yielded");
    mail.client = "203.0.113.1";
    mail.name = mail.helo = NULL;
    mail.listener = MX1;
    world_visit(site.mx1, &mail);
    mail.listener = MX2;
    expect_accept(site.mx1, &mail, "seen");
    site_close(&site);
}

int replay_faults(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preferred_host_refuses),
        cmocka_unit_test(preferred_host_says_421),
        cmocka_unit_test(preferred_host_falls_silent),
        cmocka_unit_test(preferred_host_is_back),
        cmocka_unit_test(milter_detached_there),
        cmocka_unit_test(listeners_wrong_there),
        cmocka_unit_test(redis_lost_there),
        cmocka_unit_test(daemon_killed_there),
        cmocka_unit_test(redis_lost_here),
        cmocka_unit_test(redis_hangs),
        cmocka_unit_test(redis_is_slow),
        cmocka_unit_test(redis_back_with_all_its_keys),
        cmocka_unit_test(redis_emptied),
        cmocka_unit_test(redis_emptied_is_filled_again),
        cmocka_unit_test(visit_while_redis_was_away),
        cmocka_unit_test(redis_is_filled_later),
        cmocka_unit_test(visits_while_writes_failed),
        cmocka_unit_test(visits_arrive_late),
        cmocka_unit_test(visits_are_lost),
        cmocka_unit_test(visit_renewed_while_writes_failed),
        cmocka_unit_test(redis_readonly),
        cmocka_unit_test(redis_evicts),
        cmocka_unit_test(retry_after_redis_was_lost),
        cmocka_unit_test(retry_after_the_clock_went_back),
        cmocka_unit_test(clock_went_back_and_the_daemon_is_new),
        cmocka_unit_test(epoch_lost_unheard),
        cmocka_unit_test(purged_unheard),
        cmocka_unit_test(epoch_is_no_epoch),
        cmocka_unit_test(dns_fails_for_a_cold_domain),
        cmocka_unit_test(dns_fails_for_a_known_domain),
        cmocka_unit_test(mx_set_changes),
        cmocka_unit_test(way_to_the_preferred_host_is_broken),
        cmocka_unit_test(wave_of_bypass_alone),
        cmocka_unit_test(strangers_are_never_probed),
        cmocka_unit_test(single_host_without_redis),
    };

    return cmocka_run_group_tests_name("replay-faults", tests, NULL, NULL);
}
