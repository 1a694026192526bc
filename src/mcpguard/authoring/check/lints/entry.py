"""What a lint is, what it looks at, and what its examples are linted with. The table is `LINTS` in
`authoring/check/lints/__init__.py`.

Law of these files: a lint reports on what is in force and valid in itself, and changes no verdict; what it
cannot know (no snapshot, a computed name) it does not report.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cached_property

from msgspec import Struct

from mcpguard.authoring.conditions import Comparison, ValueRead, comparisons_of, reads_of
from mcpguard.authoring.findings import Code, Severity
from mcpguard.authoring.snapshot import Snapshot
from mcpguard.core.document.constraints import Path
from mcpguard.core.document.reading import Document
from mcpguard.core.errors import Problem
from mcpguard.core.model import Json
from mcpguard.core.policy.compiled import CompiledPolicy, CompiledRule
from mcpguard.core.policy.terms import RuleTerms, as_tuple
from mcpguard.core.tables import read_table


class PlacedRule:
    """A rule in force, and where it stands."""

    def __init__(self, policy: CompiledPolicy, index: int) -> None:
        self.policy = policy
        self.index = index
        self.rule: CompiledRule = policy.rules[index]
        self.written: RuleTerms = self.rule.written

    @cached_property
    def reads(self) -> tuple[ValueRead, ...]:
        return () if self.written.when is None else reads_of(self.written.when)

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        return () if self.written.when is None else comparisons_of(self.written.when)

    @property
    def servers(self) -> tuple[str, ...]:
        """Globs of server names."""
        return as_tuple(self.written.server)

    def problem(self, path: Path, message: str, offset: int | None = None) -> Problem:
        """`message` at the value of `path` in the rule; `offset` counts characters inside a text."""
        said = f"rule {self.written.id}: {message}"
        return self.policy.document.problem(("rules", self.index, *path), said, offset)


def placed_rules(policies: Iterable[CompiledPolicy]) -> tuple[PlacedRule, ...]:
    """The rules of all of them, in order."""
    return tuple(PlacedRule(policy, index) for policy in policies for index in range(len(policy.rules)))


class LintSubject(Struct, dict=True):
    """What is looked at: all policies of a configuration together.

    `servers` are the servers of the configuration and whether each is served, None where there is no
    configuration; `config` is where they stand; `snapshot` is what they offer, None where nobody knows;
    `today` is the time of the check, aware. `whole` is False where a policy of the configuration is missing.
    """

    policies: Sequence[CompiledPolicy]
    today: datetime
    servers: dict[str, bool] | None = None
    config: Document | None = None
    snapshot: Snapshot | None = None
    whole: bool = True

    @cached_property
    def rules(self) -> tuple[PlacedRule, ...]:
        """All rules, in the order of the policies."""
        return placed_rules(self.policies)

    @cached_property
    def tools(self) -> tuple[tuple[str, str, dict[str, Json]], ...]:
        """(server, name, tool) of the snapshot, without servers that are not in the configuration."""
        known = () if self.snapshot is None else tuple(self.snapshot.tools())
        return tuple(one for one in known if self.servers is None or one[0] in self.servers)

    def tools_of(self, placed: PlacedRule) -> list[tuple[str, str, dict[str, Json]]]:
        return [one for one in self.tools if placed.rule.can_match(one[0], one[1], "tools/call")]

    def knows(self, placed: PlacedRule) -> bool:
        """Whether the snapshot has every server that the rule matches."""
        if self.snapshot is None:
            return False
        named = self.snapshot.servers if self.servers is None else self.servers
        matched = [name for name in named if matches(name, placed.servers)]
        return bool(matched) and all(name in self.snapshot.servers for name in matched)


def once(found: Iterable[Problem]) -> Iterator[Problem]:
    """Findings that would be the same at many places of a file: once, at the first, with how many more there
    are."""
    files: dict[str, list[Problem]] = {}
    for one in found:
        files.setdefault(one.source, []).append(one)
    for source, (first, *more) in files.items():
        said = f"{first.message} (and {len(more)} more in this file)" if more else first.message
        yield Problem(source, first.line, first.column, said, first.excerpt)


def matches(name: str, globs: Iterable[str]) -> bool:
    """Whether one of the globs matches."""
    return any(fnmatchcase(name, glob) for glob in globs)


def reads_only(tool: dict[str, Json]) -> bool:
    """Whether its server says that the tool changes nothing."""
    hints = tool.get("annotations")
    return type(hints) is dict and hints.get("readOnlyHint") is True


Finder = Callable[[LintSubject], Iterator[Problem]]
"""Gives what a lint finds."""


class Lint(Struct, frozen=True):
    """One lint: its code, how grave what it finds is, and in one sentence what that is.

    `bad` is a policy in which it finds something and `good` one like it in which it does not, both YAML; they
    are linted with CONFIG and SNAPSHOT. `whole` says that it reports what is missing, so it is only asked
    where all policies are there.
    """

    code: str
    severity: Severity
    meaning: str
    find: Finder
    bad: str
    good: str
    whole: bool = False

    @property
    def about(self) -> Code:
        """What all its findings have in common."""
        return Code(self.severity, self.meaning)


CONFIG = read_table(__package__, "example.yaml")
SNAPSHOT = read_table(__package__, "example.json")
