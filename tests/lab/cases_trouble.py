"""Each trouble with Redis is named in the log once while it lasts, and over when it is over."""
import shutil
import threading

import sitecfg
from cases import case
from redisd import PASSWORD
from waiting import check, wait_for


def conf(node):
    return sitecfg.guarded(node)


def state(warden):
    return warden.ask("stats")["redis"]


def errors(redis, *more):
    """How many commands Redis has answered with an error."""
    return int(next(line.partition(":")[2] for line in redis.lines(*more, "INFO", "stats")
                    if line.startswith("total_error_replies")))


def wait_errors(redis, *more):
    """Until the trouble has been met a few times more; not for one in which nothing is answered."""
    met = errors(redis, *more)
    wait_for("three more errors", lambda: errors(redis, *more) >= met + 3)


def well(world):
    for warden in world.wardens:
        wait_for(f"{warden.name} well", lambda one=warden: state(one)["state"] == "up" and
                 not state(one)["trouble"])


class Named:
    """The lines of a node's log that name a trouble, from now on."""

    def __init__(self, warden, code):
        self.warden, self.code, self.begin = warden, code, len(warden.log_text())

    def lines(self):
        return [line for line in self.warden.log_text()[self.begin:].splitlines()
                if self.code in line and (": redis refuses us: " in line or
                                          ": redis is in trouble: " in line)]

    def wait(self):
        wait_for(f"{self.code} in the log of {self.warden.name}", self.lines)
        check(self.code in state(self.warden)["trouble"] or state(self.warden)["state"] == "up",
              state(self.warden))

    def once(self):
        check(len(self.lines()) == 1, self.code, "told", len(self.lines()), "times")


def refused_while_up(world, code, begin, end):
    """A trouble in which the connection stays."""
    named = Named(world.warden2, code)
    begin()
    named.wait()
    wait_errors(world.redis)
    end()
    well(world)
    named.once()


@case("OOM")
def full(world):
    refused_while_up(world, "OOM", lambda: world.redis.cli("CONFIG", "SET", "maxmemory", "1"),
                     lambda: world.redis.cli("CONFIG", "SET", "maxmemory", "0"))


@case("NOPERM")
def forbidden(world):
    redis = world.redis
    try:
        refused_while_up(world, "NOPERM", lambda: redis.cli("ACL", "SETUSER", "mxwarden", "-hset"),
                         lambda: redis.cli("ACL", "SETUSER", "mxwarden", "+hset"))
    finally:
        redis.cli("ACL", "SETUSER", "mxwarden", "+hset")
        redis.cli("ACL", "LOG", "RESET")


@case("MISCONF")
def unsaved(world):
    redis, dump = world.redis, world.redis.host.folder / "dump.rdb"
    dump.mkdir()  # so that nothing can be saved there

    def begin():
        redis.cli("CONFIG", "SET", "save", "3600 1")
        redis.cli("BGSAVE")

    try:
        refused_while_up(world, "MISCONF", begin, lambda: redis.cli("CONFIG", "SET", "save", ""))
    finally:
        shutil.rmtree(dump)


@case("WRONGPASS")
def wrong_password(world):
    redis, named = world.redis, Named(world.warden2, "WRONGPASS")
    redis.cli("ACL", "SETUSER", "mxwarden", "resetpass", ">another")
    redis.cli("CLIENT", "KILL", "USER", "mxwarden")
    named.wait()
    wait_errors(redis)
    redis.cli("ACL", "SETUSER", "mxwarden", "resetpass", f">{PASSWORD}")
    well(world)
    named.once()


@case("NOAUTH")
def no_password(world):
    redis, named = world.redis, Named(world.warden1, "NOAUTH")
    redis.cli("CONFIG", "SET", "requirepass", "secret")
    try:
        redis.cli("--no-auth-warning", "-a", "secret", "CLIENT", "KILL", "TYPE", "normal")
        named.wait()
        wait_errors(redis, "--no-auth-warning", "-a", "secret")
    finally:
        redis.cli("--no-auth-warning", "-a", "secret", "CONFIG", "SET", "requirepass", "")
    well(world)
    named.once()


@case("BUSY")
def busy(world):
    redis, named = world.redis, Named(world.warden2, "BUSY")
    redis.cli("CONFIG", "SET", "busy-reply-threshold", "50")
    script = threading.Thread(target=redis.cli, args=("EVAL", "while true do end", "0"))
    script.start()
    try:
        named.wait()
    finally:
        wait_for("the script to end", lambda: redis.cli("SCRIPT", "KILL") == "OK")
        script.join(10)
    well(world)
    named.once()


@case("LOADING")
def loading(world):
    redis, named = world.redis, Named(world.warden2, "LOADING")
    redis.cli("EVAL", "for i=1,3000 do redis.call('SET','load:'..i,i,'EX',60) end", "0")
    redis.cli("SAVE")
    redis.kill()
    redis.start("--key-load-delay", 1000, "--loading-process-events-interval-bytes", 1024,
                ready="LOADING")
    named.wait()
    wait_for("its end", lambda: redis.cli("PING") == "PONG", 20)
    (redis.host.folder / "dump.rdb").unlink()
    well(world)
    named.once()
