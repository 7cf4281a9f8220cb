/*
 * The parts of a Redis address. Pure.
 */
#include "policy/conf_redis.h"

#include "policy/conf_value.h"

#include <ctype.h>
#include <string.h>

enum { REDIS_PORT = 6379, SENTINEL_PORT = 26379, DATABASE_MAX = 65535, SENTINELS_MAX = 16 };

static bool copy_text(char *out, size_t size, const char *text, size_t length)
{
    if (length >= size)
        return false;
    memcpy(out, text, length);
    out[length] = '\0';
    return true;
}

/* host[:port] with the host as libhiredis takes it: a name, or an address without brackets. */
static bool parse_host(const char *text, uint16_t port, struct conf_redis_url *out)
{
    char address[NET_TEXT];
    struct net_addr addr;

    if (!conf_value_host(text, port, out->host, &addr, &out->port))
        return false;
    if (!*out->host)
        strcpy(out->host, net_addr_bare(&addr, address));
    return true;
}

static const char *parse_unix(const char *path, struct conf_redis_url *out)
{
    out->kind = CONF_REDIS_UNIX;
    if (*path != '/')
        return "the socket's path is not absolute";
    return copy_text(out->path, sizeof out->path, path, strlen(path)) ? NULL
                                                                      : "the path is too long";
}

/* "user@" where there is one; *rest moves past it. A password would end up in logs. */
static const char *parse_user(const char **rest, struct conf_redis_url *out)
{
    const char *at = strrchr(*rest, '@');
    size_t length = at ? (size_t)(at - *rest) : 0;

    if (!at)
        return NULL;
    if (memchr(*rest, ':', length))
        return "a password belongs into password_file";
    if (length == 0 || !copy_text(out->user, sizeof out->user, *rest, length))
        return "the user name is empty or too long";
    for (const char *c = out->user; *c; c++)
        if (!isgraph((unsigned char)*c))
            return "the user name holds odd characters";
    *rest = at + 1;
    return NULL;
}

static const char *parse_tcp(const char *rest, struct conf_redis_url *out)
{
    char host[NAME_SIZE + 16];
    const char *trouble = parse_user(&rest, out);
    size_t length = strcspn(rest, "/");
    int64_t database = 0;

    out->kind = CONF_REDIS_TCP;
    if (trouble)
        return trouble;
    if (rest[length] == '/' && rest[length + 1] &&
        (!conf_value_number(rest + length + 1, &database) || database > DATABASE_MAX))
        return "the database is no number";
    out->database = (unsigned)database;
    if (!copy_text(host, sizeof host, rest, length) || !parse_host(host, REDIS_PORT, out))
        return "no host and port";
    return NULL;
}

/* Checks the hosts one by one; they are kept as written. */
static const char *parse_sentinel(const char *rest, struct conf_redis_url *out)
{
    const char *trouble = parse_user(&rest, out), *slash = strchr(rest, '/');
    struct conf_redis_url one;
    char hosts[sizeof out->sentinel], *list = hosts, *host;
    size_t count = 0;

    out->kind = CONF_REDIS_SENTINEL;
    if (trouble)
        return trouble;
    if (!slash || !conf_value_is_token(slash + 1, 64))
        return "no name of a master after '/'";
    if (!copy_text(out->sentinel, sizeof out->sentinel, rest, strlen(rest)) ||
        !copy_text(hosts, sizeof hosts, rest, (size_t)(slash - rest)))
        return "too long";
    while ((host = strsep(&list, ","))) {
        if (!parse_host(host, SENTINEL_PORT, &one))
            return "not a list of host:port";
        if (++count > SENTINELS_MAX)
            return "more than 16 Sentinels";
    }
    return NULL;
}

const char *conf_redis_parse(const char *text, struct conf_redis_url *out)
{
    *out = (struct conf_redis_url){.kind = CONF_REDIS_NONE};
    if (!*text)
        return NULL;
    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(text + 5, out);
    if (strncmp(text, "redis://", 8) == 0)
        return parse_tcp(text + 8, out);
    if (strncmp(text, "sentinel://", 11) == 0)
        return parse_sentinel(text + 11, out);
    if (strncmp(text, "rediss://", 9) == 0) {
        out->tls = true;
        return parse_tcp(text + 9, out);
    }
    return "neither unix:/path, redis://[user@]host:port[/db] nor "
           "sentinel://[user@]h:p,h:p/master";
}
