"""What every function promises: its arguments are checked, and what nests too deeply is an error."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import structs

from mcpguard.core.functions import FUNCTIONS, Function, FunctionError, Parameter, apply
from mcpguard.core.functions.function import MOST_KEPT, Holds, check_size, nothing_held, pages
from tests.rows import each


def walked(value: Any, *_rest: Any) -> Any:
    return walk(value)


def walk(value: Any) -> Any:
    # Without further parameters: with some, Python 3.13 counts no levels.
    return [walk(one) for one in value] if type(value) is list else value


def taking(kind: str) -> Function:
    return Function("f", (Parameter("x", kind), Parameter("y", "any", optional=True)), walked)


@each(
    ("kind", "value", "fits"),
    [
        ("string", "a", True),
        ("string", ["a"], False),
        ("list", ["a", "b"], True),
        ("list", ["a", 1], False),
        ("list", "a", False),
        ("strings", "a", True),
        ("strings", ["a"], True),
        ("strings", 1, False),
        ("any", None, True),
    ],
)
def test_an_argument_of_another_kind_is_an_error(kind: str, value: Any, fits: bool) -> None:
    if fits:
        assert apply(taking(kind), (value,)) == value
    else:
        with pytest.raises(FunctionError, match=f"needs `x` to be a {kind}"):
            apply(taking(kind), (value,))


@each(
    ("arguments", "asked"),
    [
        (("a", "b"), 1),
        (("a" * MOST_KEPT, ""), 1),
        (("a" * MOST_KEPT, "b"), 2),
        ((1, True), 2),  # 1 and True are equal, and not the same.
        ((["a"], "b"), 2),
    ],
)
def test_the_answer_for_short_texts_is_kept(arguments: Any, asked: int) -> None:
    calls: list[Any] = []

    def counted(*given: Any) -> Any:
        calls.append(given)
        return len(calls)

    function = Function("f", (Parameter("x", "any"), Parameter("y", "any")), counted)
    assert [apply(function, arguments), apply(function, arguments)] == [1, asked]


@each(
    ("arguments", "others", "asked"),
    [
        (({"a": ["b", 1]}, "secret"), ({"a": ["b", 1]}, "secret"), 1),
        (({"a": 1}, "secret"), ({"a": True}, "secret"), 2),
        (({"a": "\ud800"}, None), ({"a": "\ud800"}, None), 1),
        (("a" * MOST_KEPT, None), ("a" * MOST_KEPT, None), 2),
        (({"a": datetime.now(UTC)}, None), ({"a": 1}, None), 2),
    ],
)
def test_the_answer_of_a_search_is_kept_where_nothing_is_held(
    arguments: Any, others: Any, asked: int
) -> None:
    calls: list[Any] = []

    def counted(*given: Any, holds: Holds = nothing_held) -> Any:
        calls.append(given)
        return len(calls)

    function = Function("f", (Parameter("x", "any"), Parameter("y", "any")), counted, searches=True)
    assert [apply(function, arguments), apply(function, others)] == [1, asked]
    assert [apply(function, others, lambda _: True) for _ in range(2)] == [asked + 1, asked + 2]


@pytest.mark.parametrize("arguments", [(), (1, 2, 3)])
def test_too_few_and_too_many_arguments_are_an_error(arguments: Any) -> None:
    with pytest.raises(FunctionError, match="takes 1 to 2 arguments"):
        apply(taking("any"), arguments)


def test_what_nests_too_deeply_is_an_error() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(FunctionError, match="nested this deeply"):
        apply(taking("any"), (deep,))


def test_a_defect_is_an_error_like_others() -> None:
    broken = structs.replace(taking("any"), call=lambda _: {}["x"])
    with pytest.raises(FunctionError, match="because of a defect in mcpguard"):
        apply(broken, (1,))


@pytest.mark.parametrize("text", ["x" * 11, "a\0b"])
def test_a_text_that_is_too_long_or_has_a_nul_is_an_error(text: str) -> None:
    check_size("f", "x" * 10, 10)
    with pytest.raises(FunctionError):
        check_size("f", text, 10)


def test_each_function_stands_in_the_table_under_its_name() -> None:
    assert all(function.name == name for name, function in FUNCTIONS.items())
    assert [*type(FUNCTIONS)().values()] == [*FUNCTIONS.values()]


LOADED = """
import sys
from mcpguard.core.conditions.cel import Bound
from mcpguard.core.conditions.engines import engine
engine("cpp").compile("has(args.path) && args.path.startsWith('/srv/')").verdict(Bound({"args": {}}))
names = [name for name in sys.modules if name.startswith("mcpguard.core.functions.")]
assert names == ["mcpguard.core.functions.function"], names
engine("cpp").compile("glob(args.path, 'a')")
assert "mcpguard.core.functions.texts" in sys.modules
assert not {"idna", "sqlglot", "tree_sitter"} & sys.modules.keys()
"""


def test_a_function_is_imported_only_where_a_condition_calls_it() -> None:
    subprocess.run([sys.executable, "-c", LOADED], check=True)


def test_a_name_that_is_no_function_is_none() -> None:
    assert "nope" not in FUNCTIONS
    assert FUNCTIONS.get("nope") is None
    with pytest.raises(KeyError):
        FUNCTIONS["nope"]


def test_each_function_has_a_page_that_says_what_it_gives() -> None:
    written = pages()
    assert set(written) == set(FUNCTIONS)
    assert all(page.summary and page.gives and page.holds for page in written.values())
    assert written["sql"].fields["writes"]
