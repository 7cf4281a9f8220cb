/*
 * policy/cli_feed.c: a log in a pipe, and a daemon that is a child of the test: it writes down what
 * it was told and answers as it was bidden. Times are short; nothing waits for a time to pass, but
 * for what must come.
 */
#include "policy/cli_feed.h"

#include "policy/cli.h"
#include "policy/control.h"
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define OK            "{\"status\":\"ok\",\"visits\":0}\n"
#define VISIT(client) "CONNECT from [" client "]:5 to [192.0.2.10]:25\n"
#define TOLD(client)  "{\"client\":\"[" client "]\",\"listener\":\"[192.0.2.10]\",\"port\":25}"

enum { WAIT_MS = 10000 };

static char folder[64], path[80];
static pid_t daemon_child, feed_child;
static int requests = -1; /* what the daemon was told: its lines */
static int log_in = -1, said = -1;

/* --- the daemon ------------------------------------------------------------------------------- */

static void serve(int listener, int out, const char *reply)
{
    static char request[CONTROL_MAX_REQUEST];

    if (log_in >= 0)
        close(log_in); /* else the log would not end with the test's own end of it */
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        size_t length = 0;
        ssize_t part;

        while ((length == 0 || request[length - 1] != '\n') &&
               (part = read(fd, request + length, sizeof request - length)) > 0)
            length += (size_t)part;
        if (write(out, request, length) < 0 || write(fd, reply, strlen(reply)) < 0)
            _exit(1);
        close(fd);
    }
}

static void start_daemon(const char *reply)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ends[2];

    assert_int_equal(pipe(ends), 0);
    strcpy(address.sun_path, path);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 8), 0);
    fflush(NULL);
    daemon_child = fork();
    assert_true(daemon_child >= 0);
    if (daemon_child == 0)
        serve(listener, ends[1], reply);
    close(listener);
    close(ends[1]);
    requests = ends[0];
}

static void stop_daemon(void)
{
    if (daemon_child <= 0)
        return;
    kill(daemon_child, SIGKILL);
    waitpid(daemon_child, NULL, 0);
    daemon_child = 0;
    unlink(path);
    close(requests);
}

/* --- the feed --------------------------------------------------------------------------------- */

static void start_feed(const char *listener, struct cli_feed_times times)
{
    struct cli_feed_options options = {.times = times};
    int in[2], err[2];

    if (listener)
        assert_true(net_addr_parse(listener, &options.listener));
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(err), 0);
    fflush(NULL);
    feed_child = fork();
    assert_true(feed_child >= 0);
    if (feed_child == 0) {
        struct cli cli = {.out = stdout, .err = fdopen(err[1], "w")};
        close(in[1]);
        setvbuf(cli.err, NULL, _IONBF, 0);
        options.fd = in[0];
        _exit(cli_feed(&cli, path, &options));
    }
    close(in[0]);
    close(err[1]);
    log_in = in[1];
    said = err[0];
}

static void write_log(const char *text)
{
    assert_int_equal(write(log_in, text, strlen(text)), strlen(text));
}

/* The end of the log; the exit code. */
static int end_feed(void)
{
    int status = -1;

    close(log_in);
    log_in = -1;
    waitpid(feed_child, &status, 0);
    feed_child = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void read_line(int fd, char *line, size_t size)
{
    size_t length = 0;
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    do {
        if (poll(&ready, 1, WAIT_MS) != 1 || read(fd, line + length, 1) != 1)
            fail_msg("nothing more after '%.*s'", (int)length, line);
    } while (line[length++] != '\n' && length < size);
    line[length - 1] = '\0';
}

/* The next request that holds visits holds these. */
static void expect_told(const char *visits)
{
    static const char empty[] = "{\"command\":\"feed\",\"visits\":[]}";
    char wanted[1024], line[CONTROL_MAX_REQUEST];

    snprintf(wanted, sizeof wanted, "{\"command\":\"feed\",\"visits\":[%s]}", visits);
    do
        read_line(requests, line, sizeof line);
    while (*visits && strcmp(line, empty) == 0);
    assert_string_equal(line, wanted);
}

static void expect_said(const char *text)
{
    char line[1024];

    read_line(said, line, sizeof line);
    if (!strstr(line, text))
        fail_msg("said '%s', wanted '%s'", line, text);
}

static const struct cli_feed_times quick = {.batch = 20, .beat = 20, .retry = 20};
/* One request for what came together, and none that only says that it lives. */
static const struct cli_feed_times calm = {.batch = 100, .beat = 3600000, .retry = 20};

static int setup(void **state)
{
    (void)state;
    if (!scratch_folder(folder, sizeof folder))
        return -1;
    snprintf(path, sizeof path, "%s/control.sock", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (feed_child > 0) {
        kill(feed_child, SIGKILL);
        waitpid(feed_child, NULL, 0);
        feed_child = 0;
    }
    if (log_in >= 0)
        close(log_in);
    log_in = -1;
    stop_daemon();
    close(said);
    return rmdir(folder);
}

static void visits_are_told(void **state)
{
    (void)state;
    start_daemon(OK);
    start_feed(NULL, calm);
    expect_told("");
    write_log("x\n" VISIT("198.51.100.7") VISIT("198.51.100.8") VISIT("198.51.100.7"));
    expect_told(TOLD("198.51.100.7") "," TOLD("198.51.100.8"));
    write_log("warning: Connection rate limit exceeded: 31 from unknown[198.51.100.9] for service "
              "smtp\n");
    expect_told("{\"client\":\"[198.51.100.9]\"}");
    write_log("CONNECT from [198.51.100.7]:5 ");
    write_log("to [192.0.2.10]:25\n");
    expect_told(TOLD("198.51.100.7"));
    assert_int_equal(end_feed(), CLI_DONE);
}

static void listener_is_given(void **state)
{
    (void)state;
    start_daemon(OK);
    start_feed("192.0.2.10", calm);
    expect_told("");
    write_log("warning: Connection rate limit exceeded: 31 from unknown[198.51.100.9] for service "
              "smtp\n");
    expect_told(TOLD("198.51.100.9"));
    assert_int_equal(end_feed(), CLI_DONE);
}

static void signs_of_life(void **state)
{
    (void)state;
    start_daemon(OK);
    start_feed(NULL, quick);
    for (int i = 0; i < 5; i++)
        expect_told("");
    assert_int_equal(end_feed(), CLI_DONE);
}

/* A last line without its end counts; lines too long, or with a NUL in them, do not. */
static void odd_lines(void **state)
{
    char *junk = malloc(100001);

    (void)state;
    start_daemon(OK);
    start_feed(NULL, calm);
    expect_told("");
    memset(junk, 'x', 100000);
    junk[100000] = '\0';
    write_log(junk);
    write_log(VISIT("203.0.113.1"));
    assert_int_equal(write(log_in, "\0" VISIT("203.0.113.2"), 1 + strlen(VISIT("203.0.113.2"))),
                     1 + strlen(VISIT("203.0.113.2")));
    write_log("CONNECT from [198.51.100.7]:5 to [192.0.2.10]:25");
    assert_int_equal(end_feed(), CLI_DONE);
    expect_told(TOLD("198.51.100.7"));
    free(junk);
}

/* A long log goes out in requests of bounded size, and all of it. */
static void many_visits(void **state)
{
    enum { COUNT = 1000 };
    char line[CONTROL_MAX_REQUEST];
    size_t total = 0;

    (void)state;
    start_daemon(OK);
    start_feed(NULL, calm);
    expect_told("");
    for (int i = 0; i < COUNT; i++) {
        snprintf(line, sizeof line, "CONNECT from [198.51.%d.%d]:5 to [192.0.2.10]:25\n", i / 200,
                 i % 200);
        write_log(line);
    }
    while (total < COUNT) {
        json_t *request;
        size_t count;
        read_line(requests, line, sizeof line);
        request = json_loads(line, 0, NULL);
        count = json_array_size(json_object_get(request, "visits"));
        assert_in_range(count, 1, CONTROL_MAX_VISITS);
        total += count;
        json_decref(request);
    }
    assert_int_equal(total, COUNT);
    assert_int_equal(end_feed(), CLI_DONE);
}

static void daemon_restarts(void **state)
{
    (void)state;
    start_feed(NULL, quick);
    expect_said("trying on");
    write_log(VISIT("198.51.100.7"));
    start_daemon(OK);
    expect_told(TOLD("198.51.100.7"));
    expect_said("is told again");
    stop_daemon();
    expect_said("trying on");
    write_log(VISIT("198.51.100.8"));
    start_daemon(OK);
    expect_said("is told again");
    expect_told(TOLD("198.51.100.8"));
    assert_int_equal(end_feed(), CLI_DONE);
}

static void too_many_wait(void **state)
{
    char line[128];

    (void)state;
    start_feed(NULL, quick);
    expect_said("trying on");
    for (int i = 0; i <= CLI_FEED_MAX + 1; i++) {
        snprintf(line, sizeof line, "CONNECT from [10.0.%d.%d]:5 to [192.0.2.10]:25\n", i / 200,
                 i % 200);
        write_log(line);
    }
    expect_said("10000 visits wait for mxwardend; the oldest are lost");
    assert_int_equal(end_feed(), CLI_UNREACHABLE);
    expect_said("10000 visits are lost");
}

static void never_reached(void **state)
{
    (void)state;
    start_feed(NULL, quick);
    assert_int_equal(end_feed(), CLI_UNREACHABLE);
}

static void refused(void **state)
{
    (void)state;
    start_daemon("{\"status\":\"refused\",\"message\":\"is for root\"}\n");
    start_feed(NULL, quick);
    expect_said("mxwarden: is for root");
    assert_int_equal(end_feed(), CLI_REFUSED);
    stop_daemon();
    close(said);
    start_daemon("{\"status\":\"usage\",\"message\":\"no such command: feed\"}\n");
    start_feed(NULL, quick);
    expect_said("no such command");
    assert_int_equal(end_feed(), CLI_USAGE);
}

/* Refused for now: told again, and nothing is lost. */
static void refused_for_now(void **state)
{
    (void)state;
    start_daemon("{\"status\":\"refused\",\"again\":true,\"message\":\"knows none\"}\n");
    start_feed(NULL, quick);
    expect_said("knows none; trying on");
    write_log(VISIT("198.51.100.7"));
    expect_told(TOLD("198.51.100.7"));
    expect_told(TOLD("198.51.100.7"));
    stop_daemon();
    start_daemon(OK);
    expect_told(TOLD("198.51.100.7"));
    expect_said("is told again");
    assert_int_equal(end_feed(), CLI_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(visits_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(listener_is_given, setup, teardown),
        cmocka_unit_test_setup_teardown(signs_of_life, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(many_visits, setup, teardown),
        cmocka_unit_test_setup_teardown(daemon_restarts, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(never_reached, setup, teardown),
        cmocka_unit_test_setup_teardown(refused, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_for_now, setup, teardown),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("cli_feed", tests, NULL, NULL);
}
