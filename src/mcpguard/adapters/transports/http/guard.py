"""Who may talk to our HTTP front at all: pure checks of addresses and headers.

Law of this file: no IO, no state; what is not known to be right is refused. A browser that is led to us by
another site (DNS rebinding) is stopped by Host and Origin (basic/transports, security warning).
"""

import re
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

import httptools

from mcpguard.adapters.transports.http.request import Headers, HttpRefusal

_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^:\[\]]+)):([0-9]{1,9})")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
HTTP_VERSIONS = ("1.1", "1.0")
_MCP_HEADER = re.compile(r"mcp-[a-z0-9-]{1,64}")
_ALLOWED_HEADERS = frozenset({"accept", "authorization", "content-type", "last-event-id"})
_METHODS = b"GET, POST, DELETE"
_EXPOSED = b"mcp-session-id, www-authenticate"


def split_address(address: str) -> tuple[str, int]:
    """The host and port of "HOST:PORT" or "[IPv6]:PORT". Raises ValueError with a sentence."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ValueError(
            "the address to listen on must be HOST:PORT, for example 127.0.0.1:8080 or [::1]:8080"
        )
    if int(found[3]) > 65535:
        raise ValueError("the port to listen on must be at most 65535")
    return found[1] or found[2], int(found[3])


def refuse_address(address: str, token: bool = False) -> str:
    """Why mcpguard does not listen on "HOST:PORT"; "" if it does. `token` says whether clients must show
    a bearer token: without one only loopback is served."""
    try:
        host, _port = split_address(address)
    except ValueError as problem:
        return str(problem)
    if token or is_loopback(host):
        return ""
    return (
        "without `http.token` in the configuration, HTTP is served on loopback only "
        "(127.0.0.1, [::1] or localhost): on another address, anybody who can reach it could use every tool "
        "(`mcpguard help http`)"
    )


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without brackets, can only be this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class FrontGuard:
    """The checks of one front, made of its configuration."""

    def __init__(self, bound: str, hosts: tuple[str, ...], origins: tuple[str, ...]) -> None:
        """`bound` is the host that we listen on; `hosts` and `origins` are those of the configuration."""
        self._hosts = frozenset(host.lower() for host in hosts)
        # A page can name 0.0.0.0, and a browser then reaches this machine: it is nobody's own name.
        self._bound = "" if bound in ("0.0.0.0", "::") else bound.lower()  # noqa: S104
        self._origins = frozenset(origins)
        self.admit = lru_cache(maxsize=64)(self._admit)
        """`admit(host, origin)`: the headers that a page of this origin needs to read the answer, none where
        `origin` is None. Raises HttpRefusal with 403 unless `Host` is loopback, the bound address or
        allowed, and `Origin` is absent, loopback or allowed."""

    def _admit(self, host: str, origin: str | None) -> Headers:
        if not self._is_ours(host):
            raise HttpRefusal(403, "this Host is not served; add it to `http.allowed_hosts`")
        answer = () if origin is None else self._cors(origin)
        if origin is not None and not answer:
            raise HttpRefusal(403, "this Origin is not served; add it to `http.allowed_origins`")
        return answer

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].strip("[]").lower()
        return is_loopback(name) or name == self._bound or not self._hosts.isdisjoint((host.lower(), name))

    def _cors(self, origin: str) -> Headers:
        if origin not in self._origins and not _is_local_origin(origin):
            return ()
        return (
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", _EXPOSED),
            (b"vary", b"origin"),
        )


def preflight(headers: dict[str, str]) -> Headers:
    """The answer to a browser that asks what a page may send: our methods, and of the headers that it
    names those that MCP has. Other headers it will then not send."""
    named = {name.strip().lower() for name in headers.get("access-control-request-headers", "").split(",")}
    allowed = sorted(name for name in named if name in _ALLOWED_HEADERS or _MCP_HEADER.fullmatch(name))
    return (
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", ", ".join(allowed).encode()),
        (b"access-control-max-age", b"600"),
    )


def check_framing(version: str, headers: dict[str, str]) -> None:
    """Raises HttpRefusal: 505 for another version of HTTP, 400 for HTTP/1.1 without Host (RFC 9112, section
    3.2), 501 for a body in a coding that is not read (section 6.1)."""
    if version not in HTTP_VERSIONS:
        raise HttpRefusal(505, "Only HTTP/1.1 and HTTP/1.0 are served.", 0)
    if version == "1.1" and "host" not in headers:
        raise HttpRefusal(400, "The Host header is missing.", 0)
    if headers.get("transfer-encoding", "chunked").lower() != "chunked":
        raise HttpRefusal(501, "The only transfer coding that is accepted is chunked.", 0)


def split_target(target: bytes, headers: dict[str, str]) -> tuple[str, bytes]:
    """The path and query that are asked for. The authority of a whole URL takes the place of Host in
    `headers` (RFC 9112, section 3.2.2), so that what is checked is what was asked for. Raises HttpRefusal
    with 400, and HttpParserError."""
    url = httptools.parse_url(target)
    if b"#" in target:
        raise HttpRefusal(400, "The target of a request may not have a fragment.", 0)
    if url.schema:
        if url.schema.lower() not in (b"http", b"https") or url.userinfo:
            raise HttpRefusal(400, "The target of the request is not a URL of this server.", 0)
        host = url.host.decode("ascii")
        host = f"[{host}]" if ":" in host else host
        headers["host"] = host if url.port is None else f"{host}:{url.port}"
    path = (url.path or b"/").decode("ascii")
    return unquote(path) if "%" in path else path, url.query or b""


@lru_cache(maxsize=64)
def check_content(kind: str, encoding: str) -> None:
    """Raises HttpRefusal with 415 unless the body is JSON, which no page can send without a preflight, and as
    it is (RFC 9110, section 15.5.16)."""
    if kind.partition(";")[0].strip().lower() != "application/json":
        raise HttpRefusal(415, "the content type of a message must be application/json")
    if encoding.strip().lower() not in ("", "identity"):
        said = "bodies are not decompressed: send this one without a content encoding"
        raise HttpRefusal(415, said, headers=((b"accept-encoding", b"identity"),))


@lru_cache(maxsize=64)
def check_accept(accept: str, *needed: str) -> None:
    """Raises HttpRefusal with 406 unless the client takes every one of the media types `needed`."""
    if not accepts(accept, needed):
        raise HttpRefusal(406, f"the client must accept {' and '.join(needed)}")


def accepts(accept: str, needed: tuple[str, ...]) -> bool:
    """Whether `accept` names each of `needed`, or a range that holds it, with a weight above 0."""
    taken = set()
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if not any(re.fullmatch(r"q=0(?:\.0*)?", parameter) for parameter in parameters):
            taken.add(name)
    return all(not taken.isdisjoint((kind, kind.partition("/")[0] + "/*", "*/*")) for kind in needed)


def _is_local_origin(origin: str) -> bool:
    try:
        url = urlsplit(origin)
        host, _port = url.hostname, url.port
    except ValueError:
        return False
    plain = url.scheme in ("http", "https") and origin == f"{url.scheme}://{url.netloc}" and "@" not in origin
    return plain and is_loopback(host or "")
