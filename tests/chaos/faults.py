"""What befalls Redis, one fault at a time. Each is a function of the three Redis and Sentinels that
returns the master and the moment from which on it is there to be used; after() mends the rest."""
import time

from redisd import PASSWORD, Redis, Wire
from waiting import wait_for

FAULTS = {}
FLOOD_SECONDS, LOCKED_SECONDS, PAUSE_SECONDS = 3, 3, 0.6


def fault(title):
    def mark(function):
        FAULTS[function.__name__] = function
        function.title = title
        return function
    return mark


def now(master):
    return master, time.monotonic()


def replaced(three, blow):
    """The master takes the blow, and another takes over."""
    old = three.wait_master()
    blow(old)
    return now(three.wait_master(other_than=old))


@fault("failover asked for")
def failover(three):
    return now(three.failover())


@fault("failover while one Sentinel hangs")
def blind(three):
    three.sentinels[2].freeze()
    return now(three.failover())


@fault("master killed, failover")
def kill(three):
    return replaced(three, Redis.kill)


@fault("master killed, back at once and empty")
def restart(three):
    master = three.wait_master()
    master.kill()
    master.start()
    return now(master)


@fault("master stopped (SIGSTOP), failover")
def hang(three):
    return replaced(three, Redis.freeze)


@fault("master stopped for 0.6 s")
def pause(three):
    master = three.wait_master()
    master.freeze()
    time.sleep(PAUSE_SECONDS)
    master.heal()
    return now(master)


@fault("master full (maxmemory) for 3 s")
def flood(three):
    master = three.wait_master()
    master.cli("CONFIG", "SET", "maxmemory", "1mb")
    wire = Wire(master)
    for number in range(2000):  # until it says that it is full
        if wire.say("SET", f"flood:{number}", "x" * 4096, "EX", 60).startswith("-OOM"):
            break
    time.sleep(FLOOD_SECONDS)
    wire.say("CONFIG", "SET", "maxmemory", "0")
    wire.close()
    return now(master)


@fault("wrong password for 3 s")
def password(three):
    for one in three.redis:
        three.take_password(one, "another")
        one.cli("CLIENT", "KILL", "USER", "mxwarden")
    time.sleep(LOCKED_SECONDS)
    for one in three.redis:
        three.take_password(one, PASSWORD)
    return now(three.wait_master())


@fault("FLUSHALL")
def flush(three):
    master = three.wait_master()
    master.cli("FLUSHALL")
    return now(master)


def after(three):
    """Everybody is back, so that the next fault finds what it needs."""
    three.heal()
    master = three.wait_master()
    wait_for("the flood to ebb", lambda: not master.cli("DEL", "flood:0").startswith("OOM"))
