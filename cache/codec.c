/*
 * Facts to Redis fields and back. Writing is a list of texts; reading is a door like the one for
 * names: whoever may write to Redis may write anything there, so a value counts only when it could
 * have come from codec_format, and its times only as far as they do no harm.
 */
#include "cache/codec.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    NUMBER_DIGITS = 15,         /* far below an overflow, far above any time */
    ITEM_SIZE = NAME_SIZE + 20, /* "65535 65535 65535 " and a name */
};

/* The text of the field under construction ends at *used; each value begins after the last. */
struct writer {
    struct codec_fields *out;
    size_t used;
    bool full;
};

/* Begins the next field, its value still empty. */
static void writer_field(struct writer *writer, const char *name)
{
    struct codec_fields *out = writer->out;

    if (out->count > 0)
        writer->used++; /* past the value before, its NUL included */
    if (writer->used >= sizeof out->text || out->count == CODEC_MAX_FIELDS) {
        writer->full = true;
        return;
    }
    out->name[out->count] = name;
    out->value[out->count++] = out->text + writer->used;
    out->text[writer->used] = '\0';
}

/* Appends to the value, after a comma where it is not its first item. */
static void writer_item(struct writer *writer, bool first, const char *item)
{
    size_t room = sizeof writer->out->text - writer->used;
    int length;

    if (writer->full)
        return;
    length = snprintf(writer->out->text + writer->used, room, "%s%s", first ? "" : ",", item);
    writer->full = length < 0 || (size_t)length >= room;
    writer->used += writer->full ? 0 : (size_t)length;
}

static void writer_number(struct writer *writer, const char *name, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, value);
    writer_field(writer, name);
    writer_item(writer, true, text);
}

static void writer_addrs(struct writer *writer, const char *name, const struct net_addr *addr,
                         size_t count)
{
    char text[NET_TEXT];

    writer_field(writer, name);
    for (size_t i = 0; i < count; i++)
        writer_item(writer, i == 0, net_addr_format(&addr[i], text));
}

/* "10 mx1.example.com,20 mx2.example.com", or "10 60 25 mx1.example.com" for SRV */
static void writer_order(struct writer *writer, const struct facts *facts)
{
    char text[ITEM_SIZE];

    writer_field(writer, "order");
    for (size_t i = 0; i < facts->mx.count; i++) {
        const struct facts_host *host = &facts->mx.host[i];
        if (facts->kind == FACTS_SRV)
            snprintf(text, sizeof text, "%u %u %u %s", host->preference, host->weight, host->port,
                     host->name);
        else
            snprintf(text, sizeof text, "%u %s", host->preference, host->name);
        writer_item(writer, i == 0, text);
    }
}

bool codec_format(const struct facts *facts, struct codec_fields *out)
{
    struct writer writer = {.out = out};

    out->count = 0;
    if (facts->state == FACTS_FAIL)
        return false;
    if (facts->kind != FACTS_ADDR) {
        writer_order(&writer, facts);
        writer_number(&writer, "ttl", facts->ttl);
        writer_number(&writer, "fetched", facts->fetched);
        writer_number(&writer, "expires", facts->expires);
        writer_number(&writer, "changed", facts->changed);
    } else {
        /* Half an answer would tell the others that there is no other half. */
        if (facts->addr.a_failed || facts->addr.aaaa_failed)
            return false;
        writer_addrs(&writer, "a", facts->addr.a, facts->addr.a_count);
        writer_addrs(&writer, "aaaa", facts->addr.aaaa, facts->addr.aaaa_count);
        writer_number(&writer, "expires", facts->expires);
    }
    writer_field(&writer, "state");
    writer_item(&writer, true, facts_state_name(facts->state));
    return !writer.full;
}

/* The value of a field as a text; NULL where it is missing, too long, or holds a NUL. */
static const char *field_get(const struct codec_pair *pair, size_t count, const char *name,
                             char out[CODEC_VALUE_SIZE])
{
    size_t length = strlen(name);

    for (size_t i = 0; i < count; i++) {
        if (pair[i].name_length != length || memcmp(pair[i].name, name, length) != 0)
            continue;
        if (pair[i].value_length >= CODEC_VALUE_SIZE ||
            memchr(pair[i].value, '\0', pair[i].value_length))
            return NULL;
        memcpy(out, pair[i].value, pair[i].value_length);
        out[pair[i].value_length] = '\0';
        return out;
    }
    return NULL;
}

/* A decimal number as codec_format writes it, at most that large. -1 where it is none. */
static int64_t number_parse(const char *text, size_t length)
{
    int64_t value = 0;

    if (length == 0 || length > NUMBER_DIGITS || (length > 1 && text[0] == '0'))
        return -1;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* -1 where the field is missing or no number. */
static int64_t field_number(const struct codec_pair *pair, size_t count, const char *name)
{
    char text[CODEC_VALUE_SIZE];
    const char *value = field_get(pair, count, name, text);

    return value ? number_parse(value, strlen(value)) : -1;
}

/* A number of 16 bits and the space after it, which *item and *length then leave behind. */
static bool item_number(const char **item, size_t *length, uint16_t *out)
{
    const char *space = memchr(*item, ' ', *length);
    int64_t value;

    if (!space)
        return false;
    size_t digits = (size_t)(space - *item);
    value = number_parse(*item, digits);
    if (value < 0 || value > UINT16_MAX)
        return false;
    *out = (uint16_t)value;
    *item += digits + 1;
    *length -= digits + 1;
    return true;
}

/* As writer_order writes it. */
static bool item_add_host(struct facts *facts, const char *item, size_t length)
{
    char name[NAME_SIZE];
    struct facts_host host = {.port = FACTS_SMTP_PORT, .name = name};

    if (!item_number(&item, &length, &host.preference))
        return false;
    if (facts->kind == FACTS_SRV && (!item_number(&item, &length, &host.weight) ||
                                     !item_number(&item, &length, &host.port) || host.port == 0))
        return false;
    /* A name that the door would change is not canonical, and not ours. */
    if (!name_normalize(item, length, name) || strlen(name) != length ||
        memcmp(name, item, length) != 0)
        return false;
    return facts_add_service(facts, &host);
}

/* "[192.0.2.1]". An address that is no host's was never written by a node: the whole list is then
 * not ours, rather than one item of it. */
static bool item_add_addr(struct facts *facts, enum net_family family, const char *item,
                          size_t length)
{
    char text[NET_TEXT];
    struct net_addr addr;

    if (length >= sizeof text)
        return false;
    memcpy(text, item, length);
    text[length] = '\0';
    if (!net_addr_parse(text, &addr) || addr.family != family ||
        net_addr_scope(&addr) == NET_UNUSABLE)
        return false;
    facts_add_addr(facts, &addr);
    return true;
}

/* Each item of a comma-separated list into facts; family NET_NONE means hosts. An empty list has
 * no items, an empty item is an error, as are more of them than the writer would write. */
static bool list_add(struct facts *facts, enum net_family family, const char *list)
{
    bool good = true;

    while (*list && good) {
        size_t length = strcspn(list, ",");
        good = family == NET_NONE ? item_add_host(facts, list, length)
                                  : item_add_addr(facts, family, list, length);
        list += length;
        if (*list == ',' && *++list == '\0')
            good = false; /* a comma at the end */
    }
    return good && !(facts->warnings & FACTS_WARN_CUT);
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Times from the future would make an ordering look newer than it is, or just changed for ever
 * (which the guard takes for a reason to accept); a long TTL would keep it from being fetched. */
static bool parse_order(struct facts *facts, const struct codec_pair *pair, size_t count,
                        int64_t now, int64_t max_age)
{
    char text[CODEC_VALUE_SIZE];
    const char *order = field_get(pair, count, "order", text);
    int64_t ttl = field_number(pair, count, "ttl"), fetched = field_number(pair, count, "fetched"),
            changed = field_number(pair, count, "changed");

    if (!order || ttl < 0 || fetched < 0 || changed < 0 || !list_add(facts, NET_NONE, order))
        return false;
    facts->ttl = (uint32_t)smaller(ttl, smaller(max_age, INT32_MAX));
    facts->fetched = smaller(fetched, now);
    facts->changed = smaller(changed, now);
    return (facts->state == FACTS_OK) == (facts->mx.count > 0);
}

/* Both families must be there, an empty list for none: half a HASH is not what a node wrote. */
static bool parse_addr(struct facts *facts, const struct codec_pair *pair, size_t count,
                       int64_t now)
{
    char text[CODEC_VALUE_SIZE];
    const char *a = field_get(pair, count, "a", text);

    if (!a || !list_add(facts, NET_IPV4, a))
        return false;
    const char *aaaa = field_get(pair, count, "aaaa", text);
    if (!aaaa || !list_add(facts, NET_IPV6, aaaa))
        return false;
    if (facts->expires > now)
        facts->ttl = (uint32_t)smaller(facts->expires - now, INT32_MAX);
    bool some = facts->addr.a_count + facts->addr.aaaa_count > 0;
    return facts->state != FACTS_NULL && (facts->state == FACTS_OK) == some;
}

struct facts *codec_parse(enum facts_kind kind, const struct codec_pair *pair, size_t count,
                          int64_t now, int64_t max_age)
{
    char text[CODEC_VALUE_SIZE];
    const char *word = field_get(pair, count, "state", text);
    int64_t expires = field_number(pair, count, "expires");
    enum facts_state state;

    if (!word || !facts_state_parse(word, &state) || state == FACTS_FAIL || expires < 0)
        return NULL;
    struct facts *facts = facts_new(kind, state);
    if (!facts)
        return NULL;
    facts->expires = smaller(expires, now + max_age);
    bool good = kind == FACTS_ADDR ? parse_addr(facts, pair, count, now)
                                   : parse_order(facts, pair, count, now, max_age);
    if (!good) {
        facts_unref(facts);
        return NULL;
    }
    facts_seal(facts);
    return facts;
}

/* CODEC_SKEW: seconds by which two nodes' ideas of Redis' clock differ. */
bool codec_is_timely(const struct codec_pair *pair, size_t count, int64_t now, int64_t max_age)
{
    return field_number(pair, count, "fetched") <= now + CODEC_SKEW &&
           field_number(pair, count, "changed") <= now + CODEC_SKEW &&
           field_number(pair, count, "expires") <= now + max_age + CODEC_SKEW;
}
