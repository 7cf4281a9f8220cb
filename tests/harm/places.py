"""Where each sender sends from in each scenario, so that nothing which the site learned of it in
one helps it in the next: networks, addresses and names that nobody else has.

A sender with one address (and one of IPv6) says in HELO the name that the DNS has for it, as a mail
server should. A sender with a pool has 20 addresses in three networks; each has a name of its own,
which is not the one it says in HELO. Of the nameless the DNS knows no address, though their HELO
name exists.
"""
import dataclasses
import ipaddress

PREFIX = 29  # of a client network; seven of its addresses are used
POOL, POOL_NETWORKS = 20, 3


@dataclasses.dataclass
class Place:
    helo: str
    networks: list
    pool: list  # IPv4 addresses to choose from; empty: there is just v4 and v6
    v4: str
    v6: str  # "" with a pool
    names: dict  # name: its addresses
    has_reverse: bool


def client_networks():
    """/29 by /29 in turn out of three documentation networks, and a /64 with each."""
    number = 0
    for first in range(0, 256, 8):
        for prefix in ("198.51.100", "203.0.113", "192.0.2"):
            if prefix != "192.0.2" or first >= 128:
                number += 1
                yield f"{prefix}.{first}/{PREFIX}", f"2001:db8:2:{number:x}::/64"


def addresses(network):
    first = ipaddress.ip_network(network)[0]
    return [str(first + offset) for offset in range(1, 8)]


def make(label, networks, pool=False, nameless=False):
    domain = f"{label}.example"
    helo = f"mail.{domain}"
    if pool:
        nets = [next(networks)[0] for _ in range(POOL_NETWORKS)]
        pool = [one for net in nets for one in addresses(net)][:POOL]
        names = {f"out{number}.{domain}": [one] for number, one in enumerate(pool, 1)}
        return Place(helo, nets, pool, pool[0], "", names, True)
    net4, net6 = next(networks)
    v4, v6 = addresses(net4)[0], net6.replace("/64", "1")
    return Place(helo, [net4, net6], [], v4, v6, {helo: [v4, v6]}, not nameless)


def plan(scenarios, senders):
    """{(scenario's name, sender's name): Place}. Where a scenario is another one without the guard,
    which forgets nothing and learns nothing, it has that one's places."""
    networks = client_networks()
    places = {}
    for scenario in scenarios:
        for name, sender in senders.items():
            if sender.has_pool or not scenario.pool:
                places[scenario.name, name] = places[scenario.like, name] if scenario.like else (
                    make(f"{name}-{scenario.name}", networks, scenario.pool, scenario.nameless))
    return places


def zones(places):
    """The zones in which these places have their names."""
    forward, reverse = set(), {"in-addr.arpa": set(), "ip6.arpa": set()}
    for place in places:
        for name, addrs in place.names.items():
            for addr in map(ipaddress.ip_address, addrs):
                forward.add(f"{name}. {'A' if addr.version == 4 else 'AAAA'} {addr}")
                zone = "in-addr.arpa" if addr.version == 4 else "ip6.arpa"
                if place.has_reverse:
                    reverse[zone].add(f"{addr.reverse_pointer}. PTR {name}.")
    return {zone: "\n".join(sorted(lines))
            for zone, lines in {"example": forward, **reverse}.items()}
