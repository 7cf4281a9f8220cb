"""A real Redis on a host of its own, reached over TCP and over a Unix socket; and redis-cli.

Its user mxwarden has the rights that the manual gives it, and no other."""
import pathlib
import shutil
import signal
import socket

from space import LAB, write
from waiting import wait_for

ADDRESS, PORT = "192.0.2.60", 6379
PASSWORD, PASSWORD_FILE = "site-password", LAB / "redis-password"
MANUAL = pathlib.Path(__file__).resolve().parents[2] / "doc/mxwarden.conf.5"


def acl_words():
    """The words of the line that the manual says to paste, with the lab's password."""
    line = next(line for line in MANUAL.read_text().splitlines()
                if line.strip().startswith("user mxwarden on") and "~mxw1:*" in line)
    return line.strip().replace("SITE-PASSWORD", PASSWORD).split()[1:]


def write_password():
    write(PASSWORD_FILE, PASSWORD + "\n", 0o400)
    shutil.chown(PASSWORD_FILE, "mxwarden")


class Server:
    """A program that a case may kill or stop; start() is each one's own."""

    def __init__(self, host, address, log):
        self.host, self.address, self.log = host, address, host.folder / log
        self.process, self.frozen = None, False

    def kill(self):
        """kill -9: everything in it is lost."""
        self.process.kill()
        self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)
        self.frozen = True

    def runs(self):
        return not self.frozen and self.process.poll() is None

    def heal(self):
        if self.frozen:
            self.process.send_signal(signal.SIGCONT)
            self.frozen = False
        if self.process.poll() is not None:
            self.start()


class Redis(Server):
    def __init__(self, host, address=ADDRESS):
        super().__init__(host, address, "redis.log")
        self.socket = host.folder / "redis.sock"

    def start(self, *more, ready="PONG"):
        """ready: how the answer to PING begins."""
        self.host.folder.chmod(0o755)
        write_password()
        self.process = self.host.start(
            "redis-server", "--bind", self.address, "127.0.0.1", "--port", PORT, "--protected-mode",
            "no", "--unixsocket", self.socket, "--unixsocketperm", "777", "--save", "",
            "--appendonly", "no", "--dir", self.host.folder, "--daemonize", "no",
            "--user", *acl_words(), *more, log=self.log)
        wait_for("Redis", lambda: self.cli("PING").startswith(ready))

    def cli(self, *words):
        return self.host.run("redis-cli", "-p", PORT, *words).stdout.rstrip("\n")

    def refusals(self):
        """What mxwarden tried without having the right to: ACL LOG, wrong passwords left out. Nothing
        while Redis cannot be asked."""
        if not self.runs():
            return []
        flat = self.lines("ACL", "LOG")
        entries = "\n".join(flat).split("count\n")[1:]
        return [entry.replace("\n", " ") for entry in entries if "reason\nauth\n" not in entry]

    def lines(self, *words):
        return [line for line in self.cli(*words).split("\n") if line]

    def hash(self, key):
        """HGETALL as a dict."""
        flat = self.lines("HGETALL", key)
        return dict(zip(flat[::2], flat[1::2]))

    def scan(self, pattern):
        return sorted(self.lines("--scan", "--pattern", pattern))


class Wire:
    """A client that stays connected: redis-cli takes longer to start than Redis to answer."""

    def __init__(self, redis):
        with redis.host.inside():
            self.sock = socket.create_connection(("127.0.0.1", PORT), 5)
        self.lines = self.sock.makefile("rb")

    def say(self, *words):
        """One command; its answer's first line."""
        parts = [str(word).encode() for word in words]
        self.sock.sendall(b"*%d\r\n" % len(parts) + b"".join(
            b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self.lines.readline().decode().strip()

    def close(self):
        self.lines.close()
        self.sock.close()
