/*
 * A small SMTP client that wants nothing but answers.
 *
 * One stage after the other; each reads one whole reply, perhaps of several lines, and says what to
 * send next. What the probe found is settled before the QUIT.
 */
#include "policy/probe.h"

#include "cache/clock.h"
#include "policy/smtp.h"

#include <stdio.h>
#include <stdlib.h>

enum { PROBE_MAX_INPUT = 4096, PROBE_DETAIL = 160 };

enum stage { STAGE_BANNER, STAGE_EHLO, STAGE_MAIL, STAGE_RCPT, STAGE_QUIT };

struct probe {
    enum stage stage;
    struct smtp *smtp;
    int64_t started; /* monotonic milliseconds */
    bool greeted;    /* a first line with 220 */
    bool said_ehlo;
    enum probe_result result;
    int32_t ms;
    char hello[PROBE_NONCE_SIZE + NAME_SIZE + 8];
    char rcpt_domain[NAME_SIZE]; /* "" for banner only */
    char detail[PROBE_DETAIL];
    probe_done *done;
    void *arg;
};

void probe_stop(struct probe *probe)
{
    if (!probe)
        return;
    smtp_stop(probe->smtp);
    free(probe);
}

static void probe_end(struct probe *probe)
{
    probe->done(probe->arg, probe->result, probe->said_ehlo, probe->ms, probe->detail);
    probe_stop(probe);
}

static enum probe_result result_of(enum smtp_end end)
{
    switch (end) {
    case SMTP_REFUSED: return PROBE_REFUSED;
    case SMTP_SILENT: return PROBE_SILENT;
    case SMTP_CLOSED: return PROBE_CLOSED;
    case SMTP_TOO_MUCH: return PROBE_BAD_REPLY;
    case SMTP_LOCAL: break;
    }
    return PROBE_LOCAL;
}

/* The conversation broke off. */
static void on_ended(void *arg, enum smtp_end end, const char *why)
{
    struct probe *probe = arg;

    /* What was found stands, once QUIT is said; and a good banner, where no more was asked. */
    if (probe->stage != STAGE_QUIT) {
        bool alive = probe->greeted && !probe->rcpt_domain[0];
        probe->result = alive ? PROBE_GOOD : result_of(end);
        snprintf(probe->detail, sizeof probe->detail, "%s", why);
    }
    probe_end(probe);
}

/* The result is known: QUIT, and wait a moment for the answer. */
static void probe_settle(struct probe *probe, enum probe_result result,
                         const struct smtp_line *line)
{
    char text[PROBE_DETAIL - 16];

    probe->result = result;
    smtp_line_copy(line->text, line->length, text, sizeof text);
    snprintf(probe->detail, sizeof probe->detail, "%s%s%s",
             result == PROBE_GOOD ? "answers" : "replies", text[0] ? ": " : "", text);
    smtp_quit(probe->smtp);
    probe->stage = STAGE_QUIT;
}

/* The last line of the greeting. */
static void take_banner(struct probe *probe, const struct smtp_line *line)
{
    if (line->code != 220) {
        probe_settle(probe, PROBE_BAD_REPLY, line);
        return;
    }
    smtp_say(probe->smtp, "EHLO %s", probe->hello);
    probe->stage = STAGE_EHLO;
}

static void take_ehlo(struct probe *probe, const struct smtp_line *line)
{
    probe->said_ehlo = line->code == 250;
    if (line->code == 421 || !probe->said_ehlo || !probe->rcpt_domain[0]) {
        probe_settle(probe, line->code == 421 ? PROBE_BAD_REPLY : PROBE_GOOD, line);
        return;
    }
    smtp_say(probe->smtp, "MAIL FROM:<>");
    probe->stage = STAGE_MAIL;
}

static void take_mail(struct probe *probe, const struct smtp_line *line)
{
    if (line->code / 100 != 2) {
        probe_settle(probe, line->code == 421 ? PROBE_BAD_REPLY : PROBE_GOOD, line);
        return;
    }
    smtp_say(probe->smtp, "RCPT TO:<postmaster@%s>", probe->rcpt_domain);
    probe->stage = STAGE_RCPT;
}

/* One line of the greeting. Its first one says whether anybody is there; one that goes on as
 * something else is no greeting any more. True when no more is to come. */
static bool greeting_ends(struct probe *probe, const struct smtp_line *line)
{
    if (!probe->greeted) {
        probe->greeted = line->code == 220;
        probe->ms = (int32_t)(clock_mono() - probe->started);
    }
    return line->last || line->code != 220;
}

static bool on_line(void *arg, const struct smtp_line *line)
{
    struct probe *probe = arg;

    if (probe->stage == STAGE_BANNER ? !greeting_ends(probe, line) : !line->last && line->code)
        return true;
    switch (probe->stage) {
    case STAGE_BANNER: take_banner(probe, line); break;
    case STAGE_EHLO: take_ehlo(probe, line); break;
    case STAGE_MAIL: take_mail(probe, line); break;
    case STAGE_RCPT:
        probe_settle(probe, line->code == 421 ? PROBE_BAD_REPLY : PROBE_GOOD, line);
        break;
    case STAGE_QUIT: probe_end(probe); return false;
    }
    return true;
}

struct probe *probe_start(struct event_base *base, const struct probe_options *options,
                          probe_done *done, void *arg)
{
    struct probe *probe = calloc(1, sizeof *probe);
    const struct smtp_options where = {.addr = options->addr,
                                       .source = options->source,
                                       .port = options->port,
                                       .timeout = options->timeout,
                                       .connect = options->connect,
                                       .limit = PROBE_MAX_INPUT};
    const struct smtp_hooks hooks = {.line = on_line, .ended = on_ended, .arg = probe};

    if (!probe)
        return NULL;
    probe->done = done;
    probe->arg = arg;
    probe->started = clock_mono();
    snprintf(probe->hello, sizeof probe->hello, "mxwp-%.32s.%.253s", options->nonce, options->node);
    snprintf(probe->rcpt_domain, sizeof probe->rcpt_domain, "%.253s",
             options->rcpt_domain ? options->rcpt_domain : "");
    probe->smtp = smtp_start(base, &where, &hooks);
    if (probe->smtp)
        return probe;
    free(probe);
    return NULL;
}

const char *probe_result_name(enum probe_result result)
{
    switch (result) {
    case PROBE_GOOD: return "good";
    case PROBE_REFUSED: return "refused";
    case PROBE_SILENT: return "silent";
    case PROBE_BAD_REPLY: return "reply";
    case PROBE_CLOSED: return "closed";
    case PROBE_LOCAL: return "local";
    }
    return "local";
}
