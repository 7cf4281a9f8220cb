"""What a bypass meets in each mode, on both attachments; a better host without a milter;
Debian's chroot; and the commands that change what is judged, against a live site."""
import json
import os
import pathlib
import re
import shutil

import sitecfg
from cases import case
from cases_guard import TEXT, accepted, reason, refused, visit
from mta import POLICY
from smtp import Session
from space import write
from waiting import check, same, wait_for
from world import MX1, MX2, MX2P

# Never at mx1, and nobody yields here: it is a bypasser in every case.
SKIPPER = "203.0.113.5"
HEALTH = 'health {{ interval = 1s timeout = 2s fall = 2 rise = 1 depth = "{depth}" }}'
# What Debian's master.cf leaves outside the chroot, and so do we.
UNCHROOTED = ("proxymap", "local", "virtual", "postlogd")
# What Debian copies into it.
CHROOT_FILES = ("resolv.conf", "nsswitch.conf", "hosts", "services")


def conf(node):
    return sitecfg.guarded(node, yield_after="1h") + sitecfg.MODES


def deep(node):
    """Probes go on to RCPT."""
    return sitecfg.guarded(node, yield_after="1h", health=HEALTH.format(depth="rcpt"))


def shallow(node):
    return sitecfg.guarded(node, yield_after="1h", health=HEALTH.format(depth="banner"))


def in_queue(mta, message):
    """(queue name, queue id, recipients) of a message on a host; None where it is not there."""
    for entry in mta.queue():
        if entry["sender"].startswith(f"{message}@"):
            return (entry["queue_name"], entry["queue_id"],
                    sorted(one["address"] for one in entry["recipients"]))
    return None


def release(world, reply, recipients):
    """The message is in mx2's hold queue with these recipients; let go, it is delivered."""
    held = wait_for("the message in a queue", lambda: in_queue(world.mx2, reply.message), 5)
    same((held[0], held[2]), ("hold", sorted(recipients)), "what waits")
    same(world.mx2.command("postsuper", "-H", held[1]).returncode, 0, "postsuper")
    world.balance([reply.message])


def way(world, reply):
    """The hosts that a delivered message went through, the last one first."""
    return re.findall(r"(?m)^\s+by (\S+) \(Postfix\)", world.delivered(reply.message)["text"])


def denied(reply, *codes):
    """Refused at RCPT, with the site's text and the better host."""
    check(reply.code in codes and reply.step == "RCPT", "wanted", codes, "at RCPT, got", reply)
    check("5.7.1" in reply.text if codes[0] == 550 else "4.7.1" in reply.text, reply)
    check(f"{TEXT} (mx1.example.com)" in reply.text, reply)


def listener_lines(text, change):
    """master.cf with the option line of each SMTP listener changed."""
    return re.sub(r"(?m)^(\S+:25 inet .*\n)(  -o .*\n)",
                  lambda found: found[1] + change(found[1], found[2]), text)


def filtering(world):
    """master.cf of mx2 as FILTER wants it: its policy service is asked at DATA, too."""
    data = "  -o { smtpd_data_restrictions = %s }\n" % POLICY.format(sockets=world.mx2.sockets)
    return lambda text: listener_lines(text, lambda head, line: line + (
        data if head.startswith(MX2P) else ""))


def noting(world):
    """master.cf of mx2 with nothing but evidence at its policy service."""
    policy = POLICY.format(sockets=world.mx2.sockets).removesuffix("}")
    note = "  -o { smtpd_client_restrictions = %s, policy_context=evidence } }\n" % policy
    return lambda text: listener_lines(text, lambda head, line: note if head.startswith(MX2P)
                                       else line)


def policy_only(world, *more):
    """master.cf of mx1 without a milter."""
    policy = POLICY.format(sockets=world.mx1.sockets)
    lines = "".join(f"  -o {option}\n" for option in (
        "{ smtpd_recipient_restrictions = %s }" % policy, *more))
    return lambda text: listener_lines(text, lambda head, line: lines)


def ok(done):
    same(done.returncode, 0, done.stderr)
    return done.stdout


# ---- modes ----


@case("hold: the message waits in the hold queue, on both attachments", guard=True)
def hold(world):
    for target in (MX2, MX2P):
        reply = world.send(SKIPPER, target, f"u{target}@hold.modes.example.com")
        accepted(reply)
        same(reason(world.warden2, f"u{target}@hold.modes.example.com"), "bypass")
        release(world, reply, [f"u{target}@hold.modes.example.com"])


@case("hold: who was at the better host does not wait", guard=True)
def not_held(world):
    client = world.fresh_client()
    visit(world, client)
    for target in (MX2, MX2P):
        reply = world.send(client, target, "seen@hold.modes.example.com")
        accepted(reply)
        same(world.delivered(reply.message)["recipients"], ["seen@hold.modes.example.com"])


@case("reject: 550 5.7.1 at RCPT, on both attachments", guard=True)
def reject(world):
    for target in (MX2, MX2P):
        denied(world.send(SKIPPER, target, "u@reject.modes.example.com"), 550)
        same(reason(world.warden2, "u@reject.modes.example.com"), "bypass")


@case("filter by the policy service: one recipient goes through mx1, more go as ever", guard=True)
def filtered(world):
    there, exempt = "u@filter.modes.example.com", "postmaster@example.com"
    with world.mx2.changed(filtering(world)):
        alone = world.send(SKIPPER, MX2P, there)
        accepted(alone)
        honest = world.fresh_client()
        visit(world, honest)
        seen = world.send(honest, MX2P, there)
        accepted(seen)
        # FILTER would take everybody along, so that two who are let in go as ever.
        pair = world.send(SKIPPER, MX2P, [there, exempt])
        accepted(pair[0]), accepted(pair[1])
        later = world.send(SKIPPER, MX2P, [exempt, there])
        accepted(later[0])
        denied(later[1], 450, 451)
        both = world.send(SKIPPER, MX2P, [there, "v@filter.modes.example.com"])
        accepted(both[0])
        denied(both[1], 450, 451)
        world.balance([one.message for one in (alone, seen, pair[0], later[0], both[0])])
    same(way(world, alone), ["mx1.example.com", "mx2.example.com"], "the way of a bypass")
    same(way(world, seen), ["mx2.example.com"], "the way of one who was at mx1")
    same(way(world, pair[0]), ["mx2.example.com"], "the way of two recipients")
    same(way(world, later[0]), ["mx2.example.com"], "the way of the first of two")
    same(world.delivered(later[0].message)["recipients"], [exempt])
    same(way(world, both[0]), ["mx1.example.com", "mx2.example.com"], "the one left over")


@case("filter by the milter is 451", guard=True)
def filter_by_milter(world):
    denied(world.send(SKIPPER, MX2, "m@filter.modes.example.com"), 451)


@case("off_mx: defer and reject where mx2 is no MX, on both attachments", guard=True)
def off_mx(world):
    for target in (MX2, MX2P):
        denied(world.send(SKIPPER, target, "u@defer.off.example.com"), 451, 450)
        same(reason(world.warden2, "u@defer.off.example.com"), "off-mx")
        denied(world.send(SKIPPER, target, "u@reject.off.example.com"), 550)
        accepted(world.send(SKIPPER, target, "postmaster@reject.off.example.com"))


@case("one message, each recipient by the mode of its domain: by milter", guard=True)
def mixed(world):
    names = ["mix@hold.modes.example.com", "mix@tag.example.com", "mix@reject.modes.example.com",
             "mix@example.com", "mix@detect.example.com", "mix@opposite.example.com"]
    replies = dict(zip(names, world.send(SKIPPER, MX2, names)))
    denied(replies.pop("mix@reject.modes.example.com"), 550)
    denied(replies.pop("mix@example.com"), 451)
    for reply in replies.values():
        accepted(reply)
    release(world, reply, replies)
    check("X-MX-Warden: bypass; domain=tag.example.com; mx=mx2.example.com" in
          world.delivered(reply.message)["text"], "no header of tag in the message")


@case("one message, each recipient by the mode of its domain: by policy service", guard=True)
def mixed_by_policy(world):
    names = ["mix@hold.modes.example.com", "mix@reject.modes.example.com",
             "mix@filter.modes.example.com", "mix@policy.example.com", "mix@off.example.com"]
    held, permanent, diverted, deferred, off = world.send(SKIPPER, MX2P, names)
    denied(permanent, 550)
    denied(diverted, 450, 451)
    denied(deferred, 450, 451)
    accepted(held), accepted(off)
    release(world, held, [names[0], names[4]])


# ---- a better host without a milter ----


def wait_judging(world):
    """After a restart of mx1's Postfix: up and observed may be said of it from before."""
    world.wait_judging()
    wait_for("a bypass to be one", lambda: world.warden2.ask(
        "explain", client=SKIPPER, listener=MX2, rcpt="judged@example.com")["reason"] == "bypass")


def link(world, name):
    known = world.warden2.hosts()["mx1.example.com", 25]
    return known["state"] == "up" and not known["observed"] and known["missing"] == name


@case("mx1 with the policy service only: probes to RCPT prove it, and skippers are deferred", deep)
def policy_proof(world):
    with world.mx1.changed(policy_only(world)):
        wait_judging(world)
        refused(world.send(SKIPPER, MX2, "deep@example.com"))
        client = world.fresh_client()
        accepted(world.send(client, MX1, "deep@example.com"))
        accepted(world.send(client, MX2, "deep@example.com"))
        same(reason(world.warden2, "deep@example.com"), "seen")


@case("mx1 with the policy service only: probes to the greeting prove nothing", shallow)
def policy_unproven(world):
    with world.mx1.changed(policy_only(world)):
        def judged():
            accepted(world.send(SKIPPER, MX2, "shallow@example.com"))
            return reason(world.warden2, "shallow@example.com") == "unobserved"

        wait_for("mx1 up, and its node not told", lambda: link(world, "milter"), 15)
        wait_for("the reason unobserved", judged, 10)


@case("policy_context=evidence at mx1: who only connects there is seen", deep)
def evidence(world):
    policy = POLICY.format(sockets=world.mx1.sockets).removesuffix("}")
    options = ("{ smtpd_client_restrictions = %s, policy_context=evidence } }" % policy,
               "smtpd_delay_reject=no")
    with world.mx1.changed(policy_only(world, *options)):
        wait_judging(world)
        client = world.fresh_client()
        visit(world, client)
        accepted(world.send(client, MX2, "evidence@example.com"))
        same(reason(world.warden2, "evidence@example.com"), "seen")
        check(world.redis.cli("GET", f"mxw1:seen:[{MX1}]:[{client}]").endswith(",connect"),
              "no visit at connect is in Redis")
        refused(world.send(SKIPPER, MX2, "evidence@example.com"))


@case("policy_context=evidence judges nobody, at RCPT either", guard=True)
def evidence_only(world):
    with world.mx2.changed(noting(world)):
        client = world.fresh_client()
        accepted(world.send(client, MX2P, "note@reject.modes.example.com"))
        check(world.redis.cli("GET", f"mxw1:seen:[{MX2P}]:[{client}]").endswith(",rcpt"),
              "no visit at RCPT is in Redis")
    check("rcpt=<note@reject.modes" not in world.warden2.log_text(), "it was judged")


# ---- Debian's chroot ----


def chrooted(text):
    """master.cf with Debian's column: y for all but a few; sockets named from the queue."""
    lines = []
    for line in text.splitlines():
        words = line.split()
        if line[:1].strip() and words[-1] not in UNCHROOTED:
            line = " ".join([*words[:4], "y", *words[5:]])
        lines.append(line)
    return "\n".join(lines) + "\n"


def furnish(world):
    """What the chroot needs besides Postfix's own; the folder for mxwarden's sockets."""
    spool = world.mx2.folder / "spool"
    (spool / "etc").mkdir(exist_ok=True)
    for name in CHROOT_FILES:
        write(spool / "etc" / name, pathlib.Path("/etc", name).read_text())
    sockets = spool / "mxwarden"
    if not sockets.exists():
        sockets.mkdir(mode=0o750)
        shutil.chown(sockets, "mxwarden", "postfix")
    return sockets


def roots(master, program):
    """Where the root of each running child of that name is."""
    children = pathlib.Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return {os.readlink(f"/proc/{child}/root") for child in children
            if pathlib.Path(f"/proc/{child}/comm").read_text().strip() == program}


@case("chrooted smtpd and trivial-rewrite: milter, policy service and map are reached", guard=True)
def chroot(world):
    sockets = furnish(world)
    spool, outside = str(sockets.parent), str(world.mx2.sockets)
    try:
        world.warden2.move(sockets)
        with world.mx2.changed(lambda text: chrooted(text.replace(outside, "mxwarden")),
                               lambda text: text.replace(outside, "mxwarden")):
            world.wait_judging()
            refused(world.send(SKIPPER, MX2, "root@example.com"))
            denied(world.send(SKIPPER, MX2P, "root@policy.example.com"), 450, 451)
            with Session(world.net, SKIPPER, MX2) as session:
                same(session.ehlo()[0], 250)
                same(roots(world.mx2.process.pid, "smtpd"), {spool}, "smtpd's root")
            client = world.fresh_client()
            visit(world, client)
            honest = world.send(client, MX2, "root@example.com")
            pooled = world.send(client, MX2, "root@pool.example.com")
            accepted(honest), accepted(pooled)
            world.balance([honest.message, pooled.message])
            same(roots(world.mx2.process.pid, "trivial-rewrite"), {spool}, "trivial-rewrite's root")
    finally:
        world.warden2.move(None)
    check(any(world.sinks[name].find(pooled.message) for name in ("gw1", "gw2")),
          "mail of the pool did not reach a gateway")


# ---- the commands ----


@case("pause and resume, told to mx1, hold at mx2: a domain, and the site", guard=True)
def pause(world):
    def until(code, domain, seconds=2):
        wait_for(f"{code} for {domain}",
                 lambda: world.send(SKIPPER, MX2, f"pause@{domain}").code == code, seconds)

    until(451, "example.com")
    ok(world.warden1.cli("pause", "example.com", "10m"))
    until(250, "example.com")
    same(reason(world.warden2, "pause@example.com"), "exempt-pause")
    until(550, "reject.modes.example.com")
    ok(world.warden1.cli("resume", "example.com"))
    until(451, "example.com")
    ok(world.warden1.cli("pause", "10m"))
    until(250, "reject.modes.example.com")
    ok(world.warden2.cli("resume"))
    until(550, "reject.modes.example.com")


@case("seen tells of a visit at mx1, and forget takes it back", guard=True)
def seen_and_forget(world):
    client = world.fresh_client()
    visit(world, client)
    shown = wait_for("the visit", lambda: f"[{MX1}]" in ok(world.warden2.cli("seen", client)) and
                     ok(world.warden2.cli("seen", client)), 3)
    check(re.search(rf"(?m)^visit\s+\[{MX1}\]\s+\[{client}\]\s.*connect", shown), shown)
    accepted(world.send(client, MX2, "known@example.com", sender="a@sender.example.net"))
    ok(world.warden2.cli("forget", client))
    refused(world.send(client, MX2, "unknown@example.com", sender="b@sender.example.net"))
    check(f"[{MX1}]" not in ok(world.warden2.cli("seen", client)), "a visit is known again")


@case("allow, told to mx1, lets a client in at mx2, until forget", guard=True)
def allow(world):
    client = world.fresh_client()
    refused(world.send(client, MX2, "allow@example.com"))
    ok(world.warden1.cli("allow", client, "1h"))
    wait_for("acceptance", lambda: world.send(client, MX2, "allow@example.com").accepted, 2)
    same(reason(world.warden2, "allow@example.com"), "learned")
    free = world.send(client, MX2, "allow@hold.modes.example.com")
    world.balance([free.message])
    ok(world.warden1.cli("forget", client))
    denied(world.send(client, MX2, "allow@reject.modes.example.com"), 550)


@case("explain says what to do about each reason, and leaves no trace", guard=True)
def explain(world):
    def ask(recipient, why):
        """The two outputs tell the same; the text is for people, the other for programs."""
        words = ("explain", "--client", SKIPPER, "--listener", MX2, "--rcpt", recipient)
        text, known = ok(world.warden2.cli(*words)), json.loads(ok(world.warden2.cli(*words,
                                                                                   "--json")))
        same(known["reason"], why, recipient)
        check(known["hint"], "no hint for", why)
        shown = dict(line.split(None, 1) for line in text.partition("\n\n")[0].splitlines())
        same((shown["reason"], shown["hint"]), (why, known["hint"]), "as text")
        for row in known["rows"]:
            check(row["test"] in text and row["fact"] in text, f"row {row['row']} is not in:", text)

    def traces():
        return [world.redis.scan(f"mxw1:{kind}:*") for kind in ("defer", "seen", "ok", "dry")]

    before = traces()
    ask("e@example.com", "bypass")
    ask("e@hold.modes.example.com", "bypass")
    ask("e@stranger.example.org", "unguarded")
    ask("e@defer.off.example.com", "off-mx")
    ask("e@off.example.com", "exempt-off")
    same(traces(), before, "what is remembered")
