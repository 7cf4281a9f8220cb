/*
 * policy/feedline.c: lines as Postfix, rsyslog and journalctl write them, and lines in which a
 * stranger tries to be one.
 */
#include "policy/feedline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OLD       "Nov 21 22:03:18 mx1 "
#define SCREEN    "postfix/postscreen[123]: "
#define SMTPD     "postfix/smtpd[456]: "
#define CONNECT   "CONNECT from [198.51.100.7]:5123 to [192.0.2.10]:25"
#define CONNECTED "[198.51.100.7] [192.0.2.10] 25"
#define LIMIT     "warning: Connection concurrency limit exceeded: 51 from "
#define RATE      "warning: Connection rate limit exceeded: 31 from "
#define REJECT    "NOQUEUE: reject: CONNECT from "
#define SENDMAIL  "sm-mta[789]: "
#define RELAY     "ruleset=check_relay, arg1=[198.51.100.7], arg2=198.51.100.7, relay="
#define TOO_MANY  ", reject=421 4.3.2 Too many open connections."
#define NAME      "out1.example.net[198.51.100.7]"

static const struct {
    const char *label, *line, *wanted; /* client, listener, port; NULL: no visit */
} lines[] = {
    {"bare", CONNECT, CONNECTED},
    {"RFC 3164", OLD SCREEN CONNECT, CONNECTED},
    {"day of one digit", "Nov  1 22:03:18 mx1 " SCREEN CONNECT, CONNECTED},
    {"with fractions", "Nov 21 22:03:18.123456 mx1 " SCREEN CONNECT, CONNECTED},
    {"with priority", "<22>" OLD SCREEN CONNECT, CONNECTED},
    {"rsyslog's file format", "2026-11-21T22:03:18.123456+00:00 mx1 " SCREEN CONNECT, CONNECTED},
    {"short-iso", "2026-11-21T22:03:18+0100 mx1.example.com " SCREEN CONNECT, CONNECTED},
    {"short-full", "Sat 2026-11-21 22:03:18 UTC mx1 " SCREEN CONNECT, CONNECTED},
    {"short-unix", "1795299798.123456 mx1 " SCREEN CONNECT, CONNECTED},
    {"RFC 5424", "<22>1 2026-11-21T22:03:18Z mx1 postfix/postscreen 123 - - " CONNECT, CONNECTED},
    {"RFC 5424 with everything",
     "<22>1 2026-11-21T22:03:18.123Z mx1 postfix/postscreen 123 ID [a b=\"c\"][d] "
     "\xef\xbb\xbf" CONNECT,
     CONNECTED},
    {"another instance", OLD "postfix-in/postscreen[1]: " CONNECT, CONNECTED},
    {"a name of its own", OLD "postfix/mx/postscreen[1]: " CONNECT, CONNECTED},
    {"IPv6", OLD SCREEN "CONNECT from [2001:db8:1::7]:5123 to [2001:db8::10]:25",
     "[2001:db8:1::7] [2001:db8::10] 25"},
    {"mapped IPv4", OLD SCREEN "CONNECT from [::ffff:198.51.100.7]:5123 to [192.0.2.10]:25",
     CONNECTED},
    {"another port", OLD SCREEN "CONNECT from [198.51.100.7]:5123 to [192.0.2.10]:2525",
     "[198.51.100.7] [192.0.2.10] 2525"},

    {"too many at once", OLD SMTPD LIMIT NAME " for service smtp", "[198.51.100.7] [] 0"},
    {"too often", OLD SMTPD RATE "unknown[198.51.100.7] for service 25", "[198.51.100.7] [] 0"},
    {"bare", LIMIT NAME " for service smtp", "[198.51.100.7] [] 0"},
    {"with the client's port", OLD SMTPD LIMIT NAME ":5123 for service smtp",
     "[198.51.100.7] [] 0"},
    {"IPv6", OLD SMTPD LIMIT "unknown[2001:db8:1::7] for service smtp", "[2001:db8:1::7] [] 0"},
    {"a service with its address", OLD SMTPD LIMIT NAME " for service 192.0.2.10:smtp", CONNECTED},
    {"an IPv6 one", OLD SMTPD LIMIT "unknown[2001:db8:1::7] for service [2001:db8::10]:25",
     "[2001:db8:1::7] [2001:db8::10] 25"},
    {"named for submission, on port 25 all the same",
     OLD "postfix/mx/smtpd[1]: " LIMIT NAME " for service smtp", "[198.51.100.7] [] 0"},
    {"refused",
     OLD SMTPD REJECT NAME ": 554 5.7.1 <out1.example.net[198.51.100.7]>: Client host "
                           "rejected: Access denied; proto=SMTP",
     "[198.51.100.7] [] 0"},
    {"refused for now", OLD SMTPD REJECT NAME ": 421 4.3.2 go; proto=SMTP", "[198.51.100.7] [] 0"},
    {"by another milter",
     OLD SMTPD "NOQUEUE: milter-reject: CONNECT from " NAME ": 451 4.7.1 no; "
               "proto=SMTP",
     "[198.51.100.7] [] 0"},
    {"with the client's port", OLD SMTPD REJECT NAME ":5123: 554 5.7.1 no", "[198.51.100.7] [] 0"},

    {"Sendmail, too many at once", OLD SENDMAIL RELAY "[198.51.100.7]" TOO_MANY,
     "[198.51.100.7] [] 0"},
    {"by its own name", OLD "sendmail[1]: " RELAY "[198.51.100.7]" TOO_MANY, "[198.51.100.7] [] 0"},
    {"bare", RELAY "[198.51.100.7]" TOO_MANY, "[198.51.100.7] [] 0"},
    {"too often",
     OLD SENDMAIL RELAY "[198.51.100.7], reject=421 4.3.2 Connection rate limit exceeded.",
     "[198.51.100.7] [] 0"},
    {"by the access map",
     OLD SENDMAIL "ruleset=check_relay, arg1=out1.example.net, arg2=198.51.100.7, "
                  "relay=out1.example.net [198.51.100.7], reject=550 5.7.1 Access denied",
     "[198.51.100.7] [] 0"},
    {"a name that may be forged",
     OLD SENDMAIL RELAY "out1.example.net [198.51.100.7] (may be forged)" TOO_MANY,
     "[198.51.100.7] [] 0"},
    {"with a queue id", OLD SENDMAIL "6AM0m8Ql000089: " RELAY "[198.51.100.7]" TOO_MANY,
     "[198.51.100.7] [] 0"},
    {"IPv6",
     OLD SENDMAIL "ruleset=check_relay, arg1=[IPv6:2001:db8:1:0:0:0:0:7], "
                  "arg2=IPv6:2001:db8:1:0:0:0:0:7, relay=[IPv6:2001:db8:1:0:0:0:0:7]" TOO_MANY,
     "[2001:db8:1::7] [] 0"},

    {"nothing", "", NULL},
    {"a prefix alone", OLD SCREEN, NULL},
    {"tail's header", "==> /var/log/mail.log <==", NULL},
    {"passed on", OLD SCREEN "PASS OLD [198.51.100.7]:5123", NULL},
    {"the same session once more",
     OLD SCREEN "PREGREET 11 after 0.1 from [198.51.100.7]:5123: EHLO", NULL},
    {"once more", OLD SCREEN REJECT "[198.51.100.7]:5123: too many connections", NULL},
    {"verbose", OLD SCREEN "psc_service: sq=0 cq=0 connect from [198.51.100.7]:5123", NULL},
    {"came and was served", OLD SMTPD "connect from " NAME, NULL},
    {"refused later", OLD SMTPD "NOQUEUE: reject: RCPT from " NAME ": 450 4.1.1 no", NULL},
    {"another limit",
     OLD SMTPD "warning: Message delivery request rate limit exceeded: 3 from " NAME
               " for service smtp",
     NULL},
    {"submission by its service", OLD SMTPD LIMIT NAME " for service submission", NULL},
    {"behind postscreen", OLD SMTPD LIMIT NAME " for service smtpd", NULL},
    {"another port", OLD SMTPD LIMIT NAME " for service 192.0.2.10:2525", NULL},
    {"a service's address that is a name", OLD SMTPD LIMIT NAME " for service mx1:smtp", NULL},
    {"submission by its name", OLD "postfix/submission/smtpd[1]: " REJECT NAME ": 554 5.7.1 no",
     NULL},

    {"Sendmail discards", OLD SENDMAIL RELAY "[198.51.100.7], discard", NULL},
    {"another ruleset",
     OLD SENDMAIL "ruleset=check_mail, arg1=<a@b>, relay=[198.51.100.7], reject=550 5.1.8 no",
     NULL},
    {"a check that refuses nothing", OLD SENDMAIL RELAY "[198.51.100.7], reject=250 2.0.0 ok",
     NULL},
    {"of another program", OLD "sshd[1]: " RELAY "[198.51.100.7]" TOO_MANY, NULL},
    {"of Postfix", OLD SMTPD RELAY "[198.51.100.7]" TOO_MANY, NULL},
    {"a name with an address in it",
     OLD SENDMAIL "ruleset=check_relay, arg1=a, arg2=203.0.113.1, relay=a [203.0.113.1], "
                  "reject=421 x, arg2=198.51.100.7, relay=x [198.51.100.7]" TOO_MANY,
     NULL},
    {"a name with a space",
     OLD SENDMAIL "ruleset=check_relay, arg1=a b, arg2=198.51.100.7, relay=a b "
                  "[198.51.100.7]" TOO_MANY,
     NULL},
    {"in Sendmail's word of a message",
     OLD SENDMAIL "6AM0m8Ql000089: from=<x>, " RELAY "[198.51.100.7]" TOO_MANY, NULL},
    {"of another program", OLD "sshd[1]: " CONNECT, NULL},
    {"of one that ends like it", OLD "notpostscreen[1]: " CONNECT, NULL},
    {"of a part of Postfix that says no such thing", OLD "postfix/cleanup[1]: " CONNECT, NULL},
    {"smtpd says no such thing", OLD SMTPD CONNECT, NULL},
    {"nor postscreen this", OLD SCREEN LIMIT NAME " for service smtp", NULL},
    {"in what was sent before the greeting",
     OLD SCREEN "PREGREET 60 after 0.1 from [203.0.113.1]:5: " CONNECT, NULL},
    {"in a command", OLD SCREEN "NON-SMTP COMMAND from [203.0.113.1]:5 after CONNECT: " CONNECT,
     NULL},
    {"as HELO",
     OLD SMTPD "NOQUEUE: reject: RCPT from " NAME ": 450 no; from=<a@b> to=<c@d> "
               "proto=SMTP helo=<" CONNECT ">",
     NULL},
    {"as sender",
     OLD SMTPD "NOQUEUE: reject: RCPT from " NAME ": 450 no; from=<\"" SMTPD REJECT NAME
               ": 554 \"@b>",
     NULL},
    {"a whole line as subject",
     OLD "postfix/cleanup[1]: 4bX: warning: header Subject: " OLD SCREEN CONNECT, NULL},
    {"a line behind a colon", OLD "app[1]: " OLD SCREEN CONNECT, NULL},
    {"a program's name in a message", OLD "app[1]: x " SCREEN CONNECT, NULL},
    {"a host's name with a space", OLD "x " SCREEN CONNECT, NULL},
    {"something before", "x " CONNECT, NULL},
    {"a space before", " " CONNECT, NULL},
    {"two spaces before the message", OLD SCREEN " " CONNECT, NULL},
    {"no time", "mx1 " SCREEN CONNECT, NULL},
    {"no host", "Nov 21 22:03:18 " SCREEN CONNECT, NULL},
    {"no process id", OLD "postfix/postscreen: " CONNECT, NULL},
    {"no such month", "Nex 21 22:03:18 mx1 " SCREEN CONNECT, NULL},
    {"a month across two", "ovD 21 22:03:18 mx1 " SCREEN CONNECT, NULL},
    {"no such hour", "Nov 21 24:03:18 mx1 " SCREEN CONNECT, NULL},
    {"a priority and no more", "<22>" CONNECT, NULL},
    {"no such priority", "<192>" OLD SCREEN CONNECT, NULL},
    {"elements that do not end",
     "<22>1 2026-11-21T22:03:18Z mx1 postfix/postscreen 1 - [a b=\"c " CONNECT, NULL},
    {"an escaped bracket",
     "<22>1 2026-11-21T22:03:18Z mx1 postfix/postscreen 1 - [a b=\"\\]" CONNECT "]", NULL},
    {"something behind", CONNECT "5", "[198.51.100.7] [192.0.2.10] 255"},
    {"a word behind", CONNECT " x", NULL},
    {"a line end", CONNECT "\r", NULL},
    {"port 0", "CONNECT from [198.51.100.7]:5123 to [192.0.2.10]:0", NULL},
    {"a port too high", "CONNECT from [198.51.100.7]:65536 to [192.0.2.10]:25", NULL},
    {"a very long port", "CONNECT from [198.51.100.7]:00000000005 to [192.0.2.10]:25", NULL},
    {"no address", "CONNECT from [198.51.100.300]:5123 to [192.0.2.10]:25", NULL},
    {"no bracket", "CONNECT from 198.51.100.7:5123 to [192.0.2.10]:25", NULL},
    {"an address with a zone", "CONNECT from [fe80::1%eth0]:5123 to [192.0.2.10]:25", NULL},
    {"a very long address",
     "CONNECT from [1111111111111111111111111111111111111111111111111111111"
     "1111111111111111111111111111111]:5123 to [192.0.2.10]:25",
     NULL},
    {"unknown address", OLD SMTPD LIMIT "unknown[unknown] for service smtp", NULL},
    {"a name that is none", OLD SMTPD LIMIT "a b[198.51.100.7] for service smtp", NULL},
    {"two addresses", OLD SMTPD REJECT "x[203.0.113.1]" NAME ": 554 5.7.1 no", NULL},
    {"a count too many",
     OLD SMTPD "warning: Connection rate limit exceeded: 9999999999 from " NAME " for service smtp",
     NULL},
    {"a code that refuses nothing", OLD SMTPD REJECT NAME ": 250 2.0.0 ok", NULL},
    {"cut off", OLD SMTPD REJECT NAME ": 554", NULL},
};

static void line_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct feedline_visit visit;
        char client[NET_TEXT], listener[NET_TEXT], got[2 * NET_TEXT + 8] = "";
        const char *wanted = lines[i].wanted ? lines[i].wanted : "";

        if (feedline_parse(lines[i].line, &visit))
            snprintf(got, sizeof got, "%s %s %u", net_addr_format(&visit.client, client),
                     net_addr_format(&visit.listener, listener), visit.port);
        else if (visit.client.family != NET_NONE || visit.listener.family != NET_NONE)
            fail_msg("%s: something is left over", lines[i].label);
        if (strcmp(got, wanted) != 0)
            fail_msg("%s (%s): '%s', wanted '%s'", lines[i].label, lines[i].line, got, wanted);
    }
}

/* Every line cut off at every place: at most its end may go and a visit be left, never an overrun
 * (a matter for the sanitisers). */
static void cut_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        size_t length = strlen(lines[i].line);
        for (size_t keep = 0; keep <= length; keep++) {
            char *copy = strndup(lines[i].line, keep);
            struct feedline_visit visit;
            bool is_visit = feedline_parse(copy, &visit);
            assert_int_equal(is_visit, visit.client.family != NET_NONE);
            free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(line_table), cmocka_unit_test(cut_lines)};
    return cmocka_run_group_tests_name("feedline", tests, NULL, NULL);
}
