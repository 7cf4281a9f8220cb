/*
 * What `mxwarden check` looks at, in parts: the mail server's files and sockets, and the daemon.
 * Private to cli_check*.c.
 */
#ifndef POLICY_CLI_CHECK_H
#define POLICY_CLI_CHECK_H

#include "policy/cli.h"
#include "policy/mtacheck.h"

enum { CLI_CHECK_DOMAINS = 100 }; /* that the daemon is asked about */

/* What the daemon says of the domains: where this host stands. */
struct cli_check_standings {
    size_t count;
    struct {
        char domain[NAME_SIZE];
        enum mtacheck_standing standing;
    } item[CLI_CHECK_DOMAINS];
};

void cli_check_daemon(const struct cli *cli, const struct conf *conf,
                      struct cli_check_standings *standings, struct mtacheck *findings);
void cli_check_mta(const struct conf *conf, const struct cli_check_standings *standings,
                   struct mtacheck *findings);

#endif
