"""The guard on real Postfix: who is deferred at mx2, and who is not."""
import re
import time

import sitecfg
from cases import case
from smtp import Session
from waiting import check, same, wait_for
from world import MX1, MX1_6, MX2, MX2_6, MX2P

TEXT = "Please deliver to the preferred MX first"


def conf(node):
    return sitecfg.guarded(node)


def patient(node):
    """Nobody yields within a case."""
    return sitecfg.guarded(node, yield_after="1h")


def default_times(node):
    return sitecfg.guarded(node, yield_after="1h", health="health { }")


def with_grace(node):
    return sitecfg.guarded(node, yield_after="1h", grace="2s")


def usual_networks(node):
    return sitecfg.guarded(node, yield_after="1h", evidence_net="24,64")


def holding(node):
    return sitecfg.guarded(node, yield_after="1h", hold_down="3s")


def visit(world, source, target=MX1):
    """A client that comes to a host and goes without a word of mail: evidence all the same."""
    with Session(world.net, source, target):
        pass


def reason(warden, recipient):
    """The reason in the log line of the last verdict for a recipient."""
    def find():
        lines = [line for line in warden.log_text().splitlines()
                 if "guard verdict=" in line and f"rcpt=<{recipient}>" in line]
        return lines and re.search(r"reason=(\S+)", lines[-1]).group(1)
    return wait_for(f"a verdict on {recipient} in the log", find, 3)


def refused(reply):
    check(reply.code == 451 and reply.step == "RCPT", "wanted 451 at RCPT, got", reply)


def accepted(reply):
    check(reply.accepted, "wanted acceptance, got", reply)


def until_accepted(world, recipient, seconds):
    client = world.fresh_client()
    wait_for("acceptance", lambda: world.send(client, MX2, recipient).accepted, seconds)


def until_refused(world, recipient, seconds):
    client = world.fresh_client()
    wait_for("a refusal", lambda: world.send(client, MX2, recipient).code == 451, seconds)


@case("straight to mx2 is deferred with 451 4.7.1 and the better host", patient, guard=True)
def straight(world):
    reply = world.send(world.fresh_client(), MX2, "straight@example.com")
    refused(reply)
    check(reply.text.startswith("4.7.1 ") and TEXT in reply.text, reply)
    check("(mx1.example.com)" in reply.text, reply)
    same(reason(world.warden2, "straight@example.com"), "bypass")


@case("mx1 first, then mx2, is accepted", patient, guard=True)
def honest(world):
    client = world.fresh_client()
    visit(world, client)
    reply = world.send(client, MX2, "honest@example.com")
    accepted(reply)
    same(reason(world.warden2, "honest@example.com"), "seen")
    world.balance([reply.message])


@case("a neighbour of one who was at mx1 is accepted", patient, guard=True)
def neighbour(world):
    network = world.fresh_network()
    visit(world, network[0])
    accepted(world.send(network[1], MX2, "neighbour@example.com"))
    same(reason(world.warden2, "neighbour@example.com"), "seen")
    refused(world.send(world.fresh_client(), MX2, "neighbour@example.com", sender="x@example.org"))


@case("the default networks: 198.51.100.7 was at mx1, 198.51.100.8 comes to mx2", usual_networks,
      guard=True)
def usual(world):
    refused(world.send("198.51.100.8", MX2, "usual@example.com"))
    visit(world, "198.51.100.7")
    accepted(world.send("198.51.100.8", MX2, "usual@example.com"))


@case("the same HELO domain, sender domain and recipient from elsewhere is accepted", patient,
      True)
def same_tuple(world):
    who = {"sender": "list@example.org", "helo": "out1.example.org"}
    accepted(world.send(world.fresh_client(), MX1, "tuple@example.com", **who))
    who["helo"] = "out2.example.org"
    accepted(world.send(world.fresh_client(), MX2, "tuple@example.com", **who))
    same(reason(world.warden2, "tuple@example.com"), "seen")
    refused(world.send(world.fresh_client(), MX2, "other@example.com", **who))


@case("what Postfix refuses at mx1 is evidence too", patient, guard=True)
def refused_there(world):
    client = world.fresh_client()
    same(world.send(client, MX1, "x@elsewhere.example.org").code, 554)
    accepted(world.send(client, MX2, "refused@example.com"))


@case("IPv6: straight is deferred, mx1 first is accepted", patient, guard=True)
def version6(world):
    refused(world.send("2001:db8:1:1::7", MX2_6, "six@example.com"))
    visit(world, "2001:db8:1:2::7", MX1_6)
    accepted(world.send("2001:db8:1:2::8", MX2_6, "six@example.com"))


@case("a retry after yield_after is accepted, and the client is known from then on", guard=True)
def yielded(world):
    client, who = world.fresh_client(), {"sender": "again@sender.example.net"}
    refused(world.send(client, MX2, "yield@example.com", **who))
    refused(world.send(client, MX2, "yield@example.com", **who))
    reply = wait_for("the retry", lambda: (one := world.send(client, MX2, "yield@example.com",
                                                             **who)).accepted and one, 6)
    same(reason(world.warden2, "yield@example.com"), "yielded")
    known = world.send(client, MX2, "known@example.com", sender="new@sender.example.net")
    accepted(known)
    same(reason(world.warden2, "known@example.com"), "learned")
    world.balance([reply.message, known.message])


@case("another sender's refusal helps nobody", guard=True)
def not_yielded(world):
    client = world.fresh_client()
    began = time.monotonic()
    refused(world.send(client, MX2, "own@example.com", sender="a@sender.example.net"))
    wait_for("yield_after to pass", lambda: time.monotonic() - began > 2.5)
    refused(world.send(client, MX2, "own@example.com", sender="b@sender.example.net"))


@case("check_policy_service guards as the milter does", patient, guard=True)
def by_policy(world):
    poll = world.fresh_client()
    wait_for("mx1 observed for the policy listener",
             lambda: not world.send(poll, MX2P, "p@policy.example.com").accepted)
    reply = world.send(world.fresh_client(), MX2P, "straight@policy.example.com")
    check(reply.code in (450, 451) and reply.step == "RCPT", reply)
    check("4.7.1" in reply.text and TEXT in reply.text and "mx1.example.com" in reply.text, reply)
    client = world.fresh_client()
    visit(world, client)
    accepted(world.send(client, MX2P, "honest@policy.example.com"))
    same(reason(world.warden2, "honest@policy.example.com"), "seen")


@case("a permanent refusal by a later rule wins over DEFER_IF_PERMIT", patient, guard=True)
def later_rule(world):
    action = world.warden2.policy(client_address=world.fresh_client(), server_address=MX2P,
                                  recipient="u@policy.example.com", sender="s@example.net",
                                  helo_name="h.example.net")
    check(action.startswith("DEFER_IF_PERMIT 4.7.1 "), action)


@case("detect accepts what defer would refuse, for the same reason", patient, guard=True)
def detect(world):
    reply = world.send(world.fresh_client(), MX2, "seen@detect.example.com")
    accepted(reply)
    same(reason(world.warden2, "seen@detect.example.com"), "bypass")
    check("X-MX-Warden" not in world.delivered(reply.message)["text"], "a header in mode detect")


@case("tag marks the message, and only that one", patient, guard=True)
def tag(world):
    client, spoof = world.fresh_client(), "X-MX-Warden: bypass; domain=forged.example.net\r\n"
    marked = world.send(client, MX2, "a@tag.example.com", headers=spoof)
    accepted(marked)
    headers = mx_headers(world.delivered(marked.message))
    same(headers, ["bypass; domain=tag.example.com; mx=mx2.example.com"], "headers")
    visit(world, client)
    clean = world.send(client, MX2, "b@tag.example.com", headers=spoof)
    accepted(clean)
    same(mx_headers(world.delivered(clean.message)), [], "headers of an honest message")


def mx_headers(message):
    return [line.partition(":")[2].strip() for line in message["text"].split("\r\n")
            if line.lower().startswith("x-mx-warden:")]


@case("two recipients of two domains are judged one by one", patient, guard=True)
def two_domains(world):
    first, second = world.send(world.fresh_client(), MX2,
                               ["one@example.com", "two@opposite.example.com"])
    refused(first)
    accepted(second)
    same(world.delivered(second.message)["recipients"], ["two@opposite.example.com"])
    same(reason(world.warden2, "two@opposite.example.com"), "best")


@case("postmaster, other domains and mode off are never refused", patient, guard=True)
def exempt(world):
    client = world.fresh_client()
    for recipient, why in (("postmaster@example.com", "exempt-recipient"),
                           ("u@off.example.com", "exempt-off"),
                           ("u@stranger.example.org", "unguarded")):
        accepted(world.send(client, MX2, recipient))
        same(reason(world.warden2, recipient), why, recipient)


@case("another MX host of the domain is never refused", patient, guard=True)
def between_hosts(world):
    reply = world.send_from(world.mx1.host, MX1, MX2, "relay@example.com")
    accepted(reply)
    same(reason(world.warden2, "relay@example.com"), "exempt-mx")


@case("mx1 stopped: everyone accepted within 10 s at default intervals", default_times, guard=True)
def stopped(world):
    refused(world.send(world.fresh_client(), MX2, "before@example.com"))
    world.mx1.stop()
    began = time.monotonic()
    until_accepted(world, "down@example.com", 12)
    took = time.monotonic() - began
    check(took <= 10, f"took {took:.1f} s")
    same(reason(world.warden2, "down@example.com"), "better-down")


@case("mx1 just back is not held against anyone for hold_down", holding, guard=True)
def hold_down(world):
    until_refused(world, "held@example.com", 6)
    world.mx1.stop()
    until_accepted(world, "held@example.com", 10)
    world.mx1.start()
    world.wait_observed()
    accepted(world.send(world.fresh_client(), MX2, "back@example.com"))
    same(reason(world.warden2, "back@example.com"), "better-down")
    until_refused(world, "held@example.com", 6)


@case("mx1 cut off the wire: accepted; back again: judged again", patient, guard=True)
def cut_off(world):
    refused(world.send(world.fresh_client(), MX2, "wire@example.com"))
    world.cut_off("mx1")
    until_accepted(world, "wire@example.com", 10)
    world.heal(patient)
    until_refused(world, "wire@example.com", 15)


@case("mx1's milter stopped: nobody is judged, and hosts names the missing link", patient, True)
def unobserved(world):
    world.warden1.stop("mxwarden-milter")

    def link():
        known = world.warden2.hosts()["mx1.example.com", 25]
        return known["state"] == "up" and not known["observed"] and known["missing"] == "milter"

    def judged():
        accepted(world.send(client, MX2, "blind@example.com"))
        return reason(world.warden2, "blind@example.com") == "unobserved"

    client = world.fresh_client()
    wait_for("mx1 up, and its milter missing", link, 15)
    # A milter that is on its way out holds up Postfix's banner: at first mx1 looks down, too.
    wait_for("the reason unobserved", judged, 10)
    shown = world.warden2.cli("hosts", "--json")
    same(shown.returncode, 0, shown.stderr)
    check('"milter"' in shown.stdout, shown.stdout)


@case("Redis killed: accepted in under a second; back: judged again after grace", with_grace,
      guard=True)
def redis_killed(world):
    until_refused(world, "redis@example.com", 6)
    world.redis.kill()
    began = time.monotonic()
    until_accepted(world, "redis@example.com", 5)
    took = time.monotonic() - began
    check(took < 1, f"took {took:.2f} s")
    world.redis.start()
    until_refused(world, "redis@example.com", 15)
    accepted_late = [line for line in world.warden2.log_text().splitlines()
                     if "rcpt=<redis@example.com>" in line and "reason=young" in line]
    check(accepted_late, "nobody was accepted because the memory was young")


@case("mx2's daemon killed: its milter lets mail through; restarted: judged again", patient, True)
def daemon_killed(world):
    world.mx2.attach(routes=False)
    refused(world.send(world.fresh_client(), MX2, "daemon@example.com"))
    world.warden2.kill("mxwardend")
    began = time.monotonic()
    replies = [world.send(world.fresh_client(), MX2, "daemon@example.com") for _ in range(3)]
    took = time.monotonic() - began
    for reply in replies:
        accepted(reply)
    check(took < 3, f"three messages took {took:.1f} s without the daemon")
    world.warden2.start("mxwardend")
    until_refused(world, "daemon@example.com", 15)
    world.balance([reply.message for reply in replies])


@case("DNS silenced and nothing known: accepted", patient, guard=True)
def dns_silent(world):
    world.dns.mode, world.dns.only = "silent", "example.com"
    same(world.warden2.ask("purge", domain="example.com")["status"], "ok")
    reply = world.send(world.fresh_client(), MX2, "silent@example.com")
    accepted(reply)
    same(reason(world.warden2, "silent@example.com"), "dns-fail")
    world.dns.heal()
    until_refused(world, "silent@example.com", 15)


@case("DNS silenced, the ordering known: judged as before", patient, guard=True)
def dns_silent_warm(world):
    # Not for all names: Postfix looks up who connects before its banner, and so would be late for
    # the probes, which is better-down.
    world.dns.mode, world.dns.only = "silent", "example.com"
    refused(world.send(world.fresh_client(), MX2, "warm@example.com"))


@case("truncated answers are asked for again over TCP", patient, guard=True)
def dns_truncated(world):
    world.dns.mode = "truncate"
    same(world.warden2.ask("purge", domain="example.com")["status"], "ok")
    until_refused(world, "tcp@example.com", 10)
