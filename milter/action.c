/*
 * Actions to verdicts, and texts made fit for an SMTP reply or a header. The service is our own,
 * but what it says may hold parts of what a client said, so nothing here trusts it.
 */
#include "milter/action.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* "451 4.7.1 " is what libmilter puts before a text. */
enum { ACTION_PREFIX = 10 };

static const char DEFAULT_TEXT[] = "Please try again";

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_spaces(const char *text)
{
    return text + strspn(text, " \t");
}

/* Copies one line, as much of it as fits when each '%' counts twice. */
static void text_copy(const char *from, char out[ACTION_LINE])
{
    size_t length = 0, weight = ACTION_PREFIX;

    for (from = skip_spaces(from); *from; from++) {
        char c = *from >= ' ' && *from <= '~' ? *from : '?';
        weight += c == '%' ? 2 : 1;
        if (weight > ACTION_LINE)
            break;
        out[length++] = c;
    }
    while (length > 0 && out[length - 1] == ' ')
        length--;
    out[length] = '\0';
}

/* The length of an enhanced status code at the start of text ("4.7.1", RFC 3463: class, then two
 * numbers of one to three digits), 0 where there is none of that class. */
static size_t status_length(const char *text, char class)
{
    size_t at = 1;

    if (text[0] != class)
        return 0;
    for (int part = 0; part < 2; part++) {
        size_t digits = 0;
        if (text[at] != '.')
            return 0;
        while (is_digit(text[at + 1 + digits]))
            digits++;
        if (digits < 1 || digits > 3)
            return 0;
        at += 1 + digits;
    }
    return text[at] == ' ' || text[at] == '\0' ? at : 0;
}

/* text is what follows the code or the action's name: perhaps a status, perhaps words. */
static void reply_parse(const char *code, const char *text, struct action *out)
{
    out->kind = code[0] == '4' ? ACTION_DEFER : ACTION_REJECT;
    memcpy(out->code, code, 3);
    text = skip_spaces(text);
    size_t length = status_length(text, code[0]);
    if (length > 0)
        memcpy(out->status, text, length);
    else
        memcpy(out->status, code[0] == '4' ? "4.7.1" : "5.7.1", 6);
    text_copy(text + length, out->text);
    if (out->text[0] == '\0')
        memcpy(out->text, DEFAULT_TEXT, sizeof DEFAULT_TEXT);
}

/* "Name: value". RFC 5322 2.2: a name is printable ASCII without ':' or space. */
static void header_parse(const char *text, struct action *out)
{
    size_t length = 0;

    text = skip_spaces(text);
    while (text[length] > ' ' && text[length] <= '~' && text[length] != ':')
        length++;
    if (length == 0 || length >= sizeof out->name || text[length] != ':')
        return;
    text_copy(text + length + 1, out->text);
    if (out->text[0] == '\0')
        return;
    memcpy(out->name, text, length);
    out->kind = ACTION_TAG;
}

void action_parse(const char *text, struct action *out)
{
    static const struct {
        const char *word, *code;
    } refusals[] = {
        {"DEFER", "451"},
        {"DEFER_IF_PERMIT", "451"},
        {"REJECT", "550"},
    };

    memset(out, 0, sizeof *out);
    text = skip_spaces(text);
    size_t length = strcspn(text, " \t");
    const char *rest = text + length;

    if (length == 3 && (text[0] == '4' || text[0] == '5') && is_digit(text[1]) &&
        is_digit(text[2])) {
        reply_parse(text, rest, out);
        return;
    }
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (length == strlen(refusals[i].word) && !strncasecmp(text, refusals[i].word, length)) {
            reply_parse(refusals[i].code, rest, out);
            return;
        }
    }
    if (length == 7 && !strncasecmp(text, "PREPEND", length)) {
        header_parse(rest, out);
    } else if (length == 4 && !strncasecmp(text, "HOLD", length)) {
        out->kind = ACTION_HOLD;
        text_copy(rest, out->text);
    }
    if (out->kind == ACTION_ACCEPT)
        out->text[0] = '\0';
}

void action_escape(const char *text, char out[ACTION_LINE + 1])
{
    size_t length = 0;

    for (; *text && length + 2 <= ACTION_LINE; text++) {
        if (*text == '%')
            out[length++] = '%';
        out[length++] = *text;
    }
    out[length] = '\0';
}

const char *action_name(enum action_kind kind)
{
    switch (kind) {
    case ACTION_ACCEPT: return "accept";
    case ACTION_TAG: return "tag";
    case ACTION_HOLD: return "hold";
    case ACTION_DEFER: return "defer";
    case ACTION_REJECT: return "reject";
    }
    return "";
}
