/*
 * The fuzz targets without a fuzzer: good inputs, mangled by a generator with a fixed seed, so that
 * every run tries the same and a failure comes back.
 */
#include "tests/fuzz/targets.h"
#include "tests/unit/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { ROUNDS = 40000, MAX_SIZE = 4096, MAX_SEEDS = 16, MAX_CHANGES = 6 };

struct input {
    size_t size;
    uint8_t data[MAX_SIZE];
};

/* xorshift64* (Vigna 2016): small, and the same everywhere. */
static uint64_t number;

static uint32_t next(uint32_t below)
{
    number ^= number >> 12;
    number ^= number << 25;
    number ^= number >> 27;
    return below ? (uint32_t)((number * 0x2545f4914f6cdd1dU) >> 32) % below : 0;
}

/* Octets that mean something to one of the doors: lengths, pointers, ends, separators. */
static uint8_t telling_octet(void)
{
    static const uint8_t telling[] = {0,   1,   2,   0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xff, '.',
                                      ',', ' ', ':', '[',  ']',  '/',  '=',  '-',  '*',  '\n', '9'};

    return next(3) ? telling[next(sizeof telling)] : (uint8_t)next(256);
}

static void change(struct input *input, const struct input *other)
{
    size_t at = next((uint32_t)input->size);
    size_t room = input->size - at;
    size_t length = room ? 1 + next(room < 16 ? (uint32_t)room : 16) : 0;

    switch (next(6)) {
    case 0:
        if (room)
            input->data[at] ^= (uint8_t)(1U << next(8));
        break;
    case 1:
        if (room)
            input->data[at] = telling_octet();
        break;
    case 2: /* take some away */
        memmove(input->data + at, input->data + at + length, room - length);
        input->size -= length;
        break;
    case 3: /* put one in */
        if (input->size < MAX_SIZE) {
            memmove(input->data + at + 1, input->data + at, room);
            input->data[at] = telling_octet();
            input->size++;
        }
        break;
    case 4: /* cut off */ input->size = at; break;
    case 5: /* the other's end */
        if (at < other->size) {
            memcpy(input->data + at, other->data + at, other->size - at);
            input->size = other->size;
        }
        break;
    }
}

static void mangle(void (*target)(const uint8_t *data, size_t size), const struct input *seed,
                   size_t count)
{
    static struct input input;

    number = 0x9e3779b97f4a7c15;
    for (size_t i = 0; i < count; i++)
        target(seed[i].data, seed[i].size);
    for (unsigned round = 0; round < ROUNDS; round++) {
        input = seed[next((uint32_t)count)];
        for (unsigned changes = 1 + next(MAX_CHANGES); changes > 0; changes--)
            change(&input, &seed[next((uint32_t)count)]);
        target(input.data, input.size);
    }
}

static void put(struct input *seed, size_t *count, const void *data, size_t size)
{
    assert_true(*count < MAX_SEEDS && size <= MAX_SIZE);
    seed[*count].size = size;
    memcpy(seed[(*count)++].data, data, size);
}

static void answers(void **state)
{
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
    static struct input seed[MAX_SEEDS];
    static struct packet p;
    const char *domain = "example.com";
    char name[32];
    size_t count = 0;

    (void)state;
    packet_start(&p, 1, PACKET_FLAGS, domain, ns_t_mx);
    for (unsigned i = 0; i < 22; i++) {
        snprintf(name, sizeof name, "mx%u.example.com", i);
        packet_mx(&p, domain, 300 + i, i, name);
    }
    packet_opt(&p);
    put(seed, &count, p.data, p.length);
    packet_start(&p, 1, PACKET_FLAGS, domain, ns_t_mx);
    packet_cname(&p, domain, 60, "a.example.net");
    packet_cname(&p, "a.example.net", 60, "b.example.net");
    packet_mx(&p, "b.example.net", 300, 10, "mx1.example.com");
    packet_mx(&p, "b.example.net", 300, 0, "");
    put(seed, &count, p.data, p.length);
    packet_start(&p, 1, PACKET_FLAGS, domain, ns_t_mx);
    size_t begin = packet_begin(&p, PACKET_ANSWER, domain, ns_t_mx, 300);
    packet_16(&p, 10);
    packet_bytes(&p, "\3mx1\xc0\x0c", 6);
    packet_end(&p, begin);
    put(seed, &count, p.data, p.length);
    packet_start(&p, 1, PACKET_FLAGS | ns_r_nxdomain, domain, ns_t_mx);
    packet_soa(&p, domain, 3600, 120);
    put(seed, &count, p.data, p.length);
    packet_start(&p, 1, PACKET_FLAGS, domain, ns_t_a);
    for (uint32_t i = 0; i < 10; i++)
        packet_a(&p, domain, 300, 0xc0000201 + i);
    put(seed, &count, p.data, p.length);
    packet_start(&p, 1, PACKET_FLAGS, domain, ns_t_aaaa);
    packet_cname(&p, domain, 60, "a.example.net");
    packet_aaaa(&p, "a.example.net", 300, v6);
    put(seed, &count, p.data, p.length);
    packet_start(&p, 1, PACKET_FLAGS, FACTS_SRV_LABELS "example.com", ns_t_srv);
    for (uint16_t i = 0; i < 22; i++) {
        snprintf(name, sizeof name, "mx%u.example.com", i % 4U);
        packet_srv(&p, FACTS_SRV_LABELS "example.com", 300, (const uint16_t[3]){i, 60, i}, name);
    }
    put(seed, &count, p.data, p.length);
    mangle(target_answer, seed, count);
}

static void texts_mangle(void (*target)(const uint8_t *data, size_t size), const char *const *text,
                         size_t texts)
{
    static struct input seed[MAX_SEEDS];
    size_t count = 0;

    for (size_t i = 0; i < texts; i++)
        put(seed, &count, text[i], strlen(text[i]));
    mangle(target, seed, count);
}

#define ORDERED "order=10 mx1.example.com,20 mx2.example.com\n"
#define TIMES   "ttl=300\nfetched=1799999990\nexpires=1800000290\nchanged=0\nstate=ok\n"

static void codecs(void **state)
{
    static const char *const text[] = {
        ORDERED TIMES,
        ("order=10 60 25 mx1.example.com,10 40 2525 mx1.example.com,20 0 25 a.example.com\n" TIMES),
        "order=\nttl=30\nfetched=1\nexpires=1\nchanged=0\nstate=nxdomain\n",
        "a=[192.0.2.1],[192.0.2.2]\naaaa=[2001:db8::1]\nexpires=1800000290\nstate=ok\n",
        "a=\naaaa=\nexpires=1800000290\nstate=none\n",
    };

    (void)state;
    texts_mangle(target_codec, text, sizeof text / sizeof *text);
}

static void texts(void **state)
{
    static const char *const text[] = {
        "mx1.example.com",
        "m\xc3\xbcnster.example",
        "xn--bcher-kva.example",
        "ec2-192-0-2-10.compute.example.net",
        "10.2.0.192.dynamic.example.net",
        "2001-db8-1-2--1.example.net",
        "[IPv6:2001:db8::1]",
        "::ffff:192.0.2.1",
        "192.0.2.0/24",
        "[2001:db8::]/32",
        "mxw1:mx:example.com",
        "mxw1:mx:_smtp._tcp.example.com",
        "mxw1:override:[2001:db8::1]:25",
        "gw1.example.net:2525",
        "mxw1:epoch",
    };

    (void)state;
    texts_mangle(target_text, text, sizeof text / sizeof *text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(codecs),
        cmocka_unit_test(texts),
    };

    return cmocka_run_group_tests_name("mangle", tests, NULL, NULL);
}
