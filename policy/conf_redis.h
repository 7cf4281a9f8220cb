/*
 * How Redis is named: "" | "unix:/path" | "redis[s]://[user@]host:port[/db]" |
 * "sentinel://[user@]h1:p,h2:p,h3:p/master-name". Pure.
 */
#ifndef POLICY_CONF_REDIS_H
#define POLICY_CONF_REDIS_H

#include "policy/conf.h"

struct conf_redis_url {
    enum conf_redis kind;
    char path[108]; /* as long as a sockaddr_un holds */
    char host[NAME_SIZE];
    uint16_t port;
    bool tls; /* rediss */
    unsigned database;
    char user[128];
    char sentinel[1024]; /* what follows the scheme and the user */
};

/* NULL when well, else what is wrong (static). */
const char *conf_redis_parse(const char *text, struct conf_redis_url *out);

#endif
