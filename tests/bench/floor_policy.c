/*
 * The floor of a policy service: looks for the empty line that ends a request, reads nothing in
 * it, and answers DUNNO.
 */
#include "tests/bench/floor.h"

#include <event2/buffer.h>

#include <stdio.h>
#include <string.h>

static enum floor_frame answer(const char *data, size_t length, size_t *used, struct evbuffer *out)
{
    static const char dunno[] = "action=DUNNO\n\n";
    const char *end = memmem(data, length, "\n\n", 2);
    if (!end)
        return FLOOR_MORE;
    *used = (size_t)(end - data) + 2;
    evbuffer_add(out, dunno, sizeof dunno - 1);
    return FLOOR_DONE;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: floor_policy SOCKET\n", stderr);
        return 2;
    }
    return floor_serve(argv[1], answer);
}
