/*
 * One line of a mail log as a visit that no milter hears of, or as nothing. Pure.
 *
 * Postfix logs three kinds of them (its sources, by file):
 *
 *   postscreen.c  CONNECT from [198.51.100.7]:5123 to [192.0.2.10]:25
 *   smtpd.c       warning: Connection concurrency limit exceeded: 51 from NAME[ADDR] for service smtp
 *                 warning: Connection rate limit exceeded: 51 from NAME[ADDR] for service smtp
 *   smtpd_check.c NOQUEUE: reject: CONNECT from NAME[ADDR]: 554 5.7.1 ...
 *                 (and milter-reject:, where another milter refused before ours was told)
 *
 * and Sendmail one (srvrsmtp.c, conncontrol, ratecontrol and the access map behind it):
 *
 *   ruleset=check_relay, arg1=NAME, arg2=ADDR, relay=NAME [ADDR], reject=421 4.3.2 ...
 *
 * which names no local address, and not the daemon that was reached, either.
 *
 * All else that postscreen says of a client (PREGREET, DNSBL, its own reject: lines) follows a
 * CONNECT of the same session and names no local address, so it adds nothing.
 *
 * What is quoted in a log came from strangers. A message counts only where it stands: right behind
 * the program that writes such messages, which stands right behind time and host; or at the very
 * beginning of the line (journalctl -o cat prints no more). It must be whole: nothing may follow
 * that the mail server does not write there.
 */
#ifndef POLICY_FEEDLINE_H
#define POLICY_FEEDLINE_H

#include "cache/net.h"

#include <stdbool.h>
#include <stdint.h>

struct feedline_visit {
    struct net_addr client;
    struct net_addr listener; /* the local address; NET_NONE: the line does not name it */
    uint16_t port;            /* the local port; 0 where the listener is not named */
};

/* line ends with NUL and holds no line end. False, and *out cleared, where it tells of no visit, or
 * of one on a service that is not known to be on port 25. Time and host may be written as in RFC
 * 3164, RFC 5424, or by journalctl's short formats; a "<22>" in front is fine. */
bool feedline_parse(const char *line, struct feedline_visit *out);

#endif
