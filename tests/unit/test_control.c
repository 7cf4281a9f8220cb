/*
 * policy/control.c, control_change.c and show_*.c: requests on a real socket, answered from a world
 * of fakes. The table wants parts of the reply, as they stand in its JSON.
 */
#include "policy/control.h"

#include "cache/fetch.h"
#include "policy/conversation.h"
#include "policy/engine.h"
#include "policy/flush.h"
#include "policy/order.h"
#include "policy/override.h"
#include "policy/memory.h"
#include "policy/pause.h"
#include "policy/site.h"
#include "policy/show.h"
#include "policy/stats.h"
#include "policy/top.h"
#include "policy/tier.h"
#include "policy/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>

#include "talk.h"

#include <sys/stat.h>

enum { NOW = 1800000000 };

static const struct facts_host mx1 = {.preference = 10, .name = (char *)"mx1.example.com"};
static const struct facts_host mx2 = {.preference = 20, .name = (char *)"mx2.example.com"};

struct engine_question {
    enum { ASK_EXPLAIN, ASK_ROUTE, ASK_ORDER } kind;
    void *done, *arg;
    struct question question;
};

static struct {
    struct event_base *base;
    unsigned cancelled, purged;
    char paused[NAME_SIZE + 32], allowed[600];
    size_t dropped;
    char visits[256]; /* as many as fit */
    unsigned signs;
    size_t listeners6;
    bool full, full_redis, hold, redis_lost, put_later;
    struct engine_question *held;
    enum route_map map;
    struct override_value value;
    char put_host[NAME_SIZE];
    uint16_t put_port;
    override_done *put_done;
    void *put_arg;
} fake;

static struct conf_pool_host pool_hosts[2] = {
    {.name = "gw1.example.net", .port = 25, .weight = 60},
    {.name = "gw2.example.net", .port = 2525, .weight = 40},
};
static struct conf_tier pool_tier = {.order = 10, .host_count = 2, .host = pool_hosts};
static struct conf_pool pool = {
    .name = (char *)"gateways", .transport = (char *)"smtp", .tier_count = 1, .tier = &pool_tier};
static struct conf_domain domain = {
    .name = "example.com",
    .domain = "example.com",
    .guard = {.mode = CONF_MODE_DEFER, .text = (char *)"Please deliver to the preferred MX first"},
    .routing = {.route = CONF_ROUTE_POOL, .pool = &pool}};
static struct conf conf = {
    .node = "mx2.example.com",
    .file = (char *)"/etc/mxwarden/mxwarden.conf",
    .guard = {.mode = CONF_MODE_DETECT, .text = (char *)"", .evidence_net4 = 24},
    .cache = {.prefix = (char *)"mxw1"},
    .domain_count = 1,
    .domain = &domain,
    .pool_count = 1,
    .pool = &pool,
};

static void make_order(struct order *order, struct facts *facts)
{
    memset(order, 0, sizeof *order);
    memset(facts, 0, sizeof *facts);
    facts->kind = FACTS_MX;
    facts->own = true;
    facts->ttl = 300;
    facts->fetched = NOW - 10;
    facts->expires = NOW + 290;
    order->state = FACTS_OK;
    order->own = true;
    order->mx = facts;
    order->count = 2;
    order->host[0].host = mx1;
    order->host[1].host = mx2;
    order->host[1].resolve = ORDER_ABSENT;
}

static void answer_explain(struct engine_question *question)
{
    struct guard_facts facts = {
        .question = &question->question, .conf = &conf, .guard = &domain.guard, .now = NOW};
    struct engine_explained explained = {
        .facts = &facts,
        .verdict = {.reason = GUARD_BYPASS, .row = 13, .mx = &mx2, .better = &mx1},
        .action = "DEFER_IF_PERMIT 4.7.1 Please deliver to the preferred MX first",
        .domain = "example.com"};

    ((engine_explained_done *)question->done)(question->arg, &explained);
}

static void answer_route(struct engine_question *question)
{
    static struct route_facts facts;
    static struct route_choice choice;
    struct engine_routed_view view = {.facts = &facts, .choice = &choice};

    memset(&facts, 0, sizeof facts);
    memset(&choice, 0, sizeof choice);
    facts.plan = (struct route_plan){
        .route = CONF_ROUTE_POOL, .section = &domain, .routing = &domain.routing};
    facts.host_count = 2;
    facts.unnamed = fake.map == ROUTE_MAILERTABLE;
    facts.host[0] = (struct tier_host){
        .name = "gw1.example.net", .port = 25, .tier = 10, .weight = 60, .ramp = 500};
    facts.host[1] = (struct tier_host){.name = "gw2.example.net",
                                       .port = 2525,
                                       .tier = 10,
                                       .weight = 40,
                                       .ramp = 1000,
                                       .override = TIER_DRAINED};
    choice.outcome = ROUTE_HOSTS;
    choice.why = "by weight";
    choice.transport = "smtp";
    strcpy(choice.key, "u@example.com");
    choice.pick.count = 1;
    choice.pick.score[0] = 12345;
    choice.pick.score[1] = UINT64_MAX;
    choice.pick.note[1] = TIER_LEFT_DRAINED;
    view.reply = "OK smtp:[gw1.example.net]:25";
    ((engine_route_view_done *)question->done)(question->arg, &view);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    struct engine_question *question = arg;
    struct order order;
    struct facts facts;

    (void)fd;
    (void)what;
    switch (question->kind) {
    case ASK_EXPLAIN: answer_explain(question); break;
    case ASK_ROUTE: answer_route(question); break;
    case ASK_ORDER:
        make_order(&order, &facts);
        ((engine_order_done *)question->done)(question->arg, &order);
        break;
    }
    free(question);
}

static struct engine_question *ask(int kind, void *done, void *arg, const struct question *asked)
{
    struct engine_question *question;
    struct timeval now = {0};

    if (fake.full)
        return NULL;
    question = calloc(1, sizeof *question);
    assert_non_null(question);
    question->kind = kind;
    question->done = done;
    question->arg = arg;
    if (asked)
        question->question = *asked;
    if (fake.hold)
        fake.held = question;
    else
        event_base_once(fake.base, -1, EV_TIMEOUT, on_due, question, &now);
    return question;
}

struct engine_question *engine_explain(struct engine *engine, const struct question *question,
                                       engine_explained_done *done, void *arg)
{
    (void)engine;
    assert_int_equal(question->stage, QUESTION_RCPT);
    assert_true(question->has_recipient);
    return ask(ASK_EXPLAIN, (void *)done, arg, question);
}

struct engine_question *engine_show_route(struct engine *engine, enum route_map map,
                                          const char *key, engine_route_view_done *done, void *arg)
{
    (void)engine;
    assert_non_null(key);
    fake.map = map;
    return ask(ASK_ROUTE, (void *)done, arg, NULL);
}

struct engine_question *engine_show_order(struct engine *engine, const char *name, int64_t budget,
                                          engine_order_done *done, void *arg)
{
    (void)engine;
    assert_string_equal(name, "example.com");
    assert_true(budget > 0);
    return ask(ASK_ORDER, (void *)done, arg, NULL);
}

void engine_cancel(struct engine_question *question)
{
    assert_ptr_equal(question, fake.held);
    fake.cancelled++;
    fake.held = NULL;
    free(question);
}

static const struct watch_view views[] = {
    {.host = "gw1.example.net",
     .port = 25,
     .addr = {NET_IPV4, {192, 0, 2, 31}},
     .purposes = WATCH_ROUTE,
     .health = {.state = HEALTH_UP, .streak = 7, .since = NOW - 100, .at = NOW - 2, .ms = 4},
     .missing = WATCH_MISSING_NODE,
     .detail = "220 gw1.example.net ESMTP"},
    {.host = "mx1.example.com",
     .port = 25,
     .addr = {NET_IPV4, {192, 0, 2, 10}},
     .purposes = WATCH_GUARD,
     .health = {.state = HEALTH_DOWN, .streak = 3},
     .observed = false},
};

void watch_each(const struct watch *watch, watch_visit *visit, void *arg)
{
    (void)watch;
    for (size_t i = 0; i < 2; i++)
        visit(arg, &views[i]);
}

struct watch_host_view watch_get_host(const struct watch *watch, const char *host, uint16_t port)
{
    struct watch_host_view view = {.ramp = TIER_FULL_WEIGHT};

    (void)watch;
    for (size_t i = 0; i < 2; i++)
        if (strcmp(views[i].host, host) == 0 && views[i].port == port) {
            view.targets++;
            view.state = views[i].health.state;
        }
    return view;
}

const char *watch_missing_name(enum watch_missing missing)
{
    return missing == WATCH_MISSING_NODE ? "node" : missing == WATCH_MISSING_YET ? "yet" : "";
}

struct override_value override_get(struct override *override, const char *host, uint16_t port)
{
    (void) override;
    (void)port;
    if (strcmp(host, "gw1.example.net") == 0)
        return fake.value;
    return (struct override_value){0};
}

void override_put(struct override *override, const char *host, uint16_t port,
                  struct override_value value, override_done *done, void *arg)
{
    (void) override;
    strcpy(fake.put_host, host);
    fake.put_port = port;
    fake.value = value;
    fake.put_done = done;
    fake.put_arg = arg;
    if (!fake.put_later)
        done(arg, !fake.redis_lost);
}

const char *override_state_name(enum override_state state)
{
    static const char *const names[] = {"", "drain", "down", "ready"};

    return names[state];
}

void stats_add(struct stats *stats, const char *name, uint64_t count)
{
    (void)stats;
    (void)count;
    assert_string_equal(name, "feed_visits");
}

void stats_each(const struct stats *stats, stats_visit *visit, void *arg)
{
    (void)stats;
    visit(arg, "guard_seen", 3);
    visit(arg, "mx_hits", 42);
    visit(arg, "judged:example.com", 9);
    visit(arg, "bypass:example.com", 2);
}

void stats_each_rate(const struct stats *stats, stats_visit_rate *visit, void *arg)
{
    (void)stats;
    visit(arg, "guard_seen", 0.25);
    visit(arg, "judged:example.com", 0.5);
}

void stats_push(struct stats *stats)
{
    (void)stats;
}

size_t top_get(struct top *top, enum top_list list, struct heavy_item *out, size_t size)
{
    (void)top;
    assert_true(size > 0);
    strcpy(out->name, list == TOP_BYPASS ? "[198.51.100.0/24]" : "example.com");
    out->count = 7;
    return 1;
}

const char *top_name(enum top_list list)
{
    (void)list;
    return "";
}

enum store_kind store_reply_kind(const struct store_reply *reply)
{
    (void)reply;
    return STORE_KIND_NIL;
}

bool store_is_up(const struct store *store)
{
    return store && fake.full_redis;
}

const char *store_trouble(const struct store *store)
{
    if (!store)
        return "";
    return fake.full_redis ? "OOM" : "down";
}

/* A report over Redis is the replay's; here Redis is away. */
struct store_batch *store_batch_new(bool transaction)
{
    (void)transaction;
    return NULL;
}

void store_batch_add(struct store_batch *batch, ...)
{
    (void)batch;
}

bool store_send(struct store *store, struct store_batch *batch, store_done *done, void *arg)
{
    (void)store, (void)batch, (void)done, (void)arg;
    return false;
}

size_t store_reply_count(const struct store_reply *reply)
{
    (void)reply;
    return 0;
}

const struct store_reply *store_reply_at(const struct store_reply *reply, size_t index)
{
    (void)index;
    return reply;
}

const char *store_reply_text(const struct store_reply *reply, size_t *length)
{
    (void)reply, (void)length;
    return NULL;
}

size_t site_nodes(const struct site *site, char (*out)[NAME_SIZE], size_t size)
{
    (void)site, (void)out, (void)size;
    return 0;
}

const char *store_policy(const struct store *store)
{
    (void)store;
    return "noeviction";
}

const char *store_run_id(const struct store *store)
{
    (void)store;
    return "";
}

int64_t store_evicted(const struct store *store)
{
    (void)store;
    return 0;
}

const struct facts *fetch_peek_stale(struct fetch *fetch, enum facts_kind kind, const char *name,
                                     enum fetch_trust trust)
{
    struct facts *facts;

    (void)fetch;
    (void)trust;
    assert_int_equal(kind, FACTS_MX);
    if (strcmp(name, "example.com") != 0)
        return NULL;
    facts = facts_new(FACTS_MX, FACTS_OK);
    facts_add_host(facts, 20, "mx2.example.com");
    facts_seal(facts);
    return facts;
}

void fetch_purge(struct fetch *fetch, const char *name)
{
    (void)fetch;
    assert_string_equal(name, "example.com");
    fake.purged++;
}

size_t site_listeners(const struct site *site, struct net_addr *out, size_t size)
{
    (void)site;
    assert_true(size >= 1);
    net_addr_parse("192.0.2.10", &out[0]);
    return 1;
}

/* What is known: a visit by the address, and that it was learned for any domain. */
struct memory_wait *memory_values(struct memory *memory, const char (*key)[KEYS_SIZE], size_t count,
                                  memory_values_done *done, void *arg)
{
    char(*value)[MEMORY_VALUE_SIZE] = calloc(count, sizeof *value);

    (void)memory;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(key[i], "mxw1:seen:[192.0.2.10]:[198.51.100.7]") == 0)
            strcpy(value[i], "1790000000,rcpt");
        if (strcmp(key[i], "mxw1:ok:*:[198.51.100.7]") == 0)
            strcpy(value[i], "1790000001");
    }
    done(arg, true, (const char(*)[MEMORY_VALUE_SIZE])value);
    free(value);
    return (struct memory_wait *)&fake;
}

void memory_drop(struct memory *memory, const char (*key)[KEYS_SIZE], size_t count)
{
    (void)memory;
    (void)key;
    fake.dropped = count;
}

void memory_put_learned(struct memory *memory, const char *name, const struct identity_set *who,
                        bool dry, int64_t ttl)
{
    (void)memory;
    snprintf(fake.allowed, sizeof fake.allowed, "%s %s %d %lld", name, who->text[0], dry,
             (long long)ttl);
}

int64_t pause_until(const struct pause *pause, const char *name)
{
    (void)pause, (void)name;
    return 0;
}

bool pause_put(struct pause *pause, const char *name, int64_t seconds)
{
    (void)pause;
    snprintf(fake.paused, sizeof fake.paused, "%s %lld", name, (long long)seconds);
    return !fake.redis_lost;
}

/* The ETRN itself is the replay's (flush.c). */
struct etrn *flush_now(struct flush *flush, const struct conf_domain *section, etrn_done *done,
                       void *arg)
{
    (void)flush, (void)section, (void)done, (void)arg;
    return NULL;
}

void flush_note(struct flush *flush, const char *name, const char *server,
                const struct etrn_answer *answer)
{
    (void)flush, (void)name, (void)server, (void)answer;
}

bool site_is_self_name(const struct site *site, const char *name)
{
    (void)site;
    return strcmp(name, "mx2.example.com") == 0;
}

bool site_knows_self(const struct site *site)
{
    (void)site;
    return true;
}

bool site_is_self_addr(const struct site *site, const struct net_addr *addr)
{
    (void)site, (void)addr;
    return false;
}

bool site_has_feed(const struct site *site)
{
    (void)site;
    return fake.signs > 0;
}

void site_note_feed(struct site *site)
{
    (void)site;
    fake.signs++;
}

size_t site_find_listener(const struct site *site, enum net_family family, struct net_addr *only)
{
    (void)site;
    if (family == NET_IPV4)
        *only = (struct net_addr){NET_IPV4, {192, 0, 2, 20}};
    return family == NET_IPV4 ? 1 : fake.listeners6;
}

void engine_note_visit(struct engine *engine, const struct net_addr *client,
                       const struct net_addr *listener, uint16_t port)
{
    char from[NET_TEXT], to[NET_TEXT];
    size_t length = strlen(fake.visits);

    (void)engine;
    snprintf(fake.visits + length, sizeof fake.visits - length, "%s>%s:%u ",
             net_addr_format(client, from), net_addr_format(listener, to), port);
}

static struct clock fake_clock;
static struct conversation conversation = {.conf = &conf, .clock = &fake_clock, .started = NOW};

static int setup(void **state)
{
    static struct talk talk;
    struct listen_handler handler;

    memset(&fake, 0, sizeof fake);
    clock_set_unix(&fake_clock, (int64_t)NOW * 1000);
    control_handler(&handler, &conversation);
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

/* One request on a connection of its own; the reply, one line, then the end. */
static const char *ask_control(struct talk *talk, const char *request, size_t step)
{
    static char got[65536];
    size_t length = strlen(request), count;
    int fd = talk_connect(talk);
    bool ended;

    for (size_t at = 0; at < length; at += step)
        talk_send(talk, fd, request + at, length - at < step ? length - at : step);
    count = talk_receive(talk, fd, got, sizeof got - 1, &ended);
    assert_true(ended);
    if (count > 0) {
        assert_ptr_equal(strchr(got, '\n'), got + count - 1);
        got[count - 1] = '\0';
    }
    close(fd);
    return got;
}

#define EXPLAIN "{\"command\":\"explain\",\"client\":\"198.51.100.7\","
#define MX2     "\"listener\":\"192.0.2.20\","

static const struct {
    const char *label, *request, *wanted[8];
} requests[] = {
    {"ping",
     "{\"command\":\"ping\"}\n",
     {"\"status\":\"ok\"", "\"node\":\"mx2.example.com\"", "\"mode\":\"detect\"",
      "\"config\":\"/etc/mxwarden/mxwarden.conf\"", "\"started\":1800000000"}},
    {"CRLF", "{\"command\":\"ping\"}\r\n", {"\"status\":\"ok\""}},
    {"more than one line",
     "{\"command\":\"ping\"}\n{\"command\":\"ping\"}\n",
     {"\"status\":\"ok\""}},
    {"explain",
     EXPLAIN MX2 "\"rcpt\":\"u@example.com\",\"sender\":\"<>\",\"helo\":\"a.example\"}\n",
     {"\"status\":\"ok\"", "\"verdict\":\"defer\"", "\"reason\":\"bypass\"", "\"mode\":\"defer\"",
      "\"reply\":\"DEFER_IF_PERMIT 4.7.1 Please deliver to the preferred MX first\"",
      "{\"row\":1,\"test\":\"exempt\",\"holds\":false,",
      "{\"row\":13,\"test\":\"bypass\",\"holds\":"
      "true,",
      "\"hint\":\"it is let in once"}},
    {"explain without a client",
     "{\"command\":\"explain\"," MX2 "\"rcpt\":\"u@example.com\"}\n",
     {"\"status\":\"usage\"", "client is missing"}},
    {"explain with a name for a client",
     "{\"command\":\"explain\",\"client\":\"a.example\"}\n",
     {"\"status\":\"usage\""}},
    {"explain without a listener",
     EXPLAIN "\"rcpt\":\"u@example.com\"}\n",
     {"\"status\":\"usage\"", "listener is missing"}},
    {"explain without a domain",
     EXPLAIN MX2 "\"rcpt\":\"u\"}\n",
     {"\"status\":\"usage\"", "rcpt is missing"}},
    {"explain for the null address", EXPLAIN MX2 "\"rcpt\":\"\"}\n", {"\"status\":\"usage\""}},
    {"explain with a bad name",
     EXPLAIN MX2 "\"rcpt\":\"u@example.com\",\"name\":\"a b\"}\n",
     {"\"status\":\"usage\"", "name is no host name"}},
    {"route",
     "{\"command\":\"route\",\"address\":\"u@example.com\"}\n",
     {"\"answer\":\"OK smtp:[gw1.example.net]:25\"", "\"route\":\"pool gateways\"",
      "\"section\":\"example.com\",\"because\":\"the domain's own section\"",
      "\"effective\":30.0,\"health\":\"up\"", "\"score\":12345,\"place\":1,\"note\":\"chosen\"",
      "\"override\":\"drain\",\"resolves\":\"yes\",\"score\":null,\"place\":null",
      "\"left_out\":[{\"host\":\"gw2.example.net\",\"why\":\"drained\"}]"}},
    {"route of a domain",
     "{\"command\":\"route\",\"address\":\"Example.com\"}\n",
     {"\"unnamed\":1"}},
    {"route of *", "{\"command\":\"route\",\"address\":\"*\"}\n", {"\"unnamed\":0"}},
    {"route of no address",
     "{\"command\":\"route\",\"address\":\"u@\"}\n",
     {"\"status\":\"usage\""}},
    {"route of no domain",
     "{\"command\":\"route\",\"address\":\".example.com\"}\n",
     {"\"status\":\"usage\""}},
    {"mx",
     "{\"command\":\"mx\",\"domain\":\"Example.COM.\"}\n",
     {"\"domain\":\"example.com\",\"state\":\"ok\",\"ttl\":300", "\"origin\":\"dns\"",
      "{\"preference\":20,\"host\":\"mx2.example.com\",\"addresses\":[],\"state\":\"absent\","
      "\"self\":\"name\"}",
      "{\"level\":\"error\",\"what\":\"mx2.example.com has no address\"}"}},
    {"mx of no name", "{\"command\":\"mx\",\"domain\":\"a b\"}\n", {"\"status\":\"usage\""}},
    {"stats",
     "{\"command\":\"stats\"}\n",
     {"\"shared\":false,\"counters\":{\"guard_seen\":3,\"mx_hits\":42,\"hit_ratio\":1.0},"
      "\"today\":{},\"rates\":{\"guard_seen\":0.25},\"redis\":{\"state\":\"none\"}"}},
    {"top",
     "{\"command\":\"top\"}\n",
     {"\"reasons\":[{\"reason\":\"seen\",\"today\":3,\"rate\":0.25}]",
      "\"bypass\":[{\"net\":\"[198.51.100.0/24]\",\"today\":7}]",
      "\"domains\":[{\"domain\":\"example.com\",\"today\":7}]"}},
    {"hosts",
     "{\"command\":\"hosts\"}\n",
     {"{\"host\":\"gw1.example.net\",\"port\":25,\"address\":\"[192.0.2.31]\",\"state\":\"up\"",
      "\"usable\":true,\"observed\":false,\"missing\":\"node\"", "\"weight\":60",
      "\"used_by\":[\"pool gateways\",\"route\"]",
      "{\"host\":\"mx1.example.com\",\"port\":25,\"address\":\"[192.0.2.10]\",\"state\":\"down\"",
      "\"weight\":null,\"used_by\":[\"guard\"]",
      "{\"host\":\"gw2.example.net\",\"port\":2525,\"address\":\"\",\"state\":\"unknown\"",
      "\"slow_start\":100,\"held_until\":0}"}},
    {"no such command", "{\"command\":\"flesh\"}\n", {"\"status\":\"usage\"", "flesh"}},
    {"flush of no domain", "{\"command\":\"flush\"}\n", {"\"status\":\"usage\"", "domain"}},
    {"flush of a domain without",
     "{\"command\":\"flush\",\"domain\":\"example.net\"}\n",
     {"\"status\":\"refused\"", "has no `flush`"}},
    {"no command", "{}\n", {"\"status\":\"usage\""}},
    {"a command that is a number", "{\"command\":1}\n", {"\"status\":\"usage\""}},
    {"no object", "[]\n", {"\"status\":\"usage\""}},
    {"no JSON", "stats\n", {"\"status\":\"usage\""}},
    {"an empty line", "\n", {"\"status\":\"usage\""}},
    {"not UTF-8", "{\"command\":\"\xff\"}\n", {"\"status\":\"usage\""}},
    {"a member twice", "{\"command\":\"ping\",\"command\":\"stats\"}\n", {"\"status\":\"usage\""}},
    {"report of one process",
     "{\"command\":\"report\",\"days\":1}\n",
     {"\"status\":\"ok\"", "\"since\":1800000000", "\"nodes\":[\"mx2.example.com\"]",
      "\"from\":\"20270115\",\"to\":\"20270115\"",
      "{\"domain\":\"example.com\",\"mode\":\"defer\",\"judged\":9,\"bypass\":2,\"yielded\":0,"
      "\"better\":0,\"silent\":0,\"unknown\":0,\"open\":2,\"delay\":null}",
      "\"reasons\":{\"seen\":3}"}},
    {"report of a week", "{\"command\":\"report\"}\n", {"\"from\":\"20270109\""}},
    {"report of no days", "{\"command\":\"report\",\"days\":0}\n", {"usage", "from 1 to 35"}},
    {"report of too many", "{\"command\":\"report\",\"days\":36}\n", {"usage"}},
    {"report of a word", "{\"command\":\"report\",\"days\":\"7\"}\n", {"usage"}},
};

static void request_table(void **state)
{
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        for (size_t step = 1; step <= 1024; step *= 32) {
            const char *got = ask_control(*state, requests[i].request, step);
            for (size_t w = 0; w < 8 && requests[i].wanted[w]; w++)
                if (!strstr(got, requests[i].wanted[w]))
                    fail_msg("%s: no %s in %s", requests[i].label, requests[i].wanted[w], got);
        }
}

static const struct {
    const char *label, *request;
    struct override_value before;
    bool redis_lost;
    const char *status, *message; /* message: a part */
    const char *host;             /* NULL: nothing put */
    uint16_t port;
    struct override_value after;
} changes[] = {
    {"drain",
     "{\"command\":\"drain\",\"host\":\"GW1.example.net.\"}\n",
     {0},
     false,
     "ok",
     "is drained",
     "gw1.example.net",
     25,
     {OVERRIDE_DRAIN, false, 0}},
    {"drain keeps the weight",
     "{\"command\":\"drain\",\"host\":\"gw1.example.net\"}\n",
     {OVERRIDE_NONE, true, 5},
     false,
     "ok",
     "is drained",
     "gw1.example.net",
     25,
     {OVERRIDE_DRAIN, true, 5}},
    {"a port",
     "{\"command\":\"drain\",\"host\":\"gw2.example.net:2525\"}\n",
     {0},
     false,
     "ok",
     "port 2525",
     "gw2.example.net",
     2525,
     {OVERRIDE_DRAIN, false, 0}},
    {"another port",
     "{\"command\":\"drain\",\"host\":\"gw2.example.net\"}\n",
     {0},
     false,
     "refused",
     "not a host of any pool or domain",
     NULL,
     0,
     {0}},
    {"an MX host",
     "{\"command\":\"drain\",\"host\":\"mx2.example.com\"}\n",
     {0},
     false,
     "ok",
     "is drained",
     "mx2.example.com",
     25,
     {OVERRIDE_DRAIN, false, 0}},
    {"a watched host",
     "{\"command\":\"drain\",\"host\":\"mx1.example.com\"}\n",
     {0},
     false,
     "ok",
     "is drained",
     "mx1.example.com",
     25,
     {OVERRIDE_DRAIN, false, 0}},
    {"a stranger",
     "{\"command\":\"drain\",\"host\":\"gw3.example.net\"}\n",
     {0},
     false,
     "refused",
     "not a host of any pool or domain",
     NULL,
     0,
     {0}},
    {"an address nobody has",
     "{\"command\":\"drain\",\"host\":\"192.0.2.99\"}\n",
     {0},
     false,
     "refused",
     "[192.0.2.99] port 25",
     NULL,
     0,
     {0}},
    {"no host", "{\"command\":\"drain\"}\n", {0}, false, "usage", "host is missing", NULL, 0, {0}},
    {"nonsense",
     "{\"command\":\"ready\",\"host\":\"a b:x\"}\n",
     {0},
     false,
     "usage",
     "host is missing, or no host",
     NULL,
     0,
     {0}},
    {"ready",
     "{\"command\":\"ready\",\"host\":\"gw1.example.net\"}\n",
     {OVERRIDE_DOWN, true, 7},
     false,
     "ok",
     "its weight stays 7",
     "gw1.example.net",
     25,
     {OVERRIDE_NONE, true, 7}},
    {"weight",
     "{\"command\":\"weight\",\"host\":\"gw1.example.net\",\"weight\":10}\n",
     {OVERRIDE_DRAIN, false, 0},
     false,
     "ok",
     "has weight 10",
     "gw1.example.net",
     25,
     {OVERRIDE_DRAIN, true, 10}},
    {"weight 0",
     "{\"command\":\"weight\",\"host\":\"gw1.example.net\",\"weight\":0}\n",
     {0},
     false,
     "ok",
     "only when all else",
     "gw1.example.net",
     25,
     {OVERRIDE_NONE, true, 0}},
    {"weight too high",
     "{\"command\":\"weight\",\"host\":\"gw1.example.net\",\"weight\":65536}\n",
     {0},
     false,
     "usage",
     "0 to 65535",
     NULL,
     0,
     {0}},
    {"weight negative",
     "{\"command\":\"weight\",\"host\":\"gw1.example.net\",\"weight\":-1}\n",
     {0},
     false,
     "usage",
     "0 to 65535",
     NULL,
     0,
     {0}},
    {"weight as text",
     "{\"command\":\"weight\",\"host\":\"gw1.example.net\",\"weight\":\"1\"}\n",
     {0},
     false,
     "usage",
     "0 to 65535",
     NULL,
     0,
     {0}},
    {"Redis is away",
     "{\"command\":\"drain\",\"host\":\"gw1.example.net\"}\n",
     {0},
     true,
     "refused",
     "not in Redis",
     "gw1.example.net",
     25,
     {OVERRIDE_DRAIN, false, 0}},
};

static void change_table(void **state)
{
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char status[32];
        const char *got;

        fake.value = changes[i].before;
        fake.redis_lost = changes[i].redis_lost;
        fake.put_host[0] = '\0';
        fake.put_port = 0;
        got = ask_control(*state, changes[i].request, 4096);
        snprintf(status, sizeof status, "\"status\":\"%s\"", changes[i].status);
        if (!strstr(got, status) || !strstr(got, changes[i].message))
            fail_msg("%s: %s", changes[i].label, got);
        if (strcmp(fake.put_host, changes[i].host ? changes[i].host : "") != 0 ||
            fake.put_port != changes[i].port)
            fail_msg("%s: put %s:%u", changes[i].label, fake.put_host, fake.put_port);
        if (changes[i].host && (fake.value.state != changes[i].after.state ||
                                fake.value.has_weight != changes[i].after.has_weight ||
                                fake.value.weight != changes[i].after.weight))
            fail_msg("%s: put %d %d %u", changes[i].label, fake.value.state, fake.value.has_weight,
                     fake.value.weight);
    }
}

static void clients(void **state)
{
    const char *got =
        ask_control(*state, "{\"command\":\"seen\",\"client\":\"198.51.100.7\"}\n", 4096);

    assert_non_null(strstr(got, "\"visits\":[{\"listener\":\"[192.0.2.10]\",\"as\":"
                                "\"[198.51.100.7]\",\"at\":1790000000,\"stage\":\"rcpt\"}]"));
    assert_non_null(strstr(got, "\"learned\":[{\"domain\":\"*\",\"as\":\"[198.51.100.7]\",\"at\":"
                                "1790000001,\"dry\":false}]"));
    got = ask_control(*state, "{\"command\":\"forget\",\"client\":\"198.51.100.7\"}\n", 4096);
    assert_non_null(strstr(got, "\"status\":\"ok\""));
    assert_true(fake.dropped > 2);
    got = ask_control(
        *state, "{\"command\":\"allow\",\"client\":\"::ffff:198.51.100.7\",\"time\":\"2h\"}\n",
        4096);
    assert_non_null(strstr(got, "\"status\":\"ok\""));
    assert_string_equal(fake.allowed, "* [198.51.100.7] 1 7200");
    got = ask_control(*state, "{\"command\":\"seen\",\"client\":\"mx.example.com\"}\n", 4096);
    assert_non_null(strstr(got, "\"status\":\"usage\""));
    got = ask_control(*state,
                      "{\"command\":\"allow\",\"client\":\"198.51.100.7\",\"time\":\"x\"}\n", 4096);
    assert_non_null(strstr(got, "\"status\":\"usage\""));
}

static void pauses(void **state)
{
    static const struct {
        const char *request, *status, *wanted;
    } cases[] = {
        {"{\"command\":\"pause\"}\n", "ok", "* 3600"},
        {"{\"command\":\"pause\",\"time\":\"90s\"}\n", "ok", "* 90"},
        {"{\"command\":\"pause\",\"domain\":\"EXAMPLE.com.\",\"time\":\"2h\"}\n", "ok",
         "example.com 7200"},
        {"{\"command\":\"pause\",\"time\":\"400d\"}\n", "ok", "* 2592000"},
        {"{\"command\":\"pause\",\"time\":\"soon\"}\n", "usage", ""},
        {"{\"command\":\"pause\",\"time\":\"0\"}\n", "usage", ""},
        {"{\"command\":\"pause\",\"domain\":\"no domain\"}\n", "usage", ""},
        {"{\"command\":\"resume\"}\n", "ok", "* 0"},
        {"{\"command\":\"resume\",\"domain\":\"example.com\"}\n", "ok", "example.com 0"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char status[32];
        const char *got;

        fake.paused[0] = '\0';
        got = ask_control(*state, cases[i].request, 4096);
        snprintf(status, sizeof status, "\"status\":\"%s\"", cases[i].status);
        if (!strstr(got, status) || strcmp(fake.paused, cases[i].wanted) != 0)
            fail_msg("%s: %s, put '%s'", cases[i].request, got, fake.paused);
    }
    fake.redis_lost = true;
    assert_non_null(
        strstr(ask_control(*state, "{\"command\":\"pause\"}\n", 4096), "only on this node"));
    fake.redis_lost = false;
}

static void feeds(void **state)
{
#define FEED(visits) "{\"command\":\"feed\",\"visits\":" visits "}\n"
    static const struct {
        const char *request, *status, *visits;
        unsigned signs;
    } cases[] = {
        {FEED("[]"), "ok", "", 1},
        {FEED("[{\"client\":\"198.51.100.7\",\"listener\":\"192.0.2.10\",\"port\":2525}]"), "ok",
         "[198.51.100.7]>[192.0.2.10]:2525 ", 1},
        {FEED("[{\"client\":\"198.51.100.7\",\"listener\":\"192.0.2.10\"},"
              "{\"client\":\"198.51.100.8\"}]"),
         "ok", "[198.51.100.7]>[192.0.2.10]:25 [198.51.100.8]>[192.0.2.20]:25 ", 1},
        {FEED("[{\"client\":\"2001:db8:1::7\"},{\"client\":\"198.51.100.8\"}]"), "refused",
         "[198.51.100.8]>[192.0.2.20]:25 ", 0},
        {FEED("[{\"client\":\"198.51.100.8\"},{\"client\":\"here\"}]"), "usage", "", 0},
        {FEED("[{\"client\":\"198.51.100.8\",\"listener\":\"here\"}]"), "usage", "", 0},
        {FEED("[{\"client\":\"198.51.100.8\",\"listener\":5}]"), "usage", "", 0},
        {FEED("[{\"client\":\"198.51.100.8\",\"port\":0}]"), "usage", "", 0},
        {FEED("[{\"client\":\"198.51.100.8\",\"port\":65536}]"), "usage", "", 0},
        {FEED("[{\"client\":\"198.51.100.8\",\"port\":\"25\"}]"), "usage", "", 0},
        {FEED("[5]"), "usage", "", 0},
        {FEED("{}"), "usage", "", 0},
        {"{\"command\":\"feed\"}\n", "usage", "", 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char status[32];
        const char *got;

        fake.visits[0] = '\0';
        fake.signs = 0;
        got = ask_control(*state, cases[i].request, 4096);
        snprintf(status, sizeof status, "\"status\":\"%s\"", cases[i].status);
        if (!strstr(got, status) || strcmp(fake.visits, cases[i].visits) != 0 ||
            fake.signs != cases[i].signs)
            fail_msg("%s: %s, noted '%s'", cases[i].request, got, fake.visits);
    }
    for (fake.listeners6 = 0; fake.listeners6 < 3; fake.listeners6 += 2)
        assert_non_null(strstr(ask_control(*state, FEED("[{\"client\":\"2001:db8:1::7\"}]"), 4096),
                               fake.listeners6 ? "\"again\":false" : "\"again\":true"));
}

/* As many as may be, of the longest addresses; and one more. */
static void feed_is_bounded(void **state)
{
    static const char one[] = "{\"client\":\"[2001:db8:1111:1111:1111:1111:1111:1111]\","
                              "\"listener\":\"[2001:db8:2222:2222:2222:2222:2222:2222]\","
                              "\"port\":25}";

    for (int more = 0; more < 2; more++) {
        static char request[CONTROL_MAX_REQUEST];
        size_t length = (size_t)sprintf(request, "{\"command\":\"feed\",\"visits\":[");

        for (int i = 0; i < CONTROL_MAX_VISITS + more; i++)
            length += (size_t)sprintf(request + length, "%s%s", i ? "," : "", one);
        strcpy(request + length, "]}\n");
        assert_non_null(
            strstr(ask_control(*state, request, 4096), more ? "at most 200" : "\"visits\":200"));
    }
}

static void purge(void **state)
{
    const char *got =
        ask_control(*state, "{\"command\":\"purge\",\"domain\":\"EXAMPLE.com\"}\n", 99);

    assert_non_null(strstr(got, "\"status\":\"ok\""));
    assert_int_equal(fake.purged, 1);
    got = ask_control(*state, "{\"command\":\"purge\"}\n", 99);
    assert_non_null(strstr(got, "\"status\":\"usage\""));
    assert_int_equal(fake.purged, 1);
}

/* SO_PEERCRED is of whoever connects: another user may look, and not touch. */
static void strangers_may_look(void **state)
{
    struct talk *talk = *state;
    const char *got;
    uid_t own = geteuid();

    if (own != 0)
        skip();
    assert_int_equal(chmod(talk->folder, 0755), 0);
    assert_int_equal(chmod(talk->path, 0666), 0);
    for (int i = 0; i < 2; i++) {
        static const char *const asked[] = {
            "{\"command\":\"stats\"}\n", "{\"command\":\"drain\",\"host\":\"gw1.example.net\"}\n"};
        static const char *const wanted[] = {"\"status\":\"ok\"", "is for root"};
        static char reply[4096];
        bool ended;
        int fd;

        assert_int_equal(seteuid(65534), 0);
        fd = talk_connect(talk);
        assert_int_equal(seteuid(own), 0);
        talk_send(talk, fd, asked[i], strlen(asked[i]));
        talk_receive(talk, fd, reply, sizeof reply - 1, &ended);
        close(fd);
        got = reply;
        if (!strstr(got, wanted[i]))
            fail_msg("%s: %s", asked[i], got);
    }
    assert_int_equal(fake.put_port, 0);
}

static void report_without_redis(void **state)
{
    conversation.store = (struct store *)&fake;
    const char *reply = ask_control(*state, "{\"command\":\"report\"}\n", 1000);

    conversation.store = NULL;
    assert_non_null(strstr(reply, "\"status\":\"refused\""));
    assert_non_null(strstr(reply, "Redis cannot be reached"));
}

/* Away, and there without taking anything. */
static void written_without_redis(void **state)
{
    static const char *const asked[] = {"{\"command\":\"forget\",\"client\":\"198.51.100.7\"}\n",
                                        "{\"command\":\"allow\",\"client\":\"198.51.100.7\"}\n",
                                        "{\"command\":\"purge\",\"domain\":\"example.com\"}\n"};

    conversation.store = (struct store *)&fake;
    for (size_t i = 0; i < 2 * (sizeof asked / sizeof asked[0]); i++) {
        fake.full_redis = i % 2;
        const char *reply = ask_control(*state, asked[i / 2], 1000);
        if (!strstr(reply, "\"status\":\"refused\"") || !strstr(reply, "only at this node") ||
            !strstr(reply, fake.full_redis ? "OOM" : "down"))
            fail_msg("%s: %s", asked[i / 2], reply);
    }
    fake.full_redis = false;
    conversation.store = NULL;
    assert_true(fake.dropped > 2); /* done here all the same */
    assert_true(fake.allowed[0] != '\0');
    assert_int_equal(fake.purged, 2);
}

static void engine_is_full(void **state)
{
    fake.full = true;
    assert_non_null(strstr(ask_control(*state, requests[3].request, 999), "\"refused\""));
    assert_non_null(
        strstr(ask_control(*state, "{\"command\":\"mx\",\"domain\":\"example.com\"}\n", 999),
               "\"refused\""));
}

/* Whoever asks may go away before the answer: a question is cancelled, a change is finished. */
static void asker_goes_away(void **state)
{
    struct talk *talk = *state;
    int fd = talk_connect(talk);

    fake.hold = true;
    talk_send(talk, fd, requests[3].request, strlen(requests[3].request));
    for (int i = 0; i < TALK_WAIT_MS && !fake.held; i++)
        talk_wait(talk, fd, 0);
    assert_non_null(fake.held);
    peer_close(*(struct peer **)fake.held->arg); /* an ask begins with its peer */
    assert_int_equal(fake.cancelled, 1);
    close(fd);

    fd = talk_connect(talk);
    fake.put_later = true;
    talk_send(talk, fd, changes[0].request, strlen(changes[0].request));
    for (int i = 0; i < TALK_WAIT_MS && !fake.put_done; i++)
        talk_wait(talk, fd, 0);
    assert_non_null(fake.put_done);
    peer_close(*(struct peer **)fake.put_arg);
    fake.put_done(fake.put_arg, true);
    close(fd);
}

static void too_long(void **state)
{
    char *request = malloc(CONTROL_MAX_REQUEST + 100);

    assert_non_null(request);
    memset(request, ' ', CONTROL_MAX_REQUEST + 99);
    request[CONTROL_MAX_REQUEST + 99] = '\0';
    assert_string_equal(ask_control(*state, request, 4096), "");
    free(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(request_table, setup, teardown),
        cmocka_unit_test_setup_teardown(change_table, setup, teardown),
        cmocka_unit_test_setup_teardown(clients, setup, teardown),
        cmocka_unit_test_setup_teardown(pauses, setup, teardown),
        cmocka_unit_test_setup_teardown(feeds, setup, teardown),
        cmocka_unit_test_setup_teardown(feed_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(purge, setup, teardown),
        cmocka_unit_test_setup_teardown(strangers_may_look, setup, teardown),
        cmocka_unit_test_setup_teardown(report_without_redis, setup, teardown),
        cmocka_unit_test_setup_teardown(written_without_redis, setup, teardown),
        cmocka_unit_test_setup_teardown(engine_is_full, setup, teardown),
        cmocka_unit_test_setup_teardown(asker_goes_away, setup, teardown),
        cmocka_unit_test_setup_teardown(too_long, setup, teardown),
    };
    return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
