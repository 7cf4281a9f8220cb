"""What an administrator sees: the page of redis-cli lines, the counters, top, the events.

The page is run line by line against the site that it tells of, and what it shows is compared with
what comes, numbers aside."""
import itertools
import json
import pathlib
import re
import time

import sitecfg
from cases import case
from smtp import Session
from waiting import check, same, wait_for
from warden import policy_request, read_action
from world import MX1, MX1_6, MX2, MX2_6, together

PAGE = pathlib.Path(__file__).resolve().parents[2] / "doc/redis-cli.md"
VISITOR, BYPASSER = "198.51.100.7", "203.0.113.9"
NODE = "mx2.example.com"
number = itertools.count(1)


def conf(node):
    return sitecfg.guarded(node)


def today():
    return time.strftime("%Y%m%d", time.gmtime())


# --- the page ---------------------------------------------------------------------------------

def examples():
    """[(command, lines that the page shows for it)]: an indented block is a command and, after an
    empty line, what it prints."""
    found = []
    for block in re.findall(r"(?m)^    redis-cli .*\n(?:\n?(?:    (?!redis-cli).*\n))*",
                            PAGE.read_text()):
        first, *rest = [line[4:] for line in block.splitlines()]
        found.append((first, [line for line in rest if line.strip()]))
    return found


def pattern(line):
    """What a line of the page may be: numbers that stand alone vary, and '...' is anything."""
    text = re.escape(bare(line))
    text = re.sub(r"(?<![\w.\[])\d+(?:\\\.\d+)?(?![\w])", r"[\\d.]+", text)
    return text.replace(r"\.\.\.", ".*")


def bare(line):
    """Without the numbers that redis-cli puts before the elements of a list."""
    return re.sub(r"^\s*(\d+\)\s+)*", "", line).rstrip()


def differs(shown, got):
    """What of the page is not there, or of the answer not in the page; nothing where they agree.
    The order of fields is Redis' own."""
    left, missing = [bare(line) for line in got if line.strip()], []
    for line in shown:
        fits = next((one for one in left if re.fullmatch(pattern(line), one)), None)
        if fits is not None:
            left.remove(fits)
        elif bare(line) != "...":
            missing.append(line)
    if any(bare(line) == "..." for line in shown):
        left = []
    return [f"the page has {line}" for line in missing] + [f"Redis has {line}" for line in left]


def say(world, command):
    """What the line prints on a terminal: there redis-cli says of each value what it is."""
    if "|" not in command:
        command = command.replace("redis-cli", "redis-cli --no-raw", 1)
    done = world.redis.host.run("sh", "-c", command)
    check(done.returncode == 0 and not done.stderr, command, done.stderr)
    return done.stdout.splitlines()


def visit(world):
    """The visitor at mx1, as the page has it."""
    keys = world.redis.scan(f"mxw1:*{VISITOR}*")
    if keys:
        world.redis.cli("DEL", *keys)
    with Session(world.net, VISITOR, MX1):
        pass
    wait_for("the visit", lambda: world.redis.scan(f"mxw1:seen:*{VISITOR}*"))


def bypass(world):
    """Something that the events tell of. A retry would be let in: so each is of another message."""
    sender, rcpt = "a@example.org", f"u+{next(number)}@example.com"
    same(world.send(BYPASSER, MX2, rcpt, sender=sender, helo="localhost").code, 451)


def stranger():
    """A network that nobody used before: of IPv6 there is plenty."""
    return f"2001:db8:1:51{next(number):02x}::"


def seen(world):
    client = stranger() + "7"
    with Session(world.net, client, MX1_6):
        pass
    wait_for("seen", lambda: world.send(client, MX2_6, "seen@example.com").accepted)


@case("the page of redis-cli: each line prints what it says", guard=True)
def page(world):
    lines = examples()
    same([len(lines), sum(not shown for _, shown in lines)], [16, 0], "examples, and bare ones")
    # Nodes of other cases, whose results are still there.
    world.redis.cli("DEL", "mxw1:health:gw1.example.net:25")
    visit(world)
    bypass(world)
    seen(world)
    for command, shown in lines:
        changes = re.search(r"\b(DEL|HSET)\b", command)

        def agrees():
            if "events" in command:
                bypass(world)  # the last event is this one, or will be
            difference[:] = differs(shown, say(world, command))
            return not difference or changes

        difference = []
        try:
            wait_for(command, agrees, 15)
        finally:
            check(not difference, command, *difference)
        if "drain" in command:
            wait_for("the drained host", lambda: all(
                warden.hosts()["gw1.example.net", 25]["override"] == "drain"
                for warden in world.wardens), 1)
    same(world.redis.scan(f"mxw1:*{VISITOR}*"), [], "the client that was forgotten")


# --- counters -----------------------------------------------------------------------------------

def ask(world, count, rcpt="u@unguarded.example", **more):
    """Questions on mx2's policy socket, over one connection."""
    with world.warden2.connect("policy") as sock:
        for _ in range(count):
            sock.sendall(policy_request(client_address=VISITOR, recipient=rcpt, sender="",
                                        server_address=MX2, helo_name="localhost", **more))
            check(read_action(sock), "no answer")


def counted(world, field="guard_unguarded"):
    return int(world.redis.cli("HGET", f"mxw1:stat:{NODE}", field) or 0)


@case("counters: nothing is lost at TERM")
def term(world):
    before = counted(world)
    for round in range(3):
        ask(world, 100)
        world.warden2.stop("mxwardend")
        same(counted(world), before + 100 * (round + 1))
        world.warden2.start("mxwardend")


@case("counters: what was counted while Redis was away comes later, once")
def away(world):
    ask(world, 10)
    before = wait_for("counters", lambda: counted(world))
    wait_for("all of them", lambda: world.warden2.ask("stats")["counters"]["guard_unguarded"]
             == counted(world))
    before = counted(world)
    world.redis.freeze()
    for _ in range(5):
        ask(world, 20)
        time.sleep(0.6)  # past a flush, which is then in doubt
    world.redis.heal()
    ask(world, 20)
    wait_for("120 more", lambda: counted(world) == before + 120, 8)
    time.sleep(2.5)  # a flush later it is still so
    same(counted(world), before + 120)


@case("counters: stats prints what Redis has")
def stats(world):
    ask(world, 30)
    told = json.loads(world.warden2.cli("--json", "stats").stdout)
    known = world.redis.hash(f"mxw1:stat:{NODE}")
    day = world.redis.hash(f"mxw1:stat:{NODE}:{today()}")
    for field in ("guard_unguarded", "track_connects", "redis_connects"):
        same(str(told["counters"][field]), known[field], field)
        same(str(told["today"][field]), day[field], field)
    check(told["shared"] and 1 <= told["rates"]["guard_unguarded"] <= 30, told)
    table = dict(line.split("\t", 1) for line in world.warden2.cli("stats").stdout.splitlines()
                 if line.startswith("guard_unguarded"))
    check(table["guard_unguarded"].startswith(known["guard_unguarded"] + "\t"), table)


@case("counters: the manual names every field", guard=True)
def named(world):
    visit(world)
    seen(world)
    bypass(world)
    manual = (PAGE.parent / "mxwarden-redis.5").read_text()
    words = set(re.findall(r"[a-z0-9_]+", manual.replace("\\", " ")))
    wait_for("Redis' times", lambda: counted(world, "redis_batches"), 15)
    for key in (f"mxw1:stat:{NODE}", f"mxw1:stat:{NODE}:{today()}"):
        for field in world.redis.hash(key):
            name = re.sub(r"^(guard|route)_|:.*$", "", field)
            name = re.sub(r"^delay_lt_\d+$", "delay_lt_", name)
            check(name in words, field, "is not in the manual")


# --- top and events -------------------------------------------------------------------------------

def events(world, count=1000):
    """The newest events as dicts, the newest first."""
    found = []
    for line in world.redis.lines("XREVRANGE", "mxw1:events", "+", "-", "COUNT", count):
        if re.fullmatch(r"\d+-\d+", line):
            found.append([])
        elif found:
            found[-1].append(line)
    return [dict(zip(one[::2], one[1::2])) for one in found]


@case("top: networks and domains, as counted", guard=True)
def busiest(world):
    def score(what, name):
        return int(world.redis.cli("ZSCORE", f"mxw1:top:{what}:{today()}", name) or 0)

    here = stranger()
    first, second, net = here + "7", here + "8", here + "/64"
    before = score("domains", "example.com")
    for client in (first, second, first):
        rcpt = f"top{next(number)}@example.com"
        same(world.send(client, MX2_6, rcpt, sender="a@example.org", helo="localhost").code,
             451)
    wait_for("the network", lambda: score("bypass", f"[{net}]") == 3, 7)
    check(score("domains", "example.com") >= before + 3, score("domains", "example.com"))
    told = world.warden2.ask("top")
    check({"net": f"[{net}]", "today": 3} in told["bypass"], told["bypass"])
    check("example.com" in [one["domain"] for one in told["domains"]], told["domains"])
    check(next(one for one in told["reasons"] if one["reason"] == "bypass")["today"] >= 3, told)
    check(f"[{net}]" in world.warden2.cli("top").stdout, world.warden2.cli("top").stdout)
    check(0 < int(world.redis.cli("TTL", f"mxw1:top:bypass:{today()}")) <= 8 * 86400, "TTL")


@case("events: reloads, hosts, and Redis back again", guard=True)
def happenings(world):
    def has(**fields):
        return any(fields.items() <= one.items() for one in events(world))

    bypass(world)
    wait_for("the verdict", lambda: has(event="guard", verdict="defer", reason="bypass",
                                        client=f"[{BYPASSER}]", node=NODE))
    world.warden2.daemon.send_signal(1)
    wait_for("the reload", lambda: has(event="reloaded", node=NODE))
    world.sinks["gw1"].close()
    wait_for("gw1 down", lambda: has(event="health", host="gw1.example.net:25", state="down"), 15)
    world.sinks["gw1"].open()
    wait_for("gw1 up", lambda: has(event="health", host="gw1.example.net:25", state="up",
                                   was="down"), 15)
    world.redis.kill()
    wait_for("mx2 without Redis", lambda: world.warden2.ask("stats")["redis"]["state"] == "down")
    world.redis.start()
    wait_for("Redis lost and back", lambda: has(event="redis", state="down", node=NODE) and
             has(event="redis", state="up", node=NODE), 8)
    check(all(one.keys() >= {"at", "node", "event"} for one in events(world)), "fields")


@case("events: a flood fills nothing, and breaks no entry", guard=True)
def flood(world):
    def refuse():
        with world.warden2.connect("policy") as sock:
            for _ in range(10):
                sock.sendall(policy_request(
                    client_address=BYPASSER, server_address=MX2, helo_name="localhost",
                    recipient="u@example.com", queue_id="\x1b[31m verdict=accept \"",
                    sender=f"\"a b=c {next(number)}\"@example.org"))
                action = read_action(sock)
                check(action and action.startswith("DEFER"), action)

    world.redis.cli("DEL", "mxw1:events")
    dropped, began = counted(world, "events_dropped"), time.monotonic()
    together([refuse] * 30)
    wait_for("what was dropped", lambda: counted(world, "events_dropped") > dropped, 5)
    length, spent = int(world.redis.cli("XLEN", "mxw1:events")), time.monotonic() - began
    check(90 <= length <= 150 + 3 * spent, f"{length} events in {spent:.1f} s")
    wait_for("the rest", lambda: counted(world, "events_dropped") - dropped >= 300 - 100 - 2 * spent
             - 1, 5)
    verdicts = [one for one in events(world) if one["event"] == "guard"]
    for one in verdicts:
        same((one["verdict"], one["client"]), ("defer", f"[{BYPASSER}]"))
        check(re.fullmatch(r"[!-~]+", one["sender"] + one.get("qid", "")), one)
    logged = world.logs()[str(world.warden2.log)].count("guard verdict=defer")
    same(logged, 300, "refusals in the log")
