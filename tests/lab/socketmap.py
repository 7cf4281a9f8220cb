"""Socketmap as mail servers speak it (socketmap_table(5)), and a watch over one map's answers."""
import threading
import time


def frame(text):
    """A netstring."""
    data = text.encode()
    return b"%d:%s," % (len(data), data)


def ask(warden, key, name="transport"):
    with warden.connect("socketmap") as sock:
        return question(sock, f"{name} {key}")


def question(sock, text):
    """text: the map's name and the key. The answer, None where the connection is closed instead."""
    sock.sendall(frame(text))
    data = b""
    while b":" not in data or len(data) < data.index(b":") + 2 + int(data.partition(b":")[0]):
        part = sock.recv(4096)
        if not part:
            return None
        data += part
    return data.partition(b":")[2][:-1].decode()


class Watch:
    """Asks the same questions over and over, and keeps which host came first when."""

    def __init__(self, warden, questions, first):
        """first: the first host of an answer."""
        self.warden, self.questions, self.first = warden, questions, first
        self.over, self.seen = threading.Event(), []
        self.thread = threading.Thread(target=self.go, daemon=True)

    def go(self):
        with self.warden.connect("socketmap") as sock:
            while not self.over.wait(0.1):
                for text in self.questions:
                    asked = time.monotonic()
                    self.seen.append((asked, self.first(question(sock, text))))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def count(self, host, since, until):
        return sum(name == host and since < at < until for at, name in self.seen)
