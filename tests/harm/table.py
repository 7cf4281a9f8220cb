"""The page doc/harm.md out of the books, and what in them breaks the promise."""
from mxsite import GREYLIST, INTERVAL, SHORTENED, YIELD_AFTER
from scenarios import CONTROLS, GUARDED, SCENARIOS
from senders import SENDERS

# Seconds that a delay may be longer than the sender's own longest interval in the control: the logs
# tell whole seconds, and the way to a silent mx1 takes one or two.
SLACK = 3
HABITS = {"never": "never come back", "at-once": "come back at once",
          "named": "the same, by a verified name of their own",
          "later": "come back after the yield", "touch": "connect to mx1 for a moment first",
          "next": "go on to mx3 when mx2 has refused",
          "tuple": "copy the HELO domain, sender and recipient of one who was at mx1"}
PAGE = """# What the guard costs honest senders, and others

This page is written by `make harm`, whole. Real Postfix, Exim, OpenSMTPD and Sendmail send {sent}
messages each to a site of two and to a site of three MX hosts, which run Postfix, mxwardend and
mxwarden-milter in mode `defer` with one Redis, all in private network namespaces. The books are
kept from the logs and queues of the mail servers; mxwarden is not asked.

Time is shortened to a thirtieth: senders retry after {interval} s (stock Postfix: 300 s), and the
guard has `yield_after = {yield_after}s`, `hold_down = 10s`, `grace = 30s` (240 s, 5 min, 15 min).
Who greylists does so for {greylist} s. Connections that nobody answers are given up after a second
(30 s). Health is probed every second, `fall = 3`. A client network is a
/29 or a /64. In every scenario every sender comes from addresses that the site does not know yet.

A sender has one address of each family, and says in HELO the name that the DNS has for both. Where
it has 20 addresses, all IPv4, each has a name of its own, and HELO says another one. Nameless ones
say a name that exists, and the DNS has none for their addresses.

All are as Debian ships them, but for this:

- Postfix: `queue_run_delay`, `minimal_backoff_time` {interval} s: a retry comes after one or two
  intervals, as in life.
- Exim: `F,1h,{interval}s` and a queue run every {interval} s.
- Sendmail: a queue run every {interval} s, `-q{interval}s`, which takes every message, however lately
  it was tried (no `MinQueueAge`, as is its default).
- OpenSMTPD has no key for its intervals (400 s and growing): its clock runs {shortened} times as fast
  (libfaketime), so that the first retry comes after 13 s. Where mx1 is silent for the others, it is
  told at once that there is no way. For while one address of mx1 has not timed out it uses no worse
  host, and with two that never answer this is most of the time: with the guard off, too, it had half
  of its messages left when the others had long been done (measured by hand).

**At a backup** counts messages that a backup took; where it and **refused** are 0, the sender never
came to a backup and the row says nothing of the guard. **Refused** counts messages that mxwarden
refused at a backup at all, **attempts** the delivery attempts in which that happened, and **most**
the worst message's: the promise is one. Refusals of a message less than half an interval apart count
as one attempt, unless the same client address met the same host again.

**Delay** is the longest time from a message's first refusal to its acceptance. **Own** is the longest
time that this sender by itself let pass between two attempts, measured in the same shape (one
address, mx1 silent; or 20 addresses, mx1 unreachable) with the guard off and the backups greylisting,
in the last table. The promise is that a delay is at most that; {slack} s more are allowed, for the
logs tell whole seconds, and the way to a silent mx1 takes one or two. **Slowest** is the longest time
from a message's handing over to its sender until an MX host took it, and **off** the same without the
guard, where that was measured.

`make harm` fails when a message is lost, bounced or left waiting, when one meets a second refusal, or
when a delay is too long. One kind of row is measured and not held to the last two: **a stock Sendmail
without a name in the DNS**. Its queue run may take a message moments after the first refusal, when a
stranger has yet to wait for `yield_after`; plain greylisting refuses it twice just so. Behind its own
name it is let in by the first queue run.

With three MX hosts a sender that goes on to mx3 after mx2's refusal is let in there at once, because
it has been at a better host. A sender by its own name is let in at once at the next address of mx2.
"""


def write(rows):
    """The page. rows: what tests/harm/run and tests/harm/skippers printed."""
    books = {(row["count"], row["scenario"], row["sender"]): row for row in rows
             if "scenario" in row}
    text = PAGE.format(sent=max((row["sent"] for row in books.values()), default=0),
                       interval=INTERVAL, yield_after=YIELD_AFTER, greylist=GREYLIST,
                       shortened=SHORTENED, slack=SLACK)
    for count, word in ((2, "Two"), (3, "Three")):
        text += f"\n## {word} MX hosts\n\n" + head(
            "scenario", "sender", "sent", "delivered", "lost", "bounced", "at a backup", "refused",
            "attempts", "most", "delay", "own", "slowest", "off")
        for scenario, row in chosen(books, count, GUARDED):
            own = own_interval(books, scenario, row) if row["refused"] else None
            off = books.get((count, scenario.off, row["sender"]))
            text += line(scenario.title, SENDERS[row["sender"]].title, *counts(row),
                         seconds(row["delay"]), seconds(own), seconds(row["slowest"]),
                         seconds(off and off["slowest"]))
        text += f"\n{word} MX hosts, the guard off:\n\n" + head(
            "scenario", "sender", "sent", "delivered", "lost", "bounced", "at a backup", "refused",
            "attempts", "most", "delay", "longest interval", "slowest")
        for scenario, row in chosen(books, count, CONTROLS):
            text += line(scenario.title, SENDERS[row["sender"]].title, *counts(row),
                         seconds(row["delay"]), seconds(row["gap"]), seconds(row["slowest"]))
    text += ("\n## Order-skippers\n\nStraight to mx2 of three, mx1 healthy, observed, and visited "
             "by others. Each has an\naddress, a sender and a recipient of its own.\n\n")
    text += head("they", "skippers", "let in", "stopped")
    for row in rows:
        if "habit" in row:
            share = 100 * (1 - row["inside"] / row["skippers"])
            text += line(HABITS[row["habit"]], row["skippers"], row["inside"], f"{share:.1f} %")
    return text


def chosen(books, count, scenarios):
    """(scenario, row) of these, in their order."""
    return [(scenario, books[count, scenario.name, sender]) for scenario in scenarios
            for sender in SENDERS if (count, scenario.name, sender) in books]


def own_interval(books, scenario, row):
    """The longest that the sender showed by itself; None where it was not measured."""
    control = books.get((row["count"], scenario.shape(), row["sender"]))
    return control["gap"] if control and control["refused"] else None


def counts(row):
    return [row[key] for key in ("sent", "delivered", "lost", "bounced", "backups", "refused",
                                 "attempts", "most")]


def seconds(value):
    return "" if value is None else f"{value:.0f} s"


def head(*titles):
    return line(*titles) + line(*("---" for _ in titles))


def line(*cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |\n"


def broken(rows, wanted):
    """Every broken promise as a line. wanted: {(count, scenario, sender)} and habits that must
    be there."""
    found = [f"a daemon's report: {row['report']}" for row in rows if "report" in row]
    books = {(row["count"], row["scenario"], row["sender"]): row for row in rows
             if "scenario" in row}
    there = set(books) | {row["habit"] for row in rows if "habit" in row}
    found += [f"not measured: {one}" for one in sorted(map(str, wanted - there))]
    scenarios = {one.name: one for one in SCENARIOS}
    for (count, name, sender), row in books.items():
        for what in ("lost", "waiting", "bounced"):
            if row[what]:
                found.append(f"{count} {name} {sender}: {row[what]} messages {what}")
        if not scenarios[name].like and scenarios[name].has_promise(sender):
            found += [f"{count} {name} {sender}: {one}"
                      for one in harmed(row, own_interval(books, scenarios[name], row))]
    found += [f"{row['inside']} skippers that never came back got in" for row in rows
              if row.get("habit") == "never" and row["inside"]]
    return found


def harmed(row, own):
    """What the guard did to the worst message that it should not have done."""
    if row["most"] > 1:
        yield f"{row['most']} refused attempts of one message, so " + ", ".join(
            f"{name} at {times}" for name, times in row["twice"])
    if row["refused"] and own is None:
        yield "no control tells how long its own interval is"
    elif row["refused"] and row["delay"] > own + SLACK:
        yield f"a delay of {row['delay']:.0f} s, and its own interval is {own:.0f} s"
