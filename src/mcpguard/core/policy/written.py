"""A policy as its author writes it (format version 1). `compiled.py` makes rules in force out of it.

Law of this file: it only describes; what a key does is decided in `pdp.py` and `review.py`.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

Effect = Literal["allow", "ask", "deny"]
Moment = Literal["call", "result"]
Mode = Literal["enforce", "shadow"]

EXTENSION = "extension"
"""The action of each method of an extension that a server's configuration declares."""

ANY_ACTION = "*"
"""In a rule: every action."""

ACTIONS = frozenset(
    {
        "tools/call",
        "resources/read",
        "resources/subscribe",
        "prompts/get",
        "completion/complete",
        "tasks/get",
        "tasks/result",
        "tasks/update",
        "tasks/cancel",
        "sampling/createMessage",
        "elicitation/create",
        "roots/list",
        EXTENSION,
    }
)
"""What a rule can decide: the DECIDED rows of `protocol/methods.py` (a test compares), by method."""

ASKED = frozenset({"sampling/createMessage", "elicitation/create", "roots/list"})
"""Actions whose answer is the client's, so that no result of an upstream comes back."""


class Limit(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much a rule allows in a window of time: exactly one of `calls`, `bytes` and `units`.

    It is counted for each principal and agent, whatever connection they use, and never exceeded. A window
    slides, and outlasts the session; it may hold a use back for up to 1/60 of its length more.
    """

    per: str
    """The window: a number and `s`, `m`, `h` or `d` (at most 31 days), or `session`."""
    calls: int | None = None
    """So many calls."""
    bytes: int | None = None
    """So many bytes of results. The call that would exceed it is made, and its result is withheld."""
    units: int | None = None
    """So many units, each call costing `cost`."""
    cost: int | str = 1
    """What a call costs in `units`: a whole number, or an argument that holds one, such as `args.amount`."""


OBLIGATIONS = ("redact", "label", "fact", "limit", "argument", "credential")
"""The keys of a rule with what it does besides having its effect."""


class Rule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule as written. `server` and `tools` are globs (`*`, `?`, `[seq]`; case counts), left out
    they match all; `tools` are the upstream's own names; `redact` are kinds of detectors."""

    id: str
    """Its name, unique in the policy; records and refusals call it `POLICY/ID`."""
    effect: Effect
    """Deny overrides ask overrides allow; where no rule holds, the call is refused."""
    server: str | tuple[str, ...] = "*"
    """Globs of server names."""
    tools: tuple[str, ...] | None = None
    """Globs of tool names, as the upstream itself calls them."""
    action: tuple[str, ...] = ("tools/call",)
    """The methods that the rule speaks of; `*` is all of them, `extension` those that a server's
    configuration declares."""
    when: str | None = None
    """A CEL condition, which must be a boolean. Left out: the rule always holds."""
    on: Moment = "call"
    """`call`: the request is decided. `result`: what came back is: `deny` withholds it, `allow` lets it
    through with what the rule adds (`redact`, `label`, `fact`); without any such rule it goes through."""
    mode: Mode = "enforce"
    """`shadow`: the rule changes nothing; the evidence says what it would have done."""
    redact: tuple[str, ...] = ()
    """Kinds of personal data to take out of whatever leaves because of a call that this rule allows: its
    result, its progress, log messages and questions meanwhile, its task."""
    label: tuple[str, ...] = ()
    """Added to `session.labels` when the rule holds, also when its condition cannot be evaluated: for
    what later rules deny."""
    fact: tuple[str, ...] = ()
    """Added to `session.facts` when the rule holds, and only then: for what later rules allow."""
    limit: Limit | None = None
    """How much the rule allows. Beyond it the call is refused."""
    argument: dict[str, Any] = {}
    """Arguments that the call is made with, whatever the client gave for them. The call is decided with
    them in place. A text may hold `{{secret:NAME}}`, which is filled in when the call leaves."""
    credential: str = ""
    """The name of the credential to make this call with, an entry of `credentials` in the configuration. Its
    `env` or `headers` take the place of the server's own; where it cannot be had, the call is refused."""
    message: str = ""
    """What the model is told when this rule refuses."""


class Policy(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One policy file as written (format version 1)."""

    version: Literal[1]
    """The version of this format."""
    policy: str
    """Its name, unique among the policies of a configuration."""
    rules: tuple[Rule, ...]
    """At least one."""
    owner: str = ""
    """Who answers for it; for readers."""
    description: str = ""
    """What it is for; for readers."""
    mode: Mode = "enforce"
    """`shadow`: none of its rules changes anything, as with a rule's `mode`."""
    expires: str | None = None
    """The last day on which its `allow` rules allow, limit, set arguments and state facts (`YYYY-MM-DD`,
    UTC). What they redact and label goes on being redacted and labelled where others allow. The other rules
    go on."""
