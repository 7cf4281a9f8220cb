/*
 * What must hold of every answer, whatever the hosts, their health and the key: the properties of a
 * weighted choice with tiers, over generated inputs (generate.h). The numbers in the names are
 * those of the list at the end of this file.
 */
#include "policy/route.h"
#include "policy/spill.h"
#include "policy/tier.h"

#include "tests/unit/generate.h"
#include "tests/unit/nexthop.h"
#include "tests/unit/world_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { MAX_HOSTS = 12, KEYS = 50, MAX_SHUFFLED = 8 };

/* --- worlds ------------------------------------------------------------------------------------- */

struct world {
    struct tier_host host[TIER_MAX_HOSTS];
    char name[TIER_MAX_HOSTS][NAME_SIZE];
    size_t count;
    enum tier_spill spill;
};

/* Mostly short, now and then as long as a name can be, now and then an address. */
static void make_name(struct generate *g, size_t i, char *out)
{
    size_t length = generate_one_in(g, 6) ? 1 + generate_below(g, 180) : 0;
    unsigned number = generate_below(g, 100000);

    if (generate_one_in(g, 8))
        snprintf(out, NAME_SIZE, "[192.0.2.%u]", (unsigned)i + 1);
    else if (generate_one_in(g, 8))
        snprintf(out, NAME_SIZE, "[2001:db8::%x:%zx]", 1 + number % 65535, i + 1);
    else {
        int at = snprintf(out, NAME_SIZE, "h%zu-%u", i, number);
        for (size_t k = 0; k < length; k++)
            at += snprintf(out + at, NAME_SIZE - (size_t)at, "%s", k % 40 == 39 ? ".x" : "y");
        snprintf(out + at, NAME_SIZE - (size_t)at, ".example.net");
    }
}

static unsigned make_weight(struct generate *g)
{
    switch (generate_below(g, 8)) {
    case 0: return 0;
    case 1: return 65535;
    case 2: return 1;
    case 3: return 100;
    }
    return 1 + generate_below(g, 200);
}

static void make_host(struct generate *g, struct world *world, size_t i)
{
    static const enum tier_override overrides[] = {TIER_DRAINED, TIER_DOWN, TIER_READY};
    struct tier_host *host = &world->host[i];

    make_name(g, i, world->name[i]);
    *host = (struct tier_host){
        .name = world->name[i],
        .port = (uint16_t)(generate_one_in(g, 3) ? 1 + generate_below(g, 65535) : 25),
        .tier = 10 * (1 + generate_below(g, 4)),
        .weight = make_weight(g),
        .ramp = generate_one_in(g, 5) ? 100 + generate_below(g, 900) : TIER_FULL_WEIGHT,
        .failing = generate_one_in(g, 4),
        .held = generate_one_in(g, 4) ? 1 + generate_below(g, 5) : 0,
    };
    if (generate_one_in(g, 6))
        host->override = overrides[generate_below(g, 3)];
    if (generate_one_in(g, 8))
        host->resolve = generate_one_in(g, 2) ? TIER_MAY_RESOLVE : TIER_ABSENT;
}

static void make_world(struct generate *g, struct world *world)
{
    world->count = 1 + generate_below(g, MAX_HOSTS);
    world->spill = generate_one_in(g, 2) ? TIER_PROPORTIONAL : TIER_STRICT;
    for (size_t i = 0; i < world->count; i++)
        make_host(g, world, i);
    if (generate_one_in(g, 5))
        world->host[generate_below(g, (unsigned)world->count)].self = true;
}

/* A tier of hosts that are all well. */
static void make_tier(struct generate *g, struct world *world)
{
    world->count = 2 + generate_below(g, 7);
    world->spill = TIER_STRICT;
    for (size_t i = 0; i < world->count; i++) {
        make_name(g, i, world->name[i]);
        world->host[i] = (struct tier_host){.name = world->name[i],
                                            .port = 25,
                                            .tier = 10,
                                            .weight = 10 + generate_below(g, 91),
                                            .ramp = TIER_FULL_WEIGHT};
        if (generate_one_in(g, 4))
            world->host[i].ramp = 500;
    }
}

static void choose(const struct world *world, uint64_t key, struct tier_pick *pick)
{
    char text[64];

    snprintf(text, sizeof text, "pool user%llx@example.com", (unsigned long long)key);
    memset(pick, 0xa5, sizeof *pick); /* nothing may come from what was there */
    tier_choose(world->host, world->count, text, world->spill, pick);
}

static uint32_t own_tier(const struct world *world)
{
    uint32_t tier = UINT32_MAX;

    for (size_t i = 0; i < world->count; i++)
        if (world->host[i].self && world->host[i].tier < tier)
            tier = world->host[i].tier;
    return tier;
}

/* Could be drawn if nothing held it out. */
static bool is_good(const struct world *world, size_t i)
{
    const struct tier_host *host = &world->host[i];

    return host->tier < own_tier(world) && tier_is_usable(host) && host->weight > 0;
}

static bool has_good(const struct world *world)
{
    for (size_t i = 0; i < world->count; i++)
        if (is_good(world, i))
            return true;
    return false;
}

/* --- one answer --------------------------------------------------------------------------------- */

/* 2: of two hosts that could be drawn the one of the better tier comes first. */
static void check_tiers(const struct generate *g, const struct world *world,
                        const struct tier_pick *pick)
{
    uint32_t best = UINT32_MAX;

    for (size_t i = 0; i < world->count; i++)
        if (is_good(world, i) && world->host[i].tier < best)
            best = world->host[i].tier;
    if (world->spill != TIER_STRICT || best == UINT32_MAX)
        return;
    generate_assert(g, pick->count > 0 && world->host[pick->index[0]].tier == best);
    for (size_t p = 1; p < pick->count; p++) {
        size_t before = pick->index[p - 1], at = pick->index[p];
        if (is_good(world, at) && !pick->held[at])
            generate_assert(g, world->host[before].tier <= world->host[at].tier);
    }
}

/* 6, 7, 11, and what an override says. */
static void check_hosts(const struct generate *g, const struct world *world,
                        const struct tier_pick *pick)
{
    bool resolves = false, overridden = true;
    uint32_t own = own_tier(world);

    for (size_t i = 0; i < world->count; i++) {
        const struct tier_host *host = &world->host[i];
        bool is_out = host->override == TIER_DRAINED || host->override == TIER_DOWN;
        if (host->tier < own && host->resolve != TIER_ABSENT && !is_out) {
            overridden = false;
            resolves = resolves || host->resolve == TIER_RESOLVES;
        }
    }
    for (size_t p = 0; p < pick->count; p++) {
        const struct tier_host *host = &world->host[pick->index[p]];
        generate_assert(g, !host->self && host->tier < own);
        generate_assert(g, host->resolve != TIER_ABSENT);
        generate_assert(g, !resolves || host->resolve == TIER_RESOLVES);
        generate_assert(g, overridden || host->override == TIER_NORMAL ||
                               host->override == TIER_READY);
        generate_assert(g, host->weight > 0 || !has_good(world));
        for (size_t q = 0; q < p; q++)
            generate_assert(g, pick->index[q] != pick->index[p]);
    }
    generate_assert(g, !has_good(world) || tier_is_usable(&world->host[pick->index[0]]));
}

/* Of who may be held out: passes its probes, nobody has said anything about it, not more than half
 * of its tier; and nobody who is comes before one who is not and could be drawn. */
static void check_holds(const struct generate *g, const struct world *world,
                        const struct tier_pick *pick)
{
    for (size_t i = 0; i < world->count; i++) {
        const struct tier_host *host = &world->host[i];
        uint64_t held = 0, all = 0;
        if (!pick->held[i])
            continue;
        generate_assert(g, host->held > 0 && is_good(world, i) && host->override == TIER_NORMAL);
        for (size_t k = 0; k < world->count; k++)
            if (world->host[k].tier == host->tier && is_good(world, k)) {
                all += world->host[k].weight;
                held += pick->held[k] ? world->host[k].weight : 0;
            }
        generate_assert(g, 2 * held <= all);
    }
    for (size_t p = 1; p < pick->count; p++)
        generate_assert(g, !pick->held[pick->index[p - 1]] || pick->held[pick->index[p]] ||
                               !is_good(world, pick->index[p]));
    generate_assert(g, pick->count == 0 || !pick->held[pick->index[0]]);
}

/* A flapping host that is not held out would, with those that flapped no less, take the tier beyond
 * the half. */
static void check_release(const struct generate *g, const struct world *world,
                          const struct tier_pick *pick)
{
    for (size_t i = 0; i < world->count; i++) {
        const struct tier_host *host = &world->host[i];
        uint64_t held = host->weight, all = 0;
        if (pick->held[i] || !host->held || !is_good(world, i) || host->override != TIER_NORMAL)
            continue;
        for (size_t k = 0; k < world->count; k++)
            if (world->host[k].tier == host->tier && is_good(world, k)) {
                all += world->host[k].weight;
                if (pick->held[k] && world->host[k].held >= host->held)
                    held += world->host[k].weight;
            }
        generate_assert(g, 2 * held > all);
    }
}

/* Where there is room, whoever may take mail is named. */
static void check_room(const struct generate *g, const struct world *world,
                       const struct tier_pick *pick)
{
    for (size_t i = 0; pick->count < TIER_MAX_PICK && i < world->count; i++) {
        bool named = false;
        for (size_t p = 0; p < pick->count; p++)
            named = named || pick->index[p] == i;
        generate_assert(g, named || !is_good(world, i));
    }
}

static void every_answer(void **state)
{
    (void)state;
    for (unsigned long i = 0; i < generate_cases(); i++) {
        struct generate g = generate_case("2, 6, 7, 11", i);
        struct world world;
        struct tier_pick pick;

        make_world(&g, &world);
        choose(&world, generate_next(&g), &pick);
        check_tiers(&g, &world, &pick);
        check_hosts(&g, &world, &pick);
        check_holds(&g, &world, &pick);
        check_release(&g, &world, &pick);
        check_room(&g, &world, &pick);
    }
}

/* --- 1: shares ---------------------------------------------------------------------------------- */

/* What is added to chi-squared, and its degrees of freedom. */
struct fit {
    double chi;
    unsigned freedom;
};

static void fit_add(struct fit *fit, const struct world *world, const unsigned long *won,
                    size_t without)
{
    unsigned long total = 0;
    uint64_t weight = 0;

    for (size_t i = 0; i < world->count; i++)
        if (i != without) {
            total += won[i];
            weight += tier_weight(&world->host[i]);
        }
    for (size_t i = 0; i < world->count; i++)
        if (i != without)
            fit->chi +=
                generate_chi(won[i], total, (double)tier_weight(&world->host[i]) / (double)weight);
    fit->freedom += (unsigned)world->count - (without < world->count ? 2 : 1);
}

/* The hosts in fixed order, from the winner on and round. */
static void check_rotation(const struct generate *g, const struct world *world,
                           const struct tier_pick *pick)
{
    for (size_t p = 0; p < pick->count; p++) {
        const char *before = world->host[pick->index[p]].name, *next = NULL, *first = NULL;
        for (size_t i = 0; i < world->count; i++) {
            const char *name = world->host[i].name;
            if (strcmp(name, before) > 0 && (!next || strcmp(name, next) < 0))
                next = name;
            if (!first || strcmp(name, first) < 0)
                first = name;
        }
        if (p + 1 < pick->count)
            generate_assert(g, world->host[pick->index[p + 1]].name == (next ? next : first));
    }
}

static size_t find_heaviest(const struct world *world)
{
    size_t heaviest = 0;

    for (size_t i = 1; i < world->count; i++)
        if (tier_weight(&world->host[i]) > tier_weight(&world->host[heaviest]))
            heaviest = i;
    return heaviest;
}

/* One tier, many recipients; then its heaviest host is down, and the others share what was its. */
static void share_once(struct generate *g, unsigned long draws, struct fit *fit)
{
    struct world world, less;
    unsigned long won[MAX_HOSTS] = {0}, moved[MAX_HOSTS] = {0};
    size_t heaviest;

    make_tier(g, &world);
    heaviest = find_heaviest(&world);
    less = world;
    less.host[heaviest].failing = true;
    for (unsigned long i = 0; i < draws; i++) {
        uint64_t key = generate_next(g);
        struct tier_pick before, after;

        choose(&world, key, &before);
        won[before.index[0]]++;
        check_rotation(g, &world, &before);
        if (before.index[0] == heaviest) {
            choose(&less, key, &after);
            moved[after.index[0]]++;
        }
    }
    fit_add(fit, &world, won, SIZE_MAX);
    generate_assert(g, moved[heaviest] == 0);
    fit_add(fit, &world, moved, heaviest);
}

static void shares_fit_the_weights(void **state)
{
    struct fit fit = {0};

    (void)state;
    for (unsigned long i = 0; i < 10; i++) {
        struct generate g = generate_case("1", i);
        share_once(&g, generate_cases(), &fit);
    }
    if (!(fit.chi <= generate_chi_limit(fit.freedom))) /* not even for want of a number */
        fail_msg("1, PROPERTY_SEED=%llu: chi-squared %.1f, %u degrees of freedom",
                 (unsigned long long)generate_seed(), fit.chi, fit.freedom);
}

/* --- 3: what moves ------------------------------------------------------------------------------ */

static bool same_holds(const struct world *world, const struct tier_pick *a,
                       const struct tier_pick *b)
{
    for (size_t i = 0; i < world->count; i++)
        if (a->held[i] != b->held[i])
            return false;
    return true;
}

/* Only its own recipients leave a host that goes; with spill, those of its tier may also. */
static void removing_moves_only_its_own(void **state)
{
    (void)state;
    for (unsigned long i = 0; i < generate_cases(); i++) {
        struct generate g = generate_case("3, removing", i);
        struct world world, less;
        struct tier_pick before, after;
        uint64_t key;
        size_t gone, was, is;

        make_world(&g, &world);
        gone = generate_below(&g, (unsigned)world.count);
        key = generate_next(&g);
        less = world;
        less.host[gone].failing = true;
        less.host[gone].override = TIER_NORMAL;
        choose(&world, key, &before);
        choose(&less, key, &after);
        if (!before.count || !is_good(&world, before.index[0]) || !has_good(&less) ||
            !same_holds(&world, &before, &after))
            continue;
        was = before.index[0];
        is = after.index[0];
        if (was != gone &&
            (world.spill == TIER_STRICT || world.host[was].tier == world.host[is].tier))
            generate_assert(&g, was == is);
    }
}

static void raising_moves_only_to_it(void **state)
{
    (void)state;
    for (unsigned long i = 0; i < generate_cases(); i++) {
        struct generate g = generate_case("3, raising", i);
        struct world world, more;
        struct tier_pick before, after;
        uint64_t key;
        size_t raised;

        make_world(&g, &world);
        raised = generate_below(&g, (unsigned)world.count);
        key = generate_next(&g);
        more = world;
        more.host[raised].weight += 1 + generate_below(&g, 100);
        choose(&world, key, &before);
        choose(&more, key, &after);
        if (!before.count || !world.host[raised].weight || !same_holds(&world, &before, &after) ||
            before.index[0] == after.index[0])
            continue;
        if (world.spill == TIER_STRICT ||
            world.host[before.index[0]].tier == world.host[after.index[0]].tier)
            generate_assert(&g, after.index[0] == raised);
    }
}

/* --- 4, 5, 8, 13: the answer's bytes ------------------------------------------------------------ */

/* The reply that a pool of these hosts gets. */
static void reply_of(const struct world *world, uint64_t key, char out[ROUTE_REPLY_SIZE],
                     struct route_choice *choice)
{
    struct conf_pool pool = {.name = (char *)"gateways", .transport = (char *)"relay"};
    struct conf_routing routing = {.route = CONF_ROUTE_POOL, .pool = &pool};
    struct address address;
    struct route_facts *facts = calloc(1, sizeof *facts);
    char text[64];

    snprintf(text, sizeof text, "u%llx@example.com", (unsigned long long)key);
    assert_true(address_parse(text, &address));
    pool.spill = world->spill == TIER_PROPORTIONAL ? CONF_SPILL_PROPORTIONAL : CONF_SPILL_STRICT;
    facts->plan = (struct route_plan){.route = CONF_ROUTE_POOL, .routing = &routing};
    facts->address = &address;
    memcpy(facts->host, world->host, sizeof facts->host);
    facts->host_count = world->count;
    memset(choice, 0xa5, sizeof *choice);
    memset(out, 0xa5, ROUTE_REPLY_SIZE);
    route_choose(facts, 0, choice);
    route_format(facts, choice, out);
    free(facts);
}

/* 8: Postfix reads what was chosen, as far as there was room. */
static void every_answer_is_read(void **state)
{
    (void)state;
    for (unsigned long i = 0; i < generate_cases(); i++) {
        struct generate g = generate_case("8", i);
        struct world world;
        struct route_choice choice;
        struct nexthop_reply read;
        char reply[ROUTE_REPLY_SIZE];
        const char *wrong;

        make_world(&g, &world);
        reply_of(&world, generate_next(&g), reply, &choice);
        wrong = nexthop_parse(reply, strlen(reply), &read);
        if (wrong)
            fail_msg("8, case %lu: '%s': %s", i, reply, wrong);
        generate_assert(&g, read.found); /* a pool never says NOTFOUND */
        generate_assert(&g, (read.count > 0) == (choice.pick.count > 0));
        generate_assert(&g, read.count <= choice.pick.count);
        for (size_t p = 0; p < read.count; p++) {
            const struct tier_host *host = &world.host[choice.pick.index[p]];
            size_t skip = host->name[0] == '[' ? 1 : 0;
            generate_assert(&g, read.hop[p].brackets && read.hop[p].port == host->port);
            generate_assert(&g, strncmp(read.hop[p].host, host->name + skip,
                                        strlen(host->name) - 2 * skip) == 0);
        }
    }
}

static void shuffle(struct generate *g, struct world *world)
{
    for (size_t i = world->count; i-- > 1;) {
        size_t k = generate_below(g, (unsigned)i + 1);
        struct tier_host host = world->host[i];
        world->host[i] = world->host[k];
        world->host[k] = host;
    }
}

/* 4 and 13: another node, which heard of the hosts in another order and keeps the names elsewhere,
 * gives the same bytes. */
static void two_nodes_agree(void **state)
{
    (void)state;
    for (unsigned long i = 0; i < generate_cases(); i++) {
        struct generate g = generate_case("4, 13", i);
        struct world one, other;
        struct route_choice choice;
        char a[ROUTE_REPLY_SIZE], b[ROUTE_REPLY_SIZE];
        uint64_t key;

        make_world(&g, &one);
        key = generate_next(&g);
        other = one;
        for (size_t k = 0; k < other.count; k++)
            other.host[k].name = other.name[k];
        shuffle(&g, &other);
        reply_of(&one, key, a, &choice);
        reply_of(&other, key, b, &choice);
        generate_assert(&g, strcmp(a, b) == 0);
    }
}

/* 5: in one state of health at most as many answers as hosts that could be drawn. */
static void few_distinct_answers(void **state)
{
    (void)state;
    for (unsigned long i = 0; i < generate_cases() / KEYS + 1; i++) {
        struct generate g = generate_case("5", i);
        char seen[MAX_HOSTS + 1][ROUTE_REPLY_SIZE];
        size_t distinct = 0;
        struct world world;

        make_world(&g, &world);
        for (unsigned k = 0; k < KEYS; k++) {
            struct route_choice choice;
            size_t at = 0;
            reply_of(&world, generate_next(&g), seen[distinct], &choice);
            while (strcmp(seen[at], seen[distinct]) != 0)
                at++;
            distinct += at == distinct;
            generate_assert(&g, distinct <= world.count);
        }
    }
}

/* --- 10: loads ---------------------------------------------------------------------------------- */

static bool is_empty(const struct spill_tier *tier, size_t count)
{
    for (size_t t = 0; t < count; t++)
        if (tier[t].usable)
            return false;
    return true;
}

/* They sum to 100, nobody takes what it cannot carry while others can, and a tier that loses hosts
 * does not take more. */
static void loads_follow_health(void **state)
{
    (void)state;
    for (unsigned long i = 0; i < generate_cases(); i++) {
        struct generate g = generate_case("10", i);
        struct spill_tier tier[8];
        unsigned load[8], after[8], sum = 0;
        size_t count = 1 + generate_below(&g, 8), at;

        for (size_t t = 0; t < count; t++) {
            tier[t].whole = generate_one_in(&g, 8) ? 0 : 1 + generate_below(&g, 2000000);
            tier[t].usable = generate_below(&g, (unsigned)tier[t].whole + 1);
            if (generate_one_in(&g, 3))
                tier[t].usable = generate_one_in(&g, 2) ? tier[t].whole : 0;
        }
        spill_share(tier, count, load);
        for (size_t t = 0; t < count; t++) {
            sum += load[t];
            generate_assert(&g, !load[t] || tier[t].usable || is_empty(tier, count));
        }
        generate_assert(&g, sum == 100);
        at = generate_below(&g, (unsigned)count);
        tier[at].usable = generate_below(&g, (unsigned)tier[at].usable + 1);
        spill_share(tier, count, after);
        generate_assert(&g, after[at] <= load[at] || is_empty(tier, count));
    }
}

/* Three tiers, each with a host that is well and one that is not. */
static void make_half(struct generate *g, struct world *world)
{
    world->count = 6;
    world->spill = TIER_PROPORTIONAL;
    for (size_t i = 0; i < world->count; i++) {
        make_name(g, i, world->name[i]);
        world->host[i] = (struct tier_host){.name = world->name[i],
                                            .port = 25,
                                            .tier = 10 * (1 + (uint32_t)i / 2),
                                            .weight = 10 + generate_below(g, 91),
                                            .failing = i % 2 == 1,
                                            .ramp = TIER_FULL_WEIGHT};
    }
    world->host[0].ramp = 500 + generate_below(g, 501);
}

/* What is drawn fits the loads, and these are 1.4 times the share that is well. */
static void loads_are_drawn(void **state)
{
    struct fit fit = {0};

    (void)state;
    for (unsigned long i = 0; i < 10; i++) {
        struct generate g = generate_case("10, drawn", i);
        struct world world;
        struct tier_pick pick;
        unsigned long won[6] = {0};
        unsigned first;

        make_half(&g, &world);
        first = 140 * (world.host[0].weight * world.host[0].ramp) /
                (1000 * (world.host[0].weight + world.host[1].weight));
        for (unsigned long k = 0; k < generate_cases(); k++) {
            choose(&world, generate_next(&g), &pick);
            won[pick.index[0]]++;
        }
        if (140 * world.host[2].weight >= 100 * (world.host[2].weight + world.host[3].weight))
            generate_assert(&g, pick.load[0] == (first < 100 ? first : 100));
        for (size_t t = 0; t < 6; t += 2) {
            generate_assert(&g, pick.load[t] > 0 || won[t] == 0);
            if (pick.load[t] > 0)
                fit.chi += generate_chi(won[t], generate_cases(), pick.load[t] / 100.0);
            fit.freedom += pick.load[t] > 0;
        }
        fit.freedom--;
    }
    if (!(fit.chi <= generate_chi_limit(fit.freedom))) /* not even for want of a number */
        fail_msg("10, PROPERTY_SEED=%llu: chi-squared %.1f, %u degrees of freedom",
                 (unsigned long long)generate_seed(), fit.chi, fit.freedom);
}

/* --- 13, 14: DNS -------------------------------------------------------------------------------- */

struct zone {
    size_t count;
    char name[MAX_SHUFFLED][32];
    unsigned preference[MAX_SHUFFLED];
    size_t addresses[MAX_SHUFFLED]; /* 0: does not exist */
};

static bool is_self_name(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "h7.example.net") == 0;
}

static bool is_self_addr(void *arg, const struct net_addr *addr)
{
    (void)arg, (void)addr;
    return false;
}

/* The addresses of host h: so many, from the first-th on and round. */
static struct facts *make_addrs(const struct zone *zone, size_t h, size_t first)
{
    struct facts *facts = facts_new(FACTS_ADDR, zone->addresses[h] ? FACTS_OK : FACTS_NXDOMAIN);

    for (size_t i = 0; i < zone->addresses[h]; i++) {
        char text[64];
        struct net_addr addr;
        size_t at = (first + i) % zone->addresses[h];
        snprintf(text, sizeof text, at % 2 ? "2001:db8::%zx:%zx" : "203.0.113.%zu",
                 at / 2 + 1 + 8 * h, h + 1);
        addr = addr_of(text);
        facts_add_addr(facts, &addr);
    }
    facts_seal(facts);
    return facts;
}

/* The answer of route mx, the records in the order given. */
static void ask_zone(struct generate *g, const struct zone *zone, const size_t *order, uint64_t key,
                     char out[ROUTE_REPLY_SIZE])
{
    struct conf_domain section = {.routing = {.route = CONF_ROUTE_MX}};
    struct route_self self = {.has_name = is_self_name, .has_addr = is_self_addr};
    struct facts *mx = facts_new(FACTS_MX, FACTS_OK), *addr[MAX_SHUFFLED] = {0};
    const struct facts *given[FACTS_MAX_HOSTS] = {0};
    struct route_facts *facts = calloc(1, sizeof *facts);
    struct route_choice choice;
    struct address address;
    struct order joined;
    char text[64];

    for (size_t i = 0; i < zone->count; i++)
        facts_add_host(mx, (uint16_t)zone->preference[order[i]], zone->name[order[i]]);
    facts_seal(mx);
    for (size_t i = 0; i < order_names(mx); i++)
        for (size_t h = 0; h < zone->count; h++)
            if (strcmp(order_name(mx, "example.com", i), zone->name[h]) == 0)
                given[i] = addr[h] = make_addrs(zone, h, generate_below(g, 8));
    snprintf(text, sizeof text, "u%llx@example.com", (unsigned long long)key);
    assert_true(address_parse(text, &address));
    order_init(&joined, mx, "example.com", given);
    facts->plan = (struct route_plan){
        .route = CONF_ROUTE_MX, .section = &section, .routing = &section.routing};
    facts->address = &address;
    facts->order = &joined;
    route_fill(facts, NULL, &self);
    route_choose(facts, 0, &choice);
    route_format(facts, &choice, out);
    order_clear(&joined);
    for (size_t h = 0; h < zone->count; h++)
        facts_unref(addr[h]);
    facts_unref(mx);
    free(facts);
}

static void dns_order_does_not_matter(void **state)
{
    (void)state;
    for (unsigned long i = 0; i < generate_cases(); i++) {
        struct generate g = generate_case("13, 14", i);
        struct zone zone = {.count = 1 + generate_below(&g, MAX_SHUFFLED)};
        size_t order[MAX_SHUFFLED];
        char one[ROUTE_REPLY_SIZE], other[ROUTE_REPLY_SIZE];
        uint64_t key = generate_next(&g);
        const char *wrong;

        for (size_t h = 0; h < zone.count; h++) {
            snprintf(zone.name[h], sizeof zone.name[h], "h%zu.example.net", h);
            zone.preference[h] = 10 * (1 + generate_below(&g, 3));
            zone.addresses[h] = generate_one_in(&g, 8) ? 0 : 1 + generate_below(&g, 4);
            order[h] = h;
        }
        ask_zone(&g, &zone, order, key, one);
        for (size_t k = zone.count; k-- > 1;) {
            size_t at = generate_below(&g, (unsigned)k + 1), swap = order[k];
            order[k] = order[at];
            order[at] = swap;
        }
        for (size_t h = 0; h < zone.count; h++)
            if (zone.addresses[h])
                zone.addresses[h] = 1 + generate_below(&g, 4);
        ask_zone(&g, &zone, order, key, other);
        wrong = nexthop_check(one);
        if (wrong)
            fail_msg("13, case %lu: '%s': %s", i, one, wrong);
        if (strcmp(one, other) != 0)
            fail_msg("13, 14, case %lu, PROPERTY_SEED=%llu: '%s', then '%s'", i,
                     (unsigned long long)generate_seed(), one, other);
    }
}

/*
 *  1  winners fit the weights; with a host down its recipients fall on the others by theirs; the
 *     places after the first follow the rotation
 *  2  strict: no host of a worse tier before one that could be drawn of a better
 *  3  removing a host moves only its own recipients, raising a weight only to it
 *  4  two nodes, same input, same bytes
 *  5  in one state of health no more distinct answers than hosts
 *  6  this host and what is worse never appear
 *  7  the last host resolves
 *  8  the oracle reads every answer
 *  9  "*" never errs: tests/replay/properties.c
 * 10  proportional loads sum to 100 and fall with health
 * 11  weight 0 only when all else is unusable
 * 12  slow start is monotone, and ends: test_properties_time.c
 * 13  the order of DNS answers does not matter
 * 14  nor a host's number of addresses
 * 15  split and pipelined frames get the same replies: test_properties_frames.c
 * 16  flapping faster than the hold changes no answer: test_properties_time.c
 */
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_answer),
        cmocka_unit_test(shares_fit_the_weights),
        cmocka_unit_test(removing_moves_only_its_own),
        cmocka_unit_test(raising_moves_only_to_it),
        cmocka_unit_test(every_answer_is_read),
        cmocka_unit_test(two_nodes_agree),
        cmocka_unit_test(few_distinct_answers),
        cmocka_unit_test(loads_follow_health),
        cmocka_unit_test(loads_are_drawn),
        cmocka_unit_test(dns_order_does_not_matter),
    };

    generate_print();
    return cmocka_run_group_tests_name("properties", tests, NULL, NULL);
}
