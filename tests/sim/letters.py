"""Messages at a site's policy sockets, as its milters would ask about them: a question at connect
and one at RCPT each. A client is a network of its own with a verified name of its own, so that
nothing but itself makes it known."""
import asyncio
import itertools

from warden import policy_request

CONNECTIONS = 8  # to each node
number = itertools.count(1)


class Client:
    def __init__(self):
        self.number = next(number)
        self.address = f"2001:db8:{0x100 + self.number // 0x10000:x}:{self.number % 0x10000:x}::7"
        self.name = f"mail.c{self.number}.example"
        self.sender = f"a@c{self.number}.example"

    def message(self, rcpt=None):
        """The attributes of one message of this client."""
        return {"client_address": self.address, "client_name": self.name, "helo_name": self.name,
                "sender": self.sender, "recipient": rcpt or f"u{next(number)}@example.com",
                "instance": f"m{next(number)}", "mxwarden_asker": "milter"}


class Conversation:
    """One connection to a node's policy socket."""

    def __init__(self, node):
        self.node, self.reader, self.writer = node, None, None

    async def ask(self, state, message):
        if not self.writer:
            self.reader, self.writer = await asyncio.open_unix_connection(self.node.path("policy"))
        self.writer.write(policy_request(**message, protocol_state=state,
                                         server_address=self.node.address))
        return (await self.reader.readuntil(b"\n\n")).decode().strip().removeprefix("action=")

    def close(self):
        if self.writer:
            self.writer.close()


async def say(conversation, message):
    """One message: evidence at connect, then the question; the action."""
    await conversation.ask("CONNECT", {**message, "sender": "", "recipient": ""})
    return await conversation.ask("RCPT", message)


def play(jobs, rate=None):
    """jobs: (node, message) each, at most so many a second; the actions, in their order."""
    return asyncio.run(play_all(jobs, rate))


async def play_all(jobs, rate):
    actions, waiting = [None] * len(jobs), {}
    for index, (node, message) in enumerate(jobs):
        waiting.setdefault(node, []).append((index, message))
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def work(node, mine):
        conversation = Conversation(node)
        try:
            for index, message in mine:
                if rate:
                    await asyncio.sleep(began + index / rate - loop.time())
                actions[index] = await say(conversation, message)
        finally:
            conversation.close()

    await asyncio.gather(*(work(node, mine[at::CONNECTIONS]) for node, mine in waiting.items()
                           for at in range(min(CONNECTIONS, len(mine)))))
    return actions
