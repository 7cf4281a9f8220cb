/*
 * The groups of scenarios.
 */
#ifndef TESTS_REPLAY_REPLAY_H
#define TESTS_REPLAY_REPLAY_H

int replay_guard(void);
int replay_faults(void);
int replay_route(void);
int replay_feed(void);

#endif
