"""Evidence: the records of a decision and its outcome, and the chain that links them.

**The format**, enough to write a second verifier. A chain is a file of lines that end in one LF (0x0A).
Each line is one JSON object (RFC 8259, UTF-8, no spaces between tokens):

    {"kind":KIND, …fields of the record…,"seq":N,"prev":"P","hash":"H"}

- `kind` is the first key: opened, decision, outcome, notice, checkpoint or closed. The fields of the
  record follow in the order in `core/evidence/records.py`; a field that has its default is left out. Times
  are RFC 3339 in UTC.
- `seq` counts from 1, so it is the line number. The first record is `opened`, a `closed` one is the last.
- `prev` is the `hash` of the line before; in the first line it is 64 times "0".
- `hash` is the SHA-256 (FIPS 180-4), in 64 lower-case hex digits, of the line's bytes from its `{` up to,
  not including, `,"hash":"`. These are always the last 76 bytes of a line, LF included, so a verifier
  cuts them off and needs no canonical JSON.
- A line has at most 1 MiB. Bytes after the last LF are a record that was never acknowledged: a crash.
- `opened` may have `anchors`: of other chains in the same folder the name and, at that time, the head (the
  last hash). Such a chain must still hold a line with this hash. Earlier versions wrote one, as `previous`.
  A `checkpoint` may have the same as `heads`.
- A `checkpoint` may have a `signature`, as its last field before `seq`: Ed25519 (RFC 8032), in 128 hex
  digits, of the text "mcpguard-checkpoint-1", the name of the file (without `.gz`), the `prev` of the line
  and the line's bytes from its `{` up to, not including, `,"signature":"`, with one LF between two of them.
  It covers all lines before, since `prev` is the hash of the last of them.
- A file whose name ends in `.gz` is the same, compressed (RFC 1952).

**What it proves.** An edit, a removal, a swap or an insertion inside a chain is detected. Without signatures
whoever can write the whole file can write a different one, or cut off its end. A head that is kept elsewhere
(in another chain, a ticket, a log collector) reveals that too, and so does a signature for what is before it.
"""

from binascii import hexlify
from collections.abc import Callable
from hashlib import sha256
from typing import TypeVar

from msgspec import DecodeError
from msgspec.json import Encoder
from msgspec.structs import replace

from mcpguard.core.errors import AuditError
from mcpguard.core.evidence.records import Checkpoint, Record

GENESIS = "0" * 64
"""`prev` of the first record."""

SUFFIXES = (".jsonl", ".jsonl.gz")
"""How the name of a chain ends, and in a folder of evidence nothing else's."""

MAX_LINE = 1 << 20
"""The longest line in bytes, its LF included."""

SIGNED = b"mcpguard-checkpoint-1\n%b\n%b\n%b"
"""What a signature is about: the name of the file, `prev`, and the line up to the signature."""

SEAL = len(',"hash":""}\n') + 64
"""How many bytes of a line, at its end, its hash does not cover."""


_encode = Encoder().encode

T = TypeVar("T")


def decoded(decode: Callable[[bytes], T], line: bytes) -> T | None:
    """What `decode` makes of a line, or of a part of one; None where it is not what a writer writes."""
    try:
        return decode(line)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None


def continues(line: bytes, head: bytes | None) -> bool:
    """Whether the hash of a whole line fits its bytes, and it follows the line whose hash is `head`; with
    None, any."""
    digest = sha256(line[:-SEAL]).hexdigest().encode()
    prev = b"" if head is None else b',"prev":"%b"' % head
    return line.endswith(b'%b,"hash":"%b"}\n' % (prev, digest))


def signed(record: Checkpoint, file: str, prev: str, sign: Callable[[bytes], bytes]) -> Checkpoint:
    """`record` with the signature that it has as the line after `prev` in the chain `file`."""
    stated = _encode(replace(record, signature=""))[:-1]
    return replace(record, signature=sign(SIGNED % (file.encode(), prev.encode(), stated)).hex())


class Chain:
    """Numbers records and binds each to the one before. The format is described at the top of the file.

    `seq` is the number of sealed records, `head` the hash of the last one; `mark` is both, for `rewind`.
    """

    __slots__ = ("mark", "seq")

    def __init__(self) -> None:
        self.seq = 0
        self.mark = 0, GENESIS.encode()

    @property
    def head(self) -> str:
        """64 hex digits; `GENESIS` before the first record."""
        return self.mark[1].decode()

    def seal(self, record: Record) -> bytes:
        """The next line, LF included.

        Raises AuditError, and leaves the chain as it was, where `record` cannot be encoded (a lone
        surrogate) or would be a line of more than `MAX_LINE` bytes.
        """
        seq = self.seq + 1
        try:
            body = b"".join((_encode(record)[:-1], b',"seq":%d,"prev":"' % seq, self.mark[1], b'"'))
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise AuditError("a record cannot be written as JSON, so it is refused") from None
        if len(body) > MAX_LINE - SEAL:
            raise AuditError("a record is longer than 1 MiB, so it is refused")
        head = hexlify(sha256(body).digest())
        self.seq = seq
        self.mark = seq, head
        return b"".join((body, b',"hash":"', head, b'"}\n'))

    def rewind(self, mark: tuple[int, bytes]) -> None:
        """Forget what was sealed since `mark`: its lines did not become durable."""
        self.mark = mark
        self.seq = mark[0]
