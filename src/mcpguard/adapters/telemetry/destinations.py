"""Where telemetry goes: a file, standard output, an HTTP endpoint or a syslog server.

Law of this file: `deliver` returns when the destination has taken all of it, as far as its protocol says so,
and raises TelemetryError otherwise, so that whoever calls sends it again. Neither a header nor a value that
was sent is in a message.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import sys
import termios
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import SplitResult, urlsplit

from mcpguard.adapters.telemetry.evidence_events import EvidenceEvent, LinePlace
from mcpguard.adapters.telemetry.formats import otlp
from mcpguard.adapters.telemetry.formats.cef import severity
from mcpguard.adapters.telemetry.formats.protobuf import read_number
from mcpguard.adapters.telemetry.formats.rows import kind_of, stamp
from mcpguard.config.terms import SINK_SCHEMES
from mcpguard.config.urls import wrong_url
from mcpguard.core.errors import CredentialError, TelemetryError, UpstreamError
from mcpguard.core.secret import Secret

if TYPE_CHECKING:
    from mcpguard.adapters.network import Poster


SECONDS = 10.0
"""How long a destination may take."""
SYSLOG_PORT = 514
_REFUSED = frozenset({400, 413, 422})
"""HTTP statuses that say that the content is at fault."""
_SIGNALS = {"traces": otlp.traces, "logs": otlp.logs, "metrics": otlp.metrics}
_MISSING = frozenset({404, 405, 501})
"""HTTP statuses that say that there is no such endpoint."""
_ADVICE = {
    401: "check the credentials in its URL or `headers`",
    403: "check the credentials in its URL or `headers`, and what they may do",
    404: "check the path of its URL",
    405: "check the path of its URL",
    413: "let it accept larger requests",
    429: "it accepts no more for now",
}
"""HTTP status -> what to do about it."""

Rendered = tuple[EvidenceEvent, str]
"""An event and its line in some format."""
GivenT = TypeVar("GivenT", contravariant=True)
Headers = Callable[[], Mapping[str, Secret]]
"""Gives the headers of a request now; may block, and raise CredentialError."""


class Destination(Protocol[GivenT]):
    """Where events go, in some format."""

    def deliver(self, given: Sequence[GivenT], /) -> int:
        """Send them all; gives how many it does not take as they are. Raises TelemetryError."""

    def close(self) -> None:
        """Close what is open."""


def destination(
    to: str, host: str, media_type: str, header: str = "", headers: Headers = lambda: {}
) -> Destination[Rendered]:
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
        return _Datagrams(partial(_to_address, address), shown(to), host)
    if parts.scheme == "syslog+tcp":
        return _Stream(address, shown(to), host)
    raise TelemetryError(f"{shown(to)} is not supported")


def shown(to: str) -> str:
    """A destination in a message: without the query of a URL, which may hold a token."""
    return to.partition("?")[0] if "://" in to else to


def _split(to: str) -> SplitResult | None:
    """None for a file."""
    if "://" not in to:
        return None
    try:
        parts = urlsplit(to)
        known = parts.scheme in SINK_SCHEMES and (bool(parts.hostname) or parts.scheme == "syslog+unix")
        _ = parts.port
    except ValueError:
        known = False
    if known and "@" in parts.netloc:
        raise TelemetryError("a destination must have no user name or password: neither would be sent")
    if not known:
        raise TelemetryError(f"not a destination: expected a file, or a URL of {', '.join(SINK_SCHEMES)}")
    return parts


class _FileSink:
    def __init__(self, name: str, header: str) -> None:
        self._name = name
        self._path = Path(name).expanduser()
        self._header = header
        self._file = 1 if name == "-" else -1
        self._begun = False

    def deliver(self, lines: Sequence[Rendered]) -> int:
        text = "".join(line if line.endswith("\n") else line + "\n" for _one, line in lines)
        try:
            if self._file != 1:
                self._open()
            data = ("" if self._begun else self._header).encode() + text.encode()
            append_whole(self._file, data)
        except OSError as error:
            if isinstance(error, BrokenPipeError) and self._name == "-":
                raise
            name = "the output" if self._name == "-" else self._name
            raise TelemetryError(f"{name} cannot be written: {error.strerror}") from None
        self._begun = True
        return 0

    def _open(self) -> None:
        """Open the file, and open it again if it was rotated: another file is in its place, or none."""
        if self._file >= 0:
            with suppress(FileNotFoundError, NotADirectoryError):
                there = os.fstat(self._file)
                if os.path.samestat(os.stat(self._path), there):
                    # `copytruncate` of logrotate empties it in place.
                    self._begun = self._begun and not (stat.S_ISREG(there.st_mode) and there.st_size == 0)
                    return
            self.close()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)
        self._begun = os.fstat(self._file).st_size > 0

    def close(self) -> None:
        if self._file > 1:
            os.close(self._file)
            self._file = -1


def append_whole(file: int, data: bytes) -> None:
    """Append all of it or, to a regular file, nothing: half a line is not valid in any format. Raises
    OSError."""
    before = os.fstat(file)
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(file, rest) :]
    except OSError:
        # Others may append too: their lines stay.
        written = len(data) - len(rest)
        with suppress(OSError):
            if stat.S_ISREG(before.st_mode) and os.fstat(file).st_size == before.st_size + written:
                os.ftruncate(file, before.st_size)
        raise


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
    """Endpoints of one origin, to which is posted. Messages call them `named`, by default as `shown` does."""

    def __init__(self, url: str, headers: Headers, named: str = "") -> None:
        self._origin = url
        self._named = named
        self._headers = headers
        self._poster: Poster | None = None

    def post(self, url: str, media_type: str, body: bytes) -> bytes:
        """The body of the answer. Raises TelemetryError, unless its status says that all is well."""
        # Imported where it is needed: most processes serve over stdio and export nothing.
        from mcpguard.adapters.network import NotInTime, Poster

        named = self._named or shown(url)
        if self._poster is None:
            self._poster = Poster(self._origin)
        try:
            given = {name: value.reveal() for name, value in self._headers().items()}
            headers = given | {"Content-Type": media_type}
            answer = self._poster.post(url, headers, body, SECONDS)
        except CredentialError as problem:
            raise TelemetryError(f"a header of {named} is not available: {problem}") from None
        except UpstreamError as problem:
            raise TelemetryError(f"{named} {problem}", slow=isinstance(problem, NotInTime)) from None
        status = answer.status
        if not 200 <= status < 300:
            advice = f": {_ADVICE[status]}" if status in _ADVICE else ""
            said, after = f"{named} answered HTTP {status}{advice}", _seconds(answer.retry_after)
            if status in _MISSING:
                raise _NoEndpoint(said, after=after)
            raise TelemetryError(said, final=status in _REFUSED, after=after)
        return answer.body

    def close(self) -> None:
        if self._poster is not None:
            self._poster.close()
            self._poster = None


def posted(url: Secret, data: bytes, named: str = "it") -> str:
    """Post JSON once. Why it was not taken, or "". Whoever knows the URL can post, so it is `named` so."""
    if mistake := wrong_url(url.reveal()):
        return f"its URL {mistake}"
    web = WebPoints(url.reveal(), dict, named)
    try:
        web.post(url.reveal(), "application/json", data)
    except TelemetryError as problem:
        return str(problem)
    finally:
        web.close()
    return ""


class _NoEndpoint(TelemetryError):
    """There is no such endpoint."""


def _seconds(retry_after: str) -> float:
    """The seconds that a `Retry-After` asks for, as a number or a date (RFC 9110, 10.2.3); 0 if invalid."""
    if retry_after.isascii() and retry_after.isdecimal():
        return float(retry_after[:9])
    # Imported where it is needed: servers hardly ever write it as a date.
    from email.utils import parsedate_to_datetime

    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    return 0.0


class OtlpPoints:
    """An OTLP receiver over HTTP (protobuf): its three endpoints are under `url`. If it lacks some, only the
    others get their signals; what one endpoint has accepted is not sent again when another one fails."""

    def __init__(self, url: str, host: str, headers: Headers = lambda: {}) -> None:
        """Raises TelemetryError where the URL is of another kind."""
        parts = _split(url)
        if parts is None or parts.scheme not in ("http", "https"):
            raise TelemetryError("OTLP goes to an http:// or https:// URL, such as http://127.0.0.1:4318")
        self._web = WebPoints(url, headers)
        self._parts = parts._replace(path=parts.path.rstrip("/"))
        self._host = host
        self._taken: dict[str, set[LinePlace]] = {signal: set() for signal in _SIGNALS}
        """The endpoint -> what it has accepted that others have not."""

    def deliver(self, given: Sequence[otlp.Signals]) -> int:
        refused, missing, accepted = 0, list[_NoEndpoint](), dict[str, list[otlp.Signals]]()
        try:
            for signal, made in _SIGNALS.items():
                taken = self._taken[signal]
                new = [one for one in given if one.place not in taken] if taken else [*given]
                if not (body := made(new, self._host)):
                    continue
                try:
                    refused += self._post(signal, body)
                except _NoEndpoint as problem:
                    missing.append(problem)
                else:
                    accepted[signal] = new
            if missing and not accepted and not any(self._taken.values()) and not self._answers():
                raise missing[0]
        except TelemetryError:
            for signal, new in accepted.items():
                self._taken[signal].update(one.place for one in new)
            raise
        for taken in self._taken.values():
            taken.clear()
        return refused + len(missing)

    def _post(self, signal: str, body: bytes) -> int:
        """How many it rejects: `partial_success.rejected_...`."""
        url = self._parts._replace(path=f"{self._parts.path}/v1/{signal}").geturl()
        answer = self._web.post(url, "application/x-protobuf", body)
        return read_number(answer, 1, 1)

    def _answers(self) -> bool:
        """Whether there is any endpoint at all: each accepts an empty request."""
        for signal in _SIGNALS:
            with suppress(_NoEndpoint):
                self._post(signal, b"")
                return True
        return False

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
        refused = 0
        try:
            if self._socket is None:
                self._socket = self._connected()
            for one, line in lines:
                refused += not _sent(self._socket, syslog_message(one, line, self._host))
        except OSError as error:
            self.close()
            raise TelemetryError(f"sending to {self._to} failed: {error.strerror or error}") from None
        return refused

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _sent(to: socket.socket, message: bytes) -> bool:
    """Whether it fits into a datagram; one that does not fit never will."""
    try:
        to.send(message)
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        return False
    return True


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


class _Stream:
    """A connection a batch, which the server closes when it has read to the end: all that TCP can say of
    what has arrived."""

    def __init__(self, address: tuple[str, int], to: str, host: str) -> None:
        self._address = address
        self._to = to
        self._host = host

    def deliver(self, lines: Sequence[Rendered]) -> int:
        data = framed([syslog_message(one, line, self._host) for one, line in lines])
        try:
            with socket.create_connection(self._address, SECONDS) as made:
                made.sendall(data)
                made.shutdown(socket.SHUT_WR)
                while made.recv(4096):
                    pass
                if _unsent(made):
                    raise OSError(errno.ECONNRESET, "it closed the connection before it had read everything")
        except OSError as error:
            raise TelemetryError(f"sending to {self._to} failed: {error.strerror or error}") from None
        return 0

    def close(self) -> None:
        """Nothing is open between batches."""


def _unsent(made: socket.socket) -> int:
    """How many bytes the other side has not acknowledged; 0 where the system does not say."""
    count = bytearray(4)
    with suppress(OSError):
        fcntl.ioctl(made, termios.TIOCOUTQ, count)
    return int.from_bytes(count, sys.byteorder)


AUDIT = 13
"""The facility "log audit"."""
ERROR, WARNING, INFORMATIONAL = 3, 4, 6


def syslog_message(one: EvidenceEvent, text: str, host: str) -> bytes:
    """A syslog message (RFC 5424) around a line of another format: `<PRI>1 TIME HOST mcpguard - KIND - TEXT`;
    `host` is for where the event has none. No byte order mark precedes it, which MSG-ANY allows: readers
    of CEF and JSON trip over it."""
    grade = severity(one)
    level = ERROR if grade >= 7 else WARNING if grade >= 4 else INFORMATIONAL
    name = "".join(mark for mark in one.host or host if "!" <= mark <= "~")[:255] or "-"
    line = " ".join(text.splitlines())
    return f"<{AUDIT * 8 + level}>1 {stamp(one)} {name} mcpguard - {kind_of(one)} - {line}".encode()


def framed(messages: list[bytes]) -> bytes:
    """For a stream: each preceded by its length (octet counting, RFC 6587, section 3.4.1)."""
    return b"".join(b"%d %b" % (len(one), one) for one in messages)
