/*
 * What the builders of sections share (conf_build.c, conf_pool.c, conf_domain.c, conf_names.c).
 */
#ifndef POLICY_CONF_BUILD_H
#define POLICY_CONF_BUILD_H

#include "policy/conf_reader.h"

/* Every default of a scope, then what a section sets, into target: the scope's struct. */
void conf_build_defaults(struct conf_reader *reader, enum conf_scope scope, void *target);
void conf_build_section(struct conf_reader *reader, const struct conf_section *section,
                        void *target);

/* The guard sections of parent on top of what draft holds already. */
void conf_build_guard(struct conf_reader *reader, const struct conf_section *parent,
                      struct conf_guard_draft *draft);
/* Pools come first: domains and matches find theirs by name. */
void conf_build_pools(struct conf_reader *reader, const struct conf_section *root);
void conf_build_domains(struct conf_reader *reader, const struct conf_section *root,
                        const struct conf_guard_draft *top);
void conf_build_matches(struct conf_reader *reader, const struct conf_section *root);

/* A named thing and where it was named: in section, or (NULL) in a line of domains_file. */
struct conf_named {
    const char *name;
    const struct conf_section *section;
    unsigned line;
};

/* Reports two of one name; "" is no name. Sorts the list. */
void conf_names_check(struct conf_reader *reader, struct conf_named *list, size_t count);

#endif
