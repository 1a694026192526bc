"""What a function of conditions is. The table is `FUNCTIONS` in `core/functions/__init__.py`.

Law of these files: a function is total. For any JSON values it gives a JSON value or raises FunctionError, in
bounded time and without IO; what it cannot read to its end it refuses, since a guess could only loosen.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from msgspec import Struct

from mcpguard.core.errors import did_you_mean
from mcpguard.core.model import Json
from mcpguard.core.tables import sections

MOST_TEXTS = 512
"""Patterns, or texts, of one call."""
MOST_CHARACTERS = 32_768
"""Of all of them together."""
MOST_NAMED = 12
"""Choices that a message lists."""
MOST_KEPT = 4096
"""Characters of the texts of which an answer is kept."""

Holds = Callable[[bytes], bool]
"""Whether a value that mcpguard holds is in a text that ends in PAD (`core/redaction/engine/matching.py`)."""


def nothing_held(_padded: bytes) -> bool:
    """The `Holds` of whoever holds nothing."""
    return False


class ReturnedTexts(Struct, frozen=True):
    """A `Holds` for a value in which `texts` go back to the server that they came from: `detect()` takes them
    for nothing that leaves."""

    holds: Holds
    texts: frozenset[str]

    def __call__(self, padded: bytes) -> bool:
        return self.holds(padded)

    def spared(self, value: Json) -> Json:
        """`value` without the `texts`."""
        if type(value) is str:
            return "" if value in self.texts else value
        if type(value) is dict:
            return {name: self.spared(child) for name, child in value.items()}
        return [self.spared(child) for child in value] if type(value) is list else value


class FunctionError(Exception):
    """An argument that cannot be read. The condition that called becomes an ERROR, which only tightens.

    The message is a sentence of ours for `explain`; it never quotes the argument.
    """


class Parameter(Struct, frozen=True):
    """One parameter. `kind` is "string", "list" (of strings), "strings" (a string or a list of them) or
    "any" (any JSON value); whoever passes another kind gets a FunctionError. With `choices` a constant in a
    policy must be one of them. `check` raises FunctionError for a text that can never be used, so that a
    policy with such a constant is not loaded."""

    name: str
    kind: str
    optional: bool = False
    choices: tuple[str, ...] = ()
    check: Callable[[Any], object] = bool


class Function(Struct, frozen=True):
    """One function of conditions.

    `name` is what a condition calls, with `parameters`. `call` does the work; it takes the arguments in
    order, each of its parameter's kind, and raises FunctionError. Where it gives a map, `fields` are its
    members, all of which are always there; `elements` are the members of the maps that are in one of them.
    `values` are the texts that can be in a member, or in that of an element (with a dot between), if these
    are all.
    `slow` is how many characters it reads, roughly, in 50 microseconds, a step of a loop.
    `prepare` brings what costs time once; it is called when a policy is loaded, so that no call of a client
    waits. With `searches` it is also given, as `holds`, what looks for held values.
    """

    name: str
    parameters: tuple[Parameter, ...]
    call: Callable[..., Json]
    fields: tuple[str, ...] = ()
    elements: Mapping[str, tuple[str, ...]] = {}
    values: Mapping[str, tuple[str, ...]] = {}
    slow: int = 256
    prepare: Callable[[], object] | None = None
    searches: bool = False


class FunctionPage(Struct, frozen=True):
    """What the reference says of a function: `summary` is Markdown, `gives` what comes back, `fields` the
    meaning of each member. `holds` are conditions that hold and `errors` those that cannot be loaded or
    evaluated."""

    summary: str
    gives: str
    fields: dict[str, str]
    holds: tuple[str, ...]
    errors: tuple[str, ...]


def pages() -> dict[str, FunctionPage]:
    """By name, in the order of the reference."""
    found = {}
    for name, text in sections(__package__, "functions.txt").items():
        said = [line.split(": ", 1) for line in text.replace("\n    ", " ").splitlines() if line]
        first = dict(said)
        fields = {key[1:]: meaning for key, meaning in said if key[0] == "."}
        holds, errors = (tuple(one for key, one in said if key == kind) for kind in ("holds", "error"))
        found[name] = FunctionPage(first["summary"], first["gives"], fields, holds, errors)
    return found


def of_kind(kind: str, value: Json) -> bool:
    """Whether `value` is of a parameter's kind."""
    if kind == "string":
        return type(value) is str
    if kind == "list":
        return type(value) is list and all(type(one) is str for one in value)
    if kind == "strings":
        return of_kind("string", value) or of_kind("list", value)
    return True


def unfit(function: Function, parameter: Parameter, constant: Json) -> str:
    """What is wrong with a constant in a policy, "" for nothing."""
    if not of_kind(parameter.kind, constant):
        return f"{function.name}() needs `{parameter.name}` to be a {parameter.kind}"
    given = constant if type(constant) is list else [constant]
    unknown = next((one for one in given if parameter.choices and one not in parameter.choices), None)
    if unknown is not None:
        return f"{function.name}() {_accepted(parameter, unknown)}"
    for one in given:
        try:
            parameter.check(one)
        except FunctionError as error:
            return f"{function.name}() cannot use `{one}` as `{parameter.name}`: {error}"
    return ""


def _accepted(parameter: Parameter, given: str) -> str:
    """What `parameter` accepts instead of `given`; of many choices, the nearest or the first few."""
    if len(parameter.choices) <= MOST_NAMED:
        return f"accepts as `{parameter.name}`: {', '.join(parameter.choices)}"
    first = ", ".join(parameter.choices[:MOST_NAMED])
    near = did_you_mean(given, parameter.choices)
    known = f"it knows {first} and {len(parameter.choices) - MOST_NAMED} more"
    return f"does not know `{given}` as `{parameter.name}`; {near or known}"


def apply(function: Function, arguments: tuple[Json, ...], holds: Holds = nothing_held) -> Json:
    """What `function` gives for `arguments`. Raises FunctionError, also for too few, too many or those of
    the wrong kind, for input so deeply nested that it cannot be walked, and in place of any other error."""
    required = sum(not parameter.optional for parameter in function.parameters)
    if not required <= len(arguments) <= len(function.parameters):
        raise FunctionError(f"{function.name}() takes {required} to {len(function.parameters)} arguments")
    for parameter, value in zip(function.parameters, arguments, strict=False):
        if not of_kind(parameter.kind, value):
            raise FunctionError(f"{function.name}() needs `{parameter.name}` to be a {parameter.kind}")
    try:
        if function.searches:
            written = _written(arguments) if holds is nothing_held else None
            if written is None:
                return function.call(*arguments, holds=holds)
            return _found(function.call, written)
        if _can_be_kept(arguments):
            return _answer(function.call, arguments)
        return function.call(*arguments)
    except FunctionError:
        raise
    except RecursionError:
        raise FunctionError(f"{function.name}() cannot read anything nested this deeply") from None
    except Exception:  # A defect of ours refuses, like any other error of a condition, and leaves a record.
        raise FunctionError(f"{function.name}() cannot read this, because of a defect in mcpguard") from None


def _can_be_kept(arguments: tuple[Json, ...]) -> bool:
    return sum(len(one) if type(one) is str else MOST_KEPT + 1 for one in arguments) <= MOST_KEPT


@lru_cache(maxsize=64)
def _answer(call: Callable[..., Json], texts: tuple[Json, ...]) -> Json:
    """The last answers are kept: a call that waits for an approval is decided twice, its result is decided
    on as well, and tests ask the same of each posture and each engine. Nobody changes an answer."""
    return call(*texts)


def _written(arguments: tuple[Json, ...]) -> bytes | None:
    """The arguments as a key, which tells 1 from true. None for what is long or deep, or has a time in it."""
    try:
        written = marshal.dumps(arguments, 2)  # Later versions write the same value in several ways.
    except ValueError:
        return None
    return written if len(written) <= MOST_KEPT else None


@lru_cache(maxsize=64)
def _found(call: Callable[..., Json], written: bytes) -> Json:
    """As `_answer`, for any arguments, where nothing is held: what is held may change between two calls."""
    return call(*marshal.loads(written))  # noqa: S302 - it was written by `_written`


def check_size(name: str, text: str, limit: int) -> None:
    """Raises FunctionError for a text of more than `limit` characters, or one with a NUL in it."""
    if len(text) > limit:
        raise FunctionError(f"{name}() reads at most {limit:,} characters")
    if "\0" in text:
        raise FunctionError(f"{name}() does not read text with a NUL character")


def check_amount(name: str, value: Json, limit: int) -> None:
    """Raises FunctionError for a value with more than `limit` values in it."""
    left, waiting = limit, [value]
    while waiting:
        one = waiting.pop()
        if type(one) is dict or type(one) is list:
            left -= len(one)
            if left < 0:
                raise FunctionError(f"{name}() reads at most {limit:,} values at a time")
            waiting += one.values() if type(one) is dict else one


def as_list(patterns: str | list[str]) -> list[str]:
    """A string as a list of one. Raises FunctionError for more than MOST_TEXTS, or MOST_CHARACTERS in all."""
    found = [patterns] if isinstance(patterns, str) else patterns
    if len(found) > MOST_TEXTS or sum(map(len, found)) > MOST_CHARACTERS:
        raise FunctionError(
            f"a call may list at most {MOST_TEXTS} texts of {MOST_CHARACTERS:,} characters in all"
        )
    return found


def of_each(texts: str | list[str], test: Callable[[str], bool]) -> bool:
    """The answer of `test` for a text, or for a list of texts that all have the same one: so neither a rule
    that allows what is within nor one that refuses what is within lets a list through for one of its texts.
    Raises FunctionError as `test` does for any of them, for a list without any, for one whose texts have
    different answers, and as `as_list` does."""
    if isinstance(texts, str):
        return test(texts)
    answers = [test(text) for text in as_list(texts)]
    if not answers:
        raise FunctionError("a list must not be empty")
    if len({*answers}) > 1:
        other = answers.index(not answers[0]) + 1
        raise FunctionError(
            f"item {other} of a list is not like item 1 here: send such items in a call of their own"
        )
    return answers[0]
