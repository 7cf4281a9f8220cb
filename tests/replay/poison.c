/*
 * Whoever may write to Redis: each kind of key of SPEC 8 with a value of the
 * wrong type, a giant one, a stamp from the future, and one forged to do harm,
 * written again and again. No route may change, and nobody be refused beyond
 * the promise: at most once, and let in at the retry five minutes later,
 * whoever was known already or is new.
 *
 * mx2 is the backup. p.example.com is routed by its ordering, pool.example.com
 * by a pool.
 */
#include "tests/replay/replay.h"
#include "tests/replay/site.h"
#include "tests/unit/scratch.h"

#include <stdlib.h>
#include <unistd.h>

#define CONF                                                                                       \
    "node = \"%s\"\n"                                                                              \
    "cache { redis = \"unix:/nowhere/redis.sock\" secret_file = \"%s\" }\n"                        \
    "guard { evidence_net = \"32,128\" }\n"                                                        \
    "domain \"example.com\" { guard { mode = \"defer\" } }\n"                                      \
    "domain \"p.example.com\" { route = \"primary\" }\n"                                           \
    "domain \"pool.example.com\" { route = \"pool gateways\" }\n"                                  \
    "pool \"gateways\" {\n"                                                                        \
    "    tier \"10\" { host \"gw1.example.net\" { } }\n"                                           \
    "    tier \"20\" { host \"gw2.example.net\" { } }\n"                                           \
    "}\n"

#define PRIMARY_ROUTE "OK smtp:[mx1.example.com]:25"
#define POOL_ROUTE    "OK smtp:[gw1.example.net]:25, [gw2.example.net]:25"

/* What is written: '%' is each key that fits the pattern, "GIANT" many octets;
 * commands are divided by ';'. Without a pattern the keys stand in the
 * commands. */
struct poison {
    const char *label, *pattern, *commands;
    bool reorders; /* overrides and health may reorder or drain configured hosts */
};

#define FORGED(order)                                                                              \
    "order \"" order "\" state ok ttl 86400 fetched 1800000000 expires 1800090000 changed 0"
#define FORGED_MX FORGED("5 evil.example.net")
#define LONG_MX                                                                                    \
    "order \"10 mx1.example.com,20 mx2.example.com\" state ok ttl 99999999999 "                    \
    "fetched "                                                                                     \
    "99999999999 expires 99999999999 changed 99999999999"

static const struct poison mx_rows[] = {
    {"another type", "mxw1:mx:*", "SET % nonsense", false},
    {"a third type", "mxw1:mx:*", "DEL %;RPUSH % nonsense", false},
    {"a giant", "mxw1:mx:*", "HSET % order GIANT", false},
    {"a giant field more", "mxw1:mx:*", "HSET % GIANT GIANT", false},
    {"from the future", "mxw1:mx:*", "DEL %;HSET % " LONG_MX, false},
    {"a forged ordering", "mxw1:mx:*", "DEL %;HSET % " FORGED_MX " mac 00", false},
    {"a forged ordering beside a mac", "mxw1:mx:*", "HSET % " FORGED_MX, false},
    {"no such domain", "mxw1:mx:*", "HSET % state nxdomain order \"\" expires 1800090000", false},
    {"no mail", "mxw1:mx:*", "HSET % state null order \"\" expires 1800090000", false},
};

static const struct poison addr_rows[] = {
    {"another type", "mxw1:addr:*", "SET % nonsense", false},
    {"a third type", "mxw1:addr:*", "DEL %;RPUSH % nonsense", false},
    {"a giant", "mxw1:addr:*", "HSET % a GIANT", false},
    {"from the future", "mxw1:addr:*", "HSET % expires 99999999999", false},
    {"a forged address", "mxw1:addr:*", "HSET % a [203.0.113.66] aaaa \"\" state ok", false},
    {"no address", "mxw1:addr:*", "HSET % a \"\" aaaa \"\" state none", false},
    {"no such host", "mxw1:addr:*", "HSET % a \"\" aaaa \"\" state nxdomain", false},
    {"loopback", "mxw1:addr:*", "HSET % a [127.0.0.1] aaaa \"\" state ok", false},
};

static const struct poison seen_rows[] = {
    {"another type", "mxw1:seen:*", "DEL %;HSET % a b", false},
    {"a giant", "mxw1:seen:*", "SET % GIANT", false},
    {"from the future", "mxw1:seen:*", "SET % 99999999999,connect", false},
    {"long ago", "mxw1:seen:*", "SET % 1,connect", false},
    {"gone", "mxw1:seen:*", "DEL %", false},
};

static const struct poison proof_rows[] = {
    {"another type", "mxw1:proof:*", "DEL %;HSET % a b", false},
    {"a giant", "mxw1:proof:*", "SET % GIANT EX 60", false},
    {"another address", "mxw1:proof:*", "SET % [203.0.113.66] EX 60", false},
    {"the right one for all", "mxw1:proof:*", "SET % [192.0.2.10] EX 60", false},
};

static const struct poison defer_rows[] = {
    {"another type", "mxw1:defer:*", "DEL %;HSET % a b", false},
    {"a third type", "mxw1:defer:*", "DEL %;RPUSH % nonsense", false},
    {"a giant", "mxw1:defer:*", "SET % GIANT", false},
    {"from the future", "mxw1:defer:*", "SET % 99999999999", false},
    {"just now, all the time", "mxw1:defer:*", "SET % 1900000000", false},
    {"gone", "mxw1:defer:*", "DEL %", false},
    {"long ago", "mxw1:defer:*", "SET % 1", false},
};

static const struct poison ok_rows[] = {
    {"another type", "mxw1:ok:*", "DEL %;HSET % a b", false},
    {"a giant", "mxw1:ok:*", "SET % GIANT", false},
    {"from the future", "mxw1:ok:*", "SET % 99999999999", false},
    {"gone", "mxw1:ok:*", "DEL %", false},
};

/* No domain here has a trap; what forged trap keys do where one does is said in
 * SPEC 5. */
static const struct poison trap_rows[] = {
    {"another type", NULL, "HSET mxw1:trap:[198.51.100.0/24] a b", false},
    {"a giant", NULL, "SET mxw1:trap:[198.51.100.0/24] GIANT EX 3600", false},
    {"from the future", NULL, "SET mxw1:trap:[198.51.100.0/24] 99999999999,x EX 3600", false},
    {"forged", NULL, "SET mxw1:trap:[198.51.100.0/24] 1800000960,x EX 3600", false},
};

static const struct poison health_rows[] = {
    {"another type", "mxw1:health:*", "DEL %;SET % nonsense", false},
    {"a giant", "mxw1:health:*", "HSET % mx1.example.com GIANT other GIANT", false},
    {"from the future", "mxw1:health:*", "HSET % other up,9,99999999999,99999999999,1", false},
    {"all down, say others", "mxw1:health:*",
     "HSET % other down,9,1800000000,1900000000,1 another "
     "down,9,1800000000,1800001000,1",
     true},
    {"all down, say all", "mxw1:health:*",
     "HSET % mx1.example.com down,9,1800000000,1800001000,1 mx2.example.com "
     "down,9,1800000000,1800001000,1",
     true},
    {"all up, say all", "mxw1:health:*",
     "HSET % mx1.example.com up,9,1800000000,1800001000,1 other "
     "up,9,1800000000,1800001000,1",
     false},
};

#define BOTH(command)                                                                              \
    "HSET mxw1:override:gw1.example.net:25 " command                                               \
    ";HSET mxw1:override:gw2.example.net:25 " command

static const struct poison override_rows[] = {
    {"another type", NULL, "SET mxw1:override:gw1.example.net:25 drain", false},
    {"a giant", NULL, BOTH("state GIANT weight GIANT"), false},
    {"weights beyond any", NULL, BOTH("weight 99999999999999999999"), false},
    {"one drained", NULL, "HSET mxw1:override:gw1.example.net:25 state drain", true},
    {"all down", NULL, BOTH("state down"), true},
    {"all drained, of weight 0", NULL, BOTH("state drain weight 0"), true},
    {"a host that is not configured", NULL,
     "HSET mxw1:override:evil.example.net:25 state ready weight 1000", false},
    {"mx1 ready for ever", NULL, "HSET mxw1:override:mx1.example.com:25 state ready", false},
    {"a pause", NULL, "HSET mxw1:override:pause * 99999999999", false},
    {"a pause that is none", NULL, "HSET mxw1:override:pause * GIANT GIANT 1", false},
};

static const struct poison node_rows[] = {
    {"another type", "mxw1:node:*", "DEL %;SET % nonsense", false},
    {"a giant", "mxw1:node:*", "HSET % listeners GIANT version GIANT source GIANT", false},
    {"from the future", "mxw1:node:*", "HSET % since 99999999999 asked 99999999999", false},
    {"it claims the clients", NULL,
     "HSET mxw1:node:evil.example.net version 1 since 1800000000 listeners "
     "198.51.100.1,198.51.100.2,198.51.100.3 source [198.51.100.4]",
     false},
    {"it is mx1, and needs a feed", NULL,
     "HSET mxw1:node:mx1.example.com needs_feed 1 feed 0 since 1800000000", false},
    {"gone", "mxw1:node:*", "DEL %", false},
};

static const struct poison epoch_rows[] = {
    {"another type", NULL, "DEL mxw1:epoch;SET mxw1:epoch nonsense", false},
    {"a giant", NULL, "HSET mxw1:epoch id GIANT since GIANT run_id GIANT", false},
    {"from the future", NULL, "HSET mxw1:epoch since 99999999999", false},
    {"of old", NULL, "HSET mxw1:epoch since 1", false},
    {"another", NULL, "HSET mxw1:epoch id another run_id another since 1", false},
    {"gone", NULL, "DEL mxw1:epoch", false},
};

/* The commands with "GIANT" made one, in static memory. */
static char *make_whole(const char *commands)
{
    static char giant[100001], line[500000];
    size_t used = 0;

    memset(giant, 'a', sizeof giant - 1);
    for (const char *at = commands; *at; at++)
        if (strncmp(at, "GIANT", 5) == 0) {
            assert_in_range(used, 0, sizeof line - sizeof giant - 1);
            memcpy(line + used, giant, sizeof giant - 1);
            used += sizeof giant - 1;
            at += 4;
        } else {
            line[used++] = *at;
        }
    line[used] = '\0';
    return line;
}

static void put_poison(const struct poison *poison)
{
    char *commands = make_whole(poison->commands), *save, *command;

    if (poison->pattern) {
        world_redis_each(poison->pattern, commands);
        return;
    }
    for (command = strtok_r(commands, ";", &save); command; command = strtok_r(NULL, ";", &save))
        world_redis(command);
}

/* Time passes; what the nodes mend is poisoned again. */
static void run_poisoned(const struct poison *poison, int64_t ms)
{
    for (int64_t done = 0; done < ms; done += 5000) {
        put_poison(poison);
        world_run(5000);
    }
}

static void expect_route(struct node *at, const struct poison *poison, const char *address,
                         const char *wanted)
{
    char request[128];
    const char *got;

    snprintf(request, sizeof request, "transport %s", address);
    got = world_map(at, request);
    if (poison->reorders) {
        /* Only the pool's own hosts, and never none. */
        if (strncmp(got, "OK smtp:[gw", 11) == 0 && !strstr(got, "evil"))
            return;
        if (strcmp(wanted, POOL_ROUTE) != 0 && strcmp(got, wanted) == 0)
            return;
    } else if (strcmp(got, wanted) == 0) {
        return;
    }
    fail_msg("%s: %s: '%s', wanted '%s'", poison->label, address, got, wanted);
}

static void expect_routes(const struct site *site, const struct poison *poison)
{
    expect_route(site->mx2, poison, "u@p.example.com", PRIMARY_ROUTE);
    expect_route(site->mx1, poison, "u@pool.example.com", POOL_ROUTE);
    expect_route(site->mx2, poison, "u@pool.example.com", POOL_ROUTE);
}

/* Whether the mail is let in; if not it was asked to come again, by 451. */
static bool is_let_in(const struct site *site, const struct poison *poison,
                      const struct world_mail *mail)
{
    const char *got = world_rcpt(site->mx2, mail);

    if (strcmp(got, "DUNNO") == 0)
        return true;
    if (strncmp(got, "451 4.7.1 ", 10) != 0)
        fail_msg("%s: '%s'", poison->label, got);
    return false;
}

static struct world_mail client(unsigned number, char text[4][40])
{
    struct world_mail mail = stranger();

    snprintf(text[0], 40, "198.51.100.%u", number);
    snprintf(text[1], 40, "s%u@h%u.example.org", number, number);
    snprintf(text[2], 40, "h%u.example.org", number);
    snprintf(text[3], 40, "m%u", number);
    mail.client = text[0];
    mail.name = NULL;
    mail.sender = text[1];
    mail.helo = text[2];
    mail.instance = text[3];
    return mail;
}

/* Three clients: one that was at mx1 before, one that was let in before, one
 * that is new. */
enum { VISITOR, LEARNED, STRANGER, CLIENTS };

static void make_clients(unsigned number, char text[CLIENTS][4][40], struct world_mail *mail)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        mail[i] = client(CLIENTS * number + i + 1, text[i]);
}

static const struct poison none = {"nothing", NULL, "EXPIRE mxw1:nothing 1", false};

/* Those of all rows, the first time the learned ones come, and the second. */
static void teach(const struct site *site, size_t rows)
{
    for (unsigned number = 0; number < rows; number++) {
        char text[CLIENTS][4][40];
        struct world_mail mail[CLIENTS];
        make_clients(number, text, mail);
        world_visit(site->mx1, &(struct world_mail){.client = mail[VISITOR].client,
                                                    .helo = mail[VISITOR].helo,
                                                    .listener = MX1});
        is_let_in(site, &none, &mail[LEARNED]);
    }
}

/* in: whether each was let in at its first try under poison. */
static void try_poison(const struct site *site, const struct poison *poison, unsigned number,
                       bool in[CLIENTS])
{
    char text[CLIENTS][4][40];
    struct world_mail mail[CLIENTS];

    make_clients(number, text, mail);
    run_poisoned(poison, 15000);
    expect_routes(site, poison);
    for (unsigned i = 0; i < CLIENTS; i++)
        in[i] = is_let_in(site, poison, &mail[i]);
    run_poisoned(poison, 5 * MINUTE);
    expect_routes(site, poison);
    for (unsigned i = 0; i < CLIENTS; i++)
        if (!in[i] && !is_let_in(site, poison, &mail[i]))
            fail_msg("%s: client %u is refused again", poison->label, i);
}

static char secret_file[128];

/* Into a new file, whose path is put into path. */
static bool write_secret(char *path, size_t size, const char *text)
{
    ssize_t length = (ssize_t)strlen(text);
    bool written;
    int fd;

    scratch_template(path, size);
    fd = mkstemp(path);
    written = fd >= 0 && write(fd, text, strlen(text)) == length;
    if (fd >= 0)
        close(fd);
    return written;
}

static struct node *start(const char *name, const char *address, bool secret)
{
    char conf[1024];
    struct node *node;

    snprintf(conf, sizeof conf, CONF, name, secret ? secret_file : "");
    node = world_start(conf, address);
    world_set_host(address, WORLD_SMTP_UP, node);
    return node;
}

static struct site open_site(bool secret)
{
    struct site site;

    world_open();
    site_zone();
    world_set_mx("p.example.com", "10 mx1.example.com,20 mx2.example.com");
    world_set_addr("gw1.example.net", "203.0.113.1");
    world_set_addr("gw2.example.net", "203.0.113.2");
    world_set_host("203.0.113.1", WORLD_SMTP_UP, NULL);
    world_set_host("203.0.113.2", WORLD_SMTP_UP, NULL);
    site.mx1 = start("mx1.example.com", MX1, secret);
    site.mx2 = start("mx2.example.com", MX2, secret);
    world_run(16 * MINUTE);
    assert_int_equal(strlen(world_redis("HGET mxw1:mx:p.example.com mac")), secret ? 64 : 0);
    return site;
}

/* Where nothing is poisoned, the new client is refused and the others are not:
 * else the rows below would prove nothing. */
static void try_none(const struct site *site)
{
    bool in[CLIENTS];

    try_poison(site, &none, 0, in);
    assert_true(in[VISITOR] && in[LEARNED] && !in[STRANGER]);
}

/* pattern: all keys of that kind. What the nodes put there again is theirs. */
static void try_all(const char *pattern, const struct poison *poison, size_t count, bool secret)
{
    struct site site = open_site(secret);
    bool in[CLIENTS];

    teach(&site, count + 1);
    world_run(5 * MINUTE);
    teach(&site, count + 1);
    try_none(&site);
    for (size_t i = 0; i < count; i++) {
        print_message("  %s\n", poison[i].label);
        try_poison(&site, &poison[i], (unsigned)i + 1, in);
        world_redis_each(pattern, "DEL %");
        world_run(20000);
    }
    site_close(&site);
}

#define POISONED(kind)                                                                             \
    static void poisoned_##kind(void **state)                                                      \
    {                                                                                              \
        (void)state;                                                                               \
        try_all("mxw1:" #kind "*", kind##_rows, sizeof kind##_rows / sizeof *kind##_rows, false);  \
    }
POISONED(mx)
POISONED(addr)
POISONED(seen)
POISONED(proof)
POISONED(defer)
POISONED(ok)
POISONED(trap)
POISONED(health)
POISONED(override)
POISONED(node)
POISONED(epoch)

#define ANY(guard) "domain \"*\" { guard { " guard " } }\n"
#define ANY_SITE(guard)                                                                            \
    site_start(SITE_CONF("mx1.example.com", ANY(guard)), SITE_CONF("mx2.example.com", ANY(guard)))
#define ANY_MX(order) "HSET mxw1:mx:any.example.org " FORGED(order)

/* Before anybody asks the DNS; both addresses are known to be of the site. */
static void forge(struct site *site, const char *commands)
{
    const struct poison poison = {"a forged ordering of any domain", NULL, commands, false};

    world_set_mx("any.example.org", "10 mx1.example.com,20 mx2.example.com");
    world_visit(site->mx1, &(struct world_mail){.client = "203.0.113.200", .listener = MX1});
    world_visit(site->mx2, &(struct world_mail){.client = "203.0.113.200", .listener = MX2});
    run_poisoned(&poison, 10 * MINUTE);
}

/* Mail is sent to no host that only Redis names. */
static void forged_name_is_no_filter(void **state)
{
    static const char *const session[][2] = {{"RCPT", "u@any.example.org"},
                                             {"DATA", "u@any.example.org"}};
    struct site site = ANY_SITE("mode = \"filter\"");
    char text[4][40];
    struct world_mail mail = client(1, text);

    (void)state;
    forge(&site, ANY_MX("5 evil.example.net,20 mx2.example.com") ";HSET "
                                                                 "mxw1:addr:evil.example.net "
                                                                 "state ok aaaa \"\" expires "
                                                                 "1800090000 a [" MX1 "]");
    mail.policy = true;
    assert_string_equal(world_session(site.mx2, &mail, session, 2),
                        "DUNNO|FILTER smtp:[mx1.example.com]:25");
    site_close(&site);
}

/* Nobody is refused for good who comes to the best host. */
static void forged_order_rejects_nobody(void **state)
{
    struct site site = ANY_SITE("mode = \"reject\"");
    char text[4][40];
    struct world_mail mail = client(1, text);

    (void)state;
    mail.recipient = "u@any.example.org";
    mail.listener = MX1;
    for (int i = 0; i < 2; i++) { /* by the second time mx2 would be known to be healthy */
        forge(&site, ANY_MX("10 mx2.example.com,20 mx1.example.com"));
        expect_accept(site.mx1, &mail, "best");
    }
    site_close(&site);
}

/* Nor who comes to a host of the domain. */
static void forged_absence_rejects_nobody(void **state)
{
    struct site site = ANY_SITE("mode = \"defer\" off_mx = \"reject\"");
    char text[4][40];
    struct world_mail mail = client(1, text);

    (void)state;
    forge(&site, ANY_MX("10 mx1.example.com"));
    mail.recipient = "u@any.example.org";
    expect_defer(site.mx2, &mail);
    site_close(&site);
}

/* A node that has an ordering only out of Redis, proven by a secret that is
 * changed then: it may have been forged, and the last good answers are none any
 * more. */
static void secret_changes(void **state)
{
    char conf[1024], changed[128];
    struct site site = open_site(true);

    (void)state;
    assert_true(write_secret(changed, sizeof changed, "fedcba9876543210\n"));
    world_kill(site.mx2);
    world_set_dns(WORLD_DNS_SILENT);
    site.mx2 = start("mx2.example.com", MX2, true);
    world_run(20000);
    expect_route(site.mx2, &none, "u@p.example.com", PRIMARY_ROUTE);
    snprintf(conf, sizeof conf, CONF, "mx2.example.com", changed);
    world_reload(site.mx2, conf);
    world_run(20000);
    expect_route(site.mx2, &none, "u@p.example.com", "OK retry:4.4.4 no usable host");
    unlink(changed);
    site_close(&site);
}

/* A memory that began in the future is the youngest there can be, however far
 * ahead that is; so far that its age in milliseconds is no number any more. */
static void epoch_from_the_end_of_time(void **state)
{
    static const char *const since[] = {"1900000000", "99999999999", "9223372036854775807",
                                        "99999999999999999999"};
    struct site site = open_site(false);
    char text[4][40], command[64];

    (void)state;
    for (unsigned i = 0; i < sizeof since / sizeof *since; i++) {
        struct world_mail mail = client(100 + i, text);
        snprintf(command, sizeof command, "HSET mxw1:epoch since %s", since[i]);
        world_redis(command);
        world_run(2000);
        expect_accept(site.mx2, &mail, "young");
    }
    site_close(&site);
}

/* With a secret orderings out of Redis serve routes: only true ones. */
static void poisoned_under_a_secret(void **state)
{
    (void)state;
    try_all("mxw1:mx:*", mx_rows, sizeof mx_rows / sizeof *mx_rows, true);
    try_all("mxw1:addr:*", addr_rows, sizeof addr_rows / sizeof *addr_rows, true);
}

static int make_secret(void **state)
{
    (void)state;
    return write_secret(secret_file, sizeof secret_file, "0123456789abcdef\n") ? 0 : -1;
}

static int remove_secret(void **state)
{
    (void)state;
    return unlink(secret_file);
}

int replay_poison(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(poisoned_mx),
        cmocka_unit_test(poisoned_addr),
        cmocka_unit_test(poisoned_seen),
        cmocka_unit_test(poisoned_proof),
        cmocka_unit_test(poisoned_defer),
        cmocka_unit_test(poisoned_ok),
        cmocka_unit_test(poisoned_trap),
        cmocka_unit_test(poisoned_health),
        cmocka_unit_test(poisoned_override),
        cmocka_unit_test(poisoned_node),
        cmocka_unit_test(poisoned_epoch),
        cmocka_unit_test(poisoned_under_a_secret),
        cmocka_unit_test(forged_name_is_no_filter),
        cmocka_unit_test(forged_order_rejects_nobody),
        cmocka_unit_test(forged_absence_rejects_nobody),
        cmocka_unit_test(epoch_from_the_end_of_time),
        cmocka_unit_test(secret_changes),
    };

    return cmocka_run_group_tests_name("replay-poison", tests, make_secret, remove_secret);
}
