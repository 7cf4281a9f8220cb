/*
 * What mxwarden report tells: whom the guard refused, or would have, and what became of them.
 */
#include "tests/replay/replay.h"
#include "tests/replay/site.h"

#include "cache/clock.h"

#include <stdlib.h>
#include <time.h>

static struct world_mail sender(const char *client, const char *from, const char *recipient)
{
    struct world_mail mail = stranger();

    mail.client = client;
    mail.name = NULL;
    mail.sender = from;
    mail.recipient = recipient;
    mail.instance = from;
    return mail;
}

/* A counter of mx2's today; the daemon sends them every 2 s. */
static long counted(const char *field)
{
    time_t now = WORLD_START_UNIX + (time_t)(world_now() / 1000);
    char command[256], day[16];
    struct tm tm;

    world_run(2100);
    strftime(day, sizeof day, "%Y%m%d", gmtime_r(&now, &tm));
    snprintf(command, sizeof command, "HGET mxw1:stat:mx2.example.com:%s %s", day, field);
    return strtol(world_redis(command), NULL, 10);
}

static void expect_count(const char *field, long wanted)
{
    long got = counted(field);

    if (got != wanted)
        fail_msg("%s is %ld, not %ld", field, got, wanted);
}

/* Detect answers before its second look at the memory. */
static void expect_bypass(struct node *node, const struct world_mail *mail)
{
    assert_string_equal(world_rcpt(node, mail), "DUNNO");
    world_run(300);
    assert_string_equal(world_reason(node), "bypass");
}

#define DETECT "detect.example.com"

/* Three strangers in detect; one of them writes to the same recipient again. */
static void one_of_three_returns(void **state)
{
    struct site site = site_open();
    struct world_mail one = sender("198.51.100.7", "a@example.net", "u@" DETECT);
    struct world_mail two = sender("203.0.113.7", "b@example.org", "u@" DETECT);
    struct world_mail three = sender("192.0.2.200", "c@example.com", "u@" DETECT);

    (void)state;
    expect_bypass(site.mx2, &one);
    expect_bypass(site.mx2, &two);
    expect_bypass(site.mx2, &three);
    world_run(MINUTE);
    expect_count("bypass:" DETECT, 3);
    world_run(9 * MINUTE);
    one.instance = "another";
    expect_accept(site.mx2, &one, "yielded");
    world_run(11 * MINUTE);
    expect_count("judged:" DETECT, 4);
    expect_count("bypass:" DETECT, 3);
    expect_count("yielded:" DETECT, 1);
    expect_count("better:" DETECT, 0);
    expect_count("delay_lt_900:" DETECT, 1);
    assert_in_range(counted("delay:" DETECT), 600, 605);
    site_close(&site);
}

/* Refused, it goes to the better host, as stock senders do. */
static void delay_until_the_better_host(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger(), again = at(mail, MX1);

    (void)state;
    expect_defer(site.mx2, &mail);
    world_run(7 * MINUTE);
    expect_accept(site.mx1, &again, "best");
    world_run(5 * MINUTE);
    expect_count("bypass:example.com", 1);
    expect_count("better:example.com", 1);
    expect_count("delay_lt_900:example.com", 1);
    assert_in_range(counted("delay:example.com"), 420, 425);
    site_close(&site);
}

/* One message to three recipients, tried three times in four minutes: one refusal. */
static void messages_are_counted(void **state)
{
    static const char *const recipient[] = {"u@example.com", "v@example.com", "w@example.com"};
    static const char *const instance[] = {"m1", "m2", "m3"};
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    mail.name = NULL;
    for (size_t try = 0; try < 3; try++) {
        mail.instance = instance[try];
        for (size_t i = 0; i < 3; i++) {
            mail.recipient = recipient[i];
            expect_defer(site.mx2, &mail);
        }
        world_run(MINUTE);
    }
    expect_count("judged:example.com", 3);
    expect_count("bypass:example.com", 1);
    expect_count("guard_bypass", 9);
    site_close(&site);
}

/* Domains without a section of their own are counted together. */
static void others_are_the_rest(void **state)
{
    struct site site =
        site_start(SITE_CONF("mx1.example.com", "domain \"*\" { guard { mode = \"detect\" } }\n"),
                   SITE_CONF("mx2.example.com", "domain \"*\" { guard { mode = \"detect\" } }\n"));
    struct world_mail mail = sender("198.51.100.7", "a@example.net", "u@example.org");

    (void)state;
    world_set_mx("example.org", "10 mx1.example.com,20 mx2.example.com");
    expect_bypass(site.mx2, &mail);
    expect_count("judged:*", 1);
    expect_count("judged:example.org", 0);
    site_close(&site);
}

/* What a daemon that ends did not see the end of is said to be unknown. */
static void end_of_the_daemon(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    expect_defer(site.mx2, &mail);
    world_stop(site.mx2);
    site.mx2 = NULL;
    expect_count("bypass:example.com", 1);
    expect_count("unknown:example.com", 1);
    site_close(&site);
}

static void expect_field(const char *key, const char *field, const char *wanted)
{
    char command[128];
    const char *got;

    snprintf(command, sizeof command, "HGET %s %s", key, field);
    got = world_redis(command);
    if (strcmp(got, wanted) != 0)
        fail_msg("%s %s is '%s', not '%s'", key, field, got, wanted);
}

/* What is told to people is told before the daemon is gone, idle or not, and even when Redis takes
 * its time. */
static void end_is_told(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    world_run(MINUTE);
    world_stop(site.mx1);
    site.mx1 = NULL;
    expect_field("mxw1:events", "stopping", "1");
    world_set_host(MX1, WORLD_SMTP_UP, NULL);
    world_redis("DEL mxw1:events mxw1:top:domains:20270115");
    world_set_redis_latency(60);
    world_rcpt(site.mx2, &mail);
    world_stop(site.mx2);
    site.mx2 = NULL;
    expect_field("mxw1:events", "stopping", "1");
    expect_field("mxw1:top:domains:20270115", "sum", "1");
    world_set_redis_latency(1);
    site_close(&site);
}

/* A Redis that hangs keeps nobody from ending. */
static void end_without_redis(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();
    int64_t began;

    (void)state;
    expect_defer(site.mx2, &mail);
    world_set_redis(WORLD_REDIS_HANGS);
    began = world_now();
    world_stop(site.mx2);
    site.mx2 = NULL;
    assert_in_range(world_now() - began, 0, 1000);
    world_set_redis(WORLD_REDIS_UP);
    site_close(&site);
}

static const char *report(struct node *node, const char *days)
{
    char request[64];

    snprintf(request, sizeof request, "{\"command\":\"report\"%s%s}", *days ? ",\"days\":" : "",
             days);
    return world_control(node, request);
}

static void expect_part(const char *reply, const char *part)
{
    if (!strstr(reply, part))
        fail_msg("no %s in %s", part, reply);
}

/* Both nodes count, on two days, and either reports all of it. */
static void report_adds_nodes_and_days(void **state)
{
    struct site site = site_open();
    struct world_mail one = sender("198.51.100.7", "a@example.net", "u@" DETECT);
    struct world_mail first = sender("203.0.113.7", "b@example.org", "u@" DETECT);

    (void)state;
    world_redis("HINCRBY mxw1:stat:mx2.example.com:20270114 bypass:" DETECT " 4");
    world_redis("HINCRBY mxw1:stat:mx2.example.com:20270114 silent:" DETECT " 3");
    expect_bypass(site.mx2, &one);
    first.listener = MX1;
    expect_accept(site.mx1, &first, "best");
    world_run(2100);
    expect_part(report(site.mx1, ""), "\"from\":\"20270109\",\"to\":\"20270115\",\"since\":null,"
                                      "\"nodes\":[\"mx1.example.com\",\"mx2.example.com\"]");
    expect_part(report(site.mx1, ""),
                "{\"domain\":\"" DETECT "\",\"mode\":\"detect\",\"judged\":2,\"bypass\":5,"
                "\"yielded\":0,\"better\":0,\"silent\":3,\"unknown\":0,\"open\":2,\"delay\":null}");
    expect_part(report(site.mx2, "1"), "\"judged\":2,\"bypass\":1,");
    expect_part(report(site.mx2, "1"), "\"reasons\":{\"best\":1,\"bypass\":1}");
    world_stop(site.mx2); /* known by its name all the same */
    site.mx2 = NULL;
    world_run(2 * MINUTE);
    expect_part(report(site.mx1, "1"), "\"nodes\":[\"mx1.example.com\",\"mx2.example.com\"]");
    expect_part(report(site.mx1, "1"), "\"unknown\":1,");
    world_redis("DEL mxw1:stat:mx2.example.com:20270115");
    world_redis("SET mxw1:stat:mx2.example.com:20270115 nonsense");
    expect_part(report(site.mx1, "1"), "\"nodes\":[\"mx1.example.com\"]");
    world_set_redis(WORLD_REDIS_DOWN);
    expect_part(report(site.mx1, "1"), "\"status\":\"refused\"");
    world_set_redis(WORLD_REDIS_UP);
    site_close(&site);
}

/* Twenty hosts of a domain, the first of them numbered so. */
static void have_many_hosts(const char *domain, int first)
{
    char set[1024] = "";

    for (int i = first; i < first + 20; i++)
        snprintf(set + strlen(set), sizeof set - strlen(set), "%s10 n%d.example.com",
                 *set ? "," : "", i);
    world_set_mx(domain, set);
}

/* Five weeks of many nodes, of a Redis at the other end of the world. */
static void report_of_many_nodes(void **state)
{
    struct site site = site_open();
    char command[128];
    const char *reply;

    (void)state;
    have_many_hosts(DETECT, 0);
    have_many_hosts("tag.example.com", 20);
    world_run(61 * MINUTE); /* they are looked up again */
    for (int i = 0; i < 40; i++) {
        snprintf(command, sizeof command,
                 "HINCRBY mxw1:stat:n%d.example.com:202701%02d bypass:" DETECT " 1", i,
                 15 - i % 15);
        world_redis(command);
    }
    world_set_redis_latency(60);
    reply = report(site.mx1, "35");
    expect_part(reply, "\"n0.example.com\"");
    expect_part(reply, "\"n39.example.com\"");
    expect_part(reply, "\"judged\":0,\"bypass\":40,");
    assert_in_range(world_took(), 50 * 60, 51 * 60); /* 1, 2, 4, ..., 32 at a time, of 42 * 35 */
    world_set_redis_latency(1);
    site_close(&site);
}

int replay_report(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_three_returns), cmocka_unit_test(delay_until_the_better_host),
        cmocka_unit_test(messages_are_counted), cmocka_unit_test(others_are_the_rest),
        cmocka_unit_test(end_of_the_daemon),    cmocka_unit_test(end_is_told),
        cmocka_unit_test(end_without_redis),    cmocka_unit_test(report_adds_nodes_and_days),
        cmocka_unit_test(report_of_many_nodes),
    };

    return cmocka_run_group_tests_name("replay-report", tests, NULL, NULL);
}
