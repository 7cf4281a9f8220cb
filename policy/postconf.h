/*
 * What `postconf` prints, as text to look things up in. Pure. Source: postconf(1), master(5).
 *
 * Slices point into the text they were cut from and live as long as it.
 */
#ifndef POLICY_POSTCONF_H
#define POLICY_POSTCONF_H

#include <stdbool.h>
#include <stddef.h>

struct postconf_text {    /* each "" where it could not be had */
    const char *settings; /* postconf -x: "name = value" */
    const char *services; /* postconf -M: the lines of master.cf */
    const char *options;  /* postconf -Px: "name/type/parameter = value" */
};

/* A slice. */
struct postconf_word {
    const char *text;
    size_t length;
};

struct postconf_service {
    struct postconf_word name, type, chroot, command; /* command without its options */
};

/* Copies the value of a parameter: service's own where it has one, be it empty (NULL: main.cf's).
 * False, and "" in out, where it is not set, empty, or does not fit. */
bool postconf_get(const struct postconf_text *postconf, const struct postconf_service *service,
                  const char *name, char *out, size_t size);
/* The next service at *at (begin with postconf->services); false at the end. */
bool postconf_next_service(const char **at, struct postconf_service *out);
/* Whether it runs chrooted, as its column says, or the compatibility level where that is "-". */
bool postconf_is_chrooted(const struct postconf_text *postconf,
                          const struct postconf_service *service);

/* The next element of a list at *at: up to white space or a comma, braces kept together. */
bool postconf_next_word(const char **at, struct postconf_word *out);
bool postconf_word_is(const struct postconf_word *word, const char *text);
/* Copies a word, cut to fit, without the braces around it. Returns out. */
char *postconf_word_copy(const struct postconf_word *word, char *out, size_t size);

/* "100s", "2m", "1h": seconds; without a unit seconds. -1 for anything else. */
long postconf_seconds(const char *text);
/* "3.7.11" as 3007; 0 where it is none. */
unsigned postconf_version(const char *text);

#endif
