/*
 * policy/mtacheck.c and postconf.c: what postconf might print, and what is to be found in it. Each
 * row changes a setup in which all is well.
 */
#include "policy/mtacheck.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "findings.h"

#define RUN            "/run/mxwarden/"
#define JAIL           "/var/spool/postfix/mxwarden/"
#define POLICY_OPTIONS ", timeout=3s, try_limit=2, retry_delay=1s, default_action=DUNNO }"
#define MILTER_OPTIONS ", connect_timeout=3s, command_timeout=6s, default_action=accept }"

#define COMMON                                                                                     \
    "compatibility_level = 3.6\nmail_version = 3.7.11\nqueue_directory = /var/spool/postfix\n"     \
    "milter_default_action = tempfail\nmilter_command_timeout = 30s\nsmtpd_delay_reject = yes\n"   \
    "smtpd_policy_service_default_action = 451 4.3.5 Server configuration problem\n"               \
    "smtpd_policy_service_timeout = 100s\nsmtp_dns_reply_filter =\n"
#define MILTERS "smtpd_milters = { unix:" RUN "milter.sock" MILTER_OPTIONS "\n"
#define MAPS    "transport_maps = socketmap:unix:" RUN "socketmap.sock:transport\n"
#define RELAY   "smtpd_relay_restrictions = permit_mynetworks, defer_unauth_destination\n"
#define RECIPIENT(entry)                                                                           \
    "smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service " entry "\n"

#define SMTPD   "smtp       inet  n       -       n       -       -       smtpd\n"
#define JAILED  "smtp       inet  n       -       y       -       -       smtpd\n"
#define REWRITE "rewrite    unix  -       -       n       -       -       trivial-rewrite\n"
#define OTHERS  "cleanup    unix  n       -       n       -       0       cleanup\n" REWRITE

static struct conf_socket policy_sockets[] = {{.path = (char *)RUN "policy.sock"},
                                              {.path = (char *)JAIL "policy.sock"},
                                              {.addr = {NET_IPV4, {127, 0, 0, 1}}, .port = 10040},
                                              {.addr = {NET_IPV6, {[15] = 1}}, .port = 10041},
                                              {.addr = {NET_IPV4, {0}}, .port = 10042},
                                              {.addr = {NET_IPV6, {0}}, .port = 10043}};
static struct conf_socket map_sockets[] = {{.path = (char *)RUN "socketmap.sock"},
                                           {.addr = {NET_IPV4, {127, 0, 0, 1}}, .port = 10050}};
static struct conf_domain domain = {
    .name = "example.com",
    .domain = "example.com",
    .guard = {.mode = CONF_MODE_DEFER},
    .routing = {.route = CONF_ROUTE_PRIMARY},
};
static const struct conf conf = {
    .listen = {.policy = {6, policy_sockets},
               .socketmap = {2, map_sockets},
               .milter = {.path = (char *)RUN "milter.sock"}},
    .domain_count = 1,
    .domain = &domain,
};

/* Paths are as their last words say; others are well where mxwarden listens. */
static enum mtacheck_reach fake_reach(void *arg, const char *path)
{
    const char *const *state = arg;

    if (*state && strcmp(*state, "silent") == 0)
        return MTACHECK_SILENT;
    if (*state && strcmp(*state, "forbidden") == 0)
        return MTACHECK_FORBIDDEN;
    if (*state && strcmp(*state, "file") == 0)
        return MTACHECK_NO_SOCKET;
    if (*state && strcmp(*state, "unknown") == 0)
        return MTACHECK_UNKNOWN;
    for (size_t i = 0; i < 2; i++)
        if (strcmp(path, policy_sockets[i].path) == 0)
            return MTACHECK_REACHED;
    return strcmp(path, RUN "milter.sock") == 0 || strcmp(path, RUN "socketmap.sock") == 0
               ? MTACHECK_REACHED
               : MTACHECK_ABSENT;
}

static const struct {
    const char *label, *settings, *services, *options, *state;
    const char *wanted; /* every finding but ok: "level: what" joined by '|' */
} checks[] = {
    {"all is well, milter", COMMON MILTERS MAPS RELAY, SMTPD OTHERS, "", NULL, ""},
    {"all is well, policy service",
     COMMON MAPS RELAY RECIPIENT("{ unix:" RUN "policy.sock" POLICY_OPTIONS), SMTPD OTHERS, "",
     NULL, ""},
    {"all is well, chrooted, relative path",
     COMMON MAPS RECIPIENT("{ unix:mxwarden/policy.sock" POLICY_OPTIONS), JAILED OTHERS, "", NULL,
     ""},
    {"all is well, chrooted, absolute path",
     COMMON MAPS RECIPIENT("{ unix:/mxwarden/policy.sock" POLICY_OPTIONS), JAILED OTHERS, "", NULL,
     ""},
    {"all is well, network", COMMON MAPS RECIPIENT("{ inet:127.0.0.1:10040" POLICY_OPTIONS),
     JAILED OTHERS, "", NULL, ""},
    {"all is well, main.cf's own defaults",
     "queue_directory = /var/spool/postfix\nmail_version = 3.7.11\nmilter_default_action = accept\n"
     "milter_command_timeout = 6s\nsmtpd_milters = unix:" RUN "milter.sock\n" MAPS,
     SMTPD OTHERS, "", NULL, ""},
    {"a milter of somebody else",
     COMMON "smtpd_milters = inet:127.0.0.1:8891 { unix:" RUN "milter.sock" MILTER_OPTIONS
            "\n" MAPS,
     SMTPD OTHERS, "", NULL, ""},
    {"nobody is asked", COMMON, SMTPD OTHERS, "", NULL,
     "warning: domains are guarded, but this Postfix asks nobody about them|warning: domains have "
     "routes, but this Postfix does not ask for them"},
    {"a service's own parameter counts", COMMON MAPS, SMTPD OTHERS,
     "smtp/inet/smtpd_milters = { unix:" RUN "milter.sock" MILTER_OPTIONS "\n", NULL, ""},
    {"and hides main.cf's", COMMON MILTERS MAPS, SMTPD OTHERS, "smtp/inet/smtpd_milters =\n", NULL,
     "warning: domains are guarded, but this Postfix asks nobody about them"},
    {"a chrooted service without milters", COMMON MILTERS MAPS,
     SMTPD "127.0.0.1:10025 inet n - y - - smtpd\n" OTHERS,
     "127.0.0.1:10025/inet/smtpd_milters = \n", NULL, ""},
    {"the chroot hides the socket", COMMON MILTERS MAPS, JAILED OTHERS, "", NULL,
     "error: smtpd_milters: /var/spool/postfix/run/mxwarden/milter.sock does not exist"},
    {"a chroot by an old default", "compatibility_level = 0\nmail_version = 3.7.11\n" MILTERS MAPS,
     "smtp inet n - - - - smtpd\n" OTHERS, "", NULL,
     "error: smtpd_milters: /var/spool/postfix/run/mxwarden/milter.sock does not exist"},
    {"no chroot by default", COMMON MILTERS MAPS, "smtp inet n - - - - smtpd\n" OTHERS, "", NULL,
     ""},
    {"a misspelt path", COMMON MAPS "smtpd_milters = { unix:" RUN "filter.sock" MILTER_OPTIONS "\n",
     SMTPD OTHERS, "", NULL, "error: smtpd_milters: /run/mxwarden/filter.sock does not exist"},
    {"the wrong socket", COMMON MAPS RECIPIENT("{ unix:" RUN "socketmap.sock" POLICY_OPTIONS),
     SMTPD OTHERS, "", NULL,
     "error: smtpd_recipient_restrictions: unix:/run/mxwarden/socketmap.sock is mxwarden's "
     "socketmap socket, not its policy socket"},
    {"nobody answers", COMMON MILTERS MAPS, SMTPD OTHERS, "", "silent",
     "error: smtpd_milters: /run/mxwarden/milter.sock exists, but nobody answers there|error: "
     "transport_maps: /run/mxwarden/socketmap.sock exists, but nobody answers there"},
    {"forbidden", COMMON MILTERS MAPS, SMTPD OTHERS, "", "forbidden",
     "error: smtpd_milters: /run/mxwarden/milter.sock cannot be opened by user postfix|error: "
     "transport_maps: /run/mxwarden/socketmap.sock cannot be opened by user postfix"},
    {"no socket", COMMON MILTERS MAPS, SMTPD OTHERS, "", "file",
     "error: smtpd_milters: /run/mxwarden/milter.sock is no socket|error: transport_maps: "
     "/run/mxwarden/socketmap.sock is no socket"},
    {"cannot look", COMMON MILTERS MAPS, SMTPD OTHERS, "", "unknown",
     "warning: smtpd_milters: /run/mxwarden/milter.sock cannot be looked at by this "
     "user|warning: transport_maps: /run/mxwarden/socketmap.sock cannot be looked at by this user"},
    {"a milter that can stop mail", COMMON MAPS "smtpd_milters = unix:" RUN "milter.sock\n",
     SMTPD OTHERS, "", NULL,
     "warning: smtpd_milters: without an answer from mxwarden mail is treated by "
     "\"tempfail\"|warning: smtpd_milters: Postfix waits 30s for an answer"},
    {"a policy service that can stop mail", COMMON MAPS RECIPIENT("unix:" RUN "policy.sock"),
     SMTPD OTHERS, "", NULL,
     "warning: smtpd_recipient_restrictions: without an answer from mxwarden mail is treated by "
     "\"451 4.3.5 Server configuration problem\"|warning: smtpd_recipient_restrictions: Postfix "
     "waits 100s for an answer"},
    {"before reject_unauth_destination",
     COMMON MAPS "smtpd_recipient_restrictions = check_policy_service { unix:" RUN
                 "policy.sock" POLICY_OPTIONS ", reject_unauth_destination\n",
     SMTPD OTHERS, "", NULL,
     "warning: smtpd_recipient_restrictions: mxwarden is asked about recipients that are not "
     "yours"},
    {"a relay rule that comes before",
     COMMON MAPS RELAY "smtpd_recipient_restrictions = check_policy_service { unix:" RUN
                       "policy.sock" POLICY_OPTIONS "\n",
     SMTPD OTHERS, "", NULL, ""},
    {"evidence may stand anywhere",
     COMMON MILTERS MAPS "smtpd_client_restrictions = check_policy_service { unix:" RUN
                         "policy.sock, policy_context=evidence" POLICY_OPTIONS "\n",
     SMTPD OTHERS, "", NULL, ""},
    {"too early without delay",
     "mail_version = 3.7.11\nsmtpd_delay_reject = no\n" MAPS
     "smtpd_client_restrictions = check_policy_service { unix:" RUN "policy.sock" POLICY_OPTIONS
     "\n",
     SMTPD OTHERS, "", NULL,
     "warning: smtpd_client_restrictions: with smtpd_delay_reject = no mxwarden is asked there "
     "before it can know the recipient"},
    {"at DATA that is no matter",
     "mail_version = 3.7.11\nsmtpd_delay_reject = no\n" MAPS RECIPIENT(
         "{ unix:" RUN "policy.sock" POLICY_OPTIONS) "smtpd_data_restrictions = "
                                                     "check_policy_service { unix:" RUN
                                                     "policy.sock" POLICY_OPTIONS "\n",
     SMTPD OTHERS, "", NULL, ""},
    {"a file before the map",
     COMMON MILTERS "transport_maps = hash:/etc/postfix/transport, socketmap:unix:" RUN
                    "socketmap.sock:transport\n",
     SMTPD OTHERS, "", NULL, ""},
    {"patterns before the map",
     COMMON MILTERS "transport_maps = regexp:/etc/postfix/transport, socketmap:unix:" RUN
                    "socketmap.sock:transport\n",
     SMTPD OTHERS, "", NULL,
     "warning: transport_maps: regexp:/etc/postfix/transport stands first and may answer for every "
     "address"},
    {"patterns behind the map",
     COMMON MILTERS "transport_maps = socketmap:unix:" RUN
                    "socketmap.sock:transport static:smtp:x\n",
     SMTPD OTHERS, "", NULL, ""},
    {"the map's name",
     COMMON MILTERS "transport_maps = socketmap:unix:" RUN "socketmap.sock:transprot\n",
     SMTPD OTHERS, "", NULL,
     "error: transport_maps: mxwarden's map for it is called 'transport', not 'transprot'"},
    {"behind proxymap",
     COMMON MILTERS "transport_maps = proxy:socketmap:unix:" RUN "socketmap.sock:transport\n",
     SMTPD OTHERS, "", NULL, ""},
    {"a map over the network",
     COMMON MILTERS "transport_maps = socketmap:inet:localhost:10050:transport\n", SMTPD OTHERS, "",
     NULL, ""},
    {"the wrong socket, by its name",
     COMMON MAPS RECIPIENT("{ inet:localhost:10050" POLICY_OPTIONS), SMTPD OTHERS, "", NULL,
     "error: smtpd_recipient_restrictions: inet:localhost:10050 is mxwarden's socketmap socket, "
     "not "
     "its policy socket"},
    {"postscreen", COMMON MILTERS MAPS,
     "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n" OTHERS, "", NULL,
     "warning: postscreen turns clients away before mxwarden hears of them, and other hosts count "
     "that as not having come"},
    {"old: lists of hosts",
     "mail_version = 3.4.14\nmilter_default_action = accept\nmilter_command_timeout = 6s\n" MILTERS
         MAPS,
     SMTPD OTHERS, "", NULL,
     "error: Postfix 3.4.14 does not know lists of next hops, which routes are made of"},
    {"old: no listener",
     "mail_version = 3.1.0\n" RECIPIENT("{ unix:" RUN "policy.sock" POLICY_OPTIONS), SMTPD, "",
     NULL,
     "warning: domains have routes, but this Postfix does not ask for them|warning: Postfix 3.1.0 "
     "does not tell a policy service which address was reached: nobody is judged"},
    {"said once for many services",
     COMMON MAPS "smtpd_milters = { unix:" RUN "filter.sock" MILTER_OPTIONS "\n",
     SMTPD "submission inet n - n - - smtpd -o syslog_name=postfix/submission\n" OTHERS, "", NULL,
     "error: smtpd_milters: /run/mxwarden/filter.sock does not exist"},
    {"broken text", "smtpd_milters = { unix:" RUN "milter.sock\nmail_version\n= 3\n",
     "\n\nsmtp inet\n" SMTPD, "/\n", NULL,
     "warning: domains are guarded, but this Postfix asks nobody about them|warning: domains have "
     "routes, but this Postfix does not ask for them"},
    {"nothing", "", "", "", NULL,
     "warning: domains are guarded, but this Postfix asks nobody about them|warning: domains have "
     "routes, but this Postfix does not ask for them"},
};

static void check_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        const char *path_state = checks[i].state;
        struct mtacheck_world world = {
            .postconf = {checks[i].settings, checks[i].services, checks[i].options},
            .conf = &conf,
            .reach = fake_reach,
            .arg = &path_state};
        struct mtacheck findings = {0};
        char got[FINDINGS_TEXT];
        bool errors = false;

        mtacheck_run(&world, &findings);
        findings_format(checks[i].label, &findings, got);
        for (size_t f = 0; f < findings.count; f++)
            errors |= findings.item[f].level == MTACHECK_ERROR;
        if (strcmp(got, checks[i].wanted) != 0)
            fail_msg("%s:\n  %s\nwanted\n  %s", checks[i].label, got, checks[i].wanted);
        assert_int_equal(errors, mtacheck_has_errors(&findings));
        mtacheck_clear(&findings);
    }
}

/* Whether a policy service of that address is one of the sockets. */
static const struct {
    const char *label, *endpoint;
    bool ours;
} endpoints[] = {
    {"as it listens", "inet:127.0.0.1:10040", true},
    {"in brackets", "inet:[127.0.0.1]:10040", true},
    {"by the name of this host's own", "inet:localhost:10040", true},
    {"in capitals", "inet:LOCALHOST:10040", true},
    {"no host", "inet::10040", true},
    {"a port alone", "inet:10040", true},
    {"the other family", "inet:[::1]:10040", false},
    {"another address", "inet:192.0.2.20:10040", false},
    {"another port", "inet:127.0.0.1:10039", false},
    {"a longer port", "inet:127.0.0.1:100400", false},
    {"no port", "inet:127.0.0.1:", false},
    {"another name", "inet:policy.example.net:10040", false},
    {"IPv6", "inet:[::1]:10041", true},
    {"IPv6, by its name", "inet:localhost:10041", true},
    {"IPv6, spelt otherwise", "inet:[0:0:0:0:0:0:0:1]:10041", true},
    {"all of IPv4, by the loopback", "inet:127.0.0.1:10042", true},
    {"all of IPv4, by the name", "inet:localhost:10042", true},
    {"all of IPv4, not by IPv6", "inet:[::1]:10042", false},
    {"all of IPv4, an address that may be anybody's", "inet:192.0.2.20:10042", false},
    {"all of IPv6, by the loopback", "inet:[::1]:10043", true},
    {"all of IPv6, by the name", "inet:localhost:10043", true},
    {"all of IPv6, not by IPv4", "inet:127.0.0.1:10043", false},
};

static void endpoint_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        const char *path_state = NULL;
        char settings[1024], got[FINDINGS_TEXT];
        struct mtacheck_world world = {.postconf = {settings, SMTPD OTHERS, ""},
                                       .conf = &conf,
                                       .reach = fake_reach,
                                       .arg = &path_state};
        struct mtacheck findings = {0};

        snprintf(settings, sizeof settings, COMMON MAPS RECIPIENT("{ %s" POLICY_OPTIONS),
                 endpoints[i].endpoint);
        mtacheck_run(&world, &findings);
        findings_format(endpoints[i].label, &findings, got);
        if (strcmp(got, endpoints[i].ours ? ""
                                          : "warning: domains are guarded, but this Postfix asks "
                                            "nobody about them") != 0)
            fail_msg("%s: %s: %s", endpoints[i].label, endpoints[i].endpoint, got);
        mtacheck_clear(&findings);
    }
}

/* Who is chrooted is told the name of the socket that is inside, else to let one be there. */
static void chroot_mends(void **state)
{
    static const struct {
        const char *label, *settings, *wanted;
    } table[] = {
        {"outside, one inside",
         COMMON MILTERS RECIPIENT("{ unix:" RUN "policy.sock" POLICY_OPTIONS),
         "the service is chrooted: name it unix:mxwarden/policy.sock"},
        {"inside, by its whole path",
         COMMON MILTERS RECIPIENT("{ unix:" JAIL "policy.sock" POLICY_OPTIONS),
         "the service is chrooted: name it unix:mxwarden/policy.sock"},
        {"outside, none inside", COMMON MILTERS,
         "the service is chrooted: let listen.milter have "
         "\"unix:/var/spool/postfix/run/mxwarden/milter.sock\", or set its chroot column in "
         "master.cf to n"},
    };
    const char *path_state = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct mtacheck_world world = {.postconf = {table[i].settings, JAILED OTHERS, ""},
                                       .conf = &conf,
                                       .reach = fake_reach,
                                       .arg = &path_state};
        struct mtacheck findings = {0};
        bool told = false;

        mtacheck_run(&world, &findings);
        for (size_t f = 0; f < findings.count; f++)
            told |= strcmp(findings.item[f].mend, table[i].wanted) == 0;
        if (!told)
            fail_msg("%s: nobody says: %s", table[i].label, table[i].wanted);
        mtacheck_clear(&findings);
    }
}

/* A configuration without domains has nothing to miss; that nobody asks is told all the same. */
static void nobody_asks(void **state)
{
    static const struct {
        const char *label, *settings, *wanted;
    } table[] = {
        {"nothing", COMMON, "warning: this Postfix asks mxwarden nothing"},
        {"the milter", COMMON MILTERS, ""},
        {"the map", COMMON MAPS, ""},
        {"the policy service", COMMON RECIPIENT("{ unix:" RUN "policy.sock" POLICY_OPTIONS), ""},
    };
    const char *path_state = NULL;
    struct conf empty = conf;

    (void)state;
    empty.domain_count = 0;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct mtacheck_world world = {.postconf = {table[i].settings, SMTPD OTHERS, ""},
                                       .conf = &empty,
                                       .reach = fake_reach,
                                       .arg = &path_state};
        struct mtacheck findings = {0};
        char got[FINDINGS_TEXT];

        mtacheck_run(&world, &findings);
        findings_format(table[i].label, &findings, got);
        assert_string_equal(got, table[i].wanted);
        mtacheck_clear(&findings);
    }
}

static void needs_feed_is_enough(void **state)
{
    struct conf fed = conf;
    const char *path_state = NULL;
    struct mtacheck_world world = {
        .postconf = {COMMON MILTERS MAPS, "smtp inet n - n - 1 postscreen\n" SMTPD OTHERS, ""},
        .conf = &fed,
        .reach = fake_reach,
        .arg = &path_state};
    struct mtacheck findings = {0};

    (void)state;
    fed.needs_feed = true;
    mtacheck_run(&world, &findings);
    for (size_t i = 0; i < findings.count; i++)
        assert_int_equal(findings.item[i].level, MTACHECK_OK);
    mtacheck_clear(&findings);
}

static const struct {
    const char *text;
    long seconds;
} times[] = {{"3s", 3}, {"100", 100}, {"2m", 120}, {"1h", 3600}, {"1d", 86400},
             {"", -1},  {"-1s", -1},  {"3x", -1},  {"s", -1},    {"9999999999s", -1}};

static void small_parsers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (postconf_seconds(times[i].text) != times[i].seconds)
            fail_msg("\"%s\": %ld", times[i].text, postconf_seconds(times[i].text));
    assert_int_equal(postconf_version("3.7.11"), 3007);
    assert_int_equal(postconf_version("3.10-20241223"), 3010);
    assert_int_equal(postconf_version("snapshot"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_table),          cmocka_unit_test(endpoint_table),
        cmocka_unit_test(needs_feed_is_enough), cmocka_unit_test(chroot_mends),
        cmocka_unit_test(nobody_asks),          cmocka_unit_test(small_parsers),
    };
    return cmocka_run_group_tests_name("mtacheck", tests, NULL, NULL);
}
