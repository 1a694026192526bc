"""The policies as they are now, for saying what a rule is and where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from mcpguard.config.policies import present
from mcpguard.core.errors import PolicyError
from mcpguard.core.policy.compiled import PolicySet
from mcpguard.core.policy.terms import Effect
from mcpguard.core.redaction.redactor import OPT_IN

if TYPE_CHECKING:
    from mcpguard.config.loading import Config


class SeenRule(Struct, frozen=True):
    """A rule: its condition as written, and where it stands; no `effect` for one that is not there any
    more."""

    name: str
    effect: Effect | None = None
    message: str = ""
    when: str = ""
    file: str = ""
    line: int = 0


class Rulebook:
    """The policies of a configuration, read again when a file of theirs has changed."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stamp: object = None
        self._rules: dict[str, SeenRule] = {}
        self.policies: PolicySet | None = None
        """None where they cannot be read; `problem` says why."""
        self.problem = ""

    @property
    def digest(self) -> str:
        """Of the policies, as evidence has it; "" where they cannot be read."""
        return "" if self.policies is None else self.policies.digest

    def rules(self, names: tuple[str, ...]) -> list[SeenRule]:
        """The rules of these names."""
        self.refresh()
        return [self._rules.get(name, SeenRule(name)) for name in names]

    def refresh(self) -> None:
        stamp = [(str(path), _changed(path)) for path in self._config.policy_paths]
        if stamp == self._stamp:
            return
        self._stamp, self._rules, self.problem = stamp, {}, ""
        try:
            compiled = [file.load(OPT_IN) for file in present(self._config.policies)]
            self.policies = PolicySet(compiled)
        except PolicyError as problem:
            self.policies, self.problem = None, str(problem)
            return
        for policy in compiled:
            for number, rule in enumerate(policy.rules):
                place = policy.document.problem(("rules", number, "id"), "")
                where = self._near(place.source)
                self._rules[rule.name] = SeenRule(
                    rule.name, rule.effect, rule.message, rule.written.when or "", where, place.line
                )

    def _near(self, file: str) -> str:
        """The file as seen from the configuration, where it is below that."""
        path, folder = Path(file), self._config.path.parent
        return str(path.relative_to(folder)) if path.is_relative_to(folder) else file


def _changed(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
