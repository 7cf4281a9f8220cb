/*
 * What a floor is: the least that any server of the same protocol on libevent would cost. It reads
 * a frame and writes a constant; the daemon's rate divided by the floor's is what deciding costs.
 */
#ifndef TESTS_BENCH_FLOOR_H
#define TESTS_BENCH_FLOOR_H

#include <stddef.h>

struct evbuffer;

enum floor_frame { FLOOR_MORE, FLOOR_DONE, FLOOR_BAD };

/* Takes one frame from the start of data and adds its answer to out. *used is what the frame took,
 * on FLOOR_DONE. */
typedef enum floor_frame floor_answer(const char *data, size_t length, size_t *used,
                                      struct evbuffer *out);

/* Serves the unix socket at path until SIGTERM or SIGINT. Returns the program's exit code. */
int floor_serve(const char *path, floor_answer *answer);

#endif
