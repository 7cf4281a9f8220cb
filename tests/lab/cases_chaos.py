"""The share of `make chaos` that every run of the tests has: three faults, a thousand messages, fifty
changes by hand; the same limits."""
import pathlib
import sys

import cases_sentinel
from cases import case
from waiting import check

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "chaos"))
import figures  # noqa: E402
import lab  # noqa: E402
import nodes  # noqa: E402

conf = lab.conf
MESSAGES, RATE, INTERVAL, CHANGES, NODES = 1000, 50, 4, 50, 4


@case("a failover, a killed and a full master under mail; changes by hand", guard=False)
def share(world):
    three = cases_sentinel.sentinels()
    world.wait_observed()
    more = nodes.more(NODES, world.warden1.bin, lab.conf(None))
    took = nodes.changes([*world.wardens, *more], three.wait_master(), CHANGES)
    for one in more:
        one.stop("mxwardend")
    wanted = {"messages": MESSAGES, "faults": ["failover", "kill", "flood"], "changes": CHANGES,
              "interval": INTERVAL}
    run = lab.Chaos(world, three).run(MESSAGES, RATE, wanted["faults"], INTERVAL)
    found = figures.broken({**run, "changes": took, "nodes": 2 + NODES}, wanted)
    check(not found, "; ".join(found))
