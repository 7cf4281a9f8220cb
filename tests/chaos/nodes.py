"""Nodes and their memory: whether they are as they should be, and how soon a change by hand counts."""
import itertools
import time

from redisd import Wire
from space import Host
from waiting import wait_for
from warden import Warden
from world import MX2, together

HOST, KEY = ("gw2.example.net", 25), "mxw1:override:gw2.example.net:25"
values = itertools.cycle(range(1, 100))


def weight(warden):
    return warden.hosts()[HOST]["weight"]


def judgement(warden):
    """What mx2 says of a stranger who skipped mx1: `memory` while it cannot use Redis."""
    return warden.ask("explain", client="203.0.113.77", listener=MX2,
                      rcpt="a@example.com")["reason"]


def is_normal(wardens, judge, redis):
    """Every node reads this Redis and writes to it, and hears of what changes there."""
    wire = Wire(redis)
    try:
        if any(wire.say("EXISTS", f"mxw1:node:{one.name}") != ":1" for one in wardens) or any(
                one.ask("stats")["redis"]["trouble"] for one in wardens):
            return False
        wanted = next(values)
        wire.say("HSET", KEY, "weight", wanted)
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            if all(weight(one) == wanted for one in wardens):
                return judgement(judge) != "memory"
        return False
    finally:
        wire.close()


def time_to_normal(wardens, judge, redis, since):
    wait_for("every node normal", lambda: is_normal(wardens, judge, redis), 30)
    return time.monotonic() - since


def more(count, bin_folder, text):
    """Nodes besides the MX hosts: daemons on hosts of their own, without mail."""
    made = []
    for number in range(1, count + 1):
        host = Host(f"n{number}", f"192.0.2.{120 + number}")
        warden = Warden(host, f"n{number}.example.com", bin_folder)
        warden.configure(text)
        made.append(warden)
    together([lambda one=one: one.start("mxwardend") for one in made])
    return made


def changes(wardens, redis, count):
    """By hand in Redis, and the seconds until the last of the nodes goes by it; one a change."""
    wire, took = Wire(redis), []
    for _ in range(count):
        wanted = next(values)
        wire.say("HSET", KEY, "weight", wanted)
        began = time.monotonic()
        left = list(wardens)
        while left and time.monotonic() < began + 10:
            left = [one for one in left if weight(one) != wanted]
        took.append(time.monotonic() - began)
    wire.say("DEL", KEY)
    wire.close()
    return took
