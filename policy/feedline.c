/*
 * Lines of a mail log, read from left to right: prefix, program, message (feedline.h).
 *
 * Every reader here takes a pointer into the line and moves it over what it has read, or returns
 * false and nothing counts.
 */
#include "policy/feedline.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { SMTP_PORT = 25 };

#define DIGITS  "0123456789"
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

/* --- small words ------------------------------------------------------------------------------ */

static bool take(const char **at, const char *text)
{
    size_t length = strlen(text);

    if (strncmp(*at, text, length) != 0)
        return false;
    *at += length;
    return true;
}

/* One or more characters of a set. */
static bool take_run(const char **at, const char *set)
{
    size_t length = strspn(*at, set);

    *at += length;
    return length > 0;
}

static bool take_number(const char **at, unsigned long low, unsigned long high, unsigned long *out)
{
    size_t length = strspn(*at, DIGITS);

    if (length == 0 || length > 9)
        return false;
    *out = strtoul(*at, NULL, 10);
    *at += length;
    return *out >= low && *out <= high;
}

/* An address up to a character that cannot be in one. */
static bool take_addr(const char **at, struct net_addr *out)
{
    size_t length = strspn(*at, DIGITS "abcdefABCDEF.:");
    char text[NET_TEXT];

    if (length == 0 || length >= sizeof text)
        return false;
    memcpy(text, *at, length);
    text[length] = '\0';
    *at += length;
    return net_addr_parse(text, out);
}

/* "[ADDR]" */
static bool take_bracketed(const char **at, struct net_addr *out)
{
    return take(at, "[") && take_addr(at, out) && take(at, "]");
}

/* "[ADDR]:PORT" */
static bool take_endpoint(const char **at, struct net_addr *out, uint16_t *port)
{
    unsigned long number;

    if (!take_bracketed(at, out) || !take(at, ":") || !take_number(at, 1, 65535, &number))
        return false;
    *port = (uint16_t)number;
    return true;
}

/* "NAME[ADDR]", ":PORT" behind it with smtpd_client_port_logging. Postfix has checked the name:
 * letters, digits, dots and hyphens, or "unknown". */
static bool take_client(const char **at, struct net_addr *out)
{
    unsigned long port;

    if (!take_run(at, LETTERS DIGITS "-._") || !take_bracketed(at, out))
        return false;
    if ((*at)[0] == ':' && isdigit((unsigned char)(*at)[1])) {
        (*at)++;
        return take_number(at, 1, 65535, &port);
    }
    return true;
}

/* --- messages --------------------------------------------------------------------------------- */

static bool read_postscreen(const char *at, struct feedline_visit *out)
{
    uint16_t port;

    return take(&at, "CONNECT from ") && take_endpoint(&at, &out->client, &port) &&
           take(&at, " to ") && take_endpoint(&at, &out->listener, &out->port) && *at == '\0';
}

/* The name of the service in master.cf: "smtp", or with the address that it listens on,
 * "192.0.2.10:smtp", "[2001:db8::10]:25". */
static bool read_service(const char *at, struct feedline_visit *out)
{
    if (*at == '[') {
        if (!take_bracketed(&at, &out->listener) || !take(&at, ":"))
            return false;
    } else if (strchr(at, ':')) {
        size_t length = strcspn(at, ":");
        char text[NET_TEXT];

        if (length >= sizeof text)
            return false;
        memcpy(text, at, length);
        text[length] = '\0';
        if (!net_addr_parse(text, &out->listener))
            return false;
        at += length + 1;
    }
    out->port = out->listener.family == NET_NONE ? 0 : SMTP_PORT;
    return strcmp(at, "smtp") == 0 || strcmp(at, "25") == 0;
}

static bool read_limit(const char *at, struct feedline_visit *out)
{
    unsigned long count;

    return take(&at, "warning: Connection ") &&
           (take(&at, "concurrency limit exceeded: ") || take(&at, "rate limit exceeded: ")) &&
           take_number(&at, 1, 999999999, &count) && take(&at, " from ") &&
           take_client(&at, &out->client) && take(&at, " for service ") && read_service(at, out);
}

static bool read_refusal(const char *at, struct feedline_visit *out)
{
    unsigned long code;

    return take(&at, "NOQUEUE: ") && (take(&at, "reject: ") || take(&at, "milter-reject: ")) &&
           take(&at, "CONNECT from ") && take_client(&at, &out->client) && take(&at, ": ") &&
           take_number(&at, 400, 599, &code) && *at == ' ';
}

/* "NAME [ADDR] (may be forged)", "[IPv6:ADDR]": nothing here is used, but names come from strangers. */
static bool take_relay(const char **at)
{
    return take_run(at, LETTERS DIGITS "-._@:[] ") && (**at != '(' || take(at, "(may be forged)"));
}

/* Sendmail's check of the client, before any milter is told; with delay_checks later, behind a queue
 * id, and then the visit is known already. A second address means that the first was in a name. */
static bool read_relay(const char *at, struct feedline_visit *out)
{
    const char *rest = at;
    unsigned long code;

    if (take_run(&rest, LETTERS DIGITS) && take(&rest, ": "))
        at = rest;
    if (!take(&at, "ruleset=check_relay, arg1=") || !take_run(&at, LETTERS DIGITS "-._:[]") ||
        !take(&at, ", arg2="))
        return false;
    take(&at, "IPv6:");
    return take_addr(&at, &out->client) && take(&at, ", relay=") && take_relay(&at) &&
           take(&at, ", reject=") && take_number(&at, 400, 599, &code) && *at == ' ' &&
           !strstr(at, ", arg2=");
}

static bool clear(struct feedline_visit *out)
{
    *out = (struct feedline_visit){.port = 0};
    return true;
}

/* --- prefixes --------------------------------------------------------------------------------- */

/* "21:03:18", "21:03:18.123456" */
static bool take_clock(const char **at)
{
    unsigned long number;

    return take_number(at, 0, 23, &number) && take(at, ":") && take_number(at, 0, 59, &number) &&
           take(at, ":") && take_number(at, 0, 60, &number) &&
           (!take(at, ".") || take_run(at, DIGITS));
}

/* "Nov 21 22:03:18", "Nov  1 22:03:18.123" */
static bool take_old_stamp(const char **at)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    unsigned long day;
    char month[4] = "";
    const char *found;

    strncat(month, *at, 3);
    found = strstr(months, month);
    if (strlen(month) < 3 || !found || (found - months) % 3 != 0)
        return false;
    *at += 3;
    if (!take(at, " "))
        return false;
    take(at, " ");
    return take_number(at, 1, 31, &day) && take(at, " ") && take_clock(at);
}

static bool take_date(const char **at)
{
    unsigned long number;

    return take_number(at, 1970, 9999, &number) && take(at, "-") &&
           take_number(at, 1, 12, &number) && take(at, "-") && take_number(at, 1, 31, &number);
}

/* "2026-11-21T22:03:18.123456+00:00", "...Z" */
static bool take_new_stamp(const char **at)
{
    return take_date(at) && take(at, "T") && take_clock(at) &&
           (take(at, "Z") || ((take(at, "+") || take(at, "-")) && take_run(at, DIGITS ":")));
}

/* "Sat 2026-11-21 22:03:18 UTC" */
static bool take_full_stamp(const char **at)
{
    return strcspn(*at, " ") == 3 && take_run(at, LETTERS) && take(at, " ") && take_date(at) &&
           take(at, " ") && take_clock(at) && take(at, " ") && take_run(at, LETTERS DIGITS "+-");
}

/* "1795299798.123456" */
static bool take_unix_stamp(const char **at)
{
    return take_run(at, DIGITS) && take(at, ".") && take_run(at, DIGITS);
}

static bool take_stamp(const char **at)
{
    static bool (*const stamps[])(const char **at) = {take_old_stamp, take_new_stamp,
                                                      take_full_stamp, take_unix_stamp};

    for (size_t i = 0; i < sizeof stamps / sizeof *stamps; i++) {
        const char *end = *at;
        if (stamps[i](&end) && *end == ' ') {
            *at = end + 1;
            return true;
        }
    }
    return false;
}

/* Debian's daemon calls itself sm-mta. */
static bool is_sendmail(const char *tag, size_t length)
{
    return (length == 8 && memcmp(tag, "sendmail", length) == 0) ||
           (length == 6 && memcmp(tag, "sm-mta", length) == 0);
}

/* "postfix/smtpd": where its last part begins; NULL where it is no name of Postfix's. */
static const char *find_program(const char *tag, size_t length)
{
    size_t i = length;

    while (i > 0 && tag[i - 1] != '/')
        i--;
    return i > 0 ? tag + i : NULL;
}

/* Which program wrote the message. plain: "postfix/smtpd" and not "postfix/submission/smtpd", the
 * name that a service on another port is given. */
struct writer {
    bool postscreen, smtpd, plain, sendmail;
};

static void writer_of(const char *tag, size_t length, struct writer *out)
{
    const char *name = find_program(tag, length);
    size_t left = name ? length - (size_t)(name - tag) : 0;

    *out = (struct writer){
        .postscreen = left == 10 && memcmp(name, "postscreen", left) == 0,
        .smtpd = left == 5 && memcmp(name, "smtpd", left) == 0,
        .plain = name && memchr(tag, '/', length) == name - 1,
        .sendmail = is_sendmail(tag, length),
    };
}

/* "HOST postfix/smtpd[123]: " */
static bool take_old_writer(const char **at, struct writer *out)
{
    const char *tag;

    if (!take_run(at, LETTERS DIGITS "-._:") || !take(at, " "))
        return false;
    tag = *at;
    *at += strspn(tag, LETTERS DIGITS "-._/");
    writer_of(tag, (size_t)(*at - tag), out);
    return take(at, "[") && take_run(at, DIGITS) && take(at, "]: ");
}

/* "-", or elements of the syslog daemon's own, "[id name=\"value\"]"; one with an escape in a value
 * is more than is read here. */
static bool take_elements(const char **at)
{
    if (take(at, "-"))
        return true;
    if (**at != '[')
        return false;
    while (take(at, "[")) {
        *at += strcspn(*at, "]\\");
        if (!take(at, "]"))
            return false;
    }
    return true;
}

/* RFC 5424: "HOST postfix/smtpd 123 - - ", and perhaps a byte order mark. */
static bool take_new_writer(const char **at, struct writer *out)
{
    const char *tag;

    if (!take_run(at, LETTERS DIGITS "-._:") || !take(at, " "))
        return false;
    tag = *at;
    *at += strcspn(tag, " ");
    writer_of(tag, (size_t)(*at - tag), out);
    if (!take(at, " ") || !take_run(at, DIGITS "-") || !take(at, " ") ||
        !take_run(at, LETTERS DIGITS "-._") || !take(at, " ") || !take_elements(at) ||
        !take(at, " "))
        return false;
    take(at, "\xef\xbb\xbf");
    return true;
}

/* What stands before the message. None at all means journalctl -o cat: it may be anybody's, and the
 * message alone decides. */
static bool take_prefix(const char **at, struct writer *out)
{
    const char *start = *at;
    unsigned long priority;

    *out = (struct writer){.postscreen = true, .smtpd = true, .plain = true, .sendmail = true};
    if (take(at, "<") && !(take_number(at, 0, 191, &priority) && take(at, ">")))
        return false;
    if (*at != start && take(at, "1 "))
        return take_stamp(at) && take_new_writer(at, out);
    if (take_stamp(at))
        return take_old_writer(at, out);
    return *at == start;
}

bool feedline_parse(const char *line, struct feedline_visit *out)
{
    struct writer writer;

    clear(out);
    if (!take_prefix(&line, &writer))
        return false;
    if ((writer.postscreen && clear(out) && read_postscreen(line, out)) ||
        (writer.smtpd && clear(out) && read_limit(line, out)) ||
        (writer.smtpd && writer.plain && clear(out) && read_refusal(line, out)) ||
        (writer.sendmail && clear(out) && read_relay(line, out)))
        return true;
    clear(out);
    return false;
}
