/*
 * Replies for people: what one wants to know first stands first.
 */
#include "policy/cli.h"

#include "policy/cli_table.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT_SIZE = 64, CELLS = CLI_TABLE_COLUMNS };

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static json_int_t number_of(const json_t *object, const char *name)
{
    return json_integer_value(json_object_get(object, name));
}

/* A number as a cell; "" (shown as "-") where there is none. */
static const char *number_text(const json_t *object, const char *name, char out[TEXT_SIZE])
{
    const json_t *value = json_object_get(object, name);

    out[0] = '\0';
    if (json_is_integer(value))
        snprintf(out, TEXT_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(out, TEXT_SIZE, "%g", json_real_value(value));
    return out;
}

/* "35s", "12m", "3h", "2d" since a Unix second; "" for never. */
static const char *age_text(const json_t *object, const char *name, char out[TEXT_SIZE])
{
    json_int_t at = number_of(object, name), age = (json_int_t)time(NULL) - at;

    out[0] = '\0';
    if (at <= 0)
        return out;
    age = age < 0 ? 0 : age;
    if (age < 120)
        snprintf(out, TEXT_SIZE, "%" JSON_INTEGER_FORMAT "s", age);
    else if (age < 2 * 3600)
        snprintf(out, TEXT_SIZE, "%" JSON_INTEGER_FORMAT "m", age / 60);
    else if (age < 2 * 86400)
        snprintf(out, TEXT_SIZE, "%" JSON_INTEGER_FORMAT "h", age / 3600);
    else
        snprintf(out, TEXT_SIZE, "%" JSON_INTEGER_FORMAT "d", age / 86400);
    return out;
}

static void put_line(const struct cli *cli, const char *label, const char *text)
{
    if (!*text)
        return;
    fprintf(cli->out, "%-9s ", label);
    cli_put(cli->out, text);
    fputc('\n', cli->out);
}

static void put_joined(const json_t *array, char *out, size_t size)
{
    size_t i, length = 0;
    json_t *item;

    out[0] = '\0';
    for (i = 0; (item = json_array_get(array, i)); i++) {
        int more = snprintf(out + length, size - length, "%s%s", i ? ", " : "",
                            json_is_string(item) ? json_string_value(item) : "");
        if (more < 0 || (size_t)more >= size - length)
            return;
        length += (size_t)more;
    }
}

static void print_explain(const struct cli *cli, const json_t *reply)
{
    struct cli_table table;
    json_t *row;
    size_t i;

    put_line(cli, "verdict", text_of(reply, "verdict"));
    put_line(cli, "reason", text_of(reply, "reason"));
    put_line(cli, "reply", text_of(reply, "reply"));
    put_line(cli, "domain", text_of(reply, "domain"));
    put_line(cli, "mode", text_of(reply, "mode"));
    put_line(cli, "hint", text_of(reply, "hint"));
    fputc('\n', cli->out);
    cli_table_init(&table, ">ROW|TEST|DECIDES|FACTS");
    for (i = 0; (row = json_array_get(json_object_get(reply, "rows"), i)); i++) {
        const json_t *holds = json_object_get(row, "holds");
        char number[TEXT_SIZE];
        cli_table_add(&table,
                      (const char *[CELLS]){number_text(row, "row", number), text_of(row, "test"),
                                            json_is_true(holds)    ? "yes"
                                            : json_is_false(holds) ? ""
                                                                   : "not reached",
                                            text_of(row, "fact")});
    }
    cli_table_print(&table, cli);
    cli_table_clear(&table);
}

static void print_route(const struct cli *cli, const json_t *reply)
{
    struct cli_table table;
    json_t *host;
    size_t i;

    put_line(cli, "answer", text_of(reply, "answer"));
    put_line(cli, "route", text_of(reply, "route"));
    put_line(cli, "section", text_of(reply, "section"));
    put_line(cli, "because", text_of(reply, "because"));
    put_line(cli, "key", text_of(reply, "key"));
    put_line(cli, "why", text_of(reply, "why"));
    if (json_is_true(json_object_get(reply, "health_ignored")))
        put_line(cli, "note", "no host is usable: health is ignored");
    if (json_is_true(json_object_get(reply, "override_ignored")))
        put_line(cli, "note", "overrides would leave no host: they are ignored");
    if (json_integer_value(json_object_get(reply, "unnamed")) > 0)
        put_line(cli, "note", "hosts on other ports than 25 are left out: Sendmail cannot be told");
    if (json_array_size(json_object_get(reply, "hosts")) == 0)
        return;
    fputc('\n', cli->out);
    cli_table_init(
        &table, ">PLACE|>TIER|HOST|>PORT|>WEIGHT|>NOW|>LOAD|HEALTH|HELD|OVERRIDE|RESOLVES|>SCORE|"
                "NOTE");
    for (i = 0; (host = json_array_get(json_object_get(reply, "hosts"), i)); i++) {
        char place[TEXT_SIZE], tier[TEXT_SIZE], port[TEXT_SIZE], weight[TEXT_SIZE];
        char now[TEXT_SIZE], load[TEXT_SIZE], score[TEXT_SIZE];
        cli_table_add(&table,
                      (const char *[CELLS]){
                          number_text(host, "place", place), number_text(host, "tier", tier),
                          text_of(host, "host"), number_text(host, "port", port),
                          number_text(host, "weight", weight), number_text(host, "effective", now),
                          number_text(host, "load", load), text_of(host, "health"),
                          json_is_true(json_object_get(host, "held")) ? "yes" : "",
                          text_of(host, "override"), text_of(host, "resolves"),
                          number_text(host, "score", score), text_of(host, "note")});
    }
    cli_table_print(&table, cli);
    cli_table_clear(&table);
}

static void print_mx(const struct cli *cli, const json_t *reply)
{
    char text[TEXT_SIZE], joined[1024];
    struct cli_table table;
    json_t *item;
    size_t i;

    put_line(cli, "domain", text_of(reply, "domain"));
    put_line(cli, "state", text_of(reply, "state"));
    put_line(cli, "origin", text_of(reply, "origin"));
    put_line(cli, "ttl", number_text(reply, "ttl", text));
    put_line(cli, "age", number_text(reply, "age", text));
    for (i = 0; (item = json_array_get(json_object_get(reply, "findings"), i)); i++)
        put_line(cli, text_of(item, "level"), text_of(item, "what"));
    if (json_array_size(json_object_get(reply, "order")) == 0)
        return;
    fputc('\n', cli->out);
    cli_table_init(&table, ">PREFERENCE|HOST|STATE|ADDRESSES");
    for (i = 0; (item = json_array_get(json_object_get(reply, "order"), i)); i++) {
        put_joined(json_object_get(item, "addresses"), joined, sizeof joined);
        cli_table_add(&table,
                      (const char *[CELLS]){number_text(item, "preference", text),
                                            text_of(item, "host"), text_of(item, "state"), joined});
    }
    cli_table_print(&table, cli);
    cli_table_clear(&table);
}

/* "12.3" a second; "" where nothing happens. */
static const char *rate_text(const json_t *object, const char *name, char out[TEXT_SIZE])
{
    double rate = json_number_value(json_object_get(object, name));

    out[0] = '\0';
    if (rate > 0)
        snprintf(out, TEXT_SIZE, rate < 10 ? "%.2f" : "%.0f", rate);
    return out;
}

/* Who tells, since when, and how Redis is. */
static void print_source(const struct cli *cli, const json_t *reply)
{
    const json_t *redis = json_object_get(reply, "redis");
    const char *trouble = text_of(redis, "trouble");
    bool shared = json_is_true(json_object_get(reply, "shared"));
    char text[TEXT_SIZE], line[8 * TEXT_SIZE];

    put_line(cli, "node", text_of(reply, "node"));
    put_line(cli, "up for", age_text(reply, "since", text));
    number_text(json_object_get(reply, "counters"), "redis_ms_avg", text);
    if (shared)
        snprintf(line, sizeof line, "%s%s%s%s", text_of(redis, "state"), *text ? ", " : "", text,
                 *text ? " ms" : "");
    else
        snprintf(line, sizeof line, "%s%s%s; the numbers are this process's own",
                 text_of(redis, "state"), *trouble ? ": " : "", trouble);
    put_line(cli, "redis", line);
}

static void print_stats(const struct cli *cli, const json_t *reply)
{
    json_t *counters = json_object_get(reply, "counters");
    const json_t *today = json_object_get(reply, "today"), *rates = json_object_get(reply, "rates");
    struct cli_table table;
    char total[TEXT_SIZE], day[TEXT_SIZE], rate[TEXT_SIZE];

    print_source(cli, reply);
    if (json_object_size(counters) == 0)
        return;
    fputc('\n', cli->out);
    cli_table_init(&table, "COUNTER|>TOTAL|>TODAY|>PER S");
    for (void *at = json_object_iter(counters); at; at = json_object_iter_next(counters, at)) {
        const char *name = json_object_iter_key(at);
        cli_table_add(&table, (const char *[CELLS]){name, number_text(counters, name, total),
                                                    number_text(today, name, day),
                                                    rate_text(rates, name, rate)});
    }
    cli_table_print(&table, cli);
    cli_table_clear(&table);
}

/* One page of a terminal: three lists side by side. */
static void print_top(const struct cli *cli, const json_t *reply)
{
    enum { ROWS = 16 };
    const json_t *reasons = json_object_get(reply, "reasons");
    const json_t *nets = json_object_get(reply, "bypass");
    const json_t *domains = json_object_get(reply, "domains");
    struct cli_table table;

    if (cli->is_terminal)
        fputs("\033[H\033[J", cli->out);
    print_source(cli, reply);
    fputc('\n', cli->out);
    cli_table_init(&table, "REASON|>PER S|>TODAY|BYPASSING|>TODAY|DOMAIN|>TODAY");
    for (size_t i = 0; i < ROWS; i++) {
        const json_t *reason = json_array_get(reasons, i), *net = json_array_get(nets, i);
        const json_t *domain = json_array_get(domains, i);
        char rate[TEXT_SIZE], of_reason[TEXT_SIZE], of_net[TEXT_SIZE], of_domain[TEXT_SIZE];
        if (!reason && !net && !domain)
            break;
        cli_table_add(&table, (const char *[CELLS]){
                                  text_of(reason, "reason"), rate_text(reason, "rate", rate),
                                  number_text(reason, "today", of_reason), text_of(net, "net"),
                                  number_text(net, "today", of_net), text_of(domain, "domain"),
                                  number_text(domain, "today", of_domain)});
    }
    if (table.rows == 1)
        fputs("nothing has been judged\n", cli->out);
    else
        cli_table_print(&table, cli);
    cli_table_clear(&table);
}

static bool is_used_by_guard(const json_t *host)
{
    const json_t *used = json_object_get(host, "used_by"), *by;
    size_t i;

    json_array_foreach(used, i, by)
    {
        if (strcmp(json_string_value(by), "guard") == 0)
            return true;
    }
    return false;
}

/* "yes", or which link of the chain is missing; "-" where nobody is judged by it. */
static const char *observed_text(const json_t *host)
{
    const char *missing = text_of(host, "missing");

    if (!is_used_by_guard(host))
        return "-";
    if (json_is_true(json_object_get(host, "observed")))
        return "yes";
    return *missing ? missing : "no";
}

/* What keeps a host that is up from its whole share, as far as probes do. */
static const char *damping_text(const json_t *host, char out[TEXT_SIZE])
{
    json_int_t left = number_of(host, "held_until") - (json_int_t)time(NULL);
    json_int_t share = number_of(host, "slow_start");

    out[0] = '\0';
    if (number_of(host, "held_until") > 0)
        snprintf(out, TEXT_SIZE, "held %" JSON_INTEGER_FORMAT "s", left > 0 ? left : 0);
    else if (share > 0 && share < 100)
        snprintf(out, TEXT_SIZE, "slow start %" JSON_INTEGER_FORMAT "%%", share);
    return out;
}

static void print_hosts(const struct cli *cli, const json_t *reply)
{
    struct cli_table table;
    json_t *host;
    size_t i;

    cli_table_init(&table, "HOST|>PORT|ADDRESS|STATE|FOR|>MS|USABLE|DAMPING|OBSERVED|OVERRIDE|"
                           ">WEIGHT|USED BY|DETAIL");
    for (i = 0; (host = json_array_get(json_object_get(reply, "hosts"), i)); i++) {
        char port[TEXT_SIZE], since[TEXT_SIZE], ms[TEXT_SIZE], weight[TEXT_SIZE], used[512];
        char damping[TEXT_SIZE];
        put_joined(json_object_get(host, "used_by"), used, sizeof used);
        cli_table_add(&table, (const char *[CELLS]){
                                  text_of(host, "host"), number_text(host, "port", port),
                                  text_of(host, "address"), text_of(host, "state"),
                                  age_text(host, "since", since), number_text(host, "ms", ms),
                                  json_is_true(json_object_get(host, "usable")) ? "yes" : "no",
                                  damping_text(host, damping), observed_text(host),
                                  text_of(host, "override"), number_text(host, "weight", weight),
                                  used, text_of(host, "detail")});
    }
    if (table.rows == 1)
        fputs("no host is under watch yet\n", cli->out);
    else
        cli_table_print(&table, cli);
    cli_table_clear(&table);
}

static void print_seen(const struct cli *cli, const json_t *reply)
{
    struct cli_table table;
    json_t *item;
    char age[TEXT_SIZE];
    size_t i;

    if (!json_is_true(json_object_get(reply, "complete")))
        put_line(cli, "redis", "did not answer: this node's own knowledge only");
    if (json_array_size(json_object_get(reply, "visits")) +
            json_array_size(json_object_get(reply, "learned")) ==
        0) {
        fputs("nothing is known of this client\n", cli->out);
        return;
    }
    cli_table_init(&table, "WHAT|WHERE|AS|AGO|STAGE");
    for (i = 0; (item = json_array_get(json_object_get(reply, "visits"), i)); i++)
        cli_table_add(&table,
                      (const char *[CELLS]){"visit", text_of(item, "listener"), text_of(item, "as"),
                                            age_text(item, "at", age), text_of(item, "stage")});
    for (i = 0; (item = json_array_get(json_object_get(reply, "learned"), i)); i++)
        cli_table_add(&table, (const char *[CELLS]){json_is_true(json_object_get(item, "dry"))
                                                        ? "learned, dry"
                                                        : "learned",
                                                    text_of(item, "domain"), text_of(item, "as"),
                                                    age_text(item, "at", age), ""});
    cli_table_print(&table, cli);
    cli_table_clear(&table);
}

static void print_reasons(const struct cli *cli, json_t *reasons)
{
    struct cli_table table;
    char text[TEXT_SIZE];

    fputc('\n', cli->out);
    cli_table_init(&table, "REASON|>RECIPIENTS");
    for (void *at = json_object_iter(reasons); at; at = json_object_iter_next(reasons, at)) {
        const char *name = json_object_iter_key(at);
        cli_table_add(&table, (const char *[CELLS]){name, number_text(reasons, name, text)});
    }
    cli_table_print(&table, cli);
    cli_table_clear(&table);
}

/* Where nobody had to come back, the columns must not read as if somebody had been refused. */
static void print_dry_note(const struct cli *cli, const json_t *domains)
{
    const json_t *domain;
    size_t i;
    bool dry = false;

    json_array_foreach(domains, i, domain)
    {
        const char *mode = text_of(domain, "mode");
        dry = dry || strcmp(mode, "detect") == 0 || strcmp(mode, "tag") == 0 ||
              strcmp(mode, "hold") == 0;
    }
    if (dry)
        fputs("\nIn detect, tag and hold nobody was refused: bypass would have been, yielded wrote "
              "to the\nsame recipient again, better wrote to a better host.\n",
              cli->out);
}

static void print_domains(const struct cli *cli, const json_t *domains)
{
    static const char *const counts[] = {"judged", "bypass",  "yielded", "better",
                                         "silent", "unknown", "open"};
    enum { COUNTS = sizeof counts / sizeof counts[0] };
    struct cli_table table;
    const json_t *domain;
    size_t i;

    cli_table_init(&table, "DOMAIN|MODE|>JUDGED|>BYPASS|>YIELDED|>BETTER|>SILENT|>UNKNOWN|>OPEN|"
                           ">MEAN DELAY|>BELOW");
    json_array_foreach(domains, i, domain)
    {
        const json_t *delay = json_object_get(domain, "delay");
        const char *cell[CELLS] = {text_of(domain, "domain"), text_of(domain, "mode")};
        char text[COUNTS + 2][TEXT_SIZE];
        for (size_t c = 0; c < COUNTS; c++)
            cell[2 + c] = number_text(domain, counts[c], text[c]);
        cell[2 + COUNTS] = number_text(delay, "mean", text[COUNTS]);
        cell[3 + COUNTS] = number_text(delay, "below", text[COUNTS + 1]);
        cli_table_add(&table, cell);
    }
    cli_table_print(&table, cli);
    cli_table_clear(&table);
}

static void print_report(const struct cli *cli, const json_t *reply)
{
    const json_t *domains = json_object_get(reply, "domains");
    char text[TEXT_SIZE], joined[1024];

    put_joined(json_object_get(reply, "nodes"), joined, sizeof joined);
    if (number_of(reply, "since") > 0) {
        put_line(cli, "for", age_text(reply, "since", text));
    } else {
        put_line(cli, "from", text_of(reply, "from"));
        put_line(cli, "to", text_of(reply, "to"));
    }
    put_line(cli, "nodes", joined);
    if (json_array_size(domains) == 0) {
        fputs("\nnothing has been judged\n", cli->out);
        return;
    }
    fputc('\n', cli->out);
    print_domains(cli, domains);
    print_dry_note(cli, domains);
    print_reasons(cli, json_object_get(reply, "reasons"));
}

static void print_ping(const struct cli *cli, const json_t *reply)
{
    char text[TEXT_SIZE];

    put_line(cli, "version", text_of(reply, "version"));
    put_line(cli, "node", text_of(reply, "node"));
    put_line(cli, "config", text_of(reply, "config"));
    put_line(cli, "mode", text_of(reply, "mode"));
    put_line(cli, "up for", age_text(reply, "started", text));
}

static void print_message(const struct cli *cli, const json_t *reply)
{
    cli_put(cli->out, text_of(reply, "message"));
    fputc('\n', cli->out);
}

void cli_print(const struct cli *cli, const char *command, const json_t *reply)
{
    static const struct {
        const char *command;
        void (*print)(const struct cli *cli, const json_t *reply);
    } prints[] = {
        {"explain", print_explain}, {"route", print_route}, {"mx", print_mx},
        {"stats", print_stats},     {"hosts", print_hosts}, {"ping", print_ping},
        {"report", print_report},   {"seen", print_seen},   {"top", print_top},
    };

    for (size_t i = 0; i < sizeof prints / sizeof prints[0]; i++)
        if (strcmp(prints[i].command, command) == 0) {
            prints[i].print(cli, reply);
            return;
        }
    print_message(cli, reply);
}
