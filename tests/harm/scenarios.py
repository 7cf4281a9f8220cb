"""What happens to the site: before the senders have anything to send, and while they do. Functions
of the site, and of wait, which waits for a share of the sending's time, or some seconds, and ends
early when all is done."""


def greylisting(site):
    site.greylist(1)


def backups_greylisting(site):
    site.greylist(*range(2, site.count + 1))


def down(site):
    """Nobody was there before, and the site has not noticed yet."""
    site.mtas[0].stop()


def redis_lost(site, wait):
    wait(1 / 3)
    site.redis.kill()
    wait(2 / 3)
    site.redis.start()


def flapping(site, wait):
    """Down for 20 s, up for 20 s, and so on as long as there is mail."""
    for _ in range(4):
        site.mtas[0].stop()
        wait(seconds=20)
        site.mtas[0].start()
        wait(seconds=20)


class Scenario:
    """pool: every sender has 20 addresses, and no way to mx1. silent: mx1 is well, but does not
    answer the senders. nameless: the DNS has no names for the senders' addresses. off: the name of
    the scenario which tells how long mail takes then without the guard. like: the guard is off, and
    the senders are where they are in the scenario of that name."""

    def __init__(self, name, title, before=None, during=None, seconds=30, six=False, pool=False,
                 silent=False, nameless=False, off=None, like=None):
        self.name, self.title, self.seconds = name, title, seconds
        self.pool, self.silent = pool, silent
        self.before = before or (lambda site: None)
        self.during = during or (lambda site, wait: None)
        self.domain = "six.example.com" if six else "site.example.com"
        self.nameless, self.off, self.like = nameless, off, like

    def has_promise(self, sender):
        """Not for a stock Sendmail without a name: its queue run may take a message moments after
        the first refusal, and a stranger has to wait for yield_after."""
        return not (self.nameless and sender == "sendmail")

    def shape(self):
        """The control in which the senders' own intervals are measured as they are here."""
        return "control-pool" if self.pool else "control"


# Redis is lost on top of a blocked mx1, since with all well nobody ever asks the memory.
GUARDED = [
    Scenario("well", "all well"),
    Scenario("greylisting", "mx1 greylists everybody", greylisting),
    Scenario("ipv6", "the same, the backups over IPv6 only", greylisting, six=True),
    Scenario("blocked", "mx1 reachable for us, not for the sender", silent=True,
             off="blocked-off"),
    Scenario("nameless", "the same, senders without a name in the DNS", silent=True, nameless=True,
             off="blocked-off"),
    Scenario("redis", "the same, and Redis killed and emptied", during=redis_lost, silent=True,
             nameless=True, off="blocked-off"),
    Scenario("pool", "no route to mx1, 20 addresses in three networks", pool=True, off="pool-off"),
    Scenario("down", "mx1 stopped just before", down, off="down-off"),
    Scenario("flapping", "mx1 flaps every 20 s", during=flapping, seconds=60, off="flapping-off"),
]
# The guard is off in all of these. What a sender does by itself the first two measure.
CONTROLS = [
    Scenario("control", "mx1 not reachable for the sender, the backups greylist",
             backups_greylisting, silent=True, like="blocked"),
    Scenario("control-pool", "no route to mx1, 20 addresses, the backups greylist",
             backups_greylisting, pool=True, like="pool"),
    Scenario("blocked-off", "mx1 not reachable for the sender", silent=True, like="blocked"),
    Scenario("pool-off", "no route to mx1, 20 addresses in three networks", pool=True, like="pool"),
    Scenario("down-off", "mx1 stopped just before", down, like="down"),
    Scenario("flapping-off", "mx1 flaps every 20 s", during=flapping, seconds=60, like="flapping"),
]
SCENARIOS = GUARDED + CONTROLS
