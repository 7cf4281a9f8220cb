/*
 * libconfuse, and nobody else's business: the clean copy in, the keys' values out.
 *
 * To libconfuse every value is a string, so that no wrong type can stop it; the table's own checks
 * come later. Sections are CFGF_MULTI, so that none is made up and none merged.
 *
 * Its lexer is global: one parse at a time. Its error function gets no pointer of ours, so the
 * reading that a thread is at is the thread's.
 */
#include "policy/conf_reader.h"

#include <confuse.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 32 }; /* in one section */

static pthread_mutex_t lexer = PTHREAD_MUTEX_INITIALIZER;

static _Thread_local struct {
    struct conf_reader *reader;
    const struct conf_scan *scan;
    unsigned complaints;
} parsing;

static void complain(cfg_t *cfg, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
static void complain(cfg_t *cfg, const char *format, va_list arguments)
{
    const struct conf_scan *scan = parsing.scan;
    char text[256];

    parsing.complaints++;
    if (scan->broken)
        return;
    vsnprintf(text, sizeof text, format, arguments);
    conf_report(parsing.reader, scan->lost_section ? scan->lost_section : scan->root,
                scan->lost_key ? scan->lost_key : "", (unsigned)cfg->line, true, "%s", text);
}

/* The table as libconfuse wants it: an array for each scope. */
static void fill_options(cfg_opt_t options[CONF_SCOPES][KEYS_MAX])
{
    size_t used[CONF_SCOPES] = {0};

    for (const struct conf_key *key = conf_keys; key->name; key++)
        options[key->scope][used[key->scope]++] =
            key->list ? (cfg_opt_t)CFG_STR_LIST(key->name, NULL, CFGF_NODEFAULT)
                      : (cfg_opt_t)CFG_STR(key->name, NULL, CFGF_NODEFAULT);
    for (const struct conf_nesting *nesting = conf_nestings; nesting->name; nesting++)
        options[nesting->parent][used[nesting->parent]++] =
            (cfg_opt_t)CFG_SEC(nesting->name, options[nesting->scope], CFGF_MULTI);
    for (size_t i = 0; i < CONF_SCOPES; i++)
        options[i][used[i]] = (cfg_opt_t)CFG_END();
}

/* Copies what libconfuse read of a section into its places, and of those inside. */
static void take_values(struct conf_reader *reader, struct conf_section *section, cfg_t *cfg)
{
    unsigned seen[CONF_SCOPES] = {0};

    for (struct conf_place *place = section->place; place; place = place->next) {
        cfg_opt_t *option = cfg_getopt(cfg, place->key->name);
        place->count = cfg_opt_size(option);
        place->item = conf_memory_get(reader->scratch, (place->count + 1) * sizeof *place->item);
        for (unsigned i = 0; i < place->count; i++) {
            const char *text = cfg_opt_getnstr(option, i);
            place->item[i] = conf_memory_text(reader->scratch, text);
        }
    }
    for (struct conf_section *child = section->child; child; child = child->next) {
        cfg_t *inner = cfg_getnsec(cfg, child->name, seen[child->scope]++);
        if (inner)
            take_values(reader, child, inner);
    }
}

bool conf_grammar_parse(struct conf_reader *reader, struct conf_scan *scan)
{
    cfg_opt_t options[CONF_SCOPES][KEYS_MAX];
    cfg_t *cfg;
    bool good;

    fill_options(options);
    pthread_mutex_lock(&lexer);
    parsing.reader = reader;
    parsing.scan = scan;
    parsing.complaints = 0;
    cfg = cfg_init(options[CONF_TOP], CFGF_NONE);
    if (!cfg)
        abort();
    cfg_set_error_function(cfg, complain);
    good = cfg_parse_buf(cfg, scan->clean) == CFG_SUCCESS && parsing.complaints == 0;
    take_values(reader, scan->root, cfg);
    cfg_free(cfg);
    pthread_mutex_unlock(&lexer);

    /* To libconfuse the end of the file closes everything. */
    if (scan->lost_line && !scan->broken && parsing.complaints == 0)
        conf_report(reader, scan->lost_section, scan->lost_key, scan->lost_section->line, true,
                    "is not closed before the file ends");
    return good && !scan->broken && !scan->lost_line;
}
