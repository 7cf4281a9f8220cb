/*
 * The session: each reply settles the command before it, and the next follows.
 */
#include "policy/etrn.h"

#include "cache/name.h"
#include "policy/smtp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ETRN_CONNECT_MS = 5000, ETRN_MAX_INPUT = 64 * 1024 };

enum stage { STAGE_BANNER, STAGE_EHLO, STAGE_ETRN, STAGE_QUIT };

struct etrn {
    enum stage stage;
    struct smtp *smtp;
    char name[NAME_SIZE];
    size_t count, told; /* domains, and those that have their answer */
    char (*domain)[NAME_SIZE];
    struct etrn_answer *answer;
    etrn_done *done;
    void *arg;
};

void etrn_stop(struct etrn *etrn)
{
    if (!etrn)
        return;
    smtp_stop(etrn->smtp);
    free(etrn->domain);
    free(etrn->answer);
    free(etrn);
}

static void etrn_end(struct etrn *etrn)
{
    etrn->done(etrn->arg, etrn->answer, etrn->count);
    etrn_stop(etrn);
}

/* For the next domain, or for all that are left. */
static void tell(struct etrn *etrn, enum etrn_result result, const char *text, size_t length,
                 bool all)
{
    do {
        struct etrn_answer *answer = &etrn->answer[etrn->told++];
        answer->result = result;
        smtp_line_copy(text, length, answer->reply, sizeof answer->reply);
    } while (all && etrn->told < etrn->count);
}

static void on_ended(void *arg, enum smtp_end end, const char *why)
{
    struct etrn *etrn = arg;

    (void)end;
    if (etrn->told < etrn->count)
        tell(etrn, ETRN_FAILED, why, strlen(why), true);
    etrn_end(etrn);
}

static enum etrn_result result_of(int code)
{
    if (code >= 250 && code <= 253)
        return ETRN_DONE;
    return code / 100 == 4 && code != 459 ? ETRN_LATER : ETRN_REFUSED;
}

/* A banner or EHLO that is no good settles every domain: so does a 421, after which the server
 * hangs up (RFC 5321 3.8). */
static void give_up(struct etrn *etrn, const struct smtp_line *line)
{
    enum etrn_result result = line->code / 100 == 4 ? ETRN_LATER : ETRN_REFUSED;

    tell(etrn, result, line->text, line->length, true);
    smtp_quit(etrn->smtp);
    etrn->stage = STAGE_QUIT;
}

static void say_next(struct etrn *etrn)
{
    if (etrn->told < etrn->count) {
        smtp_say(etrn->smtp, "ETRN %s", etrn->domain[etrn->told]);
        etrn->stage = STAGE_ETRN;
    } else {
        smtp_quit(etrn->smtp);
        etrn->stage = STAGE_QUIT;
    }
}

static bool on_line(void *arg, const struct smtp_line *line)
{
    struct etrn *etrn = arg;

    if (!line->last && line->code)
        return true;
    switch (etrn->stage) {
    case STAGE_BANNER:
        if (line->code == 220) {
            smtp_say(etrn->smtp, "EHLO %s", etrn->name);
            etrn->stage = STAGE_EHLO;
        } else {
            give_up(etrn, line);
        }
        break;
    case STAGE_EHLO:
        if (line->code == 250)
            say_next(etrn);
        else
            give_up(etrn, line);
        break;
    case STAGE_ETRN:
        if (line->code == 421) {
            give_up(etrn, line);
        } else {
            tell(etrn, result_of(line->code), line->text, line->length, false);
            say_next(etrn);
        }
        break;
    case STAGE_QUIT: etrn_end(etrn); return false;
    }
    return true;
}

struct etrn *etrn_start(struct event_base *base, const struct net_addr *addr, uint16_t port,
                        const char *name, const char *const *domain, size_t count, int64_t timeout,
                        etrn_done *done, void *arg)
{
    struct etrn *etrn = calloc(1, sizeof *etrn);
    const struct smtp_options where = {.addr = *addr,
                                       .port = port,
                                       .timeout = timeout,
                                       .connect = ETRN_CONNECT_MS,
                                       .limit = ETRN_MAX_INPUT};
    const struct smtp_hooks hooks = {.line = on_line, .ended = on_ended, .arg = etrn};

    if (!etrn)
        return NULL;
    etrn->done = done;
    etrn->arg = arg;
    etrn->count = count;
    etrn->domain = calloc(count, sizeof *etrn->domain);
    etrn->answer = calloc(count, sizeof *etrn->answer);
    snprintf(etrn->name, sizeof etrn->name, "%s", name);
    for (size_t i = 0; etrn->domain && i < count; i++)
        snprintf(etrn->domain[i], sizeof etrn->domain[i], "%s", domain[i]);
    if (etrn->domain && etrn->answer && (etrn->smtp = smtp_start(base, &where, &hooks)))
        return etrn;
    etrn_stop(etrn);
    return NULL;
}

bool etrn_is_final(const struct etrn_answer *answer)
{
    return answer->result == ETRN_DONE || answer->result == ETRN_REFUSED;
}

const char *etrn_result_name(enum etrn_result result)
{
    switch (result) {
    case ETRN_DONE: return "done";
    case ETRN_LATER: return "later";
    case ETRN_REFUSED: return "refused";
    case ETRN_FAILED: break;
    }
    return "failed";
}

const char *etrn_hint(const struct etrn_answer *answer)
{
    switch (answer->result) {
    case ETRN_DONE: return "";
    case ETRN_FAILED: return "is the server there, and `flush` its address?";
    case ETRN_LATER:
    case ETRN_REFUSED: break;
    }
    if (strncmp(answer->reply, "459", 3) == 0)
        return "Postfix: fast_flush_domains must hold the domain";
    if (strncmp(answer->reply, "458", 3) == 0)
        return "Postfix: see its log, and whether the flush service runs";
    if (strncmp(answer->reply, "50", 2) == 0)
        return "the server knows no ETRN, or it does not allow it here";
    return "Postfix: smtpd_etrn_restrictions and smtpd_client_restrictions must permit this host";
}
