"""Evidence: the records of a decision and its outcome, and the chain that links them.

**The format**, enough to write a second verifier. A chain is a file of lines that end in one LF (0x0A).
Each line is one JSON object (RFC 8259, UTF-8, no spaces between tokens):

    {"kind":KIND, …fields of the record…,"seq":N,"prev":"P","hash":"H"}

- `kind` is the first key: opened, decision, outcome, notice or closed. The fields of the record follow in
  the order of the classes below; a field that has its default is left out. Times are RFC 3339 in UTC.
- `seq` counts from 1, so it is the line number. The first record is `opened`, a `closed` one is the last.
- `prev` is the `hash` of the line before; in the first line it is 64 times "0".
- `hash` is the SHA-256 (FIPS 180-4), in 64 lower-case hex digits, of the line's bytes from its `{` up to,
  not including, `,"hash":"`. These are always the last 76 bytes of a line, LF included, so a verifier
  cuts them off and needs no canonical JSON.
- A line has at most 1 MiB. Bytes after the last LF are a record that was never acknowledged: a crash.
- `opened` may have `previous`: the name and, at that time, the head (the last hash) of another chain in
  the same folder. That chain must still hold a line with this hash.

**What it proves.** An edit, a removal, a swap or an insertion inside a chain is detected. The chain has no
key: whoever can write the whole file can write a different one, or cut off its end. A head that is kept
elsewhere (a later chain's `previous`, a ticket, a log collector) reveals that too.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

from msgspec import Struct
from msgspec.json import Encoder

from mcpguard.core.errors import AuditError

GENESIS = "0" * 64
"""`prev` of the first record."""

MAX_LINE = 1 << 20
"""The longest line in bytes, its LF included."""

SEAL = len(',"hash":""}\n') + 64
"""How many bytes of a line, at its end, its hash does not cover."""


class Anchor(Struct, frozen=True):
    """The head of another chain: `file` is a name in the same folder, `head` its last hash."""

    file: str
    """A name in the same folder."""
    head: str
    """Its last hash at that time."""


class Opened(Struct, frozen=True, tag_field="kind", tag="opened", omit_defaults=True):
    """The first record of a chain: which process, under which policies."""

    at: datetime
    """When."""
    version: str
    """The version of mcpguard."""
    pid: int
    """The process."""
    principal: str
    """`SOURCE:ID` of who started the process: `os-user:NAME`."""
    policies: tuple[str, ...]
    """Names of the policies in force."""
    policy_digest: str
    """sha256 (hex) of their content."""
    agent: str | None = None
    """What the launcher's configuration calls the agent: a claim, not verified."""
    previous: Anchor | None = None
    """The newest other chain in its folder, filled in by the writer."""


class Decided(Struct, frozen=True, tag_field="kind", tag="decision", omit_defaults=True):
    """A verdict, durable before any effect. `args` and `tool_digest` are sha256 in hex.

    `effect` is "allow" or "deny"; only an allow is followed by an `Outcome` with the same `id`.
    `credentials` are the names of the references that the upstream holds, never values.
    """

    at: datetime
    """When."""
    id: str
    """Of the invocation; refusals quote it."""
    principal: str
    """`SOURCE:ID` of who asked: as in `opened` on stdio; over HTTP `ISSUER:SUBJECT` of the token, or
    `http:anonymous`."""
    method: str
    """The MCP method."""
    effect: str
    """`allow` or `deny`."""
    server: str = ""
    """The upstream."""
    tool: str = ""
    """The upstream's own name of the tool."""
    tool_digest: str = ""
    """sha256 (hex) of the tool's descriptor as the upstream sent it."""
    subject: str = ""
    """What it is about if that is not a tool: the name of a prompt, the URI of a resource (its first 256
    characters)."""
    cause: str = ""
    """Why it was refused: rule, no-rule, error, approval, pin, limit, unavailable or unknown."""
    rules: tuple[str, ...] = ()
    """The rules that decided, as `POLICY/ID`."""
    policy_digest: str = ""
    """As in `opened`."""
    args: str = ""
    """sha256 (hex) of the arguments as compact JSON."""
    credentials: tuple[str, ...] = ()
    """Names of the references that the upstream holds."""
    agent: str | None = None
    """As in `opened`: a claim."""
    labels: tuple[str, ...] = ()
    """Labels that it added to the session."""
    facts: tuple[str, ...] = ()
    """Facts that it added to the session."""
    credential: str = ""
    """The credential that a rule chose."""
    shadow: str = ""
    """What rules in shadow mode would have decided otherwise: `EFFECT RULE ...`."""


class Outcome(Struct, frozen=True, tag_field="kind", tag="outcome", omit_defaults=True):
    """The outcome of an allowed call, durable before the reply leaves.

    `status`: ok, tool-error, error, withheld, unavailable, cancelled, disconnected, expired, denied or
    abandoned; "input-required" where the call continues with the client's answer, "resumed" for the request
    that brings it, and "asked" for a question that was sent to the client. `result` is the
    sha256 (hex) of the inspected result. `findings` maps "kind path" to nothing but its count.
    `ms` is the time from the decision to here.
    """

    at: datetime
    """When."""
    id: str
    """Of the invocation."""
    status: str
    """As listed above."""
    ms: float
    """Milliseconds from the decision to here."""
    result: str = ""
    """sha256 (hex) of the inspected result as compact JSON."""
    findings: dict[str, int] = {}
    """`KIND PATH` -> how often it was redacted there."""
    rules: tuple[str, ...] = ()
    """The rules on results that contributed."""
    labels: tuple[str, ...] = ()
    """Labels that the result added to the session."""
    facts: tuple[str, ...] = ()
    """Facts that the result added to the session."""
    shadow: str = ""
    """As in `decision`, of rules on results."""


class Noticed(Struct, frozen=True, tag_field="kind", tag="notice", omit_defaults=True):
    """Something outside a call that an auditor wants to know: a finding in a notification, a refused
    message. `detail` is mcpguard's own text, or inspected."""

    at: datetime
    """When."""
    what: str
    """message-refused, notification-redacted, notification-withheld, policy-reloaded (`detail` has both
    digests), policy-refused, or credential-taken-back (`detail` is the credential that a killed process left
    behind)."""
    server: str = ""
    """The upstream, if it is about one."""
    detail: str = ""
    """A sentence; mcpguard's own, or inspected."""
    findings: dict[str, int] = {}
    """As in `outcome`."""


class Closed(Struct, frozen=True, tag_field="kind", tag="closed", omit_defaults=True):
    """The last record of a chain whose process ended in order."""

    at: datetime
    """When."""
    reason: str
    """`client-ended`, the signal that ended it, or `failed` if it could not start serving."""


Record = Opened | Decided | Outcome | Noticed | Closed

_encode = Encoder().encode


class Chain:
    """Numbers records and binds each to the one before. The format is described at the top of the file.

    `seq` is the number of sealed records, `head` the hash of the last one.
    """

    __slots__ = ("_head", "seq")

    def __init__(self) -> None:
        self.seq = 0
        self._head = GENESIS.encode()

    @property
    def head(self) -> str:
        """64 hex digits; `GENESIS` before the first record."""
        return self._head.decode()

    def seal(self, record: Record) -> bytes:
        """The next line, LF included.

        Raises AuditError, and leaves the chain as it was, where `record` cannot be encoded (a lone
        surrogate) or would be a line of more than `MAX_LINE` bytes.
        """
        seq = self.seq + 1
        try:
            body = b'%b,"seq":%d,"prev":"%b"' % (_encode(record)[:-1], seq, self._head)
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise AuditError("a record cannot be written as JSON, so it is refused") from None
        if len(body) > MAX_LINE - SEAL:
            raise AuditError("a record is longer than 1 MiB, so it is refused")
        head = sha256(body).hexdigest().encode()
        self.seq = seq
        self._head = head
        return b'%b,"hash":"%b"}\n' % (body, head)

    def mark(self) -> tuple[int, bytes]:
        """Where the chain is now, for `rewind`."""
        return self.seq, self._head

    def rewind(self, mark: tuple[int, bytes]) -> None:
        """Forget what was sealed since `mark`: its lines did not become durable."""
        self.seq, self._head = mark
