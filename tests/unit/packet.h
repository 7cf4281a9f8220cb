/*
 * A small builder of DNS messages for tests: whole ones, and the broken ones that a builder would
 * normally refuse. Sections must be filled in their order in the message.
 */
#ifndef TESTS_UNIT_PACKET_H
#define TESTS_UNIT_PACKET_H

#include "cache/net.h"

#include <arpa/nameser.h>
#include <stdint.h>
#include <string.h>

enum packet_section { PACKET_ANSWER = 6, PACKET_AUTHORITY = 8, PACKET_ADDITIONAL = 10 };

/* Flags of an answer: QR, RD, RA. An rcode is added to them. */
enum { PACKET_FLAGS = 0x8180, PACKET_TC = 0x0200, PACKET_HEADER = 12 };

struct packet {
    uint8_t data[65535];
    size_t length;
};

static inline void packet_16(struct packet *packet, unsigned value)
{
    packet->data[packet->length++] = (uint8_t)(value >> 8);
    packet->data[packet->length++] = (uint8_t)value;
}

static inline void packet_32(struct packet *packet, uint32_t value)
{
    packet_16(packet, value >> 16);
    packet_16(packet, value & 0xffff);
}

static inline void packet_bytes(struct packet *packet, const void *data, size_t length)
{
    if (length > 0)
        memcpy(packet->data + packet->length, data, length);
    packet->length += length;
}

/* Labels are split at dots and otherwise taken as they are; "" is the root. */
static inline void packet_name(struct packet *packet, const char *name)
{
    while (*name) {
        size_t label = strcspn(name, ".");
        packet->data[packet->length++] = (uint8_t)label;
        packet_bytes(packet, name, label);
        name += label + (name[label] == '.');
    }
    packet->data[packet->length++] = 0;
}

static inline void packet_count(struct packet *packet, size_t section, int more)
{
    unsigned count = packet->data[section] * 256U + packet->data[section + 1] + (unsigned)more;

    packet->data[section] = (uint8_t)(count >> 8);
    packet->data[section + 1] = (uint8_t)count;
}

static inline void packet_start(struct packet *packet, unsigned id, unsigned flags,
                                const char *name, unsigned type)
{
    packet->length = 0;
    packet_16(packet, id);
    packet_16(packet, flags);
    packet_16(packet, 1);
    packet_16(packet, 0);
    packet_32(packet, 0);
    packet_name(packet, name);
    packet_16(packet, type);
    packet_16(packet, ns_c_in);
}

/* A record up to its RDLENGTH, which packet_end fills in. */
static inline size_t packet_begin(struct packet *packet, enum packet_section section,
                                  const char *owner, unsigned type, uint32_t ttl)
{
    packet_count(packet, section, 1);
    packet_name(packet, owner);
    packet_16(packet, type);
    packet_16(packet, ns_c_in);
    packet_32(packet, ttl);
    packet_16(packet, 0);
    return packet->length;
}

static inline void packet_end(struct packet *packet, size_t begin)
{
    size_t length = packet->length - begin;

    packet->data[begin - 2] = (uint8_t)(length >> 8);
    packet->data[begin - 1] = (uint8_t)length;
}

static inline void packet_mx(struct packet *packet, const char *owner, uint32_t ttl,
                             unsigned preference, const char *target)
{
    size_t begin = packet_begin(packet, PACKET_ANSWER, owner, ns_t_mx, ttl);

    packet_16(packet, preference);
    packet_name(packet, target);
    packet_end(packet, begin);
}

static inline void packet_srv(struct packet *packet, const char *owner, uint32_t ttl,
                              const uint16_t numbers[3], const char *target)
{
    size_t begin = packet_begin(packet, PACKET_ANSWER, owner, ns_t_srv, ttl);

    for (size_t i = 0; i < 3; i++)
        packet_16(packet, numbers[i]); /* priority, weight, port */
    packet_name(packet, target);
    packet_end(packet, begin);
}

static inline void packet_cname(struct packet *packet, const char *owner, uint32_t ttl,
                                const char *target)
{
    size_t begin = packet_begin(packet, PACKET_ANSWER, owner, ns_t_cname, ttl);

    packet_name(packet, target);
    packet_end(packet, begin);
}

static inline void packet_a(struct packet *packet, const char *owner, uint32_t ttl, uint32_t addr)
{
    size_t begin = packet_begin(packet, PACKET_ANSWER, owner, ns_t_a, ttl);

    packet_32(packet, addr);
    packet_end(packet, begin);
}

static inline void packet_aaaa(struct packet *packet, const char *owner, uint32_t ttl,
                               const uint8_t addr[16])
{
    size_t begin = packet_begin(packet, PACKET_ANSWER, owner, ns_t_aaaa, ttl);

    packet_bytes(packet, addr, 16);
    packet_end(packet, begin);
}

static inline void packet_soa(struct packet *packet, const char *owner, uint32_t ttl,
                              uint32_t minimum)
{
    size_t begin = packet_begin(packet, PACKET_AUTHORITY, owner, ns_t_soa, ttl);

    packet_name(packet, "ns.example.com");
    packet_name(packet, "hostmaster.example.com");
    for (uint32_t i = 1; i <= 4; i++)
        packet_32(packet, i);
    packet_32(packet, minimum);
    packet_end(packet, begin);
}

static inline void packet_opt(struct packet *packet)
{
    size_t begin = packet_begin(packet, PACKET_ADDITIONAL, "", ns_t_opt, 0);

    packet_end(packet, begin);
}

#endif
