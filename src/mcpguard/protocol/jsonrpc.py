"""JSON-RPC 2.0 messages as MCP uses them: cut out of a stream of bytes, one object a line (basic/transports,
stdio), and checked before anybody decides on it.

Law of this file: what cannot be read in exactly one way is refused (law 4). Duplicate keys, NaN, lone
surrogates, bad UTF-8, over-deep nesting, batches and odd ids never get past `parse_strict`. A batch is only
ever cut, and each message in it is read like any other. Cutting is linear in the bytes fed, and never keeps
more than `limit` bytes.
"""

import re

import msgspec
from msgspec import Struct

from mcpguard.core.errors import MessageError
from mcpguard.core.model import Json
from mcpguard.core.uncollected import uncollected

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
REFUSED = -31000
"""mcpguard refused, or an upstream is not available. Outside of the codes that JSON-RPC reserves, as revision
2026-07-28 wants it (basic/index, error codes)."""

BIG_PAYLOAD = 64 * 1024
"""Bytes from which a copy costs more than another write."""

MAX_ID = 1024
"""Characters of an id of a client that is a string; it is repeated in the answer, also where that waits."""

MAX_DEPTH = 64
"""Levels of nesting in a message from a client; a person's JSON has under ten."""

MOST_VALUES = 1_200_000
"""Values in a message; an array, an object or a member counts as four. The decoder reads a message in one go,
and nothing else runs meanwhile: for this many that takes it a tenth of a second, a third at worst."""

_MOST_STRINGS = MOST_VALUES // 2
_LARGE = 256 * 1024
_FEW = 500
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')

BATCHED = frozenset({"2025-03-26"})
"""Revisions with batches, which each side must take there (2025-03-26, basic/index, batching)."""
MOST_IN_BATCH = 100
"""How many messages are taken in one batch."""

_HALF = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_decode = msgspec.json.Decoder().decode
_cut = msgspec.json.Decoder(list[msgspec.Raw]).decode
encode = msgspec.json.Encoder().encode
"""JSON text (UTF-8 bytes) of a value, with no white space; the only serialiser of messages."""
ordered = msgspec.json.Encoder(order="deterministic").encode
"""The same with the members of each object in the order of their names, which says nothing by itself: what is
compared, or digested to be compared, is this text."""


class Batch(MessageError):
    """Several messages in one text: refused, as all is that is not a message, except where a session
    of a `BATCHED` revision takes it apart."""

    def __init__(self, text: bytes) -> None:
        said = "batches are accepted in sessions of revision 2025-03-26 only: send one message at a time"
        super().__init__(INVALID_REQUEST, f"message refused: {said}")
        self._text = text

    def texts(self) -> list[bytes]:
        """Each message as it stands there, unread; empty if they are too many."""
        found = _cut(self._text)
        return [bytes(one) for one in found] if len(found) <= MOST_IN_BATCH else []


def take_apart(batch: Batch) -> list[dict[str, Json] | MessageError]:
    """The messages of a client's batch in order, each read by `parse_strict` as if it had come alone, or why
    it is refused. A batch in a batch is refused."""
    texts = batch.texts()
    if not texts:
        said = f"message refused: a batch must have 1 to {MOST_IN_BATCH} messages"
        return [MessageError(INVALID_REQUEST, said)]
    found: list[dict[str, Json] | MessageError] = []
    for text in texts:
        try:
            found.append(parse_strict(text))
        except MessageError as problem:
            found.append(problem)
    return found


def parse_strict(line: bytes) -> dict[str, Json]:
    """Read one message from a client.

    Returns a dict with a valid `jsonrpc`, `id` and `method` shape. Raises MessageError with the code
    and, where it can be read, the id to answer.
    """
    message = parse(line, asking=True)
    if type(known := message.get("id")) is str and len(known) > MAX_ID:
        raise MessageError(INVALID_REQUEST, f"a message id must have {MAX_ID} characters at most")
    if line.count(b"{") + line.count(b"[") > MAX_DEPTH and deeper_than(message, MAX_DEPTH):
        raise MessageError(
            INVALID_REQUEST, f"message is nested deeper than {MAX_DEPTH} levels", _id_of(message)
        )
    compact = encode(message)
    if compact != line and _colons(line) != compact.count(b":"):
        raise MessageError(INVALID_REQUEST, "message has the same key twice", _id_of(message))
    return message


class TooManyValues(MessageError):
    """A message of more than MOST_VALUES."""


def parse(line: bytes, asking: bool = False) -> dict[str, Json]:
    """Read one message from either side; as `parse_strict`, but the last of two equal keys counts.

    Enough for an upstream: what is inspected is what is sent on, not these bytes. Of what cannot be decoded
    the error carries the id if it is a request (`asking`), or an answer to one of ours (not `asking`).
    """
    try:
        message = _decode(line) if len(line) <= _LARGE else _decode_large(line, asking)
    except (msgspec.DecodeError, UnicodeError):
        found = _id_of_unreadable(line, asking)
        raise MessageError(PARSE_ERROR, f"message is not valid JSON in UTF-8{_flaw(line)}", found) from None
    except RecursionError:
        found = None if asking else _id_of_answer(line)
        raise MessageError(PARSE_ERROR, "message is nested too deeply", found) from None
    if type(message) is not dict:
        other = MessageError(INVALID_REQUEST, "message refused: not an object")
        raise Batch(line) if type(message) is list else other
    if message.get("jsonrpc") != "2.0":
        raise MessageError(INVALID_REQUEST, 'message lacks "jsonrpc": "2.0"', _id_of(message))
    if "id" in message and type(message["id"]) not in (int, str):
        raise MessageError(INVALID_REQUEST, "a message id must be a string or an integer")
    if "method" in message:
        if type(message["method"]) is not str:
            raise MessageError(INVALID_REQUEST, "`method` must be a string", _id_of(message))
        if type(message.get("params", {})) is not dict:
            raise MessageError(INVALID_PARAMS, "`params` must be an object", _id_of(message))
    elif ("result" in message) == ("error" in message) or "id" not in message:
        raise MessageError(INVALID_REQUEST, "message is neither a request nor a response", _id_of(message))
    return message


def _flaw(line: bytes) -> str:
    """What is wrong with a text that is not JSON in UTF-8 (RFC 8259), as the end of a sentence; "" where that
    is not known, or the text is large."""
    if len(line) > _LARGE:
        return ""
    import json  # It says where, and takes what ours refuses.

    unknown: list[str] = []
    try:
        json.loads(line.decode(), parse_constant=unknown.append)
    except UnicodeDecodeError as problem:
        return f": byte {problem.start + 1} is not UTF-8"
    except (ValueError, RecursionError) as problem:
        place = getattr(problem, "pos", None)
        return "" if place is None else f": it is truncated or invalid at character {place + 1}"
    if unknown:
        return f": it has {unknown[0]}, which JSON does not have"
    half = _HALF.search(line)
    return f": it has half of a surrogate pair ({half[0].decode()})" if half else ""


def _decode_large(line: bytes, asking: bool) -> Json:
    if _weight(line) > MOST_VALUES and _has_too_many(line):
        found = id_of_dropped(line[:HEAD], line[-HEAD:]) if asking else _id_of_answer(line)
        raise TooManyValues(INVALID_REQUEST, "message has too many values", found)
    with uncollected():
        return _decode(line)


def _has_too_many(line: bytes) -> bool:
    # Within a string a quote has a backslash before it.
    if 4 * (line.count(b'":') - line.count(b'\\":')) > MOST_VALUES:
        return True
    between = _STRING.split(line, _MOST_STRINGS)
    return len(between) > _MOST_STRINGS or _weight(b"".join(between)) > MOST_VALUES


def _weight(text: bytes) -> int:
    """What MOST_VALUES limits; what is in strings counts too."""
    return _count(text, b",") + 4 * (_count(text, b":") + _count(text, b"[") + _count(text, b"{"))


def _count(text: bytes, sign: bytes) -> int:
    """As `text.count(sign)`, which looks at each byte by itself: where there are few, `find` is 20 times as
    fast."""
    at = -1
    for found in range(_FEW):
        at = text.find(sign, at + 1)
        if at < 0:
            return found
    return text.count(sign)


def _id_of(message: dict[str, Json]) -> int | str | None:
    found = message.get("id")
    if type(found) is str:
        return found if len(found) <= MAX_ID else None
    return found if type(found) is int else None


def _id_of_unreadable(line: bytes, asking: bool) -> int | str | None:
    """The id of a message that is wrong only within: NaN, half a surrogate pair, bytes that are not UTF-8."""
    # Such a message is rare, and whoever waits for its answer would wait until the deadline.
    import json

    if len(line) > _LARGE and not asking:
        return _id_of_answer(line)
    try:
        message = json.loads(line.decode("utf-8", "surrogateescape"), parse_int=_short)
    except (ValueError, RecursionError):
        return None if asking else _id_of_answer(line)
    if type(message) is not dict or ("method" in message) != asking:
        return None
    found = _id_of(message)
    return found if type(found) is int or (type(found) is str and found.isprintable()) else None


def _short(digits: str) -> int | None:
    return int(digits) if len(digits) < _ID_DIGITS else None


def _id_of_answer(line: bytes) -> int | None:
    """The id of an answer that is not JSON at all, as `id_of_dropped`; None for what is not an answer."""
    head = line[:HEAD]
    if b'"jsonrpc"' not in line or _METHOD.search(head):
        return None
    return id_of_dropped(head, line[-HEAD:])


def _colons(line: bytes) -> int:
    """The colons in JSON text: one behind each key, and those in its strings however they are spelled.

    The decoder keeps one of two equal keys, so what it read has fewer exactly if a key stood twice.
    """
    found = line.count(b":")
    if rb"\u003" in line:
        # A pair of backslashes is a character of its own, and what follows is then no escape.
        plain = line.replace(rb"\\", b"--")
        found += plain.count(rb"\u003a") + plain.count(rb"\u003A")
    return found


def deeper_than(value: Json, limit: int) -> bool:
    """Whether arrays and objects are nested in more than `limit` levels."""
    level: list[Json] = [value]
    for _ in range(limit):
        if not level:
            return False
        below: list[Json] = []
        for item in level:
            below.extend(item.values() if type(item) is dict else item)
        level = [item for item in below if type(item) in (dict, list)]
    return bool(level)


def result_line(request_id: int | str, payload: bytes) -> tuple[bytes, ...]:
    """A response line around an already serialised result; a big one stays a piece of its own, uncopied."""
    if len(payload) < BIG_PAYLOAD:
        return (b'{"jsonrpc":"2.0","id":%b,"result":%b}\n' % (encode(request_id), payload),)
    return b'{"jsonrpc":"2.0","id":%b,"result":' % encode(request_id), payload, b"}\n"


def error_line(request_id: int | str | None, payload: bytes) -> bytes:
    """An error response line around an already serialised error object."""
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}\n' % (encode(request_id), payload)


def notification_line(method: str, payload: bytes) -> bytes:
    """A notification line around already serialised params."""
    return b'{"jsonrpc":"2.0","method":%b,"params":%b}\n' % (encode(method), payload)


def question_line(request_id: int | str, method: str, payload: bytes) -> bytes:
    """A request line around already serialised params."""
    shown = encode(request_id), encode(method), payload
    return b'{"jsonrpc":"2.0","id":%b,"method":%b,"params":%b}\n' % shown


HEAD = 512
_ID_DIGITS = 20
_METHOD = re.compile(rb'"method"\s*:')
_ID_IN_HEAD = re.compile(rb'"id"\s*:\s*(\d{1,18})\s*[,}]')
_ID_AT_END = re.compile(rb'"id"\s*:\s*(\d{1,18})\s*}\s*\Z')


def id_of_dropped(head: bytes, tail: bytes) -> int | None:
    """The id that a dropped message most likely has, from its first and last bytes, or None.

    The SDK for TypeScript writes the id last, most others write it before the result.
    """
    found = _ID_AT_END.search(tail) or _ID_IN_HEAD.search(head)
    return None if found is None else int(found[1])


class Oversize(Struct, frozen=True):
    """A line that was longer than the limit: dropped, all but its first and last bytes."""

    head: bytes
    tail: bytes = b""

    def __len__(self) -> int:
        """Bytes that are left of it."""
        return len(self.head) + len(self.tail)


class Framer:
    """Cuts a stream into lines of at most `limit` bytes; white space at their ends (a CR) and lines of
    nothing else vanish."""

    __slots__ = ("_dropping", "_limit", "_parts", "_tail", "kept")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self.kept = 0
        """Bytes of the line that is not complete."""
        self._dropping = False
        self._tail = b""

    def feed(self, data: bytes) -> list[bytes | Oversize]:
        """Take the next bytes; return the lines that they complete, without their newline."""
        *ended, rest = data.split(b"\n")
        lines: list[bytes | Oversize] = []
        for piece in ended:
            line = self._end(piece) if self._parts or len(piece) > self._limit else piece.rstrip()
            if line:
                lines.append(line)
        if rest:
            self._keep(rest)
        return lines

    def finish(self) -> list[bytes | Oversize]:
        """The stream has ended: whatever stands without a newline is the last line."""
        return self.feed(b"\n") if self._parts or self._dropping else []

    def _end(self, piece: bytes) -> bytes | Oversize:
        self._keep(piece)
        whole = b"".join(self._parts)
        dropped, tail = self._dropping, self._tail
        self._parts, self.kept, self._dropping, self._tail = [], 0, False, b""
        return Oversize(whole, tail) if dropped else whole.rstrip()

    def _keep(self, piece: bytes) -> None:
        if self._dropping:
            self._tail = (self._tail + piece[-HEAD:])[-HEAD:]
            return
        self._parts.append(piece)
        self.kept += len(piece)
        if self.kept > self._limit:
            self._dropping = True
            whole = b"".join(self._parts)
            self._parts, self.kept, self._tail = [whole[:HEAD]], HEAD, whole[-HEAD:]
