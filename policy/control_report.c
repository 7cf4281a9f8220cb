/*
 * The command report: the daily counters of all nodes, read some keys at a time: so many that a
 * distant Redis does not keep whoever asks waiting, and so few that no answer is long and nobody else
 * waits for Redis because of it.
 *
 * There is no list of all nodes that ever were, and SCAN over a site's keys is not worth its cost.
 * Asked for are this node, those alive, and the MX hosts of configured domains as known here, which
 * finds a node that is down under its usual name. The reply names those that had counters.
 */
#include "policy/control_ask.h"

#include "cache/keys.h"
#include "policy/conf.h"
#include "policy/report.h"
#include "policy/show.h"
#include "policy/site.h"
#include "policy/stats.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { DAYS_DEFAULT = 7, DAYS_MAX = 35, NODES_MAX = 64, DAY = 86400 };
enum {
    KEYS_TOGETHER = 32,     /* at most: 75 answers for the most that can be asked for */
    FIELDS_TOGETHER = 8192, /* some 400 kB, if no key is longer than those before it */
};

struct gathering {
    struct control_ask *ask;
    struct report report;
    int64_t today; /* Unix seconds, within it */
    unsigned days;
    size_t count;
    size_t key, together; /* the days of the first node, then of the next: the first one being read,
                             and how many */
    size_t longest;       /* fields of a key so far */
    char name[NODES_MAX][NAME_SIZE];
    bool found[NODES_MAX];
};

static void add_node(struct gathering *gathering, const char *name)
{
    for (size_t i = 0; i < gathering->count; i++)
        if (strcmp(gathering->name[i], name) == 0)
            return;
    if (gathering->count < NODES_MAX)
        strcpy(gathering->name[gathering->count++], name);
}

static void add_hosts_of(struct gathering *gathering, const char *domain)
{
    const struct facts *facts =
        fetch_peek_stale(gathering->ask->conversation->fetch, FACTS_MX, domain, FETCH_ANY);

    for (size_t i = 0; facts && facts->state == FACTS_OK && i < facts->mx.count; i++)
        add_node(gathering, facts->mx.host[i].name);
    facts_unref(facts);
}

static void find_nodes(struct gathering *gathering)
{
    const struct conversation *conversation = gathering->ask->conversation;
    const struct conf *conf = conversation->conf;
    char alive[NODES_MAX][NAME_SIZE];
    size_t count = site_nodes(conversation->site, alive, NODES_MAX);

    add_node(gathering, conf->node);
    for (size_t i = 0; i < count; i++)
        add_node(gathering, alive[i]);
    for (size_t i = 0; i < conf->domain_count && gathering->count < NODES_MAX; i++)
        if (conf->domain[i].kind == CONF_TITLE_DOMAIN)
            add_hosts_of(gathering, conf->domain[i].name);
}

static char *day_text(const struct gathering *gathering, unsigned ago, char out[KEYS_DAY_SIZE])
{
    return keys_day(gathering->today - (int64_t)ago * DAY, out);
}

static void finish(struct gathering *gathering)
{
    struct control_ask *ask = gathering->ask;
    const struct conversation *conversation = ask->conversation;
    const char *node[NODES_MAX];
    char from[KEYS_DAY_SIZE], to[KEYS_DAY_SIZE];
    struct show_span span = {.node = node,
                             .from = day_text(gathering, gathering->days - 1, from),
                             .to = day_text(gathering, 0, to)};

    if (!conversation->store)
        span.since = conversation->started;
    for (size_t i = 0; i < gathering->count; i++)
        if (gathering->found[i])
            node[span.node_count++] = gathering->name[i];
    control_end(ask, show_report(&gathering->report, &span, conversation->conf));
    report_clear(&gathering->report);
    free(gathering);
}

static void give_up(struct gathering *gathering, const char *why)
{
    control_fail(gathering->ask, "refused", "the counters could not be read: %s", why);
    report_clear(&gathering->report);
    free(gathering);
}

static void read_next(struct gathering *gathering);

static size_t keys_left(const struct gathering *gathering)
{
    return gathering->count * gathering->days - gathering->key;
}

/* A list of fields and values; counts are digits, and whatever else stands there is none. A key of
 * another type is nobody's counters, and no list. How many fields. */
static size_t take(struct gathering *gathering, size_t key, const struct store_reply *reply)
{
    size_t count = store_reply_count(reply);

    for (size_t i = 0; i + 1 < count; i += 2) {
        const char *field = store_reply_text(store_reply_at(reply, i), NULL);
        const char *value = store_reply_text(store_reply_at(reply, i + 1), NULL);
        if (field && value && value[strspn(value, "0123456789")] == '\0')
            report_add(&gathering->report, field, strtoull(value, NULL, 10),
                       key % gathering->days < 2);
    }
    if (count > 0)
        gathering->found[key / gathering->days] = true;
    return count / 2;
}

static void on_read(void *arg, enum store_status status, const struct store_reply *const *reply,
                    size_t count)
{
    struct gathering *gathering = arg;

    if (status != STORE_OK && status != STORE_ERROR) {
        give_up(gathering, "Redis does not answer");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        size_t fields = take(gathering, gathering->key + i, reply[i]);
        if (fields > gathering->longest)
            gathering->longest = fields;
    }
    gathering->key += gathering->together;
    /* Slowly: the first key, of a day that has just begun, says little of the others. */
    gathering->together *= 2;
    read_next(gathering);
}

static void add_read(const struct gathering *gathering, size_t key, struct store_batch *batch)
{
    const struct conversation *conversation = gathering->ask->conversation;
    char day[KEYS_DAY_SIZE], text[KEYS_SIZE];

    day_text(gathering, (unsigned)(key % gathering->days), day);
    store_batch_add(batch, "HGETALL",
                    keys_stat(conversation->conf->cache.prefix,
                              gathering->name[key / gathering->days], day, text),
                    NULL);
}

static void read_next(struct gathering *gathering)
{
    struct store_batch *batch;

    if (keys_left(gathering) == 0 || !gathering->ask->peer) {
        finish(gathering);
        return;
    }
    if (gathering->together > KEYS_TOGETHER)
        gathering->together = KEYS_TOGETHER;
    if (gathering->together * gathering->longest > FIELDS_TOGETHER)
        gathering->together = FIELDS_TOGETHER / gathering->longest;
    if (gathering->together > keys_left(gathering))
        gathering->together = keys_left(gathering);
    if (gathering->together == 0) /* the first key, or long ones */
        gathering->together = 1;
    batch = store_batch_new(false);
    for (size_t i = 0; i < gathering->together; i++)
        add_read(gathering, gathering->key + i, batch);
    if (!store_send(gathering->ask->conversation->store, batch, on_read, gathering))
        give_up(gathering, "Redis cannot be reached");
}

static void take_own(void *arg, const char *name, uint64_t value)
{
    report_add(arg, name, value, true);
}

/* Without Redis there are the counters of this process only, whatever day they are of. */
static void report_own(struct gathering *gathering)
{
    const struct conversation *conversation = gathering->ask->conversation;

    stats_each(conversation->stats, take_own, &gathering->report);
    add_node(gathering, conversation->conf->node);
    gathering->found[0] = true;
    finish(gathering);
}

void control_report(struct control_ask *ask, const json_t *request)
{
    const json_t *days = json_object_get(request, "days");
    struct gathering *gathering;

    if (days && (!json_is_integer(days) || json_integer_value(days) < 1 ||
                 json_integer_value(days) > DAYS_MAX)) {
        control_fail(ask, "usage", "days must be a number from 1 to %d", DAYS_MAX);
        return;
    }
    gathering = calloc(1, sizeof *gathering);
    if (!gathering) {
        control_end(ask, NULL);
        return;
    }
    gathering->ask = ask;
    gathering->days = days ? (unsigned)json_integer_value(days) : DAYS_DEFAULT;
    gathering->today = clock_unix(ask->conversation->clock);
    report_init(&gathering->report);
    if (!ask->conversation->store) {
        report_own(gathering);
        return;
    }
    find_nodes(gathering);
    read_next(gathering);
}
