/*
 * cache/dns.c against a scripted DNS server on the same event loop: 127.0.0.1, a port of its own,
 * UDP and TCP. The first label of the name in the question says what the server does with it.
 */
#include "cache/dns.h"
#include "cache/clock.h"
#include "tests/unit/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Milliseconds. A machine under load decides how long things take, so no test asks for a time that
 * an answer may take at most: questions that will be answered have PLENTY, those that will not a
 * BUDGET, and that it is kept is measured against another timer of the same loop. libevent counts
 * from the loop's last look at a coarse clock, so a timer may come a little EARLY by a finer one. */
enum { PLENTY = 4000, BUDGET = 400, MARGIN = 50, EARLY = 20, PATIENCE = 30000 };

struct server {
    struct event *udp_event, *accept_event, *stream_event;
    int udp, tcp, stream;
    uint16_t port;
    bool deaf; /* reads nothing */
    unsigned udp_count, tcp_count, opt_count;
    struct packet late; /* the answer to the last "late" question, and to whom */
    struct sockaddr_in late_peer;
};

struct world {
    struct event_base *base;
    struct server server, other;
    struct dns *dns;
    unsigned notices[NOTICE_COUNT];
    struct notice notice;
};

/* The server */

/* The question's name and type; false where there is no room for one. */
static bool question_read(const uint8_t *data, size_t length, char name[NAME_SIZE], unsigned *type)
{
    size_t at = PACKET_HEADER, used = 0;

    while (at < length && data[at] != 0 && at + data[at] < length && used + data[at] < 250) {
        memcpy(name + used, data + at + 1, data[at]);
        used += data[at];
        name[used++] = '.';
        at += data[at] + 1U;
    }
    if (used == 0 || at + 5 > length)
        return false;
    name[used - 1] = '\0';
    *type = data[at + 1] * 256U + data[at + 2];
    return true;
}

static void records_put(struct packet *p, const char *name, unsigned type)
{
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};

    if (type == ns_t_mx)
        packet_mx(p, name, 300, 10, "mx1.example.com");
    else if (type == ns_t_a)
        packet_a(p, name, 300, 0xc0000201);
    else if (type == ns_t_aaaa)
        packet_aaaa(p, name, 300, v6);
}

/* The answer to name; false: silence. */
static bool answer_build(struct packet *p, unsigned id, const char *name, unsigned type, bool tcp)
{
    unsigned flags = PACKET_FLAGS;
    bool records = true;

    if (!strncmp(name, "silent.", 7))
        return false;
    if (!strncmp(name, "wrongid.", 8))
        id ^= 1;
    if (!strncmp(name, "nx.", 3)) {
        flags |= ns_r_nxdomain;
        records = false;
    } else if (!strncmp(name, "servfail.", 9)) {
        flags |= ns_r_servfail;
        records = false;
    } else if (!strncmp(name, "nodata.", 7)) {
        records = false;
    } else if (!strncmp(name, "big.", 4) && !tcp) {
        flags |= PACKET_TC;
        records = false;
    }
    packet_start(p, id, flags, strncmp(name, "wrongname.", 10) ? name : "example.net", type);
    if (records)
        records_put(p, name, type);
    else if (!(flags & (PACKET_TC | ns_r_servfail)) || (flags & 15) == ns_r_nxdomain)
        packet_soa(p, "example.com", 3600, 120);
    return true;
}

static void server_on_udp(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;
    struct sockaddr_in peer;
    socklen_t size = sizeof peer;
    static struct packet packet;
    uint8_t data[1500];
    char name[NAME_SIZE];
    unsigned type;

    (void)what;
    ssize_t length = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&peer, &size);
    if (length < PACKET_HEADER || !question_read(data, (size_t)length, name, &type))
        return;
    server->udp_count++;
    server->opt_count += data[PACKET_ADDITIONAL + 1] == 1;
    if (!answer_build(&packet, data[0] * 256U + data[1], name, type, false))
        return;
    if (!strncmp(name, "late.", 5)) {
        server->late = packet;
        server->late_peer = peer;
        return;
    }
    sendto(fd, packet.data, packet.length, 0, (struct sockaddr *)&peer, size);
}

static void server_drop_stream(struct server *server)
{
    if (server->stream_event)
        event_free(server->stream_event);
    if (server->stream >= 0)
        close(server->stream);
    server->stream_event = NULL;
    server->stream = -1;
}

/* One question in one piece: c-ares writes it so. */
static void server_on_stream(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;
    static struct packet packet;
    uint8_t data[1500], prefix[2];
    char name[NAME_SIZE];
    unsigned type;

    (void)what;
    ssize_t length = read(fd, data, sizeof data);
    if (length < 2 + PACKET_HEADER || !question_read(data + 2, (size_t)length - 2, name, &type)) {
        server_drop_stream(server);
        return;
    }
    server->tcp_count++;
    if (!answer_build(&packet, data[2] * 256U + data[3], name, type, true))
        return;
    prefix[0] = (uint8_t)(packet.length >> 8);
    prefix[1] = (uint8_t)packet.length;
    assert_int_equal(write(fd, prefix, 2), 2);
    assert_int_equal(write(fd, packet.data, packet.length), packet.length);
}

static void server_on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct server *server = arg;

    (void)what;
    server_drop_stream(server);
    server->stream = accept(fd, NULL, NULL);
    assert_true(server->stream >= 0);
    server->stream_event = event_new(event_get_base(server->udp_event), server->stream,
                                     EV_READ | EV_PERSIST, server_on_stream, server);
    event_add(server->stream_event, NULL);
}

/* Two sockets on one port that the kernel chose for the first; another try where the second finds
 * it taken. */
static void server_bind(struct server *server)
{
    for (int tries = 0; tries < 20; tries++) {
        struct sockaddr_in addr = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof addr;
        server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        server->tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_true(server->udp >= 0 && server->tcp >= 0);
        assert_int_equal(bind(server->udp, (struct sockaddr *)&addr, size), 0);
        assert_int_equal(getsockname(server->udp, (struct sockaddr *)&addr, &size), 0);
        if (bind(server->tcp, (struct sockaddr *)&addr, size) == 0) {
            server->port = ntohs(addr.sin_port);
            assert_int_equal(listen(server->tcp, 5), 0);
            return;
        }
        close(server->udp);
        close(server->tcp);
    }
    fail_msg("no port is free for both UDP and TCP");
}

static void server_start(struct server *server, struct event_base *base)
{
    server->stream = -1;
    server_bind(server);
    server->udp_event = event_new(base, server->udp, EV_READ | EV_PERSIST, server_on_udp, server);
    server->accept_event =
        event_new(base, server->tcp, EV_READ | EV_PERSIST, server_on_accept, server);
    if (!server->deaf) {
        event_add(server->udp_event, NULL);
        event_add(server->accept_event, NULL);
    }
}

static void server_stop(struct server *server)
{
    server_drop_stream(server);
    event_free(server->udp_event);
    event_free(server->accept_event);
    close(server->udp);
    close(server->tcp);
}

/* The world of a test */

static void on_notice(void *arg, enum notice_kind kind, const char *detail)
{
    struct world *world = arg;

    assert_non_null(detail);
    world->notices[kind]++;
}

static struct dns_options options_for(const char *servers)
{
    return (struct dns_options){.servers = servers,
                                .budget = PLENTY,
                                .limits = {.min_ttl = 30, .max_ttl = 86400, .negative_ttl = 300}};
}

static int world_make(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    char servers[32];

    world->base = event_base_new();
    world->other.deaf = true;
    server_start(&world->server, world->base);
    server_start(&world->other, world->base);
    world->notice = (struct notice){.hook = on_notice, .arg = world};
    snprintf(servers, sizeof servers, "127.0.0.1:%u", world->server.port);
    struct dns_options options = options_for(servers);
    world->dns = dns_new(world->base, &options, &world->notice);
    assert_non_null(world->dns);
    *state = world;
    return 0;
}

static int world_unmake(void **state)
{
    struct world *world = *state;

    dns_free(world->dns);
    server_stop(&world->server);
    server_stop(&world->other);
    event_base_free(world->base);
    free(world);
    return 0;
}

/* The options of the world's dns from now on: its usual server, another budget. */
static void world_set_budget(struct world *world, int64_t budget)
{
    char servers[32];

    snprintf(servers, sizeof servers, "127.0.0.1:%u", world->server.port);
    struct dns_options options = options_for(servers);
    options.budget = budget;
    assert_true(dns_set_options(world->dns, &options));
}

struct asker {
    struct dns *free_it; /* freed inside the callback */
    unsigned calls;
    struct facts *facts;
    size_t count;
    struct net_addr addr[16];
    int64_t asked, heard;
};

static void asker_heard(void *arg, struct facts *facts)
{
    struct asker *asker = arg;

    asker->calls++;
    asker->facts = facts;
    asker->heard = clock_mono();
    dns_free(asker->free_it);
}

static void asker_heard_host(void *arg, const struct net_addr *addr, size_t count)
{
    struct asker *asker = arg;

    asker->calls++;
    asker->count = count;
    memcpy(asker->addr, addr, count * sizeof *addr);
    asker->heard = clock_mono();
}

static struct dns_query *ask(struct world *world, struct asker *asker, enum answer_type type,
                             const char *name)
{
    asker->asked = clock_mono();
    struct dns_query *query = dns_ask(world->dns, type, name, asker_heard, asker);
    assert_non_null(query);
    assert_int_equal(asker->calls, 0); /* never inside dns_ask */
    return query;
}

static void nothing(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
}

/* Runs the loop until *count is at least wanted. */
static void run_until(struct world *world, const unsigned *count, unsigned wanted)
{
    int64_t deadline = clock_mono() + PATIENCE;
    struct timeval tick = {.tv_usec = 50000};
    struct event *wake = event_new(world->base, -1, EV_PERSIST, nothing, NULL);

    event_add(wake, &tick);
    while (*count < wanted && clock_mono() < deadline)
        event_base_loop(world->base, EVLOOP_ONCE);
    event_free(wake);
    assert_true(*count >= wanted);
}

/* Runs the loop long enough for a stray callback: a whole question, asked after it. */
static void run_past(struct world *world)
{
    struct asker last = {0};

    ask(world, &last, ANSWER_MX, "ok.example.com");
    run_until(world, &last.calls, 1);
    facts_unref(last.facts);
}

/* What a second timer sees that was set with the question, for a little more than its budget: timers
 * come in the order of their times, however late all of them are. */
struct control {
    const struct asker *asker;
    unsigned fired, calls;
};

static void control_on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct control *control = arg;

    (void)fd;
    (void)what;
    control->fired++;
    control->calls = control->asker->calls;
}

/* Waits for an asker whose question will not be answered: heard when the budget is over, neither
 * before nor when c-ares has had enough. */
static void run_through_budget(struct world *world, const struct asker *asker)
{
    struct timeval time = {.tv_usec = (BUDGET + MARGIN) * 1000};
    struct control control = {.asker = asker};
    struct event *timer = evtimer_new(world->base, control_on_timer, &control);

    event_add(timer, &time);
    run_until(world, &control.fired, 1);
    event_free(timer);
    assert_int_equal(control.calls, 1);
    assert_true(asker->heard - asker->asked >= BUDGET - EARLY);
}

/* The tests */

static const struct {
    const char *name;
    enum answer_type type;
    enum facts_state wanted;
    bool waits;   /* until the budget is over */
    unsigned tcp; /* questions over TCP */
    size_t records;
} rows[] = {
    {"ok.example.com", ANSWER_MX, FACTS_OK, false, 0, 1},
    {"ok.example.com", ANSWER_A, FACTS_OK, false, 0, 1},
    {"ok.example.com", ANSWER_AAAA, FACTS_OK, false, 0, 1},
    {"nx.example.com", ANSWER_MX, FACTS_NXDOMAIN, false, 0, 0},
    {"nodata.example.com", ANSWER_MX, FACTS_NONE, false, 0, 0},
    {"servfail.example.com", ANSWER_MX, FACTS_FAIL, false, 0, 0},
    {"big.example.com", ANSWER_MX, FACTS_OK, false, 1, 1},
    {"silent.example.com", ANSWER_MX, FACTS_FAIL, true, 0, 0},
    {"wrongid.example.com", ANSWER_MX, FACTS_FAIL, true, 0, 0},
    {"wrongname.example.com", ANSWER_MX, FACTS_FAIL, true, 0, 0},
};

static void answers(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct asker asker = {0};
        unsigned tcp = world->server.tcp_count;
        unsigned fails = world->notices[NOTICE_DNS_FAIL];
        print_message("  %s\n", rows[i].name);
        world_set_budget(world, rows[i].waits ? BUDGET : PLENTY);
        ask(world, &asker, rows[i].type, rows[i].name);
        if (rows[i].waits)
            run_through_budget(world, &asker);
        run_until(world, &asker.calls, 1);
        assert_non_null(asker.facts);
        assert_int_equal(asker.facts->state, rows[i].wanted);
        assert_int_equal(asker.facts->kind, rows[i].type == ANSWER_MX ? FACTS_MX : FACTS_ADDR);
        size_t records = rows[i].type == ANSWER_MX
                             ? asker.facts->mx.count
                             : asker.facts->addr.a_count + asker.facts->addr.aaaa_count;
        assert_int_equal(records, rows[i].records);
        assert_true(asker.facts->own);
        assert_int_equal(asker.facts->refs, 1);
        assert_int_equal(world->server.tcp_count - tcp, rows[i].tcp);
        assert_int_equal(world->notices[NOTICE_DNS_FAIL] - fails, rows[i].wanted == FACTS_FAIL);
        facts_unref(asker.facts);
    }
    assert_int_equal(world->notices[NOTICE_DNS_QUERY], sizeof rows / sizeof *rows);
    assert_int_equal(world->server.opt_count, world->server.udp_count); /* EDNS in each */
}

static void a_silent_server_leaves_time_for_the_next(void **state)
{
    struct world *world = *state;
    struct asker asker = {0};
    char servers[64];

    snprintf(servers, sizeof servers, "127.0.0.1:%u,127.0.0.1:%u", world->other.port,
             world->server.port);
    struct dns_options options = options_for(servers);
    assert_true(dns_set_options(world->dns, &options));
    ask(world, &asker, ANSWER_MX, "ok.example.com");
    run_until(world, &asker.calls, 1);
    assert_int_equal(asker.facts->state, FACTS_OK);
    assert_true(asker.heard - asker.asked >= PLENTY / 4 - EARLY);
    facts_unref(asker.facts);
}

static void cancelled_is_not_called(void **state)
{
    struct world *world = *state;
    struct asker asker = {0}, host = {0};

    struct dns_query *silent = ask(world, &asker, ANSWER_MX, "silent.example.com");
    struct dns_query *soon = ask(world, &asker, ANSWER_MX, "ok.example.com");
    struct dns_query *literal = dns_ask_host(world->dns, "192.0.2.1", asker_heard_host, &host);
    dns_cancel(silent);
    dns_cancel(soon);
    dns_cancel(literal);
    run_past(world);
    assert_int_equal(asker.calls + host.calls, 0);
}

static void a_late_answer_is_harmless(void **state)
{
    struct world *world = *state;
    struct server *server = &world->server;
    struct asker asker = {0};

    world_set_budget(world, BUDGET);
    ask(world, &asker, ANSWER_MX, "late.example.com");
    run_until(world, &asker.calls, 1);
    assert_int_equal(asker.facts->state, FACTS_FAIL);
    facts_unref(asker.facts);
    assert_true(sendto(server->udp, server->late.data, server->late.length, 0,
                       (struct sockaddr *)&server->late_peer, sizeof server->late_peer) > 0);
    run_past(world);
    assert_int_equal(asker.calls, 1);
}

/* Within the budget an answer counts however late, also after c-ares has asked again. */
static void an_answer_after_the_second_try_counts(void **state)
{
    struct world *world = *state;
    struct server *server = &world->server;
    struct asker asker = {0};
    unsigned before = server->udp_count;

    ask(world, &asker, ANSWER_MX, "late.example.com");
    run_until(world, &server->udp_count, before + 2);
    assert_true(sendto(server->udp, server->late.data, server->late.length, 0,
                       (struct sockaddr *)&server->late_peer, sizeof server->late_peer) > 0);
    run_until(world, &asker.calls, 1);
    assert_int_equal(asker.facts->state, FACTS_OK);
    facts_unref(asker.facts);
}

static void free_with_pending(void **state)
{
    struct world *world = *state;
    struct asker asker = {0};

    ask(world, &asker, ANSWER_MX, "silent.example.com");
    dns_cancel(ask(world, &asker, ANSWER_A, "silent.example.com"));
    assert_non_null(dns_ask_host(world->dns, "192.0.2.1", asker_heard_host, &asker));
    assert_non_null(dns_ask_host(world->dns, "silent.example.com", asker_heard_host, &asker));
    dns_free(world->dns);
    world->dns = NULL;
    event_base_loop(world->base, EVLOOP_NONBLOCK);
    assert_int_equal(asker.calls, 0);
}

static void free_inside_a_callback(void **state)
{
    struct world *world = *state;
    struct asker asker = {.free_it = world->dns}, other = {0};

    ask(world, &other, ANSWER_MX, "silent.example.com");
    ask(world, &asker, ANSWER_MX, "ok.example.com");
    world->dns = NULL;
    run_until(world, &asker.calls, 1);
    assert_int_equal(asker.facts->state, FACTS_OK);
    assert_int_equal(other.calls, 0);
    facts_unref(asker.facts);
}

/* At most so many are sent; those above fail at once, and the others keep their budget. */
static void questions_are_bounded(void **state)
{
    enum { MOST = 2000, MORE = 50 };
    struct world *world = *state;
    struct asker *asker = calloc(MOST + MORE, sizeof *asker);

    world_set_budget(world, BUDGET);
    for (unsigned i = 0; i < MOST + MORE; i++)
        ask(world, &asker[i], ANSWER_MX, "silent.example.com");
    run_until(world, &asker[MOST + MORE - 1].calls, 1);
    for (unsigned i = MOST; i < MOST + MORE; i++) {
        assert_int_equal(asker[i].calls, 1);
        assert_int_equal(asker[i].facts->state, FACTS_FAIL);
    }
    for (unsigned i = 0; i < MOST; i++)
        run_until(world, &asker[i].calls, 1);
    for (unsigned i = 0; i < MOST + MORE; i++) {
        assert_int_equal(asker[i].calls, 1);
        facts_unref(asker[i].facts);
    }
    free(asker);
}

static void many_at_once(void **state)
{
    enum { MANY = 500 };
    struct world *world = *state;
    struct asker *asker = calloc(MANY, sizeof *asker);
    char name[64];

    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "ok.n%u.example.com", i);
        ask(world, &asker[i], ANSWER_MX, name);
        if (i % 50 == 49) /* within the sockets' buffers */
            run_until(world, &asker[i].calls, 1);
    }
    for (unsigned i = 0; i < MANY; i++) {
        run_until(world, &asker[i].calls, 1);
        assert_int_equal(asker[i].facts->state, FACTS_OK);
        facts_unref(asker[i].facts);
    }
    free(asker);
}

static void new_options_spare_the_old_questions(void **state)
{
    struct world *world = *state;
    struct asker old = {0}, new = {0};
    char servers[32];

    ask(world, &old, ANSWER_MX, "ok.example.com");
    snprintf(servers, sizeof servers, "127.0.0.1:%u", world->other.port);
    struct dns_options options = options_for(servers);
    options.budget = BUDGET;
    assert_true(dns_set_options(world->dns, &options));
    ask(world, &new, ANSWER_MX, "ok.example.com"); /* that server is deaf */
    run_until(world, &old.calls, 1);
    run_until(world, &new.calls, 1);
    assert_int_equal(old.facts->state, FACTS_OK);
    assert_int_equal(new.facts->state, FACTS_FAIL);
    facts_unref(old.facts);
    facts_unref(new.facts);
}

static void bad_servers_are_refused(void **state)
{
    struct world *world = *state;
    struct dns_options options = options_for("ns.example.com");

    assert_false(dns_set_options(world->dns, &options));
    assert_null(dns_new(world->base, &options, NULL));
    run_past(world); /* the old ones still serve */
}

/* The last one is refused by c-ares inside the call. */
static const struct {
    const char *host;
    size_t count;
    const char *first; /* NULL for any */
} hosts[] = {
    {"192.0.2.9", 1, "[192.0.2.9]"}, {"[2001:db8::9]", 1, "[2001:db8::9]"},
    {"ok.example.com", 2, NULL},     {"nx.example.com", 0, NULL},
    {"silent.example.com", 0, NULL}, {"a..example.com", 0, NULL},
};

static void host_addresses(void **state)
{
    struct world *world = *state;

    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct asker asker = {.asked = clock_mono()};
        char text[NET_TEXT];
        print_message("  %s\n", hosts[i].host);
        world_set_budget(world, hosts[i].count ? PLENTY : BUDGET);
        assert_non_null(dns_ask_host(world->dns, hosts[i].host, asker_heard_host, &asker));
        assert_int_equal(asker.calls, 0);
        run_until(world, &asker.calls, 1);
        assert_int_equal(asker.count, hosts[i].count);
        if (hosts[i].first)
            assert_string_equal(net_addr_format(&asker.addr[0], text), hosts[i].first);
    }
}

/* Answered from the hosts file, or by c-ares itself (RFC 6761 6.3). */
static void localhost_needs_no_server(void **state)
{
    struct world *world = *state;
    struct asker asker = {0};
    char servers[32];

    snprintf(servers, sizeof servers, "127.0.0.1:%u", world->other.port);
    struct dns_options options = options_for(servers);
    assert_true(dns_set_options(world->dns, &options));
    assert_non_null(dns_ask_host(world->dns, "localhost", asker_heard_host, &asker));
    run_until(world, &asker.calls, 1);
    assert_true(asker.count > 0);
    assert_int_equal(net_addr_scope(&asker.addr[0]), NET_UNUSABLE);
}

#define IN_A_WORLD(test) cmocka_unit_test_setup_teardown(test, world_make, world_unmake)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        IN_A_WORLD(answers),
        IN_A_WORLD(a_silent_server_leaves_time_for_the_next),
        IN_A_WORLD(cancelled_is_not_called),
        IN_A_WORLD(a_late_answer_is_harmless),
        IN_A_WORLD(an_answer_after_the_second_try_counts),
        IN_A_WORLD(free_with_pending),
        IN_A_WORLD(free_inside_a_callback),
        IN_A_WORLD(questions_are_bounded),
        IN_A_WORLD(many_at_once),
        IN_A_WORLD(new_options_spare_the_old_questions),
        IN_A_WORLD(bad_servers_are_refused),
        IN_A_WORLD(host_addresses),
        IN_A_WORLD(localhost_needs_no_server),
    };

    return cmocka_run_group_tests_name("dns", tests, NULL, NULL);
}
