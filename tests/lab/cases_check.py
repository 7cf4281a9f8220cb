"""`mxwarden check` on a real Postfix: nothing to say where all is well, and each mistake told."""
import json

import sitecfg
from cases import case
from space import write
from waiting import check, same, wait_for

DOMAIN = "relayed.example.com"
PRIMARY = f'domain "{DOMAIN}" {{ guard {{ mode = "off" }} route = "primary" }}'


def conf(node):
    """One guarded domain, one with a route and a flush, one with a pool."""
    text = sitecfg.guarded(node)
    check(PRIMARY in text, "the lab's configuration has changed")
    return text.replace(PRIMARY, PRIMARY[:-1] + 'flush = "192.0.2.20:25" }')


def findings(world, level=None):
    """{(level, what)} of `mxwarden check` at mx2; level: only those, as a list of whats."""
    warden, mta = world.warden2, world.mx2
    done = warden.host.run("env", f"MAIL_CONFIG={mta.folder}", warden.bin / "mxwarden", "-c",
                           warden.file, "--json", "check")
    reply = json.loads(done.stdout)
    same(done.returncode, 0 if reply["status"] == "ok" else 1, done.stdout)
    return [one["what"] for one in reply["findings"] if one["level"] == level] if level else reply


def settled(world):
    wait_for("mx2's place known", lambda: any(
        host["self"] for host in world.warden2.ask("mx", domain=DOMAIN).get("order", [])), 10)


@case("the lab's own site: no error, and nothing said of its routes")
def well(world):
    settled(world)
    reply = findings(world)
    same([one for one in reply["findings"] if one["level"] == "error"], [], "errors")
    whats = [one["what"] for one in reply["findings"]]
    check(any("transport_maps" in what and "answers" in what for what in whats), whats)
    check(any("smtpd_milters" in what for what in whats), whats)
    told = [one["what"] for one in reply["findings"] if one["level"] == "warning"]
    check(not any("transport_maps" in what or "relay_domains" in what or "fast_flush" in what
                  for what in told), told)


@case("a pattern before the map, a TLS policy, a missing service, mydestination: each is told")
def mistakes(world):
    settled(world)
    folder = world.mx2.folder
    write(folder / "patterns", f"/@relayed\\.example\\.com$/ smtp:[192.0.2.70]\n")
    write(folder / "tls", f"{DOMAIN} encrypt\n")

    def main(text):
        text = text.replace("transport_maps = ", f"transport_maps = regexp:{folder}/patterns, ")
        text = text.replace("mydestination =\n", f"mydestination = {DOMAIN}\n")
        return text + (f"smtp_tls_policy_maps = texthash:{folder}/tls\n"
                       "fast_flush_domains = example.net\n")

    def master(text):
        return text.replace("flush unix", "flesh unix")

    with world.mx2.changed(master, main):
        errors, warnings = findings(world, "error"), findings(world, "warning")
    for part in (f"regexp:{folder}/patterns answers for the addresses of {DOMAIN}",
                 "master.cf has no service for it", f"fast_flush_domains: {DOMAIN}"):
        check(any(part in what for what in errors), f"{part}: {errors}")
    for part in (f"smtp_tls_policy_maps: the entry of texthash:{folder}/tls for {DOMAIN}",
                 f"mydestination: {DOMAIN}"):
        check(any(part in what for what in warnings), f"{part}: {warnings}")


@case("a table that cannot be opened: that is told, and no error made of it")
def unreadable(world):
    settled(world)
    folder = world.mx2.folder
    write(folder / "others", "example.net OK\n")

    def relaying(table):
        def main(text):
            # What stands last counts.
            return text + f"relay_domains = {table}\nfast_flush_domains = {table}\n"

        with world.mx2.changed(lambda text: text, main):
            return findings(world, "error"), findings(world, "warning")

    errors, _ = relaying(f"texthash:{folder}/others")
    for part in ("relay_domains", "fast_flush_domains"):
        check(any(f"{part}: {DOMAIN} is not in it" in what for what in errors), errors)
    for table in (f"texthash:{folder}/missing", "nosuchtype:/x"):
        errors, warnings = relaying(table)
        same([what for what in errors if "not in it" in what], [], table)
        check(f"{table}: it cannot be told what is in it" in warnings, warnings)


@case("a pool's transport that is no service, a chroot that hides the sockets")
def transport(world):
    warden = world.warden2
    good = warden.text
    before = warden.log_text().count("reload")
    warden.configure(good.replace('transport = "smtp"', 'transport = "fancy"'))
    warden.daemon.send_signal(1)
    wait_for("the reload", lambda: warden.log_text().count("reload") > before, 10)
    check(any('pool gateways: master.cf has no service "fancy"' in what
              for what in findings(world, "error")), "the transport")

    def jailed(text):
        return text.replace("rewrite unix - - n", "rewrite unix - - y")

    master = world.mx2.folder / "master.cf"
    text = master.read_text()
    write(master, jailed(text))
    try:
        errors = findings(world, "error")
        check(any("transport_maps" in what and "does not exist" in what for what in errors), errors)
    finally:
        write(master, text)


@case("Redis that may evict is a warning")
def evicting(world):
    world.redis.cli("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        world.warden2.stop("mxwardend")
        world.warden2.start("mxwardend")
        wait_for("the warning", lambda: any("allkeys-lru" in what
                                            for what in findings(world, "warning")), 10)
    finally:
        world.redis.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
