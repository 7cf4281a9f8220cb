/*
 * cache/answer.c: answers as resolvers give them, and the DNS part of the bad inputs (hazards E).
 *
 * A row names a function that builds the message; what is read from it is compared as one line of
 * text: state, TTL, warnings, and the records.
 */
#include "cache/answer.h"
#include "tests/unit/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t host_addr = 0xc0000201, loopback_addr = 0x7f000001; /* 192.0.2.1, 127.0.0.1 */

static const struct answer_limits limits = {.min_ttl = 30, .max_ttl = 86400, .negative_ttl = 300};
static const char domain[] = "example.com", service[] = FACTS_SRV_LABELS "example.com";

/* "ok 300 w0 10 mx1.example.com,20 mx2.example.com"; of SRV "10/60 mx1.example.com:25" */
static void describe(const struct facts *facts, char *out, size_t size)
{
    char text[NET_TEXT];
    int used = snprintf(out, size, "%s %u w%u", facts_state_name(facts->state), facts->ttl,
                        facts->warnings);

    if (facts->kind == FACTS_MX)
        for (size_t i = 0; i < facts->mx.count && used < (int)size; i++)
            used += snprintf(out + used, size - (size_t)used, "%s%u %s", i ? "," : " ",
                             facts->mx.host[i].preference, facts->mx.host[i].name);
    else if (facts->kind == FACTS_SRV)
        for (size_t i = 0; i < facts->mx.count && used < (int)size; i++)
            used += snprintf(out + used, size - (size_t)used, "%s%u/%u %s:%u", i ? "," : " ",
                             facts->mx.host[i].preference, facts->mx.host[i].weight,
                             facts->mx.host[i].name, facts->mx.host[i].port);
    else
        for (size_t i = 0; i < facts->addr.a_count + facts->addr.aaaa_count; i++) {
            const struct net_addr *addr = i < facts->addr.a_count
                                              ? &facts->addr.a[i]
                                              : &facts->addr.aaaa[i - facts->addr.a_count];
            used += snprintf(out + used, size - (size_t)used, " %s", net_addr_format(addr, text));
        }
}

static void mx_start(struct packet *p, unsigned rcode)
{
    packet_start(p, 1, PACKET_FLAGS | rcode, domain, ns_t_mx);
}

static void two_hosts(struct packet *p)
{
    mx_start(p, 0);
    packet_mx(p, domain, 300, 20, "mx2.example.com");
    packet_mx(p, domain, 600, 10, "MX1.Example.COM");
    packet_opt(p);
}

static void other_case(struct packet *p)
{
    packet_start(p, 1, PACKET_FLAGS, "EXAMPLE.com", ns_t_mx);
    packet_mx(p, "eXample.com", 300, 10, "mx1.example.com");
}

static void compressed(struct packet *p)
{
    mx_start(p, 0);
    size_t begin = packet_begin(p, PACKET_ANSWER, domain, ns_t_mx, 300);
    packet_16(p, 10);
    packet_bytes(p, "\3mx1\xc0\x0c", 6);
    packet_end(p, begin);
}

static void strangers_beside(struct packet *p)
{
    mx_start(p, 0);
    packet_mx(p, "example.net", 1, 1, "mx.example.net");
    packet_a(p, domain, 1, host_addr);
    packet_mx(p, domain, 300, 10, "mx1.example.com");
    size_t begin = packet_begin(p, PACKET_ANSWER, domain, ns_t_mx, 300);
    p->data[begin - 7] = ns_c_chaos; /* the class's low octet */
    packet_16(p, 5);
    packet_name(p, "mx.example.org");
    packet_end(p, begin);
}

static void ttl_zero(struct packet *p)
{
    mx_start(p, 0);
    packet_mx(p, domain, 0, 10, "mx1.example.com");
}

static void ttl_top_bit(struct packet *p)
{
    mx_start(p, 0);
    packet_mx(p, domain, 0x80000000, 10, "mx1.example.com");
}

static void ttl_largest(struct packet *p)
{
    mx_start(p, 0);
    packet_mx(p, domain, 0x7fffffff, 10, "mx1.example.com");
}

static void one_alias(struct packet *p)
{
    mx_start(p, 0);
    packet_cname(p, domain, 60, "www.example.net");
    packet_mx(p, "www.example.net", 300, 10, "mx1.example.com");
}

static void alias_to_nothing(struct packet *p)
{
    mx_start(p, 0);
    packet_cname(p, domain, 60, "www.example.net");
    packet_soa(p, "example.net", 3600, 3600);
}

static void alias_to_no_name(struct packet *p)
{
    mx_start(p, ns_r_nxdomain);
    packet_cname(p, domain, 60, "www.example.net");
    packet_soa(p, "example.net", 3600, 3600);
}

/* count hops, the MX at the end; the records in reverse, which must not matter. */
static void aliases(struct packet *p, unsigned count)
{
    char from[32], to[32];

    mx_start(p, 0);
    snprintf(to, sizeof to, "a%u.example.net", count);
    packet_mx(p, to, 300, 10, "mx1.example.com");
    for (unsigned i = count; i > 0; i--) {
        snprintf(from, sizeof from, "a%u.example.net", i - 1);
        snprintf(to, sizeof to, "a%u.example.net", i);
        packet_cname(p, i == 1 ? domain : from, 300, to);
    }
}

static void eight_aliases(struct packet *p)
{
    aliases(p, 8);
}

static void nine_aliases(struct packet *p)
{
    aliases(p, 9);
}

static void alias_loop(struct packet *p)
{
    mx_start(p, 0);
    packet_cname(p, domain, 300, "www.example.net");
    packet_cname(p, "www.example.net", 300, domain);
}

static void alias_of_itself(struct packet *p)
{
    mx_start(p, 0);
    packet_cname(p, domain, 300, domain);
}

static void no_data(struct packet *p)
{
    mx_start(p, 0);
    packet_soa(p, domain, 3600, 120);
}

static void no_data_soa_ttl(struct packet *p)
{
    mx_start(p, 0);
    packet_soa(p, domain, 60, 120);
}

static void no_data_long(struct packet *p)
{
    mx_start(p, 0);
    packet_soa(p, domain, 86400, 86400);
}

static void no_data_minimum_zero(struct packet *p)
{
    mx_start(p, 0);
    packet_soa(p, domain, 86400, 0);
}

static void no_data_minimum_top_bit(struct packet *p)
{
    mx_start(p, 0);
    packet_soa(p, domain, 86400, 0xffffffff);
}

static void no_data_no_soa(struct packet *p)
{
    mx_start(p, 0);
}

static void short_soa(struct packet *p)
{
    mx_start(p, 0);
    size_t begin = packet_begin(p, PACKET_AUTHORITY, domain, ns_t_soa, 60);
    packet_name(p, "ns.example.com");
    packet_name(p, "hostmaster.example.com");
    packet_32(p, 1);
    packet_end(p, begin);
}

static void referral(struct packet *p)
{
    mx_start(p, 0);
    size_t begin = packet_begin(p, PACKET_AUTHORITY, "com", ns_t_ns, 60);
    packet_name(p, "ns.example.net");
    packet_end(p, begin);
}

static void nxdomain(struct packet *p)
{
    mx_start(p, ns_r_nxdomain);
    packet_soa(p, "com", 900, 200);
}

static void nxdomain_with_records(struct packet *p)
{
    mx_start(p, ns_r_nxdomain);
    packet_mx(p, domain, 300, 10, "mx1.example.com");
}

static void servfail(struct packet *p)
{
    mx_start(p, ns_r_servfail);
}

static void refused(struct packet *p)
{
    mx_start(p, ns_r_refused);
}

static void null_mx(struct packet *p)
{
    mx_start(p, 0);
    packet_mx(p, domain, 3600, 0, "");
}

static void null_beside_real(struct packet *p)
{
    mx_start(p, 0);
    packet_mx(p, domain, 300, 0, "");
    packet_mx(p, domain, 300, 10, "mx1.example.com");
}

static void null_beside_bad(struct packet *p)
{
    mx_start(p, 0);
    packet_mx(p, domain, 300, 0, "");
    packet_mx(p, domain, 300, 10, "mx 1.example.com");
}

static void target_is_address(struct packet *p)
{
    mx_start(p, 0);
    packet_mx(p, domain, 300, 10, "127.0.0.1");
}

static void some_bad_targets(struct packet *p)
{
    mx_start(p, 0);
    packet_mx(p, domain, 300, 1,
              "b\xc3\xbc"
              "cher.example"); /* a U-label on the wire */
    packet_mx(p, domain, 300, 2, "mx%n.example.com");
    packet_mx(p, domain, 300, 3, "mx1\\.example.com");
    packet_mx(p, domain, 300, 4, "mx\r\n.example.com");
    packet_mx(p, domain, 300, 5, "192.0.2.1");
    packet_mx(p, domain, 300, 6, "[192");
    packet_mx(p, domain, 300, 7, "-mx.example.com");
    packet_mx(p, domain, 300, 10, "xn--bcher-kva.example");
}

/* A label that holds a dot is not two labels. */
static void dot_inside_label(struct packet *p)
{
    mx_start(p, 0);
    size_t begin = packet_begin(p, PACKET_ANSWER, domain, ns_t_mx, 300);
    packet_16(p, 10);
    packet_bytes(p, "\7mx1.sub\7example\3com", 21);
    packet_end(p, begin);
}

static void five_hundred(struct packet *p)
{
    char name[32];

    mx_start(p, 0);
    for (unsigned i = 500; i > 0; i--) {
        snprintf(name, sizeof name, "mx%u.example.com", i);
        packet_mx(p, domain, 300, i, name);
    }
}

static void too_many(struct packet *p)
{
    mx_start(p, 0);
    for (unsigned i = 0; i < 1100; i++)
        packet_mx(p, domain, 300, i, "mx1.org");
}

static void empty(struct packet *p)
{
    p->length = 0;
}

static void header_only(struct packet *p)
{
    two_hosts(p);
    p->length = PACKET_HEADER;
}

static void cut_short(struct packet *p)
{
    two_hosts(p);
    p->length -= 15;
}

static void octets_behind(struct packet *p)
{
    two_hosts(p);
    packet_32(p, 0);
}

static void counts_65535(struct packet *p)
{
    two_hosts(p);
    memset(p->data + 4, 0xff, 8);
}

static void answer_count_65535(struct packet *p)
{
    two_hosts(p);
    memset(p->data + 6, 0xff, 2);
}

static void rdlength_one(struct packet *p)
{
    mx_start(p, 0);
    size_t begin = packet_begin(p, PACKET_ANSWER, domain, ns_t_mx, 300);
    packet_bytes(p, "\0", 1);
    packet_end(p, begin);
}

static void rdlength_two(struct packet *p)
{
    mx_start(p, 0);
    size_t begin = packet_begin(p, PACKET_ANSWER, domain, ns_t_mx, 300);
    packet_16(p, 10);
    packet_end(p, begin);
}

static void rdlength_longer_than_target(struct packet *p)
{
    mx_start(p, 0);
    size_t begin = packet_begin(p, PACKET_ANSWER, domain, ns_t_mx, 300);
    packet_16(p, 10);
    packet_name(p, "mx1.example.com");
    packet_16(p, 0);
    packet_end(p, begin);
}

static void target_beyond_rdata(struct packet *p)
{
    mx_start(p, 0);
    size_t begin = packet_begin(p, PACKET_ANSWER, domain, ns_t_mx, 300);
    packet_16(p, 10);
    packet_bytes(p, "\3mx", 3);
    packet_end(p, begin);
    packet_mx(p, domain, 300, 20, "mx2.example.com");
}

static void pointer_to_itself(struct packet *p)
{
    mx_start(p, 0);
    size_t begin = packet_begin(p, PACKET_ANSWER, domain, ns_t_mx, 300);
    packet_16(p, 10);
    packet_16(p, 0xc000 | (unsigned)p->length);
    packet_end(p, begin);
}

static void pointers_in_a_ring(struct packet *p)
{
    mx_start(p, 0);
    size_t begin = packet_begin(p, PACKET_ANSWER, domain, ns_t_mx, 300);
    packet_16(p, 10);
    packet_bytes(p, "\1a", 2);
    packet_16(p, 0xc000 | (unsigned)(p->length - 2));
    packet_end(p, begin);
}

static void pointer_past_the_end(struct packet *p)
{
    mx_start(p, 0);
    size_t begin = packet_begin(p, PACKET_ANSWER, domain, ns_t_mx, 300);
    packet_16(p, 10);
    packet_16(p, 0xffff);
    packet_end(p, begin);
}

static void owner_points_to_itself(struct packet *p)
{
    mx_start(p, 0);
    packet_count(p, PACKET_ANSWER, 1);
    packet_16(p, 0xc000 | (unsigned)p->length);
    packet_16(p, ns_t_mx);
    packet_16(p, ns_c_in);
    packet_32(p, 300);
    packet_16(p, 0);
}

/* 253 octets of labels fit; with one label more the name takes 256 octets on the wire. */
static void name_of_256(struct packet *p)
{
    mx_start(p, 0);
    size_t begin = packet_begin(p, PACKET_ANSWER, domain, ns_t_mx, 300);
    packet_16(p, 10);
    for (int i = 0; i < 51; i++)
        packet_bytes(p, "\4abcd", 5);
    packet_bytes(p, "", 1);
    packet_end(p, begin);
}

static void two_opts(struct packet *p)
{
    two_hosts(p);
    packet_opt(p);
}

static void truncated(struct packet *p)
{
    packet_start(p, 1, PACKET_FLAGS | PACKET_TC, domain, ns_t_mx);
    packet_mx(p, domain, 300, 10, "mx1.example.com");
}

static void a_question(struct packet *p)
{
    packet_start(p, 1, 0x0100, domain, ns_t_mx);
}

static void another_opcode(struct packet *p)
{
    packet_start(p, 1, PACKET_FLAGS | 0x2800, domain, ns_t_mx);
    packet_mx(p, domain, 300, 10, "mx1.example.com");
}

static void another_name(struct packet *p)
{
    packet_start(p, 1, PACKET_FLAGS, "example.net", ns_t_mx);
    packet_mx(p, domain, 300, 10, "mx1.example.com");
}

static void another_type(struct packet *p)
{
    packet_start(p, 1, PACKET_FLAGS, domain, ns_t_a);
    packet_mx(p, domain, 300, 10, "mx1.example.com");
}

static void no_question(struct packet *p)
{
    mx_start(p, 0);
    p->data[5] = 0;
    p->length = PACKET_HEADER;
    packet_mx(p, domain, 300, 10, "mx1.example.com");
}

static void two_questions(struct packet *p)
{
    mx_start(p, 0);
    p->data[5] = 2;
    packet_name(p, domain);
    packet_16(p, ns_t_mx);
    packet_16(p, ns_c_in);
    packet_mx(p, domain, 300, 10, "mx1.example.com");
}

/* Addresses. */
static void a_start(struct packet *p)
{
    packet_start(p, 1, PACKET_FLAGS, domain, ns_t_a);
}

static void two_addresses(struct packet *p)
{
    a_start(p);
    packet_a(p, domain, 300, host_addr + 1);
    packet_a(p, domain, 300, host_addr);
}

static void loopback(struct packet *p)
{
    a_start(p);
    packet_a(p, domain, 3600, loopback_addr);
}

static void loopback_beside(struct packet *p)
{
    a_start(p);
    packet_a(p, domain, 300, loopback_addr);
    packet_a(p, domain, 300, 0);
    packet_a(p, domain, 300, 0xe0000001);
    packet_a(p, domain, 300, host_addr);
}

static void nine_addresses(struct packet *p)
{
    a_start(p);
    for (uint32_t i = 9; i > 0; i--)
        packet_a(p, domain, 300, host_addr - 1 + i);
}

static void short_address(struct packet *p)
{
    a_start(p);
    size_t begin = packet_begin(p, PACKET_ANSWER, domain, ns_t_a, 300);
    packet_16(p, 0xc000);
    packet_end(p, begin);
}

static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
static const uint8_t v6_mapped[16] = {[10] = 0xff, 0xff, 192, 0, 2, 1};
static const uint8_t v6_loopback[16] = {[15] = 1};

static void some_v6(struct packet *p)
{
    packet_start(p, 1, PACKET_FLAGS, domain, ns_t_aaaa);
    packet_aaaa(p, domain, 300, v6_mapped);
    packet_aaaa(p, domain, 300, v6_loopback);
    packet_aaaa(p, domain, 300, v6);
}

static void srv_start(struct packet *p, unsigned rcode)
{
    packet_start(p, 1, PACKET_FLAGS | rcode, service, ns_t_srv);
}

/* Priority, weight, port. */
static void srv_add(struct packet *p, uint16_t priority, uint16_t weight, uint16_t port,
                    const char *target)
{
    packet_srv(p, service, 300, (const uint16_t[3]){priority, weight, port}, target);
}

static void srv_set(struct packet *p)
{
    srv_start(p, 0);
    srv_add(p, 20, 0, 25, "mx2.example.com");
    srv_add(p, 10, 60, 2525, "MX1.Example.COM");
    srv_add(p, 10, 40, 25, "mx1.example.com");
    srv_add(p, 10, 65535, 65535, "a.example.com");
    packet_opt(p);
}

static void srv_twice(struct packet *p)
{
    srv_start(p, 0);
    srv_add(p, 20, 90, 25, "mx1.example.com");
    srv_add(p, 10, 30, 25, "mx1.example.com");
    srv_add(p, 10, 60, 25, "mx1.example.com");
    srv_add(p, 10, 20, 25, "mx1.example.com");
}

static void srv_null(struct packet *p)
{
    srv_start(p, 0);
    srv_add(p, 0, 0, 0, "");
}

static void srv_null_beside(struct packet *p)
{
    srv_null(p);
    srv_add(p, 10, 0, 25, "mx1.example.com");
}

static void srv_port_zero(struct packet *p)
{
    srv_start(p, 0);
    srv_add(p, 10, 0, 0, "mx1.example.com");
}

static void srv_some_bad(struct packet *p)
{
    srv_port_zero(p);
    srv_add(p, 10, 0, 25, "192.0.2.1");
    srv_add(p, 10, 0, 25, "mx2.example.com");
}

static void srv_null_and_bad(struct packet *p)
{
    srv_null(p);
    srv_add(p, 10, 0, 0, "mx1.example.com");
}

static size_t srv_begin(struct packet *p)
{
    srv_start(p, 0);
    return packet_begin(p, PACKET_ANSWER, service, ns_t_srv, 300);
}

/* "mx1" and a pointer to the question's example.com: forbidden, and readable. */
static void srv_compressed(struct packet *p)
{
    size_t begin = srv_begin(p);

    packet_16(p, 10);
    packet_16(p, 60);
    packet_16(p, 25);
    packet_bytes(p, "\003mx1", 4);
    packet_16(p, 0xc000 | (PACKET_HEADER + sizeof FACTS_SRV_LABELS - 1));
    packet_end(p, begin);
}

static void srv_to_itself(struct packet *p)
{
    size_t begin = srv_begin(p);

    packet_16(p, 10);
    packet_32(p, 25);
    packet_16(p, 0xc000 | (unsigned)(begin + 6));
    packet_end(p, begin);
}

static void srv_of_five(struct packet *p)
{
    size_t begin = srv_begin(p);

    packet_bytes(p, "\0\1\0\1\0", 5);
    packet_end(p, begin);
}

static void srv_of_six(struct packet *p)
{
    size_t begin = srv_begin(p);

    packet_bytes(p, "\0\1\0\1\0\31", 6);
    packet_end(p, begin);
}

static void srv_octets_after(struct packet *p)
{
    size_t begin = srv_begin(p);

    packet_bytes(p, "\0\1\0\1\0\31\1a\0\0", 10);
    packet_end(p, begin);
}

static void srv_alias(struct packet *p)
{
    srv_start(p, 0);
    packet_cname(p, service, 60, "mail.example.net");
    packet_srv(p, "mail.example.net", 300, (const uint16_t[3]){10, 60, 25}, "mx1.example.com");
}

static void srv_no_data(struct packet *p)
{
    srv_start(p, 0);
    packet_soa(p, domain, 3600, 120);
}

static void srv_nxdomain(struct packet *p)
{
    srv_start(p, ns_r_nxdomain);
    packet_soa(p, domain, 3600, 120);
}

/* At ten names, each on ten ports. */
static void srv_hundred(struct packet *p)
{
    char name[32];

    srv_start(p, 0);
    for (unsigned i = 100; i > 0; i--) {
        snprintf(name, sizeof name, "mx%u.example.com", i % 10);
        srv_add(p, (uint16_t)i, 1, (uint16_t)(i + 1000), name);
    }
}

#define FAIL "fail 30 w0"
#define MX1  "10 mx1.example.com"

static const struct {
    const char *label;
    void (*build)(struct packet *p);
    enum answer_type type;
    const char *wanted;
} rows[] = {
    {"two hosts", two_hosts, ANSWER_MX, "ok 300 w0 " MX1 ",20 mx2.example.com"},
    {"letters in any case", other_case, ANSWER_MX, "ok 300 w0 " MX1},
    {"compressed", compressed, ANSWER_MX, "ok 300 w0 " MX1},
    {"records of other owners, types, classes", strangers_beside, ANSWER_MX, "ok 300 w0 " MX1},
    {"TTL 0", ttl_zero, ANSWER_MX, "ok 30 w0 " MX1},
    {"TTL 2^31 is 0", ttl_top_bit, ANSWER_MX, "ok 30 w0 " MX1},
    {"TTL 2^31-1", ttl_largest, ANSWER_MX, "ok 86400 w0 " MX1},
    {"an alias", one_alias, ANSWER_MX, "ok 60 w1 " MX1},
    {"an alias to a name without MX", alias_to_nothing, ANSWER_MX, "none 60 w1"},
    {"an alias to no name", alias_to_no_name, ANSWER_MX, "nxdomain 60 w1"},
    {"eight hops", eight_aliases, ANSWER_MX, "ok 300 w1 " MX1},
    {"nine hops", nine_aliases, ANSWER_MX, FAIL},
    {"a CNAME loop", alias_loop, ANSWER_MX, FAIL},
    {"an alias of itself", alias_of_itself, ANSWER_MX, FAIL},
    {"NODATA, SOA minimum", no_data, ANSWER_MX, "none 120 w0"},
    {"NODATA, TTL of the SOA", no_data_soa_ttl, ANSWER_MX, "none 60 w0"},
    {"NODATA, negative_ttl", no_data_long, ANSWER_MX, "none 300 w0"},
    {"NODATA, minimum 0", no_data_minimum_zero, ANSWER_MX, "none 30 w0"},
    {"NODATA, minimum 2^32-1", no_data_minimum_top_bit, ANSWER_MX, "none 30 w0"},
    {"NODATA without SOA", no_data_no_soa, ANSWER_MX, "none 30 w0"},
    {"a short SOA", short_soa, ANSWER_MX, FAIL},
    {"a referral", referral, ANSWER_MX, FAIL},
    {"NXDOMAIN", nxdomain, ANSWER_MX, "nxdomain 200 w0"},
    {"NXDOMAIN with records", nxdomain_with_records, ANSWER_MX, FAIL},
    {"SERVFAIL", servfail, ANSWER_MX, FAIL},
    {"REFUSED", refused, ANSWER_MX, FAIL},
    {"Null MX", null_mx, ANSWER_MX, "null 3600 w0"},
    {"Null MX beside a real one", null_beside_real, ANSWER_MX, "ok 300 w2 " MX1},
    {"Null MX beside a bad one", null_beside_bad, ANSWER_MX, "fail 30 w10"},
    {"MX at 127.0.0.1", target_is_address, ANSWER_MX, "fail 30 w8"},
    {"targets that are no host names", some_bad_targets, ANSWER_MX,
     "ok 300 w8 10 xn--bcher-kva.example"},
    {"a dot inside a label", dot_inside_label, ANSWER_MX, "fail 30 w8"},
    {"1100 records", too_many, ANSWER_MX, FAIL},
    {"an empty datagram", empty, ANSWER_MX, FAIL},
    {"a header alone", header_only, ANSWER_MX, FAIL},
    {"cut short", cut_short, ANSWER_MX, FAIL},
    {"octets behind the message", octets_behind, ANSWER_MX, FAIL},
    {"counts of 65535", counts_65535, ANSWER_MX, FAIL},
    {"an answer count of 65535", answer_count_65535, ANSWER_MX, FAIL},
    {"RDLENGTH 1", rdlength_one, ANSWER_MX, FAIL},
    {"RDLENGTH 2", rdlength_two, ANSWER_MX, FAIL},
    {"RDLENGTH longer than the target", rdlength_longer_than_target, ANSWER_MX, FAIL},
    {"a target beyond RDLENGTH", target_beyond_rdata, ANSWER_MX, FAIL},
    {"compression pointing at itself", pointer_to_itself, ANSWER_MX, FAIL},
    {"compression in a ring", pointers_in_a_ring, ANSWER_MX, FAIL},
    {"compression past the end", pointer_past_the_end, ANSWER_MX, FAIL},
    {"an owner pointing at itself", owner_points_to_itself, ANSWER_MX, FAIL},
    {"a name of 256 octets", name_of_256, ANSWER_MX, FAIL},
    {"two OPT records", two_opts, ANSWER_MX, FAIL},
    {"truncated", truncated, ANSWER_MX, FAIL},
    {"a question", a_question, ANSWER_MX, FAIL},
    {"another opcode", another_opcode, ANSWER_MX, FAIL},
    {"an answer about another name", another_name, ANSWER_MX, FAIL},
    {"an answer about another type", another_type, ANSWER_MX, FAIL},
    {"an answer without its question", no_question, ANSWER_MX, FAIL},
    {"an answer to two questions", two_questions, ANSWER_MX, FAIL},
    {"two addresses", two_addresses, ANSWER_A, "ok 300 w0 [192.0.2.1] [192.0.2.2]"},
    {"loopback", loopback, ANSWER_A, "none 300 w16"},
    {"loopback, unspecified, multicast beside", loopback_beside, ANSWER_A,
     "ok 300 w16 [192.0.2.1]"},
    {"nine addresses", nine_addresses, ANSWER_A,
     "ok 300 w4 [192.0.2.1] [192.0.2.2] [192.0.2.3] [192.0.2.4] [192.0.2.5] [192.0.2.6] "
     "[192.0.2.7] [192.0.2.8]"},
    {"an address of two octets", short_address, ANSWER_A, FAIL},
    {"IPv6, mapped and loopback left out", some_v6, ANSWER_AAAA, "ok 300 w16 [2001:db8::1]"},
    {"MX for an address question", two_hosts, ANSWER_A, FAIL},
    {"SRV by priority, name, port", srv_set, ANSWER_SRV,
     "ok 300 w0 10/65535 a.example.com:65535,10/40 mx1.example.com:25,10/60 "
     "mx1.example.com:2525,20/0 mx2.example.com:25"},
    {"SRV, a name and port twice", srv_twice, ANSWER_SRV, "ok 300 w0 10/60 mx1.example.com:25"},
    {"SRV, no service", srv_null, ANSWER_SRV, "null 300 w0"},
    {"SRV, no service beside one", srv_null_beside, ANSWER_SRV,
     "ok 300 w2 10/0 mx1.example.com:25"},
    {"SRV on port 0", srv_port_zero, ANSWER_SRV, "fail 30 w32"},
    {"SRV, bad ones beside", srv_some_bad, ANSWER_SRV, "ok 300 w40 10/0 mx2.example.com:25"},
    {"SRV, no service beside a bad one", srv_null_and_bad, ANSWER_SRV, "fail 30 w34"},
    {"SRV compressed", srv_compressed, ANSWER_SRV, "ok 300 w0 10/60 mx1.example.com:25"},
    {"SRV pointing at itself", srv_to_itself, ANSWER_SRV, FAIL},
    {"SRV of five octets", srv_of_five, ANSWER_SRV, FAIL},
    {"SRV of six octets", srv_of_six, ANSWER_SRV, FAIL},
    {"SRV, octets after the target", srv_octets_after, ANSWER_SRV, FAIL},
    {"SRV by an alias", srv_alias, ANSWER_SRV, "ok 60 w1 10/60 mx1.example.com:25"},
    {"SRV NODATA", srv_no_data, ANSWER_SRV, "none 120 w0"},
    {"SRV NXDOMAIN", srv_nxdomain, ANSWER_SRV, "nxdomain 120 w0"},
    {"MX for an SRV question", two_hosts, ANSWER_SRV, FAIL},
};

static struct facts *parse(enum answer_type type, const uint8_t *data, size_t length)
{
    return answer_parse(type, type == ANSWER_SRV ? service : domain, data, length, &limits);
}

static void answers(void **state)
{
    static const enum facts_kind kinds[] = {[ANSWER_MX] = FACTS_MX,
                                            [ANSWER_A] = FACTS_ADDR,
                                            [ANSWER_AAAA] = FACTS_ADDR,
                                            [ANSWER_SRV] = FACTS_SRV};
    static struct packet packet;
    char text[1024];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        memset(&packet, 0, sizeof packet);
        rows[i].build(&packet);
        print_message("  %s\n", rows[i].label);
        /* A copy of its very size, so that a sanitiser sees every step past the end. */
        uint8_t *copy = malloc(packet.length ? packet.length : 1);
        memcpy(copy, packet.data, packet.length);
        struct facts *facts = parse(rows[i].type, copy, packet.length);
        assert_non_null(facts);
        describe(facts, text, sizeof text);
        assert_string_equal(text, rows[i].wanted);
        assert_true(facts->own);
        assert_int_equal(facts->kind, kinds[rows[i].type]);
        assert_int_equal(facts->fetched, 0);
        facts_unref(facts);
        free(copy);
    }
}

static void five_hundred_leave_twenty(void **state)
{
    static struct packet packet;

    (void)state;
    five_hundred(&packet);
    struct facts *facts = answer_parse(ANSWER_MX, domain, packet.data, packet.length, &limits);
    assert_int_equal(facts->state, FACTS_OK);
    assert_int_equal(facts->mx.count, FACTS_MAX_HOSTS);
    assert_int_equal(facts->warnings, FACTS_WARN_CUT);
    assert_string_equal(facts->mx.host[0].name, "mx1.example.com");
    assert_string_equal(facts->mx.host[19].name, "mx20.example.com");
    facts_unref(facts);
}

static void hundred_services_leave_twenty(void **state)
{
    static struct packet packet;

    (void)state;
    srv_hundred(&packet);
    struct facts *facts = parse(ANSWER_SRV, packet.data, packet.length);
    assert_int_equal(facts->state, FACTS_OK);
    assert_int_equal(facts->mx.count, FACTS_MAX_HOSTS);
    assert_int_equal(facts->warnings, FACTS_WARN_CUT);
    assert_int_equal(facts->mx.host[0].port, 1001);
    assert_int_equal(facts->mx.host[19].port, 1020);
    facts_unref(facts);
}

/* Every message above, cut at every octet: nothing but FAIL, and no step past the end. */
static void cut_anywhere(void **state)
{
    static struct packet packet;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].build == octets_behind)
            continue; /* cutting those off makes it whole */
        rows[i].build(&packet);
        size_t most = packet.length < 600 ? packet.length : 600;
        for (size_t length = 0; length < most; length++) {
            uint8_t *copy = malloc(length ? length : 1);
            memcpy(copy, packet.data, length);
            struct facts *facts = parse(rows[i].type, copy, length);
            assert_int_equal(facts->state, FACTS_FAIL);
            facts_unref(facts);
            free(copy);
        }
    }
}

static struct facts *family(bool ipv6, enum facts_state facts_state, uint32_t ttl)
{
    struct facts *facts = facts_new(FACTS_ADDR, facts_state);
    struct net_addr addr;

    facts->own = true;
    facts->ttl = ttl;
    assert_true(net_addr_parse(ipv6 ? "2001:db8::1" : "192.0.2.1", &addr));
    if (facts_state == FACTS_OK)
        facts_add_addr(facts, &addr);
    return facts;
}

static const struct {
    enum facts_state a, aaaa;
    const char *wanted;
    bool a_failed, aaaa_failed;
} joins[] = {
    {FACTS_OK, FACTS_OK, "ok 60 w0 [192.0.2.1] [2001:db8::1]", false, false},
    {FACTS_OK, FACTS_NONE, "ok 60 w0 [192.0.2.1]", false, false},
    {FACTS_NONE, FACTS_OK, "ok 60 w0 [2001:db8::1]", false, false},
    {FACTS_OK, FACTS_FAIL, "ok 60 w0 [192.0.2.1]", false, true},
    {FACTS_FAIL, FACTS_OK, "ok 60 w0 [2001:db8::1]", true, false},
    {FACTS_FAIL, FACTS_NONE, "fail 60 w0", true, false},
    {FACTS_NONE, FACTS_FAIL, "fail 60 w0", false, true},
    {FACTS_NXDOMAIN, FACTS_FAIL, "fail 60 w0", false, true},
    {FACTS_FAIL, FACTS_FAIL, "fail 60 w0", true, true},
    {FACTS_NXDOMAIN, FACTS_NXDOMAIN, "nxdomain 60 w0", false, false},
    {FACTS_NXDOMAIN, FACTS_NONE, "none 60 w0", false, false},
    {FACTS_NONE, FACTS_NONE, "none 60 w0", false, false},
};

static void join(void **state)
{
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof joins / sizeof *joins; i++) {
        struct facts *a = family(false, joins[i].a, i % 2 ? 60 : 300),
                     *aaaa = family(true, joins[i].aaaa, i % 2 ? 300 : 60);
        struct facts *both = answer_join(a, aaaa);
        describe(both, text, sizeof text);
        assert_string_equal(text, joins[i].wanted);
        assert_int_equal(both->addr.a_failed, joins[i].a_failed);
        assert_int_equal(both->addr.aaaa_failed, joins[i].aaaa_failed);
        assert_true(both->own);
        assert_int_equal(both->refs, 1);
        facts_unref(a);
        facts_unref(aaaa);
        facts_unref(both);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(five_hundred_leave_twenty),
        cmocka_unit_test(hundred_services_leave_twenty),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(join),
    };

    return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
