"""doc/capacity.md from what was measured."""
import re

import measure

# Of a hundred messages of a site that is well: an assumption, and said so on the page.
MIX = {"at a preferred host": 70, "backup, seen at a preferred host": 12,
       "backup, learned, at that node": 6, "backup, learned, at another node": 6,
       "backup, refused for the first time": 5, "backup, the retry that is let in": 1}
RATES = (1000, 100000)
# A Redis is planned to be busy for so much of one processor, so that a burst finds room.
BUSY = 0.6
DAY = 86400

PAGE = """# What a site needs of Redis

Written by `make sim`; not by hand. {nodes} real mxwardend processes shared one real Redis {version},
half of them preferred hosts of a domain, half its backups, which probed every preferred address every
{interval} seconds and judged messages through their policy sockets. Redis itself counted commands, bytes and
processor time ({processor}); what an idle site costs in the same time is taken off. Round trips are
watched by `make check`: an accepting decision of a running site waits for at most one.


## Idle

| nodes | commands a second | in, kB/s | out, kB/s | processor |
|---|---|---|---|---|
{idle}

Every node reads the heartbeat of every other one, each backup writes what it finds of each preferred
host, and every such write is told to all nodes: that grows with the square of the nodes. With the default
`health.interval` of 5 seconds the part of the probes is {times:.0f} times as large.


## A message

A message is its connect and one recipient. Its client is known by nothing but what the row says.
With {nodes} nodes, {better} of them preferred:

{messages}

With {few_nodes} nodes, {few_better} of them preferred:

{few_messages}

`kept` is what the data grow by; `-` is what could not be told from the bustle of the nodes
themselves, which vary by more. A look asks for each identity of the client at each preferred address,
sixty keys a command: more preferred addresses make looks longer, hardly more.


## Two sites

For this mix of a hundred messages: {mix}. Each
is reckoned with the most that it cost at any size measured, of {sizes} nodes.

| messages a second | commands a second | in, Mbit/s | out, Mbit/s | processors | Redis servers |
|---|---|---|---|---|---|
{sites}

Redis does its commands on one processor, and is planned here to be {busy:.0%} busy. Where that is not
enough the domains are divided, and each part of the site has a Redis and nodes of its own: a visit at
a preferred host must be found where the same domain's backups look, and nowhere else.

Memory is a matter of how many different clients and recipients write within `guard.evidence_ttl`. If
no message were like another, {kept:.0f} bytes of each would stay for that time:

| messages a second | 24h (the default) | 4h | 1h |
|---|---|---|---|
{memory}

Real mail is far from that: clients come again and write the same keys. But a flood need not be, so
`maxmemory` is to have room for the flood's share; `guard.evidence_ttl` need be no longer than senders
take from one host of a domain to the next.
"""


def make(found, interval):
    """found: {nodes: (idle a second, [(kind, numbers a message)], Redis' INFO)}; interval: seconds
    between probes."""
    most, few = max(found), min(found)
    quiet, rows, info = found[most]
    # On a large site some numbers are lost in the bustle: the most of all sizes counts.
    numbers = {kind: {name: max(dict(other)[kind].get(name, 0) for _, other, _ in found.values())
                      for name in quiet} for kind in MIX}
    mixed = {name: sum(numbers[kind][name] * share for kind, share in MIX.items()) / 100
             for name in quiet}
    return PAGE.format(
        nodes=most, better=most // 2, few_nodes=few, few_better=few // 2,
        version=re.search(r"redis_version:(\S+)", info).group(1),
        sizes=", ".join(map(str, sorted(found))), interval=interval, times=interval / 5, processor=model(), busy=BUSY, kept=max(mixed["memory"], 0),
        idle="\n".join(row(nodes, f"{measure.commands(idle):,.0f}", f"{idle['bytes_in'] / 1e3:,.0f}",
                           f"{idle['bytes_out'] / 1e3:,.0f}", f"{idle['cpu']:.1%}")
                       for nodes, (idle, _, _) in sorted(found.items())),
        messages=table(rows), few_messages=table(found[few][1]),
        mix="; ".join(f"{share} {kind}" for kind, share in MIX.items()),
        sites="\n".join(need(rate, mixed, quiet) for rate in RATES),
        memory="\n".join(row(f"{rate:,}", *(size(mixed["memory"] * rate * DAY / part)
                                            for part in (1, 6, 24))) for rate in RATES))


def row(*cells):
    return "| " + " | ".join(map(str, cells)) + " |"


def table(rows):
    return "\n".join([row("", "commands", "bytes in", "bytes out", "processor, µs", "kept, bytes"),
                      "|---|---|---|---|---|---|"] +
                     [row(title, f"{measure.commands(numbers):.1f}", noisy(numbers["bytes_in"]),
                          noisy(numbers["bytes_out"]), noisy(numbers["cpu"] * 1e6),
                          noisy(numbers["memory"])) for title, numbers in rows])


def noisy(value):
    return f"{value:,.0f}" if value > 0 else "-"


def need(rate, mixed, quiet):
    processors = mixed["cpu"] * rate + quiet["cpu"]
    servers = max(1, -int(-processors / BUSY // 1))
    return row(f"{rate:,}", f"{measure.commands(mixed) * rate + measure.commands(quiet):,.0f}",
               f"{(mixed['bytes_in'] * rate + quiet['bytes_in']) * 8 / 1e6:,.0f}",
               f"{(mixed['bytes_out'] * rate + quiet['bytes_out']) * 8 / 1e6:,.0f}",
               f"{processors:.2f}", servers)


def size(count):
    return f"{count / 1e9:,.1f} GB" if count < 1e12 else f"{count / 1e12:,.1f} TB"


def model():
    """The processor's name."""
    with open("/proc/cpuinfo", encoding="utf-8") as text:
        found = re.search(r"(?m)^model name\s*:\s*(.*)$", text.read())
    return re.sub(r"\s+", " ", found.group(1)) if found else "of an unknown kind"
