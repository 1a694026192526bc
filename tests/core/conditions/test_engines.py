"""Conditions that another process compiles, and what the engine in C++ brings along."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from mcpguard.core.conditions import engines
from mcpguard.core.conditions.cel import ERROR, Bound, ConditionError, EngineName
from mcpguard.core.conditions.engines import Uncompiled, _import_descriptors, any_true, engine, engine_for
from mcpguard.core.conditions.names import POLICY, Vocabulary
from mcpguard.core.model import Json

POOL, IN_PYTHON = "google.protobuf.descriptor_pool", "google.protobuf.internal.python_message"


def test_a_condition_that_another_process_compiles_is_an_error_until_then() -> None:
    text = 'args.path.matches("^/srv") && session.labels.exists(one, one == "seen")'
    here, compiled = Uncompiled().compile(text), engine().compile(text)
    assert here.verdict(Bound({"args": {"path": "/srv"}})) is ERROR
    assert (here.text, here.reads, here.calls) == (compiled.text, compiled.reads, compiled.calls)
    assert here.members == compiled.members
    assert here.engine.either([here]) is None


@pytest.mark.parametrize("text", ["", 'args.x.matches("(?=a)")', 'sql("select").nothing', "x" * 20_000])
def test_mistakes_that_need_no_engine_are_found_at_once(text: str) -> None:
    with pytest.raises(ConditionError) as here:
        Uncompiled().compile(text)
    with pytest.raises(ConditionError) as compiled:
        engine().compile(text)
    assert here.value.mistakes == compiled.value.mistakes


def test_protobuf_in_python_is_imported_only_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.protobuf.descriptor_pool  # noqa: F401

    before = {name: sys.modules.get(name) for name in (POOL, IN_PYTHON)}
    monkeypatch.delitem(sys.modules, IN_PYTHON, raising=False)
    _import_descriptors()
    assert sys.modules[POOL] is before[POOL]
    assert IN_PYTHON not in sys.modules
    monkeypatch.delitem(sys.modules, POOL)
    _import_descriptors()
    assert sys.modules[POOL] is not before[POOL]
    assert IN_PYTHON not in sys.modules
    monkeypatch.delitem(sys.modules, POOL)
    python = SimpleNamespace(Type=lambda: "python")
    monkeypatch.setitem(sys.modules, "google.protobuf.internal.api_implementation", python)
    _import_descriptors()
    assert POOL not in sys.modules


def test_requests_are_decided_together_where_none_of_them_is_true() -> None:
    pytest.importorskip("cel_expr_python")
    rows: list[dict[str, Json]] = [{"args": {"n": n}, "method": "m"} for n in range(5)]
    texts = ["args.n > 3 // of five", 'method == "m"']
    together = any_true(texts, ["args", "method"], POLICY)
    assert together is not None
    assert [together(rows), together(rows[:4]), together([])] == [True, False, False]
    assert together([*rows[:4], {"args": {}, "method": "m"}]) is None  # One of them is an error.
    assert together([{"args": {"n": object()}, "method": "m"}]) is None  # type: ignore[dict-item]
    odd = any_true(["args.n"], ["args"], POLICY)
    assert odd is None or odd(rows) is None
    assert any_true(["("], ["args"], POLICY) is None


def test_where_the_engine_fails_it_is_not_known_of_requests_together(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cel_expr_python")
    failing = engine_for(POLICY)
    monkeypatch.setattr(failing, "activation", lambda _: object())
    monkeypatch.setattr(engines, "engine_for", lambda _: failing)
    together = any_true(["args.n > 3"], ["args"], POLICY)
    assert together is not None
    assert together([{"args": {"n": 5}}]) is None


def test_requests_are_not_decided_together_without_the_fast_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    assert any_true(["args.n > 3"], ["args"], Vocabulary(POLICY.names, POLICY.members)) is None


@pytest.mark.parametrize("name", ["cpp", "python"])
def test_a_condition_that_is_loaded_again_is_not_compiled_again(name: EngineName) -> None:
    first, second = (engine(name).compile("args.n > 3 || args.m == 'again'") for _ in range(2))
    assert first is second
