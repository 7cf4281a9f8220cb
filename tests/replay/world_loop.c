/*
 * The world's time and loop: libevent's timers by another hand. Only what policy/ and cache/ use.
 */
#include "tests/replay/world_inside.h"

#include "cache/clock.h"

#include <event2/event.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct event {
    event_callback_fn call;
    void *arg;
    bool persists, pending, active;
    int64_t due, interval;
    uint64_t turn;     /* first come, first served: of the active, and of timers due together */
    struct node *node; /* whose it is */
    struct event *next;
};

static struct event *events;
static int64_t now;
static uint64_t turns;

void world_loop_open(void)
{
    events = NULL;
    now = 1000;
    turns = 0;
}

/* Whatever is left was leaked by the code under test. */
void world_loop_close(void)
{
    assert(!events);
}

int64_t world_now(void)
{
    return now - 1000;
}

struct event *event_new(struct event_base *base, evutil_socket_t fd, short what,
                        event_callback_fn call, void *arg)
{
    struct event *event = calloc(1, sizeof *event);

    (void)base;
    assert(fd == -1);
    event->call = call;
    event->arg = arg;
    event->persists = what & EV_PERSIST;
    event->node = world_current;
    event->next = events;
    events = event;
    return event;
}

void event_free(struct event *event)
{
    struct event **at = &events;

    while (*at != event) {
        assert(*at);
        at = &(*at)->next;
    }
    *at = event->next;
    free(event);
}

int event_add(struct event *event, const struct timeval *delay)
{
    assert(delay);
    event->interval = delay->tv_sec * 1000 + delay->tv_usec / 1000;
    event->due = now + event->interval;
    event->pending = true;
    if (!event->active)
        event->turn = ++turns;
    return 0;
}

int event_del(struct event *event)
{
    event->pending = event->active = false;
    return 0;
}

void event_active(struct event *event, int what, short calls)
{
    (void)what;
    (void)calls;
    if (!event->active)
        event->turn = ++turns;
    event->active = true;
}

int event_pending(const struct event *event, short what, struct timeval *due)
{
    (void)what;
    (void)due;
    return event->pending || event->active;
}

/* The next to be called: the active ones in their turn, else the earliest due by limit. */
static struct event *find_next(int64_t limit)
{
    struct event *active = NULL, *timer = NULL;

    for (struct event *event = events; event; event = event->next) {
        if (event->active && (!active || event->turn < active->turn))
            active = event;
        if (event->pending && event->due <= limit &&
            (!timer || event->due < timer->due ||
             (event->due == timer->due && event->turn < timer->turn)))
            timer = event;
    }
    return active ? active : timer;
}

static void call(struct event *event)
{
    bool was_active = event->active;

    if (!was_active && event->due > now)
        now = event->due;
    event->active = false;
    if (event->pending && event->persists)
        event->due = now + event->interval;
    else
        event->pending = false;
    world_current = event->node;
    event->call(-1, EV_TIMEOUT, event->arg);
}

bool world_loop_step(int64_t limit)
{
    struct event *event = find_next(limit);

    if (event)
        call(event);
    return event != NULL;
}

void world_run(int64_t ms)
{
    int64_t end = now + ms;

    while (world_loop_step(end))
        ;
    now = end;
}

int64_t clock_mono(void)
{
    return now;
}

void clock_init(struct clock *clock)
{
    clock->offset = (int64_t)WORLD_START_UNIX * 1000 - 1000;
}

void clock_set_unix(struct clock *clock, int64_t unix_ms)
{
    clock->offset = unix_ms - now;
}

int64_t clock_unix_ms(const struct clock *clock)
{
    return now + clock->offset;
}

int64_t clock_unix(const struct clock *clock)
{
    return clock_unix_ms(clock) / 1000;
}
