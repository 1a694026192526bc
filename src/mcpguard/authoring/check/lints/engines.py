"""Lints on what the two CEL engines make of a condition.

Law of this file: an engine that is not installed is left out, and nothing is evaluated.
"""

from collections.abc import Iterator

from mcpguard.authoring.check.lints.entry import Lint, LintSubject, example
from mcpguard.core.conditions.cel import ConditionError, Engine, EngineName
from mcpguard.core.conditions.engines import engine
from mcpguard.core.errors import Problem

_NAMES: tuple[EngineName, ...] = ("cpp", "python")


def _engines() -> Iterator[Engine]:
    for name in _NAMES:
        try:
            yield engine(name)
        except ImportError:
            pass


def _refused(subject: LintSubject) -> Iterator[Problem]:
    engines: tuple[Engine, ...] = ()
    for placed in subject.rules:
        when, condition = placed.rule.placed, placed.rule.condition
        if when is None or condition is None:
            continue
        # Made when a condition asks: to make the slower one takes a quarter of a second.
        engines = engines or tuple(_engines())
        for one in (one for one in engines if one.name != condition.engine.name):
            try:
                one.compile(when.text)
            except ConditionError as error:
                offset, sentence = error.mistakes[0]
                said = f'where only the engine "{one.name}" is installed, this policy is refused: {sentence}'
                yield placed.problem(("when",), said, when.origin(offset))


def _slow(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        condition = placed.rule.condition
        if condition is not None and condition.engine.name != engine().name:
            said = (
                "it calls a function on a computed value or a loop variable, so it runs on the slow "
                "engine; pathWithin() and hostIn() accept a whole list"
            )
            yield placed.problem(("when",), said)


REFUSED = Lint(
    "P601",
    "warning",
    "A condition that only one of the two engines accepts: elsewhere the policy is refused.",
    _refused,
    example('{id: few, effect: allow, server: files, when: "args.lines.map(x, x > 1, x).size() < 3"}'),
    example('{id: few, effect: allow, server: files, when: "args.lines.filter(x, x > 1).size() < 3"}'),
)

SLOW = Lint(
    "P602",
    "note",
    "A condition that the fast engine cannot evaluate, since it calls one of our functions on a computed "
    "value or on the variable of a loop: it takes many times as long.",
    _slow,
    example(
        """{id: within, effect: allow, server: files, when: 'args.paths.all(one, pathWithin(one, "/srv"))'}"""
    ),
    example("""{id: within, effect: allow, server: files, when: 'pathWithin(args.paths, "/srv")'}"""),
)

ENGINES = (REFUSED, SLOW)
