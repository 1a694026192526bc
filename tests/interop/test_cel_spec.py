"""The conformance tests of CEL's specification, on both engines: true is never taken for false, in the texts as they
are and with their literals moved into the arguments of a call."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from msgspec import Struct

from mcpguard.core.conditions.cel import (
    ERROR,
    FALSE,
    TRUE,
    Bound,
    Condition,
    ConditionError,
    EngineName,
    Verdict,
)
from mcpguard.core.conditions.engines import engine
from scripts import node

pytestmark = pytest.mark.node

TESTS = "node_modules/@bufbuild/cel-spec/dist/cjs/testdata/conformance.js"
PRINTED = "console.log(JSON.stringify(require(process.argv[1]).tests))"
SCALARS = {
    "boolValue": lambda value: "true" if value else "false",
    "int64Value": str,
    "uint64Value": lambda value: f"{value}u",
    "doubleValue": lambda value: f"double('{value!r}')" if isinstance(value, int | float) else None,
    "stringValue": json.dumps,
    "nullValue": lambda value: "null",
}
LITERAL = re.compile(
    r"""(?P<skip>(?:[bB][rR]?|[rR][bB]?)(?:'[^']*'|"[^"]*")|'''.*?'''|\"\"\".*?\"\"\")
      |(?P<string>'[^'\\\n]*'|"[^"\\\n]*")
      |(?P<escaped>'(?:\\.|[^'\n])*'|"(?:\\.|[^"\n])*")
      |(?P<double>(?<![\w.])\d+\.\d+(?:[eE][+-]?\d+)?(?![\w.]))
      |(?P<int>(?<![\w.])\d+(?![\w.]))
      |(?P<word>(?<![\w.'"])(?:true|false|null)(?![\w.'"]))""",
    re.VERBOSE | re.DOTALL,
)


ALL = "MCPGUARD_CEL_ALL" in os.environ
LENIENT = "/map_value_repeat_key_heterogeneous"
"""Where the C++ engine takes what the specification refuses: a map in the text of a policy with one number as two
keys, of two types."""


class Case(Struct):
    """A condition with what the specification says of it; `args` are what was moved out of it. `first` says
    whether it is the plainest of its test."""

    name: str
    text: str
    expected: Verdict
    args: dict[str, Any] = {}
    first: bool = False


@pytest.fixture(scope="module")
def cases(node_home: Any) -> list[Case]:
    """Those that need no variables and no messages of protocol buffers."""
    command = [node.program(node_home, "x")[0], "-e", PRINTED, str(node_home / TESTS)]
    printed = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return [made for one in _leaves(json.loads(printed.stdout), "") for made in _case(*one)]


def _leaves(suite: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    at = f"{path}/{suite['name']}"
    for test in suite.get("tests", []):
        yield f"{at}/{test['original']['name']}", test["original"]
    for inner in suite.get("suites", []):
        yield from _leaves(inner, at)


def _case(name: str, test: dict[str, Any]) -> Iterator[Case]:
    text = test["expr"]
    if test.keys() & {"bindings", "container", "typeEnv", "checkOnly", "typedResult"}:
        return
    if "evalError" in test:
        yield Case(name, f"({text}) == ({text})", ERROR, first=True)
        yield Case(name, text, ERROR)
        return
    ((kind, value),) = test.get("value", {"boolValue": True}).items()
    if kind == "boolValue":
        yield Case(name, text, TRUE if value else FALSE, first=True)
    literal = SCALARS[kind](value) if kind in SCALARS else None
    if literal is not None and value not in ("NaN", "Infinity", "-Infinity"):
        yield Case(name, f"({text}) == {literal}", TRUE, first=kind != "boolValue")
        yield Case(name, f"({text}) != {literal}", FALSE)
        yield Case(name, f"{literal} in [{text}]", TRUE)


def _moved(case: Case) -> Iterator[Case]:
    """The same with all literals in `args`, and with one of them: each, where `ALL` says so."""
    places = [found for found in LITERAL.finditer(case.text) if found.lastgroup not in ("skip", "escaped")]
    singly = [[one] for one in places] if len(places) > 1 else []
    if singly and not ALL:
        singly = [Random(case.name).choice(singly)]
    for chosen in [places, *singly] if places else []:
        args: dict[str, Any] = {}
        text, done = "", 0
        for place in chosen:
            name = f"a{len(args)}"
            args[name] = _value(str(place.lastgroup), place[0])
            text += f"{case.text[done : place.start()]}args.{name}"
            done = place.end()
        yield Case(case.name, text + case.text[done:], case.expected, args)


def _value(kind: str, literal: str) -> Any:
    if kind == "string":
        return literal[1:-1]
    if kind == "int":
        return int(literal)
    return float(literal) if kind == "double" else {"true": True, "false": False, "null": None}[literal]


Pair = tuple[Condition, Condition]


@pytest.fixture(scope="module")
def moved(cases: list[Case]) -> list[tuple[Case, Pair]]:
    """Those of `cases` whose literals are arguments, on the fast engine and on the other."""
    return [
        (case, both) for one in cases if one.first for case in _moved(one) if (both := _compiled(case.text))
    ]


def _compiled(text: str) -> Pair | None:
    try:
        return engine("cpp").compile(text), engine("python").compile(text)
    except ConditionError:
        return None


def _verdicts(both: Pair, args: dict[str, Any]) -> tuple[Verdict, Verdict]:
    fast, slow = (one.verdict(Bound({"args": args}, one.members)) for one in both)
    return fast, slow


def test_an_engine_says_what_the_specification_says_or_refuses(cases: list[Case]) -> None:
    counts: Counter[EngineName] = Counter()
    names: tuple[EngineName, ...] = ("cpp", "python")
    for case in cases:
        for name in names:
            try:
                verdict = engine(name).compile(case.text).verdict(Bound({}))
            except ConditionError:
                continue
            assert verdict in (case.expected, ERROR) or case.name.endswith(LENIENT), (name, case)
            counts[name] += verdict is not ERROR
    assert min(counts.values()) > 1000, counts


def test_the_engines_agree_on_literals_that_arrive_as_arguments(moved: list[tuple[Case, Pair]]) -> None:
    decided = 0
    for case, both in moved:
        fast, slow = _verdicts(both, case.args)
        assert slow in (fast, ERROR), (fast, slow, case)
        assert {fast, case.expected} != {TRUE, FALSE}, (fast, case)
        decided += slow is not ERROR
    assert decided > 600, decided


def test_a_zero_beside_them_only_turns_verdicts_into_errors(moved: list[tuple[Case, Pair]]) -> None:
    for case, both in moved:
        before = _verdicts(both, case.args)
        for beside in ({"note": "\0"}, {"\0": 1}):
            after = _verdicts(both, {**case.args, **beside})
            assert all(two in (one, ERROR) for one, two in zip(before, after, strict=True)), case
