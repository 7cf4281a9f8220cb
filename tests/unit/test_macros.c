/*
 * milter/macros.c: Postfix's and Sendmail's ways of saying who is there and where.
 */
#include "milter/macros.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static const struct {
    const char *label, *hostname;
    struct macros macros;
    const char *wanted;
} names[] = {
    {"Postfix, verified",
     "mail.example.net",
     {.underscore = "mail.example.net [198.51.100.7]"},
     "mail.example.net"},
    {"Postfix, unknown", "unknown", {.underscore = "unknown [198.51.100.7]"}, NULL},
    {"Sendmail, verified",
     "mail.example.net",
     {.underscore = "mail.example.net [198.51.100.7]", .client_resolve = "OK"},
     "mail.example.net"},
    {"Sendmail, forged",
     "mail.example.net",
     {.underscore = "mail.example.net [198.51.100.7] (may be forged)", .client_resolve = "FORGED"},
     NULL},
    {"Sendmail, forged, by the mark alone",
     "mail.example.net",
     {.underscore = "mail.example.net [198.51.100.7] (may be forged)"},
     NULL},
    {"Sendmail, no reverse name",
     "[198.51.100.7]",
     {.underscore = "[198.51.100.7]", .client_resolve = "FAIL"},
     NULL},
    {"Sendmail, time-out", "[198.51.100.7]", {.client_resolve = "TEMP"}, NULL},
    {"a name, and nobody says it is verified", "mail.example.net", {0}, NULL},
    {"an address without brackets", "198.51.100.7", {.underscore = "x"}, NULL},
    {"empty", "", {.underscore = "x"}, NULL},
    {"missing", NULL, {.underscore = "x"}, NULL},
};

static void name_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *got = macros_name(names[i].hostname, &names[i].macros);
        if (!got != !names[i].wanted || (got && strcmp(got, names[i].wanted)))
            fail_msg("%s: %s", names[i].label, got ? got : "not verified");
    }
}

static const struct {
    const char *label;
    struct macros macros;
    const char *addr;
    unsigned port;
} servers[] = {
    {"Postfix", {.daemon_addr = "192.0.2.10", .daemon_port = "25"}, "[192.0.2.10]", 25},
    {"Postfix, IPv6", {.daemon_addr = "2001:db8::10"}, "[2001:db8::10]", 0},
    {"Sendmail",
     {.if_addr = "192.0.2.10", .daemon_addr = "0.0.0.0", .daemon_port = "25"},
     "[192.0.2.10]",
     25},
    {"Sendmail, IPv6", {.if_addr = "IPv6:2001:db8::10", .daemon_addr = "::"}, "[2001:db8::10]", 0},
    {"Sendmail, bound to an address", {.daemon_addr = "192.0.2.10"}, "[192.0.2.10]", 0},
    {"{if_addr} counts more",
     {.if_addr = "192.0.2.10", .daemon_addr = "192.0.2.11"},
     "[192.0.2.10]",
     0},
    {"wildcard", {.daemon_addr = "0.0.0.0"}, "[]", 0},
    {"wildcard, IPv6", {.daemon_addr = "::"}, "[]", 0},
    {"wildcard, mapped", {.daemon_addr = "::ffff:0.0.0.0"}, "[]", 0},
    {"mapped", {.daemon_addr = "::ffff:192.0.2.10"}, "[192.0.2.10]", 0},
    {"a name", {.daemon_addr = "mx1.example.com"}, "[]", 0},
    {"nothing", {0}, "[]", 0},
    {"a port too large", {.daemon_port = "65536"}, "[]", 0},
    {"a port by name", {.daemon_port = "smtp"}, "[]", 0},
    {"a port and more", {.daemon_port = "25x"}, "[]", 0},
    {"a negative port", {.daemon_port = "-25"}, "[]", 0},
};

static void server_table(void **state)
{
    (void)state;
    char text[NET_TEXT];
    for (size_t i = 0; i < sizeof servers / sizeof servers[0]; i++) {
        struct net_addr addr;
        uint16_t port;
        memset(&addr, 0xff, sizeof addr);
        macros_server(&servers[i].macros, &addr, &port);
        if (strcmp(net_addr_format(&addr, text), servers[i].addr) || port != servers[i].port)
            fail_msg("%s: %s port %u", servers[i].label, text, port);
    }
}

static const struct {
    const char *label;
    struct macros macros;
    const char *wanted;
} certificates[] = {
    {"Postfix", {.version = "Postfix 3.7.11", .cert_subject = "relay"}, "relay"},
    {"Sendmail, verified",
     {.version = "8.17.1", .cert_subject = "/CN=relay", .verify = "OK"},
     "/CN=relay"},
    {"Sendmail, self-signed",
     {.version = "8.17.1", .cert_subject = "/CN=relay", .verify = "FAIL"},
     NULL},
    {"Sendmail that keeps {verify} to itself",
     {.version = "8.17.1", .cert_subject = "/CN=relay"},
     NULL},
    {"nobody knows who", {.cert_subject = "/CN=relay"}, NULL},
    {"Postfix, empty", {.version = "Postfix 3.7.11", .cert_subject = ""}, NULL},
    {"none", {.version = "Postfix 3.7.11", .verify = "OK"}, NULL},
};

static void certificate_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof certificates / sizeof certificates[0]; i++) {
        const char *got = macros_certificate(&certificates[i].macros);
        if (!got != !certificates[i].wanted || (got && strcmp(got, certificates[i].wanted)))
            fail_msg("%s: %s", certificates[i].label, got ? got : "not verified");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_table),
        cmocka_unit_test(server_table),
        cmocka_unit_test(certificate_table),
    };
    return cmocka_run_group_tests_name("macros", tests, NULL, NULL);
}
