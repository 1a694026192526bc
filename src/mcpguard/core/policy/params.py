"""Values that a policy leaves to whoever uses it take their places before a condition is compiled:
`params.NAME` stands for one of them.

    !pathWithin(args.path, params.folders)   ->   !pathWithin(args.path, ["/srv/data"])

Law of this file: a value is inserted as a constant, so that engines and functions see what they would see
if the author had written it there. An unset param keeps its name, for which no engine has a value, so
everything that depends on it is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from mcpguard.core.conditions.cel_text import CelToken, tokens_of
from mcpguard.core.errors import did_you_mean
from mcpguard.core.model import Json

if TYPE_CHECKING:
    from mcpguard.core.policy.written import Param

PARAMS = "params"


def with_values(
    declared: Mapping[str, Param], values: Mapping[str, Json]
) -> tuple[dict[str, Param], list[tuple[str, str]]]:
    """The params with `values` as their defaults, and what is wrong with the values: (name, sentence)."""
    found, mistakes = dict(declared), list[tuple[str, str]]()
    for name, value in values.items():
        param = declared.get(name)
        if param is None:
            hint = did_you_mean(name, declared) or f"it has {', '.join(declared) or 'none'}"
            mistakes.append((name, f"the policy has no param `{name}`; {hint}"))
        elif said := param.misfit(value):
            mistakes.append((name, f"the param `{name}`: {said}"))
        else:
            found[name] = param.model_copy(update={"default": value})
    return found, mistakes


class FilledCondition(Struct, frozen=True):
    """A condition with values in place. `mistakes` are (offset in characters, sentence) in the text as
    written; `reads` are the params in it, `unset` those without a value; `moves` are (start, end, start as
    written, end as written) of each value, in their order."""

    text: str
    mistakes: tuple[tuple[int, str], ...] = ()
    reads: frozenset[str] = frozenset()
    unset: frozenset[str] = frozenset()
    moves: tuple[tuple[int, int, int, int], ...] = ()

    def origin(self, offset: int) -> int:
        """Where in the text as written is what stands at `offset` of `text`."""
        found = offset
        for start, end, written, after in self.moves:
            if offset >= end:
                found = after + offset - end
            elif offset >= start:
                return written
        return found


def placed(text: str, params: Mapping[str, Param]) -> FilledCondition:
    """The condition `text` with the value of each of `params` that is set in place of its name. One item
    of a list is selected by a constant: `params.folders[0]`."""
    tokens = tokens_of(text)
    parts: list[str] = []
    mistakes: list[tuple[int, str]] = []
    moves: list[tuple[int, int, int, int]] = []
    reads: set[str] = set()
    done = length = 0
    for at, token in enumerate(tokens):
        if token.text != PARAMS or token.kind != "name" or (at and tokens[at - 1].text == "."):
            continue
        name = tokens[at + 2].text if tokens[at + 1].text == "." else ""
        if name not in params:
            mistakes.append((token.start, _unknown(name, params)))
            continue
        reads.add(name)
        value, last = _selected(params[name].default, tokens, at + 2)
        if value is not None:
            end = last.start + len(last.text)
            parts += [text[done : token.start], _literal(value)]
            length += token.start - done
            moves.append((length, length + len(parts[-1]), token.start, end))
            length, done = length + len(parts[-1]), end
    unset = frozenset(name for name in reads if not params[name].is_set)
    return FilledCondition(
        "".join(parts) + text[done:], tuple(mistakes), frozenset(reads), unset, tuple(moves)
    )


_IN_MESSAGE = re.compile(r"\{params\.(\w*)\}")
MOST_SHOWN = 20
"""How many texts of a list are shown."""


def params_in(message: str) -> tuple[str, ...]:
    """The names of the params that a message shows, as it is written."""
    return tuple(dict.fromkeys(_IN_MESSAGE.findall(message)))


def shown_in(message: str, params: Mapping[str, Param]) -> tuple[str, list[str]]:
    """`message` with the value of each of `params` in place of `{params.NAME}`, for whoever reads it, and
    what is wrong with the names in it."""
    names = _IN_MESSAGE.findall(message)
    mistakes = [_unknown(name, params) for name in names if name not in params]
    if mistakes:
        return message, mistakes
    return _IN_MESSAGE.sub(lambda found: _readable(found[1], params[found[1]].default), message), []


def _readable(name: str, value: Json) -> str:
    if value is None or value in ([], {}):
        return f"none (a person can set `{name}` for this policy)"
    if type(value) in (list, dict):  # Of a map, the names.
        texts = [str(one) for one in value]
        more = f" and {len(texts) - MOST_SHOWN} more" if len(texts) > MOST_SHOWN else ""
        return ", ".join(texts[:MOST_SHOWN]) + more
    return value if type(value) is str else json.dumps(value)


def _unknown(name: str, params: Mapping[str, Param]) -> str:
    if hint := did_you_mean(name, params):
        return f"`params` of this policy has no `{name}`; {hint}"
    return "write `params.NAME`, with a NAME that this policy declares under `params`"


def _selected(value: Json, tokens: list[CelToken], at: int) -> tuple[Json, CelToken]:
    """The value, or its item if a constant index follows, and the last word of it. None without one."""
    opened, index, closed = tokens[at + 1 : at + 4]
    if type(value) is list and opened.text == "[" and index.kind == "number" and closed.text == "]":
        number = int(index.text, 0)
        return (value[number] if number < len(value) else None), closed
    return value, tokens[at]


def _literal(value: Json) -> str:
    """A constant of CEL (cel-spec, lexis): JSON is one but for what JSON escapes as a pair of surrogates."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
