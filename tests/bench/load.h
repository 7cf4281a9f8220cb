/*
 * A closed loop of clients on one unix socket, as Postfix is one: each of N connections has one
 * question under way and asks the next when the answer is there. What is asked, and whether the
 * answer is right, is a script; load.c owns the sockets, the clock and the books.
 *
 * A turn is what is counted: one question (socketmap, policy) or one message (milter). Its
 * questions are steps, 0 upwards.
 */
#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOAD_STEPS = 16 };

struct load_turn {
    uint64_t number; /* of this turn among all: the key of what it asks */
    unsigned step;   /* the question under way; ask may raise it to leave out steps */
    bool over;       /* set by ask: nothing answers what was just written, the turn is done */
    uint64_t state;  /* the script's own, 0 at the start of a turn */
};

enum load_answer { LOAD_MORE, LOAD_RIGHT, LOAD_WRONG };

struct load_script {
    const char *program;
    bool reconnect;                /* a connection for each turn, not one for all */
    const char *steps[LOAD_STEPS]; /* names of the steps; none where a turn is one question */

    /* Writes the question of turn->step into out, and returns its length. */
    size_t (*ask)(struct load_turn *turn, char *out, size_t size);
    /* Judges what has come so far. *used is what the answer took, on LOAD_RIGHT; anything after it
     * is a wrong answer, because nothing else was asked. */
    enum load_answer (*check)(struct load_turn *turn, const char *data, size_t length,
                              size_t *used);
};

/* Runs the script as the command line says, and prints one line of totals and one a step:
 *     turns=N wrong=N seconds=S rate=R p50=US p99=US max=US
 *     step=NAME p50=US p99=US max=US
 * Returns the program's exit code: 1 when one answer was wrong or missing, or none was asked. */
int load_main(const struct load_script *script, int argc, char **argv);

#endif
