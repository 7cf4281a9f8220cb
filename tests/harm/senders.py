"""The senders: four real mail servers, each on a host of its own that takes a new address for every
scenario, so that nothing which the site learned of it in one helps it in the next.

All have their defaults, but for what shortens their retries to INTERVAL, and a connection attempt
to a second (in OpenSMTPD, which has no key for it, the kernel's tcp_syn_retries ends it after
three). Mail is given to them over SMTP on 127.0.0.1.
"""
import re
import shutil
import subprocess
import time

import space
from mta import Postfix
from mxsite import INTERVAL
from sendmail import Sendmail
from smtp import Session
from waiting import wait_for

LOCAL = "127.0.0.1"


class Sender:
    """name: of the host and of the mail domains. The subclasses know one mail server each:
    begin(pool) writes its configuration and starts it with an empty queue; pool is the list of
    addresses to send from, or None for the host's own; end, queue (the recipients still waiting)
    and bounced (lines of its log that tell of a bounce)."""

    has_pool = True

    def __init__(self, name):
        self.name = name
        self.host = space.Host(name)
        self.host.sysctl("net/ipv4/tcp_syn_retries", 1)
        self.helo = f"mail.{name}.example.net"

    def take_address(self, v4, v6=None):
        """New addresses in place of all others: the first of v4 is the one that counts where the
        mail server does not choose."""
        self.host.ip("addr", "flush", "dev", "eth0", "scope", "global")
        for address in v4:
            self.host.ip("addr", "add", address + "/32", "dev", "eth0")
        self.host.ip("route", "replace", space.SITE, "dev", "eth0", "src", v4[0])
        self.host.run("ip", "-6", "route", "del", space.SITE6)  # else by link-local addresses
        if v6:
            self.host.ip("addr", "add", v6 + "/128", "dev", "eth0", "nodad")
            self.host.ip("-6", "route", "replace", space.SITE6, "dev", "eth0", "src", v6)

    def cut_off(self, address, away=True):
        """No way from here to that address: a connection fails at once."""
        self.host.run("ip", "route", "replace" if away else "del", "unreachable", address)

    def tend(self):
        """Called every second or so while mail is under way."""

    def save_logs(self, folder):
        for log in self.logs():
            if log.exists():
                shutil.copy(log, folder / f"{self.name}-{log.name}")


class PostfixSender(Sender, Postfix):
    title = "Postfix 3.7"

    def __init__(self, interval=INTERVAL):
        Sender.__init__(self, "postfix")
        self.pool, self.interval = None, interval
        Postfix.__init__(self, self.host, self.helo, (LOCAL,))
        self.name = self.host.name

    def configure(self, guard=False, routes=False):
        super().configure(guard=False, routes=False)
        services, main = "", (f"myhostname = {self.helo}\nmyorigin = {self.helo}\n"
                              "smtp_connect_timeout = 1s\n"
                              f"queue_run_delay = {self.interval}s\n"
                              f"minimal_backoff_time = {self.interval}s\n"
                              f"maximal_backoff_time = {13 * self.interval}s\n")
        if self.pool:
            names = [f"out{number}" for number in range(len(self.pool))]
            main += "transport_maps = randmap:{%s}\n" % ",".join(f"{name}:" for name in names)
            services = "".join(f"{name} unix - - n - - smtp\n  -o smtp_bind_address={address}\n"
                               for name, address in zip(names, self.pool))
        with open(self.folder / "master.cf", "a", encoding="ascii") as out:
            out.write(services)
        # Each key once: postlogd can choke on its own warnings about keys that come twice.
        lines = ((self.folder / "main.cf").read_text() + main).splitlines()
        last = {line.partition(" =")[0]: line for line in lines}
        space.write(self.folder / "main.cf", "\n".join(last.values()) + "\n")

    def begin(self, pool):
        self.pool = pool
        self.configure()
        self.start()

    def end(self):
        self.stop()
        self.command("postsuper", "-d", "ALL")

    def queue(self):
        return {one["address"] for entry in Postfix.queue(self) for one in entry["recipients"]}

    def bounced(self):
        return [line for line in self.log_text().splitlines() if "status=bounced" in line]

    def logs(self):
        return [self.log, self.folder / "master.log"]


class SendmailSender(Sender):
    """MinQueueAge is what makes a message wait an interval: without it a queue run takes every
    message, however lately it was tried."""

    title, has_pool = "Sendmail 8.17 + MinQueueAge", False

    def __init__(self):
        super().__init__("sendmail")
        self.mta = Sendmail(self.host, self.helo, (LOCAL,), [
            "FEATURE(`promiscuous_relay')dnl",
            "define(`confTO_ICONNECT', `1s')dnl",
            "define(`confTO_CONNECT', `1s')dnl",
            f"define(`confMIN_QUEUE_AGE', `{INTERVAL}s')dnl",
            # The load is the lab's, not the sender's.
            "define(`confQUEUE_LA', `200')dnl",
            "define(`confREFUSE_LA', `200')dnl"], queue_run=f"{INTERVAL}s")

    def begin(self, pool):
        self.mta.start()

    def end(self):
        self.mta.stop()
        self.mta.clear_queue()

    def queue(self):
        return self.mta.queue()

    def bounced(self):
        return [line for line in self.mta.log_text().splitlines() if "dsn=5." in line]

    def logs(self):
        return [self.mta.log]


EXIM = """
primary_hostname = {helo}
local_interfaces = 127.0.0.1
spool_directory = {folder}/spool
log_file_path = {folder}/%slog
tls_advertise_hosts =
host_lookup =
keep_environment =
acl_smtp_rcpt = take
begin acl
take:
  accept
begin routers
out:
  driver = dnslookup
  transport = out
begin transports
out:
  driver = smtp
  connect_timeout = 1s
{interface}
begin retry
* * F,1h,{interval}s
"""


class EximSender(Sender):
    title = "Exim 4.96"

    def __init__(self):
        super().__init__("exim")
        space.account("Debian-exim")
        self.folder = self.host.folder / "exim"
        self.folder.mkdir()
        shutil.chown(self.folder, "Debian-exim", "Debian-exim")
        self.process = None

    def begin(self, pool):
        interface = ""
        if pool:
            pick = "${listextract{${eval:1+${randint:%d}}}{%s}}" % (len(pool), ":".join(pool))
            interface = f"  interface = {pick}"
        # Only the built-in path keeps Exim its rights.
        space.write("/etc/exim4/exim4.conf", EXIM.format(
            helo=self.helo, folder=self.folder, interface=interface, interval=INTERVAL))
        self.process = self.host.start("/usr/sbin/exim4", "-bdf", f"-q{INTERVAL}s",
                                       log=self.folder / "stderr")
        wait_for("Exim", lambda: answers(self.host))

    def end(self):
        terminate(self.process)
        shutil.rmtree(self.folder / "spool", ignore_errors=True)

    def queue(self):
        done = self.host.run("/usr/sbin/exim4", "-bp")
        return set(re.findall(r"(?m)^ {10}(\S+@\S+)$", done.stdout))

    def bounced(self):
        log = self.folder / "mainlog"
        return [line for line in (log.read_text(errors="replace").splitlines()
                                  if log.exists() else []) if " ** " in line]

    def logs(self):
        return [self.folder / "mainlog"]


SMTPD = """
{table}
listen on 127.0.0.1 port 25
action "out" relay {source} helo "{helo}"
match from any for any action "out"
"""
SMTPD_INSIDE = """
set -e
mount -t tmpfs -o mode=755 var /var
mkdir -p /var/spool/smtpd /var/lib/opensmtpd/empty /var/empty
chmod 711 /var/spool/smtpd
ln -s /run /var/run
# The package's script would have made it so.
cp /usr/sbin/smtpctl /var/smtpctl
chgrp opensmtpq /var/smtpctl
chmod 2755 /var/smtpctl
exec /usr/sbin/smtpd -d -f {folder}/smtpd.conf
"""


class OpensmtpdSender(Sender):
    """Its retry intervals (400 s, growing) are built in. So every message that was last tried an
    INTERVAL ago is scheduled by hand, `smtpctl schedule`."""

    title = "OpenSMTPD 6.8"

    def __init__(self):
        super().__init__("opensmtpd")
        space.account("opensmtpd")
        space.account("opensmtpq")
        self.folder = self.host.folder / "smtpd"
        self.folder.mkdir()
        self.log = self.folder / "log"
        self.process = None
        self.tried = {}  # (message, tries so far): since when it waits

    def begin(self, pool):
        table = "table pool { %s }" % ", ".join(pool) if pool else ""
        space.write(self.folder / "smtpd.conf", SMTPD.format(
            table=table, source="src <pool>" if pool else "", helo=self.helo), 0o600)
        self.process = self.host.start("unshare", "--mount", "sh", "-c",
                                       SMTPD_INSIDE.format(folder=self.folder), log=self.log)
        wait_for("OpenSMTPD", lambda: answers(self.host))

    def end(self):
        terminate(self.process)

    def smtpctl(self, *words):
        return self.host.run("nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", "--",
                             "/var/smtpctl", *words).stdout

    def entries(self):
        """id|family|kind||sender|recipient|dest|created|expire|flags|tries|state|due in|error"""
        rows = [line.split("|") for line in self.smtpctl("show", "queue").splitlines()]
        return [row for row in rows if len(row) > 11]

    def tend(self):
        now = time.monotonic()
        for row in self.entries():
            ident, tries = row[0], row[10]
            if row[11] == "pending" and tries != "0" and now - self.tried.setdefault(
                    (ident, tries), now) >= INTERVAL:
                self.smtpctl("schedule", ident)

    def queue(self):
        return {row[5] for row in self.entries()}

    def bounced(self):
        return [line for line in (self.log.read_text(errors="replace").splitlines()
                                  if self.log.exists() else []) if "result=\"PermFail\"" in line]

    def logs(self):
        return [self.log, self.folder / "master.log"]


def answers(host):

    with Session(host, LOCAL, LOCAL) as session:
        return session.banner[0] == 220


def terminate(process):
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


SENDERS = {"postfix": PostfixSender, "exim": EximSender, "opensmtpd": OpensmtpdSender,
           "sendmail": SendmailSender}
