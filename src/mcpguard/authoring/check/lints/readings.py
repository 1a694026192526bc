"""Lints on conditions that use what a function reads by half: one of several commands, statements or paths,
programs without `code`, columns without `*`; or that give a function its arguments the wrong way round.

Law of this file: it goes by the words of a condition and by the names of arguments, so it may be wrong about
either, and none of these is an error.
"""

import re
from collections.abc import Iterator

from msgspec import Struct

from mcpguard.authoring.check.lints.entry import Finder, LintSubject, PlacedRule
from mcpguard.authoring.check.lints.shapes import (
    PATH,
    URL,
    calls_of,
    deciding,
    kind_of,
    names_in,
    properties,
    with_denies,
)
from mcpguard.core.conditions.cel_text import CelToken, string_value, tokens_of
from mcpguard.core.errors import Problem
from mcpguard.core.tables import names

_LISTS = {
    "shell": frozenset(["commands", "kinds", "programs"]),
    "sql": frozenset(["columns", "kinds", "tables"]),
}
_BOUNDED = names("cidr contains endsWith glob hostIn matches pathWithin startsWith")
"""What is asked of a value of the call: it stands first, and what bounds it second."""
_DONE = names("background changes expansions pipes redirects sends substitutions variables writes")
"""Fields of shell() that name one thing which a line does not do."""


class _Member(Struct, frozen=True):
    """A list that a condition reads: what stands before the expression and after it. `name` is how messages
    call it, `function` what gave it."""

    tokens: list[CelToken]
    begin: int
    at: int
    function: str

    @property
    def name(self) -> str:
        return self.tokens[self.at].text

    @property
    def negated(self) -> bool:
        """Whether a `!` stands before it."""
        return self.tokens[self.begin - 1].text == "!"

    @property
    def sought(self) -> str:
        """The constant that is looked for `in` it, "" if there is none, as for `!("x" in …)`."""
        tokens, begin = self.tokens, self.begin
        if begin < 2 or tokens[begin - 1].text != "in" or tokens[begin - 2].kind != "string":
            return ""
        return string_value(tokens[begin - 2].text)

    @property
    def sought_not(self) -> bool:
        """Whether it is `!("x" in …)`."""
        return [token.text for token in self.tokens[max(self.begin - 4, 0) : self.begin - 2]] == ["!", "("]

    def followed(self, *words: str) -> bool:
        """Whether these words stand after it."""
        return tuple(token.text for token in self.tokens[self.at + 1 : self.at + 1 + len(words)]) == words


def _members(placed: PlacedRule) -> Iterator[_Member]:
    """The lists that its condition selects from what shell() and sql() give, and from `args`."""
    tokens = tokens_of(placed.written.when or "")
    for at, token in enumerate(tokens):
        if at < 2 or tokens[at - 1].text != ".":
            continue
        begin = _open(tokens, at - 2)
        function = tokens[begin].text
        is_argument = function == "args" and begin == at - 2 and token.kind == "name"
        if is_argument or (token.text in _LISTS.get(function, ()) and tokens[at - 2].text == ")"):
            yield _Member(tokens, begin, at, function)


def _open(tokens: list[CelToken], at: int) -> int:
    """Where the call that ends at `at` begins: at the name of its function."""
    depth = 0
    while at > 0:
        depth += {")": 1, "(": -1}.get(tokens[at].text, 0)
        if depth <= 0:
            break
        at -= 1
    return at - 1 if tokens[at].text == "(" else at


def _firsts(subject: LintSubject) -> Iterator[Problem]:
    for placed in deciding(subject):
        for one in _members(placed) if placed.written.effect == "allow" else ():
            of_args = one.function == "args"
            if one.name == "columns" or (of_args and _all_are_read(subject, placed, one)):
                continue
            better = f"`{one.name}.all(…)`"
            if of_args and _are_several(one.name):
                better = f"`pathWithin(args.{one.name}, …)` or `args.{one.name}.all(…)`, which are for all"
            is_one = one.followed(".", "exists") or one.followed(".", "exists_one")
            if one.followed("[") and one.tokens[one.at + 2].kind == "number":
                if of_args and not _are_several(one.name):
                    continue
                said = f"this checks one of the {one.name}"
            elif (is_one and not one.negated) or _is_sought(one):
                said = f"one of the {one.name} is enough for this"
            else:
                continue
            place = one.tokens[one.at].start
            yield placed.problem(("when",), f"{said}, and the others may be anything: use {better}", place)


def _first_parts(subject: LintSubject) -> Iterator[Problem]:
    yield from _firsts(subject)
    for placed in subject.rules:
        if placed.written.on != "result" or placed.written.effect == "allow":
            continue
        tokens = tokens_of(placed.written.when or "")
        for at in range(len(tokens) - 5):
            words = [token.text for token in tokens[at : at + 4]]
            if words == ["result", ".", "content", "["] and tokens[at + 4].kind == "number":
                said = "this checks one part of the result, and the others pass"
                yield placed.problem(("when",), f"{said}: use `result.content.exists(…)`", tokens[at].start)


def _all_are_read(subject: LintSubject, placed: PlacedRule, one: _Member) -> bool:
    """Whether a condition is about all elements of the argument, here or in a rule that denies."""
    again = (other for rule in with_denies(subject, placed) for other in _members(rule))
    return any(
        other.name == one.name and other.function == "args" and (other.followed(".", "all") or other.negated)
        for other in again
    )


def _are_several(name: str) -> bool:
    return name.endswith("s") and any(kind.names.search(name) for kind in (PATH, URL))


def _is_sought(one: _Member) -> bool:
    free = not one.followed(".") and not one.followed("[")
    return one.function != "args" and bool(one.sought) and not one.sought_not and free


def _columns(subject: LintSubject) -> Iterator[Problem]:
    for placed in deciding(subject):
        for one in _members(placed):
            if one.name == "columns" and one.function == "sql" and _excludes(one):
                if any(_names_star(other) for other in with_denies(subject, placed)):
                    continue
                said = '`SELECT *`, or a table as a value, reads this column too: refuse `"*" in columns`'
                yield placed.problem(("when",), f"{said} of sql() as well", one.tokens[one.at].start)
                break


def _excludes(one: _Member) -> bool:
    """Whether it names columns that must not be read, not those that may be."""
    if one.followed(".", "all", "("):
        tokens = one.tokens[one.at + 4 : one.at + 8]
        variable, _, again, how = (token.text for token in tokens)
        return not (again == variable and how in ("in", "="))
    return bool(one.sought) or one.followed(".", "exists")


def _names_star(placed: PlacedRule) -> bool:
    tokens = tokens_of(placed.written.when or "")
    return any(one.kind == "string" and string_value(one.text) == "*" for one in tokens)


def _fields(placed: PlacedRule, function: str) -> dict[str, int]:
    """The members of what `function` gives that the condition selects, and where it does first."""
    tokens = tokens_of(placed.written.when or "")
    found: dict[str, int] = {}
    for at, token in enumerate(tokens[:-1]):
        if token.text == "." and tokens[at + 1].kind == "name":
            found.setdefault(tokens[at + 1].text, tokens[at + 1].start)
    return found if any(call.name == function for call in calls_of(placed)) else {}


def _alone(
    subject: LintSubject, function: str, fields: frozenset[str], needed: frozenset[str]
) -> Iterator[tuple[PlacedRule, str, int]]:
    """Rules that go by some of `fields` of what `function` gives, where none goes by those `needed` too: the
    rule, the field and where it stands."""
    for placed in deciding(subject):
        found = _fields(placed, function)
        used = sorted((offset, name) for name, offset in found.items() if name in fields)
        if used and not any(_fields(one, function).keys() & needed for one in with_denies(subject, placed)):
            yield placed, used[0][1], used[0][0]


def _allowing(found: Iterator[tuple[PlacedRule, str, int]]) -> Iterator[tuple[PlacedRule, str, int]]:
    return (one for one in found if one[0].written.effect == "allow")


def _programs(subject: LintSubject) -> Iterator[Problem]:
    fields, needed = frozenset(["programs", "commands"]), frozenset(["code", "simple", "unknown"])
    for placed, field, offset in _alone(subject, "shell", fields, needed):
        said = f"`{field}` names programs, and options of many run another program or write a file"
        yield placed.problem(("when",), f"{said}: also check `simple` or `code` of shell()", offset)
    for placed, field, offset in _allowing(_alone(subject, "shell", _DONE, needed | fields)):
        said = f"`{field}` says nothing about what else the programs do"
        yield placed.problem(("when",), f"{said}: also check `simple` of shell()", offset)
    needed = fields | {"simple", "changes"}
    for placed, field, offset in _allowing(_alone(subject, "shell", frozenset(["code", "unknown"]), needed)):
        said = (
            f"`{field}` says only that the command's effect can be read from its names, so `rm -r x` passes"
        )
        yield placed.problem(("when",), f"{said}: also check `simple` or `programs` of shell()", offset)
    needed = fields | {"outside", "reads", "secrets"}
    for placed, _, offset in _allowing(_alone(subject, "shell", frozenset(["simple"]), needed)):
        said = "what is `simple` may read any file, such as `cat ~/.ssh/id_rsa`"
        yield placed.problem(("when",), f"{said}: also check `outside` of shell()", offset)


def _statements(subject: LintSubject) -> Iterator[Problem]:
    needed = frozenset(["writes", "pure", "functions"])
    for placed, _, offset in _alone(subject, "sql", frozenset(["kinds"]), needed):
        said = "a statement of a kind that reads, such as `select`, can call functions that write"
        yield placed.problem(("when",), f"{said}: also check `writes` of sql()", offset)
    fields = frozenset(["tables", "columns", "limit", "statements"])
    for placed, field, offset in _allowing(_alone(subject, "sql", fields, needed | {"kinds"})):
        said = f"`{field}` says nothing about what a statement changes, or about functions that it calls"
        yield placed.problem(("when",), f"{said}: also check `writes` or `pure` of sql()", offset)


def _halves(subject: LintSubject) -> Iterator[Problem]:
    for server, name, tool in subject.tools:
        rules = [one for one in deciding(subject) if one.rule.can_match(server, name, "tools/call")]
        read = {argument: one for one in reversed(rules) for argument in _arguments(one)}
        for kind in (PATH, URL) if "*" not in read else ():
            named = [one for one in properties(tool) if kind.names.search(one)]
            missed = [one for one in named if one not in read]
            if missed and len(missed) < len(named):
                placed = next(read[one] for one in named if one in read)
                others = ", ".join(f"`{one}`" for one in named if one in read)
                said = f"`{missed[0]}` of {name} seems to be {kind.what} and is looked at by no rule, only"
                yield placed.problem(("when",), f'{said} {others}: use texts(args, ["{named[0]}", …])')


def _arguments(placed: PlacedRule) -> set[str]:
    """The arguments that a condition reads, "*" for all of them."""
    found = {read.steps[0] if read.steps else "*" for read in placed.reads if read.root == "args"}
    whole = {name for call in calls_of(placed) for name in names_in(call)} if "*" in found else set()
    return whole or {step for step in found if isinstance(step, str)}


def _swapped(subject: LintSubject) -> Iterator[Problem]:
    for placed in deciding(subject):
        when = placed.written.when or ""
        tokens = tokens_of(when)
        for at, token in enumerate(tokens[:-3]):
            if token.text not in _BOUNDED or tokens[at + 1].text != "(":
                continue
            is_method = tokens[at - 1].text == "."
            begin = at - 2 if is_method else at + 2
            behind = _behind_constant(tokens, begin)
            second = at + 2 if is_method else behind + 1
            between = "." if is_method else ","
            if tokens[behind].text != between or tokens[second].text not in ("args", "resource"):
                continue
            constant = when[tokens[begin].start : tokens[behind].start].rstrip()
            asked = when[tokens[second].start : tokens[_member_end(tokens, second)].start].rstrip()
            better = (
                f"{asked}.{token.text}({constant})" if is_method else f"{token.text}({asked}, {constant})"
            )
            said = f"the caller controls what {token.text}() looks for: write `{better}`"
            yield placed.problem(("when",), said, tokens[begin].start)


def _behind_constant(tokens: list[CelToken], at: int) -> int:
    """The index behind the string, the list of strings or the param at `at`; `at` for anything else."""
    if tokens[at].text == "params":
        return _member_end(tokens, at)
    if tokens[at].text != "[":
        return at + (tokens[at].kind == "string")
    end = at + 1
    while tokens[end].kind == "string" or tokens[end].text == ",":
        end += 1
    return end + 1 if tokens[end].text == "]" else at


def _member_end(tokens: list[CelToken], at: int) -> int:
    """The index behind the name at `at` and the members that are selected from it."""
    while tokens[at + 1].text == "." and tokens[at + 2].kind == "name":
        at += 2
    return at + 1


_OF_LINES = re.compile(r"\(\?[a-z]*m")
"""Where `^` and `$` are the ends of any line."""
_FLAGS = re.compile(r"(?:\(\?[a-z]+\))?")


def _parts_of(subject: LintSubject) -> Iterator[Problem]:
    for placed in deciding(subject):
        allows, constant = placed.written.effect == "allow", _patterns(placed)
        for one in placed.comparisons:
            # What seems to be a path, a URL or a command, P701 knows.
            if one.how != "matches" or one.holds is not allows or not one.argument or kind_of(one):
                continue
            for pattern in constant.intersection(text for text in one.against if isinstance(text, str)):
                # What has to be somewhere in a text may be refused where it is not.
                if is_whole(pattern) or not (allows or len(alternatives(pattern)) > 1):
                    continue
                flags, inside = _FLAGS.match(pattern)[0], _FLAGS.sub("", pattern, count=1)  # type: ignore[index]
                said = f"`{pattern}` matches a part of `{one.argument}`, and the rest may be anything"
                better = f"`{flags}^(?:{inside.strip('^$')})$`, or end it with `.*$` if any end is meant"
                yield placed.problem(("when",), f"{said}: write {better}", one.offset)


def _patterns(placed: PlacedRule) -> set[str]:
    """The constants that stand alone in a `matches()` of the condition."""
    tokens = tokens_of(placed.written.when or "")
    return {
        string_value(tokens[at + 2].text)
        for at, token in enumerate(tokens[:-3])
        if token.text == "matches" and tokens[at + 2].kind == "string" and tokens[at + 3].text == ")"
    }


def is_whole(pattern: str) -> bool:
    """Whether a pattern of RE2 describes whole texts: each of its alternatives begins with `^` and ends with
    `$`."""
    if _OF_LINES.search(pattern):
        return False
    bare = _FLAGS.sub("", pattern, count=1)
    several = alternatives(bare)
    if len(several) == 1 and (inside := re.fullmatch(r"\((?:\?:)?(.*)\)", bare, re.DOTALL)):
        return is_whole(inside[1])
    return all(
        one.startswith(("^", r"\A")) and re.search(r"(?<!\\)(?:\\\\)*(?:\$|\\z)\Z", one) for one in several
    )


def alternatives(pattern: str) -> list[str]:
    """What stands between the `|` of a pattern that are in no group and in no class."""
    found, depth = [""], 0
    for word in re.findall(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|.", pattern, re.DOTALL):
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word == "|" and depth == 0:
            found.append("")
        else:
            found[-1] += word
    return found


READINGS: dict[str, Finder] = {
    "P702": _first_parts,
    "P706": _programs,
    "P707": _statements,
    "P709": _halves,
    "P710": _columns,
    "P711": _swapped,
    "P712": _parts_of,
}
