/*
 * The command feed of the program mxwarden.
 */
#ifndef POLICY_CLI_FEED_H
#define POLICY_CLI_FEED_H

#include "cache/net.h"

#include <stdint.h>

struct cli;

enum { CLI_FEED_MAX = 10000 }; /* visits that wait for a daemon that is away */

struct cli_feed_times { /* milliseconds */
    int64_t batch;      /* the first visit waits so long for others */
    int64_t beat;       /* from one request to the next, with nothing to tell */
    int64_t retry;      /* after a request that failed */
};
extern const struct cli_feed_times cli_feed_usual;

struct cli_feed_options {
    int fd;                   /* the log */
    struct net_addr listener; /* for lines that name none; NET_NONE leaves it to the daemon */
    struct cli_feed_times times;
};

/* Reads the log to its end and tells the daemon at path. An exit code: done; refused by the daemon;
 * unreachable where it was never reached, or could not be told what was left at the end. */
int cli_feed(const struct cli *cli, const char *path, const struct cli_feed_options *options);

#endif
