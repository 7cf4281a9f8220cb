/*
 * mxwarden-milter: reads the configuration, opens its socket, and runs until it is told to stop.
 * All state of the process is made here, before libmilter starts its threads, and lives until the
 * process ends: a thread may still be in a callback when smfi_main returns.
 */
#include "milter/asker.h"
#include "milter/front.h"
#include "milter/socket.h"
#include "policy/conf.h"
#include "policy/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

/* A callback needs some 40 kB of stack; libmilter's number of threads has no bound of its own, and
 * the usual 8 MB each would be reserved for every one. */
enum { THREAD_STACK = 2 * 1024 * 1024 };

static const char PROGRAM[] = "mxwarden-milter";

struct options {
    const char *file;
    bool named; /* file was given, and so must exist */
    bool test;
};

static void usage(FILE *to)
{
    fprintf(to,
            "usage: %s [-c FILE] [-t]\n"
            "  -c FILE  the configuration (default " CONF_DEFAULT_FILE ")\n"
            "  -t       test the configuration, and exit\n"
            "  -V       print the version, and exit\n"
            "  -h       print this, and exit\n"
            "Stays in the foreground; stops at TERM, INT and HUP.\n"
            "Exit codes: 0 stopped, or the test passed; 1 it could not start; 2 wrong use.\n",
            PROGRAM);
}

/* -1: go on; else the exit code. */
static int options_parse(int argc, char **argv, struct options *out)
{
    int option;

    *out = (struct options){.file = CONF_DEFAULT_FILE};
    while ((option = getopt(argc, argv, "c:tVh")) != -1) {
        switch (option) {
        case 'c':
            out->file = optarg;
            out->named = true;
            break;
        case 't': out->test = true; break;
        case 'V': printf("%s %s\n", PROGRAM, MXW_VERSION); return EXIT_SUCCESS;
        case 'h': usage(stdout); return EXIT_SUCCESS;
        default: usage(stderr); return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: %s: no argument is expected\n", PROGRAM, argv[optind]);
        usage(stderr);
        return EXIT_USAGE;
    }
    return -1;
}

/* Errors are printed, not logged: where to log is part of what could not be read. Warnings are
 * mxwardend's to log; two programs that say the same do not make it clearer. */
static struct conf *configuration_read(const struct options *options)
{
    struct conf_problems problems = {0};
    struct conf *conf = conf_read_public(options->file, options->named, &problems);

    for (size_t i = 0; i < problems.count; i++) {
        if (!problems.item[i].fatal && !options->test)
            continue;
        char *text = conf_problem_format(&problems.item[i]);
        fprintf(stderr, "%s: %s\n", PROGRAM, text ? text : "out of memory");
        free(text);
    }
    conf_problems_clear(&problems);
    return conf;
}

/* 0 where it does not fit. */
static socklen_t address_of(const struct conf_socket *socket, struct sockaddr_storage *out)
{
    struct sockaddr_un *local = (struct sockaddr_un *)out;

    if (!socket->path)
        return (socklen_t)net_addr_sockaddr(&socket->addr, socket->port, out);
    if (strlen(socket->path) >= sizeof local->sun_path)
        return 0;
    local->sun_family = AF_UNIX;
    memcpy(local->sun_path, socket->path, strlen(socket->path) + 1);
    return sizeof *local;
}

static void notice(enum asker_notice notice)
{
    switch (notice) {
    case ASKER_AWAY_REFUSED:
        log_warning("mxwardend is not there: mail is accepted unjudged, and nobody is observed "
                    "here, until it is back");
        break;
    case ASKER_AWAY_SILENT:
        log_warning("mxwardend does not answer: mail is accepted unjudged until it does");
        break;
    case ASKER_BACK: log_info("mxwardend is back"); break;
    }
}

/* What the sessions' questions reach. */
struct service {
    struct asker *asker;
    const struct conf *conf;
};

static bool service_ask(void *service, const char *request, size_t length, char *action,
                        size_t size)
{
    return asker_ask(((struct service *)service)->asker, request, length, action, size);
}

static bool service_tell(void *service, const char *request, size_t length)
{
    return asker_tell(((struct service *)service)->asker, request, length);
}

static bool service_is_inside(void *service, const struct net_addr *client)
{
    return conf_nets_have(&((struct service *)service)->conf->networks, client);
}

/* Every session takes a descriptor; at the limit libmilter's accept fails in a tight loop, so the
 * limit is what the kernel allows. */
static void limits_set(void)
{
    struct rlimit limit;
    pthread_attr_t attributes;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    pthread_attr_init(&attributes);
    if (pthread_attr_setstacksize(&attributes, THREAD_STACK) == 0)
        (void)pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
}

/* They are waited for in front_run: one that comes before is kept for it. */
static void signals_hold(void)
{
    sigset_t held;

    sigemptyset(&held);
    sigaddset(&held, SIGHUP);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &held, NULL);
}

/* Opens the listening socket. *made is what socket_remove needs later. */
static bool listen_open(const struct conf *conf, const struct session_policy *policy,
                        struct stat *made)
{
    const struct conf_socket *socket = &conf->listen.milter;
    const char *why = "";
    char name[256];

    if (!socket_format(socket, name, sizeof name)) {
        log_error("%s: the name of the socket is too long", socket->text);
        return false;
    }
    if (socket->path && !socket_is_free(socket->path, &why)) {
        log_error("%s: %s", socket->text, why);
        return false;
    }
    /* Nobody may connect before the group is set: libmilter binds under this mask. */
    mode_t mask = umask(0177);
    bool opened = front_open(name, socket->path != NULL, policy);
    umask(mask);
    if (!opened) {
        log_error("%s: cannot listen%s: %s", socket->text,
                  socket->path ? " (does its folder exist, and may this user write there?)" : "",
                  errno ? strerror(errno) : "see syslog");
        return false;
    }
    if (!socket->path)
        return true;
    if (stat(socket->path, made) != 0) {
        log_error("%s: %s", socket->text, strerror(errno));
        return false;
    }
    if (!socket_share(socket->path, conf->listen.mode, conf->listen.group, &why)) {
        log_error("%s: %s", socket->text, why);
        socket_remove(socket->path, made);
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct service service;
    static const struct session_policy policy = {
        .context = &service,
        .ask = service_ask,
        .tell = service_tell,
        .is_inside = service_is_inside,
    };
    struct options options;
    struct asker_config config;
    struct sockaddr_storage own = {0};
    socklen_t own_length;
    struct stat made = {0};

    int code = options_parse(argc, argv, &options);
    if (code >= 0)
        return code;
    struct conf *conf = configuration_read(&options);
    if (!conf)
        return EXIT_FAILURE;
    if (conf->listen.policy.count == 0) {
        fprintf(stderr, "%s: %s: listen.policy: is empty: name the socket where to ask\n", PROGRAM,
                conf->file);
        conf_unref(conf);
        return EXIT_FAILURE;
    }
    service.conf = conf;
    if (options.test) {
        conf_unref(conf);
        return EXIT_SUCCESS;
    }
    log_open(PROGRAM, conf->log.target, conf->log.level);
    limits_set();
    signals_hold();
    asker_defaults(&config);
    config.notice = notice;
    const struct conf_socket *target = &conf->listen.policy.item[0];
    config.to_length = address_of(target, &config.to);
    if (config.to_length == 0) {
        log_error("%s: not an address that can be asked", target->text);
        return EXIT_FAILURE;
    }
    service.asker = asker_new(&config);
    if (!service.asker || !listen_open(conf, &policy, &made))
        return EXIT_FAILURE;
    log_info("listening on %s, asking %s", conf->listen.milter.text, target->text);
    own_length = address_of(&conf->listen.milter, &own);
    bool stopped = front_run((const struct sockaddr *)&own, own_length);
    if (conf->listen.milter.path)
        socket_remove(conf->listen.milter.path, &made);
    if (!stopped) {
        log_error("libmilter gave up: see syslog");
        return EXIT_FAILURE;
    }
    log_info("stopped");
    return EXIT_SUCCESS;
}
