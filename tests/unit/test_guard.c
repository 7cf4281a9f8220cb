/*
 * The guard's rows (SPEC 5): facts in, reason out. Each case begins from a client that skipped two
 * healthy, observed hosts and changes what its label says. The number before the label is the row
 * that the case holds to account (`make mutants` inverts the rows one by one).
 */
#include "policy/guard.h"

#include "tests/unit/world_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { NOW = 1000000 };

struct fixture {
    struct conf conf;
    struct conf_guard guard;
    struct question question;
    struct order order;
    struct guard_facts facts;
    const char *mx;
    const char *addr[4]; /* of the hosts, in their order */
    bool half[4];        /* its IPv6 addresses could not be had */
};

static char postmaster[] = "postmaster", abuse[] = "abuse", plus[] = "+";
static char *two_recipients[] = {postmaster, abuse};

static void fill_conf(struct fixture *f)
{
    f->conf.recipient_delimiter = plus;
    f->guard = (struct conf_guard){.mode = CONF_MODE_DEFER,
                                   .off_mx = CONF_OFF_MX_LOG,
                                   .require_observed = true,
                                   .evidence_ttl = 86400000,
                                   .yield_after = 240000,
                                   .breaker_nets = 20,
                                   .hold_down = 300000,
                                   .grace = 900000};
    f->guard.allow_recipients.count = 2;
    f->guard.allow_recipients.item = two_recipients;
}

static void fill_facts(struct fixture *f)
{
    struct guard_facts *facts = &f->facts;

    facts->question = &f->question;
    facts->conf = &f->conf;
    facts->guard = &f->guard;
    facts->listener = addr_of("192.0.2.30");
    facts->now = NOW;
    facts->has_order = facts->has_memory = facts->has_refusal = facts->has_second_look = true;
    facts->memory_complete = facts->memory_good = facts->refusal_kept = true;
    facts->memory_since = NOW - 100000;
    facts->first_refused = NOW;
}

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    fill_conf(f);
    f->question.stage = QUESTION_RCPT;
    f->question.client = addr_of("198.51.100.7");
    f->question.has_sender = f->question.has_recipient = true;
    assert_true(address_parse("a@example.net", &f->question.sender));
    assert_true(address_parse("u@example.com", &f->question.recipient));
    f->mx = "10 mx1.example.com,20 mx2.example.com,30 mx3.example.com";
    f->addr[0] = "192.0.2.10,2001:db8::10";
    f->addr[1] = "192.0.2.20";
    f->addr[2] = "192.0.2.30,2001:db8::30";
    fill_facts(f);
}

/* The ordering from its texts, then the better hosts: all good for long, all observed. */
static void fixture_order(struct fixture *f)
{
    struct facts *mx = mx_of(f->mx), *addr[FACTS_MAX_HOSTS] = {0};
    const struct facts *given[FACTS_MAX_HOSTS] = {0};

    for (size_t i = 0; i < order_names(mx); i++) {
        given[i] = addr[i] = addrs_of(f->addr[i]);
        addr[i]->addr.aaaa_failed = f->half[i];
    }
    order_init(&f->order, mx, "example.com", given);
    for (size_t i = 0; i < order_names(mx); i++)
        facts_unref(addr[i]);
    facts_unref(mx);
    f->facts.order = &f->order;
    guard_find_better(&f->facts);
    for (size_t i = 0; i < f->facts.better_count; i++) {
        f->facts.better[i].good = f->facts.better[i].observed = true;
        f->facts.better[i].good_since = NOW - 10000;
    }
}

/* --- what the cases change, before the ordering is made ... ---------------------------------- */

static char at_net[] = "@example.net", below_net[] = ".example.net";
static char *list_sender[] = {at_net};
static char *list_name[] = {below_net};
static struct net_cidr list_net[1];

static void no_section(struct fixture *f)
{
    f->facts.guard = NULL;
}
static void mode_off(struct fixture *f)
{
    f->guard.mode = CONF_MODE_OFF;
}
static void paused(struct fixture *f)
{
    f->facts.paused = true;
}
static void sasl(struct fixture *f)
{
    f->question.has_sasl = true;
}
static void cert(struct fixture *f)
{
    f->question.has_cert = true;
}
static void in_networks(struct fixture *f)
{
    assert_true(net_cidr_parse("198.51.100.0/24", &list_net[0]));
    f->conf.networks = (struct conf_nets){.count = 1, .item = list_net};
}
static void in_allow(struct fixture *f)
{
    assert_true(net_cidr_parse("198.51.100.7", &list_net[0]));
    f->guard.allow.nets = (struct conf_nets){.count = 1, .item = list_net};
}
static void allowed_name(struct fixture *f)
{
    f->guard.allow.names = (struct conf_texts){.count = 1, .item = list_name};
    strcpy(f->question.client_name, "out.example.net");
}
static void allowed_name_unverified(struct fixture *f)
{
    f->guard.allow.names = (struct conf_texts){.count = 1, .item = list_name};
    strcpy(f->question.helo_name, "out.example.net");
}
static void allowed_sender(struct fixture *f)
{
    f->guard.allow_senders = (struct conf_texts){.count = 1, .item = list_sender};
}
static void null_sender_not_listed(struct fixture *f)
{
    allowed_sender(f);
    memset(&f->question.sender, 0, sizeof f->question.sender);
}
static void to_postmaster(struct fixture *f)
{
    assert_true(address_parse("PostMaster@Example.COM", &f->question.recipient));
}
static void to_abuse_extension(struct fixture *f)
{
    assert_true(address_parse("abuse+x@example.com", &f->question.recipient));
}
static void from_mx1(struct fixture *f)
{
    f->question.client = addr_of("192.0.2.10");
}
static void from_worse_mx(struct fixture *f)
{
    f->facts.listener = addr_of("192.0.2.20");
    f->question.client = addr_of("192.0.2.30");
}
static void no_client(struct fixture *f)
{
    memset(&f->question.client, 0, sizeof f->question.client);
}
static void no_listener(struct fixture *f)
{
    memset(&f->facts.listener, 0, sizeof f->facts.listener);
}
static void dns_fail(struct fixture *f)
{
    f->mx = "fail";
}
static void dns_nxdomain(struct fixture *f)
{
    f->mx = "nxdomain";
}
static void dns_none(struct fixture *f)
{
    f->mx = "none";
    f->addr[0] = "192.0.2.30";
}
static void dns_null(struct fixture *f)
{
    f->mx = "null";
}
static void off_mx(struct fixture *f)
{
    f->facts.listener = addr_of("192.0.2.99");
}
static void off_mx_unknown_host(struct fixture *f)
{
    off_mx(f);
    f->addr[1] = "fail";
}
static void off_mx_log_learned(struct fixture *f)
{
    off_mx(f);
    f->facts.learned = true;
}
static void off_mx_defer(struct fixture *f)
{
    off_mx(f);
    f->guard.off_mx = CONF_OFF_MX_DEFER;
    f->facts.seen = true; /* there are no better hosts to be seen at */
}
static void off_mx_learned(struct fixture *f)
{
    off_mx_defer(f);
    f->facts.learned = true;
}
static void off_mx_memory_lost(struct fixture *f)
{
    off_mx_defer(f);
    f->facts.memory_good = false;
}
static void off_mx_retry(struct fixture *f)
{
    off_mx_defer(f);
    f->facts.first_refused = NOW - 240;
}
static void at_best(struct fixture *f)
{
    f->facts.listener = addr_of("192.0.2.10");
}
static void equal_preference(struct fixture *f)
{
    f->mx = "10 mx1.example.com,10 mx2.example.com,10 mx3.example.com";
}
static void better_shares_address(struct fixture *f)
{
    f->addr[0] = "192.0.2.30";
    f->addr[1] = "192.0.2.30";
}
static void better_without_address(struct fixture *f)
{
    f->addr[0] = "nxdomain";
    f->addr[1] = "none";
}
static void better_other_family(struct fixture *f)
{
    f->addr[0] = "2001:db8::10";
    f->addr[1] = "2001:db8::20";
}
static void better_private(struct fixture *f)
{
    f->addr[0] = "10.0.0.10";
    f->addr[1] = "192.168.0.20";
}
static void over_ipv6(struct fixture *f)
{
    f->question.client = addr_of("2001:db8:1::7");
    f->facts.listener = addr_of("2001:db8::30");
}
static void not_seen_yet_asked(struct fixture *f)
{
    f->facts.has_memory = false;
}
static void order_not_asked(struct fixture *f)
{
    f->facts.has_order = false;
}
static void refusal_not_asked(struct fixture *f)
{
    f->facts.has_refusal = false;
}
static void earlier_not_read(struct fixture *f)
{
    f->facts.has_refusal = false;
    f->facts.refusal_kept = false;
    f->facts.first_refused = NOW - 240;
}
static void earlier_in_time(struct fixture *f)
{
    earlier_not_read(f);
    f->facts.has_earlier = true;
}
static void earlier_too_soon(struct fixture *f)
{
    earlier_in_time(f);
    f->facts.first_refused = NOW - 239;
}
static void earlier_none(struct fixture *f)
{
    earlier_in_time(f);
    f->facts.first_refused = 0;
}
static void earlier_in_silent_memory(struct fixture *f)
{
    earlier_in_time(f);
    f->facts.memory_complete = false;
}
static void earlier_in_young_memory(struct fixture *f)
{
    earlier_in_time(f);
    f->facts.memory_since = NOW - 10;
}
static void no_second_look(struct fixture *f)
{
    f->facts.has_second_look = false;
}
static void seen(struct fixture *f)
{
    f->facts.seen = true;
}
static void learned(struct fixture *f)
{
    f->facts.learned = true;
}
static void learned_in_lost_memory(struct fixture *f)
{
    f->facts.learned = true;
    f->facts.memory_good = false;
}
static void memory_silent(struct fixture *f)
{
    f->facts.memory_complete = false;
}
static void memory_lost(struct fixture *f)
{
    f->facts.memory_good = false;
}
static void memory_young(struct fixture *f)
{
    f->facts.memory_since = NOW - 899;
}
static void memory_just_old_enough(struct fixture *f)
{
    f->facts.memory_since = NOW - 900;
}
static void mx_changed(struct fixture *f)
{
    f->facts.better_changed = NOW - 899;
}
static void mx_changed_long_ago(struct fixture *f)
{
    f->facts.better_changed = NOW - 900;
}
static void breaker(struct fixture *f)
{
    f->facts.bypass_nets = f->guard.breaker_nets;
    f->facts.visits_fell = true;
}
static void breaker_too_few(struct fixture *f)
{
    breaker(f);
    f->facts.bypass_nets--;
}
static void breaker_visits_as_ever(struct fixture *f)
{
    breaker(f);
    f->facts.visits_fell = false;
}
static void retry_in_time(struct fixture *f);

static void trapped(struct fixture *f)
{
    strcpy(f->guard.trap, "mx9.example.com");
    f->facts.trapped = true;
}
static void trapped_not_asked(struct fixture *f)
{
    trapped(f);
    f->facts.has_memory = false;
}
static void trapped_at_best(struct fixture *f)
{
    trapped(f);
    f->facts.listener = addr_of("192.0.2.10");
}
static void trapped_seen(struct fixture *f)
{
    trapped(f);
    f->facts.seen = true;
}
static void trapped_learned(struct fixture *f)
{
    trapped(f);
    f->facts.learned = true;
}
static void trapped_exempt(struct fixture *f)
{
    trapped(f);
    f->question.has_sasl = true;
}
static void trapped_mx(struct fixture *f)
{
    trapped(f);
    f->question.client = addr_of("192.0.2.10");
}
static void trapped_memory_silent(struct fixture *f)
{
    trapped(f);
    f->facts.memory_complete = false;
}
static void trapped_memory_lost(struct fixture *f)
{
    trapped(f);
    f->facts.memory_good = false;
}
static void trapped_elsewhere(struct fixture *f)
{
    f->facts.trapped = true; /* no trap is set here */
}
static void decoy(struct fixture *f)
{
    strcpy(f->guard.trap, "mx3.example.com");
}
static void decoy_exempt(struct fixture *f)
{
    decoy(f);
    f->question.has_sasl = true;
}
static void decoy_to_postmaster(struct fixture *f)
{
    decoy(f);
    to_postmaster(f);
}
static void decoy_dns_fail(struct fixture *f)
{
    decoy(f);
    f->mx = "fail";
}
static void decoy_learned(struct fixture *f)
{
    decoy(f);
    f->facts.learned = true;
}
static void decoy_memory_lost(struct fixture *f)
{
    decoy(f);
    f->facts.memory_good = false;
}
static void decoy_retry(struct fixture *f)
{
    decoy(f);
    retry_in_time(f);
}
static void decoy_not_the_worst(struct fixture *f)
{
    decoy(f);
    f->mx = "10 mx1.example.com,30 mx3.example.com,40 mx2.example.com";
    f->addr[1] = "192.0.2.30";
    f->addr[2] = "192.0.2.20";
}
static void decoy_not_alone(struct fixture *f)
{
    decoy(f);
    f->mx = "10 mx1.example.com,30 mx2.example.com,30 mx3.example.com";
}
static void decoy_the_only_host(struct fixture *f)
{
    decoy(f);
    f->mx = "10 mx3.example.com";
    f->addr[0] = "192.0.2.30";
}
static void decoy_shares_address(struct fixture *f)
{
    decoy(f);
    f->addr[0] = "192.0.2.30";
}
static void decoy_named_elsewhere(struct fixture *f)
{
    strcpy(f->guard.trap, "mx9.example.com");
}
static void refusal_not_kept(struct fixture *f)
{
    f->facts.refusal_kept = false;
}
static void retry_in_time(struct fixture *f)
{
    f->facts.first_refused = NOW - 240;
}
static void retry_too_soon(struct fixture *f)
{
    f->facts.first_refused = NOW - 239;
}
/* Refused a second ago, and back by its own name. */
static void server_again(struct fixture *f)
{
    f->facts.first_refused = NOW - 1;
    f->facts.later_message = true;
    strcpy(f->question.client_name, "mail.example.net");
    strcpy(f->question.helo_name, "mail.example.net");
}
static void server_same_second(struct fixture *f)
{
    server_again(f);
    f->facts.first_refused = NOW;
}
static void server_same_message(struct fixture *f)
{
    server_again(f);
    f->facts.later_message = false;
}
static void server_same_message_late(struct fixture *f)
{
    server_same_message(f);
    f->facts.first_refused = NOW - 240;
}
static void server_never_refused(struct fixture *f)
{
    server_again(f);
    f->facts.first_refused = 0;
}
static void server_refusal_not_kept(struct fixture *f)
{
    server_again(f);
    f->facts.refusal_kept = false;
}
static void server_by_another_name(struct fixture *f)
{
    server_again(f);
    strcpy(f->question.helo_name, "other.example.net");
}
static void server_name_unverified(struct fixture *f)
{
    server_again(f);
    f->question.client_name[0] = '\0';
}
static void server_without_helo_name(struct fixture *f)
{
    server_again(f);
    f->question.helo_name[0] = '\0';
}
static void server_on_a_line(struct fixture *f)
{
    server_again(f);
    strcpy(f->question.client_name, "dsl-198-51-100-7.example.net");
    strcpy(f->question.helo_name, "dsl-198-51-100-7.example.net");
}
/* The same, read with the memory. */
static void server_again_earlier(struct fixture *f)
{
    server_again(f);
    f->facts.has_earlier = true;
    f->facts.has_refusal = f->facts.refusal_kept = false;
}
static void server_same_message_earlier(struct fixture *f)
{
    server_again_earlier(f);
    f->facts.later_message = false;
}
/* This question's own note has grown old while it looked again. */
static void refused_anew(struct fixture *f)
{
    f->facts.refused_anew = true;
    f->facts.first_refused = NOW - 240;
}
static void off_mx_earlier(struct fixture *f)
{
    off_mx_defer(f);
    earlier_in_time(f);
}
static void off_mx_server_again(struct fixture *f)
{
    off_mx_defer(f);
    server_again(f);
}
static void decoy_server_again(struct fixture *f)
{
    decoy(f);
    server_again(f);
}
static void never_refused(struct fixture *f)
{
    f->facts.first_refused = 0;
}

/* --- ... and after ------------------------------------------------------------------------------ */

static void all_bad(struct fixture *f)
{
    for (size_t i = 0; i < f->facts.better_count; i++)
        f->facts.better[i].good = false;
}
static void all_recent(struct fixture *f)
{
    for (size_t i = 0; i < f->facts.better_count; i++)
        f->facts.better[i].good_since = NOW - 299;
}
static void held_down_long_enough(struct fixture *f)
{
    for (size_t i = 0; i < f->facts.better_count; i++)
        f->facts.better[i].good_since = NOW - 300;
}
static void never_good(struct fixture *f)
{
    for (size_t i = 0; i < f->facts.better_count; i++)
        f->facts.better[i].good_since = 0;
}
/* better[]: mx1 over IPv4, mx1 over IPv6, mx2 over IPv4 */
static void only_ipv6_good(struct fixture *f)
{
    f->facts.better[0].good = f->facts.better[2].good = false;
}
static void one_unobserved(struct fixture *f)
{
    f->facts.better[2].observed = false;
}
static void other_family_unobserved(struct fixture *f)
{
    f->facts.better[1].observed = false;
}
static void other_family_silent_unobserved(struct fixture *f)
{
    f->facts.better[1].observed = f->facts.better[1].good = false;
}
static void unhealthy_unobserved(struct fixture *f)
{
    f->facts.better[2].observed = f->facts.better[2].good = false;
}
static void unobserved_not_required(struct fixture *f)
{
    one_unobserved(f);
    f->guard.require_observed = false;
}
static void too_many_better(struct fixture *f)
{
    f->facts.better_cut = true;
}

static const struct {
    unsigned row;
    const char *label;
    void (*before)(struct fixture *f);
    void (*after)(struct fixture *f);
    enum guard_need need;
    enum guard_reason reason;
} cases[] = {
    {0, "no section", no_section, NULL, 0, GUARD_UNGUARDED},
    {1, "mode off", mode_off, NULL, 0, GUARD_EXEMPT_OFF},
    {1, "paused", paused, NULL, 0, GUARD_EXEMPT_PAUSE},
    {1, "SASL login", sasl, NULL, 0, GUARD_EXEMPT_SASL},
    {1, "verified certificate", cert, NULL, 0, GUARD_EXEMPT_CERT},
    {1, "networks", in_networks, NULL, 0, GUARD_EXEMPT_NETWORK},
    {1, "allow, by address", in_allow, NULL, 0, GUARD_EXEMPT_ALLOW},
    {1, "allow, by verified name", allowed_name, NULL, 0, GUARD_EXEMPT_ALLOW},
    {1, "allow, name only claimed", allowed_name_unverified, NULL, 0, GUARD_BYPASS},
    {1, "allow_senders", allowed_sender, NULL, 0, GUARD_EXEMPT_SENDER},
    {1, "allow_senders, null sender", null_sender_not_listed, NULL, 0, GUARD_BYPASS},
    {1, "postmaster", to_postmaster, NULL, 0, GUARD_EXEMPT_RECIPIENT},
    {1, "abuse with extension", to_abuse_extension, NULL, 0, GUARD_EXEMPT_RECIPIENT},
    {1, "client is a better MX", from_mx1, NULL, 0, GUARD_EXEMPT_MX},
    {1, "client is a worse MX", from_worse_mx, NULL, 0, GUARD_EXEMPT_MX},
    {2, "no client address", no_client, NULL, 0, GUARD_NO_CLIENT},
    {2, "listener not known", no_listener, NULL, 0, GUARD_NO_LISTENER},
    {2, "ordering not asked yet", order_not_asked, NULL, GUARD_NEED_ORDER, 0},
    {3, "MX look-up failed", dns_fail, NULL, 0, GUARD_DNS_FAIL},
    {3, "no such domain", dns_nxdomain, NULL, 0, GUARD_DNS_NXDOMAIN},
    {3, "no MX", dns_none, NULL, 0, GUARD_DNS_NONE},
    {3, "Null MX", dns_null, NULL, 0, GUARD_DNS_NULL},
    {3, "maybe an MX: a host's addresses unknown", off_mx_unknown_host, NULL, 0, GUARD_DNS_FAIL},
    {4, "listener is no MX", off_mx, NULL, 0, GUARD_OFF_MX},
    {4, "the same at once, learned or not", off_mx_log_learned, NULL, 0, GUARD_OFF_MX},
    {4, "listener is no MX, to be refused", off_mx_defer, NULL, 0, GUARD_OFF_MX},
    {4, "the same, learned", off_mx_learned, NULL, 0, GUARD_LEARNED},
    {4, "the same, memory lost", off_mx_memory_lost, NULL, 0, GUARD_MEMORY},
    {4, "the same, a retry", off_mx_retry, NULL, 0, GUARD_YIELDED},
    {5, "listener is best", at_best, NULL, 0, GUARD_BEST},
    {5, "equal preferences", equal_preference, NULL, 0, GUARD_BEST},
    {5, "better hosts share the address", better_shares_address, NULL, 0, GUARD_BEST},
    {5, "better hosts have no address", better_without_address, NULL, 0, GUARD_BEST},
    {5, "better hosts in the other family", better_other_family, NULL, 0, GUARD_BEST},
    {5, "better hosts on private addresses", better_private, NULL, 0, GUARD_BEST},
    {6, "better hosts down", NULL, all_bad, 0, GUARD_BETTER_DOWN},
    {6, "better hosts just back", NULL, all_recent, 0, GUARD_BETTER_DOWN},
    {6, "better hosts back for hold_down", NULL, held_down_long_enough, 0, GUARD_BYPASS},
    {6, "better hosts never good", NULL, never_good, 0, GUARD_BETTER_DOWN},
    {6, "good in the other family only", NULL, only_ipv6_good, 0, GUARD_BETTER_DOWN},
    {6, "the same for an IPv6 client", over_ipv6, only_ipv6_good, 0, GUARD_BYPASS},
    {7, "a healthy better host unobserved", NULL, one_unobserved, 0, GUARD_UNOBSERVED},
    {7, "one address of it unobserved", NULL, other_family_unobserved, 0, GUARD_UNOBSERVED},
    {7, "one address that does not answer", NULL, other_family_silent_unobserved, 0, GUARD_BYPASS},
    {7, "only an unhealthy one unobserved", NULL, unhealthy_unobserved, 0, GUARD_BYPASS},
    {7, "observation not required", NULL, unobserved_not_required, 0, GUARD_BYPASS},
    {7, "more better hosts than can be asked", NULL, too_many_better, 0, GUARD_UNOBSERVED},
    {8, "memory not asked yet", not_seen_yet_asked, NULL, GUARD_NEED_MEMORY, 0},
    {8, "seen at a better host", seen, NULL, 0, GUARD_SEEN},
    {9, "learned", learned, NULL, 0, GUARD_LEARNED},
    {9, "learned, though the memory is lost", learned_in_lost_memory, NULL, 0, GUARD_LEARNED},
    {10, "memory does not answer", memory_silent, NULL, 0, GUARD_MEMORY},
    {10, "memory lost", memory_lost, NULL, 0, GUARD_MEMORY},
    {10, "memory young", memory_young, NULL, 0, GUARD_YOUNG},
    {10, "memory as old as grace", memory_just_old_enough, NULL, 0, GUARD_BYPASS},
    {10, "MX set just changed", mx_changed, NULL, 0, GUARD_MX_CHANGED},
    {10, "MX set changed long ago", mx_changed_long_ago, NULL, 0, GUARD_BYPASS},
    {10, "refusal cannot be kept", refusal_not_kept, NULL, 0, GUARD_MEMORY},
    {11, "breaker", breaker, NULL, 0, GUARD_BREAKER},
    {11, "breaker, too few networks", breaker_too_few, NULL, 0, GUARD_BYPASS},
    {11, "breaker, visits as ever", breaker_visits_as_ever, NULL, 0, GUARD_BYPASS},
    {12, "refusal not asked yet", refusal_not_asked, NULL, GUARD_NEED_REFUSAL, 0},
    {12, "retry after yield_after", retry_in_time, NULL, 0, GUARD_YIELDED},
    {12, "retry too soon", retry_too_soon, NULL, 0, GUARD_BYPASS},
    {12, "never refused", never_refused, NULL, 0, GUARD_BYPASS},
    {12, "a mail server at once", server_again, NULL, 0, GUARD_YIELDED},
    {12, "within the same second", server_same_second, NULL, 0, GUARD_YIELDED},
    {12, "in the same message", server_same_message, NULL, 0, GUARD_BYPASS},
    {12, "in the same message, much later", server_same_message_late, NULL, 0, GUARD_YIELDED},
    {12, "a mail server never refused", server_never_refused, NULL, 0, GUARD_BYPASS},
    {12, "a mail server, refusal not kept", server_refusal_not_kept, NULL, 0, GUARD_MEMORY},
    {12, "at once, HELO is another name", server_by_another_name, NULL, 0, GUARD_BYPASS},
    {12, "at once, name not verified", server_name_unverified, NULL, 0, GUARD_BYPASS},
    {12, "at once, HELO is no name", server_without_helo_name, NULL, 0, GUARD_BYPASS},
    {12, "at once, name embeds the address", server_on_a_line, NULL, 0, GUARD_BYPASS},
    {12, "at once, listener is no MX", off_mx_server_again, NULL, 0, GUARD_YIELDED},
    {12, "an earlier refusal, not read", earlier_not_read, NULL, GUARD_NEED_REFUSAL, 0},
    {12, "an earlier refusal, old enough", earlier_in_time, NULL, 0, GUARD_YIELDED},
    {12, "an earlier refusal, too soon", earlier_too_soon, NULL, GUARD_NEED_REFUSAL, 0},
    {12, "no earlier refusal", earlier_none, NULL, GUARD_NEED_REFUSAL, 0},
    {12, "an earlier refusal of a server", server_again_earlier, NULL, 0, GUARD_YIELDED},
    {12, "an earlier refusal of the same message", server_same_message_earlier, NULL,
     GUARD_NEED_REFUSAL, 0},
    {12, "an earlier refusal, listener is no MX", off_mx_earlier, NULL, 0, GUARD_YIELDED},
    {12, "an earlier refusal, memory silent", earlier_in_silent_memory, NULL, 0, GUARD_MEMORY},
    {12, "an earlier refusal, memory young", earlier_in_young_memory, NULL, 0, GUARD_YOUNG},
    {12, "its own refusal is none to come back from", refused_anew, NULL, 0, GUARD_BYPASS},
    {14, "decoy, a mail server at once", decoy_server_again, NULL, 0, GUARD_TRAP},
    {14, "trapped", trapped, NULL, 0, GUARD_TRAP},
    {14, "trapped, not asked yet", trapped_not_asked, NULL, GUARD_NEED_MEMORY, 0},
    {14, "trapped, at the best host", trapped_at_best, NULL, 0, GUARD_TRAP},
    {14, "trapped, better hosts down", trapped, all_bad, 0, GUARD_TRAP},
    {14, "trapped, seen since", trapped_seen, NULL, 0, GUARD_TRAP},
    {14, "trapped, but learned", trapped_learned, NULL, 0, GUARD_LEARNED},
    {14, "trapped, exempt", trapped_exempt, NULL, 0, GUARD_EXEMPT_SASL},
    {14, "trapped, an MX of the domain", trapped_mx, NULL, 0, GUARD_EXEMPT_MX},
    {14, "trapped, memory does not answer", trapped_memory_silent, NULL, 0, GUARD_MEMORY},
    {14, "trapped, memory lost", trapped_memory_lost, NULL, 0, GUARD_MEMORY},
    {14, "trapped, where no trap is set", trapped_elsewhere, NULL, 0, GUARD_BYPASS},
    {14, "decoy", decoy, NULL, 0, GUARD_TRAP},
    {14, "decoy, better hosts down", decoy, all_bad, 0, GUARD_TRAP},
    {14, "decoy, learned", decoy_learned, NULL, 0, GUARD_TRAP},
    {14, "decoy, memory lost", decoy_memory_lost, NULL, 0, GUARD_TRAP},
    {14, "decoy, a retry", decoy_retry, NULL, 0, GUARD_TRAP},
    {14, "decoy, exempt", decoy_exempt, NULL, 0, GUARD_EXEMPT_SASL},
    {14, "decoy, postmaster", decoy_to_postmaster, NULL, 0, GUARD_EXEMPT_RECIPIENT},
    {14, "decoy, MX look-up failed", decoy_dns_fail, NULL, 0, GUARD_DNS_FAIL},
    {14, "decoy's name on a better host", decoy_not_the_worst, NULL, 0, GUARD_BYPASS},
    {14, "decoy with an equal", decoy_not_alone, NULL, 0, GUARD_BYPASS},
    {14, "decoy with nothing before it", decoy_the_only_host, NULL, 0, GUARD_BEST},
    {14, "decoy on a better host's address", decoy_shares_address, NULL, 0, GUARD_BEST},
    {14, "decoy is another host", decoy_named_elsewhere, NULL, 0, GUARD_BYPASS},
    {13, "no second look yet", no_second_look, NULL, GUARD_NEED_SECOND_LOOK, 0},
    {13, "bypass", NULL, NULL, 0, GUARD_BYPASS},
};

static void judges_each_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        struct guard_verdict verdict;
        enum guard_need need;

        fixture_init(&f);
        if (cases[i].before)
            cases[i].before(&f);
        fixture_order(&f);
        if (cases[i].after)
            cases[i].after(&f);
        need = guard_judge(&f.facts, &verdict);
        if (need != cases[i].need || (!need && verdict.reason != cases[i].reason))
            fail_msg("row %u, %s: need %d, reason %s", cases[i].row, cases[i].label, need,
                     need ? "-" : guard_reason_name(verdict.reason));
        order_clear(&f.order);
    }
}

/* The rows are SPEC 5's: whoever reads `explain` finds them there. */
static void names_row_and_hosts(void **state)
{
    struct fixture f;
    struct guard_verdict verdict;

    (void)state;
    fixture_init(&f);
    fixture_order(&f);
    assert_int_equal(guard_judge(&f.facts, &verdict), GUARD_NEED_NOTHING);
    assert_int_equal(verdict.row, 13);
    assert_string_equal(verdict.mx->name, "mx3.example.com");
    assert_string_equal(verdict.better->name, "mx1.example.com");
    f.facts.better[0].good = f.facts.better[1].good = false;
    assert_int_equal(guard_judge(&f.facts, &verdict), GUARD_NEED_NOTHING);
    assert_string_equal(verdict.better->name, "mx2.example.com");
    order_clear(&f.order);
}

/* Where a better host may be elsewhere, too, the same reason is not as certain. */
static void tells_of_unknown_better(void **state)
{
    static const struct {
        const char *label, *addr1;
        bool half[3], wanted;
    } table[] = {
        {"all known", "192.0.2.10", {false, false, false}, false},
        {"the best half known", "192.0.2.10", {true, false, false}, true},
        {"the next half known", "192.0.2.10", {false, true, false}, true},
        {"the listener's own host half known", "192.0.2.10", {false, false, true}, false},
        {"the best not known at all", "fail", {false, false, false}, true},
        {"the best without addresses", "none", {false, false, false}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct guard_verdict verdict;
        struct fixture f;

        fixture_init(&f);
        f.addr[0] = table[i].addr1;
        memcpy(f.half, table[i].half, sizeof table[i].half);
        fixture_order(&f);
        assert_int_equal(guard_judge(&f.facts, &verdict), GUARD_NEED_NOTHING);
        if (verdict.reason != GUARD_BYPASS || verdict.better_unknown != table[i].wanted)
            fail_msg("%s: %s, %d", table[i].label, guard_reason_name(verdict.reason),
                     verdict.better_unknown);
        order_clear(&f.order);
    }
}

/* The same facts give the same reason in every mode but off (SPEC 5). */
static void reason_ignores_mode(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (enum conf_mode mode = CONF_MODE_DETECT; mode <= CONF_MODE_FILTER; mode++) {
            struct fixture f;
            struct guard_verdict verdict;

            fixture_init(&f);
            f.guard.mode = mode;
            if (cases[i].before)
                cases[i].before(&f);
            fixture_order(&f);
            if (cases[i].after)
                cases[i].after(&f);
            if (!guard_judge(&f.facts, &verdict) && verdict.reason != cases[i].reason)
                fail_msg("%s, mode %s: %s", cases[i].label, conf_mode_name(mode),
                         guard_reason_name(verdict.reason));
            order_clear(&f.order);
        }
}

/* What the decoy would have said otherwise is what counts there. */
static void beneath_the_decoy(void **state)
{
    static const struct {
        void (*before)(struct fixture *f);
        enum guard_reason beneath;
    } table[] = {{decoy, GUARD_BYPASS},
                 {decoy_learned, GUARD_LEARNED},
                 {decoy_memory_lost, GUARD_MEMORY},
                 {decoy_retry, GUARD_YIELDED},
                 {decoy_server_again, GUARD_YIELDED},
                 {decoy_exempt, GUARD_EXEMPT_SASL},
                 {trapped, GUARD_TRAP},
                 {seen, GUARD_SEEN}};

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fixture f;
        struct guard_verdict verdict;

        fixture_init(&f);
        table[i].before(&f);
        fixture_order(&f);
        assert_int_equal(guard_judge(&f.facts, &verdict), GUARD_NEED_NOTHING);
        assert_int_equal(verdict.beneath, table[i].beneath);
        if (verdict.reason == GUARD_TRAP)
            assert_int_equal(verdict.row, GUARD_TRAP_ROW);
        order_clear(&f.order);
    }
}

static bool coin(unsigned one_in)
{
    return (unsigned)rand() % one_in == 0;
}

/* Facts of every kind, each now and then far from the usual. */
static void generate(struct fixture *f)
{
    static const char *const addr[] = {
        "192.0.2.10", "192.0.2.10,2001:db8::10", "2001:db8::10", "10.0.0.1", "fail", "none"};

    f->addr[0] = addr[(unsigned)rand() % (coin(3) ? 6 : 2)];
    f->question.has_sasl = coin(20);
    f->facts.paused = coin(20);
    f->guard.off_mx = (enum conf_off_mx)((unsigned)rand() % 4);
    f->guard.require_observed = !coin(4);
    if (coin(8))
        f->facts.listener = addr_of(coin(2) ? "192.0.2.99" : "192.0.2.10");
    f->facts.seen = coin(6);
    f->facts.learned = coin(6);
    f->facts.memory_complete = !coin(8);
    f->facts.memory_good = !coin(8);
    f->facts.memory_since = NOW - (coin(6) ? 10 : 10000);
    f->facts.better_changed = coin(6) ? NOW - 10 : 0;
    f->facts.bypass_nets = coin(3) ? 40 : 0;
    f->facts.visits_fell = coin(3);
    f->facts.trapped = coin(4);
    strcpy(f->guard.trap, coin(3) ? coin(2) ? "mx3.example.com" : "mx9.example.com" : "");
    f->facts.refusal_kept = !coin(8);
    f->facts.first_refused = NOW - (coin(3) ? 1000 : 0);
    f->facts.later_message = coin(2);
    f->facts.refused_anew = coin(4);
    strcpy(f->question.client_name, coin(2) ? "mail.example.net" : "");
    strcpy(f->question.helo_name, coin(2) ? "mail.example.net" : "out.example.net");
}

static void generate_better(struct fixture *f)
{
    for (size_t i = 0; i < f->facts.better_count; i++) {
        f->facts.better[i].good = !coin(5);
        f->facts.better[i].observed = !coin(5);
        f->facts.better[i].good_since = NOW - (coin(5) ? 10 : 10000);
    }
}

/* The same over generated facts: detect sees what defer would have done. */
static void reason_ignores_mode_always(void **state)
{
    unsigned seen[GUARD_REASON_COUNT] = {0}, kinds = 0;

    (void)state;
    srand(20260711);
    for (int round = 0; round < 5000; round++) {
        struct fixture f;
        enum guard_reason first = GUARD_REASON_COUNT;

        fixture_init(&f);
        generate(&f);
        fixture_order(&f);
        generate_better(&f);
        for (enum conf_mode mode = CONF_MODE_DETECT; mode <= CONF_MODE_FILTER; mode++) {
            struct guard_verdict verdict;

            f.guard.mode = mode;
            assert_int_equal(guard_judge(&f.facts, &verdict), GUARD_NEED_NOTHING);
            if (mode == CONF_MODE_DETECT)
                first = verdict.reason;
            assert_int_equal(verdict.reason, first);
        }
        kinds += seen[first]++ == 0;
        order_clear(&f.order);
    }
    assert_true(kinds >= 14); /* the generator reaches the rows */
}

static void every_reason_has_a_name(void **state)
{
    (void)state;
    for (int reason = 0; reason < GUARD_REASON_COUNT; reason++)
        assert_non_null(guard_reason_name(reason));
    for (unsigned row = 1; row <= GUARD_ROWS; row++)
        assert_true(guard_row_name(row)[0] != '\0');
}

/* What `explain` says of row 12: when such a client would be let in. */
static void says_when_to_retry(void **state)
{
    static const struct {
        void (*before)(struct fixture *f);
        const char *wanted;
    } table[] = {
        {never_refused, "never refused before; let in 240 s after the first refusal"},
        {retry_too_soon, "first refused 239 s ago; let in 240 s after the first refusal"},
        {server_never_refused,
         "never refused before; let in at its first retry, by its verified name"},
        {server_again, "first refused 1 s ago, in an earlier message; let in at its first retry, "
                       "by its verified name"},
        {server_same_message, "first refused 1 s ago; let in 240 s after the first refusal"},
        {server_by_another_name, "first refused 1 s ago, in an earlier message; let in 240 s after "
                                 "the first refusal"},
        {earlier_in_time, "first refused 240 s ago; let in 240 s after the first refusal"},
        {refusal_not_asked, "not asked"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct fixture f;
        char out[200];

        fixture_init(&f);
        table[i].before(&f);
        guard_row_fact(&f.facts, 12, out, sizeof out);
        assert_string_equal(out, table[i].wanted);
    }
}

/* Row texts fit any size without harm. */
static void row_facts_fit(void **state)
{
    struct fixture f;

    (void)state;
    fixture_init(&f);
    fixture_order(&f);
    for (unsigned row = 1; row <= GUARD_ROWS; row++)
        for (size_t size = 1; size < 200; size++) {
            char out[200];
            memset(out, 'x', sizeof out);
            guard_row_fact(&f.facts, row, out, size);
            assert_true(strnlen(out, size) < size);
        }
    order_clear(&f.order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_each_row),         cmocka_unit_test(names_row_and_hosts),
        cmocka_unit_test(beneath_the_decoy),       cmocka_unit_test(tells_of_unknown_better),
        cmocka_unit_test(reason_ignores_mode),     cmocka_unit_test(reason_ignores_mode_always),
        cmocka_unit_test(every_reason_has_a_name), cmocka_unit_test(says_when_to_retry),
        cmocka_unit_test(row_facts_fit),
    };

    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
