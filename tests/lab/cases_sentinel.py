"""Redis where the Sentinels say it is, and Redis that is none to use: real ones, three of each."""
import itertools
import re
import time

import sitecfg
import trio
from cases import case
from redisd import PASSWORD, PORT
from trio import Trio
from waiting import check, same, wait_for
from world import MX2

number = itertools.count(1)
SENTINELS = []


def conf(_):
    """No observer and no grace: what mx2 says of a stranger tells whether it can use the memory."""
    return "\n".join([sitecfg.DNS, trio.cache(), sitecfg.HEALTH, sitecfg.POOL,
                      'guard { mode = "defer" require_observed = false grace = 0 hold_down = 0 }',
                      'domain "example.com" {}'])


def plain(address, port=PORT, more=""):
    """A configuration for a Redis without Sentinels."""
    return lambda node: conf(node).replace(trio.cache(),
                                           f'cache {{ redis = "redis://{address}:{port}" {more} }}')


def sentinels():
    """The three, begun by the first case that wants them; they end with the lab."""
    if not SENTINELS:
        SENTINELS.append(Trio())
        SENTINELS[0].start()
    SENTINELS[0].heal()
    return SENTINELS[0]


def judgement(warden):
    """What mx2 says of a stranger who skipped mx1: bypass while it believes its memory."""
    return warden.ask("explain", client="203.0.113.77", listener=MX2,
                      rcpt="a@example.com")["reason"]


def state(warden):
    return warden.ask("stats")["redis"]


def weight(warden):
    return warden.hosts()["gw2.example.net", 25]["weight"]


def listeners(sentinel):
    """How many nodes listen to it."""
    return sum("sub=2" in line for line in sentinel.cli("CLIENT", "LIST"))


def is_normal(world, redis):
    """Both nodes use this Redis, in both directions: what it holds counts there, and they write."""
    wanted = next(number) % 90 + 1
    redis.cli("HSET", "mxw1:override:gw2.example.net:25", "weight", wanted)
    run_id = next(line.partition(":")[2].strip() for line in redis.lines("INFO", "server")
                  if line.startswith("run_id:"))
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        if judgement(world.warden2) == "bypass" and all(
                state(one)["run_id"] == run_id and weight(one) == wanted and
                redis.cli("EXISTS", f"mxw1:node:{one.name}") == "1" for one in world.wardens):
            return True
    return False


def wait_normal(world, redis, seconds=2):
    """Within the time that the project promises, from now on: Redis is."""
    began = time.monotonic()
    wait_for("both nodes normal", lambda: is_normal(world, redis), 20)
    took = time.monotonic() - began
    check(took <= seconds, f"normal again after {took:.2f} s")


@case("both nodes find the master")
def found(world):
    three = sentinels()
    wait_normal(world, three.wait_master(), 5)
    for warden in world.wardens:
        check("sentinel answers" in warden.log_text(), "not in the log of", warden.name)
        check(re.search(r"redis connected: .*192\.0\.2\.6[123]", warden.log_text()), "where")


@case("a failover asked for")
def failover(world):
    three = sentinels()
    wait_normal(world, three.wait_master(), 5)
    new = three.failover()
    wait_normal(world, new)
    same(three.named(), new.address)


@case("the master killed")
def killed(world):
    three = sentinels()
    old = three.wait_master()
    wait_normal(world, old, 5)
    old.kill()
    wait_normal(world, three.wait_master(other_than=old))


@case("the master hangs, and comes back as if nothing were")
def hung(world):
    three = sentinels()
    old = three.wait_master()
    wait_normal(world, old, 5)
    old.freeze()
    new = three.wait_master(other_than=old)
    wait_normal(world, new)
    old.heal()  # still a master in its own eyes, and nobody goes there
    wait_normal(world, new)


@case("the Sentinel that is listened to hangs, another is killed")
def sentinel_lost(world):
    three = sentinels()
    wait_normal(world, three.wait_master(), 5)
    one = next(one for one in three.sentinels if listeners(one))
    one.freeze()
    wait_normal(world, three.failover())  # which the frozen one does not tell of
    one.heal()
    three.wait_whole()
    one = next(one for one in three.sentinels if listeners(one))
    one.kill()
    wait_normal(world, three.failover())


@case("a Sentinel that asks for a password is told it, and the manual's rights are enough")
def locked(world):
    three = sentinels()
    for one in three.sentinels:
        one.cli("ACL", "SETUSER", "mxwarden", "reset", "on", f">{PASSWORD}",
                *trio.sentinel_rights())
        one.cli("ACL", "SETUSER", "default", "-subscribe")
        one.cli("ACL", "LOG", "RESET")
        one.cli("CLIENT", "KILL", "TYPE", "pubsub")
    try:
        wait_normal(world, three.failover())
        who = [line for one in three.sentinels for line in one.cli("CLIENT", "LIST")
               if "sub=2" in line]
        same(len(who), 2, who)
        check(all("user=mxwarden" in line for line in who), who)
        same([line for one in three.sentinels for line in one.cli("ACL", "LOG")
              if line == "mxwarden"], [], "refused")
    finally:
        for one in three.sentinels:
            one.cli("ACL", "SETUSER", "default", "+subscribe")


def refused_as(world, words):
    """Both nodes say in log, stats and check why they cannot use it, and accept everybody."""
    for warden in world.wardens:
        wait_for(f"{words!r} from {warden.name}", lambda one=warden: words in state(one)["trouble"])
        check(words in warden.log_text(), "not in the log of", warden.name)
    for command in ("stats", "check"):
        said = world.warden2.cli(command).stdout
        check(words in said, said)
    wait_for("nobody judged", lambda: judgement(world.warden2) == "memory")
    reply = world.send(world.fresh_client(), MX2, "a@example.com")
    check(reply.accepted, reply)


@case("a replica is not used", conf=plain(trio.ADDRESSES[2]))
def replica(world):
    three = sentinels()
    if three.wait_master() is three.redis[2]:
        three.failover()
        three.wait_whole()
    refused_as(world, "it is a read-only replica")
    for warden in world.wardens:
        log = warden.log_text()
        last = log[log.rfind("stopping version"):]
        same(last.count("redis refuses us: it is a read-only replica"), 1, "told")


@case("a Redis Cluster is not used", conf=plain("192.0.2.60", 6390))
def cluster(world):
    redis = world.redis.host
    process = redis.start("redis-server", "--port", 6390, "--bind", "192.0.2.60", "--protected-mode",
                          "no", "--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf",
                          "--dir", redis.folder, "--save", "")
    try:
        refused_as(world, "it is a Redis Cluster")
    finally:
        process.kill()
        process.wait()
