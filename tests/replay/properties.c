/*
 * Property 9 of the list in tests/unit/test_properties.c: whatever fails, and in whatever order,
 * "*" is not found, which is no error; and a pool has an answer. Faults are drawn, one after the
 * other and never all mended, at two daemons that share a Redis.
 */
#include "tests/replay/replay.h"
#include "tests/replay/site.h"
#include "tests/unit/generate.h"

#define CONF(name, more)                                                                           \
    SITE_CONF(name, "domain \"pool.example.com\" { route = \"pool gateways\" }\n"                  \
                    "domain \"mx.example.com\" { route = \"mx\" }\n"                               \
                    "domain \"p.example.com\" { route = \"primary\" }\n"                           \
                    "pool \"gateways\" { " more "\n"                                               \
                    "    tier \"10\" { host \"gw1.example.net\" { } host \"gw2.example.net\" { } " \
                    "}\n"                                                                          \
                    "    tier \"20\" { host \"backup.example.net:2525\" { } }\n"                   \
                    "}\n")

static const char *const confs[] = {
    CONF("mx2.example.com", ""),
    CONF("mx2.example.com", "spill = \"proportional\""),
    CONF("mx2.example.com", "stick = \"none\"") "health { slow_start = 0 interval = 1s }\n",
};

static void fail_redis(struct generate *g, struct node *node)
{
    static const enum world_redis hows[] = {WORLD_REDIS_UP, WORLD_REDIS_DOWN, WORLD_REDIS_HANGS,
                                            WORLD_REDIS_READONLY};
    enum world_redis how = hows[generate_below(g, 4)];

    switch (generate_below(g, 6)) {
    case 0: world_set_redis(how); break;
    case 1: world_set_node_redis(node, how); break;
    case 2: world_restart_redis(generate_one_in(g, 2)); break;
    case 3: world_evict(1 + generate_below(g, 9)); break;
    case 4: world_set_redis_latency(generate_below(g, 300)); break;
    case 5: world_set_tracking(generate_one_in(g, 2)); break;
    }
}

static void fail_names(struct generate *g)
{
    static const enum world_dns hows[] = {WORLD_DNS_ANSWERS, WORLD_DNS_SILENT, WORLD_DNS_SERVFAIL};
    static const char *const hosts[] = {"gw1.example.net", "gw2.example.net", "backup.example.net",
                                        "mx1.example.com", "mx2.example.com"};
    static const char *const addrs[] = {
        "203.0.113.1", "203.0.113.2,2001:db8::2", "nxdomain", "none", "fail", "127.0.0.1"};
    static const char *const orders[] = {"10 mx1.example.com,20 mx2.example.com",
                                         "10 mx2.example.com",
                                         "null",
                                         "none",
                                         "nxdomain",
                                         "fail"};

    switch (generate_below(g, 4)) {
    case 0: world_set_dns(hows[generate_below(g, 3)]); break;
    case 1: world_set_addr(hosts[generate_below(g, 5)], addrs[generate_below(g, 6)]); break;
    case 2: world_set_mx("mx.example.com", orders[generate_below(g, 6)]); break;
    case 3: world_set_mx("p.example.com", orders[generate_below(g, 6)]); break;
    }
}

static void fail_hosts(struct generate *g, struct node *node)
{
    static const enum world_smtp hows[] = {WORLD_SMTP_UP, WORLD_SMTP_REFUSED, WORLD_SMTP_SILENT,
                                           WORLD_SMTP_421};
    static const char *const addrs[] = {"203.0.113.1", "203.0.113.2", "203.0.113.3"};

    if (generate_one_in(g, 5))
        world_set_probing(node, generate_one_in(g, 2));
    else
        world_set_host(addrs[generate_below(g, 3)], hows[generate_below(g, 4)], NULL);
}

/* What a hand, or an enemy, may write. */
static void fail_values(struct generate *g)
{
    static const char *const commands[] = {
        "HSET mxw1:override:gw1.example.net:25 state drain",
        "HSET mxw1:override:gw2.example.net:25 state down weight 0",
        "HSET mxw1:override:backup.example.net:2525 state drain",
        "HSET mxw1:override:gw1.example.net:25 state nonsense weight -1",
        "SET mxw1:override:gw2.example.net:25 x",
        "DEL mxw1:override:gw1.example.net:25",
        "DEL mxw1:override:gw2.example.net:25",
        "DEL mxw1:override:backup.example.net:2525",
        "HSET mxw1:health:gw1.example.net:25 evil down,-9,1,99999999999,0",
        "HSET mxw1:health:gw1.example.net:25 evil %n%s",
        "SET mxw1:health:gw2.example.net:25 x",
        "DEL mxw1:health:gw2.example.net:25",
        "DEL mxw1:epoch",
        "HSET mxw1:mx:mx.example.com order 0\tevil.example state ok ttl 1 fetched 1 expires 1",
    };

    world_redis(commands[generate_below(g, sizeof commands / sizeof *commands)]);
}

static void fail_something(struct generate *g, struct site *site)
{
    struct node **node = generate_one_in(g, 2) ? &site->mx1 : &site->mx2;

    switch (generate_below(g, 20)) {
    case 0:
        world_kill(site->mx2);
        site->mx2 = world_start(confs[generate_below(g, 3)], MX2);
        world_set_host(MX2, WORLD_SMTP_UP, site->mx2);
        break;
    case 1: world_reload(site->mx2, confs[generate_below(g, 3)]); break;
    case 2:
    case 3:
    case 4: fail_values(g); break;
    case 5:
    case 6:
    case 7:
    case 8: fail_hosts(g, *node); break;
    case 9:
    case 10:
    case 11:
    case 12:
    case 13: fail_names(g); break;
    default: fail_redis(g, *node); break;
    }
}

static void expect_fine(struct generate *g, struct node *node, unsigned number)
{
    static const char *const domains[] = {"pool", "mx", "p"};
    char request[80];

    generate_assert(g, strcmp(world_map(node, "transport *"), "NOTFOUND ") == 0);
    generate_assert(g, strcmp(world_map(node, "mailertable *"), "NOTFOUND ") == 0);
    generate_assert(g, strcmp(world_map(node, "dnsfilter *"), "NOTFOUND ") == 0);
    snprintf(request, sizeof request, "transport u%u@pool.example.com", number);
    generate_assert(g, strncmp(world_map(node, request), "OK ", 3) == 0);
    snprintf(request, sizeof request, "transport u%u@%s.example.com", number,
             domains[generate_below(g, 3)]);
    generate_assert(g, world_map(node, request)[0]); /* and the oracle reads it */
}

static void star_never_errs(void **state)
{
    struct site site = site_start(CONF("mx1.example.com", ""), confs[0]);

    (void)state;
    world_set_addr("gw1.example.net", "203.0.113.1");
    world_set_addr("gw2.example.net", "203.0.113.2");
    world_set_addr("backup.example.net", "203.0.113.3");
    for (unsigned long i = 0; i < generate_cases(); i++) {
        struct generate g = generate_case("9", i);

        fail_something(&g, &site);
        if (generate_one_in(&g, 2))
            world_run(generate_below(&g, 4000));
        expect_fine(&g, site.mx1, (unsigned)i);
        expect_fine(&g, site.mx2, (unsigned)i);
    }
    site_close(&site);
}

int replay_properties(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(star_never_errs),
    };

    generate_print();
    return cmocka_run_group_tests_name("replay-properties", tests, NULL, NULL);
}
