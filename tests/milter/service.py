"""A policy service that answers as the recipient's local part says, and remembers what it was asked.

Stands in for mxwardend where a test needs a reply that the daemon would never give, at a time of
the test's choosing.
"""
import os
import socket
import threading

ANSWERS = {
    "accept": "DUNNO",
    "defer": "451 4.7.1 Please deliver to the preferred MX first (mx1.example.com)",
    "permit": "DEFER_IF_PERMIT Please deliver to the preferred MX first",
    "reject": "550 5.7.1 No",
    "tag": "PREPEND X-MX-Warden: bypass; domain=example.com; mx=mx2.example.com",
    "tag2": "PREPEND X-MX-Warden: bypass; domain=example.org; mx=mx2.example.com",
    "hold": "HOLD bypass",
    "filter": "FILTER smtp:[mx1.example.com]:25",
    "format": "451 4.7.1 100% %n%s%s%s",
    "long": "451 4.7.1 " + "x" * 1500,
    "empty": "",
}
RAW = {
    "broken": b"nonsense\n\n",
    "two": b"action=REJECT\naction=REJECT\n\n",
    "extra": b"action=REJECT\n\naction=REJECT\n\n",
    "huge": b"action=REJECT " + b"x" * 100000 + b"\n\n",
}


class Service:
    def __init__(self, path):
        self.path, self.asked, self.lock = path, [], threading.Lock()
        self.listener, self.peers, self.answering = None, [], threading.Event()
        self.answering.set()

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(128)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()
        return self

    def kill(self):
        """As kill -9 does: everything is closed, and the path stays."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with self.lock:
            for peer in self.peers:
                try:
                    peer.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.peers = []

    def accept(self, listener):
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.peers.append(peer)
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        stream = peer.makefile("rb")
        request = {}
        try:
            for line in stream:
                if line != b"\n":
                    name, _, value = line.rstrip(b"\n").decode(errors="replace").partition("=")
                    request[name] = value
                    continue
                with self.lock:
                    self.asked.append(request)
                self.answering.wait()
                local = request.get("recipient", "accept@").partition("@")[0]
                answer = ANSWERS.get(local.partition("+")[0], "DUNNO")
                peer.sendall(RAW.get(local) or f"action={answer}\n\n".encode())
                request = {}
        except OSError:
            pass
        peer.close()

    def take(self):
        """What was asked since the last call."""
        with self.lock:
            asked, self.asked = self.asked, []
        return asked
