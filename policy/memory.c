/*
 * The site's memory of clients. The process's own table holds the same keys as Redis does, so one
 * list of keys serves both: the table is asked first, then Redis with one pipeline.
 */
#include "policy/memory.h"

#include "cache/hash.h"
#include "cache/keys.h"
#include "cache/local.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFER_TTL = 24 * 3600, /* seconds; SPEC 8 */
    PROOF_TTL = 60,
    MAX_KEYS = 240, /* of one look; MGETs of WORDS each */
    WORDS = 60,
};

struct memory {
    struct event_base *base;
    char prefix[KEYS_PREFIX_SIZE];
    const struct clock *clock;
    struct store *store;
    struct local *local;
    int64_t started; /* Unix seconds */
    bool has_epoch;
    int64_t epoch_since;
    int64_t evicted, evicted_at; /* the server's counter, and when it was seen to grow */
    struct event *tick;
};

/* One value of the table: the time, and for proofs the text. */
struct note {
    int64_t at;
    char text[NET_TEXT];
};

enum wait_kind { WAIT_KNOWN, WAIT_REFUSED, WAIT_PROOF };

struct memory_wait {
    struct memory *memory;
    enum wait_kind kind;
    bool cancelled, sent; /* sent: the store's callback frees it */
    struct event *later;
    void *arg;
    memory_known_done *known_done;
    memory_refused_done *refused_done;
    memory_proof_done *proof_done;
    struct memory_known known;
    struct memory_refused refused;
    struct net_addr proof;
    bool proof_known;
    /* What each reply is about: seen keys first, then ok keys. */
    size_t seen_count, ok_count;
    size_t who_count;
    struct net_addr *listener;
    struct identity_set who;
};

static int64_t now_unix(const struct memory *memory)
{
    return clock_unix(memory->clock);
}

/* A stamp from the future, by a broken clock or by hand, counts as now. */
static int64_t parse_stamp(const char *text, int64_t now)
{
    char *end;
    long long at = strtoll(text, &end, 10);

    if (end == text || at <= 0)
        return 0;
    return at > now ? now : at;
}

static void put_note(struct memory *memory, const char *key, int64_t at, const char *text,
                     int64_t ttl)
{
    struct note *note = calloc(1, sizeof *note);
    int64_t now = clock_mono();

    if (!note)
        return;
    note->at = at;
    snprintf(note->text, sizeof note->text, "%s", text);
    local_put(memory->local, key, note, now, now + ttl * 1000);
}

static const struct note *get_note(struct memory *memory, const char *key)
{
    return local_get(memory->local, key, clock_mono());
}

/* --- the epoch ------------------------------------------------------------------------------ */

static void write_epoch(struct memory *memory)
{
    struct store_batch *batch = store_batch_new(false);
    char key[KEYS_SIZE], id[17], since[24];
    uint64_t random;

    hash_random(&random, sizeof random);
    snprintf(id, sizeof id, "%016" PRIx64, random);
    memory->epoch_since = now_unix(memory);
    memory->has_epoch = true;
    snprintf(since, sizeof since, "%" PRId64, memory->epoch_since);
    keys_epoch(memory->prefix, key);
    if (!batch)
        return;
    store_batch_add(batch, "HSET", key, "id", id, "since", since, "run_id",
                    store_run_id(memory->store), NULL);
    store_send(memory->store, batch, NULL, NULL);
}

/* Redis gone and come back with another run_id may have lost writes, whatever it loaded; without
 * the key it has lost everything. Either way memory begins now. */
static void epoch_read(void *arg, enum store_status status, const struct store_reply *const *reply,
                       size_t count)
{
    struct memory *memory = arg;
    const char *since, *run_id;

    if (status != STORE_OK || count != 1)
        return; /* without an epoch the memory counts as lost; the tick asks again */
    since = store_reply_text(store_reply_at(reply[0], 0), NULL);
    run_id = store_reply_text(store_reply_at(reply[0], 1), NULL);
    if (!since || !run_id || strcmp(run_id, store_run_id(memory->store)) != 0) {
        write_epoch(memory);
        return;
    }
    memory->epoch_since = parse_stamp(since, now_unix(memory));
    memory->has_epoch = true;
}

static void read_epoch(struct memory *memory)
{
    struct store_batch *batch;
    char key[KEYS_SIZE];

    if (!store_is_up(memory->store) || !(batch = store_batch_new(false)))
        return;
    store_batch_add(batch, "HMGET", keys_epoch(memory->prefix, key), "since", "run_id", NULL);
    store_send(memory->store, batch, epoch_read, memory);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct memory *memory = arg;
    bool up = store_is_up(memory->store);
    int64_t evicted = up ? store_evicted(memory->store) : -1;

    (void)fd;
    (void)what;
    if (!up)
        memory->has_epoch = false;
    else if (!memory->has_epoch)
        read_epoch(memory);
    if (evicted > memory->evicted && memory->evicted >= 0)
        memory->evicted_at = now_unix(memory);
    if (evicted >= 0)
        memory->evicted = evicted;
}

void memory_changed(struct memory *memory)
{
    if (memory->store)
        read_epoch(memory);
}

static void on_evicted(void *arg)
{
    struct memory *memory = arg;

    if (!memory->store)
        memory->evicted_at = now_unix(memory);
}

struct memory *memory_new(struct event_base *base, const struct memory_options *options,
                          const struct clock *clock, struct store *store)
{
    struct memory *memory = calloc(1, sizeof *memory);
    struct timeval second = {.tv_sec = 1};

    if (!memory)
        return NULL;
    memory->base = base;
    memory->clock = clock;
    memory->store = store;
    memory->started = clock_unix(clock);
    memory->evicted = -1;
    snprintf(memory->prefix, sizeof memory->prefix, "%s", options->prefix);
    memory->local = local_new(options->entries, free);
    if (!memory->local)
        goto fail;
    local_set_evicted(memory->local, on_evicted, memory);
    if (store) {
        memory->tick = event_new(base, -1, EV_PERSIST, on_tick, memory);
        if (!memory->tick || event_add(memory->tick, &second) != 0)
            goto fail;
        read_epoch(memory);
    }
    return memory;
fail:
    memory_free(memory);
    return NULL;
}

void memory_free(struct memory *memory)
{
    if (!memory)
        return;
    if (memory->tick)
        event_free(memory->tick);
    if (memory->local)
        local_free(memory->local);
    free(memory);
}

enum memory_state memory_get_state(const struct memory *memory, int64_t grace, int64_t *since)
{
    *since = memory->store ? memory->epoch_since : memory->started;
    if (memory->store && (!store_is_up(memory->store) || !memory->has_epoch))
        return MEMORY_LOST;
    if (memory->evicted_at > 0 && (now_unix(memory) - memory->evicted_at) * 1000 < grace)
        return MEMORY_EVICTS;
    return MEMORY_GOOD;
}

/* --- writing -------------------------------------------------------------------------------- */

static void put_both(struct memory *memory, struct store_batch *batch, const char *key,
                     const char *value, int64_t at, int64_t ttl)
{
    char seconds[24];

    put_note(memory, key, at, value, ttl);
    snprintf(seconds, sizeof seconds, "%" PRId64, ttl);
    if (batch)
        store_batch_add(batch, "SET", key, value, "EX", seconds, NULL);
}

static struct store_batch *batch_for(struct memory *memory)
{
    return memory->store ? store_batch_new(false) : NULL;
}

static void send_off(struct memory *memory, struct store_batch *batch)
{
    if (batch)
        store_send(memory->store, batch, NULL, NULL);
}

void memory_put_visit(struct memory *memory, const struct net_addr *listener,
                      const struct identity_set *who, const char *stage, int64_t ttl)
{
    struct store_batch *batch = batch_for(memory);
    int64_t now = now_unix(memory);
    char key[KEYS_SIZE], value[48];

    snprintf(value, sizeof value, "%" PRId64 ",%s", now, stage);
    for (size_t i = 0; i < who->count; i++)
        put_both(memory, batch, keys_seen(memory->prefix, listener, who->text[i], key), value, now,
                 ttl);
    send_off(memory, batch);
}

void memory_put_learned(struct memory *memory, const char *domain, const struct identity_set *who,
                        bool dry, int64_t ttl)
{
    struct store_batch *batch = batch_for(memory);
    int64_t now = now_unix(memory);
    char key[KEYS_SIZE], value[24];

    snprintf(value, sizeof value, "%" PRId64, now);
    for (size_t i = 0; i < who->count; i++)
        put_both(memory, batch, keys_ok(memory->prefix, dry, domain, who->text[i], key), value, now,
                 ttl);
    send_off(memory, batch);
}

void memory_put_proof(struct memory *memory, const char *nonce, const struct net_addr *public)
{
    struct store_batch *batch = batch_for(memory);
    char key[KEYS_SIZE], value[NET_TEXT];

    put_both(memory, batch, keys_proof(memory->prefix, nonce, key), net_addr_format(public, value),
             now_unix(memory), PROOF_TTL);
    send_off(memory, batch);
}

struct doubt { /* a learned key that somebody changed */
    struct memory *memory;
    char key[KEYS_SIZE];
};

static void doubt_replied(void *arg, enum store_status status,
                          const struct store_reply *const *reply, size_t count)
{
    struct doubt *doubt = arg;

    if (status == STORE_OK && count == 1 && store_reply_kind(reply[0]) == STORE_KIND_NIL)
        local_remove(doubt->memory->local, doubt->key);
    free(doubt);
}

/* This node's own writes come back here too, so the key is looked at before it is dropped. After a
 * FLUSHALL the process keeps what it knows: it can only let clients in. */
void memory_forget_learned(struct memory *memory, const char *rest)
{
    struct store_batch *batch;
    struct doubt *doubt;

    if (!rest || !memory->store || !(doubt = calloc(1, sizeof *doubt)))
        return;
    doubt->memory = memory;
    snprintf(doubt->key, sizeof doubt->key, "%s:ok:%s", memory->prefix, rest);
    batch = local_get(memory->local, doubt->key, clock_mono()) ? store_batch_new(false) : NULL;
    if (batch) {
        store_batch_add(batch, "GET", doubt->key, NULL);
        if (store_send(memory->store, batch, doubt_replied, doubt))
            return;
    }
    free(doubt);
}

/* --- asking --------------------------------------------------------------------------------- */

static void wait_free(struct memory_wait *wait)
{
    if (wait->later)
        event_free(wait->later);
    free(wait->listener);
    free(wait);
}

static void wait_finish(struct memory_wait *wait)
{
    if (!wait->cancelled) {
        switch (wait->kind) {
        case WAIT_KNOWN: wait->known_done(wait->arg, &wait->known); break;
        case WAIT_REFUSED: wait->refused_done(wait->arg, &wait->refused); break;
        case WAIT_PROOF: wait->proof_done(wait->arg, wait->proof_known, &wait->proof); break;
        }
    }
    wait_free(wait);
}

static void on_later(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    wait_finish(arg);
}

static struct memory_wait *wait_new(struct memory *memory, enum wait_kind kind, void *arg)
{
    struct memory_wait *wait = calloc(1, sizeof *wait);

    if (!wait)
        return NULL;
    wait->memory = memory;
    wait->kind = kind;
    wait->arg = arg;
    wait->later = evtimer_new(memory->base, on_later, wait);
    if (!wait->later) {
        wait_free(wait);
        return NULL;
    }
    return wait;
}

/* Sends the batch, or, where that is not possible or not needed (NULL), answers from the loop. */
static struct memory_wait *wait_begin(struct memory_wait *wait, struct store_batch *batch,
                                      store_done *done)
{
    if (batch && store_send(wait->memory->store, batch, done, wait))
        wait->sent = true;
    else
        event_active(wait->later, EV_TIMEOUT, 0);
    return wait;
}

void memory_cancel(struct memory_wait *wait)
{
    if (!wait)
        return;
    if (wait->sent)
        wait->cancelled = true; /* the store's callback still comes */
    else
        wait_free(wait);
}

/* A visit at the i-th key: listeners by identities, in that order. */
static void note_seen(struct memory_wait *wait, size_t index, int64_t at)
{
    struct memory_known *known = &wait->known;

    if (at <= known->seen_at)
        return;
    known->seen_at = at;
    known->seen_where = wait->listener[index / wait->who_count];
    snprintf(known->seen_as, sizeof known->seen_as, "%s", wait->who.text[index % wait->who_count]);
}

static void note_learned(struct memory_wait *wait, size_t index, int64_t at)
{
    struct memory_known *known = &wait->known;

    if (at <= known->learned_at)
        return;
    known->learned_at = at;
    snprintf(known->learned_as, sizeof known->learned_as, "%s", wait->who.text[index]);
}

static void note_key(struct memory_wait *wait, size_t index, int64_t at)
{
    if (at <= 0)
        return;
    if (index < wait->seen_count)
        note_seen(wait, index, at);
    else if (index < wait->seen_count + wait->ok_count)
        note_learned(wait, index - wait->seen_count, at);
}

/* The replies are the MGETs' lists, one after another. */
static void known_replied(void *arg, enum store_status status,
                          const struct store_reply *const *reply, size_t count)
{
    struct memory_wait *wait = arg;
    int64_t now = now_unix(wait->memory);
    size_t index = 0;

    wait->known.complete = status == STORE_OK;
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < store_reply_count(reply[r]); i++, index++) {
            const char *text = store_reply_text(store_reply_at(reply[r], i), NULL);
            note_key(wait, index, text ? parse_stamp(text, now) : 0);
        }
    if (index != wait->seen_count + wait->ok_count)
        wait->known.complete = false;
    wait_finish(wait);
}

/* The keys of one look, seen then ok; identities of the envelope ('#') are never learned. */
static size_t make_keys(struct memory_wait *wait, const struct memory_look *look,
                        char (*key)[KEYS_SIZE])
{
    const char *prefix = wait->memory->prefix;
    size_t count = 0;

    for (size_t l = 0; l < look->listener_count; l++)
        for (size_t i = 0; i < look->who->count; i++)
            keys_seen(prefix, &look->listener[l], look->who->text[i], key[count++]);
    wait->seen_count = count;
    for (size_t i = 0; i < look->who->count && look->who->text[i][0] != '#'; i++)
        keys_ok(prefix, look->dry, look->domain, look->who->text[i], key[count++]);
    wait->ok_count = count - wait->seen_count;
    return count;
}

static struct store_batch *make_reads(struct memory *memory, char (*key)[KEYS_SIZE], size_t count)
{
    struct store_batch *batch = batch_for(memory);
    const char *word[WORDS + 1] = {"MGET"};

    for (size_t at = 0; batch && at < count; at += WORDS) {
        size_t n = count - at < WORDS ? count - at : WORDS;
        for (size_t i = 0; i < n; i++)
            word[1 + i] = key[at + i];
        store_batch_add_words(batch, word, 1 + n);
    }
    return batch;
}

static bool copy_look(struct memory_wait *wait, const struct memory_look *look)
{
    wait->who = *look->who;
    wait->who_count = look->who->count;
    wait->listener = calloc(look->listener_count + 1, sizeof *wait->listener);
    if (wait->listener && look->listener_count)
        memcpy(wait->listener, look->listener, look->listener_count * sizeof *wait->listener);
    return wait->listener != NULL;
}

struct memory_wait *memory_ask(struct memory *memory, const struct memory_look *look,
                               memory_known_done *done, void *arg)
{
    struct memory_wait *wait = wait_new(memory, WAIT_KNOWN, arg);
    char(*key)[KEYS_SIZE] = NULL;
    struct store_batch *batch = NULL;
    size_t count, want = (look->listener_count + 1) * look->who->count;

    if (!wait || !copy_look(wait, look))
        goto fail;
    wait->known_done = done;
    if (want == 0 || want > MAX_KEYS) /* nobody to look for; or more than can be asked: not known */
        return wait_begin(wait, NULL, NULL);
    key = calloc(want, sizeof *key);
    if (!key)
        goto fail;
    count = make_keys(wait, look, key);
    for (size_t i = 0; i < count; i++) {
        const struct note *note = get_note(memory, key[i]);
        note_key(wait, i, note ? note->at : 0);
    }
    /* Seen or learned here settles it: no need to ask further. */
    wait->known.complete = !memory->store || wait->known.seen_at || wait->known.learned_at;
    if (!wait->known.complete)
        batch = make_reads(memory, key, count);
    free(key);
    return wait_begin(wait, batch, known_replied);
fail:
    if (wait)
        wait_free(wait);
    return NULL;
}

static void note_refusal(struct memory_wait *wait, size_t index, int64_t at)
{
    if (at > 0 && (wait->refused.first_at == 0 || at < wait->refused.first_at)) {
        wait->refused.first_at = at;
        wait->refused.which = (unsigned)index;
    }
}

/* Every last reply of `stride` is the GET of one digest. */
static void refused_read(struct memory_wait *wait, enum store_status status,
                         const struct store_reply *const *reply, size_t count, size_t stride)
{
    int64_t now = now_unix(wait->memory);

    wait->refused.complete = status == STORE_OK;
    for (size_t i = stride - 1; i < count; i += stride) {
        const char *text = store_reply_text(reply[i], NULL);
        if (text)
            note_refusal(wait, i / stride, parse_stamp(text, now));
        else if (stride == 2)
            wait->refused.complete = false; /* written, and not there */
    }
    wait_finish(wait);
}

static void refuse_replied(void *arg, enum store_status status,
                           const struct store_reply *const *reply, size_t count)
{
    refused_read(arg, status, reply, count, 2);
}

static void recall_replied(void *arg, enum store_status status,
                           const struct store_reply *const *reply, size_t count)
{
    refused_read(arg, status, reply, count, 1);
}

/* The process's own knowledge of one digest; notes the refusal there when `note` says so. */
static void refuse_here(struct memory_wait *wait, size_t index, const char *key, bool note)
{
    const struct note *known = get_note(wait->memory, key);
    int64_t now = now_unix(wait->memory);

    if (known)
        note_refusal(wait, index, known->at);
    else if (note) {
        put_note(wait->memory, key, now, "", DEFER_TTL);
        note_refusal(wait, index, now);
    }
}

static struct memory_wait *ask_refusal(struct memory *memory, const struct identity_set *digests,
                                       bool dry, bool note, memory_refused_done *done, void *arg)
{
    struct memory_wait *wait = wait_new(memory, WAIT_REFUSED, arg);
    struct store_batch *batch;
    char key[KEYS_SIZE], now[24], ttl[24];

    if (!wait)
        return NULL;
    wait->refused_done = done;
    wait->refused.complete = !memory->store && digests->count > 0;
    snprintf(now, sizeof now, "%" PRId64, now_unix(memory));
    snprintf(ttl, sizeof ttl, "%d", DEFER_TTL);
    batch = digests->count ? batch_for(memory) : NULL;
    for (size_t i = 0; i < digests->count; i++) {
        /* The key puts the '#' before the digest itself. */
        keys_defer(memory->prefix, dry, digests->text[i] + 1, key);
        refuse_here(wait, i, key, note);
        if (batch && note)
            store_batch_add(batch, "SET", key, now, "NX", "EX", ttl, NULL);
        if (batch)
            store_batch_add(batch, "GET", key, NULL);
    }
    return wait_begin(wait, batch, note ? refuse_replied : recall_replied);
}

struct memory_wait *memory_refuse(struct memory *memory, const struct identity_set *digests,
                                  bool dry, memory_refused_done *done, void *arg)
{
    return ask_refusal(memory, digests, dry, true, done, arg);
}

struct memory_wait *memory_recall(struct memory *memory, const struct identity_set *digests,
                                  bool dry, memory_refused_done *done, void *arg)
{
    return ask_refusal(memory, digests, dry, false, done, arg);
}

static void proof_replied(void *arg, enum store_status status,
                          const struct store_reply *const *reply, size_t count)
{
    struct memory_wait *wait = arg;
    const char *text = count == 1 ? store_reply_text(reply[0], NULL) : NULL;

    wait->proof_known = status == STORE_OK;
    if (text)
        net_addr_parse(text, &wait->proof);
    wait_finish(wait);
}

struct memory_wait *memory_ask_proof(struct memory *memory, const char *nonce,
                                     memory_proof_done *done, void *arg)
{
    struct memory_wait *wait = wait_new(memory, WAIT_PROOF, arg);
    struct store_batch *batch = NULL;
    const struct note *note;
    char key[KEYS_SIZE];

    if (!wait)
        return NULL;
    wait->proof_done = done;
    wait->proof_known = !memory->store;
    note = get_note(memory, keys_proof(memory->prefix, nonce, key));
    if (note) {
        net_addr_parse(note->text, &wait->proof);
        wait->proof_known = true;
    } else if ((batch = batch_for(memory))) {
        store_batch_add(batch, "GET", key, NULL);
    }
    return wait_begin(wait, batch, proof_replied);
}
