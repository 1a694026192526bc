"""An MCP server and an authorization server that are right, but for what a test changes: each answer is a
function, and every request is kept."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

DEADLINE = 20.0


class Hosted:
    """`metadata` is that of the authorization server, `resource` that of the MCP server; `answers` has another
    answer for a path: (status, headers, body). `heard` is (method, path, headers, form)."""

    def __init__(self, port):
        self.origin = f"http://127.0.0.1:{port}"
        self.url = f"{self.origin}/mcp"
        self.issuer = self.origin
        self.heard = []
        self.registered = []
        self.mark = ""
        self.code = "the-code-1234"
        self.client = {}
        self.answers = {}
        self.count = 0
        self.issued = set()
        self.refused = 0
        self.say = lambda token: "hello"
        self.status = 401
        self.metadata = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token",
            "registration_endpoint": f"{self.origin}/register",
            "revocation_endpoint": f"{self.origin}/revoke",
            "token_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "response_types_supported": ["code"],
        }
        self.resource = {
            "resource": self.url,
            "authorization_servers": [self.issuer],
            "scopes_supported": ["tools"],
        }

    def tokens(self):
        """Good tokens, new ones each time."""
        self.count += 1
        n = f"{self.count:04}{self.mark}"
        self.issued.add(f"access-{n}")
        more = {"expires_in": 3600, "scope": "tools"}
        return {
            "access_token": f"access-{n}",
            "token_type": "Bearer",
            "refresh_token": f"refresh-{n}",
            **more,
        }

    def answer(self, method, path, query, headers, body):
        """(status, headers, body) for one request."""
        form = {key: one[0] for key, one in parse_qs(body.decode()).items()}
        self.heard.append((method, path, headers, form))
        if path in self.answers:
            found = self.answers[path]
            return found() if callable(found) else found
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        if path == "/mcp" and token in self.issued:
            return self.serve(json.loads(body), token) if body else (405, {}, b"")
        if path == "/mcp":
            self.refused += bool(token)
            place = f"{self.origin}/.well-known/oauth-protected-resource/mcp"
            return self.status, {"WWW-Authenticate": f'Bearer resource_metadata="{place}"'}, b""
        if path == "/.well-known/oauth-protected-resource/mcp":
            return as_json(self.resource)
        if path == "/.well-known/oauth-authorization-server":
            return as_json({key: value for key, value in self.metadata.items() if value is not None})
        if path == "/register":
            self.registered.append(json.loads(body))
            return as_json({"client_id": "registered", **self.client}, 201)
        if path == "/authorize":
            said = {key: one[0] for key, one in parse_qs(query).items()}
            back = f"{said['redirect_uri']}?code={self.code}&state={quote(said['state'])}"
            return 302, {"Location": back}, b""
        if path == "/token":
            return as_json(self.tokens())
        if path == "/revoke":
            self.issued.discard(form.get("token"))
            return 200, {}, b""
        return 404, {}, b""

    def serve(self, message, token):
        """The MCP server itself, of a legacy revision; what a tool says is `say(token)`."""
        method = message.get("method")
        if "id" not in message:
            return 202, {}, b""
        results = {
            "initialize": {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "hosted", "version": "1"},
            },
            "tools/list": {"tools": [{"name": "act", "inputSchema": {"type": "object"}}]},
            "ping": {},
        }
        if method == "tools/call":
            results["tools/call"] = {"content": [{"type": "text", "text": self.say(token)}]}
        answer = {"jsonrpc": "2.0", "id": message["id"]}
        if method in results:
            return as_json(answer | {"result": results[method]})
        return as_json(answer | {"error": {"code": -32601, "message": "Method not found"}})


def as_json(value, status=200, **headers):
    """An answer in JSON."""
    return status, {"Content-Type": "application/json", **headers}, json.dumps(value).encode()


@contextmanager
def hosted(**metadata):
    """One that serves until the block ends; `metadata` changes that of the authorization server."""
    stages = []

    class Handler(BaseHTTPRequestHandler):
        timeout = DEADLINE

        def do_GET(self):
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, data = stages[0].answer(
                self.command, parts.path, parts.query, dict(self.headers), body
            )
            try:
                self.send_response(status)
                for key, value in headers.items():
                    for one in value if isinstance(value, list) else [value]:
                        self.send_header(key, one)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except OSError:
                pass  # The other side has heard enough, which is its right.

        do_POST = do_GET

        def log_message(self, *_words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stage = Hosted(server.server_address[1])
    stage.metadata |= metadata
    stages.append(stage)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield stage
    finally:
        server.shutdown()
        server.server_close()
        thread.join(DEADLINE)
