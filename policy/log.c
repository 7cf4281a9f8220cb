/*
 * The log (log.h).
 *
 * On stderr a line is "mxwardend[PID]: level: text", and where stderr is the journal's socket it is
 * "<N>text" instead (sd-daemon(3)): the journal knows program and process, and keeps the level.
 * Each line is one write, so that lines of threads and processes do not mix.
 */
#include "policy/log.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

enum { LINE_SIZE = 4096 };

static const struct {
    int priority;
    const char *name;
} levels[] = {
    [CONF_LOG_ERROR] = {LOG_ERR, "error"},
    [CONF_LOG_WARNING] = {LOG_WARNING, "warning"},
    [CONF_LOG_INFO] = {LOG_INFO, "info"},
    [CONF_LOG_DEBUG] = {LOG_DEBUG, "debug"},
};

static struct {
    const char *program;
    enum conf_log_target target;
    enum conf_log_level level;
    bool journal;
} state = {"mxwarden", CONF_LOG_STDERR, CONF_LOG_INFO, false};

/* JOURNAL_STREAM is "device:inode" of what the service manager made stderr; a shell started from a
 * service inherits the variable but not the stream. */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat status;

    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

void log_open(const char *program, enum conf_log_target target, enum conf_log_level level)
{
    if (state.target == CONF_LOG_SYSLOG)
        closelog();
    state.program = program;
    state.target = target;
    state.level = level;
    state.journal = target == CONF_LOG_STDERR && is_journal();
    if (target == CONF_LOG_SYSLOG)
        openlog(program, LOG_PID, LOG_MAIL);
}

bool log_has(enum conf_log_level level)
{
    return level <= state.level;
}

static void write_line(enum conf_log_level level, const char *text)
{
    char head[128], end[] = "\n";
    int length;
    struct iovec parts[3];

    if (state.journal)
        length = snprintf(head, sizeof head, "<%d>", levels[level].priority);
    else
        length = snprintf(head, sizeof head, "%.64s[%d]: %s: ", state.program, (int)getpid(),
                          levels[level].name);
    parts[0] = (struct iovec){head, (size_t)length};
    parts[1] = (struct iovec){(char *)text, strlen(text)};
    parts[2] = (struct iovec){end, 1};
    /* There is nobody to tell that the log cannot be written. */
    if (writev(STDERR_FILENO, parts, 3) < 0)
        return;
}

static void write_text(enum conf_log_level level, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
static void write_text(enum conf_log_level level, const char *format, va_list arguments)
{
    int before = errno;
    char text[LINE_SIZE];

    if (!log_has(level))
        return;
    if (vsnprintf(text, sizeof text, format, arguments) >= LINE_SIZE)
        memcpy(text + LINE_SIZE - 4, "...", 4);
    if (state.target == CONF_LOG_SYSLOG)
        syslog(levels[level].priority, "%s: %s", levels[level].name, text);
    else
        write_line(level, text);
    errno = before;
}

void log_error(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_text(CONF_LOG_ERROR, format, arguments);
    va_end(arguments);
}

void log_warning(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_text(CONF_LOG_WARNING, format, arguments);
    va_end(arguments);
}

void log_info(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_text(CONF_LOG_INFO, format, arguments);
    va_end(arguments);
}

void log_debug(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_text(CONF_LOG_DEBUG, format, arguments);
    va_end(arguments);
}

char *log_escape(const char *text, char *out, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    size_t used = 0, whole = 0; /* whole: as much as leaves room for "..." */

    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        bool plain = byte > 0x20 && byte < 0x7f && !strchr("\"'\\=", byte);
        size_t length = plain ? 1 : 4;

        if (used + length >= size) {
            snprintf(out + whole, size - whole, "...");
            return out;
        }
        if (plain) {
            out[used] = (char)byte;
        } else {
            memcpy(out + used, (char[]){'\\', 'x', hex[byte >> 4], hex[byte & 15]}, 4);
        }
        used += length;
        if (used + 4 <= size)
            whole = used;
    }
    if (size > 0)
        out[used] = '\0';
    return out;
}
