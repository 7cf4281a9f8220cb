/*
 * policy/listen.c and listen_socket.c: peers on a real loop, with lines as frames. A line is
 * answered by itself: at once, or ("late...") when the test says so.
 */
#include "policy/listen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "talk.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct {
    unsigned taken, closed, closed_asked;
    struct peer *waiting; /* one late question */
    char late[64];
    size_t late_length;
    uid_t uid;
    bool has_uid;
} heard;

static enum listen_input lines_input(struct peer *peer, const char *data, size_t length,
                                     size_t *used)
{
    const char *end = memchr(data, '\n', length);

    if (!end)
        return LISTEN_MORE;
    *used = (size_t)(end - data) + 1;
    heard.taken++;
    heard.has_uid = peer_uid(peer, &heard.uid);
    if (strncmp(data, "bad", 3) == 0)
        return LISTEN_BAD;
    if (strncmp(data, "late", 4) == 0) {
        assert_null(heard.waiting);
        heard.waiting = peer;
        memcpy(heard.late, data, *used);
        heard.late_length = *used;
        peer_set_data(peer, heard.late);
        return LISTEN_TAKEN;
    }
    if (strncmp(data, "gone", 4) == 0)
        peer_close(peer);
    else if (strncmp(data, "big", 3) == 0)
        peer_reply(peer, (char[1024]){0}, 1024, false);
    else
        peer_reply(peer, data, *used, strncmp(data, "end", 3) == 0);
    return LISTEN_TAKEN;
}

static void lines_closed(struct peer *peer)
{
    heard.closed++;
    if (heard.waiting == peer) {
        heard.closed_asked++;
        heard.waiting = NULL;
    }
}

static const struct listen_handler lines = {
    .name = "lines",
    .max_frame = 64,
    .frame_timeout = 5000,
    .max_peers = 3,
    .input = lines_input,
    .closed = lines_closed,
};

static void reply_late(void)
{
    struct peer *peer = heard.waiting;

    assert_non_null(peer);
    heard.waiting = NULL;
    peer_reply(peer, heard.late, heard.late_length, false);
}

/* The loop turns until the late question is there; the client has nothing to hear meanwhile. */
static void await_late(struct talk *talk, int fd)
{
    for (int i = 0; i < TALK_WAIT_MS && !heard.waiting; i++)
        talk_wait(talk, fd, 0);
    assert_non_null(heard.waiting);
}

static int setup(void **state)
{
    static struct talk talk;

    memset(&heard, 0, sizeof heard);
    talk_open(&talk, &lines);
    *state = &talk;
    return 0;
}

static int teardown(void **state)
{
    talk_close(*state);
    return 0;
}

static const struct {
    const char *label, *input, *wanted;
    bool ends;
} frames[] = {
    {"one", "a\n", "a\n", false},
    {"pipelined", "a\nb\nc\n", "a\nb\nc\n", false},
    {"a part is left", "a\nb", "a\n", false},
    {"closed after the reply", "a\nend\nb\n", "a\nend\n", true},
    {"bad: what came before is answered", "a\nbad\nb\n", "a\n", true},
    {"bad at once", "bad\n", "", true},
    {"closed by the handler", "gone\na\n", "", true},
    {"too long", "a\n0123456789012345678901234567890123456789012345678901234567890123456789", "a\n",
     true},
};

static void frame_table(void **state)
{
    struct talk *talk = *state;

    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++)
        for (int split = 0; split < 2; split++) {
            size_t length = strlen(frames[i].input), step = split ? 1 : length;
            char got[128];
            bool ended;
            int fd = talk_connect(talk);

            for (size_t at = 0; at < length; at += step)
                talk_send(talk, fd, frames[i].input + at, step);
            talk_receive(talk, fd, got, strlen(frames[i].wanted), &ended);
            if (strcmp(got, frames[i].wanted) != 0)
                fail_msg("%s: got \"%s\"", frames[i].label, got);
            if (frames[i].ends ? !talk_is_closed(talk, fd) : !talk_is_quiet(talk, fd))
                fail_msg("%s: wrong end", frames[i].label);
            close(fd);
        }
}

static void late_reply_keeps_order(void **state)
{
    struct talk *talk = *state;
    int fd = talk_connect(talk);
    char got[32];
    bool ended;

    talk_send(talk, fd, "a\nlate 1\nb\nlate 2\n", 18);
    await_late(talk, fd);
    assert_int_equal(heard.taken, 2); /* "b" waits */
    reply_late();
    assert_non_null(heard.waiting);
    reply_late();
    talk_receive(talk, fd, got, 18, &ended);
    assert_string_equal(got, "a\nlate 1\nb\nlate 2\n");
    close(fd);
}

static void half_closed_is_answered(void **state)
{
    struct talk *talk = *state;
    int fd = talk_connect(talk);
    char got[32];
    bool ended;

    talk_send(talk, fd, "late\na\npart", 11);
    shutdown(fd, SHUT_WR);
    await_late(talk, fd);
    for (int i = 0; i < 10; i++)
        talk_turn(talk);
    reply_late();
    assert_int_equal(talk_receive(talk, fd, got, 31, &ended), 7);
    assert_string_equal(got, "late\na\n");
    assert_true(ended);
    close(fd);
}

/* The client is gone when its reply comes. */
static void reply_to_nobody(void **state)
{
    struct talk *talk = *state;
    int fd = talk_connect(talk);

    talk_send(talk, fd, "late\n", 5);
    await_late(talk, fd);
    close(fd);
    for (int i = 0; i < 10; i++)
        talk_turn(talk);
    if (heard.waiting)
        reply_late();
    for (int i = 0; i < TALK_WAIT_MS && !heard.closed; i++)
        talk_turn(talk);
    assert_int_equal(heard.closed, 1);
}

/* A late question whose peer is closed is told of it exactly once. */
static void closed_while_asked(void **state)
{
    struct talk *talk = *state;
    int fd = talk_connect(talk);

    talk_send(talk, fd, "late\nx\n", 7);
    await_late(talk, fd);
    peer_close(heard.waiting);
    assert_int_equal(heard.closed, 1);
    assert_int_equal(heard.closed_asked, 1);
    assert_true(talk_is_closed(talk, fd));
    close(fd);
}

static void newcomer_is_refused(void **state)
{
    struct talk *talk = *state;
    int fd[3], more;

    for (int i = 0; i < 3; i++) {
        fd[i] = talk_connect(talk);
        talk_expect(talk, fd[i], "within the cap", "a\n", 2, "a\n");
    }
    more = talk_connect(talk);
    assert_true(talk_is_closed(talk, more));
    close(more);
    for (int i = 0; i < 3; i++) {
        talk_expect(talk, fd[i], "still there", "b\n", 2, "b\n");
        close(fd[i]);
    }
}

/* A client that sends and never reads costs no more than one buffer. */
static void unread_replies_are_bounded(void **state)
{
    enum { FRAMES = 2000 };
    struct talk *talk = *state;
    int fd = talk_connect(talk), small = 4096;
    char *frames_text = malloc(FRAMES * 4), *got = malloc(FRAMES * 1024 + 1);
    unsigned before;
    bool ended;

    assert_true(frames_text && got);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    for (int i = 0; i < FRAMES; i++)
        memcpy(frames_text + i * 4, "big\n", 4);
    talk_send(talk, fd, frames_text, FRAMES * 4);
    for (int i = 0; i < 100; i++)
        talk_turn(talk);
    before = heard.taken;
    assert_in_range(before, 64, 600); /* 64 KiB of ours, and what the kernel holds */
    assert_int_equal(talk_receive(talk, fd, got, FRAMES * 1024, &ended), FRAMES * 1024);
    assert_int_equal(heard.taken, FRAMES);
    close(fd);
    free(frames_text);
    free(got);
}

static void whoever_asks_is_known(void **state)
{
    struct talk *talk = *state;
    int fd = talk_connect(talk);

    talk_expect(talk, fd, "uid", "a\n", 2, "a\n");
    assert_true(heard.has_uid);
    assert_int_equal(heard.uid, geteuid());
    close(fd);
}

/* No descriptors: the newcomer hears of it, the loop does not spin, and it ends by itself. */
static void full_process_sheds(void **state)
{
    struct talk *talk = *state;
    struct rlimit before, low;
    int held[64], count = 0, turns = 0, first = talk_connect(talk), second, third;
    int64_t end;

    talk_expect(talk, first, "before", "a\n", 2, "a\n");
    second = talk_connect(talk);
    third = talk_connect(talk);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = (rlim_t)third + 8;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (count < 64 && (held[count] = open("/dev/null", O_RDONLY)) >= 0)
        count++;
    assert_int_equal(errno, EMFILE);
    assert_true(talk_is_closed(talk, second));
    /* The third waits in the queue. While the door is shut nothing is due: a loop that blocks for
     * its next event comes back once, by the timer. */
    for (end = clock_mono() + 150; clock_mono() < end; turns++)
        event_base_loop(talk->base, EVLOOP_ONCE);
    assert_in_range(turns, 0, 20);
    talk_expect(talk, first, "meanwhile", "b\n", 2, "b\n");
    while (count > 0)
        close(held[--count]);
    setrlimit(RLIMIT_NOFILE, &before);
    close(second);
    second = talk_connect(talk);
    talk_expect(talk, second, "after", "c\n", 2, "c\n");
    close(first);
    close(second);
    close(third);
}

static void stop_lets_replies_end(void **state)
{
    struct talk *talk = *state;
    struct listen *listen = talk->listen;
    int asked = talk_connect(talk), idle = talk_connect(talk);
    struct stat status;
    char got[16];
    bool ended;

    talk_expect(talk, idle, "idle", "a\n", 2, "a\n");
    talk_send(talk, asked, "late\nb\n", 7);
    await_late(talk, asked);
    listen_stop(listen);
    talk->listen = NULL;
    assert_int_not_equal(stat(talk->path, &status), 0);
    assert_true(talk_is_closed(talk, idle));
    reply_late();
    assert_int_equal(talk_receive(talk, asked, got, 15, &ended), 5);
    assert_true(ended);
    close(asked);
    close(idle);
    assert_int_equal(heard.closed, 2);
    listen_free(listen);
}

/* Whoever still waits then, for an answer or to have read one, is let go. */
static void free_closes_all(void **state)
{
    struct talk *talk = *state;
    int asked = talk_connect(talk), idle = talk_connect(talk);

    talk_expect(talk, idle, "idle", "a\n", 2, "a\n");
    talk_send(talk, asked, "late\n", 5);
    await_late(talk, asked);
    listen_free(talk->listen);
    listen_free(NULL);
    talk->listen = NULL;
    assert_int_equal(heard.closed, 2);
    assert_int_equal(heard.closed_asked, 1);
    assert_true(talk_is_closed(talk, asked));
    close(asked);
    close(idle);
}

static void frame_deadline(void **state)
{
    struct listen_handler quick = lines;
    struct talk talk;
    int idle, begun, dripping;

    (void)state;
    quick.frame_timeout = 50;
    memset(&heard, 0, sizeof heard);
    talk_open(&talk, &quick);
    idle = talk_connect(&talk);
    begun = talk_connect(&talk);
    dripping = talk_connect(&talk);
    talk_expect(&talk, idle, "idle", "a\n", 2, "a\n");
    talk_send(&talk, begun, "a", 1);
    talk_send(&talk, dripping, "a", 1);
    /* More bytes of the same frame win no time. */
    for (int64_t end = clock_mono() + TALK_WAIT_MS; heard.closed < 2 && clock_mono() < end;) {
        send(dripping, "x", heard.taken < 40 ? 1 : 0, MSG_NOSIGNAL);
        talk_wait(&talk, begun, 0);
        if (heard.taken++ > 40)
            heard.taken = 40;
    }
    assert_int_equal(heard.closed, 2);
    assert_true(talk_is_closed(&talk, begun));
    talk_expect(&talk, idle, "idle stays", "b\n", 2, "b\n");
    close(idle);
    close(begun);
    close(dripping);
    talk_close(&talk);
}

static void network_socket(void **state)
{
    struct conf_socket socket_conf = {.text = (char *)"127.0.0.1:0"};
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct talk talk;
    const char *why;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)state;
    memset(&heard, 0, sizeof heard);
    talk_open_folder(&talk);
    assert_true(net_addr_parse("127.0.0.1", &socket_conf.addr));
    for (uint16_t port = 20025; port < 20075 && !talk.listen; port++) {
        socket_conf.port = port;
        talk.listen = listen_start(talk.base, &socket_conf, 0, "", &lines, &why);
    }
    assert_non_null(talk.listen);
    address.sin_port = htons(socket_conf.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    talk_expect(&talk, fd, "network", "a\n", 2, "a\n");
    assert_false(heard.has_uid);
    assert_null(listen_start(talk.base, &socket_conf, 0, "", &lines, &why));
    assert_int_equal(errno, EADDRINUSE);
    close(fd);
    talk_close(&talk);
}

static void try_path(struct talk *talk, const char *label, int wanted_errno, const char *group)
{
    const char *why;
    struct listen *listen = listen_start(talk->base, &talk->socket, 0640, group, &lines, &why);

    if (wanted_errno == 0) {
        struct stat status;
        if (!listen)
            print_error("%s: %s: %s\n", label, why, strerror(errno));
        assert_non_null(listen);
        assert_int_equal(stat(talk->path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0640);
        listen_free(listen);
        assert_int_not_equal(stat(talk->path, &status), 0);
        return;
    }
    if (listen || errno != wanted_errno)
        fail_msg("%s: %s", label, listen ? "was taken" : strerror(errno));
    assert_true(*why);
}

static void paths(void **state)
{
    struct talk talk;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    char long_path[200];
    int fd, other;

    (void)state;
    talk_open_folder(&talk);
    try_path(&talk, "a new one", 0, "");
    try_path(&talk, "no such group", EINVAL, "no-such-group-here");
    assert_int_not_equal(stat(talk.path, &status), 0);

    strcpy(address.sun_path, talk.path);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    try_path(&talk, "somebody answers", EADDRINUSE, "");
    close(fd);
    try_path(&talk, "a left-over", 0, "");

    other = open(talk.path, O_CREAT | O_WRONLY, 0600);
    try_path(&talk, "a file", EEXIST, "");
    close(other);
    unlink(talk.path);
    assert_int_equal(symlink("/etc/passwd", talk.path), 0);
    try_path(&talk, "a planted link", EEXIST, "");
    unlink(talk.path);

    memset(long_path, 'x', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    talk.socket.path = long_path;
    try_path(&talk, "too long", ENAMETOOLONG, "");
    talk.socket.path = (char *)"/nonexistent/folder/s";
    try_path(&talk, "no folder", ENOENT, "");
    talk.socket.path = talk.path;
    talk_close(&talk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frame_table, setup, teardown),
        cmocka_unit_test_setup_teardown(late_reply_keeps_order, setup, teardown),
        cmocka_unit_test_setup_teardown(half_closed_is_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(reply_to_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(closed_while_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(newcomer_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(unread_replies_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(whoever_asks_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(full_process_sheds, setup, teardown),
        cmocka_unit_test_setup_teardown(stop_lets_replies_end, setup, teardown),
        cmocka_unit_test_setup_teardown(free_closes_all, setup, teardown),
        cmocka_unit_test(frame_deadline),
        cmocka_unit_test(network_socket),
        cmocka_unit_test(paths),
    };
    return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
