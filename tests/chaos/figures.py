"""The figures of a run: the page doc/chaos.md, and what in them breaks the promise."""
from faults import FAULTS

SLOWEST_MS, ACCEPT_P99_MS, NORMAL_SECONDS, CHANGE_P99 = 4000, 150, 2.0, 1.0
PLACES = {"mx1": "RCPT at mx1, a known client", "mx2": "RCPT at mx2, a known client",
          "route": "a route over socketmap"}
PAGE = """# Mail while Redis fails

This page is written by `make chaos`. Two MX hosts with real Postfix, mxwardend and mxwarden-milter
(mode `defer`) share three Redis with three Sentinels (`sentinel://`, a user with exactly the manual's
rights), all in private network namespaces on one machine. smtp-source sends to both from four hosts
while something befalls Redis every {interval} s. The Sentinels call a Redis down after a second, and
look at each other and at the servers twice a second (in life every two and ten seconds).

- **Lost**: sent, and at the end neither delivered nor queued, by recipient, from the books of
  smtp-source, of the hosts that the mail ends at, and of Postfix; mxwarden is not asked.
- **Normal again**: from when Redis is (the Sentinels agree on a master that takes writes, the server
  runs again, the memory limit or the right password is back) until both nodes write to it, hear of a
  change by hand, and believe their memory.
- **Decisions**: `ms=` of every line that the daemons log; and what a client saw, who asked a few
  times a second all along, accepted answers only. The first refusal of a client takes a quarter of a
  second more, since the memory is asked again before it.

| | | demanded |
|---|---|---|
| messages sent | {sent} | {messages} |
| faults | {faults} | {wanted_faults} |
| lost | {lost} | 0 |
| bounced | {bounced} | 0 |
| slowest decision | {slowest:.0f} ms | {slowest_limit} ms |
| accepting decisions, p99 | {accept:.1f} ms | {accept_limit} ms |
| normal again, slowest | {normal:.2f} s | {normal_limit:.0f} s |
| a change by hand on all of {nodes} nodes, p99 of {changes} | {change:.0f} ms | {change_limit:.0f} ms |
| rights that the ACL line lacks | {acl} | 0 |

Run of {seconds:.0f} s, {rate:.0f} messages/s.

"""


def percentile(values, part):
    """0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


def summary(run, wanted):
    """wanted: messages, faults (names), changes, interval."""
    return {"interval": wanted["interval"], "messages": wanted["messages"], "sent": run["sent"],
            "faults": len(run["normal"]), "wanted_faults": len(wanted["faults"]),
            "lost": len(run["lost"]), "bounced": len(run["bounced"]),
            "slowest": max(run["accepted_ms"] + run["other_ms"], default=0.0),
            "slowest_limit": SLOWEST_MS, "accept": percentile(run["accepted_ms"], 0.99),
            "accept_limit": ACCEPT_P99_MS, "normal_limit": NORMAL_SECONDS,
            "normal": max((took for _, took in run["normal"]), default=0.0),
            "nodes": run["nodes"], "changes": len(run["changes"]),
            "change": percentile(run["changes"], 0.99) * 1000, "change_limit": CHANGE_P99 * 1000,
            "acl": len(run["acl"]), "seconds": run["seconds"],
            "rate": run["sent"] / run["seconds"]}


def table(head, rows):
    lines = [head, *rows]
    return "\n".join(["| " + " | ".join(lines[0]) + " |", "|---" * len(head) + "|",
                      *("| " + " | ".join(map(str, row)) + " |" for row in lines[1:])]) + "\n"


def write(run, wanted):
    """The page."""
    text = PAGE.format(**summary(run, wanted))
    rows = []
    for name, fault in FAULTS.items():
        took = [seconds for one, seconds in run["normal"] if one == name]
        if took:
            rows.append((fault.title, len(took), f"{percentile(took, 0.5):.2f}",
                         f"{max(took):.2f}"))
    text += "## Normal again after\n\n" + table(("fault", "times", "median s", "slowest s"), rows)
    rows = [(title, len(run["waits"].get(place, [])), *(
        f"{percentile(run['waits'].get(place, []), part):.1f}" for part in (0.5, 0.99)),
        f"{max(run['waits'].get(place, [0])):.1f}") for place, title in PLACES.items()]
    rows += [(title, len(run[name]), f"{percentile(run[name], 0.5):.1f}",
              f"{percentile(run[name], 0.99):.1f}", f"{max(run[name], default=0):.1f}")
             for name, title in (("accepted_ms", "accepting decisions, by the log"),
                                 ("other_ms", "refusing decisions, by the log"))]
    text += "\n## Waiting, in milliseconds\n\n" + table(
        ("what", "times", "median", "p99", "slowest"), rows)
    rows = sorted(run["reasons"].items(), key=lambda one: -one[1])
    text += "\n## What the guard said\n\n" + table(("reason", "times"), rows)
    return text + f"\nBatches that met a refusal and were sent again: {len(run['batches_refused'])}.\n"


def broken(run, wanted):
    """What does not hold, in words; empty when all is well."""
    one = summary(run, wanted)
    found = [f"{name}: {one[key]}, demanded {limit}" for name, key, limit in (
        ("lost", "lost", 0), ("bounced", "bounced", 0), ("rights missing", "acl", 0))
             if one[key] > limit]
    found += [f"{name}: {one[key]:.2f}, demanded {limit}" for name, key, limit in (
        ("slowest decision, ms", "slowest", SLOWEST_MS),
        ("accepting decisions, p99 ms", "accept", ACCEPT_P99_MS),
        ("normal again, s", "normal", NORMAL_SECONDS),
        ("change by hand, p99 ms", "change", CHANGE_P99 * 1000)) if one[key] > limit]
    found += [f"{name}: {one[key]} of {one[of]}" for name, key, of in (
        ("messages", "sent", "messages"), ("faults", "faults", "wanted_faults"))
              if one[key] < one[of]]
    for place, title in PLACES.items():
        waits = run["waits"].get(place, [])
        if not waits:
            found.append(f"{title}: never measured")
        elif percentile(waits, 0.99) > ACCEPT_P99_MS:
            found.append(f"{title}, p99 ms: {percentile(waits, 0.99):.1f}")
        elif max(waits) > SLOWEST_MS:
            found.append(f"{title}, slowest ms: {max(waits):.1f}")
    for answer in run["answers"]:
        if answer not in ("mx1 250", "mx2 250", "route OK"):
            found.append(f"the probe heard {answer}, {run['answers'][answer]} times")
    if one["changes"] < wanted["changes"]:
        found.append(f"changes: {one['changes']}")
    if not run["reasons"].get("bypass") or not run["reasons"].get("seen"):
        found.append("the guard never judged: " + str(run["reasons"]))
    return found
