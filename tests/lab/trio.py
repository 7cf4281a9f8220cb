"""Three Redis and three Sentinels, a pair a host: who is master, and what may befall them."""
import space
from redisd import MANUAL, PASSWORD, PASSWORD_FILE, PORT, Redis, Server
from waiting import wait_for

ADDRESSES = ("192.0.2.61", "192.0.2.62", "192.0.2.63")
SENTINEL_PORT, MASTER = 26379, "main"
# A Redis that is silent for a second is down; a failover that fails is tried again after four.
SENTINEL = f"""port {SENTINEL_PORT}
bind {{address}} 127.0.0.1
protected-mode no
dir {{folder}}
sentinel monitor {MASTER} {ADDRESSES[0]} {PORT} 2
sentinel down-after-milliseconds {MASTER} 1000
sentinel failover-timeout {MASTER} 2000
sentinel parallel-syncs {MASTER} 2
"""
# What they do every ten, two and one seconds in life; the rest of their behaviour is stock.
HASTE = ("info-period", 500, "publish-period", 500, "ping-period", 250)
URL = ("sentinel://mxwarden@" + ",".join(f"{address}:{SENTINEL_PORT}" for address in ADDRESSES)
       + f"/{MASTER}")


def sentinel_rights():
    """The words of the manual's line for a Sentinel, after name and password."""
    line = next(line for line in MANUAL.read_text().splitlines()
                if line.strip().startswith("user mxwarden on") and "+switch-master" in line)
    return line.split()[4:]


def cache():
    """The cache section of a node that follows these Sentinels."""
    return f'cache {{ redis = "{URL}" password_file = "{PASSWORD_FILE}" }}'


class Sentinel(Server):
    def __init__(self, host, address):
        super().__init__(host, address, "sentinel.log")

    def start(self):
        file = self.host.folder / "sentinel.conf"
        if not file.exists():  # it writes what it learns into it
            file.write_text(SENTINEL.format(address=self.address, folder=self.host.folder))
        self.process = self.host.start("redis-server", file, "--sentinel", log=self.log)
        wait_for("a Sentinel", lambda: self.cli("SENTINEL", "DEBUG", *HASTE) == ["OK"])

    def cli(self, *words):
        return self.host.run("redis-cli", "-p", SENTINEL_PORT, *words).stdout.split("\n")[:-1]

    def about(self):
        """SENTINEL MASTER as a dict."""
        flat = self.cli("SENTINEL", "MASTER", MASTER)
        return dict(zip(flat[::2], flat[1::2]))


class Trio:
    def __init__(self):
        hosts = [space.Host(f"r{number}", address) for number, address in enumerate(ADDRESSES, 1)]
        self.redis = [Redis(host, address) for host, address in zip(hosts, ADDRESSES)]
        self.sentinels = [Sentinel(host, address) for host, address in zip(hosts, ADDRESSES)]

    def start(self):
        self.redis[0].start()
        for one in self.redis[1:]:
            one.start("--replicaof", ADDRESSES[0], PORT)
        for one in self.sentinels:
            one.start()
        self.wait_whole()

    def named(self):
        """The address that most of the Sentinels name, None where they do not agree."""
        names = [one.cli("SENTINEL", "get-master-addr-by-name", MASTER)[:1]
                 for one in self.sentinels if one.runs()]
        best = max(names, key=names.count, default=[])
        return best[0] if best and names.count(best) >= 2 else None

    def master(self):
        """The Redis that is named and takes writes itself; None while there is none."""
        name = self.named()
        for one in self.redis:
            if one.address == name and one.runs():
                return one if one.lines("ROLE")[:1] == ["master"] else None
        return None

    def wait_master(self, other_than=None, timeout=20):
        return wait_for("a master", lambda: (one := self.master()) is not other_than and one,
                        timeout)

    def is_whole(self):
        """Everybody runs and knows of everybody, and no failover is under way."""
        master = self.master()
        if not master or len([line for line in master.lines("INFO", "replication")
                              if line.startswith("slave") and "state=online" in line]) != 2:
            return False
        abouts = [one.about() for one in self.sentinels]
        return all(about.get("flags") == "master" and about.get("num-other-sentinels") == "2" and
                   about.get("num-slaves") == "2" and about.get("ip") == master.address
                   for about in abouts)

    def wait_whole(self, timeout=40):
        wait_for("three Redis and three Sentinels in order", self.is_whole, timeout)

    def heal(self):
        """All is as at the start, whoever is master."""
        for one in self.sentinels:
            one.heal()
        for one in self.redis:
            if one.frozen:
                one.heal()
        for one in self.redis:
            if one.process.poll() is not None:
                self.restart(one)
            one.cli("CONFIG", "SET", "maxmemory", "0")
            self.take_password(one, PASSWORD)
        self.wait_whole()

    def restart(self, one):
        """As what it was before it was killed, with nothing in it: nobody saves."""
        name = self.named()
        one.start(*(["--replicaof", name, PORT] if name and name != one.address else []))

    def take_password(self, one, password):
        """Another password for mxwarden, whose connections end."""
        one.cli("ACL", "SETUSER", "mxwarden", "resetpass", f">{password}")

    def failover(self):
        """Asks for one; returns the new master as soon as it is one."""
        old = self.wait_master()
        one = next(one for one in self.sentinels if one.runs())
        wait_for("a failover to begin", lambda: one.cli(
            "SENTINEL", "FAILOVER", MASTER)[:1] == ["OK"], 20)
        return self.wait_master(other_than=old)
