"""Routes through real Postfix: transport_maps over socketmap, asked by postmap -q as the user that
Postfix runs as, and mail that goes where the answers say."""
import collections
import socket
import threading
import time

import sitecfg
from cases import case
from socketmap import ask, question
from waiting import check, same, wait_for
from warden import Warden
from world import MX2

GW1, GW2, BACKUP = "gw1.example.net", "gw2.example.net", "backup.example.net"


def conf(node):
    return sitecfg.guarded(node)


def first(answer):
    """"smtp:[h1]:25, [h2]:25" -> "h1"."""
    return answer.removeprefix("smtp:").split(",")[0].partition("]")[0].lstrip("[")


def hosts_of(answer):
    return [part.strip().partition("]")[0].lstrip("[")
            for part in answer.removeprefix("smtp:").split(",")]


def winners(world, mta, names):
    answers = mta.lookup_all(names)
    same(len(answers), len(names), "addresses with an answer")
    return collections.Counter(first(answer) for answer in answers.values())


def settled(world):
    """The pool as it should be: every host probed and up, both gateways chosen, on both nodes."""
    for warden in world.wardens:
        wait_for(f"the pool usable for {warden.name}", lambda: all(
            warden.hosts()[host, port]["state"] == "up"
            for host, port in ((GW1, 25), (GW2, 25), (BACKUP, 2525))), 10)
        wait_for("both gateways chosen", lambda: len(winners(world, mta_of(world, warden), names(
            40, "settle"))) == 2, 10)


def mta_of(world, warden):
    return world.mtas[world.wardens.index(warden)]


def names(count, prefix):
    return [f"{prefix}{number}@pool.example.com" for number in range(count)]


@case("2000 recipients share a 75/25 pool within 3 points, in two answers, the same on both nodes")
def shares(world):
    settled(world)
    asked = names(2000, "share")
    one, two = world.mx1.lookup_all(asked), world.mx2.lookup_all(asked)
    same(one, two, "the nodes' answers")
    same(len(one), 2000)
    part = sum(first(answer) == GW1 for answer in one.values()) / 20
    check(72 <= part <= 78, f"gw1 got {part} %")
    distinct = set(one.values())
    check(len(distinct) <= 2, f"{len(distinct)} distinct answers: {distinct}")
    for answer in distinct:
        same(sorted(hosts_of(answer)), sorted([GW1, GW2, BACKUP]), answer)
        same(hosts_of(answer)[-1], BACKUP, answer)
        check(answer.endswith(f"[{BACKUP}]:2525"), answer)


@case("mail goes to the gateway that the map names")
def delivered(world):
    settled(world)
    asked = names(60, "mail")
    answers = world.mx2.lookup_all(asked)
    sent = [world.send(world.fresh_client(), MX2, asked[at:at + 20]) for at in (0, 20, 40)]
    ids = [reply.message for replies in sent for reply in replies if reply.accepted]
    same(len(ids), 60, sent)
    world.balance(ids)
    for sink, host in (("gw1", GW1), ("gw2", GW2)):
        wanted = sorted(name for name in asked if first(answers[name]) == host)
        same(sorted(name for name in world.sinks[sink].recipients() if name in asked), wanted, host)


@case("tier 20 takes over with its port when tier 10 is down, and gives back")
def next_tier(world):
    settled(world)
    world.sinks["gw1"].close()
    wait_for("gw2 alone", lambda: winners(world, world.mx2, names(40, "t")) == {GW2: 40}, 10)
    world.sinks["gw2"].close()
    wait_for("the backup alone", lambda: winners(world, world.mx2, names(40, "t")) == {BACKUP: 40},
             10)
    answer, _ = world.mx2.lookup("tier@pool.example.com")
    check(answer.startswith(f"smtp:[{BACKUP}]:2525"), answer)
    reply = world.send(world.fresh_client(), MX2, "tier@pool.example.com")
    world.balance([reply.message])
    same(len(world.sinks["backup"].find(reply.message)), 1, "messages at the backup")
    world.sinks["gw1"].open()
    world.sinks["gw2"].open()
    settled(world)


@case("HSET state drain empties a host within a second on every node, DEL brings it back")
def drained(world):
    settled(world)
    world.redis.cli("HSET", f"mxw1:override:{GW1}:25", "state", "drain")
    within_a_second(world, {GW2: 40})
    world.redis.cli("HSET", f"mxw1:override:{GW1}:25", "state", "ready")
    within_a_second(world, None)
    world.redis.cli("HSET", f"mxw1:override:{GW2}:25", "weight", "0")
    within_a_second(world, {GW1: 40})
    world.redis.cli("DEL", f"mxw1:override:{GW1}:25", f"mxw1:override:{GW2}:25")
    within_a_second(world, None)


def within_a_second(world, wanted):
    """wanted: the winners of 40 recipients; None: more than one host."""
    began = time.monotonic()
    asked = names(40, "drain")
    for mta in world.mtas:
        wait_for(f"{wanted or 'both'} on {mta.name}", lambda: (
            winners(world, mta, asked) == wanted if wanted
            else len(winners(world, mta, asked)) == 2), 3)
    took = time.monotonic() - began
    check(took <= 1.0, f"took {took:.2f} s")


@case("mxwarden drain, ready and weight hold on every node")
def by_command(world):
    settled(world)
    for words, wanted in ((("drain", GW1), {GW2: 40}), (("ready", GW1), None),
                          (("weight", GW2, "0"), {GW1: 40}), (("weight", GW2, "25"), None)):
        done = world.warden1.cli(*words)
        same(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")
        within_a_second(world, wanted)
    done = world.hosts["mx1"].run(world.warden1.bin / "mxwarden", "-c", world.warden1.file, "drain",
                                  GW1, user="postfix")
    check(done.returncode != 0, "Postfix's account may drain")


@case("* and strangers are NOTFOUND")
def strangers(world):
    for warden in world.wardens:
        for key in ("*", "u@stranger.example.org", "u@example.com", "u@elsewhere.example.net"):
            same(ask(warden, key), "NOTFOUND ", key)
        answer, trouble = mta_of(world, warden).lookup("*")
        same((answer, trouble), (None, ""), "postmap -q '*'")


@case("the domain's case and form do not matter to its route, the local part's does")
def spelling(world):
    settled(world)
    same(ask(world.warden2, "Some.One@POOL.Example.COM"), ask(world.warden2,
                                                              "Some.One@pool.example.com"))
    check(ask(world.warden2, '"a b"@pool.example.com').startswith("OK smtp:["), "quoted")


@case("route primary: mx2 sends to mx1 and never to itself, mx1 delivers itself")
def primary(world):
    wait_for("mx1 named", lambda: (ask(world.warden2, "u@relayed.example.com") or "").startswith(
        "OK smtp:[mx1.example.com]:25"), 10)
    answer = ask(world.warden2, "u@relayed.example.com")
    same(answer, "OK smtp:[mx1.example.com]:25")
    same(ask(world.warden1, "u@relayed.example.com"), "NOTFOUND ")
    reply = world.send(world.fresh_client(), MX2, "u@relayed.example.com")
    world.balance([reply.message])
    path = world.delivered(reply.message)["text"]
    check("by mx1.example.com" in path and "by mx2.example.com" in path, path)


@case("route primary with mx1 down: still mx1, mail waits and arrives")
def primary_down(world):
    wait_for("mx1 named", lambda: ask(world.warden2, "u@relayed.example.com").startswith("OK"), 10)
    world.mx1.stop()
    wait_for("mx1 down", lambda: not world.warden2.hosts()["mx1.example.com", 25]["usable"], 10)
    same(ask(world.warden2, "u@relayed.example.com"), "OK smtp:[mx1.example.com]:25")
    reply = world.send(world.fresh_client(), MX2, "wait@relayed.example.com")
    wait_for("the message deferred", lambda: any(one["queue_name"] == "deferred"
                                                 for one in world.mx2.queue()), 15)
    world.mx1.start()
    world.balance([reply.message])


@case("the pool answers cold: DNS silent and Redis away as the daemon starts")
def cold(world):
    world.dns.mode = "silent"
    world.redis.kill()
    for warden in world.wardens:
        warden.stop("mxwardend")
    world.warden2.start("mxwardend")
    for number in range(20):
        answer = ask(world.warden2, f"cold{number}@pool.example.com")
        check(answer.startswith("OK smtp:[") and GW1 in answer, answer)
    same(ask(world.warden2, "*"), "NOTFOUND ")
    same(ask(world.warden2, "u@stranger.example.org"), "NOTFOUND ")


@case("the pool answers when everything breaks under way, and * never errs")
def broken(world):
    settled(world)
    before = ask(world.warden2, "u@pool.example.com")
    world.dns.mode = "servfail"
    world.redis.freeze()
    for number in range(50):
        began = time.monotonic()
        same(ask(world.warden2, "u@pool.example.com"), before)
        same(ask(world.warden2, "*"), "NOTFOUND ")
        check(time.monotonic() - began < 0.5, "an answer took longer than 250 ms")
    for sink in ("gw1", "gw2", "backup"):
        world.sinks[sink].close()
    wait_for("the pool down", lambda: not any(
        world.warden2.hosts()[host, port]["usable"]
        for host, port in ((GW1, 25), (GW2, 25), (BACKUP, 2525))), 15)
    check(ask(world.warden2, "u@pool.example.com").startswith("OK smtp:["), "nothing named")


@case("reload under load: every question answered, a bad file refused, a good one taken")
def reload(world):
    settled(world)
    warden = world.warden2
    good = warden.text
    stop, slow, answers = threading.Event(), [], []

    def load():
        with warden.connect("socketmap") as sock:
            while not stop.is_set():
                began = time.monotonic()
                answers.append(question(sock, f"transport u{len(answers)}@pool.example.com"))
                slow.append(time.monotonic() - began)

    clients = [threading.Thread(target=load) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        reload_as(warden, good + '\ndomain "x.example.com" { mode = nonsense }\n', "refused")
        same(ask(warden, "u@pool.example.com")[:3], "OK ", "after a bad reload")
        reload_as(warden, good.replace("weight = 75", "weight = 0"), "taken")
        wait_for("the new weights", lambda: winners(world, world.mx2, names(20, "new")) == {
            GW2: 20}, 5)
        reload_as(warden, good, "taken")
    finally:
        stop.set()
        for client in clients:
            client.join()
    check(all(answer and answer.startswith("OK smtp:") for answer in answers), "a bad answer")
    check(len(answers) > 100 and max(slow) < 0.25, f"{len(answers)} answers, slowest {max(slow)}")


def reload_as(warden: Warden, text, what):
    """SIGHUP with another file, until the log tells what became of it."""
    before = warden.log_text().count("reload")
    warden.configure(text)
    warden.daemon.send_signal(1)
    wait_for(f"a reload {what}", lambda: warden.log_text().count("reload") > before, 10)


@case("a Postfix socketmap connection that idles is never closed by the daemon")
def idle(world):
    with world.warden2.connect("socketmap") as sock:
        same(question(sock, "transport *"), "NOTFOUND ")
        sock.settimeout(3)
        try:
            check(sock.recv(1) != b"", "closed")
            check(False, "an unasked byte")
        except socket.timeout:
            pass
        same(question(sock, "transport *"), "NOTFOUND ")
