/*
 * The replay: scenarios in scripted time. REPLAY_LOG=1 in the environment prints every log line.
 */
#include "tests/replay/replay.h"

int main(void)
{
    return replay_guard() + replay_faults() + replay_route() + replay_feed() + replay_report() +
           replay_trap() + replay_retry() + replay_health() + replay_flush() + replay_maps() +
           replay_match() + replay_poison() + replay_srv();
}
