/*
 * From sections to struct conf: defaults first, then what was set, in an order that lets a domain
 * inherit the whole guard and find its pool.
 */
#include "policy/conf_build.h"

#include <string.h>

static void *field_of(const struct conf_key *key, void *target)
{
    return (char *)target + key->offset;
}

/* Goes through the key's own setter, so that a default is nothing special. */
static void set_default(struct conf_reader *reader, const struct conf_key *key, void *target)
{
    const char *items[4]; /* as many as any default list has */
    struct conf_value value = {.key = key, .item = items};

    if (!key->list) {
        items[value.count++] = key->initial;
    } else if (*key->initial) {
        char *rest = conf_memory_text(reader->scratch, key->initial);
        for (char *item; (item = strsep(&rest, ","));)
            items[value.count++] = item;
    }
    key->set(reader, &value, field_of(key, target));
}

/* Cheap enough for every one of ten thousand domains: the scopes that repeat have few keys. */
void conf_build_defaults(struct conf_reader *reader, enum conf_scope scope, void *target)
{
    for (const struct conf_key *key = conf_keys; key->name; key++)
        if (key->scope == scope)
            set_default(reader, key, target);
}

/* One key that was set. What has no effect yet is checked all the same, and then undone: nobody
 * behind the configuration has to know. */
static void set_place(struct conf_reader *reader, const struct conf_section *section,
                      const struct conf_place *place, void *target)
{
    const struct conf_key *key = place->key;
    struct conf_value value = {.key = key,
                               .section = section,
                               .line = place->line,
                               .count = place->count,
                               .item = place->item,
                               .item_line =
                                   place->line_count == place->count ? place->item_line : NULL};

    if (!key->set(reader, &value, field_of(key, target)))
        return;
    if (value.count > 0 && conf_later_has(key, value.item[0])) {
        conf_report(reader, section, key->name, place->line, false,
                    *key->initial ? "\"%s\" has no effect yet, \"%s\" counts"
                                  : "\"%s\" has no effect yet%s",
                    value.item[0], key->initial);
        set_default(reader, key, target);
    }
}

/* A key without a value is one that libconfuse did not get to. */
void conf_build_section(struct conf_reader *reader, const struct conf_section *section,
                        void *target)
{
    for (const struct conf_place *place = section->place; place; place = place->next)
        if (!place->ignored && (place->count > 0 || place->key->list))
            set_place(reader, section, place, target);
}

/* What allow and allow_file say, in one list. */
static void join_allow(struct conf_reader *reader, const struct conf_guard_draft *draft,
                       struct conf_allow *out)
{
    const struct conf_allow *part[2] = {&draft->listed, &draft->filed};

    *out = (struct conf_allow){0};
    out->nets.item =
        conf_keep(reader, (part[0]->nets.count + part[1]->nets.count) * sizeof *out->nets.item);
    out->names.item =
        conf_keep(reader, (part[0]->names.count + part[1]->names.count) * sizeof *out->names.item);
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < part[i]->nets.count; j++)
            out->nets.item[out->nets.count++] = part[i]->nets.item[j];
        for (size_t j = 0; j < part[i]->names.count; j++)
            out->names.item[out->names.count++] = part[i]->names.item[j];
    }
}

/* The guard sections of parent on top of what draft holds already. */
void conf_build_guard(struct conf_reader *reader, const struct conf_section *parent,
                      struct conf_guard_draft *draft)
{
    const struct conf_section *section;
    bool allows = parent->scope == CONF_TOP;

    for (section = conf_scan_first(parent, CONF_GUARD); section;
         section = conf_scan_next(section)) {
        conf_build_section(reader, section, draft);
        allows |= conf_scan_is_set(section, "allow") || conf_scan_is_set(section, "allow_file");
    }
    if (allows)
        join_allow(reader, draft, &draft->guard.allow);
    for (section = conf_scan_first(parent, CONF_GUARD); section; section = conf_scan_next(section))
        conf_check_guard(reader, section, &draft->guard);
}

void conf_build(struct conf_reader *reader, const struct conf_section *root)
{
    struct conf *conf = reader->conf;
    struct conf_guard_draft top = {0};
    const struct conf_section *section;

    for (enum conf_scope scope = CONF_TOP; scope <= CONF_HEALTH; scope++)
        conf_build_defaults(reader, scope, conf);
    conf_build_defaults(reader, CONF_GUARD, &top);
    conf_build_section(reader, root, conf);
    for (section = root->child; section; section = section->next)
        if (section->scope <= CONF_HEALTH)
            conf_build_section(reader, section, conf);
    conf_build_guard(reader, root, &top);
    conf->guard = top.guard;
    conf_build_pools(reader, root);
    conf_build_domains(reader, root, &top);
    conf_build_matches(reader, root);
    conf_check_whole(reader, root);
}
