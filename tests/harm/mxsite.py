"""The site that the senders send to: two or three MX hosts with real Postfix, mxwardend and
mxwarden-milter in mode defer, Redis, names, and a store that the mail ends in.

    mx1 192.0.2.10 2001:db8::10   mx2 .20 ::20   mx3 .30 ::30   dns .53   redis .60   store .70
    site.example.com: every host in both families. six.example.com: the backups over IPv6 only.

Time is shortened to a thirtieth: what is five minutes in life is ten seconds here, for the senders'
retries and for the guard alike. The DNS knows the senders by the names of their places.
"""
import socket
import threading
import time

import places
import space
from dns import Dns
from mta import Postfix
from redisd import Redis
from smtp import Session, Sink
from waiting import wait_for
from warden import Warden

SHORTENED = 30
INTERVAL = 10  # seconds between a sender's retries; stock Postfix: 300
YIELD_AFTER = 8  # stock: 240
GREYLIST = 8  # how long a recipient is greylisted
ADDRESS = {1: ("192.0.2.10", "2001:db8::10"), 2: ("192.0.2.20", "2001:db8::20"),
           3: ("192.0.2.30", "2001:db8::30")}
STORE = "192.0.2.70"
CANARIES = {2: "192.0.2.97", 3: "192.0.2.113"}  # mx2 is better than mx3: a network for each
DOMAINS = ("site.example.com", "six.example.com")
CONF = """
dns { servers = {"192.0.2.53"} timeout = 1s }
cache { redis = "redis://192.0.2.60:6379" }
guard {
    mode = "MODE" evidence_net = "PREFIX,64" yield_after = 8s hold_down = 10s grace = 30s
}
health { interval = 1s timeout = 3s fall = 3 rise = 2 }
domain "site.example.com" {}
domain "six.example.com" {}
"""
POLICY_PORT = 10023


class Mx(Postfix):
    """One MX host: mail goes to the store, and the greylister is asked."""

    def configure(self, guard=True, routes=False):
        super().configure(guard, routes)
        with open(self.folder / "main.cf", "a", encoding="ascii") as out:
            out.write("enable_long_queue_ids = yes\nsmtpd_recipient_restrictions = "
                      f"check_policy_service inet:127.0.0.1:{POLICY_PORT}\n")


class Greylister:
    """A policy service on every MX host that, where it is on, puts off every recipient until a
    while after its first try at any of them."""

    def __init__(self, hosts):
        self.on = ()  # numbers of hosts
        self.first = {}
        for number, host in enumerate(hosts, 1):
            with host.inside():
                server = socket.create_server(("127.0.0.1", POLICY_PORT), backlog=128)
            threading.Thread(target=self.serve, args=(number, server), daemon=True).start()

    def serve(self, number, server):
        while True:
            conversation, _ = server.accept()
            threading.Thread(target=self.talk, args=(number, conversation), daemon=True).start()

    def talk(self, number, conversation):
        recipient = ""
        with conversation, conversation.makefile("r", encoding="latin-1") as lines:
            for line in lines:
                name, _, value = line.strip().partition("=")
                if name == "recipient":
                    recipient = value
                elif not name:
                    conversation.sendall(f"action={self.judge(number, recipient)}\n\n".encode())

    def judge(self, number, recipient):
        if number not in self.on:
            return "DUNNO"
        first = self.first.setdefault(recipient, time.monotonic())
        return "DUNNO" if time.monotonic() - first >= GREYLIST else "450 4.2.0 Greylisted"


class Site:
    """count: MX hosts. taken: the places that its senders take. clients: whether all client
    networks live on the host `net`."""

    def __init__(self, bin_folder, count, taken=(), clients=False):
        self.count, self.taken = count, taken
        self.guarded = True
        self.blocked = []
        self.net = space.Host("net", *CANARIES.values(), "2001:db8::fe")
        if clients:
            self.net.own_client_networks()
        else:
            self.net.sysctl("net/ipv6/ip_nonlocal_bind", 1)
            self.net.ip("-6", "route", "add", "local", space.CLIENT_NET6, "dev", "lo")
        self.dns = Dns(space.Host("dns", "192.0.2.53"))
        self.redis = Redis(space.Host("redis", "192.0.2.60"))
        self.sink = Sink(space.Host("store", STORE), STORE)
        self.mtas, self.wardens = [], []
        for number in range(1, count + 1):
            name = f"mx{number}"
            host = space.Host(name, *ADDRESS[number])
            # The senders' IPv6 networks are on the same wire.
            host.ip("-6", "route", "add", "2001:db8:2::/48", "dev", "eth0")
            self.mtas.append(Mx(host, f"{name}.example.com", ADDRESS[number], (), DOMAINS))
            self.wardens.append(Warden(host, f"{name}.example.com", bin_folder))
        self.grey = Greylister([mta.host for mta in self.mtas])
        self.canaries = (f"2001:db8:1:{number:x}::1" for number in range(0x8000, 0xffff))

    def start(self):
        self.dns.start({"": "", "example.com": self.zone(),
                        "example.net": f"* MX 10 store\nstore A {STORE}",
                        "example.org": f"* MX 10 store\nstore A {STORE}",
                        **places.zones(self.taken)})
        self.redis.start()
        for mta in self.mtas:
            mta.start()
        self.set_guard(True)

    def set_guard(self, on):
        self.guarded = on
        conf = CONF.replace("MODE", "defer" if on else "off").replace("PREFIX", str(places.PREFIX))
        for warden in self.wardens:
            warden.heal(conf)

    def zone(self):
        lines = ["ns A 192.0.2.53"]
        for number in range(1, self.count + 1):
            v4, v6 = ADDRESS[number]
            lines += [f"mx{number} A {v4}", f"mx{number} AAAA {v6}", f"six{number} AAAA {v6}",
                      f"site MX {number}0 mx{number}",
                      f"six MX {number}0 {'mx1' if number == 1 else f'six{number}'}"]
        return "\n".join(lines)

    def heal(self):
        """Everything runs, nothing is blocked, and a stranger at any backup would be refused,
        unless the guard is off."""
        self.greylist()
        self.redis.heal()
        for mta in self.mtas:
            if mta.process.poll() is not None:
                mta.start()
        self.unblock()
        if not self.guarded:
            return
        for domain, family in (("site", 0), ("site", 1), ("six", 1)):
            for number in range(2, self.count + 1):
                self.wait_judging(number, family, f"{domain}.example.com")

    def wait_judging(self, number, family, domain):
        """Asked from a network, and for a recipient, that nobody uses otherwise."""
        source = next(self.canaries) if family else CANARIES[number]
        target = ADDRESS[number][family]
        who = f"{time.monotonic_ns()}"

        def refused():
            time.sleep(0.2)
            with Session(self.net, source, target) as session:
                session.ehlo()
                session.mail(f"{who}@canary.example.org")
                return session.rcpt(f"{who}@{domain}")[0] == 451

        wait_for(f"a refusal at {target}", refused, 90)

    def greylist(self, *numbers):
        """These hosts do."""
        self.grey.on = numbers

    def block(self, networks):
        """Packets from mx1 to these networks vanish: for them mx1 is silent, for us it is well."""
        for net in networks:
            self.route("replace", net)
        self.blocked += networks

    def unblock(self):
        for net in self.blocked:
            self.route("del", net)
        self.blocked = []

    def route(self, verb, net):
        family = ["-6"] if ":" in net else []
        self.mtas[0].host.ip(*family, "route", verb, "blackhole", net)

    def queue(self):
        return {one["address"] for mta in self.mtas for entry in mta.queue()
                for one in entry["recipients"]}

    def reports(self):
        return [line for warden in self.wardens for line in warden.reports()]


def read_logs(mtas):
    """The MX hosts' logs: [(host number, time in seconds, line)]."""
    return [(number, log_time(line), line) for number, mta in enumerate(mtas, 1)
            for line in mta.log_text().splitlines()]


def log_time(line):
    """Unix seconds; the log has no year."""
    return time.mktime(time.strptime(f"{time.localtime().tm_year} {line[:15]}",
                                     "%Y %b %d %H:%M:%S"))
