"""Many askers at once: of a name that no node knows, the DNS is asked once."""
import collections
import itertools
import selectors

import sitecfg
from cases import case
from waiting import same
from warden import policy_request
from world import MX2

ASKERS = 2000
numbers = itertools.count(1)


def conf(node):
    """With time for a slow answer before anybody asks again."""
    patient = sitecfg.guarded(node, yield_after="1h").replace("timeout = 500ms", "timeout = 2s", 1)
    return patient + '\ndomain "*" {}'


def ask_all(wardens, request):
    """The same question on a connection for each asker, half of them at each node: how often a node
    gave each answer."""
    answers, waiting = collections.Counter(), selectors.DefaultSelector()
    socks = [(wardens[number % 2].connect("policy"), wardens[number % 2].name)
             for number in range(ASKERS)]
    for sock, name in socks:
        sock.sendall(request)
        waiting.register(sock, selectors.EVENT_READ, name)
    try:
        while waiting.get_map() and (ready := waiting.select(5)):
            for key, _ in ready:
                answer = key.fileobj.recv(4096).decode().removeprefix("action=").partition(" ")[0]
                answers[key.data, answer.strip()] += 1
                waiting.unregister(key.fileobj)
    finally:
        for sock, _ in socks:
            sock.close()
    return answers


@case("2000 askers of a cold name, on two nodes, are one question to the DNS", guard=True)
def herd(world):
    domain = f"herd{next(numbers)}.example.com"
    zone = world.dns.zones["example.com"]
    label = domain.partition(".")[0]
    world.dns.change("example.com", f"{zone}\n{label} MX 10 mx1\n{label} MX 20 mx2\n")
    try:
        world.dns.mode, world.dns.only = "slow", domain
        answers = ask_all(world.wardens, policy_request(
            client_address=world.fresh_client(), helo_name="h.example.net",
            sender="a@example.net", recipient=f"u@{domain}", server_address=MX2))
        # What mx1 says of a client at another host is no matter here.
        same((sum(answers.values()), answers["mx2.example.com", "DEFER_IF_PERMIT"]),
             (ASKERS, ASKERS / 2), answers)
        same({kind: count for (name, kind), count in world.dns.asked.items() if name == domain},
             {15: 1}, "questions to the DNS")
    finally:
        world.dns.change("example.com", zone)
