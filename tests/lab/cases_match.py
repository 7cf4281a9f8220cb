"""Routes of domains that nobody configured, by the names of their MX hosts; routes by SRV records;
and very many domains. LAB_DOMAINS=N in the environment says how many."""
import os
import re
import threading
import time

import sitecfg
from cases import case
from socketmap import ask, question
from waiting import check, same, wait_for
from world import MX2

MATCH = """
match "gw*.mail.example.net" {{ route = "pool gateways" }}
domain "srv.example.org" {{ guard {{ mode = "off" }} route = "srv" }}
domain "known.example.org" {{ guard {{ mode = "off" }} route = "mx" }}
cache {{ {redis} entries = {entries} }}
"""
GATEWAYS = "OK smtp:[gw"
KNOWN = "OK smtp:[store.example.net]:25"


def conf(node):
    return "\n".join([sitecfg.DNS, sitecfg.HEALTH, sitecfg.POOL,
                      MATCH.format(redis=sitecfg.REDIS[node], entries=5000)])


def settled(world):
    wait_for("the configured domain known",
             lambda: ask(world.warden2, "u@known.example.org") == KNOWN, 10)
    wait_for("the gateways up", lambda: all(
        world.warden2.hosts()[f"gw{number}.example.net", 25]["state"] == "up"
        for number in (1, 2)), 10)


@case("mail for a provider's domain goes through the pool, by its MX host")
def provider(world):
    settled(world)
    reply = world.send(world.fresh_client(), MX2, "u@one.hosted.example.org")
    world.balance([reply.message])
    same(sum(len(world.sinks[name].find(reply.message)) for name in ("gw1", "gw2")), 1,
         "messages at the gateways")
    same(ask(world.warden2, "u@ONE.hosted.example.org.")[:len(GATEWAYS)], GATEWAYS)
    told = world.warden2.ask("route", address="u@one.hosted.example.org")
    same(told["section"], "match gw*.mail.example.net")


@case("mail for other domains goes by the MX, and stays here where this host is one")
def others(world):
    settled(world)
    reply = world.send(world.fresh_client(), MX2, "u@stranger.example.org")
    world.balance([reply.message])
    same(len(world.sinks["store"].find(reply.message)), 1, "messages by the relay's own way")
    for domain in ("stranger.example.org", "backed.hosted.example.org", "none.example.org"):
        same(ask(world.warden2, f"u@{domain}"), "NOTFOUND ", domain)
    check(ask(world.warden1, "u@backed.hosted.example.org").startswith(GATEWAYS), "elsewhere")
    check("gw.mail.example.net" not in str(world.warden2.hosts()), "a stranger's host is probed")


@case("route srv: mail goes to the host and the port that the records name")
def service(world):
    wait_for("the record known", lambda: ask(world.warden2, "u@srv.example.org").startswith(
        "OK smtp:[backup.example.net]:2525"), 10)
    reply = world.send(world.fresh_client(), MX2, "u@srv.example.org")
    world.balance([reply.message])
    same(len(world.sinks["backup"].find(reply.message)), 1, "messages at the backup's port 2525")
    same(world.warden2.hosts()["backup.example.net", 2525]["state"], "up")


class Asker(threading.Thread):
    """One connection that asks until it is told to stop, or has asked for every key."""

    def __init__(self, warden, keys):
        super().__init__()
        self.warden, self.keys = warden, keys
        self.answers, self.took, self.stop = [], [], threading.Event()

    def run(self):
        with self.warden.connect("socketmap") as sock:
            for key in self.keys:
                if self.stop.is_set():
                    break
                began = time.monotonic()
                self.answers.append((key, question(sock, f"transport {key}")))
                self.took.append(time.monotonic() - began)


def forever(*keys):
    while True:
        yield from keys


def resident(warden):
    """Kilobytes."""
    with open(f"/proc/{warden.daemon.pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


def ask_for_many(world, names):
    """Over sixteen connections, while one more asks for the configured domains; both's askers."""
    configured = Asker(world.warden2, forever("u@known.example.org", "u@pool.example.com"))
    askers = [Asker(world.warden2, names[at::16]) for at in range(16)]
    configured.start()
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    configured.stop.set()
    configured.join()
    return configured, askers


def check_configured(configured, what):
    wrong = [one for one in configured.answers
             if not (one[1] or "").startswith((KNOWN, GATEWAYS))]
    same(wrong, [], f"configured domains {what}")
    check(len(configured.took) >= 20, f"only {len(configured.took)} answers {what}")
    # 200 ms is what a look-up may take; nothing of that kind has a place here.
    check(max(configured.took) < 0.2, f"{what} a configured domain waited {max(configured.took)} s")


@case("distinct domains without number: configured ones are answered, memory has its bound")
def many(world):
    settled(world)
    count = int(os.environ.get("LAB_DOMAINS", "3000"))
    names = [f"u@d{number}.many.hosted.example.org" for number in range(count)]
    part = min(count // 3, 20000)  # more than there are entries
    ask_for_many(world, names[:part])
    before, began = resident(world.warden2), time.monotonic()
    configured, askers = ask_for_many(world, names[part:])
    took, grown = time.monotonic() - began, resident(world.warden2) - before
    check_configured(configured, "among many")
    answers = [answer for asker in askers for _, answer in asker.answers]
    missed = [answer for answer in answers if not (answer or "").startswith(GATEWAYS)]
    slow = sorted(time for asker in askers for time in asker.took)
    check(len(missed) <= len(answers) // 100 and set(missed) <= {"NOTFOUND "}, missed[:5])
    check(slow[-1] < 1, f"a domain took {slow[-1]} s")
    if part > 5000:
        check(grown < 8192, f"{grown} KB more after {count} domains")
    print(f"# {len(answers)} domains in {took:.1f} s, {len(missed)} too slow for an answer; p99 "
          f"{slow[len(slow) * 99 // 100] * 1000:.1f} ms; configured: {len(configured.took)} "
          f"answers, slowest {max(configured.took) * 1000:.1f} ms; {grown:+d} KB", flush=True)


@case("distinct domains while the DNS is silent: NOTFOUND in time, configured ones at once")
def silent(world):
    settled(world)
    world.dns.mode = "silent"
    names = [f"u@d{number}.silent.hosted.example.org" for number in range(320)]
    configured, askers = ask_for_many(world, names)
    check_configured(configured, "in silence")
    same({answer for asker in askers for _, answer in asker.answers}, {"NOTFOUND "})
    check(max(max(asker.took) for asker in askers) < 0.5, "a stranger held the map up")
    world.dns.mode = "pass"
    wait_for("a domain known once the DNS answers", lambda: ask(
        world.warden2, names[-1]).startswith(GATEWAYS), 10)
