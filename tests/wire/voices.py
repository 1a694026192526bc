"""One raw client for each transport and era, all with the same words, so that one test body can use any of them.

Law of this file: a voice hears everything into one list, and each wait has a deadline.
"""

import contextlib
import json
import socket
import threading

from tests.wire.http_session import BOTH, LEGACY, META, MODERN, LegacyClient, ModernClient
from tests.wire.session import DEADLINE

CAN = {"elicitation": {"form": {}}, "sampling": {}, "roots": {}}
"""What every voice says that it can answer."""
INFO = {"name": "voice", "version": "1"}


class Voice:
    """`begin` gives the id of a request; `answer`, `wait` and `cancel` are about what was begun or came since `fresh`."""

    modern = False
    posts = False  # Whether each request is an HTTP exchange that carries its answer.
    past = 0  # How many records there were before the test.
    broken = ""  # The test that has not ended well.

    def __init__(self, guard):
        self.guard = guard
        self._last_id = 0
        self.start = 0

    def fresh(self):
        """Forget what was heard so far."""
        self.start = len(self.heard)

    def wait(self, check):
        """The first message for which `check` is true."""
        self.until(lambda: any(map(check, self.heard[self.start :])))
        return next(filter(check, self.heard[self.start :]))

    def answer(self, request_id):
        """The answer to a request."""
        return self.wait(lambda message: "method" not in message and message.get("id") == request_id)

    def ask(self, method, **params):
        """Send a request, and give its answer."""
        return self.answer(self.begin(method, **params))

    def call(self, name, **args):
        """Call a tool, and give the whole answer."""
        return self.ask("tools/call", name=name, arguments=args)

    def begin(self, method, **params):
        """Send a request; gives its id."""
        self._last_id += 1
        self.send({"id": self._last_id, "method": method, "params": params})
        return self._last_id

    def tell(self, method, **params):
        """Send a notification."""
        self.send({"method": method, "params": params})

    def reply(self, question, **result):
        """Answer a request of mcpguard."""
        self.send({"id": question["id"], "result": result})

    def cancel(self, request_id):
        """Give a request up in the way of the transport."""
        self.tell("notifications/cancelled", requestId=request_id)

    def hello(self):
        """The legacy handshake."""
        self.ask("initialize", protocolVersion=LEGACY, capabilities=CAN, clientInfo=INFO)
        self.tell("notifications/initialized")

    def close(self):
        """Let go of whatever is open."""


class StdioVoice(Voice):
    """A legacy client on standard input and output."""

    def __init__(self, guard):
        super().__init__(guard)
        self.hello()

    @property
    def heard(self):
        """All messages so far."""
        return self.guard.messages

    def until(self, check):
        """Read until `check` is true."""
        self.guard.pump(until=check)

    def send(self, message):
        """Write one message."""
        self.guard.send({"jsonrpc": "2.0", **message})


class ModernStdioVoice(StdioVoice):
    """A modern client on standard input and output."""

    modern = True

    def hello(self):
        """There is no handshake."""

    def begin(self, method, _meta=None, **params):
        """Send a request with its envelope; gives its id."""
        envelope = {META + "protocolVersion": MODERN, META + "clientCapabilities": CAN}
        return super().begin(method, _meta={**envelope, **(_meta or {})}, **params)


class HttpVoice(Voice):
    """What is common over HTTP: a thread reads each answer into `heard`."""

    def __init__(self, guard):
        super().__init__(guard)
        self.heard = []
        self._news = threading.Condition()
        self._open = []

    def until(self, check):
        """Wait until `check` is true."""
        with self._news:
            assert self._news.wait_for(check, DEADLINE), self.heard[self.start :]

    def listen(self, exchange):
        """Read all that comes on an exchange from now on; gives its socket."""
        wire = exchange.connection.sock
        wire.settimeout(None)  # A stream may be silent for as long as it is open.
        reader = threading.Thread(target=self._read, args=(exchange,), daemon=True)
        self._open.append((wire, reader))
        reader.start()
        return wire

    def _read(self, exchange):
        with contextlib.suppress(
            OSError, ValueError
        ):  # The connection was closed by us or by the test's end.
            event = ""
            if exchange.header("content-type") == "application/json":
                self._hear(exchange.body(), event)
                return
            while line := exchange.response.readline():
                kind, _, data = line.strip().partition(b": ")
                event = data.decode() if kind == b"event" else event
                if kind == b"data" and data:
                    self._hear(data, event)

    def _hear(self, data, event):
        with self._news:
            self.heard.append({"endpoint": data.decode()} if event == "endpoint" else json.loads(data))
            self._news.notify_all()

    def close(self):
        """Break every connection, and wait for its reader."""
        for wire, reader in self._open:
            break_off(wire)
            reader.join(DEADLINE)


def break_off(wire):
    """End a connection that a thread reads from; to close it would wait for that thread."""
    with contextlib.suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)


class ModernHttpVoice(HttpVoice):
    """A modern client over Streamable HTTP: a request is an exchange, and breaking it off cancels."""

    modern = True
    posts = True

    def __init__(self, guard):
        super().__init__(guard)
        self._client = ModernClient(guard, CAN)
        self._wires = {}

    def begin(self, method, **params):
        """Post a request; gives its id."""
        self._last_id += 1
        exchange = self._client.open(method, request_id=self._last_id, **params)
        self._wires[self._last_id] = self.listen(exchange)
        return self._last_id

    def cancel(self, request_id):
        """Break the exchange off."""
        break_off(self._wires[request_id])


class LegacyHttpVoice(HttpVoice):
    """A legacy client over Streamable HTTP, with its standing stream."""

    posts = True

    def __init__(self, guard):
        super().__init__(guard)
        self._client = LegacyClient(guard, CAN)
        self._last_id = 100  # The client has used its own for the handshake.
        self.listen(self._client.stand())

    def send(self, message):
        """Post one message, and read what it is answered with."""
        exchange = self.guard.post({"jsonrpc": "2.0", **message}, **self._client.headers)
        if "method" in message and "id" in message:
            self.listen(exchange)
        else:
            assert exchange.status == 202


class SseVoice(HttpVoice):
    """A legacy client over the deprecated HTTP+SSE."""

    def __init__(self, guard):
        super().__init__(guard)
        self.listen(guard.open("GET", "/sse", accept="text/event-stream"))
        self._endpoint = self.wait(lambda message: "endpoint" in message)["endpoint"]
        self.hello()

    def send(self, message):
        """Post one message; whatever answers it comes on the stream."""
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        about = {"content-type": "application/json", "accept": BOTH}
        assert self.guard.open("POST", self._endpoint, body, **about).status == 202


VOICES = {
    ("stdio", "legacy"): StdioVoice,
    ("stdio", "modern"): ModernStdioVoice,
    ("http", "legacy"): LegacyHttpVoice,
    ("http", "modern"): ModernHttpVoice,
    ("sse", "legacy"): SseVoice,
}
"""A client for each transport and era; HTTP+SSE is of the legacy era only."""
