"""Sends the HTTP requests of one upstream, each with the credentials that are in force at that moment.

Law of this file: what carries a credential goes to the origin that was connected to when the address was
resolved first, and is sent a second time only if the upstream refused it unread (HTTP 401 or 403) and there
is another value since.
"""

from collections.abc import Callable
from urllib.parse import urlsplit

from mcpguard.adapters.network import Exchange, Outbound
from mcpguard.adapters.upstreams.supply import same
from mcpguard.adapters.upstreams.wires.address import Address, FilledAddress, laid_over
from mcpguard.core.errors import CredentialError, UpstreamError

REFUSED = (401, 403)
_OURS = "mcp-param-"
UNWELCOME = "was refused: {host} requires a credential, or a different one, in `headers` (HTTP {status})"


class Sender:
    """Connections to the host of one address, for one life of the upstream."""

    def __init__(self, address: Address, connect: Callable[[frozenset[str]], Outbound]) -> None:
        """`connect(named)` makes connections."""
        self.url = ""
        self.turn = 0
        """Counts how often the server's own credentials were other ones than before, or were lost."""
        self._address = address
        self._connect = connect
        self._outbound: Outbound | None = None
        self._own: FilledAddress | None = None

    async def open(self) -> None:
        """Resolve the address; the first request connects. Raises CredentialError or UpstreamError."""
        self.url = (await self._address.resolve()).url
        self._outbound = self._connect(frozenset({self.host}))

    @property
    def host(self) -> str:
        """Of the address."""
        return urlsplit(self.url).hostname or ""

    async def request(
        self,
        method: str,
        headers: dict[str, str],
        credential: str = "",
        body: bytes | None = None,
        sent: Callable[[], None] | None = None,
        url: str | None = None,
    ) -> Exchange:
        """As `Outbound.request`, with the headers of the address below `headers`, and those of `credential`
        where a rule chose one. `url` is an endpoint of the same origin instead of the address. Raises
        UpstreamError; an unavailable credential raises it too."""
        try:
            filled = await self._address.resolve(credential)
            self._note(filled, credential)
            exchange = await self._send(method, filled, headers, body, sent, url)
            if exchange.status not in REFUSED:
                return exchange
            exchange.close()
            again = await self._address.renewed(filled, credential)
        except CredentialError as problem:
            self._note(None, credential)
            raise UpstreamError(f"was not asked: {problem}") from None
        if again is None:
            return exchange
        self._note(again, credential)
        return await self._send(method, again, headers, body, sent, url)

    def _note(self, filled: FilledAddress | None, credential: str) -> None:
        if not credential:
            before, self._own = self._own, filled
            self.turn += before is not None and (filled is None or not same(filled.values, before.values))

    async def _send(
        self,
        method: str,
        filled: FilledAddress,
        headers: dict[str, str],
        body: bytes | None,
        sent: Callable[[], None] | None,
        url: str | None,
    ) -> Exchange:
        if self._outbound is None:
            raise UpstreamError("is not connected")
        if origin(filled.url) != origin(self.url):
            raise UpstreamError("is at a different origin than before, because of a reference in its `url`")
        own = {name: value for name, value in filled.headers.items() if not name.lower().startswith(_OURS)}
        return await self._outbound.request(method, url or filled.url, laid_over(own, headers), body, sent)

    async def close(self) -> None:
        """Close every connection."""
        if self._outbound is not None:
            await self._outbound.close()


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port; never the same as another's for a URL that has no readable port."""
    parts = urlsplit(url)
    try:
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        port = -1
    return parts.scheme, None if parts.username else parts.hostname, port
