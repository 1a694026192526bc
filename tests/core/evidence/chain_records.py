"""What the tests of the chain and of its proof share."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from hashlib import sha256

from mcpguard.core.evidence.chain import Chain
from mcpguard.core.evidence.records import Anchor, Closed, Decided, Noticed, Opened, Outcome, Record

NOW = datetime(2026, 8, 1, 7, 0, 0, 125000, tzinfo=UTC)


def opened(*anchors: Anchor, previous: Anchor | None = None) -> Opened:
    """The first record."""
    return Opened(NOW, "0.1.0", 7, "os-user:1000", ("github",), "d" * 64, previous=previous, anchors=anchors)


def decided(number: int, effect: str = "allow") -> Decided:
    """A verdict on call `number`."""
    return Decided(NOW, f"n-{number}", "os-user:1000", "tools/call", effect, server="github", tool="get")


def outcome(number: int) -> Outcome:
    """What came of call `number`."""
    return Outcome(NOW, f"n-{number}", "ok", 1.5, result="e" * 64)


def day(calls: int = 3) -> list[Record]:
    """A whole chain's records: `calls` allowed ones, a denied one, a notice, the end."""
    records: list[Record] = [opened()]
    for number in range(calls):
        records += [decided(number), outcome(number)]
    return [*records, decided(99, "deny"), Noticed(NOW, "finding", "github", "x"), Closed(NOW, "eof")]


def sealed(records: list[Record]) -> list[bytes]:
    """The lines of one chain."""
    chain = Chain()
    return [chain.seal(record) for record in records]


def resealed(line: bytes, **changes: object) -> bytes:
    """What somebody who knows the format makes of a line: its own hash is right again."""
    fields = json.loads(line) | changes
    del fields["hash"]
    body = json.dumps(fields, separators=(",", ":"))[:-1].encode()
    return body + b',"hash":"' + sha256(body).hexdigest().encode() + b'"}\n'
