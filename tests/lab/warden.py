"""mxwardend and mxwarden-milter on a lab host: their configuration, life and control socket."""
import json
import os
import re
import shutil
import signal
import socket
import time

from space import write
from waiting import wait_for

# Every report of a sanitiser ends the program, and so fails the case.
SANITISERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=99",
    "LSAN_OPTIONS": "exitcode=99",
    "TSAN_OPTIONS": "halt_on_error=1:exitcode=99",
}
# Quiet, so that every line that begins with ==PID== is a finding, as it is with the sanitisers.
VALGRIND = ["valgrind", "-q", "--leak-check=full", "--errors-for-leak-kinds=definite,indirect",
            "--show-leak-kinds=definite,indirect", "--error-exitcode=99"]
REPORT = re.compile(r"^==\d+==|runtime error:|Assertion `|WARNING: ThreadSanitizer")


class Warden:
    def __init__(self, host, name, bin_folder):
        self.host, self.name, self.bin = host, name, bin_folder
        self.folder = host.folder / "mxw"
        self.file = self.folder / "mxwarden.conf"
        self.log, self.milter_log = host.folder / "mxwardend.log", host.folder / "milter.log"
        self.daemon = self.milter = None
        self.text = ""
        self.inside = None  # a folder in a chroot: sockets there, too; the milter's only there
        self.ended = set()  # process ids that a case or heal ended on purpose
        # As packaged: the folder is open to Postfix's group and to nobody else.
        self.folder.mkdir(mode=0o750)
        shutil.chown(self.folder, "mxwarden", "postfix")

    def configure(self, text):
        """Writes the file. listen and node are the lab's own; text is the rest."""
        self.text = text
        folders = [self.folder, self.inside] if self.inside else [self.folder]
        policy, socketmap = (", ".join(f'"unix:{folder}/{name}.sock"' for folder in folders)
                             for name in ("policy", "socketmap"))
        write(self.file, f'node = "{self.name}"\n{text}\nlisten {{\n'
              f'  policy = {{{policy}}}\n  socketmap = {{{socketmap}}}\n'
              f'  milter = "unix:{folders[-1]}/milter.sock"\n'
              f'  control = "unix:{self.folder}/control.sock"\n}}\n')

    def move(self, inside):
        """Begins anew with its sockets in that folder, too; None: in its own alone."""
        for program in ("mxwarden-milter", "mxwardend"):
            self.stop(program)
        self.inside, text, self.text = inside, self.text, ""
        self.heal(text)

    def start(self, program):
        log = self.log if program == "mxwardend" else self.milter_log
        front = VALGRIND if "LAB_VALGRIND" in os.environ else []
        process = self.host.start(*front, self.bin / program, "-c", self.file, user="mxwarden",
                                  log=log, env=SANITISERS)
        if program == "mxwardend":
            self.daemon = process
            wait_for(f"mxwardend on {self.name}", lambda: self.alive(process) and self.ask("ping"))
        else:
            self.milter = process
            wait_for(f"mxwarden-milter on {self.name}",
                     lambda: self.alive(process) and self.connect("milter"))

    def alive(self, process):
        if process.poll() is not None:
            raise RuntimeError(f"{self.name}: a daemon ended by itself: {process.returncode}")
        return True

    def heal(self, text):
        """Both programs run, with this configuration."""
        running = self.daemon and self.daemon.poll() is None
        if running and text != self.text:
            self.stop("mxwardend")
            running = False
        if text != self.text:
            self.configure(text)
        if not running:
            self.start("mxwardend")
        if self.milter is None or self.milter.poll() is not None:
            self.start("mxwarden-milter")

    def stop(self, program):
        """TERM; a clean end is part of every case."""
        process = self.daemon if program == "mxwardend" else self.milter
        if process and process.poll() is None:
            self.ended.add(process.pid)
            process.terminate()
            code = process.wait(15)
            if code not in (0, -signal.SIGTERM):
                raise RuntimeError(f"{self.name}: {program} ended with {code}")

    def kill(self, program):
        process = self.daemon if program == "mxwardend" else self.milter
        self.ended.add(process.pid)
        process.kill()
        process.wait()

    def connect(self, which):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5)
        try:
            folder = self.inside if self.inside and which == "milter" else self.folder
            sock.connect(str(folder / f"{which}.sock"))
        except OSError:
            sock.close()
            raise
        return sock

    def ask(self, command, **members):
        """One question on the control socket; the reply as a dict."""
        with self.connect("control") as sock:
            sock.sendall(json.dumps({"command": command, **members}).encode() + b"\n")
            data = b""
            while (part := sock.recv(65536)):
                data += part
        return json.loads(data)

    def hosts(self):
        """{("mx1.example.com", 25): what the daemon knows of that host}. Of several addresses the
        worst is told."""
        known = {}
        for one in self.ask("hosts")["hosts"]:
            key = one["host"], one["port"]
            if key not in known or (one["usable"], one["observed"]) < (known[key]["usable"],
                                                                      known[key]["observed"]):
                known[key] = one
        return known

    def observes(self, host, port=25):
        """Observed, and good for longer than the lab's hold_down of 1 s, at every address."""
        ours = [one for one in self.ask("hosts")["hosts"]
                if (one["host"], one["port"]) == (host, port)]
        return bool(ours) and all(one["observed"] and one["state"] == "up" and
                                  0 < one["good_since"] <= time.time() - 2 for one in ours)

    def policy(self, **attributes):
        """One question on the policy socket, as Postfix sends it; the action."""
        with self.connect("policy") as sock:
            sock.sendall(policy_request(**attributes))
            return read_action(sock)

    def cli(self, *words, **more):
        """The program mxwarden, as root on this host."""
        return self.host.run(self.bin / "mxwarden", "-c", self.file, *words, **more)

    def reports(self):
        """Lines of sanitisers and assertions in both logs."""
        found = []
        for log in (self.log, self.milter_log):
            if os.path.exists(log):
                with open(log, errors="replace") as lines:
                    found += [line.strip() for line in lines if REPORT.search(line)]
        return found

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def policy_request(**attributes):
    words = {"request": "smtpd_access_policy", "protocol_state": "RCPT", "protocol_name": "ESMTP",
             "client_name": "unknown", "server_port": "25", **attributes}
    return "".join(f"{name}={value}\n" for name, value in words.items()).encode() + b"\n"


def read_action(sock):
    data = b""
    while not data.endswith(b"\n\n"):
        part = sock.recv(4096)
        if not part:
            return None
        data += part
    return data.decode().strip().removeprefix("action=")
