"""The senders: four real mail servers, each on a host of its own that takes another place
(places.py) for every scenario.

All have their defaults, but for what shortens their retries to INTERVAL, and a connection attempt
to a second. OpenSMTPD has keys for neither: its clock runs SHORTENED times as fast, and the
kernel's tcp_syn_retries ends a connection attempt. Mail is given to them over SMTP on 127.0.0.1.
"""
import re
import shutil
import subprocess

import space
from mta import Postfix
from mxsite import ADDRESS, INTERVAL, SHORTENED
from sendmail import Sendmail
from smtp import Session
from waiting import wait_for

LOCAL = "127.0.0.1"
BEGIN = 60  # seconds that a mail server may take to start, on a machine that has other work, too


class Sender:
    """name: of the host and of the mail domains. The subclasses know one mail server each:
    begin(place) writes its configuration and starts it with an empty queue; end, queue (the
    recipients still waiting) and bounced (lines of its log that tell of a bounce)."""

    has_pool = True
    is_patient = True  # comes past a host that never answers

    def __init__(self, name):
        self.name = name
        self.host = space.Host(name)
        self.host.sysctl("net/ipv4/tcp_syn_retries", 1)

    def settle(self, place, cut_off=False):
        """Its addresses instead of all others. cut_off: it has no way to mx1, and is told so at
        once."""
        self.host.ip("addr", "flush", "dev", "eth0", "scope", "global")
        for address in place.pool or [place.v4]:
            self.host.ip("addr", "add", address + "/32", "dev", "eth0")
        self.host.ip("route", "replace", space.SITE, "dev", "eth0", "src", place.v4)
        self.host.run("ip", "-6", "route", "del", space.SITE6)  # else by link-local addresses
        if place.v6:
            self.host.ip("addr", "add", place.v6 + "/128", "dev", "eth0", "nodad")
            self.host.ip("-6", "route", "replace", space.SITE6, "dev", "eth0", "src", place.v6)
        for address in ADDRESS[1]:
            self.host.run("ip", "route", "replace" if cut_off else "del", "unreachable", address)

    def save_logs(self, folder):
        for log in self.logs():
            if log.exists():
                shutil.copy(log, folder / f"{self.name}-{log.name}")


class PostfixSender(Sender, Postfix):
    title = "Postfix 3.7"

    def __init__(self, interval=INTERVAL):
        Sender.__init__(self, "postfix")
        self.place, self.interval = None, interval
        Postfix.__init__(self, self.host, "postfix", (LOCAL,))

    def configure(self, guard=False, routes=False):
        super().configure(guard=False, routes=False)
        if not self.place:
            return
        helo, pool = self.place.helo, self.place.pool
        services, main = "", (f"myhostname = {helo}\nmyorigin = {helo}\n"
                              "smtp_connect_timeout = 1s\n"
                              f"queue_run_delay = {self.interval}s\n"
                              f"minimal_backoff_time = {self.interval}s\n"
                              f"maximal_backoff_time = {13 * self.interval}s\n")
        if pool:
            names = [f"out{number}" for number in range(len(pool))]
            main += "transport_maps = randmap:{%s}\n" % ",".join(f"{name}:" for name in names)
            services = "".join(f"{name} unix - - n - - smtp\n  -o smtp_bind_address={address}\n"
                               for name, address in zip(names, pool))
        with open(self.folder / "master.cf", "a", encoding="ascii") as out:
            out.write(services)
        # Each key once: postlogd can choke on its own warnings about keys that come twice.
        lines = ((self.folder / "main.cf").read_text() + main).splitlines()
        last = {line.partition(" =")[0]: line for line in lines}
        space.write(self.folder / "main.cf", "\n".join(last.values()) + "\n")

    def begin(self, place):
        self.place = place
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
    """It has no MinQueueAge by default: a queue run takes every message, however lately it was
    tried."""

    title, has_pool = "Sendmail 8.17", False

    def __init__(self):
        super().__init__("sendmail")
        self.mta = Sendmail(self.host, "mail.sendmail.example.org", (LOCAL,), [
            "FEATURE(`promiscuous_relay')dnl",
            "define(`confTO_ICONNECT', `1s')dnl",
            "define(`confTO_CONNECT', `1s')dnl",
            # The load is the lab's, not the sender's.
            "define(`confQUEUE_LA', `200')dnl",
            "define(`confREFUSE_LA', `200')dnl"], queue_run=f"{INTERVAL}s")

    def begin(self, place):
        self.mta.rename(place.helo)
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

    def begin(self, place):
        interface, pool = "", place.pool
        if pool:
            pick = "${listextract{${eval:1+${randint:%d}}}{%s}}" % (len(pool), ":".join(pool))
            interface = f"  interface = {pick}"
        # Only the built-in path keeps Exim its rights.
        space.write("/etc/exim4/exim4.conf", EXIM.format(
            helo=place.helo, folder=self.folder, interface=interface, interval=INTERVAL))
        self.process = self.host.start("/usr/sbin/exim4", "-bdf", f"-q{INTERVAL}s",
                                       log=self.folder / "stderr")
        wait_for("Exim", lambda: answers(self.host), BEGIN)

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
# Of libevent's ways to wait, one that libfaketime shortens, too.
export LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketime.so.1) FAKETIME='+0 x{shortened}' \\
    EVENT_NOEPOLL=1
exec /usr/sbin/smtpd -d -f {folder}/smtpd.conf
"""


class OpensmtpdSender(Sender):
    """Its retry intervals (400 s, growing) are built in, so its clock runs faster. While one of
    mx1's addresses has not timed out it uses no worse host, and where none of them answers that is
    most of the time."""

    title, is_patient = "OpenSMTPD 6.8", False

    def __init__(self):
        super().__init__("opensmtpd")
        space.account("opensmtpd")
        space.account("opensmtpq")
        self.folder = self.host.folder / "smtpd"
        self.folder.mkdir()
        self.log = self.folder / "log"
        self.process = None

    def begin(self, place):
        table = "table pool { %s }" % ", ".join(place.pool) if place.pool else ""
        space.write(self.folder / "smtpd.conf", SMTPD.format(
            table=table, source="src <pool>" if place.pool else "", helo=place.helo), 0o600)
        inside = SMTPD_INSIDE.format(folder=self.folder, shortened=SHORTENED)
        self.process = self.host.start("unshare", "--mount", "sh", "-c", inside, log=self.log)
        wait_for("OpenSMTPD", lambda: answers(self.host), BEGIN)

    def end(self):
        terminate(self.process)

    def smtpctl(self, *words):
        return self.host.run("nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", "--",
                             "/var/smtpctl", *words).stdout

    def queue(self):
        """Its lines are id|family|kind||sender|recipient|dest|created|expire|..."""
        rows = [line.split("|") for line in self.smtpctl("show", "queue").splitlines()]
        return {row[5] for row in rows if len(row) > 11}

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
