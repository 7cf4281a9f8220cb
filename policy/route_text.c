/*
 * Routes: the choice of hosts as the line that the MTA's look-up gets. Here is Postfix's; Sendmail's
 * is in mailertable.c.
 */
#include "policy/mailertable.h"
#include "policy/route.h"

#include <stdio.h>
#include <string.h>

/* "[name]:port"; an IPv6 address as Postfix wants it, "[IPv6:...]:port". */
static int format_host(const struct tier_host *host, char *out, size_t size)
{
    const char *name = host->name;

    if (name[0] == '[')
        return strchr(name, ':') ? snprintf(out, size, "[IPv6:%s:%u", name + 1, host->port)
                                 : snprintf(out, size, "%s:%u", name, host->port);
    return snprintf(out, size, "[%s]:%u", name, host->port);
}

static void format_hosts(const struct route_facts *facts, const struct route_choice *choice,
                         char out[ROUTE_REPLY_SIZE])
{
    size_t length = (size_t)snprintf(out, ROUTE_REPLY_SIZE, "OK %s:", choice->transport);
    size_t limit = 3 + 512;

    for (size_t i = 0; i < choice->pick.count; i++) {
        char host[NAME_SIZE + 32];
        size_t more = (size_t)format_host(&facts->host[choice->pick.index[i]], host, sizeof host);
        if (length + more + 2 > limit)
            break;
        length +=
            (size_t)snprintf(out + length, ROUTE_REPLY_SIZE - length, "%s%s", i ? ", " : "", host);
    }
}

static void format_transport(const struct route_facts *facts, const struct route_choice *choice,
                             char out[ROUTE_REPLY_SIZE])
{
    switch (choice->outcome) {
    case ROUTE_HOSTS: format_hosts(facts, choice, out); break;
    case ROUTE_NOTFOUND: snprintf(out, ROUTE_REPLY_SIZE, "NOTFOUND "); break;
    case ROUTE_NULL_MX:
        snprintf(out, ROUTE_REPLY_SIZE, "OK error:5.1.10 Domain does not accept mail");
        break;
    case ROUTE_NOTHING: snprintf(out, ROUTE_REPLY_SIZE, "OK retry:4.4.4 no usable host"); break;
    }
}

char *route_format(const struct route_facts *facts, const struct route_choice *choice,
                   char out[ROUTE_REPLY_SIZE])
{
    switch (facts->map) {
    case ROUTE_TRANSPORT: format_transport(facts, choice, out); break;
    case ROUTE_MAILERTABLE: mailertable_format(facts, choice, out); break;
    }
    return out;
}
