"""What a condition may name, and which members these names have; and what an author who named something else
probably meant, since engines say what they do not know, not what to write.

Law of this file: a name whose members are listed has no others. A rule that reads one that does not exist
would be in force and never hold, so it is refused when it is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from mcpguard.core.conditions.cel_text import tokens_of
from mcpguard.core.conditions.loops import MACROS
from mcpguard.core.errors import did_you_mean
from mcpguard.core.expressions import expression
from mcpguard.core.functions import PLACES

NAMES: dict[str, str] = {
    "action": "string",
    "server": "string",
    "tool": "map",
    "args": "map",
    "prompt": "map",
    "resource": "map",
    "principal": "map",
    "client": "map",
    "session": "map",
    "now": "timestamp",
    "result": "map",
    "findings": "list",
    "params": "map",
}
"""What a condition may name, and its type: maps and lists hold JSON values. No request has `params`: what is
set of them is in the text of a condition before it is compiled (`policy/params.py`)."""

LATER = frozenset({"args", "session"})
"""The names that are unknown while a list is made."""

_LISTED = ("name", "title", "description", "annotations", "icons", "_meta")

MEMBERS: Mapping[tuple[str, ...], tuple[str, ...]] = {
    ("tool",): (*_LISTED, "inputSchema", "outputSchema", "execution", "firstAnnotations"),
    ("prompt",): (*_LISTED, "arguments"),
    ("resource",): (*_LISTED, "uri", "uriTemplate", "mimeType", "size", "listed"),
    ("principal",): ("id", "source", "groups", "claims"),
    ("client",): ("agent", "claims"),
    ("client", "claims"): ("name", "version"),
    ("session",): ("calls", "tools", "labels", "facts"),
}
"""All members of what these paths lead to. What is not here has whatever members a server, a token or a call
gives it."""


class Vocabulary(Struct, frozen=True, eq=False):
    """What conditions of one kind may name, as `NAMES` has it for policies, and `MEMBERS`. `values` are all
    that a name may be."""

    names: Mapping[str, str]
    members: Mapping[tuple[str, ...], tuple[str, ...]]
    values: Mapping[str, tuple[str, ...]] = {}


POLICY = Vocabulary(NAMES, MEMBERS)
"""Of policies."""


def unknown_member(path: tuple[str, ...], vocabulary: Vocabulary = POLICY) -> str | None:
    """Why no value can be at `path`, a name and the members that are selected from it, or None."""
    for end in range(1, len(path)):
        members = vocabulary.members.get(path[:end])
        if members is not None and path[end] not in members:
            hint = did_you_mean(path[end], members) or f"it has {', '.join(members)}"
            return f"`{'.'.join(path[:end])}` has no `{path[end]}`; {hint}"
    return None


_OF_CEL = (
    *("all", "exists", "exists_one", "filter", "map", "has", "size", "matches", "contains", "startsWith"),
    *("endsWith", "int", "uint", "double", "string", "bool", "bytes", "type", "duration", "timestamp", "dyn"),
    *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours"),
    *("getMinutes", "getSeconds", "getMilliseconds"),
)
METHODS = frozenset(("startsWith", "endsWith", "contains", "matches"))
"""Methods of texts that are true or false."""
_ELSEWHERE = {
    **dict.fromkeys(("len", "length", "count"), "size"),
    **dict.fromkeys(("include", "includes", "indexOf", "has_substring"), "contains"),
    **dict.fromkeys(("any", "some", "find"), "exists"),
    **dict.fromkeys(("None", "nil", "undefined", "Null", "NULL"), "null"),
    **dict.fromkeys(("True", "TRUE"), "true"),
    **dict.fromkeys(("False", "FALSE"), "false"),
    **{"every": "all", "test": "matches", "not": "!", "NOT": "!"},
    **{"arguments": "args", "input": "args", "user": "principal", "toolName": "tool.name"},
}
"""What other languages call it, and CEL."""
_ABSENT = {
    **dict.fromkeys(
        ("lower", "upper", "toLowerCase", "toUpperCase", "lowerAscii", "upperAscii"),
        '`matches("(?i)…")` ignores case',
    ),
    **dict.fromkeys(
        ("split", "substring", "replace", "trim", "strip"), '`matches("^…")` compares a part of a string'
    ),
}
"""What CEL does not have, and what serves."""
_UNKNOWN = expression(r"undeclared reference to '(\w+)[\w.]*'")
_WRONG = (
    ("===", "write `==` to compare"),
    ("!==", "write `!=` to compare"),
    ("<>", "write `!=` to compare"),
    ("=~", 'write `.matches("…")` to compare with a pattern'),
    ("=>", "write `.all(x, …)`, with a comma"),
    ("->", "write `.` before a member"),
    (r"(?<![=!<>])=(?!=)", "write `==` to compare"),
    (r"(?i)\bnot\s+in\b", "write `!(x in list)` for `x not in list`"),
    (r"(?i)(?<!\.)\band\b", "write `&&` for `and`"),
    (r"(?i)(?<!\.)\bor\b", "write `||` for `or`"),
    (r"(?i)(?<!\.)\bnot\b", "write `!` for `not`"),
    (r"(?i)(?<!\.)\bis\b", "write `==` to compare"),
    (r"(?i)(?<!\.)\blike\b", 'write `.matches("…")` to compare with a pattern'),
    (r"(?<!\.)\bif\b", "write `condition ? one : other`"),
    ("(?<!&)&(?!&)", "write `&&` for `&`"),
    (r"(?<!\|)\|(?!\|)", "write `||` for `|`"),
    (r"\bin\s*[({]", "write a list in brackets, as in `x in [1, 2]`"),
    ("[\u2018\u2019\u201c\u201d`]", "quote a string with `'` or `\"`"),
    (r"\$|\{\{", "write a name alone, as in `args.x`"),
    (";", "join conditions by `&&` or `||`"),
)
"""What is not CEL, as a pattern on the condition without its texts, and what to write."""


_OVERLOAD = expression(r"found no matching overload for '([^']+)' applied to '\(([^']*)\)'")
_SELECT = expression(r"expression of type '([^']+)' cannot be the operand of a select")
_TYPES = {
    **{"string": "text", "bool": "a boolean", "bytes": "bytes", "null_type": "null"},
    **dict.fromkeys(("int", "uint", "double"), "a number"),
    **{"google.protobuf.Timestamp": "a time", "google.protobuf.Duration": "a duration"},
    **{"map": "an object", "list": "a list", "dyn": "any value"},
}
"""What an engine calls a type, without its parameters, and an author."""
_WHOLE = {
    "map": ("an object", "`{0}` is an object: read a member of it, such as `{1}`"),
    "list": ("a list", '`{0}` is a list: write `"x" in {0}`'),
    "timestamp": ("a time", '`{0}` is a time: compare it with `timestamp("2026-01-02T03:04:05Z")`'),
}
"""By the type of a name, what that is in words, and what to write where it stands by itself."""
_OF_AN_OBJECT = {
    **{"principal": "principal.id", "client": "client.agent", "tool": "tool.name", "prompt": "prompt.name"},
    **{"resource": "resource.uri", "session": "session.labels", "result": "result.content"},
}
"""The member of an object that is most often compared."""


def advised(
    text: str, mistakes: list[tuple[int, str]], names: Mapping[str, str] = NAMES
) -> list[tuple[int, str]]:
    """`mistakes` in the condition `text`, (offset, sentence), with what to write where that is plain; it may
    read `names`."""
    found = []
    for offset, said in mistakes:
        sentence = said
        unknown, overload = _UNKNOWN.search(sentence), _OVERLOAD.search(sentence)
        hint = ""
        if overload:
            sentence = _mistyped(text, offset, overload[1], _types_in(overload[2]), names)
        elif selected := _SELECT.search(sentence):
            sentence = f"{_type_name(selected[1])} has no members"
        if unknown:
            hint = _hyphen(text, unknown[1], names) or _near(unknown[1], names)
        elif sentence.startswith(("Syntax error", "reserved identifier")):
            hint = _syntax(text)
        elif sentence.startswith("has() argument"):
            hint = 'write `has(args.x)`, or `"x" in args`'
        found.append((offset, f"{sentence}; {hint}" if hint else sentence))
    return found


def _types_in(text: str) -> list[str]:
    """The types of a list of them, in words; a type may have parameters of its own."""
    bare = text
    while "(" in bare:
        bare = re.sub(r"\([^()]*\)", "", bare)
    return [_type_name(one.strip()) for one in bare.split(",")]


def _type_name(type_: str) -> str:
    return _TYPES.get(type_.partition("(")[0], type_)


def _mistyped(text: str, offset: int, operator: str, types: list[str], names: Mapping[str, str]) -> str:
    """What is wrong with the types of the operands of what stands at `offset`, and what to write."""
    for name in _alone(text, offset, names):
        type_, said = _WHOLE.get(names[name], ("", ""))
        if type_ in types:
            return said.format(name, _OF_AN_OBJECT.get(name, f"{name}.NAME"))
    word = operator.strip("_@")
    if word == "in":
        return f'`in` needs a list on its right, as in `x in ["a", "b"]`, not {types[-1]}'
    if word.isalpha():
        return f"`{word}()` cannot be called with {' and '.join(types)}"
    return f"`{word}` cannot be applied to {' and '.join(types)}"


def _alone(text: str, offset: int, names: Mapping[str, str]) -> list[str]:
    """The `names` beside `offset` that stand there by themselves: nothing but a method is selected."""
    tokens = tokens_of(text)
    at = next(index for index, one in enumerate(tokens) if one.start >= offset)
    found = []
    for index in range(max(at - 3, 0), min(at + 4, len(tokens) - 3)):
        before, after = tokens[index - 1].text if index else "", tokens[index + 1].text
        method = after == "." and tokens[index + 3].text == "("
        if tokens[index].text in names and before != "." and (method or after not in (".", "[", "(")):
            found.append(tokens[index].text)
    return found


def _near(name: str, names: Mapping[str, str]) -> str:
    from difflib import get_close_matches

    known = [*_OF_CEL, *names, *PLACES]
    if name in known:
        return _form(name, names)
    if name in _ABSENT:
        return _ABSENT[name]
    same = [one for one in known if one.lower() == name.lower()]
    head = re.match(r"[a-z]*", name)
    alike = [one for one in PLACES if head and len(head[0]) > 3 and one.startswith(head[0])]
    elsewhere = [_ELSEWHERE[name]] if name in _ELSEWHERE else []
    near = elsewhere or same or get_close_matches(name, known, n=1, cutoff=0.7) or alike
    return f"did you mean `{near[0]}`?" if near else ""


def _form(name: str, names: Mapping[str, str]) -> str:
    """How a name is used that is known, and was used in another way."""
    if name in names:
        return f"`{name}` is a value, not a function"
    form = f"{name}(args.x)"
    if name in MACROS:
        form = f"args.list.{name}(x, …)"
    elif name in METHODS:
        form = f'args.x.{name}("…")'
    return f"write `{form}`"


def _hyphen(text: str, name: str, names: Mapping[str, str]) -> str:
    """What to write where `name` is the end of a member with a hyphen in it."""
    member = re.search(rf"\b((?:{'|'.join(names)})(?:\.\w+)*)\.((?:\w+-)+{name}(?:-\w+)*)\b", text)
    return f'write `{member[1]}["{member[2]}"]`' if member else ""


def _syntax(text: str) -> str:
    tokens = tokens_of(text)
    if any(one.kind == "other" and one.text in ("'", '"') for one in tokens):
        return "a string is not closed, or contains a quote that needs a backslash"
    bare = [" "] * len(text)
    for one in tokens:
        # What stands in a text is not a mistake.
        inside = "s" * len(one.text) if one.kind == "string" else one.text
        bare[one.start : one.start + len(one.text)] = inside
    words = "".join(bare)
    return next((advice for pattern, advice in _WRONG if re.search(pattern, words)), "")
