"""The values of hoisted calls of our functions, for one request. `hoisting.py` finds the calls.

Law of this file: a call that cannot be computed has no value, and the condition that needs it is an ERROR.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from msgspec import Struct

from mcpguard.core.functions import FUNCTIONS, FunctionError, Holds, apply, nothing_held
from mcpguard.core.model import Json

MATCHES = "matches"
"""CEL's own function, which is hoisted where its pattern is a constant (RE2 syntax; cel-spec, matches)."""

SIZE = "size"
"""CEL's own function, which is hoisted where it is given a member of the request: the engine would convert
all of it, such as a list of 10,000 objects, in order to count it."""

MOST_CHARACTERS = 4_000_000
"""Of a text that is matched, and of all that conditions read: some 15 ms, with most patterns."""

Steps = tuple[str | int, ...]


class Constant(Struct, frozen=True):
    """A literal: a string, an integer, a boolean, null, or a list or map of these. `key` is the same for
    each way to write it."""

    value: Any
    key: str


class ValuePath(Struct, frozen=True):
    """A value of the request: `root` is a name of conditions, `steps` are members and indexes. With `each` it
    is a list of what these steps lead to from each element of the list that it is."""

    root: str
    steps: Steps
    key: str
    each: Steps | None = None


class HoistedCall(Struct, frozen=True):
    """A call of one of our functions, of `size` with a member, or of `matches` with a constant pattern, and
    `steps` into that."""

    name: str
    arguments: tuple[Constant | ValuePath | HoistedCall, ...]
    steps: Steps
    key: str

    @property
    def cheap(self) -> bool:
        """Whether to compute it costs less than to find out whether it is needed."""
        return self.name in (MATCHES, SIZE) and not isinstance(self.arguments[0], HoistedCall)


Term = Constant | ValuePath | HoistedCall


class MissingValue(FunctionError):
    """A value of the request that is not there, or that CEL's own functions do not take."""


def compute(call: HoistedCall, view: Mapping[str, Json], holds: Holds = nothing_held) -> Json:
    """The value of a call for a request whose names have the values in `view`. Raises FunctionError, also
    where a path leads nowhere."""
    arguments = tuple([_value(one, view, holds) for one in call.arguments])
    if call.name == MATCHES:
        if type(arguments[0]) is not str:
            raise MissingValue("matches() needs a string")
        if len(arguments[0]) > MOST_CHARACTERS:
            raise FunctionError(f"matches() reads at most {MOST_CHARACTERS:,} characters")
        # In bytes, since the library counts the characters before what it finds in a str.
        return compiled(arguments[1]).search(arguments[0].encode()) is not None
    if call.name == SIZE:
        if type(arguments[0]) not in (str, list, dict):
            raise MissingValue("size() needs a string, a list or a map")
        return len(arguments[0])
    return _walk(apply(FUNCTIONS[call.name], arguments, holds), call.steps)


@cache
def compiled(pattern: str) -> Any:
    """A constant pattern of a policy, ready for `search`. Raises ValueError with RE2's reason
    for what is not a pattern."""
    import re2  # A start without patterns does not pay for it.

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else b""
        raise ValueError(reason.decode(errors="replace") if type(reason) is bytes else str(reason)) from None


def why_unread(calls: Iterable[HoistedCall], view: Mapping[str, Json], holds: Holds = nothing_held) -> str:
    """Why the first of `calls` that cannot be computed cannot, although what it is given is there, in words
    that hold no value of the request; "" where all can be."""
    for call in calls:
        try:
            compute(call, view, holds)
        except MissingValue:
            continue
        except FunctionError as error:
            return str(error)
    return ""


def key_of(head: str, steps: Steps) -> str:
    """The key of a path or of a call's member."""
    return head + "".join([f"[{step!r}]" for step in steps])


_NUMBERS: dict[str, int] = {}


def number_of(key: str) -> str:
    """What stands for the call `key` in rewritten conditions: the same in all of them, and short."""
    return str(_NUMBERS.setdefault(key, len(_NUMBERS)))


def _value(term: Term, view: Mapping[str, Json], holds: Holds) -> Json:
    if isinstance(term, Constant):
        return term.value
    if isinstance(term, HoistedCall):
        return compute(term, view, holds)
    if term.root not in view:
        raise MissingValue(f"`{term.root}` is not known yet")
    value = _walk(view[term.root], term.steps)
    if term.each is None:
        return value
    if type(value) is not list:
        raise MissingValue("this is not a list")
    return [_walk(one, term.each) for one in value]


def _walk(value: Json, steps: Steps) -> Json:
    for step in steps:
        if isinstance(step, str):
            if type(value) is not dict or step not in value:
                raise MissingValue(f"there is no `{step}`")
        elif type(value) is not list or not 0 <= step < len(value):
            raise MissingValue(f"there is no element {step}")
        value = value[step]
    return value
