/*
 * The bytes of a DNS answer, read once and believed as little as can be.
 *
 * Two things are kept apart: what is malformed as a message (then nothing of it counts, FACTS_FAIL),
 * and what a zone's owner wrote that is no use (a target that is no host name, a loopback address:
 * that record is left out, with a warning). That the answer belongs to the question is checked here
 * by name and type; its id is the business of c-ares.
 */
#include "cache/answer.h"

#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <string.h>
#include <strings.h>

enum {
    MAX_RECORDS = 1024, /* in the answer section; each CNAME hop reads them all once */
    SOA_NUMBERS = 20,   /* octets after the two names of an SOA, the minimum last */
};

enum outcome { GOOD, MALFORMED, NO_MEMORY };

struct reader {
    ns_msg message;
    ns_type type;
    struct facts *facts;
    uint32_t ttl; /* the smallest of the records used */
    size_t found; /* records of the type asked for, usable or not */
    bool null;    /* one of them was "." */
    bool bad;     /* one of them was of no use: no host name, no port */
};

static ns_type wire_type(enum answer_type type)
{
    switch (type) {
    case ANSWER_MX: return ns_t_mx;
    case ANSWER_SRV: return ns_t_srv;
    case ANSWER_A: return ns_t_a;
    case ANSWER_AAAA: return ns_t_aaaa;
    }
    return ns_t_invalid;
}

static enum facts_kind kind_of(enum answer_type type)
{
    switch (type) {
    case ANSWER_MX: return FACTS_MX;
    case ANSWER_SRV: return FACTS_SRV;
    case ANSWER_A:
    case ANSWER_AAAA: break;
    }
    return FACTS_ADDR;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* A TTL with the top bit set is 0 (RFC 2181 8). */
static void reader_ttl(struct reader *reader, uint32_t ttl)
{
    reader->ttl = smaller(reader->ttl, ttl > INT32_MAX ? 0 : ttl);
}

/* One name inside a record's data, which it must fill up to its end. */
static bool rdata_name(const struct reader *reader, const ns_rr *rr, size_t offset,
                       char out[NS_MAXDNAME])
{
    const uint8_t *start = ns_rr_rdata(*rr) + offset;

    /* dn_expand is bounded by the message only: that it ends with the record is checked after. */
    if (ns_rr_rdlen(*rr) <= offset)
        return false;
    int used = dn_expand(ns_msg_base(reader->message), ns_msg_end(reader->message), start, out,
                         NS_MAXDNAME);
    return used > 0 && (size_t)used == ns_rr_rdlen(*rr) - offset;
}

/* One more host of the set. The target "." says that there is no such service here (RFC 7505,
 * RFC 2782). */
static enum outcome read_host(struct reader *reader, const char *target, struct facts_host host)
{
    char name[NAME_SIZE];
    unsigned bad = 0;

    if (target[0] == '\0' || strcmp(target, ".") == 0) {
        reader->null = true;
        return GOOD;
    }
    if (!name_normalize(target, strlen(target), name))
        bad |= FACTS_WARN_BAD_NAME;
    if (host.port == 0)
        bad |= FACTS_WARN_BAD_PORT;
    reader->facts->warnings |= bad;
    reader->bad |= bad != 0;
    host.name = name;
    return bad || facts_add_service(reader->facts, &host) ? GOOD : NO_MEMORY;
}

static enum outcome read_mx(struct reader *reader, const ns_rr *rr)
{
    struct facts_host host = {.port = FACTS_SMTP_PORT};
    char target[NS_MAXDNAME];

    if (!rdata_name(reader, rr, 2, target))
        return MALFORMED;
    host.preference = (uint16_t)ns_get16(ns_rr_rdata(*rr));
    return read_host(reader, target, host);
}

/* RFC 2782 forbids a compressed target; one that is there can be read all the same. */
static enum outcome read_srv(struct reader *reader, const ns_rr *rr)
{
    const uint8_t *rdata = ns_rr_rdata(*rr);
    char target[NS_MAXDNAME];

    if (!rdata_name(reader, rr, 6, target))
        return MALFORMED;
    struct facts_host host = {.preference = (uint16_t)ns_get16(rdata),
                              .weight = (uint16_t)ns_get16(rdata + 2),
                              .port = (uint16_t)ns_get16(rdata + 4)};
    return read_host(reader, target, host);
}

static enum outcome read_addr(struct reader *reader, const ns_rr *rr)
{
    bool ipv4 = reader->type == ns_t_a;
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    const struct sockaddr *sa = ipv4 ? (struct sockaddr *)&in4 : (struct sockaddr *)&in6;
    size_t size = ipv4 ? sizeof in4.sin_addr : sizeof in6.sin6_addr;
    struct net_addr addr;

    if (ns_rr_rdlen(*rr) != size)
        return MALFORMED;
    memcpy(ipv4 ? (void *)&in4.sin_addr : (void *)&in6.sin6_addr, ns_rr_rdata(*rr), size);
    net_addr_from_sockaddr(sa, &addr, NULL);
    /* An AAAA record with an IPv4-mapped address is no way to reach anyone. */
    if (net_addr_scope(&addr) == NET_UNUSABLE || (!ipv4 && addr.family != NET_IPV6))
        reader->facts->warnings |= FACTS_WARN_BAD_ADDR;
    else
        facts_add_addr(reader->facts, &addr);
    return GOOD;
}

static enum outcome read_record(struct reader *reader, const ns_rr *rr)
{
    if (reader->type == ns_t_mx)
        return read_mx(reader, rr);
    return reader->type == ns_t_srv ? read_srv(reader, rr) : read_addr(reader, rr);
}

/* All records of the type asked for at owner. Where there are none but a CNAME, alias is its
 * target, else "". */
static enum outcome read_owner(struct reader *reader, const char *owner, char alias[NS_MAXDNAME])
{
    enum outcome outcome = GOOD;
    uint32_t alias_ttl = 0;
    ns_rr rr;

    alias[0] = '\0';
    for (int i = 0; i < ns_msg_count(reader->message, ns_s_an) && outcome == GOOD; i++) {
        if (ns_parserr(&reader->message, ns_s_an, i, &rr) != 0)
            return MALFORMED;
        if (ns_rr_class(rr) != ns_c_in || strcasecmp(ns_rr_name(rr), owner) != 0)
            continue;
        if (ns_rr_type(rr) == reader->type) {
            reader->found++;
            reader_ttl(reader, ns_rr_ttl(rr));
            outcome = read_record(reader, &rr);
        } else if (ns_rr_type(rr) == ns_t_cname && alias[0] == '\0') {
            if (!rdata_name(reader, &rr, 0, alias))
                return MALFORMED;
            alias_ttl = ns_rr_ttl(rr);
        }
    }
    /* A CNAME beside other records is a mistake (RFC 2181 10.1): what was asked for is there. */
    if (reader->found > 0)
        alias[0] = '\0';
    if (alias[0])
        reader_ttl(reader, alias_ttl);
    return outcome;
}

/* The records at name, or at what its aliases lead to. */
static enum outcome read_answer(struct reader *reader, const char *name)
{
    char owner[NS_MAXDNAME], alias[NS_MAXDNAME];

    strcpy(owner, name);
    for (int hops = 0; hops <= FACTS_MAX_CNAMES; hops++) {
        enum outcome outcome = read_owner(reader, owner, alias);
        if (outcome != GOOD || alias[0] == '\0')
            return outcome;
        reader->facts->warnings |= FACTS_WARN_CNAME;
        strcpy(owner, alias);
    }
    return MALFORMED; /* a loop, or a chain that nobody needs */
}

/* Whether the message is one whole answer to the question for name. One that is still truncated came
 * from a server without TCP: part of a set of MX records would pass for another, smaller set. */
static bool message_answers(struct reader *reader, const char *name)
{
    ns_msg *message = &reader->message;
    ns_rr question;

    return ns_msg_getflag(*message, ns_f_qr) && ns_msg_getflag(*message, ns_f_opcode) == 0 &&
           !ns_msg_getflag(*message, ns_f_tc) && ns_msg_count(*message, ns_s_qd) == 1 &&
           ns_msg_count(*message, ns_s_an) <= MAX_RECORDS &&
           ns_parserr(message, ns_s_qd, 0, &question) == 0 &&
           ns_rr_type(question) == reader->type && ns_rr_class(question) == ns_c_in &&
           strcasecmp(ns_rr_name(question), name) == 0;
}

/* At most one OPT record, and every record readable (RFC 6891 6.1.1). */
static bool additional_is_good(struct reader *reader)
{
    int options = 0;
    ns_rr rr;

    for (int i = 0; i < ns_msg_count(reader->message, ns_s_ar); i++) {
        if (ns_parserr(&reader->message, ns_s_ar, i, &rr) != 0)
            return false;
        options += ns_rr_type(rr) == ns_t_opt;
    }
    return options <= 1;
}

/* What follows an SOA's two names, the primary server's and the mailbox; NULL where they are not
 * both there. */
static const uint8_t *soa_numbers(const ns_rr *rr)
{
    const uint8_t *at = ns_rr_rdata(*rr), *end = at + ns_rr_rdlen(*rr);

    for (int names = 0; names < 2; names++)
        if (ns_name_skip(&at, end) != 0)
            return NULL;
    return at;
}

/* What the authority section says of an answer without records: how long it holds (RFC 2308 5), by
 * its SOA. False for a referral: name servers and no SOA, so this server does not know (2.1.2). */
static bool read_authority(struct reader *reader, bool *has_soa)
{
    bool has_ns = false;
    ns_rr rr;

    *has_soa = false;
    for (int i = 0; i < ns_msg_count(reader->message, ns_s_ns) && !*has_soa; i++) {
        if (ns_parserr(&reader->message, ns_s_ns, i, &rr) != 0)
            return false;
        has_ns |= ns_rr_type(rr) == ns_t_ns;
        if (ns_rr_type(rr) != ns_t_soa)
            continue;
        const uint8_t *end = ns_rr_rdata(rr) + ns_rr_rdlen(rr), *numbers = soa_numbers(&rr);
        if (!numbers || end - numbers != SOA_NUMBERS)
            return false;
        reader_ttl(reader, ns_rr_ttl(rr));
        reader_ttl(reader, (uint32_t)ns_get32(end - 4));
        *has_soa = true;
    }
    return *has_soa || !has_ns;
}

/* The state of facts for which records were found. Hosts of which none can be used are no
 * reason to fall back to the domain's own address, as their absence would be: "cannot tell". */
static enum facts_state found_state(const struct reader *reader)
{
    const struct facts *facts = reader->facts;

    if (facts->kind == FACTS_ADDR)
        return facts->addr.a_count + facts->addr.aaaa_count > 0 ? FACTS_OK : FACTS_NONE;
    if (facts->mx.count > 0)
        return FACTS_OK;
    return reader->null && !reader->bad ? FACTS_NULL : FACTS_FAIL;
}

/* The upper bound wins where an administrator set it below the lower one. */
static uint32_t clamp(uint32_t value, uint32_t least, uint32_t most)
{
    return value > most ? most : value < smaller(least, most) ? smaller(least, most) : value;
}

/* State, warnings and TTL, from what was read under that rcode. */
static enum outcome reader_conclude(struct reader *reader, unsigned rcode,
                                    const struct answer_limits *limits)
{
    struct facts *facts = reader->facts;
    bool has_soa;

    if (reader->found > 0 && rcode == ns_r_nxdomain)
        return MALFORMED; /* records of a name that is said not to exist */
    if (reader->found > 0) {
        facts->state = found_state(reader);
    } else {
        if (!read_authority(reader, &has_soa))
            return MALFORMED;
        facts->state = rcode == ns_r_nxdomain ? FACTS_NXDOMAIN : FACTS_NONE;
        if (!has_soa)
            reader_ttl(reader, limits->min_ttl);
    }
    if (reader->null && facts->state != FACTS_NULL)
        facts->warnings |= FACTS_WARN_NULL;
    bool positive = facts->state == FACTS_OK || facts->state == FACTS_NULL;
    facts->ttl = facts->state == FACTS_FAIL
                     ? limits->min_ttl
                     : clamp(reader->ttl, limits->min_ttl,
                             positive ? limits->max_ttl : limits->negative_ttl);
    facts_seal(facts);
    return GOOD;
}

static enum outcome reader_run(struct reader *reader, const char *name, const uint8_t *data,
                               size_t length, const struct answer_limits *limits)
{
    enum outcome outcome;

    /* ns_initparse walks all four sections once, so from here on every record lies inside. */
    if (length > NS_MAXMSG || ns_initparse(data, (int)length, &reader->message) != 0 ||
        !message_answers(reader, name) || !additional_is_good(reader))
        return MALFORMED;
    unsigned rcode = (unsigned)ns_msg_getflag(reader->message, ns_f_rcode);
    if (rcode != ns_r_noerror && rcode != ns_r_nxdomain)
        return MALFORMED;
    outcome = read_answer(reader, name);
    return outcome == GOOD ? reader_conclude(reader, rcode, limits) : outcome;
}

struct facts *answer_parse(enum answer_type type, const char *name, const uint8_t *data,
                           size_t length, const struct answer_limits *limits)
{
    struct reader reader = {.type = wire_type(type), .ttl = INT32_MAX};
    enum outcome outcome;

    reader.facts = facts_new(kind_of(type), FACTS_FAIL);
    if (!reader.facts)
        return NULL;
    reader.facts->own = true;
    outcome = reader_run(&reader, name, data, length, limits);
    if (outcome == GOOD)
        return reader.facts;
    facts_unref(reader.facts);
    return outcome == MALFORMED ? answer_fail(type, limits) : NULL;
}

struct facts *answer_fail(enum answer_type type, const struct answer_limits *limits)
{
    struct facts *facts = facts_new(kind_of(type), FACTS_FAIL);

    if (facts) {
        facts->own = true;
        facts->ttl = limits->min_ttl;
    }
    return facts;
}

/* One family's addresses are enough to reach a host; without any, a family that could not be told
 * might still have had some. */
static enum facts_state join_state(const struct facts *joined, enum facts_state a,
                                   enum facts_state aaaa)
{
    if (joined->addr.a_count + joined->addr.aaaa_count > 0)
        return FACTS_OK;
    if (a == FACTS_FAIL || aaaa == FACTS_FAIL)
        return FACTS_FAIL;
    return a == FACTS_NXDOMAIN && aaaa == FACTS_NXDOMAIN ? FACTS_NXDOMAIN : FACTS_NONE;
}

struct facts *answer_join(const struct facts *a, const struct facts *aaaa)
{
    struct facts *joined = facts_new(FACTS_ADDR, FACTS_FAIL);

    if (!joined)
        return NULL;
    joined->own = a->own && aaaa->own;
    joined->warnings = a->warnings | aaaa->warnings;
    joined->ttl = smaller(a->ttl, aaaa->ttl);
    for (size_t i = 0; i < a->addr.a_count; i++)
        facts_add_addr(joined, &a->addr.a[i]);
    for (size_t i = 0; i < aaaa->addr.aaaa_count; i++)
        facts_add_addr(joined, &aaaa->addr.aaaa[i]);
    facts_seal(joined);
    joined->addr.a_failed = a->state == FACTS_FAIL;
    joined->addr.aaaa_failed = aaaa->state == FACTS_FAIL;
    joined->state = join_state(joined, a->state, aaaa->state);
    return joined;
}
