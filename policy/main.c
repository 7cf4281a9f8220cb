/*
 * mxwardend: the command line, the signals, and the life of the process.
 */
#include "policy/conf.h"
#include "policy/daemon.h"
#include "policy/log.h"
#include "policy/reload.h"

#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { EXIT_USAGE = 2 };

struct options {
    const char *file;
    bool required; /* named by -c: it must exist */
    bool test;
};

struct process {
    struct event_base *base;
    struct daemon *daemon;
    struct reload *reload;
    struct event *signal[3];
    bool failed;
};

static void print_usage(FILE *out)
{
    fputs("usage: mxwardend [-c FILE] [-t] [-V] [-h]\n"
          "  -c FILE  configuration (default " CONF_DEFAULT_FILE ")\n"
          "  -t       check the configuration, say all that is wrong, exit 1 if anything is\n"
          "  -V       version\n"
          "Stays in the foreground; SIGHUP reloads, SIGTERM stops. See mxwardend(8).\n",
          out);
}

/* -1: go on; else the exit code. */
static int parse_options(int argc, char **argv, struct options *out)
{
    int option;

    *out = (struct options){.file = CONF_DEFAULT_FILE};
    while ((option = getopt(argc, argv, "c:tVh")) != -1) {
        switch (option) {
        case 'c':
            out->file = optarg;
            out->required = true;
            break;
        case 't': out->test = true; break;
        case 'V': puts("mxwardend " MXW_VERSION); return EXIT_SUCCESS;
        case 'h': print_usage(stdout); return EXIT_SUCCESS;
        default: print_usage(stderr); return EXIT_USAGE;
        }
    }
    if (optind == argc)
        return -1;
    fprintf(stderr, "mxwardend: '%s': no arguments are taken\n", argv[optind]);
    print_usage(stderr);
    return EXIT_USAGE;
}

static void print_problems(const struct conf_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        char *text = conf_problem_format(&problems->item[i]);
        fprintf(stderr, "mxwardend: %s: %s\n", problems->item[i].fatal ? "error" : "warning",
                text ? text : "out of memory");
        free(text);
    }
}

static void log_problems(const struct conf_problems *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        char *text = conf_problem_format(&problems->item[i]);
        if (problems->item[i].fatal)
            log_error("%s", text ? text : "out of memory");
        else
            log_warning("%s", text ? text : "out of memory");
        free(text);
    }
}

static void on_reloaded(void *arg, struct conf *conf, const struct conf_problems *problems)
{
    struct process *process = arg;

    log_problems(problems);
    if (!conf) {
        daemon_note_refused(process->daemon, problems);
        return;
    }
    log_open("mxwardend", conf->log.target, conf->log.level);
    daemon_set_conf(process->daemon, conf);
    conf_unref(conf);
}

static void on_stopped(void *arg)
{
    struct process *process = arg;

    event_base_loopbreak(process->base);
}

static void on_failed(void *arg)
{
    struct process *process = arg;

    process->failed = true;
    daemon_stop(process->daemon, on_stopped, process);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    struct process *process = arg;

    (void)what;
    if (number == SIGHUP) {
        reload_start(process->reload);
        return;
    }
    log_info("stopping on signal %d", (int)number);
    daemon_stop(process->daemon, on_stopped, process);
}

static bool add_signals(struct process *process)
{
    static const int number[] = {SIGHUP, SIGTERM, SIGINT};

    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
        process->signal[i] = evsignal_new(process->base, number[i], on_signal, process);
        if (!process->signal[i] || event_add(process->signal[i], NULL) != 0)
            return false;
    }
    return true;
}

/* As many descriptors as the system gives: each peer, probe and question takes one. */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void clear(struct process *process)
{
    reload_free(process->reload);
    daemon_free(process->daemon);
    for (size_t i = 0; i < sizeof process->signal / sizeof *process->signal; i++)
        if (process->signal[i])
            event_free(process->signal[i]);
    if (process->base) {
        /* libevent frees a bufferevent not in bufferevent_free but at the next turn of the loop. */
        event_base_loop(process->base, EVLOOP_NONBLOCK);
        event_base_free(process->base);
    }
    libevent_global_shutdown();
}

static int serve(const struct options *options, struct conf *conf)
{
    struct process process = {.base = event_base_new()};
    bool ok = false;

    if (process.base && add_signals(&process)) {
        process.daemon = daemon_new(process.base, conf, on_failed, &process);
        process.reload =
            reload_new(process.base, options->file, options->required, on_reloaded, &process);
        ok = process.daemon && process.reload;
    }
    if (ok)
        event_base_dispatch(process.base);
    else
        log_error("cannot start");
    ok = ok && !process.failed;
    clear(&process);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct options options;
    struct conf_problems problems;
    struct conf *conf;
    int code = parse_options(argc, argv, &options);

    if (code >= 0)
        return code;
    conf = conf_read(options.file, options.required, &problems);
    print_problems(&problems);
    conf_problems_clear(&problems);
    if (!conf)
        return EXIT_FAILURE;
    if (options.test) {
        printf("mxwardend: %s: fine\n", conf->file[0] ? conf->file : "no file, all defaults");
        conf_unref(conf);
        return EXIT_SUCCESS;
    }
    log_open("mxwardend", conf->log.target, conf->log.level);
    raise_descriptors();
    code = serve(&options, conf);
    conf_unref(conf);
    return code;
}
