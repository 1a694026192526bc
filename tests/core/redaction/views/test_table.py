"""Each disguise of the table, by its examples."""

from __future__ import annotations

import zlib
from base64 import b64encode

import pytest

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction.budget import Budget
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.views import may_hide, views
from mcpguard.core.redaction.views.table import DISGUISES
from tests.core.redaction.views.disguises import EXAMPLES, Disguise

each = pytest.mark.parametrize("disguise", EXAMPLES, ids=lambda one: one.name[:40])


def test_each_disguise_of_the_table_has_examples() -> None:
    assert tuple(one.name for one in EXAMPLES) == DISGUISES
    assert all(one.hidden for one in EXAMPLES)


@each
def test_what_is_hidden_is_read(disguise: Disguise) -> None:
    for hidden, plain in disguise.hidden:
        for around in ("{}", "first\n{}\nlast"):
            text = around.format(hidden).encode("utf-8", "surrogatepass") + PAD
            assert may_hide(text), hidden
            said = [view for view in views(text) if plain.encode() in view.text]
            assert said, hidden
            for view in said:
                at = view.text.index(plain.encode())
                start, end = view.place(at, at + len(plain))
                assert 0 <= start < end <= len(text) - len(PAD), hidden


@each
def test_what_only_looks_alike_stays_the_same_object(disguise: Disguise) -> None:
    for text in disguise.misses:
        value = {"text": text, "more": f"before\n{text}\nafter"}
        assert Redactor(b"key").inspect(value).value is value


def test_a_bomb_is_withheld() -> None:
    bomb = b64encode(zlib.compress(b"a" * 50_000_000, 9)).decode()
    with pytest.raises(InspectionError, match="packed"):
        Redactor(b"key").inspect({"text": bomb})


def test_the_budget_counts_views() -> None:
    budget = Budget(10)

    def read() -> None:
        for _ in range(500):
            list(views(b"%41%42" + PAD, budget=budget))

    with pytest.raises(InspectionError, match="disguises"):
        read()
