"""The policy file of a person's own, and what is added to it: the text of rules, each made of one call that a
person was shown, with its tests.

    own policy + drafts -> Proposal (shown as a diff) -> the person says yes -> both files, evidence

Law of this file: nothing is written that does not load with the other policies or changes what stands there;
and nothing without evidence before. A value stands in a condition only if the person saw it whole, and what
is written means exactly the call: each argument is fixed, or is there with any value, and there is no other.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import unified_diff
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from mcpguard.adapters.store import default_folder
from mcpguard.adapters.system.files import take_lock, write_whole
from mcpguard.adapters.system.own_process import operating_system_user
from mcpguard.authoring.tests.cases import PolicyTests
from mcpguard.authoring.tests.rehearsal import rehearse
from mcpguard.config.loading import Config
from mcpguard.config.policies import SIZE_LIMIT, present, read_document
from mcpguard.config.terms import OWN_POLICY
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import McpGuardError, PolicyError, Problem
from mcpguard.core.evidence.changes import ANSWER_VOID, void_of
from mcpguard.core.model import Json
from mcpguard.core.policy.compiled import CompiledPolicy, PolicySet, compile_policy
from mcpguard.core.policy.session import who_began
from mcpguard.core.policy.terms import RESERVED
from mcpguard.core.policy.tickets import Ticket, arguments_digest
from mcpguard.core.policy.written import Policy
from mcpguard.core.redaction.detectors import OPT_IN
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.serve.interventions import note_of

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NO_ID = re.compile(r"[^A-Za-z0-9._-]+")
_GLOB = re.compile(r"[*?\[]")


class SuggestError(McpGuardError):
    """A rule that cannot be written for the person. The sentence says why, and what to do."""


def constant(value: Json) -> str:
    """`value` as a constant of CEL, which YAML reads too where it is a text; what cannot be seen is
    escaped."""
    text = json.dumps(value, ensure_ascii=False)
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def shown_arguments(ticket: Ticket, free: tuple[str, ...]) -> dict[str, Json]:
    """The arguments of the call. Raises SuggestError where one that is not free was not shown as it is."""
    try:
        shown = json.loads(ticket.shown)
    except (ValueError, RecursionError):
        shown = None
    if not isinstance(shown, dict) or shown.keys() != ticket.parts.keys():
        raise SuggestError("the names of the arguments were redacted, so no condition can name them")
    for name in ticket.parts:
        if name not in free and arguments_digest(shown[name]) != ticket.parts[name]:
            raise SuggestError(
                f"the argument {constant(name)} was redacted, so no condition can contain it: leave it open "
                f"(`--any`), or write the rule yourself"
            )
    return shown


def caller_of(ticket: Ticket) -> tuple[str, str]:
    """The source and the id of whoever made the call. Raises SuggestError where its session is not theirs,
    and where another acts for them."""
    if ticket.actor:
        raise SuggestError(
            f"the rule would not name who acts for {ticket.principal}, and so allow others too: approve for "
            "a time, or write one with `principal.claims.act.sub` (`http.token.claims: [act]`)"
        )
    found = who_began(ticket.session, ticket.principal, ticket.agent)
    if found is None:
        raise SuggestError(f"it is not known who made the call of ticket {ticket.id}")
    return found


def rule_id(target: str, end: str) -> str:
    """The id of a rule: what is called, and an `end` that no other rule has (the number of a ticket)."""
    return f"{_NO_ID.sub('-', target).strip('-._')[:40] or 'call'}-{end}"


def glob_of(name: str) -> str:
    """The glob that matches this name alone."""
    return _GLOB.sub(r"[\g<0>]", name)


def rule_text(ticket: Ticket, shown: dict[str, Json], free: tuple[str, ...]) -> list[str]:
    """The lines of the rule, without indentation."""
    lines = [
        f"- id: {rule_id(ticket.target, ticket.id)}",
        "  effect: allow",
        f"  server: {constant(ticket.server)}",
    ]
    lines.append(f"  tools: [{constant(glob_of(ticket.target))}]")
    lines.append(f"  approves: [{', '.join(ticket.rules)}]")
    source, who = caller_of(ticket)
    clauses = [
        f"principal.source == {constant(source)} && principal.id == {constant(who)}",
        f"client.agent == {constant(ticket.agent or '')}",
        f"size(args) == {len(shown)}",
    ]
    for name, value in shown.items():
        clauses.append(_there(name) if name in free else f"{_member(name)} == {constant(value)}")
    first, *more = clauses
    lines += ["  when: |", f"    {first}", *(f"    && {clause}" for clause in more)]
    return [f"# Asked by {', '.join(ticket.rules)}, approved with ticket {ticket.id}.", *lines]


def _member(name: str) -> str:
    plain = _IDENTIFIER.fullmatch(name) and name not in RESERVED
    return f"args.{name}" if plain else f"args[{constant(name)}]"


def _there(name: str) -> str:
    member = _member(name)
    return f"has({member})" if member.startswith("args.") else f"{constant(name)} in args"


def case_text(ticket: Ticket, name: str, args: dict[str, Json], expect: str, agent: str | None) -> list[str]:
    """The lines of a test, without indentation."""
    call = f"server: {constant(ticket.server)}, tool: {constant(ticket.target)}, args: {constant(args)}"
    return [*call_text(name, caller_of(ticket), agent, call), f"  expect: {expect}"]


def call_text(name: str, caller: tuple[str, str], agent: str | None, call: str) -> list[str]:
    """The lines of a test of `call` by `caller` (source, id), but for what is expected."""
    source, who = caller
    return [
        f"- name: {constant(name)}",
        f"  principal: {{source: {constant(source)}, id: {constant(who)}}}",
        f"  agent: {constant(agent or '')}",
        f"  call: {{{call}}}",
    ]


PATIENCE, PAUSE = 5.0, 0.02
"""How long whoever writes waits for another who does, in seconds."""

_HEAD = "# What was approved for good (`mcpguard approve --always`, `mcpguard suggest`)."
_UNSET = "there is no policy file of your own to write to: add `approvals: {{policy: {}}}` to {}"
_BY_HAND = "{} is not laid out so that a rule can be added at its end; add it yourself:\n\n{}"
_NO_TEST = "{} is not laid out so that a test can be added at its end"


class Draft(Struct, frozen=True):
    """A rule and its tests, each as lines without indentation; `id` is the rule's, `approves` the rules that
    it answers in advance."""

    id: str
    rule: list[str]
    cases: list[list[str]]
    approves: tuple[str, ...] = ()


class OwnPolicy(Struct, frozen=True):
    """The person's own policy file and its tests, as they are now ("" if there is none), beside the
    `others` that are in force; `owner` is who it would belong to. `files` are the others as a file of tests
    names them, by the policy's name, and `entries` the same with their params, as YAML."""

    path: Path
    text: str
    tests: Path
    tests_text: str
    owner: str
    others: tuple[CompiledPolicy, ...]
    files: dict[str, str]
    entries: dict[str, str]

    @property
    def name(self) -> str:
        return _NO_ID.sub("-", self.path.stem).lstrip("-._")[:64] or "my-approvals"


class Proposal(Struct, frozen=True):
    """What would be written: the whole text of both files, and what changes in them as a unified diff; `rule`
    are the ids of the rules."""

    rule: str
    policy_text: str
    tests_text: str
    diff: str


def own_policy(config: Config) -> OwnPolicy:
    """The one that `approvals.policy` names. Raises SuggestError where it names none, PolicyError where a
    policy does not load."""
    if config.own_policy is None:
        raise SuggestError(_UNSET.format(OWN_POLICY, config.path))
    return policy_at(config, config.own_policy)


def policy_at(config: Config, path: Path) -> OwnPolicy:
    """The one at `path`. Raises PolicyError where a policy does not load."""
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
    owner = operating_system_user().id
    return OwnPolicy(path, _text(path), tests, _text(tests), owner, tuple(others), files, entries)


def _text(path: Path) -> str:
    return read_document(path, PolicyError) if os.path.lexists(path) else ""


def drafted(own: OwnPolicy, drafts: list[Draft]) -> Proposal:
    """The drafts in the files. Raises SuggestError where they cannot be added or do not load, PolicyError
    where what is there does not."""
    policy_text, _ = with_rules(own, [draft.rule for draft in drafts])
    tests_text = _with_cases(own, drafts)
    for path, text in ((own.path, policy_text), (own.tests, tests_text)):
        if len(text.encode()) > SIZE_LIMIT:
            raise SuggestError(f"{path} would become larger than {SIZE_LIMIT} bytes, and could not be read")
    ids = ", ".join(draft.id for draft in drafts)
    return Proposal(ids, policy_text, tests_text, _diff(own, policy_text, tests_text))


def with_rules(own: OwnPolicy, rules: list[list[str]]) -> tuple[str, PolicySet]:
    """The text with these rules at its end, and the policies as they would be. Raises SuggestError where
    something else would change or the rules do not load, PolicyError where what is there does not."""
    head = [_HEAD, "version: 1", f"policy: {own.name}", f"owner: {constant(own.owner)}", "rules:", ""]
    text: str | None = own.text or "\n".join(head)
    for rule in rules:
        text = None if text is None else with_item(text, "rules", rule)
    by_hand = _BY_HAND.format(own.path, "\n".join(line for rule in rules for line in rule))
    if text is None:
        raise SuggestError(by_hand)
    try:
        compiled = compile_policy(text, str(own.path), OPT_IN)
        policies = PolicySet([*own.others, compiled])
    except PolicyError as error:
        if all(_is_written(own, one) for one in error.problems):
            raise
        raise SuggestError("; ".join(one.message for one in error.problems)) from None
    if own.text:
        before = Document(own.text, str(own.path), PolicyError).read(Policy)
        kept = compiled.policy.rules[: -len(rules)]
        if compiled.policy.model_copy(update={"rules": kept}) != before:
            raise SuggestError(by_hand)
    return text, policies


def _is_written(own: OwnPolicy, problem: Problem) -> bool:
    """Whether the place of a mistake is in a file, not only in the text that is not written yet."""
    return problem.source != str(own.path) or problem.excerpt in own.text.splitlines()[problem.line - 1 :][:1]


def outcome(policies: PolicySet, case: list[str], args: dict[str, Json]) -> str:
    """The verdict on the call of a test, which has the arguments `args`. Raises SuggestError where the test
    does not have them."""
    text = "\n".join(["version: 1", "policies: [x]", "tests:", *(f"  {line}" for line in case)])
    (one,) = Document(text, "the new test", PolicyError).read(PolicyTests).tests
    if arguments_digest(one.call.args) != arguments_digest(args):
        raise SuggestError("a test cannot hold these arguments: write the rule yourself")
    return rehearse(policies, one, Redactor(os.urandom(32))).outcome.effect


def _with_cases(own: OwnPolicy, drafts: list[Draft]) -> str:
    before = _tests(own, own.tests_text) if own.tests_text else None
    text: str | None = own.tests_text or _new_tests(own)
    if before is not None:
        listed = {one if isinstance(one, str) else one.file for one in before.policies}
        needed = {name.partition("/")[0] for draft in drafts for name in draft.approves}
        # Policies that came since the file was made.
        for name in sorted(needed & own.entries.keys()):
            if text is not None and own.files[name] not in listed:
                text = with_item(text, "policies", [f"- {own.entries[name]}"])
    cases = [case for draft in drafts for case in draft.cases]
    for case in cases:
        text = None if text is None else with_item(text, "tests", case)
    if text is not None:
        tests = _tests(own, text)
        known = () if before is None else before.tests
        if tests.tests[: len(known)] == known and len(tests.tests) == len(known) + len(cases):
            return text
    raise SuggestError(_NO_TEST.format(own.tests))


def _new_tests(own: OwnPolicy) -> str:
    entries = [f"  - {entry}" for entry in (*own.entries.values(), constant(own.path.name))]
    return "\n".join(
        ["# Tests of what was approved for good.", "version: 1", "policies:", *entries, "tests:", ""]
    )


def _tests(own: OwnPolicy, text: str) -> PolicyTests:
    return Document(text, str(own.tests), PolicyError).read(PolicyTests)


def _diff(own: OwnPolicy, policy_text: str, tests_text: str) -> str:
    pairs = [(own.path.name, own.text, policy_text), (own.tests.name, own.tests_text, tests_text)]
    found: list[str] = []
    for name, before, after in pairs:
        old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
        found += unified_diff(old, new, name if before else "/dev/null", name)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in found)


def write(config: Config, what: str, who: str, make: Callable[[OwnPolicy], Proposal]) -> Proposal:
    """Write what `make` proposes for the files as they are now, so what others wrote in the meantime stays.
    `what` is the kind of the record and `who` says for what and by whom. Raises SuggestError and PolicyError,
    AuditError where no evidence can be left; then nothing is written."""
    with _alone(config):
        own = own_policy(config)
        made = make(own)
        digest = sha256(made.policy_text.encode()).hexdigest()
        rules = f"{made.rule} in {own.name} {who}"
        detail = f"{rules}; sha256 of {own.path.name}: {digest}"
        note_of(config, what, detail)
        try:
            # The tests first: a rule that no test knows is what nobody looks at again.
            write_whole(own.tests, made.tests_text.encode())
            write_whole(own.path, made.policy_text.encode())
        except OSError as problem:
            note_of(config, ANSWER_VOID, void_of(what, detail, str(problem.strerror)))
            raise SuggestError(f"{own.path} cannot be written: {problem.strerror}") from None
    return made


@contextmanager
def _alone(config: Config) -> Iterator[None]:
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


_KEY = re.compile(r"[A-Za-z_\"'?{\[]|---|\.\.\.")


def with_item(text: str, key: str, item: list[str]) -> str | None:
    """`text` with the lines of `item` (the first begins a new item or is a comment, none is indented) at the
    end of the list under the key `key` of the file; None where that is not a list with an item a line."""
    lines = text.splitlines(keepends=True)
    opens = re.compile(rf"{re.escape(key)}:\s*(#.*)?$")
    start = next((at for at, line in enumerate(lines) if opens.match(line)), None)
    if start is None:
        return None
    after = [at for at in range(start + 1, len(lines)) if _KEY.match(lines[at])]
    end = after[0] if after else len(lines)
    first = next((line for line in lines[start + 1 : end] if line.lstrip().startswith("- ")), None)
    if first is None and any(_is_text(line) for line in lines[start + 1 : end]):
        return None
    indent = "  " if first is None else first[: len(first) - len(first.lstrip())]
    while after and end > start + 1 and not _is_text(lines[end - 1]):
        end -= 1
    before = "".join(lines[:end])
    if not before.endswith("\n"):
        before += "\n"
    return before + "".join(f"{indent}{line}\n" for line in item) + "".join(lines[end:])


def _is_text(line: str) -> bool:
    stripped = line.strip()
    return bool(stripped) and not stripped.startswith("#")
