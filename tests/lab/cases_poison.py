"""A real Redis full of lies: keys of each kind become another type, giants, rubbish, or say what is
not so, again and again. No route changes but as an administrator may change it, nobody is refused
twice, nothing dies; and when the lies are gone all is as before."""
import itertools
import shutil
import time

import sitecfg
from cases import case
from cases_guard import visit
from cases_redis import fill
from redisd import Wire
from socketmap import ask
from space import LAB, write
from waiting import check, same, wait_for
from world import MX2

SECRET = LAB / "cache-secret"
GATEWAYS = ("OK smtp:[gw1.", "OK smtp:[gw2.", "OK smtp:[backup.")
GIANT = "a" * 100000
FAR = 99999999999
NOW = int(time.time())
# What each kind of key is made, in Redis's words; % is each key of the kind.
ANY = {"a list": (("DEL", "%"), ("RPUSH", "%", "x")),
       "a string": (("SET", "%", "nonsense"),),
       "a giant": (("SET", "%", GIANT),),
       "a hash of giants": (("DEL", "%"), ("HSET", "%", "a", GIANT, "order", GIANT, "state", GIANT))}
FORGED = ("HSET", "%", "order", "5 gw1.example.net", "state", "ok", "ttl", 3600, "fetched", NOW,
          "expires", NOW + 3600, "changed", NOW)
LIES = {
    "mx": {"forged": (FORGED,), "of the future": (("HSET", "%", "fetched", FAR, "expires", FAR),),
           "no mail": (("HSET", "%", "state", "null", "order", "", "expires", NOW + 3600),)},
    "addr": {"forged": (("HSET", "%", "a", "192.0.2.66", "aaaa", "", "state", "ok",
                         "expires", NOW + 3600),),
             "none": (("HSET", "%", "state", "nxdomain", "expires", NOW + 3600),)},
    "seen": {"of the future": (("SET", "%", f"{FAR} quit"),)},
    "proof": {"forged": (("SET", "%", "192.0.2.66"),)},
    "defer": {"of the future": (("SET", "%", FAR),)},
    "ok": {"of the future": (("SET", "%", FAR),)},
    "health": {"all down": (("HSET", "%", "evil", f"down,9,1,{FAR},1", "mx1.example.com",
                             f"down,9,1,{FAR},1", "mx2.example.com", f"down,9,1,{FAR},1"),)},
    "override": {"all drained": tuple(
        ("HSET", f"mxw1:override:{host}", "state", "drain", "weight", 0) for host in
        ("gw1.example.net:25", "gw2.example.net:25", "backup.example.net:2525"))},
    "node": {"of the future": (("HSET", "%", "since", FAR, "asked", FAR),), "gone": (("DEL", "%"),)},
    "epoch": {"of the future": (("HSET", "%", "since", FAR),), "another": (
        ("HSET", "%", "id", "x", "run_id", "y", "since", 1),), "gone": (("DEL", "%"),)},
    "stat": {}, "top": {}, "events": {},
}
# Where there is no key of the kind yet.
STAND_IN = {"override": "mxw1:override:gw1.example.net:25"}
numbers = itertools.count(1)


def conf(node):
    """With a secret, without which an ordering out of Redis serves the guard only."""
    if not SECRET.exists():
        write(SECRET, "0123456789abcdef0123456789abcdef\n", 0o400)
        shutil.chown(SECRET, "mxwarden")
    good = sitecfg.guarded(node, yield_after="500ms")
    return good.replace("cache { ", f'cache {{ secret_file = "{SECRET}" ', 1)


class Liar:
    """Says one lie over and over, and meanwhile looks at what the site does."""

    def __init__(self, world, kind, lie):
        self.world, self.kind, self.lie, self.wire = world, kind, lie, Wire(world.redis)
        self.routes = {(warden.name, name): ask(warden, name) for warden in world.wardens
                       for name in ("u@pool.example.com", "u@relayed.example.com")}

    def put(self):
        keys = self.world.redis.scan(f"mxw1:{self.kind}*") or [STAND_IN.get(self.kind)]
        for words in self.lie:
            for key in keys if "%" in words else [None]:
                self.wire.say(*(key if word == "%" else word for word in words))

    def look(self):
        """No route but those of before; in another order where hosts may be drained."""
        for warden in self.world.wardens:
            for name in ("u@pool.example.com", "u@relayed.example.com"):
                got, before = ask(warden, name), self.routes[warden.name, name]
                check(got == before or self.kind in ("health", "override") and "pool" in name
                      and got.startswith(GATEWAYS),
                      f"{name} at {warden.name}: {got}, before {before}")

    def offer(self, client, number):
        """Whether the mail is let in; else it is asked to come again."""
        self.put()
        reply = self.world.send(client, MX2, f"lies{number}@example.com", helo="h.example.org",
                                sender=f"s{number}@example.org")
        check(reply.accepted or (reply.code, reply.step) == (451, "RCPT"), reply)
        return reply.accepted

    def end(self):
        self.wire.close()
        clean(self.world, self.kind)


def clean(world, kind):
    keys = world.redis.scan(f"mxw1:{kind}*")
    if keys:
        world.redis.cli("DEL", *keys)


def believe(world, kind):
    for label, lie in {**ANY, **LIES[kind]}.items():
        liar, visitor = Liar(world, kind, lie), world.fresh_client()
        try:
            visit(world, visitor)
            clients = {next(numbers): client for client in (visitor, world.fresh_client())}
            waiting = [number for number, client in clients.items()
                       if not liar.offer(client, number)]
            end = time.monotonic() + 0.6
            while time.monotonic() < end:
                liar.put()
                liar.look()
            for number in waiting:
                wait_for(f"{kind} {label}: the retry is let in",
                         lambda one=number: liar.offer(clients[one], one), 3)
        finally:
            liar.end()


def add(kind):
    @case(f"{kind}: no lie changes a route, or refuses anybody twice", guard=True)
    def told(world):
        if kind in ("seen", "defer", "ok"):
            clean(world, kind)  # what other cases left is no matter, and much
        fill(world)
        believe(world, kind)
        # When the lies are gone: judged as before.
        world.wait_judging()
        wait_for("a stranger refused", lambda: world.send(
            world.fresh_client(), MX2, "after@example.com").code == 451, 15)
        same([line for line in world.reports()], [])


for each in LIES:
    add(each)
