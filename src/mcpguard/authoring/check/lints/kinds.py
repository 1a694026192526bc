"""What an argument seems to be: a path, a URL, a command, SQL, by its name or by what it is compared with;
and which rules read it as programs do.

Law of this file: it goes by words, so it may be wrong, and no lint that asks it is an error.
"""

import re
from collections.abc import Iterator

from msgspec import Struct

from mcpguard.authoring.check.lints.conditions import Comparison
from mcpguard.authoring.check.lints.entry import LintSubject, PlacedRule
from mcpguard.core.conditions.hoisted import Constant, HoistedCall, Term, ValuePath
from mcpguard.core.conditions.hoisting import hoist
from mcpguard.core.model import Json


class ArgumentKind(Struct, frozen=True):
    """What an argument is by its `names`, or where its name is among `asked`, by what it is compared with
    (`like`). `what` says it, `better` what reads it as programs do, which the functions `readers` do. `open`
    finds in an anchored pattern what another spelling passes."""

    names: re.Pattern[str]
    what: str
    better: str
    readers: frozenset[str]
    like: re.Pattern[str]
    asked: re.Pattern[str]
    open: re.Pattern[str]


_NEVER = "(?!)"
_ANYTHING = r"(?<!\\)\.[*+{]"


def _kind(
    names: str, what: str, better: str, *readers: str, like: str = _NEVER, asked: str = "", opens: str = ""
) -> ArgumentKind:
    found = [re.compile(f"(?i)(?:{one})$") for one in (names, asked)]
    return ArgumentKind(
        found[0],
        what,
        better,
        frozenset(readers),
        re.compile(like),
        found[1] if asked else re.compile(""),
        re.compile(opens or _ANYTHING),
    )


_IN_HOST = r"(?:[^/\[]|\[(?!\^)[^]]*\])*?"
PATH = _kind(
    "paths?|(?<!pro)files?|file_?names?|dir|directory|folder|cwd|source|destination|src|dst|dest|root",
    "a path",
    "pathWithin()",
    *("pathWithin", "secretName", "obeyedFile"),
    like=r"\A\^?(?:/[\w.-]+/|/(?:etc|home|opt|proc|root|srv|tmp|usr|var)\b|~/|[A-Za-z]:[\\/])",
    opens=rf"{_ANYTHING}|\[\^(?![^]]*\.)|\[(?!\^)(?=[^]]*\.)(?=[^]]*/)",
)
URL = _kind(
    "uris?|urls?|href|link",
    "a URL",
    "hostIn() or url()",
    *("hostIn", "url", "isPrivateHost"),
    like=r"https?\??:",
    opens=rf"\A\^(?:\(\?i\))?\.[*+]|https?\??:(?:\\?/){{2}}{_IN_HOST}(?:{_ANYTHING}|\w\.\w|\[\^)",
)
HOST = _kind("host|host_?names?|domains?", "a host", "hostIn()", "hostIn", "isPrivateHost", opens=r"\w\.\w")
COMMAND = _kind(
    "command|cmd|script",
    "a command",
    "shell()",
    "shell",
    opens=rf"{_ANYTHING}|\\S|\[\^(?![^]]*;)",
)
SQL = _kind(
    "sql|statement",
    "SQL",
    "sql()",
    "sql",
    like=r"(?i)\b(?:select|insert|update|delete|drop|alter|truncate|create)\b",
    asked="query",
)
MAIL = _kind(
    r"\b\B",
    "an e-mail address",
    '`matches("^[^@,;<> ]+@example[.]com$")`',
    like="@",
    asked="to|cc|bcc|e?mails?|recipients?",
)
KINDS = (PATH, URL, HOST, COMMAND, SQL, MAIL)
REFS = _kind(
    r"(?:.*branch|(?:^|.*_)(?:ref|base|head))(?:_?names?)?|(?:^|.*_)revision",
    "a branch",
    "`refs/heads/…` and the short name, or name what is allowed",
)


def kind_of(one: Comparison) -> ArgumentKind | None:
    """What the argument of a comparison seems to be."""
    for kind in KINDS:
        if kind.names.search(one.argument):
            return kind
    texts = [text for text in one.against if isinstance(text, str)]
    for kind in KINDS:
        if kind.asked.search(one.argument) and any(kind.like.search(text) for text in texts):
            return kind
    return None


def deciding(subject: LintSubject) -> Iterator[PlacedRule]:
    """Rules on calls with a condition."""
    return (one for one in subject.rules if one.written.on == "call" and one.written.when)


def calls_of(placed: PlacedRule) -> Iterator[HoistedCall]:
    """The calls of functions in its condition, those in arguments of others too."""
    waiting: list[Term] = [*hoist(placed.written.when or "").calls]
    while waiting:
        one = waiting.pop()
        if isinstance(one, HoistedCall):
            yield one
            waiting += one.arguments


def beside(subject: LintSubject, placed: PlacedRule) -> Iterator[PlacedRule]:
    """The rule, and those that refuse what it may let through: what stands in these counts for it too."""
    yield placed
    for one in subject.rules:
        same = one.servers == placed.servers or "*" in one.servers
        if one is not placed and one.written.effect == "deny" and one.written.on == "call" and same:
            yield one


def is_read(subject: LintSubject, placed: PlacedRule, argument: str, readers: frozenset[str]) -> bool:
    """Whether one of `readers` is given the argument, here or in what refuses beside it."""
    return any(
        call.name in readers and argument in names_in(call)
        for one in beside(subject, placed)
        for call in calls_of(one)
    )


def names_in(call: HoistedCall) -> set[str]:
    """The arguments of the tool, or members of the resource, that a call is about, and its constant texts."""
    found: set[str] = set()
    for one in call.arguments:
        if isinstance(one, ValuePath) and one.root in ("args", "resource"):
            found |= {step for step in one.steps if isinstance(step, str)}
        elif isinstance(one, HoistedCall):
            found |= names_in(one)
        elif isinstance(one, Constant):
            found |= _texts_in(one.value)
    return found


def _texts_in(value: Json) -> set[str]:
    if isinstance(value, str):
        return {value}
    return {text for one in value for text in _texts_in(one)} if isinstance(value, list) else set()


def properties(tool: dict[str, Json]) -> dict[str, Json]:
    """The arguments that a tool's schema names, with what it says of each."""
    schema = tool.get("inputSchema")
    found = schema.get("properties") if isinstance(schema, dict) else None
    return found if isinstance(found, dict) else {}
