/*
 * policy/override.c: what is known of a host after words by hand, by command, and with Redis in
 * trouble.
 */
#include "policy/override.h"
#include "tests/unit/fake_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define HOST "gw1.example.net"
#define KEY  "t1:override:gw1.example.net:25"

static struct event_base *base;
static struct override *override;
static int done_count, done_ok;

static int setup(void **state)
{
    (void)state;
    base = event_base_new();
    fake_open(base);
    override = override_new(base, "t1", (struct store *)&fake);
    override_set_tracked(override, true);
    done_count = done_ok = 0;
    return override ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    override_free(override);
    fake_close();
    event_base_free(base);
    return 0;
}

static void on_done(void *arg, bool ok)
{
    (void)arg;
    done_count++;
    done_ok += ok;
}

/* Lets everything happen that is due now. */
static void settle(void)
{
    for (int i = 0; i < 20; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
}

static const char *text_of(struct override_value value)
{
    static char text[32];
    snprintf(text, sizeof text, "%s", override_state_name(value.state));
    if (value.has_weight)
        snprintf(text + strlen(text), sizeof text - strlen(text), "/%u", value.weight);
    return text;
}

static void wait_for(const char *wanted)
{
    while (strcmp(text_of(override_get(override, HOST, 25)), wanted))
        event_base_loop(base, EVLOOP_ONCE);
}

static const struct {
    const char *label, *field[4], *wanted;
} hands[] = {
    {"nothing", {NULL}, ""},
    {"drain", {"state", "drain"}, "drain"},
    {"down", {"state", "down"}, "down"},
    {"ready", {"state", "ready"}, "ready"},
    {"weight", {"weight", "30"}, "/30"},
    {"weight 0", {"weight", "0"}, "/0"},
    {"both", {"state", "drain", "weight", "65535"}, "drain/65535"},
    {"nonsense state", {"state", "drained", "weight", "5"}, "/5"},
    {"empty state", {"state", ""}, ""},
    {"negative weight", {"state", "down", "weight", "-1"}, "down"},
    {"weight too big", {"weight", "65536"}, ""},
    {"weight far too big", {"weight", "99999999999999999999"}, ""},
    {"weight with words", {"weight", "5 "}, ""},
    {"empty weight", {"weight", ""}, ""},
};

static void by_hand(void **state)
{
    (void)state;
    override_get(override, HOST, 25);
    for (size_t i = 0; i < sizeof hands / sizeof hands[0]; i++) {
        fake_del(KEY);
        for (size_t k = 0; k < 4 && hands[i].field[k]; k += 2)
            fake_hset(KEY, hands[i].field[k], hands[i].field[k + 1]);
        override_changed(override, HOST ":25");
        settle();
        const char *got = text_of(override_get(override, HOST, 25));
        if (strcmp(got, hands[i].wanted))
            fail_msg("%s: %s", hands[i].label, got);
    }
}

static void wrong_type(void **state)
{
    (void)state;
    fake_hset(KEY, "state", "drain");
    wait_for("drain");
    fake_key(KEY, true)->is_text = true;
    override_changed(override, NULL);
    settle();
    assert_string_equal(text_of(override_get(override, HOST, 25)), "");
}

static void first_question_reads(void **state)
{
    (void)state;
    fake_hset(KEY, "state", "drain");
    fake_hset("t1:override:[192.0.2.1]:2525", "weight", "7");
    assert_string_equal(text_of(override_get(override, HOST, 25)), "");
    override_want(override, "[192.0.2.1]", 2525);
    settle();
    assert_string_equal(text_of(override_get(override, HOST, 25)), "drain");
    assert_string_equal(text_of(override_get(override, "[192.0.2.1]", 2525)), "/7");
    assert_string_equal(text_of(override_get(override, HOST, 26)), "");
    settle();
    assert_int_equal(fake.sent, 2); /* one pipeline for the two, one for the port asked for last */
}

static void change_during_read(void **state)
{
    (void)state;
    fake.hold = true;
    override_get(override, HOST, 25);
    settle(); /* the read is under way */
    override_changed(override, HOST ":25");
    settle();
    fake_release();
    fake_hset(KEY, "state", "down");
    settle();
    assert_string_equal(text_of(override_get(override, HOST, 25)), "down");
    assert_int_equal(fake.reads, 2);
    override_changed(override, "unknown.example.net:25");
    override_changed(override, "nonsense");
    settle();
    assert_int_equal(fake.reads, 2);
}

/* Both wait for the poll, a second away at most. */
static void without_tracking(void **state)
{
    (void)state;
    override_set_tracked(override, false);
    override_get(override, HOST, 25);
    settle();
    fake_hset(KEY, "state", "drain");
    wait_for("drain");
    fake_del(KEY);
    override_set_tracked(override, true); /* reads what it may have missed */
    wait_for("");
}

static void redis_away(void **state)
{
    (void)state;
    fake_hset(KEY, "state", "drain");
    wait_for("drain");
    fake.up = false;
    fake_del(KEY);
    override_changed(override, NULL);
    settle();
    assert_string_equal(text_of(override_get(override, HOST, 25)), "drain");
    fake.up = true;
    wait_for("");
}

static const struct {
    const char *label;
    bool up;
    enum store_status status;
    struct override_value value;
    int ok;
    const char *here, *state, *weight; /* known at once after, and in Redis after */
} words[] = {
    {"drain", true, STORE_OK, {OVERRIDE_DRAIN, false, 0}, 1, "drain", "drain", NULL},
    {"weight", true, STORE_OK, {OVERRIDE_NONE, true, 9}, 1, "/9", NULL, "9"},
    {"both", true, STORE_OK, {OVERRIDE_READY, true, 0}, 1, "ready/0", "ready", "0"},
    {"neither deletes", true, STORE_OK, {OVERRIDE_NONE, false, 0}, 1, "", NULL, NULL},
    {"weight too big", true, STORE_OK, {OVERRIDE_NONE, true, 70000}, 1, "/65535", NULL, "65535"},
    {"away: here at once", false, STORE_OK, {OVERRIDE_DOWN, false, 0}, 0, "down", "down", NULL},
    {"lost: here at once", true, STORE_LOST, {OVERRIDE_DOWN, false, 0}, 0, "down", "down", NULL},
    {"late: here at once", true, STORE_TIMEOUT, {OVERRIDE_DOWN, true, 1}, 0, "down/1", "down", "1"},
};

static void put_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        fake_hset(KEY, "state", "old"); /* goes, whatever was there */
        done_count = done_ok = 0;
        fake.up = words[i].up;
        fake.status = words[i].status;
        override_put(override, HOST, 25, words[i].value, on_done, NULL);
        settle();
        const char *got = text_of(override_get(override, HOST, 25));
        if (done_count != 1 || done_ok != words[i].ok || strcmp(got, words[i].here))
            fail_msg("%s: done %d, ok %d, %s", words[i].label, done_count, done_ok, got);
        fake.up = true;
        fake.status = STORE_OK;
        while (fake_hget(KEY, "state") && !strcmp(fake_hget(KEY, "state"), "old"))
            event_base_loop(base, EVLOOP_ONCE);
        const char *in_redis = fake_hget(KEY, "state"), *weight = fake_hget(KEY, "weight");
        if (strcmp(in_redis ? in_redis : "", words[i].state ? words[i].state : "") ||
            strcmp(weight ? weight : "", words[i].weight ? words[i].weight : ""))
            fail_msg("%s: Redis has %s %s", words[i].label, in_redis, weight);
        settle();
        assert_string_equal(text_of(override_get(override, HOST, 25)), words[i].here);
        fake_del(KEY);
    }
}

static void put_refused(void **state)
{
    (void)state;
    fake_hset(KEY, "weight", "3");
    wait_for("/3");
    fake.status = STORE_ERROR;
    override_put(override, HOST, 25, (struct override_value){.state = OVERRIDE_DRAIN}, on_done,
                 NULL);
    while (!done_count)
        event_base_loop(base, EVLOOP_ONCE);
    fake.status = STORE_OK;
    assert_int_equal(done_ok, 0);
    wait_for("/3");
}

static void without_redis(void **state)
{
    (void)state;
    struct override *lone = override_new(base, "t1", NULL);
    override_put(lone, HOST, 25, (struct override_value){.state = OVERRIDE_DRAIN}, on_done, NULL);
    assert_int_equal(done_ok, 1);
    override_changed(lone, NULL);
    settle();
    assert_string_equal(text_of(override_get(lone, HOST, 25)), "drain");
    assert_int_equal(fake.sent + fake.refused, 0);
    override_free(lone);
}

/* A drained host stays known however many others are asked about; those make room. */
static void bounded(void **state)
{
    (void)state;
    char host[32];
    fake_hset("t1:override:h0.example.net:25", "state", "drain");
    for (int i = 0; i < 9000; i++) {
        snprintf(host, sizeof host, "h%d.example.net", i);
        override_get(override, host, 25);
        if (i % 64 == 0)
            settle();
    }
    settle();
    assert_int_equal(override_get(override, "h0.example.net", 25).state, OVERRIDE_DRAIN);
    size_t before = fake.reads;
    override_changed(override, NULL);
    for (int i = 0; i < 20; i++)
        settle();
    assert_int_equal(fake.reads - before, 4096);
}

static void freed_under_way(void **state)
{
    (void)state;
    fake.hold = true;
    override_get(override, HOST, 25);
    override_put(override, HOST, 25, (struct override_value){.state = OVERRIDE_DRAIN}, on_done,
                 NULL);
    settle();
    override_free(override);
    override = NULL;
    fake_release();
    settle();
    assert_int_equal(done_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(by_hand, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_type, setup, teardown),
        cmocka_unit_test_setup_teardown(first_question_reads, setup, teardown),
        cmocka_unit_test_setup_teardown(change_during_read, setup, teardown),
        cmocka_unit_test_setup_teardown(without_tracking, setup, teardown),
        cmocka_unit_test_setup_teardown(redis_away, setup, teardown),
        cmocka_unit_test_setup_teardown(put_table, setup, teardown),
        cmocka_unit_test_setup_teardown(put_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(without_redis, setup, teardown),
        cmocka_unit_test_setup_teardown(bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(freed_under_way, setup, teardown),
    };

    return cmocka_run_group_tests_name("override", tests, NULL, NULL);
}
