"""The one place where connections to other hosts are made. Imported only when a configuration needs HTTP.

Law of this file: the address that was checked is the one that is connected to, and what cannot be read
counts as private; certificates are always verified; no redirect leaves the origin, no proxy and no cookie is
used. So a header goes to one origin only (law 3). Each sentence of an UpstreamError follows the words
"upstream 'NAME' " and holds no header value.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing, suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, AbstractStreamWriter, ResolveResult
from msgspec import Struct
from yarl import URL

from mcpguard import __version__
from mcpguard.adapters.system.authorities import SystemAuthorities
from mcpguard.adapters.tls_failures import tls_failure
from mcpguard.config.urls import is_plain_url
from mcpguard.core.errors import UpstreamError
from mcpguard.core.model import Json

CONNECT_SECONDS = 10.0
_KEEP_SECONDS = 4.0
"""An idle connection is kept for this long: less than servers do, so that none closes under a request."""
_DRAIN_SECONDS = 1.0
_SHOWN = 200
_DRAIN_BYTES = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REPEATED = frozenset({307, 308})
_BAD_URL = "cannot be reached: its URL is not valid"
_AUTHORITIES = SystemAuthorities()
"""aiohttp reads them when it is imported."""
_PRIVATE = "resolves to a private address that the configuration does not name"


class _PrivateAddress(OSError):
    """A name whose address is refused; an OSError, since that is what a resolver may raise."""


class CheckedResolver(AbstractResolver):
    """Looks a name up, and refuses it if one of its addresses is private and the configuration does not name
    it.

    aiohttp connects to what this returns and looks nothing up itself, so a name that answers differently
    the next time (DNS rebinding) gains nothing.
    """

    def __init__(self, named: frozenset[str], lookup: AbstractResolver) -> None:
        self._named = named
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """As `lookup`. Raises OSError where an address is refused."""
        found = await self._lookup.resolve(host, port, family)
        if plain(host) not in self._named and any(is_private(each["host"]) for each in found):
            raise _PrivateAddress(_PRIVATE)
        return found

    async def close(self) -> None:
        await self._lookup.close()


_PARAMETER = re.compile(
    # Each character is looked at a few times at most, whoever wrote them.
    r'(?<![\w-])([\w-]{1,64})\s{0,9}=\s{0,9}(?:"((?:[^"\\]|\\.)*+)"|([^\s,"]++))',
    re.ASCII,
)
_CHALLENGE = 8192
"""As much of a challenge is read."""
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,256}")
"""One scope (RFC 6749, section 3.3)."""


class _Body(aiohttp.Payload):
    """A body that tells when it has left, of any size: aiohttp warns of plain bytes over 1 MB."""

    _autoclose = True

    def __init__(self, body: bytes, sent: Callable[[], None] | None) -> None:
        super().__init__(body, content_type="application/json")
        self._size = len(body)
        self._sent = sent

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return str(self._value, encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        await writer.write(self._value)
        if self._sent is not None:
            self._sent()


class Exchange:
    """One answer: its head is there, its body is still to be read. Whoever has it closes it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self._encoded = response.headers.get("Content-Encoding", "identity").lower() != "identity"
        self.media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def header(self, name: str) -> str | None:
        """The value of a header, None if it is not there."""
        return self._response.headers.get(name)

    def joined(self, name: str) -> str:
        """All values of a header that is a list, in order (RFC 9110, section 5.3); "" without one."""
        return ", ".join(self._response.headers.getall(name, ()))

    def no_answer_to(self, method: str) -> str:
        """The sentence about a status without an answer, with the time after which a server wants to be asked
        again (`Retry-After` in seconds: RFC 9110, section 10.2.3)."""
        after = self.header("Retry-After") or ""
        asks = after.isascii() and after.isdecimal() and len(after) < 7
        later = f"; it asks to try again in {int(after)} seconds" if asks else ""
        return f"answered HTTP {self.status} to {method}{later}"

    @property
    def challenge(self) -> dict[str, str]:
        """The parameters of `WWW-Authenticate` (RFC 9110, section 11.6.1)."""
        found = _PARAMETER.finditer(self.joined("WWW-Authenticate")[:_CHALLENGE])
        return {one[1].lower(): one[3] if one[2] is None else one[2] for one in found}

    @property
    def lacking(self) -> tuple[str, ...] | None:
        """The scopes that the token would need as well (RFC 6750, section 3.1), as far as they are told; None
        where it was refused for another reason, or not at all."""
        said = self.challenge
        if self.status != 403 or said.get("error") != "insufficient_scope":
            return None
        return tuple(filter(SCOPE.fullmatch, said.get("scope", "").split()))

    async def read(self) -> bytes:
        """The next piece of the body, b"" at its end; not reading holds the sender back. Raises
        UpstreamError if it breaks off, or is encoded (we ask for `identity`)."""
        if self._encoded:
            raise UpstreamError("answered with an encoding that was not requested")
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError):
            raise UpstreamError("closed the connection before its answer was complete") from None

    async def body(self, limit: int, keeps: Callable[[int], Awaitable[None]] | None = None) -> bytes | None:
        """The whole body, None if it has more than `limit` bytes. `keeps(size)` is awaited after each piece.
        Raises as `read`."""
        parts, size = [], 0
        while chunk := await self.read():
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                return None
            if keeps is not None:
                await keeps(size)
        return b"".join(parts)

    async def drain(self) -> None:
        """Read the little that may be left, so that the connection can be used again. Never raises."""
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                await self.body(_DRAIN_BYTES)
        except (UpstreamError, TimeoutError):
            pass  # What was needed has been read; only the connection is lost.

    def close(self) -> None:
        """Let go. The connection is kept if the body was read to its end, else closed."""
        self._response.close()


class Outbound:
    """Connections to other hosts, for one purpose (one life of an upstream, one fetch)."""

    def __init__(
        self,
        named: frozenset[str],
        lookup: AbstractResolver | None = None,
        certificates: ssl.SSLContext | None = None,
    ) -> None:
        """`named` are host names and addresses that the configuration itself names: these may be private.
        `lookup` finds addresses, the operating system by default. `certificates` says which authorities are
        trusted, by default those of the operating system."""
        self._named = frozenset(plain(host) for host in named)
        self._certificates = certificates
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=CheckedResolver(self._named, lookup or aiohttp.ThreadedResolver()),
                limit=0,
                keepalive_timeout=_KEEP_SECONDS,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            headers={"User-Agent": f"mcpguard/{__version__}", "Accept-Encoding": "identity"},
            trust_env=False,
            auto_decompress=False,
        )

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        sent: Callable[[], None] | None = None,
        *,
        redirects: bool = True,
    ) -> Exchange:
        """Send one request; returns with the head of the answer. `sent` is called once the body is
        written. One redirect (307, 308) within the origin is followed; without `redirects` none is, and it
        is an answer like another. Raises UpstreamError."""
        target = URL(url, encoded=True)
        response = await self._send(method, target, headers, body, sent)
        if not redirects:
            return Exchange(response)
        if response.status in _REPEATED:
            place = _redirected(target, response)
            if place is not None:
                response.close()
                response = await self._send(method, place, headers, body, sent)
        if response.status in _REDIRECTS:
            response.close()
            raise UpstreamError(_not_followed(target, response))
        return Exchange(response)

    async def _send(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: bytes | None,
        sent: Callable[[], None] | None,
    ) -> aiohttp.ClientResponse:
        try:
            host, _port = plain(url.host or ""), url.port
        except ValueError:
            raise UpstreamError(_BAD_URL) from None
        if host not in self._named and is_address(host) and is_private(host):
            raise UpstreamError(_PRIVATE)
        try:
            data = None if body is None else _Body(body, sent)
            trusts = self._certificates or await _AUTHORITIES.context()
            return await self._session.request(
                method, url, headers=headers, data=data, allow_redirects=False, ssl=trusts
            )
        except (aiohttp.ClientError, TimeoutError, OSError, UnicodeError) as error:
            raise UpstreamError(_sentence(error, url, self._certificates is not None)) from None

    async def close(self) -> None:
        await self._session.close()


async def fetch_json(
    url: str, named: frozenset[str], limit: int = 1 << 20, seconds: float = 10.0
) -> dict[str, Json]:
    """The JSON object at `url` (metadata, keys), of at most `limit` bytes, within `seconds`. Plain http
    only to `named` hosts. Raises UpstreamError with one whole sentence."""
    outbound = Outbound(named)
    try:
        async with asyncio.timeout(seconds):
            return await _fetch(outbound, url, named, limit)
    except TimeoutError:
        raise UpstreamError(f"{url} did not answer within {seconds:g} seconds") from None
    finally:
        await outbound.close()


async def _fetch(outbound: Outbound, url: str, named: frozenset[str], limit: int) -> dict[str, Json]:
    if not _may_be_fetched(url, frozenset(plain(host) for host in named)):
        raise UpstreamError(f"{url!r} is not an https:// URL")
    try:
        with closing(await outbound.request("GET", url, {"Accept": "application/json"})) as exchange:
            body = await exchange.body(limit) if exchange.status == 200 else b""
    except UpstreamError as problem:
        raise UpstreamError(f"{url} {problem}") from None
    if exchange.status != 200:
        raise UpstreamError(f"{url} answered HTTP {exchange.status}")
    if body is None:
        raise UpstreamError(f"{url} answered with more than {limit} bytes")
    found = json_object(body)
    if found is None:
        raise UpstreamError(f"{url} answered with something that is not a JSON object")
    return found


def json_object(body: bytes) -> dict[str, Json] | None:
    """The JSON object that `body` is, None where it is something else."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return found if type(found) is dict else None


def _may_be_fetched(url: str, named: frozenset[str]) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    protected = parts.scheme == "https" or (parts.scheme == "http" and plain(parts.hostname or "") in named)
    return protected and is_plain_url(url)


def _redirected(url: URL, response: aiohttp.ClientResponse) -> URL | None:
    """Where a redirect leads, None if that is another origin or nowhere."""
    try:
        place = url.join(URL(response.headers.get("Location", "")))
        return place if place.origin() == url.origin() and place.user is None else None
    except ValueError:
        return None


def _not_followed(url: URL, response: aiohttp.ClientResponse) -> str:
    """Names the origin that it leads to and nothing else: a path or a query may be a credential."""
    said = f"answered with a redirect (HTTP {response.status})"
    try:
        target = url.join(URL(response.headers["Location"]))
        origin = str(target.origin())[:_SHOWN]
        same = target.origin() == url.origin()
    except (KeyError, ValueError):
        return f"{said}, which is not followed"
    if same and target.path.rstrip("/") == url.path.rstrip("/") and target.path != url.path:
        where = f"the same URL {'with' if target.path.endswith('/') else 'without'} a slash at its end"
    else:
        where = f"another path of {origin}" if same else origin
    return f"{said} to {where}, which is not followed; if that is right, configure its target instead"


def _sentence(error: Exception, url: URL, by_file: bool) -> str:
    host = plain(url.host or "")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        private = isinstance(error.os_error, _PrivateAddress)
        return _PRIVATE if private else f"cannot be reached: {host} has no address"
    place = str(url.host_port_subcomponent)  # Many servers may be at one address.
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", error.__cause__)
    if isinstance(error, aiohttp.ClientSSLError) or isinstance(cause, ssl.SSLError):
        return f"cannot be reached: {tls_failure(cause, host, place, by_file)}"
    reset = isinstance(cause, ConnectionResetError)
    if isinstance(error, aiohttp.ClientConnectorError | TimeoutError) and not reset:
        return f"cannot be reached: {place} does not accept connections"
    if isinstance(error, aiohttp.InvalidURL | UnicodeError):
        return _BAD_URL
    if isinstance(error, aiohttp.ClientResponseError):
        return "answered with something that is not HTTP"
    return "closed the connection before it answered"


_GLOBAL = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


def is_private(address: str) -> bool:
    """Whether an IP address is not one of the public internet: private, loopback, link-local, multicast,
    reserved, unspecified, or an IPv6 address that has such an IPv4 address in it (mapped, NAT64, 6to4,
    Teredo). What is not an address counts as private."""
    try:
        ip = ip_address(address)
    except ValueError:
        return True
    if isinstance(ip, IPv4Address):
        return not ip.is_global or ip.is_multicast or ip.is_reserved
    inner = _inside(ip)
    if inner:
        return any(is_private(str(each)) for each in inner)
    return ip not in _GLOBAL or not ip.is_global


def _inside(ip: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that this IPv6 address leads to."""
    if ip in _NAT64:
        return [IPv4Address(int(ip) & 0xFFFFFFFF)]
    found = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
    return [each for each in found if each is not None]


def plain(host: str) -> str:
    """A host as it is compared: lower case, without brackets and without a dot at its end."""
    return host.lower().strip("[]").rstrip(".")


def is_address(host: str) -> bool:
    """Whether a host is an IP address in its usual form."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def is_inside(host: str) -> bool:
    """Whether a host has a private address. An address that cannot be looked up here is read as it is."""
    with suppress(OSError, UnicodeError):
        found = await aiohttp.ThreadedResolver().resolve(host, 0, socket.AF_UNSPEC)
        return any(is_private(each["host"]) for each in found)
    return is_address(host) and is_private(host)


MOST_ANSWER = 64 * 1024
"""Bytes of an answer that are read."""


class PostAnswer(Struct, frozen=True):
    """An answer to a post. `body` has no more than MOST_ANSWER bytes; `retry_after` is that header, ""
    without one."""

    status: int
    body: bytes
    retry_after: str


class NotInTime(UpstreamError):
    """Nothing was answered in the time that there was."""


class Poster:
    """Posts to one origin and keeps its connection for a few seconds. For one thread, which has no loop."""

    def __init__(self, url: str) -> None:
        self._named = frozenset((urlsplit(url).hostname or "",))
        self._loop = asyncio.new_event_loop()
        self._outbound: Outbound | None = None

    def post(self, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> PostAnswer:
        """The answer. Raises UpstreamError, with the rest of a sentence that begins with the URL; NotInTime
        where it took longer than `seconds`."""
        return self._loop.run_until_complete(self._post(url, headers, body, seconds))

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes, seconds: float) -> PostAnswer:
        if self._outbound is None:
            self._outbound = Outbound(self._named)
        try:
            async with asyncio.timeout(seconds):
                with closing(await self._outbound.request("POST", url, headers, body)) as exchange:
                    retry_after = exchange.header("Retry-After") or ""
                    return PostAnswer(exchange.status, await exchange.body(MOST_ANSWER) or b"", retry_after)
        except TimeoutError:
            raise NotInTime(f"did not answer within {seconds:g} seconds") from None

    def close(self) -> None:
        if self._outbound is not None:
            self._loop.run_until_complete(self._outbound.close())
        self._loop.close()
