"""Bad input on the sockets: it closes its own connection, answers nothing, and harms nobody else."""
import json
import socket
import time

import sitecfg
from cases import case
from socketmap import frame, question
from waiting import check, same, wait_for
from warden import policy_request, read_action


def conf(node):
    return sitecfg.guarded(node)


# Frames that close their connection without an answer.
BAD_FRAMES = {
    "empty netstring": b"0:,", "leading zero": b"05:hello,", "negative": b"-1:,",
    "twenty digits": b"12345678901234567890:x,", "no colon": b"hello,",
    "wrong terminator": b"11:transport *;", "too long": b"10002:", "no space": frame("transport"),
    "letters": b"GET / HTTP/1.0\r\n\r\n",
}
# Well-framed questions, and how the answer begins; None: closed, or any good answer.
STRANGE_KEYS = {
    "unknown map": ("nothere u@pool.example.com", "PERM "), "NUL": (
        "transport u\0@pool.example.com", None), "key *": ("transport *", "NOTFOUND "),
    "quoted with a space": ('transport "a b"@pool.example.com', "OK "),
    "extension": ("transport user+ext@pool.example.com", "OK "),
    "no @": ("transport localhost", "NOTFOUND "), "raw UTF-8": ("transport u@bücher.example.org",
                                                               "NOTFOUND "),
    "punycode": ("transport u@xn--bcher-kva.example.org", "NOTFOUND "),
    "newline": ("transport u\n@pool.example.com", None),
    "long key": ("transport " + "u" * 9000 + "@pool.example.com", None),
    "empty key": ("transport ", None),
}


def answer_or_close(sock):
    """What comes until the peer closes or 2 s pass: bytes, or None for an open, silent peer."""
    sock.settimeout(2)
    data = b""
    try:
        while (part := sock.recv(65536)):
            data += part
        return data
    except ConnectionResetError:
        return data
    except socket.timeout:
        return None if not data else data


@case("socketmap: a bad frame closes its own connection, the good client beside it goes on")
def bad_frames(world):
    with world.warden2.connect("socketmap") as good:
        for label, data in BAD_FRAMES.items():
            with world.warden2.connect("socketmap") as bad:
                bad.sendall(data)
                same(answer_or_close(bad), b"", label)
            same(question(good, "transport *"), "NOTFOUND ", f"beside: {label}")


@case("socketmap: strange keys are answered or closed; only an unknown map is an error")
def strange_keys(world):
    for label, (text, wanted) in STRANGE_KEYS.items():
        with world.warden2.connect("socketmap") as sock:
            got = question(sock, text)
            if wanted is not None:
                check(got is not None and got.startswith(wanted), f"{label}: {got!r}")
            else:
                check(got is None or got.startswith(("NOTFOUND ", "OK ")), f"{label}: {got!r}")
            check(got is None or "\n" not in got and "\0" not in got, f"{label}: {got!r}")


@case("socketmap: a thousand questions at once, and byte by byte, get the same answers")
def pipelined(world):
    keys = [f"transport u{number % 50}@pool.example.com" for number in range(1000)]
    with world.warden2.connect("socketmap") as sock:
        one_by_one = [question(sock, key) for key in keys[:50]]
        sock.sendall(b"".join(frame(key) for key in keys))
        for number in range(1000):
            same(read_frame(sock), one_by_one[number % 50], keys[number])
        for byte in frame(keys[0]):
            sock.sendall(bytes([byte]))
        same(read_frame(sock), one_by_one[0], "byte by byte")


def read_frame(sock):
    digits = b""
    while not digits.endswith(b":"):
        digits += sock.recv(1)
    size, data = int(digits[:-1]) + 1, b""
    while len(data) < size:
        data += sock.recv(size - len(data))
    return data[:-1].decode()


@case("socketmap: a short body then FIN, and a peer that never finishes, hold up nobody")
def half_open(world):
    with world.warden2.connect("socketmap") as slow, world.warden2.connect("socketmap") as short:
        slow.sendall(b"11:tran")
        short.sendall(b"11:transp")
        short.shutdown(socket.SHUT_WR)
        same(answer_or_close(short), b"", "short body")
        with world.warden2.connect("socketmap") as good:
            same(question(good, "transport *"), "NOTFOUND ")


WHOLE = {"client_address": "198.51.100.200", "recipient": "u@example.com",
         "sender": "s@example.net", "helo_name": "h.example.net", "server_address": "192.0.2.20"}
BAD_REQUESTS = {
    "no request=": b"recipient=u@example.com\n\n",
    "unknown request": policy_request(**{**WHOLE, "request": "something_else"}),
    "recipient twice": policy_request(**WHOLE)[:-1] + b"recipient=v@example.com\n\n",
    "a line without =": b"request=smtpd_access_policy\nhello\n\n",
    "NUL in a value": policy_request(**{**WHOLE, "sender": "a\0b@example.net"}),
    "a value of 1 MB": policy_request(**{**WHOLE, "sender": "a" * 1048576}),
    "100000 attributes": b"".join(b"a%d=b\n" % number for number in range(100000)) + b"\n",
}
ODD_REQUESTS = {
    "client unknown": {"client_address": "unknown"}, "no client": {"client_address": ""},
    "v4-mapped": {"client_address": "::ffff:198.51.100.200"},
    "format in the sender": {"sender": "%n%s%x@example.net"}, "null sender": {"sender": ""},
    "recipient without domain": {"recipient": "u"}, "no recipient": {"recipient": ""},
    "odd stage": {"protocol_state": "VRFY"}, "END-OF-MESSAGE first": {
        "protocol_state": "END-OF-MESSAGE"}, "bad listener": {"server_address": "here"},
    "newline escaped": {"sender": "a\\nb@example.net"}, "raw bytes": {"sender": "\u00e9@example.net"},
    "address literal": {"recipient": "u@[192.0.2.20]"}, "long domain": {
        "recipient": "u@" + "a." * 200 + "example.com"},
}


@case("policy: a bad request closes its own connection without an answer")
def bad_requests(world):
    with world.warden2.connect("policy") as good:
        for label, data in BAD_REQUESTS.items():
            with world.warden2.connect("policy") as bad:
                try:
                    bad.sendall(data)
                except (BrokenPipeError, ConnectionResetError):
                    pass  # closed before it had all been sent
                same(answer_or_close(bad), b"", label)
            good.sendall(policy_request(**{**WHOLE, "recipient": "u@stranger.example.org"}))
            same(read_action(good), "DUNNO", f"beside: {label}")


@case("policy: odd values are answered DUNNO, and never reach a log or key unescaped")
def odd_requests(world):
    with world.warden2.connect("policy") as sock:
        for label, change in ODD_REQUESTS.items():
            if label == "v4-mapped":
                continue
            sock.sendall(policy_request(**{**WHOLE, **change, "recipient": change.get(
                "recipient", "u@off.example.com")}))
            action = read_action(sock)
            check(action is not None and action.startswith("DUNNO"), f"{label}: {action!r}")
    for line in world.warden2.log_text().splitlines():
        check(all(31 < ord(letter) < 127 or letter == "\t" for letter in line), repr(line))


@case("policy: two requests in one write, bare CRLF, EOF before the empty line")
def framing(world):
    request = policy_request(**{**WHOLE, "recipient": "u@off.example.com"})
    with world.warden2.connect("policy") as sock:
        sock.sendall(request + request)
        data = b""
        while data.count(b"\n\n") < 2:
            data += sock.recv(4096)
        same(data, b"action=DUNNO\n\n" * 2)
    with world.warden2.connect("policy") as sock:
        sock.sendall(request.replace(b"\n", b"\r\n"))
        same(read_action(sock), "DUNNO")
    with world.warden2.connect("policy") as sock:
        sock.sendall(request[:-1])
        sock.shutdown(socket.SHUT_WR)
        same(answer_or_close(sock), b"", "EOF before the empty line")


@case("control: what is no request is told so or closed")
def control(world):
    for label, data in {"no JSON": b"hello\n", "a list": b"[]\n", "no command": b"{}\n",
                        "unknown command": b'{"command":"dance"}\n',
                        "wrong type": b'{"command":"route","address":5}\n',
                        "deep": b"[" * 4000 + b"\n", "binary": b"\xff\xfe\0\n",
                        "too long": b'{"command":"' + b"x" * 9000 + b'"}\n'}.items():
        with world.warden2.connect("control") as sock:
            try:
                sock.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass
            reply = answer_or_close(sock)
            check(reply is not None, f"{label}: neither answered nor closed")
            check(reply == b"" or json.loads(reply)["status"] in ("usage", "refused"),
                  f"{label}: {reply!r}")
    same(world.warden2.ask("ping")["status"], "ok")


@case("two hundred half-spoken peers: good clients unharmed")
def crowds(world):
    peers = []
    try:
        for which, start, count in (("socketmap", b"20:tr", 200), ("policy", b"request=sm", 200),
                                    ("control", b"{", 16)):
            for _ in range(count):
                peers.append(world.warden2.connect(which))
                peers[-1].sendall(start)
        began = time.monotonic()
        with world.warden2.connect("socketmap") as sock:
            same(question(sock, "transport *"), "NOTFOUND ")
        check(world.warden2.policy(**{**WHOLE, "recipient": "u@off.example.com"}) == "DUNNO", "")
        same(world.warden2.ask("ping")["status"], "ok")
        check(time.monotonic() - began < 1, "slow beside the crowd")
    finally:
        for peer in peers:
            peer.close()


@case("the milter: a peer that speaks nonsense is dropped, mail goes on")
def milter(world):
    for data in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x05O\0\0", b"\0\0\0\x02R\0",
                 b"\0\0\0\x05Cabcd", b"\0\0\0\x0dO\0\0\0\x06\0\0\1\xff\0\1\xff\xff" +
                 b"\0\0\0\x08Chost\0X\0"):
        with world.warden2.connect("milter") as bad:
            bad.sendall(data)
            bad.shutdown(socket.SHUT_WR)
            answer_or_close(bad)
    reply = wait_for("mail", lambda: world.send(world.fresh_client(), "192.0.2.20",
                                                "u@off.example.com"))
    check(reply.accepted, reply)
