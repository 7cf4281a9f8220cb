/*
 * Finding Redis for one connection attempt, and pacing the attempts.
 */
#include "cache/dial.h"

#include <event2/util.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BACKOFF_FIRST = 50, BACKOFF_CAP = 1000 };

static char *copy_of(const char *text)
{
    return strdup(text ? text : "");
}

bool dial_init(struct dial *dial, const struct store_options *options, struct dns *dns)
{
    *dial = (struct dial){.port = options->port, .database = options->database, .dns = dns};
    dial->host = copy_of(options->host);
    dial->user = copy_of(options->user);
    dial->password = copy_of(options->password);
    if (!dial->host || !dial->user || !dial->password)
        return false;
    if (!options->path || !*options->path)
        return true;
    dial->path = strdup(options->path);
    return dial->path != NULL;
}

void dial_clear(struct dial *dial)
{
    dial_stop(dial);
    if (dial->password)
        explicit_bzero(dial->password, strlen(dial->password));
    free(dial->path);
    free(dial->host);
    free(dial->user);
    free(dial->password);
    *dial = (struct dial){0};
}

/* Taking the addresses in turn finds the one that works within as many attempts. */
static void host_found(void *arg, const struct net_addr *addr, size_t count)
{
    struct dial *dial = arg;
    struct dial_target target = {.port = dial->port};

    dial->query = NULL;
    if (!count) {
        dial->done(dial->arg, NULL);
        return;
    }
    target.addr = addr[dial->turn++ % count];
    dial->done(dial->arg, &target);
}

void dial_start(struct dial *dial, dial_done *done, void *arg)
{
    struct dial_target target = {.path = dial->path, .port = dial->port};

    if (dial->path || net_addr_parse(dial->host, &target.addr)) {
        done(arg, &target);
        return;
    }
    dial->done = done;
    dial->arg = arg;
    dial->query = dns_ask_host(dial->dns, dial->host, host_found, dial);
    if (!dial->query)
        done(arg, NULL);
}

void dial_stop(struct dial *dial)
{
    if (dial->query)
        dns_cancel(dial->query);
    dial->query = NULL;
}

void dial_describe(const struct dial *dial, char *out, size_t size)
{
    if (dial->path)
        snprintf(out, size, "unix:%s", dial->path);
    else
        snprintf(out, size, "%s:%u", dial->host, dial->port);
}

int64_t dial_backoff(unsigned attempt, uint8_t random)
{
    int64_t delay = BACKOFF_CAP;

    if (attempt == 0)
        return 0;
    if (attempt < 5)
        delay = BACKOFF_FIRST << (attempt - 1);
    return delay - delay * random / (255 * 5);
}

uint8_t dial_random(void)
{
    uint8_t random;

    evutil_secure_rng_get_bytes(&random, sizeof(random));
    return random;
}
