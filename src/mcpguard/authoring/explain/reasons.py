"""Why an operand of a condition came to what it did, in a sentence.

Law of this file: of a request it reports which members are there and of which type, and of what our
functions found the booleans and the kinds of detectors; a value of the request is never in a sentence.
"""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from mcpguard.core.conditions.cel import TRUE, Verdict
from mcpguard.core.conditions.cel_text import CelToken, string_value, tokens_of
from mcpguard.core.conditions.hoisted import HoistedCall, compute
from mcpguard.core.conditions.hoisting import hoist
from mcpguard.core.conditions.names import NAMES
from mcpguard.core.functions import FUNCTIONS, FunctionError
from mcpguard.core.functions.detect import DETECT
from mcpguard.core.model import Json

_TYPES = {
    str: "a string",
    bool: "a boolean",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


class MemberRead(Struct, frozen=True):
    """A member of the request that a condition reads: `text` as written, `steps` from the name `root`."""

    text: str
    root: str
    steps: tuple[str | int, ...]


def reason_of(text: str, verdict: Verdict, view: Mapping[str, Json]) -> str:
    """Why the operand `text` is `verdict` for a request whose names have the values in `view`; "" where there
    is nothing to tell."""
    readings = list(members_read(text))
    absent = [said for one in readings if (said := _absent(one, view))]
    found = [said for call in hoist(text).calls for said in _of_call(call, view, bool(absent))]
    if not absent and verdict is not TRUE:
        found += [f"`{one.text}` is {_type_at(one, view)}" for one in readings]
    return "; ".join(dict.fromkeys(absent + found))


def _of_call(call: HoistedCall, view: Mapping[str, Json], excused: bool) -> Iterator[str]:
    """What may be said about a call. `excused`: that it has no value is explained by what is absent."""
    try:
        value = compute(call, view)
    except FunctionError as error:
        if not excused:
            yield str(error)
        return
    fields = FUNCTIONS[call.name].fields if call.name in FUNCTIONS else {}
    if call.name == DETECT.name:
        yield f"{call.name}() finds {', '.join(map(str, value)) or 'nothing'}"
    elif fields:
        said = [f"{name}: {str(value[name]).lower()}" for name in fields if type(value[name]) is bool]
        yield from [f"{call.name}() gives {', '.join(said)}"] if said else []


def _absent(reading: MemberRead, view: Mapping[str, Json]) -> str:
    """What is not there of the way to a member, "" where all of it is."""
    value: Json = view
    way = ""
    for step in (reading.root, *reading.steps):
        inner = f"{way}.{step}" if way and isinstance(step, str) else f"{way}[{step}]" if way else str(step)
        if isinstance(step, str) and isinstance(value, Mapping):
            if step not in value:
                return f"there is no `{inner}`"
        elif type(step) is not int or type(value) is not list:
            return f"`{way}` is {_name(value)}"
        elif not 0 <= step < len(value):
            return f"there is no `{inner}`"
        value, way = value[step], inner
    return ""


def _type_at(reading: MemberRead, view: Mapping[str, Json]) -> str:
    value = view[reading.root]
    for step in reading.steps:
        value = value[step]
    return _name(value)


def _name(value: Json) -> str:
    return _TYPES.get(type(value), "a time")


def members_read(text: str) -> Iterator[MemberRead]:
    """The members that `text` reads; an index that is not a constant ends the way."""
    tokens = tokens_of(text)
    for at, token in enumerate(tokens):
        begins = token.kind == "name" and token.text in NAMES and (at == 0 or tokens[at - 1].text != ".")
        if begins:
            steps, after = _steps(tokens, at + 1)
            last = tokens[after - 1]
            yield MemberRead(text[token.start : last.start + len(last.text)], token.text, steps)


def _steps(tokens: list[CelToken], at: int) -> tuple[tuple[str | int, ...], int]:
    steps: list[str | int] = []
    while True:
        opening, inner, closing = tokens[at], tokens[at + 1], tokens[at + 2]
        if opening.text == "." and inner.kind == "name" and closing.text != "(":
            steps.append(inner.text)
            at += 2
        elif opening.text == "[" and closing.text == "]" and inner.kind in ("string", "number"):
            steps.append(string_value(inner.text) if inner.kind == "string" else _whole(inner.text))
            at += 3
        else:
            return tuple(steps), at


def _whole(number: str) -> int:
    return int(number, 16 if "x" in number else 10)
