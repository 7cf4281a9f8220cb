"""A real Redis on a host of its own, reached over TCP and over a Unix socket; and redis-cli."""
import signal

from waiting import wait_for

ADDRESS, PORT = "192.0.2.60", 6379


class Redis:
    def __init__(self, host):
        self.host = host
        self.socket = host.folder / "redis.sock"
        self.log = host.folder / "redis.log"
        self.process = None
        self.frozen = False

    def start(self):
        self.host.folder.chmod(0o755)
        self.process = self.host.start(
            "redis-server", "--bind", ADDRESS, "127.0.0.1", "--port", PORT, "--protected-mode",
            "no", "--unixsocket", self.socket, "--unixsocketperm", "777", "--save", "",
            "--appendonly", "no", "--dir", self.host.folder, "--daemonize", "no", log=self.log)
        wait_for("Redis", lambda: self.cli("PING") == "PONG")

    def kill(self):
        """kill -9: everything in it is lost."""
        self.process.kill()
        self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        self.frozen = True

    def heal(self):
        if self.frozen:
            self.process.send_signal(signal.SIGCONT)
            self.frozen = False
        if self.process.poll() is not None:
            self.start()

    def cli(self, *words):
        return self.host.run("redis-cli", "-p", PORT, *words).stdout.rstrip("\n")

    def lines(self, *words):
        return [line for line in self.cli(*words).split("\n") if line]

    def hash(self, key):
        """HGETALL as a dict."""
        flat = self.lines("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2]))

    def scan(self, pattern):
        return sorted(self.lines("--scan", "--pattern", pattern))
