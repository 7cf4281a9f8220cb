"""A way to Redis that is as long as one likes: what a node sends arrives so much later, the answers
come back at once. So the time that a decision takes tells how many round trips lie in its way."""
import queue
import socket
import threading
import time


class Delay:
    """Listens at 127.0.0.1:port in the island's namespace."""

    def __init__(self, island, port, target):
        self.target, self.seconds = str(target), 0.0
        with island.inside():
            self.server = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self.target)
            waiting = queue.Queue()
            for work, *words in ((self.take, near, waiting), (self.give, far, waiting),
                                 (self.back, far, near)):
                threading.Thread(target=work, args=words, daemon=True).start()

    def take(self, near, waiting):
        """What comes in, with the time at which it may go on."""
        while (data := received(near)):
            waiting.put((time.monotonic() + self.seconds, data))
        waiting.put((0, b""))

    @staticmethod
    def give(far, waiting):
        while True:
            when, data = waiting.get()
            time.sleep(max(0, when - time.monotonic()))
            try:
                if not data:
                    far.shutdown(socket.SHUT_RDWR)
                    return
                far.sendall(data)
            except OSError:
                return

    @staticmethod
    def back(far, near):
        while (data := received(far)):
            try:
                near.sendall(data)
            except OSError:
                break
        near.close()

    def close(self):
        self.server.close()


def received(sock):
    try:
        return sock.recv(65536)
    except OSError:
        return b""
