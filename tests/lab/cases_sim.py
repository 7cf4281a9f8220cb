"""A share of the simulation (tests/sim): four nodes on one Redis. What a decision asks of Redis is
bounded in commands and, what a mail server feels, in round trips.

The way to Redis is made long, and every kind of message is timed several times; the shortest time
counts, which a busy machine cannot make too short."""
import asyncio
import contextlib
import pathlib
import sys
import time

import sitecfg
from cases import case
from waiting import check, wait_for

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "sim"))
import delay  # noqa: E402
import island  # noqa: E402
import measure  # noqa: E402
import letters  # noqa: E402

PORT = 6400
LONG = 0.04  # seconds
MESSAGES = 6
# Redis commands of a message (its connect and its one recipient), and round trips before the answer.
# Evidence is three keys at connect and four at RCPT; a look is one MGET, which a retry is found
# by, too; a refusal is kept under four digests, each a SET and a GET, after two looks.
LIMITS = {
    "other domains": (7, 0),
    "at a preferred host": (7, 0),
    "backup, seen at a preferred host": (8, 1),
    "backup, refused for the first time": (17, None),
    "backup, the retry that is let in": (12, 1),
    "backup, learned, at that node": (8, 0),
    "backup, learned, at another node": (10, 1),
}


def conf(node):
    return sitecfg.guarded(node)


@contextlib.contextmanager
def four_nodes(world):
    """Probes, once they have proven what is to be proven, are so rare that what Redis does is the
    messages' doing alone."""
    place = island.Island("sim")
    site = island.Site(place, world.warden1.bin, 4, interval="1s", patience="500ms",
                       redis_of=lambda _: f"redis://127.0.0.1:{PORT}")
    way = delay.Delay(place, PORT, site.socket)
    try:
        site.start()
        site.calm("60s")
        yield site, way
    finally:
        site.stop()
        way.close()


def timed(jobs):
    """The shortest time from a question at RCPT to its answer, one message after the other."""
    async def play():
        shortest = 60.0
        for node, message in jobs:
            conversation = letters.Conversation(node)
            await conversation.ask("CONNECT", {**message, "sender": "", "recipient": ""})
            await asyncio.sleep(2 * LONG)  # the evidence is written
            began = time.monotonic()
            await conversation.ask("RCPT", message)
            shortest = min(shortest, time.monotonic() - began)
            conversation.close()
        return shortest

    return asyncio.run(play())


@case("a decision: bounded in commands, and in round trips")
def bounded(world):
    def asked():
        known = measure.read(site)[0]
        return sum(known.get("cmd " + name, 0) for name in ("set", "get", "mget", "del"))

    def is_quiet():
        before = asked()
        time.sleep(0.7)
        return asked() == before

    with four_nodes(world) as (site, way):
        wait_for("the probes under way", is_quiet)
        trouble = []
        for title, counter, jobs in measure.Kinds(site, MESSAGES).rows():
            before, counted = asked(), site.counted(counter)
            way.seconds = LONG
            trips = int(timed(jobs) / LONG)
            way.seconds = 0.0
            wait_for(f"{title}, counted as {counter}",
                     lambda: site.counted(counter) == counted + MESSAGES, 5)
            commands, (most, trips_most) = (asked() - before) / MESSAGES, LIMITS[title]
            # Two commands: what the daemons ask for themselves, most of it as they begin.
            if commands > most + 2 or (trips_most is not None and trips > trips_most):
                trouble.append(f"{title}: {commands:.1f} commands, {trips} round trips")
        check(not trouble, "; ".join(trouble))
