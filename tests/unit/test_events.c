/*
 * policy/events.c: lines as the words of a stream, and what comes of them when Redis is in trouble or
 * somebody floods.
 */
#include "policy/events.h"

#include "policy/stats.h"
#include "tests/unit/fake_clock.h"
#include "tests/unit/fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define KEY "t1:events"

static struct event_base *base;
static struct clock wall;
static struct events *events;
static unsigned dropped, flushed;

void stats_add(struct stats *stats, const char *name, uint64_t count)
{
    (void)stats;
    assert_string_equal(name, "events_dropped");
    dropped += (unsigned)count;
}

static int setup(void **state)
{
    (void)state;
    base = event_base_new();
    fake_open(base);
    clock_set_unix(&wall, INT64_C(1795305590000));
    events = events_new(base, &wall, (struct store *)&fake, NULL, "t1", "mx2.example.com");
    dropped = flushed = 0;
    return events ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    events_free(events);
    fake_close();
    event_base_free(base);
    return 0;
}

static void push(void)
{
    events_push(events);
    event_base_loop(base, EVLOOP_NONBLOCK);
}

static void on_flushed(void *arg)
{
    (void)arg;
    flushed++;
}

static size_t length(void)
{
    return fake_key(KEY, false) ? fake_key(KEY, false)->fields : 0;
}

static const struct {
    const char *label, *line, *wanted; /* wanted: the words, parted by '|' */
} lines[] = {
    {"a verdict", "guard verdict=defer reason=bypass client=[198.51.100.7] sender=<> ms=0.4",
     "event|guard|verdict|defer|reason|bypass|client|[198.51.100.7]|sender|<>|ms|0.4"},
    {"no more than a word", "stopping", "event|stopping"},
    {"nothing", "", "event|"},
    {"a value with spaces", "reloaded file=/my own/file.conf domains=1",
     "event|reloaded|file|/my own/file.conf|domains|1"},
    {"an empty value", "guard qid= ms=1", "event|guard|qid||ms|1"},
    {"'=' in a value", "guard rcpt=<a=b@example.com> ms=1",
     "event|guard|rcpt|<a=b@example.com>|ms|1"},
    {"no key", "guard Key=1 7=2 =3", "event|guard"},
    {"a space at the end", "guard ms=1 ", "event|guard|ms|1 "},
    {"more than fits", "guard a=1 b=2 c=3 d=4 e=5 f=6", "event|guard|a|1|b|2|c|3|d|4 e=5 f=6"},
};

static void parse_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const char *word[12];
        char line[256], got[512] = "";
        strcpy(line, lines[i].line);
        /* The last row has room for ten words only. */
        size_t count = events_parse(line, word, i + 1 == sizeof lines / sizeof lines[0] ? 10 : 12);
        for (size_t w = 0; w < count; w++)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", w ? "|" : "", word[w]);
        if (strcmp(got, lines[i].wanted) != 0)
            fail_msg("%s: %s", lines[i].label, got);
    }
}

static void in_the_stream(void **state)
{
    (void)state;
    events_put(events, EVENTS_VERDICT, "guard verdict=defer ms=0.4");
    events_put(events, EVENTS_SITE, "ready node=mx2.example.com");
    assert_int_equal(fake.sent, 0); /* several go together */
    while (length() == 0)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(fake.sent, 1);
    assert_string_equal(fake_hget(KEY, "0"),
                        "MAXLEN ~ 10000 * at 1795305590 node mx2.example.com event guard verdict "
                        "defer ms 0.4");
    assert_string_equal(fake_hget(KEY, "1"), "MAXLEN ~ 10000 * at 1795305590 node mx2.example.com "
                                             "event ready node mx2.example.com");
    push();
    assert_int_equal(length(), 2);
}

/* What becomes of an event that came in trouble, once that is over. */
static const struct {
    const char *label;
    bool up;
    enum store_status status;
    unsigned late;
    size_t wanted;
} troubles[] = {
    {"fine", true, STORE_OK, 0, 1},
    {"away: waits", false, STORE_OK, 0, 1},
    {"refused: waits", true, STORE_ERROR, 0, 1},
    {"lost: sent again", true, STORE_LOST, 0, 1},
    {"lost but done: there twice", true, STORE_LOST, 1, 2},
};

static void trouble_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof troubles / sizeof troubles[0]; i++) {
        fake_del(KEY);
        fake.up = troubles[i].up;
        fake.status = troubles[i].status;
        fake.late = troubles[i].late;
        events_put(events, EVENTS_SITE, "ready");
        push();
        fake.up = true;
        fake.status = STORE_OK;
        fake.late = 0;
        push();
        if (length() != troubles[i].wanted)
            fail_msg("%s: %zu", troubles[i].label, length());
    }
    assert_int_equal(dropped, 0);
}

static void wrong_type(void **state)
{
    (void)state;
    fake_key(KEY, true)->is_text = true;
    events_put(events, EVENTS_SITE, "ready");
    push();
    fake_del(KEY);
    push();
    assert_int_equal(length(), 1);
}

static const struct {
    const char *label;
    enum events_kind kind;
    int64_t after; /* ms since the last row; buckets are full at first */
    unsigned put, taken;
} rates[] = {
    {"a burst of verdicts", EVENTS_VERDICT, 0, 1000, 100},
    {"others have a rate of their own", EVENTS_SITE, 0, 1000, 50},
    {"two a second", EVENTS_VERDICT, 10000, 1000, 20},
    {"one a second", EVENTS_SITE, 0, 1000, 10},
    {"no bursts are saved up", EVENTS_VERDICT, 86400000, 1000, 100},
};

static void rate_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        fake_ms += rates[i].after;
        dropped = 0;
        for (unsigned n = 0; n < rates[i].put; n++)
            events_put(events, rates[i].kind, "guard verdict=defer");
        /* The clock runs on while this does. */
        assert_in_range(rates[i].put - dropped, rates[i].taken, rates[i].taken + 1);
        while (fake_del(KEY), push(), length() > 0)
            ;
    }
}

/* Redis is away for long: the last two hundred wait. */
static void away_for_long(void **state)
{
    char line[32];

    (void)state;
    fake.up = false;
    for (int i = 0; i < 300; i++) {
        fake_ms += 1000;
        snprintf(line, sizeof line, "health at=%d", i);
        events_put(events, EVENTS_SITE, line);
    }
    assert_int_equal(dropped, 100);
    fake.up = true;
    push();
    assert_int_equal(length(), 32);
    assert_non_null(strstr(fake_hget(KEY, "0"), "health at 100"));
    assert_non_null(strstr(fake_hget(KEY, "31"), "health at 131"));
}

/* What is under way is answered for; it does not make room. */
static void full_while_under_way(void **state)
{
    (void)state;
    fake.hold = true;
    for (int i = 0; i < 300; i++) {
        fake_ms += 1000;
        events_put(events, EVENTS_SITE, i ? "later" : "first");
        events_push(events);
    }
    assert_int_equal(fake.sent, 1);
    assert_int_equal(dropped, 100);
    fake_release();
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(length(), 1);
    assert_non_null(strstr(fake_hget(KEY, "0"), "first"));
}

/* What is in the stream when a flush of seventy says that it is done; of them some are under way. */
static const struct {
    const char *label;
    unsigned under_way;
    bool up;
    enum store_status status;
    size_t wanted, sent; /* batches in all */
} flushes[] = {
    {"fine", 0, true, STORE_OK, 70, 3},
    {"some are under way", 10, true, STORE_OK, 70, 3},
    {"away", 0, false, STORE_OK, 0, 0},
    {"refused", 0, true, STORE_ERROR, 0, 1},
    {"no answer", 0, true, STORE_TIMEOUT, 0, 1},
    {"no answer for those under way", 10, true, STORE_TIMEOUT, 0, 1},
};

static void flush_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof flushes / sizeof flushes[0]; i++) {
        fake.hold = true;
        fake.sent = 0;
        fake.status = flushes[i].status;
        for (unsigned n = 0; n < 70; n++) {
            fake_ms += 1000;
            events_put(events, EVENTS_SITE, "ready");
            if (n + 1 == flushes[i].under_way)
                events_push(events);
        }
        fake.up = flushes[i].up;
        flushed = 0;
        events_flush(events, on_flushed, NULL);
        fake_release();
        for (int turn = 0; turn < 10; turn++)
            event_base_loop(base, EVLOOP_NONBLOCK);
        if (flushed != 1 || length() != flushes[i].wanted || fake.sent != flushes[i].sent)
            fail_msg("%s: %u, %zu in %zu", flushes[i].label, flushed, length(), fake.sent);
        fake.up = true;
        fake.status = STORE_OK;
        while (fake_del(KEY), push(), length() > 0)
            ;
    }
    assert_int_equal(dropped, 0);
}

static void freed_under_way(void **state)
{
    (void)state;
    fake.hold = true;
    events_put(events, EVENTS_SITE, "stopping");
    events_flush(events, on_flushed, NULL);
    events_free(events);
    events = NULL;
    fake_release();
    event_base_loop(base, EVLOOP_NONBLOCK);
    assert_int_equal(length(), 1);
    assert_int_equal(flushed, 0); /* whom it is to tell may be gone, too */
}

static void without_redis(void **state)
{
    struct events *lone = events_new(base, &wall, NULL, NULL, "t1", "mx2.example.com");

    (void)state;
    events_put(lone, EVENTS_SITE, "ready");
    events_flush(lone, on_flushed, NULL);
    assert_int_equal(flushed, 1);
    events_free(lone);
    assert_int_equal(length(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_table),
        cmocka_unit_test_setup_teardown(in_the_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(trouble_table, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_type, setup, teardown),
        cmocka_unit_test_setup_teardown(rate_table, setup, teardown),
        cmocka_unit_test_setup_teardown(away_for_long, setup, teardown),
        cmocka_unit_test_setup_teardown(full_while_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(flush_table, setup, teardown),
        cmocka_unit_test_setup_teardown(freed_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(without_redis, setup, teardown),
    };

    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
