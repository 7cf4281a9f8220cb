"""Sendmail as a full peer of Postfix: the backup MX of a domain, with the same milter."""
import sitecfg
import space
from cases import case
from cases_guard import accepted, refused, visit
from peer import running
from sendmail import Sendmail
from smtp import Session
from waiting import check, same, wait_for
from warden import Warden

NODE, SMX, STRANGER = "smx.example.com", "192.0.2.30", "192.0.2.31"
NAMES = "sendmail MX 10 mx1\nsendmail MX 20 smx\nsmx A 192.0.2.30\n"
MILTER = "S=local:{sockets}/milter.sock, T=C:3s;S:3s;R:6s;E:10s"
MACROS = "j, _, {daemon_name}, {if_name}, {if_addr}"


def conf(node):
    return sitecfg.guarded(node, yield_after="1h")


class Peer:
    """The host smx: Sendmail at the address that the MX record names, and at one that none does."""

    def __init__(self, world):
        self.world = world
        self.host = space.Host("smx", SMX, STRANGER, "2001:db8::30")
        self.warden = Warden(self.host, NODE, world.warden2.bin)
        self.mta = Sendmail(self.host, NODE, (SMX, STRANGER), [
            "RELAY_DOMAIN(`sendmail.example.com')dnl",
            "define(`SMART_HOST', `[192.0.2.70]')dnl",
            f"define(`confMILTER_MACROS_CONNECT', `{MACROS}')dnl",
            "FEATURE(`access_db', `hash -o -T<TMPF> /run/lab/smx/sendmail/access.db')dnl",
            "FEATURE(`conncontrol', `nodelay', `terminate')dnl",
            f"INPUT_MAIL_FILTER(`mxwarden', `{MILTER.format(sockets=self.warden.folder)}')dnl"])

    def start(self):
        zone = self.world.dns.zones["example.com"]
        if NAMES not in zone:
            self.world.dns.change("example.com", zone + NAMES)
        # As mx2 has it; the node's name is the Warden's own.
        self.warden.heal(conf("mx2.example.com") + '\ndomain "sendmail.example.com" {}')
        self.mta.start()
        self.wait_judging()

    def stop(self):
        self.mta.stop()
        self.warden.kill("mxwarden-milter")  # libmilter takes seconds to end by itself
        self.warden.stop("mxwardend")

    def wait_judging(self):
        client = self.world.fresh_client()
        wait_for("mx1 observed by smx", lambda: self.warden.observes("mx1.example.com"))
        wait_for("a refusal by Sendmail", lambda: self.send(client).code == 451)

    def send(self, client, target=SMX, recipient="u@sendmail.example.com"):
        return self.world.send(client, target, recipient)

    def verdict(self, client):
        """The last line about this client in the daemon's log."""
        def find():
            lines = [line for line in self.warden.log_text().splitlines()
                     if "guard verdict=" in line and f"client=[{client}]" in line]
            return lines and lines[-1]
        return wait_for(f"a verdict on {client}", find, 3)


@case("straight to Sendmail is deferred with 451 4.7.1 and the better host", guard=True)
def straight(world):
    with running(world, Peer) as peer:
        reply = peer.send(world.fresh_client())
        refused(reply)
        check(reply.text.startswith("4.7.1 ") and "(mx1.example.com)" in reply.text, reply)


@case("mx1 first, then Sendmail, is accepted and delivered", guard=True)
def honest(world):
    with running(world, Peer) as peer:
        client = world.fresh_client()
        visit(world, client)
        reply = peer.send(client)
        accepted(reply)
        check("reason=seen" in peer.verdict(client), peer.verdict(client))
        world.delivered(reply.message)


@case("Sendmail's {if_addr} tells which address was reached", guard=True)
def if_addr(world):
    with running(world, Peer) as peer:
        for target, wanted in ((SMX, "reason=bypass"), (STRANGER, "reason=off-mx")):
            client = world.fresh_client()
            peer.send(client, target)
            line = peer.verdict(client)
            check(f"listener=[{target}]" in line and wanted in line, line)


@case("mail comes in through Sendmail while the daemon, then the milter, is away", guard=True)
def away(world):
    with running(world, Peer) as peer:
        for program in ("mxwardend", "mxwarden-milter"):
            peer.warden.kill(program)
            reply = peer.send(world.fresh_client())
            accepted(reply)
            world.delivered(reply.message)


@case("over Sendmail's limit, where its milter is not told: told by the feed", guard=True)
def fed(world):
    with running(world, Peer) as peer:
        client = world.fresh_client()
        peer.mta.make_map("access", f"ClientConn:{client} 1\n")
        with Session(world.net, client, SMX):
            with Session(world.net, client, SMX) as second:
                same(second.banner, (421, b"4.3.2 Too many open connections."))
        wait_for("the refusal in the log", lambda: "reject=421" in peer.mta.log_text())
        done = peer.warden.cli("feed", "--listener", SMX, input=peer.mta.log_text())
        same((done.returncode, done.stderr), (0, ""))
        same(peer.warden.ask("stats")["counters"]["feed_visits"], 1)
