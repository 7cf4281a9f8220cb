"""A real Sendmail on a lab host. It lies beside Postfix (entry.PEERS), and runs in a mount
namespace of its own, in which /dev is the lab's: it logs to /dev/log and nowhere else."""
import pathlib
import re
import shutil
import socket
import subprocess
import threading

import space
from waiting import wait_for

# What every Sendmail of the lab has: its files in the host's folder, and no look at who connects.
MC = """divert(-1)
divert(0)dnl
include(`/usr/share/sendmail/cf/m4/cf.m4')dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `{name}')dnl
define(`QUEUE_DIR', `{folder}/queue')dnl
define(`confPID_FILE', `{folder}/pid')dnl
define(`STATUS_FILE', `{folder}/statistics')dnl
define(`HELP_FILE', `{folder}/help')dnl
define(`ALIAS_FILE', `{folder}/aliases')dnl
define(`confTO_IDENT', `0')dnl
define(`confDEF_USER_ID', `mail:mail')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`nocanonify')dnl
{lines}
MAILER(`smtp')dnl
"""
# /dev/log is a link out of a small /dev; the host name is what Sendmail calls itself.
INSIDE = """
set -e
mount -t tmpfs -o mode=755 dev /dev
for node in "null 1 3" "zero 1 5" "random 1 8" "urandom 1 9" "tty 5 0"; do
    set -- $node
    mknod -m 666 /dev/$1 c $2 $3
done
ln -s {folder}/log.sock /dev/log
hostname {name}
exec /usr/libexec/sendmail/sendmail -C {folder}/sendmail.cf {arguments}
"""


class Sendmail:
    """lines: what the .mc file has beyond MC. listeners: addresses, each with a daemon."""

    def __init__(self, host, name, listeners, lines, queue_run="1m"):
        self.host, self.name, self.listeners = host, name, listeners
        self.folder = host.folder / "sendmail"
        self.log = self.folder / "maillog"
        self.queue_run = queue_run
        self.process = None
        space.account("smmta")
        space.account("smmsp")
        (self.folder / "queue").mkdir(parents=True)
        (self.folder / "queue").chmod(0o700)
        for file in ("statistics", "help", "aliases", "maillog"):
            (self.folder / file).touch()
        self.know_name()
        daemons = [f"DAEMON_OPTIONS(`Name=MTA{number}, Port=25, Addr={address}, "
                   f"Family=inet{'6' if ':' in address else ''}')dnl"
                   for number, address in enumerate(listeners)]
        self.lines = [*daemons, *lines]
        self.configure()
        self.keep_log()

    def know_name(self):
        """A name that does not resolve costs Sendmail a minute at its start."""
        hosts = pathlib.Path("/etc/hosts")
        if self.name not in hosts.read_text():
            space.write(hosts, hosts.read_text() + f"{self.listeners[0]} {self.name}\n")

    def rename(self, name):
        """From its next start on; the DNS must have the name."""
        self.name = name
        self.configure()

    def configure(self):
        source = MC.format(name=self.name, folder=self.folder, lines="\n".join(self.lines))
        space.write(self.folder / "sendmail.mc", source)
        space.write(self.folder / "sendmail.cf", space.run("m4", self.folder / "sendmail.mc"))

    def keep_log(self):
        """Stands in for syslog: a datagram is a line, in which the host is put behind the time."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(str(self.folder / "log.sock"))

        def read():
            with open(self.log, "ab", buffering=0) as out:
                while line := sock.recv(65536):
                    out.write(re.sub(rb"^<\d+>(.{16})", rb"\g<1>%s " % self.host.name.encode(),
                                     line).rstrip(b"\0\n") + b"\n")

        threading.Thread(target=read, daemon=True).start()

    def words(self, arguments):
        return ("unshare", "--mount", "--uts", "sh", "-c",
                INSIDE.format(folder=self.folder, name=self.name, arguments=arguments))

    def start(self):
        self.process = self.host.start(*self.words(f"-bD -q{self.queue_run}"),
                                       log=self.folder / "stderr")
        for address in self.listeners:
            wait_for(f"Sendmail on {address}", lambda: self.answers(address), 60)

    def answers(self, address):
        if self.process.poll() is not None:
            raise RuntimeError("Sendmail ended: " + (self.folder / "stderr").read_text())
        with self.host.inside(), socket.create_connection((address, 25), 3) as sock:
            sock.settimeout(10)
            return sock.recv(100).startswith(b"220")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def run_queue(self):
        """Tries all that waits; returns when that is done."""
        done = self.host.run(*self.words("-qf"))
        if done.returncode != 0:
            raise RuntimeError(f"sendmail -qf: {done.stdout}{done.stderr}")

    def make_map(self, name, text):
        """A hash of the folder, as makemap makes it."""
        space.run("/usr/libexec/sendmail/makemap", "-C", self.folder / "sendmail.cf", "hash",
                  self.folder / name, input=text)

    def clear_queue(self):
        shutil.rmtree(self.folder / "queue")
        (self.folder / "queue").mkdir(mode=0o700)

    def queue(self):
        """The recipients of the messages that still wait."""
        found = set()
        for file in (self.folder / "queue").glob("qf*"):
            try:
                found.update(re.findall(r"(?m)^R[^:]*:<?([^>\s]+)>?$", file.read_text("latin-1")))
            except FileNotFoundError:
                pass  # delivered between the look at the folder and at the file
        return found

    def log_text(self):
        return self.log.read_text(errors="replace")
