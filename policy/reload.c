/*
 * A reload: 10,000 domains take the better part of a second to parse, and no answer may wait that
 * long. The thread owns its result until a byte in the pipe hands it over.
 */
#include "policy/reload.h"

#include "policy/log.h"

#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct reload {
    const char *file;
    bool required;
    reload_done *done;
    void *arg;
    struct event *ready;
    int pipe[2];
    bool running, again;
    pthread_t thread;
    struct conf *conf;
    struct conf_problems problems;
};

static void *read_file(void *arg)
{
    struct reload *reload = arg;
    ssize_t written;

    reload->conf = conf_read(reload->file, reload->required, &reload->problems);
    written = write(reload->pipe[1], "", 1); /* never full: one byte a thread */
    return written == 1 ? reload : NULL;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct reload *reload = arg;
    struct conf *conf;
    char byte;

    (void)what;
    if (read(fd, &byte, 1) != 1)
        return;
    pthread_join(reload->thread, NULL);
    reload->running = false;
    conf = reload->conf;
    reload->conf = NULL;
    reload->done(reload->arg, conf, &reload->problems);
    conf_problems_clear(&reload->problems);
    if (reload->again) {
        reload->again = false;
        reload_start(reload);
    }
}

struct reload *reload_new(struct event_base *base, const char *file, bool required,
                          reload_done *done, void *arg)
{
    struct reload *reload = calloc(1, sizeof *reload);

    if (!reload)
        return NULL;
    reload->file = file;
    reload->required = required;
    reload->done = done;
    reload->arg = arg;
    if (pipe2(reload->pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        free(reload);
        return NULL;
    }
    reload->ready = event_new(base, reload->pipe[0], EV_READ | EV_PERSIST, on_ready, reload);
    if (!reload->ready || event_add(reload->ready, NULL) != 0) {
        reload_free(reload);
        return NULL;
    }
    return reload;
}

void reload_start(struct reload *reload)
{
    int error;

    if (reload->running) {
        reload->again = true;
        return;
    }
    error = pthread_create(&reload->thread, NULL, read_file, reload);
    reload->running = error == 0;
    if (error)
        log_error("no reload, since there is no thread for it: %s; the running configuration stays",
                  strerror(error));
}

void reload_free(struct reload *reload)
{
    if (!reload)
        return;
    if (reload->running) {
        pthread_join(reload->thread, NULL);
        conf_unref(reload->conf);
        conf_problems_clear(&reload->problems);
    }
    if (reload->ready)
        event_free(reload->ready);
    close(reload->pipe[0]);
    close(reload->pipe[1]);
    free(reload);
}
