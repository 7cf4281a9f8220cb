"""The lab site's configuration of mxwarden, in pieces that a theme joins.

Times are short, so that a case takes a second where life takes minutes; the one demand of the
project that names real times (mx1 stopped, accepted within ten seconds) uses the defaults. A client
network is a /30, so that there are enough of them for every case to have its own."""

from redisd import PASSWORD_FILE

# mx1 speaks to Redis through its Unix socket, mx2 over TCP and as the user with the manual's rights:
# both ways are in every case.
REDIS = {"mx1.example.com": 'redis = "unix:/run/lab/redis/redis.sock"',
         "mx2.example.com": 'redis = "redis://mxwarden@192.0.2.60:6379" '
                            f'password_file = "{PASSWORD_FILE}"'}
DNS = 'dns { servers = {"192.0.2.53"} timeout = 500ms }'
HEALTH = "health { interval = 1s timeout = 2s fall = 2 rise = 1 slow_start = 0 }"
GUARD = """guard {{
    mode = "defer" evidence_net = "{evidence_net}"
    yield_after = {yield_after} grace = {grace} hold_down = {hold_down}
}}"""
DOMAINS = """
domain "example.com" {}
domain "policy.example.com" {}
domain "opposite.example.com" {}
domain "detect.example.com" { guard { mode = "detect" } }
domain "tag.example.com" { guard { mode = "tag" } }
domain "off.example.com" { guard { mode = "off" } }
"""
# What the domains above leave out; mx2 is no MX of the last two.
MODES = """
domain "hold.modes.example.com" { guard { mode = "hold" } }
domain "reject.modes.example.com" { guard { mode = "reject" } }
domain "filter.modes.example.com" { guard { mode = "filter" } }
domain "defer.off.example.com" { guard { off_mx = "defer" } }
domain "reject.off.example.com" { guard { off_mx = "reject" } }
"""
POOL = """
domain "pool.example.com" { guard { mode = "off" } route = "pool gateways" }
domain "relayed.example.com" { guard { mode = "off" } route = "primary" }
pool "gateways" {
    transport = "smtp" stick = "recipient"
    tier "10" { host "gw1.example.net:25" { weight = 75 } host "gw2.example.net" { weight = 25 } }
    tier "20" { host "backup.example.net:2525" { } }
}
"""


def cache(node):
    return f'cache {{ {REDIS[node]} }}'


def guarded(node, yield_after="2s", grace="0", hold_down="0", evidence_net="30,64",
            health=HEALTH):
    guard = GUARD.format(yield_after=yield_after, grace=grace, hold_down=hold_down,
                         evidence_net=evidence_net)
    return "\n".join([DNS, cache(node), guard, health, DOMAINS, POOL])
