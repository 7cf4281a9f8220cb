/*
 * `mxwarden check`: the file, then the mail server's side (mtacheck.c has the rules; here is what
 * it looks at), then the running daemon. One line a finding.
 */
#include "policy/cli.h"

#include "policy/cli_table.h"
#include "policy/conf.h"
#include "policy/mtacheck.h"

#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { GROUPS_MAX = 64, OUTPUT_MAX = 4 * 1024 * 1024 };

/* Whom Postfix's processes run as. */
struct user {
    uid_t uid;
    gid_t group[GROUPS_MAX];
    int group_count;
};

static bool find_user(const struct postconf_text *postconf, struct user *out)
{
    char name[64];
    const struct passwd *entry;

    if (!postconf_get(postconf, NULL, "mail_owner", name, sizeof name))
        strcpy(name, "postfix");
    entry = getpwnam(name);
    if (!entry)
        return false;
    out->uid = entry->pw_uid;
    out->group_count = GROUPS_MAX;
    if (getgrouplist(entry->pw_name, entry->pw_gid, out->group, &out->group_count) < 0)
        out->group_count = GROUPS_MAX;
    return true;
}

/* Whether the mode bits (as of "other": 1 to pass, 2 to write) are given to user. */
static bool user_may(const struct user *user, const struct stat *status, mode_t bits)
{
    if (status->st_uid == user->uid)
        return ((status->st_mode >> 6) & bits) == bits;
    for (int i = 0; i < user->group_count; i++)
        if (status->st_gid == user->group[i])
            return ((status->st_mode >> 3) & bits) == bits;
    return (status->st_mode & bits) == bits;
}

/* Whether user may pass every folder on the way to path. */
static enum mtacheck_reach walk(const struct user *user, const char *path)
{
    char part[sizeof((struct sockaddr_un *)0)->sun_path];
    struct stat status;

    if (strlen(path) >= sizeof part)
        return MTACHECK_ABSENT;
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", slash == path ? 1 : (int)(slash - path), path);
        if (stat(part, &status) != 0)
            return errno == EACCES ? MTACHECK_UNKNOWN : MTACHECK_ABSENT;
        if (!user_may(user, &status, 1))
            return MTACHECK_FORBIDDEN;
    }
    if (stat(path, &status) != 0)
        return errno == EACCES ? MTACHECK_UNKNOWN : MTACHECK_ABSENT;
    if (!S_ISSOCK(status.st_mode))
        return MTACHECK_NO_SOCKET;
    return user_may(user, &status, 2) ? MTACHECK_REACHED : MTACHECK_FORBIDDEN;
}

static enum mtacheck_reach reach(void *arg, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    enum mtacheck_reach result = walk(arg, path);
    int fd;

    if (result != MTACHECK_REACHED)
        return result;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return MTACHECK_UNKNOWN;
    strcpy(address.sun_path, path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        result = errno == EACCES ? MTACHECK_UNKNOWN : MTACHECK_SILENT;
    close(fd);
    return result;
}

/* What a command prints; a new text, "" where it cannot be run. command is a constant. */
static char *run(const char *command)
{
    FILE *pipe = popen(command, "r");
    char *text = NULL;
    size_t length = 0, size = 0;
    FILE *copy = open_memstream(&text, &length);
    char part[4096];

    while (pipe && copy && length < OUTPUT_MAX && (size = fread(part, 1, sizeof part, pipe)) > 0) {
        fwrite(part, 1, size, copy);
        fflush(copy);
    }
    if (pipe)
        pclose(pipe);
    if (copy)
        fclose(copy);
    return text;
}

#define POSTCONF "PATH=$PATH:/usr/sbin:/sbin postconf "

static void check_mta(const struct conf *conf, struct mtacheck *findings)
{
    char *settings = run(POSTCONF "-x 2>/dev/null"), *services = run(POSTCONF "-M 2>/dev/null");
    char *options = run(POSTCONF "-Px 2>/dev/null");
    struct mtacheck_world world = {.conf = conf, .reach = reach};
    struct user user = {0};

    world.postconf = (struct postconf_text){settings, services, options};
    world.arg = &user;
    if (!settings || !services || !options || !*services)
        mtacheck_add(findings, MTACHECK_OK, "",
                     "no Postfix here (postconf says nothing): the mail server is not checked");
    else if (!find_user(&world.postconf, &user))
        mtacheck_add(findings, MTACHECK_WARNING, "finish the installation of Postfix",
                     "there is postconf, but not the user that Postfix runs as: the mail server is "
                     "not checked");
    else
        mtacheck_run(&world, findings);
    free(settings);
    free(services);
    free(options);
}

static void check_redis(const char *path, struct mtacheck *findings)
{
    json_t *request = json_pack("{s:s}", "command", "stats");
    const char *why, *state, *trouble;
    json_t *reply = cli_ask_quietly(path, request, &why), *redis = json_object_get(reply, "redis");

    state = json_string_value(json_object_get(redis, "state"));
    trouble = json_string_value(json_object_get(redis, "trouble"));
    if (state && strcmp(state, "none") != 0 && trouble && *trouble)
        mtacheck_add(
            findings, MTACHECK_ERROR, "see its log, cache.redis and cache.password_file",
            "mxwardend cannot use Redis (%s): nothing is shared, and everybody is accepted",
            trouble);
    else if (state && strcmp(state, "up") == 0)
        mtacheck_add(findings, MTACHECK_OK, "", "mxwardend uses Redis");
    json_decref(reply);
    json_decref(request);
}

static void check_daemon(const struct cli *cli, const struct conf *conf, struct mtacheck *findings)
{
    const char *path = cli_control_path(conf), *why, *file, *version;
    json_t *request = json_pack("{s:s}", "command", "ping");
    json_t *reply = cli_ask_quietly(path, request, &why);

    if (!reply) {
        mtacheck_add(findings, MTACHECK_WARNING, "start it, or run this as root",
                     "mxwardend does not answer at %s: %s", path, why);
    } else {
        file = json_string_value(json_object_get(reply, "config"));
        version = json_string_value(json_object_get(reply, "version"));
        mtacheck_add(findings, MTACHECK_OK, "", "mxwardend %s answers at %s",
                     version ? version : "", path);
        if (version && strcmp(version, MXW_VERSION) != 0)
            mtacheck_add(findings, MTACHECK_WARNING, "restart mxwardend",
                         "mxwardend is of version %s, this program of %s", version, MXW_VERSION);
        if (file && *file && strcmp(file, cli->file) != 0)
            mtacheck_add(findings, MTACHECK_WARNING, "check that file, with -c",
                         "mxwardend runs with %s, not %s", file, cli->file);
        check_redis(path, findings);
    }
    json_decref(reply);
    json_decref(request);
}

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
    struct mtacheck findings = {0};
    struct conf *conf = check_conf(cli, &findings);
    int code;

    if (conf) {
        check_mta(conf, &findings);
        check_daemon(cli, conf, &findings);
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
