/*
 * The mail server's side of `mxwarden check`, as it is on this machine: what postconf prints, how
 * sockets look to Postfix's user, what its tables hold, and sendmail.cf. The rules are mtacheck's and
 * sendmailcheck's.
 */
#include "policy/cli_check.h"

#include "policy/conf_file.h"
#include "policy/sendmailcheck.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { GROUPS_MAX = 64, OUTPUT_MAX = 4 * 1024 * 1024, LOOKUP_SECONDS = 5 };

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

/* Whether somebody answers there. */
static enum mtacheck_reach knock(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    enum mtacheck_reach result = MTACHECK_REACHED;
    int fd;

    if (strlen(path) >= sizeof address.sun_path)
        return MTACHECK_ABSENT;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return MTACHECK_UNKNOWN;
    strcpy(address.sun_path, path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        result = errno == EACCES ? MTACHECK_UNKNOWN : MTACHECK_SILENT;
    close(fd);
    return result;
}

struct looking {
    struct user user;
    const struct cli_check_standings *standings;
};

static enum mtacheck_reach reach(void *arg, const char *path)
{
    const struct looking *looking = arg;
    enum mtacheck_reach result = walk(&looking->user, path);

    return result == MTACHECK_REACHED ? knock(path) : result;
}

static enum mtacheck_standing standing(void *arg, const char *domain)
{
    const struct looking *looking = arg;

    for (size_t i = 0; i < looking->standings->count; i++)
        if (strcmp(looking->standings->item[i].domain, domain) == 0)
            return looking->standings->item[i].standing;
    return MTACHECK_STANDING_UNKNOWN;
}

/* told: where it says what is wrong. */
static void run_postmap(const char *table, const char *key, int told)
{
    int null = open("/dev/null", O_RDWR);
    char path[4096];
    const char *old = getenv("PATH");

    snprintf(path, sizeof path, "%s:/usr/sbin:/sbin", old ? old : "/usr/bin:/bin");
    setenv("PATH", path, 1);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(told, STDERR_FILENO);
    alarm(LOOKUP_SECONDS); /* a table of a server that hangs */
    execlp("postmap", "postmap", "-q", key, table, NULL);
    _exit(127);
}

/* What is said on fd until its end, as far as it fits. */
static void read_all(int fd, char *out, size_t size)
{
    size_t length = 0;
    char part[512];
    ssize_t got;

    while ((got = read(fd, part, sizeof part)) > 0 || (got < 0 && errno == EINTR)) {
        size_t room = size - 1 - length;
        size_t taken = got < 0 ? 0 : (size_t)got < room ? (size_t)got : room;
        memcpy(out + length, part, taken);
        length += taken;
    }
    out[length] = '\0';
}

/* postmap ends with 1 for a key that is not there, and for a table that cannot be asked: only the
 * latter is said to be fatal. Mere warnings may be about anything in main.cf. */
static enum mtacheck_member lookup(void *arg, const char *table, const char *key)
{
    int status = 0, told[2];
    char text[4096];
    pid_t child;

    (void)arg;
    if (pipe2(told, O_CLOEXEC) != 0)
        return MTACHECK_UNASKED;
    fflush(NULL);
    child = fork();
    if (child == 0)
        run_postmap(table, key, told[1]);
    close(told[1]);
    read_all(told[0], text, sizeof text);
    close(told[0]);
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status))
        return MTACHECK_UNASKED;
    if (WEXITSTATUS(status) == 0)
        return MTACHECK_MEMBER;
    return WEXITSTATUS(status) == 1 && !strstr(text, "fatal: ") ? MTACHECK_MISSING
                                                                : MTACHECK_UNASKED;
}

/* A file of a list is its lines, and no table that postmap could be asked. */
static char *read_file(void *arg, const char *path)
{
    struct conf_file file;

    (void)arg;
    return conf_file_read_text(path, &file) ? NULL : file.text;
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

static void check_postfix(const struct conf *conf, const struct cli_check_standings *standings,
                          struct mtacheck *findings)
{
    char *settings = run(POSTCONF "-x 2>/dev/null"), *services = run(POSTCONF "-M 2>/dev/null");
    char *options = run(POSTCONF "-Px 2>/dev/null");
    struct mtacheck_world world = {
        .conf = conf, .reach = reach, .lookup = lookup, .read = read_file, .standing = standing};
    struct looking looking = {.standings = standings};

    world.postconf = (struct postconf_text){settings, services, options};
    world.arg = &looking;
    if (!settings || !services || !options || !*services)
        mtacheck_add(findings, MTACHECK_OK, "", "no Postfix here (postconf says nothing)");
    else if (!find_user(&world.postconf, &looking.user))
        mtacheck_add(findings, MTACHECK_WARNING, "finish the installation of Postfix",
                     "there is postconf, but not the user that Postfix runs as: the mail server is "
                     "not checked");
    else
        mtacheck_run(&world, findings);
    free(settings);
    free(services);
    free(options);
}

/* --- Sendmail ----------------------------------------------------------------------------------- */

#define SENDMAIL_CF "/etc/mail/sendmail.cf"

/* Sendmail connects as root. */
static enum mtacheck_reach reach_as_root(void *arg, const char *path)
{
    struct stat status;

    (void)arg;
    if (stat(path, &status) != 0)
        return errno == EACCES ? MTACHECK_UNKNOWN : MTACHECK_ABSENT;
    return S_ISSOCK(status.st_mode) ? knock(path) : MTACHECK_NO_SOCKET;
}

static bool is_open(void *arg, const char *path)
{
    char part[sizeof((struct sockaddr_un *)0)->sun_path];
    struct stat status;

    (void)arg;
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", slash == path ? 1 : (int)(slash - path), path);
        if (stat(part, &status) == 0 && (status.st_mode & S_IWOTH) && !(status.st_mode & S_ISVTX))
            return true;
    }
    return false;
}

static void check_sendmail(const struct conf *conf, struct mtacheck *findings)
{
    char *text = read_file(NULL, SENDMAIL_CF);
    const struct sendmailcheck_world world = {
        .cf = text, .conf = conf, .reach = reach_as_root, .is_open = is_open};

    if (text)
        sendmailcheck_run(&world, findings);
    free(text);
}

void cli_check_mta(const struct conf *conf, const struct cli_check_standings *standings,
                   struct mtacheck *findings)
{
    check_postfix(conf, standings, findings);
    check_sendmail(conf, findings);
}
