/*
 * Arguments into a request, a reply into an exit code. The daemon checks what the words mean; here
 * only their number, and the options, are checked.
 */
#include "policy/cli.h"

#include "policy/cli_feed.h"
#include "policy/cli_table.h"
#include "policy/conf.h"
#include "policy/conf_value.h"

#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage_text[] =
    "usage: mxwarden [-c FILE] [--json] COMMAND ...\n"
    "\n"
    "  check                   the configuration, and the mail server's side of it\n"
    "  ping                    whether the daemon is there, and since when\n"
    "  explain --client IP --listener IP --rcpt ADDR\n"
    "          [--sender ADDR] [--helo NAME] [--name NAME]\n"
    "                          the guard's path for one question, row by row\n"
    "  route ADDR | DOMAIN     the map's answer for an address (Sendmail: a domain), and why\n"
    "  mx DOMAIN               the domain's mail servers as known here, and what is wrong\n"
    "  stats                   the counters: in all, today, and how fast they grow\n"
    "  top                     what is busiest; on a terminal again every 2 s\n"
    "  hosts                   the hosts under watch: health, observation, overrides\n"
    "  report [--days N]       whom the guard refused, or would have, and who came back\n"
    "  drain HOST[:PORT]       send no new mail to a host\n"
    "  ready HOST[:PORT]       use it again, as its probes say\n"
    "  weight HOST[:PORT] N    its share within its tier, 0 to 65535\n"
    "  flush DOMAIN            have the queue for a domain sent now (ETRN)\n"
    "  purge DOMAIN            forget what is known of a domain, and look it up anew\n"
    "  seen IP                 what the site knows of a client\n"
    "  forget IP               forget that\n"
    "  allow IP [TIME]         let it in everywhere, for a time (default guard.learn)\n"
    "  pause [DOMAIN] [TIME]   the guard off, on every node, for a time (default 1h)\n"
    "  resume [DOMAIN]         on again\n"
    "  feed [--listener IP]    reads a mail log: clients turned away before mxwarden hears of "
    "them\n"
    "\n"
    "  -c, --config FILE       the configuration (" CONF_DEFAULT_FILE ")\n"
    "  --json                  the reply as it came, for programs\n"
    "  -h, --help              this text\n"
    "  -V, --version           the version\n"
    "\n"
    "exit codes: 0 done, 1 no or refused, 2 wrong use, 3 daemon not reachable\n";

enum { OPTION_JSON = 256, OPTION_FACT };
enum { REFRESH = 2 }; /* seconds */

/* What `explain` takes; the names are the request's, too. `feed` takes the listener, and `report`
 * the days alone. */
static const char *const facts[] = {"client", "listener", "rcpt", "sender", "helo", "name", "days"};
enum { FACT_LISTENER = 1, FACT_DAYS = 6, FACTS = sizeof facts / sizeof facts[0], FACTS_NEEDED = 3 };

static const char letters[] = "c:hV";

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {"client", required_argument, NULL, OPTION_FACT},
    {"listener", required_argument, NULL, OPTION_FACT + 1},
    {"rcpt", required_argument, NULL, OPTION_FACT + 2},
    {"sender", required_argument, NULL, OPTION_FACT + 3},
    {"helo", required_argument, NULL, OPTION_FACT + 4},
    {"name", required_argument, NULL, OPTION_FACT + 5},
    {"days", required_argument, NULL, OPTION_FACT + FACT_DAYS},
    {NULL, 0, NULL, 0},
};

static const struct command {
    const char *name;
    const char *member[2]; /* what its words become in the request */
    int optional;          /* how many of them may be left out */
} commands[] = {
    {"explain", {NULL, NULL}, 0},     {"route", {"address", NULL}, 0},
    {"mx", {"domain", NULL}, 0},      {"stats", {NULL, NULL}, 0},
    {"hosts", {NULL, NULL}, 0},       {"drain", {"host", NULL}, 0},
    {"ready", {"host", NULL}, 0},     {"weight", {"host", "weight"}, 0},
    {"purge", {"domain", NULL}, 0},   {"seen", {"client", NULL}, 0},
    {"forget", {"client", NULL}, 0},  {"allow", {"client", "time"}, 1},
    {"pause", {"domain", "time"}, 2}, {"resume", {"domain", NULL}, 1},
    {"ping", {NULL, NULL}, 0},        {"check", {NULL, NULL}, 0},
    {"top", {NULL, NULL}, 0},         {"feed", {NULL, NULL}, 0},
    {"report", {NULL, NULL}, 0},      {"flush", {"domain", NULL}, 0},
};

struct arguments {
    const char *fact[FACTS];
    int count; /* words: the command and its own */
    char **word;
};

static int complain(const struct cli *cli, const char *what, const char *text)
{
    fputs("mxwarden: ", cli->err);
    fputs(what, cli->err);
    cli_put(cli->err, text);
    fputs("; see mxwarden --help\n", cli->err);
    return CLI_USAGE;
}

/* A letter may stand among others; a word that is wrong as a whole has been passed. */
static int complain_of_option(const struct cli *cli, char **argv)
{
    char letter[] = {'-', (char)optopt, '\0'};
    bool is_letter = optopt != 0 && optopt < OPTION_JSON && !strchr(letters, optopt);

    return complain(
        cli, "unknown option, or one without its value: ", is_letter ? letter : argv[optind - 1]);
}

/* False when the program is to end with *code. */
static bool read_arguments(struct cli *cli, int argc, char **argv, struct arguments *out, int *code)
{
    int option;

    optind = 0; /* glibc: begin anew, for tests call this more than once */
    opterr = 0;
    while ((option = getopt_long(argc, argv, letters, options, NULL)) != -1)
        switch (option) {
        case 'c':
            cli->file = optarg;
            cli->file_given = true;
            break;
        case OPTION_JSON: cli->json = true; break;
        case 'h':
            fputs(usage_text, cli->out);
            *code = CLI_DONE;
            return false;
        case 'V':
            fprintf(cli->out, "mxwarden %s\n", MXW_VERSION);
            *code = CLI_DONE;
            return false;
        case '?': *code = complain_of_option(cli, argv); return false;
        default: out->fact[option - OPTION_FACT] = optarg; break;
        }
    out->count = argc - optind;
    out->word = argv + optind;
    if (out->count > 0)
        return true;
    fputs(usage_text, cli->err);
    *code = CLI_USAGE;
    return false;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* "pause 2h" names no domain: a first word that is a duration is the time. */
static bool is_time(const struct command *command, const char *word)
{
    int64_t ms;

    return command->optional == 2 && conf_value_duration(word, &ms);
}

/* What is wrong with the arguments of command; NULL: nothing. */
static const char *check_arguments(const struct command *command, const struct arguments *given)
{
    int wanted = 1 + (command->member[0] != NULL) + (command->member[1] != NULL);
    bool explains = strcmp(command->name, "explain") == 0;
    bool feeds = strcmp(command->name, "feed") == 0;
    bool reports = strcmp(command->name, "report") == 0;

    if (given->count > wanted || given->count < wanted - command->optional)
        return given->count < wanted ? "something is missing after " : "too many words after ";
    if (given->count > 2 && is_time(command, given->word[1]))
        return "too many words after ";
    if (given->fact[FACT_DAYS] && !reports)
        return "only report takes --days, not ";
    for (size_t i = 0; i < FACT_DAYS; i++) {
        if (given->fact[i] && !explains && !(feeds && i == FACT_LISTENER))
            return "only explain takes facts as options, not ";
        if (explains && i < FACTS_NEEDED && !given->fact[i])
            return "--client, --listener and --rcpt are needed by ";
    }
    return NULL;
}

static void put_word(json_t *request, const char *member, const char *word)
{
    char *end;
    long number = strtol(word, &end, 10);

    /* The daemon refuses a number that stays a text. */
    if ((strcmp(member, "weight") == 0 || strcmp(member, "days") == 0) && *word && *end == '\0')
        json_object_set_new(request, member, json_integer(number));
    else
        json_object_set_new(request, member, json_string(word));
}

static json_t *make_request(const struct command *command, const struct arguments *given)
{
    json_t *request = json_pack("{s:s}", "command", command->name);

    for (int i = 0; i + 1 < given->count && command->member[i]; i++) {
        const char *word = given->word[i + 1];
        put_word(request, command->member[i == 0 && is_time(command, word) ? 1 : i], word);
    }
    for (size_t i = 0; i < FACTS; i++)
        if (given->fact[i])
            put_word(request, facts[i], given->fact[i]);
    return request;
}

static int show_reply(const struct cli *cli, const char *command, const json_t *reply)
{
    const char *status = json_string_value(json_object_get(reply, "status"));
    const char *message = json_string_value(json_object_get(reply, "message"));
    bool done = strcmp(status, "ok") == 0;

    if (cli->json) {
        json_dumpf(reply, cli->out, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
        fputc('\n', cli->out);
    } else if (done) {
        cli_print(cli, command, reply);
    } else {
        fputs("mxwarden: ", cli->err);
        cli_put(cli->err, message ? message : "refused");
        fputc('\n', cli->err);
    }
    return done ? CLI_DONE : strcmp(status, "usage") == 0 ? CLI_USAGE : CLI_REFUSED;
}

/* A file with mistakes must not keep an operator from a daemon that runs: then its socket is looked
 * for at the default place. */
static struct conf *read_conf(const struct cli *cli)
{
    struct conf_problems problems = {0};
    struct conf *conf = conf_read_public(cli->file, cli->file_given, &problems);

    if (!conf)
        fprintf(cli->err, "mxwarden: %s has errors (mxwarden -c %s check lists them); trying %s\n",
                cli->file, cli->file, cli_control_path(NULL));
    conf_problems_clear(&problems);
    return conf;
}

static int ask(const struct cli *cli, const struct command *command, const struct arguments *given)
{
    struct conf *conf = read_conf(cli);
    json_t *request = make_request(command, given);
    json_t *reply = request ? cli_ask(cli, conf, request) : NULL;
    int code = reply ? show_reply(cli, command->name, reply) : CLI_UNREACHABLE;

    json_decref(reply);
    json_decref(request);
    conf_unref(conf);
    return code;
}

/* Until it is interrupted, or the daemon is gone. */
static int ask_again(const struct cli *cli, const struct command *command,
                     const struct arguments *given)
{
    int code;

    for (;;) {
        code = ask(cli, command, given);
        if (code != CLI_DONE)
            return code;
        fflush(cli->out);
        sleep(REFRESH);
    }
}

static int feed(const struct cli *cli, const struct arguments *given)
{
    struct cli_feed_options log = {.fd = STDIN_FILENO, .times = cli_feed_usual};
    const char *listener = given->fact[FACT_LISTENER];
    struct conf *conf;
    int code;

    if (listener && !net_addr_parse(listener, &log.listener))
        return complain(cli, "no IP address: ", listener);
    conf = read_conf(cli);
    code = cli_feed(cli, cli_control_path(conf), &log);
    conf_unref(conf);
    return code;
}

int cli_run(int argc, char **argv, FILE *out, FILE *err)
{
    struct cli cli = {.out = out, .err = err, .file = CONF_DEFAULT_FILE};
    struct arguments given = {0};
    const struct command *command;
    const char *wrong, *no_colour = getenv("NO_COLOR");
    int code;

    cli.is_terminal = fileno(out) >= 0 && isatty(fileno(out));
    cli.colour = cli.is_terminal && !(no_colour && *no_colour);
    if (!read_arguments(&cli, argc, argv, &given, &code))
        return code;
    command = find_command(given.word[0]);
    if (!command)
        return complain(&cli, "no such command: ", given.word[0]);
    wrong = check_arguments(command, &given);
    if (wrong)
        return complain(&cli, wrong, given.word[0]);
    if (strcmp(command->name, "check") == 0)
        return cli_check(&cli);
    if (strcmp(command->name, "feed") == 0)
        return feed(&cli, &given);
    if (strcmp(command->name, "top") == 0 && cli.is_terminal && !cli.json)
        return ask_again(&cli, command, &given);
    return ask(&cli, command, &given);
}
