/*
 * Reading Postfix's own account of its configuration, so that nothing here has to know where the
 * files are, how they are continued or what the defaults of this version are.
 */
#include "policy/postconf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value of the line "key = value", "" where it does not fit; false where there is no such
 * line. */
static bool find_line(const char *text, const char *key, char *out, size_t size)
{
    size_t length = strlen(key);

    out[0] = '\0';
    for (const char *line = text; *line;) {
        size_t end = strcspn(line, "\n");
        const char *value = line + length;
        if (end > length && memcmp(line, key, length) == 0) {
            value += strspn(value, " ");
            if (*value == '=' && value < line + end) {
                value++;
                value += strspn(value, " ");
                end -= (size_t)(value - line);
                if (end >= size)
                    end = 0;
                memcpy(out, value, end);
                out[end] = '\0';
                return true;
            }
        }
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return false;
}

bool postconf_get(const struct postconf_text *postconf, const struct postconf_service *service,
                  const char *name, char *out, size_t size)
{
    char key[300];

    if (service) {
        snprintf(key, sizeof key, "%.*s/%.*s/%s", (int)service->name.length, service->name.text,
                 (int)service->type.length, service->type.text, name);
        if (find_line(postconf->options, key, out, size))
            return *out;
    }
    return find_line(postconf->settings, name, out, size) && *out;
}

static struct postconf_word next_field(const char **at)
{
    struct postconf_word word;

    *at += strspn(*at, " \t");
    word.text = *at;
    word.length = strcspn(*at, " \t\n");
    *at += word.length;
    return word;
}

bool postconf_next_service(const char **at, struct postconf_service *out)
{
    while (**at) {
        out->name = next_field(at);
        out->type = next_field(at);
        next_field(at); /* private */
        next_field(at); /* unprivileged */
        out->chroot = next_field(at);
        next_field(at); /* wakeup */
        next_field(at); /* processes */
        out->command = next_field(at);
        *at += strcspn(*at, "\n");
        *at += **at == '\n';
        if (out->command.length > 0)
            return true;
    }
    return false;
}

bool postconf_is_chrooted(const struct postconf_text *postconf,
                          const struct postconf_service *service)
{
    char level[32];

    if (!postconf_word_is(&service->chroot, "-"))
        return postconf_word_is(&service->chroot, "y");
    /* The default was "y" up to compatibility level 0. */
    return postconf_get(postconf, NULL, "compatibility_level", level, sizeof level) &&
           strcmp(level, "0") == 0;
}

static bool is_separator(char c)
{
    return c == ',' || isspace((unsigned char)c);
}

bool postconf_next_word(const char **at, struct postconf_word *out)
{
    int depth = 0;
    const char *end;

    while (**at && is_separator(**at))
        (*at)++;
    for (end = *at; *end && (depth > 0 || !is_separator(*end)); end++)
        depth += *end == '{' ? 1 : *end == '}' ? -1 : 0;
    out->text = *at;
    out->length = (size_t)(end - *at);
    *at = end;
    return out->length > 0;
}

bool postconf_word_is(const struct postconf_word *word, const char *text)
{
    return word->length == strlen(text) && memcmp(word->text, text, word->length) == 0;
}

char *postconf_word_copy(const struct postconf_word *word, char *out, size_t size)
{
    const char *text = word->text;
    size_t length = word->length;

    if (length >= 2 && text[0] == '{' && text[length - 1] == '}') {
        text++;
        length -= 2;
    }
    snprintf(out, size, "%.*s", (int)length, text);
    return out;
}

long postconf_seconds(const char *text)
{
    static const struct {
        const char *name;
        long seconds;
    } units[] = {{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800}};
    char *end;
    long number = isdigit((unsigned char)*text) ? strtol(text, &end, 10) : -1;

    for (size_t i = 0; number >= 0 && number < 1000000 && i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].name) == 0)
            return number * units[i].seconds;
    return -1;
}

unsigned postconf_version(const char *text)
{
    unsigned major, minor;

    return sscanf(text, "%3u.%3u", &major, &minor) == 2 ? major * 1000 + minor : 0;
}
