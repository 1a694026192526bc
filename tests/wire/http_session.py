"""One `mcpguard run --http` process under test, and raw clients of both eras with a deadline on every wait."""

import json
import re
import time
from http.client import HTTPConnection

from tests.wire.session import DEADLINE, Guard, eventually

LEGACY = "2025-11-25"
MODERN = "2026-07-28"
BOTH = "application/json, text/event-stream"
META = "io.modelcontextprotocol/"
NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


class Exchange:
    """One HTTP request on a connection of its own. All that comes back is kept in `guard.received`."""

    def __init__(self, guard, method, path, headers, body=None):
        self._guard = guard
        self._response = None
        self.connection = HTTPConnection("127.0.0.1", guard.port, timeout=DEADLINE)
        guard.connections.append(self.connection)
        self.connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if value is not None:
                self.connection.putheader(name, value)
        self.connection.endheaders(body)

    def send(self, data):
        """Write more of the body."""
        self.connection.send(data)

    def deadline(self, seconds):
        """Wait no longer than this for the next bytes."""
        self.connection.sock.settimeout(seconds)

    @property
    def response(self):
        """The head of the answer, waited for."""
        if self._response is None:
            self._response = self.connection.getresponse()
            self._guard.received += str(self._response.headers).encode()
        return self._response

    @property
    def status(self):
        """The status of the answer."""
        return self.response.status

    def header(self, name):
        """A header of the answer, None if it is not there."""
        return self.response.headers.get(name)

    def body(self):
        """The whole answer, or the rest of a stream."""
        data = self.response.read()
        self._guard.received += data.replace(b"data: ", b"") + b"\n"
        return data

    def json(self):
        """The whole answer, which is one JSON text."""
        return json.loads(self.body())

    def message(self):
        """The next message of a stream; None at its end. An answer in JSON is its only message."""
        if self.header("content-type") == "application/json":
            data = self.body()
            return json.loads(data) if data else None
        end = time.monotonic() + DEADLINE
        while line := self.response.readline():
            assert time.monotonic() < end, f"no message within {DEADLINE} s"
            if line.startswith(b"data: "):
                self._guard.received += line[6:]
                return json.loads(line[6:])
        return None

    def messages(self):
        """All messages to the end."""
        return list(iter(self.message, None))

    def answer(self):
        """The last message, which answers the request."""
        return self.messages()[-1]

    def wait(self, check):
        """The next message for which `check` is true."""
        for message in iter(self.message, None):
            if check(message):
                return message
        raise AssertionError("the stream has ended")

    def close(self):
        """Go away, whatever is still to come."""
        if self._response is not None:
            self._response.close()
        self.connection.close()


class Client:
    """What both eras have in common. `headers` go with every request."""

    def __init__(self, guard, **headers):
        self.guard = guard
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._last_id = 0

    def next_id(self):
        """An id that was not used yet."""
        self._last_id += 1
        return self._last_id

    def ask(self, method, **params):
        """Send a request, and give its answer once the whole HTTP answer has come."""
        return self.open(method, **params).answer()

    def call(self, name, **args):
        """Call a tool and give the whole answer."""
        return self.ask("tools/call", name=name, arguments=args)

    def open_call(self, name, **args):
        """Call a tool and give the open exchange."""
        return self.open("tools/call", name=name, arguments=args)

    def text(self, name, **args):
        """Call a tool and give the text of its answer."""
        answer = self.call(name, **args)
        assert "result" in answer, answer
        return answer["result"]["content"][0]["text"]

    def tools(self):
        """The names of `tools/list`."""
        return [tool["name"] for tool in self.ask("tools/list")["result"]["tools"]]


class ModernClient(Client):
    """A client of revision 2026-07-28: each request stands for itself."""

    def __init__(self, guard, capabilities=None, **headers):
        super().__init__(guard, **headers)
        self.capabilities = capabilities or {}

    def open(self, method, request_id=None, _meta=None, **params):
        """Send a request and give the open exchange."""
        meta = {META + "protocolVersion": MODERN, META + "clientCapabilities": self.capabilities}
        message = {
            "jsonrpc": "2.0",
            "id": self.next_id() if request_id is None else request_id,
            "method": method,
            "params": {"_meta": {**meta, **(_meta or {})}, **params},
        }
        headers = {"mcp-protocol-version": MODERN, "mcp-method": method, **self.headers}
        if method in NAMED_BY:
            headers["mcp-name"] = params[NAMED_BY[method]]
        return self.guard.post(message, **headers)


class LegacyClient(Client):
    """A client with a session."""

    def __init__(self, guard, capabilities=None, version=LEGACY, **headers):
        super().__init__(guard, **headers)
        info = {"name": "t", "version": "1"}
        hello = {"protocolVersion": version, "capabilities": capabilities or {}, "clientInfo": info}
        greeting = self.open("initialize", **hello)
        assert greeting.status == 200, greeting.body()
        assert "result" in greeting.answer()
        self.key = self.headers["mcp-session-id"] = greeting.header("mcp-session-id")
        assert self.tell("notifications/initialized") == 202

    def open(self, method, request_id=None, **params):
        """Send a request and give the open exchange."""
        request_id = self.next_id() if request_id is None else request_id
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        return self.guard.post(message, **self.headers)

    def tell(self, method, **params):
        """Send a notification; gives the HTTP status."""
        return self.guard.post({"jsonrpc": "2.0", "method": method, "params": params}, **self.headers).status

    def reply(self, question, **result):
        """Answer what mcpguard asked; gives the HTTP status."""
        return self.guard.post(
            {"jsonrpc": "2.0", "id": question["id"], "result": result}, **self.headers
        ).status

    def stand(self):
        """Open the standing stream."""
        return self.guard.open("GET", accept="text/event-stream", **self.headers)

    def delete(self):
        """End the session; gives the HTTP status."""
        return self.guard.open("DELETE", **self.headers).status


class HttpGuard(Guard):
    """A `Guard` that listens on 127.0.0.1. Its standard streams carry nothing but the end of the process."""

    def __init__(self, folder, servers, rules=None, **more):
        self.connections = []
        super().__init__(folder, servers, rules, words=("--http", "127.0.0.1:0"), **more)
        try:
            found = eventually(self._address, "an address that it listens on")
        except AssertionError:
            self.dispose()
            raise
        self.port = int(found[1])

    def _address(self):
        assert self.process.poll() is None, f"mcpguard ended: {self.stderr!r}"
        return re.search(rb"listening on http://127\.0\.0\.1:(\d+)/mcp\n", self.stderr)

    def open(self, method, path="/mcp", body=None, **headers):
        """Send one HTTP request; None takes a header out. `_` in its name stands for `-`."""
        about = {"host": f"127.0.0.1:{self.port}"}
        about.update({name.replace("_", "-"): value for name, value in headers.items()})
        if body is not None and "content-length" not in about:
            about["content-length"] = str(len(body))
        return Exchange(self, method, path, about, body)

    def post(self, message, **headers):
        """Send one message: a dict, or the bytes of a body."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        about = {"content-type": "application/json", "accept": BOTH}
        return self.open("POST", body=body, **{**about, **headers})

    def modern(self, **more):
        """A modern client."""
        return ModernClient(self, **more)

    def legacy(self, **more):
        """A legacy client with a session of its own."""
        return LegacyClient(self, **more)

    def unanswered(self):
        """The ids of decisions that allow and have no outcome yet."""
        allowed = {one["id"] for one in self.records("decision") if one["effect"] == "allow"}
        return allowed - {one["id"] for one in self.records("outcome")}

    def statuses(self, method="tools/call"):
        """The statuses of the outcomes of a method, in order."""
        ids = {one["id"] for one in self.records("decision") if one["method"] == method}
        return [one["status"] for one in self.records("outcome") if one["id"] in ids]

    def wait(self, seconds=DEADLINE):
        """The exit code, waited for."""
        return self.process.wait(seconds)

    def dispose(self):
        """See `Guard.dispose`."""
        for connection in self.connections:
            connection.close()
        super().dispose()
