/*
 * Reloads: one after another, and what becomes of one that cannot begin.
 */
#include "policy/reload.h"

#include "policy/log.h"

#include <dlfcn.h>
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static bool no_threads;
static char logged[256];

/* In place of the C library's: where there is no thread to be had. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");

    if (no_threads)
        return EAGAIN;
    memcpy(&real, &symbol, sizeof real);
    return real(thread, attr, run, arg);
}

void log_error(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(logged, sizeof logged, format, arguments);
    va_end(arguments);
}

struct seen {
    unsigned done;
    bool accepted;
};

static void on_done(void *arg, struct conf *conf, const struct conf_problems *problems)
{
    struct seen *seen = arg;

    assert_int_equal(problems->errors, 0);
    seen->done++;
    seen->accepted = conf != NULL;
    conf_unref(conf);
}

/* No file there, and none required: the defaults. */
static void next_reload_works(void **state)
{
    struct event_base *base = event_base_new();
    struct seen seen = {0};
    struct reload *reload = reload_new(base, "/nonexistent/mxwarden.conf", false, on_done, &seen);

    (void)state;
    assert_non_null(reload);
    no_threads = true;
    logged[0] = '\0';
    reload_start(reload);
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(seen.done, 0);
    assert_non_null(strstr(logged, strerror(EAGAIN)));
    no_threads = false;
    reload_start(reload);
    while (seen.done == 0)
        event_base_loop(base, EVLOOP_ONCE);
    assert_true(seen.accepted);
    reload_free(reload);
    event_base_free(base);
}

static void two_at_a_time_are_one_after_the_other(void **state)
{
    struct event_base *base = event_base_new();
    struct seen seen = {0};
    struct reload *reload = reload_new(base, "/nonexistent/mxwarden.conf", false, on_done, &seen);

    (void)state;
    assert_non_null(reload);
    no_threads = false;
    for (int i = 0; i < 3; i++)
        reload_start(reload);
    while (seen.done < 2)
        event_base_loop(base, EVLOOP_ONCE);
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(seen.done, 2);
    reload_free(reload);
    event_base_free(base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next_reload_works),
        cmocka_unit_test(two_at_a_time_are_one_after_the_other),
    };

    return cmocka_run_group_tests_name("reload", tests, NULL, NULL);
}
