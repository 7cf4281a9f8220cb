"""A site in one network namespace: real mxwardend processes and one real Redis, with a name service
and mail servers that are just enough for the daemons' own probes.

Half of the nodes are the preferred hosts of example.com, the others its backups, on addresses
2001:db8::1 and so on; MX names have up to four addresses each. A mail server here says its banner
and tells its node's policy socket of a probe, as a milter would; mail itself is played by asking
the policy sockets (letters.py)."""
import asyncio
import json
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading

LAB = pathlib.Path(__file__).resolve().parent.parent / "lab"
sys.path.insert(0, str(LAB))
import dns  # noqa: E402
import space  # noqa: E402
from waiting import wait_for  # noqa: E402
from warden import SANITISERS, policy_request  # noqa: E402

DNS_PORT = 5300
NAMES = 4  # addresses of an MX name
CONF = """node = "{name}"
cache {{ redis = "{redis}" timeout = {patience} }}
dns {{ servers = {{"127.0.0.1:{dns_port}"}} }}
guard {{ mode = "defer" yield_after = 5s grace = 0 hold_down = 0 }}
health {{ interval = {interval} timeout = {timeout} }}
domain "example.com" {{}}
listen {{
  policy = {{"unix:{folder}/policy.sock"}} socketmap = {{"unix:{folder}/map.sock"}}
  control = "unix:{folder}/control.sock" milter = "unix:{folder}/milter.sock" group = ""
}}
"""


class Island(space.Host):
    """A network namespace with nothing but its loopback."""

    def __init__(self, name):
        self.name, self.addresses, self.folder = name, (), space.LAB / name
        self.folder.mkdir()
        space.run("ip", "netns", "add", name)
        self.ip("link", "set", "lo", "up")


class Node:
    def __init__(self, site, number):
        self.name, self.address = f"n{number:02d}.example.com", f"2001:db8::{number:x}"
        self.folder = site.island.folder / f"n{number:02d}"
        self.process = None

    def path(self, which):
        return str(self.folder / f"{which}.sock")

    def ask(self, command):
        """One question on the control socket."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(self.path("control"))
            sock.sendall(json.dumps({"command": command}).encode() + b"\n")
            data = b""
            while (part := sock.recv(65536)):
                data += part
        return json.loads(data)

    def observes(self, count):
        """Whether so many addresses are up, and proven to report their visitors."""
        return sum(one["observed"] and one["state"] == "up"
                   for one in self.ask("hosts")["hosts"]) >= count


class Site:
    """nodes of them. patience is cache.timeout; redis_of says where a node finds Redis, where
    that is not its socket."""

    def __init__(self, island, bin_folder, nodes, interval="5s", patience="100ms",
                 redis_of=None):
        self.island, self.bin = island, pathlib.Path(bin_folder)
        self.folder = island.folder
        self.nodes = [Node(self, number + 1) for number in range(nodes)]
        self.better, self.backups = self.nodes[:nodes // 2], self.nodes[nodes // 2:]
        self.interval, self.patience, self.redis_of = interval, patience, redis_of
        self.socket = self.folder / "redis.sock"
        self.redis_process = self.loop = None
        self.closing = []

    # --- life ---------------------------------------------------------------------------------

    def start(self):
        for node in self.nodes:
            self.island.ip("addr", "add", node.address + "/128", "dev", "lo", "nodad")
        self.start_redis()
        self.serve_dns()
        self.serve_mail()
        for node in self.nodes:
            self.start_node(node)
        for node in self.nodes:
            wait_for(node.name, lambda: node.ask("ping"), 60)
        for node in self.backups:
            wait_for(f"the better hosts observed by {node.name}",
                     lambda: node.observes(len(self.better)), 120)

    def start_redis(self):
        self.redis_process = self.island.start(
            "redis-server", "--bind", "127.0.0.1", "--port", 6379, "--unixsocket", self.socket,
            "--save", "", "--appendonly", "no", "--dir", self.folder,
            log=self.folder / "redis.log")
        wait_for("Redis", lambda: self.redis("PING") == "PONG")

    def calm(self, interval):
        """Probes from now on at this interval."""
        self.interval = interval
        for node in self.nodes:
            self.configure(node)
            node.process.send_signal(signal.SIGHUP)
        for node in self.nodes:
            wait_for("the reload", lambda: "reloaded" in (node.folder / "log").read_text())

    def start_node(self, node):
        node.folder.mkdir(exist_ok=True)
        self.configure(node)
        node.process = self.island.start(self.bin / "mxwardend", "-c",
                                         node.folder / "mxwarden.conf",
                                         log=node.folder / "log", env=SANITISERS)

    def configure(self, node):
        redis = self.redis_of(node) if self.redis_of else f"unix:{self.socket}"
        space.write(node.folder / "mxwarden.conf", CONF.format(
            name=node.name, folder=node.folder, redis=redis, dns_port=DNS_PORT,
            interval=self.interval, timeout=self.interval, patience=self.patience))

    def stop(self):
        """Every process that was started here, and what listens."""
        for node in self.nodes:
            if node.process:
                node.process.terminate()
        codes = [node.process.wait(20) for node in self.nodes if node.process]
        for close in self.closing:
            close()
        if self.redis_process:
            self.redis_process.send_signal(signal.SIGKILL)
            self.redis_process.wait()
        space.run("ip", "netns", "del", self.island.name)
        if any(codes):
            raise RuntimeError(f"nodes ended with {codes}")

    # --- Redis --------------------------------------------------------------------------------

    def redis(self, *words):
        done = subprocess.run(["redis-cli", "-s", self.socket, *map(str, words)],
                              capture_output=True, text=True, check=False)
        return done.stdout.rstrip("\n")

    def counted(self, field):
        """The sum of a counter over all nodes."""
        script = " ".join(f"HGET mxw1:stat:{node.name} {field}\n" for node in self.nodes)
        done = subprocess.run(["redis-cli", "-s", self.socket], input=script, capture_output=True,
                              text=True, check=True)
        return sum(int(line) for line in done.stdout.split() if line.isdigit())

    # --- name service -------------------------------------------------------------------------

    def serve_dns(self):
        with self.island.inside():
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("127.0.0.1", DNS_PORT))
        names, answers = {node.name: [node.address] for node in self.nodes}, []
        for preference, nodes in ((10, self.better), (20, self.backups)):
            for at in range(0, len(nodes), NAMES):
                name = f"mx{preference}-{at // NAMES}.example.com"
                names[name] = [node.address for node in nodes[at:at + NAMES]]
                answers.append(struct.pack(">H", preference) + wire(name))
        records = {("example.com", 15): answers}
        for name, addresses in names.items():
            records[name, 28] = [socket.inet_pton(socket.AF_INET6, one) for one in addresses]

        def serve():
            while True:
                try:
                    query, peer = sock.recvfrom(4096)
                except OSError:
                    return
                sock.sendto(answer(query, records), peer)

        threading.Thread(target=serve, daemon=True).start()
        self.closing.append(sock.close)

    # --- mail servers -------------------------------------------------------------------------

    def serve_mail(self):
        by_address = {node.address: node for node in self.nodes}
        with self.island.inside():
            sock = socket.create_server(("::", 25), family=socket.AF_INET6, backlog=512)

        async def talk(reader, writer):
            node = by_address.get(writer.get_extra_info("sockname")[0])
            client = writer.get_extra_info("peername")[0]
            try:
                writer.write(b"220 mail ESMTP\r\n")
                while (line := await reader.readline()):
                    verb, _, name = line.decode("latin-1").strip().partition(" ")
                    if verb.upper() == "EHLO" and node:
                        await tell(node, client, name)
                    writer.write(b"221 bye\r\n" if verb.upper() == "QUIT" else b"250 ok\r\n")
                    if verb.upper() == "QUIT":
                        break
            except OSError:
                pass
            finally:
                writer.close()

        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(asyncio.start_server(talk, sock=sock, backlog=512))
        thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        thread.start()

        def close():
            for task in asyncio.all_tasks(self.loop):
                self.loop.call_soon_threadsafe(task.cancel)
            self.loop.call_soon_threadsafe(self.loop.call_later, 0.2, self.loop.stop)
            thread.join()
            sock.close()

        self.closing.append(close)


async def tell(node, client, helo):
    """As a milter tells of a probe's HELO."""
    reader, writer = await asyncio.open_unix_connection(node.path("policy"))
    writer.write(policy_request(mxwarden_asker="milter", protocol_state="HELO", helo_name=helo,
                                client_address=client, server_address=node.address))
    await reader.readuntil(b"\n\n")
    writer.close()


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def answer(query, records):
    name, kind = dns.asked_name(query)
    known = any(name == one for one, _ in records)
    data = records.get((name, kind), [])
    head = dns.header_only(query, 0x8580 if known else 0x8583)
    body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 3600, len(one)) + one
                    for one in data)
    if not data:  # a SOA, so that what is not there is remembered
        soa = wire("example.com") + wire("example.com") + struct.pack(">5I", 1, 1, 1, 1, 3600)
        body = wire("example.com") + struct.pack(">HHIH", 6, 1, 3600, len(soa)) + soa
    counts = struct.pack(">HHH", len(data), 0 if data else 1, 0)
    return head[:6] + counts + head[12:] + body

