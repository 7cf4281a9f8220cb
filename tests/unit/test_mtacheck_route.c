/*
 * policy/mtacheck_route.c: what Postfix's settings and tables might hold, for configurations with
 * routes and flushes.
 */
#include "policy/mtacheck.h"

#include "tests/unit/conf_of.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "findings.h"

#define OURS     "socketmap:unix:/run/mxwarden/socketmap.sock:transport"
#define MAPS     "transport_maps = " OURS "\n"
#define FILTER   "smtp_dns_reply_filter = socketmap:unix:/run/mxwarden/socketmap.sock:dnsfilter\n"
#define RELAY    "relay_domains = example.com, example.net\n"
#define SERVICES "smtp unix - - n - - smtp\nflush unix n - n 1000? 0 flush\n"
#define PRIMARY  "domain \"example.com\" { route = primary }\n"
#define FLUSH    "domain \"example.com\" { flush = \"127.0.0.1\" }\n"
#define POOL(transport)                                                                            \
    "domain \"example.com\" { route = \"pool g\" }\n"                                              \
    "pool \"g\" { " transport " tier \"1\" { host \"gw.example.net\" { } } }\n"

static const struct {
    const char *label, *conf, *settings, *services;
    const char *tables; /* "table key|": what lookups find; "table ?|": fails; "/file text|" */
    enum mtacheck_standing standing;
    const char *wanted; /* "level: what" joined by '|' */
} checks[] = {
    {"all is well", PRIMARY, MAPS RELAY, SERVICES, "", MTACHECK_BACKUP, ""},
    {"a list of domains stands first", PRIMARY,
     "transport_maps = hash:/etc/postfix/t, " OURS "\n" RELAY, SERVICES,
     "hash:/etc/postfix/t example.com|", MTACHECK_BACKUP, ""},
    {"a pattern stands first", PRIMARY, "transport_maps = pcre:/etc/postfix/t, " OURS "\n" RELAY,
     SERVICES, "pcre:/etc/postfix/t mxwarden-check@example.com|", MTACHECK_BACKUP,
     "error: transport_maps: pcre:/etc/postfix/t answers for the addresses of example.com before "
     "mxwarden is asked"},
    {"a pattern with exceptions only", PRIMARY,
     "transport_maps = pcre:/etc/postfix/t, " OURS "\n" RELAY, SERVICES, "", MTACHECK_BACKUP, ""},
    {"a pattern stands behind", PRIMARY, "transport_maps = " OURS " pcre:/etc/postfix/t\n" RELAY,
     SERVICES, "pcre:/etc/postfix/t mxwarden-check@example.com|", MTACHECK_BACKUP, ""},
    {"a filter where this host is in the set", PRIMARY, FILTER RELAY, SERVICES, "", MTACHECK_BACKUP,
     "warning: smtp_dns_reply_filter: the map dnsfilter leaves example.com alone: this host is one "
     "of its MX hosts"},
    {"a filter elsewhere", PRIMARY, FILTER, SERVICES, "", MTACHECK_STRANGER, ""},
    {"a filter where mail stays", PRIMARY, FILTER, SERVICES, "", MTACHECK_BEST, ""},
    {"a filter beside the map that does it", PRIMARY, MAPS FILTER RELAY, SERVICES, "",
     MTACHECK_BACKUP, ""},
    {"a filter of somebody else", PRIMARY,
     "smtp_dns_reply_filter = pcre:/etc/postfix/dnsfilter\n" RELAY, SERVICES, "", MTACHECK_BACKUP,
     ""},
    {"a pool's transport", POOL(""), MAPS, SERVICES, "", MTACHECK_STRANGER, ""},
    {"a pool's transport is missing", POOL("transport = \"relay\""), MAPS, SERVICES, "",
     MTACHECK_STRANGER, "error: pool g: master.cf has no service \"relay\": its mail would wait"},
    {"a listener is no transport", POOL("transport = \"smtps\""), MAPS,
     SERVICES "smtps inet n - n - - smtpd\n", "", MTACHECK_STRANGER,
     "error: pool g: master.cf has no service \"smtps\": its mail would wait"},
    {"a TLS policy of the domain", PRIMARY,
     MAPS RELAY "smtp_tls_policy_maps = hash:/etc/postfix/tls\n", SERVICES,
     "hash:/etc/postfix/tls example.com|", MTACHECK_BACKUP,
     "warning: smtp_tls_policy_maps: the entry of hash:/etc/postfix/tls for example.com does not "
     "count: its route names hosts in brackets"},
    {"of its parent", PRIMARY, MAPS RELAY "smtp_tls_policy_maps = hash:/etc/postfix/tls\n",
     SERVICES, "hash:/etc/postfix/tls .com|", MTACHECK_BACKUP,
     "warning: smtp_tls_policy_maps: the entry of hash:/etc/postfix/tls for example.com does not "
     "count: its route names hosts in brackets"},
    {"of the route's hosts", PRIMARY, MAPS RELAY "smtp_tls_policy_maps = hash:/etc/postfix/tls\n",
     SERVICES, "hash:/etc/postfix/tls [mx1.example.com]:25|", MTACHECK_BACKUP, ""},
    {"a flush", FLUSH, "fast_flush_domains = example.net, Example.com\n" RELAY, SERVICES, "",
     MTACHECK_BACKUP, ""},
    {"a flush of a domain that Postfix does not flush", FLUSH, "fast_flush_domains =\n" RELAY,
     SERVICES, "", MTACHECK_BACKUP,
     "error: fast_flush_domains: example.com is not in it: an ETRN is answered with 459"},
    {"in a table", FLUSH, "fast_flush_domains = hash:/etc/postfix/f\n" RELAY, SERVICES,
     "hash:/etc/postfix/f example.com|", MTACHECK_BACKUP, ""},
    {"not in the table", FLUSH, "fast_flush_domains = hash:/etc/postfix/f\n" RELAY, SERVICES, "",
     MTACHECK_BACKUP,
     "error: fast_flush_domains: example.com is not in it: an ETRN is answered with 459"},
    {"taken out of the list", FLUSH, "fast_flush_domains = !example.com, $relay_domains\n" RELAY,
     SERVICES, "", MTACHECK_BACKUP,
     "error: fast_flush_domains: example.com is not in it: an ETRN is answered with 459"},
    {"by its parent", "domain \"a.example.com\" { flush = \"127.0.0.1\" }",
     "parent_domain_matches_subdomains = fast_flush_domains, relay_domains\n"
     "fast_flush_domains = example.com\n" RELAY,
     SERVICES, "", MTACHECK_BACKUP, ""},
    {"not by its parent", "domain \"a.example.com\" { flush = \"127.0.0.1\" }",
     "fast_flush_domains = example.com\nrelay_domains = .example.com\n", SERVICES, "",
     MTACHECK_BACKUP,
     "error: fast_flush_domains: a.example.com is not in it: an ETRN is answered with 459"},
    {"nobody flushes", FLUSH, "fast_flush_domains = example.com\n" RELAY,
     "smtp unix - - n - - smtp\n", "", MTACHECK_BACKUP,
     "error: domains have `flush`, and master.cf has no service for it"},
    {"nobody may ask for it", FLUSH,
     "fast_flush_domains = example.com\nsmtpd_etrn_restrictions = reject\n" RELAY, SERVICES, "",
     MTACHECK_BACKUP,
     "warning: smtpd_etrn_restrictions: nobody is permitted, perhaps not even this host"},
    {"a table says who may ask for it", FLUSH,
     "fast_flush_domains = example.com\n"
     "smtpd_etrn_restrictions = check_etrn_access hash:/etc/postfix/e, reject\n" RELAY,
     SERVICES, "", MTACHECK_BACKUP, ""},
    {"a backup that takes the mail for its own", PRIMARY,
     MAPS "mydestination = localhost, example.com\n", SERVICES, "", MTACHECK_BACKUP,
     "warning: mydestination: example.com is in it, and this host is only a backup MX of it"},
    {"the best may", PRIMARY, MAPS "mydestination = localhost, example.com\n", SERVICES, "",
     MTACHECK_BEST, ""},
    {"virtual, in a table", PRIMARY, MAPS "virtual_mailbox_domains = hash:/etc/postfix/v\n" RELAY,
     SERVICES, "hash:/etc/postfix/v example.com|", MTACHECK_BACKUP,
     "warning: virtual_mailbox_domains: example.com is in it, and this host is only a backup MX of "
     "it"},
    {"a backup that refuses the mail", PRIMARY, MAPS "relay_domains =\n", SERVICES, "",
     MTACHECK_BACKUP,
     "error: relay_domains: example.com is not in it: this backup MX refuses its mail"},
    {"relay domains in a file", PRIMARY, MAPS "relay_domains = /etc/postfix/relay\n", SERVICES,
     "/etc/postfix/relay example.com|", MTACHECK_BACKUP, ""},
    {"among others in a file", PRIMARY, MAPS "relay_domains = /etc/postfix/relay\n", SERVICES,
     "/etc/postfix/relay # example.net\nexample.net, Example.com\n|", MTACHECK_BACKUP, ""},
    {"in a comment of a file", PRIMARY, MAPS "relay_domains = /etc/postfix/relay\n", SERVICES,
     "/etc/postfix/relay example.net\n# example.com\n|", MTACHECK_BACKUP,
     "error: relay_domains: example.com is not in it: this backup MX refuses its mail"},
    {"taken out in a file", PRIMARY, MAPS "relay_domains = /etc/postfix/relay, example.com\n",
     SERVICES, "/etc/postfix/relay !example.com\n|", MTACHECK_BACKUP,
     "error: relay_domains: example.com is not in it: this backup MX refuses its mail"},
    {"a table in a file", PRIMARY, MAPS "relay_domains = /etc/postfix/relay\n", SERVICES,
     "/etc/postfix/relay hash:/etc/postfix/r|hash:/etc/postfix/r example.com|", MTACHECK_BACKUP,
     ""},
    {"a file that cannot be read", PRIMARY, MAPS "relay_domains = /etc/postfix/relay\n", SERVICES,
     "", MTACHECK_BACKUP, "warning: /etc/postfix/relay: it cannot be told what is in it"},
    {"named before that file", PRIMARY, MAPS "relay_domains = example.com /etc/postfix/relay\n",
     SERVICES, "", MTACHECK_BACKUP, ""},
    {"after a file without it", PRIMARY, MAPS "relay_domains = /etc/postfix/relay, example.com\n",
     SERVICES, "/etc/postfix/relay example.net\n#example.com\n|", MTACHECK_BACKUP, ""},
    {"only a comment names it", PRIMARY, MAPS "relay_domains = /etc/postfix/relay\n", SERVICES,
     "/etc/postfix/relay example.net\n#example.com\n|", MTACHECK_BACKUP,
     "error: relay_domains: example.com is not in it: this backup MX refuses its mail"},
    {"relay domains in a table that cannot be asked", PRIMARY,
     MAPS "relay_domains = mysql:/etc/postfix/r\n", SERVICES, "mysql:/etc/postfix/r ?|",
     MTACHECK_BACKUP, "warning: mysql:/etc/postfix/r: it cannot be told what is in it"},
    {"named before that", PRIMARY, MAPS "relay_domains = example.com, mysql:/etc/postfix/r\n",
     SERVICES, "mysql:/etc/postfix/r ?|", MTACHECK_BACKUP, ""},
    {"one that cannot be asked may have it for this host's own", PRIMARY,
     MAPS "mydestination = mysql:/etc/postfix/d\nrelay_domains =\n", SERVICES,
     "mysql:/etc/postfix/d ?|", MTACHECK_BACKUP,
     "warning: mysql:/etc/postfix/d: it cannot be told what is in it"},
    {"flushes in a table that cannot be asked", FLUSH,
     "fast_flush_domains = mysql:/etc/postfix/f\n" RELAY, SERVICES, "mysql:/etc/postfix/f ?|",
     MTACHECK_BACKUP, "warning: mysql:/etc/postfix/f: it cannot be told what is in it"},
    {"before the map, one that cannot be asked", PRIMARY,
     "transport_maps = mysql:/etc/postfix/t, " OURS "\n" RELAY, SERVICES, "mysql:/etc/postfix/t ?|",
     MTACHECK_BACKUP, "warning: mysql:/etc/postfix/t: it cannot be told what is in it"},
    {"TLS policies that cannot be asked", PRIMARY,
     MAPS RELAY "smtp_tls_policy_maps = mysql:/etc/postfix/tls\n", SERVICES,
     "mysql:/etc/postfix/tls ?|", MTACHECK_BACKUP,
     "warning: mysql:/etc/postfix/tls: it cannot be told what is in it"},
    {"by its parent in a table", "domain \"a.example.com\" { route = primary }",
     MAPS "parent_domain_matches_subdomains = relay_domains\nrelay_domains = hash:/etc/postfix/r\n",
     SERVICES, "hash:/etc/postfix/r example.com|", MTACHECK_BACKUP, ""},
    {"not by its parent in a table", "domain \"a.example.com\" { route = primary }",
     MAPS "relay_domains = hash:/etc/postfix/r\n", SERVICES, "hash:/etc/postfix/r example.com|",
     MTACHECK_BACKUP,
     "error: relay_domains: a.example.com is not in it: this backup MX refuses its mail"},
    {"who stands where is not known", PRIMARY, MAPS "relay_domains =\n", SERVICES, "",
     MTACHECK_STANDING_UNKNOWN, ""},
    {"no routes, nothing to say", "domain \"example.com\" { }",
     "smtp_tls_policy_maps = hash:/etc/postfix/tls\nrelay_domains =\n", "",
     "hash:/etc/postfix/tls example.com|", MTACHECK_BACKUP, ""},
};

struct fake {
    const char *tables;
    enum mtacheck_standing standing;
};

static enum mtacheck_member fake_lookup(void *arg, const char *table, const char *key)
{
    const struct fake *fake = arg;
    char wanted[256];

    snprintf(wanted, sizeof wanted, "%s ?|", table);
    if (strstr(fake->tables, wanted))
        return MTACHECK_UNASKED;
    snprintf(wanted, sizeof wanted, "%s %s|", table, key);
    return strstr(fake->tables, wanted) ? MTACHECK_MEMBER : MTACHECK_MISSING;
}

static char *fake_read(void *arg, const char *path)
{
    const struct fake *fake = arg;
    const char *text = strstr(fake->tables, path);

    return text ? strndup(text + strlen(path) + 1, strcspn(text + strlen(path) + 1, "|")) : NULL;
}

static enum mtacheck_standing fake_standing(void *arg, const char *domain)
{
    const struct fake *fake = arg;

    (void)domain;
    return fake->standing;
}

static void check_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        struct fake fake = {checks[i].tables, checks[i].standing};
        struct conf *conf = conf_of(checks[i].conf);
        struct mtacheck_world world = {.postconf = {checks[i].settings, checks[i].services, ""},
                                       .conf = conf,
                                       .lookup = fake_lookup,
                                       .read = fake_read,
                                       .standing = fake_standing,
                                       .arg = &fake};
        struct mtacheck findings = {0};
        char got[FINDINGS_TEXT];

        mtacheck_routes(&world, &findings);
        findings_format(checks[i].label, &findings, got);
        if (strcmp(got, checks[i].wanted) != 0)
            fail_msg("%s:\n  %s\nwanted\n  %s", checks[i].label, got, checks[i].wanted);
        mtacheck_clear(&findings);
        conf_unref(conf);
    }
}

/* Without anybody who can be asked, nothing is claimed of tables. */
static void nobody_can_be_asked(void **state)
{
    struct conf *conf = conf_of(PRIMARY "domain \"example.net\" { flush = \"127.0.0.1\" }\n");
    struct mtacheck_world world = {
        .postconf = {MAPS "fast_flush_domains = hash:/f\nrelay_domains = hash:/r\n"
                          "smtp_tls_policy_maps = hash:/t\n",
                     SERVICES, ""},
        .conf = conf};
    struct mtacheck findings = {0};

    (void)state;
    mtacheck_routes(&world, &findings);
    assert_int_equal(findings.count, 0);
    mtacheck_clear(&findings);
    conf_unref(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_table),
        cmocka_unit_test(nobody_can_be_asked),
    };
    return cmocka_run_group_tests_name("mtacheck_route", tests, NULL, NULL);
}
