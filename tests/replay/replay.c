/*
 * The replay: scenarios in scripted time. With the name of a group only that; -l lists the groups.
 * REPLAY_LOG=1 in the environment prints every log line.
 */
#include "tests/replay/replay.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(void);
} groups[] = {
    {"guard", replay_guard}, {"faults", replay_faults},         {"route", replay_route},
    {"feed", replay_feed},   {"report", replay_report},         {"trap", replay_trap},
    {"retry", replay_retry}, {"health", replay_health},         {"flush", replay_flush},
    {"maps", replay_maps},   {"match", replay_match},           {"poison", replay_poison},
    {"srv", replay_srv},     {"properties", replay_properties}, {"cache", replay_cache},
};

int main(int argc, char **argv)
{
    int failed = 0;

    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (argc > 1 && strcmp(argv[1], "-l") == 0)
            puts(groups[i].name);
        else if (argc < 2 || strcmp(argv[1], groups[i].name) == 0)
            failed += groups[i].run();
    return failed;
}
