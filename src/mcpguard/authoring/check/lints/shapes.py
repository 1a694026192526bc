"""What an argument seems to be (a path, a URL, a command, SQL) by its name or by what it is compared with;
and lints on conditions that compare one as text, so that another spelling passes them, and on names of tools
as clients see them.

Law of this file: it goes by the words of a condition and by the names of arguments, so it may be wrong about
either, and no lint that asks it is an error.
"""

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from mcpguard.authoring.check.lints.entry import Finder, LintSubject, PlacedRule
from mcpguard.authoring.conditions import Comparison
from mcpguard.core.conditions.cel_text import string_value, tokens_of
from mcpguard.core.conditions.hoisted import Constant, HoistedCall, Term, ValuePath
from mcpguard.core.conditions.hoisting import hoist
from mcpguard.core.conditions.names import METHODS
from mcpguard.core.errors import Problem
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
    *("hostIn", "url", "isPrivateHost", "filePath"),
    like=r"https?\??:|\A\^?file:",
    opens=rf"\A\^(?:\(\?i\))?\.[*+]|https?\??:(?:\\?/){{2}}{_IN_HOST}(?:{_ANYTHING}|\w\.\w|\[\^)",
)
HOST = _kind("host|host_?names?|domains?", "a host", "hostIn()", "hostIn", "isPrivateHost", opens=r"\w\.\w")
COMMAND = _kind(
    "command|cmd|script", "a command", "shell()", "shell", opens=rf"{_ANYTHING}|\\S|\[\^(?![^]]*;)"
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


def with_denies(subject: LintSubject, placed: PlacedRule) -> Iterator[PlacedRule]:
    """The rule, and those that may deny what it lets through: their conditions count for it too."""
    yield placed
    for one in subject.rules:
        same = one.servers == placed.servers or "*" in one.servers
        if one is not placed and one.written.effect == "deny" and one.written.on == "call" and same:
            yield one


def is_read(subject: LintSubject, placed: PlacedRule, argument: str, readers: frozenset[str]) -> bool:
    """Whether one of `readers` is given the argument, here or in a rule that denies."""
    return any(
        call.name in readers and argument in names_in(call)
        for one in with_denies(subject, placed)
        for call in calls_of(one)
    )


def names_in(call: HoistedCall) -> set[str]:
    """The arguments of the tool, or members of the resource, that a call is about, and its constant texts."""
    found: set[str] = set()
    for one in call.arguments:
        if isinstance(one, ValuePath) and one.root in ("args", "resource"):
            found |= {step for step in (*one.steps, *(one.each or ())) if isinstance(step, str)}
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


_WHOLE = re.compile(r"(?:\(\?i\))?\^.*\$", re.DOTALL)


def _texts(subject: LintSubject) -> Iterator[Problem]:
    for placed in deciding(subject):
        whole = {one.steps for one in placed.comparisons if _lets_whole(placed, one)}
        for one in placed.comparisons:
            kind = kind_of(one)
            if kind is None or one.how not in METHODS or one.steps in whole:
                continue
            if _refuses_all(placed, kind, one):
                continue
            refusing = placed.written.effect != "allow"
            if refusing and is_read(subject, placed, one.argument, kind.readers):
                continue
            way = "another spelling of it is not refused" if refusing else "another spelling of it passes"
            said = f"`{one.argument}` seems to be {kind.what}, and {one.how}() compares it as text, so {way}"
            yield placed.problem(("when",), f"{said}; use {_better(kind, one.against)}", one.offset)
        yield from _hosts(placed)


def _better(kind: ArgumentKind, against: Iterable[Json]) -> str:
    """What reads it: of URLs that are of files, their path."""
    of_files = any(isinstance(text, str) and _FILE.match(text) for text in against)
    return "pathWithin(filePath(…), …)" if kind is URL and of_files else kind.better


_FILE = re.compile(r"\^?(?:\(\?i\))?file:")


def _lets_whole(placed: PlacedRule, one: Comparison) -> bool:
    """Whether it lets only whole texts through, and knows each part of them."""
    kind, pattern = kind_of(one), _pattern(one)
    if kind is None or pattern is None or one.holds is not (placed.written.effect == "allow"):
        return False
    return bool(_WHOLE.fullmatch(pattern)) and not kind.open.search(pattern)


def _refuses_all(placed: PlacedRule, kind: ArgumentKind, one: Comparison) -> bool:
    """Whether it refuses a path or an address wherever something occurs in it."""
    if kind not in (PATH, MAIL) or one.holds is (placed.written.effect == "allow"):
        return False
    pattern = _pattern(one)
    if pattern is None:
        return placed.written.effect != "allow" and one.how == "contains"
    return not pattern.startswith("^") or "|" in pattern


def _pattern(one: Comparison) -> str | None:
    """The constant pattern that it matches."""
    texts = (text for text in one.against if isinstance(text, str))
    return next(texts, None) if one.how == "matches" else None


def _hosts(placed: PlacedRule) -> Iterator[Problem]:
    tokens = tokens_of(placed.written.when or "")
    for at in range(len(tokens) - 6):
        words = [token.text for token in tokens[at : at + 5]]
        text = tokens[at + 5]
        if words[:3] != [")", ".", "host"] or words[3] != "." or text.text != "(":
            continue
        value = string_value(tokens[at + 6].text) if tokens[at + 6].kind == "string" else ""
        if words[4] == "endsWith" and value and not value.startswith("."):
            said = f"`not{value}` ends with `{value}` too"
        elif words[4] in ("startsWith", "contains") and placed.written.effect == "allow":
            said = f"{words[4]}() matches hosts of anybody"
        else:
            continue
        yield placed.problem(("when",), f"{said}; use hostIn()", tokens[at + 4].start)


def _equals(subject: LintSubject) -> Iterator[Problem]:
    for placed in deciding(subject):
        for one in placed.comparisons:
            kind = REFS if REFS.names.fullmatch(one.argument) else kind_of(one)
            texts = [text for text in one.against if isinstance(text, str) and text]
            excludes = one.holds is (placed.written.effect != "allow")
            if kind is None or not _is_spelling(kind, one) or not texts or not excludes:
                continue
            if is_read(subject, placed, one.argument, kind.readers):
                continue
            if kind is REFS:
                name = texts[0].strip("^$")
                said = f"this excludes `{name}` and not `refs/heads/{name}`, which can be the same"
                advice = "name what is allowed instead"
            else:
                said = f"this excludes one spelling of {kind.what}, and others mean the same"
                advice = f"use {kind.better}, or name what is allowed"
            yield placed.problem(("when",), f"{said}; {advice}", one.offset)


def _is_spelling(kind: ArgumentKind, one: Comparison) -> bool:
    """Whether it compares the beginning of one spelling, or all of it."""
    if one.how in ("==", "!=", "in"):
        return True
    pattern = _pattern(one)
    begins = one.how == "startsWith" or (pattern is not None and pattern.startswith("^"))
    return kind is REFS and begins and "refs/" not in (pattern or "")


def _flags(subject: LintSubject) -> Iterator[Problem]:
    for placed in deciding(subject):
        for one in placed.comparisons:
            excludes = one.holds is (placed.written.effect != "allow")
            if one.how not in ("==", "!=") or one.against != (True,) or not excludes:
                continue
            if not _is_typed(subject, placed, one.argument):
                name = f"args.{one.argument}"
                said = 'this excludes only `true`, but a lax server also accepts "true", 1 or "yes"'
                better = f"`has({name}) && {name} != false`"
                if placed.written.effect == "allow":
                    better = f"`!has({name}) || {name} == false`"
                yield placed.problem(("when",), f"{said}; write {better}", one.offset)


def _is_typed(subject: LintSubject, placed: PlacedRule, argument: str) -> bool:
    """Whether all tools that the rule matches are known, and say that the argument is a boolean: then nothing
    else comes as far as a rule."""
    types = [_property(tool, argument).get("type") for _, _, tool in subject.tools_of(placed)]
    return bool(types) and all(one == "boolean" for one in types)


def _property(tool: dict[str, Json], argument: str) -> dict[str, Json]:
    found = properties(tool).get(argument)
    return found if isinstance(found, dict) else {}


def _globs(subject: LintSubject) -> Iterator[Problem]:
    for placed in deciding(subject):
        for call in calls_of(placed):
            of = _in_glob(call)
            if of is None:
                continue
            name, kind = of
            readers = frozenset(["pathWithin"]) if kind is PATH else kind.readers
            if not is_read(subject, placed, name, readers):
                better = "pathWithin()" if kind is PATH else _better(kind, names_in(call))
                what = "`a/../../etc`" if kind is PATH else f"another spelling of {kind.what}"
                said = f"glob() compares `{name}` as text, so {what} can match: use {better} too"
                yield placed.problem(("when",), said, (placed.written.when or "").index("glob"))


def _in_glob(call: HoistedCall) -> tuple[str, ArgumentKind] | None:
    """The argument that a glob() is about, and what it seems to be."""
    first = HoistedCall(call.name, call.arguments[:1], (), "")
    found = [(name, kind) for name in sorted(names_in(first)) for kind in KINDS if kind.names.search(name)]
    return found[0] if call.name == "glob" and found else None


def _prefixes(subject: LintSubject) -> Iterator[Problem]:
    for placed in subject.rules:
        for glob in placed.written.tools or ():
            server, _, name = glob.removeprefix("mcp__").partition("__")
            if name and subject.servers is not None and server in subject.servers:
                said = f"`{glob}` contains the name of the server: rules see the upstream's own names, so"
                yield placed.problem(("tools",), f"{said} write `server: {server}` and `{name}`")


SHAPES: dict[str, Finder] = {
    "P701": _texts,
    "P703": _prefixes,
    "P704": _equals,
    "P705": _flags,
    "P708": _globs,
}
