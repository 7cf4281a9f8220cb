/*
 * The world's Redis: one dictionary, a store and a tracking connection a node, with faults.
 */
#include "tests/replay/world_inside.h"

#include "cache/clock.h"
#include "cache/store.h"
#include "cache/track.h"

#include <event2/event.h>
#include <assert.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 64, COMMANDS = 64, FIELDS = 128, LATENCY_MS = 1, TIMEOUT_MS = 100, RETRY_MS = 500 };

struct key {
    char *name;
    char *text; /* a STRING; else NULL */
    bool list;  /* of a third type; else a HASH */
    size_t fields;
    char *field[FIELDS], *value[FIELDS];
    int64_t expires; /* monotonic ms, 0 never */
    struct key *next;
};

struct store_reply {
    enum store_kind kind;
    char *text;
    int64_t integer;
    size_t count;
    struct store_reply *item[2 * FIELDS];
};

struct command {
    size_t count;
    char *word[WORDS];
};

struct store_batch {
    size_t count;
    struct command command[COMMANDS];
};

struct sent { /* one batch under way */
    struct store *store;
    struct store_batch *batch;
    store_done *done;
    void *arg;
    struct event *event;
    bool hangs;
    struct sent *next;
};

struct store {
    struct node *node;
    struct clock *clock;
    enum world_redis how;
    bool up;
    struct event *connect;
    store_changed *hook;
    void *arg;
    struct sent *sent;
    struct store *next;
};

struct change { /* one key on its way to a tracking connection */
    struct track *track;
    char *key;
    struct event *event;
    struct change *next;
};

struct track {
    struct node *node;
    struct track_hooks hooks;
    bool up;
    size_t prefix_count;
    char *prefix[16];
    struct event *event;
    struct change *change;
    struct track *next;
};

static struct {
    struct key *keys;
    struct store *stores;
    struct track *tracks;
    enum world_redis how;
    unsigned run;
    char run_id[16];
    int64_t evicted;
    int64_t ahead; /* ms, of its clock */
    bool untracked;
    int64_t latency; /* ms */
} redis;

/* --- replies ------------------------------------------------------------------------------------ */

static struct store_reply *reply_new(enum store_kind kind)
{
    struct store_reply *reply = calloc(1, sizeof *reply);

    reply->kind = kind;
    return reply;
}

static struct store_reply *reply_text(const char *text)
{
    struct store_reply *reply = reply_new(text ? STORE_KIND_TEXT : STORE_KIND_NIL);

    reply->text = text ? strdup(text) : NULL;
    return reply;
}

static struct store_reply *reply_integer(int64_t integer)
{
    struct store_reply *reply = reply_new(STORE_KIND_INTEGER);

    reply->integer = integer;
    return reply;
}

static void reply_free(struct store_reply *reply)
{
    for (size_t i = 0; i < reply->count; i++)
        reply_free(reply->item[i]);
    free(reply->text);
    free(reply);
}

enum store_kind store_reply_kind(const struct store_reply *reply)
{
    return reply ? reply->kind : STORE_KIND_NIL;
}

const char *store_reply_text(const struct store_reply *reply, size_t *length)
{
    if (length)
        *length = reply && reply->text ? strlen(reply->text) : 0;
    return reply ? reply->text : NULL;
}

int64_t store_reply_integer(const struct store_reply *reply, int64_t otherwise)
{
    return reply && reply->kind == STORE_KIND_INTEGER ? reply->integer : otherwise;
}

size_t store_reply_count(const struct store_reply *reply)
{
    return reply ? reply->count : 0;
}

const struct store_reply *store_reply_at(const struct store_reply *reply, size_t index)
{
    return reply && index < reply->count ? reply->item[index] : NULL;
}

/* --- the dictionary ----------------------------------------------------------------------------- */

static void key_free(struct key *key)
{
    for (size_t i = 0; i < key->fields; i++) {
        free(key->field[i]);
        free(key->value[i]);
    }
    free(key->text);
    free(key->name);
    free(key);
}

static void drop(const char *name)
{
    for (struct key **at = &redis.keys; *at; at = &(*at)->next)
        if (strcmp((*at)->name, name) == 0) {
            struct key *gone = *at;
            *at = gone->next;
            key_free(gone);
            return;
        }
}

static struct key *find(const char *name)
{
    for (struct key *key = redis.keys; key; key = key->next)
        if (strcmp(key->name, name) == 0) {
            if (key->expires == 0 || key->expires > clock_mono())
                return key;
            drop(name);
            return NULL;
        }
    return NULL;
}

static struct key *make(const char *name)
{
    struct key *key = find(name);

    if (!key) {
        key = calloc(1, sizeof *key);
        key->name = strdup(name);
        key->next = redis.keys;
        redis.keys = key;
    }
    return key;
}

static const char *field_get(const struct key *key, const char *field)
{
    for (size_t i = 0; key && i < key->fields; i++)
        if (strcmp(key->field[i], field) == 0)
            return key->value[i];
    return NULL;
}

static void field_put(struct key *key, const char *field, const char *value)
{
    for (size_t i = 0; i < key->fields; i++)
        if (strcmp(key->field[i], field) == 0) {
            char *copy = strdup(value);
            free(key->value[i]);
            key->value[i] = copy;
            return;
        }
    assert(key->fields < FIELDS);
    key->field[key->fields] = strdup(field);
    key->value[key->fields++] = strdup(value);
}

/* --- tracking ----------------------------------------------------------------------------------- */

static void change_free(struct change *change)
{
    struct change **at = &change->track->change;

    while (*at != change)
        at = &(*at)->next;
    *at = change->next;
    event_free(change->event);
    free(change->key);
    free(change);
}

static void on_change(evutil_socket_t fd, short what, void *arg)
{
    struct change *change = arg;
    struct track *track = change->track;
    char *key = change->key;

    (void)fd;
    (void)what;
    change->key = NULL;
    change_free(change);
    world_current = track->node;
    if (track->up)
        track->hooks.changed(track->hooks.arg, key);
    free(key);
}

static bool follows(const struct track *track, const char *key)
{
    for (size_t i = 0; i < track->prefix_count; i++)
        if (!key || strncmp(key, track->prefix[i], strlen(track->prefix[i])) == 0)
            return true;
    return false;
}

/* NULL: everything. */
static void tell(const char *key)
{
    struct timeval soon = {.tv_usec = LATENCY_MS * 1000};

    for (struct track *track = redis.tracks; track; track = track->next) {
        struct change *change;

        if (!track->up || !follows(track, key))
            continue;
        change = calloc(1, sizeof *change);
        change->track = track;
        change->key = key ? strdup(key) : NULL;
        change->event = event_new(NULL, -1, 0, on_change, change);
        change->next = track->change;
        track->change = change;
        event_add(change->event, &soon);
    }
}

static void on_track(evutil_socket_t fd, short what, void *arg)
{
    struct track *track = arg;
    struct timeval again = {.tv_usec = RETRY_MS * 1000};
    bool can = false;

    (void)fd;
    (void)what;
    for (struct store *store = redis.stores; store; store = store->next)
        if (store->node == track->node)
            can = store->up && store->how != WORLD_REDIS_HANGS && !redis.untracked;
    world_current = track->node;
    if (can != track->up) {
        track->up = can;
        if (can)
            track->hooks.up(track->hooks.arg);
        else
            track->hooks.lost(track->hooks.arg);
    }
    event_add(track->event, &again);
}

struct track *track_new(struct event_base *base, const struct track_options *options,
                        struct dns *dns, const struct track_hooks *hooks,
                        const struct notice *notice)
{
    struct track *track = calloc(1, sizeof *track);

    (void)dns;
    (void)notice;
    track->node = world_current;
    track->hooks = *hooks;
    for (; track->prefix_count < options->prefix_count; track->prefix_count++)
        track->prefix[track->prefix_count] = strdup(options->prefix[track->prefix_count]);
    track->event = event_new(base, -1, 0, on_track, track);
    track->next = redis.tracks;
    redis.tracks = track;
    event_active(track->event, EV_TIMEOUT, 0);
    return track;
}

void track_free(struct track *track)
{
    struct track **at = &redis.tracks;

    while (*at != track)
        at = &(*at)->next;
    *at = track->next;
    while (track->change)
        change_free(track->change);
    for (size_t i = 0; i < track->prefix_count; i++)
        free(track->prefix[i]);
    event_free(track->event);
    free(track);
}

bool track_is_up(const struct track *track)
{
    return track->up;
}

/* --- commands ----------------------------------------------------------------------------------- */

static bool verb_is(const struct command *command, const char *list)
{
    const char *at = strstr(list, command->word[0]);
    size_t length = strlen(command->word[0]);

    return at && (at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0');
}

/* Whether the key holds what the verb is for; a SET puts its own in any case. */
static bool is_of_type(const struct command *command, const struct key *key)
{
    if (!key || verb_is(command, "SET MGET EXPIRE DEL"))
        return true;
    if (key->list)
        return verb_is(command, "RPUSH");
    return verb_is(command, "GET") ? key->text != NULL : !key->text || command->word[0][0] != 'H';
}

static struct store_reply *run_set(const struct command *command)
{
    const char *name = command->word[1];
    bool not_exists = false;
    long ttl = 0;
    struct key *key;

    for (size_t i = 3; i < command->count; i++) {
        if (strcmp(command->word[i], "NX") == 0)
            not_exists = true;
        else if (strcmp(command->word[i], "EX") == 0)
            ttl = 1000 * strtol(command->word[++i], NULL, 10);
        else if (strcmp(command->word[i], "PX") == 0)
            ttl = strtol(command->word[++i], NULL, 10);
    }
    if (not_exists && find(name))
        return reply_new(STORE_KIND_NIL);
    drop(name);
    key = make(name);
    key->text = strdup(command->word[2]);
    key->expires = ttl ? clock_mono() + ttl : 0;
    tell(name);
    return reply_text("OK");
}

static struct store_reply *run_hash(const struct command *command)
{
    const char *verb = command->word[0];
    struct key *key = make(command->word[1]);
    int64_t integer = 0;
    char text[32];

    if (strcmp(verb, "HINCRBY") == 0) {
        const char *old = field_get(key, command->word[2]);
        integer = (old ? strtoll(old, NULL, 10) : 0) + strtoll(command->word[3], NULL, 10);
        snprintf(text, sizeof text, "%" PRId64, integer);
        field_put(key, command->word[2], text);
    } else if (strcmp(verb, "HSETNX") == 0) {
        if (!field_get(key, command->word[2]))
            field_put(key, command->word[2], command->word[3]);
    } else {
        for (size_t i = 2; i + 1 < command->count; i += 2)
            field_put(key, command->word[i], command->word[i + 1]);
    }
    tell(key->name);
    return reply_integer(integer);
}

static struct store_reply *add_to_field(struct key *key, const char *field, long long by)
{
    const char *old = field_get(key, field);
    char text[32];

    snprintf(text, sizeof text, "%lld", (old ? strtoll(old, NULL, 10) : 0) + by);
    field_put(key, field, text);
    return reply_text(text);
}

/* For people: nothing here reads them. A stream is a HASH of how many there are of each event, a
 * sorted set one of its scores' sum. */
static struct store_reply *run_for_people(const struct command *command)
{
    struct key *key = make(command->word[1]);

    if (verb_is(command, "ZINCRBY"))
        return add_to_field(key, "sum", strtoll(command->word[2], NULL, 10));
    for (size_t i = 6; i + 1 < command->count; i += 2)
        if (strcmp(command->word[i], "event") == 0)
            return add_to_field(key, command->word[i + 1], 1);
    return reply_new(STORE_KIND_ERROR);
}

/* A HASH without fields is none. */
static struct store_reply *run_field_delete(const struct command *command, struct key *key)
{
    for (size_t i = 0; key && i < key->fields; i++)
        if (strcmp(key->field[i], command->word[2]) == 0) {
            free(key->field[i]);
            free(key->value[i]);
            key->fields--;
            key->field[i] = key->field[key->fields];
            key->value[i] = key->value[key->fields];
            tell(key->name);
            if (key->fields == 0)
                drop(key->name);
            return reply_integer(1);
        }
    return reply_integer(0);
}

static struct store_reply *run_list(const struct command *command)
{
    struct store_reply *list = reply_new(STORE_KIND_LIST);
    struct key *key;

    if (strcmp(command->word[0], "MGET") == 0) {
        for (size_t i = 1; i < command->count; i++)
            list->item[list->count++] =
                reply_text((key = find(command->word[i])) ? key->text : NULL);
        return list;
    }
    key = find(command->word[1]);
    if (strcmp(command->word[0], "HMGET") == 0) {
        for (size_t i = 2; i < command->count; i++)
            list->item[list->count++] = reply_text(field_get(key, command->word[i]));
        return list;
    }
    for (size_t i = 0; key && i < key->fields; i++) { /* HGETALL */
        list->item[list->count++] = reply_text(key->field[i]);
        list->item[list->count++] = reply_text(key->value[i]);
    }
    return list;
}

static struct store_reply *run_expire(const struct command *command)
{
    struct key *key = find(command->word[1]);

    if (key)
        key->expires = clock_mono() + strtol(command->word[2], NULL, 10) * 1000;
    return reply_integer(key != NULL);
}

static struct store_reply *run_delete(const struct command *command)
{
    for (size_t i = 1; i < command->count; i++) {
        drop(command->word[i]);
        tell(command->word[i]);
    }
    return reply_integer(1);
}

static struct store_reply *run(const struct command *command)
{
    struct key *key = command->count > 1 ? find(command->word[1]) : NULL;

    if (!is_of_type(command, key))
        return reply_new(STORE_KIND_ERROR); /* WRONGTYPE */
    if (verb_is(command, "SET"))
        return run_set(command);
    if (verb_is(command, "RPUSH")) {
        make(command->word[1])->list = true;
        tell(command->word[1]);
        return reply_integer(1);
    }
    if (verb_is(command, "HSET HSETNX HINCRBY"))
        return run_hash(command);
    if (verb_is(command, "MGET HMGET HGETALL"))
        return run_list(command);
    if (verb_is(command, "EXPIRE"))
        return run_expire(command);
    if (verb_is(command, "HDEL"))
        return run_field_delete(command, key);
    if (verb_is(command, "DEL"))
        return run_delete(command);
    if (verb_is(command, "GET"))
        return reply_text(key ? key->text : NULL);
    if (verb_is(command, "ZINCRBY XADD"))
        return run_for_people(command);
    if (verb_is(command, "ZREMRANGEBYRANK"))
        return reply_integer(0);
    if (verb_is(command, "HGET"))
        return reply_text(field_get(key, command->word[2]));
    fprintf(stderr, "the world's Redis does not know %s\n", command->word[0]);
    abort();
}

static bool writes(const struct command *command)
{
    return verb_is(command,
                   "SET HSET HSETNX HINCRBY HDEL RPUSH EXPIRE DEL ZINCRBY ZREMRANGEBYRANK XADD");
}

/* --- batches ------------------------------------------------------------------------------------ */

struct store_batch *store_batch_new(bool transaction)
{
    (void)transaction;
    return calloc(1, sizeof(struct store_batch));
}

void store_batch_free(struct store_batch *batch)
{
    for (size_t i = 0; batch && i < batch->count; i++)
        for (size_t w = 0; w < batch->command[i].count; w++)
            free(batch->command[i].word[w]);
    free(batch);
}

void store_batch_add_words(struct store_batch *batch, const char *const *word, size_t count)
{
    struct command *command = &batch->command[batch->count++];

    assert(batch->count <= COMMANDS && count <= WORDS);
    for (size_t i = 0; i < count; i++)
        command->word[command->count++] = strdup(word[i]);
}

void store_batch_add(struct store_batch *batch, ...)
{
    const char *word[WORDS + 1];
    size_t count = 0;
    va_list words;

    va_start(words, batch);
    while (count < WORDS && (word[count] = va_arg(words, const char *)))
        count++;
    va_end(words);
    store_batch_add_words(batch, word, count);
}

size_t store_batch_count(const struct store_batch *batch)
{
    return batch->count;
}

static void sent_free(struct sent *sent)
{
    struct sent **at = &sent->store->sent;

    while (*at != sent)
        at = &(*at)->next;
    *at = sent->next;
    event_free(sent->event);
    store_batch_free(sent->batch);
    free(sent);
}

static void finish(struct sent *sent, enum store_status status, struct store_reply **reply,
                   size_t count)
{
    store_done *done = sent->done;
    void *arg = sent->arg;

    world_current = sent->store->node;
    sent_free(sent);
    if (done)
        done(arg, status, (const struct store_reply *const *)reply, count);
}

static void on_reply(evutil_socket_t fd, short what, void *arg)
{
    struct sent *sent = arg;
    struct store_reply *reply[COMMANDS];
    enum store_status status = STORE_OK;
    size_t count = sent->batch->count;

    (void)fd;
    (void)what;
    if (sent->hangs) {
        finish(sent, STORE_TIMEOUT, NULL, 0);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const struct command *command = &sent->batch->command[i];
        if (sent->store->how == WORLD_REDIS_READONLY && writes(command)) {
            reply[i] = reply_new(STORE_KIND_ERROR);
            status = STORE_ERROR;
        } else {
            reply[i] = run(command);
            if (reply[i]->kind == STORE_KIND_ERROR)
                status = STORE_ERROR;
        }
    }
    finish(sent, status, reply, count);
    for (size_t i = 0; i < count; i++)
        reply_free(reply[i]);
}

bool store_send(struct store *store, struct store_batch *batch, store_done *done, void *arg)
{
    struct timeval delay = {.tv_usec = redis.latency * 1000};
    struct sent *sent;

    if (!batch || !store || !store->up) {
        store_batch_free(batch);
        return false;
    }
    sent = calloc(1, sizeof *sent);
    sent->store = store;
    sent->batch = batch;
    sent->done = done;
    sent->arg = arg;
    sent->hangs = store->how == WORLD_REDIS_HANGS;
    if (sent->hangs)
        delay.tv_usec = TIMEOUT_MS * 1000;
    sent->event = event_new(NULL, -1, 0, on_reply, sent);
    sent->next = store->sent;
    store->sent = sent;
    event_add(sent->event, &delay);
    return true;
}

/* --- stores ------------------------------------------------------------------------------------- */

static void set_up(struct store *store, bool up)
{
    if (store->up == up)
        return;
    store->up = up;
    world_current = store->node;
    while (!up && store->sent)
        finish(store->sent, STORE_LOST, NULL, 0);
    if (store->hook)
        store->hook(store->arg, up);
}

static void tell_time(const struct store *store)
{
    clock_set_unix(store->clock, (int64_t)WORLD_START_UNIX * 1000 + world_now() + redis.ahead);
}

static void on_connect(evutil_socket_t fd, short what, void *arg)
{
    struct store *store = arg;

    (void)fd;
    (void)what;
    if (store->how == WORLD_REDIS_UP || store->how == WORLD_REDIS_READONLY) {
        tell_time(store);
        set_up(store, true);
    }
}

static void connect_later(struct store *store)
{
    struct timeval delay = {.tv_usec = 5 * LATENCY_MS * 1000};

    event_add(store->connect, &delay);
}

struct store *store_new(struct event_base *base, const struct store_options *options,
                        struct clock *clock, struct dns *dns, const struct notice *notice)
{
    struct store *store = calloc(1, sizeof *store);

    (void)options;
    (void)dns;
    (void)notice;
    store->node = world_current;
    store->clock = clock;
    store->how = redis.how;
    store->connect = event_new(base, -1, 0, on_connect, store);
    store->next = redis.stores;
    redis.stores = store;
    connect_later(store);
    return store;
}

void store_free(struct store *store)
{
    struct store **at = &redis.stores;

    store->hook = NULL;
    set_up(store, false);
    while (*at != store)
        at = &(*at)->next;
    *at = store->next;
    event_free(store->connect);
    free(store);
}

bool store_is_up(const struct store *store)
{
    return store && store->up;
}

const char *store_trouble(const struct store *store)
{
    return store_is_up(store) ? "" : "down";
}

const char *store_policy(const struct store *store)
{
    (void)store;
    return "noeviction";
}

const char *store_run_id(const struct store *store)
{
    return store->up ? redis.run_id : "";
}

int64_t store_evicted(const struct store *store)
{
    return store->up ? redis.evicted : -1;
}

void store_on_change(struct store *store, store_changed *hook, void *arg)
{
    store->hook = hook;
    store->arg = arg;
}

/* In the world an answer takes what the scenario says, and nobody measures that. */
void store_set_timing(struct store *store, struct timing *timing)
{
    (void)store;
    (void)timing;
}

/* --- for the scenarios -------------------------------------------------------------------------- */

void world_redis_open(void)
{
    memset(&redis, 0, sizeof redis);
    redis.latency = LATENCY_MS;
    snprintf(redis.run_id, sizeof redis.run_id, "run%u", ++redis.run);
}

void world_redis_close(void)
{
    assert(!redis.stores && !redis.tracks);
    while (redis.keys)
        drop(redis.keys->name);
}

static void set_how(struct store *store, enum world_redis how)
{
    store->how = how;
    if (how == WORLD_REDIS_DOWN)
        set_up(store, false);
    else if (!store->up)
        connect_later(store);
}

void world_set_node_redis(struct node *node, enum world_redis how)
{
    for (struct store *store = redis.stores; store; store = store->next)
        if (store->node == node)
            set_how(store, how);
}

void world_set_redis(enum world_redis how)
{
    redis.how = how;
    for (struct store *store = redis.stores; store; store = store->next)
        set_how(store, how);
}

void world_restart_redis(bool emptied)
{
    world_set_redis(WORLD_REDIS_DOWN);
    while (emptied && redis.keys)
        drop(redis.keys->name);
    snprintf(redis.run_id, sizeof redis.run_id, "run%u", ++redis.run);
    world_set_redis(WORLD_REDIS_UP);
    world_run(1000);
}

/* The next word of *rest, which it cuts off; a word in double quotes may hold spaces. */
static char *next_word(char **rest)
{
    char *word = *rest + strspn(*rest, " "), *end;
    bool quoted = *word == '"';

    if (!*word)
        return NULL;
    word += quoted;
    end = word + strcspn(word, quoted ? "\"" : " ");
    *rest = *end ? end + 1 : end;
    *end = '\0';
    return word;
}

const char *world_redis(const char *line)
{
    static char out[4096];
    struct command command = {0};
    struct store_reply *reply;
    char *copy = strdup(line), *rest = copy, *word;

    while ((word = next_word(&rest))) {
        command.word[command.count++] = word;
        for (char *tab = word; (tab = strchr(tab, '\t'));)
            *tab = ' ';
    }
    reply = run(&command);
    snprintf(out, sizeof out, "%s", reply->text ? reply->text : "");
    reply_free(reply);
    free(copy);
    return out;
}

static void run_for(const char *name, const char *command, size_t length)
{
    size_t before = (size_t)((const char *)memchr(command, '%', length) - command);
    char *line;

    if (asprintf(&line, "%.*s%s%.*s", (int)before, command, name, (int)(length - before - 1),
                 command + before + 1) < 0)
        abort();
    world_redis(line);
    free(line);
}

/* The names first: what is done to one key may move another, or take this one away. */
unsigned world_redis_each(const char *pattern, const char *commands)
{
    char *name[FIELDS];
    unsigned count = 0;

    for (struct key *key = redis.keys; key && count < FIELDS; key = key->next)
        if (fnmatch(pattern, key->name, 0) == 0)
            name[count++] = strdup(key->name);
    for (unsigned i = 0; i < count; i++) {
        for (const char *at = commands; *at; at += strcspn(at, ";"), at += *at == ';')
            run_for(name[i], at, strcspn(at, ";"));
        free(name[i]);
    }
    return count;
}

struct later {
    char command[1024];
    struct event *event;
};

static void on_later(evutil_socket_t fd, short what, void *arg)
{
    struct later *later = arg;

    (void)fd;
    (void)what;
    world_redis(later->command);
    event_free(later->event);
    free(later);
}

void world_redis_later(int64_t ms, const char *command)
{
    struct later *later = calloc(1, sizeof *later);
    struct timeval delay = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    snprintf(later->command, sizeof later->command, "%s", command);
    later->event = event_new(NULL, -1, 0, on_later, later);
    event_add(later->event, &delay);
}

bool world_has_key(const char *pattern)
{
    for (struct key *key = redis.keys; key; key = key->next)
        if (fnmatch(pattern, key->name, 0) == 0 &&
            (key->expires == 0 || key->expires > clock_mono()))
            return true;
    return false;
}

long world_ttl(const char *name)
{
    const struct key *key = find(name);

    if (!key)
        return -2;
    return key->expires ? (long)((key->expires - clock_mono() + 500) / 1000) : -1;
}

void world_evict(unsigned keys)
{
    redis.evicted += keys;
}

void world_set_redis_clock(int64_t ms)
{
    redis.ahead = ms;
    for (struct store *store = redis.stores; store; store = store->next)
        if (store->up)
            tell_time(store);
}

void world_set_tracking(bool works)
{
    redis.untracked = !works;
}

void world_set_redis_latency(int64_t ms)
{
    redis.latency = ms;
}
