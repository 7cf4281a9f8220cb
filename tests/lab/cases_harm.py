"""A stock Postfix as sender, its intervals shortened, without a name: a part of `make harm`."""
import pathlib
import sys
import time

import sitecfg
from cases import case
from smtp import send
from waiting import check, same, wait_for

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "harm"))
import ledger  # noqa: E402
from places import Place  # noqa: E402
from senders import PostfixSender  # noqa: E402

INTERVAL, MESSAGES = 3, 20
PLACE = Place("mail.postfix.example.net", [], [], "192.0.2.129", "", {}, False)


def conf(node):
    return sitecfg.guarded(node, yield_after="2s")


@case("a stock Postfix without a way to mx1, and Redis emptied: one refusal at most", guard=True)
def postfix(world):
    sender = PostfixSender(INTERVAL)
    sender.settle(PLACE, cut_off=True)
    sender.begin(PLACE)
    names = [f"harm{number}@example.com" for number in range(MESSAGES)]
    for number, name in enumerate(names):
        if number == MESSAGES // 2:
            world.redis.cli("FLUSHALL")
        reply = send(sender.host, "127.0.0.1", "127.0.0.1", name,
                     sender=f"s{number}@postfix.example.org")
        check(reply.accepted, reply)
        time.sleep(0.1)  # so that some come before Redis is emptied and some after
    books = wait_for("every message", lambda: (one := ledger.read(world.mtas, names)) and all(
        message.delivered for message in one.values()) and one, 30)
    counts = [len(message.attempts(INTERVAL)) for message in books.values()]
    sender.end()
    check(max(counts) == 1, "refused attempts by message:", counts)
    same(sender.bounced(), [], "bounced")
