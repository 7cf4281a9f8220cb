/*
 * Asks the map "transport" as Postfix's trivial-rewrite does: full addresses of a pool's domain
 * mostly, one in eight of a domain that has no route, one in sixteen the "*". Right is an answer
 * of the right kind whose every next hop is "[host]:port"; which host is the unit tests' business.
 */
#include "policy/netstring.h"
#include "tests/bench/load.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { KEYS = 1000 }; /* distinct recipients of the pool */

enum kind { POOL, STRANGER, STAR };

static enum kind kind_of(uint64_t number)
{
    if (number % 16 == 15)
        return STAR;
    return number % 8 == 3 ? STRANGER : POOL;
}

static size_t ask(struct load_turn *turn, char *out, size_t size)
{
    char payload[128] = "transport *";
    unsigned key = (unsigned)(turn->number % KEYS);
    if (turn->step > 0) {
        turn->over = true;
        return 0;
    }
    switch (kind_of(turn->number)) {
    case POOL: snprintf(payload, sizeof payload, "transport user%u@pool.example.com", key); break;
    case STRANGER:
        snprintf(payload, sizeof payload, "transport user%u@stranger.example.org", key);
        break;
    case STAR: break;
    }
    return netstring_format(payload, strlen(payload), out, size);
}

/* "[host]:port", then ", " and another, to the end. */
static bool are_hops(const char *text)
{
    for (;;) {
        char host[256];
        unsigned port;
        int used = 0;
        if (sscanf(text, "[%255[^]]]:%u%n", host, &port, &used) != 2 || port < 1 || port > 65535)
            return false;
        text += used;
        if (*text == '\0')
            return true;
        if (strncmp(text, ", ", 2) != 0)
            return false;
        text += 2;
    }
}

static bool is_right(enum kind kind, const char *reply)
{
    static const char found[] = "OK smtp:";
    if (kind != POOL)
        return strcmp(reply, "NOTFOUND ") == 0;
    return strncmp(reply, found, sizeof found - 1) == 0 && are_hops(reply + sizeof found - 1);
}

static enum load_answer check(struct load_turn *turn, const char *data, size_t length, size_t *used)
{
    const char *payload;
    size_t payload_length;
    char reply[1024];
    switch (netstring_scan(data, length, &payload, &payload_length, used)) {
    case NETSTRING_MORE: return LOAD_MORE;
    case NETSTRING_BAD: return LOAD_WRONG;
    case NETSTRING_DONE: break;
    }
    if (payload_length >= sizeof reply || memchr(payload, '\0', payload_length))
        return LOAD_WRONG;
    memcpy(reply, payload, payload_length);
    reply[payload_length] = '\0';
    return is_right(kind_of(turn->number), reply) ? LOAD_RIGHT : LOAD_WRONG;
}

int main(int argc, char **argv)
{
    static const struct load_script script = {
        .program = "load_socketmap", .ask = ask, .check = check};
    return load_main(&script, argc, argv);
}
