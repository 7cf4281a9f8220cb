"""What happens to the site: before the senders have anything to send, and while they do. Functions
of the site, of the senders' networks, and of wait, which waits for a share of the sending's time,
or some seconds, and ends early when all is done."""


def greylisting(site, nets):
    site.grey.on = True


def blocked(site, nets):
    site.block(nets)


def down(site, nets):
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
    """pool: every sender has 20 addresses, and no way to mx1."""

    def __init__(self, name, title, before=None, during=None, seconds=30, six=False, pool=False):
        self.name, self.title, self.seconds, self.pool = name, title, seconds, pool
        self.before = before or (lambda site, nets: None)
        self.during = during or (lambda site, wait: None)
        self.domain = "six.example.com" if six else "site.example.com"


# Redis is lost on top of a blocked mx1, since with all well nobody ever asks the memory.
SCENARIOS = [
    Scenario("well", "all well"),
    Scenario("greylisting", "mx1 greylists everybody", greylisting),
    Scenario("ipv6", "the same, the backups over IPv6 only", greylisting, six=True),
    Scenario("blocked", "mx1 reachable for us, not for the sender", blocked),
    Scenario("pool", "no route to mx1, 20 addresses in three networks", pool=True),
    Scenario("redis", "mx1 not reachable for the sender, Redis killed and emptied", blocked,
             redis_lost),
    Scenario("down", "mx1 stopped just before", down),
    Scenario("flapping", "mx1 flaps every 20 s", during=flapping, seconds=60),
]
