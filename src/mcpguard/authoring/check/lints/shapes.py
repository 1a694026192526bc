"""Lints on conditions that look right and are passed by another spelling or another way: a path, a URL, a
command or SQL that is compared as text, one of several commands or paths, a list of programs alone.

Law of this file: it goes by the words of a condition and by the names of arguments, so it may be wrong about
either, and none of these is an error.
"""

import re
from collections.abc import Iterator

from msgspec import Struct

from mcpguard.authoring.check.lints.conditions import Comparison
from mcpguard.authoring.check.lints.entry import Lint, LintSubject, PlacedRule, example
from mcpguard.core.conditions.cel_text import tokens_of
from mcpguard.core.conditions.hoisted import Constant, HoistedCall, Term, ValuePath
from mcpguard.core.conditions.hoisting import hoist
from mcpguard.core.conditions.names import NAMES
from mcpguard.core.errors import Problem
from mcpguard.core.model import Json


class _Kind(Struct, frozen=True):
    """What an argument seems to be by its name, and what reads it as programs do."""

    names: re.Pattern[str]
    what: str
    better: str
    readers: frozenset[str]


def _kind(names: str, what: str, better: str, *readers: str) -> _Kind:
    return _Kind(re.compile(f"(?i)(?:{names})$"), what, better, frozenset(readers))


_PATH = _kind(
    "paths?|files?|filename|dir|directory|folder|cwd|source|destination|repo_path|root",
    "a path",
    "pathWithin()",
    *("pathWithin", "secretName", "obeyedFile"),
)
_KINDS = (
    _PATH,
    _kind("uris?|urls?|href|link", "a URL", "hostIn() or url()", "hostIn", "url", "isPrivateHost"),
    _kind("command|cmd|script", "a command", "shell()", "shell"),
    _kind("sql|statement", "SQL", "sql()", "sql"),
)
_REFS = _kind("(?:^|_)(?:branch|ref|base|head|revision)", "a branch", "")
_WHOLE = re.compile(r"\^.*\$", re.DOTALL)
_LISTS = frozenset(["commands", "statements", "programs", "kinds"])
_METHODS = frozenset(["startsWith", "endsWith", "contains", "matches"])


def _deciding(subject: LintSubject) -> Iterator[PlacedRule]:
    """Rules on calls with a condition."""
    return (one for one in subject.rules if one.written.on == "call" and one.written.when)


def _calls(placed: PlacedRule) -> Iterator[HoistedCall]:
    """The calls of functions in its condition, those in arguments of others too."""
    waiting: list[Term] = [*hoist(placed.written.when or "", NAMES).calls]
    while waiting:
        one = waiting.pop()
        if isinstance(one, HoistedCall):
            yield one
            waiting += one.arguments


def _beside(subject: LintSubject, placed: PlacedRule) -> Iterator[PlacedRule]:
    """The rule, and those that refuse what it may let through: what stands in these counts for it too."""
    yield placed
    for one in subject.rules:
        same = one.servers == placed.servers or "*" in one.servers
        if one is not placed and one.written.effect == "deny" and one.written.on == "call" and same:
            yield one


def _is_read(subject: LintSubject, placed: PlacedRule, argument: str, readers: frozenset[str]) -> bool:
    """Whether one of `readers` is given the argument, here or in what refuses beside it."""
    return any(
        call.name in readers and argument in _names(call)
        for one in _beside(subject, placed)
        for call in _calls(one)
    )


def _names(call: HoistedCall) -> set[str]:
    """The arguments of the tool that a call is about, and the constant texts in it."""
    found: set[str] = set()
    for one in call.arguments:
        if isinstance(one, ValuePath) and one.root == "args":
            found |= {step for step in one.steps if isinstance(step, str)}
        elif isinstance(one, HoistedCall):
            found |= _names(one)
        elif isinstance(one, Constant):
            found |= _texts_in(one.value)
    return found


def _texts_in(value: Json) -> set[str]:
    if isinstance(value, str):
        return {value}
    return {text for one in value for text in _texts_in(one)} if isinstance(value, list) else set()


def _texts(subject: LintSubject) -> Iterator[Problem]:
    for placed in _deciding(subject):
        for one in placed.comparisons:
            kind = next((kind for kind in _KINDS if kind.names.search(one.argument)), None)
            if kind is None or one.how not in _METHODS or _is_narrow(placed, one):
                continue
            refusing = placed.written.effect != "allow"
            if refusing and _is_read(subject, placed, one.argument, kind.readers):
                continue
            way = "another spelling of it is not refused" if refusing else "another spelling of it passes"
            said = f"`{one.argument}` seems to be {kind.what}, and {one.how}() compares it as text, so {way}"
            yield placed.problem(("when",), f"{said}; use {kind.better}", one.offset)


def _is_narrow(placed: PlacedRule, one: Comparison) -> bool:
    """Whether it lets only whole texts through, or refuses wherever something occurs."""
    pattern = next((text for text in one.against if isinstance(text, str)), None)
    lets = one.holds is (placed.written.effect == "allow")
    if placed.written.effect != "allow" and not lets and one.how == "contains":
        return True
    if one.how != "matches" or pattern is None:
        return False
    return bool(_WHOLE.fullmatch(pattern)) if lets else not pattern.startswith("^") or "|" in pattern


def _equals(subject: LintSubject) -> Iterator[Problem]:
    for placed in _deciding(subject):
        for one in placed.comparisons:
            kind = next((kind for kind in (*_KINDS, _REFS) if kind.names.search(one.argument)), None)
            texts = [text for text in one.against if isinstance(text, str) and text]
            excludes = one.holds is (placed.written.effect != "allow")
            if kind is None or one.how not in ("==", "!=", "in") or not texts or not excludes:
                continue
            if _is_read(subject, placed, one.argument, kind.readers):
                continue
            if kind is _REFS:
                said = f"this excludes `{texts[0]}` and not `refs/heads/{texts[0]}`, which can be the same"
                advice = "name what is allowed instead"
            else:
                said = f"this excludes one spelling of {kind.what}, and others mean the same"
                advice = f"use {kind.better}, or name what is allowed"
            yield placed.problem(("when",), f"{said}; {advice}", one.offset)


def _flags(subject: LintSubject) -> Iterator[Problem]:
    for placed in _deciding(subject):
        for one in placed.comparisons:
            excludes = one.holds is (placed.written.effect != "allow")
            if one.how not in ("==", "!=") or one.against != (True,) or not excludes:
                continue
            if not _is_typed(subject, placed, one.argument):
                name = f"args.{one.argument}"
                said = 'this excludes `true` only, and a lax server also takes "true", 1 or "yes" for it'
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
    found = _properties(tool).get(argument)
    return found if isinstance(found, dict) else {}


def _properties(tool: dict[str, Json]) -> dict[str, Json]:
    schema = tool.get("inputSchema")
    found = schema.get("properties") if isinstance(schema, dict) else None
    return found if isinstance(found, dict) else {}


def _firsts(subject: LintSubject) -> Iterator[Problem]:
    for placed in _deciding(subject):
        tokens = tokens_of(placed.written.when or "")
        for at, token in enumerate(tokens[:-3] if placed.written.effect == "allow" else ()):
            if token.text not in _LISTS or at < 2 or (tokens[at - 2].text, tokens[at - 1].text) != (")", "."):
                continue
            if tokens[at + 1].text == "[" and tokens[at + 2].kind == "number":
                said = f"this looks at one of the {token.text}, and the others may be anything: use"
                yield placed.problem(("when",), f"{said} `{token.text}.all(…)`", token.start)
            elif tokens[at + 1].text == "." and tokens[at + 2].text == "exists":
                said = f"one of the {token.text} is enough for this, and the others may be anything: use"
                yield placed.problem(("when",), f"{said} `{token.text}.all(…)`", token.start)


def _fields(placed: PlacedRule, function: str) -> dict[str, int]:
    """The members of what `function` gives that the condition selects, and where it does first."""
    tokens = tokens_of(placed.written.when or "")
    found: dict[str, int] = {}
    for at, token in enumerate(tokens[:-1]):
        if token.text == "." and tokens[at + 1].kind == "name":
            found.setdefault(tokens[at + 1].text, tokens[at + 1].start)
    return found if any(call.name == function for call in _calls(placed)) else {}


def _alone(
    subject: LintSubject, function: str, fields: frozenset[str], needed: frozenset[str]
) -> Iterator[tuple[PlacedRule, str, int]]:
    """Rules that go by some of `fields` of what `function` gives, where none goes by those `needed` too: the
    rule, the field and where it stands."""
    for placed in _deciding(subject):
        found = _fields(placed, function)
        used = sorted((offset, name) for name, offset in found.items() if name in fields)
        if used and not any(_fields(one, function).keys() & needed for one in _beside(subject, placed)):
            yield placed, used[0][1], used[0][0]


def _programs(subject: LintSubject) -> Iterator[Problem]:
    fields, needed = frozenset(["programs", "commands"]), frozenset(["code", "simple", "unknown"])
    for placed, field, offset in _alone(subject, "shell", fields, needed):
        said = f"`{field}` names programs, and options of many run another program or write a file"
        yield placed.problem(("when",), f"{said}: go by `simple` or `code` of shell() too", offset)


def _statements(subject: LintSubject) -> Iterator[Problem]:
    fields, needed = frozenset(["kinds"]), frozenset(["writes", "pure", "functions"])
    for placed, _, offset in _alone(subject, "sql", fields, needed):
        said = "a statement of a kind that reads, such as `select`, can call functions that write"
        yield placed.problem(("when",), f"{said}: go by `writes` of sql() too", offset)


def _globs(subject: LintSubject) -> Iterator[Problem]:
    for placed in _deciding(subject):
        for call in _calls(placed):
            names = sorted(name for name in _names(call) if _PATH.names.search(name))
            if (
                call.name != "glob"
                or not names
                or _is_read(subject, placed, names[0], frozenset(["pathWithin"]))
            ):
                continue
            offset = (placed.written.when or "").index("glob")
            said = f"glob() compares `{names[0]}` as text, so `a/../../etc` can match: use pathWithin() too"
            yield placed.problem(("when",), said, offset)


def _halves(subject: LintSubject) -> Iterator[Problem]:
    for server, name, tool in subject.tools:
        paths = [one for one in _properties(tool) if _PATH.names.search(one)]
        rules = [one for one in _deciding(subject) if one.rule.can_match(server, name, "tools/call")]
        read = {argument: one for one in reversed(rules) for argument in _path_arguments(one)}
        missed = [one for one in paths if one not in read]
        if "*" not in read and missed and len(missed) < len(paths):
            placed = next(read[one] for one in paths if one in read)
            said = f"the path `{missed[0]}` of {name} is looked at by no rule, only"
            others = ", ".join(f"`{one}`" for one in paths if one in read)
            yield placed.problem(("when",), f'{said} {others}: use texts(args, ["{paths[0]}", …])')


def _path_arguments(placed: PlacedRule) -> set[str]:
    """The arguments that a condition reads, "*" for all of them."""
    found = {read.steps[0] if read.steps else "*" for read in placed.reads if read.root == "args"}
    whole = {name for call in _calls(placed) for name in _names(call)} if "*" in found else set()
    return whole or {step for step in found if isinstance(step, str)}


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
_BOTH = "{id: compare, effect: allow, server: files, tools: [compare], when: "
_DENY = "{id: no, effect: deny, server: files, tools: [write], when: "

TEXTS = Lint(
    "P701",
    "warning",
    "A rule compares a path, a URL, a command or SQL as text, so `/srv/../etc` or "
    "`https://good.example.evil.example` pass an `allow`, and `/etc//passwd` is not refused by a `deny`. "
    "`pathWithin()`, `hostIn()`, `shell()` and `sql()` read them as programs do.",
    _texts,
    example(f'{_READ}args.path.startsWith("/srv/")}}'),
    example(f"{_READ}'pathWithin(args.path, \"/srv\")'}}"),
)

FIRSTS = Lint(
    "P702",
    "warning",
    "An `allow` looks at one of several commands, programs or statements, and the others may be anything.",
    _firsts,
    example(f"{_LIST}'shell(args.text).commands[0].program == \"ls\" && !shell(args.text).code'}}"),
    example(
        f"{_LIST}'shell(args.text).commands.all(one, one.program == \"ls\") && !shell(args.text).code'}}"
    ),
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

EQUALS = Lint(
    "P704",
    "warning",
    "A rule excludes one spelling of a path, a URL, a command or a branch: `/etc/passwd` and not "
    "`/etc/./passwd`, `main` and not `refs/heads/main`. Name what is allowed, or use what reads it.",
    _equals,
    example(f'{_DENY}args.path == "/etc/passwd"}}'),
    example(f"{_DENY}'pathWithin(args.path, \"/etc\")'}}"),
)

FLAGS = Lint(
    "P705",
    "note",
    "A rule excludes `true` of an argument that no schema says to be a boolean: a lax server takes `1` or "
    '`"yes"` for it too. With a snapshot in which it is one, nothing else comes as far as a rule.',
    _flags,
    example(f"{_DENY}has(args.force) && args.force == true}}"),
    example(f"{_DENY}has(args.append) && args.append == true}}"),
)

PROGRAMS = Lint(
    "P706",
    "warning",
    "Rules go by the names of programs, and not by `code` or `simple`: `git -c`, `tar --to-command` and a "
    "program that shell() does not know can run anything.",
    _programs,
    example(f"{_LIST}'shell(args.text).programs.all(one, one in [\"git\"])'}}"),
    example(f"{_LIST}'shell(args.text).programs.all(one, one in [\"git\"]) && !shell(args.text).code'}}"),
)

STATEMENTS = Lint(
    "P707",
    "warning",
    "Rules go by the kinds of statements, and not by `writes`: `SELECT setval(…)` is a `select`.",
    _statements,
    example(f'{_LIST}\'sql(args.text, "postgres").kinds == ["select"]\'}}'),
    example(f"{_LIST}'!sql(args.text, \"postgres\").writes'}}"),
)

GLOBS = Lint(
    "P708",
    "warning",
    "A rule compares a path by glob() alone, whose `*` also matches `/../`.",
    _globs,
    example(f"{_READ}'glob(args.path, \"/srv/*/*.md\")'}}"),
    example(f'{_READ}\'glob(args.path, "/srv/*/*.md") && pathWithin(args.path, "/srv")\'}}'),
)

HALVES = Lint(
    "P709",
    "warning",
    "Rules look at one of several paths of a tool, and the others may be anything. Needs a snapshot.",
    _halves,
    example(f"{_BOTH}'pathWithin(args.file, \"/srv\")'}}"),
    example(f'{_BOTH}\'pathWithin(texts(args, ["file", "other_file"]), "/srv")\'}}'),
)

SHAPES = (TEXTS, FIRSTS, PREFIXES, EQUALS, FLAGS, PROGRAMS, STATEMENTS, GLOBS, HALVES)
