"""A call that a person approves for good: a rule and its tests, in a policy file of the person's own.

    own policy + ticket -> Proposal (shown as a diff) -> the person says yes -> both files, evidence

Law of this file: nothing is written that does not load with the other policies, that changes what stands
there, or whose tests do not show what it was made for; and nothing without evidence before.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from mcpguard.authoring.suggest.appending import with_item
from mcpguard.authoring.suggest.rules import (
    SuggestError,
    case_text,
    constant,
    rule_id,
    rule_text,
    shown_arguments,
)
from mcpguard.authoring.tests.cases import PolicyTests
from mcpguard.authoring.tests.rehearsal import rehearse
from mcpguard.config.policies import present, read_document
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import PolicyError
from mcpguard.core.model import Json
from mcpguard.core.policy.compiled import CompiledPolicy, PolicySet, compile_policy
from mcpguard.core.policy.tickets import Ticket, arguments_digest, no_argument
from mcpguard.core.policy.written import Policy
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.core.redaction.redactor import Redactor

if TYPE_CHECKING:
    from mcpguard.config.loading import Config

PATIENCE, PAUSE = 5.0, 0.02
"""How long whoever writes waits for another who does, in seconds."""

_UNSET = (
    "there is no policy file of your own to write to: add `approvals: {{policy: my-approvals.yaml}}` to {}"
)
_NOT_ALONE = (
    "even with this rule the call would not be allowed, since another rule sets its arguments, reads the "
    "session or what the server declares: write the rule yourself"
)
_BY_HAND = "{} is not laid out so that a rule can be added at its end; add it yourself:\n\n{}"


class OwnPolicy(Struct, frozen=True):
    """The person's own policy file and its tests, as they are now ("" where there is none), beside the
    `others` that are in force. `files` are these as a file of tests names them, by the policy's name, and
    `entries` the same with their params, as YAML."""

    path: Path
    text: str
    tests: Path
    tests_text: str
    others: tuple[CompiledPolicy, ...]
    files: dict[str, str]
    entries: dict[str, str]

    @property
    def name(self) -> str:
        """What the policy is called."""
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", self.path.stem).lstrip("-._")[:64]
        return stem or "my-approvals"


class Proposal(Struct, frozen=True):
    """What would be written: the whole text of both files, and what changes in them as a unified diff."""

    rule: str
    policy_text: str
    tests_text: str
    diff: str


def own_policy(config: Config) -> OwnPolicy:
    """Raises SuggestError where the configuration names none, PolicyError where a policy does not load."""
    path = config.own_policy
    if path is None:
        raise SuggestError(_UNSET.format(config.path))
    tests = path.with_name(f"{path.stem}_test{path.suffix or '.yaml'}")
    others: list[CompiledPolicy] = []
    files: dict[str, str] = {}
    entries: dict[str, str] = {}
    for file in present(config.policies):
        if file.path == path:
            continue
        compiled = file.load(OPT_IN)
        others.append(compiled)
        name, where = compiled.policy.policy, os.path.relpath(file.path, tests.parent)
        files[name] = where
        entries[name] = constant({"file": where, "params": file.params} if file.params else where)
    return OwnPolicy(path, _text(path), tests, _text(tests), tuple(others), files, entries)


def _text(path: Path) -> str:
    return read_document(path, PolicyError) if os.path.lexists(path) else ""


# --- what would be written -------------------------------------------------------------------------


def proposal(own: OwnPolicy, ticket: Ticket, free: tuple[str, ...] = ()) -> Proposal:
    """The rule that approves the call of `ticket` for good, with any value of the arguments `free`, and its
    tests. Raises SuggestError where it cannot be written so, PolicyError where it does not load."""
    if ticket.method != "tools/call":
        raise SuggestError(f"only calls of tools can be approved for good, not {ticket.method}")
    for name in free:
        if name not in ticket.parts:
            raise SuggestError(no_argument(ticket, name))
    shown = shown_arguments(ticket, free)
    rule = rule_text(ticket, shown, free)
    head = f"# What was approved for good by `mcpguard approve --always`.\nversion: 1\npolicy: {own.name}\n"
    policy_text = with_item(own.text or f"{head}rules:\n", "rules", rule)
    if policy_text is None:
        raise SuggestError(_BY_HAND.format(own.path, "\n".join(rule)))
    policies = _loaded(own, policy_text)
    tests_text = _with_tests(own, ticket, policies, shown, free)
    return Proposal(rule_id(ticket), policy_text, tests_text, _diff(own, policy_text, tests_text))


def _loaded(own: OwnPolicy, text: str) -> PolicySet:
    """The policies with `text` in the place of the own one, which may have one rule more and no other
    change."""
    compiled = compile_policy(text, str(own.path), OPT_IN)
    if own.text:
        before = Document(own.text, str(own.path), PolicyError).read(Policy)
        same = compiled.policy.model_copy(update={"rules": compiled.policy.rules[:-1]})
        if same != before:
            raise SuggestError(f"{own.path} is not laid out so that a rule can be added at its end")
    return PolicySet([*own.others, compiled])


def _with_tests(
    own: OwnPolicy, ticket: Ticket, policies: PolicySet, shown: dict[str, Json], free: tuple[str, ...]
) -> str:
    what = f"{ticket.target} as approved with ticket {ticket.id}"
    allowed = case_text(ticket, f"{what} is allowed", shown, "allow", ticket.agent)
    if _outcome(policies, allowed, shown) != "allow":
        raise SuggestError(_NOT_ALONE)
    cases = [allowed]
    for name, args, agent in _changed(ticket, shown, free):
        case = case_text(ticket, f"{what}, but {name}, is asked about", args, "ask", agent)
        if _outcome(policies, case, args) == "ask":
            cases.append(case)
            break
    return _appended(own, ticket, cases)


def _changed(
    ticket: Ticket, shown: dict[str, Json], free: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, Json], str | None]]:
    """Calls that the rule is not about: what is different, the arguments, the agent."""
    for name, value in shown.items():
        if name not in free:
            yield f"with another {name}", {**shown, name: _other(value)}, ticket.agent
    yield "with one more argument", {**shown, "another_argument": "x"}, ticket.agent
    yield "by another agent", shown, f"{ticket.agent or ''}-other"


def _other(value: Json) -> Json:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return f"{value}-other"
    return value + 1 if isinstance(value, int | float) else "other"


def _outcome(policies: PolicySet, case: list[str], args: dict[str, Json]) -> str:
    text = "\n".join(["version: 1", "policies: [x]", "tests:", *(f"  {line}" for line in case)])
    (one,) = Document(text, "the new test", PolicyError).read(PolicyTests).tests
    if arguments_digest(one.call.args) != arguments_digest(args):
        raise SuggestError("a test cannot hold these arguments: write the rule yourself")
    return rehearse(policies, one, Redactor(os.urandom(32))).outcome.effect


def _appended(own: OwnPolicy, ticket: Ticket, cases: list[list[str]]) -> str:
    head = ["# Tests of what was approved for good.", "version: 1", "policies:"]
    head += [f"  - {entry}" for entry in (*own.entries.values(), constant(own.path.name))]
    before = _tests(own, own.tests_text) if own.tests_text else None
    text: str | None = own.tests_text or "\n".join([*head, "tests:", ""])
    if before is not None:
        listed = {one if isinstance(one, str) else one.file for one in before.policies}
        # Policies that came since the file was made.
        for name in sorted({name.partition("/")[0] for name in ticket.rules} & own.entries.keys()):
            if text is not None and own.files[name] not in listed:
                text = with_item(text, "policies", [f"- {own.entries[name]}"])
    for case in cases:
        text = None if text is None else with_item(text, "tests", case)
    if text is not None:
        tests = _tests(own, text)
        known = () if before is None else before.tests
        if tests.tests[: len(known)] == known and len(tests.tests) == len(known) + len(cases):
            return text
    raise SuggestError(f"{own.tests} is not laid out so that a test can be added at its end")


def _tests(own: OwnPolicy, text: str) -> PolicyTests:
    return Document(text, str(own.tests), PolicyError).read(PolicyTests)


def _diff(own: OwnPolicy, policy_text: str, tests_text: str) -> str:
    pairs = [(own.path.name, own.text, policy_text), (own.tests.name, own.tests_text, tests_text)]
    found: list[str] = []
    for name, before, after in pairs:
        old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
        found += unified_diff(old, new, name if before else "/dev/null", name)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in found)


# --- writing it ------------------------------------------------------------------------------------


def apply(config: Config, ticket: Ticket, free: tuple[str, ...], by: str) -> Proposal:
    """Write the rule that approves the call of `ticket` for good, and its tests, for `by` ("SOURCE:ID"). What
    others wrote in the meantime stays. Raises SuggestError and PolicyError as `proposal`, AuditError where no
    evidence can be left; then nothing is written."""
    from mcpguard.adapters.system.files import write_whole
    from mcpguard.serve.interventions import note_of

    with _alone(config):
        own = own_policy(config)
        made = proposal(own, ticket, free)
        digest = sha256(made.policy_text.encode()).hexdigest()
        what = f"rule {own.name}/{made.rule} by {by} for ticket {ticket.id} of {ticket.principal}"
        note_of(config, "approval-standing", f"{what}; sha256 of {own.path.name}: {digest}")
        try:
            # The tests first: a rule that no test knows is what nobody looks at again.
            write_whole(own.tests, made.tests_text.encode())
            write_whole(own.path, made.policy_text.encode())
        except OSError as problem:
            note_of(config, "approval-void", f"rule {own.name}/{made.rule}: {problem.strerror}")
            raise SuggestError(f"{own.path} cannot be written: {problem.strerror}") from None
    return made


@contextmanager
def _alone(config: Config) -> Iterator[None]:
    from mcpguard.adapters.store.sqlite import default_folder
    from mcpguard.adapters.system.files import take_lock

    folder = config.session_folder or default_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = take_lock(folder / "own-policy.lock", PATIENCE, PAUSE)
    except OSError as problem:
        said = f"another is writing to your policy file, or it cannot be: {problem.strerror}"
        raise SuggestError(said) from None
    try:
        yield
    finally:
        os.close(held)
