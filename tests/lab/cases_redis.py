"""What stands in Redis reads like SPEC 8: names, types, fields and times to live."""
import itertools
import pathlib
import re
import time

import sitecfg
from cases import case
from redisd import Wire
from smtp import Session
from waiting import check, same, wait_for
from world import MX1, MX2

DAY = 86400
number = itertools.count(1)


def conf(node):
    return sitecfg.guarded(node)


def lifetime(world, key, least, most):
    ttl = int(world.redis.cli("TTL", key))
    check(least <= ttl <= most, f"{key}: TTL {ttl}, wanted {least}..{most}")


def fill(world):
    """One of every key: a visit, a refusal, a retry."""
    client, late = world.fresh_client(), f"late{next(number)}@example.com"
    with Session(world.net, client, MX1):
        pass
    world.send(world.fresh_client(), MX1, "fill@example.com", sender="b@example.org",
               helo="mail.example.org")
    other, who = world.fresh_client(), {"sender": "late@example.org", "helo": "h.example.org"}
    check(world.send(other, MX2, late, **who).code == 451, "no refusal")
    wait_for("the retry", lambda: world.send(other, MX2, late, **who).accepted, 5)
    return client, other


@case("mx: the ordering as a hash", guard=True)
def ordering(world):
    known = wait_for("the ordering", lambda: world.redis.hash("mxw1:mx:example.com"))
    same(known["order"], "10 mx1.example.com,20 mx2.example.com")
    same(known["state"], "ok")
    check(set(known) >= {"order", "ttl", "fetched", "expires", "changed", "state"}, known)
    same(int(known["expires"]) - int(known["fetched"]), int(known["ttl"]), known)
    check(abs(int(known["fetched"]) - time.time()) < 3600, known)
    lifetime(world, "mxw1:mx:example.com", DAY - 60, DAY + 300)


@case("addr: the addresses of a host", guard=True)
def addresses(world):
    known = wait_for("the addresses", lambda: world.redis.hash("mxw1:addr:mx1.example.com"))
    check("192.0.2.10" in known["a"] and "2001:db8::10" in known["aaaa"], known)
    same(known["state"], "ok")
    lifetime(world, "mxw1:addr:mx1.example.com", DAY - 60, DAY + 300)


@case("seen: listener, then identity; time and stage", guard=True)
def seen(world):
    client, _ = fill(world)
    keys = wait_for("the visit", lambda: world.redis.scan(f"mxw1:seen:*:\\[{client}\\]"))
    same(keys, [f"mxw1:seen:[192.0.2.10]:[{client}]"])
    check(re.search(r"^\d{10}\b.*\bconnect\b", world.redis.cli("GET", keys[0])),
          world.redis.cli("GET", keys[0]))
    prefix, _, last = client.rpartition(".")
    net = f"{prefix}.{int(last) // 4 * 4}"
    same(world.redis.cli("EXISTS", f"mxw1:seen:[192.0.2.10]:[{net}/30]"), "1")
    lifetime(world, keys[0], DAY - 60, DAY)
    check(world.redis.scan("mxw1:seen:\\[192.0.2.10\\]:#*"), "no tuple")
    # The site's own probes are not visitors, once its nodes have heard of each other.
    world.redis.cli("DEL", "mxw1:seen:[192.0.2.10]:[192.0.2.20]")
    proofs = set(world.redis.scan("mxw1:proof:*"))
    wait_for("probes", lambda: len(set(world.redis.scan("mxw1:proof:*")) - proofs) > 4)
    same(world.redis.scan("mxw1:seen:*:\\[192.0.2.20\\]"), [])


@case("defer and ok: the refusal and what the retry taught", guard=True)
def refusals(world):
    _, other = fill(world)
    keys = world.redis.scan("mxw1:defer:#*")
    check(keys, "no defer key")
    for key in keys:
        check(re.fullmatch(r"mxw1:defer:#[0-9A-Za-z_-]+", key), key)
        check(abs(int(world.redis.cli("GET", key)) - time.time()) < 600, key)
        lifetime(world, key, DAY - 600, DAY)
    key = f"mxw1:ok:example.com:[{other}]"
    wait_for(key, lambda: world.redis.cli("EXISTS", key) == "1")
    lifetime(world, key, 35 * DAY - 60, 35 * DAY)


@case("dry keys: what detect saw is kept apart", guard=True)
def dry(world):
    client = world.fresh_client()
    world.send(client, MX2, "dry@detect.example.com")
    wait_for("a dry refusal", lambda: world.redis.scan("mxw1:dry:defer:#*"))


@case("health: a field a node", guard=True)
def health(world):
    key = "mxw1:health:gw1.example.net:25"
    known = wait_for("both nodes", lambda: (found := world.redis.hash(key)).keys() >= {
        "mx1.example.com", "mx2.example.com"} and found, 5)
    for value in known.values():
        state, streak, since, at, ms = value.split(",")
        same(state, "up")
        check(int(streak) >= 1 and int(since) <= int(at) and int(ms) >= 0, value)
    lifetime(world, key, 1, 60)


@case("node and epoch: who lives, and since when the memory does", guard=True)
def nodes(world):
    for name, address in (("mx1.example.com", "192.0.2.10"), ("mx2.example.com", "192.0.2.20")):
        known = wait_for(name, lambda: world.redis.hash(f"mxw1:node:{name}"))
        check(set(known) >= {"version", "since", "listeners"}, known)
        wait_for(f"{address} among the listeners of {name}", lambda: address in world.redis.hash(
            f"mxw1:node:{name}")["listeners"], 5)
        lifetime(world, f"mxw1:node:{name}", 1, 15)
    epoch = world.redis.hash("mxw1:epoch")
    check(set(epoch) >= {"id", "since"}, epoch)
    run_id = next(line.partition(":")[2].strip() for line in world.redis.lines("INFO", "server")
                  if line.startswith("run_id:"))
    check(run_id in epoch.values(), epoch)
    lifetime(world, "mxw1:epoch", -1, -1)


@case("stat: counters of the node and of the day", guard=True)
def counters(world):
    fill(world)
    today = time.strftime("%Y%m%d", time.gmtime())
    key = "mxw1:stat:mx2.example.com"
    known = wait_for("counters", lambda: (found := world.redis.hash(key)).keys() >= {
        "mx_hits", "guard_bypass", "guard_yielded"} and found, 6)
    check(all(re.fullmatch(r"[a-z0-9_]+", name) for name in known), known)
    before = int(known["guard_bypass"])
    world.send(world.fresh_client(), MX2, "count@example.com")
    wait_for("more", lambda: int(world.redis.hash(key)["guard_bypass"]) > before, 6)
    lifetime(world, key, -1, -1)
    lifetime(world, f"{key}:{today}", 34 * DAY, 35 * DAY)


@case("proof: what a probe reached, for a minute", guard=True)
def proof(world):
    keys = wait_for("a proof", lambda: world.redis.scan("mxw1:proof:*"), 5)
    # The youngest: the oldest may be in its last half second, which TTL calls 0.
    key = max(keys, key=lambda one: int(world.redis.cli("TTL", one)))
    check(re.fullmatch(r"mxw1:proof:[0-9a-f]+", key), key)
    lifetime(world, key, 1, 60)


@case("every key has the lifetime that the table says", guard=True)
def lifetimes(world):
    fill(world)
    wire = Wire(world.redis)
    for key in world.redis.scan("mxw1:*"):
        forever = re.match(r"mxw1:(override:|stat:[^:]+$|epoch$|events$)", key)
        ttl = int(wire.say("TTL", key).removeprefix(":"))
        check(ttl == -2 or (ttl == -1) == bool(forever), f"{key}: TTL {ttl}")
    wire.close()
    same(world.redis.scan("[^m]*"), [], "keys without the prefix")


@case("DEL of an ordering reaches every node within a second", guard=True)
def deleted(world):
    def changed():
        return "15 mx1.example.com" in str(world.redis.hash("mxw1:mx:example.com"))

    zone = world.dns.zones["example.com"]
    try:
        world.dns.change("example.com", zone.replace("@ MX 10 mx1", "@ MX 15 mx1"))
        world.redis.cli("DEL", "mxw1:mx:example.com")
        began = time.monotonic()
        wait_for("mx2's new ordering", lambda: 15 in [
            one["preference"] for one in world.warden2.ask("mx", domain="example.com")["order"]], 5)
        check(time.monotonic() - began < 1, "took longer than a second")
        check(changed(), world.redis.hash("mxw1:mx:example.com"))
    finally:
        world.dns.change("example.com", zone)
        world.redis.cli("DEL", "mxw1:mx:example.com")


@case("an emptied Redis holds the orderings again", guard=True)
def emptied(world):
    world.redis.kill()
    world.redis.start()
    wait_for("the ordering", lambda: world.redis.hash("mxw1:mx:example.com").get("state") == "ok")
    wait_for("the addresses", lambda: "192.0.2.10" in world.redis.hash(
        "mxw1:addr:mx1.example.com").get("a", ""))


@case("the rights that the manual gives are enough for every command in the sources")
def rights(world):
    root = pathlib.Path(__file__).resolve().parents[2]
    lines = {line.strip() for page in ("README.md", "doc/mxwarden.conf.5")
             for line in (root / page).read_text().splitlines()
             if line.strip().startswith("user mxwarden on") and "~mxw1:*" in line}
    same(len(lines), 1, "README and manual differ")
    granted = {word[1:].partition("|")[0] for word in lines.pop().split() if word[0] == "+"}
    commands = set(world.redis.lines("COMMAND", "LIST"))
    # What the sources say to other servers: Sentinels, MX hosts.
    elsewhere = {"ping", "quit", "sentinel"}
    said = {word.lower() for folder in ("cache", "policy") for file in (root / folder).glob("*.c")
            for word in re.findall(r'"([A-Z]{3,})"', file.read_text())}
    same(sorted((said & commands) - elsewhere - granted), [], "not granted")
    same(sorted(granted - said), [], "granted, and never said")
    same(world.redis.refusals(), [], "refused so far")
