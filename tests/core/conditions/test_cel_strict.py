"""The Python engine never decides what the C++ engine refuses to: a guess of the library would be looser."""

from __future__ import annotations

from typing import Any

from mcpguard.core.conditions.cel import ERROR, Bound
from mcpguard.core.conditions.engines import engine
from tests.rows import each

TEXT: dict[str, Any] = {"a": "10.0.0.1", "empty": "", "none": None, "yes": True, "map": {"k": 1}}
LIST: dict[str, Any] = {"a": ["rm", "x"], "empty": [], "number": 1, "real": 1.5}


@each(
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
        ("uint(args.real - 3.0) == 0u", LIST),
        ("args.number / args.real == 1", {"number": 1.5, "real": [1]}),
        ("-9223372036854775808 % -1 == 0", LIST),
        # a key of a map is a bool, a number or a string, and there once
        ("{args.none: 1} != {}", TEXT),
        ("{dyn(1.0): 1}.all(key, true)", LIST),
        ("{dyn(args.missing): 1}.all(key, true)", LIST),
        ("{'k': 1, dyn('k'): 1} != {}", LIST),
        ("{dyn(true): 1}[dyn(1)] == 1", LIST),
        # a number beyond 64 bits, wherever it is
        ("args.a == 'x'", {"a": "x", "b": [{"c": 1 << 70}]}),
        # times
        ("timestamp('2026-01-02') != timestamp(0)", LIST),
        ("timestamp(args.a) != timestamp('2026-01-02T03:04:05Z')", {"a": "2026-01-02 03:04:05Z"}),
        ("timestamp('0001-01-01T00:00:00+01:00') < timestamp('2026-01-02T03:04:05Z')", LIST),
        ("timestamp(args.number) == timestamp(args.a)", {"number": 1.5, "a": "2026-W01-1T00:00:00Z"}),
        ("timestamp('2026-01-02T03:04:05Z') - timestamp('0001-01-01T00:00:00Z') != duration('0s')", LIST),
        ("duration('1d') != duration('0s')", LIST),
        ("duration('') == duration('0s')", LIST),
        ("duration(args.number) == duration('1s')", LIST),
        ("duration('315576000001s') > duration('1s')", LIST),
        ("duration('9223372036s') + duration('9223372036s') > duration('1s')", LIST),
        ("timestamp('2026-01-02T03:04:05Z').getHours('nowhere') == 3", LIST),
        ("dyn(duration('1h')).getFullYear() == 1970", LIST),
        ("dyn(args.number).getHours() == 1", LIST),
    ],
)
def test_the_python_engine_refuses_what_the_other_refuses(text: str, args: dict[str, Any]) -> None:
    bound = Bound({"args": args})
    assert engine().compile(text).verdict(bound) is ERROR
    assert engine("python").compile(text).verdict(bound) is ERROR


def test_a_division_by_zero_is_an_error_in_python_which_takes_it_for_infinity() -> None:
    assert engine("python").compile("args.real / 0.0 < 0.0").verdict(Bound({"args": {"real": -1.5}})) is ERROR


@each(
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
        ("duration('-1h30m') < duration('0.5s') && duration('90m').getHours() == 1", LIST),
        ("duration('-90.5s').getSeconds() == -90 && duration(duration('90s')).getMinutes() == 1", LIST),
        ("timestamp('2026-01-02T03:04:05.25+01:00').getHours() == 2", LIST),
        ("timestamp(timestamp('2026-07-02T03:04:05Z')).getHours('Europe/Berlin') == 5", LIST),
        ("!(args.real < 1e308 * 10.0 - 1e308 * 10.0) && !(args.real >= 1e308 * 10.0 - 1e308 * 10.0)", LIST),
        ("{1: 'a', 2: 'b'}[dyn(1u)] == 'a' && {'k': 2, 3: 4}['k'] == 2", LIST),
        ("args.real / 0.5 == 3.0 && 7 % -2 == 1", LIST),
        ("type('a' + 'b') == string && type([1] + [2]) == list", LIST),
    ],
)
def test_what_is_right_has_the_same_answer_on_both(text: str, args: dict[str, Any]) -> None:
    bound = Bound({"args": args})
    assert engine().compile(text).verdict(bound).value == "true"
    assert engine("python").compile(text).verdict(bound).value == "true"
