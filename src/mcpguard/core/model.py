"""The nouns of the one path: who, what, and the verdict. Frozen values; nothing here decides.

Law of this file: a `Permit` is constructed in `core/policy/pdp.py` only and a `Redacted` in
`core/redaction/redactor.py` only (an architecture test says so), so holding one proves that the step ran.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from re import DOTALL
from typing import Any

from msgspec import Struct, json

from mcpguard.core.expressions import expression
from mcpguard.core.secret import Placeholder

Json = Any
"""What `msgspec.json.decode` returns: dict, list, str, int, float, bool or None."""

_text = json.Encoder(order="deterministic").encode


_OF_ISSUER = expression(r"(https?://(?:\[[^]/]*\]|[^/:]*)(?::[0-9]{1,5})?(?:/[^:]*)?):(.*)", DOTALL)
"""A URL and a subject. Both may have colons; the path of an issuer is taken to have none."""


def split_principal(text: str) -> tuple[str, str]:
    """Source and id of a principal, which records write as `SOURCE:ID`."""
    found = _OF_ISSUER.fullmatch(text)
    source, _, name = text.partition(":")
    return (found[1], found[2]) if found else (source, name)


class Principal(Struct, frozen=True):
    """Who is responsible. `id` is unique within `source`; only a verified fact goes in here.

    On stdio `source` is "os-user": the operating system vouches for the user id. `groups` and `claims` are
    those of a verified token that the configuration names, empty elsewhere. Two with other groups or claims
    are not equal: what one of them began is not the other's. `actor` is who acts for this subject, where the
    token says so (RFC 8693, `act`), "" for nobody else.
    """

    id: str
    source: str
    groups: tuple[str, ...] = ()
    claims: dict[str, Json] = {}
    actor: str = ""

    @property
    def text(self) -> str:
        """As records write it."""
        return f"{self.source}:{self.id}"

    @property
    def operator(self) -> str:
        """Who can run a command of mcpguard, as a sentence to this principal begins: over HTTP it is served
        by another machine."""
        return "A person" if self.source == "os-user" else "An operator of this gateway"

    def __hash__(self) -> int:
        return hash((self.source, self.id))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Principal):
            return NotImplemented
        mine, others = (self.source, self.id, self.actor), (other.source, other.id, other.actor)
        if mine != others or self.groups != other.groups:
            return False
        # As text, since in Python `1 == True == 1.0`.
        return _text(self.claims) == _text(other.claims)


class Listed(Struct, frozen=True):
    """One thing that an upstream offers, as last listed: a tool, a prompt, a resource or a template of
    resources (specification: server/tools, server/prompts, server/resources).

    `kind` is "tool", "prompt", "resource" or "template"; conditions see `about` under that name, a
    template as `resource`. `name` is the upstream's own name or URI, `exposed` the one by which
    clients always find it; they may be shown its own (`protocol.names`). `descriptor` is the inspected
    object under the exposed name, and `about` the same under its own name, with what conditions may count on
    (`protocol.catalogue.about_of`). `digest` is the sha256 (hex) of the object as the upstream
    sent it, in whatever order its members were, "" for a resource that it did not list.
    """

    server: str
    name: str
    exposed: str
    descriptor: dict[str, Json]
    about: dict[str, Json]
    digest: str
    kind: str = "tool"
    held: bool = False
    """Whether it is held back, since its definition is not one that was accepted (`core/policy/pins.py`)."""

    @property
    def inspected(self) -> bool:
        """Whether `name` is what its server listed, and holds nothing that must not be seen. Else it is a
        client's own text, or has an alias."""
        shown = self.descriptor.get("uri", self.name) if self.kind == "resource" else self.name
        return bool(self.digest) and shown == self.name


class Caller(Struct, frozen=True):
    """What a request's client said about itself: claims that shape the protocol and decide nothing (law 7).

    `version` is the protocol revision in force; `modern` says whether it is of the era without a
    handshake (2026-07-28 and later). `capabilities` is the ClientCapabilities object; `log_level` the
    level of log messages that this request wants, None for none (modern) or as set (legacy).
    """

    version: str = "2025-11-25"
    modern: bool = False
    capabilities: dict[str, Json] = {}
    log_level: str | None = None
    name: str = ""
    release: str = ""
    """`name` and `version` of its clientInfo."""


class Origin(Struct, frozen=True):
    """Where a request came from, for evidence. `request` is its JSON-RPC id as text, "" for what no request
    of the client began, and `trace` its W3C `traceparent`, "" for none: claims, inspected. `token` tells the
    verified token that it came with from others, "" for none."""

    request: str = ""
    trace: str = ""
    token: str = ""


NOWHERE = Origin()
"""Of what mcpguard does by itself."""


class Invocation(Struct, frozen=True):
    """One request that is to be decided. `args` is None when a list is filtered (no call yet)."""

    id: str
    method: str
    principal: Principal
    now: datetime
    agent: str | None = None
    server: str = ""
    target: Listed | None = None
    args: dict[str, Json] | None = None
    params: dict[str, Json] | None = None
    """The canonical params that go upstream; for `tools/call`, `args` is its `arguments`."""
    caller: Caller = Caller()
    returned: tuple[str, ...] = ()
    """Texts in `args` that `server` gave to be given back, and that the client itself does not know."""
    searched: object = None
    """`Egress.state` when `params` were searched and no credential that is not for `server` was in them."""
    origin: Origin = NOWHERE
    begun: Permit | None = None
    """That of the call which began the task that it is about; None if it is not about one."""


class Cause(Enum):
    """Why something was refused."""

    RULE = "rule"
    NO_RULE = "no-rule"
    ARGUMENTS = "arguments"
    ERROR = "error"
    APPROVAL = "approval"
    PIN = "pin"
    LIMIT = "limit"
    CREDENTIAL = "credential"
    PLACEHOLDER = "placeholder"


class Charge(Struct, frozen=True):
    """What a call uses up of a limit. `unit` is calls, bytes or units; at most `most` of them may be used in
    `seconds`, or in the session where that is 0. `key` names the limit, `per` is its window as written."""

    key: str
    unit: str
    amount: int
    most: int
    seconds: int
    per: str

    @property
    def window(self) -> str:
        return self.per if self.seconds else "this session"


class Permit(Struct, frozen=True):
    """The right to make one call. `rules` are "policy/rule" ids; `redact` names extra detectors; `charges`,
    `labels` and `facts` are what the session is to remember; `credential` names the one to use, "" for
    those of the server. `shadow` says what rules in shadow mode would have done otherwise, "" for nothing.
    `placeholders` are the texts of rules in the arguments in which a credential is named. `session_labels`
    and `session_facts` are what the session had before, for evidence."""

    invocation: Invocation
    rules: tuple[str, ...]
    redact: tuple[str, ...] = ()
    charges: tuple[Charge, ...] = ()
    labels: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    credential: str = ""
    shadow: str = ""
    placeholders: tuple[Placeholder, ...] = ()
    session_labels: tuple[str, ...] = ()
    session_facts: tuple[str, ...] = ()
    approval: str = ""
    """The ticket by which a person approved it and who that was; "" where nobody was asked."""
    observed: Deny | None = None
    """What the policies refuse it with, where they are only observed; None where they allow it."""
    spotlight: bool = False
    """Whether the texts of its result are marked as data of the server."""
    unredacted: tuple[str, ...] = ()
    """Exceptions from redaction for its result, as `core/redaction/removal/unredacted.py` writes them."""
    label_causes: dict[str, str] = {}
    """The calls that brought the labels in `session_labels`, by label, as far as known: for evidence."""
    began: str = ""
    """The id of the call that began the task that it is about, where the rules that allowed that call allow
    this one too; "" where it has rules of its own."""


class Deny(Struct, frozen=True):
    """A refusal. `rules` are the "policy/rule" ids that decided; `message` is the author's text."""

    invocation: Invocation
    cause: Cause
    rules: tuple[str, ...] = ()
    message: str = ""
    shadow: str = ""
    """As in a Permit."""
    credentials: tuple[str, ...] = ()
    """The names of the held values for the sake of which it was refused: for evidence, not for the client."""
    session_labels: tuple[str, ...] = ()
    session_facts: tuple[str, ...] = ()
    label_causes: dict[str, str] = {}
    """As in a Permit."""
    ticket: str = ""
    """That by which a person is asked, "" where nobody is."""


class Detection(Struct, frozen=True):
    """What was removed, and where: never the value. `path` is a JSON Pointer (RFC 6901)."""

    kind: str
    path: str


class Redacted(Struct, frozen=True):
    """A JSON value that has been inspected: the only thing that a transport sends.

    `payload` is `value` as compact JSON text in UTF-8, serialised once, right after the inspection (in
    the same thread), because each inspected value is sent exactly once.
    """

    value: Json
    payload: bytes
    findings: tuple[Detection, ...] = ()
    neutralised: tuple[tuple[str, int], ...] = ()
    """How many hidden characters and sequences of a terminal became visible, by kind."""
    spared: tuple[Detection, ...] = ()
    """What exceptions of a policy let through."""

    @property
    def changed(self) -> bool:
        """Whether it is a different value than what was inspected."""
        return bool(self.findings or self.neutralised)
