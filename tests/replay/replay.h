/*
 * The groups of scenarios. Where each way that an honest sender may look like a bypasser, and each
 * way that the site's memory may fail it, is held to account:
 *
 *   visits that nobody saw            feed_is_needed, turned_away_by_postscreen
 *   mx1 remembered as dead            preferred_host_is_back
 *   mx1 turning clients away          preferred_host_says_421
 *   pools of senders                  seen_by_network, seen_by_verified_domain, seen_by_envelope,
 *                                     retry_from_elsewhere
 *   short queues                      retry_is_let_in_and_learned, server_comes_back_at_once
 *   foreign or wrong selectors        client_is_shown_allowed_and_forgotten,
 *                                     learned_client_stays_known, network_is_learned_after_three
 *   two families                      other_family_is_not_blamed
 *   a path that is broken for some    way_to_the_preferred_host_is_broken
 *   the race of two connections       visit_a_moment_too_late
 *   several recipients and domains    each_recipient_by_its_own_domain
 *   odd orderings and listeners       three_hosts, missing_listener_is_named, listeners_are_mapped,
 *                                     and test_guard's rows 5
 *   probes, checks, relays            own_hosts_leave_no_evidence, networks_leave_no_evidence
 *   Redis lost at mx1 only            redis_lost_there
 *   Redis emptied, failed over, ...   redis_emptied, redis_back_with_all_its_keys, redis_evicts,
 *                                     redis_readonly, redis_emptied_is_filled_again
 *   an ordering just changed          mx_set_changes
 *   clocks                            retry_after_the_clock_went_back
 */
#ifndef TESTS_REPLAY_REPLAY_H
#define TESTS_REPLAY_REPLAY_H

int replay_guard(void);
int replay_faults(void);
int replay_route(void);
int replay_feed(void);
int replay_report(void);
int replay_trap(void);
int replay_retry(void);
int replay_health(void);
int replay_properties(void);
int replay_flush(void);
int replay_maps(void);
int replay_match(void);
int replay_poison(void);
int replay_srv(void);
int replay_cache(void);

#endif
