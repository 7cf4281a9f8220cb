/*
 * policy/log.c: what reaches stderr, and what outside text is turned into.
 */
#include "policy/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Stands in for stderr while something is logged. */
struct capture {
    FILE *file;
    int saved;
};

static void start_capture(struct capture *capture)
{
    capture->file = tmpfile();
    assert_non_null(capture->file);
    capture->saved = dup(STDERR_FILENO);
    assert_true(dup2(fileno(capture->file), STDERR_FILENO) >= 0);
}

static void stop_capture(struct capture *capture, char *out, size_t size)
{
    size_t length;

    dup2(capture->saved, STDERR_FILENO);
    close(capture->saved);
    rewind(capture->file);
    length = fread(out, 1, size - 1, capture->file);
    out[length] = '\0';
    fclose(capture->file);
}

static const struct {
    const char *label, *text;
    size_t size;
    const char *wanted;
} escapes[] = {
    {"plain", "user@example.com", 64, "user@example.com"},
    {"nothing", "", 64, ""},
    {"a line end", "a\r\nb", 64, "a\\x0d\\x0ab"},
    {"space, quotes, backslash, equals", " \"'\\=", 64, "\\x20\\x22\\x27\\x5c\\x3d"},
    {"control and high bytes", "\x01\x7f\xc3\xbc\xff", 64, "\\x01\\x7f\\xc3\\xbc\\xff"},
    {"format characters", "%n%s", 64, "%n%s"},
    {"just fits", "abcdefg", 8, "abcdefg"},
    {"cut", "abcdefgh", 8, "abcd..."},
    {"cut before an escape", "abc\n\n", 8, "abc..."},
    {"an escape that just fits", "abc\n", 8, "abc\\x0a"},
    {"room for the dots only", "abcdefgh", 4, "..."},
    {"no room for the dots", "abcdefgh", 2, "."},
    {"room for nothing", "abc", 1, ""},
};

static void test_escape(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        char *out = malloc(escapes[i].size); /* so that a sanitiser sees a byte too many */
        assert_ptr_equal(log_escape(escapes[i].text, out, escapes[i].size), out);
        if (strcmp(out, escapes[i].wanted) != 0)
            fail_msg("%s: got %s, wanted %s", escapes[i].label, out, escapes[i].wanted);
        free(out);
    }
}

static void test_lines(void **state)
{
    struct capture capture;
    char got[512], wanted[512];
    int pid = getpid();

    (void)state;
    unsetenv("JOURNAL_STREAM");
    log_open("mxwardend", CONF_LOG_STDERR, CONF_LOG_INFO);
    start_capture(&capture);
    log_error("%d %s", 1, "one");
    log_warning("two");
    log_info("three");
    log_debug("not shown");
    stop_capture(&capture, got, sizeof got);
    snprintf(wanted, sizeof wanted,
             "mxwardend[%d]: error: 1 one\nmxwardend[%d]: warning: two\nmxwardend[%d]: info: "
             "three\n",
             pid, pid, pid);
    assert_string_equal(got, wanted);
}

static void test_levels(void **state)
{
    (void)state;
    log_open("mxwardend", CONF_LOG_STDERR, CONF_LOG_WARNING);
    assert_true(log_has(CONF_LOG_ERROR));
    assert_true(log_has(CONF_LOG_WARNING));
    assert_false(log_has(CONF_LOG_INFO));
    log_open("mxwardend", CONF_LOG_STDERR, CONF_LOG_DEBUG);
    assert_true(log_has(CONF_LOG_DEBUG));
}

/* The journal is told the level; a variable that is about another stream is not believed. */
static void test_journal(void **state)
{
    struct capture capture;
    char got[512], stream[64];
    struct stat status;

    (void)state;
    start_capture(&capture);
    fstat(STDERR_FILENO, &status);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_open("mxwardend", CONF_LOG_STDERR, CONF_LOG_INFO);
    log_warning("two");
    setenv("JOURNAL_STREAM", "1:1", 1);
    log_open("x", CONF_LOG_STDERR, CONF_LOG_INFO);
    log_warning("three");
    unsetenv("JOURNAL_STREAM");
    stop_capture(&capture, got, sizeof got);
    assert_memory_equal(got, "<4>two\nx[", 9);
}

/* One line whatever its length, and errno as it was. */
static void test_long_line(void **state)
{
    struct capture capture;
    char text[6000], got[8000];

    (void)state;
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_open("x", CONF_LOG_STDERR, CONF_LOG_INFO);
    start_capture(&capture);
    errno = ENOENT;
    log_info("%s", text);
    assert_int_equal(errno, ENOENT);
    stop_capture(&capture, got, sizeof got);
    assert_true(strlen(got) < 4200);
    assert_string_equal(got + strlen(got) - 5, "a...\n");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escape),    cmocka_unit_test(test_lines),
        cmocka_unit_test(test_levels),    cmocka_unit_test(test_journal),
        cmocka_unit_test(test_long_line),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
