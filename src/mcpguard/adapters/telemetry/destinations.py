"""Where telemetry goes: a file, standard output, an HTTP endpoint or a syslog server.

Law of this file: `deliver` returns when the destination has taken all of it, as far as its protocol says so,
and raises TelemetryError otherwise, so that whoever calls sends it again. Neither a header nor a value that
was sent is in a message.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import SplitResult, urlsplit

from mcpguard.adapters.telemetry.formats import otlp, syslog
from mcpguard.adapters.telemetry.formats.protobuf import read_number
from mcpguard.adapters.telemetry.happenings import Happening
from mcpguard.core.errors import CredentialError, TelemetryError, UpstreamError
from mcpguard.core.secret import Secret

if TYPE_CHECKING:
    from mcpguard.adapters.network.posting import Poster

SECONDS = 10.0
"""How long a destination may take."""
SYSLOG_PORT = 514
SCHEMES = ("http", "https", "syslog+udp", "syslog+tcp", "syslog+unix")
"""Of URLs; whatever is not one is the name of a file."""
_REFUSED = frozenset({400, 413, 422})
"""HTTP statuses that say that the content is at fault."""

Rendered = tuple[Happening, str]
"""A happening and its line in some format."""
Headers = Callable[[], Mapping[str, Secret]]
"""Gives the headers of a request now; may block, and raise CredentialError."""


class Destination(Protocol):
    """Where lines go."""

    def deliver(self, lines: Sequence[Rendered]) -> int:
        """Send them all; gives how many it does not take as they are. Raises TelemetryError."""

    def close(self) -> None:
        """Let go of what is open."""


def destination(
    to: str, host: str, media_type: str, header: str = "", headers: Headers = lambda: {}
) -> Destination:
    """That of `to`: a URL, `-` for standard output, or a file. `host` is the name of this machine; `header`
    is the first line of a file that is empty, `media_type` what an HTTP endpoint is told. Raises
    TelemetryError where the URL is not one that is known."""
    parts = _split(to)
    if parts is None:
        return _FileSink(to, header)
    if parts.scheme in ("http", "https"):
        return _Web(to, media_type, headers)
    if parts.scheme == "syslog+unix":
        return _Datagrams(partial(_to_path, parts.path), to, host)
    address = (parts.hostname or "", parts.port or SYSLOG_PORT)
    if parts.scheme == "syslog+udp":
        return _Datagrams(partial(_to_address, address), to, host)
    return _Octets(address, to, host)


def _split(to: str) -> SplitResult | None:
    """None for a file."""
    if "://" not in to:
        return None
    try:
        parts = urlsplit(to)
        known = parts.scheme in SCHEMES and (bool(parts.hostname) or parts.scheme == "syslog+unix")
        _ = parts.port
    except ValueError:
        known = False
    if not known:
        raise TelemetryError(f"not a destination: expected a file, or a URL of {', '.join(SCHEMES)}")
    return parts


class _FileSink:
    def __init__(self, name: str, header: str) -> None:
        self._name = name
        self._header = header
        self._file = 1 if name == "-" else -1
        self._begun = False

    def deliver(self, lines: Sequence[Rendered]) -> int:
        text = "".join(line if line.endswith("\n") else line + "\n" for _one, line in lines)
        try:
            if self._file < 0:
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
                self._file = os.open(Path(self._name).expanduser(), flags, 0o600)
                self._begun = os.fstat(self._file).st_size > 0
            data = memoryview(("" if self._begun else self._header).encode() + text.encode())
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            if isinstance(error, BrokenPipeError) and self._name == "-":
                raise
            raise TelemetryError(f"{self._name} cannot be written: {error.strerror}") from None
        self._begun = True
        return 0

    def close(self) -> None:
        if self._file > 1:
            os.close(self._file)
            self._file = -1


class _Web:
    def __init__(self, url: str, media_type: str, headers: Headers) -> None:
        self._web = WebPoints(url, headers)
        self._url = url
        self._media_type = media_type

    def deliver(self, lines: Sequence[Rendered]) -> int:
        body = "".join(line if line.endswith("\n") else line + "\n" for _one, line in lines)
        self._web.post(self._url, self._media_type, body.encode())
        return 0

    def close(self) -> None:
        self._web.close()


class WebPoints:
    """Endpoints of one origin, to which is posted."""

    def __init__(self, url: str, headers: Headers) -> None:
        self._origin = url
        self._headers = headers
        self._poster: Poster | None = None

    def post(self, url: str, media_type: str, body: bytes) -> bytes:
        """The body of the answer. Raises TelemetryError, unless its status says that all is well."""
        if self._poster is None:
            # Imported where it is needed: most serve over stdio, and export nothing.
            from mcpguard.adapters.network.posting import Poster

            self._poster = Poster(self._origin)
        try:
            given = {name: value.reveal() for name, value in self._headers().items()}
            headers = given | {"Content-Type": media_type}
            status, answer = self._poster.post(url, headers, body, SECONDS)
        except CredentialError as problem:
            raise TelemetryError(f"a header of {url} is not available: {problem}") from None
        except UpstreamError as problem:
            raise TelemetryError(f"{url} {problem}") from None
        if not 200 <= status < 300:
            raise TelemetryError(f"{url} answered HTTP {status}", final=status in _REFUSED)
        return answer

    def close(self) -> None:
        """Close the connection."""
        if self._poster is not None:
            self._poster.close()
            self._poster = None


class OtlpPoints:
    """An OTLP receiver over HTTP (protobuf): its three endpoints are under `url`."""

    def __init__(self, url: str, host: str, headers: Headers = lambda: {}) -> None:
        self._web = WebPoints(url, headers)
        self._url = url.rstrip("/")
        self._host = host

    def deliver(self, lines: Sequence[Rendered]) -> int:
        happened = [one for one, _line in lines]
        refused = 0
        for signal, made in (("traces", otlp.traces), ("logs", otlp.logs), ("metrics", otlp.metrics)):
            if body := made(happened, self._host):
                answer = self._web.post(f"{self._url}/v1/{signal}", "application/x-protobuf", body)
                refused += read_number(answer, 1, 1)  # partial_success.rejected_...
        return refused

    def close(self) -> None:
        self._web.close()


class _Datagrams:
    """A message each, which nobody acknowledges."""

    def __init__(self, connected: Callable[[], socket.socket], to: str, host: str) -> None:
        self._connected = connected
        self._to = to
        self._host = host
        self._socket: socket.socket | None = None

    def deliver(self, lines: Sequence[Rendered]) -> int:
        try:
            if self._socket is None:
                self._socket = self._connected()
            for one, line in lines:
                self._socket.send(syslog.message(one, line, self._host))
        except OSError as error:
            self.close()
            raise TelemetryError(f"{self._to} takes nothing: {error.strerror or error}") from None
        return 0

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _to_path(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.settimeout(SECONDS)
    try:
        made.connect(path)
    except OSError:
        made.close()
        raise
    return made


def _to_address(address: tuple[str, int]) -> socket.socket:
    family, kind, protocol, _name, found = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
    made = socket.socket(family, kind, protocol)
    made.settimeout(SECONDS)
    made.connect(found)
    return made


class _Octets:
    """A connection a batch, which the server closes when it has read to the end: all that TCP can say of
    what has arrived."""

    def __init__(self, address: tuple[str, int], to: str, host: str) -> None:
        self._address = address
        self._to = to
        self._host = host

    def deliver(self, lines: Sequence[Rendered]) -> int:
        data = syslog.framed([syslog.message(one, line, self._host) for one, line in lines])
        try:
            with socket.create_connection(self._address, SECONDS) as made:
                made.sendall(data)
                made.shutdown(socket.SHUT_WR)
                while made.recv(4096):
                    pass
        except OSError as error:
            raise TelemetryError(f"{self._to} takes nothing: {error.strerror or error}") from None
        return 0

    def close(self) -> None:
        """Nothing is open between batches."""
