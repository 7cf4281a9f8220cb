/*
 * Setters of addresses, networks and sockets.
 */
#include "policy/conf_set.h"

#include "policy/conf_redis.h"
#include "policy/conf_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

enum { DNS_PORT = 53, SMTP_PORT = 25 };

/* Wider networks would make neighbours of half the world. */
bool conf_set_evidence_net(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    struct conf_guard *guard = field;
    const char *text = value->item[0], *comma = strchr(text, ',');
    char first[8] = "";
    int64_t net4, net6;

    if (comma && (size_t)(comma - text) < sizeof first)
        memcpy(first, text, (size_t)(comma - text));
    if (!comma || !conf_value_number(first, &net4) || net4 < 8 || net4 > 32 ||
        !conf_value_number(comma + 1 + strspn(comma + 1, " "), &net6) || net6 < 16 || net6 > 128) {
        conf_report_value(reader, value, 0,
                          "\"%s\" is not two prefix lengths, 8 to 32 and 16 to 128 (\"24,64\")",
                          text);
        return false;
    }
    guard->evidence_net4 = (uint8_t)net4;
    guard->evidence_net6 = (uint8_t)net6;
    return true;
}

bool conf_set_nets(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    struct conf_nets nets = {0, conf_keep(reader, value->count * sizeof *nets.item)};
    bool good = true;

    for (size_t i = 0; i < value->count; i++) {
        if (net_cidr_parse(value->item[i], &nets.item[nets.count])) {
            nets.count++;
            continue;
        }
        conf_report_value(reader, value, i,
                          "\"%s\" is no network (192.0.2.0/24, [2001:db8::]/32; host bits zero)",
                          value->item[i]);
        good = false;
    }
    *(struct conf_nets *)field = nets;
    return good;
}

/* Names and addresses in one list, kept apart. */
bool conf_set_own(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    struct conf *conf = field;
    struct conf_nets nets = {0, conf_keep(reader, value->count * sizeof *nets.item)};
    struct conf_texts names = {0, conf_keep(reader, value->count * sizeof *names.item)};
    char name[NAME_SIZE];
    struct net_addr addr;
    uint16_t port;
    bool good = true;

    for (size_t i = 0; i < value->count; i++) {
        if (!conf_value_host(value->item[i], 0, name, &addr, &port) || port) {
            conf_report_value(reader, value, i, "\"%s\" is neither a name nor an address",
                              value->item[i]);
            good = false;
        } else if (*name) {
            names.item[names.count++] = conf_keep_text(reader, name);
        } else {
            nets.item[nets.count++] = net_cidr_of(&addr, 32, 128);
        }
    }
    conf->own.names = names;
    conf->own.nets = nets;
    return good;
}

/* "LOCAL=PUBLIC". A public side that no MX record can name is a slip. */
static bool parse_listener(const char *text, struct conf_listener *out)
{
    const char *equals = strchr(text, '=');
    char local[NET_TEXT];

    if (!equals || (size_t)(equals - text) >= sizeof local)
        return false;
    memcpy(local, text, (size_t)(equals - text));
    local[equals - text] = '\0';
    return conf_value_endpoint(local, 0, &out->local, &out->local_port) &&
           conf_value_endpoint(equals + 1, 0, &out->public, &out->public_port) &&
           net_addr_scope(&out->public) != NET_UNUSABLE;
}

/* One local side can have one public side only. */
static bool has_listener(const struct conf *conf, const struct conf_listener *one)
{
    for (size_t i = 0; i < conf->listener_count; i++)
        if (net_addr_equal(&conf->listener[i].local, &one->local) &&
            conf->listener[i].local_port == one->local_port)
            return true;
    return false;
}

bool conf_set_listeners(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    struct conf *conf = field;
    bool good = true;

    conf->listener_count = 0;
    conf->listener = conf_keep(reader, value->count * sizeof *conf->listener);
    for (size_t i = 0; i < value->count; i++) {
        struct conf_listener *one = &conf->listener[conf->listener_count];
        if (!parse_listener(value->item[i], one)) {
            conf_report_value(reader, value, i,
                              "\"%s\" is not LOCAL=PUBLIC, two addresses or address:port",
                              value->item[i]);
            good = false;
        } else if (has_listener(conf, one)) {
            conf_report_value(reader, value, i, "\"%s\": this LOCAL is there twice",
                              value->item[i]);
            good = false;
        } else {
            conf->listener_count++;
        }
    }
    return good;
}

/* "unix:/path", "inet:ADDR:PORT", "ADDR:PORT". */
static bool take_socket(struct conf_reader *reader, const struct conf_value *value, size_t i,
                        struct conf_socket *out)
{
    const char *text = value->item[i];
    bool inet = strncmp(text, "inet:", 5) == 0;

    *out = (struct conf_socket){.text = conf_keep_text(reader, text)};
    if (strncmp(text, "unix:", 5) == 0) {
        size_t length = strlen(text + 5);
        if (text[5] == '/' && length < sizeof((struct sockaddr_un *)0)->sun_path &&
            conf_value_is_line(text)) {
            out->path = conf_keep_text(reader, text + 5);
            return true;
        }
        conf_report_value(reader, value, i, "\"%s\" is no absolute path of up to 107 bytes", text);
        return false;
    }
    if (conf_value_endpoint(inet ? text + 5 : text, 0, &out->addr, &out->port) && out->port)
        return true;
    conf_report_value(reader, value, i, "\"%s\" is neither unix:/path nor address:port", text);
    return false;
}

bool conf_set_sockets(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    struct conf_sockets sockets = {0, conf_keep(reader, value->count * sizeof *sockets.item)};
    bool good = true;

    for (size_t i = 0; i < value->count; i++) {
        if (take_socket(reader, value, i, &sockets.item[sockets.count]))
            sockets.count++;
        else
            good = false;
    }
    *(struct conf_sockets *)field = sockets;
    return good;
}

bool conf_set_socket(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    return take_socket(reader, value, 0, field);
}

/* Who asks is known by SO_PEERCRED, which only a unix socket has. */
bool conf_set_control(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    struct conf_socket *socket = field;

    if (!take_socket(reader, value, 0, socket))
        return false;
    if (!socket->path)
        conf_report_value(reader, value, 0, "\"%s\" is no unix socket", socket->text);
    return socket->path;
}

bool conf_set_http(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    struct conf_socket **socket = field;

    *socket = NULL;
    if (!*value->item[0])
        return true;
    *socket = conf_keep(reader, sizeof **socket);
    return take_socket(reader, value, 0, *socket);
}

/* An address, because a name would have to be looked up at the very moment of recovery. */
bool conf_set_flush(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    struct conf_socket socket = {0}, **kept = field;
    const char *text = value->item[0];

    *kept = NULL;
    if (!*text)
        return true;
    if (!conf_value_endpoint(text, SMTP_PORT, &socket.addr, &socket.port)) {
        conf_report_value(reader, value, 0, "\"%s\" is no address or address:port", text);
        return false;
    }
    socket.text = conf_keep_text(reader, text);
    *kept = conf_keep(reader, sizeof socket);
    **kept = socket;
    return true;
}

/* What c-ares takes: "192.0.2.1:53,[2001:db8::1]:53". */
bool conf_set_servers(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    enum { SERVER_SIZE = NET_TEXT + 8 };
    char *list = conf_keep(reader, value->count * SERVER_SIZE + 1), *end = list;
    char text[NET_TEXT];
    bool good = true;

    for (size_t i = 0; i < value->count; i++) {
        struct net_addr addr;
        uint16_t port;
        if (!conf_value_endpoint(value->item[i], DNS_PORT, &addr, &port)) {
            conf_report_value(reader, value, i, "\"%s\" is no address or address:port",
                              value->item[i]);
            good = false;
            continue;
        }
        if (addr.family == NET_IPV4)
            net_addr_bare(&addr, text);
        else
            net_addr_format(&addr, text);
        end += sprintf(end, "%s%s:%u", end == list ? "" : ",", text, port);
    }
    *(char **)field = list;
    return good;
}

bool conf_set_source(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    struct net_addr *addr = field;

    memset(addr, 0, sizeof *addr);
    if (!*value->item[0] || net_addr_parse(value->item[0], addr))
        return true;
    conf_report_value(reader, value, 0, "\"%s\" is no address", value->item[0]);
    return false;
}

/* All parts at once, so that going back to the default clears them all. */
bool conf_set_redis(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    struct conf *conf = field;
    struct conf_redis_url url;
    const char *trouble = conf_redis_parse(value->item[0], &url);

    if (!trouble && url.tls && !MXW_HAS_TLS)
        trouble = "no TLS in this build: use stunnel and its local port (mxwarden.conf(5), TLS)";
    if (trouble) {
        conf_report_value(reader, value, 0, "\"%s\": %s", value->item[0], trouble);
        return false;
    }
    conf->cache.kind = url.kind;
    conf->cache.redis = conf_keep_text(reader, value->item[0]);
    conf->cache.path = conf_keep_text(reader, url.path);
    conf->cache.host = conf_keep_text(reader, url.host);
    conf->cache.port = url.port;
    conf->cache.tls = url.tls;
    conf->cache.database = url.database;
    conf->cache.user = conf_keep_text(reader, url.user);
    conf->cache.sentinel = conf_keep_text(reader, url.sentinel);
    return true;
}
