/*
 * policy/mailertable.c (SPEC 6.9): configuration and facts in, the value of Sendmail's mailertable
 * out. Every answer must pass an oracle that reads values as Sendmail does.
 */
#include "policy/mailertable.h"

#include "tests/unit/conf_of.h"
#include "tests/unit/world_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>

static const char text[] =
    "node = \"mx2.example.com\"\n"
    "domain \"mx.example.com\" { route = \"mx\" }\n"
    "domain \"primary.example.com\" { route = \"primary\" }\n"
    "domain \"off.example.com\" { route = \"off\" }\n"
    "domain \"pool.example.com\" { route = \"pool gateways\" }\n"
    "domain \"literal.example.com\" { route = \"pool literal\" }\n"
    "domain \"ports.example.com\" { route = \"pool ports\" }\n"
    "domain \"one.example.com\" { route = \"pool one\" }\n"
    "domain \"self.example.com\" { route = \"pool self\" }\n"
    "domain \"even.example.com\" { route = \"pool even\" }\n"
    "domain \"any.example.com\" { route = \"pool any\" }\n"
    "pool \"gateways\" { transport = \"relay\"\n"
    "    tier \"10\" { host \"gw1.example.net:25\" { } }\n"
    "    tier \"20\" { host \"backup.example.net\" { } } }\n"
    "pool \"literal\" { tier \"10\" { host \"192.0.2.77\" { } }\n"
    "    tier \"20\" { host \"[2001:db8::77]\" { } } tier \"30\" { host \"c.example.net\" { } } }\n"
    "pool \"ports\" { tier \"10\" { host \"a.example.net:2525\" { } }\n"
    "    tier \"20\" { host \"b.example.net\" { } host \"c.example.net:587\" { } } }\n"
    "pool \"one\" { tier \"10\" { host \"a.example.net:2525\" { } } }\n"
    "pool \"self\" { tier \"10\" { host \"a.example.net\" { } }\n"
    "    tier \"20\" { host \"mx2.example.com:2525\" { } }\n"
    "    tier \"30\" { host \"b.example.net\" { } } }\n"
    "pool \"even\" { stick = \"recipient\"\n"
    "    tier \"10\" { host \"a.example.net\" { } host \"b.example.net\" { } } }\n"
    "pool \"any\" { stick = \"none\"\n"
    "    tier \"10\" { host \"a.example.net\" { } host \"b.example.net\" { } } }\n";

static bool self_name(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "mx2.example.com") == 0;
}

static bool self_addr(void *arg, const struct net_addr *addr)
{
    (void)arg;
    (void)addr;
    return false;
}

/* --- the oracle ---------------------------------------------------------------------------------- */

/* One host of a list in brackets, from the text at *at on; *at is put behind it. Sendmail takes what
 * is in brackets up to the ']', an address with "IPv6:" before it where it has colons. */
static bool read_host(const char **at)
{
    const char *end = strchr(*at, ']');
    char inside[300];
    struct net_addr addr;
    size_t length;

    if (**at != '[' || !end || (length = (size_t)(end - *at) - 1) == 0 || length >= sizeof inside)
        return false;
    memcpy(inside, *at + 1, length);
    inside[length] = '\0';
    *at = end + 1;
    if (strncmp(inside, "IPv6:", 5) == 0)
        return net_addr_parse(inside + 5, &addr) && addr.family == NET_IPV6;
    return strspn(inside, "abcdefghijklmnopqrstuvwxyz0123456789-._") == length;
}

/* "mailer:[host]:[host]...": no shuffling ',', no port, nothing after the last ']'. */
static bool is_host_list(const char *value)
{
    const char *at = value;
    size_t hosts = 0;

    while (isalnum((unsigned char)*at) || *at == '-' || *at == '_' || *at == '.')
        at++;
    if (at == value || strncmp(value, "error", 5) == 0)
        return false;
    while (*at == ':') {
        at++;
        if (!read_host(&at))
            return false;
        hosts++;
    }
    return *at == '\0' && hosts >= 1 && hosts <= 4;
}

/* "error:X.Y.Z:NNN text", with the class of X that of NNN. */
static bool is_error(const char *value)
{
    unsigned class, subject, detail, code;
    int used = 0;

    return sscanf(value, "error:%1u.%3u.%3u:%3u %n", &class, &subject, &detail, &code, &used) ==
               4 &&
           used > 0 && value[used] != '\0' && code / 100 == class && (class == 4 || class == 5) &&
           !strpbrk(value, "<>$\r\n");
}

/* A '%' is always doubled, and gone once Sendmail has rewritten the value. */
static bool undouble(const char *value, char *out)
{
    for (; *value; value++) {
        if (*value == '%' && *++value != '%')
            return false;
        *out++ = *value;
    }
    *out = '\0';
    return true;
}

static void judge(const char *label, const char *reply)
{
    char value[ROUTE_REPLY_SIZE];

    if (strcmp(reply, "NOTFOUND ") == 0)
        return;
    if (strncmp(reply, "OK ", 3) != 0 || strlen(reply) > 3 + 256 || !undouble(reply + 3, value) ||
        (!is_host_list(value) && !is_error(value)))
        fail_msg("%s: Sendmail would not understand '%s'", label, reply);
}

static void oracle_knows_bad_values(void **state)
{
    static const char *const bad[] = {
        "",
        "esmtp",
        "esmtp:",
        "esmtp:[]",
        "esmtp:gw1.example.net",
        "esmtp:[a],[b]",
        "esmtp:[a]:25",
        "esmtp:[a]:[b]:",
        "esmtp:[2001:db8::1]",
        "esmtp:[IPv6:192.0.2.1]",
        ":[a]",
        "esmtp:[a]:[b]:[c]:[d]:[e]",
        "esmtp:[a] ",
        "smtp:[a], [b]",
    };
    static const char *const errors[] = {
        "error:", "error:5.1.10:556", "error:5.1.10:450 no", "error:5.1.10 no", "error:no",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (is_host_list(bad[i]) || is_error(bad[i]))
            fail_msg("passes: '%s'", bad[i]);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (is_host_list(errors[i]) || is_error(errors[i]))
            fail_msg("passes: '%s'", errors[i]);
    assert_true(is_host_list("esmtp:[a.example.net]:[IPv6:2001:db8::1]:[192.0.2.1]"));
    assert_true(is_error("error:4.4.4:451 No usable host"));
}

/* --- answers ------------------------------------------------------------------------------------- */

static const struct {
    const char *label;
    const char *domain;
    const char *mx;      /* NULL: not to be had */
    const char *addr[4]; /* of the hosts, or of the pool's; NULL: not to be had */
    const char *down;    /* a failing host */
    const char *wanted;
} cases[] = {
    {"no section", "example.org", NULL, {0}, NULL, "NOTFOUND "},
    {"route off", "off.example.com", NULL, {0}, NULL, "NOTFOUND "},
    {"a pool, its mailer as written",
     "pool.example.com",
     NULL,
     {"203.0.113.1", "203.0.113.2"},
     NULL,
     "OK relay:[gw1.example.net]:[backup.example.net]"},
    {"smtp is Sendmail's esmtp",
     "mx.example.com",
     "10 a.example.net,20 b.example.net",
     {"203.0.113.1", "203.0.113.2"},
     NULL,
     "OK esmtp:[a.example.net]:[b.example.net]"},
    {"implicit MX", "mx.example.com", "none", {"203.0.113.1"}, NULL, "OK esmtp:[mx.example.com]"},
    {"a failing host comes last",
     "mx.example.com",
     "10 a.example.net,20 b.example.net",
     {"203.0.113.1", "203.0.113.2"},
     "a.example.net",
     "OK esmtp:[b.example.net]:[a.example.net]"},
    {"addresses",
     "literal.example.com",
     NULL,
     {NULL, NULL, "203.0.113.3"},
     NULL,
     "OK esmtp:[192.0.2.77]:[IPv6:2001:db8::77]:[c.example.net]"},
    {"other ports are left out, and the next tier is used",
     "ports.example.com",
     NULL,
     {"203.0.113.1", "203.0.113.2", "203.0.113.3"},
     NULL,
     "OK esmtp:[b.example.net]"},
    {"nothing but other ports",
     "one.example.com",
     NULL,
     {"203.0.113.1"},
     NULL,
     "OK error:4.4.4:451 No usable host"},
    {"this host bounds the tiers though it is on another port",
     "self.example.com",
     NULL,
     {"203.0.113.1", "192.0.2.20", "203.0.113.3"},
     NULL,
     "OK esmtp:[a.example.net]"},
    {"primary: better ones only",
     "primary.example.com",
     "10 mx1.example.com,20 mx2.example.com",
     {"192.0.2.10", "192.0.2.20"},
     NULL,
     "OK esmtp:[mx1.example.com]"},
    {"primary: self is best",
     "primary.example.com",
     "10 mx2.example.com,20 mx1.example.com",
     {"192.0.2.20", "192.0.2.10"},
     NULL,
     "NOTFOUND "},
    {"primary: nothing known",
     "primary.example.com",
     NULL,
     {0},
     NULL,
     "OK error:4.4.4:451 No usable host"},
    {"mx: nothing known", "mx.example.com", NULL, {0}, NULL, "NOTFOUND "},
    {"Null MX",
     "mx.example.com",
     "null",
     {0},
     NULL,
     "OK error:5.1.10:556 Domain does not accept mail"},
    {"a pool of which nothing is known",
     "pool.example.com",
     NULL,
     {0},
     NULL,
     "OK relay:[gw1.example.net]:[backup.example.net]"},
};

struct route { /* all that one answer is made of */
    struct facts *mx, *addr[FACTS_MAX_HOSTS];
    struct address address;
    struct order order;
    struct route_facts facts;
};

static struct route *route_open(const struct conf *conf, const char *domain, const char *mx,
                                const char *const addr[4])
{
    const struct route_self self = {.has_name = self_name, .has_addr = self_addr};
    const struct facts *given[FACTS_MAX_HOSTS] = {0};
    struct route *route = calloc(1, sizeof *route);

    assert_non_null(route);
    route->mx = mx ? mx_of(mx) : NULL;
    for (size_t h = 0; h < 4; h++)
        given[h] = route->addr[h] = addr[h] ? addrs_of(addr[h]) : NULL;
    strcpy(route->address.domain, domain);
    order_init(&route->order, route->mx, domain, given);
    route->facts.map = ROUTE_MAILERTABLE;
    route->facts.address = &route->address;
    route->facts.plan = route_plan(conf, &route->address);
    route->facts.order = &route->order;
    route_fill(&route->facts, given, &self);
    return route;
}

static void route_close(struct route *route)
{
    order_clear(&route->order);
    for (size_t h = 0; h < 4; h++)
        facts_unref(route->addr[h]);
    facts_unref(route->mx);
    free(route);
}

static void answers_as_the_table_says(void **state)
{
    struct conf *conf = conf_of(text);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct route *route = route_open(conf, cases[i].domain, cases[i].mx, cases[i].addr);
        struct route_choice choice;
        char reply[ROUTE_REPLY_SIZE];
        for (size_t h = 0; h < route->facts.host_count; h++)
            route->facts.host[h].failing =
                cases[i].down && strcmp(route->facts.host[h].name, cases[i].down) == 0;
        route_choose(&route->facts, 0, &choice);
        route_format(&route->facts, &choice, reply);
        judge(cases[i].label, reply);
        if (strcmp(reply, cases[i].wanted) != 0)
            fail_msg("%s: '%s', wanted '%s'", cases[i].label, reply, cases[i].wanted);
        route_close(route);
    }
    conf_unref(conf);
}

/* What sticks: a pool to the domain, unless stick = none; of a domain's own ordering nothing. */
static void what_sticks(void **state)
{
    static const struct {
        const char *domain, *mx;
        size_t distinct;
    } rows[] = {{"even.example.com", NULL, 1},
                {"any.example.com", NULL, 2},
                {"mx.example.com", "10 a.example.net,10 b.example.net", 2}};
    static const char *const addr[4] = {"203.0.113.1", "203.0.113.2"};
    struct conf *conf = conf_of(text);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct route *route = route_open(conf, rows[i].domain, rows[i].mx, addr);
        bool first[2] = {false, false};
        for (uint64_t random = 0; random < 100; random++) {
            struct route_choice choice;
            route_choose(&route->facts, random, &choice);
            assert_int_equal(choice.pick.count, 2);
            first[choice.pick.index[0]] = true;
        }
        if ((size_t)first[0] + first[1] != rows[i].distinct)
            fail_msg("%s", rows[i].domain);
        route_close(route);
    }
    conf_unref(conf);
}

/* Long names: the list is cut between hosts, and a host that never fits is not drawn at all. */
static void long_names(void **state)
{
    struct route_facts *facts = calloc(1, sizeof *facts);
    struct route_choice choice = {.outcome = ROUTE_HOSTS, .transport = "smtp"};
    char name[NAME_SIZE], reply[ROUTE_REPLY_SIZE];

    (void)state;
    assert_non_null(facts);
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (size_t length = 40; length < NAME_SIZE; length++) {
        name[length] = '\0';
        choice.pick.count = 0;
        for (size_t i = 0; i < 4; i++) {
            facts->host[i] = (struct tier_host){.name = name, .port = 25};
            choice.pick.index[choice.pick.count++] = i;
        }
        assert_int_equal(mailertable_can_name(&facts->host[0], "smtp"), 5 + 3 + length <= 256);
        mailertable_format(facts, &choice, reply);
        if (5 + 3 + length <= 256)
            judge("a long name", reply);
        name[length] = 'a';
    }
    facts->host[0] = (struct tier_host){.name = "a.example.net", .port = 2525};
    assert_false(mailertable_can_name(&facts->host[0], "smtp"));
    free(facts);
}

static void percent_is_doubled(void **state)
{
    struct route_facts *facts = calloc(1, sizeof *facts);
    struct route_choice choice = {
        .outcome = ROUTE_HOSTS, .transport = "100%", .pick = {.count = 1}};
    char reply[ROUTE_REPLY_SIZE], name[NAME_SIZE];

    (void)state;
    assert_non_null(facts);
    facts->host[0] = (struct tier_host){.name = "a%b.example.net", .port = 25};
    assert_string_equal(mailertable_format(facts, &choice, reply), "OK 100%%:[a%%b.example.net]");
    memset(name, '%', sizeof name - 1);
    name[126] = '\0';
    facts->host[0].name = name;
    assert_false(mailertable_can_name(&facts->host[0], "smtp"));
    name[124] = '\0';
    assert_true(mailertable_can_name(&facts->host[0], "smtp"));
    free(facts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oracle_knows_bad_values),
        cmocka_unit_test(answers_as_the_table_says),
        cmocka_unit_test(what_sticks),
        cmocka_unit_test(long_names),
        cmocka_unit_test(percent_is_doubled),
    };
    return cmocka_run_group_tests_name("mailertable", tests, NULL, NULL);
}
