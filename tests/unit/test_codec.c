/*
 * cache/codec.c: the fields as SPEC 8 shows them, there and back, and what is not believed.
 */
#include "cache/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NOW = 1800000000, MAX_AGE = 172800 };

static const char *field(const struct codec_fields *fields, const char *name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (!strcmp(fields->name[i], name))
            return fields->value[i];
    return NULL;
}

/* What HGETALL would give back. */
static struct facts *parse_back(enum facts_kind kind, const struct codec_fields *fields)
{
    struct codec_pair pair[CODEC_MAX_FIELDS];

    for (size_t i = 0; i < fields->count; i++)
        pair[i] = (struct codec_pair){.name = fields->name[i],
                                      .value = fields->value[i],
                                      .name_length = strlen(fields->name[i]),
                                      .value_length = strlen(fields->value[i])};
    return codec_parse(kind, pair, fields->count, NOW, MAX_AGE);
}

static void mx_there_and_back(void **state)
{
    struct facts *facts = facts_new(FACTS_MX, FACTS_OK);
    struct codec_fields fields;

    (void)state;
    assert_true(facts_add_host(facts, 20, "mx2.example.com"));
    assert_true(facts_add_host(facts, 10, "mx1.example.com"));
    facts_seal(facts);
    facts->own = true;
    facts->ttl = 300;
    facts->fetched = NOW - 10;
    facts->expires = NOW + 290;
    facts->changed = NOW - 1000;
    assert_true(codec_format(facts, &fields));
    assert_int_equal(fields.count, 6);
    assert_string_equal(field(&fields, "order"), "10 mx1.example.com,20 mx2.example.com");
    assert_string_equal(field(&fields, "ttl"), "300");
    assert_string_equal(field(&fields, "fetched"), "1799999990");
    assert_string_equal(field(&fields, "expires"), "1800000290");
    assert_string_equal(field(&fields, "changed"), "1799999000");
    assert_string_equal(field(&fields, "state"), "ok");

    struct facts *back = parse_back(FACTS_MX, &fields);
    assert_non_null(back);
    assert_true(facts_equal(facts, back));
    assert_false(back->own);
    assert_int_equal(back->refs, 1);
    assert_int_equal(back->ttl, facts->ttl);
    assert_int_equal(back->fetched, facts->fetched);
    assert_int_equal(back->expires, facts->expires);
    assert_int_equal(back->changed, facts->changed);
    facts_unref(back);
    facts_unref(facts);
}

static void srv_there_and_back(void **state)
{
    static const struct facts_host hosts[] = {{20, 25, 0, (char *)"mx2.example.com"},
                                              {10, 2525, 60, (char *)"mx1.example.com"},
                                              {10, 25, 40, (char *)"mx1.example.com"}};
    struct facts *facts = facts_new(FACTS_SRV, FACTS_OK);
    struct codec_fields fields;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        assert_true(facts_add_service(facts, &hosts[i]));
    facts_seal(facts);
    assert_true(codec_format(facts, &fields));
    assert_int_equal(fields.count, 6);
    assert_string_equal(
        field(&fields, "order"),
        "10 40 25 mx1.example.com,10 60 2525 mx1.example.com,20 0 25 mx2.example.com");
    struct facts *back = parse_back(FACTS_SRV, &fields);
    assert_non_null(back);
    assert_true(facts_equal(facts, back));
    facts_unref(back);
    facts_unref(facts);
    assert_null(parse_back(FACTS_MX, &fields));
}

static void addr_there_and_back(void **state)
{
    static const char *const text[] = {"192.0.2.2", "192.0.2.1", "2001:db8::1"};
    struct facts *facts = facts_new(FACTS_ADDR, FACTS_OK);
    struct codec_fields fields;
    struct net_addr addr;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_true(net_addr_parse(text[i], &addr));
        facts_add_addr(facts, &addr);
    }
    facts_seal(facts);
    facts->expires = NOW + 60;
    assert_true(codec_format(facts, &fields));
    assert_int_equal(fields.count, 4);
    assert_string_equal(field(&fields, "a"), "[192.0.2.1],[192.0.2.2]");
    assert_string_equal(field(&fields, "aaaa"), "[2001:db8::1]");
    assert_string_equal(field(&fields, "expires"), "1800000060");
    assert_string_equal(field(&fields, "state"), "ok");

    struct facts *back = parse_back(FACTS_ADDR, &fields);
    assert_non_null(back);
    assert_true(facts_equal(facts, back));
    assert_int_equal(back->ttl, 60);
    facts_unref(back);

    facts->addr.aaaa_failed = true;
    assert_false(codec_format(facts, &fields));
    facts_unref(facts);
}

static void empty_states_there_and_back(void **state)
{
    static const enum facts_state states[] = {FACTS_NONE, FACTS_NULL, FACTS_NXDOMAIN};
    struct codec_fields fields;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct facts *facts = facts_new(FACTS_MX, states[i]);
        facts->ttl = 30;
        assert_true(codec_format(facts, &fields));
        assert_string_equal(field(&fields, "order"), "");
        struct facts *back = parse_back(FACTS_MX, &fields);
        assert_non_null(back);
        assert_true(facts_equal(facts, back));
        facts_unref(back);
        facts_unref(facts);
    }
    struct facts *fail = facts_new(FACTS_MX, FACTS_FAIL);
    assert_false(codec_format(fail, &fields));
    facts_unref(fail);
}

/* Twenty names of 253 octets are the most that facts hold. */
static void the_largest_set_fits(void **state)
{
    struct facts *facts = facts_new(FACTS_SRV, FACTS_OK);
    struct codec_fields fields;
    char name[NAME_SIZE];

    (void)state;
    for (unsigned i = 0; i < FACTS_MAX_HOSTS; i++) {
        for (size_t k = 0; k < sizeof name - 1; k++)
            name[k] = k % 60 == 59 ? '.' : 'a';
        name[0] = (char)('a' + i);
        name[sizeof name - 1] = '\0';
        struct facts_host host = {(uint16_t)(65535 - i), 65535, 65535, name};
        assert_true(facts_add_service(facts, &host));
    }
    facts_seal(facts);
    assert_true(codec_format(facts, &fields));
    struct facts *back = parse_back(FACTS_SRV, &fields);
    assert_non_null(back);
    assert_true(facts_equal(facts, back));
    facts_unref(back);
    facts_unref(facts);
}

#define GOOD      "order=10 mx1.example.com;ttl=300;fetched=1;expires=1800000290;changed=0;state=ok"
#define REST      ";ttl=300;fetched=1;expires=1800000290;changed=0;state=ok"
#define ADDR_REST ";expires=1800000290;state=ok"

static const struct {
    const char *label, *fields; /* name=value;... */
    enum facts_kind kind;
    bool good;
} inputs[] = {
    {"a good one", GOOD, FACTS_MX, true},
    {"a field not known", GOOD ";mac=00", FACTS_MX, true},
    {"another order of fields",
     "state=ok;changed=0;expires=5;fetched=1;ttl=300;order=10 mx1.example.com", FACTS_MX, true},
    {"hosts not sorted", "order=20 b.example.com,10 a.example.com" REST, FACTS_MX, true},
    {"nothing", "", FACTS_MX, false},
    {"no state", "order=10 mx1.example.com;ttl=300;fetched=1;expires=5;changed=0", FACTS_MX, false},
    {"state fail", "order=;ttl=300;fetched=1;expires=5;changed=0;state=fail", FACTS_MX, false},
    {"a state not known", "order=;ttl=300;fetched=1;expires=5;changed=0;state=good", FACTS_MX,
     false},
    {"ok without hosts", "order=" REST, FACTS_MX, false},
    {"none with hosts", "order=10 mx1.example.com;ttl=300;fetched=1;expires=5;changed=0;state=none",
     FACTS_MX, false},
    {"no order", "ttl=300;fetched=1;expires=5;changed=0;state=ok", FACTS_MX, false},
    {"no expires", "order=10 mx1.example.com;ttl=300;fetched=1;changed=0;state=ok", FACTS_MX,
     false},
    {"a negative number", "order=10 mx1.example.com;ttl=-1;fetched=1;expires=5;changed=0;state=ok",
     FACTS_MX, false},
    {"a number with a sign",
     "order=10 mx1.example.com;ttl=+1;fetched=1;expires=5;changed=0;state=ok", FACTS_MX, false},
    {"an empty number", "order=10 mx1.example.com;ttl=;fetched=1;expires=5;changed=0;state=ok",
     FACTS_MX, false},
    {"a giant number",
     "order=10 mx1.example.com;ttl=99999999999999999999;fetched=1;expires=5;changed=0;state=ok",
     FACTS_MX, false},
    {"a float", "order=10 mx1.example.com;ttl=1e3;fetched=1;expires=5;changed=0;state=ok", FACTS_MX,
     false},
    {"a preference too large", "order=65536 mx1.example.com" REST, FACTS_MX, false},
    {"a negative preference", "order=-1 mx1.example.com" REST, FACTS_MX, false},
    {"a preference with a leading zero", "order=010 mx1.example.com" REST, FACTS_MX, false},
    {"no preference", "order=mx1.example.com" REST, FACTS_MX, false},
    {"no name", "order=10 " REST, FACTS_MX, false},
    {"two spaces", "order=10  mx1.example.com" REST, FACTS_MX, false},
    {"a comma at the end", "order=10 mx1.example.com," REST, FACTS_MX, false},
    {"a comma alone", "order=," REST, FACTS_MX, false},
    {"upper case", "order=10 MX1.example.com" REST, FACTS_MX, false},
    {"a final dot", "order=10 mx1.example.com." REST, FACTS_MX, false},
    {"the root", "order=0 ." REST, FACTS_MX, false},
    {"a U-label",
     "order=10 b\xc3\xbc"
     "cher.example" REST,
     FACTS_MX, false},
    {"an address for a name", "order=10 192.0.2.1" REST, FACTS_MX, false},
    {"a newline in a name", "order=10 mx1.example.com\n" REST, FACTS_MX, false},
    {"twenty-one hosts",
     "order=1 a,1 b,1 c,1 d,1 e,1 f,1 g,1 h,1 i,1 j,1 k,1 l,1 m,1 n,1 o,1 p,1 q,1 r,1 s,1 t,1 "
     "u" REST,
     FACTS_MX, false},
    {"the other kind's fields", GOOD, FACTS_ADDR, false},
    {"SRV", "order=10 60 25 mx1.example.com" REST, FACTS_SRV, true},
    {"SRV, two ports", "order=10 60 25 a.example.com,10 60 26 a.example.com" REST, FACTS_SRV, true},
    {"SRV for MX", "order=10 60 25 mx1.example.com" REST, FACTS_MX, false},
    {"MX for SRV", GOOD, FACTS_SRV, false},
    {"SRV without weight", "order=10 25 mx1.example.com" REST, FACTS_SRV, false},
    {"SRV, a number more", "order=10 60 25 1 mx1.example.com" REST, FACTS_SRV, false},
    {"SRV, port 0", "order=10 60 0 mx1.example.com" REST, FACTS_SRV, false},
    {"SRV, a port too large", "order=10 60 65536 mx1.example.com" REST, FACTS_SRV, false},
    {"SRV, a weight too large", "order=10 65536 25 mx1.example.com" REST, FACTS_SRV, false},
    {"SRV, a negative weight", "order=10 -1 25 mx1.example.com" REST, FACTS_SRV, false},
    {"SRV, a port with a leading zero", "order=10 60 025 mx1.example.com" REST, FACTS_SRV, false},
    {"SRV, two spaces", "order=10  60 25 mx1.example.com" REST, FACTS_SRV, false},
    {"SRV, no name", "order=10 60 25 " REST, FACTS_SRV, false},
    {"SRV, numbers alone", "order=10 60 25" REST, FACTS_SRV, false},
    {"SRV, the root", "order=0 0 25 ." REST, FACTS_SRV, false},
    {"SRV, no service", "order=;ttl=300;fetched=1;expires=5;changed=0;state=null", FACTS_SRV, true},
    {"addresses", "a=[192.0.2.1];aaaa=[2001:db8::1]" ADDR_REST, FACTS_ADDR, true},
    {"one family", "a=;aaaa=[2001:db8::1]" ADDR_REST, FACTS_ADDR, true},
    {"a family missing", "a=[192.0.2.1]" ADDR_REST, FACTS_ADDR, false},
    {"the wrong family", "a=[2001:db8::1];aaaa=" ADDR_REST, FACTS_ADDR, false},
    {"no address at all", "a=;aaaa=" ADDR_REST, FACTS_ADDR, false},
    {"none", "a=;aaaa=;expires=5;state=none", FACTS_ADDR, true},
    {"null is for MX", "a=;aaaa=;expires=5;state=null", FACTS_ADDR, false},
    {"none with an address", "a=[192.0.2.1];aaaa=;expires=5;state=none", FACTS_ADDR, false},
    {"loopback", "a=[127.0.0.1];aaaa=" ADDR_REST, FACTS_ADDR, false},
    {"unspecified", "a=;aaaa=[::]" ADDR_REST, FACTS_ADDR, false},
    {"multicast beside a good one", "a=[192.0.2.1],[224.0.0.1];aaaa=" ADDR_REST, FACTS_ADDR, false},
    {"no address", "a=mx1.example.com;aaaa=" ADDR_REST, FACTS_ADDR, false},
    {"a long item",
     "a=[192.0.2.1000000000000000000000000000000000000000000000000000000000000000];aaaa=" ADDR_REST,
     FACTS_ADDR, false},
    {"nine addresses",
     "a=[192.0.2.1],[192.0.2.2],[192.0.2.3],[192.0.2.4],[192.0.2.5],[192.0.2.6],[192.0.2.7],"
     "[192.0.2.8],[192.0.2.9];aaaa=" ADDR_REST,
     FACTS_ADDR, false},
};

/* Splits "name=value;..." into pairs that are slices of text. */
static size_t split(const char *text, struct codec_pair *pair)
{
    size_t count = 0;

    while (*text) {
        size_t length = strcspn(text, ";"), name = strcspn(text, "=");
        pair[count++] = (struct codec_pair){.name = text,
                                            .value = text + name + 1,
                                            .name_length = name,
                                            .value_length = length - name - 1};
        text += length + (text[length] == ';');
    }
    return count;
}

static void what_is_believed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        struct codec_pair pair[16];
        size_t count = split(inputs[i].fields, pair);
        print_message("  %s\n", inputs[i].label);
        struct facts *facts = codec_parse(inputs[i].kind, pair, count, NOW, MAX_AGE);
        assert_int_equal(facts != NULL, inputs[i].good);
        facts_unref(facts);
    }
}

static void times_are_clamped(void **state)
{
    struct codec_pair pair[16];
    size_t count = split("order=10 mx1.example.com;ttl=4000000000;fetched=1800000001;"
                         "expires=999999999999;changed=1900000000;state=ok",
                         pair);

    (void)state;
    struct facts *facts = codec_parse(FACTS_MX, pair, count, NOW, MAX_AGE);
    assert_non_null(facts);
    assert_int_equal(facts->ttl, MAX_AGE);
    assert_int_equal(facts->fetched, NOW);
    assert_int_equal(facts->changed, NOW);
    assert_int_equal(facts->expires, NOW + MAX_AGE);
    facts_unref(facts);

    count = split("a=[192.0.2.1];aaaa=;expires=999999999999;state=ok", pair);
    facts = codec_parse(FACTS_ADDR, pair, count, NOW, MAX_AGE);
    assert_non_null(facts);
    assert_int_equal(facts->expires, NOW + MAX_AGE);
    facts_unref(facts);

    count = split("a=[192.0.2.1];aaaa=;expires=1799999000;state=ok", pair);
    facts = codec_parse(FACTS_ADDR, pair, count, NOW, MAX_AGE);
    assert_non_null(facts);
    assert_int_equal(facts->ttl, 0);
    assert_int_equal(facts->expires, NOW - 1000);
    facts_unref(facts);
}

static const struct {
    const char *label, *fields;
    bool timely;
} stamps[] = {
    {"an ordering", GOOD, true},
    {"a host", "a=;aaaa=;expires=1800000290;state=none", true},
    {"just now", "fetched=1800000000;changed=1800000000;expires=1800172800", true},
    {"two nodes' clocks", "fetched=1800000002;changed=1800000002;expires=1800172802", true},
    {"fetched in the future", "fetched=1800000003;changed=1;expires=1800000290", false},
    {"changed in the future", "fetched=1;changed=1800000003;expires=1800000290", false},
    {"a life too long", "fetched=1;changed=1;expires=1800172803", false},
    {"long expired", "fetched=1;changed=1;expires=5", true},
};

static void stamps_that_can_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof stamps / sizeof *stamps; i++) {
        struct codec_pair pair[16];
        size_t count = split(stamps[i].fields, pair);
        print_message("  %s\n", stamps[i].label);
        assert_int_equal(codec_is_timely(pair, count, NOW, MAX_AGE), stamps[i].timely);
    }
}

static void odd_bytes_and_lengths(void **state)
{
    struct codec_pair pair[16];
    size_t count = split(GOOD, pair);
    char *giant = malloc(1 << 20);

    (void)state;
    memset(giant, 'a', 1 << 20);
    struct codec_pair keep = pair[0];
    pair[0].value = giant;
    pair[0].value_length = 1 << 20;
    assert_null(codec_parse(FACTS_MX, pair, count, NOW, MAX_AGE));
    pair[0].value = "10 mx1\0.example.com";
    pair[0].value_length = 19;
    assert_null(codec_parse(FACTS_MX, pair, count, NOW, MAX_AGE));
    pair[0] = keep;
    pair[0].name = giant;
    pair[0].name_length = 1 << 20;
    assert_null(codec_parse(FACTS_MX, pair, count, NOW, MAX_AGE));
    assert_null(codec_parse(FACTS_MX, NULL, 0, NOW, MAX_AGE));
    free(giant);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(mx_there_and_back),     cmocka_unit_test(srv_there_and_back),
        cmocka_unit_test(addr_there_and_back),   cmocka_unit_test(empty_states_there_and_back),
        cmocka_unit_test(the_largest_set_fits),  cmocka_unit_test(what_is_believed),
        cmocka_unit_test(times_are_clamped),     cmocka_unit_test(stamps_that_can_be),
        cmocka_unit_test(odd_bytes_and_lengths),
    };

    return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
