/*
 * The server on every node's own 127.0.0.1:25 that ETRN goes to, in place of policy/smtp.c: it
 * greets, knows EHLO, and says to every ETRN what it is told to.
 */
#include "tests/replay/world_inside.h"

#include "policy/smtp.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MS = 2 };

struct smtp {
    struct smtp_hooks hooks;
    struct event *event;
    bool refused;
    char reply[200]; /* the next to be said, "" none */
};

static struct {
    char reply[200]; /* to ETRN; "" where nobody listens */
    char heard[4096];
} server;

void world_smtp_open(void)
{
    memset(&server, 0, sizeof server);
    world_set_etrn("250 Queuing started");
}

void world_set_etrn(const char *reply)
{
    snprintf(server.reply, sizeof server.reply, "%s", reply ? reply : "");
}

const char *world_etrns(void)
{
    static char heard[sizeof server.heard];

    memcpy(heard, server.heard, sizeof heard);
    server.heard[0] = '\0';
    return heard;
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    struct smtp *smtp = arg;
    char text[sizeof smtp->reply];
    struct smtp_line line = {.last = true, .text = text};

    (void)fd;
    (void)what;
    if (smtp->refused) {
        smtp->hooks.ended(smtp->hooks.arg, SMTP_REFUSED, "Connection refused");
        return;
    }
    strcpy(text, smtp->reply);
    line.code = atoi(text);
    line.length = strlen(text);
    smtp->hooks.line(smtp->hooks.arg, &line);
}

static void say(struct smtp *smtp, const char *reply)
{
    const struct timeval soon = {.tv_usec = ANSWER_MS * 1000};

    snprintf(smtp->reply, sizeof smtp->reply, "%s", reply);
    event_add(smtp->event, &soon);
}

struct smtp *smtp_start(struct event_base *base, const struct smtp_options *options,
                        const struct smtp_hooks *hooks)
{
    struct smtp *smtp = calloc(1, sizeof *smtp);

    (void)options;
    smtp->hooks = *hooks;
    smtp->event = event_new(base, -1, 0, on_due, smtp);
    smtp->refused = !server.reply[0];
    say(smtp, "220 here");
    return smtp;
}

void smtp_stop(struct smtp *smtp)
{
    if (!smtp)
        return;
    event_free(smtp->event);
    free(smtp);
}

void smtp_say(struct smtp *smtp, const char *format, ...)
{
    char command[400];
    size_t length = strlen(server.heard);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (strncmp(command, "ETRN ", 5) == 0) {
        snprintf(server.heard + length, sizeof server.heard - length, "%s%s", length ? " " : "",
                 command + 5);
        say(smtp, server.reply);
    } else {
        say(smtp, "250 fine");
    }
}

void smtp_quit(struct smtp *smtp)
{
    say(smtp, "221 bye");
}

char *smtp_line_copy(const char *text, size_t length, char *out, size_t size)
{
    snprintf(out, size, "%.*s", (int)length, text);
    return out;
}
