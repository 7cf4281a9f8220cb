/*
 * The program mxwarden, in pieces: cli_run.c (arguments, commands), cli_ask.c (the control socket),
 * cli_print.c (results for people), cli_table.c, cli_check.c, cli_feed.c. cli.c is only its main.
 */
#ifndef POLICY_CLI_H
#define POLICY_CLI_H

#include <stdbool.h>
#include <stdio.h>

struct conf;
struct json_t;

/* Exit codes (SPEC 9). */
enum { CLI_DONE = 0, CLI_REFUSED = 1, CLI_USAGE = 2, CLI_UNREACHABLE = 3 };

struct cli {
    FILE *out, *err;
    bool json;        /* --json */
    bool is_terminal; /* tables; else columns parted by tabs */
    bool colour;
    const char *file; /* -c, or the default */
    bool file_given;
};

/* Runs one command line; argv[0] is the program. Returns the exit code. out and err are written
 * to, and not closed. */
int cli_run(int argc, char **argv, FILE *out, FILE *err);

/* Sends request to the daemon and waits for its reply: a new object, or NULL after a line on
 * cli->err. conf may be NULL (default socket). */
struct json_t *cli_ask(const struct cli *cli, const struct conf *conf,
                       const struct json_t *request);
/* The same without complaint: *why (constant, or strerror's) says what failed. */
struct json_t *cli_ask_quietly(const char *path, const struct json_t *request, const char **why);
/* Where the control socket is. */
const char *cli_control_path(const struct conf *conf);

/* Prints a reply of status "ok" for people. command is one that cli_run knows. */
void cli_print(const struct cli *cli, const char *command, const struct json_t *reply);

/* The command check: an exit code. */
int cli_check(const struct cli *cli);

#endif
