/*
 * Domains, those of domains_file included, and matches.
 */
#include "policy/conf_build.h"

#include "policy/conf_file.h"
#include "policy/recipient.h"

#include <stdlib.h>
#include <string.h>

/* What the title says, in the one form that is compared. False where it is none; the name is ""
 * then. */
static bool build_title(struct conf_reader *reader, const char *text, struct conf_domain *domain)
{
    char name[NAME_SIZE + 1] = ".", mailbox[ADDRESS_SIZE];
    struct address address;

    domain->name = domain->domain = "";
    if (strcmp(text, "*") == 0) {
        domain->kind = CONF_TITLE_REST;
        domain->name = "*";
    } else if (*text == '.' && name_normalize(text + 1, strlen(text + 1), name + 1)) {
        domain->kind = CONF_TITLE_BELOW;
        domain->name = conf_keep_text(reader, name);
    } else if (name_normalize(text, strlen(text), name)) {
        domain->kind = CONF_TITLE_DOMAIN;
        domain->name = domain->domain = conf_keep_text(reader, name);
    } else if (address_parse(text, &address) && address_mailbox(&address, "", mailbox)) {
        domain->kind = CONF_TITLE_ADDRESS;
        domain->name = conf_keep_text(reader, mailbox);
        domain->domain = strrchr(domain->name, '@') + 1;
    }
    return *domain->name;
}

/* The guard begins as a copy of the top one, whose lists it shares until it sets its own. */
static void build_domain(struct conf_reader *reader, const struct conf_section *section,
                         const struct conf_guard_draft *top, struct conf_domain *domain)
{
    struct conf_guard_draft draft = *top;

    if (!build_title(reader, section->title, domain))
        conf_report(reader, section, "", section->line, true,
                    "the title is no domain name, .domain or user@domain");
    conf_build_guard(reader, section, &draft);
    domain->guard = draft.guard;
    if (domain->kind == CONF_TITLE_ADDRESS)
        domain->guard.mode = CONF_MODE_OFF;
    conf_build_defaults(reader, CONF_DOMAIN, domain);
    conf_build_section(reader, section, domain);
    conf_check_routing(reader, section, &domain->routing);
    conf_check_title(reader, section, domain->kind);
}

/* A line of domains_file is an empty domain section. */
static void build_listed(struct conf_reader *reader, char *text, const struct conf_guard_draft *top,
                         struct conf_domain *domain, struct conf_named *names)
{
    struct conf *conf = reader->conf;
    unsigned line = 0;

    for (char *rest = text, *name; (name = conf_file_line(&rest, &line)); domain++) {
        if (!build_title(reader, name, domain) || domain->kind == CONF_TITLE_ADDRESS)
            conf_report_file(reader, reader->domains_file, line, "domains_file",
                             "\"%s\" is no domain name", name);
        domain->guard = top->guard;
        conf_build_defaults(reader, CONF_DOMAIN, domain);
        names[conf->domain_count++] = (struct conf_named){.name = domain->name, .line = line};
    }
}

static int compare_domains(const void *a, const void *b)
{
    return strcmp(((const struct conf_domain *)a)->name, ((const struct conf_domain *)b)->name);
}

/* Sorted by title in the end, for conf_find_title. */
void conf_build_domains(struct conf_reader *reader, const struct conf_section *root,
                        const struct conf_guard_draft *top)
{
    struct conf *conf = reader->conf;
    size_t count = conf_scan_count(root, CONF_DOMAIN);
    struct conf_file file = {0};
    const struct conf_section *section;
    const char *trouble = NULL;
    struct conf_named *names;

    if (*reader->domains_file)
        trouble = conf_file_read_text(reader->domains_file, &file);
    if (trouble)
        conf_report(reader, root, "domains_file", reader->domains_file_line, true, "%s: %s",
                    reader->domains_file, trouble);
    for (const char *at = file.text; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        count++;
    conf->domain = conf_keep(reader, count * sizeof *conf->domain);
    names = conf_memory_get(reader->scratch, (count + 1) * sizeof *names);
    for (section = conf_scan_first(root, CONF_DOMAIN); section; section = conf_scan_next(section)) {
        struct conf_domain *domain = &conf->domain[conf->domain_count];
        build_domain(reader, section, top, domain);
        names[conf->domain_count++] = (struct conf_named){.name = domain->name, .section = section};
    }
    if (file.text)
        build_listed(reader, file.text, top, conf->domain + conf->domain_count, names);
    conf_names_check(reader, names, conf->domain_count);
    qsort(conf->domain, conf->domain_count, sizeof *conf->domain, compare_domains);
    free(file.text);
}

/* Lower-case, of what a host name is made of, and '*'; without the final dot of one. */
static bool copy_pattern(const char *text, char *out)
{
    size_t length = strlen(text);

    if (length > 1 && text[length - 1] == '.')
        length--;
    out[length] = '\0';

    for (size_t i = 0; i < length; i++)
        out[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 'a' - 'A') : text[i];
    return length > 0 && length < NAME_SIZE &&
           strspn(out, "abcdefghijklmnopqrstuvwxyz0123456789-_.*") == length;
}

/* In the order of the file: the first that fits wins. */
void conf_build_matches(struct conf_reader *reader, const struct conf_section *root)
{
    struct conf *conf = reader->conf;
    size_t count = conf_scan_count(root, CONF_MATCH);
    struct conf_named *names = conf_memory_get(reader->scratch, (count + 1) * sizeof *names);
    const struct conf_section *section;

    conf->match = conf_keep(reader, count * sizeof *conf->match);
    for (section = conf_scan_first(root, CONF_MATCH); section; section = conf_scan_next(section)) {
        struct conf_match *match = &conf->match[conf->match_count];
        match->pattern = conf_keep_text(reader, section->title);
        if (!copy_pattern(section->title, match->pattern))
            conf_report(reader, section, "", section->line, true,
                        "the title is no pattern of host names");
        conf_build_defaults(reader, CONF_MATCH, match);
        conf_build_section(reader, section, match);
        conf_check_routing(reader, section, &match->routing);
        names[conf->match_count++] =
            (struct conf_named){.name = match->pattern, .section = section};
    }
    conf_names_check(reader, names, count);
}
