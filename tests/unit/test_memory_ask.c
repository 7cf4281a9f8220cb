/*
 * Questions to the memory of a process without Redis. Its table is a stand-in here, so that there
 * may be no room for a note.
 */
#include "policy/memory_inside.h"

#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { NOW = 1800000000, NOTES = 4 };

static struct {
    size_t count, room;
    char key[NOTES][KEYS_SIZE];
    struct memory_note note[NOTES];
} table;

int64_t memory_now(const struct memory *memory)
{
    (void)memory;
    return NOW;
}

int64_t memory_parse_stamp(const char *text, int64_t now)
{
    (void)text;
    return now;
}

struct store_batch *memory_batch(const struct memory *memory)
{
    assert_null(memory->store);
    return NULL;
}

void memory_written(void *arg, enum store_status status, const struct store_reply *const *reply,
                    size_t count)
{
    (void)arg, (void)status, (void)reply, (void)count;
    fail();
}

struct memory_note *memory_note_put(struct memory *memory, const char *key, int64_t at,
                                    const char *text, int64_t ttl)
{
    struct memory_note *note = &table.note[table.count];

    (void)memory, (void)text;
    assert_int_equal(ttl, MEMORY_DEFER_TTL);
    if (table.count == table.room)
        return NULL;
    *note = (struct memory_note){.at = at, .mono = clock_mono()};
    snprintf(table.key[table.count++], KEYS_SIZE, "%s", key);
    return note;
}

const struct memory_note *memory_note_get(struct memory *memory, const char *key)
{
    (void)memory;
    for (size_t i = 0; i < table.count; i++)
        if (strcmp(table.key[i], key) == 0)
            return &table.note[i];
    return NULL;
}

static void on_refused(void *arg, const struct memory_refused *refused)
{
    memcpy(arg, refused, sizeof *refused);
}

static struct memory_refused refuse(bool note)
{
    static const struct identity_set digests = {.count = 2, .text = {"#one", "#two"}};
    struct memory memory = {.base = event_base_new(), .prefix = "mxw1"};
    struct memory_refused refused = {0};

    if (note)
        assert_non_null(memory_refuse(&memory, &digests, 7, false, on_refused, &refused));
    else
        assert_non_null(memory_recall(&memory, &digests, false, on_refused, &refused));
    event_base_loop(memory.base, EVLOOP_ONCE);
    event_base_free(memory.base);
    return refused;
}

/* A refusal that is not kept under each of its names may be repeated, so that it is not given. */
static void refusals_are_kept_or_not_complete(void **state)
{
    static const struct {
        const char *label;
        size_t room;
        bool complete, known;
    } cases[] = {
        {"room for both", NOTES, true, true},
        {"for one", 1, false, true},
        {"for none", 0, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct memory_refused first, again;

        memset(&table, 0, sizeof table);
        table.room = cases[i].room;
        first = refuse(true);
        again = refuse(false);
        if (first.complete != cases[i].complete || !first.fresh || first.first_at != NOW ||
            !again.complete || (again.first_at == NOW) != cases[i].known)
            fail_msg("%s: complete %d", cases[i].label, first.complete);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(refusals_are_kept_or_not_complete)};

    return cmocka_run_group_tests_name("memory_ask", tests, NULL, NULL);
}
