/*
 * The scanner: tokens as libconfuse's lexer takes them, the shape of sections and keys, and the
 * clean copy. It does not judge a value, nor unescape one.
 *
 * Where the shape is not what the table says, the scanner is lost: it goes on copying, so that
 * libconfuse finds the same fault and words it, and records no more keys.
 */
#include "policy/conf_scan.h"

#include "policy/conf_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum token { TOKEN_END, TOKEN_WORD, TOKEN_MARK };

struct scanner {
    struct conf_reader *reader;
    struct conf_scan *scan;
    const char *at, *end;
    unsigned line;
    FILE *copy;
    bool muted;  /* inside what is not copied */
    bool pushed; /* the current token is to be read again */
    /* the current token */
    enum token token;
    char mark; /* of TOKEN_MARK: one of {}()=+, where + is "+=" */
    const char *start;
    size_t length; /* quotes included */
    unsigned token_line;
    bool bad; /* a string that libconfuse must not see */
};

/* What belongs to no key. */
static void scan_report(struct scanner *s, unsigned line, const char *text)
{
    conf_report(s->reader, s->scan->root, "", line, true, "%s", text);
}

/* The unquoted characters of libconfuse's lexer. */
static bool is_word(char c)
{
    return c != '\0' && !strchr(" #\"'\t\n\r={}()+,*", c);
}

/* The line ends that stay in the copy whatever else does not. */
static void copy_lines(struct scanner *s, const char *from, const char *to)
{
    for (; from < to; from++)
        if (*from == '\n') {
            fputc('\n', s->copy);
            s->line++;
        }
}

/* Past a comment that begins here. False where none does. */
static bool skip_comment(struct scanner *s)
{
    const char *from = s->at, *close;

    if (*from == '#' || strncmp(from, "//", 2) == 0) {
        s->at += strcspn(from, "\n");
        return true;
    }
    if (strncmp(from, "/*", 2) != 0)
        return false;
    close = strstr(from + 2, "*/");
    if (!close) {
        scan_report(s, s->line, "a comment without its end");
        s->scan->broken = true;
    }
    s->at = close ? close + 2 : s->end;
    copy_lines(s, from, s->at);
    return true;
}

/* The rules of libconfuse for a number after a backslash, and none for a NUL: it would cut the
 * value off. */
static bool is_good_escape(const char *text, size_t *length)
{
    size_t digits = strspn(text, "0123456789");
    char *end;

    *length = 1;
    if (digits > 0) {
        long number = strtol(text, &end, 8);
        *length = digits;
        return digits <= 3 && (size_t)(end - text) == digits && number > 0 && number <= 0xff;
    }
    if (*text == 'x' && strspn(text + 1, "0123456789abcdefABCDEF") > 0)
        return !(text[1] == '0' && (text[2] == '0' || !strspn(text + 2, "0123456789abcdefABCDEF")));
    return true;
}

/* To the end of a quoted string. */
static void scan_string(struct scanner *s)
{
    char quote = *s->at;
    size_t skip;

    for (s->at++; s->at < s->end && *s->at != quote; s->at++) {
        if (*s->at == '\\') {
            s->at++;
            if (quote == '\'' || s->at >= s->end)
                continue;
            if (!is_good_escape(s->at, &skip)) {
                scan_report(s, s->token_line, "a bad escape sequence in a string");
                s->bad = true;
            }
            s->at += skip - 1;
        } else if (quote == '"' && strncmp(s->at, "${", 2) == 0) {
            scan_report(s, s->token_line,
                        "${...} is not expanded; to mean it literally use single quotes");
            s->bad = true;
        }
    }
    if (s->at < s->end) {
        s->at++;
        return;
    }
    s->at = s->end;
    scan_report(s, s->token_line, "a string without its closing quote");
    s->scan->broken = true;
}

/* "${" is no word to libconfuse but a variable's name up to the next brace. */
static void scan_word(struct scanner *s)
{
    while (s->at < s->end && is_word(*s->at))
        s->at++;
    if (s->at[-1] == '$' && *s->at == '{') {
        scan_report(s, s->token_line, "${...} is not expanded");
        s->at += strcspn(s->at, "}\n");
        s->at += *s->at == '}';
        s->bad = true;
    }
}

/* Past white space, comments, and what libconfuse would silently drop. */
static void skip_blanks(struct scanner *s)
{
    for (; s->at < s->end && !s->scan->broken; s->at++) {
        while (skip_comment(s))
            continue;
        if (s->at >= s->end)
            return;
        if (*s->at == '\n') {
            copy_lines(s, s->at, s->at + 1);
        } else if (*s->at == '*' || (*s->at == '+' && s->at[1] != '=')) {
            char text[] = "an unexpected '?': a value with it needs quotes";
            *strchr(text, '?') = *s->at;
            scan_report(s, s->line, text);
        } else if (!strchr(" \t\r", *s->at)) {
            return;
        }
    }
}

/* Takes the next token, or the one pushed back, without copying it: each token is copied exactly
 * once, muted or not, because that is what counts the lines inside of strings. */
static enum token next_token(struct scanner *s)
{
    if (s->pushed) {
        s->pushed = false;
        return s->token;
    }
    skip_blanks(s);
    s->start = s->at;
    s->token_line = s->line;
    s->bad = false;
    s->token = TOKEN_WORD;
    if (s->at >= s->end || s->scan->broken) {
        s->token = TOKEN_END;
    } else if (*s->at == '"' || *s->at == '\'') {
        scan_string(s);
        s->token = s->scan->broken ? TOKEN_END : TOKEN_WORD;
    } else if (is_word(*s->at)) {
        scan_word(s);
    } else {
        s->token = TOKEN_MARK;
        s->mark = *s->at;
        s->at += s->mark == '+' ? 2 : 1;
    }
    s->length = (size_t)(s->at - s->start);
    return s->token;
}

static bool is_mark(const struct scanner *s, char mark)
{
    return s->token == TOKEN_MARK && s->mark == mark;
}

/* The current token into the copy, or its line ends only. */
static void copy_token(struct scanner *s)
{
    if (s->token == TOKEN_END)
        return;
    if (s->muted || s->bad) {
        copy_lines(s, s->start, s->start + s->length);
        if (!s->muted)
            fputs("bad ", s->copy);
        return;
    }
    fwrite(s->start, 1, s->length, s->copy);
    fputc(' ', s->copy);
    for (size_t i = 0; i < s->length; i++)
        s->line += s->start[i] == '\n';
}

static enum token take_token(struct scanner *s)
{
    next_token(s);
    copy_token(s);
    return s->token;
}

/* Without its quotes. Of the escapes only those that a quoted string cannot do without are taken,
 * as for the title "\"a b\"@example.com"; no name or title has others. */
static const char *token_text(struct scanner *s)
{
    bool quoted = *s->start == '"' || *s->start == '\'';
    char *text =
        conf_memory_copy(s->reader->scratch, s->start + quoted, s->length - (quoted ? 2 : 0));
    char *to = text;

    for (const char *from = text; quoted && *from; *to++ = *from++)
        if (*from == '\\' && (from[1] == *s->start || from[1] == '\\'))
            from++;
    if (quoted)
        *to = '\0';
    return text;
}

/* Keeps the first place only: what follows it is a consequence. */
static void lose(struct scanner *s, const struct conf_section *section, const char *key)
{
    if (s->scan->lost_line == 0) {
        s->scan->lost_line = s->token_line;
        s->scan->lost_section = section;
        s->scan->lost_key = key;
    }
}

static bool is_lost(const struct scanner *s)
{
    return s->scan->lost_line != 0;
}

/* Up to the mark that closes what is open, which may hold more of the same. */
static void skip_braces(struct scanner *s, char open, char close)
{
    int depth = 1;

    while (depth > 0 && take_token(s) != TOKEN_END)
        depth += is_mark(s, open) - is_mark(s, close);
}

/* Tells a forgotten value ("foo" before "mode = ...") from a title. */
static bool is_known(struct scanner *s, const struct conf_section *section)
{
    const char *name = token_text(s);

    return conf_key_find(section->scope, name) || conf_key_find_section(section->scope, name);
}

/* Past an unknown key and whatever it is given: a value, or a title and a section. */
static void skip_unknown(struct scanner *s, const struct conf_section *section)
{
    bool done = false;

    s->muted = true;
    copy_token(s);
    next_token(s);
    if (is_mark(s, '=') || is_mark(s, '+')) {
        next_token(s);
        done = s->token == TOKEN_WORD;
        if (done)
            copy_token(s);
    } else if (s->token == TOKEN_WORD && !is_known(s, section)) {
        copy_token(s);
        next_token(s);
    }
    if (is_mark(s, '{'))
        skip_braces(s, '{', '}');
    else if (is_mark(s, '('))
        skip_braces(s, '(', ')');
    else
        s->pushed = !done;
    s->muted = false;
}

/* Notes the line of one more item; the array doubles when its count is a power of two. */
static void add_item(struct scanner *s, struct conf_place *place)
{
    size_t count = place->line_count++;
    unsigned *grown;

    if ((count & (count - 1)) == 0) {
        grown = conf_memory_get(s->reader->scratch, (count ? 2 * count : 1) * sizeof *grown);
        for (size_t i = 0; i < count; i++)
            grown[i] = place->item_line[i];
        place->item_line = grown;
    }
    place->item_line[count] = s->token_line;
    place->ignored |= s->bad;
}

/* The items of a list, its opening brace being the current token. */
static void scan_list(struct scanner *s, struct conf_section *section, struct conf_place *place)
{
    bool comma = true;

    while (take_token(s) != TOKEN_END && !is_mark(s, '}')) {
        if (s->token == TOKEN_WORD ? !comma : !is_mark(s, ','))
            break;
        comma = s->token != TOKEN_WORD;
        if (!comma)
            add_item(s, place);
    }
    if (!is_mark(s, '}'))
        lose(s, section, place->key->name);
}

/* What follows a key that takes one value or a list. */
static void scan_value(struct scanner *s, struct conf_section *section, struct conf_place *place)
{
    const char *name = place->key->name;

    next_token(s);
    if (is_mark(s, '+')) {
        conf_report(s->reader, section, name, s->token_line, true,
                    "lists replace, they do not add: write '='");
        fputs("= ", s->copy);
    } else {
        copy_token(s);
        if (!is_mark(s, '=')) {
            lose(s, section, name);
            return;
        }
    }
    next_token(s);
    if (is_mark(s, '{') && !place->key->list) {
        conf_report(s->reader, section, name, place->line, true, "takes one value, not a list");
        fputs("bad ", s->copy);
        s->muted = true;
        skip_braces(s, '{', '}');
        s->muted = false;
        place->ignored = true;
        return;
    }
    copy_token(s);
    place->ignored |= s->bad;
    if (is_mark(s, '{'))
        scan_list(s, section, place);
    else if (s->token != TOKEN_WORD)
        lose(s, section, name);
}

/* A known key: notes its place, and whether the section had it already. */
static void scan_key(struct scanner *s, struct conf_section *section, const struct conf_key *key)
{
    struct conf_place *place = conf_memory_get(s->reader->scratch, sizeof *place);

    *place = (struct conf_place){.key = key, .line = s->token_line};
    for (struct conf_place *other = section->place; other; other = other->next)
        if (other->key == key) {
            conf_report(s->reader, section, key->name, place->line, true,
                        "set twice, first in line %u", other->line);
            place->ignored = true;
            break;
        }
    *(section->last_place ? &section->last_place->next : &section->place) = place;
    section->last_place = place;
    copy_token(s);
    scan_value(s, section, place);
}

/* Appends to the parent's children, so that their order is the file's. */
static struct conf_section *add_section(struct scanner *s, struct conf_section *parent,
                                        const struct conf_nesting *nesting)
{
    struct conf_section *section = conf_memory_get(s->reader->scratch, sizeof *section);

    *section = (struct conf_section){.scope = nesting->scope,
                                     .name = nesting->name,
                                     .title = "",
                                     .line = s->token_line,
                                     .parent = parent};
    *(parent->last_child ? &parent->last_child->next : &parent->child) = section;
    parent->last_child = section;
    return section;
}

/* "A repeated section" is one without a title: there are few of them, so looking back is cheap;
 * titles are compared when they have been normalised. */
static void check_repeated(struct scanner *s, const struct conf_section *section)
{
    const struct conf_section *other = section->parent->child;

    while (other->scope != section->scope)
        other = other->next;
    if (other != section)
        conf_report(s->reader, section, "", section->line, true,
                    "a second section of this name, the first is in line %u", other->line);
}

static void scan_items(struct scanner *s, struct conf_section *section);

/* A title is taken out of the copy: libconfuse would look through all earlier ones for it. */
static void scan_section(struct scanner *s, struct conf_section *parent,
                         const struct conf_nesting *nesting)
{
    struct conf_section *section = add_section(s, parent, nesting);

    copy_token(s);
    next_token(s);
    if (nesting->titled) {
        if (s->token != TOKEN_WORD) {
            conf_report(s->reader, section, "", section->line, true, "needs a title");
            s->pushed = true;
        } else {
            section->title = token_text(s);
            copy_lines(s, s->start, s->start + s->length);
        }
        next_token(s);
    } else {
        check_repeated(s, section);
    }
    copy_token(s);
    if (!is_mark(s, '{')) {
        lose(s, section, "");
        return;
    }
    scan_items(s, section);
    if (!is_mark(s, '}'))
        lose(s, section, "");
}

/* Keys and sections up to the closing brace or the end. */
static void scan_items(struct scanner *s, struct conf_section *section)
{
    while (!is_lost(s) && next_token(s) == TOKEN_WORD) {
        const char *name = token_text(s);
        const struct conf_key *key = conf_key_find(section->scope, name);
        const struct conf_nesting *nesting = conf_key_find_section(section->scope, name);

        if (key) {
            scan_key(s, section, key);
        } else if (nesting) {
            scan_section(s, section, nesting);
        } else {
            conf_report(s->reader, section, name, s->token_line, true, "unknown key");
            skip_unknown(s, section);
        }
    }
    if (is_lost(s))
        return;
    copy_token(s);
    if (s->token == TOKEN_MARK && (s->mark != '}' || !section->parent))
        lose(s, section, "");
}

void conf_scan_text(struct conf_reader *reader, const char *text, size_t length,
                    struct conf_scan *out)
{
    struct scanner s = {.reader = reader, .scan = out, .at = text, .end = text + length, .line = 1};
    size_t size;

    *out = (struct conf_scan){.root = conf_memory_get(reader->scratch, sizeof *out->root)};
    *out->root = (struct conf_section){.scope = CONF_TOP, .name = "", .title = ""};
    s.copy = open_memstream(&out->clean, &size);
    if (!s.copy) {
        scan_report(&s, 0, "out of memory");
        return;
    }
    scan_items(&s, out->root);
    while (is_lost(&s) && take_token(&s) != TOKEN_END)
        continue;
    fclose(s.copy);
}

static const struct conf_section *find_scope(const struct conf_section *section,
                                             enum conf_scope scope)
{
    while (section && section->scope != scope)
        section = section->next;
    return section;
}

const struct conf_section *conf_scan_first(const struct conf_section *parent, enum conf_scope scope)
{
    return find_scope(parent->child, scope);
}

const struct conf_section *conf_scan_next(const struct conf_section *section)
{
    return find_scope(section->next, section->scope);
}

size_t conf_scan_count(const struct conf_section *parent, enum conf_scope scope)
{
    const struct conf_section *section;
    size_t count = 0;

    for (section = conf_scan_first(parent, scope); section; section = conf_scan_next(section))
        count++;
    return count;
}

unsigned conf_scan_line(const struct conf_section *section, const char *key)
{
    for (const struct conf_place *place = section->place; place; place = place->next)
        if (strcmp(place->key->name, key) == 0)
            return place->line;
    return section->line;
}

bool conf_scan_is_set(const struct conf_section *section, const char *key)
{
    for (const struct conf_place *place = section->place; place; place = place->next)
        if (strcmp(place->key->name, key) == 0)
            return true;
    return false;
}
