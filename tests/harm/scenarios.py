"""What happens to the site while the senders send: each scenario is a function of the site, the
networks of the senders, and a clock that tells how far the sending is."""


def well(site, nets, wait):
    """All well."""


def greylisting(site, nets, wait):
    site.grey.on = True


def blocked(site, nets, wait):
    site.block(nets)


def redis_lost(site, nets, wait):
    """On top of a blocked mx1, since with all well nobody ever asks the memory."""
    site.block(nets)
    wait(1 / 3)
    site.redis.kill()
    wait(2 / 3)
    site.redis.start()


def down(site, nets, wait):
    wait(1 / 3)
    site.mtas[0].stop()


def flapping(site, nets, wait):
    """Down for 20 s, up for 20 s, and so on as long as there is mail."""
    for _ in range(4):
        site.mtas[0].stop()
        wait(seconds=20)
        site.mtas[0].start()
        wait(seconds=20)


class Scenario:
    def __init__(self, name, title, act, seconds=30, domain="site.example.com", pool=False):
        self.name, self.title, self.act, self.seconds = name, title, act, seconds
        self.domain, self.pool = domain, pool


SCENARIOS = [
    Scenario("well", "all well", well),
    Scenario("greylisting", "mx1 greylists everybody", greylisting),
    Scenario("ipv6", "the same, the backups over IPv6 only", greylisting,
             domain="six.example.com"),
    Scenario("blocked", "mx1 reachable for us, not for the sender", blocked),
    Scenario("pool", "the same, a pool of 20 addresses in three networks", blocked, pool=True),
    Scenario("down", "mx1 goes down", down),
    Scenario("redis", "mx1 not reachable for the sender, Redis killed and emptied", redis_lost),
    Scenario("flapping", "mx1 flaps every 20 s", flapping, seconds=60),
]
