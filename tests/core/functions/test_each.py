"""A list of paths or hosts is never let through where a loop over it would not be."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mcpguard.core.conditions.cel import ERROR, Bound
from mcpguard.core.conditions.engines import engine
from mcpguard.core.functions.function import MOST_TEXTS
from tests.core.functions.web.test_urls import message, says
from tests.rows import each

CASES = {
    "pathWithin": ("/srv/data", ["/srv/data/a", "/srv/data", "/etc/passwd", "/srv/data/../b", "~/a", ""]),
    "hostIn": (
        "*.example.com",
        ["a.example.com", "https://b.example.com/", "evil.example", "10.0.0.1", "a/b"],
    ),
}


@each(
    ("name", "texts", "answer"),
    [
        ("pathWithin", ["/srv/data/a", "/srv/data/b"], True),
        ("pathWithin", ["/etc/a", "/etc/b"], False),
        ("pathWithin", ["/srv/data/a", "/etc/b"], None),
        ("pathWithin", ["/srv/data/a", "~/b"], None),
        ("pathWithin", [], None),
        ("pathWithin", ["/srv/data/a", 1], None),
        ("pathWithin", ["/srv/data/a", None], None),
        ("pathWithin", [["/srv/data/a"]], None),
        ("pathWithin", {"/srv/data/a": 1}, None),
        ("hostIn", ["a.example.com", "https://b.example.com/"], True),
        ("hostIn", ["evil.example"], False),
        ("hostIn", ["a.example.com", "evil.example"], None),
        ("hostIn", [], None),
    ],
)
def test_a_list_has_an_answer_where_all_of_it_has_the_same(
    name: str, texts: Any, answer: bool | None
) -> None:
    assert says(name, texts, CASES[name][0]) is answer


def test_the_item_that_keeps_a_list_from_having_an_answer_is_named() -> None:
    said = message("pathWithin", ["/srv/data/a", "/srv/data/b", "/etc/b"], "/srv/data")
    assert "item 3 of a list is not like item 1 here: send such items in a call of their own" in said
    assert "a list must not be empty" in message("pathWithin", [], "/srv/data")


def test_a_list_is_as_long_as_the_patterns_may_be() -> None:
    assert says("pathWithin", ["/a"] * MOST_TEXTS, "/a") is True
    assert str(MOST_TEXTS) in message("pathWithin", ["/a"] * (MOST_TEXTS + 1), "/a")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(CASES)), st.data())
def test_a_list_is_never_looser_than_a_loop_over_it(name: str, data: st.DataObject) -> None:
    pattern, texts = CASES[name]
    odd: list[Any] = [1, None, ["/srv/data/a"]]
    bound = Bound({"args": {"all": data.draw(st.lists(st.sampled_from([*texts, *odd]), max_size=4))}})
    for sign, loop in product(("", "!"), ("all", "exists")):
        one = f'{sign}{name}(one, "{pattern}")'
        listed = engine().compile(f'{sign}{name}(args.all, "{pattern}")').verdict(bound)
        looped = engine("python").compile(f"args.all.{loop}(one, {one})").verdict(bound)
        assert listed is ERROR or listed is looped


def test_a_list_needs_no_slow_engine() -> None:
    assert engine().compile('pathWithin(args.paths, "/srv")').engine.name == engine().name
