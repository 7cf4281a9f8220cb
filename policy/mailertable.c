/*
 * Routes for Sendmail: the choice of hosts as the value of its mailertable.
 *
 * Between hosts stands ':', "then try": hosts joined by ',' would be shuffled, which undoes the
 * draw. Each is in brackets, or Sendmail would ask for its MX. The list may have 256 bytes.
 */
#include "policy/mailertable.h"

#include <stdio.h>
#include <string.h>

enum { SMTP_PORT = 25, VALUE_MAX = 256, VALUE_SIZE = VALUE_MAX + 1, HOST_SIZE = NAME_SIZE + 16 };

static const char null_mx[] = "error:5.1.10:556 Domain does not accept mail";
static const char nothing[] = "error:4.4.4:451 No usable host";

/* Adds text, all of it or nothing. The value is rewritten like a rule's right-hand side, in which
 * '%' begins an argument and "%%" is a '%'. */
static bool add(char value[VALUE_SIZE], const char *text)
{
    size_t length = strlen(value), at = length;

    for (; *text; text++) {
        if (at + (*text == '%' ? 2 : 1) > VALUE_MAX) {
            value[length] = '\0';
            return false;
        }
        value[at++] = *text;
        if (*text == '%')
            value[at++] = '%';
    }
    value[at] = '\0';
    return true;
}

/* "smtp" is Postfix's word for what Sendmail calls "esmtp"; another mailer's name is as written. */
static bool add_mailer(char value[VALUE_SIZE], const char *transport)
{
    return add(value, strcmp(transport, "smtp") == 0 ? "esmtp" : transport);
}

/* ":[name]", ":[192.0.2.1]", ":[IPv6:2001:db8::1]". */
static bool add_host(char value[VALUE_SIZE], const struct tier_host *host)
{
    const char *name = host->name;
    char text[HOST_SIZE];

    if (name[0] != '[')
        snprintf(text, sizeof text, ":[%s]", name);
    else
        snprintf(text, sizeof text, ":[%s%s", strchr(name, ':') ? "IPv6:" : "", name + 1);
    return add(value, text);
}

bool mailertable_can_name(const struct tier_host *host, const char *transport)
{
    char value[VALUE_SIZE] = "";

    return host->port == SMTP_PORT && add_mailer(value, transport) && add_host(value, host);
}

char *mailertable_format(const struct route_facts *facts, const struct route_choice *choice,
                         char out[ROUTE_REPLY_SIZE])
{
    char value[VALUE_SIZE] = "";

    switch (choice->outcome) {
    case ROUTE_NOTFOUND: snprintf(out, ROUTE_REPLY_SIZE, "NOTFOUND "); return out;
    case ROUTE_NULL_MX: add(value, null_mx); break;
    case ROUTE_NOTHING: add(value, nothing); break;
    case ROUTE_HOSTS:
        add_mailer(value, choice->transport);
        for (size_t i = 0; i < choice->pick.count; i++)
            if (!add_host(value, &facts->host[choice->pick.index[i]]))
                break;
        break;
    }
    snprintf(out, ROUTE_REPLY_SIZE, "OK %s", value);
    return out;
}
