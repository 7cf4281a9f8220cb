"""The page doc/harm.md out of the books, and what in them breaks the promise."""
from mxsite import GREYLIST, INTERVAL, YIELD_AFTER
from scenarios import SCENARIOS
from senders import SENDERS

HABITS = {"never": "never come back", "at-once": "come back at once",
          "later": "come back after the yield", "touch": "connect to mx1 for a moment first",
          "next": "go on to mx3 when mx2 has refused",
          "tuple": "copy the HELO domain, sender and recipient of one who was at mx1"}
PAGE = """# What the guard costs honest senders, and others

This page is written by `make harm`. Real Postfix, Exim, OpenSMTPD and Sendmail send {sent} messages
each to a site of two and to a site of three MX hosts, which run Postfix, mxwardend and
mxwarden-milter in mode `defer` with one Redis, all in private network namespaces. The books are
kept from the logs and queues of the mail servers; mxwarden is not asked.

Time is shortened to a thirtieth: senders retry after {interval} s (stock Postfix: 300 s), and the
guard has `yield_after = {yield_after}s`, `hold_down = 10s`, `grace = 30s` (240 s, 5 min, 15 min).
mx1 greylists for {greylist} s. Connections that nobody answers are given up after a second (30 s),
by OpenSMTPD after three. Health is probed every second, `fall = 3`. A client network is a /28 or a
/64, and every sender comes from addresses that the site does not know yet, without a name in the
DNS.

- Postfix: `queue_run_delay`, `minimal_backoff_time` {interval} s: a retry comes after one or two
  intervals, as in life.
- Exim: `F,1h,{interval}s` and a queue run every {interval} s.
- Sendmail: `-q{interval}s` and `MinQueueAge={interval}s`. **Sendmail's default has no MinQueueAge**
  and breaks the promise: a queue run takes even a message that was tried a moment ago. Measured by
  hand with `-q20s` (Debian's 10 min), 60 messages, mx1 silent for the sender: of 55 refused ones 19
  met a second refusal when the queue run came a few seconds after the first, none when it came late.
- OpenSMTPD has no key for its intervals (400 s and growing): `smtpctl schedule` for every message
  that has waited {interval} s.

**At a backup** counts messages that a backup took; where it and **refused** are 0, the sender never
came to a backup and the row says nothing of the guard. **Refused** counts messages that mxwarden
refused at a backup at all, **attempts** the delivery attempts in which that happened, and **most**
the worst message's: the promise is one. Refusals of a message less than half an interval apart count
as one attempt, unless the same client address met the same host again.

**Delay** is the longest time from a message's first refusal to its acceptance, to the second. It is
not held against a limit, and is more than one interval of {interval} s in many rows: the next queue
run, connections to a silent mx1, and whatever else the sender waits for are in it. OpenSMTPD with a
pool has the longest; its log shows it shutting its routes to mx1 for 15 s, one source address after
the other. What it would have needed without the guard was not measured.

In the pool rows mx1 fails at once and everything is IPv4. With packets to mx1 vanishing instead,
OpenSMTPD's pool had delivered nothing to any host 90 s after the last message; Sendmail has no pool.

With three MX hosts a sender that goes on to mx3 after mx2's refusal is let in there at once, because
it has been at a better host.
"""


def write(rows):
    """The page. rows: what tests/harm/run and tests/harm/skippers printed."""
    books = [row for row in rows if "scenario" in row]
    text = PAGE.format(sent=max((row["sent"] for row in books), default=0), interval=INTERVAL,
                       yield_after=YIELD_AFTER, greylist=GREYLIST)
    for count, word in ((2, "Two"), (3, "Three")):
        text += f"\n## {word} MX hosts\n\n" + head(
            "scenario", "sender", "sent", "delivered", "lost", "bounced", "at a backup", "refused",
            "attempts", "most", "delay")
        for scenario in SCENARIOS:
            for row in books:
                if (row["count"], row["scenario"]) == (count, scenario.name):
                    text += line(scenario.title, SENDERS[row["sender"]].title, row["sent"],
                                 row["delivered"], row["lost"], row["bounced"], row["backups"],
                                 row["refused"], row["attempts"], row["most"],
                                 f"{row['delay']:.0f} s")
    text += ("\n## Order-skippers\n\nStraight to mx2 of three, mx1 healthy, observed, and visited "
             "by others. Each has an\naddress, a sender and a recipient of its own.\n\n")
    text += head("they", "skippers", "let in", "stopped")
    for row in rows:
        if "habit" in row:
            share = 100 * (1 - row["inside"] / row["skippers"])
            text += line(HABITS[row["habit"]], row["skippers"], row["inside"], f"{share:.1f} %")
    return text


def head(*titles):
    return line(*titles) + line(*("---" for _ in titles))


def line(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |\n"


def broken(rows, wanted):
    """Every broken promise as a line. wanted: {(count, scenario, sender)} and habits that must
    be there."""
    found = [f"a daemon's report: {row['report']}" for row in rows if "report" in row]
    there = {(row["count"], row["scenario"], row["sender"]) for row in rows if "scenario" in row}
    there |= {row["habit"] for row in rows if "habit" in row}
    found += [f"not measured: {one}" for one in sorted(map(str, wanted - there))]
    for row in rows:
        where = " ".join(str(row.get(key, "")) for key in ("count", "scenario", "sender"))
        for what in ("lost", "waiting", "bounced"):
            if row.get(what):
                found.append(f"{where}: {row[what]} messages {what}")
        if row.get("most", 0) > 1:
            found.append(f"{where}: {row['most']} refused attempts of one message, so "
                         + ", ".join(f"{name} at {times}" for name, times in row["twice"]))
        if row.get("habit") == "never" and row["inside"]:
            found.append(f"{row['inside']} skippers that never came back got in")
    return found
