/*
 * Sendmail's side of the configuration: what sendmail.cf says, judged as mtacheck.h does with
 * Postfix. Pure. Source: Sendmail Installation and Operation Guide, 5.6 (O), 5.9 (K), 5.11 (X).
 */
#ifndef POLICY_SENDMAILCHECK_H
#define POLICY_SENDMAILCHECK_H

#include "policy/mtacheck.h"

struct sendmailcheck_world {
    const char *cf; /* the text of sendmail.cf */
    const struct conf *conf;
    /* How a unix socket looks to Sendmail. */
    enum mtacheck_reach (*reach)(void *arg, const char *path);
    /* Whether anybody could put another socket in its place: a folder above it is world-writable. */
    bool (*is_open)(void *arg, const char *path);
    void *arg;
};

void sendmailcheck_run(const struct sendmailcheck_world *world, struct mtacheck *findings);

#endif
