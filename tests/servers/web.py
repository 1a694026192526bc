"""An MCP server over HTTP, in threads of the test, that answers each request right or wrong as the test says."""

import json
import socket
import struct
import threading
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer

DEADLINE = 20.0
MODERN = "2026-07-28"
TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("act", "echo")]


def text(value, **more):
    """A result of one text block."""
    return {"content": [{"type": "text", "text": value}], **more}


class Heard:
    """One HTTP request. `message` is its body, None without one."""

    def __init__(self, method, path, headers, body):
        self.method = method
        self.path = path
        self.headers = headers
        self.message = json.loads(body) if body else None

    @property
    def args(self):
        """The arguments of a `tools/call`."""
        return self.message["params"].get("arguments", {})

    def answer(self, result):
        """The response with this result."""
        return {"jsonrpc": "2.0", "id": self.message["id"], "result": result}


class Reply:
    """How a request is answered; the connection ends with it."""

    def __init__(self, connection, stopped):
        self._socket = connection
        self._stopped = stopped

    def raw(self, data):
        """Send bytes."""
        self._socket.sendall(data)

    def head(self, status=200, kind="", **headers):
        """Send the head; what is sent then is the body, up to the end of the connection."""
        lines = [f"HTTP/1.1 {status} X", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += [f"content-type: {kind}"] if kind else []
        self.raw(("\r\n".join(lines) + "\r\n\r\n").encode())

    def json(self, message, **headers):
        """Answer with one JSON text."""
        body = json.dumps(message).encode()
        self.head(200, "application/json", content_length=len(body), **headers)
        self.raw(body)

    def nothing(self, status=202, **headers):
        """Answer without a body."""
        self.head(status, content_length=0, **headers)

    def events(self, *messages):
        """Begin a stream with these messages."""
        self.head(200, "text/event-stream")
        for message in messages:
            self.event(message)

    def event(self, message):
        """One message on the stream."""
        self.raw(b"data: " + json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n\n")

    def notify(self, method, **params):
        """One notification on the stream."""
        self.event({"method": method, "params": params})

    def until_gone(self):
        """Say no more until the other side is gone, or the test is over."""
        self._socket.settimeout(0.05)
        while not self._stopped.is_set():
            try:
                if not self._socket.recv(1 << 16):
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def reset(self):
        """Break the connection as a killed process does."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


class Web:
    """`on_call(heard, reply)` answers `tools/call`, `on_any(heard, reply)` whatever it returns True for.
    `heard` is every request so far, `gone` counts the answers that are over."""

    def __init__(self, on_call, on_any, modern, capabilities):
        self.heard = []
        self.over = []
        self.url = ""
        self.stopped = threading.Event()
        self._on_call = on_call or echo
        self._on_any = on_any or (lambda heard, reply: False)
        self._modern = modern
        self._capabilities = {"tools": {}, "logging": {}} if capabilities is None else capabilities

    def entry(self, **more):
        """Its entry in `servers`."""
        return {"type": "http", "url": self.url, **more}

    def calls(self):
        """The `tools/call` requests so far."""
        return [one for one in self.heard if one.message and one.message.get("method") == "tools/call"]

    def serve(self, heard, connection):
        """Answer one request."""
        self.heard.append(heard)
        reply = Reply(connection, self.stopped)
        try:
            self._serve(heard, reply)
        except OSError:
            pass  # The other side is gone, which is its right.
        finally:
            self.over.append(heard)

    def _serve(self, heard, reply):
        if self._on_any(heard, reply):
            return
        method = heard.message.get("method") if heard.message else None
        if heard.method != "POST":
            reply.nothing(405)
        elif method is None or "id" not in heard.message:
            reply.nothing()
        elif method == "tools/call":
            self._on_call(heard, reply)
        else:
            reply.json(self._plain(heard, method))

    def _plain(self, heard, method):
        if method == "server/discover" and self._modern:
            found = {"supportedVersions": [MODERN], "capabilities": self._capabilities}
            return heard.answer(self._complete({**found, "serverInfo": {"name": "web", "version": "1"}}))
        if method == "initialize" and not self._modern:
            version = heard.message["params"]["protocolVersion"]
            info = {"name": "web", "version": "1"}
            hello = {"protocolVersion": version, "capabilities": self._capabilities, "serverInfo": info}
            return heard.answer(hello)
        if method == "tools/list":
            return heard.answer(self._complete({"tools": TOOLS}))
        if method in ("ping", "logging/setLevel"):
            return heard.answer({})
        error = {"code": -32601, "message": "Method not found"}
        return {"jsonrpc": "2.0", "id": heard.message["id"], "error": error}

    def _complete(self, result):
        return (
            {"resultType": "complete", "ttlMs": 0, "cacheScope": "public", **result}
            if self._modern
            else result
        )


def echo(heard, reply):
    """Give back the argument `text`."""
    reply.json(heard.answer({"resultType": "complete", **text(str(heard.args.get("text", "")))}))


class _Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256


@contextmanager
def web(on_call=None, on_any=None, modern=False, capabilities=None):
    """A server on loopback."""
    stage = Web(on_call, on_any, modern, capabilities)

    class Handler(StreamRequestHandler):
        timeout = DEADLINE

        def handle(self):
            found = _read(self.rfile)
            if found is not None:
                stage.serve(found, self.connection)

        def finish(self):
            self.rfile.close()

    server = _Server(("127.0.0.1", 0), Handler)
    stage.url = f"http://127.0.0.1:{server.server_address[1]}/mcp"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield stage
    finally:
        stage.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join(DEADLINE)


def _read(stream):
    first = stream.readline().decode("latin-1").split(" ")
    if len(first) != 3:
        return None
    headers = {}
    while line := stream.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))
    return Heard(first[0], first[1], headers, body)
