"""Tests of policies as written (`*_test.yaml`, format version 1), and what can be wrong in one.

Law of this file: a case that could pass without proving anything (a key that nobody reads, a name that does
not exist, no expectation at all) is a mistake at its place.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mcpguard.config.file import PolicyRef
from mcpguard.core.document.constraints import Constraint, Mistake, between, filled
from mcpguard.core.document.written import Items, TextOr, Written, whole
from mcpguard.core.errors import did_you_mean
from mcpguard.core.policy.terms import ACTIONS, Channel, window_of
from mcpguard.core.redaction.detectors import KINDS

Outcomes = Literal["allow", "ask", "deny", "withhold"]

MAX_TIMES = 10_000
"""How often one call of `after` may be made."""

_USES: dict[str, tuple[str, ...]] = {
    "tool": ("tools/call",),
    "prompt": ("prompts/get", "completion/complete"),
    "resource": ("resources/read", "resources/subscribe", "completion/complete"),
}
"""The methods that use each kind of target, the default first."""


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _wrong_kind(kind: str) -> str:
    if kind in KINDS or kind.startswith("credential:"):
        return ""
    return f"unknown kind; {did_you_mean(kind, KINDS) or '`mcpguard help detectors` lists the known ones'}"


_A_TIME = Constraint(
    lambda text: "" if _is_time(text) else "write a time as 2026-01-31T12:00:00Z", format="date-time"
)
_A_NAME = Constraint(
    lambda text: "" if text.strip() else "a test needs a name: a sentence that says what must be true"
)
_WITHOUT_TARGET = ACTIONS - {method for methods in _USES.values() for method in methods}


class CallEntry(Written):
    """A request. Exactly one of `tool`, `prompt` and `resource` is its target; requests without a target
    have `action` alone (`elicitation/create` and so on)."""

    server: str = Field(description="The name of the server in the configuration.")
    tool: str | None = Field(None, description="The name of a tool, as the server itself calls it.")
    prompt: str | None = Field(None, description="The name of a prompt.")
    resource: str | None = Field(
        None, description="The URI of a resource; with `completion/complete` that of a template."
    )
    action: str | None = Field(
        None,
        description="The method, if the target does not imply it; the default is tools/call, prompts/get or "
        "resources/read.",
    )
    args: dict[str, Any] = Field(
        {}, description="What conditions see as `args`; for a resource, `uri` is added automatically."
    )
    annotations: dict[str, Any] = Field(
        {}, description="What the server declares about it: `tool.annotations` in conditions."
    )
    inputSchema: dict[str, Any] = Field({}, description="As `annotations`.")
    outputSchema: dict[str, Any] = Field({}, description="As `annotations`.")
    title: str = Field("", description="As `annotations`.")
    description: str = Field("", description="As `annotations`.")

    def mistakes(self) -> Iterator[Mistake]:
        given = [kind for kind in _USES if getattr(self, kind) is not None]
        if len(given) > 1:
            yield (), f"a call has one target, not {' and '.join(given)}"
        elif not given and self.action is None:
            yield (), "name what is called: `tool`, `prompt`, `resource` or `action`"
        else:
            methods = _USES[given[0]] if given else sorted(_WITHOUT_TARGET)
            if self.action is not None and self.action not in methods:
                beside = f"with `{given[0]}`" if given else "without a target"
                yield ("action",), f"the action {beside} is {', '.join(methods)}"


def _wrong_time(text: str) -> str:
    return "" if not text or window_of(text) else "a time is a number with s, m or h, or empty"


class WhoEntry(Written):
    """Who calls: `principal` in conditions."""

    id: str = Field("tester", description="Unique within `source`.")
    source: str = Field("os-user", description="Who vouches for it.")
    groups: Items[str] = Field((), description="As in a verified token.")
    claims: dict[str, Any] = Field({}, description="As in a verified token.")


class ClientEntry(Written):
    """What the client says about itself: `client.claims` in conditions."""

    name: str = Field("", description="Its name.")
    version: str = Field("", description="Its version.")


class StepEntry(Written):
    """A call that was made before in the same session. The policies must allow it."""

    call: CallEntry = Field(description="The request.")
    result: dict[str, Any] | None = Field(
        None, description="What came back, raw. If omitted, nothing is reviewed."
    )
    times: Annotated[int, between(1, MAX_TIMES)] = Field(1, description="How often in a row.")


class SessionState(Written):
    """The state of the session as such: `session` in conditions."""

    labels: Items[str] = Field((), description="Its labels.")
    facts: Items[str] = Field((), description="Its facts.")
    calls: int = Field(0, description="How many calls were made.")
    tools: dict[str, int] = Field({}, description="How many of them by `SERVER/TOOL`.")


class Expect(Written):
    """What is expected. Only the keys that are given are compared."""

    effect: Outcomes | None = Field(
        None, description="`allow`, `ask` or `deny` for the call; `withhold` if its result must not leave."
    )
    rules: Items[str] | None = Field(
        None,
        description="All rules that decided, as `POLICY/RULE`, in any order: on the call, and on the result "
        "if there is one.",
    )
    cause: Literal["rule", "no-rule", "arguments", "error", "approval", "limit", "placeholder"] | None = (
        Field(None, description="The cause of the refusal.")
    )
    via: Items[Channel] | None = Field(
        None, description="All channels by which a call that is asked about can be approved, in any order."
    )
    timeout: Annotated[str, Constraint(_wrong_time)] | None = Field(
        None,
        description="How long such a call can be approved, as in `ask.timeout`; empty for the default of the "
        "configuration.",
    )
    message: str | None = Field(None, description="A part of the message that the model gets.")
    redact: Items[str] | None = Field(None, description="All kinds that rules redact, in any order.")
    unredacted: Items[str] | None = Field(
        None, description="All that rules let stay in the result, as `KIND` or `KIND PATH`, in any order."
    )
    spotlight: bool | None = Field(
        None, description="Whether the texts of the result are marked. `output` is without the markers."
    )
    labels: Items[str] | None = Field(None, description="All labels that the call and its result add.")
    facts: Items[str] | None = Field(None, description="All facts that the call and its result add.")
    arguments: dict[str, Any] | None = Field(None, description="The arguments that are sent, all of them.")
    credential: str | None = Field(None, description="The credential that rules choose.")
    output: dict[str, Any] | None = Field(None, description="The result as it is sent to the client.")
    shadow: str | None = Field(
        None, description="What rules in shadow mode would have done: `EFFECT RULE …`, empty if nothing else."
    )

    def mistakes(self) -> Iterator[Mistake]:
        if all(getattr(self, key) is None for key in type(self).model_fields):
            yield (), "nothing is expected, so nothing is tested"


class Case(Written):
    """One test."""

    name: Annotated[str, _A_NAME] = Field(
        description="A sentence that says what must be true; unique in the file."
    )
    call: CallEntry = Field(description="The request that is decided.")
    expect: TextOr[Outcomes, Expect] = Field(
        description="What is expected; an effect by itself is short for `{effect: …}`."
    )
    principal: WhoEntry = Field(default_factory=WhoEntry, description="Who calls.")
    agent: str = Field("", description="The label of the agent, from the configuration.")
    client: ClientEntry = Field(default_factory=ClientEntry, description="The client's claims about itself.")
    now: Annotated[str, _A_TIME] = Field(
        "2026-01-01T00:00:00Z", description="The time of all requests (RFC 3339)."
    )
    after: Items[StepEntry] = Field((), description="The session so far, as calls in their order.")
    session: SessionState | None = Field(
        None, description="The session so far, as its state; instead of `after`."
    )
    result: dict[str, Any] | None = Field(
        None,
        description="What the server answers, raw: it is inspected and reviewed. `{error: …}` for an error.",
    )
    findings: Items[Annotated[str, Constraint(_wrong_kind)]] = Field(
        (),
        description="Kinds of secrets that count as found in the result, in addition to those that are "
        "found.",
    )

    @property
    def expected(self) -> Expect:
        """`expect` in its long form."""
        return self.expect if isinstance(self.expect, Expect) else Expect(effect=self.expect)

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.now)

    def mistakes(self) -> Iterator[Mistake]:
        if self.after and self.session is not None:
            yield ("session",), "`session` and `after` both set the state of the session: use one of them"
        if self.result is not None:
            return
        if self.expected.effect == "withhold" or self.expected.output is not None:
            yield ("expect",), "this is about a result: add a `result` to the test"
        if self.findings:
            yield ("findings",), "findings come from a result: add a `result` to the test"


class PolicyTests(Written):
    """One file of tests."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "params": "values stand with their policy: `policies: [{file: git.yaml, params: {…}}]`"
    }

    version: Annotated[Literal[1], whole("1")] = Field(description="The version of this format.")
    policies: Annotated[Items[PolicyRef], filled("`policies` must not be empty", minItems=1)] = Field(
        description="The policy files that are in force, relative to this file; `{file: …, params: {…}}` "
        "where a policy has params."
    )
    tests: Annotated[Items[Case], filled("`tests` must not be empty", minItems=1)] = Field(
        description="At least one."
    )

    def mistakes(self) -> Iterator[Mistake]:
        seen: set[str] = set()
        for index, case in enumerate(self.tests):
            if case.name in seen:
                yield ("tests", index, "name"), "another test of this file has this name"
            seen.add(case.name)


def method_of(call: CallEntry) -> str:
    """The method of a request, given or by its target."""
    kind, _ = target_of(call)
    return call.action or _USES[kind][0]


def target_of(call: CallEntry) -> tuple[str, str]:
    """The kind and the name of what a request is for, empty for none."""
    for kind in _USES:
        name = getattr(call, kind)
        if name is not None:
            return kind, name
    return "", ""
