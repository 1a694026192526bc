"""Every condition of the packs means the same to both engines, or the Python one refuses: never the reverse."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import given, settings

from mcpguard.core.conditions import engines
from mcpguard.core.conditions.cel import ERROR, Bound, Condition
from mcpguard.core.conditions.cel_text import tokens_of
from tests.packs.packs import ALL, Pack, loaded

CORPORA = Path(__file__).parent.parent / "core" / "functions" / "corpus"
PLAIN = [
    "",
    "a",
    "main",
    "/srv/data/a.txt",
    "https://example.com/",
    "SELECT 1",
    "ls -l",
    "jane@example.com",
    "acme",
]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for one in inner for text in _texts(one)]


@functools.cache
def attacks() -> list[str]:
    found = {
        text for path in CORPORA.glob("*.yaml") for text in _texts(yaml.safe_load(path.read_text("utf-8")))
    }
    return sorted(found)


@functools.cache
def conditions(pack: Pack) -> list[tuple[str, Condition, Condition]]:
    """Each condition with what both engines made of it."""
    texts = [rule.placed.text for rule in loaded(pack).rules if rule.placed is not None]
    fast, slow = engines.engine("cpp"), engines.engine("python")
    return [(text, fast.compile(text), slow.compile(text)) for text in texts]


# Making a strategy takes longer than drawing from it.
LABELS = st.lists(st.sampled_from(["private", "untrusted", "tests-passed", "reviewed"]), max_size=3)


@functools.cache
def values() -> st.SearchStrategy[Any]:
    texts = st.sampled_from([*PLAIN, *attacks()])
    odd = st.sampled_from([None, True, 0, -1, 1 << 60, 1.5, {}, [], {"a": 1}])
    return texts | odd | st.lists(texts, max_size=3)


@functools.cache
def arguments(text: str) -> st.SearchStrategy[dict[str, Any]]:
    """Values for those that a condition names."""
    tokens = tokens_of(text)
    names = sorted({two.text for one, two in zip(tokens, tokens[2:], strict=False) if one.text == "args"})
    return st.fixed_dictionaries({}, optional={name: values() for name in names})


@pytest.mark.parametrize("pack", ALL, ids=str)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_condition_of_a_pack_is_never_looser_in_python(pack: Pack, data: st.DataObject) -> None:
    for text, fast, slow in conditions(pack):
        args, kept = data.draw(arguments(text)), data.draw(LABELS)
        view = {
            "args": args,
            "action": "tools/call",
            "server": pack.server,
            "tool": {"name": "t", "title": "", "description": "", "annotations": {"readOnlyHint": True}},
            "principal": {"id": "1", "source": "os-user", "groups": [], "claims": {}},
            "session": {"calls": 3, "tools": {}, "labels": kept, "facts": kept},
            "result": {"content": [{"type": "text", "text": args.get("path", "x")}], "isError": False},
            "findings": [],
        }
        bound = Bound(view)
        one, two = fast.verdict(bound), slow.verdict(Bound(view))
        # A value with U+0000 in it is an error for the fast engine alone, and no request chooses the other.
        assert two in (one, ERROR) or (one is ERROR and bound.unreadable), text
