/*
 * Property 15 of the list in test_properties.c: however the frames of a socketmap connection are
 * cut and run together, the replies are those that each gets alone. The sockets, the listener and
 * the conversation are the shipped ones; the engine answers by what the key hashes to, now at once,
 * now from the loop.
 */
#include "policy/conversation.h"

#include "cache/hash.h"
#include "policy/engine.h"
#include "policy/netstring.h"
#include "policy/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "generate.h"
#include "talk.h"

enum { MOST_FRAMES = 8, FRAME = 320, STREAM = MOST_FRAMES * FRAME };

struct engine_question {
    engine_routed *done;
    void *arg;
    uint64_t hash;
};

static struct event_base *base;

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    struct engine_question *question = arg;
    char reply[600];

    (void)fd;
    (void)what;
    if (question->hash % 4 == 0)
        strcpy(reply, "NOTFOUND ");
    else
        snprintf(reply, sizeof reply, "OK smtp:[h%0*llx.example.net]:25",
                 (int)(question->hash % 400), (unsigned long long)question->hash);
    question->done(question->arg, reply);
    free(question);
}

struct engine_question *engine_route(struct engine *engine, enum route_map map, const char *key,
                                     engine_routed *done, void *arg)
{
    struct engine_question *question = calloc(1, sizeof *question);
    struct timeval wait = {0};

    (void)engine;
    assert_non_null(question);
    *question = (struct engine_question){
        .done = done, .arg = arg, .hash = hash_choice(map == ROUTE_TRANSPORT ? "t" : "m", key)};
    wait.tv_usec = question->hash % 64 == 1 ? 300 : 0;
    event_base_once(base, -1, EV_TIMEOUT, on_due, question, &wait);
    return question;
}

struct engine_question *engine_filter(struct engine *engine, const char *record,
                                      engine_routed *done, void *arg)
{
    return engine_route(engine, ROUTE_MAILERTABLE, record, done, arg);
}

void engine_cancel(struct engine_question *question)
{
    (void)question;
    fail_msg("nobody went away");
}

void stats_add(struct stats *stats, const char *name, uint64_t count)
{
    (void)stats, (void)name, (void)count;
}

/* --- streams ------------------------------------------------------------------------------------ */

struct stream {
    char text[STREAM];
    size_t length;
    size_t end[MOST_FRAMES]; /* of each whole frame */
    size_t frames;
    bool broken; /* what follows the last of them is none */
};

/* Addresses, domains, and noise of any octets. */
static size_t make_key(struct generate *g, char *out)
{
    size_t length = 0;

    switch (generate_below(g, 4)) {
    case 0: return (size_t)sprintf(out, "u%u@example.com", generate_below(g, 1000));
    case 1: return (size_t)sprintf(out, "host%u.example.net", generate_below(g, 1000));
    case 2: return (size_t)sprintf(out, "*");
    }
    for (length = generate_below(g, 200); length > 0 && generate_one_in(g, 8); length /= 2)
        ;
    for (size_t i = 0; i < length; i++)
        out[i] = (char)generate_below(g, 256);
    return length;
}

static void add_frame(struct generate *g, struct stream *stream)
{
    static const char *const maps[] = {"transport ", "mailertable ", "dnsfilter ", "other "};
    char payload[256];
    size_t length = (size_t)sprintf(payload, "%s", maps[generate_below(g, 4)]);

    length += make_key(g, payload + length);
    stream->length += netstring_format(payload, length, stream->text + stream->length, FRAME);
    stream->end[stream->frames++] = stream->length;
}

static void make_stream(struct generate *g, struct stream *stream)
{
    static const char *const broken[] = {
        "0:,",  "011:transport *,", "-1:,",         "11:transport *;",
        "12x,", "10001:",           "9:transport,", "get *\r\n"};

    memset(stream, 0, sizeof *stream);
    for (unsigned i = 1 + generate_below(g, MOST_FRAMES); i > 0; i--)
        add_frame(g, stream);
    stream->broken = generate_one_in(g, 16);
    if (stream->broken)
        stream->length +=
            (size_t)sprintf(stream->text + stream->length, "%s", broken[generate_below(g, 8)]);
}

/* --- both ways ---------------------------------------------------------------------------------- */

/* Most answers are made in so many turns of the loop: to wait for news would take longer. */
static void turn(struct talk *talk, size_t turns)
{
    while (turns-- > 0)
        talk_turn(talk);
}

/* The reply to a frame that is sent alone; appended to out, the new length. */
static size_t ask_one(struct talk *talk, int fd, const char *frame, size_t length, char *out,
                      size_t at)
{
    size_t got = 0, used, size;
    const char *payload;
    bool ended = false;

    talk_send(talk, fd, frame, length);
    turn(talk, 3);
    while (!ended && netstring_scan(out + at, got, &payload, &size, &used) != NETSTRING_DONE)
        got += talk_receive(talk, fd, out + at + got, 1, &ended);
    return at + got;
}

/* In pieces of any size. */
static void send_cut(struct generate *g, struct talk *talk, int fd, const struct stream *stream)
{
    unsigned most = generate_one_in(g, 3) ? 2 : 1 + generate_below(g, (unsigned)stream->length);

    for (size_t at = 0, step; at < stream->length; at += step) {
        step = 1 + generate_below(g, most);
        if (step > stream->length - at)
            step = stream->length - at;
        talk_send(talk, fd, stream->text + at, step);
    }
}

static void cut_and_run_together(void **state)
{
    struct talk *talk = *state;
    static char wanted[MOST_FRAMES * 700], got[MOST_FRAMES * 700];
    int alone = talk_connect(talk);

    for (unsigned long i = 0; i < generate_cases(); i++) {
        struct generate g = generate_case("15", i);
        struct stream stream;
        size_t length = 0;
        int fd = talk_connect(talk);
        bool ended;

        make_stream(&g, &stream);
        for (size_t f = 0; f < stream.frames; f++) {
            size_t begin = f ? stream.end[f - 1] : 0;
            length =
                ask_one(talk, alone, stream.text + begin, stream.end[f] - begin, wanted, length);
        }
        send_cut(&g, talk, fd, &stream);
        turn(talk, 3 * stream.frames);
        generate_assert(&g, talk_receive(talk, fd, got, length, &ended) == length);
        generate_assert(&g, memcmp(got, wanted, length) == 0);
        if (stream.broken)
            generate_assert(&g, talk_is_closed(talk, fd));
        close(fd);
    }
    close(alone);
}

static int setup(void **state)
{
    static struct conversation conversation;
    static struct talk talk;
    struct listen_handler handler;

    socketmap_handler(&handler, &conversation);
    talk_open(&talk, &handler);
    base = talk.base;
    *state = &talk;
    return 0;
}

static int teardown(void **state)
{
    talk_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cut_and_run_together, setup, teardown),
    };

    generate_print();
    return cmocka_run_group_tests_name("properties_frames", tests, NULL, NULL);
}
