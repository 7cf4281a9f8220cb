/*
 * The floor of a socket map: parses the netstring, since no server can do without, and answers one
 * constant for the bench's pool domain and NOTFOUND for all else.
 */
#include "policy/netstring.h"
#include "tests/bench/floor.h"

#include <event2/buffer.h>

#include <stdio.h>
#include <string.h>

/* Both as frames, ready to send. */
#define FOUND   "14:OK smtp:[a]:25,"
#define UNKNOWN "9:NOTFOUND ,"

static enum floor_frame answer(const char *data, size_t length, size_t *used, struct evbuffer *out)
{
    static const char domain[] = "@pool.example.com";
    const char *payload;
    size_t payload_length;
    switch (netstring_scan(data, length, &payload, &payload_length, used)) {
    case NETSTRING_MORE: return FLOOR_MORE;
    case NETSTRING_BAD: return FLOOR_BAD;
    case NETSTRING_DONE: break;
    }
    size_t tail = sizeof domain - 1;
    if (payload_length > tail && memcmp(payload + payload_length - tail, domain, tail) == 0)
        evbuffer_add(out, FOUND, sizeof FOUND - 1);
    else
        evbuffer_add(out, UNKNOWN, sizeof UNKNOWN - 1);
    return FLOOR_DONE;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: floor_socketmap SOCKET\n", stderr);
        return 2;
    }
    return floor_serve(argv[1], answer);
}
