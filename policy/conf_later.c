/*
 * Keys and values that are checked but have no effect yet. Setting one is a warning, and the
 * default is what counts, so that nothing behind the configuration has to know. A feature that
 * arrives takes its rows out.
 */
#include "policy/conf_key.h"

#include <fnmatch.h>
#include <string.h>
#include <strings.h>

static const struct conf_later {
    enum conf_scope scope;
    const char *key;
    const char *value; /* a glob over the values concerned */
} conf_laters[] = {
    {CONF_LISTEN, "http", "*"},
};

enum { CONF_LATERS = sizeof conf_laters / sizeof conf_laters[0] };

bool conf_later_has(const struct conf_key *key, const char *text)
{
    for (size_t i = 0; i < CONF_LATERS; i++) {
        const struct conf_later *later = &conf_laters[i];
        if (later->scope == key->scope && strcmp(later->key, key->name) == 0 &&
            fnmatch(later->value, text, FNM_CASEFOLD) == 0)
            return strcasecmp(text, key->initial) != 0;
    }
    return false;
}
