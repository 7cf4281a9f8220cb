"""Mail on the wire: a client that speaks from any address, and a sink that keeps all it is given."""
import itertools
import smtplib
import socket
import socketserver
import threading
import time

counter = itertools.count(1)


class Session(smtplib.SMTP):
    """An SMTP session from an address of the host `net`, with every step in the case's hand."""

    def __init__(self, net, source, target, port=25, helo="client.example.net", timeout=20):
        self.net, self.source = net, source
        super().__init__(local_hostname=helo, timeout=timeout)
        self.banner = self.connect(target, port)

    def _get_socket(self, host, port, timeout):
        with self.net.inside():
            return socket.create_connection((host, port), timeout, (self.source, 0))


class Reply:
    """What a message met with: the code and text of the step that decided."""

    def __init__(self, code, text, step, message):
        self.code, self.step, self.message = code, step, message
        self.text = text.decode("latin-1") if isinstance(text, bytes) else text
        self.accepted = 200 <= code < 300

    def __repr__(self):
        return f"{self.code} {self.text} (at {self.step})"


def send(net, source, target, recipients, sender=None, helo="client.example.net", headers="",
         port=25, timeout=20):
    """Delivers one message to one or more recipients. Returns one Reply a recipient (one Reply
    for one recipient). message is the unique id that the books follow."""
    message = f"m{next(counter)}"
    sender = f"{message}@sender.example.net" if sender is None else sender
    several = not isinstance(recipients, str)
    replies = {}
    try:
        with Session(net, source, target, port, helo, timeout) as session:
            replies = converse(session, message, sender, recipients if several else [recipients],
                               headers)
    except (OSError, smtplib.SMTPException) as trouble:
        code = getattr(trouble, "smtp_code", 0)
        lost = Reply(code, getattr(trouble, "smtp_error", str(trouble)), "connect", message)
        replies = {**{name: lost for name in (recipients if several else [recipients])}, **replies}
    return [replies[name] for name in recipients] if several else replies[recipients]


def converse(session, message, sender, recipients, headers):
    code, text = session.ehlo()
    if code != 250:
        return {name: Reply(code, text, "EHLO", message) for name in recipients}
    code, text = session.mail(sender)
    if code != 250:
        return {name: Reply(code, text, "MAIL", message) for name in recipients}
    replies = {name: Reply(*session.rcpt(name), "RCPT", message) for name in recipients}
    if any(reply.accepted for reply in replies.values()):
        code, text = session.data(f"X-Lab-Id: {message}\r\n{headers}Subject: lab\r\n\r\nhello\r\n")
        for name, reply in replies.items():
            if reply.accepted:
                replies[name] = Reply(code, text, "DATA", message)
    return replies


class Sink:
    """An SMTP server on a host that keeps every message. mode: accept, defer (450 at RCPT),
    busy (421 in the banner). pause: seconds before each reply. tls: an SSL context, or None."""

    def __init__(self, host, address, port=25):
        self.host, self.address, self.port = host, address, port
        self.mode, self.pause, self.tls = "accept", 0.0, None
        self.messages = []  # dicts: id, sender, recipients, text, tls
        self.visits = []  # HELO names
        self.server = None
        self.open()

    def open(self):
        if self.server is None:
            sink = self

            class Talk(socketserver.StreamRequestHandler):
                def handle(self):
                    with_sink(sink, self.rfile, self.wfile, self.connection)

            class Server(socketserver.ThreadingTCPServer):
                allow_reuse_address, daemon_threads, request_queue_size = True, True, 128
                block_on_close = False

                def handle_error(self, *_):
                    pass  # a peer that went away in mid-sentence is no news here

            with self.host.inside():
                self.server = Server((self.address, self.port), Talk)
            threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        """Connections are refused from here on."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def heal(self):
        self.mode, self.pause, self.tls = "accept", 0.0, None
        self.open()

    def find(self, message):
        return [one for one in list(self.messages) if one["id"] == message]

    def recipients(self):
        return [name for one in list(self.messages) for name in one["recipients"]]


def with_sink(sink, read, write, connection):
    """One conversation of the sink, as much of RFC 5321 as Postfix needs."""
    def say(text):
        time.sleep(sink.pause)
        write.write(text.encode() + b"\r\n")

    say("421 4.3.2 busy" if sink.mode == "busy" else "220 sink ESMTP")
    sender, recipients, secure = "", [], False
    while sink.mode != "busy" and (line := read.readline()):
        verb, _, rest = line.decode("latin-1").strip().partition(" ")
        verb = verb.upper()
        if verb in ("EHLO", "HELO"):
            sink.visits.append(rest)
            say("250-sink\r\n250 STARTTLS" if sink.tls and not secure else "250 sink")
        elif verb == "STARTTLS" and sink.tls and not secure:
            say("220 2.0.0 go on")
            connection = sink.tls.wrap_socket(connection, server_side=True)
            read, write, secure = connection.makefile("rb"), connection.makefile("wb", 0), True
        elif verb == "MAIL":
            sender, recipients = address_in(rest), []
            say("250 2.1.0 ok")
        elif verb == "RCPT":
            if sink.mode == "defer":
                say("450 4.2.0 not now")
            else:
                recipients.append(address_in(rest))
                say("250 2.1.5 ok")
        elif verb == "DATA" and recipients:
            say("354 go on")
            text = read_message(read)
            if text is None:
                return
            sink.messages.append({"id": lab_id(text), "sender": sender,
                                  "recipients": recipients, "text": text, "tls": secure})
            say("250 2.0.0 kept")
        elif verb == "QUIT":
            say("221 2.0.0 bye")
            return
        else:
            say("250 2.0.0 ok" if verb in ("RSET", "NOOP") else "503 5.5.1 no")


def read_message(read):
    lines = []
    while (line := read.readline()):
        if line == b".\r\n":
            return b"".join(lines).decode("latin-1")
        lines.append(line[1:] if line.startswith(b".") else line)
    return None


def address_in(rest):
    return rest.partition("<")[2].partition(">")[0]


def lab_id(text):
    for line in text.split("\r\n"):
        if line.startswith("X-Lab-Id: "):
            return line[10:]
    return ""
