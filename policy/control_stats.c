/*
 * The commands stats and top: the numbers as Redis has them, after what is still here has been sent on
 * the same connection; where there is no Redis, or it does not answer, this process's own.
 */
#include "policy/control_ask.h"

#include "cache/keys.h"
#include "policy/conf.h"
#include "policy/show.h"
#include "policy/stats.h"
#include "policy/top.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keys may be written by others: so much is read of them, and no more. */
enum { FIELDS_MAX = 5000, LISTED = 50 };

#define LAST_LISTED "49"

struct reading {
    struct control_ask *ask;
    bool top;
    char day[KEYS_DAY_SIZE];
};

/* --- numbers from Redis ------------------------------------------------------------------------ */

/* "42" or "0.987" as a number; NULL for anything else. */
static json_t *number_of(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 18)
        return NULL;
    if (text[digits] == '\0')
        return json_integer(strtoll(text, NULL, 10));
    if (text[digits] != '.' || text[digits + 1 + strspn(text + digits + 1, "0123456789")] != '\0')
        return NULL;
    return json_real(strtod(text, NULL));
}

/* The counters of a key; those of domains are the report's. */
static json_t *read_counters(const struct store_reply *reply)
{
    json_t *counters = json_object();
    size_t count = store_reply_count(reply);

    for (size_t i = 0; i + 1 < count && i < 2 * FIELDS_MAX; i += 2) {
        const char *field = store_reply_text(store_reply_at(reply, i), NULL);
        const char *value = store_reply_text(store_reply_at(reply, i + 1), NULL);
        json_t *number;
        if (!field || !value || strcmp(field, "since") == 0 || strcmp(field, "flushed") == 0 ||
            field[strspn(field, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0')
            continue;
        if ((number = number_of(value)))
            json_object_set_new(counters, field, number);
    }
    return counters;
}

static json_t *list_new(enum top_list list, const char *name, json_t *today)
{
    return json_pack("{s:s, s:o}", list == TOP_BYPASS ? "net" : "domain", name, "today", today);
}

/* Members and scores by turns, the highest first. */
static json_t *read_list(enum top_list list, const struct store_reply *reply)
{
    json_t *array = json_array();
    size_t count = store_reply_count(reply);

    for (size_t i = 0; i + 1 < count && i < 2 * LISTED; i += 2) {
        const char *name = store_reply_text(store_reply_at(reply, i), NULL);
        const char *score = store_reply_text(store_reply_at(reply, i + 1), NULL);
        json_t *today = score ? number_of(score) : NULL;
        if (name && today && strlen(name) < HEAVY_NAME)
            json_array_append_new(array, list_new(list, name, today));
        else
            json_decref(today);
    }
    return array;
}

/* --- this process's own -------------------------------------------------------------------------- */

static void own_counter(void *arg, const char *name, uint64_t value)
{
    if (!strchr(name, ':'))
        json_object_set_new(arg, name, json_integer((json_int_t)value));
}

static json_t *own_counters(const struct stats *stats)
{
    json_t *counters = json_object();
    json_int_t hits, misses;

    stats_each(stats, own_counter, counters);
    hits = json_integer_value(json_object_get(counters, "mx_hits"));
    misses = json_integer_value(json_object_get(counters, "mx_misses"));
    if (hits + misses > 0)
        json_object_set_new(counters, "hit_ratio",
                            json_real((double)hits / (double)(hits + misses)));
    return counters;
}

static json_t *own_list(struct top *top, enum top_list list)
{
    struct heavy_item item[LISTED];
    size_t count = top_get(top, list, item, LISTED);
    json_t *array = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            array, list_new(list, item[i].name, json_integer((json_int_t)item[i].count)));
    return array;
}

/* --- the commands -------------------------------------------------------------------------------- */

static void finish(struct reading *reading, struct show_numbers *numbers)
{
    const struct conversation *conversation = reading->ask->conversation;

    numbers->node = conversation->conf->node;
    numbers->since = conversation->started;
    numbers->day = reading->day;
    numbers->stats = conversation->stats;
    numbers->store = conversation->store;
    control_end(reading->ask, reading->top ? show_top(numbers) : show_stats(numbers));
    free(reading);
}

static void finish_own(struct reading *reading)
{
    const struct conversation *conversation = reading->ask->conversation;
    struct show_numbers numbers = {.counters = own_counters(conversation->stats),
                                   .today = json_object()};

    if (reading->top) {
        numbers.bypass = own_list(conversation->top, TOP_BYPASS);
        numbers.domains = own_list(conversation->top, TOP_DOMAINS);
    }
    finish(reading, &numbers);
}

static void on_read(void *arg, enum store_status status, const struct store_reply *const *reply,
                    size_t count)
{
    struct reading *reading = arg;
    struct show_numbers numbers = {.shared = true};

    if (!reading->ask->peer) { /* nobody hears it, and the daemon may be at its end */
        control_end(reading->ask, NULL);
        free(reading);
        return;
    }
    /* A key of another type is nobody's numbers. */
    if ((status != STORE_OK && status != STORE_ERROR) || count < 2) {
        finish_own(reading);
        return;
    }
    numbers.counters = read_counters(reply[0]);
    numbers.today = read_counters(reply[1]);
    if (reading->top && count == 4) {
        numbers.bypass = read_list(TOP_BYPASS, reply[2]);
        numbers.domains = read_list(TOP_DOMAINS, reply[3]);
    }
    finish(reading, &numbers);
}

static struct store_batch *make_batch(const struct reading *reading)
{
    const struct conf *conf = reading->ask->conversation->conf;
    struct store_batch *batch = store_batch_new(false);
    char key[KEYS_SIZE];

    store_batch_add(batch, "HGETALL", keys_stat(conf->cache.prefix, conf->node, "", key), NULL);
    store_batch_add(batch, "HGETALL", keys_stat(conf->cache.prefix, conf->node, reading->day, key),
                    NULL);
    for (int list = 0; reading->top && list < TOP_LISTS; list++)
        store_batch_add(
            batch, "ZREVRANGE",
            keys_top(conf->cache.prefix, top_name((enum top_list)list), reading->day, key), "0",
            LAST_LISTED, "WITHSCORES", NULL);
    return batch;
}

static void read_numbers(struct control_ask *ask, bool top)
{
    const struct conversation *conversation = ask->conversation;
    struct reading *reading = calloc(1, sizeof *reading);

    if (!reading) {
        control_end(ask, NULL);
        return;
    }
    reading->ask = ask;
    reading->top = top;
    keys_day(clock_unix(conversation->clock), reading->day);
    stats_push(conversation->stats);
    if (!conversation->store ||
        !store_send(conversation->store, make_batch(reading), on_read, reading))
        finish_own(reading);
}

void control_stats(struct control_ask *ask, const json_t *request)
{
    (void)request;
    read_numbers(ask, false);
}

void control_top(struct control_ask *ask, const json_t *request)
{
    (void)request;
    read_numbers(ask, true);
}
