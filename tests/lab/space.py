"""The lab's private space: namespaces, mounts, accounts, and the hosts on one wire.

The runner starts itself anew inside fresh network, mount, process, IPC and UTS namespaces, lays the
unpacked packages over /usr and a writable layer over /etc, and makes a network namespace for every
host, all on one bridge. Nothing of it is visible outside, and all of it vanishes with the first
process of the process namespace, however that one ends.
"""
import contextlib
import ctypes
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

LAB = pathlib.Path("/run/lab")
INSIDE = "--inside"
# The site's hosts, and the networks in which its clients live: for documentation, and, as those two
# are small, of those for benchmarks (RFC 2544).
SITE, SITE6 = "192.0.2.0/24", "2001:db8::/64"
CLIENT_NETS = ("198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/16")
CLIENT_NET6 = "2001:db8:1::/48"
CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def run(*words, **more):
    """A command that must succeed; its output is shown when it does not."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}")
    return done.stdout


def enter(script, arguments):
    """Replaces this process by the script inside new namespaces. sh is their first process,
    because it reaps the orphans that Postfix leaves; Python would not."""
    if os.geteuid() != 0:
        raise SystemExit("the lab needs root: it makes namespaces and runs Postfix in them")
    words = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             "--uts", "--ipc", "--", "sh", "-c", '"$@"; exit $?', "sh",
             sys.executable, "-B", script, INSIDE, *arguments]
    os.execvp(words[0], words)


def build(labroot, more=()):
    """Mounts, accounts and name service of the world; once, inside the namespaces. more: folders of
    further packages; where two hold the same file, the first of labroot and these counts."""
    os.umask(0o022)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # What is begun in the background ignores SIGINT, by nohup SIGHUP, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "lab", "/run")
    for folder in ("layer/up", "layer/work", "netns"):
        (LAB / folder).mkdir(parents=True)
    # A path of the user's may hold a colon, which overlayfs takes for a separator.
    roots = [LAB / f"root{number}" for number in range(1 + len(more))]
    for root, folder in zip(roots, (labroot, *more)):
        root.mkdir()
        run("mount", "--bind", folder, root)
    usr, etc = (":".join(f"{root}/{part}" for root in roots) for part in ("usr", "etc"))
    run("mount", "-t", "overlay", "lab-usr", "-o", f"lowerdir={usr}:/usr", "/usr")
    run("mount", "-t", "overlay", "lab-etc", "-o",
        f"lowerdir={etc}:/etc,upperdir={LAB}/layer/up,workdir={LAB}/layer/work", "/etc")
    account("postfix", "postdrop")
    account("redis")
    account("nsd")
    account("mxwarden")
    # The daemons give their sockets to Postfix's group, which only a member may do.
    groups = pathlib.Path("/etc/group").read_text()
    write("/etc/group", re.sub(r"(?m)^(postfix:.*:)(.*)$", r"\1mxwarden,\2", groups).replace(
        "mxwarden,\n", "mxwarden\n"))
    write("/etc/hostname", "lab.example.com\n")
    write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
    write("/etc/resolv.conf", "nameserver 192.0.2.53\noptions timeout:1 attempts:2\n")
    write("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n")
    write("/etc/services", "smtp 25/tcp\ndomain 53/tcp\ndomain 53/udp\n")
    run("hostname", "lab.example.com")
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "wire", "type", "bridge")
    run("ip", "link", "set", "wire", "up")


def write(path, text, mode=0o644):
    path = pathlib.Path(path)
    if path.is_symlink():
        path.unlink()
    path.write_text(text)
    path.chmod(mode)


def account(name, *groups):
    """A system account with a group of its own, where the machine has none."""
    passwd, group = pathlib.Path("/etc/passwd"), pathlib.Path("/etc/group")
    taken = {int(line.split(":")[2]) for file in (passwd, group)
             for line in file.read_text().splitlines() if line.count(":") >= 3}
    for wanted in (name, *groups):
        if not any(line.startswith(wanted + ":") for line in group.read_text().splitlines()):
            number = next(n for n in range(800, 1000) if n not in taken)
            taken.add(number)
            with group.open("a") as out:
                out.write(f"{wanted}:x:{number}:\n")
            if wanted == name:
                own = number
    if not any(line.startswith(name + ":") for line in passwd.read_text().splitlines()):
        with passwd.open("a") as out:
            out.write(f"{name}:x:{own}:{own}::/nonexistent:/usr/sbin/nologin\n")


class Host:
    """One host: a network namespace with one interface on the wire."""

    def __init__(self, name, *addresses):
        self.name, self.addresses = name, addresses
        self.folder = LAB / name
        self.folder.mkdir()
        self.processes = []
        run("ip", "netns", "add", name)
        run("ip", "link", "add", f"v-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", f"v-{name}", "master", "wire", "up")
        self.ip("link", "set", "lo", "up")
        # No duplicate address detection: an address is usable at once.
        self.sysctl("net/ipv6/conf/eth0/accept_dad", 0)
        self.sysctl("net/ipv6/conf/eth0/dad_transmits", 0)
        self.ip("link", "set", "eth0", "up")
        for address in addresses:
            self.ip("addr", "add", address + ("/64" if ":" in address else "/24"), "dev", "eth0")
        for net in (SITE, *CLIENT_NETS):
            self.ip("route", "replace", net, "dev", "eth0")
        if name != "net" and any(":" in address for address in addresses):
            self.ip("-6", "route", "add", CLIENT_NET6, "via", "2001:db8::fe")

    def ip(self, *words):
        return run("ip", "-n", self.name, *words)

    def sysctl(self, key, value):
        run("nsenter", f"--net=/run/netns/{self.name}", "sh", "-c",
            f"echo {value} > /proc/sys/{key}")

    def own_client_networks(self):
        """Makes every address of the client networks this host's."""
        for net in CLIENT_NETS:
            self.ip("route", "replace", "local", net, "dev", "lo")
        self.sysctl("net/ipv6/ip_nonlocal_bind", 1)
        self.ip("-6", "route", "add", "local", CLIENT_NET6, "dev", "lo")

    @contextlib.contextmanager
    def inside(self):
        """Sockets that this thread makes here belong to the host, for as long as they live."""
        back = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            set_namespace(there)
            yield
        finally:
            set_namespace(back)
            os.close(there)
            os.close(back)

    def start(self, *words, user=None, log=None, env=None):
        """Starts a program on this host. The helpers in front of it exec, so its process id is
        that of the program."""
        front = ["nsenter", f"--net=/run/netns/{self.name}", "--"]
        if user:
            front += ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups",
                      "--inh-caps=-all", "--"]
        with open(log or os.devnull, "ab") as out:
            return subprocess.Popen([*front, *map(str, words)], stdin=subprocess.DEVNULL,
                                    stdout=out, stderr=out, start_new_session=True,
                                    env={**os.environ, **(env or {})})

    def run(self, *words, user=None, **more):
        front = ["nsenter", f"--net=/run/netns/{self.name}", "--"]
        if user:
            front += ["runuser", "-u", user, "--"]
        return subprocess.run([*front, *map(str, words)], capture_output=True, text=True, **more)

    def cut_off(self):
        """As if somebody pulled the cable."""
        run("ip", "link", "set", f"v-{self.name}", "down")

    def join(self):
        run("ip", "link", "set", f"v-{self.name}", "up")


def set_namespace(descriptor):
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def copy_programs(build_folder, names):
    """The programs under test, where an account without rights can run them: the clone may lie
    in a folder that only root can enter."""
    folder = LAB / "bin"
    folder.mkdir(exist_ok=True)
    for name in names:
        if (pathlib.Path(build_folder) / name).exists():
            shutil.copy(pathlib.Path(build_folder) / name, folder / name)
    return folder
