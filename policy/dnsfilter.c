/*
 * MX records as Postfix writes them, and which of a set are hidden.
 */
#include "policy/dnsfilter.h"

#include <stdlib.h>
#include <string.h>

enum { FIELDS = 6 }; /* owner ttl class type preference target */

/* The field at text, parted from the next by one space; NULL where there is no next. */
static const char *next_field(const char *text, size_t *length)
{
    *length = strcspn(text, " ");
    return text[*length] == ' ' ? text + *length + 1 : NULL;
}

static bool is_field(const char *field, size_t length, const char *wanted)
{
    return length == strlen(wanted) && memcmp(field, wanted, length) == 0;
}

static bool parse_number(const char *field, size_t length, unsigned long most, unsigned long *out)
{
    char digits[11] = "";

    if (length == 0 || length >= sizeof digits)
        return false;
    memcpy(digits, field, length);
    if (strspn(digits, "0123456789") != length)
        return false;
    *out = strtoul(digits, NULL, 10);
    return *out <= most;
}

/* A name with the final dot that Postfix gives it. The root alone, as in a Null MX, is no host. */
static bool parse_name(const char *field, size_t length, char out[NAME_SIZE])
{
    return length > 1 && field[length - 1] == '.' && name_normalize(field, length, out);
}

bool dnsfilter_parse(const char *text, struct dnsfilter_record *out)
{
    const char *field[FIELDS] = {text};
    size_t length[FIELDS];
    unsigned long ttl, preference;

    for (size_t i = 0; i < FIELDS; i++) {
        const char *next = next_field(field[i], &length[i]);
        if (!next != (i == FIELDS - 1))
            return false;
        if (next)
            field[i + 1] = next;
    }
    if (!is_field(field[2], length[2], "IN") || !is_field(field[3], length[3], "MX") ||
        !parse_number(field[1], length[1], UINT32_MAX, &ttl) ||
        !parse_number(field[4], length[4], UINT16_MAX, &preference))
        return false;
    out->preference = (uint16_t)preference;
    return parse_name(field[0], length[0], out->domain) &&
           parse_name(field[5], length[5], out->host);
}

/* Addresses that were cut off or left out may be this host's: Postfix takes loopback for itself. */
static bool is_whole(const struct order_host *host)
{
    const unsigned parts = FACTS_WARN_CUT | FACTS_WARN_BAD_ADDR;

    return host->resolve != ORDER_UNKNOWN && host->resolve != ORDER_UNUSABLE &&
           !(host->addr && (host->addr->warnings & parts));
}

bool dnsfilter_can_judge(const struct order *order, const struct route_self *self)
{
    const unsigned parts = FACTS_WARN_NULL | FACTS_WARN_CUT | FACTS_WARN_BAD_NAME;

    if (order->state != FACTS_OK || !order->mx || (order->mx->warnings & parts) ||
        order_has_unknown(order))
        return false;
    for (size_t i = 0; i < order->count; i++)
        if (!is_whole(&order->host[i]) ||
            route_is_self(self, order->host[i].host.name, order->host[i].addr))
            return false;
    return true;
}

/* Taken out of use by hand. */
static bool is_off(const struct dnsfilter_host *host)
{
    return host->override == TIER_DRAINED || host->override == TIER_DOWN;
}

static bool is_healthy(const struct dnsfilter_host *host)
{
    return host->resolves && host->health == HEALTH_UP && !host->held && !is_off(host);
}

/* A host that the administrator calls ready is not hidden for its probes. */
static bool is_failing(const struct dnsfilter_host *host)
{
    return host->health == HEALTH_DOWN && host->override != TIER_READY;
}

/* With a healthy host: all that is off, failing, or worse than the best healthy one. */
static uint32_t hide_below(const struct dnsfilter_host *host, size_t count, uint16_t best)
{
    uint32_t hidden = 0;

    for (size_t i = 0; i < count; i++)
        if (is_off(&host[i]) || is_failing(&host[i]) || host[i].preference > best)
            hidden |= UINT32_C(1) << i;
    return hidden;
}

/* Without one health says nothing, and what is off is still hidden, if a host with an address is
 * left. */
static uint32_t hide_off(const struct dnsfilter_host *host, size_t count)
{
    uint32_t hidden = 0;
    bool left = false;

    for (size_t i = 0; i < count; i++)
        if (is_off(&host[i]))
            hidden |= UINT32_C(1) << i;
        else
            left = left || host[i].resolves;
    return left ? hidden : 0;
}

uint32_t dnsfilter_decide(const struct dnsfilter_host *host, size_t count)
{
    const struct dnsfilter_host *best = NULL;

    for (size_t i = 0; i < count; i++)
        if (is_healthy(&host[i]) && (!best || host[i].preference < best->preference))
            best = &host[i];
    return best ? hide_below(host, count, best->preference) : hide_off(host, count);
}

bool dnsfilter_hides(const struct facts *mx, uint32_t hidden, const struct dnsfilter_record *record)
{
    for (size_t i = 0; mx && i < mx->mx.count; i++)
        if (mx->mx.host[i].preference == record->preference &&
            strcmp(mx->mx.host[i].name, record->host) == 0)
            return (hidden >> i) & 1;
    return false;
}
