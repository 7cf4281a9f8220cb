/*
 * policy/order_judge.c: orderings, and what is wrong with them.
 */
#include "policy/order_judge.h"

#include "tests/unit/world_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define TWO "10 a.example,20 b.example"
#define BACKUP                                                                                     \
    "|note: this host is b.example, a backup: the better ones are guarded, and routes go to them"
#define ONE  "warning: there is only one host: nothing to guard, nothing to fail over to"
#define NONE "note: this host is none of them: if it should be, name it in `own` or `listeners`"
#define BEST                                                                                       \
    "|note: this host is b.example, of the best preference: it guards nothing, and routes "        \
    "primary "                                                                                     \
    "and mx leave it to the mail server"

/* This host is b.example, 198.51.100.1. */
static const struct {
    const char *label, *mx; /* NULL: not to be had */
    const char *addr[3];
    unsigned mx_warnings, addr_warnings; /* the latter of the first host */
    const char *wanted;                  /* "level: text" joined by '|' */
} cases[] = {
    {"nothing wrong", TWO, {"192.0.2.1", "198.51.100.1,2001:db8::1"}, 0, 0, BACKUP},
    {"one host", "10 a.example", {"192.0.2.1"}, 0, 0, "|" ONE "|" NONE},
    {"an alias",
     TWO,
     {"192.0.2.1", "198.51.100.1"},
     0,
     FACTS_WARN_CNAME,
     "|warning: a.example is an alias, which an MX must not name (RFC 2181 10.3)" BACKUP},
    {"no address", TWO, {"none", "198.51.100.1"}, 0, 0, "|error: a.example has no address" BACKUP},
    {"cannot tell",
     TWO,
     {"fail", "198.51.100.1"},
     0,
     0,
     "|warning: a.example could not be looked up" BACKUP},
    {"private beside public",
     TWO,
     {"192.0.2.1,10.0.0.1", "198.51.100.1"},
     0,
     0,
     "|warning: a.example has the private address [10.0.0.1]" BACKUP},
    {"private only",
     TWO,
     {"10.0.0.1", "198.51.100.1"},
     0,
     0,
     "|error: a.example has only addresses that are private|warning: a.example has the private "
     "address [10.0.0.1]" BACKUP},
    {"loopback beside others",
     TWO,
     {"192.0.2.1", "198.51.100.1"},
     0,
     FACTS_WARN_BAD_ADDR,
     "|error: a.example has an address that no mail host can have (loopback or the like), which is "
     "left out here, and tried elsewhere" BACKUP},
    {"one address, two names",
     TWO,
     {"198.51.100.1", "198.51.100.1,203.0.113.1"},
     0,
     0,
     "|warning: a.example and b.example are one address, [198.51.100.1]: one host under two names"
     "|warning: this host is a.example by its address only, and not known to be while that cannot "
     "be looked up: name it in `own`|note: this host is a.example, of the best preference: it "
     "guards nothing, and routes primary "
     "and mx leave it to the mail server"},
    {"all one address",
     "10 c.example,20 d.example",
     {"192.0.2.1", "192.0.2.1"},
     0,
     0,
     "|warning: c.example and d.example are one address, [192.0.2.1]: one host under two "
     "names|warning: all hosts are one address: one fault takes them all|" NONE},
    {"one network",
     "10 c.example,20 d.example",
     {"192.0.2.1", "192.0.2.2"},
     0,
     0,
     "|warning: all hosts are in one network: one fault takes them all|" NONE},
    {"one preference",
     "10 a.example,10 b.example",
     {"192.0.2.1", "198.51.100.1"},
     0,
     0,
     "|note: all hosts have one preference: none is better, nothing is guarded" BEST},
    {"self by its address",
     "10 a.example,20 c.example",
     {"192.0.2.1", "198.51.100.1"},
     0,
     0,
     "|warning: this host is c.example by its address only, and not known to be while that cannot "
     "be looked up: name it in `own`|note: this host is c.example, a backup: the better ones are "
     "guarded, and routes go to them"},
    {"self perhaps among the unknown",
     "10 a.example,20 c.example",
     {"192.0.2.1", NULL},
     0,
     0,
     "|warning: c.example could not be looked up|note: this host is none of those that could be "
     "looked up"},
    {"Null MX beside real ones",
     TWO,
     {"192.0.2.1", "198.51.100.1"},
     FACTS_WARN_NULL,
     0,
     "|error: a Null MX (\".\") stands beside real ones (RFC 7505 3): some senders give up" BACKUP},
    {"too many",
     TWO,
     {"192.0.2.1", "198.51.100.1"},
     FACTS_WARN_CUT,
     0,
     "|warning: there are more MX records than are used" BACKUP},
    {"no host name",
     TWO,
     {"192.0.2.1", "198.51.100.1"},
     FACTS_WARN_BAD_NAME,
     0,
     "|error: an MX names something that is no host name; it is left out" BACKUP},
    {"implicit",
     "none",
     {"192.0.2.1"},
     0,
     0,
     "|note: no MX record: the domain's own address serves (RFC 5321 5.1)|" ONE "|" NONE},
    {"Null MX", "null", {0}, 0, 0, "|note: Null MX: the domain accepts no mail (RFC 7505)"},
    {"no such domain", "nxdomain", {0}, 0, 0, ""},
    {"not to be had", NULL, {0}, 0, 0, ""},
};

static bool has_name(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "b.example") == 0;
}

static bool has_addr(void *arg, const struct net_addr *addr)
{
    struct net_addr own = addr_of("198.51.100.1");

    (void)arg;
    return net_addr_equal(addr, &own);
}

static void note(void *arg, enum order_level level, const char *text)
{
    char *got = arg;

    sprintf(got + strlen(got), "|%s: %s", order_level_name(level), text);
}

static void findings(void **state)
{
    const struct route_self self = {.has_name = has_name, .has_addr = has_addr};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct facts *mx = cases[i].mx ? mx_of(cases[i].mx) : NULL, *addr[3] = {0};
        const struct facts *given[FACTS_MAX_HOSTS] = {0};
        char got[2048] = "";
        struct order order;
        bool known = cases[i].mx && strcmp(cases[i].mx, "nxdomain") != 0;

        if (mx)
            mx->warnings |= cases[i].mx_warnings;
        for (size_t h = 0; h < 3; h++)
            given[h] = addr[h] = cases[i].addr[h] ? addrs_of(cases[i].addr[h]) : NULL;
        if (addr[0])
            addr[0]->warnings |= cases[i].addr_warnings;
        order_init(&order, mx, "a.example", given);
        order_judge(&order, &self, note, got);
        if (strcmp(got, cases[i].wanted) != 0)
            fail_msg("%s: %s", cases[i].label, got);
        if (order_is_known(&order) != known)
            fail_msg("%s: known", cases[i].label);
        order_clear(&order);
        for (size_t h = 0; h < 3; h++)
            facts_unref(addr[h]);
        facts_unref(mx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(findings)};

    return cmocka_run_group_tests_name("order_judge", tests, NULL, NULL);
}
