"""Lints on conditions that look right and are passed by another spelling: a path, a URL, a command or SQL
that is compared as text, and the first of several.

Law of this file: it goes by the words of a condition and by the names of arguments, so it may be wrong about
either, and none of these is an error.
"""

import re
from collections.abc import Iterator

from mcpguard.authoring.check.lints.entry import Lint, LintSubject, PlacedRule, example
from mcpguard.core.conditions.cel_text import CelToken, string_value, tokens_of
from mcpguard.core.errors import Problem

_COMPARED = frozenset(["startsWith", "endsWith", "contains", "matches"])
_BETTER = (
    (re.compile(r"(?i)(path|paths|file|filename|dir|directory|folder|cwd|repo)$"), "a path", "pathWithin()"),
    (re.compile(r"(?i)(uri|url|href|link)$"), "a URL", "hostIn() or url()"),
    (re.compile(r"(?i)(command|cmd|script)$"), "a command", "shell()"),
    (re.compile(r"(?i)(^sql|_sql|sql|statement)$"), "SQL", "sql()"),
)
_WHOLE = re.compile(r"\^.*\$", re.DOTALL)
_LISTS = frozenset(["commands", "statements", "programs", "kinds"])


def _allowing(subject: LintSubject) -> Iterator[tuple[PlacedRule, list[CelToken]]]:
    for placed in subject.rules:
        if placed.written.effect == "allow" and placed.written.on == "call" and placed.written.when:
            yield placed, tokens_of(placed.written.when)


def _texts(subject: LintSubject) -> Iterator[Problem]:
    for placed, tokens in _allowing(subject):
        for at, token in enumerate(tokens):
            argument = _compared(tokens, at)
            if argument is None:
                continue
            for pattern, what, better in _BETTER:
                if pattern.search(argument):
                    said = (
                        f"`{argument}` seems to be {what}, and {token.text}() compares it as text, so another"
                    )
                    advice = f"spelling of it passes; use {better}"
                    yield placed.problem(("when",), f"{said} {advice}", token.start)
                    break


def _compared(tokens: list[CelToken], at: int) -> str | None:
    """The argument of the call that the method at `at` compares as text; None where it is another word, or a
    pattern for the whole of it."""
    name = tokens[at].text
    if at < 4 or tokens[at - 1].text != "." or tokens[at + 1].text != "(":
        return None
    if name not in _COMPARED or tokens[at - 2].kind != "name" or tokens[at - 3].text != ".":
        return None
    pattern = tokens[at + 2]
    if name == "matches" and pattern.kind == "string" and _WHOLE.fullmatch(string_value(pattern.text)):
        return None
    root = at - 4
    while root >= 2 and tokens[root - 1].text == ".":
        root -= 2
    return tokens[at - 2].text if tokens[root].text == "args" else None


def _firsts(subject: LintSubject) -> Iterator[Problem]:
    for placed, tokens in _allowing(subject):
        for at, token in enumerate(tokens[:-3]):
            if token.text not in _LISTS or at < 2 or (tokens[at - 2].text, tokens[at - 1].text) != (")", "."):
                continue
            if tokens[at + 1].text == "[" and tokens[at + 2].kind == "number":
                said = f"this looks at one of the {token.text}, and the others may be anything: use"
                yield placed.problem(("when",), f"{said} `{token.text}.all(…)`", token.start)
            elif tokens[at + 1].text == "." and tokens[at + 2].text == "exists":
                said = f"one of the {token.text} is enough for this, and the others may be anything: use"
                yield placed.problem(("when",), f"{said} `{token.text}.all(…)`", token.start)


def _prefixes(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        for glob in placed.written.tools or ():
            server, separator, name = glob.partition("__")
            if separator and subject.servers is not None and server in subject.servers:
                said = (
                    f"`{glob}` has the name of the server in it: rules see the upstream's own names, so write"
                )
                yield placed.problem(("tools",), f"{said} `server: {server}` and `{name}`")


_LIST = "{id: list, effect: allow, server: files, tools: [write], when: "
_READ = "{id: read, effect: allow, server: files, tools: [read], when: "

TEXTS = Lint(
    "P701",
    "warning",
    "An `allow` compares a path, a URL, a command or SQL as text, so `/srv/../etc` or "
    "`https://good.example.evil.example` pass. `pathWithin()`, `hostIn()`, `shell()` and `sql()` read them "
    "as programs do.",
    _texts,
    example(f'{_READ}args.path.startsWith("/srv/")}}'),
    example(f"{_READ}'pathWithin(args.path, \"/srv\")'}}"),
)

FIRSTS = Lint(
    "P702",
    "warning",
    "An `allow` looks at one of several commands, programs or statements, and the others may be anything.",
    _firsts,
    example(f"{_LIST}'shell(args.text).commands[0].program == \"ls\"'}}"),
    example(f"{_LIST}'shell(args.text).commands.all(one, one.program == \"ls\")'}}"),
)

PREFIXES = Lint(
    "P703",
    "warning",
    "`tools` names a tool as clients see it, `SERVER__TOOL`. Rules see the upstream's own names, so it never "
    "matches.",
    _prefixes,
    example("{id: read, effect: allow, tools: [files__read]}"),
    example("{id: read, effect: allow, server: files, tools: [read]}"),
)

SHAPES = (TEXTS, FIRSTS, PREFIXES)
