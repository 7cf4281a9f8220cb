/*
 * policy/socketmap.c: the frames of hazards E, on a real socket, over a fake engine. Each is sent
 * whole, byte by byte, and behind other frames: the replies are the same.
 */
#include "policy/conversation.h"

#include "policy/engine.h"
#include "policy/stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "talk.h"

struct engine_question {
    engine_routed *done;
    void *arg;
    char key[256];
};

static struct {
    struct event_base *base;
    unsigned asked, cancelled, bad, unknown;
    struct engine_question *held;
} fake;

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    static const struct {
        const char *key, *reply;
    } answers[] = {
        {"dnsfilter example.com. 300 IN MX 20 mx2.example.com.", "OK IGNORE"},
        {"dnsfilter empty", ""},
        {"mailertable example.com", "OK esmtp:[gw1.example.net]"},
        {"transport u@example.com", "OK smtp:[gw1.example.net]:25"},
        {"transport user+ext@x.example.org", "OK smtp:[ext]:25"},
        {"transport \"a b\"@x.example.org", "OK smtp:[quoted]:25"},
        {"transport u@b\xc3\xbc"
         "cher.example",
         "OK smtp:[idn]:25"},
        {"transport u@xn--bcher-kva.example", "OK smtp:[idn]:25"},
        {"transport \xff\x01@x.example.org", "OK smtp:[odd]:25"},
        {"transport newline@example.com", "OK smtp:[a]\nNOTFOUND "},
        {"transport return@example.com", "OK smtp:[a]\r"},
        {"transport empty@example.com", ""},
        {"transport ok-empty@example.com", "OK "},
    };
    struct engine_question *question = arg;
    const char *reply = "NOTFOUND ";

    (void)fd;
    (void)what;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (strcmp(question->key, answers[i].key) == 0)
            reply = answers[i].reply;
    question->done(question->arg, reply);
    free(question);
}

static struct engine_question *fake_ask(const char *map, const char *key, engine_routed *done,
                                        void *arg)
{
    struct engine_question *question;
    struct timeval now = {0};

    fake.asked++;
    if (strncmp(key, "full", 4) == 0)
        return NULL;
    question = calloc(1, sizeof *question);
    assert_non_null(question);
    question->done = done;
    question->arg = arg;
    snprintf(question->key, sizeof question->key, "%s %s", map, key);
    if (strncmp(key, "hold", 4) == 0)
        fake.held = question;
    else
        event_base_once(fake.base, -1, EV_TIMEOUT, on_due, question, &now);
    return question;
}

struct engine_question *engine_route(struct engine *engine, enum route_map map, const char *key,
                                     engine_routed *done, void *arg)
{
    (void)engine;
    return fake_ask(map == ROUTE_MAILERTABLE ? "mailertable" : "transport", key, done, arg);
}

struct engine_question *engine_filter(struct engine *engine, const char *record,
                                      engine_routed *done, void *arg)
{
    (void)engine;
    return fake_ask("dnsfilter", record, done, arg);
}

void engine_cancel(struct engine_question *question)
{
    assert_ptr_equal(question, fake.held);
    fake.cancelled++;
    fake.held = NULL;
    free(question);
}

void stats_add(struct stats *stats, const char *name, uint64_t count)
{
    (void)stats;
    (void)count;
    if (strcmp(name, "socketmap_bad") == 0)
        fake.bad++;
    else if (strcmp(name, "socketmap_unknown_map") == 0)
        fake.unknown++;
    else
        fail_msg("counted %s", name);
}

static struct conversation conversation;

static int setup(void **state)
{
    static struct talk talk;
    struct listen_handler handler;

    memset(&fake, 0, sizeof fake);
    socketmap_handler(&handler, &conversation);
    talk_open(&talk, &handler);
    fake.base = talk.base;
    *state = &talk;
    return 0;
}

static int teardown(void **state)
{
    talk_close(*state);
    return 0;
}

#define NO_MAP  "PERM mxwarden has no map of this name (there are transport, mailertable, dnsfilter)"
#define UNFIT   "TEMP mxwardend made no usable answer"
#define NO_ROOM "TEMP mxwardend has no room for this question"

static const struct {
    const char *label, *payload;
    size_t length; /* 0: strlen(payload) */
    const char *wanted;
} questions[] = {
    {"a route", "transport u@example.com", 0, "OK smtp:[gw1.example.net]:25"},
    {"no route", "transport v@example.com", 0, "NOTFOUND "},
    {"key *", "transport *", 0, "NOTFOUND "},
    {"key without @", "transport postmaster", 0, "NOTFOUND "},
    {"a space in the key", "transport \"a b\"@x.example.org", 0, "OK smtp:[quoted]:25"},
    {"an extension", "transport user+ext@x.example.org", 0, "OK smtp:[ext]:25"},
    {"UTF-8",
     "transport u@b\xc3\xbc"
     "cher.example",
     0, "OK smtp:[idn]:25"},
    {"punycode", "transport u@xn--bcher-kva.example", 0, "OK smtp:[idn]:25"},
    {"an odd local part", "transport \xff\x01@x.example.org", 0, "OK smtp:[odd]:25"},
    {"not UTF-8", "transport \xff\xfe@example.com", 0, "NOTFOUND "},
    {"NUL in the key", "transport u\0@example.com", 24, "NOTFOUND "},
    {"CR in the key", "transport u\r@example.com", 0, "NOTFOUND "},
    {"LF in the key", "transport u\n@example.com", 0, "NOTFOUND "},
    {"no key", "transport ", 0, "NOTFOUND "},
    {"Sendmail's map", "mailertable example.com", 0, "OK esmtp:[gw1.example.net]"},
    {"the transport's key in it", "mailertable u@example.com", 0, "NOTFOUND "},
    {"the mailertable's key in the other", "transport example.com", 0, "NOTFOUND "},
    {"NUL in its key", "mailertable example.com\0", 24, "NOTFOUND "},
    {"no room for it", "mailertable full.example.com", 0, NO_ROOM},
    {"a record to ignore", "dnsfilter example.com. 300 IN MX 20 mx2.example.com.", 0, "OK IGNORE"},
    {"another", "dnsfilter example.com. 300 IN MX 10 mx1.example.com.", 0, "NOTFOUND "},
    {"no room never is an error of a record", "dnsfilter full", 0, "NOTFOUND "},
    {"nor is an answer that is none", "dnsfilter empty", 0, "NOTFOUND "},
    {"nor a broken key", "dnsfilter a\nb", 0, "NOTFOUND "},
    {"unknown map", "transprot u@example.com", 0, NO_MAP},
    {"a map's name is whole", "transport2 u@example.com", 0, NO_MAP},
    {"no map name", " u@example.com", 0, NO_MAP},
    {"an answer with a newline", "transport newline@example.com", 0, UNFIT},
    {"an answer with a CR", "transport return@example.com", 0, UNFIT},
    {"an empty answer", "transport empty@example.com", 0, UNFIT},
    {"an empty OK", "transport ok-empty@example.com", 0, UNFIT},
    {"no room in the engine", "transport full@example.com", 0, NO_ROOM},
};

enum { QUESTIONS = sizeof questions / sizeof questions[0] };

static size_t put_question(size_t i, char *out)
{
    size_t length = questions[i].length ? questions[i].length : strlen(questions[i].payload);
    int head = sprintf(out, "%zu:", length);

    memcpy(out + head, questions[i].payload, length);
    out[(size_t)head + length] = ',';
    return (size_t)head + length + 1;
}

static void question_table(void **state)
{
    struct talk *talk = *state;
    int fd = talk_connect(talk);
    char frame[256], wanted[256];

    for (size_t i = 0; i < QUESTIONS; i++) {
        size_t length = put_question(i, frame);
        snprintf(wanted, sizeof wanted, "%zu:%s,", strlen(questions[i].wanted),
                 questions[i].wanted);
        talk_expect(talk, fd, questions[i].label, frame, length, wanted);
    }
    assert_int_equal(fake.unknown, 3);
    assert_int_equal(fake.bad, 0);
    close(fd);
}

/* All questions in one stream, cut at every size from a byte to the whole: the same replies. */
static void split_and_pipelined(void **state)
{
    struct talk *talk = *state;
    static char stream[QUESTIONS * 256], wanted[QUESTIONS * 256], got[QUESTIONS * 256];
    size_t length = 0, wanted_length = 0;
    bool ended;

    for (size_t i = 0; i < QUESTIONS; i++) {
        length += put_question(i, stream + length);
        wanted_length += (size_t)sprintf(wanted + wanted_length, "%zu:%s,",
                                         strlen(questions[i].wanted), questions[i].wanted);
    }
    for (size_t step = 1; step <= length; step = step < 8 ? step + 1 : step * 3) {
        int fd = talk_connect(talk);
        for (size_t at = 0; at < length; at += step)
            talk_send(talk, fd, stream + at, length - at < step ? length - at : step);
        assert_int_equal(talk_receive(talk, fd, got, wanted_length, &ended), wanted_length);
        assert_string_equal(got, wanted);
        assert_true(talk_is_quiet(talk, fd));
        close(fd);
    }
}

static const struct {
    const char *label, *input;
} broken[] = {
    {"0:,", "0:,"},
    {"a leading zero", "011:transport *,"},
    {"negative", "-1:,"},
    {"20 digits", "10000000000000000000:"},
    {"over 10,000 bytes", "10001:"},
    {"no colon", "12transport *,"},
    {"wrong terminator", "11:transport *;"},
    {"no space", "9:transport,"},
    {"no netstring", "get transport *\n"},
};

/* Nothing is answered, that connection closes, and what it asked before is answered. */
static void broken_table(void **state)
{
    struct talk *talk = *state;
    int other = talk_connect(talk);
    char got[32];
    bool ended;

    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        for (int split = 0; split < 2; split++) {
            size_t length = strlen(broken[i].input), step = split ? 1 : length;
            int fd = talk_connect(talk);
            talk_send(talk, fd, "11:transport *,", 15);
            for (size_t at = 0; at < length; at += step)
                talk_send(talk, fd, broken[i].input + at, step);
            assert_int_equal(talk_receive(talk, fd, got, 31, &ended), 12);
            if (!ended || strcmp(got, "9:NOTFOUND ,") != 0)
                fail_msg("%s: \"%s\"", broken[i].label, got);
            close(fd);
        }
    assert_int_equal(fake.bad, 2 * sizeof broken / sizeof broken[0]);
    talk_expect(talk, other, "others are unharmed", "11:transport *,", 15, "9:NOTFOUND ,");
    close(other);
}

/* A key of the greatest length is looked up; a body that ends early is nothing. */
static void long_and_short(void **state)
{
    struct talk *talk = *state;
    int fd = talk_connect(talk);
    char *frame = malloc(10100);

    assert_non_null(frame);
    strcpy(frame, "10000:transport ");
    memset(frame + 16, 'x', 9990);
    frame[16 + 9990] = ',';
    talk_expect(talk, fd, "10,000 bytes", frame, 16 + 9990 + 1, "9:NOTFOUND ,");
    assert_int_equal(fake.asked, 1);
    talk_send(talk, fd, "23:transport u@exam", 19);
    shutdown(fd, SHUT_WR);
    assert_true(talk_is_closed(talk, fd));
    assert_int_equal(fake.asked, 1);
    close(fd);
    free(frame);
}

static void thousand_pipelined(void **state)
{
    enum { COUNT = 1000, FRAME = 27, REPLY = 32 };
    struct talk *talk = *state;
    int fd = talk_connect(talk);
    char *stream = malloc(COUNT * FRAME + 1), *got = malloc(COUNT * REPLY + 1);
    bool ended;

    assert_true(stream && got);
    for (int i = 0; i < COUNT; i++)
        memcpy(stream + i * FRAME, "23:transport u@example.com,", FRAME);
    talk_send(talk, fd, stream, COUNT * FRAME);
    assert_int_equal(talk_receive(talk, fd, got, COUNT * REPLY, &ended), COUNT * REPLY);
    for (int i = 0; i < COUNT; i++)
        assert_memory_equal(got + i * REPLY, "28:OK smtp:[gw1.example.net]:25,", REPLY);
    close(fd);
    free(stream);
    free(got);
}

/* A peer that breaks off in the middle of its question: the engine is told. */
static void asker_goes_away(void **state)
{
    struct talk *talk = *state;
    int fd = talk_connect(talk);

    talk_send(talk, fd, "26:transport hold@example.com,", 30);
    for (int i = 0; i < TALK_WAIT_MS && !fake.held; i++)
        talk_wait(talk, fd, 0);
    assert_non_null(fake.held);
    peer_close(fake.held->arg);
    assert_int_equal(fake.cancelled, 1);
    assert_true(talk_is_closed(talk, fd));
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(question_table, setup, teardown),
        cmocka_unit_test_setup_teardown(split_and_pipelined, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_table, setup, teardown),
        cmocka_unit_test_setup_teardown(long_and_short, setup, teardown),
        cmocka_unit_test_setup_teardown(thousand_pipelined, setup, teardown),
        cmocka_unit_test_setup_teardown(asker_goes_away, setup, teardown),
    };
    return cmocka_run_group_tests_name("socketmap", tests, NULL, NULL);
}
