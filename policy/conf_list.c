/*
 * Setters of clients and mailboxes that are let in, and of routes.
 */
#include "policy/conf_set.h"

#include "policy/conf_file.h"
#include "policy/conf_value.h"

#include <stdlib.h>
#include <string.h>

enum { MAILBOX_SIZE = 64 + 1 + NAME_SIZE, WEIGHT_MAX = 65535 };

/* One client: an address, a network, "host.example.net", or ".example.net" with what is below. */
static bool add_client(struct conf_reader *reader, const char *text, struct conf_allow *allow)
{
    bool below = *text == '.';
    char name[NAME_SIZE + 1] = ".";

    if (net_cidr_parse(text, &allow->nets.item[allow->nets.count])) {
        allow->nets.count++;
        return true;
    }
    /* Digits, dots and a slash are a broken network rather than a name. */
    if (strspn(text, "0123456789./:[]") == strlen(text) ||
        !name_normalize(text + below, strlen(text + below), name + 1))
        return false;
    allow->names.item[allow->names.count++] = conf_keep_text(reader, below ? name : name + 1);
    return true;
}

static void start_clients(struct conf_reader *reader, size_t count, struct conf_allow *allow)
{
    allow->nets = (struct conf_nets){0, conf_keep(reader, count * sizeof *allow->nets.item)};
    allow->names = (struct conf_texts){0, conf_keep(reader, count * sizeof *allow->names.item)};
}

bool conf_set_allow(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    bool good = true;

    start_clients(reader, value->count, field);
    for (size_t i = 0; i < value->count; i++)
        if (!add_client(reader, value->item[i], field)) {
            conf_report_value(reader, value, i, "\"%s\" is no address, network or name",
                              value->item[i]);
            good = false;
        }
    return good;
}

/* An upper bound of the entries. */
static size_t count_lines(const char *text)
{
    size_t count = 1;

    while ((text = strchr(text, '\n'))) {
        text++;
        count++;
    }
    return count;
}

/* Mistakes are named by the file's own lines. */
bool conf_set_allow_file(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    const char *path = value->item[0], *trouble;
    struct conf_file file;
    unsigned line = 0;
    bool good = true;
    char *rest, *text;

    start_clients(reader, 0, field);
    if (!*path)
        return true;
    trouble = *path != '/' ? "not an absolute path" : conf_file_read_text(path, &file);
    if (trouble) {
        conf_report_value(reader, value, 0, "%s: %s", path, trouble);
        return false;
    }
    start_clients(reader, count_lines(file.text), field);
    for (rest = file.text; (text = conf_file_line(&rest, &line));)
        if (!add_client(reader, text, field)) {
            conf_report_file(reader, path, line, "allow_file",
                             "\"%s\" is no address, network or name", text);
            good = false;
        }
    free(file.text);
    return good;
}

bool conf_set_mailboxes(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    struct conf_texts texts = {0, conf_keep(reader, value->count * sizeof *texts.item)};
    char mailbox[MAILBOX_SIZE];
    bool good = true;

    for (size_t i = 0; i < value->count; i++) {
        if (conf_value_mailbox(value->item[i], mailbox, sizeof mailbox)) {
            texts.item[texts.count++] = conf_keep_text(reader, mailbox);
            continue;
        }
        conf_report_value(reader, value, i, "\"%s\" is none of local, user@domain, @domain",
                          value->item[i]);
        good = false;
    }
    *(struct conf_texts *)field = texts;
    return good;
}

/* The pools are complete before any route is looked at. */
bool conf_set_route(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    struct conf_routing *routing = field;
    const char *text = value->item[0];
    unsigned place;

    routing->pool = NULL;
    if (conf_value_word(text, "off,mx,srv,primary", &place)) {
        routing->route = place;
        return true;
    }
    if (strncmp(text, "pool", 4) == 0 && strspn(text + 4, " \t") > 0) {
        const char *name = text + 4 + strspn(text + 4, " \t");
        routing->route = CONF_ROUTE_POOL;
        routing->pool = conf_find_pool(reader->conf, name);
        if (!routing->pool && reader->whole)
            conf_report_value(reader, value, 0, "there is no pool \"%s\"", name);
        return routing->pool;
    }
    conf_report_value(reader, value, 0, "\"%s\" is none of off, mx, srv, primary, \"pool NAME\"",
                      text);
    return false;
}

/* "host=weight" */
static bool parse_weight(const char *text, struct conf_weight *out)
{
    const char *equals = strchr(text, '=');
    int64_t weight;

    if (!equals || !name_normalize(text, (size_t)(equals - text), out->name) ||
        !conf_value_number(equals + 1, &weight) || weight > WEIGHT_MAX)
        return false;
    out->weight = (unsigned)weight;
    return true;
}

/* Two weights for one host would leave it to their order. */
static bool has_weight(const struct conf_routing *routing, const char *name)
{
    for (size_t i = 0; i < routing->weight_count; i++)
        if (strcmp(routing->weight[i].name, name) == 0)
            return true;
    return false;
}

bool conf_set_weights(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    struct conf_routing *routing = field;
    bool good = true;

    routing->weight_count = 0;
    routing->weight = conf_keep(reader, value->count * sizeof *routing->weight);
    for (size_t i = 0; i < value->count; i++) {
        struct conf_weight *one = &routing->weight[routing->weight_count];
        if (!parse_weight(value->item[i], one)) {
            conf_report_value(reader, value, i, "\"%s\" is not host=weight, 0 to 65535",
                              value->item[i]);
            good = false;
        } else if (has_weight(routing, one->name)) {
            conf_report_value(reader, value, i, "\"%s\": this host is there twice", value->item[i]);
            good = false;
        } else {
            routing->weight_count++;
        }
    }
    return good;
}
