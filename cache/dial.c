/*
 * Finding Redis for one connection attempt, and pacing the attempts.
 */
#include "cache/dial.h"

#include "cache/tls.h"

#include <event2/util.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BACKOFF_FIRST = 50, BACKOFF_CAP = 1000 };

static char *copy_of(const char *text)
{
    return strdup(text ? text : "");
}

static void look_up(struct dial *dial);

/* The master's name or address becomes the host of an ordinary dial. */
static void on_master(void *arg, const struct sentinel_master *master)
{
    struct dial *dial = arg;
    char *host = master ? copy_of(master->host) : NULL;

    if (!host) {
        dial->done(dial->arg, NULL, master ? "out of memory" : "no Sentinel names a master");
        return;
    }
    free(dial->host);
    dial->host = host;
    dial->port = master->port;
    look_up(dial);
}

static void on_switch(void *arg, const struct sentinel_master *master)
{
    struct dial *dial = arg;

    if (dial->port != master->port || strcmp(dial->host, master->host) != 0)
        dial->moved(dial->arg);
}

bool dial_init(struct dial *dial, const struct store_options *options, struct dns *dns,
               dial_moved *moved, dial_done *done, void *arg)
{
    *dial = (struct dial){.port = options->port, .database = options->database, .dns = dns};
    dial->moved = moved;
    dial->done = done;
    dial->arg = arg;
    dial->asker = (struct sentinel_asker){.found = on_master, .moved = on_switch, .arg = dial};
    if (options->sentinel)
        sentinel_join(options->sentinel, &dial->asker);
    dial->host = copy_of(options->host);
    dial->user = copy_of(options->user);
    dial->password = copy_of(options->password);
    dial->tls = options->tls ? tls_new() : NULL;
    if (!dial->host || !dial->user || !dial->password || (options->tls && !dial->tls))
        return false;
    if (!options->path || !*options->path)
        return true;
    dial->path = strdup(options->path);
    return dial->path != NULL;
}

void dial_clear(struct dial *dial)
{
    dial_stop(dial);
    sentinel_leave(&dial->asker);
    if (dial->password)
        explicit_bzero(dial->password, strlen(dial->password));
    tls_free(dial->tls);
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
    struct dial_target target = {.port = dial->port, .tls = dial->tls, .host = dial->host};

    dial->query = NULL;
    if (!count) {
        dial->done(dial->arg, NULL, "host name has no address");
        return;
    }
    target.addr = addr[dial->turn++ % count];
    dial->done(dial->arg, &target, NULL);
}

static void look_up(struct dial *dial)
{
    struct dial_target target = {
        .path = dial->path, .port = dial->port, .tls = dial->tls, .host = dial->host};

    if (dial->path || net_addr_parse(dial->host, &target.addr)) {
        dial->done(dial->arg, &target, NULL);
        return;
    }
    dial->query = dns_ask_host(dial->dns, dial->host, host_found, dial);
    if (!dial->query)
        dial->done(dial->arg, NULL, "out of memory");
}

void dial_start(struct dial *dial)
{
    if (dial->asker.sentinel)
        sentinel_ask(&dial->asker);
    else
        look_up(dial);
}

void dial_stop(struct dial *dial)
{
    if (dial->asker.sentinel)
        sentinel_cancel(&dial->asker);
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
