"""The mail of the chaos lab: smtp-source on hosts of its own, and the books of what it sent.

Every message has a recipient of its own. Three senders of four try mx1 first and then go to mx2 with
the next batch, as real ones do; what a host did not take is sent again, as real ones do too. A message
counts as sent when smtp-source has said that all of its batch were taken.
"""
import itertools
import re
import threading
import time

import space
from waiting import wait_for
from world import MX1, MX2

BATCH, SESSIONS = 10, 2
DOMAINS = ("example.com", "tag.example.com")
RETRY_SECONDS = 3


class Sender:
    """Batches at a steady pace, each to the next of its targets."""

    def __init__(self, name, address, targets, rate, books):
        self.host = space.Host(name, address)
        self.name, self.targets, self.books = name, itertools.cycle(targets), books
        self.interval = BATCH / rate
        self.thread = threading.Thread(target=self.go, daemon=True)
        self.numbers = itertools.count()

    def go(self):
        due = time.monotonic()
        while self.books.take():
            self.batch(next(self.numbers), next(self.targets))
            due = max(due + self.interval, time.monotonic() - 5 * self.interval)
            time.sleep(max(0, due - time.monotonic()))

    def batch(self, number, target):
        """Until all of it is taken. Numbers stand before the name: 1s1b7@example.com, 2s1b7@…"""
        domain = DOMAINS[number % len(DOMAINS)]
        name = f"{self.name}b{number}@{domain}"
        words = ("smtp-source", "-N", "-m", BATCH, "-s", SESSIONS, "-l", 600, "-M",
                 f"{self.name}.example.net", "-f", f"{self.name}@sender.example.net", "-t", name,
                 f"{target}:25")
        while True:
            done = self.host.run(*map(str, words))
            if done.returncode == 0:
                break
            self.books.refused.append((time.monotonic(), target, done.stderr.strip()[-200:]))
            time.sleep(RETRY_SECONDS)
        self.books.sent.update(f"{one}{name}" for one in range(1, BATCH + 1))


class Traffic:
    def __init__(self, world, messages, rate):
        self.world, self.left = world, messages // BATCH
        self.lock = threading.Lock()
        self.sent, self.refused = set(), []
        self.senders = [
            Sender("s1", "192.0.2.101", (MX1, MX2), rate / 4, self),
            Sender("s2", "192.0.2.105", (MX1, MX2), rate / 4, self),
            Sender("s3", "192.0.2.109", (MX1, MX2), rate / 4, self),
            Sender("s4", "192.0.2.113", (MX1,), rate / 4, self)]

    def take(self):
        """Whether one more batch is wanted."""
        with self.lock:
            self.left -= 1
            return self.left >= 0

    def start(self):
        for one in self.senders:
            one.thread.start()

    def join(self, timeout=900):
        for one in self.senders:
            one.thread.join(timeout)

    def delivered(self):
        return {name for sink in self.world.sinks.values() for name in sink.recipients()}

    def queued(self):
        return {one["address"] for mta in self.world.mtas for entry in mta.queue()
                for one in entry["recipients"]}

    def balance(self, timeout=120):
        """(lost, bounced): what was sent and is neither delivered nor queued; what came back."""
        for mta in self.world.mtas:
            mta.flush()
        try:
            wait_for("every message delivered", lambda: self.sent <= self.delivered(), timeout)
        except Exception:
            pass  # the books below say what is missing
        lost = self.sent - self.delivered() - self.queued()
        bounced = [line for mta in self.world.mtas
                   for line in re.findall(r".*status=bounced.*", mta.log_text())]
        bounced += [one["id"] for sink in self.world.sinks.values()
                    for one in list(sink.messages) if one["sender"] == ""]
        return sorted(lost), bounced
