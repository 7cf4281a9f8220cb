/*
 * policy/sendmailcheck.c: sendmail.cf as m4 writes it, and changed.
 */
#include "policy/sendmailcheck.h"

#include "tests/unit/conf_of.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "findings.h"

#define LIST        "O InputMailFilters=mxwarden\n"
#define FILTER      "Xmxwarden, S=local:/run/mxwarden/milter.sock, T=C:3s;S:3s;R:6s;E:10s\n"
#define PRIMARY     "domain \"example.com\" { route = primary }\n"
#define G(hosts)    "pool \"g\" { tier \"1\" { " hosts " } }\n"
#define POOL(hosts) "domain \"example.com\" { route = \"pool g\" }\n" G(hosts)
#define PLAIN       "host \"gw1.example.net\" { } "
#define OTHER       "host \"gw2.example.net:2525\" { }"
#define LEFT_OUT                                                                                   \
    "warning: sendmail.cf: mailertable: pool g: gw2.example.net:2525 is left out: Sendmail "       \
    "cannot "                                                                                      \
    "be told ports"
#define MAP "Kmailertable socket local:/run/mxwarden/socketmap.sock\n"

static const struct {
    const char *label, *cf, *silent, *open;
    const char *wanted; /* "level: what" joined by '|'; what is well is left out */
} checks[] = {
    {"all is well", "# x\nV10/Berkeley\n" LIST FILTER MAP, "", "", ""},
    {"on two lines",
     "O InputMailFilters=other,mxwarden\n" FILTER "Kmailertable socket -T<TMPF>\n"
     "\tlocal:/run/mxwarden/socketmap.sock\n",
     "", "", ""},
    {"nothing", "V10/Berkeley\nKaccess hash /etc/mail/access\n", "", "",
     "warning: domains are guarded, but this Sendmail has no filter mxwarden|warning: domains have "
     "routes, but this Sendmail does not ask for them"},
    {"not in the list", FILTER MAP, "", "",
     "error: sendmail.cf: mxwarden is a filter that InputMailFilters does not name: it is never "
     "asked"},
    {"another of a longer name is in the list", "O InputMailFilters=mxwarden2\n" FILTER MAP, "", "",
     "error: sendmail.cf: mxwarden is a filter that InputMailFilters does not name: it is never "
     "asked"},
    {"under another name",
     "O InputMailFilters=dkim, order\nXorder, S=local:/run/mxwarden/milter.sock, T=R:6s\n" MAP, "",
     "", ""},
    {"fails closed", LIST "Xmxwarden, S=local:/run/mxwarden/milter.sock, F=T\n" MAP, "", "",
     "warning: sendmail.cf: mxwarden: with F=T mail is turned away while mxwarden is away|warning: "
     "sendmail.cf: mxwarden: Sendmail waits long for a milter that hangs"},
    {"nobody answers", LIST FILTER MAP, "/run/mxwarden/milter.sock", "",
     "error: sendmail.cf: mxwarden: nobody answers at /run/mxwarden/milter.sock"},
    {"an open folder", LIST FILTER MAP, "", "/run/mxwarden/socketmap.sock",
     "error: sendmail.cf: mailertable: a folder above /run/mxwarden/socketmap.sock is writable by "
     "everybody: Sendmail calls it unsafe"},
    {"another map", LIST FILTER "Kroutes socket local:/run/mxwarden/socketmap.sock\n", "", "",
     "error: sendmail.cf: mxwarden has no map 'routes' for Sendmail"},
    {"a map of somebody else", LIST FILTER MAP "Kother socket local:/run/other.sock\n", "", "", ""},
    {"a filter of somebody else", LIST FILTER MAP "Xdkim, S=inet:8891@localhost, F=T\n", "", "",
     ""},
};

/* A mailertable has no room for ports. */
static const struct {
    const char *label, *conf, *cf, *wanted;
} ports[] = {
    {"none", POOL(PLAIN), LIST FILTER MAP, ""},
    {"of a pool that nobody routes to", PRIMARY G(OTHER), LIST FILTER MAP, ""},
    {"beside others", POOL(PLAIN OTHER), LIST FILTER MAP, LEFT_OUT},
    {"of a match", PRIMARY "match \"*.example.org\" { route = \"pool g\" }\n" G(PLAIN OTHER),
     LIST FILTER MAP, LEFT_OUT},
    {"and nothing else", POOL(OTHER), LIST FILTER MAP,
     "error: sendmail.cf: mailertable: pool g: no host is on port 25, and Sendmail cannot be told "
     "ports: its mail would wait"},
    {"and no map of ours", POOL(OTHER), LIST FILTER,
     "warning: domains have routes, but this Sendmail does not ask for them"},
};

struct fake {
    const char *silent, *open;
};

static enum mtacheck_reach fake_reach(void *arg, const char *path)
{
    const struct fake *fake = arg;

    return strcmp(path, fake->silent) == 0 ? MTACHECK_SILENT : MTACHECK_REACHED;
}

static bool fake_open(void *arg, const char *path)
{
    const struct fake *fake = arg;

    return strcmp(path, fake->open) == 0;
}

static void check(const char *label, const char *text, const char *cf, struct fake *fake,
                  const char *wanted)
{
    struct conf *conf = conf_of(text);
    const struct sendmailcheck_world world = {
        .cf = cf, .conf = conf, .reach = fake_reach, .is_open = fake_open, .arg = fake};
    struct mtacheck findings = {0};
    char got[FINDINGS_TEXT];

    sendmailcheck_run(&world, &findings);
    findings_format(label, &findings, got);
    if (strcmp(got, wanted) != 0)
        fail_msg("%s:\n  %s\nwanted\n  %s", label, got, wanted);
    mtacheck_clear(&findings);
    conf_unref(conf);
}

static void check_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        struct fake fake = {checks[i].silent, checks[i].open};
        check(checks[i].label, PRIMARY, checks[i].cf, &fake, checks[i].wanted);
    }
}

static void port_table(void **state)
{
    struct fake fake = {"", ""};

    (void)state;
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++)
        check(ports[i].label, ports[i].conf, ports[i].cf, &fake, ports[i].wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(check_table), cmocka_unit_test(port_table)};

    return cmocka_run_group_tests_name("sendmailcheck", tests, NULL, NULL);
}
