"""TLS to Redis by the manual's stunnel recipe, with a real stunnel and a real tls-port."""
import subprocess

import sitecfg
from cases import case
from redisd import MANUAL, PASSWORD, PASSWORD_FILE, acl_words
from waiting import check, wait_for

NAME, ADDRESS, TLS_PORT = "redis.example.com", "192.0.2.60", 6380


def conf(node):
    """mx2 goes through stunnel, and shares with nobody."""
    if node == "mx1.example.com":
        return sitecfg.guarded(node)
    return sitecfg.guarded(node).replace(
        sitecfg.cache(node), f'cache {{ redis = "redis://mxwarden@127.0.0.1:6379" '
        f'password_file = "{PASSWORD_FILE}" }}')


def recipe(**changes):
    """The manual's lines, with what differs here."""
    text = MANUAL.read_text()
    lines = text[text.index("[redis]"):].split(".fi")[0].splitlines()
    words = dict(line.strip().split(" = ") for line in lines[1:] if " = " in line)
    return "\n".join(["foreground = yes", "pid =", "[redis]",
                      *(f"{key} = {value}" for key, value in {**words, **changes}.items()), ""])


def certificate(folder):
    """An authority and a server's certificate for NAME, in the folder."""
    for words in (
            ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=lab",
             "-keyout", "ca.key", "-out", "ca.pem"],
            ["req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={NAME}", "-addext",
             f"subjectAltName=DNS:{NAME}", "-keyout", "s.key", "-out", "s.csr"],
            ["x509", "-req", "-days", "2", "-in", "s.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
             "-CAcreateserial", "-copy_extensions", "copy", "-out", "s.pem"]):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def state(world):
    return world.warden2.ask("stats")["redis"]


@case("the stunnel recipe: the right name is let through, another is not")
def recipe_works(world):
    host, mx2 = world.hosts["redis"], world.hosts["mx2"]
    folder = host.folder / "tls"
    folder.mkdir(exist_ok=True)
    certificate(folder)
    server = host.start("redis-server", "--port", 0, "--tls-port", TLS_PORT, "--bind", ADDRESS,
                        "--tls-cert-file", folder / "s.pem", "--tls-key-file", folder / "s.key",
                        "--tls-ca-cert-file", folder / "ca.pem", "--tls-auth-clients", "no",
                        "--protected-mode", "no", "--save", "", "--dir", folder, "--user", *acl_words())
    file = mx2.folder / "stunnel.conf"

    def start(**changes):
        file.write_text(recipe(connect=f"{ADDRESS}:{TLS_PORT}", CAfile=folder / "ca.pem",
                               **changes))
        return mx2.start("stunnel4", file, log=mx2.folder / "stunnel.log")

    tunnel = start(checkHost="other.example.com")
    try:
        wait_for("stunnel to refuse the name", lambda: "Subject checks failed" in (
            mx2.folder / "stunnel.log").read_text() and state(world)["state"] == "down")
        tunnel.kill()
        tunnel.wait()
        tunnel = start()
        wait_for("Redis through stunnel", lambda: state(world)["state"] == "up")
        done = host.run("redis-cli", "--tls", "--cacert", folder / "ca.pem", "-h", ADDRESS, "-p",
                        TLS_PORT, "--sni", NAME, "--user", "mxwarden", "--pass", PASSWORD,
                        "--no-auth-warning", "HGETALL", "mxw1:node:mx2.example.com")
        check("version" in done.stdout, done.stdout + done.stderr)
    finally:
        for process in (tunnel, server):
            process.kill()
            process.wait()
