/*
 * The trap: 10 mx1, 20 mx2, and 90 mx9, a decoy that never accepts.
 */
#include "tests/replay/replay.h"
#include "tests/replay/site.h"

#define MX9  "192.0.2.90"
#define TRAP "guard { trap = \"mx9.example.com\" }\n"
#define HOUR (60 * MINUTE)

#define TRAPPED "mxw1:trap:\\[198.51.100.0/24\\]"

struct trap_site {
    struct site site;
    struct node *mx9;
};

static struct trap_site trap_open(void)
{
    static const char *const domain[] = {"example.com", "detect.example.com"};
    struct trap_site all = {0};

    world_open();
    site_zone();
    for (size_t i = 0; i < sizeof domain / sizeof *domain; i++)
        world_set_mx(domain[i], "10 mx1.example.com,20 mx2.example.com,90 mx9.example.com");
    world_set_addr("mx9.example.com", MX9);
    all.site.mx1 = world_start(SITE_CONF("mx1.example.com", TRAP), MX1);
    world_set_host(MX1, WORLD_SMTP_UP, all.site.mx1);
    all.site.mx2 = world_start(SITE_CONF("mx2.example.com", TRAP), MX2);
    world_set_host(MX2, WORLD_SMTP_UP, all.site.mx2);
    all.mx9 = world_start(SITE_CONF("mx9.example.com", TRAP), MX9);
    world_set_host(MX9, WORLD_SMTP_UP, all.mx9);
    world_run(16 * MINUTE);
    return all;
}

static void trap_close(struct trap_site *all)
{
    if (all->mx9)
        world_stop(all->mx9);
    site_close(&all->site);
}

/* The n-th stranger of one network, each with a message of its own. */
static struct world_mail nth(unsigned n, const char *listener)
{
    static char client[32], sender[32], instance[16], helo[32];
    struct world_mail mail = at(stranger(), listener);

    snprintf(client, sizeof client, "198.51.100.%u", n % 250 + 1);
    snprintf(sender, sizeof sender, "s%u@example.net", n);
    snprintf(instance, sizeof instance, "m%u", n);
    snprintf(helo, sizeof helo, "h%u.example.org", n);
    mail.client = client;
    mail.name = NULL;
    mail.sender = sender;
    mail.instance = instance;
    mail.helo = helo;
    return mail;
}

static void expect_trap(struct node *node, const struct world_mail *mail)
{
    expect_verdict(node, mail, "451 4.7.1 ", "trap");
}

/* That many refusals by the decoy. */
static void refuse(struct trap_site *all, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        struct world_mail mail = nth(n, MX9);
        expect_trap(all->mx9, &mail);
    }
    world_run(1000);
}

static void ten_refusals_trap(void **state)
{
    struct trap_site all = trap_open();
    struct world_mail other = nth(30, MX1);

    (void)state;
    refuse(&all, 9);
    assert_false(world_has_key(TRAPPED));
    expect_accept(all.site.mx1, &other, "best"); /* which is seen there, and traps nobody */
    trap_close(&all);

    all = trap_open();
    refuse(&all, 10);
    assert_in_range(world_ttl("mxw1:trap:[198.51.100.0/24]"), 3590, 3600);
    assert_non_null(
        strstr(world_redis("GET mxw1:trap:[198.51.100.0/24]"), ",10 refusals by mx9.example.com"));
    other = nth(31, MX1);
    expect_verdict(all.site.mx1, &other, "451 4.7.1 Too many attempts", "trap");
    other.listener = MX2;
    expect_trap(all.site.mx2, &other);
    other.client = "203.0.113.7";
    other.listener = MX1;
    expect_accept(all.site.mx1, &other, "best");
    trap_close(&all);
}

static void trap_ends_after_an_hour(void **state)
{
    struct trap_site all = trap_open();
    struct world_mail mail;

    (void)state;
    refuse(&all, 10);
    world_run(HOUR - 10000);
    mail = nth(40, MX1);
    expect_trap(all.site.mx1, &mail);
    world_run(10000);
    expect_accept(all.site.mx1, &mail, "best");
    mail = nth(41, MX9); /* one more is not ten more */
    expect_trap(all.mx9, &mail);
    mail = nth(42, MX1);
    expect_accept(all.site.mx1, &mail, "best");
    trap_close(&all);
}

/* It went to mx1 as it should, was told to come later, and tries all the others, too. */
static void honest_sender_is_never_trapped(void **state)
{
    struct trap_site all = trap_open();
    struct world_mail first = nth(1, MX1), mail;

    (void)state;
    world_visit(all.site.mx1, &first);
    refuse(&all, 25);
    assert_false(world_has_key(TRAPPED));
    mail = nth(50, MX1);
    expect_accept(all.site.mx1, &mail, "best");
    trap_close(&all);
}

/* A retry proves a queue, at a decoy as elsewhere; only it is not let in there. */
static void who_retries_is_learned(void **state)
{
    struct trap_site all = trap_open();
    struct world_mail mail = nth(1, MX9);

    (void)state;
    expect_trap(all.mx9, &mail);
    world_run(5 * MINUTE);
    expect_trap(all.mx9, &mail);
    world_run(1000);
    assert_true(world_has_key("mxw1:ok:example.com:\\[198.51.100.2\\]"));
    world_redis("SET mxw1:trap:[198.51.100.0/24] 1800000960,test EX 3600"); /* by its neighbours */
    mail.listener = MX1;
    expect_accept(all.site.mx1, &mail, "best");
    mail = nth(60, MX1);
    expect_trap(all.site.mx1, &mail);
    trap_close(&all);
}

static void exempt_clients_are_never_trapped(void **state)
{
    struct trap_site all = trap_open();
    struct world_mail mail;

    (void)state;
    for (unsigned n = 0; n < 25; n++) {
        mail = nth(n, MX9);
        mail.sasl = "user";
        expect_accept(all.mx9, &mail, "exempt-sasl");
        mail.sasl = NULL;
        mail.recipient = "postmaster@example.com";
        expect_accept(all.mx9, &mail, "exempt-recipient");
    }
    assert_false(world_has_key(TRAPPED));
    refuse(&all, 10);
    mail = nth(70, MX1);
    mail.sasl = "user";
    expect_accept(all.site.mx1, &mail, "exempt-sasl");
    mail.sasl = NULL;
    mail.recipient = "postmaster@example.com";
    expect_accept(all.site.mx1, &mail, "exempt-recipient");
    trap_close(&all);
}

/* With mx1 and mx2 down every sender comes to the decoy. */
static void failover_traps_nobody(void **state)
{
    struct trap_site all = trap_open();

    (void)state;
    world_set_host(MX1, WORLD_SMTP_REFUSED, all.site.mx1);
    world_set_host(MX2, WORLD_SMTP_REFUSED, all.site.mx2);
    world_run(MINUTE);
    refuse(&all, 25);
    assert_false(world_has_key(TRAPPED));
    trap_close(&all);
}

/* Nor while nobody can tell who came to mx1. */
static void unobserved_visits_trap_nobody(void **state)
{
    struct trap_site all = trap_open();

    (void)state;
    world_set_milter(MX1, false, NULL);
    world_run(MINUTE);
    refuse(&all, 25);
    assert_false(world_has_key(TRAPPED));
    trap_close(&all);
}

static void without_redis_no_trap(void **state)
{
    struct trap_site all = trap_open();
    struct world_mail mail;

    (void)state;
    refuse(&all, 10);
    world_set_redis(WORLD_REDIS_DOWN);
    world_run(2000);
    mail = nth(80, MX1);
    expect_accept(all.site.mx1, &mail, "best");
    refuse(&all, 25); /* the decoy is one all the same */
    world_set_redis(WORLD_REDIS_HANGS);
    expect_accept(all.site.mx1, &mail, "best");
    world_restart_redis(true);
    world_set_redis(WORLD_REDIS_UP);
    world_run(20 * MINUTE);
    refuse(&all, 9); /* those before are older than this memory */
    assert_false(world_has_key(TRAPPED));
    expect_accept(all.site.mx1, &mail, "best");
    trap_close(&all);
}

static void recipients_are_no_messages(void **state)
{
    struct trap_site all = trap_open();

    (void)state;
    for (unsigned n = 0; n < 20; n++) {
        struct world_mail mail = nth(1, MX9);
        char recipient[32];
        snprintf(recipient, sizeof recipient, "u%u@example.com", n);
        mail.recipient = recipient;
        expect_trap(all.mx9, &mail);
    }
    world_run(1000);
    assert_false(world_has_key(TRAPPED));
    trap_close(&all);
}

/* Detect says so, and refuses nobody; its trap is not that of the others. */
static void detect_only_tells(void **state)
{
    struct trap_site all = trap_open();
    struct world_mail mail;

    (void)state;
    for (unsigned n = 0; n < 10; n++) {
        mail = nth(n, MX9);
        mail.recipient = "u@detect.example.com";
        assert_string_equal(world_rcpt(all.mx9, &mail), "DUNNO");
        world_run(400);
        assert_string_equal(world_reason(all.mx9), "trap");
    }
    world_run(1000);
    assert_false(world_has_key(TRAPPED));
    assert_true(world_has_key("mxw1:dry:trap:\\[198.51.100.0/24\\]"));
    mail = nth(90, MX1);
    mail.recipient = "u@detect.example.com";
    expect_accept(all.site.mx1, &mail, "trap");
    mail.recipient = "u@example.com";
    expect_accept(all.site.mx1, &mail, "best");
    trap_close(&all);
}

static void forgotten_client_is_let_out(void **state)
{
    struct trap_site all = trap_open();
    struct world_mail mail;

    (void)state;
    refuse(&all, 10);
    mail = nth(95, MX1);
    expect_trap(all.site.mx1, &mail);
    world_control(all.site.mx2, "{\"command\":\"forget\",\"client\":\"198.51.100.7\"}");
    world_run(1000);
    expect_accept(all.site.mx1, &mail, "best");
    trap_close(&all);
}

int replay_trap(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_refusals_trap),
        cmocka_unit_test(trap_ends_after_an_hour),
        cmocka_unit_test(honest_sender_is_never_trapped),
        cmocka_unit_test(who_retries_is_learned),
        cmocka_unit_test(exempt_clients_are_never_trapped),
        cmocka_unit_test(failover_traps_nobody),
        cmocka_unit_test(unobserved_visits_trap_nobody),
        cmocka_unit_test(without_redis_no_trap),
        cmocka_unit_test(recipients_are_no_messages),
        cmocka_unit_test(detect_only_tells),
        cmocka_unit_test(forgotten_client_is_let_out),
    };

    return cmocka_run_group_tests_name("replay-trap", tests, NULL, NULL);
}
