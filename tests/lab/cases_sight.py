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
from world import MX1, MX2

PAGE = pathlib.Path(__file__).resolve().parents[2] / "doc/redis-cli.md"
VISITOR, BYPASSER = "198.51.100.7", "203.0.113.5"
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


def seen(world):
    client = world.fresh_client()
    with Session(world.net, client, MX1):
        pass
    wait_for("seen", lambda: world.send(client, MX2, "seen@example.com").accepted)


@case("the page of redis-cli: each line prints what it says", guard=True)
def page(world):
    lines = examples()
    same([len(lines), sum(not shown for _, shown in lines)], [16, 0], "examples, and bare ones")
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
