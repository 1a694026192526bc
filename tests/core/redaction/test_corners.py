"""What is rarely met: floods, tables and archives of odd forms, and who compiles first."""

from __future__ import annotations

import io
import zipfile
from base64 import b64encode
from threading import Thread

import pytest

from mcpguard.core.errors import InspectionError
from mcpguard.core.redaction import beginnings, budget
from mcpguard.core.redaction.engine.matching import PAD
from mcpguard.core.redaction.redactor import Redactor
from mcpguard.core.redaction.views import views
from mcpguard.core.redaction.views.view import slices
from mcpguard.core.secret import Secret

HELD = "p@ss/w+rd&1=xZ9tk4Qv"
FLOOD = b"key=a1xyz9 " * 30_000


def redactor() -> Redactor:
    made = Redactor(b"key")
    made.hold("env:A", Secret(HELD))
    return made


def test_what_goes_to_a_server_is_searched_behind_escapes_too() -> None:
    escaped = "see p%40ss%2Fw%2Brd%261%3DxZ9tk4Qv there"
    assert redactor().foreign([escaped], frozenset()) == ("env:A",)


def test_who_needs_what_is_compiled_waits_for_it() -> None:
    beginnings.prepare_soon()
    compiled = beginnings.triggers()
    got: list[object] = []
    beginnings.COMPILED.clear()
    with beginnings._COMPILING:
        waits = Thread(target=lambda: got.append(beginnings._compiled()))
        waits.start()
        beginnings.COMPILED.append(compiled)
    waits.join(20)
    assert got == [compiled]


def test_places_of_a_flood_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = redactor()
    with monkeypatch.context() as narrow:
        narrow.setattr(budget, "WORK", (1_000, 0))
        with pytest.raises(InspectionError, match="too much work"):
            made.places(FLOOD)

    def broken(*_of: object) -> None:
        raise ValueError

    monkeypatch.setattr(made, "_spans", broken)
    with pytest.raises(InspectionError, match="could not be inspected"):
        made.places(HELD.encode())


@pytest.mark.parametrize(
    "rows",
    [
        "| p@ss/w+rd& |\n| 1=xZ9tk4Qv |\n",
        "| p@ss/w+rd& |\n| 1=xZ9tk4Qv and more |\n",
        "| a |\n| p@ss/w+rd& |\n| 1=xZ9tk4Qv |\n| b |\n| word and p@ss1 |\n",
        "| p@ss/w+rd& | x |\n| 1=xZ9tk4Qv | y |\n",
    ],
)
def test_what_goes_on_in_the_next_row_is_found(rows: str) -> None:
    left = str(redactor().inspect(rows).value)
    assert "p@ss/w" not in left
    assert "xZ9tk4" not in left


def test_a_member_of_an_archive_that_is_not_packed_is_read_too() -> None:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("notes.txt", f"see {HELD} there")
    code = b64encode(whole.getvalue()).decode()
    assert code not in str(redactor().inspect(f"a file: {code}").value)


def test_a_packed_member_whose_head_is_cut_off_is_no_error() -> None:
    for flags in (0, 4, 8, 12, 24):
        code = b64encode(bytes([31, 139, 8, flags]) + b"ab" * 20).decode()
        assert redactor().inspect(f"a file: {code}").value == f"a file: {code}"
    cut = b64encode(b"text " * 8 + bytes([31, 139, 8])).decode()
    assert redactor().inspect(f"a file: {cut}").value == f"a file: {cut}"


def test_a_short_line_that_ends_with_a_sign_of_equality_is_not_broken() -> None:
    text = "a =3D b\nshort=\nline"
    assert redactor().inspect(text).value == text


def test_long_texts_are_looked_through_by_lines() -> None:
    line = b"some words of a line\n"
    text = line * 30_000 + PAD
    found = list(slices(text))
    assert len(found) > 1
    assert all(text[at:end].endswith(b"\n") for at, end in found)
    assert b"".join(text[at:end] for at, end in found) == text[: -len(PAD)]
    assert next(views(text)).text == text


def test_a_key_whose_dashes_are_escaped_for_markdown_is_removed() -> None:
    body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 4
    text = f"before \\-\\-\\-\\--BEGIN PRIVATE KEY\\-\\-\\-\\-- {body} \\-\\-\\-\\--END PRIVATE KEY\\-\\-\\-\\-- after"
    left = str(redactor().inspect(text).value)
    assert body[:20] not in left
    assert left.startswith("before ")
    assert left.endswith(" after")


def test_what_the_collector_ends_while_triggers_are_compiled_may_be_inspected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    beginnings.COMPILED.clear()
    compiled = beginnings.codes
    inner: list[object] = []

    def codes() -> object:
        if not inner:
            inner.append(None)
            inner.append(Redactor(b"key").inspect({"text": "words"}).value)
        return compiled()

    monkeypatch.setattr(beginnings, "codes", codes)
    assert Redactor(b"key").inspect({"text": "ghp_" + "aB3kQ9xZ7mT2" * 3}).findings
    assert inner == [None, {"text": "words"}]
