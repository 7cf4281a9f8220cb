/*
 * The closed loop. Sockets are read and written without buffers of libevent's, so that the
 * generator costs the machine it shares with the server as little as it can: at one small question
 * a connection a unix socket never fills.
 */
#include "tests/bench/load.h"
#include "tests/bench/tally.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 1000,
    BUFFER_SIZE = 16384,
    SILENCE_SECONDS = 10, /* no answer to anyone for so long ends the run */
    COMPLAINTS = 5,       /* wrong answers that are shown; all are counted */
};

struct client {
    struct load *load;
    struct event *readable; /* NULL when not connected */
    struct load_turn turn;
    uint64_t began, asked; /* the turn, the step; tally_now */
    size_t length;
    char buffer[BUFFER_SIZE];
};

struct load {
    const struct load_script *script;
    struct event_base *base;
    struct sockaddr_un address;
    unsigned connections, active;
    uint64_t limit, deadline; /* turns; tally_now, 0 for none */
    uint64_t started, done, wrong, heard;
    struct tally turns, steps[LOAD_STEPS];
    struct client *clients;
};

static void advance(struct client *client);

static void disconnect(struct client *client)
{
    if (!client->readable)
        return;
    close(event_get_fd(client->readable));
    event_free(client->readable);
    client->readable = NULL;
}

static void complain(struct client *client, const char *what)
{
    struct load *load = client->load;
    if (load->wrong++ < COMPLAINTS) {
        fprintf(stderr, "%s: turn %llu step %u: %s, after %zu bytes:", load->script->program,
                (unsigned long long)client->turn.number, client->turn.step, what, client->length);
        for (size_t i = 0; i < client->length && i < 200; i++) {
            unsigned char byte = (unsigned char)client->buffer[i];
            fprintf(stderr, byte >= 0x20 && byte < 0x7f ? "%c" : "\\x%02x", byte);
        }
        fputc('\n', stderr);
    }
}

/* Takes the next number for the client; false when all are given out or time is up. */
static bool begin(struct client *client)
{
    struct load *load = client->load;
    uint64_t now = tally_now();
    if (load->started >= load->limit || (load->deadline && now >= load->deadline))
        return false;
    client->turn = (struct load_turn){.number = load->started++};
    client->began = now;
    return true;
}

static void retire(struct client *client)
{
    disconnect(client);
    if (--client->load->active == 0)
        event_base_loopbreak(client->load->base);
}

/* A broken turn: its connection goes with it, since what else comes on it cannot be trusted. Past
 * a hundred there is nothing left to measure. */
static void fail(struct client *client, const char *what)
{
    complain(client, what);
    disconnect(client);
    if (client->load->wrong < 100 && begin(client))
        advance(client);
    else
        retire(client);
}

static void finish(struct client *client)
{
    struct load *load = client->load;
    load->done++;
    tally_put(&load->turns, tally_now() - client->began);
    if (load->script->reconnect)
        disconnect(client);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    struct client *client = context;
    struct load *load = client->load;
    ssize_t got = recv(fd, client->buffer + client->length, BUFFER_SIZE - client->length, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        fail(client, got ? strerror(errno) : "closed by the server");
        return;
    }
    client->length += (size_t)got;
    size_t used = 0;
    switch (load->script->check(&client->turn, client->buffer, client->length, &used)) {
    case LOAD_MORE:
        if (client->length == BUFFER_SIZE)
            fail(client, "answer too long");
        return;
    case LOAD_WRONG: fail(client, "wrong answer"); return;
    case LOAD_RIGHT: break;
    }
    if (used != client->length) {
        fail(client, "more than an answer");
        return;
    }
    load->heard = tally_now();
    tally_put(&load->steps[client->turn.step], load->heard - client->asked);
    client->turn.step++;
    advance(client);
}

/* Connects without waiting for anything but a place in the server's backlog. */
static bool connect_client(struct client *client)
{
    struct load *load = client->load;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    if (connect(fd, (const struct sockaddr *)&load->address, sizeof load->address) ||
        fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        goto fail;
    client->readable = event_new(load->base, fd, EV_READ | EV_PERSIST, on_readable, client);
    if (!client->readable)
        goto fail;
    if (event_add(client->readable, NULL) == 0)
        return true;
    event_free(client->readable);
    client->readable = NULL;
fail:
    close(fd);
    return false;
}

/* Goes on until an answer must be waited for. A turn must have begun. */
static void advance(struct client *client)
{
    char out[BUFFER_SIZE];
    for (;;) {
        client->length = 0;
        if (!client->readable && !connect_client(client)) {
            complain(client, strerror(errno));
            retire(client);
            return;
        }
        size_t length = client->load->script->ask(&client->turn, out, sizeof out);
        client->asked = tally_now();
        if (length &&
            send(event_get_fd(client->readable), out, length, MSG_NOSIGNAL) != (ssize_t)length) {
            fail(client, "could not write");
            return;
        }
        if (!client->turn.over)
            return;
        finish(client);
        if (!begin(client)) {
            retire(client);
            return;
        }
    }
}

static void on_second(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct load *load = context;
    if (tally_now() - load->heard < SILENCE_SECONDS * UINT64_C(1000000000))
        return;
    fprintf(stderr, "%s: no answer for %d s, %u questions open\n", load->script->program,
            SILENCE_SECONDS, load->active);
    load->wrong += load->active;
    event_base_loopbreak(load->base);
}

static void report(struct load *load, double seconds)
{
    tally_sort(&load->turns);
    printf("turns=%llu wrong=%llu seconds=%.3f rate=%.0f p50=%.1f p99=%.1f max=%.1f\n",
           (unsigned long long)load->done, (unsigned long long)load->wrong, seconds,
           (double)load->done / seconds, tally_get(&load->turns, 0.5),
           tally_get(&load->turns, 0.99), tally_get(&load->turns, 1));
    for (unsigned i = 0; i < LOAD_STEPS && load->script->steps[i]; i++) {
        struct tally *step = &load->steps[i];
        tally_sort(step);
        if (step->count)
            printf("step=%s p50=%.1f p99=%.1f max=%.1f\n", load->script->steps[i],
                   tally_get(step, 0.5), tally_get(step, 0.99), tally_get(step, 1));
    }
}

static int run(struct load *load, double seconds)
{
    const struct timeval second = {.tv_sec = 1};
    int code = 1;
    struct event *watch = NULL;
    load->base = event_base_new();
    load->clients = calloc(load->connections, sizeof *load->clients);
    if (!load->base || !load->clients)
        goto out;
    watch = event_new(load->base, -1, EV_PERSIST, on_second, load);
    if (!watch || event_add(watch, &second))
        goto out;
    uint64_t start = load->heard = tally_now();
    load->deadline = seconds > 0 ? start + (uint64_t)(seconds * 1e9) : 0;
    load->active = load->connections;
    for (unsigned i = 0; i < load->connections; i++) {
        load->clients[i].load = load;
        if (begin(&load->clients[i]))
            advance(&load->clients[i]);
        else
            retire(&load->clients[i]);
    }
    if (load->active)
        event_base_dispatch(load->base);
    report(load, (double)(tally_now() - start) / 1e9);
    code = load->wrong > 0 || load->done == 0;
out:
    for (unsigned i = 0; load->clients && i < load->connections; i++)
        disconnect(&load->clients[i]);
    free(load->clients);
    tally_clear(&load->turns);
    for (unsigned i = 0; i < LOAD_STEPS; i++)
        tally_clear(&load->steps[i]);
    if (watch)
        event_free(watch);
    if (load->base)
        event_base_free(load->base);
    return code;
}

int load_main(const struct load_script *script, int argc, char **argv)
{
    struct load load = {
        .script = script, .address.sun_family = AF_UNIX, .connections = 8, .limit = UINT64_MAX};
    double seconds = 0;
    int option;
    while ((option = getopt(argc, argv, "c:n:t:")) != -1) {
        switch (option) {
        case 'c': load.connections = (unsigned)strtoul(optarg, NULL, 10); break;
        case 'n': load.limit = strtoull(optarg, NULL, 10); break;
        case 't': seconds = strtod(optarg, NULL); break;
        default: goto usage;
        }
    }
    if (optind + 1 != argc || !load.connections || load.connections > CONNECTIONS_MAX ||
        (load.limit == UINT64_MAX && seconds <= 0) ||
        strlen(argv[optind]) >= sizeof load.address.sun_path)
        goto usage;
    memcpy(load.address.sun_path, argv[optind], strlen(argv[optind]) + 1);
    return run(&load, seconds);
usage:
    fprintf(stderr, "usage: %s [-c CONNECTIONS] [-n TURNS] [-t SECONDS] SOCKET\n", script->program);
    return 2;
}
