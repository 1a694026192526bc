"""Tests of policies as written (`*_test.yaml`, format version 1), and what can be wrong in one.

Law of this file: a case that could pass without proving anything (a key that nobody reads, a name that does
not exist, no expectation at all) is a mistake at its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, structs

from mcpguard.core.document.reading import Document, Path
from mcpguard.core.errors import PolicyError, Problem
from mcpguard.core.policy.written import ACTIONS
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

_WITHOUT_TARGET = ACTIONS - {method for methods in _USES.values() for method in methods}


class CallEntry(Struct, frozen=True):
    """A request. Exactly one of `tool`, `prompt` and `resource` is its target; requests without a target
    have `action` alone (`elicitation/create` and so on)."""

    server: str
    """The name of the server in the configuration."""
    tool: str | None = None
    """The name of a tool, as the server itself calls it."""
    prompt: str | None = None
    """The name of a prompt."""
    resource: str | None = None
    """The URI of a resource; with `completion/complete` that of a template."""
    action: str | None = None
    """The method, if the target does not imply it; the default is tools/call, prompts/get or
    resources/read."""
    args: dict[str, Any] = {}
    """What conditions see as `args`; for a resource, `uri` is added automatically."""
    annotations: dict[str, Any] = {}
    """What the server declares about it: `tool.annotations` in conditions."""
    title: str = ""
    """As `annotations`."""
    description: str = ""
    """As `annotations`."""


class WhoEntry(Struct, frozen=True):
    """Who calls: `principal` in conditions."""

    id: str = "tester"
    """Unique within `source`."""
    source: str = "os-user"
    """Who vouches for it."""
    groups: tuple[str, ...] = ()
    """As in a verified token."""
    claims: dict[str, Any] = {}
    """As in a verified token."""


class ClientEntry(Struct, frozen=True):
    """What the client says about itself: `client.claims` in conditions."""

    name: str = ""
    """Its name."""
    version: str = ""
    """Its version."""


class StepEntry(Struct, frozen=True):
    """A call that was made before in the same session. The policies must allow it."""

    call: CallEntry
    """The request."""
    result: dict[str, Any] | None = None
    """What came back, raw. If omitted, nothing is reviewed."""
    times: int = 1
    """How often in a row."""


class SessionEntry(Struct, frozen=True):
    """The state of the session as such: `session` in conditions."""

    labels: tuple[str, ...] = ()
    """Its labels."""
    facts: tuple[str, ...] = ()
    """Its facts."""
    calls: int = 0
    """How many calls were made."""
    tools: dict[str, int] = {}
    """How many of them by `SERVER/TOOL`."""


class Expect(Struct, frozen=True):
    """What is expected. Only the keys that are given are compared."""

    effect: Outcomes | None = None
    """`allow`, `ask` or `deny` for the call; `withhold` if its result must not leave."""
    rules: tuple[str, ...] | None = None
    """All rules that decided, as `POLICY/RULE`, in any order: on the call, and on the result if there is
    one."""
    cause: Literal["rule", "no-rule", "error", "approval", "limit"] | None = None
    """The cause of the refusal."""
    message: str | None = None
    """A part of the message that the model gets."""
    redact: tuple[str, ...] | None = None
    """All kinds that rules redact, in any order."""
    labels: tuple[str, ...] | None = None
    """All labels that the call and its result add."""
    facts: tuple[str, ...] | None = None
    """All facts that the call and its result add."""
    arguments: dict[str, Any] | None = None
    """The arguments that are sent, all of them."""
    credential: str | None = None
    """The credential that rules choose."""
    output: dict[str, Any] | None = None
    """The result as it is sent to the client."""
    shadow: str | None = None
    """What rules in shadow mode would have done: `EFFECT RULE …`, empty if nothing else."""


class Case(Struct, frozen=True):
    """One test."""

    name: str
    """A sentence that says what must be true; unique in the file."""
    call: CallEntry
    """The request that is decided."""
    expect: Outcomes | Expect
    """What is expected; an effect by itself is short for `{effect: …}`."""
    principal: WhoEntry = WhoEntry()
    """Who calls."""
    agent: str = ""
    """The label of the agent, from the configuration."""
    client: ClientEntry = ClientEntry()
    """What the client says about itself."""
    now: str = "2026-01-01T00:00:00Z"
    """The time of all requests (RFC 3339)."""
    after: tuple[StepEntry, ...] = ()
    """The session so far, as calls in their order."""
    session: SessionEntry | None = None
    """The session so far, as its state; instead of `after`."""
    result: dict[str, Any] | None = None
    """What the server answers, raw: it is inspected and reviewed. `{error: …}` for an error."""
    findings: tuple[str, ...] = ()
    """Kinds of secrets that count as found in the result, in addition to those that are found."""

    @property
    def expected(self) -> Expect:
        """`expect` in its long form."""
        return self.expect if isinstance(self.expect, Expect) else Expect(effect=self.expect)

    @property
    def time(self) -> datetime:
        """`now` as a time."""
        return datetime.fromisoformat(self.now)


class PolicyTests(Struct, frozen=True):
    """One file of tests."""

    version: Literal[1]
    """The version of this format."""
    policies: tuple[str, ...]
    """The policy files that are in force, relative to this file."""
    tests: tuple[Case, ...]
    """At least one."""


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


def read_tests(text: str, source: str) -> tuple[Document, PolicyTests]:
    """The tests in the YAML `text`, called `source` in messages, and where each part of them stands.
    Raises PolicyError with all mistakes."""
    document = Document(text, source, PolicyError)
    tests = document.read(PolicyTests)
    problems = list(_file_problems(document, tests))
    for index, case in enumerate(tests.tests):
        problems += _case_problems(document, ("tests", index), case)
    if problems:
        document.fail(problems)
    return document, tests


def _file_problems(document: Document, tests: PolicyTests) -> Iterator[Problem]:
    for key in ("policies", "tests"):
        if not getattr(tests, key):
            yield document.problem((key,), f"`{key}` must not be empty")
    seen: set[str] = set()
    for index, case in enumerate(tests.tests):
        at = ("tests", index, "name")
        if not case.name.strip():
            yield document.problem(at, "a test needs a name: a sentence that says what must be true")
        elif case.name in seen:
            yield document.problem(at, "another test of this file has this name")
        seen.add(case.name)


def _case_problems(document: Document, at: Path, case: Case) -> Iterator[Problem]:
    yield from _call_problems(document, (*at, "call"), case.call)
    for index, step in enumerate(case.after):
        yield from _call_problems(document, (*at, "after", index, "call"), step.call)
        if not 0 < step.times <= MAX_TIMES:
            yield document.problem((*at, "after", index, "times"), f"`times` is 1 to {MAX_TIMES}")
    if case.after and case.session is not None:
        said = "`session` and `after` both set the state of the session: use one of them"
        yield document.problem((*at, "session"), said)
    if not _is_time(case.now):
        yield document.problem((*at, "now"), "write a time as 2026-01-31T12:00:00Z")
    for index, kind in enumerate(case.findings):
        if kind not in KINDS and not kind.startswith("credential:"):
            choices = ", ".join(sorted(KINDS))
            yield document.problem((*at, "findings", index), f"unknown kind; the known kinds are {choices}")
    yield from _expect_problems(document, at, case)


def _expect_problems(document: Document, at: Path, case: Case) -> Iterator[Problem]:
    expected = case.expected
    if all(value is None for value in structs.asdict(expected).values()):
        yield document.problem((*at, "expect"), "nothing is expected, so nothing is tested")
    if case.result is not None:
        return
    if expected.effect == "withhold" or expected.output is not None:
        said = "this is about a result: add a `result` to the test"
        yield document.problem((*at, "expect"), said)
    if case.findings:
        yield document.problem((*at, "findings"), "findings come from a result: add a `result` to the test")


def _call_problems(document: Document, at: Path, call: CallEntry) -> Iterator[Problem]:
    given = [kind for kind in _USES if getattr(call, kind) is not None]
    if len(given) > 1:
        yield document.problem(at, f"a call has one target, not {' and '.join(given)}")
    elif not given and call.action is None:
        yield document.problem(at, "name what is called: `tool`, `prompt`, `resource` or `action`")
    else:
        methods = _USES[given[0]] if given else sorted(_WITHOUT_TARGET)
        if call.action is not None and call.action not in methods:
            beside = f"with `{given[0]}`" if given else "without a target"
            said = f"the action {beside} is {', '.join(methods)}"
            yield document.problem((*at, "action"), said)


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
