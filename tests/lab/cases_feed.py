"""Clients turned away at mx1 before its milter hears of them: real postscreen and smtpd limits, the
log that they write, and `mxwarden feed` that reads it."""
import contextlib
import os
import pathlib
import subprocess

import sitecfg
from cases import case
from cases_guard import accepted, reason, refused
from smtp import Session
from space import write
from waiting import check, same, wait_for
from world import MX1, MX2

# A test behind the greeting is what makes postscreen turn a client away, once. The probes of the
# other hosts must come through it.
SCREEN = """
{address}:25 inet n - n - 1 postscreen
  -o postscreen_greet_wait=1s -o postscreen_bare_newline_enable=yes
  -o postscreen_access_list=cidr:{folder}/site.cidr
smtpd pass - - n - - smtpd
  -o {{ smtpd_milters = {milter} }}
tlsproxy unix - - n - 0 tlsproxy
dnsblog unix - - n - 0 dnsblog
"""


def conf(node):
    return sitecfg.guarded(node, yield_after="1h") + (
        "\nneeds_feed = true\n" if node == "mx1.example.com" else "")


def unfed(node):
    return sitecfg.guarded(node, yield_after="1h")


@contextlib.contextmanager
def mx1_with(world, change):
    """mx1's Postfix with another master.cf, until the end of the case."""
    mta = world.mx1
    path = mta.folder / "master.cf"
    text = path.read_text()
    write(path, change(text))
    mta.stop()
    mta.start()
    try:
        yield
    finally:
        write(path, text)
        mta.stop()
        mta.start()


def postscreen(text):
    """mx1's IPv4 listener behind postscreen."""
    folder = pathlib.Path("/run/lab/mx1/postfix")
    write(folder / "site.cidr", "192.0.2.0/24 permit\n")
    head, options, rest = text.split("\n", 2)
    assert head.startswith(f"{MX1}:25 ") and "smtpd_milters" in options
    milter = options.partition("=")[2].strip().removesuffix("}").strip()
    return SCREEN.format(address=MX1, milter=milter, folder=folder) + rest


def one_at_a_time(text):
    """At most one connection of a client."""
    head, rest = text.split("\n", 1)
    return (f"{head}\n  -o smtpd_client_connection_count_limit=1"
            f" -o smtpd_client_event_limit_exceptions=192.0.2.0/24\n{rest}")


@contextlib.contextmanager
def feeding(world, *words):
    """`tail -F | mxwarden feed` on mx1; ends with its exit code checked."""
    with open(world.mx1.log, "rb") as log:
        begin = log.seek(0, os.SEEK_END) + 1
    front = ["nsenter", "--net=/run/netns/mx1", "--"]
    tail = subprocess.Popen([*front, "tail", "-c", f"+{begin}", "-F", str(world.mx1.log)],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL)
    feed = subprocess.Popen([*front, str(world.warden1.bin / "mxwarden"), "-c",
                             str(world.warden1.file), "feed", *words], stdin=tail.stdout,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    tail.stdout.close()
    try:
        yield feed
    finally:
        tail.kill()
        tail.wait()
        said = feed.communicate(timeout=20)[1]
    same(feed.returncode, 0, f"the feed's end: {said}")
    check(not said or "told again" in said, said)


def unobserved_without(world):
    known = world.warden2.hosts()["mx1.example.com", 25]
    return known["state"] == "up" and not known["observed"] and known["missing"] == "feed"


def fed(world):
    return world.warden1.ask("stats")["counters"].get("feed_visits", 0)


@case("postscreen turns a client away: fed, it is seen at mx2")
def screened(world):
    with mx1_with(world, postscreen):
        wait_for("mx1 unobserved, since nobody feeds", lambda: unobserved_without(world), 20)
        accepted(world.send(world.fresh_client(), MX2, "unfed@example.com"))
        same(reason(world.warden2, "unfed@example.com"), "unobserved")
        with feeding(world):
            world.wait_observed()
            client = world.fresh_client()
            refused(world.send(world.fresh_client(), MX2, "other@example.com"))
            reply = world.send(client, MX1, "screened@example.com")
            same(reply.code, 450, reply)
            accepted(world.send(client, MX2, "screened@example.com"))
            same(reason(world.warden2, "screened@example.com"), "seen")


@case("what postscreen turns away looks like a bypass without a feed", unfed)
def not_fed(world):
    with mx1_with(world, postscreen):
        world.wait_observed()
        client = world.fresh_client()
        same(world.send(client, MX1, "screened@example.com").code, 450)
        refused(world.send(client, MX2, "screened@example.com"))


@case("over smtpd's connection limit: told by the feed")
def limited(world):
    with mx1_with(world, one_at_a_time), feeding(world):
        world.wait_observed()
        client = world.fresh_client()
        before = fed(world)  # the first connection is told by the milter, not by the log
        with Session(world.net, client, MX1):
            # Refused as a rule of the mail server, before any milter is told.
            second = Session(world.net, client, MX1)
            second.close()
            same(second.banner[0], 421)
        wait_for("the visit to be fed", lambda: fed(world) > before, 5)


@case("the feed outlives its daemon", guard=False)
def daemon_restarts(world):
    with mx1_with(world, postscreen), feeding(world):
        world.wait_observed()
        world.warden1.stop("mxwardend")
        client = world.fresh_client()
        same(world.send(client, MX1, "early@example.com").code, 450)
        world.warden1.start("mxwardend")
        wait_for("the visit to be fed", lambda: fed(world) > 0, 5)
        world.wait_observed()
        wait_for("mx2 to know the visit", lambda: world.warden2.ask(
            "explain", client=client, listener=MX2, rcpt="early@example.com")["reason"] == "seen")
        accepted(world.send(client, MX2, "early@example.com"))
        same(reason(world.warden2, "early@example.com"), "seen")
