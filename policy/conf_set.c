/*
 * Setters of plain values: numbers, durations, words, texts, and the files of secrets.
 */
#include "policy/conf_set.h"

#include "policy/conf_file.h"
#include "policy/conf_value.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SECRET_MIN = 16, SECRET_MAX = 4096, DELIMITER_MAX = 8, TOKEN_MAX = 64 };

bool conf_set_bool(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    if (conf_value_bool(value->item[0], field))
        return true;
    conf_report_value(reader, value, 0, "\"%s\" is neither true nor false", value->item[0]);
    return false;
}

/* The key's bounds are part of the message: nobody should have to look them up. */
bool conf_set_time(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    int64_t duration, low = value->key->low, high = value->key->high;
    char low_text[32], high_text[32];

    if (!conf_value_duration(value->item[0], &duration)) {
        conf_report_value(reader, value, 0,
                          "\"%s\" is no duration (such as 0, 500ms, 15s, 10m, 4h, 1d)",
                          value->item[0]);
        return false;
    }
    if (duration < low || duration > high) {
        conf_report_value(reader, value, 0, "\"%s\" is out of range (%s to %s)", value->item[0],
                          conf_value_format_duration(low, low_text),
                          conf_value_format_duration(high, high_text));
        return false;
    }
    *(int64_t *)field = duration;
    return true;
}

/* Within the key's bounds, or reported. */
static bool take_number(struct conf_reader *reader, const struct conf_value *value, int64_t *out)
{
    if (conf_value_number(value->item[0], out) && *out >= value->key->low &&
        *out <= value->key->high)
        return true;
    conf_report_value(reader, value, 0, "\"%s\" is no number from %lld to %lld", value->item[0],
                      (long long)value->key->low, (long long)value->key->high);
    return false;
}

bool conf_set_number(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    int64_t number;

    if (!take_number(reader, value, &number))
        return false;
    *(unsigned *)field = (unsigned)number;
    return true;
}

bool conf_set_size(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    int64_t number;

    if (!take_number(reader, value, &number))
        return false;
    *(size_t *)field = (size_t)number;
    return true;
}

/* The enums of conf.h begin at 0 and are as wide as unsigned, to gcc and clang alike. */
bool conf_set_word(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    if (conf_value_word(value->item[0], value->key->words, field))
        return true;
    conf_report_value(reader, value, 0, "\"%s\" is none of %s", value->item[0], value->key->words);
    return false;
}

/* Goes into one line of an SMTP reply. */
bool conf_set_line(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    size_t length = strlen(value->item[0]);

    if (length < (size_t)value->key->low || length > (size_t)value->key->high) {
        conf_report_value(reader, value, 0, "has %zu bytes, not %lld to %lld", length,
                          (long long)value->key->low, (long long)value->key->high);
        return false;
    }
    if (!conf_value_is_line(value->item[0])) {
        conf_report_value(reader, value, 0, "holds control characters, or is not UTF-8");
        return false;
    }
    *(char **)field = conf_keep_text(reader, value->item[0]);
    return true;
}

/* Empty only where the key's lower bound is 0. */
bool conf_set_token(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    const char *text = value->item[0];

    if (!conf_value_is_token(text, (size_t)value->key->high) && (*text || value->key->low > 0)) {
        conf_report_value(reader, value, 0,
                          "\"%s\" is not up to %lld letters, digits, '-', '_' and '.'", text,
                          (long long)value->key->high);
        return false;
    }
    *(char **)field = conf_keep_text(reader, text);
    return true;
}

/* A host name in its canonical form, or nothing. */
bool conf_set_name(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    char *name = field;

    *name = '\0';
    if (!*value->item[0] || name_normalize(value->item[0], strlen(value->item[0]), name))
        return true;
    conf_report_value(reader, value, 0, "\"%s\" is no host name", value->item[0]);
    return false;
}

/* Octal. Whoever owns the sockets must be able to use them. */
bool conf_set_mode(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    const char *text = value->item[0];
    size_t length = strlen(text);
    unsigned long mode = strtoul(text, NULL, 8);

    if (length < 3 || length > 5 || strspn(text, "01234567") != length || mode > 0777 ||
        (mode & 0600) != 0600) {
        conf_report_value(reader, value, 0, "\"%s\" is no octal mode of at least 0600", text);
        return false;
    }
    *(mode_t *)field = (mode_t)mode;
    return true;
}

/* Any of several characters, none of which may be special in an address. */
bool conf_set_delimiter(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    const char *text = value->item[0];

    for (const char *at = text; *at; at++)
        if (*at <= ' ' || *at >= 0x7f || strchr("@\"\\<>", *at) || at - text >= DELIMITER_MAX) {
            conf_report_value(reader, value, 0, "\"%s\" are no delimiters", text);
            return false;
        }
    *(char **)field = conf_keep_text(reader, text);
    return true;
}

/* The services that never deliver would break what a pool promises. */
bool conf_set_transport(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    const char *text = value->item[0];
    unsigned place;

    if (!conf_value_is_token(text, TOKEN_MAX)) {
        conf_report_value(reader, value, 0, "\"%s\" is no name of a service in master.cf", text);
        return false;
    }
    if (conf_value_word(text, "error,retry,discard", &place)) {
        conf_report_value(reader, value, 0, "\"%s\" delivers nothing", text);
        return false;
    }
    *(char **)field = conf_keep_text(reader, text);
    return true;
}

/* A daemon's working directory is no place to begin a path from. */
static bool is_absolute(struct conf_reader *reader, const struct conf_value *value)
{
    if (value->item[0][0] == '/')
        return true;
    conf_report_value(reader, value, 0, "\"%s\" is not an absolute path", value->item[0]);
    return false;
}

/* Only noted: its domains need the guard section, which may come later. */
bool conf_set_domains_file(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    (void)field;
    reader->domains_file = *value->item[0] == '/' ? value->item[0] : "";
    reader->domains_file_line = value->line;
    return !*value->item[0] || is_absolute(reader, value);
}

/* The first line of a file that is nobody else's business, into scratch memory. "" for no file, and
 * where secrets are not to be read. NULL after reporting. */
static const char *read_secret(struct conf_reader *reader, const struct conf_value *value)
{
    const char *path = value->item[0], *trouble;
    char *secret = NULL;
    struct conf_file file;

    if (!*path || !is_absolute(reader, value))
        return *path ? NULL : "";
    if (!reader->secrets)
        return "";
    trouble = conf_file_read_text(path, &file);
    if (!trouble && (file.mode & (S_IROTH | S_IWOTH)))
        trouble = "is open to everybody: chmod o-rwx";
    if (!trouble) {
        file.text[strcspn(file.text, "\r\n")] = '\0';
        if (!*file.text || strlen(file.text) > SECRET_MAX)
            trouble = "its first line is empty, or longer than 4096 bytes";
        else
            secret = conf_memory_text(reader->scratch, file.text);
    }
    if (file.text)
        explicit_bzero(file.text, file.length);
    free(file.text);
    if (trouble)
        conf_report_value(reader, value, 0, "%s: %s", path, trouble);
    return secret;
}

bool conf_set_password_file(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    const char *secret = read_secret(reader, value);

    ((struct conf *)field)->cache.password = conf_keep_text(reader, secret ? secret : "");
    return secret;
}

/* Too short a secret could be guessed from the MACs it makes. */
bool conf_set_secret_file(struct conf_reader *reader, const struct conf_value *value, void *field)
{
    const char *secret = read_secret(reader, value);
    struct conf *conf = field;

    conf->cache.secret_size = 0;
    if (!secret)
        return false;
    if (*secret && strlen(secret) < SECRET_MIN) {
        conf_report_value(reader, value, 0, "%s: shorter than %d bytes", value->item[0],
                          SECRET_MIN);
        return false;
    }
    conf->cache.secret_size = strlen(secret);
    conf->cache.secret = (uint8_t *)conf_keep_text(reader, secret);
    return true;
}
