/*
 * The MTA's side of the configuration: does what Postfix is told fit what mxwarden listens on and
 * needs? Pure but for the functions that the caller brings.
 */
#ifndef POLICY_MTACHECK_H
#define POLICY_MTACHECK_H

#include "policy/conf.h"
#include "policy/postconf.h"

#include <stdbool.h>
#include <stddef.h>

enum mtacheck_level { MTACHECK_OK, MTACHECK_WARNING, MTACHECK_ERROR };

struct mtacheck_finding {
    enum mtacheck_level level;
    char *what;
    char *mend; /* "" where there is nothing to mend */
};

/* All zero to begin with. */
struct mtacheck {
    size_t count;
    struct mtacheck_finding *item;
};

/* How a unix socket looks to a process of Postfix. */
enum mtacheck_reach {
    MTACHECK_REACHED,
    MTACHECK_ABSENT,
    MTACHECK_NO_SOCKET, /* something else is at that path */
    MTACHECK_FORBIDDEN, /* for user postfix */
    MTACHECK_SILENT,    /* nobody listens */
    MTACHECK_UNKNOWN,   /* this user cannot look */
};

/* What a table says of a key. */
enum mtacheck_member {
    MTACHECK_MISSING,
    MTACHECK_MEMBER,
    MTACHECK_UNASKED, /* it cannot be told: the table cannot be opened, or its server is away */
};

/* Where this host stands among a domain's MX hosts. */
enum mtacheck_standing {
    MTACHECK_STANDING_UNKNOWN,
    MTACHECK_STRANGER, /* it is none of them */
    MTACHECK_BEST,
    MTACHECK_BACKUP, /* others are better */
};

struct mtacheck_world {
    struct postconf_text postconf;
    const struct conf *conf;
    enum mtacheck_reach (*reach)(void *arg, const char *path);
    /* Whether a table of Postfix ("hash:/etc/postfix/x") has a key. May be NULL: nobody can be asked. */
    enum mtacheck_member (*lookup)(void *arg, const char *table, const char *key);
    /* The text of a file that stands in a list ("/etc/postfix/relay"), which the caller frees; NULL
     * where it cannot be read. May be NULL. */
    char *(*read)(void *arg, const char *path);
    enum mtacheck_standing (*standing)(void *arg, const char *domain); /* may be NULL */
    void *arg;
};

/* Adds to findings all that is to be said; dropped silently when out of memory. */
void mtacheck_run(const struct mtacheck_world *world, struct mtacheck *findings);
/* A part of that (mtacheck_route.c): what routes and flushes need. */
void mtacheck_routes(const struct mtacheck_world *world, struct mtacheck *findings);
void mtacheck_add(struct mtacheck *findings, enum mtacheck_level level, const char *mend,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));
void mtacheck_clear(struct mtacheck *findings);
bool mtacheck_has_errors(const struct mtacheck *findings);
const char *mtacheck_level_name(enum mtacheck_level level);

#endif
