"""Mail through every fault: what was sent is delivered or still queued, and nothing bounced.

Two honest senders talk through the fault: one that tries mx1 and then mx2 with mail for the guarded
domain, and one that leaves mail for the pool at mx2. Both are retried, as senders do, when the
world is whole again; then the books must balance."""
import time

import sitecfg
from books import Stream, balance
from cases import case
from waiting import check, same, wait_for
from world import MX1, MX2


def conf(node):
    return sitecfg.guarded(node)


# Longer than two probe intervals of the lab: the daemons have time to notice.
FAULT_SECONDS = 2.5
GUARDED = ["a@example.com", "b@example.com", "c@tag.example.com", "d@relayed.example.com"]
POOLED = [f"u{number}@pool.example.com" for number in range(12)]


def through(world, fault, mend):
    """Streams of mail before, during and after the fault."""
    with Stream(world, (MX1, MX2), GUARDED) as mail, Stream(world, (MX2,), POOLED) as pooled:
        def flow(count, seconds):
            """Until so many messages have gone out, and so much time has passed."""
            begin = len(mail.replies), len(pooled.replies), time.monotonic()
            wait_for("mail to flow", lambda: len(mail.replies) >= begin[0] + count and
                     len(pooled.replies) >= begin[1] + count and
                     time.monotonic() >= begin[2] + seconds, 40)

        flow(10, 0)
        fault()
        flow(15, FAULT_SECONDS)
        mend()
        flow(15, 0)
    for stream in (mail, pooled):
        stream.retry()
        permanent = [reply for _, _, reply in stream.replies if 500 <= reply.code < 600]
        check(not permanent, "a permanent refusal:", *permanent[:2])
    balance(world, mail.sent + pooled.sent, 40)
    return mail, pooled


@case("Redis killed and back", guard=True)
def redis_killed(world):
    through(world, world.redis.kill, world.redis.start)


@case("Redis frozen and thawed", guard=True)
def redis_frozen(world):
    through(world, world.redis.freeze, world.redis.heal)


@case("DNS silent for what mxwarden asks", guard=True)
def dns_silent(world):
    def silence():
        world.dns.mode, world.dns.only = "silent", "example.com"
        for warden in world.wardens:
            same(warden.ask("purge", domain="example.com")["status"], "ok")

    through(world, silence, world.dns.heal)


@case("DNS answers SERVFAIL to all", guard=True)
def dns_servfail(world):
    def fail():
        world.dns.mode = "servfail"

    through(world, fail, world.dns.heal)


@case("mx1 stopped and started", guard=True)
def mx1_stopped(world):
    through(world, world.mx1.stop, world.mx1.start)


@case("mx1's milter stopped and started", guard=True)
def milter_stopped(world):
    through(world, lambda: world.warden1.stop("mxwarden-milter"),
            lambda: world.warden1.start("mxwarden-milter"))


@case("mx2's milter killed and started", guard=True)
def milter_killed(world):
    through(world, lambda: world.warden2.kill("mxwarden-milter"),
            lambda: world.warden2.start("mxwarden-milter"))


@case("mx2's daemon killed and started", guard=True)
def daemon_killed(world):
    through(world, lambda: world.warden2.kill("mxwardend"),
            lambda: world.warden2.start("mxwardend"))


@case("both daemons restarted by TERM", guard=True)
def restarted(world):
    def restart():
        for warden in world.wardens:
            warden.stop("mxwardend")
            warden.start("mxwardend")

    through(world, restart, lambda: None)


@case("a gateway goes away and comes back", guard=True)
def gateway(world):
    through(world, world.sinks["gw1"].close, world.sinks["gw1"].open)


@case("reloads under mail", guard=True)
def reloads(world):
    def reload():
        for warden in world.wardens:
            warden.daemon.send_signal(1)

    through(world, reload, reload)
