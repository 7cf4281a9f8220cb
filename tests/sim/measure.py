"""What Redis does while something happens: its own counts of commands, bytes, processor time and
memory, before and after."""
import collections
import re
import time

import letters

# What an idle site costs is taken over several probes and heartbeats.
IDLE_SECONDS = 20
YIELD_SECONDS = 6  # longer than the site's yield_after
COUNTERS_SECONDS = 15
RATE = 250  # messages a second of a measurement, well within one machine's means
FIELDS = {"bytes_in": "total_net_input_bytes", "bytes_out": "total_net_output_bytes",
          "cpu": "used_cpu_(?:user|sys)", "memory": "used_memory_dataset"}


def read(site):
    """INFO as {field or command: number}, and when."""
    text = site.redis("INFO", "everything")
    known = {name: sum(map(float, re.findall(rf"(?m)^{field}:([\d.]+)", text)))
             for name, field in FIELDS.items()}
    for name, calls in re.findall(r"cmdstat_([a-z|_]+):calls=(\d+)", text):
        known["cmd " + name] = float(calls)
    return known, time.monotonic()


def between(before, after, idle=None):
    """How much more each number is; with idle (numbers a second), less what passed anyway."""
    span = after[1] - before[1]
    return {name: value - before[0].get(name, 0) - (idle.get(name, 0) * span if idle else 0)
            for name, value in after[0].items()}, span


def each(numbers, count):
    return {name: value / count for name, value in numbers.items()}


def commands(numbers):
    """Of all commands how many; what a measurement itself asks is not among them."""
    return sum(value for name, value in numbers.items()
               if name.startswith("cmd ") and name not in ("cmd info", "cmd hget"))


def idle(site, seconds=IDLE_SECONDS):
    """What nothing costs, a second."""
    before = read(site)
    time.sleep(seconds)
    numbers, span = between(before, read(site))
    return each(numbers, span)


class Kinds:
    """Messages of each kind, in the order in which they make one another possible: who was at a
    better host can be seen, who was refused can come back, who came back is learned."""

    def __init__(self, site, count):
        self.site, self.count = site, count
        self.clients = []

    def jobs(self, nodes, messages):
        return [(nodes[at % len(nodes)], message) for at, message in enumerate(messages)]

    def fresh(self):
        self.clients = [letters.Client() for _ in range(self.count)]
        return self.clients

    def rows(self):
        """(title, counter, jobs) of each kind, made when it is its turn."""
        better, backups = self.site.better, self.site.backups
        moved = backups[1:] + backups[:1]
        yield "other domains", "guard_unguarded", self.jobs(
            backups, [one.message(f"u{one.number}@elsewhere.example") for one in self.fresh()])
        yield "at a preferred host", "guard_best", self.jobs(
            better, [one.message() for one in self.fresh()])
        yield "backup, seen at a preferred host", "guard_seen", self.jobs(
            backups, [one.message() for one in self.clients])
        refused = [one.message() for one in self.fresh()]
        yield "backup, refused for the first time", "guard_bypass", self.jobs(backups, refused)
        time.sleep(YIELD_SECONDS)
        yield "backup, the retry that is let in", "guard_yielded", self.jobs(
            backups, [{**one, "instance": one["instance"] + "r"} for one in refused])
        yield "backup, learned, at that node", "guard_learned", self.jobs(
            backups, [one.message() for one in self.clients])
        yield "backup, learned, at another node", "guard_learned", self.jobs(
            moved, [one.message() for one in self.clients])


def measure(site, count, rate=RATE, idle_seconds=IDLE_SECONDS, say=lambda _: None):
    """(idle a second, [(title, numbers a message)])."""
    quiet = idle(site, idle_seconds)
    say(f"idle: {commands(quiet):.0f} commands a second")
    # Probes come in waves: they would be seen in the messages' cost. Heartbeats do not.
    site.calm("300s")
    calm = idle(site, idle_seconds)
    rows = []
    for title, counter, jobs in Kinds(site, count).rows():
        counted, before = site.counted(counter), read(site)
        actions = letters.play(jobs, rate)
        # The counters of these belong to what they cost; a busy machine is slow to send them.
        end = time.monotonic() + COUNTERS_SECONDS
        while site.counted(counter) < counted + count and time.monotonic() < end:
            time.sleep(0.5)
        numbers = each(between(before, read(site), calm)[0], count)
        came = site.counted(counter) - counted
        # A busy machine may miss the 100 ms of a look, and then accepts otherwise.
        if abs(came - count) > count / 20:
            raise RuntimeError(f"{title}: {came} of {count} were {counter}: "
                               f"{collections.Counter(actions)}")
        rows.append((title, numbers))
        say(f"{title}: {commands(numbers):.1f} commands, {numbers['cpu'] * 1e6:.0f} us")
    return quiet, rows
