"""What is written down: one class a kind of record. `fields.txt` has the meaning of each field.

A reader takes a field that it does not know for one of a newer mcpguard, and a field that is left out for
its default. How records become lines of a chain is `chain`. Decisions and outcomes are not looked at by the
cycle collector (`gc=False`): what they hold is made of JSON, and never refers back to them.
"""

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

FORMAT = 2
"""Of the records. A higher one adds fields and kinds; it changes the meaning of none."""
KIND_USED = {"prompts/get": "prompt", "resources/read": "resource", "resources/subscribe": "resource"}
"""The kind of thing that a record of this method is about, unless it is a tool."""

UNDECIDED = frozenset({"cancelled", "disconnected", "abandoned"})
"""Causes of a request that ended before it was decided: its client took it back or is gone, or mcpguard
stopped."""
MOST_ARGUMENTS = 16 * 1024
"""Bytes of arguments as compact JSON above which only their digest is recorded."""
MOST_IDENTITY = 2 * 1024
"""Bytes of groups and claims of a token as compact JSON above which they are not recorded."""
MOST_MESSAGE = 1_000
"""Characters of a message that are recorded."""

DENIED_IN_SHADOW = "deny ("
"""What `shadow` has of a refusal, before its cause."""

Aware = Annotated[datetime, Meta(tz=True)]
"""A time that says its zone."""


class Anchor(Struct, frozen=True):
    """The head of another chain: `file` is a name in the same folder, `head` its last hash."""

    file: str
    head: str


class Opened(Struct, frozen=True, tag_field="kind", tag="opened", omit_defaults=True):
    """The first record of a chain: which process, under which policies."""

    at: Aware
    version: str
    pid: int
    principal: str
    policies: tuple[str, ...]
    policy_digest: str
    agent: str | None = None
    continues: str = ""
    previous: Anchor | None = None
    anchors: tuple[Anchor, ...] = ()
    format: int = 1
    host: str = ""
    engine: dict[str, str] = {}
    key: str = ""


class ObservedRefusal(Struct, frozen=True, omit_defaults=True):
    """What the policies would have refused, of a server for which they are only observed."""

    cause: str
    rules: tuple[str, ...] = ()
    message: str = ""

    @property
    def text(self) -> str:
        """`CAUSE RULE, RULE`."""
        return " ".join(filter(None, (self.cause, ", ".join(self.rules))))


class Decided(Struct, frozen=True, tag_field="kind", tag="decision", omit_defaults=True, gc=False):
    """A verdict, durable before any effect. `args` and `tool_digest` are sha256 in hex.

    `effect` is `allow`, `deny` or `ask`. Only an `allow` is followed by an `outcome` with the same `id`. An
    `ask` says that the call waits for a person; a second `decision` with the same `id` says how that ended,
    except where the client was asked in the answer to its request. `credentials` are the names of the
    references that the upstream holds, never values.

    Verified are `principal`, `human`, `actor`, `groups`, `claims` and `token`; `agent`, `client`, `request`
    and `trace` are what somebody says.
    """

    at: Aware
    id: str
    principal: str
    method: str
    effect: str
    server: str = ""
    tool: str = ""
    tool_digest: str = ""
    subject: str = ""
    cause: str = ""
    rules: tuple[str, ...] = ()
    policy_digest: str = ""
    args: str = ""
    credentials: tuple[str, ...] = ()
    agent: str | None = None
    labels: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    session_labels: tuple[str, ...] = ()
    session_facts: tuple[str, ...] = ()
    approval: str = ""
    credential: str = ""
    shadow: str = ""
    observed: ObservedRefusal | None = None
    client: str = ""
    request: str = ""
    trace: str = ""
    session: str = ""
    human: str = ""
    actor: str = ""
    arguments: dict[str, Any] | None = None
    arguments_omitted: str = ""
    arguments_bytes: int = 0
    arguments_neutralised: dict[str, int] = {}
    message: str = ""
    redact: tuple[str, ...] = ()
    limits: dict[str, int] = {}
    ticket: str = ""
    label_causes: dict[str, str] = {}
    credential_kinds: dict[str, str] = {}
    began: str = ""
    groups: tuple[str, ...] | None = None
    claims: dict[str, Any] | None = None
    token: str = ""


class Steps(Struct, frozen=True, gc=False, omit_defaults=True):
    """How long the steps of a call took, in milliseconds; one that did not take place is left out."""

    decide: float = 0.0
    wait: float = 0.0
    record: float = 0.0
    inject: float = 0.0
    call: float = 0.0
    inspect: float = 0.0


PAUSED = "paused"
"""The status of an outcome after which the call has another one."""


class Outcome(Struct, frozen=True, tag_field="kind", tag="outcome", omit_defaults=True, gc=False):
    """The outcome of an allowed call, durable before the reply leaves.

    `status`: ok, tool-error, error, withheld, unavailable, cancelled, disconnected, expired, denied or
    abandoned; "input-required" where the client's next call continues this one, "resumed" for a request that
    brings an answer, and "asked" for a question that was sent to the client. "paused" is a call that waits
    for such an answer, and has another outcome afterwards. `result` is the
    sha256 (hex) of the inspected result. `findings` maps "kind path" to nothing but its count.
    `ms` is the time from the decision to here.
    """

    at: Aware
    id: str
    status: str
    ms: float
    result: str = ""
    findings: dict[str, int] = {}
    neutralised: dict[str, int] = {}
    unredacted: dict[str, int] = {}
    rules: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    shadow: str = ""
    observed: ObservedRefusal | None = None
    steps: Steps | None = None
    sent: int = 0
    received: int = 0
    error: str = ""
    message: str = ""


def observed_in(decision: Decided, outcome: Outcome | None) -> ObservedRefusal | None:
    """What the policies would have refused of a call and withheld of its result, in one."""
    one, two = decision.observed, None if outcome is None else outcome.observed
    if one is None or two is None:
        return one or two
    return ObservedRefusal(one.cause, (*one.rules, *two.rules), one.message or two.message)


def shadow_in(decision: Decided, outcome: Outcome | None) -> str:
    """What rules in shadow mode would have decided about a call and its result."""
    after = "" if outcome is None else outcome.shadow
    return f"{decision.shadow}; {after}" if decision.shadow and after else decision.shadow or after


def let_through(decision: Decided, outcome: Outcome | None) -> str:
    """Why a call that was allowed would have been refused, or its result withheld, if policies were enforced:
    the cause, `shadow` for rules in shadow mode; "" for a call that would not."""
    if decision.effect != "allow":
        return ""
    refusal = observed_in(decision, outcome)
    if refusal is not None:
        return refusal.cause
    return "shadow" if DENIED_IN_SHADOW in shadow_in(decision, outcome) else ""


class FoldedRecords(Struct, frozen=True, omit_defaults=True):
    """Records that were not written individually, since there were too many of them: refused requests,
    requests for lists, and notices of what was refused or redacted outside of one. Each is in the digest, in
    the order of time; the outcome of a list is not."""

    count: int
    since: Aware
    until: Aware
    first: str = ""
    last: str = ""
    digest: str = ""
    kinds: dict[str, int] = {}


class Noticed(Struct, frozen=True, tag_field="kind", tag="notice", omit_defaults=True):
    """Something outside a call that an auditor wants to know: a finding in a notification, a refused
    message. `detail` is mcpguard's own text, or inspected."""

    at: Aware
    what: str
    server: str = ""
    detail: str = ""
    findings: dict[str, int] = {}
    neutralised: dict[str, int] = {}
    id: str = ""
    principal: str = ""
    session: str = ""
    ticket: str = ""
    folded: FoldedRecords | None = None

    @property
    def refusals(self) -> FoldedRecords | None:
        """Those that were only counted; None for requests for lists, which were allowed."""
        return self.folded if self.what == "refusals-folded" else None


class Checkpoint(Struct, frozen=True, tag_field="kind", tag="checkpoint", omit_defaults=True):
    """Where the chains stand, now and then: the heads of others, and a signature of all records before."""

    at: Aware
    heads: tuple[Anchor, ...] = ()
    removed: int = 0
    removed_until: str = ""
    key: str = ""
    signature: str = ""


class Closed(Struct, frozen=True, tag_field="kind", tag="closed", omit_defaults=True):
    """The last record of a chain whose process ended properly."""

    at: Aware
    reason: str


LOST = "upstream-lost"
"""The `what` of a notice that an upstream could not be started, ended by itself, or did not answer."""
HANDED_ON = frozenset({"rotated", "evidence-gap"})
"""Reasons for which a chain ends and its calls go on in the next one of its process."""

Record = Opened | Decided | Outcome | Noticed | Checkpoint | Closed
