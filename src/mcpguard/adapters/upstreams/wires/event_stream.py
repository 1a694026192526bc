"""Server-sent events out of a byte stream (HTML standard, section 9.2, `text/event-stream`).

Law of this file: sans IO, linear in the bytes fed, and never more than `limit` bytes of an event kept.
"""

import re

from msgspec import Struct

from mcpguard.protocol.jsonrpc import HEAD, Oversize

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"
_FIELD_BYTES = 16
"""The longest that may precede a line's value: a byte order mark, `event`, a colon, a space."""
_ID_BYTES = 1024
_RETRY_DIGITS = 9
_DOUBLINGS = 5
MOST_PAUSE = 60.0
"""Seconds that a stream may ask to wait before a reconnect, at most."""


class Event(Struct, frozen=True):
    """One event with data. `kind` is its type, "message" where the stream names none."""

    kind: str
    data: bytes


class EventStream:
    """Cuts a stream into events whose data has at most `limit` bytes.

    `last_id` is the id of the last whole event, "" for none; one that no header can carry is not kept.
    `retry_ms` is what the stream asked to wait before a reconnect, None if it asked nothing; `brought`
    counts the events.
    """

    __slots__ = (
        "_after_cr",
        "_at_start",
        "_data",
        "_dropped",
        "_id",
        "_kind",
        "_limit",
        "_line",
        "_line_size",
        "_size",
        "_tail_open",
        "brought",
        "last_id",
        "retry_ms",
    )

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.brought = 0
        self.last_id = ""
        self.retry_ms: int | None = None
        self.restart()

    def restart(self) -> None:
        """A new connection continues the stream: what was cut off is forgotten, `last_id` stays."""
        self._after_cr = False
        self._at_start = True
        self._line: list[bytes] = []
        self._line_size = 0
        self._new_event()

    def _new_event(self) -> None:
        self._data: list[bytes] = []
        self._size = 0
        self._kind = b""
        self._id = self.last_id
        self._dropped: Oversize | None = None
        self._tail_open = False

    @property
    def kept(self) -> int:
        """Bytes of the event that is not complete."""
        return self._size + self._line_size

    def feed(self, data: bytes) -> list[Event | Oversize]:
        """Take the next bytes; return the events that they complete. Events without data vanish."""
        events: list[Event | Oversize] = []
        if not data:
            return events
        start = 1 if self._after_cr and data[:1] == b"\n" else 0
        self._after_cr = data[-1:] == b"\r"
        for end in _LINE_END.finditer(data, start):
            self._keep(data[start : end.start()])
            self._end_line(events)
            start = end.end()
        self._keep(data[start:])
        self.brought += len(events)
        return events

    def pause(self, own: float, vain: int) -> float:
        """Seconds to wait before the next connection: what the stream asked for, but never less than our
        `own`, doubled for each of the `vain` ones before, nor more than `MOST_PAUSE`."""
        asked = 0.0 if self.retry_ms is None else self.retry_ms / 1000
        return max(own * 2.0 ** min(vain, _DOUBLINGS), min(asked, MOST_PAUSE))

    @property
    def overlong(self) -> bytes | None:
        """The first bytes of an event that is over the limit and still goes on, or None."""
        return None if self._dropped is None else self._dropped.head

    def _keep(self, piece: bytes) -> None:
        """Keep a piece of the line, or only the end of it once the event is over the limit."""
        if not piece:
            return
        self._line_size += len(piece)
        if self._dropped is not None:
            if self._tail_open:
                self._dropped = Oversize(self._dropped.head, (self._dropped.tail + piece[-HEAD:])[-HEAD:])
            return
        self._line.append(piece)
        if self._size + self._line_size > self._limit + _FIELD_BYTES:
            line = b"".join(self._line).removeprefix(b"data:").lstrip(b" ")
            self._drop(b"\n".join([*self._data, line]))
            self._tail_open = True

    def _drop(self, whole: bytes) -> None:
        self._dropped = Oversize(whole[:HEAD], whole[-HEAD:])
        self._data, self._line = [], []

    def _end_line(self, events: list[Event | Oversize]) -> None:
        line, size = b"".join(self._line), self._line_size
        self._line, self._line_size, self._tail_open = [], 0, False
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
            size = size if self._dropped is not None else len(line)
        if size == 0:
            self._dispatch(events)
        elif self._dropped is None:
            name, _colon, value = line.partition(b":")
            value = value[1:] if value[:1] == b" " else value
            if name == b"data":
                self._size += len(value) + (1 if self._data else 0)
                self._data.append(value)
                if self._size > self._limit:
                    self._drop(b"\n".join(self._data))
            elif name == b"event":
                self._kind = value
            elif name == b"id" and b"\0" not in value:
                text = value.decode("ascii", "replace")
                usable = len(value) <= _ID_BYTES and text.isascii() and text.isprintable()
                self._id = text if usable else ""
            elif name == b"retry" and value.isdigit() and len(value) <= _RETRY_DIGITS:
                self.retry_ms = int(value)

    def _dispatch(self, events: list[Event | Oversize]) -> None:
        self.last_id = self._id
        if self._dropped is not None:
            events.append(self._dropped)
        elif self._size:
            kind = self._kind.decode("utf-8", "replace") or "message"
            events.append(Event(kind, b"\n".join(self._data)))
        self._new_event()
