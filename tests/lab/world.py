"""The whole world of the lab: name service, Redis, two Postfix MX hosts with mxwarden, gateways,
a store that mail ends in, and one host that is every client.

    mx1 192.0.2.10, 2001:db8::10      mx2 192.0.2.20 and 2001:db8::20 (milter), .21 (policy service)
    dns 192.0.2.53   redis .60   store .70   gw1 .81   gw2 .82   backup .83
    net: all of 198.51.100.0/24, 203.0.113.0/24, 198.18.0.0/16 and 2001:db8:1::/48

It is built once; heal() before each case mends whatever the case before it broke, so that cases
run in any order.
"""
import threading

import books
import space
from dns import Dns
from mta import Postfix
from redisd import Redis
from smtp import Sink, send
from waiting import wait_for
from warden import Warden

MX1, MX2, MX2P = "192.0.2.10", "192.0.2.20", "192.0.2.21"
MX1_6, MX2_6 = "2001:db8::10", "2001:db8::20"
COM = """
ns A 192.0.2.53
@ MX 10 mx1
@ MX 20 mx2
mx1 A 192.0.2.10
mx1 AAAA 2001:db8::10
mx2 A 192.0.2.20
mx2 AAAA 2001:db8::20
mx2p A 192.0.2.21
detect MX 10 mx1
detect MX 20 mx2
tag MX 10 mx1
tag MX 20 mx2
off MX 10 mx1
off MX 20 mx2
policy MX 10 mx1
policy MX 20 mx2p
opposite MX 10 mx2
opposite MX 20 mx1
relayed MX 10 mx1
relayed MX 20 mx2
*.modes MX 10 mx1
*.modes MX 20 mx2
*.modes MX 20 mx2p
*.off MX 10 mx1
trap MX 10 mx1
trap MX 20 mx2
trap MX 90 mx2p
null MX 0 .
"""
NET = """
gw1 A 192.0.2.81
gw2 A 192.0.2.82
backup A 192.0.2.83
sender MX 10 mail.sender
mail.sender A 203.0.113.254
store A 192.0.2.70
gw.mail A 192.0.2.254
"""
ORG = """
@ MX 10 mx1.example.com.
known MX 10 store.example.net.
*.hosted MX 10 gw.mail.example.net.
backed.hosted MX 10 gw.mail.example.net.
backed.hosted MX 20 mx2.example.com.
_smtp._tcp.srv SRV 10 0 2525 backup.example.net.
srv MX 10 store.example.net.
stranger MX 10 store.example.net.
"""
ZONES = {"": "", "example.com": COM, "example.net": NET, "example.org": ORG,
         "100.51.198.in-addr.arpa": "", "113.0.203.in-addr.arpa": "",
         "18.198.in-addr.arpa": ""}
DOMAINS = ["example.com", "detect.example.com", "tag.example.com", "off.example.com",
           "policy.example.com", "opposite.example.com", "relayed.example.com",
           "pool.example.com", "even.example.com", "stranger.example.org",
           "hosted.example.org", "srv.example.org"]


class World:
    def __init__(self, bin_folder):
        self.hosts = {}
        for name, *addresses in (("mx1", MX1, MX1_6), ("mx2", MX2, MX2P, MX2_6),
                                 ("dns", "192.0.2.53"), ("redis", "192.0.2.60"),
                                 ("store", "192.0.2.70"), ("gw1", "192.0.2.81"),
                                 ("gw2", "192.0.2.82"), ("backup", "192.0.2.83"),
                                 ("net", "192.0.2.254", "2001:db8::fe")):
            self.hosts[name] = space.Host(name, *addresses)
        self.net = self.hosts["net"]
        self.net.own_client_networks()
        self.dns = Dns(self.hosts["dns"])
        self.redis = Redis(self.hosts["redis"])
        self.sinks = {"store": Sink(self.hosts["store"], "192.0.2.70"),
                      "gw1": Sink(self.hosts["gw1"], "192.0.2.81"),
                      "gw2": Sink(self.hosts["gw2"], "192.0.2.82"),
                      "backup": Sink(self.hosts["backup"], "192.0.2.83", 2525)}
        self.mx1 = Postfix(self.hosts["mx1"], "mx1.example.com", (MX1, MX1_6), (), DOMAINS)
        self.mx2 = Postfix(self.hosts["mx2"], "mx2.example.com", (MX2, MX2_6), (MX2P,), DOMAINS)
        self.mtas = [self.mx1, self.mx2]
        self.warden1 = Warden(self.hosts["mx1"], "mx1.example.com", bin_folder)
        self.warden2 = Warden(self.hosts["mx2"], "mx2.example.com", bin_folder)
        self.wardens = [self.warden1, self.warden2]
        self.networks = client_networks()
        self.cut = set()
        self.read, self.running = {}, []

    def start(self):
        """The ground: names, memory and mail, without mxwarden."""
        self.dns.start(ZONES)
        self.redis.start()
        for mta in self.mtas:
            mta.start()

    def heal(self, conf):
        """Everything runs and answers, mxwarden with the given configuration (a function of the
        node's name), and the site's memory holds nothing set by hand."""
        for name in sorted(self.cut):
            self.hosts[name].join()
        self.cut.clear()
        self.dns.heal()
        self.redis.heal()
        for sink in self.sinks.values():
            sink.heal()
        keys = self.redis.scan("mxw1:override:*")
        if keys:
            self.redis.cli("DEL", *keys)
        # Both daemons at once: a start may wait for a pool's hosts.
        together([lambda one=warden: one.heal(conf(one.name)) for warden in self.wardens])
        together([mta.heal for mta in self.mtas])

    def note_logs(self):
        """How far the logs are, so that a failure shows its own part of them."""
        self.read = {title: len(text) for title, text in self.all_logs().items()}

    def note_running(self):
        """What runs as a case begins, so that deaths() can tell what ended by itself."""
        self.running = [(f"{program} on {one.name}", one, process) for one in self.wardens
                        for program, process in (("mxwardend", one.daemon),
                                                 ("mxwarden-milter", one.milter))]

    def deaths(self):
        """Daemons that ended during the case otherwise than by its hand."""
        return [f"{title} ({process.returncode})" for title, warden, process in self.running
                if process.poll() is not None and process.pid not in warden.ended]

    def cut_off(self, name):
        self.cut.add(name)
        self.hosts[name].cut_off()

    def wait_observed(self, timeout=20):
        """Until mx2 judges: mx1 is up, and proven to report its visitors."""
        wait_for("mx1 observed by mx2", lambda: all(
            warden.alive(warden.daemon) for warden in self.wardens) and self.warden2.observes(
                "mx1.example.com"), timeout)

    def wait_judging(self):
        """The same, and mx2's milter has found its daemon again, for which it takes a moment after
        a restart: mx1's probes prove it."""
        self.wait_observed()
        wait_for("mx2 observed by mx1", lambda: self.warden1.observes("mx2.example.com"), 20)

    def fresh_network(self):
        """Addresses of a network (a /30, the lab's evidence_net) that no case used before."""
        return next(self.networks)

    def fresh_client(self):
        return self.fresh_network()[0]

    def send(self, source, target, recipients, **more):
        return send(self.net, source, target, recipients, **more)

    def send_from(self, host, source, target, recipients, **more):
        return send(host, source, target, recipients, **more)

    def delivered(self, message):
        """The message as it reached a sink."""
        return wait_for(f"{message} delivered", lambda: next(
            (one for sink in self.sinks.values() for one in sink.find(message)), None))

    def reports(self):
        return [f"{warden.name}: {line}" for warden in self.wardens for line in warden.reports()]

    def logs(self):
        """{title: text} of what may tell why a case failed: since it began."""
        return {title: text[self.read.get(title, 0):] for title, text in self.all_logs().items()}

    def all_logs(self):
        texts = {}
        for mta, warden in zip(self.mtas, self.wardens):
            for log in (mta.log, warden.log, warden.milter_log):
                if log.exists():
                    texts[str(log)] = log.read_text(errors="replace")
        return texts

    def stop(self):
        together([lambda one=warden, name=program: one.stop(name) for warden in self.wardens
                  for program in ("mxwarden-milter", "mxwardend")])
        for mta in self.mtas:
            mta.stop()

    def balance(self, sent, timeout=30):
        books.balance(self, sent, timeout)


def client_networks():
    """Every /30 of the client networks as lists of addresses, but for the first four of each /24:
    those are for cases that need well-known neighbours."""
    for prefix in ("198.51.100", "203.0.113", *(f"198.18.{third}" for third in range(256))):
        for first in range(16, 256, 4):
            yield [f"{prefix}.{first + offset}" for offset in range(1, 3)]


def together(jobs):
    """Runs the jobs side by side; the first trouble is raised when all are done."""
    troubles = []

    def attempt(job):
        try:
            job()
        except Exception as trouble:
            troubles.append(trouble)

    threads = [threading.Thread(target=attempt, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if troubles:
        raise troubles[0]
