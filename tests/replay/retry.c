/*
 * Who comes back within moments: a mail server by its own name is let in at once, in a later
 * message; everybody else waits for yield_after.
 */
#include "tests/replay/replay.h"
#include "tests/replay/site.h"

#include "policy/identity.h"

/* The stranger's next message, to the same recipient. */
static struct world_mail again(struct world_mail mail)
{
    mail.instance = "2";
    return mail;
}

static void server_comes_back_at_once(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    expect_defer(site.mx2, &mail);
    mail = again(mail);
    expect_accept(site.mx2, &mail, "yielded");
    assert_in_range(world_took(), 0, 10);
    world_run(10);
    assert_true(world_has_key("mxw1:ok:example.com:\\[198.51.100.7\\]"));
    mail.recipient = "other@example.com";
    expect_accept(site.mx2, &mail, "learned");
    site_close(&site);
}

/* The same by Postfix's policy client, whose instances are its own. */
static void server_comes_back_by_policy(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    mail.policy = true;
    mail.instance = "4b1.6a5f.1b2.0";
    expect_verdict(site.mx2, &mail, "DEFER_IF_PERMIT 4.7.1 ", "bypass");
    mail.instance = "4b1.6a5f.1b2.1";
    expect_accept(site.mx2, &mail, "yielded");
    site_close(&site);
}

static void same_message_is_no_retry(void **state)
{
    static const char *const twice[][2] = {
        {"RCPT", "u@example.com"}, {"RCPT", "v@example.com"}, {"RCPT", "u@example.com"}};
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    expect_defer(site.mx2, &mail);
    expect_defer(site.mx2, &mail);
    world_run(MINUTE);
    expect_defer(site.mx2, &mail);
    mail.policy = true;
    mail.sender = "b@example.net";
    assert_null(strstr(world_session(site.mx2, &mail, twice, 3), "DUNNO"));
    site_close(&site);
}

/* An MTA that has both the milter and the policy service asks twice about one message, and each
 * asker names it differently. */
static void two_askers_are_one_message(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    mail.recipient = "u@tag.example.com";
    mail.policy = true;
    expect_verdict(site.mx2, &mail, "PREPEND ", "bypass");
    mail.policy = false;
    mail = again(mail);
    expect_verdict(site.mx2, &mail, "PREPEND ", "bypass");
    site_close(&site);
}

/* Asked at RCPT and at DATA, in one message, and then in the next. */
static void filter_asks_twice(void **state)
{
    static const char *const one[][2] = {{"RCPT", "u@filter.example.com"},
                                         {"DATA", "u@filter.example.com"}};
    struct site site =
        site_start(SITE_CONF("mx1.example.com", ""),
                   SITE_CONF("mx2.example.com",
                             "domain \"filter.example.com\" { guard { mode = \"filter\" } }\n"));
    struct world_mail mail = stranger();

    (void)state;
    world_set_mx("filter.example.com", "10 mx1.example.com,20 mx2.example.com");
    world_run(22 * MINUTE);
    mail.policy = true;
    assert_string_equal(world_session(site.mx2, &mail, one, 2),
                        "DUNNO|FILTER smtp:[mx1.example.com]:25");
    mail.instance = "2";
    assert_string_equal(world_session(site.mx2, &mail, one, 2), "DUNNO|DUNNO");
    assert_string_equal(world_reason(site.mx2), "yielded");
    site_close(&site);
}

/* Nobody says which message it is: then only time tells. */
static void without_instances_time_tells(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    mail.instance = "";
    expect_defer(site.mx2, &mail);
    world_run(1000);
    expect_defer(site.mx2, &mail);
    world_run(4 * MINUTE);
    expect_accept(site.mx2, &mail, "yielded");
    site_close(&site);
}

#define QUICK "domain \"quick.example.com\" { guard { mode = \"defer\" yield_after = 1s } }\n"

/* The second look comes a quarter of a second later: in some of these a second has struck since the
 * refusal was noted, but that is this question's own. */
static void own_refusal_is_no_retry(void **state)
{
    struct site site =
        site_start(SITE_CONF("mx1.example.com", ""), SITE_CONF("mx2.example.com", QUICK));
    struct world_mail mail = stranger();
    char sender[32];

    (void)state;
    world_set_mx("quick.example.com", "10 mx1.example.com,20 mx2.example.com");
    world_run(22 * MINUTE);
    mail.recipient = "u@quick.example.com";
    mail.name = mail.helo = NULL;
    mail.sender = sender;
    for (int i = 0; i < 10; i++) {
        snprintf(sender, sizeof sender, "a%d@example.net", i);
        expect_defer(site.mx2, &mail);
        world_run(850);
    }
    world_run(1000);
    expect_accept(site.mx2, &mail, "yielded");
    site_close(&site);
}

/* What a skipper on a customer's line has, and what anybody may claim. */
static void others_wait_for_the_yield(void **state)
{
    static const char *const who[][2] = {
        {"host-198-51-100-7.example.net", "host-198-51-100-7.example.net"},
        {"out1.example.net", "out2.example.net"},
        {"out1.example.net", "example.net"},
        {"out1.example.net", NULL},
        {NULL, "out1.example.net"},
        {NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof who / sizeof *who; i++) {
        struct site site = site_open();
        struct world_mail mail = stranger();

        mail.name = who[i][0];
        mail.helo = who[i][1];
        expect_defer(site.mx2, &mail);
        mail = again(mail);
        expect_defer(site.mx2, &mail);
        world_run(4 * MINUTE);
        expect_accept(site.mx2, &mail, "yielded");
        site_close(&site);
    }
}

/* Refused at mx2, and on to mx3 of the same preference within the same attempt: whatever number the
 * message had there. Without a name it is refused there, too. */
static void another_node_refused_first(void **state)
{
    struct site site = site_open();
    struct node *mx3 = world_start(SITE_CONF("mx3.example.com", ""), "192.0.2.30");
    struct world_mail mail = stranger(), next = at(mail, "192.0.2.30");

    (void)state;
    world_set_mx("example.com", "10 mx1.example.com,20 mx2.example.com,20 mx3.example.com");
    world_set_addr("mx3.example.com", "192.0.2.30");
    world_set_host("192.0.2.30", WORLD_SMTP_UP, mx3);
    world_run(30 * MINUTE);
    expect_defer(site.mx2, &mail);
    expect_accept(mx3, &next, "yielded");
    mail.client = next.client = "203.0.113.9";
    mail.sender = next.sender = "b@example.org";
    mail.name = next.name = NULL;
    expect_defer(site.mx2, &mail);
    expect_defer(mx3, &next);
    world_stop(mx3);
    site_close(&site);
}

/* The daemon that refused is gone; what Redis kept was an earlier message. */
static void daemon_restarted(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    expect_defer(site.mx2, &mail);
    world_kill(site.mx2);
    site.mx2 = world_start(SITE_CONF("mx2.example.com", ""), MX2);
    world_set_host(MX2, WORLD_SMTP_UP, site.mx2);
    world_run(8000);
    mail = again(mail);
    expect_accept(site.mx2, &mail, "yielded");
    site_close(&site);
}

/* Takes the refusal of this mail out of Redis. */
static void drop_refusal(const struct world_mail *mail)
{
    struct question question = {0};
    struct identity_set digests;
    char command[IDENTITY_SIZE + 32];

    assert_true(net_addr_parse(mail->client, &question.client));
    strcpy(question.client_name, mail->name);
    strcpy(question.helo_name, mail->helo);
    assert_true(address_parse(mail->sender, &question.sender));
    assert_true(address_parse(mail->recipient, &question.recipient));
    identity_of_retry(&question, 24, 64, &digests);
    for (size_t i = 0; i < digests.count; i++) {
        snprintf(command, sizeof command, "DEL mxw1:defer:%s", digests.text[i]);
        world_redis(command);
    }
}

/* Redis lost the refusal, which its daemon still knows; then Redis is gone, and nobody is judged. */
static void redis_forgot_or_is_gone(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    expect_defer(site.mx2, &mail);
    drop_refusal(&mail);
    assert_false(world_has_key("mxw1:defer:*"));
    expect_defer(site.mx2, &mail); /* the same message */
    mail = again(mail);
    expect_accept(site.mx2, &mail, "yielded");
    mail.client = "203.0.113.9";
    mail.sender = "b@example.org";
    mail.name = mail.helo = "mail.example.org";
    expect_defer(site.mx2, &mail);
    world_set_redis(WORLD_REDIS_DOWN);
    mail.instance = "3";
    expect_accept(site.mx2, &mail, "memory");
    site_close(&site);
}

/* Without Redis the process's own memory does it all. */
static void site_without_redis(void **state)
{
    static const char conf[] = "node = \"mx2.example.com\"\n"
                               "domain \"example.com\" { guard { mode = \"defer\" "
                               "require_observed = false } }\n";
    struct site site = site_start(SITE_CONF("mx1.example.com", ""), conf);
    struct world_mail mail = stranger();

    (void)state;
    expect_defer(site.mx2, &mail);
    expect_defer(site.mx2, &mail);
    mail = again(mail);
    expect_accept(site.mx2, &mail, "yielded");
    site_close(&site);
}

/* A pool whose members have names of their own: the retry comes from another one of them. */
static void from_another_of_a_pool(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    expect_defer(site.mx2, &mail);
    mail = again(mail);
    mail.client = "203.0.113.9";
    mail.name = mail.helo = "out9.example.net";
    expect_accept(site.mx2, &mail, "yielded");
    site_close(&site);
}

/* Detect sees and keeps the same, under its own keys. */
static void detect_sees_the_same(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();

    (void)state;
    mail.recipient = "u@detect.example.com";
    for (int i = 0; i < 2; i++) {
        assert_string_equal(world_rcpt(site.mx2, &mail), "DUNNO");
        world_run(300);
        assert_string_equal(world_reason(site.mx2), "bypass");
    }
    mail = again(mail);
    expect_accept(site.mx2, &mail, "yielded");
    world_run(10);
    assert_true(world_has_key("mxw1:dry:ok:detect.example.com:*"));
    assert_false(world_has_key("mxw1:ok:*"));
    site_close(&site);
}

#define EXPLAIN(name)                                                                              \
    "{\"command\": \"explain\", \"client\": \"198.51.100.7\", \"listener\": \"" MX2 "\", "         \
    "\"rcpt\": \"u@example.com\", \"sender\": \"a@example.net\", \"name\": \"" name "\", "         \
    "\"helo\": \"out1.example.net\"}"

/* What such a client has to do: come back; wait and come back; it has, and would be let in. */
static void explain_tells_when(void **state)
{
    struct site site = site_open();
    struct world_mail mail = stranger();
    const char *reply;

    (void)state;
    reply = world_control(site.mx2, EXPLAIN("out1.example.net"));
    assert_non_null(strstr(reply, "tries the same sender and recipient again\""));
    assert_non_null(strstr(reply, "let in at its first retry, by its verified name"));
    reply = world_control(site.mx2, EXPLAIN("out2.example.net"));
    assert_non_null(strstr(reply, "recipient again 240 s after its first refusal\""));
    expect_defer(site.mx2, &mail);
    world_run(10000);
    reply = world_control(site.mx2, EXPLAIN("out1.example.net"));
    assert_non_null(strstr(reply, "\"yielded\""));
    assert_non_null(strstr(reply, "first refused 10 s ago, in an earlier message"));
    reply = world_control(site.mx2, EXPLAIN("out2.example.net"));
    assert_non_null(strstr(reply, "\"bypass\""));
    assert_non_null(strstr(reply, "recipient again 230 s after now\""));
    site_close(&site);
}

int replay_retry(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_comes_back_at_once),
        cmocka_unit_test(server_comes_back_by_policy),
        cmocka_unit_test(same_message_is_no_retry),
        cmocka_unit_test(two_askers_are_one_message),
        cmocka_unit_test(filter_asks_twice),
        cmocka_unit_test(without_instances_time_tells),
        cmocka_unit_test(others_wait_for_the_yield),
        cmocka_unit_test(own_refusal_is_no_retry),
        cmocka_unit_test(another_node_refused_first),
        cmocka_unit_test(daemon_restarted),
        cmocka_unit_test(redis_forgot_or_is_gone),
        cmocka_unit_test(site_without_redis),
        cmocka_unit_test(from_another_of_a_pool),
        cmocka_unit_test(detect_sees_the_same),
        cmocka_unit_test(explain_tells_when),
    };

    return cmocka_run_group_tests_name("replay-retry", tests, NULL, NULL);
}
