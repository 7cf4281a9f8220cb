/*
 * The control conversation: how the program mxwarden talks to the daemon.
 *
 * On listen.control, one JSON object on one line, answered by one JSON object on one line, after
 * which the daemon closes. The request names its "command"; the reply says its "status":
 *
 *   "ok"       done; the other members are the result           (exit code 0)
 *   "refused"  understood, not done; "message" says why          (exit code 1)
 *   "usage"    not understood; "message" says why                (exit code 2)
 *
 * What the commands take and give (members marked ? may be absent; times are Unix seconds):
 *
 *   ping     -> version node config started mode feed?   (where one is needed: is it alive)
 *   explain  client listener rcpt sender? helo? name?
 *            -> verdict reason reply domain mode rows[{row test holds fact}] hint
 *   route    address
 *            -> answer route section because key why health_ignored override_ignored unnamed
 *               hosts[{tier host port weight slow_start effective load health held override resolves
 *               score place note}] left_out[{host why}]
 *   mx       domain
 *            -> domain state ttl fetched expires age origin order[{preference host addresses[]
 *               state self}] findings[{level what}]    self: "name" "address" "", level: "note"
 *               "warning" "error"
 *   stats    -> node since day shared counters{} today{} rates{} redis{state trouble? run_id? policy?
 *               evicted?}
 *   top      -> the same, and reasons[{reason today rate}] bypass[{net today}] domains[{domain today}]
 *   hosts    -> hosts[{host port address state streak since good_since at ms usable observed
 *               missing detail override weight used_by[] slow_start held_until}]
 *   seen     client -> client complete visits[{listener as at stage}] learned[{domain as at dry}]
 *   report   days?   (1 to 35, default 7)
 *            -> from to since? nodes[] domains[{domain mode judged bypass yielded better silent
 *               unknown open delay?{count mean below}}] reasons{}
 *   drain    host   | ready host | weight host weight | purge domain
 *            -> message
 *   forget   client   | allow client time?
 *            -> message
 *   pause    domain? time?   | resume domain?     the guard off, for a time ("90s", "2h")
 *            -> message
 *   flush    domain
 *            -> server reply message
 *   feed     visits[{client listener? port?}]     of a log; none at all is a sign of life, too
 *            -> visits
 *
 * A feed is a request every few seconds: it counts as alive for 15 s after each that was "ok"
 * (site.h). A visit is at a local address and port, as the log has them; without a port at 25,
 * without a listener at the only one of this node in the client's family. Where there is no only
 * one, the request is refused, and all other visits are noted; with "again" where none is known so
 * far: the same request may succeed later.
 *
 * Counters are numbers by their names; shared says that they are those of Redis, today's of its UTC
 * day, else they are this process's own, and today is empty. A rate is per second, of this process, over
 * the last ten to twenty. reasons are of this node, the busiest now first; bypass and domains are of
 * the site and of the day, at most 50, the busiest first.
 *
 * A report counts messages, of the UTC days from and to and those between; since instead where there
 * is no Redis, and the counters are this process's. Of bypass, the messages that were or would have
 * been refused, five members say what became of them (tally.h) and make its sum; open is what is not
 * known yet. delay is from the refusal to the return, in seconds; none was as long as below.
 *
 * Reading is for whoever may open the socket; drain and all below it need uid 0 or the daemon's own
 * (SO_PEERCRED).
 */
#ifndef POLICY_CONTROL_H
#define POLICY_CONTROL_H

enum {
    CONTROL_MAX_REQUEST = 32 * 1024, /* all visits of a feed, with the longest addresses */
    CONTROL_MAX_REPLY = 8 * 1024 * 1024,
    CONTROL_MAX_VISITS = 200,
};

#endif
