"""Which URIs a template can make: RFC 6570 seen from the other side, in bounded time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcpguard.protocol.uri_template import expressions, matches
from tests.rows import each


@each(
    ("template", "uri", "expected"),
    [
        ("x:1", "x:1", True),
        ("x:1", "x:12", False),
        ("x:1", "", False),
        ("", "", True),
        ("x:{a}", "x:1", True),
        ("x:{a}", "x:", True),
        ("x:{a}", "x:1/2", False),
        ("x:{a}", "x:1?q", False),
        ("x:{a}/{b}", "x:1/2", True),
        ("x:{a,b}", "x:1,2", True),
        ("x:{a:3}", "x:123", True),
        ("file:///{+path}", "file:///a/b?c#d", True),
        ("{+any}", "anything/at#all", True),
        ("x{#frag}", "x#a/b", True),
        ("x{.ext}", "x.txt", True),
        ("x{.ext}", "x.t#y", False),
        ("x{/seg}", "x/a/b", True),
        ("x{/seg}", "x", True),
        ("x{/seg}", "xa", False),
        ("x{/seg}", "x/a#b", False),
        ("x{;p}", "x;p=1", True),
        ("x{?q}", "x?q=1&r=2", True),
        ("x{?q}{&r}", "x?q=1&r=2", True),
        ("x{?q}", "x#q", False),
        ("{+a}x{b}", "p/x/q/xz", True),
        ("{a}-{b}!", "1-2-3!", True),
        ("x:{a}\n", "x:1\n", True),
    ],
)
def test_a_template_makes_these_uris_and_not_those(template: str, uri: str, expected: bool) -> None:
    assert matches(template, uri) is expected


def by_backtracking(template: str, uri: str) -> bool:
    """The same, as a regular expression says it."""
    wild = {"": "[^/?#]*", "+": ".*", "/": "(?:/[^?#]*)?", "?": "[^#]*"}
    parts = re.split(r"\{([+/?]?)v\}", template)
    pattern = "".join(re.escape(part) if index % 2 == 0 else wild[part] for index, part in enumerate(parts))
    return re.fullmatch(pattern, uri, re.DOTALL) is not None


@given(
    st.lists(st.sampled_from(["a", "b", "/", "ab", "{v}", "{+v}", "{/v}", "{?v}"]), max_size=6),
    st.text(alphabet="ab/?#", max_size=12),
)
def test_it_says_what_a_regular_expression_would_say(parts: list[str], uri: str) -> None:
    template = "".join(parts)
    assert matches(template, uri) is by_backtracking(template, uri)


def test_a_template_that_is_made_to_backtrack_for_ever_does_not() -> None:
    assert not matches("{+a}x" * 32 + "!", "x" * 4096)
    assert matches("{+a}x" * 32, "x" * 4096)


@pytest.mark.parametrize(
    "template", ["a{+x}" * 31 + "b%d{+y}", "a{+x}" * 31 + "{+y}b%d", "{+y}" + "a{+x}" * 31 + "b%d"]
)
def test_as_many_templates_as_a_server_may_have_cost_little_together(template: str) -> None:
    # With a search of each literal at each place this was half a minute.
    assert not any(matches(template % number, "a" * 4096) for number in range(256))


def test_expressions_are_counted() -> None:
    assert expressions("x:{a}/{+b}{") == 2
