"""The Python engine never decides what the C++ engine refuses to: a guess of the library would be looser."""

from __future__ import annotations

from typing import Any

import pytest

from mcpguard.core.cel import ERROR, Bound, engine

TEXT: dict[str, Any] = {"a": "10.0.0.1", "empty": "", "none": None, "yes": True, "map": {"k": 1}}
LIST: dict[str, Any] = {"a": ["rm", "x"], "empty": [], "number": 1, "real": 1.5}


@pytest.mark.parametrize(
    ("text", "args"),
    [
        # a string is no list, and a list is no string
        ('args.a[0] == "1"', TEXT),
        ("args.a[-1] == 'x'", LIST),
        ("args.a[true] == 'x'", LIST),
        ("args.missing[0] == 1", LIST),
        ("args.a[args.missing] == 1", LIST),
        ("args.map[0] == 1", TEXT),
        ("args.a.contains('rm')", LIST),
        ("!args.map.contains('k')", TEXT),
        ("args.a.startsWith('rm')", LIST),
        ("args.a.endsWith(args.missing)", TEXT),
        ("args.empty.filter(one, one != 'x').size() == 0", TEXT),
        ("args.empty.map(one, one).size() == 0", TEXT),
        ("args.a.exists_one(one, one == '1')", TEXT),
        # what is no bool decides nothing
        ("args.a.filter(one, one).size() == 2", LIST),
        ("args.a.exists_one(one, one)", LIST),
        # an error stays one
        ("args.missing in args.empty", LIST),
        ("!(args.missing in args.map)", TEXT),
        ("{'k': args.missing}.all(key, key == 'k')", LIST),
        ("args.a.map(one, args.missing).size() == 2", LIST),
        ("[1] in args.map", TEXT),
        ("args.none in args.map", TEXT),
        # a bool is no number, null is no 0, and numbers of two kinds are not added
        ("args.yes < 2", TEXT),
        ("args.yes + 1 == 2", TEXT),
        ("args.number + 1u == args.number", LIST),
        ("args.real - 1 == args.real", LIST),
        ("args.map / dyn(0.0) != args.map", TEXT),
        ("args.a * 2 != args.a", LIST),
        ("int(args.none) == 0", TEXT),
        ("int('1_0') == 10", TEXT),
        ("double(args.none) == 0.0", TEXT),
        ("bool(args.number)", LIST),
        ("bytes(args.a) == b''", LIST),
    ],
)
def test_the_python_engine_refuses_what_the_other_refuses(text: str, args: dict[str, Any]) -> None:
    bound = Bound({"args": args})
    assert engine().compile(text).verdict(bound) is ERROR
    assert engine("python").compile(text).verdict(bound) is ERROR


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("args.a[1] == 'x' && args.a.size() == 2", LIST),
        ("args.map['k'] == 1 && 'k' in args.map && !('x' in args.map)", TEXT),
        ("args.a.contains('0.0') && args.a.startsWith('10') && args.a.endsWith('.1')", TEXT),
        ("args.a.filter(one, one != 'x') == ['rm'] && args.a.exists_one(one, one == 'x')", LIST),
        ("args.map.filter(key, key == 'k').size() == 1 && args.map.exists_one(key, true)", TEXT),
        ("args.a.map(one, one + '!') == ['rm!', 'x!'] && {'k': 1}.k == 1", LIST),
        (
            "args.number + 1 == 2 && args.number * 3 - 1 == 2 && args.real + 0.5 == 2.0 && args.number < 2",
            LIST,
        ),
        (
            "int('-7') == -7 && int(1.9) == 1 && uint(1) == 1u && double('1.5e1') == 15.0 && double(1) == 1.0",
            LIST,
        ),
        ("bool('true') && !bool('false') && bytes('a') == b'a' && string(1) == '1'", LIST),
        ("duration('1s') == duration('1s') && timestamp('2026-01-02T03:04:05Z').getFullYear() == 2026", LIST),
        ("false < args.yes", TEXT),
        ("type('a' + 'b') == string && type([1] + [2]) == list", LIST),
    ],
)
def test_what_is_right_has_the_same_answer_on_both(text: str, args: dict[str, Any]) -> None:
    bound = Bound({"args": args})
    assert engine().compile(text).verdict(bound).value == "true"
    assert engine("python").compile(text).verdict(bound).value == "true"
