"""A real Postfix on a lab host, attached to mxwarden as the README recommends."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket

from space import write
from waiting import wait_for

STORE = "192.0.2.70"
MASTER = """
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
# Retries within seconds, so that a case sees a queue drain; nothing else is unusual.
MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/maillog
maillog_file_prefixes = /run
myhostname = {name}
myorigin = {name}
mydestination =
local_recipient_maps =
alias_maps =
mynetworks = 127.0.0.0/8, [::1]/128
inet_interfaces = all
inet_protocols = all
relay_domains = {domains}
relay_transport = smtp:[{store}]:25
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_error_sleep_time = 0
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
queue_run_delay = 2s
minimal_backoff_time = 2s
maximal_backoff_time = 4s
transport_retry_time = 2s
smtp_connect_timeout = 3s
smtp_tls_security_level =
smtpd_tls_security_level =
"""
MILTER = ("{{ unix:{sockets}/milter.sock, connect_timeout=3s, command_timeout=6s, "
          "content_timeout=10s, default_action=accept }}")
POLICY = ("check_policy_service {{ unix:{sockets}/policy.sock, timeout=3s, try_limit=2, "
          "retry_delay=1s, default_action=DUNNO }}")
FOLDERS = ("active bounce corrupt defer deferred flush hold incoming private saved trace").split()


class Postfix:
    """by_milter and by_policy: the addresses whose port 25 has mxwarden attached that way."""

    def __init__(self, host, name, by_milter, by_policy=(), domains=(), sockets=None):
        self.host, self.name = host, name
        self.folder = host.folder / "postfix"
        self.log = self.folder / "maillog"
        self.by_milter, self.by_policy, self.domains = by_milter, by_policy, domains
        self.sockets = sockets or host.folder / "mxw"
        self.listeners = (*by_milter, *by_policy)
        self.process = None
        self.build()

    def build(self):
        for folder in ("spool", "data", "spool/pid", "spool/maildrop", "spool/public"):
            (self.folder / folder).mkdir(parents=True)
        for folder in FOLDERS:
            (self.folder / "spool" / folder).mkdir(mode=0o700)
            shutil.chown(self.folder / "spool" / folder, "postfix")
        shutil.chown(self.folder / "data", "postfix")
        for folder, mode in (("maildrop", 0o1730), ("public", 0o2710)):
            shutil.chown(self.folder / "spool" / folder, "postfix", "postdrop")
            (self.folder / "spool" / folder).chmod(mode)
        self.log.touch()
        self.configure()

    def configure(self, guard=True, routes=True):
        """guard, routes: whether mxwarden is attached to smtpd, and to transport_maps."""
        self.routes = routes
        main = MAIN.format(folder=self.folder, name=self.name, store=STORE,
                           domains=", ".join(self.domains))
        if routes:
            main += f"transport_maps = {self.map()}\n"
        lines = []
        for address in self.listeners:
            where = f"[{address}]" if ":" in address else address
            lines.append(f"{where}:25 inet n - n - - smtpd")
            if guard and address in self.by_milter:
                lines.append("  -o { smtpd_milters = %s }" % MILTER.format(sockets=self.sockets))
            elif guard:
                lines.append("  -o { smtpd_recipient_restrictions = %s }"
                             % POLICY.format(sockets=self.sockets))
        write(self.folder / "main.cf", main)
        write(self.folder / "master.cf", "\n".join(lines) + MASTER)

    def map(self):
        return f"socketmap:unix:{self.sockets}/socketmap.sock:transport"

    def start(self):
        self.process = self.host.start("/usr/lib/postfix/sbin/master", "-c", self.folder,
                                       log=self.folder / "master.log")
        for address in self.listeners:
            wait_for(f"{self.name} on {address}", lambda: self.answers(address))

    def answers(self, address):
        with self.host.inside(), socket.create_connection((address, 25), 3) as sock:
            sock.settimeout(3)
            return sock.recv(100).startswith(b"220")

    def stop(self):
        """As `postfix stop` does."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def attach(self, routes):
        """With or without transport_maps. Postfix cannot fail open there: while the daemon is
        away, every address it is asked about is a temporary failure."""
        if routes != self.routes:
            self.configure(routes=routes)
            self.stop()
            self.start()

    @contextlib.contextmanager
    def changed(self, master, main=lambda text: text):
        """Runs with other files, which the functions make of the present ones, until the end."""
        files = {self.folder / "master.cf": master, self.folder / "main.cf": main}
        before = {path: path.read_text() for path in files}

        def put(texts):
            for path, text in texts.items():
                write(path, text)
            self.stop()
            self.start()

        put({path: change(before[path]) for path, change in files.items()})
        try:
            yield
        finally:
            put(before)

    def heal(self):
        self.attach(routes=True)
        if self.process is None or self.process.poll() is not None:
            self.start()

    def command(self, *words):
        return self.host.run(words[0], "-c", self.folder, *words[1:])

    def queue(self):
        """What postqueue shows, one dict a message."""
        return [json.loads(line) for line in self.command("postqueue", "-j").stdout.splitlines()]

    def flush(self):
        self.command("postqueue", "-f")

    def lookup(self, key):
        """postmap -q as the user that Postfix runs as: (answer or None, trouble)."""
        done = self.host.run("postmap", "-c", self.folder, "-q", key, self.map(), user="postfix")
        return done.stdout.rstrip("\n") or None, done.stderr

    def lookup_all(self, keys):
        """Many keys in one program run; {key: answer} of those that have one."""
        done = self.host.run("postmap", "-c", self.folder, "-q", "-", self.map(), user="postfix",
                             input="".join(key + "\n" for key in keys))
        return dict(line.split("\t", 1) for line in done.stdout.splitlines())

    def log_text(self):
        return pathlib.Path(self.log).read_text(errors="replace")
