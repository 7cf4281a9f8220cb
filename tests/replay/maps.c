/*
 * The socketmap's other maps: dnsfilter, by which Postfix hides MX records from itself, and
 * Sendmail's mailertable.
 */
#include "tests/replay/replay.h"
#include "tests/replay/site.h"

#define FILTERED                                                                                   \
    "domain \"f.example.com\" { route = \"mx\" }\n"                                                \
    "domain \"outside.example.com\" { route = \"primary\" }\n"                                     \
    "domain \"set.example.com\" { route = \"primary\" }\n"                                         \
    "domain \"plain.example.com\" { }\n"                                                           \
    "domain \"below.example.com\" { route = \"pool gateways\" }\n"                                 \
    "domain \".under.example.com\" { route = \"mx\" }\n"                                           \
    "pool \"gateways\" { tier \"10\" { host \"a.example.net\" { } host \"b.example.net:26\" { } "  \
    "} }\n"                                                                                        \
    "health { slow_start = 0 }\n"

#define A "203.0.113.1"
#define B "203.0.113.2"

static const char ignore[] = "OK IGNORE", show[] = "NOTFOUND ";

static struct site open_filter(void)
{
    static const char *const domain[] = {"f", "outside", "plain", "below", "x.under", "stranger"};
    struct site site =
        site_start(SITE_CONF("mx1.example.com", FILTERED), SITE_CONF("mx2.example.com", FILTERED));
    char name[64];

    for (size_t i = 0; i < sizeof domain / sizeof *domain; i++) {
        snprintf(name, sizeof name, "%s.example.com", domain[i]);
        world_set_mx(name, "10 a.example.net,20 b.example.net");
    }
    world_set_mx("set.example.com", "10 a.example.net,20 mx2.example.com,30 b.example.net");
    world_set_addr("a.example.net", A);
    world_set_addr("b.example.net", B);
    world_set_host(A, WORLD_SMTP_UP, NULL);
    world_set_host(B, WORLD_SMTP_UP, NULL);
    world_run(6 * MINUTE);
    return site;
}

static void expect_record(struct node *node, const char *domain, const char *rest,
                          const char *wanted)
{
    char request[512];

    snprintf(request, sizeof request, "dnsfilter %s.example.com. 300 IN %s", domain, rest);
    expect_answer(node, request, wanted);
}

/* What is said of a.example.net and b.example.net, in that order. */
static void expect_pair(struct node *node, const char *domain, const char *a, const char *b)
{
    expect_record(node, domain, "MX 10 a.example.net.", a);
    expect_record(node, domain, "MX 20 b.example.net.", b);
}

static void worse_tier_is_hidden(void **state)
{
    struct site site = open_filter();

    (void)state;
    expect_pair(site.mx1, "f", show, ignore);
    expect_pair(site.mx1, "F", show, ignore);
    expect_pair(site.mx1, "outside", show, ignore);
    expect_record(site.mx1, "f", "MX 20 B.Example.NET.", ignore);
    expect_record(site.mx1, "f", "MX 10 b.example.net.", show);
    expect_record(site.mx1, "f", "MX 20 c.example.net.", show);
    expect_record(site.mx1, "f", "A 203.0.113.2", show);
    expect_record(site.mx1, "f", "TXT MX 20 b.example.net.", show);
    site_close(&site);
}

/* Only domains whose own section has a route that names their MX hosts. */
static void other_domains_are_left_alone(void **state)
{
    static const char *const domain[] = {"plain", "below", "x.under", "stranger"};
    struct site site = open_filter();
    unsigned queries;

    (void)state;
    for (size_t i = 0; i < sizeof domain / sizeof *domain; i++)
        expect_pair(site.mx1, domain[i], show, show);
    queries = world_dns_queries();
    expect_pair(site.mx1, "never.asked", show, show);
    assert_int_equal(world_dns_queries(), queries);
    site_close(&site);
}

/* A view holds for five seconds. In the second after it, what the two views disagree on is shown. */
static void views_are_pinned(void **state)
{
    struct site site = open_filter();

    (void)state;
    expect_pair(site.mx1, "f", show, ignore);
    world_redis("HSET mxw1:override:a.example.net:25 state drain");
    world_run(4900);
    expect_pair(site.mx1, "f", show, ignore);
    world_run(200);
    expect_pair(site.mx1, "f", show, show);
    world_run(1000);
    expect_pair(site.mx1, "f", ignore, show);
    world_redis("DEL mxw1:override:a.example.net:25");
    world_run(10000);
    expect_pair(site.mx1, "f", show, ignore);
    site_close(&site);
}

static bool is_hidden(struct node *node, const char *rest)
{
    char request[512];

    snprintf(request, sizeof request, "dnsfilter f.example.com. 300 IN %s", rest);
    return strcmp(world_map(node, request), ignore) == 0;
}

/* Whenever the view changes between the two records of one answer, one of them is left. */
static void never_both_whatever_the_moment(void **state)
{
    struct site site = open_filter();

    (void)state;
    for (int64_t first = 4000; first <= 5200; first += 200)
        for (int64_t gap = 100; gap < 1000; gap += 400) {
            bool a, b;
            world_redis("HSET mxw1:override:a.example.net:25 state drain");
            world_run(8000);
            assert_true(is_hidden(site.mx1, "MX 10 a.example.net."));
            world_redis("DEL mxw1:override:a.example.net:25");
            world_run(first);
            a = is_hidden(site.mx1, "MX 10 a.example.net.");
            world_run(gap);
            b = is_hidden(site.mx1, "MX 20 b.example.net.");
            if (a && b)
                fail_msg("both hidden, %lld and %lld ms later", (long long)first, (long long)gap);
        }
    site_close(&site);
}

static void down_hosts_are_hidden_while_one_is_up(void **state)
{
    struct site site = open_filter();

    (void)state;
    world_set_host(A, WORLD_SMTP_REFUSED, NULL);
    world_run(30000);
    expect_pair(site.mx1, "f", ignore, show);
    world_set_host(B, WORLD_SMTP_REFUSED, NULL);
    world_run(30000);
    expect_pair(site.mx1, "f", show, show);
    world_set_host(A, WORLD_SMTP_UP, NULL);
    world_run(MINUTE);
    expect_pair(site.mx1, "f", show, ignore);
    site_close(&site);
}

/* On a host of the set nothing is hidden, whatever the others' health: Postfix would find itself the
 * best that is left, and bounce. */
static void host_of_the_set_hides_nothing(void **state)
{
    static const char *const records[] = {"MX 10 a.example.net.", "MX 20 mx2.example.com.",
                                          "MX 30 b.example.net."};
    struct site site = open_filter();

    (void)state;
    for (int down = 0; down < 2; down++) {
        for (size_t i = 0; i < 3; i++)
            expect_record(site.mx2, "set", records[i], show);
        world_set_host(A, WORLD_SMTP_REFUSED, NULL);
        world_run(30000);
    }
    expect_record(site.mx1, "set", records[0], ignore);
    expect_record(site.mx1, "set", records[1], show);
    site_close(&site);
}

/* Cold and out of time: everything is shown, in no more than the budget; also with half an answer. */
static void doubts_show_everything(void **state)
{
    struct site site = open_filter();
    struct node *node;

    (void)state;
    world_set_dns(WORLD_DNS_SILENT);
    node = world_start("node = \"mx9.example.com\"\n" FILTERED, "192.0.2.90");
    expect_record(node, "f", "MX 20 b.example.net.", show);
    assert_in_range(world_took(), 0, 250);
    expect_record(node, "f", "MX 10 a.example.net.", show);
    assert_in_range(world_took(), 0, 10);
    world_set_dns(WORLD_DNS_ANSWERS);
    world_set_addr("b.example.net", "fail");
    world_run(2 * MINUTE);
    expect_pair(node, "f", show, show);
    world_set_addr("b.example.net", B);
    world_run(6 * MINUTE);
    expect_pair(node, "f", show, ignore);
    world_stop(node);
    site_close(&site);
}

/* A reload that takes the route away: nothing is hidden any more, pinned or not. */
static void reload_ends_it(void **state)
{
    struct site site = open_filter();

    (void)state;
    expect_pair(site.mx1, "f", show, ignore);
    world_reload(site.mx1, SITE_CONF("mx1.example.com", "domain \"f.example.com\" { }\n"));
    expect_pair(site.mx1, "f", show, show);
    site_close(&site);
}

static void expect_table(struct node *node, const char *key, const char *wanted)
{
    char request[512];

    snprintf(request, sizeof request, "mailertable %s", key);
    expect_answer(node, request, wanted);
}

/* A stranger's domain by the name of its MX host. */
static void sendmail_and_a_match(void **state)
{
    struct site site = open_filter();

    (void)state;
    world_reload(site.mx1, SITE_CONF("mx1.example.com",
                                     FILTERED "match \"a.*\" { route = \"pool gateways\" }\n"));
    world_run(2000);
    expect_table(site.mx1, "stranger.example.com", "OK esmtp:[a.example.net]");
    expect_table(site.mx1, ".example.com", "NOTFOUND ");
    expect_table(site.mx1, "nowhere.example.org", "NOTFOUND ");
    expect_table(site.mx1, "set.example.com",
                 "OK esmtp:[a.example.net]:[mx2.example.com]:[b.example.net]");
    site_close(&site);
}

static void sendmail_asks_for_domains(void **state)
{
    struct site site = open_filter();

    (void)state;
    expect_table(site.mx1, "f.example.com", "OK esmtp:[a.example.net]:[b.example.net]");
    expect_table(site.mx1, "below.example.com", "OK esmtp:[a.example.net]");
    expect_table(site.mx1, "x.under.example.com", "OK esmtp:[a.example.net]:[b.example.net]");
    expect_table(site.mx2, "set.example.com", "OK esmtp:[a.example.net]");
    expect_table(site.mx1, ".under.example.com", "NOTFOUND ");
    expect_table(site.mx1, ".example.com", "NOTFOUND ");
    expect_table(site.mx1, ".", "NOTFOUND ");
    expect_table(site.mx1, "plain.example.com", "NOTFOUND ");
    expect_table(site.mx1, "stranger.example.com", "NOTFOUND ");
    expect_table(site.mx1, "u@f.example.com", "NOTFOUND ");
    expect_table(site.mx1, "[192.0.2.1]", "NOTFOUND ");
    site_close(&site);
}

int replay_maps(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worse_tier_is_hidden),
        cmocka_unit_test(other_domains_are_left_alone),
        cmocka_unit_test(views_are_pinned),
        cmocka_unit_test(never_both_whatever_the_moment),
        cmocka_unit_test(down_hosts_are_hidden_while_one_is_up),
        cmocka_unit_test(host_of_the_set_hides_nothing),
        cmocka_unit_test(doubts_show_everything),
        cmocka_unit_test(reload_ends_it),
        cmocka_unit_test(sendmail_asks_for_domains),
        cmocka_unit_test(sendmail_and_a_match),
    };

    return cmocka_run_group_tests_name("replay-maps", tests, NULL, NULL);
}
