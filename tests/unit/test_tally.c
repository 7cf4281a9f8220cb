/*
 * policy/tally.c: what is counted of messages refused, for clients that come back in any way, or do
 * not. The memory is a table of when each client was learned and seen; time is the test's.
 */
#include "policy/tally.h"

#include "cache/clock.h"
#include "policy/memory.h"
#include "policy/stats.h"

#include <event2/event.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { START = 1800000000 };

struct memory_wait {
    memory_known_done *done;
    void *arg;
    struct memory_known known;
    bool cancelled;
    struct memory_wait *next;
};

/* What the memory will say of everybody, and what was asked of it. */
static struct {
    int64_t mono; /* ms */
    int64_t learned_at, seen_at;
    bool lost;
    unsigned looks, cancelled;
    struct memory_look last;
    struct identity_set who;
    struct memory_wait *waiting;
    char counters[1024];
    void (*tick)(evutil_socket_t fd, short what, void *arg);
    void *arg;
} fake;

int64_t clock_mono(void)
{
    return fake.mono;
}

int64_t clock_unix(const struct clock *clock)
{
    (void)clock;
    return START + fake.mono / 1000;
}

struct memory_wait *memory_ask(struct memory *memory, const struct memory_look *look,
                               memory_known_done *done, void *arg)
{
    struct memory_wait *wait = calloc(1, sizeof *wait);

    (void)memory;
    assert_non_null(wait);
    *wait = (struct memory_wait){.done = done, .arg = arg, .next = fake.waiting};
    fake.waiting = wait;
    fake.last = *look;
    fake.who = *look->who;
    fake.looks++;
    wait->known.complete = !fake.lost;
    wait->known.learned_at = fake.lost ? 0 : fake.learned_at;
    wait->known.seen_at = fake.lost ? 0 : fake.seen_at;
    return wait;
}

void memory_cancel(struct memory_wait *wait)
{
    if (!wait)
        return;
    wait->cancelled = true;
    fake.cancelled++;
}

static void answer(void)
{
    while (fake.waiting) {
        struct memory_wait *wait = fake.waiting;
        fake.waiting = wait->next;
        if (!wait->cancelled)
            wait->done(wait->arg, &wait->known);
        free(wait);
    }
}

/* "name:domain=sum " in the order in which they came first, but the times judged. */
void stats_add_of(struct stats *stats, const char *name, const char *domain, uint64_t count)
{
    char field[128], rest[1024], *found;
    uint64_t sum = count;

    (void)stats;
    snprintf(field, sizeof field, "%s:%s=", name, domain);
    found = strstr(fake.counters, field);
    if (found) {
        sum += strtoull(found + strlen(field), NULL, 10);
        strcpy(rest, strchr(found, ' ') + 1);
        *found = '\0';
        strcat(fake.counters, rest);
    }
    snprintf(fake.counters + strlen(fake.counters), sizeof fake.counters - strlen(fake.counters),
             "%s%" PRIu64 " ", field, sum);
}

struct event *event_new(struct event_base *base, evutil_socket_t fd, short what,
                        event_callback_fn call, void *arg)
{
    (void)base, (void)fd, (void)what;
    fake.tick = call;
    fake.arg = arg;
    return malloc(1);
}

int event_add(struct event *event, const struct timeval *wait)
{
    (void)event, (void)wait;
    return 0;
}

void event_free(struct event *event)
{
    free(event);
}

/* Runs to that second, a tick each. */
static void run_to(int64_t second)
{
    for (; fake.mono < second * 1000; fake.mono += 1000) {
        fake.tick(-1, 0, fake.arg);
        answer();
    }
}

static struct tally *tally;

static int setup(void **state)
{
    (void)state;
    memset(&fake, 0, sizeof fake);
    tally = tally_new(NULL, NULL, NULL, NULL);
    return tally ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    tally_free(tally);
    answer();
    return 0;
}

static struct tally_message message(const char *instance)
{
    return (struct tally_message){
        .domain = "example.com", .has_section = true, .instance = instance};
}

static void refuse(const char *instance, bool dry)
{
    static const struct net_addr better = {NET_IPV4, {192, 0, 2, 10}};
    const struct identity_set who = {2, {"[198.51.100.7]", "example.net"}};
    const struct tally_message one = message(instance);
    const struct tally_refusal refusal = {
        .better = &better, .better_count = 1, .who = &who, .dry = dry};

    tally_refused(tally, &one, &refusal);
}

static void expect_counters(const char *label, const char *wanted)
{
    if (strcmp(fake.counters, wanted) != 0)
        fail_msg("%s: '%s', not '%s'", label, fake.counters, wanted);
}

#define D ":example.com="

/* One refusal at second 0; when the client is learned and seen, and what is counted in two days. */
static const struct {
    const char *label;
    bool dry, lost;
    int64_t learned, seen; /* 0: never */
    const char *wanted;
} fates[] = {
    {"nothing", false, false, 0, 0, "bypass" D "1 silent" D "1 "},
    {"nothing, in detect", true, false, 0, 0, "bypass" D "1 silent" D "1 "},
    {"seen before only", false, false, 0, -100, "bypass" D "1 silent" D "1 "},
    {"memory lost all day", false, true, 0, 0, "bypass" D "1 unknown" D "1 "},
    {"back after 299 s", false, false, 299, 0,
     "bypass" D "1 delay" D "299 delay_lt_300" D "1 yielded" D "1 "},
    {"back after 300 s", false, false, 300, 0,
     "bypass" D "1 delay" D "300 delay_lt_900" D "1 yielded" D "1 "},
    {"back, in detect", true, false, 1000, 0,
     "bypass" D "1 delay" D "1000 delay_lt_3600" D "1 yielded" D "1 "},
    {"back at the last moment", false, false, 86399, 0,
     "bypass" D "1 delay" D "86399 delay_lt_90000" D "1 yielded" D "1 "},
    {"back too late", false, false, 86500, 0, "bypass" D "1 silent" D "1 "},
    {"at the better host", false, false, 0, 400,
     "bypass" D "1 delay" D "400 delay_lt_900" D "1 better" D "1 "},
    {"at the better host, in detect", true, false, 0, 400, "bypass" D "1 better" D "1 "},
    {"both", false, false, 500, 400,
     "bypass" D "1 delay" D "500 delay_lt_900" D "1 yielded" D "1 "},
};

static void fates_table(void **state)
{
    for (size_t i = 0; i < sizeof fates / sizeof fates[0]; i++) {
        assert_int_equal(setup(state), 0);
        fake.lost = fates[i].lost;
        refuse("m1", fates[i].dry);
        if (fates[i].seen < 0)
            fake.seen_at = START + fates[i].seen;
        for (int64_t second = 0; second <= 2 * 86400; second += 100) {
            run_to(second);
            if (fates[i].learned && second >= fates[i].learned)
                fake.learned_at = START + fates[i].learned;
            if (fates[i].seen > 0 && second >= fates[i].seen)
                fake.seen_at = START + fates[i].seen;
        }
        expect_counters(fates[i].label, fates[i].wanted);
        teardown(state);
    }
}

static void looks_are_few(void **state)
{
    (void)state;
    refuse("m1", true);
    run_to(290);
    assert_int_equal(fake.looks, 0);
    run_to(310);
    assert_int_equal(fake.looks, 1);
    assert_int_equal(fake.last.max_age, 300);
    assert_true(fake.last.dry);
    assert_int_equal(fake.last.listener_count, 1);
    assert_int_equal(fake.who.count, 2);
    assert_string_equal(fake.who.text[0], "[198.51.100.7]");
    assert_string_equal(fake.who.text[1], "example.net");
    run_to(2 * 86400);
    assert_int_equal(fake.looks, 10);
}

static void recipients_are_no_messages(void **state)
{
    const struct tally_message one = message("m1"), two = message("m2"), none = message("");
    const struct tally_message other = {.domain = "example.org", .instance = "m1"};

    (void)state;
    tally_judged(tally, &one);
    tally_judged(tally, &two);
    tally_judged(tally, &one);
    expect_counters("two messages", "judged" D "2 ");
    tally_judged(tally, &none);
    tally_judged(tally, &none);
    expect_counters("unknown messages are one each", "judged" D "4 ");
    tally_judged(tally, &other);
    expect_counters("of the other domain", "judged" D "4 judged:*=1 ");
    fake.counters[0] = '\0';
    refuse("m1", true);
    refuse("m1", true);
    refuse("m2", true);
    expect_counters("refused", "bypass" D "2 ");
}

static void names_are_bounded(void **state)
{
    (void)state;
    for (int i = 0; i <= TALLY_DOMAINS; i++) {
        char name[32];
        const struct tally_message one = {.domain = name, .has_section = true, .instance = ""};
        snprintf(name, sizeof name, "d%d.example", i);
        fake.counters[0] = '\0';
        tally_judged(tally, &one);
        expect_counters(name, i < TALLY_DOMAINS ? strcat(strcat((char[64]){"judged:"}, name), "=1 ")
                                                : "judged:*=1 ");
    }
}

static void followed_are_bounded(void **state)
{
    (void)state;
    for (int i = 0; i <= TALLY_FOLLOWED; i++)
        refuse("", true);
    expect_counters("one too many", "bypass" D "20001 unknown" D "1 ");
    run_to(300 + TALLY_FOLLOWED / 200);
    assert_in_range(fake.looks, TALLY_FOLLOWED - 1000, TALLY_FOLLOWED);
}

static void the_end_is_unknown(void **state)
{
    (void)state;
    refuse("m1", true);
    refuse("m2", true);
    fake.mono = 301000;
    fake.tick(-1, 0, fake.arg); /* and the answers are on their way */
    assert_int_equal(fake.looks, 2);
    tally_stop(tally);
    assert_int_equal(fake.cancelled, 2);
    expect_counters("two", "bypass" D "2 unknown" D "2 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fates_table),
        cmocka_unit_test_setup_teardown(looks_are_few, setup, teardown),
        cmocka_unit_test_setup_teardown(recipients_are_no_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(followed_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_is_unknown, setup, teardown),
    };

    return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
