/*
 * Filter questions: is this MX record to be hidden from Postfix (dnsfilter.h)?
 *
 * The records of one answer come as questions of their own, and must be judged alike. So at the
 * first of them a view of the domain is pinned for five seconds: its ordering, and what of it is
 * hidden. A doubt is pinned as a view that hides nothing. For a second after that a record is
 * hidden only if the view before says so, too: of an answer whose records come on both sides of
 * the change, what the older view keeps is not hidden by the newer.
 */
#include "policy/engine_question.h"

#include "policy/override.h"
#include "policy/site.h"
#include "policy/stats.h"
#include "policy/watch.h"

#include "cache/local.h"

#include <ifaddrs.h>
#include <stdlib.h>

enum {
    PIN_MS = 5000,
    OVERLAP_MS = 1000,
    PINS = 1000, /* beyond that the one used least recently makes room */
    SMTP_PORT = 25,
};

struct view {
    const struct facts *mx; /* NULL: nothing is hidden */
    uint32_t hidden;
};

struct pin {
    struct view view;
    struct view before; /* counts until overlap ends */
    int64_t since, overlap;
};

static void pin_free(void *value)
{
    struct pin *pin = value;

    facts_unref(pin->view.mx);
    facts_unref(pin->before.mx);
    free(pin);
}

struct local *engine_new_pins(void)
{
    return local_new(PINS, pin_free);
}

/* --- the view ----------------------------------------------------------------------------------- */

/* Asked for once a view, not for each address: the kernel lists all of them each time. */
struct self {
    const struct site *site;
    struct ifaddrs *interfaces; /* NULL: cannot tell */
};

static bool has_self_name(void *arg, const char *name)
{
    const struct self *self = arg;

    return site_is_self_name(self->site, name);
}

/* Beside what is called self, addresses of interfaces: Postfix knows itself by these, and would
 * bounce where it finds itself the best that is left. */
static bool has_self_addr(void *arg, const struct net_addr *addr)
{
    const struct self *self = arg;
    struct net_addr own;

    if (!self->interfaces || site_is_self_addr(self->site, addr))
        return true;
    for (const struct ifaddrs *at = self->interfaces; at; at = at->ifa_next)
        if (at->ifa_addr && net_addr_from_sockaddr(at->ifa_addr, &own, NULL) &&
            net_addr_equal(&own, addr))
            return true;
    return false;
}

static bool can_judge(const struct engine_question *q, const struct order *order)
{
    struct self arg = {.site = q->engine->parts.site};
    const struct route_self self = {
        .has_name = has_self_name, .has_addr = has_self_addr, .arg = &arg};
    bool can;

    if (getifaddrs(&arg.interfaces) != 0)
        arg.interfaces = NULL;
    can = site_knows_self(arg.site) && dnsfilter_can_judge(order, &self);
    freeifaddrs(arg.interfaces);
    return can;
}

static void look_at_host(const struct engine_parts *parts, const struct order_host *from,
                         struct dnsfilter_host *out)
{
    const char *name = from->host.name;
    struct watch_host_view view = watch_get_host(parts->watch, name, SMTP_PORT);

    *out = (struct dnsfilter_host){
        .preference = from->host.preference,
        .resolves = from->resolve == ORDER_RESOLVED,
        .held = view.held > 0,
        .health = view.state,
        .override = engine_override(override_get(parts->override, name, SMTP_PORT).state),
    };
}

static struct view make_view(struct engine_question *q, const struct order *order)
{
    struct dnsfilter_host host[FACTS_MAX_HOSTS];

    if (!can_judge(q, order))
        return (struct view){0};
    for (size_t i = 0; i < order->count; i++)
        look_at_host(&q->engine->parts, &order->host[i], &host[i]);
    return (struct view){.mx = facts_ref(order->mx),
                         .hidden = dnsfilter_decide(host, order->count)};
}

/* --- the pin ------------------------------------------------------------------------------------ */

static struct pin *find_pin(struct engine_question *q, int64_t now)
{
    return local_get(q->engine->pins, q->record.domain, now);
}

static bool is_pinned(const struct pin *pin, int64_t now)
{
    return pin && now < pin->since + PIN_MS;
}

/* NULL when out of memory. */
static const struct pin *put_pin(struct engine_question *q, const struct order *order, int64_t now)
{
    const struct pin *old = find_pin(q, now);
    struct pin *pin = calloc(1, sizeof *pin);

    if (!pin)
        return NULL;
    pin->since = now;
    pin->view = make_view(q, order);
    if (old) {
        pin->before = old->view;
        pin->before.mx = old->view.mx ? facts_ref(old->view.mx) : NULL;
        pin->overlap = old->since + PIN_MS + OVERLAP_MS;
    }
    return local_put(q->engine->pins, q->record.domain, pin, now, now + PIN_MS + OVERLAP_MS) ? pin
                                                                                             : NULL;
}

static bool view_hides(const struct view *view, const struct dnsfilter_record *record)
{
    return dnsfilter_hides(view->mx, view->hidden, record);
}

/* --- the question ------------------------------------------------------------------------------- */

static void answer(struct engine_question *q, const struct pin *pin, int64_t now)
{
    bool hides = pin && view_hides(&pin->view, &q->record) &&
                 (now >= pin->overlap || view_hides(&pin->before, &q->record));

    if (hides)
        stats_add(q->engine->parts.stats, "dnsfilter_hidden", 1);
    q->done.routed(q->arg, hides ? "OK IGNORE" : "NOTFOUND ");
    engine_end(q);
}

/* Somebody else may have pinned a view meanwhile: that one counts. */
static void got_order(void *arg, struct order *order)
{
    struct engine_question *q = arg;
    int64_t now = clock_mono();
    const struct pin *pin = find_pin(q, now);

    q->gather = NULL;
    if (!is_pinned(pin, now))
        pin = put_pin(q, order, now);
    order_clear(order);
    answer(q, pin, now);
}

static void gather_view(struct engine_question *q)
{
    struct fetch *fetch = q->engine->parts.fetch;
    struct order order;

    if (gather_peek_order(fetch, FACTS_MX, q->record.domain, FETCH_OWN, false, &order)) {
        got_order(q, &order);
        return;
    }
    q->gather = gather_order(fetch, FACTS_MX, q->record.domain, FETCH_OWN, ENGINE_ROUTE_BUDGET_MS,
                             got_order, q);
    if (!q->gather)
        answer(q, NULL, 0);
}

/* Whether the hosts of this domain are under watch: it has a section of its own, and a route that
 * names them. */
static bool is_filtered(const struct conf *conf, const char *domain)
{
    const struct conf_domain *section = conf_find_domain(conf, domain, true);

    return section && (section->routing.route == CONF_ROUTE_MX ||
                       section->routing.route == CONF_ROUTE_PRIMARY);
}

static void step_filter(struct engine_question *q)
{
    int64_t now = clock_mono();
    const struct pin *pin;

    if (q->record.domain[0] == '\0' || !is_filtered(q->conf, q->record.domain)) {
        answer(q, NULL, now);
        return;
    }
    pin = find_pin(q, now);
    if (is_pinned(pin, now))
        answer(q, pin, now);
    else
        gather_view(q);
}

struct engine_question *engine_filter(struct engine *engine, const char *record,
                                      engine_routed *done, void *arg)
{
    struct engine_question *q = engine_begin(engine, ENGINE_FILTER, step_filter, arg);

    if (!q)
        return NULL;
    q->done.routed = done;
    if (!dnsfilter_parse(record, &q->record))
        q->record.domain[0] = '\0';
    return q;
}
