"""An MCP server and its authorization server, both of the SDK's parts, on loopback in a thread of the test.

The authorization server says yes at once, rotates refresh tokens, and takes a whole grant back when one of them
is used twice (RFC 9700, section 4.14.2). Client credentials and token exchange, which the SDK has not, are ours.
"""

import json
import secrets
import socket
import threading
import time
from contextlib import contextmanager
from urllib.parse import parse_qs
from urllib.request import urlopen

import uvicorn
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    RefreshToken,
    TokenError,
    construct_redirect_uri,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from starlette.responses import JSONResponse
from starlette.routing import Route

DEADLINE = 20.0


class Provider:
    """Implements the SDK's OAuthAuthorizationServerProvider. `seconds` is the life of an access token; `iss` is
    what it says in its answers; `asked` counts the grants of the token endpoint."""

    def __init__(self):
        self.issuer = ""
        self.seconds = 3600
        self.iss = None
        self.changed = {}
        self.clients = {}
        self.codes = {}
        self.access = {}
        self.refresh = {}
        self.spent = {}
        self.dead = set()
        self.requests = []
        self.revoked = []
        self.registered = []
        self.reused = 0

    async def get_client(self, client_id):
        if client_id.startswith("https://"):
            # A metadata document (CIMD): the SDK's server leaves the fetching to whoever builds on it.
            return OAuthClientInformationFull(
                client_id=client_id, token_endpoint_auth_method="none", redirect_uris=[self.redirect]
            )
        return self.clients.get(client_id)

    async def register_client(self, client_info):
        self.registered.append(client_info)
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client, params):
        self.requests.append(params)
        code = AuthorizationCode(
            code=secrets.token_urlsafe(32),
            scopes=params.scopes or ["tools"],
            expires_at=time.time() + 60,
            client_id=client.client_id,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
            subject="ada",
        )
        self.codes[code.code] = code
        answer = {"code": code.code, "state": params.state, "iss": self.iss or self.issuer, **self.changed}
        return construct_redirect_uri(str(params.redirect_uri), **answer)

    async def load_authorization_code(self, client, authorization_code):
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client, authorization_code):
        del self.codes[authorization_code.code]
        return self._grant(client.client_id, authorization_code, secrets.token_hex(8))

    async def load_refresh_token(self, client, refresh_token):
        if refresh_token in self.spent:
            self.reused += 1
            self.dead.add(self.spent[refresh_token])
        found = self.refresh.get(refresh_token)
        return None if found is None or found[1] in self.dead else found[0]

    async def exchange_refresh_token(self, client, refresh_token, scopes):
        _, family = self.refresh.pop(refresh_token.token)
        self.spent[refresh_token.token] = family
        if family in self.dead:
            raise TokenError("invalid_grant", "said-by-the-server")
        return self._grant(client.client_id, refresh_token, family)

    async def load_access_token(self, token):
        found = self.access.get(token)
        if found is None or found[1] in self.dead or found[0].expires_at < time.time():
            return None
        return found[0]

    async def revoke_token(self, token):
        self.revoked.append(token.token)
        found = self.access.get(token.token) or self.refresh.get(token.token)
        self.dead.add(found[1])

    def end_everything(self):
        """What an administrator does who takes back all grants."""
        self.dead |= {family for _, family in (*self.access.values(), *self.refresh.values())}

    def forget_access(self):
        """Take back the access tokens, and leave the grants."""
        self.access.clear()

    def _grant(self, client_id, of, family):
        access, refresh = f"access-{secrets.token_hex(16)}", f"refresh-{secrets.token_hex(16)}"
        more = {"client_id": client_id, "scopes": of.scopes, "resource": of.resource, "subject": "ada"}
        ends = int(time.time() + max(self.seconds, 60))
        self.access[access] = AccessToken(token=access, expires_at=ends, **more), family
        self.refresh[refresh] = RefreshToken(token=refresh, **more), family
        return OAuthToken(access_token=access, expires_in=self.seconds, refresh_token=refresh, scope="tools")


class Authority:
    """`url` is the MCP endpoint, `issuer` the authorization server."""

    def __init__(self, port):
        self.provider = Provider()
        self.origin = f"http://127.0.0.1:{port}"
        self.url = f"{self.origin}/mcp"
        self.issuer = self.origin
        self.provider.issuer = self.issuer
        self.machine_requests = []
        self.machine_answer = None

    def app(self):
        """The whole as an ASGI application."""
        auth = AuthSettings(
            issuer_url=self.issuer,
            resource_server_url=self.url,
            client_registration_options=ClientRegistrationOptions(
                enabled=True, valid_scopes=["tools", "more"], default_scopes=["tools"]
            ),
            revocation_options=RevocationOptions(enabled=True),
            required_scopes=["tools"],
            validate_token_resource=True,
        )
        server = MCPServer("protected", auth_server_provider=self.provider, auth=auth)

        @server.tool()
        def whoami() -> str:
            """Who calls."""
            return "ada"

        machine = [Route("/machine/token", self._machine, methods=["POST"])]
        app = server.streamable_http_app(json_response=True)
        app.router.routes.extend(machine)
        return app

    async def _machine(self, request):
        """A token endpoint for client credentials and token exchange."""
        form = {key: one[0] for key, one in parse_qs((await request.body()).decode()).items()}
        self.machine_requests.append((form, dict(request.headers)))
        if self.machine_answer is not None:
            status, body = self.machine_answer
            return JSONResponse(body, status)
        token = f"machine-{secrets.token_hex(16)}"
        more = {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": 600, **more})


def browse(url):
    """What a person's browser does: follow the redirects to the end, within another thread."""

    def follow():
        try:
            with urlopen(url, timeout=DEADLINE) as page:
                page.read()
        except OSError:
            pass  # The test looks at what mcpguard says.

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    return thread


@contextmanager
def authority():
    """One that serves until the block ends."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    stage = Authority(listening.getsockname()[1])
    config = uvicorn.Config(stage.app(), log_level="error", lifespan="on", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    ends = time.monotonic() + DEADLINE
    while not server.started:
        assert time.monotonic() < ends
        assert thread.is_alive()
        thread.join(0.01)
    try:
        yield stage
    finally:
        server.should_exit = True
        thread.join(DEADLINE)
        listening.close()


def stored(backend, name):
    """The grant of an entry in a fake keychain, as JSON."""
    return json.loads(backend.entries["mcpguard", f"oauth/{name}"])
