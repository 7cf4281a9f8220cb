/*
 * The log: stderr or syslog, one line an event.
 *
 * The target and the level are the process's, as syslog's are: set once by main, and again by a
 * reload. Formats are constants (checked by the compiler); what came from outside goes in through
 * log_escape. cache/ does not log: it gives notice (cache/notice.h).
 */
#ifndef POLICY_LOG_H
#define POLICY_LOG_H

#include "policy/conf.h"

#include <stddef.h>

/* program is the identity in each line ("mxwardend"). It is kept, not copied. */
void log_open(const char *program, enum conf_log_target target, enum conf_log_level level);
bool log_has(enum conf_log_level level);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Copies text so that it is one word of printable ASCII: control characters, space, quotes,
 * backslash, '=' inside, and bytes above 0x7e become \xHH. Cuts, with "..." at the end, what does
 * not fit. Pure. Returns out. */
char *log_escape(const char *text, char *out, size_t size);

#endif
