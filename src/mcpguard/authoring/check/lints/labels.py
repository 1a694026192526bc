"""Lints on labels and facts: marks that rules leave in the session for later rules.

Law of this file: a label is set also where the condition of its rule fails, a fact only where it holds; so
what is sure to tighten is to deny by the first and to allow by the second.
"""

from collections.abc import Iterator

from mcpguard.authoring.check.lints.conditions import ValueRead
from mcpguard.authoring.check.lints.entry import Finder, LintSubject, PlacedRule
from mcpguard.core.errors import Problem, did_you_mean

_SHARED = {"private", "untrusted"}
_KEYS = {"labels": "label", "facts": "fact"}


def _marks(placed: PlacedRule) -> Iterator[tuple[str, ValueRead]]:
    """(`label` or `fact`, read) of each one that its condition looks for."""
    for read in placed.reads:
        if read.root == "session" and len(read.steps) == 1 and read.steps[0] in _KEYS and read.member:
            yield _KEYS[str(read.steps[0])], read


def _never_set(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        for key, read in _marks(placed):
            known = {name for one in subject.rules for name in getattr(one.written, key)}
            # The packs agree on these labels, and each is also used without those that set them.
            if read.member not in known and not (key == "label" and read.member in _SHARED):
                hint = did_you_mean(str(read.member), known)
                said = f"no rule sets the {key} `{read.member}`{hint and f'; {hint}'}"
                yield placed.problem(("when",), said, read.offset)


def _never_read(subject: LintSubject) -> Iterator[Problem]:
    for key in ("label", "fact"):
        if any(_reads_any(one, f"{key}s") for one in subject.rules):
            continue
        known = {mark.member for one in subject.rules for kind, mark in _marks(one) if kind == key}
        for placed in subject.rules:
            for index, name in enumerate(getattr(placed.written, key)):
                if name not in known:
                    known.add(name)  # Reported once, where it is set first.
                    yield placed.problem((key, index), f"no condition reads the {key} `{name}`")


def _reads_any(placed: PlacedRule, key: str) -> bool:
    """Whether its condition reads marks that are not named in it."""
    return any(
        read.root == "session" and read.steps in ((), (key,)) and read.member is None for read in placed.reads
    )


def _loosens(subject: LintSubject, wanted: str) -> Iterator[tuple[PlacedRule, ValueRead]]:
    for placed in subject.rules:
        allows = placed.written.effect == "allow"
        for key, read in _marks(placed):
            if key == wanted and read.holds is (allows if key == "label" else not allows):
                yield placed, read


def _by_label(subject: LintSubject) -> Iterator[Problem]:
    for placed, read in _loosens(subject, "label"):
        said = f"the label `{read.member}` permits more, and a label is set even if a condition fails"
        yield placed.problem(("when",), f"{said}: use a fact", read.offset)


def _by_fact(subject: LintSubject) -> Iterator[Problem]:
    for placed, read in _loosens(subject, "fact"):
        said = f"the fact `{read.member}` refuses more, and a fact is missing if a condition fails"
        yield placed.problem(("when",), f"{said}: use a label", read.offset)


LABELS: dict[str, Finder] = {"P301": _never_set, "P302": _never_read, "P303": _by_label, "P304": _by_fact}
