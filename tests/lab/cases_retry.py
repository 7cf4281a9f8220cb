"""Who comes back to mx2 at once: a mail server by the name that the DNS has for its address is let
in, in a later message; others are not."""
import contextlib
import ipaddress

import sitecfg
from cases import case
from smtp import Session
from waiting import same
from world import MX2, MX2P

REVERSE = ("100.51.198.in-addr.arpa", "113.0.203.in-addr.arpa", "18.198.in-addr.arpa")
# Postfix refuses by the policy service in words of its own.
PLACES = ((MX2, "example.com", 451), (MX2P, "policy.example.com", 450))


def conf(node):
    return sitecfg.guarded(node, yield_after="1h")


@contextlib.contextmanager
def named(world, client, name):
    """The DNS knows this client by that name, both ways."""
    zones, forward = world.dns.zones, name.partition(".")[2]
    pointer = ipaddress.ip_address(client).reverse_pointer
    reverse = next(zone for zone in REVERSE if pointer.endswith("." + zone))
    before = {zone: zones[zone] for zone in (forward, reverse)}
    world.dns.change(forward, f"{zones[forward]}\n{name}. A {client}")
    world.dns.change(reverse, f"{zones[reverse]}\n{pointer}. PTR {name}.")
    try:
        yield
    finally:
        for zone, text in before.items():
            world.dns.change(zone, text)


def codes(session, sender, recipients):
    """One message's recipients, and what each is told."""
    session.mail(sender)
    found = [session.rcpt(one)[0] for one in recipients]
    session.rset()
    return found


def converse(world, client, target, domain, helo):
    """Twice the same recipient in one message, then again in the next, and from another session."""
    sender, recipient = f"s@{client}.example.net", f"u{client}@{domain}"
    with Session(world.net, client, target, helo=helo) as session:
        session.ehlo()
        told = codes(session, sender, [recipient, recipient])
        told += codes(session, sender, [recipient])
    with Session(world.net, client, target, helo=helo) as session:
        session.ehlo()
        return told + codes(session, sender, [recipient])


@case("a mail server by its own name comes back at once, to milter and policy service", guard=True)
def server(world):
    for target, domain, no in PLACES:
        client = world.fresh_client()
        with named(world, client, "mail.example.org"):
            told = converse(world, client, target, domain, "mail.example.org")
        same(told, [no, no, 250, 250], target)


# Of another domain than the above, which is known by now.
@case("who says another name, has none, or is a customer's line, does not", guard=True)
def others(world):
    for target, domain, no in PLACES:
        client = world.fresh_client()
        with named(world, client, "mail.example.net"):
            told = converse(world, client, target, domain, "other.example.net")
        told += converse(world, client, target, domain, "mail.example.net")
        line = f"host-{client.replace('.', '-')}.example.net"
        with named(world, client, line):
            told += converse(world, client, target, domain, line)
        same(told, [no] * 12, target)
