/*
 * Plays the MTA: a connection to the milter for each SMTP session of one message, with the stages
 * and macros that Postfix sends (src/milter/milter8.c; numbers from <libmilter/mfdef.h>). A stage
 * that the milter negotiated away is left out, one without a reply is sent together with the next.
 * As in load_policy.c, sessions come in pairs: a client at mx1, then the same one at mx2. Right is
 * a milter that lets every stage pass.
 */
#include "tests/bench/load.h"

#include <arpa/inet.h>
#include <libmilter/mfdef.h>
#include <stdio.h>
#include <string.h>

enum { CLIENTS = 200, RECIPIENTS = 50 };
enum step { OPTNEG, CONNECT, HELO, MAIL, RCPT, DATA, HEADERS, EOH = HEADERS + 4, EOB, QUIT };

/* A step each: where the milter did not ask to be spared the reply, each header is waited for. */
static const char *const headers[][2] = {
    {"Received", "from mail.example.net by mx.example.com with ESMTP id 4bXyz0Abcde"},
    {"From", "sender@example.net"},
    {"To", "user@guard.example.com"},
    {"Subject", "bench"},
};

/* A command under way: payload grows at the end of the buffer, length is patched in by close. */
struct frame {
    char *out;
    size_t size, length, start;
};

static void add(struct frame *frame, const void *bytes, size_t length)
{
    if (length > frame->size - frame->length)
        length = 0; /* the milter will complain of the short frame, and so the run fails */
    memcpy(frame->out + frame->length, bytes, length);
    frame->length += length;
}

static void add_text(struct frame *frame, const char *text)
{
    add(frame, text, strlen(text) + 1);
}

static void add_number(struct frame *frame, uint32_t number)
{
    uint32_t wire = htonl(number);
    add(frame, &wire, sizeof wire);
}

static void open_frame(struct frame *frame, char command)
{
    frame->start = frame->length;
    add_number(frame, 0);
    add(frame, &command, 1);
}

static void close_frame(struct frame *frame)
{
    uint32_t wire = htonl((uint32_t)(frame->length - frame->start - sizeof wire));
    memcpy(frame->out + frame->start, &wire, sizeof wire);
}

/* names_values: name, value, ..., NULL. */
static void add_macros(struct frame *frame, char stage, const char *const *names_values)
{
    open_frame(frame, SMFIC_MACRO);
    add(frame, &stage, 1);
    while (*names_values)
        add_text(frame, *names_values++);
    close_frame(frame);
}

static void add_connect(struct frame *frame, unsigned client, bool backup)
{
    char name[64], address[64];
    const uint16_t port = htons(40000);
    snprintf(name, sizeof name, "mail%u.example.net", client);
    snprintf(address, sizeof address, "198.51.100.%u", client + 1);
    add_macros(frame, SMFIC_CONNECT,
               (const char *const[]){"j", backup ? "mx2.example.com" : "mx1.example.com", "_", name,
                                     "{daemon_name}", "smtpd", "{daemon_addr}",
                                     backup ? "192.0.2.20" : "192.0.2.10", "{daemon_port}", "25",
                                     "v", "Postfix", NULL});
    open_frame(frame, SMFIC_CONNECT);
    add_text(frame, name);
    add(frame, (const char[]){SMFIA_INET}, 1);
    add(frame, &port, sizeof port);
    add_text(frame, address);
    close_frame(frame);
}

/* "before", number, "after" as the command's one argument. */
static void add_command(struct frame *frame, char command, const char *before, unsigned number,
                        const char *after)
{
    char text[128];
    snprintf(text, sizeof text, "%s%u%s", before, number, after);
    open_frame(frame, command);
    add_text(frame, text);
    close_frame(frame);
}

static void add_optneg(struct frame *frame)
{
    open_frame(frame, SMFIC_OPTNEG);
    add_number(frame, SMFI_PROT_VERSION);
    add_number(frame, SMFI_CURR_ACTS);
    add_number(frame, SMFI_CURR_PROT);
    close_frame(frame);
}

static void add_header(struct frame *frame, const char *const header[2])
{
    open_frame(frame, SMFIC_HEADER);
    add_text(frame, header[0]);
    add_text(frame, header[1]);
    close_frame(frame);
}

/* A command without arguments. */
static void add_bare(struct frame *frame, char command)
{
    open_frame(frame, command);
    close_frame(frame);
}

static void add_step(struct frame *frame, const struct load_turn *turn)
{
    unsigned client = (unsigned)(turn->number / 2 % CLIENTS);
    unsigned recipient = (unsigned)(turn->number / 2 % RECIPIENTS);
    bool backup = turn->number % 2 == 1;
    if (turn->step >= HEADERS && turn->step < EOH)
        add_header(frame, headers[turn->step - HEADERS]);
    switch ((enum step)turn->step) {
    case OPTNEG: add_optneg(frame); break;
    case CONNECT: add_connect(frame, client, backup); break;
    case HELO: add_command(frame, SMFIC_HELO, "mail", client, ".example.net"); break;
    case MAIL:
        add_macros(frame, SMFIC_MAIL,
                   (const char *const[]){"{mail_addr}", "sender@example.net", "{mail_host}",
                                         "example.net", "{mail_mailer}", "smtp", NULL});
        add_command(frame, SMFIC_MAIL, "<sender", client, "@example.net>");
        break;
    case RCPT:
        add_macros(frame, SMFIC_RCPT,
                   (const char *const[]){"{rcpt_addr}", "user@guard.example.com", "{rcpt_host}",
                                         "guard.example.com", "{rcpt_mailer}", "local", NULL});
        add_command(frame, SMFIC_RCPT, "<user", recipient, "@guard.example.com>");
        break;
    case DATA:
        add_macros(frame, SMFIC_DATA, (const char *const[]){"i", "4bXyz0Abcde", NULL});
        add_bare(frame, SMFIC_DATA);
        break;
    case EOH: add_bare(frame, SMFIC_EOH); break;
    case EOB:
        add_macros(frame, SMFIC_BODYEOB, (const char *const[]){"i", "4bXyz0Abcde", NULL});
        add_bare(frame, SMFIC_BODYEOB);
        break;
    case QUIT: add_bare(frame, SMFIC_QUIT); break;
    case HEADERS: break; /* the first of several, done above */
    }
}

/* What a milter may ask to be spared, by stage: the whole stage, or the reply. */
static const struct {
    uint32_t stage, reply;
} spared[] = {
    [OPTNEG] = {0, 0},
    [CONNECT] = {SMFIP_NOCONNECT, SMFIP_NR_CONN},
    [HELO] = {SMFIP_NOHELO, SMFIP_NR_HELO},
    [MAIL] = {SMFIP_NOMAIL, SMFIP_NR_MAIL},
    [RCPT] = {SMFIP_NORCPT, SMFIP_NR_RCPT},
    [DATA] = {SMFIP_NODATA, SMFIP_NR_DATA},
    [HEADERS... EOH - 1] = {SMFIP_NOHDRS, SMFIP_NR_HDR},
    [EOH] = {SMFIP_NOEOH, SMFIP_NR_EOH},
    [EOB] = {0, 0},
    [QUIT] = {0, 0},
};

/* turn->state holds what the milter negotiated. */
static size_t ask(struct load_turn *turn, char *out, size_t size)
{
    struct frame frame = {.out = out, .size = size};
    for (;; turn->step++) {
        bool is_sent = !(turn->state & spared[turn->step].stage);
        if (is_sent)
            add_step(&frame, turn);
        if (turn->step == QUIT)
            turn->over = true;
        if (turn->over || (is_sent && !(turn->state & spared[turn->step].reply)))
            return frame.length;
    }
}

static enum load_answer check(struct load_turn *turn, const char *data, size_t length, size_t *used)
{
    uint32_t wire[4];
    *used = 0;
    for (;;) {
        if (length - *used < sizeof wire[0] + 1)
            return LOAD_MORE;
        const char *frame = data + *used;
        memcpy(wire, frame, sizeof wire[0]);
        size_t body = ntohl(wire[0]);
        if (body < 1 || body > MILTER_CHUNK_SIZE)
            return LOAD_WRONG;
        if (length - *used < sizeof wire[0] + body)
            return LOAD_MORE;
        *used += sizeof wire[0] + body;
        char reply = frame[sizeof wire[0]];
        if (reply == SMFIR_PROGRESS)
            continue;
        if (turn->step != OPTNEG)
            return reply == SMFIR_CONTINUE || (reply == SMFIR_ACCEPT && turn->step == EOB)
                       ? LOAD_RIGHT
                       : LOAD_WRONG;
        if (reply != SMFIC_OPTNEG || body < 1 + MILTER_OPTLEN)
            return LOAD_WRONG;
        memcpy(wire, frame + sizeof wire[0] + 1, MILTER_OPTLEN);
        turn->state = ntohl(wire[2]);
        return LOAD_RIGHT;
    }
}

int main(int argc, char **argv)
{
    static const struct load_script script = {
        .program = "load_milter",
        .reconnect = true,
        .steps = {[OPTNEG] = "optneg",
                  [CONNECT] = "connect",
                  [HELO] = "helo",
                  [MAIL] = "mail",
                  [RCPT] = "rcpt",
                  [DATA] = "data",
                  [HEADERS] = "header1",
                  "header2",
                  "header3",
                  "header4",
                  [EOH] = "eoh",
                  [EOB] = "eom"},
        .ask = ask,
        .check = check,
    };
    return load_main(&script, argc, argv);
}
