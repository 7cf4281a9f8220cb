/*
 * Asking the site's memory: the process's table first, then Redis with one pipeline. Each question
 * is a wait that ends once, from the loop.
 */
#include "policy/memory_inside.h"

#include "policy/message.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_KEYS = 244, /* of one look; MGETs of WORDS each */
    WORDS = 60,
    OK_DOMAINS = 2, /* ok keys of one identity: the domain's, and any domain's */
    SKEW = 30,      /* seconds that another node's clock may be ahead */
};

enum wait_kind { WAIT_KNOWN, WAIT_REFUSED, WAIT_PROOF, WAIT_VALUES };

struct memory_wait {
    struct memory *memory;
    enum wait_kind kind;
    bool cancelled, sent; /* sent: the store's callback frees it */
    struct event *later;
    void *arg;
    memory_known_done *known_done;
    memory_refused_done *refused_done;
    memory_proof_done *proof_done;
    memory_values_done *values_done;
    char (*value)[MEMORY_VALUE_SIZE];
    size_t value_count;
    bool values_complete;
    struct memory_known known;
    struct memory_refused refused;
    uint64_t message;              /* that is refused */
    bool known_here[IDENTITY_MAX]; /* its digests, before it was noted */
    struct net_addr proof;
    bool proof_known;
    /* What each reply is about: seen keys first, then ok keys, then trap, then defer keys. */
    size_t seen_count, ok_count, trap_count, retry_count;
    size_t who_count;
    bool rcpt_only;
    int64_t max_age;
    struct net_addr *listener;
    struct identity_set who;
};

static void wait_free(struct memory_wait *wait)
{
    if (wait->later)
        event_free(wait->later);
    free(wait->listener);
    free(wait->value);
    free(wait);
}

static void wait_finish(struct memory_wait *wait)
{
    if (!wait->cancelled) {
        switch (wait->kind) {
        case WAIT_KNOWN:
            wait->known.before = wait->refused;
            wait->known_done(wait->arg, &wait->known);
            break;
        case WAIT_REFUSED: wait->refused_done(wait->arg, &wait->refused); break;
        case WAIT_PROOF: wait->proof_done(wait->arg, wait->proof_known, &wait->proof); break;
        case WAIT_VALUES:
            wait->values_done(wait->arg, wait->values_complete,
                              (const char(*)[MEMORY_VALUE_SIZE])wait->value);
            break;
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
    bool any = index % OK_DOMAINS == 1;

    /* What the client earned itself is worth more than what somebody said of it. */
    if (known->learned_at && any != known->learned_any ? any : at <= known->learned_at)
        return;
    known->learned_at = at;
    known->learned_any = any;
    snprintf(known->learned_as, sizeof known->learned_as, "%s", wait->who.text[index / OK_DOMAINS]);
}

/* Whether a visit "time,stage" is one that this look asks for. */
static bool is_visit(const struct memory_wait *wait, const char *text, int64_t at)
{
    const char *stage = strchr(text, ',');

    if (memory_now(wait->memory) - at >= wait->max_age)
        return false;
    return !wait->rcpt_only || (stage && strcmp(stage, ",rcpt") == 0);
}

static void note_refusal(struct memory_wait *wait, size_t index, int64_t at)
{
    if (at > 0 && (wait->refused.first_at == 0 || at < wait->refused.first_at)) {
        wait->refused.first_at = at;
        wait->refused.which = (unsigned)index;
    }
}

/* By a clock that has been set back since: nobody can tell how long ago that was, and clamped to
 * now it would never grow old. */
static bool is_ahead(const char *stamp, int64_t now)
{
    return strtoll(stamp, NULL, 10) > now + SKEW;
}

/* Redis had the digest. If this process had not, another node was told of it, or a process before
 * this one: it was another message's. */
static void note_before(struct memory_wait *wait, size_t index)
{
    wait->refused.fresh = false;
    if (!wait->known_here[index] && message_is_later(wait->message, MESSAGE_ANOTHER))
        wait->refused.later = true;
}

/* One digest as Redis has it: its stamp, and whether it was there before this question. */
static void read_digest(struct memory_wait *wait, size_t index, const char *text, bool before)
{
    int64_t now = memory_now(wait->memory);

    if (text)
        note_refusal(wait, index, memory_parse_stamp(text, now));
    if (before)
        note_before(wait, index);
    if (text && is_ahead(text, now))
        wait->refused.complete = false;
}

/* The process's own knowledge of one digest; notes the refusal there when `note` says so. How old
 * it is the monotonic clock says: that of Redis may have been set since. */
static void refuse_here(struct memory_wait *wait, size_t index, const char *key, bool note)
{
    const struct memory_note *known = memory_note_get(wait->memory, key);
    int64_t now = memory_now(wait->memory);

    wait->known_here[index] = known != NULL;
    if (known) {
        note_refusal(wait, index, now - (clock_mono() - known->mono) / 1000);
        wait->refused.fresh = false;
        if (message_is_later(wait->message, known->message))
            wait->refused.later = true;
    } else if (note) {
        struct memory_note *made = memory_note_put(wait->memory, key, now, "", MEMORY_DEFER_TTL);
        if (made)
            made->message = wait->message;
        else
            wait->refused.complete = false; /* unless Redis takes it */
        note_refusal(wait, index, now);
    }
}

static void note_key(struct memory_wait *wait, size_t index, const char *text)
{
    int64_t at = memory_parse_stamp(text, memory_now(wait->memory));

    if (at <= 0)
        return;
    if (index >= wait->seen_count) {
        if (index < wait->seen_count + wait->ok_count)
            note_learned(wait, index - wait->seen_count, at);
        else
            wait->known.trapped_at = at;
    } else if (is_visit(wait, text, at)) {
        note_seen(wait, index, at);
    }
}

/* The replies are the MGETs' lists, one after another. */
static void known_replied(void *arg, enum store_status status,
                          const struct store_reply *const *reply, size_t count)
{
    struct memory_wait *wait = arg;
    size_t index = 0, digests = wait->seen_count + wait->ok_count + wait->trap_count;

    wait->known.complete = status == STORE_OK;
    wait->known.shared = true;
    wait->refused.complete = status == STORE_OK && wait->retry_count > 0;
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < store_reply_count(reply[r]); i++, index++) {
            const char *text = store_reply_text(store_reply_at(reply[r], i), NULL);
            if (text && index < digests)
                note_key(wait, index, text);
            else if (text && index < digests + wait->retry_count)
                read_digest(wait, index - digests, text, true);
        }
    if (index != digests + wait->retry_count)
        wait->known.complete = wait->refused.complete = false;
    wait_finish(wait);
}

/* The key puts the '#' before the digest itself. */
static void make_defer_key(const struct memory *memory, const struct identity_set *digests,
                           size_t index, bool dry, char key[KEYS_SIZE])
{
    keys_defer(memory->prefix, dry, digests->text[index] + 1, key);
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
    for (size_t i = 0; i < look->who->count && look->who->text[i][0] != '#'; i++) {
        keys_ok(prefix, look->dry, look->domain, look->who->text[i], key[count++]);
        keys_ok(prefix, look->dry, MEMORY_ANY_DOMAIN, look->who->text[i], key[count++]);
    }
    wait->ok_count = count - wait->seen_count;
    wait->trap_count = look->net != NULL;
    if (look->net)
        keys_trap(prefix, look->dry, look->net, key[count++]);
    wait->retry_count = look->retry ? look->retry->count : 0;
    for (size_t i = 0; i < wait->retry_count; i++)
        make_defer_key(wait->memory, look->retry, i, look->dry, key[count++]);
    return count;
}

static struct store_batch *make_reads(struct memory *memory, const char (*key)[KEYS_SIZE],
                                      size_t count)
{
    struct store_batch *batch = memory_batch(memory);
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
    wait->rcpt_only = look->rcpt_only;
    wait->max_age = look->max_age;
    wait->message = look->message;
    wait->listener = calloc(look->listener_count + 1, sizeof *wait->listener);
    if (wait->listener && look->listener_count)
        memcpy(wait->listener, look->listener, look->listener_count * sizeof *wait->listener);
    return wait->listener != NULL;
}

/* What this process knows by itself; whether that settles it. Seen or learned here does: no need to
 * ask further. But who was seen may be trapped. */
static bool know_here(struct memory_wait *wait, const struct memory_look *look,
                      const char (*key)[KEYS_SIZE], size_t count)
{
    const struct memory *memory = wait->memory;
    size_t digests = count - wait->retry_count;

    for (size_t i = 0; i < digests; i++) {
        const struct memory_note *note = memory_note_get(wait->memory, key[i]);
        if (note)
            note_key(wait, i, note->text);
    }
    for (size_t i = digests; i < count; i++)
        refuse_here(wait, i - digests, key[i], false);
    wait->refused.complete = !memory->store && wait->retry_count > 0;
    return !memory->store || (wait->known.seen_at && !look->net) ||
           (wait->known.learned_at && !wait->known.learned_any);
}

struct memory_wait *memory_ask(struct memory *memory, const struct memory_look *look,
                               memory_known_done *done, void *arg)
{
    struct memory_wait *wait = wait_new(memory, WAIT_KNOWN, arg);
    char(*key)[KEYS_SIZE] = NULL;
    struct store_batch *batch = NULL;
    size_t count, want = (look->listener_count + OK_DOMAINS) * look->who->count +
                         (look->net != NULL) + (look->retry ? look->retry->count : 0);

    if (!wait || !copy_look(wait, look))
        goto fail;
    wait->known_done = done;
    if (want == 0 || want > MAX_KEYS) /* nobody to look for; or more than can be asked: not known */
        return wait_begin(wait, NULL, NULL);
    key = calloc(want, sizeof *key);
    if (!key)
        goto fail;
    count = make_keys(wait, look, key);
    wait->known.complete = know_here(wait, look, (const char(*)[KEYS_SIZE])key, count);
    if (!wait->known.complete)
        batch = make_reads(memory, (const char(*)[KEYS_SIZE])key, count);
    free(key);
    return wait_begin(wait, batch, known_replied);
fail:
    if (wait)
        wait_free(wait);
    return NULL;
}

/* Whether Redis had the digest: SET NX found it there, or there was no SET. */
static bool found_before(const struct store_reply *const *reply, size_t get, size_t stride)
{
    bool has = store_reply_text(reply[get], NULL) != NULL;

    return stride == 2 ? store_reply_kind(reply[get - 1]) == STORE_KIND_NIL : has;
}

/* Every last reply of `stride` is the GET of one digest. */
static void refused_read(struct memory_wait *wait, enum store_status status,
                         const struct store_reply *const *reply, size_t count, size_t stride)
{
    wait->refused.complete = status == STORE_OK;
    memory_written(wait->memory, status, NULL, 0);
    for (size_t i = stride - 1; i < count; i += stride) {
        const char *text = store_reply_text(reply[i], NULL);
        read_digest(wait, i / stride, text, found_before(reply, i, stride));
        if (!text && stride == 2) /* written, and not there */
            wait->refused.complete = false;
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

static struct memory_wait *ask_refusal(struct memory *memory, const struct identity_set *digests,
                                       uint64_t message, bool dry, bool note,
                                       memory_refused_done *done, void *arg)
{
    struct memory_wait *wait = wait_new(memory, WAIT_REFUSED, arg);
    struct store_batch *batch;
    char key[KEYS_SIZE], now[24], ttl[24];

    if (!wait)
        return NULL;
    wait->refused_done = done;
    wait->message = message;
    wait->refused.complete = !memory->store && digests->count > 0;
    wait->refused.fresh = note && digests->count > 0;
    snprintf(now, sizeof now, "%" PRId64, memory_now(memory));
    snprintf(ttl, sizeof ttl, "%d", MEMORY_DEFER_TTL);
    batch = digests->count ? memory_batch(memory) : NULL;
    for (size_t i = 0; i < digests->count; i++) {
        make_defer_key(memory, digests, i, dry, key);
        refuse_here(wait, i, key, note);
        if (batch && note)
            store_batch_add(batch, "SET", key, now, "NX", "EX", ttl, NULL);
        if (batch)
            store_batch_add(batch, "GET", key, NULL);
    }
    return wait_begin(wait, batch, note ? refuse_replied : recall_replied);
}

struct memory_wait *memory_refuse(struct memory *memory, const struct identity_set *digests,
                                  uint64_t message, bool dry, memory_refused_done *done, void *arg)
{
    return ask_refusal(memory, digests, message, dry, true, done, arg);
}

struct memory_wait *memory_recall(struct memory *memory, const struct identity_set *digests,
                                  bool dry, memory_refused_done *done, void *arg)
{
    return ask_refusal(memory, digests, MESSAGE_ANOTHER, dry, false, done, arg);
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
    const struct memory_note *note;
    char key[KEYS_SIZE];

    if (!wait)
        return NULL;
    wait->proof_done = done;
    wait->proof_known = !memory->store;
    note = memory_note_get(memory, keys_proof(memory->prefix, nonce, key));
    if (note) {
        net_addr_parse(note->text, &wait->proof);
        wait->proof_known = true;
    } else if ((batch = memory_batch(memory))) {
        store_batch_add(batch, "GET", key, NULL);
    }
    return wait_begin(wait, batch, proof_replied);
}

static void values_replied(void *arg, enum store_status status,
                           const struct store_reply *const *reply, size_t count)
{
    struct memory_wait *wait = arg;
    size_t index = 0;

    wait->values_complete = status == STORE_OK;
    for (size_t r = 0; r < count; r++)
        for (size_t i = 0; i < store_reply_count(reply[r]); i++, index++) {
            const char *text = store_reply_text(store_reply_at(reply[r], i), NULL);
            if (text && index < wait->value_count)
                snprintf(wait->value[index], sizeof wait->value[index], "%s", text);
        }
    wait_finish(wait);
}

struct memory_wait *memory_values(struct memory *memory, const char (*key)[KEYS_SIZE], size_t count,
                                  memory_values_done *done, void *arg)
{
    struct memory_wait *wait =
        count <= MEMORY_MAX_VALUES ? wait_new(memory, WAIT_VALUES, arg) : NULL;

    if (!wait)
        return NULL;
    wait->values_done = done;
    wait->value_count = count;
    wait->values_complete = !memory->store;
    wait->value = calloc(count + 1, sizeof *wait->value);
    if (!wait->value) {
        wait_free(wait);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const struct memory_note *note = memory_note_get(memory, key[i]);
        if (note)
            snprintf(wait->value[i], sizeof wait->value[i], "%s", note->text);
    }
    return wait_begin(wait, make_reads(memory, key, count), values_replied);
}
