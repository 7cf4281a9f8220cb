/*
 * A configuration from a text, as the daemon would read it from a file.
 */
#ifndef TESTS_UNIT_CONF_OF_H
#define TESTS_UNIT_CONF_OF_H

#include "policy/conf.h"
#include "tests/unit/scratch.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline struct conf *conf_of(const char *text)
{
    char path[128];
    struct conf_problems problems;
    struct conf *conf;
    int fd;

    scratch_template(path, sizeof path);
    fd = mkstemp(path);
    assert(fd >= 0);
    assert(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    conf = conf_read(path, true, &problems);
    for (size_t i = 0; !conf && i < problems.count; i++) {
        char *problem = conf_problem_format(&problems.item[i]);
        fprintf(stderr, "%s\n", problem);
        free(problem);
    }
    unlink(path);
    conf_problems_clear(&problems);
    assert(conf);
    return conf;
}

#endif
