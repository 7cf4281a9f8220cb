"""smtp_dns_reply_filter on a real Postfix: it goes by tiers and health, and the next hop stays the
domain."""
import contextlib
import ssl
import threading

import sitecfg
import space
from cases import case
from mta import Postfix
from peer import running
from smtp import Sink
from socketmap import ask
from waiting import check, same, wait_for
from warden import Warden

# The second address is neither in DNS under the node's name nor in the configuration: only Postfix
# knows it for this host's.
NODE, ADDRESS, SECOND = "filter.example.com", "192.0.2.33", "192.0.2.34"
ADDRESSES = {"fm1": "192.0.2.88", "fm2": "192.0.2.89"}
ZONE = ("".join(f"{name} A {address}\n" for name, address in ADDRESSES.items())
        + "filter A 192.0.2.33\nset MX 10 fm1\nset MX 20 filter\n"
        + "second A 192.0.2.34\nbare MX 10 fm1\nbare MX 20 second\n"
        + "".join(f"{name} MX {preference}0 fm{preference}\n"
                  for name in ("out", "tls") for preference in (1, 2)))
OUT, SET, BARE, TLS, POOL = (f"{name}.example.com"
                             for name in ("out", "set", "bare", "tls", "pooled"))


def conf(node):
    return sitecfg.guarded(node)


def filtering():
    return "\n".join([sitecfg.DNS, sitecfg.HEALTH, """
guard { mode = "off" }
domain "out.example.com" { route = "mx" }
domain "tls.example.com" { route = "mx" }
domain "set.example.com" { route = "primary" }
domain "bare.example.com" { route = "primary" }
domain "pooled.example.com" { route = "pool one" }
pool "one" { tier "10" { host "fm2.example.com" { } } }
"""])


class Sender(Postfix):
    """A Postfix that sends by the MX; lines: what its main.cf has beside."""

    lines = ()

    def configure(self, guard=False, routes=False):
        super().configure(False, False)
        main = self.folder / "main.cf"
        kept = [line for line in main.read_text().splitlines()
                if not line.startswith(("relay_transport", "smtp_tls_security_level"))]
        space.write(main, "\n".join([*kept, "relay_transport = smtp", *self.lines]) + "\n")

    def set(self, *lines):
        """Takes other lines, if it has not got them."""
        if lines != self.lines:
            self.lines = lines
            self.configure()
            if self.process and self.process.poll() is None:
                self.stop()
                self.start()


class Peer:
    """The host filter: Postfix, its mxwardend, and the two MX hosts it sends to."""

    def __init__(self, world):
        self.world = world
        self.host = space.Host("filter", ADDRESS, SECOND)
        self.warden = Warden(self.host, NODE, world.warden2.bin)
        self.fm1, self.fm2 = (Sink(space.Host(name, address), address)
                              for name, address in ADDRESSES.items())
        self.mta = Sender(self.host, NODE, (), (ADDRESS, SECOND),
                          (OUT, SET, BARE, TLS, POOL))
        self.filter = self.map("dnsfilter", "smtp_dns_reply_filter = ")

    def map(self, name, key=""):
        return f"{key}socketmap:unix:{self.warden.folder}/socketmap.sock:{name}"

    def start(self):
        self.began = len(self.mta.log_text())
        zone = self.world.dns.zones["example.com"]
        if ZONE not in zone:
            self.world.dns.change("example.com", zone + ZONE)
        for sink in (self.fm1, self.fm2):
            sink.heal()
            sink.messages.clear()
        self.warden.configure(filtering())
        self.warden.start("mxwardend")
        self.mta.set(self.filter)
        self.mta.start()
        self.hidden(20)

    def stop(self):
        self.mta.stop()
        self.warden.stop("mxwardend")

    def hidden(self, *preferences, domain=OUT):
        """Until just these of the domain's records are hidden."""
        def judged():
            return [one for one in (10, 20) if ask(
                self.warden, f"{domain}. 300 IN MX {one} fm{one // 10}.example.com.",
                "dnsfilter") == "OK IGNORE"]

        wait_for(f"{preferences} hidden", lambda: judged() == list(preferences), 20)

    def send(self, *recipients):
        """The messages' ids; all must be taken."""
        replies = [self.world.send(self.world.fresh_client(), ADDRESS, one) for one in recipients]
        check(all(reply.accepted for reply in replies), replies)
        return [reply.message for reply in replies]

    def arrived(self, sink, messages):
        wait_for(f"{len(messages)} at {sink.host.name}",
                 lambda: all(sink.find(one) for one in messages), 30)

    def log_since(self, mark):
        return self.mta.log_text()[mark:]

    def deferred(self, mark, domain, count=1):
        def seen():
            return sum("status=deferred" in line and f"@{domain}>" in line
                       for line in self.log_since(mark).splitlines())

        wait_for(f"deferrals of {domain}", lambda: seen() >= count, 20)

    def visits(self, sink):
        """Those of Postfix: probes say another name."""
        return sink.visits.count(NODE)


@contextlib.contextmanager
def filtering_peer(world):
    with running(world, Peer) as peer:
        yield peer
        same([line for line in peer.log_since(peer.began).splitlines() if "status=bounced" in line
              and "trap" not in line], [], "bounced")


@case("mx1 healthy: nothing reaches mx2, not even while mx1 greylists")
def healthy(world):
    with filtering_peer(world) as peer:
        record = f"{OUT}. 300 IN MX 20 fm2.example.com."
        same(peer.host.run("postmap", "-c", peer.mta.folder, "-q", record, peer.map("dnsfilter"),
                           user="postfix").stdout, "IGNORE\n")
        peer.arrived(peer.fm1, peer.send(*(f"u{number}@{OUT}" for number in range(20))))
        mark, visits = len(peer.mta.log_text()), peer.visits(peer.fm2)
        peer.fm1.mode = "defer"
        waiting = peer.send(*(f"grey{number}@{OUT}" for number in range(5)))
        peer.deferred(mark, OUT, 10)  # two attempts each
        same((peer.visits(peer.fm2), peer.fm2.messages), (visits, []), "at fm2")
        peer.fm1.mode = "accept"
        peer.arrived(peer.fm1, waiting)
        same(peer.fm2.messages, [])


@case("without the filter that mail does reach mx2")
def control(world):
    with filtering_peer(world) as peer:
        peer.mta.set()
        peer.fm1.mode = "defer"
        peer.arrived(peer.fm2, peer.send(f"grey@{OUT}"))


@case("mx1 down: everything reaches mx2 without a try at mx1; mx1 back: all there again")
def down(world):
    with filtering_peer(world) as peer:
        peer.fm1.close()
        peer.hidden(10)
        mark = len(peer.mta.log_text())
        peer.arrived(peer.fm2, peer.send(*(f"u{number}@{OUT}" for number in range(20))))
        check("connect to fm1" not in peer.log_since(mark), peer.log_since(mark)[-2000:])
        peer.fm1.open()
        peer.hidden(20)
        peer.arrived(peer.fm1, peer.send(f"back@{OUT}"))


@case("mx1 stops under way: mail is late at most, and none is lost")
def passing(world):
    with filtering_peer(world) as peer:
        sent = []
        job = threading.Thread(target=lambda: sent.extend(
            peer.send(*(f"p{number}@{OUT}" for number in range(60)))))
        job.start()
        wait_for("some mail", lambda: len(peer.fm1.messages) > 5)
        peer.fm1.close()
        job.join()
        peer.hidden(10)
        same(len(sent), 60)
        wait_for("all of it", lambda: all(peer.fm1.find(one) or peer.fm2.find(one)
                                          for one in sent), 30)


@case("a drained mx1 gets nothing, and the daemon's absence only delays")
def drained(world):
    with filtering_peer(world) as peer:
        same(peer.warden.cli("drain", "fm1.example.com").returncode, 0)
        peer.hidden(10)
        peer.arrived(peer.fm2, peer.send(f"u@{OUT}"))
        peer.warden.kill("mxwardend")
        mark = len(peer.mta.log_text())
        waiting = peer.send(f"away@{OUT}")
        peer.deferred(mark, OUT)
        peer.warden.start("mxwardend")
        wait_for("delivered", lambda: peer.fm1.find(waiting[0]) or peer.fm2.find(waiting[0]), 20)


@case("smtp_tls_policy_maps sees the domain")
def tls_policy(world):
    with filtering_peer(world) as peer:
        peer.mta.set(peer.filter, f"smtp_tls_policy_maps = inline:{{{TLS}=encrypt}}",
                     "smtp_tls_security_level = none", "smtp_tls_loglevel = 1")
        peer.hidden(20, domain=TLS)
        mark = len(peer.mta.log_text())
        plain, secure = peer.send(f"u@{OUT}", f"u@{TLS}")
        peer.arrived(peer.fm1, [plain])
        peer.deferred(mark, TLS)
        check("TLS is required, but was not offered by host fm1" in peer.log_since(mark),
              peer.log_since(mark))
        peer.fm1.tls = context(peer)
        peer.arrived(peer.fm1, [secure])
        check(peer.fm1.find(secure)[0]["tls"], "not by TLS")
        check("TLS connection established to fm1.example.com" in peer.log_since(mark))
        same((peer.fm2.messages, peer.fm1.find(plain)[0]["tls"]), ([], False))


def context(peer):
    """A server's, with a certificate of its own."""
    key, certificate = peer.host.folder / "key.pem", peer.host.folder / "certificate.pem"
    if not certificate.exists():
        space.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                  "-subj", "/CN=fm1.example.com", "-keyout", key, "-out", certificate)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    return made


@case("on a host that is itself mx2, mx1 down: mail waits, and does not bounce")
def own_set(world):
    with filtering_peer(world) as peer:
        peer.fm1.close()
        wait_for("fm1 down", lambda: peer.warden.hosts()["fm1.example.com", 25]["state"] == "down")
        mark = len(peer.mta.log_text())
        waiting = peer.send(f"u@{SET}", f"u@{BARE}")
        for domain in (SET, BARE):
            peer.deferred(mark, domain, 2)
            for record in ("10 fm1", "20 filter", "20 second"):
                same(ask(peer.warden, f"{domain}. 300 IN MX {record}.example.com.", "dnsfilter"),
                     "NOTFOUND ", record)
        peer.fm1.open()
        peer.arrived(peer.fm1, waiting)


@case("the trap is live: a filter that hides mx1 there makes Postfix bounce")
def trap(world):
    with filtering_peer(world) as peer:
        peer.mta.set("smtp_dns_reply_filter = regexp:" + str(peer.host.folder / "wrong"))
        space.write(peer.host.folder / "wrong", "/ IN MX 10 fm1/ IGNORE\n")
        mark = len(peer.mta.log_text())
        peer.send(f"trap@{SET}")
        wait_for("the bounce", lambda: "loops back to myself" in peer.log_since(mark))
        same(peer.mta.command("postsuper", "-d", "ALL").returncode, 0)


@case("beside transport_maps, where an entry for the domain leaves it alone")
def with_routes(world):
    with filtering_peer(world) as peer:
        exceptions = peer.host.folder / "filtered"
        space.write(exceptions, "/@out\\.example\\.com$/ :\n")
        peer.mta.set(peer.filter,
                     f"transport_maps = regexp:{exceptions}, {peer.map('transport')}")
        mark = len(peer.mta.log_text())
        peer.fm1.mode = "defer"
        pooled, filtered = peer.send(f"u@{POOL}", f"u@{OUT}")
        peer.arrived(peer.fm2, [pooled])
        peer.deferred(mark, OUT)
        same([one["id"] for one in peer.fm2.messages], [pooled])
        peer.fm1.mode = "accept"
        peer.arrived(peer.fm1, [filtered])
