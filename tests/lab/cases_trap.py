"""The decoy of guard.trap, real Postfix behind it: who is refused there ten times and was never seen
elsewhere is refused everywhere for an hour."""
import ipaddress

import sitecfg
from cases import case
from cases_guard import accepted, reason, visit
from waiting import check, same, wait_for
from world import MX1, MX2, MX2P

RECIPIENT = "u{}@trap.example.com"
TIMES = 10


def conf(node):
    return sitecfg.guarded(node, yield_after="1h") + (
        '\ndomain "trap.example.com" { guard { trap = "mx2p.example.com" } }\n')


def knock(world, client, times=TIMES):
    """So many messages at the decoy, every one of which it refuses."""
    for number in range(times):
        reply = world.send(client, MX2P, RECIPIENT.format(f"{number}.{client}"))
        check(reply.code == 450 and reply.step == "RCPT", "the decoy took mail:", reply)
        same(reason(world.warden2, RECIPIENT.format(f"{number}.{client}")), "trap")


def key(client):
    return f"mxw1:trap:[{ipaddress.ip_network(client + '/30', strict=False)}]"


@case("ten refusals at the decoy: the network meets 451 at every listener, others do not", guard=True)
def trapped(world):
    client, other = world.fresh_client(), world.fresh_client()
    knock(world, client, TIMES - 1)
    same(world.redis.lines("EXISTS", key(client)), ["0"])
    knock(world, client, 1)
    wait_for("the trap", lambda: 3500 < int(world.redis.cli("TTL", key(client))) <= 3600)
    for target, warden in ((MX1, world.warden1), (MX2, world.warden2)):
        recipient = RECIPIENT.format(f"{target}.{client}")
        reply = world.send(client, target, recipient)
        check(reply.code == 451 and reply.step == "RCPT", target, "took it:", reply)
        same(reason(warden, recipient), "trap")
    accepted(world.send(other, MX1, RECIPIENT.format(other)))
    # Its other domains do not know of a trap.
    accepted(world.send(client, MX1, f"u{client}@example.com"))


@case("who was at mx1 is refused by the decoy, too, and never trapped", guard=True)
def seen_elsewhere(world):
    client = world.fresh_client()
    visit(world, client)
    knock(world, client, TIMES + 2)
    same(world.redis.lines("EXISTS", key(client)), ["0"])
    accepted(world.send(client, MX1, RECIPIENT.format(client)))


@case("an administrator lets a trapped network go", guard=True)
def forgotten(world):
    client = world.fresh_client()
    knock(world, client)
    wait_for("the trap", lambda: world.redis.cli("EXISTS", key(client)) == "1")
    same(world.warden1.cli("forget", client).returncode, 0)
    accepted(world.send(client, MX1, RECIPIENT.format(client)))
