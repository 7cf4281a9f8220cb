"""Queues that are flushed: a real Postfix that would not try again for minutes, and the ETRN that
makes it."""
import time

import sitecfg
from cases import case
from waiting import check, same, wait_for
from world import MX2

DOMAIN = "relayed.example.com"
# The project's own demand on time holds for the defaults.
HEALTH = "health { interval = 5s timeout = 12s fall = 3 rise = 2 }"
PRIMARY = 'domain "relayed.example.com" { guard { mode = "off" } route = "primary" }'
PATIENT = "queue_run_delay = 300s\nminimal_backoff_time = 300s\nmaximal_backoff_time = 4000s\n" \
          "transport_retry_time = 60s\n"
STOCK = {"queue_run_delay", "minimal_backoff_time", "maximal_backoff_time", "transport_retry_time"}


def conf(node):
    text = sitecfg.guarded(node, health=HEALTH)
    check(PRIMARY in text, "the lab's configuration has changed")
    return text.replace(PRIMARY, PRIMARY[:-1] + f'flush = "{MX2}:25" }}')


def patient(text):
    """main.cf with the times of a stock Postfix."""
    return "\n".join(line for line in text.splitlines()
                     if line.partition(" ")[0] not in STOCK) + "\n" + PATIENT


def queued(world, count):
    """Messages deferred at mx2 while mx1 is away, and known to be."""
    wait_for("mx1 known to be up", lambda: states(world) == ["up"] * 2, 15)
    world.mx1.stop()
    wait_for("mx1 known to be down", lambda: states(world) == ["down"] * 2, 40)
    replies = [world.send(world.fresh_client(), MX2, f"wait{number}@{DOMAIN}")
               for number in range(count)]
    wait_for("the messages deferred", lambda: [one["queue_name"] for one in world.mx2.queue()]
             == ["deferred"] * count, 20)
    return [reply.message for reply in replies]


def states(world):
    """Of both addresses of mx1, as mx2 knows them."""
    return [one["state"] for one in world.warden2.ask("hosts")["hosts"]
            if one["host"] == "mx1.example.com"]


def flushes(world, result):
    return world.warden2.log_text().count(f"flush domain={DOMAIN} server={MX2}:25 result={result}")


@case("mx1 back: its backup's queue is empty within 5 s of the first banner, by one ETRN")
def primary_is_back(world):
    with world.mx2.changed(lambda text: text, patient):
        sent = queued(world, 5)
        before = flushes(world, "done")
        world.mx1.start()
        began = time.monotonic()
        wait_for("the queue empty", lambda: not world.mx2.queue(), 20)
        took = time.monotonic() - began
        check(took <= 5.0, f"took {took:.1f} s")
        world.balance(sent)
        same(flushes(world, "done") - before, 1, "ETRNs")
        check("250 Queuing started" in world.warden2.log_text().replace("\\x20", " "), "the reply")


@case("mx1 comes back while mx2's daemon is away: flushed when that is back")
def daemon_was_away(world):
    with world.mx2.changed(lambda text: text, patient):
        sent = queued(world, 1)
        same(world.redis.cli("HGET", "mxw1:flush:mx2.example.com", DOMAIN).strip(), "none", "owed")
        world.warden2.stop("mxwardend")
        world.mx1.start()
        world.warden2.start("mxwardend")
        wait_for("the queue empty", lambda: not world.mx2.queue(), 20)
        world.balance(sent)


@case("Postfix without the domain in fast_flush_domains: the log says what to do; by hand, too")
def not_allowed(world):
    with world.mx2.changed(lambda text: text,
                           lambda text: patient(text) + "fast_flush_domains =\n"):
        done = world.warden2.cli("flush", DOMAIN)
        same(done.returncode, 1, done.stdout + done.stderr)
        check("fast_flush_domains" in done.stderr and "459" in done.stderr, done.stderr)
        same(flushes(world, "refused") > 0, True, "the log")
    done = world.warden2.cli("flush", DOMAIN)
    same(done.returncode, 0, done.stdout + done.stderr)
    check("250" in done.stdout, done.stdout)
    same(world.warden2.cli("flush", "example.com").returncode, 1, "a domain without flush")
