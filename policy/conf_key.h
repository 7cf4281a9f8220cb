/*
 * The table of the configuration: which keys and sections there are, where each value goes, its
 * default and its limits. Everything else that reads a configuration is driven by it.
 */
#ifndef POLICY_CONF_KEY_H
#define POLICY_CONF_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf_reader;
struct conf_value;

/* A kind of section. Keys of CONF_TOP up to CONF_HEALTH but CONF_GUARD live in struct conf. */
enum conf_scope {
    CONF_TOP,
    CONF_LISTEN,
    CONF_LOG,
    CONF_DNS,
    CONF_CACHE,
    CONF_HEALTH,
    CONF_GUARD,
    CONF_DOMAIN,
    CONF_POOL,
    CONF_TIER,
    CONF_HOST,
    CONF_MATCH,
    CONF_SCOPES, /* how many there are */
};

struct conf_key {
    enum conf_scope scope;
    const char *name;
    /* Checks a value and stores it in field. False after it has reported what is wrong. */
    bool (*set)(struct conf_reader *reader, const struct conf_value *value, void *field);
    size_t offset;       /* of the field in the scope's struct */
    const char *initial; /* the default, as it would be written; items of a list by commas */
    bool list;
    int64_t low, high; /* of numbers and durations (ms); of texts the length */
    const char *words; /* for words: comma-separated, in the order of their enum */
};

struct conf_nesting {
    enum conf_scope parent, scope;
    const char *name;
    bool titled;
};

/* Both end with a row whose name is NULL. */
extern const struct conf_key conf_keys[];
extern const struct conf_nesting conf_nestings[];

/* NULL where there is none of that name. */
const struct conf_key *conf_key_find(enum conf_scope scope, const char *name);
const struct conf_nesting *conf_key_find_section(enum conf_scope parent, const char *name);

/* Whether this value of the key is one whose feature does not exist yet. The default always has
 * its effect. */
bool conf_later_has(const struct conf_key *key, const char *text);

#endif
