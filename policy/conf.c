/*
 * The configuration: reading one from its file, keeping it alive, looking things up in it.
 */
#include "policy/conf.h"

#include "policy/conf_file.h"
#include "policy/conf_reader.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WEIGHT_DEFAULT = 100 };

void *conf_keep(struct conf_reader *reader, size_t size)
{
    return conf_memory_get(reader->conf->memory, size);
}

char *conf_keep_text(struct conf_reader *reader, const char *text)
{
    return conf_memory_text(reader->conf->memory, text);
}

static struct conf *new_conf(void)
{
    struct conf_memory *memory = conf_memory_new();
    struct conf *conf = conf_memory_get(memory, sizeof *conf);

    conf->refs = 1;
    conf->memory = memory;
    return conf;
}

struct conf *conf_ref(struct conf *conf)
{
    conf->refs++;
    return conf;
}

void conf_unref(struct conf *conf)
{
    if (conf && --conf->refs == 0)
        conf_memory_free(conf->memory);
}

/* The host's own name, with its domain where anything knows it. */
static void find_node(char out[NAME_SIZE])
{
    struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM}, *found;
    char name[NAME_SIZE] = "";

    if (gethostname(name, sizeof name - 1) < 0 || !name_normalize(name, strlen(name), out))
        strcpy(out, "localhost");
    if (strchr(out, '.') || getaddrinfo(name, NULL, &hints, &found) != 0)
        return;
    if (found->ai_canonname && strchr(found->ai_canonname, '.') &&
        !name_normalize(found->ai_canonname, strlen(found->ai_canonname), out))
        strcpy(out, name);
    freeaddrinfo(found);
}

/* A NUL would end the text for everyone who reads it: reported, and a space from here on. */
static void replace_nuls(struct conf_reader *reader, struct conf_file *file)
{
    unsigned line = 1;

    for (size_t i = 0; i < file->length; i++) {
        line += file->text[i] == '\n';
        if (file->text[i])
            continue;
        conf_report(reader, NULL, "", line, true, "a NUL byte");
        file->text[i] = ' ';
    }
}

/* Everything between the file's bytes and the conf. Editors of other systems begin a file with a
 * byte order mark, which says nothing in UTF-8. */
static void read_text(struct conf_reader *reader, struct conf_file *file)
{
    static const char bom[] = "\xef\xbb\xbf";
    size_t skip = strncmp(file->text, bom, 3) == 0 ? 3 : 0;
    struct conf_scan scan;

    reader->scratch = conf_memory_new();
    replace_nuls(reader, file);
    conf_scan_text(reader, file->text + skip, file->length - skip, &scan);
    reader->whole = conf_grammar_parse(reader, &scan);
    conf_build(reader, scan.root);
    free(scan.clean);
    conf_memory_free(reader->scratch);
}

/* Every way out reports: a NULL without a complaint would leave an administrator helpless. */
static struct conf *read_conf(const char *path, bool required, bool secrets,
                              struct conf_problems *problems)
{
    struct conf_reader reader = {
        .file = path, .secrets = secrets, .problems = problems, .domains_file = ""};
    struct conf_file file;
    const char *trouble = conf_file_read(path, &file);
    bool absent = trouble && errno == ENOENT && !required;

    *problems = (struct conf_problems){0};
    if (absent) {
        file = (struct conf_file){.text = strdup("")};
        trouble = NULL;
    }
    reader.conf = new_conf();
    if (trouble || !file.text) {
        conf_report(&reader, NULL, "", 0, true, "%s", trouble ? trouble : "out of memory");
        goto out;
    }
    reader.conf->file = conf_keep_text(&reader, absent ? "" : path);
    read_text(&reader, &file);
    if (!*reader.conf->node)
        find_node(reader.conf->node);
    conf_problems_sort(problems, path);
out:
    free(file.text);
    if (problems->errors == 0)
        return reader.conf;
    conf_unref(reader.conf);
    return NULL;
}

struct conf *conf_read(const char *file, bool required, struct conf_problems *problems)
{
    return read_conf(file, required, true, problems);
}

struct conf *conf_read_public(const char *file, bool required, struct conf_problems *problems)
{
    return read_conf(file, required, false, problems);
}

/* The arrays are sorted by name, so that ten thousand domains cost a question nothing. */
static int compare_title(const void *title, const void *domain)
{
    return strcmp(title, ((const struct conf_domain *)domain)->name);
}

const struct conf_domain *conf_find_title(const struct conf *conf, const char *title)
{
    if (conf->domain_count == 0)
        return NULL;
    return bsearch(title, conf->domain, conf->domain_count, sizeof *conf->domain, compare_title);
}

const struct conf_domain *conf_find_own(const struct conf *conf, const char *domain)
{
    const struct conf_domain *found = conf_find_title(conf, domain);

    for (const char *at = strchr(domain, '.'); at && !found; at = strchr(at + 1, '.'))
        found = conf_find_title(conf, at);
    return found;
}

const struct conf_domain *conf_find_domain(const struct conf *conf, const char *domain, bool exact)
{
    const struct conf_domain *found;

    if (exact)
        return conf_find_title(conf, domain);
    found = conf_find_own(conf, domain);
    return found ? found : conf_find_title(conf, "*");
}

static int compare_pool(const void *name, const void *pool)
{
    return strcmp(name, ((const struct conf_pool *)pool)->name);
}

const struct conf_pool *conf_find_pool(const struct conf *conf, const char *name)
{
    if (conf->pool_count == 0)
        return NULL;
    return bsearch(name, conf->pool, conf->pool_count, sizeof *conf->pool, compare_pool);
}

unsigned conf_find_weight(const struct conf_routing *routing, const char *host)
{
    for (size_t i = 0; i < routing->weight_count; i++)
        if (strcmp(routing->weight[i].name, host) == 0)
            return routing->weight[i].weight;
    return WEIGHT_DEFAULT;
}

bool conf_nets_have(const struct conf_nets *nets, const struct net_addr *addr)
{
    for (size_t i = 0; i < nets->count; i++)
        if (net_cidr_has(&nets->item[i], addr))
            return true;
    return false;
}

bool conf_allow_has(const struct conf_allow *allow, const struct net_addr *client, const char *name)
{
    if (conf_nets_have(&allow->nets, client))
        return true;
    for (size_t i = 0; *name && i < allow->names.count; i++) {
        const char *item = allow->names.item[i];
        if (*item == '.' ? name_is_below(name, item + 1) : strcmp(name, item) == 0)
            return true;
    }
    return false;
}

const char *conf_mode_name(enum conf_mode mode)
{
    switch (mode) {
    case CONF_MODE_OFF: return "off";
    case CONF_MODE_DETECT: return "detect";
    case CONF_MODE_TAG: return "tag";
    case CONF_MODE_HOLD: return "hold";
    case CONF_MODE_DEFER: return "defer";
    case CONF_MODE_REJECT: return "reject";
    case CONF_MODE_FILTER: return "filter";
    }
    return "?";
}
