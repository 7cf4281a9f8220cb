/*
 * `mxwarden check`: the file, then the running daemon, then the mail server's side. One line a
 * finding.
 */
#include "policy/cli.h"

#include "policy/cli_check.h"
#include "policy/cli_table.h"
#include "policy/conf.h"
#include "policy/mtacheck.h"

#include <jansson.h>
#include <stdlib.h>

static struct conf *check_conf(const struct cli *cli, struct mtacheck *findings)
{
    struct conf_problems problems = {0};
    struct conf *conf = conf_read(cli->file, cli->file_given, &problems);

    for (size_t i = 0; i < problems.count; i++) {
        char *text = conf_problem_format(&problems.item[i]);
        mtacheck_add(findings, problems.item[i].fatal ? MTACHECK_ERROR : MTACHECK_WARNING, "", "%s",
                     text ? text : "");
        free(text);
    }
    if (!conf)
        mtacheck_add(findings, MTACHECK_WARNING, "correct the errors first",
                     "the mail server's side was not checked");
    else if (!*conf->file)
        mtacheck_add(findings, MTACHECK_OK, "", "%s does not exist: all defaults", cli->file);
    else if (problems.count == 0)
        mtacheck_add(findings, MTACHECK_OK, "", "%s has no errors", cli->file);
    conf_problems_clear(&problems);
    return conf;
}

static void print_findings(const struct cli *cli, const struct mtacheck *findings)
{
    static const char *const colours[] = {"32", "33", "31"};

    for (size_t i = 0; i < findings->count; i++) {
        const struct mtacheck_finding *item = &findings->item[i];
        if (cli->colour)
            fprintf(cli->out, "\033[%sm%s\033[0m: ", colours[item->level],
                    mtacheck_level_name(item->level));
        else
            fprintf(cli->out, "%s: ", mtacheck_level_name(item->level));
        cli_put(cli->out, item->what);
        if (*item->mend) {
            fputs(": ", cli->out);
            cli_put(cli->out, item->mend);
        }
        fputc('\n', cli->out);
    }
}

static void print_json(const struct cli *cli, const struct mtacheck *findings)
{
    json_t *items = json_array(), *all;

    for (size_t i = 0; i < findings->count; i++)
        json_array_append_new(items,
                              json_pack("{s:s, s:s, s:s}", "level",
                                        mtacheck_level_name(findings->item[i].level), "what",
                                        findings->item[i].what, "mend", findings->item[i].mend));
    all = json_pack("{s:s, s:o}", "status", mtacheck_has_errors(findings) ? "refused" : "ok",
                    "findings", items);
    json_dumpf(all, cli->out, JSON_INDENT(2));
    fputc('\n', cli->out);
    json_decref(all);
}

int cli_check(const struct cli *cli)
{
    struct cli_check_standings standings = {0};
    struct mtacheck findings = {0};
    struct conf *conf = check_conf(cli, &findings);
    int code;

    if (conf) {
        cli_check_daemon(cli, conf, &standings, &findings);
        cli_check_mta(conf, &standings, &findings);
    }
    if (cli->json)
        print_json(cli, &findings);
    else
        print_findings(cli, &findings);
    code = mtacheck_has_errors(&findings) ? CLI_REFUSED : CLI_DONE;
    mtacheck_clear(&findings);
    conf_unref(conf);
    return code;
}
