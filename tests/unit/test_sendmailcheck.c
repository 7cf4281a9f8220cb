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

#define LIST   "O InputMailFilters=mxwarden\n"
#define FILTER "Xmxwarden, S=local:/run/mxwarden/milter.sock, T=C:3s;S:3s;R:6s;E:10s\n"
#define MAP    "Kmailertable socket local:/run/mxwarden/socketmap.sock\n"

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

static void check_table(void **state)
{
    struct conf *conf = conf_of("domain \"example.com\" { route = primary }\n");

    (void)state;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        struct fake fake = {checks[i].silent, checks[i].open};
        const struct sendmailcheck_world world = {.cf = checks[i].cf,
                                                  .conf = conf,
                                                  .reach = fake_reach,
                                                  .is_open = fake_open,
                                                  .arg = &fake};
        struct mtacheck findings = {0};
        char got[2048] = "";

        sendmailcheck_run(&world, &findings);
        for (size_t f = 0; f < findings.count; f++) {
            const struct mtacheck_finding *item = &findings.item[f];
            if (item->level == MTACHECK_OK)
                continue;
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s: %s", *got ? "|" : "",
                     mtacheck_level_name(item->level), item->what);
        }
        if (strcmp(got, checks[i].wanted) != 0)
            fail_msg("%s:\n  %s\nwanted\n  %s", checks[i].label, got, checks[i].wanted);
        mtacheck_clear(&findings);
    }
    conf_unref(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(check_table)};

    return cmocka_run_group_tests_name("sendmailcheck", tests, NULL, NULL);
}
