"""Sendmail with FEATURE(mailertable): a sending host whose every look-up mxwardend answers.

LAB_MESSAGES=N says to how many domains mail goes through the weighted pool; 300 unless told.
"""
import collections
import contextlib
import itertools
import math
import os
import threading
import time

import sitecfg
import space
from cases import case
from peer import running
from sendmail import Sendmail
from smtp import Session, Sink
from socketmap import Watch, ask, question
from waiting import Failure, check, same, wait_for
from warden import Warden
from world import together

MESSAGES = int(os.environ.get("LAB_MESSAGES", "300"))
NODE, ADDRESS = "out.example.com", "192.0.2.32"
WEIGHTS = {"wg1": 50, "wg2": 30, "wg3": 20}
ADDRESSES = {"wg1": "192.0.2.84", "wg2": "192.0.2.85", "wg3": "192.0.2.86", "wg4": "192.0.2.87"}
# A list of these three is as long as Sendmail's may be: 256 bytes with its mailer.
LONG = [f"{one * 60}.{'x' * rest}.example.net" for one, rest in (("a", 7), ("b", 8), ("c", 8))]
COM = "out A 192.0.2.32\nquiet MX 0 .\n"
NET = ("".join(f"{name} A {address}\n" for name, address in ADDRESSES.items())
       + "".join(f"{name.removesuffix('.example.net')} A {ADDRESSES['wg3']}\n" for name in LONG))
LINES = [
    "RELAY_DOMAIN(`example.com')dnl", "RELAY_DOMAIN(`example.org')dnl",
    "define(`confQUEUE_LA', `1000')dnl", "define(`confREFUSE_LA', `1000')dnl",
    "define(`confDELAY_LA', `1000')dnl", "define(`confTO_CONNECT', `3s')dnl",
]
HOSTS = " ".join(f'host "{name}.example.net" {{ weight = {weight} }}'
                 for name, weight in WEIGHTS.items())


def conf(node):
    return sitecfg.guarded(node)


def sending():
    """The "*" is every domain of the big case. wg4 has a port of which Sendmail cannot be told."""
    return "\n".join([sitecfg.DNS, sitecfg.HEALTH, f"""
guard {{ mode = "off" }}
domain "*" {{ route = "pool weighted" }}
domain "quiet.example.com" {{ route = "mx" }}
domain "relayed.example.com" {{ route = "pool six" }}
domain "changing.example.com" {{ route = "pool changing" }}
domain "long.example.com" {{ route = "pool long" }}
pool "weighted" {{ tier "10" {{ {HOSTS} host "wg4.example.net:2525" {{ weight = 900 }} }} }}
pool "six" {{ tier "10" {{ host "[2001:db8::10]" {{ }} }} }}
pool "changing" {{ tier "10" {{ host "wg1.example.net" {{ }} }} }}
pool "long" {{ tier "10" {{ {" ".join(f'host "{name}" {{ }}' for name in LONG)} }} }}
"""])


class Relay:
    """The host out: Sendmail, its mxwardend, and the gateways of the pool."""

    def __init__(self, world):
        self.world = world
        self.host = space.Host("out", ADDRESS, "2001:db8::32")
        self.warden = Warden(self.host, NODE, world.warden2.bin)
        self.sinks = {name: Sink(space.Host(name, address), address,
                                 2525 if name == "wg4" else 25)
                      for name, address in ADDRESSES.items()}
        socket = f"{self.warden.folder}/socketmap.sock"
        self.mta = Sendmail(self.host, NODE, (ADDRESS,), [
            *LINES, f"FEATURE(`mailertable', `socket local:{socket}')dnl"], queue_run="1h")

    def start(self):
        for name, more in (("example.com", COM), ("example.net", NET)):
            if more not in self.world.dns.zones[name]:
                self.world.dns.change(name, self.world.dns.zones[name] + more)
        for sink in self.sinks.values():
            sink.heal()
            sink.messages.clear()
        self.warden.configure(sending())
        self.warden.start("mxwardend")
        self.mta.clear_queue()
        self.mta.start()
        self.settled()

    def stop(self):
        self.mta.stop()
        self.warden.stop("mxwardend")

    def settled(self, *without):
        """Until the map gives the pool's hosts their effective weights, without these."""
        wanted = effective(*without)
        wait_for(f"the pool without {without}", lambda: all(
            self.state(name) == ("down" if self.sinks[name].server is None else "up")
            for name in WEIGHTS) and close(self.winners(400), wanted), 15)

    def state(self, name):
        return self.warden.hosts()[f"{name}.example.net", 25]["state"]

    def winners(self, count):
        with self.warden.connect("socketmap") as sock:
            found = collections.Counter(first(question(sock, f"mailertable probe{number}.example.org"))
                                        for number in range(count))
        return {name: 100 * found[name] / count for name in WEIGHTS}

    def send(self, recipient):
        return self.world.send(self.world.fresh_client(), ADDRESS, recipient)

    def kept(self, message):
        """Where the message arrived: the names of the sinks."""
        return [name for name, sink in (*self.sinks.items(), *self.world.sinks.items())
                if sink.find(message)]


def effective(*without):
    left = {name: weight for name, weight in WEIGHTS.items() if name not in without}
    return {name: 100 * left.get(name, 0) / sum(left.values()) for name in WEIGHTS}


def close(shares, wanted, slack=8):
    return all(abs(shares[name] - part) <= slack and (part or not shares[name])
               for name, part in wanted.items())


def hosts_of(answer):
    """"OK esmtp:[wg1.example.net]:[wg2.example.net]" -> ["wg1", "wg2"]."""
    mailer, _, rest = answer.removeprefix("OK ").partition(":")
    check(mailer == "esmtp" and rest.startswith("[") and rest.endswith("]"), answer)
    return [part.partition(".")[0] for part in rest[1:-1].split("]:[")]


def first(answer):
    return hosts_of(answer)[0]


class Drive:
    """Mail to domains that no other message goes to, in spans."""

    def __init__(self, peer):
        self.peer, self.lock = peer, threading.Lock()
        self.numbers = itertools.count(1)
        self.span = collections.defaultdict(dict)  # span: {message: domain}

    def send(self, span, count):
        """Four sessions side by side; every message must be taken."""
        def session(many):
            with Session(self.peer.world.net, "198.51.100.2", ADDRESS) as talk:
                talk.ehlo()
                for _ in range(many):
                    self.send_one(talk, span)

        share = [count // 4 + (one < count % 4) for one in range(4)]
        together([lambda many=many: session(many) for many in share])

    def send_one(self, talk, span):
        with self.lock:
            number = next(self.numbers)
        message, domain = f"table{number}", f"d{number}.example.org"
        for code, text in (talk.mail(f"{message}@sender.example.net"), talk.rcpt(f"u@{domain}"),
                           talk.data(f"X-Lab-Id: {message}\r\n\r\nhello\r\n")):
            check(code == 250, domain, code, text)
        with self.lock:
            self.span[span][message] = domain

    def send_all(self, span, count):
        """A span in one state: it ends when its mail is delivered."""
        self.send(span, count)
        self.wait(span)

    def wait(self, span):
        """Until it is delivered, what had to wait by a run of the queue."""
        for _ in range(20):
            with contextlib.suppress(Failure):
                wait_for(f"{span} delivered", lambda: not self.missing(span), 5)
                return
            self.peer.mta.run_queue()
        check(False, span, "not delivered:", self.missing(span)[:5])

    def send_while(self, span, count, act):
        job = threading.Thread(target=self.send, args=(span, count))
        job.start()
        wait_for("a third of the span", lambda: len(self.span[span]) >= count // 3, 60)
        act()
        job.join()

    def missing(self, span):
        there = self.arrived()
        return [message for message in self.span[span] if message not in there]

    def arrived(self):
        """{message: the sinks that have it}"""
        found = collections.defaultdict(list)
        for name, sink in self.peer.sinks.items():
            for one in list(sink.messages):
                found[one["id"]].append(name)
        return found


WATCHED = [f"mailertable watch{number}.example.org" for number in range(50)]
STEADY = {"well": (), "down": ("wg1",), "again": (), "drained": ("wg2",)}


def play(peer, drive):
    """Seven spans, of which STEADY names those in one state. Returns {host: the time in which it
    was to be left alone}."""
    steady = MESSAGES // 5
    passing = (MESSAGES - 4 * steady) // 3
    peer.sinks["wg3"].pause = 0.05
    drive.send_all("well", steady)
    drive.send_while("kill", passing, peer.sinks["wg1"].close)
    peer.settled("wg1")
    down = time.monotonic()
    drive.send_all("down", steady)
    up = time.monotonic()
    peer.sinks["wg1"].open()
    drive.send("back", passing)
    peer.settled()
    drive.send_all("again", steady)
    moment = []

    def drain():
        done = peer.warden.cli("drain", "wg2.example.net")
        same(done.returncode, 0, done.stderr)
        moment.append(time.monotonic())

    drive.send_while("drain", MESSAGES - 4 * steady - 2 * passing, drain)
    drive.send_all("drained", steady)
    return {"wg1": (down, up), "wg2": (moment[0], time.monotonic())}


@case(f"{MESSAGES} domains through a pool: one host dies and returns, one drains, one is slow")
def weighted(world):
    with running(world, Relay) as peer:
        drive = Drive(peer)
        with Watch(peer.warden, WATCHED, first) as watch:
            alone = play(peer, drive)
        for span in drive.span:
            drive.wait(span)
        arrived = drive.arrived()
        same(len(arrived), MESSAGES, "messages")
        same([one for one, where in arrived.items() if len(where) != 1], [], "not just once")
        wait_for("an empty queue", lambda: not peer.mta.queue())
        check(not any(one["sender"] == "" for sink in peer.sinks.values()
                      for one in sink.messages), "a bounce")
        shares(drive, arrived)
        for host, (since, until) in alone.items():
            same(watch.count(host, since, until), 0, f"answers that began with {host}")


def shares(drive, arrived):
    """First connections by the effective weights: in a span of one state nothing fails, so that
    where a message arrived is where Sendmail first went for it."""
    got, wanted = collections.Counter(), collections.Counter()
    total = 0
    for span, without in STEADY.items():
        names = drive.span[span]
        total += len(names)
        found = collections.Counter(arrived[message][0] for message in names)
        for host, part in effective(*without).items():
            got[host] += found[host]
            wanted[host] += part * len(names) / 100
        check(not any(found[host] for host in (*without, "wg4")), span, found)
    for host in WEIGHTS:
        have, part = 100 * got[host] / total, 100 * wanted[host] / total
        # Three points, or what chance alone does to few messages.
        slack = max(3, 3.5 * math.sqrt(part * (100 - part) / total)) if MESSAGES < 2000 else 3
        check(abs(have - part) <= slack, f"{host}: {have:.1f} % of {part:.1f} %")


@case("Null MX is refused with 556 5.1.10 at RCPT")
def null_mx(world):
    with running(world, Relay) as peer:
        same(ask(peer.warden, "quiet.example.com", "mailertable"),
             "OK error:5.1.10:556 Domain does not accept mail")
        reply = peer.send("u@quiet.example.com")
        same((reply.step, reply.code), ("RCPT", 556), reply)
        check("5.1.10" in reply.text and "Domain does not accept mail" in reply.text, reply)


@case("no host that can be named: 451 at RCPT, and what is queued waits")
def nothing(world):
    with running(world, Relay) as peer:
        peer.sinks["wg1"].mode = "defer"
        queued = peer.send("waits@changing.example.com")
        check(queued.accepted, queued)
        wait_for("queued", lambda: "waits@changing.example.com" in peer.mta.queue())
        good = peer.warden.text
        reload_as(peer.warden, good.replace('host "wg1.example.net" { } } }',
                                            'host "nowhere.example.net" { } } }'))
        wait_for("nothing", lambda: ask(peer.warden, "changing.example.com", "mailertable") ==
                 "OK error:4.4.4:451 No usable host")
        reply = peer.send("u@changing.example.com")
        same((reply.step, reply.code), ("RCPT", 451), reply)
        check("No usable host" in reply.text, reply)
        for _ in range(2):
            seen = told(peer.warden, "route_nothing")
            peer.mta.run_queue()
            check(told(peer.warden, "route_nothing") > seen, "the queue run did not ask")
        check("waits@changing.example.com" in peer.mta.queue(), peer.mta.queue())
        reload_as(peer.warden, good)
        peer.sinks["wg1"].mode = "accept"
        peer.mta.run_queue()
        wait_for("delivered", lambda: peer.kept(queued.message) == ["wg1"])


def told(warden, counter):
    return warden.ask("stats")["counters"].get(counter, 0)


def reload_as(warden, text):
    before = warden.log_text().count("reload")
    warden.configure(text)
    warden.daemon.send_signal(1)
    wait_for("a reload", lambda: warden.log_text().count("reload") > before)


@case("an IPv6 address is reached, and a list of 256 bytes is understood")
def forms(world):
    with running(world, Relay) as peer:
        same(ask(peer.warden, "relayed.example.com", "mailertable"), "OK esmtp:[IPv6:2001:db8::10]")
        six = peer.send("u@relayed.example.com")
        wait_for("mail by IPv6", lambda: peer.kept(six.message) == ["store"])
        path = world.delivered(six.message)["text"]
        check("[IPv6:2001:db8::32]" in path, path)
        answer = ask(peer.warden, "long.example.com", "mailertable")
        same((len(answer), answer.count("[")), (3 + 256, 3), answer)
        long = peer.send("u@long.example.com")
        wait_for("mail by the long list", lambda: peer.kept(long.message) == ["wg3"])


@case(".parent, . and the sender's domain are asked, and do no harm")
def keys(world):
    with running(world, Relay) as peer:
        for key in (".example.org", ".", "[192.0.2.1]", "u@d1.example.org", "", "a b"):
            same(ask(peer.warden, key, "mailertable"), "NOTFOUND ", key)
        same(ask(peer.warden, "D1.Example.ORG", "mailertable"),
             ask(peer.warden, "d1.example.org", "mailertable"))
        shown = peer.host.run(*peer.mta.words("-bv u@d1.example.org")).stdout
        answer = ask(peer.warden, "d1.example.org", "mailertable").removeprefix("OK esmtp:")
        check(f"mailer esmtp, host {answer}," in shown, shown)
        shown = peer.warden.cli("route", "d1.example.org").stdout
        check(f"esmtp:{answer}\n" in shown and "cannot be told" in shown, shown)


@case("mail waits while the daemon is away, and goes on when it is back")
def away(world):
    with running(world, Relay) as peer:
        peer.sinks["wg1"].mode = peer.sinks["wg2"].mode = peer.sinks["wg3"].mode = "defer"
        seen = len(peer.mta.log_text())
        queued = peer.send("waits@d1.example.org")
        wait_for("a try at each of the three", lambda: peer.mta.log_text()[seen:].count(
            "stat=Deferred: 450 4.2.0 not now") == 3)
        peer.warden.kill("mxwardend")
        for sink in peer.sinks.values():
            sink.mode = "accept"
        reply = peer.send("u@d2.example.org")
        check(reply.accepted, reply)
        peer.mta.run_queue()
        same(peer.mta.queue(), {"waits@d1.example.org", "u@d2.example.org"})
        peer.warden.start("mxwardend")
        peer.mta.run_queue()
        for one in (queued, reply):
            wait_for("delivered", lambda: len(peer.kept(one.message)) == 1)
