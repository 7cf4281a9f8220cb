"""The mail server's side of the milter protocol, good and bad: frames as bytes.

A frame is a length of four octets, a command letter, and its data. Source: libmilter's mfdef.h.
"""
import socket
import struct

ACTIONS, STEPS = 0x1FF, 0x1FFFFF  # all that a version 6 server offers
NOBODY, NOHDRS, NOEOH, NOUNKNOWN, NODATA = 0x10, 0x20, 0x40, 0x100, 0x200
RCPT_REJ, NR_CONN, NR_HELO, NR_HDR, NR_EOH = 0x800, 0x1000, 0x2000, 0x80, 0x40000


def frame(command, data=b""):
    return struct.pack(">I", len(data) + 1) + command.encode() + data


def text(*strings):
    return b"".join(s.encode() + b"\0" for s in strings)


class Mta:
    """One milter connection. Methods that expect a reply return (letter, data)."""

    def __init__(self, address, timeout=15):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(address)
        self.steps = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, command, data=b""):
        self.socket.sendall(frame(command, data))

    def take(self, count):
        got = b""
        while len(got) < count:
            more = self.socket.recv(count - len(got))
            if not more:
                raise EOFError("the milter closed")
            got += more
        return got

    def reply(self):
        size, = struct.unpack(">I", self.take(4))
        data = self.take(size)
        return chr(data[0]), data[1:]

    def ask(self, command, data=b"", quiet=0):
        """Sends, and takes the reply unless the stage was negotiated to have none."""
        self.send(command, data)
        return ("", b"") if self.steps & quiet else self.reply()

    def macros(self, command, *pairs):
        self.send("D", command.encode() + text(*pairs))

    def negotiate(self, version=6, actions=ACTIONS, steps=STEPS):
        letter, data = self.ask("O", struct.pack(">III", version, actions, steps))
        assert letter == "O", letter
        self.version, self.actions, self.steps = struct.unpack(">III", data[:12])
        lists, rest = {}, data[12:]
        while rest:
            stage, = struct.unpack(">I", rest[:4])
            names, rest = rest[4:].split(b"\0", 1)
            lists[stage] = names.decode().split()
        return lists

    def connect(self, name="mail.example.net", address="198.51.100.7", port=4321, family="4",
                macros=("_", "mail.example.net [198.51.100.7]", "{daemon_addr}", "192.0.2.20",
                        "{daemon_port}", "25", "v", "Postfix 3.7.11")):
        if macros:
            self.macros("C", *macros)
        data = text(name) + family.encode()
        if family != "U":
            data += struct.pack(">H", port) + text(address)
        return self.ask("C", data, NR_CONN)

    def helo(self, name="mail.example.net"):
        return self.ask("H", text(name), NR_HELO)

    def mail(self, sender="<a@example.net>", *macros):
        if macros:
            self.macros("M", *macros)
        return self.ask("M", text(sender))

    def rcpt(self, recipient, *macros):
        if macros:
            self.macros("R", *macros)
        return self.ask("R", text(recipient))

    def data(self, *macros):
        if macros:
            self.macros("T", *macros)
        return self.ask("T")

    def header(self, name, value):
        return self.ask("L", text(name, value), NR_HDR)

    def finish(self):
        """End of header and message: what the milter changes, and then its verdict."""
        self.ask("N", quiet=NR_EOH)
        self.send("E")
        replies = [self.reply()]
        while replies[-1][0] in "hmiq":
            replies.append(self.reply())
        return replies

    def start(self, **options):
        """To the first recipient."""
        self.negotiate()
        self.connect(**options)
        self.helo()
        self.mail()
        return self
