"""`make run`: starts both daemons, proves that they answer, and leaves nothing behind."""
import os
import pathlib
import signal
import subprocess

import sitecfg
from cases import case
from space import LAB, write
from waiting import check, same, wait_for

SCRIPT = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts/run"


def conf(node):
    return sitecfg.guarded(node)


def start():
    """scripts/run on the host net; (process, log). In a group of its own, as from a terminal."""
    log = LAB / "run.log"
    write(log, "")
    with open(log, "ab") as out:
        process = subprocess.Popen(["nsenter", "--net=/run/netns/net", "--", SCRIPT, LAB / "bin"],
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   start_new_session=True)
    return process, log


def ready(process, log):
    def said():
        text = log.read_text()
        check(process.poll() is None, f"ended with {process.returncode}: {text}")
        return "Ready." in text and text
    return wait_for("scripts/run to be ready", said, 15)


def interrupt(process, number=signal.SIGINT):
    """Ctrl-C reaches the whole group."""
    os.killpg(process.pid, number)
    return process.wait(10)


@case("no Postfix set up: sockets in /run/mxwarden, proven by its own client")
def without(world):
    process, log = start()
    text = ready(process, log)
    check("smtpd_milters = { unix:/run/mxwarden/milter.sock," in text, text)
    check("action=DUNNO" in text and "NOTFOUND" in text and "postmap" not in text, text)
    same(interrupt(process), 0, log.read_text())
    check(not pathlib.Path("/run/mxwarden").exists(), "left behind")


@case("beside Postfix: reachable from its queue directory, proven as user postfix")
def beside(world):
    spool = LAB / "net" / "spool"
    spool.mkdir(exist_ok=True)
    write("/etc/postfix/main.cf", f"compatibility_level = 3.6\nqueue_directory = {spool}\n")
    try:
        process, log = start()
        text = ready(process, log)
        check("smtpd_milters = { unix:mxwarden/milter.sock," in text, text)
        check("asked as postfix: postmap -q '*'           -> (not found, no trouble)" in text, text)
        check("asked as postfix: policy" in text, text)
        for line in text.splitlines():
            check("warning" not in line.lower() and "error" not in line.lower(), line)
        again, other = start()
        same(again.wait(15), 1, "a second one")
        check("answers" in other.read_text() and "already" in other.read_text(), other.read_text())
        check((spool / "mxwarden/policy.sock").exists(), "the second took the first's sockets")
        same(interrupt(process, signal.SIGTERM), 0, "the end")
        check(not (spool / "mxwarden").exists(), "left behind")
    finally:
        os.unlink("/etc/postfix/main.cf")


@case("beside a daemon that is set up, whose control socket is elsewhere: refused, and left alone")
def occupied(world):
    folder = pathlib.Path("/run/mxwarden")
    folder.mkdir()
    write(LAB / "set-up.conf", f'''listen {{
    policy = {{"unix:{folder}/policy.sock"}}
    socketmap = {{"unix:{folder}/socketmap.sock"}}
    control = "unix:{LAB}/set-up.sock"
}}
''')
    daemon = subprocess.Popen(["nsenter", "--net=/run/netns/net", "--", LAB / "bin/mxwardend", "-c",
                               LAB / "set-up.conf"], stderr=subprocess.DEVNULL)
    try:
        wait_for("its map", lambda: (folder / "socketmap.sock").exists(), 10)
        process, log = start()
        same(process.wait(15), 1, "beside it")
        text = log.read_text()
        check("answers on /run/mxwarden already" in text and "Ready" not in text, text)
        check((folder / "policy.sock").exists(), "its sockets were taken")
    finally:
        daemon.terminate()
        daemon.wait(10)
        folder.rmdir()


@case("a terminal that is closed leaves nothing behind")
def hung_up(world):
    process, log = start()
    ready(process, log)
    same(interrupt(process, signal.SIGHUP), 0, log.read_text())
    check(not pathlib.Path("/run/mxwarden").exists(), "left behind")
