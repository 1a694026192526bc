"""URLs as conditions read them, a text -> its parts, and `url()`, which gives them the parts.

Law of this file: one reading or none. A text is read only if browsers (WHATWG URL), curl and the libraries
of Python see its parts in the same places, and so connect to the same host. Up to the host that is RFC 3986;
behind it, where no reader looks for a host, also what people write without an escape: `{}`, `|`, letters of
any script. Nothing is repaired, trimmed or guessed.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote_to_bytes

from msgspec import Struct, structs

from mcpguard.core.expressions import expression
from mcpguard.core.functions.function import Function, FunctionError, Parameter, as_list, check_size
from mcpguard.core.functions.web.hosts import Host, read_host_and_port
from mcpguard.core.model import Json

LIMIT = 8192
"""Characters of a URL."""

PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21, "ssh": 22, "sftp": 22, "git": 9418}
"""The ports that schemes have by default (WHATWG URL, section 4.2; IANA)."""

HTTP = ("http", "https")
"""The schemes that are read where a condition names no others."""

# What stands after their `//` is a comment, a name of something else, or dropped by most readers.
_HOSTLESS = frozenset({"about", "blob", "data", "file", "filesystem", "jar", "javascript", "vbscript"})
# Those whose query goes to the host. With others it can name another host: `postgresql://a/b?host=c`.
_SENDING = frozenset({"http", "https", "ws", "wss", "ftp"})
_ROUNDS = 4
# RFC 3986 allows dots in a scheme; urllib3 and others then take it for a host, as in `evil.com://good.com/`.
_SCHEME = expression(r"[a-z][a-z0-9+-]{0,31}")
_URL = expression(r"([A-Za-z][A-Za-z0-9+-]{0,31})://([^/?#]+)([^?#]*)(?:\?([^#]*))?(?:#([^#]*))?")
_BLANK = expression(r"[\x00-\x20\x7f]")
_ESCAPE = expression(r"%([0-9A-Fa-f]{2})")
_BROKEN = expression(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = expression(r"[\x00-\x1f\x7f-\x9f]")
_BEYOND = expression(r"[^\x00-\x7f]+")
_UNESCAPED = expression(r"""[^\x00-\x7f]+|["<>\\^`{|}]|%(?![0-9A-Fa-f]{2})""")
_USER = expression(r"[A-Za-z0-9._~!$&'()*+,;=:%-]+")
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class Url(Struct, frozen=True):
    """The parts. `scheme` is lower-case; `port` is 0 where the scheme has none by default; `path` begins
    with "/". `path`, `query` and `fragment` are ASCII with as few escapes as may be (RFC 3986, section
    6.2.2), without their "?" and "#"; a `%` that begins no escape is "%25". `user`: whether a user name or
    password stands in it."""

    scheme: str
    host: Host
    port: int
    path: str
    query: str
    fragment: str
    user: bool


def check_scheme(scheme: str) -> None:
    """Raises FunctionError for what a condition cannot list as a scheme."""
    if not _SCHEME.fullmatch(scheme):
        raise FunctionError("a scheme is written in lower case, such as `https`, and without `://`")
    if scheme in _HOSTLESS:
        raise FunctionError("a URL of this scheme names no host that anybody connects to")


def read_url(name: str, text: str, schemes: str | list[str] | None = None) -> Url:
    """Read a URL of one of `schemes` (HTTP where none are named), with `//` and a host, for the function
    called `name`.

    Raises FunctionError for what is not one, such as `mailto:x`, `file:///x`, `//x` and `https:/x`; for white
    space and control characters; for a backslash before the query; for a host as `read_host` does; for paths
    with `.` and `..` in them, escaped or not; and for `schemes` as `check_scheme` does.
    """
    check_size(name, text, LIMIT)
    _check_characters(text)
    found = _URL.fullmatch(text)
    if not found:
        raise FunctionError("a URL must have a scheme, `//` and a host, and one `#` at most")
    scheme, authority, path = found[1].lower(), found[2], found[3]
    _check_scheme_of(name, scheme, schemes)
    if found[4] is not None and scheme not in _SENDING:
        raise FunctionError("a URL of this scheme must have no query, since it could name another host")
    if not path and not {"@", "\\"}.isdisjoint(text[found.end(2) :]):
        raise FunctionError("a URL must have a path before an `@` or a backslash: readers differ on its host")
    if _BROKEN.search(authority + path):
        raise FunctionError("a `%` before the query of a URL must begin an escape")
    if "\\" in path:
        raise FunctionError("a path in a URL must have no backslash")
    user, at, place = authority.rpartition("@")
    if at and not _USER.fullmatch(user):
        raise FunctionError("a user name in a URL has characters that are not allowed there")
    if place.count(":") > 1 and not place.startswith("["):
        raise FunctionError("an IPv6 address in a URL must be in brackets")
    host, port = read_host_and_port(place)
    _check_path(path)
    return Url(
        scheme,
        host,
        port or PORTS.get(scheme, 0),
        _canonical(path) or "/",
        _canonical(found[4] or ""),
        _canonical(found[5] or ""),
        bool(at),
    )


SCHEMES = Parameter("schemes", "strings", optional=True, check=check_scheme)
"""The parameter that names the schemes of URLs, of each function that reads them."""


def host_of(name: str, text: str, schemes: str | list[str] | None = None) -> Host:
    """The host of a URL, or of a bare `host` or `host:port`, for the function called `name`.

    Raises FunctionError as `read_url` and `read_host_and_port` do; for a user name or password, which has
    no use but to make a host look like another; and for `http:80`, where browsers connect to 0.0.0.80.
    """
    if "://" not in text:
        host, port = read_host_and_port(text)
        if port and (host.name in PORTS or host.name in _HOSTLESS):
            raise FunctionError("the name of a scheme with a port behind it could be a URL")
        return host
    url = read_url(name, text, schemes)
    if url.user:
        raise FunctionError(f"{name}() does not read a URL with a user name or password")
    return url.host


def _check_scheme_of(name: str, scheme: str, schemes: str | list[str] | None) -> None:
    accepted = HTTP if schemes is None else as_list(schemes)
    for one in accepted:
        check_scheme(one)
    if scheme not in accepted:
        raise FunctionError(f"{name}() reads URLs of http and https, or of the schemes in its last argument")


def _check_characters(text: str) -> None:
    if _BLANK.search(text):
        raise FunctionError("a URL has a space or a control character, which must be escaped")
    if any(unicodedata.category(one)[0] in "CZ" for run in _BEYOND.findall(text) for one in run):
        raise FunctionError("a URL has a character that cannot be seen")


def _check_path(path: str) -> None:
    """Refuse what browsers, proxies or servers resolve, decode or cut before they look at a path."""
    if path.startswith("//"):
        raise FunctionError("a path in a URL must not begin with `//`")
    for _ in range(_ROUNDS):
        seen = path if path.isascii() else unicodedata.normalize("NFKC", path)
        segments = [segment.partition(";")[0] for segment in re.split(r"[/\\]", seen)]
        if "." in segments or ".." in segments:
            raise FunctionError("a path in a URL must have no `.` or `..` in it")
        if _CONTROL.search(path):
            raise FunctionError("a path in a URL must have no control character in it")
        if "%" not in path:
            return
        try:
            plain = unquote_to_bytes(path).decode()
        except UnicodeDecodeError:
            raise FunctionError("the escapes in a path must be UTF-8") from None
        if plain == path:
            return
        path = plain
    raise FunctionError("a path in a URL must not be escaped again and again")


def _canonical(text: str) -> str:
    """With escapes for all but ASCII, in upper case, and none that could be left out."""
    return _ESCAPE.sub(_escape, _UNESCAPED.sub(_escaped, text))


def _escape(found: re.Match[str]) -> str:
    plain = chr(int(found[1], 16))
    return plain if plain in _PLAIN else found[0].upper()


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


def parts(text: str, schemes: str | list[str] | None = None) -> dict[str, Json]:
    """The members that the documentation of `URL` lists. Raises FunctionError as `read_url` does."""
    url = read_url("url", text, schemes)
    return {**structs.asdict(url), "host": url.host.name, "ip": url.host.address is not None}


URL = Function(
    name="url",
    parameters=(Parameter("text", "string"), SCHEMES),
    call=parts,
    fields=("scheme", "host", "port", "path", "query", "fragment", "user", "ip"),
)
