"""The books of a scenario: what became of every message, by the logs and queues of the mail servers
alone. mxwarden is never asked.

A refused attempt is a delivery attempt of the sender that was refused at a backup, by mxwarden or,
in a control, by greylisting: one attempt may be refused by two backups, in both families, but by
the same address only once, and it never pauses for half of an interval.
"""
import re

from mxsite import INTERVAL, read_logs

FROM = r"RCPT from \S*?\[([^\]]+)\]: 4.*%s.* to=<([^>]+)>"
REFUSALS = [re.compile("milter-reject: " + FROM % "Please deliver"),
            re.compile(" reject: " + FROM % "Greylisted")]
CLIENT = re.compile(r"postfix/smtpd\[\d+\]: (\w+): client=")
SENT = re.compile(r"postfix/smtp\[\d+\]: (\w+): to=<([^>]+)>.* status=(\w+)")


class Message:
    def __init__(self, recipient):
        self.recipient = recipient
        self.refusals = []  # (time, host, client)
        self.taken = None  # when an MX host accepted it
        self.host = None
        self.delivered = 0

    def attempts(self, interval=INTERVAL):
        """The times at which refused attempts began."""
        begun, met, last = [], set(), 0
        for at, host, client in sorted(self.refusals):
            if not begun or at - last > interval / 2 or (host, client) in met:
                begun.append(at)
                met = set()
            met.add((host, client))
            last = at
        return begun

    def delay(self):
        """From the first refusal to acceptance: what the refusal cost, and not what mx1 did."""
        return self.taken - min(self.refusals)[0] if self.refusals and self.taken else 0

    def gaps(self):
        """From each refused attempt to the next one, whatever became of that."""
        begun = [*self.attempts(), self.taken] if self.taken else self.attempts()
        return [after - before for before, after in zip(begun, begun[1:])]


def read(mtas, recipients):
    """{recipient: Message} of these, as the MX hosts' logs tell."""
    found = {name: Message(name) for name in recipients}
    taken = {}
    for host, at, line in read_logs(mtas):
        if match := next(filter(None, (one.search(line) for one in REFUSALS)), None):
            client, name = match.groups()
            if name in found and host > 1:
                found[name].refusals.append((at, host, client))
        elif match := CLIENT.search(line):
            taken[host, match[1]] = at
        elif (match := SENT.search(line)) and match[2] in found:
            message = found[match[2]]
            begun = taken.get((host, match[1]), at)
            if message.taken is None or begun < message.taken:
                message.taken, message.host = begun, host
            message.delivered += match[3] == "sent"
    return found


def close(site, sender, given):
    """The scenario's row for one sender. given: {recipient: when its message was handed over}."""
    recipients = list(given)
    messages = read(site.mtas, recipients)
    waiting = (sender.queue() | site.queue()) & set(recipients)
    bounces = [one for one in list(site.sink.messages) if one["sender"] == "" and any(
        name.endswith(f"@{sender.name}.example.org") for name in one["recipients"])]
    delivered = {name for name, one in messages.items() if one.delivered}
    attempts = {name: len(one.attempts()) for name, one in messages.items()}
    refused = [one for one in messages.values() if one.refusals]
    return {
        "sent": len(recipients), "delivered": len(delivered),
        "waiting": len(waiting - delivered),
        "lost": len(set(recipients) - delivered - waiting),
        "bounced": max(len(bounces), len(sender.bounced())),
        "refused": len(refused), "attempts": sum(attempts.values()),
        "most": max(attempts.values(), default=0),
        "delay": max((one.delay() for one in refused), default=0),
        "gap": max((gap for one in refused for gap in one.gaps()), default=0),
        "slowest": max((one.taken - int(given[name]) for name, one in messages.items()
                        if one.taken), default=0),
        "backups": sum(1 for one in messages.values() if one.host and one.host > 1),
        "twice": [(name, messages[name].attempts()) for name, count in attempts.items()
                  if count > 1][:5],
    }
