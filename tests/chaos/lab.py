"""The chaos lab as a whole: two MX hosts with real Postfix and mxwarden, three Redis and Sentinels,
mail that flows, and faults. Returns figures; figures.py says which of them break the promise."""
import collections
import itertools
import pathlib
import re
import signal
import time

import nodes
import sitecfg
import trio
from faults import FAULTS, after
from traffic import Traffic
from waiting import wait_for
from world import MX2

HERE = pathlib.Path(__file__).resolve().parent
CONF = """
guard {
    mode = "defer" evidence_net = "32,128" yield_after = 2s grace = 4s hold_down = 0
}
domain "example.com" {}
domain "tag.example.com" { route = "pool gateways" }
pool "gateways" {
    tier "10" { host "gw1.example.net:25" { } host "gw2.example.net:25" { } }
}
"""


def conf(_):
    """Of every node: it has no name in it."""
    return "\n".join([sitecfg.DNS, trio.cache(), sitecfg.HEALTH, CONF])


class Strangers:
    """Clients that skip mx1, one every second: between the faults the guard refuses them."""

    def __init__(self, world):
        self.world, self.codes = world, collections.Counter()
        self.addresses = (f"203.0.113.{last}" for last in itertools.cycle(range(1, 255)))

    def visit(self):
        """Whether it was refused."""
        reply = self.world.send(next(self.addresses), MX2, "stranger@example.com")
        self.codes[reply.code] += 1
        return reply.code == 451

    def wait_refused(self):
        wait_for("a stranger refused", self.visit, 30)


class Chaos:
    """world: the lab's, healed with conf above; three: its Redis and Sentinels, running."""

    def __init__(self, world, three):
        self.world, self.three = world, three
        self.begin = {one.name: len(one.log_text()) for one in world.wardens}
        self.probe_file = world.hosts["net"].folder / f"probe-{time.monotonic_ns()}"
        self.normal, self.refusals = [], []

    def run(self, messages, rate, faults, interval):
        """faults: names out of FAULTS, in order; interval: seconds from one to the next at least."""
        probe_host = self.world.hosts["net"]
        probe = probe_host.start(HERE / "probe", self.probe_file,
                                 self.world.warden2.folder / "socketmap.sock")
        traffic, strangers = Traffic(self.world, messages, rate), Strangers(self.world)
        nodes.time_to_normal(self.world.wardens, self.world.warden2, self.three.wait_master(),
                             time.monotonic())
        strangers.wait_refused()
        traffic.start()
        began = time.monotonic()
        try:
            for name in faults:
                due = time.monotonic() + interval
                self.suffer(name)
                while time.monotonic() < due:
                    strangers.visit()
                    time.sleep(1)
            traffic.join()
            strangers.wait_refused()  # after all of it the guard judges as before
        finally:
            probe.send_signal(signal.SIGTERM)
            probe.wait(10)
        took = time.monotonic() - began
        lost, bounced = traffic.balance()
        return {"seconds": took, "sent": len(traffic.sent), "lost": lost, "bounced": bounced,
                "batches_refused": traffic.refused, "strangers": dict(strangers.codes),
                "normal": self.normal, "acl": self.refusals, **self.decisions(), **self.waits()}

    def suffer(self, name):
        master, since = FAULTS[name](self.three)
        took = nodes.time_to_normal(self.world.wardens, self.world.warden2, master, since)
        self.normal.append((name, took))
        print(f"# {len(self.normal)} {FAULTS[name].title}: normal after {took:.2f} s", flush=True)
        for one in self.three.redis:
            self.refusals += one.refusals()
        after(self.three)

    def decisions(self):
        """Out of the daemons' own log lines: milliseconds of each, by what was decided."""
        accepted, others, reasons = [], [], collections.Counter()
        for one in self.world.wardens:
            text = one.log_text()[self.begin[one.name]:]
            for verdict, reason, ms in re.findall(
                    r"guard verdict=(\S+) reason=(\S+) .* ms=([0-9.]+)", text):
                (accepted if verdict == "accept" else others).append(float(ms))
                reasons[reason] += 1
        return {"accepted_ms": accepted, "other_ms": others, "reasons": dict(reasons)}

    def waits(self):
        """What the probe saw: milliseconds by place, and the answers."""
        waits, answers = collections.defaultdict(list), collections.Counter()
        for line in self.probe_file.read_text().splitlines():
            what, seconds, answer = line.split()
            answers[f"{what} {answer}"] += 1
            if answer in ("250", "OK"):
                waits[what].append(float(seconds) * 1000)
        return {"waits": dict(waits), "answers": dict(answers)}
