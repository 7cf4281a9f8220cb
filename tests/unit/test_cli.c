/*
 * policy/cli_*.c: command lines against a daemon that is a child with canned replies; what it was
 * asked comes back in its "message" or is told by the exit code.
 */
#include "policy/cli.h"
#include "policy/cli_table.h"
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], file[80], path[80];
static pid_t child;

static const struct {
    const char *request, *reply;
} replies[] = {
    {"{\"command\":\"ping\"}",
     "{\"status\":\"ok\",\"version\":\"9.9.9\",\"node\":\"mx2.example.com\",\"config\":\"/other\","
     "\"started\":1,\"mode\":\"detect\"}\n"},
    {"{\"command\":\"stats\"}",
     "{\"status\":\"ok\",\"node\":\"mx2.example.com\",\"since\":0,\"counters\":{\"guard_seen\":3,"
     "\"hit_ratio\":0.987,\"mx_hits\":42},\"today\":{\"mx_hits\":40},\"rates\":{\"guard_seen\":"
     "0.254,\"mx_hits\":12.7},\"shared\":false,\"redis\":{\"state\":\"down\",\"trouble\":"
     "\"LOADING\"}}\n"},
    {"{\"command\":\"top\"}",
     "{\"status\":\"ok\",\"node\":\"mx2.example.com\",\"since\":0,\"shared\":true,\"redis\":{"
     "\"state\":\"up\"},\"counters\":{\"redis_ms_avg\":0.213},\"reasons\":[{\"reason\":\"seen\","
     "\"today\":9,\"rate\":1.5},{\"reason\":\"best\",\"today\":4,\"rate\":0.0}],\"bypass\":[{"
     "\"net\":"
     "\"[198.51.100.0/24]\\u001b[31m\",\"today\":3}],\"domains\":[]}\n"},
    {"{\"command\":\"hosts\"}",
     "{\"status\":\"ok\",\"hosts\":[{\"host\":\"mx1.example.com\",\"port\":25,\"address\":"
     "\"[192.0.2.10]\",\"state\":\"up\",\"streak\":3,\"since\":0,\"at\":0,\"ms\":4,\"usable\":true,"
     "\"observed\":false,\"missing\":\"milter\",\"detail\":\"220 \\u001b[31mhi\",\"override\":\"\","
     "\"weight\":null,\"used_by\":[\"guard\",\"route\"],\"slow_start\":40,\"held_until\":0}]}\n"},
    {"{\"command\":\"route\",\"address\":\"u@example.com\"}",
     "{\"status\":\"ok\",\"answer\":\"OK smtp:[gw1.example.net]:25\",\"route\":\"pool gateways\","
     "\"section\":\"example.com\",\"key\":\"u@example.com\",\"hosts\":[{\"tier\":10,\"host\":"
     "\"gw1.example.net\",\"port\":25,\"weight\":60,\"effective\":30.0,\"load\":70,\"held\":true,"
     "\"health\":"
     "\"up\","
     "\"override\":\"\",\"resolves\":\"yes\",\"score\":123,\"place\":1,\"note\":\"chosen\"}],"
     "\"left_out\":[]}\n"},
    {"{\"command\":\"mx\",\"domain\":\"example.com\"}",
     "{\"status\":\"ok\",\"domain\":\"example.com\",\"state\":\"ok\",\"ttl\":300,\"fetched\":1,"
     "\"expires\":2,\"age\":10,\"origin\":\"dns\",\"order\":[{\"preference\":10,\"host\":"
     "\"mx1.example.com\",\"addresses\":[\"[192.0.2.10]\",\"[2001:db8::1]\"],\"state\":\"ok\"}],"
     "\"findings\":[{\"level\":\"warning\",\"what\":\"there is only one host\"}]}\n"},
    {"{\"command\":\"mx\",\"domain\":\"dark1.example\"}",
     "{\"status\":\"refused\",\"message\":\"dark1.example: not now\",\"domain\":\"dark1.example\","
     "\"state\":\"fail\",\"order\":[],\"findings\":[]}\n"},
    {"{\"command\":\"mx\",\"domain\":\"dark2.example\"}",
     "{\"status\":\"refused\",\"message\":\"dark2.example: not now\",\"domain\":\"dark2.example\","
     "\"state\":\"fail\",\"order\":[],\"findings\":[]}\n"},
    {"{\"command\":\"explain\",\"client\":\"198.51.100.7\",\"listener\":\"192.0.2.20\",\"rcpt\":"
     "\"u@example.com\",\"helo\":\"a.example\"}",
     "{\"status\":\"ok\",\"verdict\":\"accept\",\"reason\":\"best\",\"reply\":\"DUNNO\",\"domain\":"
     "\"example.com\",\"mode\":\"defer\",\"rows\":[{\"row\":4,\"test\":\"is an "
     "MX\",\"holds\":false,"
     "\"fact\":\"a\"},{\"row\":5,\"test\":\"best\",\"holds\":true,\"fact\":\"b\"},{\"row\":6,"
     "\"test\":\"healthy\",\"holds\":null,\"fact\":\"\"}],\"hint\":\"look\"}\n"},
    {"{\"command\":\"drain\",\"host\":\"gw1.example.net\"}",
     "{\"status\":\"ok\",\"message\":\"gw1.example.net port 25 is drained\"}\n"},
    {"{\"command\":\"weight\",\"host\":\"gw1.example.net\",\"weight\":10}",
     "{\"status\":\"ok\",\"message\":\"weight 10\"}\n"},
    {"{\"command\":\"weight\",\"host\":\"gw1.example.net\",\"weight\":\"1x\"}",
     "{\"status\":\"usage\",\"message\":\"weight must be a number\"}\n"},
    {"{\"command\":\"ready\",\"host\":\"gw9.example.net\"}",
     "{\"status\":\"refused\",\"message\":\"not a host\"}\n"},
    {"{\"command\":\"pause\",\"time\":\"2h\"}", "{\"status\":\"ok\",\"message\":\"off\"}\n"},
    {"{\"command\":\"pause\",\"domain\":\"a.example\",\"time\":\"2h\"}",
     "{\"status\":\"ok\",\"message\":\"off there\"}\n"},
    {"{\"command\":\"resume\"}", "{\"status\":\"ok\",\"message\":\"on\"}\n"},
    {"{\"command\":\"report\"}",
     "{\"status\":\"ok\",\"from\":\"20261115\",\"to\":\"20261121\",\"since\":null,\"nodes\":"
     "[\"mx1.example.com\",\"mx2.example.com\"],\"domains\":[{\"domain\":\"example.com\",\"mode\":"
     "\"detect\",\"judged\":900,\"bypass\":7,\"yielded\":1,\"better\":2,\"silent\":3,\"unknown\":0,"
     "\"open\":1,\"delay\":{\"count\":1,\"mean\":600,\"below\":900}},{\"domain\":\"*\",\"mode\":"
     "\"\",\"judged\":5,\"bypass\":0,\"yielded\":0,\"better\":0,\"silent\":0,\"unknown\":0,"
     "\"open\":0,\"delay\":null}],\"reasons\":{\"seen\":893,\"bypass\":12}}\n"},
    {"{\"command\":\"report\",\"days\":30}",
     "{\"status\":\"ok\",\"from\":\"20261023\",\"to\":\"20261121\",\"since\":null,\"nodes\":"
     "[],\"domains\":[],\"reasons\":{}}\n"},
    {"{\"command\":\"report\",\"days\":\"week\"}",
     "{\"status\":\"usage\",\"message\":\"days must be a number\"}\n"},
    {"{\"command\":\"purge\",\"domain\":\"short.example\"}", "{\"status\":\"o"},
    {"{\"command\":\"purge\",\"domain\":\"no.example\"}", "{\"state\":\"ok\"}\n"},
    {"{\"command\":\"purge\",\"domain\":\"none.example\"}", ""},
};

/* The child: one request a connection, until it is ended. A client that has not waited for its reply
 * must not end it: then no later one would have any. */
static void serve(int listener)
{
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        char request[1024];
        int fd = accept(listener, NULL, NULL);
        ssize_t length = 0, part;
        const char *reply = "{\"status\":\"usage\",\"message\":\"not in the table\"}\n";

        if (fd < 0)
            continue;
        while ((part = read(fd, request + length, sizeof request - 1 - (size_t)length)) > 0) {
            length += part;
            if (request[length - 1] == '\n')
                break;
        }
        request[length > 0 ? length - 1 : 0] = '\0';
        for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++)
            if (strcmp(replies[i].request, request) == 0)
                reply = replies[i].reply;
        if (write(fd, reply, strlen(reply)) < 0)
            fprintf(stderr, "nobody waits for the reply to %s\n", request);
        close(fd);
    }
}

static int start(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    FILE *conf;

    (void)state;
    assert_true(scratch_folder(folder, sizeof folder));
    snprintf(file, sizeof file, "%s/conf", folder);
    snprintf(path, sizeof path, "%s/control.sock", folder);
    conf = fopen(file, "w");
    assert_non_null(conf);
    fprintf(conf, "node = \"mx2.example.com\"\nlisten { control = \"unix:%s\" }\n", path);
    fclose(conf);
    strcpy(address.sun_path, path);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 8), 0);
    fflush(NULL);
    child = fork();
    if (child == 0)
        serve(listener);
    close(listener);
    return child < 0;
}

static int end(void **state)
{
    (void)state;
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    unlink(path);
    unlink(file);
    return rmdir(folder);
}

struct result {
    int code;
    char *out, *err;
};

/* line is cut at spaces; "FILE" becomes the configuration's path. */
static struct result run(const char *line)
{
    struct result result = {0};
    char copy[1024], *argv[32] = {(char *)"mxwarden"}, *rest = copy, *word;
    size_t out_length, err_length;
    FILE *out = open_memstream(&result.out, &out_length);
    FILE *err = open_memstream(&result.err, &err_length);
    int argc = 1;

    snprintf(copy, sizeof copy, "%s", line);
    while (*copy && (word = strsep(&rest, " ")))
        argv[argc++] = strcmp(word, "FILE") == 0 ? file : word;
    result.code = cli_run(argc, argv, out, err);
    fclose(out);
    fclose(err);
    return result;
}

static void result_clear(struct result *result)
{
    free(result->out);
    free(result->err);
}

static const struct {
    const char *label, *line;
    int code;
    const char *out, *err; /* parts; NULL: must be empty */
} lines[] = {
    {"help", "--help", CLI_DONE, "usage: mxwarden", NULL},
    {"help behind a command", "drain --help", CLI_DONE, "usage: mxwarden", NULL},
    {"version", "-V", CLI_DONE, "mxwarden ", NULL},
    {"nothing", "", CLI_USAGE, NULL, "usage: mxwarden"},
    {"unknown option", "--frob stats", CLI_USAGE, NULL, "--frob; see mxwarden --help"},
    {"unknown letter", "-x stats", CLI_USAGE, NULL, ": -x; see mxwarden --help"},
    {"unknown letter before another", "-xh", CLI_USAGE, NULL, ": -x; see mxwarden --help"},
    {"a letter without its value", "stats -c", CLI_USAGE, NULL, ": -c; see mxwarden --help"},
    {"an option without its value", "stats -c", CLI_USAGE, NULL, "without its value"},
    {"unknown command", "frob", CLI_USAGE, NULL, "no such command: frob"},
    {"a command that is none", "flesh example.com", CLI_USAGE, NULL, "no such command: flesh"},
    {"flush without a domain", "flush", CLI_USAGE, NULL, "something is missing"},
    {"a word missing", "-c FILE drain", CLI_USAGE, NULL, "something is missing after drain"},
    {"a word too many", "-c FILE stats now", CLI_USAGE, NULL, "too many words after stats"},
    {"a fact for another command", "-c FILE stats --client 192.0.2.1", CLI_USAGE, NULL,
     "only explain"},
    {"a fact missing", "-c FILE explain --client 192.0.2.1 --rcpt u@example.com", CLI_USAGE, NULL,
     "--client, --listener and --rcpt"},
    {"terminal codes in a command", "\x1b[31m", CLI_USAGE, NULL, "no such command: ?[31m"},
    {"ping", "-c FILE ping", CLI_DONE, "version   9.9.9\n", NULL},
    {"stats", "-c FILE stats", CLI_DONE,
     "node      mx2.example.com\n"
     "redis     down: LOADING; the numbers are this process's own\n\nCOUNTER\tTOTAL\tTODAY\tPER S\n"
     "guard_seen\t3\t-\t0.25\nhit_ratio\t0.987\t-\t-\nmx_hits\t42\t40\t13\n",
     NULL},
    {"top", "-c FILE top", CLI_DONE,
     "node      mx2.example.com\nredis     up, 0.213 ms\n\n"
     "REASON\tPER S\tTODAY\tBYPASSING\tTODAY\tDOMAIN\tTODAY\n"
     "seen\t1.50\t9\t[198.51.100.0/24]?[31m\t3\t-\t-\nbest\t-\t4\t-\t-\t-\t-\n",
     NULL},
    {"top, JSON", "-c FILE top --json", CLI_DONE, "\"rate\": 1.5", NULL},
    {"options anywhere", "stats -c FILE", CLI_DONE, "mx_hits\t42", NULL},
    {"JSON", "-c FILE stats --json", CLI_DONE, "\"mx_hits\": 42", NULL},
    {"hosts", "-c FILE hosts", CLI_DONE,
     "mx1.example.com\t25\t[192.0.2.10]\tup\t-\t4\tyes\tslow start 40%\tmilter\t-\t-\tguard, "
     "route\t220 ?[31mhi\n",
     NULL},
    {"route", "-c FILE route u@example.com", CLI_DONE,
     "answer    OK smtp:[gw1.example.net]:25\nroute     pool gateways\n", NULL},
    {"route's hosts", "-c FILE route u@example.com", CLI_DONE,
     "\n1\t10\tgw1.example.net\t25\t60\t30\t70\tup\tyes\t-\tyes\t123\tchosen\n", NULL},
    {"mx", "-c FILE mx example.com", CLI_DONE,
     "warning   there is only one host\n\nPREFERENCE\tHOST\tSTATE\tADDRESSES\n10\tmx1.example.com\t"
     "ok\t[192.0.2.10], [2001:db8::1]\n",
     NULL},
    {"explain",
     "-c FILE explain --client 198.51.100.7 --listener 192.0.2.20 --rcpt u@example.com --helo "
     "a.example",
     CLI_DONE, "4\tis an MX\t-\ta\n5\tbest\tyes\tb\n6\thealthy\tnot reached\t-\n", NULL},
    {"drain", "-c FILE drain gw1.example.net", CLI_DONE, "gw1.example.net port 25 is drained\n",
     NULL},
    {"weight", "-c FILE weight gw1.example.net 10", CLI_DONE, "weight 10\n", NULL},
    {"no number", "-c FILE weight gw1.example.net 1x", CLI_USAGE, NULL,
     "mxwarden: weight must be a number\n"},
    {"refused", "-c FILE ready gw9.example.net", CLI_REFUSED, NULL, "mxwarden: not a host\n"},
    {"refused, JSON", "-c FILE --json ready gw9.example.net", CLI_REFUSED, "\"refused\"", NULL},
    {"pause, all", "-c FILE pause 2h", CLI_DONE, "off\n", NULL},
    {"pause, one", "-c FILE pause a.example 2h", CLI_DONE, "off there\n", NULL},
    {"resume", "-c FILE resume", CLI_DONE, "on\n", NULL},
    {"pause, two times", "-c FILE pause 2h 3h", CLI_USAGE, NULL, "too many words after pause"},
    {"pause, too much", "-c FILE pause a.example 2h now", CLI_USAGE, NULL, "too many words"},
    {"report", "-c FILE report", CLI_DONE,
     "from      20261115\nto        20261121\nnodes     mx1.example.com, mx2.example.com\n\n"
     "DOMAIN\tMODE\tJUDGED\tBYPASS\tYIELDED\tBETTER\tSILENT\tUNKNOWN\tOPEN\tMEAN DELAY\tBELOW\n"
     "example.com\tdetect\t900\t7\t1\t2\t3\t0\t1\t600\t900\n*\t-\t5\t0\t0\t0\t0\t0\t0\t-\t-\n\n"
     "In detect, tag and hold nobody was refused: bypass would have been, yielded wrote to the\n"
     "same recipient again, better wrote to a better host.\n\n"
     "REASON\tRECIPIENTS\nseen\t893\nbypass\t12\n",
     NULL},
    {"report, of nothing", "-c FILE report --days 30", CLI_DONE, "\nnothing has been judged\n",
     NULL},
    {"report, no number", "-c FILE report --days week", CLI_USAGE, NULL, "must be a number"},
    {"days of another command", "-c FILE stats --days 3", CLI_USAGE, NULL, "only report takes"},
    {"a fact for report", "-c FILE report --client 192.0.2.1", CLI_USAGE, NULL, "only explain"},
    {"an answer cut off", "-c FILE purge short.example", CLI_UNREACHABLE, NULL,
     "cannot reach mxwardend at"},
    {"an answer without status", "-c FILE purge no.example", CLI_UNREACHABLE, NULL,
     "an answer that is none"},
    {"no answer", "-c FILE purge none.example", CLI_UNREACHABLE, NULL, "no answer"},
};

static void line_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct result got = run(lines[i].line);
        bool out_fits = lines[i].out ? strstr(got.out, lines[i].out) != NULL : *got.out == '\0';
        bool err_fits = lines[i].err ? strstr(got.err, lines[i].err) != NULL : *got.err == '\0';
        if (got.code != lines[i].code || !out_fits || !err_fits)
            fail_msg("%s: code %d, out \"%s\", err \"%s\"", lines[i].label, got.code, got.out,
                     got.err);
        result_clear(&got);
    }
}

static void daemon_away(void **state)
{
    struct result got;

    (void)state;
    unlink(path);
    got = run("-c FILE stats");
    assert_int_equal(got.code, CLI_UNREACHABLE);
    assert_non_null(strstr(got.err, path));
    assert_non_null(strstr(got.err, "No such file or directory; is it running?"));
    result_clear(&got);
}

/* All of the output is shown where a part of it is missing: the rest tells why. */
static void expect_part(const struct result *got, const char *part)
{
    if (!strstr(got->out, part))
        fail_msg("no \"%s\" in \"%s\", err \"%s\"", part, got->out, got->err);
}

/* What check says of the file and of the daemon; the mail server's side is the machine's. */
static void check(void **state)
{
    struct result got;
    FILE *conf;

    (void)state;
    got = run("-c FILE check");
    expect_part(&got, "has no errors\n");
    expect_part(&got, "warning: mxwardend is of version 9.9.9");
    expect_part(&got, "warning: mxwardend runs with /other");
    expect_part(&got, "error: mxwardend cannot use Redis (LOADING)");
    assert_int_equal(got.code, CLI_REFUSED);
    result_clear(&got);

    conf = fopen(file, "w");
    assert_non_null(conf);
    fputs("health { fall = 0 }\nhealth2 = 1\n", conf);
    fclose(conf);
    got = run("-c FILE check --json");
    assert_int_equal(got.code, CLI_REFUSED);
    expect_part(&got, "\"level\": \"error\"");
    expect_part(&got, file);
    result_clear(&got);
}

/* Domains that the DNS says nothing of are told in one line, and not those that it knows. */
static void check_without_dns(void **state)
{
    struct result got;
    FILE *conf = fopen(file, "a");

    (void)state;
    assert_non_null(conf);
    fputs(
        "domain \"example.com\" { }\ndomain \"dark1.example\" { }\ndomain \"dark2.example\" { }\n",
        conf);
    fclose(conf);
    got = run("-c FILE check");
    expect_part(&got, "warning: the DNS does not tell the mail servers of 2 domains, such as "
                      "dark1.example: the guard accepts everybody there: see whether the resolvers "
                      "answer");
    result_clear(&got);
}

/* Who finds no daemon is told to start it: root is not told to be root. */
static void check_without_daemon(void **state)
{
    struct result got;

    (void)state;
    unlink(path);
    got = run("-c FILE check");
    expect_part(&got, "No such file or directory: start it\n");
    result_clear(&got);
}

static void tables(void **state)
{
    struct cli cli = {.is_terminal = true};
    struct cli_table table;
    char *text;
    size_t length;

    (void)state;
    for (int colour = 0; colour < 2; colour++) {
        cli.colour = colour;
        cli.out = open_memstream(&text, &length);
        cli_table_init(&table, "HOST|>PORT|STATE");
        cli_table_add(&table, (const char *[]){"mx1.example.com", "25", "up"});
        cli_table_add(&table, (const char *[]){"gw", "2525", NULL});
        cli_table_print(&table, &cli);
        cli_table_clear(&table);
        fclose(cli.out);
        assert_string_equal(
            text, colour
                      ? "\033[1mHOST\033[0m             \033[1mPORT\033[0m  \033[1mSTATE\033[0m\n"
                        "mx1.example.com    25  \033[32mup\033[0m\n"
                        "gw               2525  -\n"
                      : "HOST             PORT  STATE\n"
                        "mx1.example.com    25  up\n"
                        "gw               2525  -\n");
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(line_table, start, end),
        cmocka_unit_test_setup_teardown(daemon_away, start, end),
        cmocka_unit_test_setup_teardown(check, start, end),
        cmocka_unit_test_setup_teardown(check_without_dns, start, end),
        cmocka_unit_test_setup_teardown(check_without_daemon, start, end),
        cmocka_unit_test(tables),
    };
    return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
