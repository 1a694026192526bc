"""URLs and hosts as a configuration has them.

Law of this file: it reads nothing, and no message quotes a value.
"""

from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from mcpguard.config.references import reference_mistake
from mcpguard.core.document.constraints import Constraint

LOOPBACK = ("localhost", "127.0.0.1", "::1")
NEEDS_TLS = "a credential must not leave this machine over http://: use https"


def split(url: str) -> SplitResult | None:
    """The parts of a URL, None where it has none."""
    try:
        return urlsplit(url)
    except ValueError:
        return None


def host_name(text: str) -> str:
    """A host as bindings compare it: lower-case ASCII, A-labels for an internationalised name (RFC 5890).
    Raises ValueError for what two readers may take for different hosts."""
    # Imported where it is needed: most configurations bind nothing.
    from mcpguard.core.functions.function import FunctionError
    from mcpguard.core.functions.web.hosts import read_host

    try:
        return read_host(f"[{text}]" if text.count(":") > 1 and text[0] != "[" else text).name
    except FunctionError as error:
        raise ValueError(str(error)) from None


def literal_host(url: str) -> str | None:
    """The host of a `url` as bindings compare it; None where it is made of a reference, or none."""
    parts = split(url)
    if parts is None or "${" in parts.netloc:
        return None
    try:
        return host_name(parts.hostname or "")
    except ValueError:
        return None


def is_open(url: str) -> bool:
    """Whether others can read what is sent to a URL: it leaves the machine without TLS."""
    parts = split(url)
    return parts is not None and parts.scheme == "http" and parts.hostname not in LOOPBACK


def wrong_url(text: str, to: Literal["anything", "a path", "a host"] = "anything") -> str:
    """What is wrong with the URL of a service that gets credentials, "" for nothing. `to` is the most that
    it may name."""
    parts = split(text)
    http = parts is not None and parts.scheme in ("http", "https")
    if parts is None or not (http and _has_host(parts) and is_plain_url(text)):
        return "must be an https:// URL with a host"
    marked = parts.username is not None or "#" in text
    if to != "anything" and (marked or parts.query or (parts.path.strip("/") and to == "a host")):
        return "must be a URL with only a host" + (" and a path" if to == "a path" else "")
    if marked:
        return "must have neither a user name nor a fragment"
    return NEEDS_TLS if is_open(text) else ""


def _has_host(parts: SplitResult) -> bool:
    try:
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_plain_url(url: str) -> bool:
    """Whether a URL has only characters that a request may contain as they are (RFC 3986)."""
    return url.isascii() and url.isprintable() and " " not in url


def host_of(url: str) -> str:
    """The host of a URL, "" where it has none."""
    parts = split(url)
    return "" if parts is None else parts.hostname or ""


def _wrong_server(text: str) -> str:
    parts = split(text)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return "must be an http:// or https:// URL with a host"
    if "${" not in parts.netloc and not _has_host(parts):
        return "must have a port from 1 to 65535, or none"
    if parts.username is not None or parts.fragment:
        return "must have neither a user name nor a fragment: use `headers`"
    return reference_mistake(text)


def is_url(text: str) -> bool:
    """Whether a text is an http:// or https:// URL."""
    parts = split(text)
    return parts is not None and parts.scheme in ("http", "https")


def _wrong_name(text: str) -> str:
    return "" if is_url(text) else "must be an http:// or https:// URL"


def _wrong_host(text: str) -> str:
    try:
        host_name(text)
    except ValueError:
        return "must be one host name or address, without a scheme, a port, a path or `*`"
    return ""


ServiceUrl = Annotated[str, Constraint(wrong_url, format="uri")]
"""The URL of a service that gets credentials."""

ServiceBase = Annotated[str, Constraint(lambda text: wrong_url(text, "a path"), format="uri")]
"""The same, without a query."""

ServiceHost = Annotated[str, Constraint(lambda text: wrong_url(text, "a host"), format="uri")]
"""The same, without a path."""

ServerUrl = Annotated[str, Constraint(_wrong_server, pattern="^https?://")]
"""The endpoint of an upstream; may hold references."""

UrlName = Annotated[str, Constraint(_wrong_name, pattern="^https?://")]
"""A URL that names something."""

Host = Annotated[str, Constraint(_wrong_host)]
"""A host that a credential may be told to."""


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Where an issuer's metadata may be, in order: RFC 8414 section 3.1, then OpenID Discovery as that
    RFC places it, then as OpenID itself does."""
    url = urlsplit(issuer)
    origin, path = f"{url.scheme}://{url.netloc}", url.path.rstrip("/")
    places = (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
        f"{origin}{path}/.well-known/openid-configuration",
    )
    return tuple(dict.fromkeys(places))
