/*
 * The pool and the state of the service. One lock guards both; no thread waits for the network
 * while it holds it. A wire is either in the idle list or owned by one call.
 */
#include "milter/asker.h"

#include "cache/clock.h"
#include "milter/wire.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum asker_state { ASKER_HERE, ASKER_REFUSED, ASKER_SILENT };

struct asker {
    struct asker_config config;
    pthread_mutex_t lock;
    pthread_cond_t freed; /* a wire came back, or went */
    struct wire *idle;    /* last used first */
    unsigned wires, idle_count;

    enum asker_state state;
    bool trying;        /* one call is out to see whether it is back */
    int64_t retry_at;   /* not HERE: when the next try is due */
    int64_t silence_ms; /* the pause after the next silent try */
    int64_t answered_at;
};

void asker_defaults(struct asker_config *config)
{
    memset(config, 0, sizeof *config);
    config->ask_ms = 2000;
    config->tell_ms = 250;
    config->refused_ms = 250;
    config->silent_ms = 1000;
    config->silent_max_ms = 5000;
    config->wires_max = 64;
    config->idle_max = 16;
}

struct asker *asker_new(const struct asker_config *config)
{
    pthread_condattr_t monotonic;
    struct asker *asker = calloc(1, sizeof *asker);

    if (!asker)
        return NULL;
    asker->config = *config;
    asker->silence_ms = config->silent_ms;
    pthread_mutex_init(&asker->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&asker->freed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return asker;
}

void asker_free(struct asker *asker)
{
    if (!asker)
        return;
    while (asker->idle) {
        struct wire *wire = asker->idle;
        asker->idle = wire->next;
        wire_close(wire);
        free(wire);
    }
    pthread_cond_destroy(&asker->freed);
    pthread_mutex_destroy(&asker->lock);
    free(asker);
}

/* ---- The state of the service. All under the lock. ---- */

static void asker_notify(const struct asker *asker, enum asker_notice notice)
{
    if (asker->config.notice)
        asker->config.notice(notice);
}

static void asker_set_here(struct asker *asker)
{
    asker->silence_ms = asker->config.silent_ms;
    asker->trying = false;
    if (asker->state == ASKER_HERE)
        return;
    asker->state = ASKER_HERE;
    asker_notify(asker, ASKER_BACK);
}

static void asker_set_away(struct asker *asker, enum asker_state state)
{
    int64_t pause = asker->config.refused_ms, now = clock_mono();

    /* Of many calls that met the same silence the first one's word counts. */
    if (asker->state == state && now < asker->retry_at)
        return;
    if (state == ASKER_SILENT) {
        pause = asker->silence_ms;
        asker->silence_ms *= 2;
        if (asker->silence_ms > asker->config.silent_max_ms)
            asker->silence_ms = asker->config.silent_max_ms;
    }
    asker->retry_at = now + pause;
    asker->trying = false;
    bool was_here = asker->state == ASKER_HERE;
    asker->state = state;
    if (was_here)
        asker_notify(asker, state == ASKER_SILENT ? ASKER_AWAY_SILENT : ASKER_AWAY_REFUSED);
}

static void asker_answered(struct asker *asker)
{
    asker->answered_at = clock_mono();
    asker_set_here(asker);
}

/* ---- The pool. All under the lock. ---- */

static void wire_drop(struct asker *asker, struct wire *wire)
{
    wire_close(wire);
    free(wire);
    asker->wires--;
    pthread_cond_signal(&asker->freed);
}

static void wire_put(struct asker *asker, struct wire *wire)
{
    if (asker->idle_count >= asker->config.idle_max || wire->owed >= WIRE_OWED_MAX) {
        wire_drop(asker, wire);
        return;
    }
    wire->next = asker->idle;
    asker->idle = wire;
    asker->idle_count++;
    pthread_cond_signal(&asker->freed);
}

/* Looks at every idle wire, drops the dead ones, and stops (when stop is true) at one that owes
 * nothing, which it takes out and returns. A dead wire with replies owed says that the service is
 * no longer silent but gone: worth a try now. */
static struct wire *idle_search(struct asker *asker, bool stop)
{
    struct wire **at = &asker->idle;

    while (*at) {
        struct wire *wire = *at;
        unsigned owed = wire->owed, taken;
        enum wire_status status = wire_settle(wire, &taken);
        if (taken > 0)
            asker_answered(asker);
        if (status == WIRE_OK && (!stop || wire->owed > 0)) {
            at = &wire->next;
            continue;
        }
        *at = wire->next;
        asker->idle_count--;
        if (status == WIRE_OK)
            return wire;
        if (owed > taken && asker->state == ASKER_SILENT)
            asker->retry_at = 0;
        wire_drop(asker, wire);
    }
    return NULL;
}

static struct wire *idle_pop(struct asker *asker)
{
    struct wire *wire = asker->idle;

    if (wire) {
        asker->idle = wire->next;
        asker->idle_count--;
    }
    return wire;
}

static struct wire *wire_new(struct asker *asker)
{
    struct wire *wire = malloc(sizeof *wire);

    if (wire) {
        wire->fd = -1;
        wire->owed = 0;
        asker->wires++;
    }
    return wire;
}

/* Whether this call may go out to the service. When it is away only one at a time may, and only
 * when that is due. */
static bool asker_may_try(struct asker *asker)
{
    if (asker->state != ASKER_HERE)
        idle_search(asker, false);
    if (asker->state == ASKER_HERE)
        return true;
    if (asker->trying || clock_mono() < asker->retry_at)
        return false;
    asker->trying = true;
    return true;
}

/* A wire of this call's own, open (fd >= 0) or still to be opened; NULL where the service is away
 * or no wire came free in time. A wire that owes nothing is best, a new one next: behind a reply
 * that is owed a question waits for that one too. */
static struct wire *wire_get(struct asker *asker, int64_t deadline)
{
    struct timespec until = {.tv_sec = deadline / 1000, .tv_nsec = deadline % 1000 * 1000000};
    struct wire *wire = NULL;

    pthread_mutex_lock(&asker->lock);
    if (asker_may_try(asker)) {
        for (;;) {
            wire = idle_search(asker, true);
            if (!wire && asker->state == ASKER_SILENT)
                wire = idle_pop(asker);
            if (!wire && asker->wires < asker->config.wires_max)
                wire = wire_new(asker);
            if (!wire)
                wire = idle_pop(asker);
            if (wire || pthread_cond_timedwait(&asker->freed, &asker->lock, &until) != 0)
                break;
        }
        if (!wire)
            asker->trying = false;
    }
    pthread_mutex_unlock(&asker->lock);
    return wire;
}

/* ---- One call. ---- */

/* Opens wire where it is not, and sends. WIRE_CLOSED of an open that was refused is told apart by
 * *refused. */
static enum wire_status request_send(struct asker *asker, struct wire *wire, const char *request,
                                     size_t length, int64_t deadline, bool *refused)
{
    *refused = false;
    if (wire->fd < 0) {
        enum wire_status status = wire_open(wire, (const struct sockaddr *)&asker->config.to,
                                            asker->config.to_length, deadline);
        if (status != WIRE_OK) {
            *refused = status == WIRE_CLOSED;
            return status;
        }
        /* Who was refused and now gets through has found it; who met silence waits for words. */
        pthread_mutex_lock(&asker->lock);
        if (asker->state == ASKER_REFUSED)
            asker_set_here(asker);
        pthread_mutex_unlock(&asker->lock);
    }
    return wire_send(wire, request, length, deadline);
}

/* Answers that came before, and lie unread, would look like the sign of life that ends a silence:
 * they are read first. */
static void asker_set_silent(struct asker *asker)
{
    idle_search(asker, false);
    asker_set_away(asker, ASKER_SILENT);
}

/* Gives the wire back, and draws the conclusions. asked is when the call had its wire: what was
 * answered to others after that shows that the service is not silent. */
static void call_end(struct asker *asker, struct wire *wire, enum wire_status status, bool refused,
                     bool waited, int64_t asked)
{
    pthread_mutex_lock(&asker->lock);
    if (status == WIRE_OK && waited)
        asker_answered(asker);
    else if (refused)
        asker_set_away(asker, ASKER_REFUSED);
    else if (status == WIRE_TIMEOUT && asker->answered_at <= asked)
        asker_set_silent(asker);
    else
        asker->trying = false;
    /* A wire that timed out while it waited is whole, and its late reply worth hearing. */
    if (status == WIRE_OK || (status == WIRE_TIMEOUT && waited && wire->owed > 0))
        wire_put(asker, wire);
    else
        wire_drop(asker, wire);
    pthread_mutex_unlock(&asker->lock);
}

bool asker_ask(struct asker *asker, const char *request, size_t length, char *action, size_t size)
{
    int64_t deadline = clock_mono() + asker->config.ask_ms;
    enum wire_status status = WIRE_CLOSED;

    /* The second time round is for a wire that the service closed under the question. */
    for (int tries = 0; tries < 2 && status == WIRE_CLOSED; tries++) {
        bool refused, sent = false;
        struct wire *wire = wire_get(asker, deadline);
        if (!wire)
            break;
        int64_t asked = clock_mono();
        status = request_send(asker, wire, request, length, deadline, &refused);
        if (status == WIRE_OK) {
            sent = true;
            status = wire_receive(wire, action, size, deadline);
        }
        call_end(asker, wire, status, refused, sent, asked);
        if (refused)
            break;
    }
    if (status != WIRE_OK && size > 0)
        action[0] = '\0';
    return status == WIRE_OK;
}

bool asker_tell(struct asker *asker, const char *request, size_t length)
{
    int64_t deadline = clock_mono() + asker->config.tell_ms;
    enum wire_status status = WIRE_CLOSED;

    for (int tries = 0; tries < 2 && status == WIRE_CLOSED; tries++) {
        bool refused;
        struct wire *wire = wire_get(asker, deadline);
        if (!wire)
            break;
        int64_t asked = clock_mono();
        status = request_send(asker, wire, request, length, deadline, &refused);
        call_end(asker, wire, status, refused, false, asked);
        if (refused)
            break;
    }
    return status == WIRE_OK;
}
