/*
 * The guard, all well: who is let in, who is deferred, what is remembered.
 */
#include "tests/replay/replay.h"
#include "tests/replay/site.h"

#include <stdlib.h>

static void skipper_is_deferred(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    expect_verdict(site.mx2, &mail,
                   "451 4.7.1 Please deliver to the preferred MX first (mx1.example.com)",
                   "bypass");
    assert_in_range(world_took(), 250, 400);
    assert_non_null(
        strstr(world_log(site.mx2), " mx=mx2.example.com tier=20 better=mx1.example.com "));
    site_close(&site);
}

static void policy_client_may_still_refuse(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    mail.policy = true;
    expect_verdict(site.mx2, &mail, "DEFER_IF_PERMIT 4.7.1 Please deliver", "bypass");
    site_close(&site);
}

static void preferred_host_judges_nobody(void **state)
{
    struct site site = site_open();
    struct world_mail mail = at(stranger(), MX1);

    (void)state;
    expect_accept(site.mx1, &mail, "best");
    site_close(&site);
}

static void seen_at_preferred_host(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger(), first = at(mail, MX1);

    (void)state;
    world_visit(site.mx1, &first);
    expect_accept(site.mx2, &mail, "seen");
    assert_in_range(world_took(), 0, 10);
    site_close(&site);
}

static void seen_by_network(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger(), first = at(mail, MX1);

    (void)state;
    first.client = "198.51.100.200";
    first.name = NULL;
    world_visit(site.mx1, &first);
    mail.name = NULL;
    expect_accept(site.mx2, &mail, "seen");
    mail.client = "198.51.101.7";
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

static void seen_by_verified_domain(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger(), first = at(mail, MX1);

    (void)state;
    first.client = "203.0.113.9";
    first.name = "out9.example.net";
    world_visit(site.mx1, &first);
    expect_accept(site.mx2, &mail, "seen");
    site_close(&site);
}

/* A provider's generic name says nothing about who is there. */
static void generic_names_are_no_domain(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger(), first = at(mail, MX1);

    (void)state;
    first.client = "203.0.113.9";
    first.name = "host-203-0-113-9.example.net";
    world_visit(site.mx1, &first);
    mail.name = "host-198-51-100-7.example.net";
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

/* One message from a pool of unrelated addresses: HELO domain, sender domain and recipient. */
static void seen_by_envelope(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger(), first = at(mail, MX1);

    (void)state;
    mail.name = NULL;
    first.client = "203.0.113.9";
    first.name = NULL;
    assert_string_equal(world_rcpt(site.mx1, &first), "DUNNO");
    expect_accept(site.mx2, &mail, "seen");
    site_close(&site);
}

/* Postfix refused the recipient at mx1 itself: a visit all the same, and nothing to judge. */
static void refused_recipient_is_evidence(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger(), first = at(mail, MX1);

    (void)state;
    first.refused = true;
    assert_string_equal(world_rcpt(site.mx1, &first), "DUNNO");
    expect_accept(site.mx2, &mail, "seen");
    mail = at(stranger(), MX2);
    mail.client = "203.0.113.77";
    mail.name = NULL;
    mail.recipient = "v@example.com";
    mail.refused = true;
    assert_string_equal(world_rcpt(site.mx2, &mail), "DUNNO");
    site_close(&site);
}

/* The visit at mx1 is written while mx2 is about to refuse. */
static void visit_a_moment_too_late(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();
    char visit[256];

    (void)state;
    snprintf(visit, sizeof visit, "SET mxw1:seen:[" MX1 "]:[198.51.100.7] %d,connect EX 86400",
             WORLD_START_UNIX + 960);
    world_redis_later(100, visit);
    expect_accept(site.mx2, &mail, "seen");
    assert_in_range(world_took(), 250, 400);
    site_close(&site);
}

static void evidence_ends(void **state)
{
    struct site site = site_start(SITE_CONF("mx1.example.com", "guard { evidence_ttl = 10m }\n"),
                                  SITE_CONF("mx2.example.com", "guard { evidence_ttl = 10m }\n"));
    struct world_mail mail = stranger(), first = at(mail, MX1);

    (void)state;
    world_visit(site.mx1, &first);
    world_run(9 * MINUTE);
    expect_accept(site.mx2, &mail, "seen");
    world_run(2 * MINUTE);
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

static void retry_is_let_in_and_learned(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    expect_defer(site.mx2, &mail);
    world_run(3 * MINUTE);
    expect_defer(site.mx2, &mail);
    world_run(MINUTE);
    expect_accept(site.mx2, &mail, "yielded");
    world_run(1000);
    assert_true(world_has_key("mxw1:ok:example.com:\\[198.51.100.7\\]"));
    assert_true(world_has_key("mxw1:ok:example.com:example.net"));
    mail.recipient = "other@example.com";
    expect_accept(site.mx2, &mail, "learned");
    site_close(&site);
}

/* Known for a day and still writing: known for another `learn`, under that name only. */
static void learned_client_stays_known(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "SET mxw1:ok:example.com:[198.51.100.7] %d EX 1000",
             WORLD_START_UNIX - 2 * 86400);
    world_redis(command);
    expect_accept(site.mx2, &mail, "learned");
    world_run(1000);
    assert_in_range(world_ttl("mxw1:ok:example.com:[198.51.100.7]"), 35 * 86400 - 10, 35 * 86400);
    assert_false(world_has_key("mxw1:ok:example.com:example.net"));
    world_redis("EXPIRE mxw1:ok:example.com:[198.51.100.7] 1000"); /* not twice a day */
    expect_accept(site.mx2, &mail, "learned");
    world_run(1000);
    assert_in_range(world_ttl("mxw1:ok:example.com:[198.51.100.7]"), 900, 1000);
    site_close(&site);
}

/* A time to learn of less than a day goes on, too, from its second half. */
static void learned_for_less_than_a_day(void **state)
{
    struct site site = site_start(SITE_CONF("mx1.example.com", ""),
                                  SITE_CONF("mx2.example.com", "guard { learn = 1h }\n"));
    struct world_mail mail = stranger();

    (void)state;
    expect_defer(site.mx2, &mail);
    world_run(4 * MINUTE);
    expect_accept(site.mx2, &mail, "yielded");
    world_run(20 * MINUTE);
    expect_accept(site.mx2, &mail, "learned");
    world_run(1000);
    assert_in_range(world_ttl("mxw1:ok:example.com:[198.51.100.7]"), 30 * 60, 40 * 60);
    for (int i = 0; i < 4; i++) {
        world_run(i ? 40 * MINUTE : 20 * MINUTE);
        expect_accept(site.mx2, &mail, "learned");
        world_run(1000);
        assert_in_range(world_ttl("mxw1:ok:example.com:[198.51.100.7]"), 3590, 3600);
    }
    site_close(&site);
}

/* Three messages of one network, from three of its addresses: then the fourth is known. */
static void network_is_learned_after_three(void **state)
{
    static const char *const client[] = {"198.51.100.1", "198.51.100.2", "198.51.100.3"};
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    mail.name = mail.helo = NULL;
    for (size_t i = 0; i < 3; i++) {
        char recipient[32];

        snprintf(recipient, sizeof recipient, "u%zu@example.com", i);
        mail.client = client[i];
        mail.recipient = recipient;
        mail.instance = client[i];
        expect_defer(site.mx2, &mail);
        world_run(4 * MINUTE);
        assert_false(world_has_key("mxw1:ok:example.com:*0/24*"));
        expect_accept(site.mx2, &mail, "yielded");
        world_run(10);
    }
    assert_true(world_has_key("mxw1:ok:example.com:*0/24*"));
    mail.client = "198.51.100.4";
    mail.recipient = "new@example.com";
    expect_accept(site.mx2, &mail, "learned");
    site_close(&site);
}

/* An administrator's word is for that address and that time: its network is not learned by it. What
 * was learned of the client itself goes on beside it. */
static void allowed_is_not_learned(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();
    char command[128], instance[8];

    (void)state;
    snprintf(command, sizeof command, "SET mxw1:ok:example.com:[198.51.100.7] %d EX 1000",
             WORLD_START_UNIX - 2 * 86400);
    world_control(site.mx2, "{\"command\":\"allow\",\"client\":\"198.51.100.7\",\"time\":\"2h\"}");
    for (int i = 0; i < 4; i++) {
        snprintf(instance, sizeof instance, "m%d", i);
        mail.instance = instance;
        expect_accept(site.mx2, &mail, "learned");
        world_run(10);
    }
    assert_false(world_has_key("mxw1:ok:example.com:*"));
    world_redis(command);
    expect_accept(site.mx2, &mail, "learned");
    world_run(10);
    assert_in_range(world_ttl("mxw1:ok:example.com:[198.51.100.7]"), 35 * 86400 - 10, 35 * 86400);
    site_close(&site);
}

/* What was learned of a network ends while its messages go on: three more teach it again. */
static void network_is_learned_again(void **state)
{
    struct site site = site_start(SITE_CONF("mx1.example.com", ""),
                                  SITE_CONF("mx2.example.com", "guard { learn = 10m }\n"));
    struct world_mail mail = stranger();
    char instance[8];

    (void)state;
    world_redis("SET mxw1:ok:example.com:[198.51.100.7] 1800000000 EX 9999999");
    for (int i = 0; i < 7; i++) {
        snprintf(instance, sizeof instance, "m%d", i);
        mail.instance = instance;
        expect_accept(site.mx2, &mail, "learned");
        world_run(4 * MINUTE);
        assert_int_equal(world_has_key("mxw1:ok:example.com:*0/24*"), i >= 2 && i != 4 && i != 5);
    }
    site_close(&site);
}

/* Where min_stage is rcpt, touching mx1 is not enough; and a touch takes nothing back. */
static void touch_may_not_be_enough(void **state)
{
    struct site site = site_start(SITE_CONF("mx1.example.com", "guard { min_stage = \"rcpt\" }\n"),
                                  SITE_CONF("mx2.example.com", "guard { min_stage = \"rcpt\" }\n"));
    struct world_mail mail = stranger(), first = at(mail, MX1);

    (void)state;
    world_visit(site.mx1, &first);
    expect_defer(site.mx2, &mail);
    world_rcpt(site.mx1, &first);
    world_visit(site.mx1, &first);
    world_run(10);
    expect_accept(site.mx2, &mail, "seen");
    site_close(&site);
}

/* A domain with an evidence_ttl of its own, longer than the site's. */
static void evidence_lives_as_long_as_the_domain_says(void **state)
{
    struct site site = site_start(
        SITE_CONF("mx1.example.com",
                  "guard { evidence_ttl = 10m }\n"
                  "domain \"long.example.com\" { guard { mode = \"defer\" evidence_ttl = 1h } }\n"),
        SITE_CONF(
            "mx2.example.com",
            "guard { evidence_ttl = 10m }\n"
            "domain \"long.example.com\" { guard { mode = \"defer\" evidence_ttl = 1h } }\n"));
    struct world_mail mail = stranger(), first = at(mail, MX1);

    (void)state;
    world_set_mx("long.example.com", "10 mx1.example.com,20 mx2.example.com");
    world_run(20 * MINUTE);
    world_visit(site.mx1, &first);
    world_run(30 * MINUTE);
    expect_defer(site.mx2, &mail);
    mail.recipient = "u@long.example.com";
    expect_accept(site.mx2, &mail, "seen");
    site_close(&site);
}

/* A sender that retries from elsewhere: network, verified domain, HELO domain. */
static void retry_from_elsewhere(void **state)
{
    static const struct {
        const char *client, *name, *helo, *reason;
    } again[] = {
        {"198.51.100.99", NULL, NULL, "yielded"},
        {"203.0.113.1", "out2.example.net", NULL, "yielded"},
        {"203.0.113.1", NULL, "out2.example.net", "yielded"},
        {"203.0.113.1", NULL, NULL, "bypass"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof again / sizeof *again; i++) {
        struct site site = site_open();
        struct world_mail mail = stranger();

        expect_defer(site.mx2, &mail);
        world_run(5 * MINUTE);
        mail.client = again[i].client;
        mail.name = again[i].name;
        mail.helo = again[i].helo;
        world_rcpt(site.mx2, &mail);
        assert_string_equal(world_reason(site.mx2), again[i].reason);
        site_close(&site);
    }
}

static void another_message_does_not_yield(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    expect_defer(site.mx2, &mail);
    world_run(5 * MINUTE);
    mail.recipient = "other@example.com";
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

/* Detect answers at once, and still looks twice before it says bypass. Its keys are the dry ones. */
static void detect_costs_nothing(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    mail.recipient = "u@detect.example.com";
    assert_string_equal(world_rcpt(site.mx2, &mail), "DUNNO");
    assert_in_range(world_took(), 0, 20);
    world_run(300);
    assert_string_equal(world_reason(site.mx2), "bypass");
    assert_true(world_has_key("mxw1:dry:defer:*"));
    assert_false(world_has_key("mxw1:defer:*"));
    world_run(5 * MINUTE);
    expect_accept(site.mx2, &mail, "yielded");
    world_run(1000);
    assert_true(world_has_key("mxw1:dry:ok:detect.example.com:*"));
    assert_false(world_has_key("mxw1:ok:*"));
    site_close(&site);
}

static void tag_adds_a_header(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    mail.recipient = "u@tag.example.com";
    expect_verdict(site.mx2, &mail,
                   "PREPEND X-MX-Warden: bypass; domain=tag.example.com; mx=mx2.example.com",
                   "bypass");
    site_close(&site);
}

static struct site open_modes(void)
{
    static const char *const domain[] = {"hold.example.com", "reject.example.com",
                                         "filter.example.com", "off.example.com"};
    struct site site;
    const char more[] =
        "domain \"hold.example.com\" { guard { mode = \"hold\" } }\n"
        "domain \"reject.example.com\" { guard { mode = \"reject\" } }\n"
        "domain \"filter.example.com\" { guard { mode = \"filter\" } }\n"
        "domain \"off.example.com\" { guard { mode = \"tag\" off_mx = \"defer\" } }\n";
    char conf1[2048], conf2[2048];

    snprintf(conf1, sizeof conf1, "%s%s", SITE_CONF("mx1.example.com", ""), more);
    snprintf(conf2, sizeof conf2, "%s%s", SITE_CONF("mx2.example.com", ""), more);
    site = site_start(conf1, conf2);
    for (size_t i = 0; i < sizeof domain / sizeof *domain; i++)
        world_set_mx(domain[i], "10 mx1.example.com,20 mx2.example.com");
    world_set_mx("off.example.com", "10 mx1.example.com");
    world_run(22 * MINUTE); /* until their not being there, and the change, have been forgotten */
    return site;
}

static void hold_and_reject_say_so(void **state)
{
    struct site site = open_modes();
    struct world_mail mail = stranger();

    (void)state;
    mail.recipient = "u@hold.example.com";
    expect_verdict(site.mx2, &mail, "HOLD mxwarden: bypass; domain=hold.example.com", "bypass");
    mail.recipient = "u@reject.example.com";
    expect_verdict(site.mx2, &mail, "550 5.7.1 Please deliver", "bypass");
    site_close(&site);
}

static void off_mx_is_refused_where_asked(void **state)
{
    struct site site = open_modes();
    struct world_mail mail = stranger();

    (void)state;
    mail.recipient = "u@off.example.com";
    expect_verdict(site.mx2, &mail, "451 4.7.1 Please deliver to the preferred MX first (mx1.",
                   "off-mx");
    world_run(4 * MINUTE);
    expect_accept(site.mx2, &mail, "yielded");
    site_close(&site);
}

/* FILTER acts on the whole message: only where it has one recipient, and only at DATA. */
static void filter_diverts_single_recipients(void **state)
{
    static const char *const one[][2] = {{"RCPT", "u@filter.example.com"},
                                         {"DATA", "u@filter.example.com"}};
    static const char *const two[][2] = {
        {"RCPT", "u@other.example"}, {"RCPT", "u@filter.example.com"}, {"DATA", ""}};
    struct site site = open_modes();
    struct world_mail mail = stranger();

    (void)state;
    mail.policy = true;
    assert_string_equal(world_session(site.mx2, &mail, one, 2),
                        "DUNNO|FILTER smtp:[mx1.example.com]:25");
    mail.instance = "2";
    mail.sender = "b@example.net"; /* else it were a retry */
    assert_string_equal(world_session(site.mx2, &mail, two, 3),
                        "DUNNO|DEFER_IF_PERMIT 4.7.1 Please deliver to the preferred MX first "
                        "(mx1.example.com)|DUNNO");
    world_run(2100); /* counters are sent every 2 s; DATA is no second judgement */
    assert_string_equal(world_redis("HGET mxw1:stat:mx2.example.com guard_bypass"), "2");
    site_close(&site);
}

static void others_are_let_alone(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    mail.recipient = "u@elsewhere.example";
    expect_accept(site.mx2, &mail, "unguarded");
    mail = stranger();
    mail.recipient = "postmaster@example.com";
    expect_accept(site.mx2, &mail, "exempt-recipient");
    mail = stranger();
    mail.sasl = "somebody";
    expect_accept(site.mx2, &mail, "exempt-sasl");
    mail = stranger();
    mail.client = MX1;
    expect_accept(site.mx2, &mail, "exempt-mx");
    mail = stranger();
    mail.client = "unknown";
    expect_accept(site.mx2, &mail, "no-client");
    mail = stranger();
    mail.listener = "";
    expect_accept(site.mx2, &mail, "no-listener");
    mail = stranger();
    mail.listener = "192.0.2.99";
    expect_accept(site.mx2, &mail, "off-mx");
    site_close(&site);
}

/* mx1 over IPv4 only: who comes to mx2 over IPv6 cannot have gone there first. */
static void other_family_is_not_blamed(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_set_mx("six.example.com", "10 mx1.example.com,20 six.example.com");
    world_set_addr("six.example.com", MX2 ",2001:db8::20");
    world_reload(site.mx2,
                 SITE_CONF("mx2.example.com",
                           "domain \"six.example.com\" { guard { mode = \"defer\" } }\n"));
    world_run(16 * MINUTE);
    mail.recipient = "u@six.example.com";
    expect_defer(site.mx2, &mail);
    mail.client = "2001:db8:7::7";
    mail.listener = "2001:db8::20";
    expect_accept(site.mx2, &mail, "best");
    site_close(&site);
}

/* One session, two recipients: mx2 is the backup of one domain and the preferred host of the other. */
static void each_recipient_by_its_own_domain(void **state)
{
    static const char *const both[][2] = {{"RCPT", "u@example.com"}, {"RCPT", "u@other.example"}};
    struct site site = site_start(
        SITE_CONF("mx1.example.com", ""),
        SITE_CONF("mx2.example.com", "domain \"other.example\" { guard { mode = \"defer\" } }\n"));
    struct world_mail mail = stranger();

    (void)state;
    world_set_mx("other.example", "10 mx2.example.com,20 mx1.example.com");
    world_run(22 * MINUTE);
    mail.policy = true;
    assert_string_equal(world_session(site.mx2, &mail, both, 2),
                        "DEFER_IF_PERMIT 4.7.1 Please deliver to the preferred MX first "
                        "(mx1.example.com)|DUNNO");
    site_close(&site);
}

/* Three tiers: a visit at either better one counts; the middle one alone is held against nobody when
 * the best is healthy and was visited. */
static void three_hosts(void **state)
{
    struct site site =
        site_start(SITE_CONF("mx1.example.com", ""),
                   SITE_CONF("mx2.example.com",
                             "own = {\"192.0.2.30\"}\n"
                             "domain \"three.example.com\" { guard { mode = \"defer\" } }\n"));
    struct world_mail mail = at(stranger(), "192.0.2.30"), first = at(mail, MX2);

    (void)state;
    world_set_mx("three.example.com", "10 mx1.example.com,20 mx2.example.com,30 mx3.example.com");
    world_set_addr("mx3.example.com", "192.0.2.30");
    world_set_host("192.0.2.30", WORLD_SMTP_UP, site.mx2);
    world_run(22 * MINUTE);
    mail.recipient = "u@three.example.com";
    expect_verdict(site.mx2, &mail,
                   "451 4.7.1 Please deliver to the preferred MX first (mx1.example.com)",
                   "bypass");
    world_set_host(MX1, WORLD_SMTP_REFUSED, site.mx1);
    world_run(6000);
    expect_verdict(site.mx2, &mail,
                   "451 4.7.1 Please deliver to the preferred MX first (mx2.example.com)",
                   "bypass");
    world_visit(site.mx2, &first);
    world_run(10);
    expect_accept(site.mx2, &mail, "seen");
    site_close(&site);
}

/* The listener's address behind NAT, mapped. */
static void listeners_are_mapped(void **state)
{
    struct site site =
        site_start(SITE_CONF("mx1.example.com", "listeners = {\"10.0.0.10=" MX1 "\"}\n"),
                   SITE_CONF("mx2.example.com", "listeners = {\"10.0.0.20=" MX2 "\"}\n"));
    struct world_mail mail = at(stranger(), "10.0.0.20");

    (void)state;
    world_set_milter(MX1, true, "10.0.0.10");
    world_run(MINUTE);
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

/* Behind NAT without an entry: nobody is judged, and the warning names the entry that is missing. */
static void missing_listener_is_named(void **state)
{
    struct site site = site_open();
    struct world_mail mail = at(stranger(), "10.0.0.20");

    (void)state;
    expect_accept(site.mx2, &mail, "off-mx");
    assert_non_null(strstr(world_warning(site.mx2), "listeners = {\"10.0.0.20=" MX2 "\"}"));
    site_close(&site);
}

/* Whoever says EHLO mxwp-... is no probe for that. */
static void probe_name_unlocks_nothing(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    mail.helo = "mxwp-00112233445566778899aabbccddeeff.mx1.example.com";
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

/* Probes, and connections between the site's own hosts, are no visits. */
static void own_hosts_leave_no_evidence(void **state)
{
    struct site site = site_open();
    struct world_mail mail = at(stranger(), MX1);

    (void)state;
    assert_true(world_has_key("mxw1:proof:*"));
    assert_false(world_has_key("mxw1:seen:*"));
    mail.client = MX2;
    world_visit(site.mx1, &mail);
    world_run(100);
    assert_false(world_has_key("mxw1:seen:*"));
    site_close(&site);
}

static void keys_have_their_times(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_visit(site.mx2, &mail);
    expect_defer(site.mx2, &mail);
    assert_in_range(world_ttl("mxw1:seen:[" MX2 "]:[198.51.100.7]"), 86390, 86400);
    assert_in_range(world_ttl("mxw1:seen:[" MX2 "]:[198.51.100.0/24]"), 86390, 86400);
    assert_in_range(world_ttl("mxw1:seen:[" MX2 "]:example.net"), 86390, 86400);
    assert_in_range(world_ttl("mxw1:mx:example.com"), 86400, 86460);
    assert_in_range(world_ttl("mxw1:addr:mx1.example.com"), 86400, 86460);
    assert_in_range(world_ttl("mxw1:health:mx1.example.com:25"), 50, 60);
    assert_in_range(world_ttl("mxw1:node:mx2.example.com"), 9, 15);
    assert_int_equal(world_ttl("mxw1:epoch"), -1);
    assert_int_equal(world_ttl("mxw1:stat:mx2.example.com"), -1);
    assert_string_equal(world_redis("HGET mxw1:mx:example.com order"),
                        "10 mx1.example.com,20 mx2.example.com");
    site_close(&site);
}

/* A restart with Redis intact is no loss of memory, and costs no hold_down. */
static void restart_goes_on(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_stop(site.mx2);
    world_run(2000);
    site.mx2 = world_start(SITE_CONF("mx2.example.com", ""), MX2);
    world_set_host(MX2, WORLD_SMTP_UP, site.mx2);
    world_run(8000); /* until the other nodes have been heard of */
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

/* Other tables follow at once; whether they do is theirs to prove. */
static void reload_names_what_stays(void **state)
{
    struct site site = site_open();

    (void)state;
    world_reload(site.mx2, "node = \"mx2.example.com\"\n"
                           "cache { redis = \"unix:/nowhere/redis.sock\" entries = 5000 }\n");
    assert_string_equal(world_warning(site.mx2),
                        "reload: cache.entries, for the table of visits, changes only at a "
                        "restart");
    site_close(&site);
}

static void reload_takes_effect(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    expect_defer(site.mx2, &mail);
    world_reload(site.mx2, "node = \"mx2.example.com\"\n"
                           "cache { redis = \"unix:/nowhere/redis.sock\" }\n"
                           "domain \"example.com\" { guard { mode = \"off\" } }\n");
    expect_accept(site.mx2, &mail, "exempt-off");
    site_close(&site);
}

/* Names of keys stay until a restart: the parts that write and those that read agree. */
static void reload_keeps_names(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_reload(site.mx2, "node = \"other.example.com\"\n"
                           "cache { redis = \"unix:/nowhere/redis.sock\" prefix = \"other\" }\n"
                           "domain \"example.com\" { guard { mode = \"defer\" } }\n");
    world_run(20000);
    assert_false(world_has_key("other:*"));
    assert_false(world_has_key("mxw1:node:other.example.com"));
    assert_in_range(world_ttl("mxw1:node:mx2.example.com"), 9, 15);
    expect_defer(site.mx2, &mail);
    world_redis("DEL mxw1:mx:example.com"); /* tracked as before */
    world_run(3000);
    assert_true(world_has_key("mxw1:mx:example.com"));
    site_close(&site);
}

static void client_is_shown_allowed_and_forgotten(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger(), first = at(mail, MX1);
    const char *reply;

    (void)state;
    mail.name = mail.helo = NULL;
    assert_non_null(strstr(world_control(site.mx1, "{\"command\":\"allow\",\"client\":"
                                                   "\"198.51.100.7\",\"time\":\"2h\"}"),
                           "\"ok\""));
    world_run(10);
    assert_in_range(world_ttl("mxw1:ok:*:[198.51.100.7]"), 7190, 7200);
    expect_accept(site.mx2, &mail, "learned");
    world_visit(site.mx1, &first);
    reply = world_control(site.mx2, "{\"command\":\"seen\",\"client\":\"198.51.100.7\"}");
    assert_non_null(strstr(reply, "{\"listener\":\"[" MX1 "]\",\"as\":\"[198.51.100.7]\""));
    assert_non_null(strstr(reply, "\"domain\":\"*\""));
    world_control(site.mx2, "{\"command\":\"forget\",\"client\":\"198.51.100.7\"}");
    world_control(site.mx1, "{\"command\":\"forget\",\"client\":\"198.51.100.7\"}");
    world_run(10);
    assert_false(world_has_key("mxw1:seen:*198.51.100.*"));
    assert_false(world_has_key("mxw1:ok:*"));
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

/* Said at mx1, heard at mx2. */
static void pause_is_the_whole_sites(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    assert_non_null(
        strstr(world_control(site.mx1, "{\"command\": \"pause\", \"time\": \"10m\"}"), "\"ok\""));
    world_run(1000);
    expect_accept(site.mx2, &mail, "exempt-pause");
    assert_in_range(world_ttl("mxw1:override:pause"), 30 * 86400 - 10, 30 * 86400);
    world_control(site.mx2, "{\"command\": \"resume\"}");
    world_run(1000);
    expect_defer(site.mx2, &mail);
    assert_false(world_has_key("mxw1:override:pause"));
    site_close(&site);
}

/* A pause that Redis loses is still one, and one deleted by hand is none; a far-off end is not. */
static void pause_is_kept_and_ends(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();
    const char *reply;
    long long end;

    (void)state;
    reply = world_control(site.mx1, "{\"command\":\"pause\",\"domain\":\"exmaple.com\"}");
    assert_non_null(strstr(reply, "the guard is off for exmaple.com for 1h (no section "));
    world_control(site.mx1, "{\"command\":\"resume\",\"domain\":\"exmaple.com\"}");
    reply = world_control(site.mx1, "{\"command\":\"pause\",\"domain\":\"example.com\"}");
    assert_non_null(strstr(reply, "the guard is off for example.com for 1h\""));
    world_control(site.mx1, "{\"command\":\"resume\",\"domain\":\"example.com\"}");
    reply = world_control(site.mx1, "{\"command\":\"pause\",\"time\":\"20d\"}");
    assert_non_null(strstr(reply, "the guard is off for every domain for 20d\""));
    world_run(6000);
    world_restart_redis(true);
    world_run(30 * MINUTE);
    expect_accept(site.mx1, &mail, "exempt-pause");
    expect_accept(site.mx2, &mail, "exempt-pause");
    assert_true(world_has_key("mxw1:override:pause"));
    world_redis("DEL mxw1:epoch"); /* as FLUSHALL does, at one moment */
    world_redis("DEL mxw1:override:pause");
    world_run(30 * MINUTE);
    expect_accept(site.mx2, &mail, "exempt-pause");
    assert_true(world_has_key("mxw1:override:pause"));
    world_redis("DEL mxw1:override:pause");
    world_run(1000);
    expect_defer(site.mx2, &mail);
    world_run(MINUTE);
    assert_false(world_has_key("mxw1:override:pause"));
    world_redis("HSET mxw1:override:pause * 99999999999");
    world_run(6000);
    mail.client = "203.0.113.9";
    mail.recipient = "v@example.com";
    expect_accept(site.mx2, &mail, "exempt-pause");
    end = strtoll(world_redis("HGET mxw1:override:pause *"), NULL, 10);
    assert_in_range(end, WORLD_START_UNIX + 30 * 86400, WORLD_START_UNIX + 31 * 86400);
    site_close(&site);
}

static void domain_resumed_under_the_sites_pause(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();
    const char *reply;

    (void)state;
    world_control(site.mx2, "{\"command\":\"pause\",\"time\":\"1h\"}");
    reply = world_control(site.mx2, "{\"command\":\"resume\",\"domain\":\"example.com\"}");
    assert_non_null(strstr(reply, "the whole site's pause goes on for 3600 s"));
    expect_accept(site.mx2, &mail, "exempt-pause");
    world_control(site.mx2, "{\"command\":\"resume\"}");
    reply = world_control(site.mx2, "{\"command\":\"resume\",\"domain\":\"example.com\"}");
    assert_null(strstr(reply, "goes on"));
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

/* A node that starts, or hears of nothing for a while, learns of a pause all the same. */
static void pause_is_found_at_the_start(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_stop(site.mx2);
    world_control(site.mx1, "{\"command\": \"pause\", \"time\": \"1h\"}");
    site.mx2 = world_start(SITE_CONF("mx2.example.com", ""), MX2);
    world_set_host(MX2, WORLD_SMTP_UP, site.mx2);
    world_run(8000);
    expect_accept(site.mx2, &mail, "exempt-pause");
    site_close(&site);
}

/* Said while Redis was away, or at a node that had not yet heard of another pause: neither is lost.
 * Nor is one of many domains. */
static void pauses_are_not_lost(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();
    char request[96];

    (void)state;
    world_set_tracking(false);
    world_run(1000);
    world_control(site.mx1, "{\"command\":\"pause\",\"time\":\"1h\",\"domain\":\"example.com\"}");
    world_control(site.mx2, "{\"command\":\"pause\",\"time\":\"1h\",\"domain\":\"a.example\"}");
    world_run(6000);
    expect_accept(site.mx1, &mail, "exempt-pause");
    expect_accept(site.mx2, &mail, "exempt-pause");
    world_control(site.mx2, "{\"command\":\"resume\"}");
    world_run(6000);
    assert_false(world_has_key("mxw1:override:pause"));
    world_set_redis(WORLD_REDIS_DOWN);
    world_run(1000);
    world_control(site.mx2, "{\"command\":\"pause\",\"time\":\"1h\",\"domain\":\"example.com\"}");
    world_set_redis(WORLD_REDIS_UP);
    world_run(20 * MINUTE);
    expect_accept(site.mx2, &mail, "exempt-pause");
    for (int i = 0; i < 70; i++) {
        snprintf(request, sizeof request,
                 "{\"command\":\"pause\",\"domain\":\"d%d.example\",\"time\":\"2h\"}", i);
        world_control(site.mx2, request);
    }
    world_control(site.mx2,
                  "{\"command\":\"pause\",\"time\":\"2h\",\"domain\":\"tag.example.com\"}");
    world_run(10000);
    mail.recipient = "u@tag.example.com";
    expect_accept(site.mx2, &mail, "exempt-pause");
    site_close(&site);
}

/* Redis takes no writes just then. */
static void pause_is_written_later(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_set_redis(WORLD_REDIS_READONLY);
    world_control(site.mx2, "{\"command\":\"pause\",\"time\":\"1h\"}");
    world_run(10000);
    expect_accept(site.mx2, &mail, "exempt-pause");
    world_set_redis(WORLD_REDIS_UP);
    world_run(10000);
    assert_true(world_has_key("mxw1:override:pause"));
    site_close(&site);
}

static void pause_ends_by_itself(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_control(site.mx2, "{\"command\": \"pause\", \"time\": \"2m\", "
                            "\"domain\": \"Example.COM\"}");
    expect_accept(site.mx2, &mail, "exempt-pause");
    mail.recipient = "u@tag.example.com";
    expect_verdict(site.mx2, &mail, "PREPEND ", "bypass");
    world_run(2 * MINUTE);
    mail = stranger();
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

/* By hand, with values that nobody should believe. */
static void pause_by_hand(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_redis("HSET mxw1:override:pause example.com soon *** 99999999999 * -5");
    world_run(1000);
    expect_defer(site.mx2, &mail);
    world_redis("HSET mxw1:override:pause example.com 99999999999");
    world_run(1000);
    expect_accept(site.mx2, &mail, "exempt-pause");
    world_redis("DEL mxw1:override:pause");
    world_run(1000);
    mail.recipient = "v@example.com";
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

static void explain_notes_nothing(void **state)
{
    struct site site = site_open();
    const char *reply;

    (void)state;
    reply = world_control(site.mx2, "{\"command\": \"explain\", \"client\": \"198.51.100.7\", "
                                    "\"listener\": \"" MX2 "\", \"rcpt\": \"u@example.com\", "
                                    "\"sender\": \"a@example.net\"}");
    assert_non_null(strstr(reply, "\"bypass\""));
    assert_non_null(strstr(reply, "once it has been to mx1.example.com"));
    assert_non_null(strstr(reply, " (hold_down), probed "));
    assert_false(world_has_key("mxw1:defer:*"));
    assert_false(world_has_key("mxw1:seen:*"));
    site_close(&site);
}

int replay_guard(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(skipper_is_deferred),
        cmocka_unit_test(policy_client_may_still_refuse),
        cmocka_unit_test(preferred_host_judges_nobody),
        cmocka_unit_test(seen_at_preferred_host),
        cmocka_unit_test(seen_by_network),
        cmocka_unit_test(seen_by_verified_domain),
        cmocka_unit_test(generic_names_are_no_domain),
        cmocka_unit_test(seen_by_envelope),
        cmocka_unit_test(refused_recipient_is_evidence),
        cmocka_unit_test(visit_a_moment_too_late),
        cmocka_unit_test(evidence_ends),
        cmocka_unit_test(retry_is_let_in_and_learned),
        cmocka_unit_test(learned_client_stays_known),
        cmocka_unit_test(learned_for_less_than_a_day),
        cmocka_unit_test(network_is_learned_after_three),
        cmocka_unit_test(allowed_is_not_learned),
        cmocka_unit_test(network_is_learned_again),
        cmocka_unit_test(touch_may_not_be_enough),
        cmocka_unit_test(evidence_lives_as_long_as_the_domain_says),
        cmocka_unit_test(retry_from_elsewhere),
        cmocka_unit_test(another_message_does_not_yield),
        cmocka_unit_test(detect_costs_nothing),
        cmocka_unit_test(tag_adds_a_header),
        cmocka_unit_test(hold_and_reject_say_so),
        cmocka_unit_test(off_mx_is_refused_where_asked),
        cmocka_unit_test(filter_diverts_single_recipients),
        cmocka_unit_test(others_are_let_alone),
        cmocka_unit_test(other_family_is_not_blamed),
        cmocka_unit_test(each_recipient_by_its_own_domain),
        cmocka_unit_test(three_hosts),
        cmocka_unit_test(listeners_are_mapped),
        cmocka_unit_test(missing_listener_is_named),
        cmocka_unit_test(probe_name_unlocks_nothing),
        cmocka_unit_test(own_hosts_leave_no_evidence),
        cmocka_unit_test(keys_have_their_times),
        cmocka_unit_test(restart_goes_on),
        cmocka_unit_test(reload_takes_effect),
        cmocka_unit_test(reload_names_what_stays),
        cmocka_unit_test(reload_keeps_names),
        cmocka_unit_test(client_is_shown_allowed_and_forgotten),
        cmocka_unit_test(pause_is_the_whole_sites),
        cmocka_unit_test(pause_is_kept_and_ends),
        cmocka_unit_test(domain_resumed_under_the_sites_pause),
        cmocka_unit_test(pause_is_found_at_the_start),
        cmocka_unit_test(pauses_are_not_lost),
        cmocka_unit_test(pause_is_written_later),
        cmocka_unit_test(pause_ends_by_itself),
        cmocka_unit_test(pause_by_hand),
        cmocka_unit_test(explain_notes_nothing),
    };

    return cmocka_run_group_tests_name("replay-guard", tests, NULL, NULL);
}
