"""Where a remote upstream is, and what we send it: URL and headers with the credentials that are in force at
that moment.

Law of this file: a value is revealed only into the URL and the headers of the upstream whose configuration
names it. The redactor holds it already: whoever gives credentials sees to that (laws 2 and 3). What carries a
credential goes to the origin that was connected to when the address was resolved first, and is sent a second
time only if the upstream refused it unread (HTTP 401 or 403) and there is another value since.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlsplit

from msgspec import Struct, structs

from mcpguard.adapters.upstreams.supply import not_chosen, same
from mcpguard.config.references import ENTRY
from mcpguard.config.urls import host_of, is_plain_url
from mcpguard.core.errors import CredentialError, UpstreamError
from mcpguard.core.secret import CredentialRef, Secret, Template
from mcpguard.gateway.ports import Credentials, Recipient

if TYPE_CHECKING:
    # `mcpguard secret` reads addresses and connects to nothing.
    from mcpguard.adapters.network import Exchange, Outbound

_IN_AUTHORITY = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]+")
_NETLOC = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]@:\\]+)(?::.*)?")
"""One host, and a port: what two parsers of URLs cannot take for different hosts."""
UNFIT = "has a character that is not allowed in a header, such as a newline"
"""The error about a value that does not fit in one, after its name."""
PATIENCE_SECONDS = 2.0
"""How long a request waits for new values while those in hand last."""
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


class FilledAddress(Struct, frozen=True, eq=False):
    """An address with the values in place, for one request. `values` are those, by what they are for: a
    reference, and the host that is told it."""

    url: str
    headers: dict[str, str]
    values: dict[tuple[CredentialRef, str], Secret]


Get = Callable[[CredentialRef, str], Secret]


class _Waits(Exception):
    """A value is not available without waiting."""


class UpstreamAddress:
    """The URL and the headers of one upstream, resolved for each request."""

    def __init__(
        self,
        url: Template,
        headers: Mapping[str, Template],
        credentials: Credentials,
        to: Recipient,
        chosen: Mapping[str, Mapping[str, Template]] | None = None,
    ) -> None:
        """`credentials` gives what the templates refer to, for `to` at the host that the URL has. `chosen`
        are the headers of each credential that a rule may choose: they stand above the others."""
        self._url = url
        self._headers = {"": headers}
        for credential, own in (chosen or {}).items():
            self._headers[credential] = laid_over(headers, own)
        self._credentials = credentials
        self._to = to

    async def resolve(self, credential: str = "") -> FilledAddress:
        """The URL and the headers, for a request that `credential` was chosen for, "" for none. Raises
        CredentialError, which names the reference, and UpstreamError for a URL that has no host.

        A source may block (a keychain asks a person), so it is asked in a thread; and where it takes long,
        the values in hand serve as long as they last.
        """
        if credential not in self._headers:
            raise not_chosen(credential, self._to.server, "headers")
        try:
            return self._resolve(credential, self._known)
        except _Waits:
            loop = asyncio.get_running_loop()
            asking = loop.run_in_executor(None, self._resolve, credential, self._asked)
        asking.add_done_callback(_heard)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await asyncio.shield(asking)
        except TimeoutError:
            try:
                return self._resolve(credential, self._lasting)
            except _Waits:
                return await asking

    async def host(self) -> str:
        """The host that the URL has now. Raises as `resolve`."""
        return host_of((await self.resolve()).url)

    async def renewed(self, before: FilledAddress, credential: str = "") -> FilledAddress | None:
        """The upstream did not take what was sent with `before`: the same with other values, None where there
        are none. Raises as `resolve`."""
        if not before.values:
            return None
        now = await self.resolve(credential)
        if same(now.values, before.values):
            await asyncio.to_thread(self._refused, before)
            now = await self.resolve(credential)
        return None if same(now.values, before.values) else now

    def _refused(self, filled: FilledAddress) -> None:
        for (ref, host), secret in filled.values.items():
            self._credentials.refused(ref, structs.replace(self._to, host=host), secret)

    def _resolve(self, credential: str, get: Get) -> FilledAddress:
        values: dict[tuple[CredentialRef, str], Secret] = {}

        def value(ref: CredentialRef, host: str) -> str:
            secret = values[ref, host] = get(ref, host)
            return secret.reveal()

        url = self._fill_url(value)
        host = urlsplit(url).hostname or ""
        headers = self._headers[credential].items()
        return FilledAddress(url, {name: _fill_header(text, host, value) for name, text in headers}, values)

    def _known(self, ref: CredentialRef, host: str) -> Secret:
        secret = self._credentials.known(ref, structs.replace(self._to, host=host))
        if secret is None:
            raise _Waits
        return secret

    def _lasting(self, ref: CredentialRef, host: str) -> Secret:
        secret = self._credentials.lasting(ref, structs.replace(self._to, host=host))
        # What does not say how long it lasts is asked for quickly.
        return self._known(ref, host) if secret is None else secret

    def _asked(self, ref: CredentialRef, host: str) -> Secret:
        return self._credentials.get(ref, structs.replace(self._to, host=host))

    def _fill_url(self, value_of: Callable[[CredentialRef, str], str]) -> str:
        """A credential in the path or query is percent-encoded, so that it cannot lead elsewhere."""
        url = self._url.texts[0]
        for ref, text in zip(self._url.refs, self._url.texts[1:], strict=True):
            inside = _IN_AUTHORITY.fullmatch(url) is not None
            # Nothing that is bound to a host can be (a part of) one.
            value = value_of(ref, "" if inside else host_of(url))
            if not inside:
                value = quote(value, safe="/")
            elif not _HOST.fullmatch(value):
                raise CredentialError(f"{ref} is not a host name, but the URL uses it as one")
            url += value + text
        try:
            whole = urlsplit(url)
            usable = whole.scheme in ("http", "https") and whole.hostname and _NETLOC.fullmatch(whole.netloc)
        except ValueError:
            usable = False
        if not usable or not is_plain_url(url):
            raise UpstreamError("its URL is not an http:// or https:// URL with a host, in ASCII")
        try:
            port = whole.port
        except ValueError:
            port = 0
        if port == 0:
            raise UpstreamError("the port of its URL is not from 1 to 65535")
        return url


def _heard(asking: asyncio.Future[FilledAddress]) -> None:
    """Nobody may wait any more for what it raised."""
    if not asking.cancelled():
        asking.exception()


def _fill_header(template: Template, host: str, value_of: Callable[[CredentialRef, str], str]) -> str:
    parts = [template.texts[0]]
    for ref, text in zip(template.refs, template.texts[1:], strict=True):
        value = value_of(ref, host)
        if not _HEADER_VALUE.fullmatch(value):
            raise CredentialError(f"{ref} {UNFIT}")
        parts += [value, text]
    return "".join(parts)


def fits_in_header(secret: Secret) -> bool:
    """Whether a header can have this value (RFC 9110, section 5.5)."""
    return _HEADER_VALUE.fullmatch(secret.reveal()) is not None


def authority(url: Template) -> Template:
    """A URL up to its host and port: what stands behind them may have references of its own."""
    texts: list[str] = []
    for index, text in enumerate(url.texts):
        end = re.compile(r"[/?#]").search(text, text.find("//") + 2 if index == 0 else 0)
        if end is not None:
            return Template((*texts, text[: end.start()]), url.refs[:index])
        texts.append(text)
    return url


T = TypeVar("T")


def laid_over(below: Mapping[str, T], above: Mapping[str, T]) -> dict[str, T]:
    """Headers with others above them: of two with one name, whatever its case, the upper one stays."""
    names = {name.lower() for name in above}
    return {**{name: one for name, one in below.items() if name.lower() not in names}, **above}


REFUSED = (401, 403)
_SCOPES = 20
"""How many scopes are named."""
_OURS = "mcp-param-"
_UNWELCOME = "was refused: {host} requires a credential, or a different one, in `headers` (HTTP {status})"


class Sender:
    """Connections to the host of one address, for one life of the upstream."""

    def __init__(self, address: UpstreamAddress, connect: Callable[[frozenset[str]], Outbound]) -> None:
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
            # Another token of the same grant has no more scopes.
            if exchange.status not in REFUSED or exchange.lacking is not None:
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

    def unwelcome(self, exchange: Exchange, credential: str = "") -> UpstreamError:
        """Why a request was refused that `credential` was chosen for, "" for none, and what would pass."""
        status, lacking = exchange.status, exchange.lacking
        if lacking is None:
            return UpstreamError(_UNWELCOME.format(host=self.host, status=status))
        scopes = " ".join(one for one in lacking[:_SCOPES] if "`" not in one)
        more = f"the scopes `{scopes}`" if scopes else "more scopes"
        said = f"was refused: {self.host} requires {more}, which its token does not have (HTTP {status})"
        held = self._own.values if self._own is not None else ()
        entries = [credential] if credential else sorted({ref.name for ref, _ in held if ref.source == ENTRY})
        for name in entries:
            said += f"; get one that has them: add them to `scopes` of `{name}` in `credentials`"
            said += f", and if that is a login, run `mcpguard secret login {name}`"
        return UpstreamError(said)

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
