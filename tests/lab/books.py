"""The books: what was sent, and where it is now, by the MTAs' logs and queues and by the sinks.

A message counts as sent when its sender got 250 after the data: from then on it is the site's, and
must be delivered or still be queued. mxwarden's own counters are never asked.
"""
import itertools
import threading
import time

from smtp import send
from waiting import Failure, check, wait_for


class Stream:
    """An honest sender in the background: a message every so often, each to the MX hosts in
    order, retried until somebody takes it."""

    def __init__(self, world, targets, recipients, source=None, pause=0.02):
        self.world, self.targets = world, targets
        self.source = source or world.fresh_client()
        self.recipients = itertools.cycle(recipients)
        self.pause = pause
        self.sent, self.waiting, self.replies = [], [], []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.go, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join(60)

    def go(self):
        while not self.stopped.is_set():
            self.offer(next(self.recipients))
            time.sleep(self.pause)

    def offer(self, recipient):
        """Tries the hosts in order, as a sending MTA does in one delivery attempt."""
        for target in self.targets:
            reply = send(self.world.net, self.source, target, recipient)
            self.replies.append((time.monotonic(), target, reply))
            if reply.accepted:
                self.sent.append(reply.message)
                return True
        self.waiting.append(recipient)
        return False

    def retry(self):
        """What every sender does later: what was not taken is offered again."""
        left, self.waiting = self.waiting, []
        for recipient in left:
            wait_for(f"a retry to {recipient} taken", lambda to=recipient: self.offer(to), 20)
        self.waiting.clear()


def balance(world, sent, timeout=30):
    """sent = delivered + still queued, and nothing bounced; after flushing, all is delivered."""
    check(sent, "the books are empty: nothing was sent")
    missing = set(sent)

    def found():
        # A message may be on its way from one queue to the next between two looks: not yet lost.
        missing.difference_update(delivered(world), queued(world))
        return not missing

    try:
        wait_for("every message", found, 5)
    except Failure:
        raise Failure(f"lost {len(missing)} of {len(sent)}: {sorted(missing)[:5]}") from None
    no_bounce(world)
    for mta in world.mtas:
        mta.flush()
    wait_for(f"{len(sent)} messages delivered", lambda: set(sent) <= delivered(world), timeout)
    no_bounce(world)


def delivered(world):
    return {one["id"] for sink in world.sinks.values() for one in list(sink.messages)}


def queued(world):
    return {entry["sender"].partition("@")[0] for mta in world.mtas for entry in mta.queue()}


def no_bounce(world):
    for mta in world.mtas:
        bounced = [line for line in mta.log_text().splitlines() if "status=bounced" in line]
        check(not bounced, "bounced:", *bounced[:3])
    for sink in world.sinks.values():
        bounces = [one for one in list(sink.messages) if one["sender"] == ""]
        check(not bounces, "a bounce arrived:", bounces[:1])
