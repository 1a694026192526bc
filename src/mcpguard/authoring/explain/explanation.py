"""What an explanation says: the form of `mcpguard explain --json`.

Law of this file: nothing in it is a value of an argument or of a result. Conditions, names of rules and
messages are the author's text, for the operator.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from mcpguard.core.policy.written import Effect

Outcome = Literal["held", "did not hold", "could not be evaluated", "ended"]


Must = Literal["hold", "not hold", "have room", "be approved", "agree", "be written"]


class Operand(Struct, frozen=True, omit_defaults=True):
    """A condition or a part of it under &&, ||, ! and ?:."""

    text: str
    """As written in the condition."""
    depth: int
    """How many operands enclose it."""
    value: Literal["true", "false", "error"]
    """What it evaluated to on its own."""
    reason: str = ""
    """Why: which members are there, and of which type; never their values."""


class Considered(Struct, frozen=True, omit_defaults=True):
    """A rule that applies to such a request."""

    rule: str
    """`POLICY/ID`."""
    effect: Effect
    """Of the rule."""
    outcome: Outcome
    """What its condition evaluated to; `ended`: its policy has expired."""
    decided: bool
    """Whether it determined the verdict."""
    shadow: bool = False
    """Whether it is in shadow mode: reported, but without effect."""
    operands: tuple[Operand, ...] = ()
    """Its condition, each operand before those inside it; empty without `when`."""


class WantedOperand(Struct, frozen=True, omit_defaults=True):
    """An operand that would have to evaluate to something else."""

    text: str
    """As written in the condition."""
    must_be: bool
    """What it would have to be."""
    reason: str = ""
    """Why it is not."""


class Change(Struct, frozen=True, omit_defaults=True):
    """What would have to be different about one rule for the call to be allowed."""

    rule: str
    """`POLICY/ID`, empty where a rule is missing."""
    must: Must
    """What the rule would have to do; `agree`: with the others that allow the call."""
    operands: tuple[WantedOperand, ...] = ()
    """The fewest operands that would have to evaluate to something else."""
    note: str = ""
    """Further information: that no argument can achieve it, or when a limit has room again."""


class Done(Struct, frozen=True, omit_defaults=True):
    """What is done with a call, or with a result, that goes through."""

    redact: tuple[str, ...] = ()
    """Kinds of personal data that are redacted."""
    labels: tuple[str, ...] = ()
    """Added to the session's labels."""
    facts: tuple[str, ...] = ()
    """Added to the session's facts."""
    arguments: tuple[str, ...] = ()
    """Names of the arguments that rules set."""
    credential: str = ""
    """The name of the credential that is used."""
    limits: tuple[str, ...] = ()
    """What is charged to which limit."""


class Returned(Struct, frozen=True, omit_defaults=True):
    """The second decision, on a result."""

    effect: Literal["allow", "withhold"]
    """What happens to the result."""
    why: str
    """A sentence."""
    rules: tuple[str, ...] = ()
    """The rules that contributed to the decision."""
    message: str = ""
    """The message that the model gets."""
    findings: tuple[str, ...] = ()
    """Kinds of secrets and personal data that had been redacted before."""
    candidates: tuple[Considered, ...] = ()
    """The rules with `on: result` that apply to it."""
    done: Done = Done()
    """What is done with it."""
    shadow: str = ""
    """What rules in shadow mode would have done otherwise."""


class Explanation(Struct, frozen=True, omit_defaults=True):
    """Why a request is allowed or denied."""

    effect: Effect
    """The verdict."""
    why: str
    """The reason for this verdict, as a sentence."""
    rules: tuple[str, ...] = ()
    """The rules that decided."""
    cause: str = ""
    """Of a refusal: rule, no-rule, error, approval or limit."""
    message: str = ""
    """The message that the model gets."""
    listed: bool = True
    """Whether lists show what the request is for; what they do not show is refused as if it did not exist."""
    candidates: tuple[Considered, ...] = ()
    """The rules that apply to such a request: deny, then ask, then allow."""
    done: Done = Done()
    """What is done with the call."""
    changes: tuple[Change, ...] = ()
    """The smallest change that would have allowed it: all of these."""
    shadow: str = ""
    """What rules in shadow mode would have done otherwise."""
    result: Returned | None = None
    """The decision on the result that was given."""


class Recorded(Struct, frozen=True, omit_defaults=True):
    """A recorded call; unless stated otherwise, the fields are those of the decision record."""

    id: str
    """Of the invocation."""
    at: str
    """When."""
    principal: str
    """`SOURCE:ID` of who asked."""
    method: str
    """The MCP method."""
    effect: str
    """`allow` or `deny`."""
    same_policies: bool
    """Whether the policies in force then are the current ones, by their digest."""
    server: str = ""
    """The upstream."""
    tool: str = ""
    """The tool."""
    subject: str = ""
    """The prompt or the URI."""
    agent: str | None = None
    """The agent."""
    cause: str = ""
    """Why it was refused."""
    rules: tuple[str, ...] = ()
    """The rules that decided then."""
    outcome: str = ""
    """The status of its outcome, empty where there is none."""
    altered: str = ""
    """Where the file with its record was altered, as `mcpguard audit verify` says; empty where it was not."""
    notes: tuple[str, ...] = ()
    """What was not recorded, and how to supply it."""
    explanation: Explanation | None = None
    """How it would be decided now, if the arguments are known."""
