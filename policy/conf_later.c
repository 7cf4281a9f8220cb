/*
 * Keys and values that are checked but have no effect yet. Setting one is a warning, and the
 * default is what counts, so that nothing behind the configuration has to know. A feature that
 * arrives takes its rows out.
 */
#include "policy/conf_key.h"

#include "policy/conf_value.h"

#include <fnmatch.h>
#include <string.h>

static const struct conf_later {
    enum conf_scope scope;
    const char *key;
    const char *value; /* a glob over the values concerned */
} conf_laters[] = {
    {CONF_LISTEN, "http", "*"},
};

enum { CONF_LATERS = sizeof conf_laters / sizeof conf_laters[0] };

/* "60s" is the default "1m" in other words. */
static bool is_default(const struct conf_key *key, const char *text)
{
    int64_t given, initial;

    if (strcasecmp(text, key->initial) == 0)
        return true;
    return conf_value_duration(text, &given) && conf_value_duration(key->initial, &initial) &&
           given == initial;
}

bool conf_later_has(const struct conf_key *key, const char *text)
{
    for (size_t i = 0; i < CONF_LATERS; i++) {
        const struct conf_later *later = &conf_laters[i];
        if (later->scope == key->scope && strcmp(later->key, key->name) == 0 &&
            fnmatch(later->value, text, FNM_CASEFOLD) == 0)
            return !is_default(key, text);
    }
    return false;
}
