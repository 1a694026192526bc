"""The slower engine takes the tables of its parser from where tables of the program stay."""

from collections.abc import Iterator

import pytest
from celpy import celparser

from mcpguard.core.conditions.cel_python import PythonEngine
from mcpguard.core.redaction.engine.matching import keep_on


class Shelf:
    """Tables in memory, which notes what is done with them."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.done: list[str] = []

    def take(self, table: str, source: bytes) -> bytes | None:
        self.done.append(f"take {table}")
        return self.kept.get(source)

    def put(self, table: str, source: bytes, compiled: bytes) -> None:
        self.done.append(f"put {table}")
        self.kept[source] = compiled


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """The place of tables of a process that has no parser yet."""
    made = Shelf()
    monkeypatch.setattr(celparser.CELParser, "CEL_PARSER", None)
    keep_on(made)
    yield made
    keep_on()


def test_a_parser_is_generated_once_and_then_taken(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    first = PythonEngine().parsed('args.a == "x" && !true')
    PythonEngine()
    assert shelf.done == ["take cel", "put cel"]
    monkeypatch.setattr(celparser.CELParser, "CEL_PARSER", None)
    monkeypatch.setattr(celparser, "Lark", lambda *_, **__: pytest.fail("generated again"))
    assert PythonEngine().parsed('args.a == "x" && !true') == first
    assert shelf.done == ["take cel", "put cel", "take cel"]


@pytest.mark.uncounted
def test_one_of_another_release_is_not_taken(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    PythonEngine()
    monkeypatch.setattr(celparser.CELParser, "CEL_PARSER", None)
    monkeypatch.setattr("mcpguard.core.conditions.cel_python.lark_version", "0")
    PythonEngine()
    assert shelf.done == 2 * ["take cel", "put cel"]


def test_without_a_place_the_library_generates_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celparser.CELParser, "CEL_PARSER", None)
    PythonEngine()
    assert celparser.CELParser.CEL_PARSER is not None
