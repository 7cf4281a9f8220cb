"""The lab's name service: NSD with zones that a case can change, behind a proxy that can fail.

The world asks 192.0.2.53:53, which is the proxy; it passes questions on to NSD on the same host's
loopback, unless told to be silent, to answer SERVFAIL, or, over UDP, to be slow or to truncate.
"""
import collections
import os
import signal
import socket
import struct
import threading

from space import write
from waiting import wait_for

ADDRESS = "192.0.2.53"
UPSTREAM = ("127.0.0.1", 5300)
SLOW_SECONDS = 0.3
TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "AAAA": 28}


def question(name, kind="A", ident=1):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part)
    return struct.pack(">6H", ident, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(
        ">2H", TYPES[kind], 1)


def asked_name(query):
    """(name, type number) of a query, lower-case."""
    labels, at = [], 12
    while at < len(query) and query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1").lower())
        at += 1 + query[at]
    return ".".join(labels), struct.unpack(">H", query[at + 1:at + 3])[0]


def header_only(query, flags):
    """A reply that repeats the question and says nothing but its flags."""
    name_end = 12
    while query[name_end]:
        name_end += 1 + query[name_end]
    return query[:2] + struct.pack(">5H", flags, 1, 0, 0, 0) + query[12:name_end + 5]


class Dns:
    def __init__(self, host):
        self.host = host
        self.mode = "pass"  # pass, slow, silent, servfail, truncate
        self.only = None  # the fault's one name; None: every name
        self.asked = collections.Counter()
        self.serial = 1
        self.zones = {}
        self.process = None

    def start(self, zones):
        """zones: {"example.com": text of records}. The set of zones is fixed from here on, their
        contents are not."""
        self.zones = dict(zones)
        folder = self.host.folder
        lines = ["server:", f" ip-address: {UPSTREAM[0]}@{UPSTREAM[1]}", " username: nsd",
                 ' database: ""', f' zonesdir: "{folder}"', f' pidfile: "{folder}/nsd.pid"',
                 f' zonelistfile: "{folder}/zone.list"', f' xfrdfile: "{folder}/xfrd.state"', f' xfrdir: "{folder}"',
                 " server-count: 1", " xfrd-reload-timeout: 0", " rrl-ratelimit: 0",
                 "remote-control:", " control-enable: no"]
        for name in self.zones:
            lines += ["zone:", f' name: "{name or "."}"', f' zonefile: "{name or "root"}.zone"']
        write(folder / "nsd.conf", "\n".join(lines) + "\n")
        self.write_zones()
        os.system(f"chown -R nsd {folder}")
        self.process = self.host.start("nsd", "-d", "-c", folder / "nsd.conf",
                                       log=folder / "nsd.log")
        self.serve()
        wait_for("NSD's first answer", self.is_current)

    def write_zones(self):
        for name, text in self.zones.items():
            origin = f"{name}." if name else "."
            write(self.host.folder / f"{name or 'root'}.zone",
                  f"$ORIGIN {origin}\n$TTL 300\n@ IN SOA ns.example.com. admin.example.com. "
                  f"({self.serial} 3600 600 86400 1)\n@ IN NS ns.example.com.\n{text}\n")

    def change(self, name, text):
        """Replaces the records of a zone, and waits until the new ones are answered."""
        self.zones[name] = text
        self.serial += 1
        self.write_zones()
        self.process.send_signal(signal.SIGHUP)
        wait_for("the changed zone", self.is_current)

    def is_current(self):
        """Whether NSD serves every zone in its present version."""
        with self.host.inside():
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(0.3)
        try:
            for name in self.zones:
                sock.sendto(question(name, "SOA"), UPSTREAM)
                reply = sock.recv(4096)
                if struct.pack(">L", self.serial) + struct.pack(">L", 3600) not in reply:
                    return False
        except TimeoutError:
            return False
        finally:
            sock.close()
        return True

    def heal(self):
        self.mode, self.only = "pass", None

    def serve(self):
        with self.host.inside():
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind((ADDRESS, 53))
            tcp = socket.create_server((ADDRESS, 53), backlog=64)
        threading.Thread(target=self.serve_udp, args=(udp,), daemon=True).start()
        threading.Thread(target=self.serve_tcp, args=(tcp,), daemon=True).start()

    def serve_udp(self, sock):
        # One thread with one way upstream: questions are answered one after the other.
        with self.host.inside():
            up = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        up.connect(UPSTREAM)
        up.settimeout(0.5)
        while True:
            query, peer = sock.recvfrom(4096)
            reply = self.answer(query, up.send, lambda: up.recv(65535), over_udp=True)
            if reply and self.mode_for(asked_name(query)[0]) == "slow":
                threading.Timer(SLOW_SECONDS, sock.sendto, (reply, peer)).start()
            elif reply:
                sock.sendto(reply, peer)

    def serve_tcp(self, server):
        while True:
            conversation, _ = server.accept()
            threading.Thread(target=self.talk_tcp, args=(conversation,), daemon=True).start()

    def talk_tcp(self, conversation):
        with self.host.inside():
            up = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with conversation, up:
            up.connect(UPSTREAM)
            while (query := read_framed(conversation)) is not None:
                reply = self.answer(query, lambda data: up.sendall(framed(data)),
                                    lambda: read_framed(up), over_udp=False)
                if reply:
                    conversation.sendall(framed(reply))

    def mode_for(self, name):
        return self.mode if self.only in (None, name) else "pass"

    def answer(self, query, send, receive, over_udp):
        try:
            name, kind = asked_name(query)
        except (IndexError, struct.error):
            return None
        self.asked[name, kind] += 1
        mode = self.mode_for(name)
        if mode == "silent":
            return None
        if mode == "servfail":
            return header_only(query, 0x8182)
        if mode == "truncate" and over_udp:
            return header_only(query, 0x8380)
        send(query)
        try:
            while (reply := receive()) is not None and reply[:2] != query[:2]:
                pass  # the late answer to a question given up before
        except (TimeoutError, OSError):
            return None
        return reply


def framed(data):
    return struct.pack(">H", len(data)) + data


def read_framed(sock):
    size = read_exactly(sock, 2)
    return read_exactly(sock, struct.unpack(">H", size)[0]) if size else None


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        part = sock.recv(count - len(data))
        if not part:
            return None
        data += part
    return data
